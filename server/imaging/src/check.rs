//! Whether the pixel data are those that the header describes: quality check Q102, before anything is decoded.

use isocenter_model::part10::{Layout, PixelData};

use crate::PixelFacts;

/// How pixel data contradict their header.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LengthMismatch {
    /// Fewer bytes than rows x columns x samples x bits x frames need.
    #[error("pixel data of {found} bytes where the header needs {expected}")]
    TooShort {
        /// Bytes needed.
        expected: u64,
        /// Bytes there.
        found: u64,
    },
    /// More bytes than that by a frame or more.
    #[error("pixel data of {found} bytes where the header needs only {expected}")]
    TooLong {
        /// Bytes needed.
        expected: u64,
        /// Bytes there.
        found: u64,
    },
    /// Fewer fragments than frames.
    #[error("{fragments} fragments for {frames} frames")]
    TooFewFragments {
        /// Number of Frames.
        frames: u64,
        /// Items of the pixel data.
        fragments: u64,
    },
    /// Fragments that cannot be told apart into as many frames as the header says.
    #[error("{found} frames begin in the fragments where the header has {frames}")]
    Frames {
        /// Number of Frames.
        frames: u64,
        /// Frames found.
        found: u64,
    },
    /// Native pixel data under a transfer syntax that encapsulates, or the other way round.
    #[error("pixel data are not encapsulated as the transfer syntax says")]
    Encapsulation,
}

/// Compares the pixel data of a layout with the facts of its header.
///
/// An object without pixel data has nothing that could contradict them.
///
/// # Errors
/// The first contradiction found.
pub fn check_lengths(facts: &PixelFacts, layout: &Layout) -> Result<(), LengthMismatch> {
    let native_syntax = layout.transfer_syntax_uid.is_native();
    match &layout.pixel_data {
        None => Ok(()),
        Some(PixelData::Native { .. }) if !native_syntax => Err(LengthMismatch::Encapsulation),
        Some(PixelData::Encapsulated { .. }) if native_syntax => Err(LengthMismatch::Encapsulation),
        Some(PixelData::Native { value_len, .. }) => {
            let (expected, found) = (facts.expected_len(), *value_len);
            if found < expected {
                return Err(LengthMismatch::TooShort { expected, found });
            }
            // padding by some buffer's size is common; a frame more is a frame that nobody would show
            if found - expected > expected % 2 && found - expected >= facts.frame_bits().div_ceil(8) {
                return Err(LengthMismatch::TooLong { expected, found });
            }
            Ok(())
        }
        Some(PixelData::Encapsulated { fragments, .. }) => {
            let stream = is_video(layout.transfer_syntax_uid.as_str());
            let frames = if stream { 1 } else { u64::from(facts.number_of_frames) };
            let fragments = fragments.len() as u64;
            if fragments < frames {
                return Err(LengthMismatch::TooFewFragments { frames, fragments });
            }
            Ok(())
        }
    }
}

/// MPEG-2, H.264 and HEVC, PS3.5 8.2.5 to 8.2.9: all frames are one stream.
pub(crate) fn is_video(uid: &str) -> bool {
    let last = uid
        .strip_prefix("1.2.840.10008.1.2.4.")
        .and_then(|rest| rest.split('.').next()?.parse::<u32>().ok());
    last.is_some_and(|n| (100..=108).contains(&n))
}
