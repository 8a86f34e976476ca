//! What can go wrong with stored bytes, and how it is said.
//!
//! An error names packs, blobs and keys by the random ids that this package drew; it never holds plain bytes, and so
//! never patient data.

use std::path::PathBuf;

use isocenter_model::{Classify, Fault};

use crate::area::Area;
use crate::id::{BlobId, CollectionKeyId, KeyId, PackName};

/// What is wrong with bytes that failed authentication.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Damage {
    /// The pack ends before these bytes: it was cut, or never finished.
    #[error("the end is cut off")]
    CutOff,
    /// Bytes were added behind the pack's end.
    #[error("bytes were added behind the end")]
    Grown,
    /// The pack's first bytes are not those that its name and length ask for.
    #[error("the pack header was altered")]
    PackHeader,
    /// The pack's index or trailer fails its keyed checksum.
    #[error("the pack index was altered")]
    Index,
    /// The header of a sealed entry was altered.
    #[error("the header of the entry was altered")]
    Header,
    /// The entry was sealed for another area than it is read through.
    #[error("sealed for the area {0}")]
    WrongArea(Area),
    /// A segment was altered.
    #[error("segment {0} was altered")]
    Segment(u64),
    /// A segment stands where another one belongs.
    #[error("segment {belongs} stands at the place of segment {place}")]
    Moved {
        /// Where it stands.
        place: u64,
        /// The number that it was sealed with.
        belongs: u64,
    },
}

/// A failure of the storage.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Stored bytes failed authentication: damage or tampering, never retried.
    #[error("pack {pack}{}: {damage}", .blob.map(|b| format!(", blob {b}")).unwrap_or_default())]
    Corrupt {
        /// The pack that holds them.
        pack: PackName,
        /// The blob, where the damage is inside one.
        blob: Option<BlobId>,
        /// What was found.
        damage: Damage,
    },
    /// An entry of the key store is not what was written.
    #[error("key store entry {entry} is damaged")]
    KeyCorrupt {
        /// Name of the entry.
        entry: String,
    },
    /// A text that was sealed under a collection's key is not what was sealed.
    #[error("a text sealed under collection key {key} is damaged")]
    TextCorrupt {
        /// The key.
        key: CollectionKeyId,
    },
    /// No pack of this name is in the store.
    #[error("pack {pack} is missing")]
    Missing {
        /// The pack asked for.
        pack: PackName,
    },
    /// The key was destroyed, and with it all that was sealed under it.
    #[error("key {key} was destroyed")]
    KeyDestroyed {
        /// The key.
        key: KeyId,
    },
    /// The key store has neither this key nor the mark of its destruction.
    #[error("key {key} is not in the key store")]
    KeyMissing {
        /// The key.
        key: KeyId,
    },
    /// The key store does not have this collection key.
    #[error("collection key {key} is not in the key store")]
    CollectionKeyMissing {
        /// The key.
        key: CollectionKeyId,
    },
    /// The key store was made with another master key.
    #[error("master key {given} does not open this key store, which was wrapped by {expected}")]
    WrongMasterKey {
        /// Fingerprint of the key handed in.
        given: String,
        /// Fingerprint that the key store names.
        expected: String,
    },
    /// There are packs, but the key store is empty.
    #[error("the store holds packs but the key store at {location} is empty: restore it, or nothing can be opened")]
    KeyStoreMissing {
        /// Where the key store was looked for.
        location: String,
    },
    /// The master key file cannot be used.
    #[error("master key file {}: {reason}", .path.display())]
    MasterKeyFile {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// A version of the format that this program does not know.
    #[error("format version {version} of pack {pack} is not known to this program")]
    UnknownVersion {
        /// The pack.
        pack: PackName,
        /// The version found.
        version: u8,
    },
    /// The range lies outside the blob.
    #[error("range {start}..{end} lies outside a blob of {len} bytes")]
    OutOfRange {
        /// First byte asked for.
        start: u64,
        /// One past the last byte asked for.
        end: u64,
        /// The blob's length.
        len: u64,
    },
    /// The body is larger than the format can hold.
    #[error("a body of {len} bytes is larger than the format can hold")]
    TooLarge {
        /// Its length.
        len: u64,
    },
    /// A setting cannot be used.
    #[error("storage setting: {reason}")]
    Settings {
        /// Which, and why.
        reason: String,
    },
    /// The store has no space left; nothing was kept of what was being written.
    #[error("no space left in the store")]
    NoSpace,
    /// The store or the key store did not answer, or refused; the caller may retry.
    #[error("store not available: {source}")]
    Unavailable {
        /// What it said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Staged bytes could not be read while they were being sealed.
    #[error("staged bytes cannot be read: {source}")]
    Staged {
        /// What the staging said.
        source: std::io::Error,
    },
    /// A fault of ours, or of the machine's random source.
    #[error("storage internal: {0}")]
    Internal(&'static str),
}

/// Result of the storage.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(crate) fn unavailable(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Unavailable { source: source.into() }
    }

    /// Tells a full disk from one that does not answer.
    pub(crate) fn io(source: std::io::Error) -> Self {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        match source.kind() {
            StorageFull | QuotaExceeded => Self::NoSpace,
            _ => Self::unavailable(source),
        }
    }
}

impl From<tokio::task::JoinError> for Error {
    fn from(_: tokio::task::JoinError) -> Self {
        Self::Internal("a storage task was ended")
    }
}

impl Classify for Error {
    fn fault(&self) -> Fault {
        match self {
            // A row names a pack that is not there: to the reader that is loss, not "no such thing".
            Self::Corrupt { .. } | Self::KeyCorrupt { .. } | Self::TextCorrupt { .. } | Self::Missing { .. } => {
                Fault::Corrupt
            }
            Self::KeyMissing { .. } | Self::CollectionKeyMissing { .. } => Fault::Corrupt,
            Self::KeyDestroyed { .. } => Fault::NotFound,
            Self::OutOfRange { .. } => Fault::BadInput,
            Self::TooLarge { .. } => Fault::TooLarge,
            Self::NoSpace | Self::Unavailable { .. } => Fault::Unavailable,
            Self::WrongMasterKey { .. }
            | Self::KeyStoreMissing { .. }
            | Self::MasterKeyFile { .. }
            | Self::UnknownVersion { .. }
            | Self::Settings { .. }
            | Self::Staged { .. }
            | Self::Internal(_) => Fault::Internal,
        }
    }
}
