//! Text around the code streams of JPEG 2000: comments, free boxes, bytes behind the end (ISO 15444-1 annexes A and I).
//!
//! Only markers and boxes that are known stay. The others go, and where what they say cannot be followed the answer is
//! `None`: nothing of such a stream may go out.

use super::strip::{Cleaned, behind, word};

/// Boxes of an image header that decoding needs.
const HEADER_BOXES: [&[u8; 4]; 7] = [b"ihdr", b"bpcc", b"colr", b"pclr", b"cmap", b"cdef", b"res "];

fn long(stream: &[u8], at: usize) -> Option<usize> {
    let bytes = stream.get(at..)?.first_chunk::<4>()?;
    usize::try_from(u32::from_be_bytes(*bytes)).ok()
}

/// Returns whether a stream begins as JPEG 2000, bare or within its file format.
pub(super) fn is_one(stream: &[u8]) -> bool {
    stream.starts_with(&[0xFF, 0x4F]) || stream.starts_with(b"\0\0\0\x0CjP  ")
}

/// Cleans a code stream, bare or within its file format.
pub(super) fn clean(stream: &[u8]) -> Option<Cleaned> {
    let mut cleaned = Cleaned::default();
    if stream.starts_with(&[0xFF, 0x4F]) {
        code_stream(&mut cleaned, stream, 0)?;
        return Some(cleaned);
    }
    let mut at = 0;
    while at < stream.len() {
        let Box { kind, body, end } = next_box(stream, at, stream.len())?;
        cleaned.keep(at..body);
        match &kind {
            b"jp2c" => {
                code_stream(&mut cleaned, stream, body)?;
                return Some(cleaned);
            }
            b"jP  " if end - body == 4 => cleaned.keep(body..end),
            // brands, four letters each
            b"ftyp" if end - body <= 32 => cleaned.keep(body..end),
            b"jp2h" => {
                let mut inner = body;
                while inner < end {
                    let part = next_box(stream, inner, end)?;
                    cleaned.keep(inner..part.body);
                    if HEADER_BOXES.contains(&&part.kind) {
                        cleaned.keep(part.body..part.end);
                    } else {
                        cleaned.blank(stream, part.body..part.end);
                    }
                    inner = part.end;
                }
            }
            _ => cleaned.blank(stream, body..end),
        }
        at = end;
    }
    None
}

struct Box {
    kind: [u8; 4],
    /// Where its content begins.
    body: usize,
    end: usize,
}

fn next_box(stream: &[u8], at: usize, limit: usize) -> Option<Box> {
    let kind = *stream.get(at + 4..)?.first_chunk::<4>()?;
    let (head, len) = match long(stream, at)? {
        0 => (8, limit.checked_sub(at)?),
        1 => (
            16,
            usize::try_from(u64::from_be_bytes(*stream.get(at + 8..)?.first_chunk()?)).ok()?,
        ),
        len => (8, len),
    };
    let end = at.checked_add(len).filter(|end| len >= head && *end <= limit)?;
    Some(Box {
        kind,
        body: at + head,
        end,
    })
}

/// Comments of the main header go; those of tile-parts, whose lengths are written elsewhere, become blank.
fn code_stream(cleaned: &mut Cleaned, stream: &[u8], start: usize) -> Option<()> {
    let boxed = start > 0;
    if word(stream, start)? != 0xFF4F {
        return None;
    }
    cleaned.keep(start..start + 2);
    let mut at = start + 2;
    while word(stream, at)? != 0xFF90 {
        let end = segment(stream, at)?;
        match (word(stream, at)?, boxed) {
            (0xFF64, false) => cleaned.cut(at..end),
            // the box says how long the code stream is
            (0xFF64, true) => blank(cleaned, stream, at, end),
            _ => cleaned.keep(at..end),
        }
        at = end;
    }
    while word(stream, at) == Some(0xFF90) {
        if word(stream, at + 2)? != 10 {
            return None;
        }
        let told = match long(stream, at + 6)? {
            0 => None,
            len => Some(at.checked_add(len).filter(|end| len >= 14 && *end <= stream.len())?),
        };
        cleaned.keep(at..at + 12);
        at += 12;
        while word(stream, at)? != 0xFF93 {
            let end = segment(stream, at)?;
            if word(stream, at)? == 0xFF64 {
                blank(cleaned, stream, at, end);
            } else {
                cleaned.keep(at..end);
            }
            at = end;
        }
        // no length is told: packets go on to the end marker, which they cannot hold (A.1)
        let end = match told {
            Some(end) => end,
            None => at + stream.get(at..)?.windows(2).position(|pair| pair == [0xFF, 0xD9])?,
        };
        if end < at + 2 {
            return None;
        }
        cleaned.keep(at..end);
        at = end;
    }
    if word(stream, at) == Some(0xFFD9) {
        cleaned.keep(at..at + 2);
        at += 2;
    }
    behind(cleaned, stream, at);
    Some(())
}

