//! JPEG of sequential cosine blocks (ISO 10918-1 processes 1, 2 and 4: transfer syntaxes .50 and .51), edited without
//! decoding a picture: the blocks of a mask get one coefficient and no others, all other coefficients stay.
//!
//! ```text
//! scan -> symbols -> coefficients of a block -> hidden? black : the same -> symbols -> scan
//! ```
//!
//! The mask grows to whole MCUs, so that no colour difference is shared by a hidden and a visible block. The stream's own
//! Huffman tables are used; where an optimised table lacks the code that black needs, a new one is made for that scan.
//! CTP leaves hidden blocks at the brightness of the block before them; that style is kept for comparison.

use isocenter_deid::FillStyle;

use super::huffman::{self, BitWriter, Codes, size_of};
use super::mask::Mask;
use super::{fill, strip};
use crate::decode::bits::{Bits, Table, table_of};
use crate::{Error, PixelFacts};

const DAMAGED: Error = Error::Damaged { what: "JPEG stream" };
const UNSUPPORTED: Error = Error::Unsupported {
    what: "hiding blocks of this JPEG process",
};
/// Scans of honest sequential streams are at most one per component.
const MOST_SCANS: usize = 8;

struct Component {
    id: u8,
    h: usize,
    v: usize,
    quantizer: usize,
    /// Coefficient of a black block before quantization.
    black: i32,
}

/// A Huffman table as read and as written; the two differ after a new one was made.
#[derive(Clone, Default)]
struct Tables {
    read: Option<Table>,
    write: Option<Codes>,
}

struct Part {
    component: usize,
    dc: usize,
    ac: usize,
}

struct Editor<'a> {
    mask: &'a Mask,
    style: FillStyle,
    /// Black of each component, as samples.
    blacks: Vec<i32>,
    precision: u32,
    width: usize,
    height: usize,
    components: Vec<Component>,
    first_steps: [i32; 4],
    dc: [Tables; 4],
    ac: [Tables; 4],
    restart: usize,
}

/// Returns the stream with the blocks under the mask hidden.
///
/// # Errors
/// [`Error::Unsupported`] for progressive, arithmetic and lossless processes, [`Error::Damaged`] for what does not decode.
pub(super) fn hide(
    facts: &PixelFacts,
    mask: &Mask,
    style: FillStyle,
    rgb: bool,
    stream: &[u8],
) -> Result<Vec<u8>, Error> {
    let mut facts = facts.clone();
    let middle = |n: u16| {
        if rgb || n == 0 {
            0
        } else {
            1i64 << (facts.bits_stored.max(1) - 1)
        }
    };
    let blacks: Vec<i64> = if facts.samples_per_pixel == 1 {
        facts.padding = None;
        let value = fill::samples(&facts, FillStyle::Black).first().copied().unwrap_or(0);
        vec![i64::try_from(value).unwrap_or(0)]
    } else {
        (0..facts.samples_per_pixel).map(middle).collect()
    };
    let mut editor = Editor {
        mask,
        style,
        blacks: blacks.into_iter().map(|v| i32::try_from(v).unwrap_or(0)).collect(),
        precision: 8,
        width: 0,
        height: 0,
        components: Vec::new(),
        first_steps: [1; 4],
        dc: Default::default(),
        ac: Default::default(),
        restart: 0,
    };
    editor.stream(stream)
}

