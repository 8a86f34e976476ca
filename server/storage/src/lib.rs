//! Sealed durable packs: where the archive's bytes live.
//!
//! A commit group (all objects that wait at a moment) becomes one *pack*: the sealed objects and, last, the sealed batch
//! of their rows. One put, one flush, the bytes' final home. [`Durable`] is the proof of it, and rows are only inserted
//! for who can show one; since the rows lie in the packs too, the database can be rebuilt from the store.
//!
//! What this package promises:
//!
//! - A pack is durable when [`PackBuilder::put`] returns, and until then invisible. A put that failed leaves nothing.
//! - Nothing leaves this package in clear but to who reads it. Nobody else sees ciphertext, nonces or data keys.
//! - A changed byte, a moved segment, a cut end, a body of another area or pack: each is detected by the read that
//!   touches it, and named ([`Damage`]). [`Storage::check`] touches everything.
//! - A destroyed key ([`Storage::destroy_key`]) makes unreadable, at once and everywhere, what was sealed under it.
//! - A range costs its segments and nothing more; memory does not grow with the size of an object.
//!
//! What it leaves to others: who may read what (it opens whatever it has a reference and a key for), which packs still
//! have rows, and when to compact or delete.
//!
//! ```text
//! one commit group                                             the key store, a place of its own
//!    │ PackBuilder: name, ids, places                          ┌──────────────────────────────┐
//!    ▼                                                         │ master ▶ collection ▶ Indiv. │
//! sealer ── seal (AES-256-GCM, 64 KiB segments) ◀── keystore ──┤ wrapped, one entry a key     │
//!    │                                                         └──────────────────────────────┘
//!    ▼
//! backend ─┬─ local folder: write, fdatasync, rename, fsync folder
//!          └─ S3: one put, or parts
//!
//! ┌──────────────┬─────────────┬─────┬─────────────┬──────┬─────┬──────┬─────────────┬──────────┐
//! │ pack header  │ sealed body │ ... │ sealed body │ row  │ ... │ row  │ index       │ trailer  │
//! └──────────────┴─────────────┴─────┴─────────────┴──────┴─────┴──────┴─────────────┴──────────┘
//! ```
//!
//! | module | holds |
//! | --- | --- |
//! | `builder`, `sealer` | from bodies and rows to the bytes of a pack |
//! | `pack`, `seal` | the formats: of a pack, of one sealed body; the diagrams are there |
//! | `key`, `keystore` | the key hierarchy and where its wrapped keys lie |
//! | `storage`, `read`, `verify` | what the archive calls |
//! | `backend` | local folder and S3 |
//! | `spill` | sealed temporary files for what memory has no room for |
//! | [`fail`] | planned failures, for tests |

mod area;
mod backend;
mod builder;
#[cfg(any(test, feature = "double"))]
pub mod double;
mod error;
pub mod fail;
mod id;
mod key;
mod keystore;
mod pack;
mod paged;
mod read;
mod seal;
mod sealer;
mod spill;
mod storage;
#[cfg(any(test, feature = "double"))]
pub mod suite;
#[cfg(test)]
mod tests;
mod verify;

pub use area::{
    ArchiveWriter, Area, BlobRef, InArchive, InArea, InDerived, InOriginal, InQuarantine, QuarantineWriter,
};
pub use backend::FreeSpace;
pub use builder::{Durable, PackBuilder};
pub use error::{Damage, Error, Result};
pub use id::{BlobId, CollectionKeyId, IdError, KeyId, PackName};
pub use key::MasterKey;
pub use pack::PackEntry;
pub use sealer::{Body, Piece};
pub use spill::Spill;
pub use storage::{Opened, S3Settings, Storage, StorageSettings};
pub use verify::{Finding, PackReport, PackRows};
