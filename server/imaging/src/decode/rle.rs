//! RLE, PS3.5 annex G: byte planes, most significant first, each a PackBits segment.

use crate::{Error, PixelFacts};

const DAMAGED: Error = Error::Damaged { what: "RLE segment" };

/// Decodes a frame into little endian planes, one per sample.
pub(super) fn decode(facts: &PixelFacts, frame: &[u8]) -> Result<Vec<u8>, Error> {
    let width = usize::from(facts.bits_allocated).div_ceil(8);
    let plane_bits = facts
        .pixels()
        .saturating_mul(if facts.bits_allocated == 1 { 1 } else { 8 });
    let plane = usize::try_from(plane_bits.div_ceil(8)).map_err(|_| DAMAGED)?;
    let samples = usize::from(facts.samples_per_pixel);
    let (header, _) = frame.split_first_chunk::<64>().ok_or(DAMAGED)?;
    let (words, _) = header.as_chunks::<4>();
    let mut words = words
        .iter()
        .map(|w| usize::try_from(u32::from_le_bytes(*w)).unwrap_or(usize::MAX));
    let count = words.next().unwrap_or(0);
    if count != width.saturating_mul(samples) || count > 15 {
        return Err(Error::Damaged {
            what: "number of RLE segments",
        });
    }
    let offsets: Vec<usize> = words.take(count).collect();
    let mut out = vec![0; plane.saturating_mul(count)];
    let mut segment = Vec::new();
    for (n, start) in offsets.iter().enumerate() {
        let end = offsets.get(n + 1).copied().unwrap_or(frame.len());
        segment.clear();
        unpack(frame.get(*start..end).ok_or(DAMAGED)?, plane, &mut segment)?;
        // segments of a sample go from the most significant byte down
        let (sample, byte) = (n / width, width - 1 - n % width);
        let sample = out.get_mut(sample * plane * width..).unwrap_or_default();
        for (pixel, value) in sample.chunks_exact_mut(width).zip(&segment) {
            if let Some(place) = pixel.get_mut(byte) {
                *place = *value;
            }
        }
    }
    Ok(out)
}

/// Undoes PackBits until `wanted` bytes are there; what follows is padding.
fn unpack(mut coded: &[u8], wanted: usize, out: &mut Vec<u8>) -> Result<(), Error> {
    while out.len() < wanted {
        let (&control, rest) = coded.split_first().ok_or(DAMAGED)?;
        match control {
            0..=127 => {
                let n = usize::from(control) + 1;
                let literal = rest.get(..n).ok_or(DAMAGED)?;
                out.extend_from_slice(literal);
                coded = rest.get(n..).unwrap_or_default();
            }
            128 => coded = rest,
            129.. => {
                let (&value, rest) = rest.split_first().ok_or(DAMAGED)?;
                out.resize(out.len() + 257 - usize::from(control), value);
                coded = rest;
            }
        }
    }
    out.truncate(wanted);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_literals_and_idle_codes_are_undone() {
        let mut out = Vec::new();
        unpack(&[2, 1, 2, 3, 128, 254, 9, 0, 7], 7, &mut out).unwrap();
        assert_eq!(out, [1, 2, 3, 9, 9, 9, 7]);
    }

    #[test]
    fn a_segment_that_ends_early_is_an_error() {
        for coded in [&[][..], &[5, 1, 2], &[200], &[0, 1]] {
            assert_eq!(unpack(coded, 100, &mut Vec::new()), Err(DAMAGED));
        }
    }
}