impl Editor<'_> {
    fn stream(&mut self, stream: &[u8]) -> Result<Vec<u8>, Error> {
        let mut rest = stream.strip_prefix(&[0xFF, 0xD8]).ok_or(DAMAGED)?;
        let mut out = Vec::with_capacity(stream.len());
        out.extend_from_slice(&[0xFF, 0xD8]);
        let mut scans = 0;
        while let Some(segment) = strip::next_segment(rest) {
            let strip::Segment {
                code,
                body,
                whole,
                after,
            } = segment;
            rest = after;
            match code {
                0xD9 => break,
                0xC0 | 0xC1 => self.frame(body).ok_or(DAMAGED)?,
                0xC2..=0xC3 | 0xC5..=0xCF | 0xDC => return Err(UNSUPPORTED),
                0xC4 => self.huffman(body).ok_or(DAMAGED)?,
                0xDB => self.quantizer(body).ok_or(DAMAGED)?,
                0xDD => {
                    let interval = body.first_chunk::<2>().ok_or(DAMAGED)?;
                    self.restart = usize::from(u16::from_be_bytes(*interval));
                }
                _ => {}
            }
            if code == 0xDA {
                scans += 1;
                if scans > MOST_SCANS {
                    return Err(DAMAGED);
                }
                let (coded, used) = self.scan(body, rest)?;
                out.extend_from_slice(&coded.tables);
                out.extend_from_slice(whole);
                out.extend_from_slice(&coded.data);
                rest = rest.get(used..).unwrap_or_default();
            } else if !strip::holds_text(code, body) {
                out.extend_from_slice(whole);
            }
        }
        if scans == 0 {
            return Err(DAMAGED);
        }
        out.extend_from_slice(&[0xFF, 0xD9]);
        Ok(out)
    }

    fn frame(&mut self, body: &[u8]) -> Option<()> {
        let [precision, h1, h0, w1, w0, count] = *body.first_chunk::<6>()?;
        let each = body.get(6..)?.as_chunks::<3>().0.get(..usize::from(count))?;
        if !self.components.is_empty() || !matches!(precision, 8 | 12) || each.len() != self.blacks.len() {
            return None;
        }
        self.precision = u32::from(precision);
        self.height = usize::from(u16::from_be_bytes([h1, h0]));
        self.width = usize::from(u16::from_be_bytes([w1, w0]));
        let middle = 1i32 << (precision - 1);
        for ([id, factors, quantizer], black) in each.iter().zip(&self.blacks) {
            let (h, v) = (usize::from(factors >> 4), usize::from(factors & 15));
            if !matches!((h, v, quantizer), (1..=4, 1..=4, 0..=3)) {
                return None;
            }
            // the first coefficient is eight times the mean, A.3.3; the level shift is A.3.1
            let black = ((*black).min(2 * middle - 1) - middle) * 8;
            self.components.push(Component {
                id: *id,
                h,
                v,
                quantizer: usize::from(*quantizer),
                black,
            });
        }
        (self.width > 0 && self.height > 0 && !self.components.is_empty()).then_some(())
    }

    fn quantizer(&mut self, mut body: &[u8]) -> Option<()> {
        while let Some((&head, rest)) = body.split_first() {
            let width = if head >> 4 == 0 { 1 } else { 2 };
            let first = rest.get(..width)?.iter().fold(0, |v, b| v << 8 | i32::from(*b));
            *self.first_steps.get_mut(usize::from(head & 15))? = first.max(1);
            body = rest.get(64 * width..)?;
        }
        Some(())
    }

    fn huffman(&mut self, mut body: &[u8]) -> Option<()> {
        while let Some((&head, rest)) = body.split_first() {
            let counts = rest.first_chunk::<16>()?;
            let total = counts.iter().map(|c| usize::from(*c)).sum::<usize>();
            let symbols = rest.get(16..16 + total)?;
            let tables = Tables {
                read: Some(table_of(counts, symbols)?),
                write: Some(Codes::of_table(counts, symbols)?),
            };
            let place = if head >> 4 == 0 { &mut self.dc } else { &mut self.ac };
            *place.get_mut(usize::from(head & 15))? = tables;
            body = rest.get(16 + total..)?;
        }
        Some(())
    }

    /// Writes a scan anew; returns it and how many bytes of `data` the old one took.
    fn scan(&mut self, body: &[u8], data: &[u8]) -> Result<(Coded, usize), Error> {
        let parts = self.scan_header(body).ok_or(DAMAGED)?;
        let hidden = self.hidden_units();
        let mut first = Coder::default();
        let used = self.walk(&parts, &hidden, data, &mut first).ok_or(DAMAGED)?;
        if first.missing.is_empty() {
            let data = first.writer.into_bytes();
            return Ok((
                Coded {
                    tables: Vec::new(),
                    data,
                },
                used,
            ));
        }
        let mut tables = Vec::new();
        for (ac, place) in &first.missing {
            let often = first.often.iter().find(|((a, p), _)| a == ac && p == place);
            let Some((_, often)) = often else { continue };
            let (counts, symbols) = huffman::best_table(often);
            tables.extend(huffman::segment(
                u8::from(*ac) << 4 | u8::try_from(*place).unwrap_or(0),
                &counts,
                &symbols,
            ));
            let all = if *ac { &mut self.ac } else { &mut self.dc };
            if let Some(table) = all.get_mut(*place) {
                table.write = Codes::of_table(&counts, &symbols);
            }
        }
        let mut second = Coder::default();
        self.walk(&parts, &hidden, data, &mut second).ok_or(DAMAGED)?;
        if !second.missing.is_empty() {
            return Err(Error::Encode);
        }
        let data = second.writer.into_bytes();
        Ok((Coded { tables, data }, used))
    }

    fn scan_header(&self, body: &[u8]) -> Option<Vec<Part>> {
        let (&count, rest) = body.split_first()?;
        let chosen = rest.get(..2 * usize::from(count))?.as_chunks::<2>().0;
        let part = |[id, tables]: &[u8; 2]| {
            Some(Part {
                component: self.components.iter().position(|c| c.id == *id)?,
                dc: usize::from(tables >> 4),
                ac: usize::from(tables & 15),
            })
        };
        let parts: Vec<Part> = chosen.iter().map(part).collect::<Option<_>>()?;
        (!parts.is_empty() && parts.len() <= 4).then_some(parts)
    }

    /// Returns the size of an MCU of the frame in pixels. Of a single component it is one block, whatever its factors.
    fn unit(&self) -> (usize, usize) {
        if self.components.len() == 1 {
            return (8, 8);
        }
        let most = |factor: fn(&Component) -> usize| 8 * self.components.iter().map(factor).max().unwrap_or(1);
        (most(|c| c.h), most(|c| c.v))
    }

    /// Returns for each MCU of the frame, row after row, whether the mask touches it.
    fn hidden_units(&self) -> Hidden {
        let (width, height) = self.unit();
        let across = self.width.div_ceil(width);
        let mut units = vec![false; across * self.height.div_ceil(height)];
        for (rows, columns) in self.mask.bands() {
            let place = |at: u32, size: usize| usize::try_from(at).unwrap_or(usize::MAX) / size;
            for y in place(rows.start, height)..=place(rows.end - 1, height) {
                for x in columns {
                    let from = y.saturating_mul(across).saturating_add(place(x.start, width));
                    let to = y.saturating_mul(across).saturating_add(place(x.end - 1, width));
                    if let Some(units) = units.get_mut(from..=to) {
                        units.fill(true);
                    }
                }
            }
        }
        Hidden { across, units }
    }

    /// Reads a scan block by block and hands each on, changed where it is hidden.
    fn walk(&self, parts: &[Part], hidden: &Hidden, data: &[u8], coder: &mut Coder) -> Option<usize> {
        let mut bits = Bits::new(data);
        let most_h = self.components.iter().map(|c| c.h).max()?;
        let most_v = self.components.iter().map(|c| c.v).max()?;
        let single = parts.len() == 1;
        let alone = self.components.len() == 1;
        // one component: its own blocks; several: MCUs of all of them, A.2
        let (across, down) = match parts {
            [part] => {
                let c = self.components.get(part.component)?;
                let samples = |size: usize, factor: usize, most: usize| (size * factor).div_ceil(most).div_ceil(8);
                (samples(self.width, c.h, most_h), samples(self.height, c.v, most_v))
            }
            _ => (self.width.div_ceil(8 * most_h), self.height.div_ceil(8 * most_v)),
        };
        let mut read_dc = [0i32; 4];
        let mut wrote_dc = [0i32; 4];
        let mut restarts = 0u8;
        for n in 0..across.checked_mul(down)? {
            if self.restart > 0 && n > 0 && n % self.restart == 0 {
                bits.restart()?;
                coder.writer.marker(0xD0 + restarts % 8);
                restarts = restarts.wrapping_add(1);
                (read_dc, wrote_dc) = ([0; 4], [0; 4]);
            }
            let (row, column) = (n / across, n % across);
            for part in parts {
                let c = self.components.get(part.component)?;
                let (h, v) = if single { (1, 1) } else { (c.h, c.v) };
                let unit = match (single, alone) {
                    (true, false) => hidden.at(row / c.v, column / c.h),
                    _ => hidden.at(row, column),
                };
                let (dc, ac) = (self.dc.get(part.dc)?, self.ac.get(part.ac)?);
                let mut block = [0i32; 64];
                for _ in 0..h * v {
                    let read = read_dc.get_mut(part.component)?;
                    read_block(&mut bits, dc.read.as_ref()?, ac.read.as_ref()?, read, &mut block)?;
                    let wrote = wrote_dc.get_mut(part.component)?;
                    if unit {
                        block = [0; 64];
                        let step = *self.first_steps.get(c.quantizer)?;
                        let black = (2 * c.black + step * c.black.signum()) / (2 * step);
                        *block.first_mut()? = if self.style == FillStyle::Ctp { *wrote } else { black };
                    }
                    coder.block(
                        &block,
                        wrote,
                        (part.dc, dc.write.as_ref()?),
                        (part.ac, ac.write.as_ref()?),
                    )?;
                }
            }
        }
        Some(bits.position())
    }
}

