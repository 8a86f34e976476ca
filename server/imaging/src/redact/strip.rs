//! Text in the headers of compressed streams: comments and application segments of JPEG and JPEG-LS, comments of
//! JPEG 2000 and the free boxes around it, and whatever follows the last marker (deid reference, section 13).
//!
//! Entropy coded data is looked through for markers and never changed. Kept are the segments that decoding needs or that
//! cannot hold text: JFIF without a thumbnail, Adobe, the colour transformation of JPEG-LS, ICC profiles.

use std::ops::Range;

/// What becomes of a part of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// It stays.
    Keep(Range<usize>),
    /// It stays in its place, as zeros: lengths elsewhere count it.
    Blank(Range<usize>),
}

/// The pieces of a stream in order, and how many bytes are gone or blank.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Cleaned {
    pub(super) pieces: Vec<Piece>,
    pub(super) bytes: u64,
}

impl Cleaned {
    fn keep(&mut self, range: Range<usize>) {
        match self.pieces.last_mut() {
            _ if range.is_empty() => {}
            Some(Piece::Keep(last)) if last.end == range.start => last.end = range.end,
            _ => self.pieces.push(Piece::Keep(range)),
        }
    }
}

/// A marker segment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Segment<'a> {
    /// The marker, without FF.
    pub(super) code: u8,
    pub(super) body: &'a [u8],
    /// All of it, marker and length too.
    pub(super) whole: &'a [u8],
    /// What follows.
    pub(super) after: &'a [u8],
}

/// Returns the next segment. Bytes before its marker are skipped: they are fill bytes, or entropy coded data.
pub(super) fn next_segment(rest: &[u8]) -> Option<Segment<'_>> {
    let mut at = 0;
    let code = loop {
        at += rest.get(at..)?.iter().position(|byte| *byte == 0xFF)?;
        match *rest.get(at + 1)? {
            // a stuffed zero or bit, restart markers, fill bytes
            0x00..=0x7F | 0xD0..=0xD7 => at += 2,
            0xFF => at += 1,
            code => break code,
        }
    };
    let from = rest.get(at + 2..)?;
    if matches!(code, 0xD8 | 0xD9) {
        return Some(Segment {
            code,
            body: &[],
            whole: rest.get(at..at + 2)?,
            after: from,
        });
    }
    let len = usize::from(u16::from_be_bytes(*from.first_chunk::<2>()?));
    Some(Segment {
        code,
        body: from.get(2..len)?,
        whole: rest.get(at..at + 2 + len)?,
        after: from.get(len..)?,
    })
}

/// Returns whether a segment of JPEG or JPEG-LS may hold text and is not needed.
pub(super) fn holds_text(code: u8, body: &[u8]) -> bool {
    match code {
        0xE0 => !(body.starts_with(b"JFIF\0") && body.len() == 14 && body.ends_with(&[0, 0])),
        0xE2 => !body.starts_with(b"ICC_PROFILE\0"),
        0xE8 => !(body.starts_with(b"mrfx") && body.len() == 5),
        0xEE => !(body.starts_with(b"Adobe") && body.len() == 12),
        0xE1..=0xEF | 0xFE => true,
        // reserved: nothing is known to need them
        0x80..=0xBF | 0xF0..=0xF6 | 0xF9..=0xFD => true,
        _ => false,
    }
}

/// Cleans a stream of JPEG or JPEG-LS; `None` where it is not one, or ends before its first scan.
pub(super) fn jpeg(stream: &[u8]) -> Option<Cleaned> {
    let mut rest = stream.strip_prefix(&[0xFF, 0xD8])?;
    let mut cleaned = Cleaned::default();
    cleaned.keep(0..2);
    let mut at = 2;
    let mut scans = 0;
    while let Some(segment) = next_segment(rest) {
        let Segment {
            code,
            body,
            whole,
            after,
        } = segment;
        let end = stream.len() - after.len();
        let start = end - whole.len();
        // entropy coded data and fill bytes before the marker
        cleaned.keep(at..start);
        if holds_text(code, body) {
            cleaned.bytes += whole.len() as u64;
        } else {
            cleaned.keep(start..end);
        }
        (rest, at) = (after, end);
        scans += u32::from(code == 0xDA);
        if code == 0xD9 {
            behind(&mut cleaned, stream, at);
            return (scans > 0).then_some(cleaned);
        }
    }
    // no end marker: what is left is entropy coded data
    cleaned.keep(at..stream.len());
    (scans > 0).then_some(cleaned)
}

