//! One object: read, de-identified, its pixels cleaned, laid out as a new file.
//!
//! ```text
//! bytes -> layout (length guard) -> header -> de-identify -> clean pixels -> our file meta | new header | pixel bytes
//! ```
//!
//! The same functions as on the archive's way in, without its checks of quality: those are for whoever takes the files.
//! Only the header is in memory; pixel bytes are passed on from the source.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use isocenter_deid::ctp::{Mode, Object, elements_of_meta};
use isocenter_deid::{
    Context, DeviceRegions, EditedPixels, Held, Part, PixelFacts, PixelObject, PixelPolicy, Pseudonyms, Report,
    WhenFound, WhenUnanswered, deidentify, signature_regions,
};
use isocenter_imaging::clean_pixels;
use isocenter_model::part10::{self, ByteSource, Layout, Limits, NewFileMeta, Part10Form, PixelData, WrittenHeader};
use isocenter_model::uid::transfer_syntax;
use isocenter_model::{SeriesInstanceUid, SopClassUid, SopInstanceUid, StudyInstanceUid, TransferSyntaxUid};

use super::files::Scratch;
use super::rules::Loaded;

/// How long an object may be searched for text. Long, since nobody waits on a line: a run must not depend on how busy the
/// machine is.
const SEARCH: Duration = Duration::from_secs(120);
/// Bytes that are passed on at once.
const CHUNK: usize = 1 << 20;

/// An object that was read, without its pixel bytes.
pub(crate) struct Read {
    /// The bytes, inflated where they were deflated.
    inflated: Option<Vec<u8>>,
    pub(crate) layout: Layout,
    pub(crate) header: InMemDicomObject,
    meta: InMemDicomObject,
}

/// Why a file gave no object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NotRead {
    /// It is something else.
    NotDicom,
    /// A DICOMDIR: a directory of the originals, which goes nowhere.
    Directory,
    /// It is DICOM, and broken.
    Broken(String),
}

impl Read {
    /// Reads everything but the pixel data.
    pub(crate) fn new(source: &dyn ByteSource) -> Result<Self, NotRead> {
        let limits = Limits::default();
        let broken = |error: part10::Error| match error {
            part10::Error::NotDicom => NotRead::NotDicom,
            _ if !says_dicom(source) => NotRead::NotDicom,
            error => NotRead::Broken(error.to_string()),
        };
        let mut layout = part10::layout_part10(source, &limits).map_err(broken)?;
        if layout.is_media_directory() {
            return Err(NotRead::Directory);
        }
        let mut inflated = None;
        if layout.transfer_syntax_uid.is_deflated() {
            let plain = part10::inflate(source, &layout, &limits).map_err(broken)?;
            let explicit = TransferSyntaxUid::parse(transfer_syntax::EXPLICIT_VR_LITTLE_ENDIAN)
                .map_err(|error| NotRead::Broken(error.to_string()))?;
            let mut flat = part10::layout_data_set(&plain, &explicit, &limits).map_err(broken)?;
            (flat.meta, flat.form) = (layout.meta, layout.form);
            layout = flat;
            inflated = Some(plain);
        }
        let from: &dyn ByteSource = inflated.as_ref().map_or(source, |bytes| bytes);
        let header = part10::read_header(from, &layout, &limits).map_err(broken)?;
        // without a word of DICOM's own, only what names its class was not read by chance
        if layout.form == Part10Form::NoMeta && SopClassUid::parse(&text(&header, tags::SOP_CLASS_UID)).is_err() {
            return Err(NotRead::NotDicom);
        }
        let meta = elements_of_meta(&layout);
        Ok(Self {
            inflated,
            layout,
            header,
            meta,
        })
    }

    /// Returns the bytes that the layout speaks of.
    pub(crate) fn source<'a>(&'a self, source: &'a dyn ByteSource) -> &'a dyn ByteSource {
        self.inflated.as_ref().map_or(source, |bytes| bytes)
    }

