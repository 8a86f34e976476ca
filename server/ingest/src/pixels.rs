//! Pixels on the way in (check Q506): `imaging` cleans them, and what was edited becomes pieces of the stored file. Most of
//! these are ranges of what was received; new bytes are kept in memory up to a limit, beyond it in a sealed temporary file.
//!
//! A device that the collection's pixel script knows is answered for: what the script names is hidden. Else nobody has looked
//! at an object of a class at risk when it comes in. Where a person releases a collection that is only
//! said; where it releases itself, the object is held (server/decisions/0004). An object whose coded frames cannot be
//! followed from end to end is held in both: what was not cleaned does not go out.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use isocenter_deid::{
    Deidentified, DeviceRegions, EditedPixels, Part, PixelObject, PixelPolicy, Profile, TextSearch, WhenFound,
    WhenUnanswered, ctp, plan_pixels, signature_regions,
};
use isocenter_imaging::{PixelFacts, clean_searched_pixels, search_pixels};
use isocenter_model::part10::{ByteSource, Layout};
use isocenter_schema::record::ReleaseRule;
use isocenter_storage::{Piece, Spill};

use crate::destination::Destination;
use crate::prepare::Failed;
use crate::qc::{Finding, Severity};
use crate::stage::Staged;
use dicom_object::InMemDicomObject;

/// How long an object may be searched for text: a peer waits. Tests do not, and must not depend on how busy a machine is.
const SEARCH: Duration = Duration::from_secs(if cfg!(test) { 300 } else { 5 });
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

/// What is known of the text in an object's pixels.
pub(crate) enum Searched {
    /// Nobody has looked yet.
    NotYet,
    /// What was found; `None` where the pixels cannot be looked at.
    Done(Option<TextSearch>),
}

/// A search that is still to be made. It takes seconds and much memory, so the pipeline runs one at a time, and not in the
/// place of objects that need none.
pub(crate) struct Search {
    facts: PixelFacts,
    layout: Layout,
    staged: Staged,
}

impl Search {
    /// Returns the search that the class of an object asks for.
    pub(crate) fn wanted(received: &Received<'_>, facts: Option<&PixelFacts>, profile: &Profile) -> Option<Self> {
        received.layout.pixel_data.as_ref()?;
        let facts = facts?;
        plan_pixels(received.header, profile, None).filter(|plan| plan.search)?;
        Some(Self {
            facts: facts.clone(),
            layout: received.layout.clone(),
            staged: received.staged.clone(),
        })
    }

    /// Looks for text with all detectors of this machine.
    pub(crate) fn run(&self) -> Result<Searched, Failed> {
        let found = search_pixels(&self.facts, &self.layout, &**self.staged.source(), SEARCH);
        Ok(Searched::Done(found.map_err(Failed::out_of_resources)?))
    }
}

/// Cleans the pixels of an object that was de-identified: marks its header, adds to its report. `None` where the pixels
/// stay as they are. A finding that holds the object is among the findings.
pub(crate) fn clean(
    received: &Received<'_>,
    destination: &Destination,
    searched: Searched,
    deidentified: &mut Deidentified,
    findings: &mut Vec<Finding>,
) -> Result<Option<Edited>, Failed> {
    let policy = PixelPolicy {
        found: WhenFound::Mask,
        unanswered: match destination.release {
            ReleaseRule::Manual => WhenUnanswered::Review,
            ReleaseRule::Automatic => WhenUnanswered::Hold,
        },
    };
    let object = PixelObject {
        header: received.header,
        layout: received.layout,
        source: &**received.staged.source(),
    };
    let search = match searched {
        Searched::NotYet => None,
        Searched::Done(search) => search,
    };
    let mut scratch = Scratch {
        memory: Vec::new(),
        spill: None,
        staged: received.staged,
    };
    let cleaned = clean_searched_pixels(
        object,
        &destination.profile,
        signature(received, &destination.profile),
        policy,
        search,
        deidentified,
        &mut scratch,
    );
    if let Some(kind) = cleaned.failed {
        // no room, or a disk that fails: the object is not at fault and is sent again
        return Err(Failed::out_of_resources(kind));
    }
    let severity = if cleaned.not_cleaned {
        Severity::Block
    } else {
        Severity::Hold
    };
    findings.extend(cleaned.held.map(|held| Finding::new(held.check, severity, held.reason)));
    let review = cleaned.review.into_iter();
    findings.extend(review.map(|reason| Finding::new("Q506", Severity::Warn, reason)));
    let Some(pixels) = cleaned.edited else {
        return Ok(None);
    };
    let (new, spilled) = scratch.finish()?;
    Ok(Some(Edited { pixels, new, spilled }))
}

/// Returns what the collection's pixel script says of the object; `None` where it does not know the device.
fn signature(received: &Received<'_>, profile: &Profile) -> Option<DeviceRegions> {
    let script = profile.pixel_script()?;
    let object = ctp::Object {
        data_set: received.header,
        meta: Some(&ctp::elements_of_meta(received.layout)),
        has_pixel_data: received.layout.pixel_data.is_some(),
        issuer: "", // filters derive no dates
    };
    signature_regions(script, &object, ctp::Mode::Strict)
}

/// Where new bytes wait until they are committed.
struct Scratch<'a> {
    memory: Vec<u8>,
    spill: Option<Spill>,
    staged: &'a Staged,
}

impl Scratch<'_> {
    fn finish(self) -> Result<(Bytes, Option<Arc<dyn ByteSource>>), Failed> {
        let spilled = self.spill.map(Spill::freeze).transpose();
        let spilled = spilled.map_err(Failed::out_of_resources)?;
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
pub(crate) mod tests;
