//! Objects that no rule makes safe, and what the pixels of the others may show.

use std::borrow::Cow;

use dicom_core::Tag;
use dicom_core::header::Header;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use isocenter_model::{SeriesInstanceUid, SopClassUid, SopInstanceUid, StudyInstanceUid};
use serde::{Deserialize, Serialize};

use crate::documents::{self, DocumentRule};
use crate::executor::Context;

/// Why an object may not go out as it is; a person has to look. Holds no patient data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("held by check {check}: {reason}")]
pub struct Held {
    /// Code of the check that holds it, `Q508` for documents and the like, `Q506` for pixels that may show text, `Q509` for those said to.
    pub check: &'static str,
    /// Why, for people.
    pub reason: String,
}

pub(crate) fn held(check: &'static str, reason: &'static str) -> Held {
    Held {
        check,
        reason: reason.to_owned(),
    }
}

/// A reason to look at the pixels before release. De-identification of the header does not answer it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PixelRisk {
    /// Ultrasound draws names and dates beside or into the image.
    Ultrasound,
    /// A screen was captured: dose reports, result pages, scanned paper.
    SecondaryCapture,
    /// Endoscopes, microscopes and cameras print a header into the picture.
    VisibleLight,
    /// Fluoroscopes and angiographs may do so.
    Fluoroscopy,
    /// Projection radiographs carry side markers, and names where films were labelled or printed.
    Projection,
    /// An overlay lies in unused bits of the pixels (60xx,0102), though its group is gone.
    EmbeddedOverlay,
    /// (0028,0301) is absent: nobody says whether text is burned in.
    BurnedInAnnotationUnknown,
}

impl PixelRisk {
    /// Returns whether a class is at risk of text, whatever else is known of the object.
    pub(crate) fn expects_text(self) -> bool {
        !matches!(self, Self::EmbeddedOverlay | Self::BurnedInAnnotationUnknown)
    }
}

/// Returns the text of an element at top level, trimmed; empty if there is none.
fn text(header: &InMemDicomObject, tag: Tag) -> Cow<'_, str> {
    match header.get(tag).and_then(|element| element.value().to_str().ok()) {
        Some(Cow::Borrowed(text)) => Cow::Borrowed(crate::pseudonym::trim(text)),
        Some(Cow::Owned(text)) => Cow::Owned(crate::pseudonym::trim(&text).to_owned()),
        None => Cow::Borrowed(""),
    }
}

/// Decides whether an object must be held.
pub(crate) fn check(header: &InMemDicomObject, cx: &Context<'_>, documents: DocumentRule) -> Result<(), Held> {
    let class = text(header, tags::SOP_CLASS_UID);
    let storage = class.strip_prefix("1.2.840.10008.5.1.4.1.1.").unwrap_or_default();
    let replaced = documents == DocumentRule::Blank && documents::blank(header).is_some();
    if !replaced && (storage.starts_with("104.") || is_filled(header, tags::ENCAPSULATED_DOCUMENT)) {
        return Err(held("Q508", "an encapsulated document cannot be cleaned by rule"));
    }
    if matches!(storage, "77.1.1.1" | "77.1.2.1" | "77.1.4.1") || is_video(cx) {
        return Err(held("Q508", "video cannot be cleaned by rule"));
    }
    if matches!(storage, "9.4.1" | "9.4.2") {
        return Err(held("Q508", "recorded sound can be a voice"));
    }
    // of a document that becomes an empty one nothing is left to show
    let judged = replaced || cx.pixels.is_some_and(|pixels| pixels.judged);
    if !judged && says_burned_in(header) {
        return Err(held("Q509", "(0028,0301) says that text is burned into the pixels"));
    }
    // The label of a glass slide carries the patient's name; the overview shows the label (deid reference, section 13).
    let kind = text(header, tags::IMAGE_TYPE);
    let mut parts = kind.split('\\').map(str::trim);
    if storage.starts_with("77.1.6") && parts.any(|part| part == "LABEL" || part == "OVERVIEW") {
        return Err(held("Q509", "label and overview images of slides show the label"));
    }
    Ok(())
}

