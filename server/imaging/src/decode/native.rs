//! Native samples, PS3.5 section 8.1: byte order, planes, subsampling, bits stored and signs.

use dicom_core::VR;
use isocenter_model::part10::swap_native;

use super::{Raw, Space, colour};
use crate::{Error, Photometric, PixelFacts, Samples};

const SHORT: Error = Error::Damaged {
    what: "frame is shorter than rows and columns need",
};

fn length(bits: u64) -> Result<usize, Error> {
    usize::try_from(bits.div_ceil(8)).map_err(|_| SHORT)
}

/// Cuts a stored frame to its size and turns it to little endian.
pub(super) fn little_endian(facts: &PixelFacts, little: bool, mut bytes: Vec<u8>) -> Result<Vec<u8>, Error> {
    let wanted = length(facts.frame_bits())?;
    if bytes.len() < wanted {
        return Err(SHORT);
    }
    bytes.truncate(wanted);
    // single bytes in big endian words were turned when the frame was cut out; OB leaves them alone
    if !little {
        swap_native(VR::OB, facts.bits_allocated, &mut bytes);
    }
    Ok(bytes)
}

/// Reads a native frame, pixels in any of the arrangements that the header can declare.
pub(super) fn read(facts: &PixelFacts, little: bool, bytes: Vec<u8>) -> Result<Raw, Error> {
    let bytes = little_endian(facts, little, bytes)?;
    let allocated = facts.bits_allocated;
    if !matches!(allocated, 1 | 8 | 16 | 32 | 64) {
        return Err(Error::Unsupported {
            what: "bits allocated other than 1, 8, 16, 32 or 64",
        });
    }
    let mut raw = raw(facts, bytes);
    if facts.samples_per_pixel == 3 {
        let width = usize::from(allocated / 8).max(1);
        if matches!(
            facts.photometric_interpretation,
            Photometric::YbrFull422 | Photometric::YbrPartial
        ) {
            raw.bytes = colour::expand_422(&raw.bytes, width);
        } else if facts.planar_configuration == 1 {
            raw.bytes = colour::to_pixels(&raw.bytes, width);
        }
        raw.space = Space::of(facts.photometric_interpretation);
    }
    Ok(raw)
}

/// Takes what RLE decodes to: little endian planes, whatever the planar configuration says (PS3.5 annex G).
pub(super) fn read_planes(facts: &PixelFacts, planes: Vec<u8>) -> Result<Raw, Error> {
    let mut raw = raw(facts, planes);
    if facts.samples_per_pixel == 3 {
        raw.bytes = colour::to_pixels(&raw.bytes, usize::from(facts.bits_allocated / 8).max(1));
        raw.space = Space::of(facts.photometric_interpretation);
    }
    Ok(raw)
}

fn raw(facts: &PixelFacts, bytes: Vec<u8>) -> Raw {
    Raw {
        bytes,
        allocated: facts.bits_allocated,
        low_bit: facts.high_bit.saturating_add(1).saturating_sub(facts.bits_stored),
        stored: facts.bits_stored,
        space: Space::Rgb,
    }
}

/// Widens samples of a codec to Bits Allocated.
pub(super) fn widen(bytes: Vec<u8>, from: u16, to: u16) -> Result<Vec<u8>, Error> {
    match (from, to) {
        (from, to) if from == to => Ok(bytes),
        (8, 16) => Ok(bytes.into_iter().flat_map(|b| [b, 0]).collect()),
        (8, 1) => {
            let packed = bytes
                .chunks(8)
                .map(|bits| bits.iter().rev().fold(0, |byte, bit| byte << 1 | (bit & 1)));
            Ok(packed.collect())
        }
        _ => Err(Error::Damaged {
            what: "samples are of another width than bits allocated",
        }),
    }
}

/// Reads gray samples: only the bits that are stored, and their sign.
pub(super) fn gray(facts: &PixelFacts, raw: &Raw) -> Result<Samples, Error> {
    let count = usize::try_from(facts.pixels()).map_err(|_| SHORT)?;
    let signed = facts.is_signed();
    let samples = match (raw.allocated, facts.float) {
        (32, true) => {
            let (values, _) = raw.bytes.as_chunks::<4>();
            Samples::GrayWide(
                values
                    .iter()
                    .map(|b| finite(f64::from(f32::from_le_bytes(*b))))
                    .collect(),
            )
        }
        (64, true) => {
            let (values, _) = raw.bytes.as_chunks::<8>();
            Samples::GrayWide(values.iter().map(|b| finite(f64::from_le_bytes(*b))).collect())
        }
        (1, _) => {
            let bits = raw
                .bytes
                .iter()
                .flat_map(|byte| (0..8).map(move |n| i32::from(byte >> n & 1)));
            Samples::Gray(bits.take(count).collect())
        }
        (8, _) => {
            let value = |b: &u8| stored(u32::from(*b), raw, signed);
            Samples::Gray(raw.bytes.iter().map(value).collect())
        }
        (16, _) => {
            let (values, _) = raw.bytes.as_chunks::<2>();
            Samples::Gray(
                values
                    .iter()
                    .map(|b| stored(u32::from(u16::from_le_bytes(*b)), raw, signed))
                    .collect(),
            )
        }
        (32, _) => {
            let (values, _) = raw.bytes.as_chunks::<4>();
            let values = values.iter().map(|b| u32::from_le_bytes(*b));
            if signed || raw.stored < 32 {
                Samples::Gray(values.map(|v| stored(v, raw, signed)).collect())
            } else {
                Samples::GrayWide(values.map(f64::from).collect())
            }
        }
        _ => {
            return Err(Error::Unsupported {
                what: "integers of 64 bits",
            });
        }
    };
    let there = match &samples {
        Samples::Gray(values) => values.len(),
        Samples::GrayWide(values) => values.len(),
        Samples::Rgb(values) => values.len() / 3,
    };
    if there == count { Ok(samples) } else { Err(SHORT) }
}

fn finite(value: f64) -> f64 {
    if value.is_finite() { value } else { 0.0 }
}

/// Drops the bits below and above those that are stored, and extends the sign.
fn stored(value: u32, raw: &Raw, signed: bool) -> i32 {
    let above = 32 - u32::from(raw.stored.clamp(1, 32));
    let lifted = (value >> u32::from(raw.low_bit).min(31)) << above;
    if signed {
        lifted.cast_signed() >> above
    } else {
        (lifted >> above).cast_signed()
    }
}
