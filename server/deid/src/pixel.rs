//! The seam for pixels: this package says which regions must not be seen, an implementor of [`PixelEditor`] hides them.
//!
//! Rules that name regions (device signatures, ultrasound regions, a text detector, a person) come with a later issue. What
//! is fixed here is the contract: outside the regions every sample stays bit for bit what it was.

use std::ops::RangeInclusive;

use dicom_object::InMemDicomObject;
use isocenter_model::TransferSyntaxUid;

use crate::Error;

/// The frames a region applies to, counted from 1 as in the standard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frames {
    /// Every frame.
    All,
    /// These.
    Some(RangeInclusive<u32>),
}

/// Who says that a region must be hidden.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegionSource {
    /// A signature of a device, by its line in the pixel script.
    Signature {
        /// The line.
        line: u32,
    },
    /// What lies outside the regions of (0018,6011).
    UltrasoundRegions,
    /// A text detector.
    Detector,
    /// A person.
    Person,
}

/// A rectangle of pixels that must not be seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Region {
    /// In which frames.
    pub frames: Frames,
    /// Left column, from 0.
    pub x: u32,
    /// Top row, from 0.
    pub y: u32,
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Who says so.
    pub source: RegionSource,
}

/// Hides regions of frames without changing anything else.
pub trait PixelEditor: Send + Sync {
    /// Returns whether frames of this object can be edited in this transfer syntax.
    fn can_edit(&self, header: &InMemDicomObject, transfer_syntax_uid: &TransferSyntaxUid) -> bool;

    /// Returns the frame with the regions hidden, in the same transfer syntax. `header` is the de-identified one.
    ///
    /// # Errors
    /// When the frame cannot be edited; then nothing of the object may go out.
    fn hide(
        &self,
        header: &InMemDicomObject,
        transfer_syntax_uid: &TransferSyntaxUid,
        frame: &[u8],
        regions: &[Region],
    ) -> Result<Vec<u8>, Error>;
}
