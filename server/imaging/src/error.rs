//! Why there is no picture.

use isocenter_model::{Classify, Fault};

use crate::check::LengthMismatch;

/// Why pixel data could not be mapped, decoded or drawn. Nothing in it comes from the data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An attribute of the Image Pixel module is missing or is no number.
    #[error("{name} is missing or has no usable value")]
    Attribute {
        /// The attribute's name in PS3.6.
        name: &'static str,
    },
    /// The pixel data are not those that the header describes.
    #[error(transparent)]
    Lengths(#[from] LengthMismatch),
    /// A frame larger than any that is drawn.
    #[error("frame of {bytes} bytes is larger than {limit}")]
    TooLarge {
        /// Its size when decoded.
        bytes: u64,
        /// The bound.
        limit: u64,
    },
    /// Nothing here decodes this.
    #[error("not decodable here: {what}")]
    Unsupported {
        /// What it is.
        what: &'static str,
    },
    /// The frame's bytes are damaged, or are not what the transfer syntax says.
    #[error("frame does not decode: {what}")]
    Damaged {
        /// What was noticed.
        what: &'static str,
    },
    /// A codec failed in a way of its own.
    #[error("the {codec} codec failed on a frame")]
    Codec {
        /// Which.
        codec: &'static str,
    },
    /// A parameter of the request cannot be honoured.
    #[error("{name} is out of range")]
    Parameter {
        /// Its name.
        name: &'static str,
    },
    /// Bytes that are no frame map of this or an earlier version.
    #[error("stored frame map does not read")]
    Map,
    /// The object's bytes could not be read.
    #[error("object could not be read: {0}")]
    Source(std::io::ErrorKind),
    /// A picture could not be encoded.
    #[error("picture could not be encoded")]
    Encode,
}

impl Error {
    /// Returns the reason in words that never change with the data.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Attribute { .. } => "an attribute of the image has no usable value",
            Self::Lengths(_) => "pixel data is not what the header says",
            Self::TooLarge { .. } => "a frame is too large",
            Self::Unsupported { what } | Self::Damaged { what } => what,
            Self::Codec { .. } => "a codec failed",
            Self::Parameter { .. } | Self::Map => "internal",
            Self::Source(_) => "the object could not be read or written",
            Self::Encode => "a frame could not be encoded",
        }
    }
}

impl Classify for Error {
    fn fault(&self) -> Fault {
        match self {
            Self::Attribute { .. } | Self::Lengths(_) | Self::Damaged { .. } | Self::Codec { .. } => Fault::Unreadable,
            Self::TooLarge { .. } => Fault::TooLarge,
            Self::Unsupported { .. } => Fault::NotAcceptable,
            Self::Parameter { .. } => Fault::BadInput,
            Self::Map => Fault::Corrupt,
            Self::Source(_) => Fault::Unavailable,
            Self::Encode => Fault::Internal,
        }
    }
}
