//! Where each frame lies in the stored file, found once when the object comes in.
//!
//! Native frames are computed from their size. Of encapsulated ones the map keeps the length of each fragment, a few bytes
//! a frame: fragments stand one behind the other, so their places follow. Which fragments are one frame is told by, in
//! this order, the extended offset table, the basic one, their number, and where code streams begin (PS3.5 A.4: a
//! fragment never holds parts of two frames). Tables that contradict the fragments are not believed.

use std::ops::Range;

use isocenter_model::part10::{ByteSource, Fragment, Layout, PixelData, swap_native};
use serde::{Deserialize, Serialize};

use crate::check::{LengthMismatch, is_video};
use crate::{Error, PixelFacts};

const VERSION: u8 = 1;

/// Where each frame lies, and what its pixels mean.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FrameMap {
    facts: Option<PixelFacts>,
    frames: Frames,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Frames {
    None,
    Native {
        offset: u64,
        frame_bits: u64,
        frames: u32,
        /// Single bytes in big endian 16-bit words.
        paired: bool,
    },
    Encapsulated {
        /// Where the value of the first fragment begins.
        offset: u64,
        lens: Vec<u32>,
        /// Fragments of each frame; empty where each has one.
        counts: Vec<u32>,
    },
}

impl FrameMap {
    /// Returns the map of an object without frames.
    pub fn none() -> Self {
        Self {
            facts: None,
            frames: Frames::None,
        }
    }

    /// Makes the map of an object. `shift` is how far its pixel data moved from their place in `source` to that in the
    /// stored file. `source` is read only where fragments must be told apart by their content.
    ///
    /// # Errors
    /// [`Error::Lengths`] where the fragments cannot be told apart into as many frames as the header says.
    pub fn build(facts: &PixelFacts, layout: &Layout, source: &dyn ByteSource, shift: i64) -> Result<Self, Error> {
        let moved = |offset: u64| {
            offset
                .checked_add_signed(shift)
                .ok_or(Error::Parameter { name: "shift" })
        };
        let mut facts = facts.clone();
        let frames = match &layout.pixel_data {
            None => return Ok(Self::none()),
            Some(PixelData::Native {
                tag, vr, value_offset, ..
            }) => {
                facts.float = tag.1 != 0x0010;
                let eight = facts.bits_allocated <= 8;
                let paired = eight && !layout.transfer_syntax_uid.is_little_endian() && *vr == dicom_core::VR::OW;
                let (frame_bits, frames) = (facts.frame_bits(), facts.number_of_frames);
                Frames::Native {
                    offset: moved(*value_offset)?,
                    frame_bits,
                    frames,
                    paired,
                }
            }
            Some(PixelData::Encapsulated {
                basic_offset_table,
                fragments,
                ..
            }) => {
                let frames = if is_video(layout.transfer_syntax_uid.as_str()) {
                    1
                } else {
                    facts.number_of_frames
                };
                let counts = grouped(frames, &facts.extended_offsets, basic_offset_table, fragments, source)?;
                let offset = fragments.first().map_or(0, |f| f.offset);
                Frames::Encapsulated {
                    offset: moved(offset)?,
                    lens: fragments.iter().map(|f| f.len).collect(),
                    counts,
                }
            }
        };
        facts.extended_offsets = Vec::new();
        Ok(Self {
            facts: Some(facts),
            frames,
        })
    }

    /// Returns what the pixels mean; `None` where there are none.
    pub fn facts(&self) -> Option<&PixelFacts> {
        self.facts.as_ref()
    }

    /// Returns the number of frames that can be asked for. A video counts as one.
    pub fn frame_count(&self) -> u32 {
        match &self.frames {
            Frames::None => 0,
            Frames::Native { frames, .. } => *frames,
            Frames::Encapsulated { lens, counts, .. } => {
                u32::try_from(if counts.is_empty() { lens.len() } else { counts.len() }).unwrap_or(u32::MAX)
            }
        }
    }

    /// Returns the ranges of the stored file that hold frame `n`, counted from zero; `None` past the end.
    pub fn ranges(&self, n: u32) -> Option<Vec<Range<u64>>> {
        if n >= self.frame_count() {
            return None;
        }
        match &self.frames {
            Frames::None => None,
            Frames::Native {
                offset,
                frame_bits,
                paired,
                ..
            } => {
                let from = frame_bits.checked_mul(u64::from(n))?;
                let to = from.checked_add(*frame_bits)?;
                let (mut from, mut to) = (from / 8, to.div_ceil(8));
                if *paired {
                    (from, to) = (from - from % 2, to + to % 2);
                }
                Some(std::iter::once(offset.checked_add(from)?..offset.checked_add(to)?).collect())
            }
            Frames::Encapsulated { offset, lens, counts } => {
                let n = usize::try_from(n).ok()?;
                let (skip, take) = if counts.is_empty() {
                    (n, 1)
                } else {
                    let skip = counts.get(..n)?.iter().map(|c| u64::from(*c)).sum::<u64>();
                    (usize::try_from(skip).ok()?, usize::try_from(*counts.get(n)?).ok()?)
                };
                let before = lens.get(..skip)?.iter().map(|len| u64::from(*len) + 8).sum::<u64>();
                let mut at = offset.checked_add(before)?;
                let mut ranges = Vec::with_capacity(take);
                for len in lens.get(skip..skip.checked_add(take)?)? {
                    let end = at.checked_add(u64::from(*len))?;
                    ranges.push(at..end);
                    at = end.checked_add(8)?;
                }
                Some(ranges)
            }
        }
    }

