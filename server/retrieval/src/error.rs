//! How retrieval fails. None of these carries anything of a patient: codes, ids and Faiss's own messages only.

use isocenter_model::{Classify, Fault};

/// A failure of hashing or of the index.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The program was built without the feature `faiss`: there is no index, and no scan takes its place.
    #[error("this program was built without Faiss, so image retrieval is not available")]
    NotBuilt,
    /// Faiss refused a call; its message.
    #[error("the Faiss index failed: {reason}")]
    Engine {
        /// What Faiss said.
        reason: String,
    },
    /// Faiss answered a position or a distance that cannot be.
    #[error("the Faiss index answered a position or distance out of range")]
    EngineAnswer,
    /// More hits were asked for than one answer may hold.
    #[error("{asked} hits were asked for, at most {most} are given")]
    TooManyHits {
        /// The number asked for.
        asked: usize,
        /// The most that one answer holds.
        most: usize,
    },
    /// The samples of a picture are not as many as its sides say, or a side is zero.
    #[error("a picture of {width} x {height} does not have {samples} samples")]
    PictureSize {
        /// Columns.
        width: u32,
        /// Rows.
        height: u32,
        /// Samples handed over.
        samples: usize,
    },
    /// A code was written in another form than 16 hexadecimal digits.
    #[error("a code is written as 16 hexadecimal digits")]
    CodeForm,
}

impl Classify for Error {
    fn fault(&self) -> Fault {
        match self {
            Self::NotBuilt => Fault::Unavailable,
            Self::Engine { .. } | Self::EngineAnswer => Fault::Internal,
            Self::TooManyHits { .. } => Fault::TooLarge,
            Self::PictureSize { .. } | Self::CodeForm => Fault::BadInput,
        }
    }
}