struct Coded {
    /// DHT segments that go before the scan.
    tables: Vec<u8>,
    data: Vec<u8>,
}

struct Hidden {
    across: usize,
    units: Vec<bool>,
}

impl Hidden {
    fn at(&self, row: usize, column: usize) -> bool {
        self.units.get(row * self.across + column).copied().unwrap_or(false)
    }
}

/// Reads a block: F.2.2.1 and F.2.2.2, coefficients in zigzag order.
fn read_block(bits: &mut Bits<'_>, dc: &Table, ac: &Table, last: &mut i32, block: &mut [i32; 64]) -> Option<()> {
    *block = [0; 64];
    let size = bits.symbol(dc)?;
    *last = last.checked_add(bits.extended(size)?)?;
    *block.first_mut()? = *last;
    let mut k = 1;
    while k < 64 {
        let symbol = bits.symbol(ac)?;
        let (zeros, size) = (usize::from(symbol >> 4), symbol & 15);
        if size == 0 {
            if zeros < 15 {
                break;
            }
            k += 16;
            continue;
        }
        k += zeros;
        *block.get_mut(k)? = bits.extended(size)?;
        k += 1;
    }
    Some(())
}

/// Which Huffman table: whether of AC, and its place.
type Key = (bool, usize);

/// Writes blocks, and counts symbols, for the case that a table lacks one.
#[derive(Default)]
struct Coder {
    writer: BitWriter,
    /// Tables that lack a symbol.
    missing: Vec<Key>,
    often: Vec<(Key, Box<[u64; 256]>)>,
}