    /// Turns what was read from [`FrameMap::ranges`], joined, into the bytes of frame `n` alone: frames of single bits do
    /// not begin at a byte (PS3.5 8.1.1), and single bytes of a big endian object stand in swapped words.
    pub fn trim(&self, n: u32, mut bytes: Vec<u8>) -> Vec<u8> {
        let Frames::Native { frame_bits, paired, .. } = &self.frames else {
            return bytes;
        };
        let first = frame_bits.saturating_mul(u64::from(n));
        if *paired {
            swap_native(dicom_core::VR::OW, 8, &mut bytes);
            if first / 8 % 2 == 1 {
                bytes.drain(..1.min(bytes.len()));
            }
        }
        let shift = u32::try_from(first % 8).unwrap_or(0);
        if shift > 0 {
            let next: Vec<u8> = bytes.iter().skip(1).copied().chain([0]).collect();
            for (byte, next) in bytes.iter_mut().zip(next) {
                *byte = u8::try_from((u16::from(*byte) | u16::from(next) << 8) >> shift & 0xFF).unwrap_or(0);
            }
        }
        bytes.truncate(usize::try_from(frame_bits.div_ceil(8)).unwrap_or(usize::MAX));
        let used = u32::try_from(frame_bits % 8).unwrap_or(0);
        if let (true, Some(last)) = (used > 0, bytes.last_mut()) {
            *last &= (1u8 << used).wrapping_sub(1);
        }
        bytes
    }

    /// Writes the map for the database.
    ///
    /// # Errors
    /// Never in practice; [`Error::Map`] where memory ends.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        postcard::to_extend(self, vec![VERSION]).map_err(|_| Error::Map)
    }

    /// Reads a map back.
    ///
    /// # Errors
    /// [`Error::Map`] where the bytes are none.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        match bytes.split_first() {
            Some((&VERSION, rest)) => postcard::from_bytes(rest).map_err(|_| Error::Map),
            _ => Err(Error::Map),
        }
    }
}

/// Returns how many fragments each frame has; nothing where it is one each.
fn grouped(
    frames: u32,
    extended: &[u64],
    basic: &[u32],
    fragments: &[Fragment],
    source: &dyn ByteSource,
) -> Result<Vec<u32>, Error> {
    let (wanted, there) = (u64::from(frames), fragments.len() as u64);
    if there < wanted {
        return Err(LengthMismatch::TooFewFragments {
            frames: wanted,
            fragments: there,
        }
        .into());
    }
    if there == wanted {
        return Ok(Vec::new());
    }
    if frames == 1 {
        return Ok(vec![u32::try_from(there).unwrap_or(u32::MAX)]);
    }
    let basic: Vec<u64> = basic.iter().map(|v| u64::from(*v)).collect();
    for table in [extended, &basic] {
        if let Some(counts) = by_table(frames, table, fragments) {
            return Ok(counts);
        }
    }
    let starts = by_content(fragments, source)?;
    if starts.len() as u64 != wanted {
        return Err(LengthMismatch::Frames {
            frames: wanted,
            found: starts.len() as u64,
        }
        .into());
    }
    Ok(starts)
}

/// Offsets count from the item of the first fragment, PS3.5 A.4; each must be that of some item.
fn by_table(frames: u32, table: &[u64], fragments: &[Fragment]) -> Option<Vec<u32>> {
    if table.len() as u64 != u64::from(frames) {
        return None;
    }
    let base = fragments.first()?.offset;
    let mut counts: Vec<u32> = Vec::with_capacity(table.len());
    let mut wanted = table.iter().peekable();
    for fragment in fragments {
        if wanted.peek().is_some_and(|offset| **offset == fragment.offset - base) {
            wanted.next();
            counts.push(0);
        }
        *counts.last_mut()? += 1;
    }
    wanted.peek().is_none().then_some(counts)
}

/// A frame begins with a fragment that begins a code stream, where the one before ended its own.
fn by_content(fragments: &[Fragment], source: &dyn ByteSource) -> Result<Vec<u32>, Error> {
    let mut counts: Vec<u32> = Vec::new();
    let mut ended = true;
    for fragment in fragments {
        let mut start = [0; 4];
        let mut end = [0; 4];
        if fragment.len >= 4 {
            let last = fragment.offset + u64::from(fragment.len) - 4;
            source
                .read_at(fragment.offset, &mut start)
                .map_err(|e| Error::Source(e.kind()))?;
            source.read_at(last, &mut end).map_err(|e| Error::Source(e.kind()))?;
        }
        // JPEG and JPEG-LS, JPEG 2000, and JPEG 2000 in its file format
        let begins = start.starts_with(&[0xFF, 0xD8]) || start == [0xFF, 0x4F, 0xFF, 0x51] || start == [0, 0, 0, 0x0C];
        match counts.last_mut() {
            Some(count) if !(begins && ended) => *count += 1,
            _ => counts.push(1),
        }
        ended = ends_code_stream(end);
    }
    Ok(counts)
}

/// The last bytes of a fragment close a code stream: FFD9, then at most two bytes of padding.
fn ends_code_stream(end: [u8; 4]) -> bool {
    matches!(end, [_, _, 0xFF, 0xD9] | [_, 0xFF, 0xD9, _] | [0xFF, 0xD9, 0, 0])
}

#[cfg(test)]
mod tests;
