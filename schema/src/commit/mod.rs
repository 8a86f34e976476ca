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
//! Statements of a group of one image into a known series, beside begin and commit: pack, parents, image, blob, metadata,
//! counters (2), jobs, and 2 for the audit event: ten. A larger group has no more, up to 100 images of one collection; new
//! parents, findings, reports and provenances that this process has not seen yet cost one more each.

mod group;
pub(crate) mod lookup;
mod parents;
pub(crate) mod rows;

pub(crate) use group::apply;
pub use group::{Committed, Fate, group, replay};
pub use lookup::{Known, KnownImage, KnownIndividual, KnownSeries, KnownStudy, Probe, lookup};

pub use crate::audit::AuditEvent;
pub use crate::jobs::NewJob;