    /// Returns the object as scripts see it.
    pub(crate) fn as_scripts_see_it<'a>(&'a self, issuer: &'a str) -> Object<'a> {
        Object {
            data_set: &self.header,
            meta: Some(&self.meta),
            has_pixel_data: self.layout.pixel_data.is_some(),
            issuer,
        }
    }
}

/// Whether a file begins as PS3.10 says, with or without the preamble.
fn says_dicom(source: &dyn ByteSource) -> bool {
    let at = |offset: u64, expected: &[u8]| {
        let mut bytes = vec![0; expected.len()];
        source.read_at(offset, &mut bytes).is_ok() && bytes == expected
    };
    at(128, b"DICM") || at(0, b"DICM") || at(0, &[2, 0, 0, 0])
}

/// Returns the text of an element at top level, trimmed; empty if there is none.
pub(crate) fn text(header: &InMemDicomObject, tag: Tag) -> String {
    let text = header.get(tag).and_then(|element| element.value().to_str().ok());
    text.map(|text| text.trim_matches([' ', '\0']).to_owned())
        .unwrap_or_default()
}

/// How objects are de-identified.
pub(crate) struct Deidentifier {
    pub(crate) rules: Loaded,
    pub(crate) pseudonyms: Pseudonyms,
    pub(crate) issuer: String,
    /// What becomes of an object of a class that shows text for which no device rule speaks.
    pub(crate) unanswered: WhenUnanswered,
}

/// An object without the patient, ready to be written.
pub(crate) struct Ready {
    /// Its name below the output folder; says nothing that the object does not say.
    pub(crate) name: PathBuf,
    pub(crate) sop_instance_uid: String,
    pub(crate) report: Report,
    /// What a person should look at.
    pub(crate) review: Vec<String>,
    head: Vec<u8>,
    pixels: Vec<Part>,
    after: Vec<u8>,
}

impl Deidentifier {
    /// De-identifies an object. New pixel bytes go to `scratch`.
    pub(crate) fn clean(&self, read: &Read, source: &dyn ByteSource, scratch: &mut Scratch) -> Result<Ready, Held> {
        let (layout, header) = (&read.layout, &read.header);
        whole(layout)?;
        let pixels = layout.pixel_data.is_some().then_some(PixelFacts {
            transfer_syntax_uid: layout.transfer_syntax_uid.as_str(),
            judged: true,
        });
        let context = Context {
            issuer: &self.issuer,
            pixels,
        };
        let profile = &self.rules.profile;
        let mut done = deidentify(header, profile, &self.pseudonyms, &context)?;
        let object = PixelObject {
            header,
            layout,
            source: read.source(source),
        };
        let policy = PixelPolicy {
            found: WhenFound::Mask,
            unanswered: self.unanswered,
        };
        let signature = self.signature(read);
        let cleaned = clean_pixels(object, profile, signature, policy, SEARCH, &mut done, scratch);
        if let Some(held) = cleaned.held {
            return Err(held);
        }
        let uids = self.uids(&done.data_set)?;
        let edited = cleaned.edited;
        let syntax = edited
            .as_ref()
            .map_or(&layout.transfer_syntax_uid, |edited| &edited.transfer_syntax_uid);
        let WrittenHeader { before, after } =
            part10::write_header(&done.data_set, syntax).map_err(|error| held("Q106", error.to_string()))?;
        let mut head = part10::write_file_meta(&NewFileMeta {
            sop_class_uid: &uids.class,
            sop_instance_uid: &uids.instance,
            transfer_syntax_uid: syntax,
            source_ae_title: None,
        });
        head.extend_from_slice(&before);
        Ok(Ready {
            name: uids.name,
            sop_instance_uid: uids.instance,
            report: done.report,
            review: cleaned.review,
            head,
            pixels: pixel_parts(layout, edited),
            after,
        })
    }

    /// Returns the regions of the first device signature that holds for the object.
    fn signature(&self, read: &Read) -> Option<DeviceRegions> {
        let script = self.rules.pixel_script.as_ref()?;
        // the mode is that of a script of rules; without one nothing is to be as in CTP
        let mode = self.rules.profile.ctp().map_or(Mode::Strict, |script| script.mode());
        signature_regions(script, &read.as_scripts_see_it(&self.issuer), mode)
    }

