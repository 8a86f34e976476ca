//! Encapsulated pixel data, frame by frame.
//!
//! | coding | hidden frames | other frames |
//! | --- | --- | --- |
//! | RLE, JPEG lossless, JPEG-LS, deflated, encapsulated native | decoded, masked, coded losslessly in the same syntax | copied |
//! | JPEG of sequential blocks | blocks replaced, nothing decoded | copied |
//! | JPEG 2000, HTJ2K, progressive JPEG | decoded, masked, stored as JPEG-LS lossless | the same |
//!
//! The last row is for want of an encoder that can be called without unsafe code; then all frames change their syntax, and
//! with it the object (`EditedPixels::transfer_syntax_uid`).

use std::borrow::Cow;
use std::io::Write;

use isocenter_deid::{EditedPixels, PixelEdit};
use isocenter_model::TransferSyntaxUid;
use isocenter_model::part10::{ByteSource, Layout, PixelData};
use isocenter_model::uid::transfer_syntax as uid;

use super::arrangement::Arrangement;
use super::lossless::Picture;
use super::mask::{Mask, Masks};
use super::parts::{Fragments, Parts};
use super::strip::{self, Cleaned, Piece};
use super::{code_stream, dct, lossless, rle, surplus};
use crate::decode::{self, Coding, Raw, Space, codec, probe};
use crate::{Error, FrameMap, Photometric, PixelFacts};

/// The largest coded frame that is read.
const LARGEST: u64 = 1 << 29;

const NOT_FOLLOWED: Error = Error::Damaged {
    what: "a coded frame cannot be followed to its end, so nobody can say that it holds no text",
};
const NO_ENCODER: Error = Error::Unsupported {
    what: "hiding pixels of this transfer syntax",
};

/// Returns why frames of a transfer syntax that nothing here follows cannot be cleaned.
pub(super) fn no_way(ts: &TransferSyntaxUid) -> Error {
    let rest = ts.as_str().strip_prefix("1.2.840.10008.1.2.4.").unwrap_or_default();
    // MPEG-2, MPEG-4, HEVC, and the fragmentable kinds of them, which end with .1
    let number = rest.split('.').next().and_then(|number| number.parse().ok());
    let what = match number {
        Some(100..=108u32) => "text in video can be neither found nor hidden here",
        Some(110..=112) => "text in JPEG XL can be neither found nor hidden here",
        _ => "text in this coding can be neither found nor hidden here",
    };
    Error::Unsupported { what }
}

