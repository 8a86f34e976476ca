//! Writing JPEG of lossless processes (ISO 10918-1 annex H): first-order prediction, selection value 1, so that the stream
//! fits both transfer syntaxes .57 and .70.

use super::huffman::{self, BitWriter, Codes, size_of};
use super::strip;

/// A picture to encode: 8 or 16 bits a sample, little endian, all samples of a pixel together.
pub(super) struct Picture<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) wide: bool,
    pub(super) rows: u16,
    pub(super) columns: u16,
    pub(super) samples: u8,
    pub(super) precision: u8,
}

/// Encodes a picture. `old` is the stream that it comes from: segments that say what colours mean are taken over.
pub(super) fn encode(picture: &Picture<'_>, old: &[u8]) -> Option<Vec<u8>> {
    let differences = differences(picture)?;
    let mut often = [0u64; 256];
    for difference in &differences {
        *often.get_mut(usize::from(size(*difference)))? += 1;
    }
    let (counts, symbols) = huffman::best_table(&often);
    let codes = Codes::of_table(&counts, &symbols)?;
    let mut out = vec![0xFF, 0xD8];
    let mut rest = old.get(2..)?;
    while let Some(segment) = strip::next_segment(rest) {
        let strip::Segment {
            code,
            body,
            whole,
            after,
        } = segment;
        match code {
            0xDA => break,
            0xE0..=0xEF if !strip::holds_text(code, body) => out.extend_from_slice(whole),
            _ => {}
        }
        rest = after;
    }
    let n = picture.samples;
    out.extend_from_slice(&[0xFF, 0xC3, 0, 8 + 3 * n, picture.precision]);
    out.extend_from_slice(&picture.rows.to_be_bytes());
    out.extend_from_slice(&picture.columns.to_be_bytes());
    out.push(n);
    let names = names(old, n);
    for name in &names {
        out.extend_from_slice(&[*name, 0x11, 0]);
    }
    out.extend(huffman::segment(0, &counts, &symbols));
    out.extend_from_slice(&[0xFF, 0xDA, 0, 6 + 2 * n, n]);
    for name in &names {
        out.extend_from_slice(&[*name, 0]);
    }
    out.extend_from_slice(&[1, 0, 0]);
    let mut writer = BitWriter::default();
    for difference in differences {
        let size = size(difference);
        let (code, len) = codes.get(size)?;
        writer.put(u32::from(code), len);
        // a difference of 32768 has no further bits, H.1.2.2
        if size < 16 {
            writer.extended(i32::from(difference), size);
        }
    }
    writer.marker(0xD9);
    out.extend(writer.into_bytes());
    Some(out)
}

fn size(difference: i16) -> u8 {
    size_of(i32::from(difference))
}

/// The names of components, as the old stream has them: some say that colours are RGB.
fn names(old: &[u8], count: u8) -> Vec<u8> {
    let mut rest = old;
    while let Some(strip::Segment { code, body, after, .. }) = strip::next_segment(rest) {
        if code == 0xC3 {
            let each = body.get(6..).unwrap_or_default().as_chunks::<3>().0;
            let names: Vec<u8> = each.iter().map(|[name, ..]| *name).collect();
            if names.len() == usize::from(count) {
                return names;
            }
        }
        if code == 0xDA {
            break;
        }
        rest = after;
    }
    (1..=count).collect()
}

/// Differences modulo 65536: to the left, in the first column to the sample above, at the very first to the middle (H.1.2.1).
fn differences(picture: &Picture<'_>) -> Option<Vec<i16>> {
    let samples = usize::from(picture.samples);
    let row = usize::from(picture.columns) * samples;
    let values: Vec<u16> = if picture.wide {
        picture
            .bytes
            .as_chunks::<2>()
            .0
            .iter()
            .map(|b| u16::from_le_bytes(*b))
            .collect()
    } else {
        picture.bytes.iter().map(|b| u16::from(*b)).collect()
    };
    if row == 0 || values.len() != row * usize::from(picture.rows) {
        return None;
    }
    let start = 1u16.checked_shl(u32::from(picture.precision) - 1)?;
    let mut out = Vec::with_capacity(values.len());
    let mut above: Vec<u16> = vec![start; samples];
    for line in values.chunks_exact(row) {
        let before = above.iter().chain(line);
        out.extend(
            line.iter()
                .zip(before)
                .map(|(value, before)| value.wrapping_sub(*before).cast_signed()),
        );
        above = line.get(..samples)?.to_vec();
    }
    Some(out)
}
