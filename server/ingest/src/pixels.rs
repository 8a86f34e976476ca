//! Pixels on the way in: look for text where the class of an object expects it, hide what must not be seen, take text out of
//! the headers of compressed streams (check Q506).
//!
//! `deid` says what must be hidden and what follows from what was found, `imaging` looks and edits. Here the two meet, and
//! what was edited becomes pieces of the stored file: most of them are ranges of what was received. New bytes are kept in
//! memory up to a limit, beyond it in a sealed temporary file.
//!
//! Nobody has looked at an object of a class at risk when it comes in. Where a person releases a collection that is only
//! said; where it releases itself, the object is held (server/decisions/0004).

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use isocenter_deid::{
    Deidentified, EditedPixels, Part, PixelEdit, PixelEditor, PixelObject, PixelPolicy, WhenFound, WhenUnanswered,
    plan_pixels,
};
use isocenter_imaging::{Editor, PixelFacts, Shapes, Tesseract, TextDetector, find_text};
use isocenter_model::part10::{ByteSource, Layout};
use isocenter_schema::record::ReleaseRule;
use isocenter_storage::{Piece, Spill};

use crate::destination::Destination;
use crate::qc::{Finding, Severity};
use crate::stage::Staged;
use dicom_object::InMemDicomObject;

/// How long an object may be searched for text. What was not looked at by then is said.
const SEARCH: Duration = Duration::from_secs(5);
/// New bytes beyond this go to a sealed temporary file.
const IN_MEMORY: usize = 16 << 20;

/// An object as received.
pub(crate) struct Received<'a> {
    pub(crate) header: &'a InMemDicomObject,
    pub(crate) layout: &'a Layout,
    pub(crate) staged: &'a Staged,
}

/// Pixels that were edited, and where their new bytes are.
pub(crate) struct Edited {
    pub(crate) pixels: EditedPixels,
    new: Bytes,
    spilled: Option<Arc<dyn ByteSource>>,
}

impl Edited {
    /// Returns the pieces of the element; `received` makes one of a range of what was received.
    pub(crate) fn pieces(&self, received: impl Fn(u64, u64) -> Piece) -> Vec<Piece> {
        let piece = |part: &Part| match part {
            Part::Bytes(bytes) => Piece::Bytes(Bytes::from(bytes.clone())),
            Part::Source(range) => received(range.start, range.end),
            Part::Scratch(range) => match &self.spilled {
                Some(source) => Piece::Spilled(Arc::clone(source), range.clone()),
                None => {
                    let range = usize::try_from(range.start).ok().zip(usize::try_from(range.end).ok());
                    let range = range.filter(|(from, to)| from <= to && *to <= self.new.len());
                    Piece::Bytes(range.map_or_else(Bytes::new, |(from, to)| self.new.slice(from..to)))
                }
            },
        };
        self.pixels.parts.iter().map(piece).collect()
    }
}

/// Cleans the pixels of an object that was de-identified: marks its header, adds to its report. `None` where the pixels
/// stay as they are. A finding that holds the object is among the findings.
pub(crate) fn clean(
    received: &Received<'_>,
    destination: &Destination,
    deidentified: &mut Deidentified,
    findings: &mut Vec<Finding>,
) -> Result<Option<Edited>, String> {
    if received.layout.pixel_data.is_none() {
        return Ok(None);
    }
    let source = &**received.staged.source();
    let policy = PixelPolicy {
        found: WhenFound::Mask,
        unanswered: match destination.release {
            ReleaseRule::Manual => WhenUnanswered::Review,
            ReleaseRule::Automatic => WhenUnanswered::Hold,
        },
    };
    let verdict = plan_pixels(received.header, &destination.profile, None).map(|plan| {
        let search = plan.search.then(|| search(received, source)).flatten();
        (plan.clear_unused_bits, plan.judge(policy, search))
    });
    let (clear_unused_bits, verdict) = match verdict {
        Some((clear, verdict)) => (clear, Some(verdict)),
        None => (false, None),
    };
    if let Some(held) = verdict.as_ref().and_then(|verdict| verdict.held.as_ref()) {
        findings.push(Finding::new(held.check, Severity::Hold, held.reason.clone()));
        return Ok(None);
    }
    if let Some(review) = verdict.as_ref().and_then(|verdict| verdict.review) {
        findings.push(Finding::new("Q506", Severity::Warn, review));
    }
    let regions = verdict.as_ref().map_or(&[][..], |verdict| &verdict.regions);
    let edit = PixelEdit {
        regions,
        clear_unused_bits,
        clean_streams: true,
        ..PixelEdit::default()
    };
    let object = PixelObject {
        header: received.header,
        layout: received.layout,
        source,
    };
    let mut scratch = Scratch {
        memory: Vec::new(),
        spill: None,
        staged: received.staged,
    };
    let edited = match Editor.edit(object, &edit, &mut scratch) {
        Ok(edited) => edited,
        Err(error) => {
            // text in a stream's header stays where the stream cannot be read; in pixels nothing may stay
            let severity = if regions.is_empty() && !clear_unused_bits {
                Severity::Warn
            } else {
                Severity::Hold
            };
            findings.push(Finding::new("Q506", severity, error.to_string()));
            None
        }
    };
    let mut report = verdict
        .as_ref()
        .map(|verdict| verdict.report.clone())
        .unwrap_or_default();
    let Some(pixels) = edited else {
        deidentified.report.pixels = verdict.is_some().then_some(report).filter(|r| !r.detectors.is_empty());
        return Ok(None);
    };
    pixels.mark(&mut deidentified.data_set, verdict.is_some_and(|verdict| verdict.clean));
    report.cleaned_bytes = pixels.cleaned_bytes;
    report.cleared_unused_bits = pixels.cleared_frames > 0;
    if pixels.transfer_syntax_uid != received.layout.transfer_syntax_uid {
        report.stored_as = Some(pixels.transfer_syntax_uid.as_str().to_owned());
    }
    deidentified.report.pixels = Some(report);
    let (new, spilled) = scratch.finish()?;
    Ok(Some(Edited { pixels, new, spilled }))
}

/// Looks for text with all detectors of this machine; `None` where the pixels cannot be looked at.
fn search(received: &Received<'_>, source: &dyn ByteSource) -> Option<isocenter_deid::TextSearch> {
    let facts = PixelFacts::from_header(received.header).ok()?;
    let shapes = Shapes::default();
    let mut detectors: Vec<&dyn TextDetector> = vec![&shapes];
    detectors.extend(Tesseract::installed().map(|tesseract| tesseract as &dyn TextDetector));
    find_text(&facts, received.layout, source, &detectors, SEARCH).ok()
}

/// Where new bytes wait until they are committed.
struct Scratch<'a> {
    memory: Vec<u8>,
    spill: Option<Spill>,
    staged: &'a Staged,
}

impl Scratch<'_> {
    fn finish(self) -> Result<(Bytes, Option<Arc<dyn ByteSource>>), String> {
        let spilled = self
            .spill
            .map(Spill::freeze)
            .transpose()
            .map_err(|error| error.to_string())?;
        Ok((Bytes::from(self.memory), spilled))
    }
}

impl Write for Scratch<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.spill.is_none() && self.memory.len() + bytes.len() > IN_MEMORY {
            let mut spill = self.staged.scratch().map_err(std::io::Error::other)?;
            spill
                .append(&std::mem::take(&mut self.memory))
                .map_err(std::io::Error::other)?;
            self.spill = Some(spill);
        }
        match &mut self.spill {
            Some(spill) => spill.append(bytes).map_err(std::io::Error::other)?,
            None => self.memory.extend_from_slice(bytes),
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
