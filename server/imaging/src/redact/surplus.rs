//! Bytes that no sample needs, in frames that have no markers: RLE, deflated and plain ones.
//!
//! Each is followed to its last sample. What lies between and behind goes; a frame that cannot be followed, or that is
//! longer than its header says and no padding, is `None`: it may be something else, with text in it.

use std::io::Read;

use super::strip::Cleaned;
use crate::PixelFacts;

/// Cleans a frame of RLE (PS3.5 annex G).
pub(super) fn rle(facts: &PixelFacts, frame: &[u8]) -> Option<Cleaned> {
    let width = usize::from(facts.bits_allocated).div_ceil(8);
    let bits = facts
        .pixels()
        .checked_mul(if facts.bits_allocated == 1 { 1 } else { 8 })?;
    let plane = usize::try_from(bits.div_ceil(8)).ok()?;
    let (words, _) = frame.first_chunk::<64>()?.as_chunks::<4>();
    let mut words = words.iter().map(|word| u32::from_le_bytes(*word));
    let count = usize::try_from(words.next()?).ok()?;
    if count != width * usize::from(facts.samples_per_pixel) || !(1..=15).contains(&count) {
        return None;
    }
    let offsets: Vec<usize> = words.take(count).map(usize::try_from).collect::<Result<_, _>>().ok()?;
    let mut cleaned = Cleaned::default();
    cleaned.keep(0..4 + 4 * count);
    cleaned.blank(frame, 4 + 4 * count..64);
    let mut at = 64;
    for (n, start) in offsets.iter().enumerate() {
        let end = offsets.get(n + 1).copied().unwrap_or(frame.len());
        if *start < at || end < *start || end > frame.len() {
            return None;
        }
        cleaned.blank(frame, at..*start);
        at = *start;
        let mut made = 0;
        while made < plane {
            let control = frame.get(..end)?.get(at)?;
            let (bytes, makes) = match control {
                0..=127 => (usize::from(*control) + 1, usize::from(*control) + 1),
                128 => (0, 0),
                129.. => (1, 257 - usize::from(*control)),
            };
            let next = at + 1 + bytes;
            if next > end {
                return None;
            }
            // a literal that goes on over the last pixel
            let over = if bytes > 1 {
                (made + makes).saturating_sub(plane)
            } else {
                0
            };
            cleaned.keep(at..next - over);
            cleaned.blank(frame, next - over..next);
            made += makes;
            at = next;
        }
    }
    super::strip::behind(&mut cleaned, frame, at);
    Some(cleaned)
}

/// Cleans a deflated frame: what its stream needs is kept.
pub(super) fn deflated(facts: &PixelFacts, frame: &[u8]) -> Option<Cleaned> {
    let wanted = facts.frame_bits().div_ceil(8);
    let mut decoder = flate2::bufread::DeflateDecoder::new(frame);
    // one byte of padding is nobody's
    let made = std::io::copy(&mut decoder.by_ref().take(wanted + 2), &mut std::io::sink()).ok()?;
    if made < wanted || made > wanted + 1 {
        return None;
    }
    let used = usize::try_from(decoder.total_in())
        .ok()
        .filter(|used| *used <= frame.len())?;
    let mut cleaned = Cleaned::default();
    cleaned.keep(0..used);
    super::strip::behind(&mut cleaned, frame, used);
    Some(cleaned)
}

/// Cleans a frame of plain samples.
pub(super) fn plain(facts: &PixelFacts, frame: &[u8]) -> Option<Cleaned> {
    let wanted = usize::try_from(facts.frame_bits().div_ceil(8)).ok()?;
    if frame.len() < wanted || frame.len() > wanted + 1 {
        return None;
    }
    let mut cleaned = Cleaned::default();
    cleaned.keep(0..wanted);
    super::strip::behind(&mut cleaned, frame, wanted);
    Some(cleaned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::facts;

    fn frame(segments: &[&[u8]], gap: &[u8]) -> Vec<u8> {
        let mut out = vec![0; 64];
        out[0] = u8::try_from(segments.len()).unwrap();
        for (n, segment) in segments.iter().enumerate() {
            let at = u32::try_from(out.len()).unwrap();
            out[4 + 4 * n..8 + 4 * n].copy_from_slice(&at.to_le_bytes());
            out.extend_from_slice(segment);
            out.extend_from_slice(gap);
        }
        out
    }

    #[test]
    fn text_between_and_behind_the_segments_of_rle_goes() {
        let facts = facts(2, 2, 16);
        let segments: [&[u8]; 2] = [&[253, 7], &[3, 1, 2, 3, 4]];
        let mut dirty = frame(&segments, b"NAME");
        dirty[60..64].copy_from_slice(b"NAME");
        let cleaned = rle(&facts, &dirty).unwrap();
        let clean = cleaned.joined(&dirty);
        assert_eq!(cleaned.bytes, 12);
        assert!(!clean.windows(4).any(|bytes| bytes == b"NAME"));
        assert_eq!(&clean[70..], [3, 1, 2, 3, 4]);
        assert_eq!(rle(&facts, &frame(&segments, &[0])).unwrap().bytes, 0);
        // a literal with more than the plane takes
        let long = frame(&[&[253, 7], &[7, 1, 2, 3, 4, b'N', b'A', b'M', b'E']], &[]);
        assert!(
            rle(&facts, &long)
                .unwrap()
                .joined(&long)
                .ends_with(&[1, 2, 3, 4, 0, 0, 0, 0])
        );
    }

    #[test]
    fn what_is_no_rle_is_none() {
        let facts = facts(2, 2, 16);
        let good = frame(&[&[253, 7], &[253, 7]], &[]);
        assert!(rle(&facts, &good).is_some());
        let mut backwards = good.clone();
        backwards[8] = 64;
        backwards[4] = 66;
        let one = frame(&[&[253, 7]], &[]);
        let short = frame(&[&[253, 7], &[3, 1]], &[]);
        for bad in [&backwards, &one, &short, &b"\xFF\xD8\xFF".repeat(40)] {
            assert_eq!(rle(&facts, bad), None);
        }
    }

    #[test]
    fn plain_and_deflated_frames_hold_their_samples_and_padding() {
        use std::io::Write;
        let facts = facts(3, 3, 8);
        assert_eq!(plain(&facts, &[9; 9]).unwrap().bytes, 0);
        assert_eq!(plain(&facts, &[9; 10]).unwrap().bytes, 1);
        assert_eq!(plain(&facts, &[9; 8]), None);
        assert_eq!(plain(&facts, b"nine byteNAME"), None);
        let deflate = |bytes: &[u8]| {
            let mut out = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
            out.write_all(bytes).unwrap();
            out.finish().unwrap()
        };
        let clean = deflate(&[9; 9]);
        assert_eq!(deflated(&facts, &clean).unwrap().bytes, 0);
        let dirty = [&clean[..], b"NAME"].concat();
        assert_eq!(deflated(&facts, &dirty).unwrap().joined(&dirty), clean);
        assert_eq!(deflated(&facts, &deflate(b"nine byteNAME")), None);
        assert_eq!(deflated(&facts, b"\xFF\xD8\xFF\xE0 stream"), None);
    }
}
