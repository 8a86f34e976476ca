//! The pieces of an edited element, and the tables that an encapsulated one begins with.

use std::io::Write;
use std::ops::Range;

use isocenter_deid::Part;
use isocenter_model::part10::{Fragment, PixelData};

use crate::Error;

const ITEM: [u8; 4] = [0xFE, 0xFF, 0x00, 0xE0];
const DELIMITER: [u8; 8] = [0xFE, 0xFF, 0xDD, 0xE0, 0, 0, 0, 0];

/// Offsets and lengths of an extended offset table.
type ExtendedOffsets = (Vec<u64>, Vec<u64>);

/// A growing list of pieces; neighbours that belong together become one.
pub(super) struct Parts<'a> {
    list: Vec<Part>,
    len: u64,
    scratch: &'a mut dyn Write,
    written: u64,
}

impl<'a> Parts<'a> {
    pub(super) fn new(scratch: &'a mut dyn Write) -> Self {
        Self {
            list: Vec::new(),
            len: 0,
            scratch,
            written: 0,
        }
    }

    /// Takes a range of the source as it is.
    pub(super) fn copy(&mut self, range: Range<u64>) {
        self.len += range.end.saturating_sub(range.start);
        match self.list.last_mut() {
            _ if range.is_empty() => {}
            Some(Part::Source(last)) if last.end == range.start => last.end = range.end,
            _ => self.list.push(Part::Source(range)),
        }
    }

    /// Takes new bytes by way of the scratch file.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.scratch.write_all(bytes).map_err(|e| Error::Source(e.kind()))?;
        let len = bytes.len() as u64;
        let range = self.written..self.written + len;
        (self.len, self.written) = (self.len + len, range.end);
        match self.list.last_mut() {
            _ if range.is_empty() => {}
            Some(Part::Scratch(last)) if last.end == range.start => last.end = range.end,
            _ => self.list.push(Part::Scratch(range)),
        }
        Ok(())
    }

    /// Takes a few own bytes.
    pub(super) fn put(&mut self, bytes: &[u8]) {
        self.len += bytes.len() as u64;
        match self.list.last_mut() {
            Some(Part::Bytes(last)) => last.extend_from_slice(bytes),
            _ => self.list.push(Part::Bytes(bytes.to_vec())),
        }
    }

    pub(super) fn into_list(self) -> Vec<Part> {
        self.list
    }
}

/// One frame of an encapsulated element: the pieces of its only fragment, in the list of all.
pub(super) struct Fragments<'a> {
    parts: Parts<'a>,
    /// Where in the list each fragment begins, and its length with padding.
    frames: Vec<(usize, u32)>,
    started: Option<(usize, u64)>,
}

impl<'a> Fragments<'a> {
    pub(super) fn new(scratch: &'a mut dyn Write) -> Self {
        Self {
            parts: Parts::new(scratch),
            frames: Vec::new(),
            started: None,
        }
    }

    /// Begins the fragment of the next frame.
    pub(super) fn begin(&mut self) -> &mut Parts<'a> {
        self.started = Some((self.parts.list.len(), self.parts.len));
        // a mark that keeps fragments apart; `finish` puts the item's header here
        self.parts.list.push(Part::Bytes(Vec::new()));
        &mut self.parts
    }

    /// Ends it; fragments are of even length (PS3.5 A.4).
    pub(super) fn end(&mut self) -> Result<(), Error> {
        let Some((at, from)) = self.started.take() else {
            return Ok(());
        };
        if (self.parts.len - from) % 2 == 1 {
            self.parts.put(&[0]);
        }
        let len = u32::try_from(self.parts.len - from).ok().filter(|len| *len < u32::MAX);
        let len = len.ok_or(Error::TooLarge {
            bytes: self.parts.len - from,
            limit: u64::from(u32::MAX),
        })?;
        self.frames.push((at, len));
        Ok(())
    }

    /// Puts the element together: its header, the offset table, the items, the delimiter. Returns the extended offset table
    /// and its lengths where the basic one cannot hold the offsets (PS3.5 A.4).
    pub(super) fn finish(self) -> (Vec<Part>, PixelData, Option<ExtendedOffsets>) {
        let mut offsets = Vec::with_capacity(self.frames.len());
        let mut at = 0u64;
        for (_, len) in &self.frames {
            offsets.push(at);
            at += 8 + u64::from(*len);
        }
        let lengths: Vec<u64> = self.frames.iter().map(|(_, len)| u64::from(*len)).collect();
        let basic: Option<Vec<u32>> = offsets.iter().map(|offset| u32::try_from(*offset).ok()).collect();
        let extended = basic.is_none().then(|| (offsets.clone(), lengths));
        let basic = basic.unwrap_or_default();
        // (7FE0,0010) OB of undefined length: encapsulated syntaxes are explicit little endian
        let mut head = vec![0xE0, 0x7F, 0x10, 0x00, b'O', b'B', 0, 0, 0xFF, 0xFF, 0xFF, 0xFF];
        head.extend_from_slice(&ITEM);
        head.extend_from_slice(&u32::try_from(basic.len() * 4).unwrap_or(0).to_le_bytes());
        head.extend(basic.iter().flat_map(|offset| offset.to_le_bytes()));
        let first = head.len() as u64;
        let mut list = self.parts.into_list();
        for (place, len) in &self.frames {
            if let Some(Part::Bytes(mark)) = list.get_mut(*place) {
                let mut item = ITEM.to_vec();
                item.extend_from_slice(&len.to_le_bytes());
                item.append(mark);
                *mark = item;
            }
        }
        list.insert(0, Part::Bytes(head));
        list.push(Part::Bytes(DELIMITER.to_vec()));
        let fragments = offsets.iter().zip(&self.frames).map(|(offset, (_, len))| Fragment {
            offset: first + offset + 8,
            len: *len,
        });
        let pixel_data = PixelData::Encapsulated {
            element_offset: 0,
            end_offset: first + at + 8,
            fragments: fragments.collect(),
            basic_offset_table: basic,
            unterminated: false,
        };
        (list, pixel_data, extended)
    }
}