/// Decides whether what a script wrote still says which object it is and how its pixels are read. A script of a site may take
/// anything out; what then is no object any more must not look like one that nobody sent. What was missing before is not its
/// doing, and left to others.
pub(crate) fn check_written(before: &InMemDicomObject, after: &InMemDicomObject, has_pixels: bool) -> Result<(), Held> {
    type IsUid = fn(&str) -> bool;
    let refused = |check, tag: Tag, name: &str, fault: &str| {
        let reason = format!("{tag} {name}: {fault} after the script");
        Err(Held { check, reason })
    };
    let uids: [(Tag, &str, IsUid); 4] = [
        (tags::SOP_CLASS_UID, "SOPClassUID", |uid| {
            SopClassUid::parse(uid).is_ok()
        }),
        (tags::SOP_INSTANCE_UID, "SOPInstanceUID", |uid| {
            SopInstanceUid::parse(uid).is_ok()
        }),
        (tags::STUDY_INSTANCE_UID, "StudyInstanceUID", |uid| {
            StudyInstanceUid::parse(uid).is_ok()
        }),
        (tags::SERIES_INSTANCE_UID, "SeriesInstanceUID", |uid| {
            SeriesInstanceUid::parse(uid).is_ok()
        }),
    ];
    for (tag, name, valid) in uids {
        let (was, is) = (text(before, tag), text(after, tag));
        match &*is {
            _ if was.is_empty() => {}
            "" => return refused("Q105", tag, name, "missing or empty"),
            uid if !valid(uid) => return refused("Q105", tag, name, "no UID"),
            uid if tag == tags::SOP_CLASS_UID && uid != &*was => {
                return refused("Q105", tag, name, "another class");
            }
            _ => {}
        }
    }
    let filled = |header, tag| !text(header, tag).is_empty();
    if filled(before, tags::MODALITY) && !filled(after, tags::MODALITY) {
        return refused("Q404", tags::MODALITY, "Modality", "missing or empty, Type 1,");
    }
    if !has_pixels {
        return Ok(());
    }
    for (tag, name) in PIXEL_DESCRIPTION {
        if text(before, tag) != text(after, tag) {
            return refused("Q404", tag, name, "not what the pixels are");
        }
    }
    for (tag, name) in PALETTES {
        if before.get(tag).is_some() && after.get(tag).is_none() {
            return refused("Q404", tag, name, "missing, which the pixels need,");
        }
    }
    Ok(())
}

/// What the bytes of pixels are read by, PS3.3 C.7.6.3 and C.7.6.6.
const PIXEL_DESCRIPTION: [(Tag, &str); 10] = [
    (tags::SAMPLES_PER_PIXEL, "SamplesPerPixel"),
    (tags::PHOTOMETRIC_INTERPRETATION, "PhotometricInterpretation"),
    (tags::PLANAR_CONFIGURATION, "PlanarConfiguration"),
    (tags::NUMBER_OF_FRAMES, "NumberOfFrames"),
    (tags::ROWS, "Rows"),
    (tags::COLUMNS, "Columns"),
    (tags::BITS_ALLOCATED, "BitsAllocated"),
    (tags::BITS_STORED, "BitsStored"),
    (tags::HIGH_BIT, "HighBit"),
    (tags::PIXEL_REPRESENTATION, "PixelRepresentation"),
];

/// The colours of PALETTE COLOR, PS3.3 C.7.9.
const PALETTES: [(Tag, &str); 9] = [
    (Tag(0x0028, 0x1101), "RedPaletteColorLookupTableDescriptor"),
    (Tag(0x0028, 0x1102), "GreenPaletteColorLookupTableDescriptor"),
    (Tag(0x0028, 0x1103), "BluePaletteColorLookupTableDescriptor"),
    (Tag(0x0028, 0x1201), "RedPaletteColorLookupTableData"),
    (Tag(0x0028, 0x1202), "GreenPaletteColorLookupTableData"),
    (Tag(0x0028, 0x1203), "BluePaletteColorLookupTableData"),
    (Tag(0x0028, 0x1221), "SegmentedRedPaletteColorLookupTableData"),
    (Tag(0x0028, 0x1222), "SegmentedGreenPaletteColorLookupTableData"),
    (Tag(0x0028, 0x1223), "SegmentedBluePaletteColorLookupTableData"),
];

