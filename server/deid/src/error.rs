//! How de-identification fails, as opposed to deciding that an object must be held.

use isocenter_model::{Classify, Fault};

/// A failure of this package. None of the messages holds a value of a data set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Both longitudinal options were asked for; PS3.15 E.3.6 makes them exclude each other.
    #[error("retain longitudinal full dates and modified dates exclude each other")]
    ExclusiveOptions,
    /// The text of a profile does not parse, or says something that no profile has.
    #[error("profile: {reason}")]
    ProfileNotRead {
        /// What is wrong, and where.
        reason: String,
    },
    /// The pixels of a transfer syntax cannot be edited, so nothing of the object may go out.
    #[error("pixel data in transfer syntax {transfer_syntax_uid} cannot be edited: {reason}")]
    PixelsNotEditable {
        /// The transfer syntax.
        transfer_syntax_uid: String,
        /// Why not.
        reason: &'static str,
    },
    /// The object's bytes could not be read, or new ones not be written: a matter of the house, not of the object.
    #[error("pixel data could not be read or written: {0}")]
    Source(std::io::ErrorKind),
}

impl Classify for Error {
    fn fault(&self) -> Fault {
        match self {
            Self::ExclusiveOptions | Self::ProfileNotRead { .. } => Fault::BadInput,
            Self::PixelsNotEditable { .. } => Fault::Unreadable,
            Self::Source(_) => Fault::Unavailable,
        }
    }
}
