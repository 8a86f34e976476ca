//! The one way in: stage, parse, de-identify, check, hold or accession, commit.
//!
//! Every door of the archive (C-STORE, STOW-RS, import, demo) hands its fragments to one sink, [`Sink`], and hears one
//! [`Outcome`](isocenter_model::Outcome) an instance. The walk, file by file:
//!
//! | step | file | what it does |
//! | --- | --- | --- |
//! | stage | [`stage`] | gathers the bytes, in memory while the budget allows, else in a sealed file |
//! | parse, de-identify, check | [`prepare`], [`mod@profile`], [`qc`] | on a CPU thread; ends in a refusal, a quarantine item or a [`cleared`] object |
//! | accession, seal | [`group`], [`parents`] | what becomes of each object; the pack of those that are new |
//! | commit | [`committer`] | everything that waits becomes one pack, one flush, one transaction |
//! | answer | [`pipeline`] | only now |
//!
//! [`replay`] does the last step again for packs that the database does not know, at start-up and for
//! `reindex --from-store`.
//!
//! What must hold (DESIGN section 6): nothing reaches the archive area that is not [`cleared::Cleared`]; rows take the
//! `Durable` that only a put makes; success is answered after pack and commit.

mod accessions;
mod attributes;
mod cleared;
mod committer;
mod destination;
mod error;
pub mod events;
mod faults;
mod group;
mod metadata;
mod parents;
mod pipeline;
mod pixels;
mod prepare;
mod profile;
pub mod qc;
pub mod replay;
mod stage;

pub use accessions::Prefixes;
pub use error::Error;
pub use pipeline::{Pipeline, Sink};
pub use profile::{profile_of, profile_record};

/// Limits of the way in.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Largest object in bytes.
    pub max_object_size: u64,
    /// Bytes that all instances in flight may hold in memory together.
    pub bytes_in_memory: u64,
    /// Objects that may be parsed and de-identified at the same time.
    pub cpu_permits: usize,
    /// Objects that may wait for the committer.
    pub commit_queue: usize,
    /// Prefixes of accessions.
    pub prefixes: Prefixes,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_object_size: 16 << 30,
            bytes_in_memory: 72 << 20,
            cpu_permits: std::thread::available_parallelism().map_or(2, std::num::NonZero::get),
            commit_queue: 512,
            prefixes: Prefixes::default(),
        }
    }
}