    fn uids(&self, header: &InMemDicomObject) -> Result<NewUids, Held> {
        let compat = self.rules.mode == Mode::Compat && self.rules.profile.ctp().is_some();
        let of = |tag| text(header, tag);
        let (class, instance) = (of(tags::SOP_CLASS_UID), of(tags::SOP_INSTANCE_UID));
        if !compat && (SopClassUid::parse(&class).is_err() || SopInstanceUid::parse(&instance).is_err()) {
            return Err(held("Q105", "no usable SOP Class UID or SOP Instance UID".to_owned()));
        }
        // what is no UID is no name of a file either
        let safe = |valid: bool, uid: &str| match valid {
            true => uid.to_owned(),
            false => {
                let digest = self.pseudonyms.digest("name of a file", &[uid.as_bytes()]);
                hex::encode(digest).chars().take(32).collect()
            }
        };
        let (study, series) = (of(tags::STUDY_INSTANCE_UID), of(tags::SERIES_INSTANCE_UID));
        let mut name = PathBuf::from(safe(StudyInstanceUid::parse(&study).is_ok(), &study));
        name.push(safe(SeriesInstanceUid::parse(&series).is_ok(), &series));
        let file = safe(SopInstanceUid::parse(&instance).is_ok(), &instance);
        name.push(format!("{file}.dcm"));
        Ok(NewUids { class, instance, name })
    }
}

struct NewUids {
    class: String,
    instance: String,
    name: PathBuf,
}

fn held(check: &'static str, reason: String) -> Held {
    Held { check, reason }
}

/// Holds what cannot be passed on byte by byte.
fn whole(layout: &Layout) -> Result<(), Held> {
    if layout.mislabelled && layout.pixel_data.is_some() {
        return Err(held(
            "Q106",
            "data set is not written in its transfer syntax".to_owned(),
        ));
    }
    match layout.pixel_data {
        Some(PixelData::Encapsulated { unterminated: true, .. }) => Err(held(
            "Q102",
            "pixel data ends without its sequence delimiter".to_owned(),
        )),
        _ => Ok(()),
    }
}

/// Returns the pixel data element, piece by piece.
fn pixel_parts(layout: &Layout, edited: Option<EditedPixels>) -> Vec<Part> {
    match (edited, &layout.pixel_data) {
        (Some(edited), _) => edited.parts,
        (None, Some(pixels)) => vec![Part::Source(pixels.element_offset()..pixels.end_offset())],
        (None, None) => Vec::new(),
    }
}

impl Ready {
    /// Writes the file; `source` and `scratch` are those that it was made with.
    pub(crate) fn write(&self, out: &mut dyn Write, source: &dyn ByteSource, scratch: &Scratch) -> io::Result<()> {
        out.write_all(&self.head)?;
        let mut buffer = Vec::new();
        for part in &self.pixels {
            match part {
                Part::Bytes(bytes) => out.write_all(bytes)?,
                Part::Source(range) => copy(range.clone(), &mut buffer, out, |at, buf| source.read_at(at, buf))?,
                Part::Scratch(range) => copy(range.clone(), &mut buffer, out, |at, buf| scratch.read_at(at, buf))?,
            }
        }
        out.write_all(&self.after)
    }

    /// Returns how many bytes the file has.
    pub(crate) fn len(&self) -> u64 {
        (self.head.len() + self.after.len()) as u64 + self.pixels.iter().map(Part::len).sum::<u64>()
    }
}

fn copy(
    range: std::ops::Range<u64>,
    buffer: &mut Vec<u8>,
    out: &mut dyn Write,
    read: impl Fn(u64, &mut [u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut at = range.start;
    while at < range.end {
        let len = usize::try_from(range.end - at).unwrap_or(CHUNK).min(CHUNK);
        buffer.resize(len, 0);
        read(at, buffer)?;
        out.write_all(buffer)?;
        at += len as u64;
    }
    Ok(())
}
