//! Finding text in pixels.
//!
//! No detector finds all text: what one says is a reason to hide or to look, and its silence is a reason for nothing (the
//! policy of `isocenter-deid` knows that). Two are here, both measured in `server/decisions/0004-pixels.md`:
//!
//! - [`Shapes`], own, always there: rows of connected shapes of like height on one base line, in each colour channel.
//!   Fast, blind to meaning, good at letters drawn over a picture.
//! - [`Tesseract`], where Debian's program is installed: reads what the text says, in English and Chinese.
//!
//! A search has bounds: a deadline, a number of frames, a size of frames. Where one is met, the answer says that not
//! everything was looked at. Pictures of more than 2048 pixels a side are looked at reduced, so that one search stays below
//! some 100 MiB; letters below 8 pixels of the reduced picture are not found.

mod components;
mod planes;
mod shapes;
mod tesseract;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use isocenter_deid::{FoundText, Frames, Region, RegionSource, TextSearch};
use isocenter_model::part10::{ByteSource, Layout};

use crate::{Error, FrameMap, PixelFacts};
use planes::Planes;

pub use planes::Plane;
pub use shapes::Shapes;
pub use tesseract::Tesseract;

/// A rectangle that a detector takes for text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextBox {
    /// Left column.
    pub x: u32,
    /// Top row.
    pub y: u32,
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// What it says, where the detector reads.
    pub text: Option<String>,
}

/// What a detector found in one picture.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Found {
    /// The boxes.
    pub boxes: Vec<TextBox>,
    /// Whether everything was looked at before the deadline.
    pub complete: bool,
}

/// Something that finds text.
pub trait TextDetector: Send + Sync {
    /// Returns name and version, for the record.
    fn name(&self) -> String;

    /// Returns whether it is quick enough to look at more than three frames of an object.
    fn every_frame(&self) -> bool {
        true
    }

    /// Looks for text in a picture: its gray plane, or one plane per colour.
    fn find(&self, planes: &[Plane], deadline: Instant) -> Found;
}

/// Most frames of one search.
const MOST_FRAMES: u32 = 64;

/// Most boxes of one search; more are a texture, and one box around them.
const MOST_BOXES: usize = 256;

/// Looks for text in the frames of an object: in the first, the middle and the last, then in all others while time is left.
/// Boxes of single frames count for all: what a device prints stays where it is, and hiding more is safe.
///
/// # Errors
/// As [`decode_frame`](crate::decode_frame): what cannot be decoded cannot be looked at. [`Error::TooLarge`] where frames
/// are larger than 32 MiB of samples or 8192 pixels a side, before anything of them is decoded.
pub fn find_text(
    facts: &PixelFacts,
    layout: &Layout,
    source: &dyn ByteSource,
    detectors: &[&dyn TextDetector],
    limit: Duration,
) -> Result<TextSearch, Error> {
    let deadline = Instant::now() + limit;
    let map = FrameMap::build(facts, layout, source, 0)?;
    let facts = map.facts().unwrap_or(facts);
    let frames = map.frame_count();
    let mut search = TextSearch {
        detectors: detectors.iter().map(|detector| detector.name()).collect(),
        complete: true,
        frames,
        frames_seen: 0,
        found: Vec::new(),
    };
    let mut before: Option<Vec<Plane>> = None;
    for frame in order(frames) {
        if Instant::now() >= deadline || search.frames_seen >= MOST_FRAMES {
            search.complete = false;
            break;
        }
        let ranges = map.ranges(frame).unwrap_or_default();
        planes::check_size(
            facts,
            ranges.iter().map(|range| range.end.saturating_sub(range.start)).sum(),
        )?;
        let mut bytes = Vec::new();
        for range in ranges {
            let from = bytes.len();
            bytes.resize(from + usize::try_from(range.end - range.start).unwrap_or(0), 0);
            let fresh = bytes.get_mut(from..).unwrap_or_default();
            source
                .read_at(range.start, fresh)
                .map_err(|e| Error::Source(e.kind()))?;
        }
        let bytes = map.trim(frame, bytes);
        let seen = planes::of_frame(facts, &layout.transfer_syntax_uid, &bytes, deadline)?;
        drop(bytes);
        let Some(Planes { planes, times }) = seen else {
            search.complete = false;
            break;
        };
        search.frames_seen += 1;
        if before.as_ref() == Some(&planes) {
            continue;
        }
        let first = search.frames_seen <= 3;
        for detector in detectors.iter().filter(|detector| first || detector.every_frame()) {
            let found = detector.find(&planes, deadline);
            search.complete &= found.complete;
            search.found.extend(found.boxes.into_iter().map(|found| FoundText {
                region: Region {
                    frames: Frames::All,
                    x: found.x.saturating_mul(times),
                    y: found.y.saturating_mul(times),
                    width: found.width.saturating_mul(times),
                    height: found.height.saturating_mul(times),
                    source: RegionSource::Detector,
                },
                text: found.text,
            }));
        }
        thin_out(&mut search.found);
        before = Some(planes);
    }
    Ok(search)
}

/// The first, the middle, the last frame, then the others.
fn order(frames: u32) -> impl Iterator<Item = u32> {
    let mut first = vec![0, frames / 2, frames.saturating_sub(1)];
    first.dedup();
    first.retain(|frame| *frame < frames);
    let chosen = first.clone();
    first
        .into_iter()
        .chain((0..frames).filter(move |frame| !chosen.contains(frame)))
}

/// Drops boxes without text that others cover; too many become one around all.
fn thin_out(found: &mut Vec<FoundText>) {
    let covers = |a: &Region, b: &Region| {
        a.x <= b.x && a.y <= b.y && a.x + a.width >= b.x + b.width && a.y + a.height >= b.y + b.height
    };
    found.sort_by_key(|found| std::cmp::Reverse(u64::from(found.region.width) * u64::from(found.region.height)));
    let mut kept: Vec<FoundText> = Vec::new();
    for next in found.drain(..) {
        let known = kept
            .iter()
            .any(|k| covers(&k.region, &next.region) && (next.text.is_none() || next.text == k.text));
        if !known && kept.len() < 4 * MOST_BOXES {
            kept.push(next);
        } else if !known && let Some(last) = kept.last_mut() {
            let (a, b) = (&mut last.region, &next.region);
            let (right, bottom) = ((a.x + a.width).max(b.x + b.width), (a.y + a.height).max(b.y + b.height));
            (a.x, a.y) = (a.x.min(b.x), a.y.min(b.y));
            (a.width, a.height) = (right - a.x, bottom - a.y);
        }
    }
    *found = kept;
}