/// What follows the end of a stream goes, if it is more than padding.
fn behind(cleaned: &mut Cleaned, stream: &[u8], end: usize) {
    let rest = stream.get(end..).unwrap_or_default();
    if rest.iter().all(|byte| *byte == 0) {
        cleaned.keep(end..stream.len());
    } else {
        cleaned.bytes += rest.len() as u64;
    }
}

fn word(stream: &[u8], at: usize) -> Option<usize> {
    stream
        .get(at..)?
        .first_chunk::<2>()
        .map(|b| usize::from(u16::from_be_bytes(*b)))
}

fn long(stream: &[u8], at: usize) -> Option<usize> {
    let bytes = stream.get(at..)?.first_chunk::<4>()?;
    usize::try_from(u32::from_be_bytes(*bytes)).ok()
}

/// Cleans a code stream of JPEG 2000, bare or within its file format (ISO 15444-1 annexes A and I).
pub(super) fn jpeg_2000(stream: &[u8]) -> Option<Cleaned> {
    let mut cleaned = Cleaned::default();
    if stream.starts_with(&[0xFF, 0x4F]) {
        code_stream(&mut cleaned, stream, 0)?;
        return Some(cleaned);
    }
    let mut at = 0;
    while at < stream.len() {
        let kind = stream.get(at + 4..at + 8)?;
        let (head, len) = match long(stream, at)? {
            0 => (8, stream.len() - at),
            1 => (
                16,
                usize::try_from(u64::from_be_bytes(*stream.get(at + 8..)?.first_chunk()?)).ok()?,
            ),
            len => (8, len),
        };
        let end = at.checked_add(len).filter(|end| len >= head && *end <= stream.len())?;
        if kind == b"jp2c" {
            cleaned.keep(at..at + head);
            code_stream(&mut cleaned, stream, at + head)?;
            return Some(cleaned);
        }
        cleaned.keep(at..at + head);
        if matches!(kind, b"jP  " | b"ftyp" | b"jp2h") {
            cleaned.keep(at + head..end);
        } else {
            cleaned.pieces.push(Piece::Blank(at + head..end));
            let filled = stream.get(at + head..end)?.iter().filter(|byte| **byte != 0);
            cleaned.bytes += filled.count() as u64;
        }
        at = end;
    }
    None
}

/// Comments of the main header go; those of tile-parts, whose lengths are written elsewhere, become blank.
fn code_stream(cleaned: &mut Cleaned, stream: &[u8], start: usize) -> Option<()> {
    let boxed = start > 0;
    cleaned.keep(start..start + 2);
    let mut at = start + 2;
    loop {
        let marker = word(stream, at)?;
        if marker == 0xFF90 {
            break;
        }
        let end = at + 2 + word(stream, at + 2)?;
        stream.get(at..end)?;
        match (marker, boxed) {
            (0xFF64, false) => cleaned.bytes += (end - at) as u64,
            // the box says how long the code stream is
            (0xFF64, true) => blank(cleaned, stream, at, end)?,
            _ => cleaned.keep(at..end),
        }
        at = end;
    }
    while word(stream, at) == Some(0xFF90) {
        let part_end = match long(stream, at + 6)? {
            0 => stream.len(),
            len => at.checked_add(len).filter(|end| len >= 14 && *end <= stream.len())?,
        };
        cleaned.keep(at..at + 12);
        at += 12;
        while word(stream, at)? != 0xFF93 {
            let end = at + 2 + word(stream, at + 2)?;
            stream.get(at..end)?;
            if word(stream, at)? == 0xFF64 {
                blank(cleaned, stream, at, end)?;
            } else {
                cleaned.keep(at..end);
            }
            at = end;
        }
        cleaned.keep(at..part_end);
        at = part_end;
    }
    if word(stream, at) == Some(0xFFD9) {
        cleaned.keep(at..at + 2);
        at += 2;
    }
    behind(cleaned, stream, at);
    Some(())
}