pub(super) fn edit(
    facts: &PixelFacts,
    layout: &Layout,
    source: &dyn ByteSource,
    edit: &PixelEdit<'_>,
    scratch: &mut dyn Write,
) -> Result<Option<EditedPixels>, Error> {
    let asked = !edit.regions.is_empty() || edit.clear_unused_bits || edit.clean_streams;
    let Some(coding) = decode::coding(&layout.transfer_syntax_uid) else {
        return if asked {
            Err(no_way(&layout.transfer_syntax_uid))
        } else {
            Ok(None)
        };
    };
    let map = match FrameMap::build(facts, layout, source, 0) {
        Ok(map) => map,
        Err(_) if !asked => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut masks = Masks::new(edit.regions, facts.rows, facts.columns);
    let frames = map.frame_count();
    let hidden = (0..frames).filter(|frame| !masks.of_frame(*frame).is_empty()).count();
    let clears = edit.clear_unused_bits && facts.bits_stored < facts.bits_allocated;
    let mut work = Work {
        facts,
        syntax: &layout.transfer_syntax_uid,
        source,
        map: &map,
        edit,
        coding,
        clears,
        store: false,
        colour: None,
    };
    if hidden > 0 || clears {
        work.store = match coding {
            Coding::Jpeg2000 => true,
            Coding::Jpeg => !matches!(process(&work.read(0)?), Some(0xC0 | 0xC1 | 0xC3)),
            _ => false,
        };
    }
    let mut fragments = Fragments::new(scratch);
    let mut cleaned = if edit.clean_streams {
        surplus_of_table(layout)
    } else {
        0
    };
    let mut cleared = 0;
    for frame in 0..frames {
        let done = work.frame(frame, masks.of_frame(frame), fragments.begin())?;
        fragments.end()?;
        cleaned += done.cleaned;
        cleared += u32::from(done.cleared);
    }
    if hidden == 0 && cleaned == 0 && cleared == 0 {
        return Ok(None);
    }
    let (parts, pixel_data, extended_offsets) = fragments.finish();
    let transfer_syntax_uid = if work.store {
        TransferSyntaxUid::parse(uid::JPEG_LS_LOSSLESS).map_err(|_| Error::Encode)?
    } else {
        layout.transfer_syntax_uid.clone()
    };
    Ok(Some(EditedPixels {
        transfer_syntax_uid,
        parts,
        pixel_data,
        colour: work.colour,
        extended_offsets,
        hidden_frames: u32::try_from(hidden).unwrap_or(u32::MAX),
        cleaned_bytes: cleaned,
        cleared_frames: cleared,
    }))
}

/// Returns the marker of the frame header of a JPEG stream.
pub(super) fn process(stream: &[u8]) -> Option<u8> {
    let mut rest = stream.get(2..)?;
    loop {
        let strip::Segment { code, after, .. } = strip::next_segment(rest)?;
        match code {
            0xC4 | 0xC8 | 0xCC => {}
            0xC0..=0xCF | 0xF7 => return Some(code),
            0xD9 | 0xDA => return None,
            _ => {}
        }
        rest = after;
    }
}

/// What was done to a frame.
#[derive(Default)]
struct Done {
    cleaned: u64,
    cleared: bool,
}

struct Work<'a> {
    facts: &'a PixelFacts,
    syntax: &'a TransferSyntaxUid,
    source: &'a dyn ByteSource,
    map: &'a FrameMap,
    edit: &'a PixelEdit<'a>,
    coding: Coding,
    clears: bool,
    /// All frames are stored anew as JPEG-LS.
    store: bool,
    colour: Option<(&'static str, u16)>,
}

impl<'a> Work<'a> {
    /// Returns a coded frame, without a copy where the source is in memory and the frame in one fragment.
    fn read(&self, frame: u32) -> Result<Cow<'a, [u8]>, Error> {
        let ranges = self.map.ranges(frame).unwrap_or_default();
        let bytes = ranges.iter().map(|range| range.end - range.start).sum::<u64>();
        if bytes > LARGEST {
            return Err(Error::TooLarge { bytes, limit: LARGEST });
        }
        if let (Some(all), [range]) = (self.source.as_slice(), ranges.as_slice()) {
            let range = usize::try_from(range.start).ok().zip(usize::try_from(range.end).ok());
            if let Some(frame) = range.and_then(|(from, to)| all.get(from..to)) {
                return Ok(Cow::Borrowed(frame));
            }
        }
        let mut out = Vec::new();
        for range in ranges {
            let from = out.len();
            out.resize(from + usize::try_from(range.end - range.start).unwrap_or(0), 0);
            let fresh = out.get_mut(from..).unwrap_or_default();
            self.source
                .read_at(range.start, fresh)
                .map_err(|e| Error::Source(e.kind()))?;
        }
        Ok(Cow::Owned(out))
    }

    fn frame(&mut self, frame: u32, mask: &Mask, out: &mut Parts<'_>) -> Result<Done, Error> {
        let hides = !mask.is_empty();
        let blocks = self.coding == Coding::Jpeg && !self.store;
        let edits = hides || self.store || self.clears && !blocks;
        let ranges = self.map.ranges(frame).unwrap_or_default();
        if edits || self.edit.clean_streams {
            let stream = self.read(frame)?;
            let cleaned = if self.edit.clean_streams {
                self.cleaned(&stream)?
            } else {
                Cleaned::default()
            };
            let changed = cleaned.bytes > 0;
            if edits {
                let stream = if changed {
                    Cow::Owned(cleaned.joined(&stream))
                } else {
                    Cow::Borrowed(&*stream)
                };
                let (bytes, cleared) = match self.coding {
                    Coding::Jpeg if !self.store && process(&stream) != Some(0xC3) => {
                        (self.blocks(mask, &stream)?, false)
                    }
                    Coding::Native { .. } | Coding::Deflated => self.plain(mask, &stream)?,
                    _ => self.again(mask, &stream)?,
                };
                if hides || self.store || cleared {
                    out.write(&bytes)?;
                    return Ok(Done {
                        cleaned: cleaned.bytes,
                        cleared,
                    });
                }
            }
            if changed {
                put_cleaned(&cleaned, &stream, ranges.as_slice(), out)?;
                return Ok(Done {
                    cleaned: cleaned.bytes,
                    cleared: false,
                });
            }
        }
        for range in ranges {
            out.copy(range);
        }
        Ok(Done::default())
    }

    /// Looks through a coded frame. What it is, its own first bytes say: labels are wrong now and then.
    fn cleaned(&self, stream: &[u8]) -> Result<Cleaned, Error> {
        let cleaned = match self.coding {
            Coding::Rle => surplus::rle(self.facts, stream),
            Coding::Deflated => surplus::deflated(self.facts, stream),
            Coding::Native { .. } => surplus::plain(self.facts, stream),
            _ if code_stream::is_one(stream) => code_stream::clean(stream),
            _ => strip::jpeg(stream),
        };
        cleaned.ok_or(NOT_FOLLOWED)
    }

    fn blocks(&self, mask: &Mask, stream: &[u8]) -> Result<Vec<u8>, Error> {
        let announced = codec::agrees(self.facts, probe::jpeg(stream))?;
        // as decoding understands it: the header says RGB, and no encoder subsamples that
        let rgb =
            announced.says_rgb || self.facts.photometric_interpretation == Photometric::Rgb && !announced.subsampled;
        dct::hide(self.facts, mask, self.edit.fill, rgb, stream)
    }

    /// Frames of native samples, deflated or not.
    fn plain(&self, mask: &Mask, stream: &[u8]) -> Result<(Vec<u8>, bool), Error> {
        let mut samples = match self.coding {
            Coding::Deflated => codec::inflate(self.facts, stream)?,
            _ => stream.to_vec(),
        };
        let arrangement = Arrangement::native(self.facts, true, self.edit.fill)?;
        if (samples.len() as u64) < arrangement.frame_bits().div_ceil(8) {
            return Err(Error::Damaged {
                what: "frame is shorter than rows and columns need",
            });
        }
        let cleared = arrangement.clear_unused(&mut samples);
        for run in arrangement.runs(mask, 0) {
            run.put(&mut samples, 0, false);
        }
        if self.coding == Coding::Deflated {
            let mut deflated = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
            let written = deflated.write_all(&samples).and_then(|()| deflated.finish());
            samples = written.map_err(|_| Error::Encode)?;
        }
        Ok((samples, cleared))
    }

    /// Decodes a frame, hides what must be hidden, and encodes it without loss.
    fn again(&mut self, mask: &Mask, stream: &[u8]) -> Result<(Vec<u8>, bool), Error> {
        let announced = match self.coding {
            Coding::Jpeg | Coding::JpegLs => probe::jpeg(stream),
            Coding::Jpeg2000 => probe::jpeg_2000(stream),
            _ => None,
        };
        let precision = announced.map_or(self.facts.bits_allocated, |announced| announced.precision);
        let Raw {
            mut bytes,
            allocated,
            low_bit,
            stored,
            space,
        } = decode::raw(self.facts, self.syntax, stream)?;
        if precision > allocated || announced.is_some() && !(2..=16).contains(&precision) {
            return Err(NO_ENCODER);
        }
        let mut facts = self.facts.clone();
        facts.bits_allocated = allocated;
        facts.bits_stored = stored;
        facts.high_bit = low_bit + stored - 1;
        if facts.samples_per_pixel > 1 {
            facts.photometric_interpretation = match space {
                Space::Rgb => Photometric::Rgb,
                Space::Ybr => Photometric::YbrFull,
                Space::YbrPartial => return Err(NO_ENCODER),
            };
        }
        let arrangement = Arrangement::decoded(&facts, self.edit.fill)?;
        let cleared = self.clears && arrangement.clear_unused(&mut bytes);
        for run in arrangement.runs(mask, 0) {
            run.put(&mut bytes, 0, false);
        }
        if announced.is_some() {
            // coders take exactly as many bits as they announce
            cut_to(&mut bytes, allocated, precision);
        }
        if self.store && facts.samples_per_pixel > 1 {
            let rgb = facts.photometric_interpretation == Photometric::Rgb;
            self.colour = Some((if rgb { "RGB" } else { "YBR_FULL" }, 0));
        }
        let coded = match self.coding {
            Coding::Rle => {
                let samples = usize::from(facts.samples_per_pixel);
                let (row, width) = match allocated {
                    // single bits stand in bytes, eight pixels each, and a row may end within one
                    1 => (usize::from(facts.columns).div_ceil(8), 1),
                    _ => (usize::from(facts.columns), usize::from(allocated / 8)),
                };
                rle::encode(&bytes, row, samples, width)
            }
            Coding::Jpeg if !self.store => {
                let picture = Picture {
                    bytes: &bytes,
                    wide: allocated > 8,
                    rows: facts.rows,
                    columns: facts.columns,
                    samples: u8::try_from(facts.samples_per_pixel).unwrap_or(u8::MAX),
                    precision: u8::try_from(precision).unwrap_or(u8::MAX),
                };
                lossless::encode(&picture, stream)
            }
            _ => codec::encode_jpeg_ls(&facts, precision, &bytes),
        };
        Ok((coded.ok_or(Error::Encode)?, cleared))
    }
}

