//! The rows of a commit group.
//!
//! A group is what all associations and requests had ready at one moment. It meets the database twice: [`lookup`] tells,
//! before anything is sealed, what of it is known already (one query a table, however large the group), and [`group`]
//! writes the rows of what was sealed, against the proof that the pack is durable.
//!
//! [`group`] trusts no earlier answer. Under the collection's lock it resolves the parents again and inserts without
//! complaint; an image that turns out to be there already, or to contradict what is there, gets its [`Fate`] and no row.
//! Its bytes stay in the pack until that is compacted. Applying a pack twice changes nothing.
//!
//! Statements of a group of one image into a known series, beside begin and commit: pack, parents, image, shared texts
//! (2), blob, metadata, counters (2), and for the audit event 2: eleven. A larger group has no more, up to 100 images.

mod group;
pub(crate) mod lookup;
mod parents;
pub(crate) mod rows;

pub(crate) use group::apply;
pub use group::{Committed, Fate, group, replay};
pub use lookup::{Known, KnownImage, KnownIndividual, KnownSeries, KnownStudy, Probe, lookup};

pub use crate::audit::AuditEvent;
pub use crate::jobs::NewJob;
