//! The seam for pixels: this package says what must not be seen, an implementor of [`PixelEditor`] hides it.
//!
//! What is fixed here is the contract. Outside the regions every sample stays what it was, bit for bit where the coding is
//! lossless, coefficient for coefficient where it is blocks of a cosine transformation. What cannot be edited is an error,
//! never a copy: a caller that gets one must keep the object in. And because objects are larger than memory, an edit is a
//! list of pieces: ranges of what was received, ranges of what the editor wrote to a scratch file, and a few own bytes.
//!
//! Who decides: device signatures in the language of CTP's pixel script, the regions that an ultrasound machine declares,
//! a text detector, a person. See `policy` for what follows from each.

use std::io::Write;
use std::ops::{Range, RangeInclusive};

use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, Length, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use isocenter_model::TransferSyntaxUid;
use isocenter_model::part10::{ByteSource, Layout, PixelData};
use serde::{Deserialize, Serialize};

use crate::Error;

/// The frames a region applies to, counted from 1 as in the standard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Frames {
    /// Every frame.
    All,
    /// These.
    Some(RangeInclusive<u32>),
}

impl Frames {
    /// Returns whether a frame, counted from 1, is one of these.
    pub fn contains(&self, frame: u32) -> bool {
        match self {
            Self::All => true,
            Self::Some(range) => range.contains(&frame),
        }
    }
}

/// Who says that a region must be hidden.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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

/// What hidden pixels look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FillStyle {
    /// Black, or the pixel padding value where one is declared.
    #[default]
    Black,
    /// What CTP writes.
    Ctp,
}

/// What to do to the pixels of an object.
#[derive(Debug, Clone, Copy, Default)]
pub struct PixelEdit<'a> {
    /// What must not be seen.
    pub regions: &'a [Region],
    /// What it shall look like.
    pub fill: FillStyle,
    /// Clear bits that hold no sample: old overlays lie there. Done in any case to what is rewritten.
    pub clear_unused_bits: bool,
    /// Take text out of the headers of compressed streams, and clear what follows the last sample.
    pub clean_streams: bool,
}

/// An object whose pixels are edited.
#[derive(Clone, Copy)]
pub struct PixelObject<'a> {
    /// Its header as received.
    pub header: &'a InMemDicomObject,
    /// Where everything lies.
    pub layout: &'a Layout,
    /// Its bytes.
    pub source: &'a dyn ByteSource,
}

/// A piece of an edited pixel data element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// A range of the object as received.
    Source(Range<u64>),
    /// A range of what was written to the scratch file by this edit, from its first byte.
    Scratch(Range<u64>),
    /// Own bytes.
    Bytes(Vec<u8>),
}

impl Part {
    /// Returns how many bytes it is.
    pub fn len(&self) -> u64 {
        match self {
            Self::Source(range) | Self::Scratch(range) => range.end.saturating_sub(range.start),
            Self::Bytes(bytes) => bytes.len() as u64,
        }
    }

    /// Returns whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Edited pixel data: a whole element, from its tag to its last byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EditedPixels {
    /// The transfer syntax that the pixel data, and so the whole object, must be written in now.
    pub transfer_syntax_uid: TransferSyntaxUid,
    /// The element, piece by piece.
    pub parts: Vec<Part>,
    /// Where everything lies in it; offsets count from its first byte.
    pub pixel_data: PixelData,
    /// Photometric Interpretation and Planar Configuration where these changed.
    pub colour: Option<(&'static str, u16)>,
    /// Extended offset table (7FE0,0001) and lengths (7FE0,0002), where the basic table could not hold the offsets.
    pub extended_offsets: Option<(Vec<u64>, Vec<u64>)>,
    /// Frames in which something was hidden.
    pub hidden_frames: u32,
    /// Bytes of text and the like that were taken out of stream headers and from behind streams.
    pub cleaned_bytes: u64,
    /// Frames whose unused bits were not empty.
    pub cleared_frames: u32,
}

impl EditedPixels {
    /// Returns how many bytes the element is.
    pub fn len(&self) -> u64 {
        self.parts.iter().map(Part::len).sum()
    }

