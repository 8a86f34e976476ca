//! What can fail on the way in, apart from the object itself.

use isocenter_model::{Classify, Fault};

/// A failure of the house, not of the object.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The database did not do it.
    #[error(transparent)]
    Schema(#[from] isocenter_schema::Error),
    /// The store did not do it.
    #[error(transparent)]
    Storage(#[from] isocenter_storage::Error),
    /// The collection names a profile that this program does not have, or brought one that it does not take.
    #[error("collection has a de-identification profile that is not known here")]
    UnknownProfile,
    /// A record that a pack carries belongs to a collection that nobody knows.
    #[error("a pack holds images of a collection that is not known")]
    UnknownCollection,
    /// Another server committed one of the same objects in between; looking again will show it.
    #[error("another server was faster with an object of this group")]
    Raced,
    /// The committer has ended; the server is stopping.
    #[error("the archive is stopping")]
    Stopping,
}

impl Classify for Error {
    fn fault(&self) -> Fault {
        match self {
            Self::Schema(error) => error.fault(),
            Self::Storage(error) => error.fault(),
            Self::UnknownProfile | Self::UnknownCollection => Fault::Internal,
            Self::Raced => Fault::Conflict,
            Self::Stopping => Fault::Unavailable,
        }
    }
}
