//! The rows of a commit group.
//!
//! A group is what all associations and requests had ready at one moment. It meets the database twice: [`lookup`] tells,
//! before anything is sealed, what of it is known already (of its objects and of their parents, however large the group), and
//! [`group`]
//! writes the rows of what was sealed, against the proof that the pack is durable.
//!
//! [`group`] trusts no earlier answer. Under the collection's lock it resolves the parents again and inserts without
//! complaint; an image that turns out to be there already, or to contradict what is there, gets its [`Fate`] and no row.
//! Its bytes stay in the pack until that is compacted. Applying a pack twice changes nothing.
//!
//! Messages to SQLite of a group of any size of up to 100 images of one collection, beside the look-up: begin, parents, images,
//! end of the audit chain, all the rest in one text (pack, blobs, metadata, counters, jobs, audit, and what is new of
//! findings, reports and provenances), commit. New parents cost up to three more. PostgreSQL takes the rest one by one.

mod group;
pub(crate) mod lookup;
mod parents;
pub(crate) mod rows;

pub(crate) use group::apply;
pub use group::{Committed, Fate, group, groups, replay};
pub use lookup::{
    Known, KnownImage, KnownIndividual, KnownSeries, KnownStudy, Probe, lookup, lookup_objects, lookup_parents,
};

pub use crate::audit::AuditEvent;
pub use crate::jobs::NewJob;
