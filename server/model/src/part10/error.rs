//! Why bytes are not taken as a DICOM object. No variant repeats what the bytes said.

use crate::fault::{Classify, Fault};

/// Why a stranger's bytes were not read, or an object could not be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nothing that begins like a DICOM file or data set.
    #[error("not a DICOM file or data set")]
    NotDicom,
    /// The bytes end inside an element, an item or the pixel data.
    #[error("cut off: what begins at byte {offset} needs more bytes than there are")]
    CutOff {
        /// Where the unfinished element, item or fragment begins.
        offset: u64,
    },
    /// The structure contradicts PS3.5 in a way that leaves no safe reading.
    #[error("malformed at byte {offset}: {reason}")]
    Malformed {
        /// Where it was noticed.
        offset: u64,
        /// What is wrong, in words that hold no data.
        reason: &'static str,
    },
    /// A bound on size or number was met.
    #[error("{what} beyond the limit of {limit}")]
    TooLarge {
        /// What is too large or too many.
        what: &'static str,
        /// The bound.
        limit: u64,
    },
    /// Sequences nested beyond the bound.
    #[error("sequences nested deeper than {limit} levels")]
    TooDeep {
        /// The bound.
        limit: u16,
    },
    /// Well formed, but outside of what this module reads or writes.
    #[error("not supported: {what}")]
    Unsupported {
        /// What it is.
        what: &'static str,
    },
    /// An element cannot be written in its value representation.
    #[error("element ({group:04X},{element:04X}) cannot be written: {reason}")]
    Unwritable {
        /// Group of the tag.
        group: u16,
        /// Element of the tag.
        element: u16,
        /// Why.
        reason: &'static str,
    },
    /// The staged bytes could not be read back: a fault of ours, not of the sender's.
    #[error("staged bytes could not be read at byte {offset}: {kind}")]
    Source {
        /// Where.
        offset: u64,
        /// What the system said.
        kind: std::io::ErrorKind,
    },
}

impl Classify for Error {
    fn fault(&self) -> Fault {
        match self {
            Self::NotDicom | Self::CutOff { .. } | Self::Malformed { .. } | Self::TooDeep { .. } => Fault::Unreadable,
            Self::Unsupported { .. } => Fault::Unreadable,
            Self::TooLarge { .. } => Fault::TooLarge,
            Self::Unwritable { .. } => Fault::Internal,
            Self::Source { .. } => Fault::Unavailable,
        }
    }
}