    /// Returns whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Changes what a header says of these pixels. `cleaned` is whether everything that was to be hidden is: then, and only
    /// if something was, Burned In Annotation is NO and code 113101 is added (PS3.15 E.3.1).
    pub fn mark(&self, header: &mut InMemDicomObject, cleaned: bool) {
        let mut text = |tag, vr, text: &str| header.put(DataElement::new(tag, vr, PrimitiveValue::from(text)));
        if let Some((photometric, planar)) = self.colour {
            text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, photometric);
            if header.get(tags::PLANAR_CONFIGURATION).is_some() {
                header.put(DataElement::new(
                    tags::PLANAR_CONFIGURATION,
                    VR::US,
                    PrimitiveValue::from(planar),
                ));
            }
        }
        for tag in [EXTENDED_OFFSET_TABLE, EXTENDED_OFFSET_TABLE_LENGTHS] {
            header.remove_element(tag);
        }
        if let Some((offsets, lengths)) = &self.extended_offsets {
            for (tag, values) in [
                (EXTENDED_OFFSET_TABLE, offsets),
                (EXTENDED_OFFSET_TABLE_LENGTHS, lengths),
            ] {
                let values = PrimitiveValue::U64(values.iter().copied().collect());
                header.put(DataElement::new(tag, VR::OV, values));
            }
        }
        if self.hidden_frames == 0 {
            return;
        }
        // they tell of samples that are no more
        for tag in [
            tags::SMALLEST_IMAGE_PIXEL_VALUE,
            tags::LARGEST_IMAGE_PIXEL_VALUE,
            tags::ICON_IMAGE_SEQUENCE,
        ] {
            header.remove_element(tag);
        }
        if cleaned {
            mark_clean(header);
        }
    }
}

const EXTENDED_OFFSET_TABLE: Tag = Tag(0x7FE0, 0x0001);
const EXTENDED_OFFSET_TABLE_LENGTHS: Tag = Tag(0x7FE0, 0x0002);

/// Clean Pixel Data Option, CID 7050.
const CLEAN_PIXEL_DATA: (&str, &str) = ("113101", "Clean Pixel Data Option");

/// Marks a header whose pixels were cleaned, or were seen to be clean by somebody who may say so.
pub fn mark_clean(header: &mut InMemDicomObject) {
    let text = |tag, vr, text: &str| DataElement::new(tag, vr, PrimitiveValue::from(text));
    header.put(text(tags::BURNED_IN_ANNOTATION, VR::CS, "NO"));
    let mut items: Vec<InMemDicomObject> = header
        .get(tags::DEIDENTIFICATION_METHOD_CODE_SEQUENCE)
        .and_then(|element| element.items())
        .unwrap_or_default()
        .to_vec();
    let code = |item: &InMemDicomObject| {
        let value = item.get(tags::CODE_VALUE).and_then(|element| element.to_str().ok());
        value.map(|value| value.trim().to_owned()).unwrap_or_default()
    };
    if items.iter().any(|item| code(item) == CLEAN_PIXEL_DATA.0) {
        return;
    }
    let (value, meaning) = CLEAN_PIXEL_DATA;
    items.push(InMemDicomObject::from_element_iter([
        text(tags::CODE_VALUE, VR::SH, value),
        text(tags::CODING_SCHEME_DESIGNATOR, VR::SH, "DCM"),
        text(tags::CODE_MEANING, VR::LO, meaning),
    ]));
    items.sort_by_key(code);
    header.put(DataElement::new(
        tags::DEIDENTIFICATION_METHOD_CODE_SEQUENCE,
        VR::SQ,
        DataSetSequence::new(items, Length::UNDEFINED),
    ));
}

/// Hides regions of frames without changing anything else.
pub trait PixelEditor: Send + Sync {
    /// Returns whether frames of this transfer syntax can be edited at all.
    fn can_edit(&self, transfer_syntax_uid: &TransferSyntaxUid) -> bool;

    /// Edits the pixels of an object; `None` where nothing has to change. Frames are taken one after the other, so memory
    /// holds one of them; what is new is written to `scratch`.
    ///
    /// # Errors
    /// When the pixels cannot be edited; then nothing of the object may go out.
    fn edit(
        &self,
        object: PixelObject<'_>,
        edit: &PixelEdit<'_>,
        scratch: &mut dyn Write,
    ) -> Result<Option<EditedPixels>, Error>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cleaned_pixels_are_marked_once() {
        let mut header = InMemDicomObject::new_empty();
        mark_clean(&mut header);
        mark_clean(&mut header);
        let items = header.get(tags::DEIDENTIFICATION_METHOD_CODE_SEQUENCE).unwrap();
        assert_eq!(items.items().unwrap().len(), 1);
        assert_eq!(header.get(tags::BURNED_IN_ANNOTATION).unwrap().to_str().unwrap(), "NO");
    }
}
