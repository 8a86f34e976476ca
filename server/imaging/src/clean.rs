//! Cleaning the pixels of an object that was de-identified: look for text where its class shows some, hide what must not be
//! seen, take text out of the headers of compressed streams.
//!
//! `deid` says what must be hidden and what follows from what was found; here somebody looks, and edits. Every way out of
//! the house goes through [`clean_pixels`]: the archive's way in and the command that works on files.

use std::io::Write;
use std::time::Duration;

use isocenter_deid::{
    Deidentified, DeviceRegions, EditedPixels, FillStyle, Held, PixelEdit, PixelEditor, PixelObject, PixelPolicy,
    Profile, TextSearch, ctp, plan_pixels,
};

use isocenter_model::part10::{ByteSource, Layout};

use crate::redact::not_editable;
use crate::{Editor, Error, PixelFacts, Shapes, Tesseract, TextDetector, find_text};

/// What came of cleaning an object's pixels.
#[derive(Debug, Default)]
pub struct Cleaned {
    /// Why the object must not go out, if so; nothing else is said then but in the next two fields.
    pub held: Option<Held>,
    /// It is held because its pixels or their streams could not be cleaned: it must not go out whatever a person says.
    pub not_cleaned: bool,
    /// It is held because bytes could not be read or written: the object is not at fault, and may be tried again.
    pub failed: Option<std::io::ErrorKind>,
    /// The new pixel data element; `None` where the pixels stay as they are.
    pub edited: Option<EditedPixels>,
    /// What a person should look at before release.
    pub review: Vec<String>,
}

impl Cleaned {
    fn held(check: &'static str, reason: String) -> Self {
        Self {
            held: Some(Held { check, reason }),
            ..Self::default()
        }
    }

    fn failed(kind: std::io::ErrorKind) -> Self {
        Self {
            failed: Some(kind),
            ..Self::held("Q506", isocenter_deid::Error::Source(kind).to_string())
        }
    }
}

/// Cleans the pixels of an object: marks the new header and adds to its report. `signature` are the regions of the device
/// signature that matches the object, as in [`plan_pixels`]. The search for text ends after `limit`; what was not looked at
/// by then is said. New bytes go to `scratch`.
pub fn clean_pixels(
    object: PixelObject<'_>,
    profile: &Profile,
    signature: Option<DeviceRegions>,
    policy: PixelPolicy,
    limit: Duration,
    deidentified: &mut Deidentified,
    scratch: &mut dyn Write,
) -> Cleaned {
    let plan = plan_pixels(object.header, profile, signature.clone()).filter(|plan| plan.search);
    let facts = PixelFacts::from_header(object.header).ok().filter(|_| plan.is_some());
    let search = facts.map(|facts| search_pixels(&facts, object.layout, object.source, limit));
    match search.transpose() {
        Ok(search) => clean_searched_pixels(
            object,
            profile,
            signature,
            policy,
            search.flatten(),
            deidentified,
            scratch,
        ),
        Err(kind) => Cleaned::failed(kind),
    }
}

/// Cleans as [`clean_pixels`] does, with a search that was made before; `None` where the pixels were not looked at.
pub fn clean_searched_pixels(
    object: PixelObject<'_>,
    profile: &Profile,
    signature: Option<DeviceRegions>,
    policy: PixelPolicy,
    search: Option<TextSearch>,
    deidentified: &mut Deidentified,
    scratch: &mut dyn Write,
) -> Cleaned {
    if object.layout.pixel_data.is_none() {
        return Cleaned::default();
    }
    let as_ctp = profile.ctp().is_some_and(|script| script.mode() == ctp::Mode::Compat);
    // said before anything else: no look at it and no person's word makes these clean
    if !as_ctp && let Some(error) = not_editable(object.layout) {
        return Cleaned {
            not_cleaned: true,
            ..Cleaned::held("Q506", error.to_string())
        };
    }
    let plan = plan_pixels(object.header, profile, signature);
    let verdict = plan.map(|plan| (plan.clear_unused_bits, plan.judge(policy, search)));
    let (clear_unused_bits, verdict) = match verdict {
        Some((clear, verdict)) => (clear, Some(verdict)),
        None => (false, None),
    };
    if let Some(held) = verdict.as_ref().and_then(|verdict| verdict.held.as_ref()) {
        return Cleaned::held(held.check, held.reason.clone());
    }
    let mut cleaned = Cleaned::default();
    cleaned
        .review
        .extend(verdict.as_ref().and_then(|verdict| verdict.review).map(str::to_owned));
    let regions = verdict.as_ref().map_or(&[][..], |verdict| &verdict.regions);
    let edit = PixelEdit {
        regions,
        fill: if as_ctp { FillStyle::Ctp } else { FillStyle::Black },
        clear_unused_bits,
        clean_streams: !as_ctp,
    };
    let edited = match Editor.edit(object, &edit, scratch) {
        Ok(edited) => edited,
        Err(isocenter_deid::Error::Source(kind)) => return Cleaned::failed(kind),
        // what could not be looked through may hold a name, wherever it lies
        Err(error) => {
            return Cleaned {
                not_cleaned: true,
                ..Cleaned::held("Q506", error.to_string())
            };
        }
    };
    let mut report = verdict
        .as_ref()
        .map(|verdict| verdict.report.clone())
        .unwrap_or_default();
    let Some(pixels) = edited else {
        deidentified.report.pixels = verdict.is_some().then_some(report).filter(|r| !r.detectors.is_empty());
        return cleaned;
    };
    pixels.mark(&mut deidentified.data_set, verdict.is_some_and(|verdict| verdict.clean));
    report.cleaned_bytes = pixels.cleaned_bytes;
    report.cleared_unused_bits = pixels.cleared_frames > 0;
    if pixels.transfer_syntax_uid != object.layout.transfer_syntax_uid {
        report.stored_as = Some(pixels.transfer_syntax_uid.as_str().to_owned());
    }
    deidentified.report.pixels = Some(report);
    cleaned.edited = Some(pixels);
    cleaned
}

/// Looks for text with all detectors of this machine; `None` where the pixels cannot be looked at.
///
/// # Errors
/// The kind of the failure where bytes could not be read.
pub fn search_pixels(
    facts: &PixelFacts,
    layout: &Layout,
    source: &dyn ByteSource,
    limit: Duration,
) -> Result<Option<TextSearch>, std::io::ErrorKind> {
    let shapes = Shapes::default();
    let mut detectors: Vec<&dyn TextDetector> = vec![&shapes];
    detectors.extend(Tesseract::installed().map(|tesseract| tesseract as &dyn TextDetector));
    match find_text(facts, layout, source, &detectors, limit) {
        Ok(search) => Ok(Some(search)),
        Err(Error::Source(kind)) => Err(kind),
        Err(_) => Ok(None),
    }
}