impl Coder {
    fn symbol(&mut self, ac: bool, (place, codes): (usize, &Codes), symbol: u8) -> Option<()> {
        let key = (ac, place);
        let at = match self.often.iter().position(|(k, _)| *k == key) {
            Some(at) => at,
            None => {
                self.often.push((key, Box::new([0; 256])));
                self.often.len() - 1
            }
        };
        *self.often.get_mut(at)?.1.get_mut(usize::from(symbol))? += 1;
        match codes.get(symbol) {
            Some((code, len)) => self.writer.put(u32::from(code), len),
            None if !self.missing.contains(&key) => self.missing.push(key),
            None => {}
        }
        Some(())
    }

    /// F.1.2.1 and F.1.2.2.
    fn block(&mut self, block: &[i32; 64], last: &mut i32, dc: (usize, &Codes), ac: (usize, &Codes)) -> Option<()> {
        let (first, others) = block.split_first()?;
        let difference = first.checked_sub(*last)?;
        *last = *first;
        let size = size_of(difference);
        if size > 15 {
            return None;
        }
        self.symbol(false, dc, size)?;
        self.writer.extended(difference, size);
        let mut zeros = 0u8;
        for value in others {
            if *value == 0 {
                zeros += 1;
                continue;
            }
            while zeros > 15 {
                self.symbol(true, ac, 0xF0)?;
                zeros -= 16;
            }
            let size = size_of(*value);
            if size > 15 {
                return None;
            }
            self.symbol(true, ac, zeros << 4 | size)?;
            self.writer.extended(*value, size);
            zeros = 0;
        }
        if zeros > 0 {
            self.symbol(true, ac, 0)?;
        }
        Some(())
    }
}