/// Keeps the marker, the length and the registration of a comment, and blanks its text.
fn blank(cleaned: &mut Cleaned, stream: &[u8], at: usize, end: usize) -> Option<()> {
    let text = (at + 6).min(end);
    cleaned.keep(at..text);
    cleaned.pieces.push(Piece::Blank(text..end));
    cleaned.bytes += stream.get(text..end)?.iter().filter(|byte| **byte != 0).count() as u64;
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(stream: &[u8], cleaned: &Cleaned) -> Vec<u8> {
        let piece = |piece: &Piece| match piece {
            Piece::Keep(range) => stream[range.clone()].to_vec(),
            Piece::Blank(range) => vec![0; range.len()],
        };
        cleaned.pieces.iter().flat_map(piece).collect()
    }

    #[test]
    fn comments_and_application_segments_go_wherever_they_stand() {
        let scan = [0xFF, 0xDA, 0, 4, 9, 9, 1, 0xFF, 0, 2, 0xFF, 0xD0, 3];
        let jfif = *b"\xFF\xE0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0";
        let comment = *b"\xFF\xFE\0\x06NAME";
        let exif = *b"\xFF\xE1\0\x0AExif\0\0ab";
        let dirty = [
            &[0xFF, 0xD8][..],
            &jfif,
            &comment,
            &exif,
            &scan,
            &comment,
            &scan,
            &[0xFF, 0xD9],
            b"TRAILER",
        ]
        .concat();
        let clean = [&[0xFF, 0xD8][..], &jfif, &scan, &scan, &[0xFF, 0xD9]].concat();
        let cleaned = jpeg(&dirty).unwrap();
        assert_eq!(joined(&dirty, &cleaned), clean);
        assert_eq!(cleaned.bytes, (dirty.len() - clean.len()) as u64);
        assert_eq!(jpeg(&clean).unwrap().bytes, 0);
        assert_eq!(jpeg(b"no stream"), None);
        assert_eq!(jpeg(&dirty[..20]), None);
    }

    #[test]
    fn comments_of_jpeg_2000_go_from_the_main_header_and_turn_blank_in_tile_parts() {
        let comment = *b"\xFF\x64\0\x08\0\x01NAME";
        let siz = [0xFF, 0x51, 0, 3, 1];
        let tile = |body: &[u8]| {
            let mut out = vec![0xFF, 0x90, 0, 10, 0, 0];
            out.extend_from_slice(&u32::try_from(12 + body.len()).unwrap().to_be_bytes());
            out.extend_from_slice(&[0, 1]);
            out.extend_from_slice(body);
            out
        };
        let dirty_tile = tile(&[&comment[..], &[0xFF, 0x93, 1, 2, 3]].concat());
        let clean_tile = tile(&[&b"\xFF\x64\0\x08\0\x01\0\0\0\0"[..], &[0xFF, 0x93, 1, 2, 3]].concat());
        let dirty = [&[0xFF, 0x4F][..], &siz, &comment, &dirty_tile, &[0xFF, 0xD9], b"X"].concat();
        let clean = [&[0xFF, 0x4F][..], &siz, &clean_tile, &[0xFF, 0xD9]].concat();
        let cleaned = jpeg_2000(&dirty).unwrap();
        assert_eq!(joined(&dirty, &cleaned), clean);
        assert_eq!(jpeg_2000(&clean).unwrap().bytes, 0);
        assert_eq!(jpeg_2000(&dirty[..12]), None);
    }
}