/// Sets the bits above `precision` to zero.
fn cut_to(bytes: &mut [u8], allocated: u16, precision: u16) {
    if precision >= allocated {
        return;
    }
    if allocated == 8 {
        let mask = (1u8 << precision) - 1;
        bytes.iter_mut().for_each(|byte| *byte &= mask);
    } else if allocated == 16 {
        let mask = ((1u16 << precision) - 1).to_le_bytes();
        for [low, high] in bytes.as_chunks_mut::<2>().0 {
            let [low_mask, high_mask] = mask;
            (*low, *high) = (*low & low_mask, *high & high_mask);
        }
    }
}

/// Returns how many bytes of the basic offset table are no offsets: a table that fits no fragment is written anew.
fn surplus_of_table(layout: &Layout) -> u64 {
    let Some(PixelData::Encapsulated {
        basic_offset_table,
        fragments,
        ..
    }) = &layout.pixel_data
    else {
        return 0;
    };
    let first = fragments.first().map_or(0, |fragment| fragment.offset);
    let is_offset = |offset: &u32| {
        let place = first.saturating_add(u64::from(*offset));
        fragments
            .binary_search_by_key(&place, |fragment| fragment.offset)
            .is_ok()
    };
    4 * basic_offset_table.iter().filter(|offset| !is_offset(offset)).count() as u64
}

const ZEROS: [u8; 4096] = [0; 4096];

/// Puts what is left of a cleaned stream: by reference where it lies in one fragment.
fn put_cleaned(
    cleaned: &Cleaned,
    stream: &[u8],
    ranges: &[std::ops::Range<u64>],
    out: &mut Parts<'_>,
) -> Result<(), Error> {
    for piece in &cleaned.pieces {
        match (piece, ranges) {
            (Piece::Keep(range), [fragment]) => {
                let at = |place: usize| fragment.start + place as u64;
                out.copy(at(range.start)..at(range.end));
            }
            (Piece::Keep(range), _) => out.write(stream.get(range.clone()).unwrap_or_default())?,
            (Piece::Blank(range), _) => {
                for part in stream.get(range.clone()).unwrap_or_default().chunks(ZEROS.len()) {
                    out.write(ZEROS.get(..part.len()).unwrap_or_default())?;
                }
            }
        }
    }
    Ok(())
}
