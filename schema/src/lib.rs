//! All SQL of Isocenter: entities, migrations and queries, one code path on SQLite (WAL) and PostgreSQL.
//!
//! Nobody else writes a statement or knows a table. The functions are plain: those that read take anything that can be
//! read from ([`Database`] or [`Transaction`]), those that write take a [`Transaction`], so that a change and its audit
//! event are one. Rows about bytes are made in one place, [`commit::group`], and only against
//! [`isocenter_storage::Durable`], the proof that the bytes are on stable storage.
//!
//! | module | holds |
//! | --- | --- |
//! | [`database`] | connections: many that read, one that writes and flushes, one that ingests and leaves the flush to the pack |
//! | [`record`] | what one commit says about one image, quarantined object, collection or release; packs carry the same |
//! | [`commit`] | what is known of a group before it is sealed, and the group's rows |
//! | [`states`] | release, hold, withdraw: changes of the state of images, with the counters that visibility reads |
//! | [`search`] | a parsed query and a visibility, turned into rows (QIDO-RS, C-FIND) |
//! | [`retrieve`] | from a path or an accession to blob, frame map and metadata |
//! | [`contents`] | all metadata of a collection, and what was done to it, for reports |
//! | [`collections`], [`individuals`], [`quarantine`], [`findings`], [`submissions`] | what curators work on |
//! | [`tokens`], [`users`], [`grants`], [`audit`], [`settings`] | who may, who did, and what the archive remembers of itself |
//! | [`jobs`], [`codes`], [`numbers`], [`packs`], [`stats`] | work to do, hash codes, accession numbers, replay, counts |
//! | [`synthetic`] | fills an archive of any size, for tests of scale |
//!
//! Visibility is one thing everywhere: studies and series carry two counters, images released and images awaiting, kept
//! in the transaction that changes the images. Whether a caller sees a study, and how many images of it, follows from the
//! counters and its collection, without looking at images.
//!
//! Times are stored as microseconds since 1970, UTC, so that both engines compare them alike; leases, expiry and embargo
//! are decided by the database's clock. Absent texts are empty, never NULL, so that both engines sort them alike.

pub mod audit;
pub mod codes;
pub mod collections;
pub mod commit;
pub mod contents;
mod counters;
pub mod database;
mod entity;
mod error;
pub mod findings;
pub mod grants;
pub mod individuals;
mod instant;
pub mod jobs;
mod migration;
pub mod numbers;
pub mod packs;
pub mod quarantine;
pub mod record;
pub mod retrieve;
pub mod search;
pub mod settings;
mod sql;
pub mod states;
pub mod stats;
pub mod submissions;
pub mod synthetic;
pub mod tokens;
pub mod users;

pub use database::{Database, Kind, Reader, Transaction};
pub use error::{Error, Result};
pub use record::{ImageState, Record};