/// Returns the end of a marker segment of a header, where it is a known one (ISO 15444-1 table A.2, 15444-15 A.2).
fn segment(stream: &[u8], at: usize) -> Option<usize> {
    const PRF_CAP: std::ops::RangeInclusive<usize> = 0xFF50..=0xFF53;
    let marker = word(stream, at)?;
    let known = PRF_CAP.contains(&marker)
        || matches!(
            marker,
            0xFF55..=0xFF5F | 0xFF60 | 0xFF61 | 0xFF63 | 0xFF64 | 0xFF74 | 0xFF78 | 0xFF79
        );
    let len = word(stream, at + 2).filter(|len| known && *len >= 2)?;
    let end = at + 2 + len;
    stream.get(at..end)?;
    Some(end)
}

/// Keeps the marker, the length and the registration of a comment, and blanks its text.
fn blank(cleaned: &mut Cleaned, stream: &[u8], at: usize, end: usize) {
    let text = (at + 6).min(end);
    cleaned.keep(at..text);
    cleaned.blank(stream, text..end);
}

#[cfg(test)]
mod tests {

    const SIZ: [u8; 5] = [0xFF, 0x51, 0, 3, 1];

    fn tile(body: &[u8]) -> Vec<u8> {
        let mut out = vec![0xFF, 0x90, 0, 10, 0, 0];
        out.extend_from_slice(&u32::try_from(12 + body.len()).unwrap().to_be_bytes());
        out.extend_from_slice(&[0, 1]);
        out.extend_from_slice(body);
        out
    }

    fn boxed(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
        let len = u32::try_from(8 + body.len()).unwrap().to_be_bytes();
        [&len[..], kind, body].concat()
    }

    #[test]
    fn comments_go_from_the_main_header_and_turn_blank_in_tile_parts() {
        let comment = *b"\xFF\x64\0\x08\0\x01NAME";
        let dirty_tile = tile(&[&comment[..], &[0xFF, 0x93, 1, 2, 3]].concat());
        let clean_tile = tile(&[&b"\xFF\x64\0\x08\0\x01\0\0\0\0"[..], &[0xFF, 0x93, 1, 2, 3]].concat());
        let dirty = [&[0xFF, 0x4F][..], &SIZ, &comment, &dirty_tile, &[0xFF, 0xD9], b"X"].concat();
        let clean = [&[0xFF, 0x4F][..], &SIZ, &clean_tile, &[0xFF, 0xD9]].concat();
        let cleaned = super::clean(&dirty).unwrap();
        assert_eq!(cleaned.joined(&dirty), clean);
        assert_eq!(super::clean(&clean).unwrap().bytes, 0);
        assert_eq!(super::clean(&dirty[..12]), None);
    }

    #[test]
    fn what_follows_the_end_of_a_last_tile_part_without_a_length_goes() {
        let mut part = tile(&[0xFF, 0x93, 1, 2, 3]);
        part[6..10].fill(0);
        let clean = [&[0xFF, 0x4F][..], &SIZ, &part, &[0xFF, 0xD9]].concat();
        let dirty = [&clean[..], b"NAME"].concat();
        let cleaned = super::clean(&dirty).unwrap();
        assert_eq!(cleaned.joined(&dirty), clean);
    }

    #[test]
    fn free_boxes_turn_blank_and_unknown_markers_are_none() {
        let stream = [&[0xFF, 0x4F][..], &SIZ, &tile(&[0xFF, 0x93, 1]), &[0xFF, 0xD9]].concat();
        let header = [boxed(b"ihdr", &[1; 14]), boxed(b"lbl ", b"NAME")].concat();
        let parts = [
            boxed(b"jP  ", &[0x0D, 0x0A, 0x87, 0x0A]),
            boxed(b"xml ", b"NAME"),
            boxed(b"jp2h", &header),
            boxed(b"jp2c", &stream),
            boxed(b"xml ", b"NAME"),
        ];
        let dirty = parts.concat();
        let cleaned = super::clean(&dirty).unwrap();
        assert!(!cleaned.joined(&dirty).windows(4).any(|bytes| bytes == b"NAME"));
        assert!(cleaned.joined(&dirty).ends_with(&stream));
        let unknown = [&[0xFF, 0x4F][..], &SIZ, b"\xFF\x30\0\x06NAME", &tile(&[0xFF, 0x93, 1])].concat();
        assert_eq!(super::clean(&unknown), None);
    }
}