/// Returns whether (0028,0301) says that text is burned in.
pub(crate) fn says_burned_in(header: &InMemDicomObject) -> bool {
    text(header, tags::BURNED_IN_ANNOTATION).eq_ignore_ascii_case("YES")
}

fn is_filled(header: &InMemDicomObject, tag: Tag) -> bool {
    header
        .get(tag)
        .and_then(|element| element.value().primitive())
        .is_some_and(|value| value.calculate_byte_len() > 0)
}

/// MPEG-2, MPEG-4, HEVC and their fragmentable forms, PS3.5 A.4.5 to A.4.9.
fn is_video(cx: &Context<'_>) -> bool {
    let syntax = cx.pixels.map_or("", |pixels| pixels.transfer_syntax_uid);
    let number = syntax.strip_prefix("1.2.840.10008.1.2.4.").unwrap_or_default();
    let number = number.split('.').next().unwrap_or_default();
    matches!(
        number,
        "100" | "101" | "102" | "103" | "104" | "105" | "106" | "107" | "108"
    )
}

/// Returns what the pixels may show. Nothing is held for it here: checks with pixels decide (Q506, Q509).
pub(crate) fn pixel_risks(header: &InMemDicomObject) -> Vec<PixelRisk> {
    let class = text(header, tags::SOP_CLASS_UID);
    let storage = class.strip_prefix("1.2.840.10008.5.1.4.1.1.").unwrap_or_default();
    let modality = text(header, tags::MODALITY);
    let kind = text(header, tags::IMAGE_TYPE);
    let mut risks = Vec::new();
    if header.get(tags::ROWS).is_none() {
        return risks;
    }
    let starts = |prefixes: &[&str]| {
        prefixes
            .iter()
            .any(|prefix| storage == *prefix || storage.starts_with(&format!("{prefix}.")))
    };
    if starts(&["3", "3.1", "6", "6.1", "6.2"]) || matches!(&*modality, "US" | "IVUS" | "BDUS") {
        risks.push(PixelRisk::Ultrasound);
    }
    if starts(&["7"])
        || kind.contains("SECONDARY")
        || kind.contains("SCREEN")
        || matches!(&*modality, "OT" | "SC" | "DOC")
    {
        risks.push(PixelRisk::SecondaryCapture);
    }
    // tiles of glass slides show tissue; the images of a slide that show its label are held
    let tiles = storage == "77.1.6";
    if starts(&["77.1"]) && !tiles || matches!(&*modality, "ES" | "GM" | "XC" | "OP") {
        risks.push(PixelRisk::VisibleLight);
    }
    if starts(&["12.1", "12.2"]) || matches!(&*modality, "XA" | "RF") {
        risks.push(PixelRisk::Fluoroscopy);
    }
    // computed and digital radiography, mammography, intra-oral; tomosynthesis is a volume
    if starts(&["1"]) || matches!(&*modality, "CR" | "DX" | "MG" | "IO" | "PX" | "RG") {
        risks.push(PixelRisk::Projection);
    }
    let embedded = header.iter().any(|element| {
        let Tag(group, number) = element.tag();
        let bit = || element.value().to_int::<i64>().is_ok_and(|bit| bit != 0);
        group & 0xFF00 == 0x6000 && number == 0x0102 && bit()
    });
    if embedded {
        risks.push(PixelRisk::EmbeddedOverlay);
    }
    if text(header, tags::BURNED_IN_ANNOTATION).is_empty() {
        risks.push(PixelRisk::BurnedInAnnotationUnknown);
    }
    risks
}
