//! Text in the headers of JPEG and JPEG-LS: comments, application segments, and bytes before, between and behind the
//! segments (deid reference, section 13).
//!
//! Entropy coded data is looked through for markers and never changed. Kept are the segments that decoding needs or that
//! cannot hold text: JFIF without a thumbnail, Adobe, the colour transformation of JPEG-LS, ICC profiles. A stream that
//! cannot be followed from its first marker to its last is no stream that may go out: the answer is `None`.

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
    pub(super) fn keep(&mut self, range: Range<usize>) {
        match self.pieces.last_mut() {
            _ if range.is_empty() => {}
            Some(Piece::Keep(last)) if last.end == range.start => last.end = range.end,
            _ => self.pieces.push(Piece::Keep(range)),
        }
    }

    /// Leaves a part out.
    pub(super) fn cut(&mut self, range: Range<usize>) {
        self.bytes += range.len() as u64;
    }

    /// Turns what is not zero in a part to zero.
    pub(super) fn blank(&mut self, stream: &[u8], range: Range<usize>) {
        let filled = stream.get(range.clone()).unwrap_or_default().iter();
        let filled = filled.filter(|byte| **byte != 0).count() as u64;
        if filled == 0 {
            self.keep(range);
        } else {
            self.bytes += filled;
            self.pieces.push(Piece::Blank(range));
        }
    }

    /// Returns the stream that is left.
    pub(super) fn joined(&self, stream: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(stream.len());
        for piece in &self.pieces {
            match piece {
                Piece::Keep(range) => out.extend_from_slice(stream.get(range.clone()).unwrap_or_default()),
                Piece::Blank(range) => out.resize(out.len() + range.len(), 0),
            }
        }
        out
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

/// Cleans a stream of JPEG or JPEG-LS. `None` where something in it is neither known nor certain to be coded samples: no
/// frame header, a segment longer than what it holds, a scan that no marker ends.
///
/// Bytes before the stream, between its segments and behind its end are nobody's, and go.
pub(super) fn jpeg(stream: &[u8]) -> Option<Cleaned> {
    let start = stream.windows(2).position(|bytes| bytes == [0xFF, 0xD8])?;
    let mut cleaned = Cleaned::default();
    cleaned.cut(0..start);
    cleaned.keep(start..start + 2);
    let mut at = start + 2;
    let (mut frame, mut scans) = (None, 0u32);
    loop {
        let marker = next_marker(stream, at)?;
        let gap = stream.get(at..marker)?;
        if gap.iter().all(|byte| *byte == 0xFF) {
            cleaned.keep(at..marker);
        } else {
            cleaned.cut(at..marker);
        }
        at = marker + 2;
        let code = *stream.get(marker + 1)?;
        match code {
            // they belong into scans, or to nobody
            0x01..=0xBF | 0xD0..=0xD7 => {
                cleaned.cut(marker..at);
                continue;
            }
            0xD9 if scans > 0 => {
                cleaned.keep(marker..at);
                behind(&mut cleaned, stream, at);
                return Some(cleaned);
            }
            0xC8 | 0xD8 | 0xD9 => return None,
            _ => {}
        }
        let end = at + word(stream, at)?;
        let body = stream.get(at + 2..end)?;
        if holds_text(code, body) {
            cleaned.cut(marker..end);
        } else if is_whole(code, body) {
            cleaned.keep(marker..end);
        } else {
            return None;
        }
        at = end;
        match code {
            0xC4 | 0xCC => {}
            0xC0..=0xCF | 0xF7 if frame.is_some() => return None,
            0xC0..=0xCF | 0xF7 => frame = Some(code),
            0xDA => {
                let end = scan_end(stream, at, frame? == 0xF7)?;
                cleaned.keep(at..end);
                at = end;
                scans += 1;
            }
            _ => {}
        }
    }
}

/// Returns where the next marker begins, at its last fill byte.
fn next_marker(stream: &[u8], from: usize) -> Option<usize> {
    let pairs = stream.get(from..)?.windows(2);
    let is_marker = |pair: &[u8]| matches!(pair, [0xFF, code] if !matches!(code, 0x00 | 0xFF));
    Some(from + pairs.into_iter().position(is_marker)?)
}

/// Returns where the entropy coded data that begin at `at` end: at a marker that they cannot hold.
fn scan_end(stream: &[u8], mut at: usize, ls: bool) -> Option<usize> {
    loop {
        at += stream.get(at..)?.iter().position(|byte| *byte == 0xFF)?;
        match *stream.get(at + 1)? {
            0x00 | 0xD0..=0xD7 => at += 2,
            // JPEG-LS stuffs a single bit
            0x01..=0x7F if ls => at += 2,
            0xFF => at += 1,
            0x01..=0xBF => return None,
            _ => return Some(at),
        }
    }
}

/// Returns whether a segment holds what its kind says and nothing more (ISO 10918-1 B.2, ISO 14495-1 C.2).
fn is_whole(code: u8, body: &[u8]) -> bool {
    let count = |at: usize| body.get(at).map_or(0, |count| usize::from(*count));
    match code {
        0xC4 => tables(body, |table| {
            let counts = table.get(1..17)?;
            Some(17 + counts.iter().map(|count| usize::from(*count)).sum::<usize>())
        }),
        0xDB => tables(body, |table| match table.first()? >> 4 {
            0 => Some(65),
            1 => Some(129),
            _ => None,
        }),
        0xCC => body.len().is_multiple_of(2) && body.len() <= 64,
        0xC0..=0xCF | 0xDE | 0xF7 => body.len() == 6 + 3 * count(5),
        0xDA => body.len() == 4 + 2 * count(0),
        0xDC => body.len() == 2,
        0xDD => (2..=4).contains(&body.len()),
        0xDF => body.len() == 1,
        0xF8 => count(0) == 1 && body.len() == 11 || count(0) == 4 && body.len() <= 10,
        // those that `holds_text` knows
        0xE0..=0xEF => true,
        _ => false,
    }
}

/// Returns whether tables fill a segment; `len` tells how long the first of the rest is.
fn tables(mut body: &[u8], len: impl Fn(&[u8]) -> Option<usize>) -> bool {
    while !body.is_empty() {
        let Some(rest) = len(body).and_then(|len| body.get(len..)) else {
            return false;
        };
        body = rest;
    }
    true
}

/// What follows the end of a stream goes, if it is more than padding.
pub(super) fn behind(cleaned: &mut Cleaned, stream: &[u8], end: usize) {
    let rest = stream.get(end..).unwrap_or_default();
    if rest.iter().all(|byte| *byte == 0) {
        cleaned.keep(end..stream.len());
    } else {
        cleaned.cut(end..stream.len());
    }
}

pub(super) fn word(stream: &[u8], at: usize) -> Option<usize> {
    stream
        .get(at..)?
        .first_chunk::<2>()
        .map(|b| usize::from(u16::from_be_bytes(*b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: [u8; 13] = [0xFF, 0xC0, 0, 11, 8, 0, 8, 0, 8, 1, 1, 0x11, 0];
    const SCAN: [u8; 18] = [0xFF, 0xDA, 0, 8, 1, 1, 0, 0, 63, 0, 1, 0xFF, 0, 2, 0xFF, 0xD0, 3, 4];
    const END: [u8; 2] = [0xFF, 0xD9];

    #[test]
    fn comments_and_application_segments_go_wherever_they_stand() {
        let jfif = *b"\xFF\xE0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0";
        let comment = *b"\xFF\xFE\0\x06NAME";
        let exif = *b"\xFF\xE1\0\x0AExif\0\0ab";
        let start = [0xFF, 0xD8];
        let dirty: Vec<&[u8]> = vec![
            &start, &jfif, &comment, &FRAME, &exif, &SCAN, &comment, &SCAN, &END, b"TRAILER",
        ];
        let dirty = dirty.concat();
        let clean: Vec<&[u8]> = vec![&start, &jfif, &FRAME, &SCAN, &SCAN, &END];
        let clean = clean.concat();
        let cleaned = jpeg(&dirty).unwrap();
        assert_eq!(cleaned.joined(&dirty), clean);
        assert_eq!(cleaned.bytes, (dirty.len() - clean.len()) as u64);
        assert_eq!(jpeg(&clean).unwrap().bytes, 0);
        assert_eq!(jpeg(b"no stream"), None);
        assert_eq!(jpeg(&dirty[..20]), None);
    }

    #[test]
    fn text_outside_of_segments_goes_and_fill_bytes_stay() {
        let start = [0xFF, 0xD8];
        let clean = [&start[..], &FRAME, &SCAN, &END].concat();
        for (before, between) in [
            (&b"NAME"[..], &b""[..]),
            (b"\xFF", b"NAME"),
            (b"", b"NA\xFF\x41ME\xFF\0"),
        ] {
            let dirty = [before, &start, between, &FRAME, &SCAN, &END].concat();
            let cleaned = jpeg(&dirty).unwrap();
            assert_eq!(cleaned.joined(&dirty), clean);
            assert_eq!(cleaned.bytes, (before.len() + between.len()) as u64);
        }
        let filled = [&start[..], b"\xFF\xFF", &FRAME, &SCAN, &END].concat();
        assert_eq!(jpeg(&filled).unwrap().bytes, 0);
    }

    #[test]
    fn a_stream_that_cannot_be_followed_to_its_end_is_none() {
        let start = [0xFF, 0xD8];
        let whole = [&start[..], &FRAME, &SCAN, &END].concat();
        assert!(jpeg(&whole).is_some());
        for broken in [
            // a comment that says to be longer than the rest
            &[&start[..], &FRAME, &SCAN, b"\xFF\xFE\x7F\xFFNAME", &END].concat(),
            &[&start[..], &FRAME, &SCAN, b"\xFF\xFE\0\x06NA"].concat(),
            // no end, no frame header, two of them
            &[&start[..], &FRAME, &SCAN].concat(),
            &[&start[..], &SCAN, &END].concat(),
            &[&start[..], &FRAME, &FRAME, &SCAN, &END].concat(),
            // text within a segment
            &[&start[..], &FRAME, b"\xFF\xDD\0\x0ARESTNAME", &SCAN, &END].concat(),
            &[&start[..], &FRAME, b"\xFF\xDB\0\x08\0NAME1", &SCAN, &END].concat(),
        ] {
            assert_eq!(jpeg(broken), None, "{broken:?}");
        }
    }
}
