//! Native pixel data (PS3.5 section 8.1), window by window: what no run touches is not copied.

use std::collections::VecDeque;
use std::io::Write;

use dicom_core::VR;
use isocenter_deid::{EditedPixels, PixelEdit};
use isocenter_model::part10::{ByteSource, Layout, PixelData, write_native_pixel_header};

use super::arrangement::{Arrangement, Run};
use super::mask::Masks;
use super::parts::Parts;
use crate::{Error, PixelFacts};

/// Bytes that are looked at together; a multiple of the width of every sample.
const WINDOW: u64 = 1 << 16;

pub(super) fn edit(
    facts: &PixelFacts,
    layout: &Layout,
    source: &dyn ByteSource,
    edit: &PixelEdit<'_>,
    scratch: &mut dyn Write,
) -> Result<Option<EditedPixels>, Error> {
    let Some(PixelData::Native {
        tag,
        vr,
        value_offset,
        value_len,
        ..
    }) = &layout.pixel_data
    else {
        return Ok(None);
    };
    let mut facts = facts.clone();
    facts.float = tag.1 != 0x0010;
    let little = layout.transfer_syntax_uid.is_little_endian();
    let arrangement = match Arrangement::native(&facts, little, edit.fill) {
        // nothing was asked for that needs to know where samples lie
        Err(_) if edit.regions.is_empty() && !edit.clear_unused_bits && !edit.clean_streams => return Ok(None),
        arrangement => arrangement?,
    };
    // single bytes and bits in big endian 16-bit words
    let paired = facts.bits_allocated <= 8 && !little && *vr == VR::OW;
    let frames = u64::from(facts.number_of_frames);
    let used = arrangement.frame_bits().saturating_mul(frames);
    if used.div_ceil(8) > *value_len && !edit.regions.is_empty() {
        return Err(crate::LengthMismatch::TooShort {
            expected: used.div_ceil(8),
            found: *value_len,
        }
        .into());
    }
    let work = Work {
        source,
        arrangement: &arrangement,
        paired,
        clear: arrangement.has_unused_bits() && (edit.clear_unused_bits || !edit.regions.is_empty()),
        clean: edit.clean_streams,
        value_offset: *value_offset,
        value_len: *value_len,
        used: used.div_ceil(8),
        parts: Parts::new(scratch),
        cleared: false,
        cleaned: 0,
    };
    let mut runs = Runs {
        masks: Masks::new(edit.regions, facts.rows, facts.columns),
        arrangement: &arrangement,
        frames: if edit.regions.is_empty() {
            0
        } else {
            facts.number_of_frames
        },
        next: 0,
        ready: VecDeque::new(),
        hidden: 0,
    };
    let done = work.all(&mut runs)?;
    if runs.hidden == 0 && !done.cleared && done.cleaned == 0 {
        return Ok(None);
    }
    let failed = |_| Error::Encode;
    let head = write_native_pixel_header(*tag, *vr, *value_len, &layout.transfer_syntax_uid).map_err(failed)?;
    let mut parts = done.parts.into_list();
    let value_at = head.len() as u64;
    parts.insert(0, isocenter_deid::Part::Bytes(head));
    Ok(Some(EditedPixels {
        transfer_syntax_uid: layout.transfer_syntax_uid.clone(),
        parts,
        pixel_data: PixelData::Native {
            tag: *tag,
            vr: *vr,
            element_offset: 0,
            value_offset: value_at,
            value_len: *value_len,
        },
        colour: None,
        extended_offsets: None,
        hidden_frames: runs.hidden,
        cleaned_bytes: done.cleaned,
        cleared_frames: u32::from(done.cleared),
    }))
}

/// The runs of all frames, those of one frame at a time in memory.
struct Runs<'a> {
    masks: Masks<'a>,
    arrangement: &'a Arrangement,
    frames: u32,
    next: u32,
    ready: VecDeque<Run<'a>>,
    hidden: u32,
}

impl Runs<'_> {
    /// Makes the runs of every frame that begins before a byte.
    fn until(&mut self, byte: u64) {
        while self.next < self.frames {
            let frame = u64::from(self.next);
            if self.arrangement.frame_bits().saturating_mul(frame) / 8 >= byte {
                return;
            }
            let mask = self.masks.of_frame(self.next);
            self.hidden += u32::from(!mask.is_empty());
            self.ready.extend(self.arrangement.runs(mask, frame));
            self.next += 1;
        }
    }
}

/// What is done to each window, and what came of it.
struct Work<'a> {
    source: &'a dyn ByteSource,
    arrangement: &'a Arrangement,
    paired: bool,
    /// Clear unused bits.
    clear: bool,
    /// Clear what follows the last sample.
    clean: bool,
    value_offset: u64,
    value_len: u64,
    /// Bytes of the value that hold samples.
    used: u64,
    parts: Parts<'a>,
    cleared: bool,
    cleaned: u64,
}

impl Work<'_> {
    fn all(mut self, runs: &mut Runs<'_>) -> Result<Self, Error> {
        let mut window = Vec::new();
        let mut at = 0;
        while at < self.value_len {
            let end = (at + WINDOW).min(self.value_len);
            runs.until(end);
            let hides = runs.ready.front().is_some_and(|run| run.start / 8 < end);
            // one byte of padding is nobody's
            let cleans = self.clean && end > self.used.saturating_add(1);
            if hides || cleans || self.clear {
                window.resize(usize::try_from(end - at).unwrap_or(0), 0);
                let read = self.source.read_at(self.value_offset + at, &mut window);
                read.map_err(|e| Error::Source(e.kind()))?;
                if self.change(&mut window, at, runs) {
                    self.parts.write(&window)?;
                    at = end;
                    continue;
                }
            }
            self.parts.copy(self.value_offset + at..self.value_offset + end);
            at = end;
        }
        Ok(self)
    }

    /// Changes a window that begins at byte `at`; returns whether anything is other than before.
    fn change(&mut self, window: &mut [u8], at: u64, runs: &mut Runs<'_>) -> bool {
        let end = at + window.len() as u64;
        let mut changed = false;
        if self.clear {
            changed = self.arrangement.clear_unused(window);
            self.cleared |= changed;
        }
        while let Some(run) = runs.ready.front() {
            if run.start / 8 >= end {
                break;
            }
            changed = true;
            run.put(window, at, self.paired);
            if (run.start + run.len).div_ceil(8) > end {
                break; // it goes on in the next window
            }
            runs.ready.pop_front();
        }
        if self.clean && end > self.used.saturating_add(1) {
            let from = usize::try_from(self.used.saturating_sub(at)).unwrap_or(usize::MAX);
            let excess = window.get_mut(from..).unwrap_or_default();
            let filled = excess.iter().filter(|byte| **byte != 0).count() as u64;
            excess.fill(0);
            self.cleaned += filled;
            changed |= filled > 0;
        }
        changed
    }
}
