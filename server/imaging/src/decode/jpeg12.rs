//! JPEG of 12 bits a sample, ISO 10918-1 processes 4 (extended sequential) and the retired progressive ones: the transfer
//! syntaxes .51, .53 and .55. The codec used for the others reads 8 bits only, and the C library that reads 12 would bring
//! unsafe code here.
//!
//! Huffman coding only, as in DICOM. Speed is second to saying no: whatever the stream holds, every read is checked, the
//! number of scans is bounded, and the caller has compared the announced size with the header.

use super::bits::{Bits, Table, table_of};

/// Zigzag order: place in a block of each coefficient, figure A.6.
const ZIGZAG: [usize; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21,
    28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54,
    47, 55, 62, 63,
];
const MOST_SCANS: usize = 256;

type Block = [i32; 64];

struct Component {
    id: u8,
    h: usize,
    v: usize,
    quantizer: usize,
    /// Blocks across and down, filled up to whole MCUs.
    across: usize,
    down: usize,
    /// Blocks across and down that hold samples.
    used: (usize, usize),
    blocks: Vec<Block>,
    last_dc: i32,
}

struct Scan {
    /// Place of the component, its DC table and its AC table.
    parts: Vec<(usize, usize, usize)>,
    first: usize,
    last: usize,
    high: u32,
    low: u32,
}

#[derive(Default)]
struct Decoder {
    width: usize,
    height: usize,
    progressive: bool,
    components: Vec<Component>,
    quantizers: [Option<Vec<i32>>; 4],
    dc: [Option<Table>; 4],
    ac: [Option<Table>; 4],
    restart: usize,
}

/// Decodes a picture into samples, pixel after pixel; `None` where the stream is damaged.
pub(super) fn decode(stream: &[u8]) -> Option<Vec<u16>> {
    let mut decoder = Decoder::default();
    let mut rest = stream.strip_prefix(&[0xFF, 0xD8])?;
    let mut scans = 0;
    loop {
        let start = rest.iter().position(|b| *b == 0xFF)?;
        let marker = rest.get(start..)?.iter().position(|b| *b != 0xFF)? + start;
        let code = *rest.get(marker)?;
        rest = rest.get(marker + 1..)?;
        if matches!(code, 0xD0..=0xD7 | 0x00 | 0x01) {
            continue;
        }
        if code == 0xD9 {
            return if scans > 0 { decoder.picture() } else { None };
        }
        let len = usize::from(u16::from_be_bytes(*rest.first_chunk::<2>()?));
        let body = rest.get(2..len)?;
        rest = rest.get(len..)?;
        match code {
            0xC0..=0xC2 => decoder.frame(body, code == 0xC2)?,
            0xC3 | 0xC5..=0xC7 | 0xC9..=0xCF => return None,
            0xC4 => decoder.huffman(body)?,
            0xDB => decoder.quantizer(body)?,
            0xDD => decoder.restart = usize::from(u16::from_be_bytes(*body.first_chunk::<2>()?)),
            0xDA => {
                scans += 1;
                if scans > MOST_SCANS {
                    return None;
                }
                let scan = decoder.scan_header(body)?;
                let used = decoder.scan(&scan, rest)?;
                rest = rest.get(used..)?;
                // some writers forget the last marker
                if rest.is_empty() {
                    return decoder.picture();
                }
            }
            _ => {}
        }
    }
}

impl Decoder {
    fn frame(&mut self, body: &[u8], progressive: bool) -> Option<()> {
        if !self.components.is_empty() {
            return None;
        }
        let [_, h1, h0, w1, w0, count] = *body.first_chunk::<6>()?;
        self.height = usize::from(u16::from_be_bytes([h1, h0]));
        self.width = usize::from(u16::from_be_bytes([w1, w0]));
        self.progressive = progressive;
        let (each, _) = body.get(6..)?.as_chunks::<3>();
        let each = each
            .get(..usize::from(count))
            .filter(|each| !each.is_empty() && each.len() <= 4)?;
        let factor = |f: u8| (usize::from(f >> 4), usize::from(f & 15));
        let in_range = each
            .iter()
            .all(|[_, f, q]| matches!(factor(*f), (1..=4, 1..=4)) && *q < 4);
        if !in_range || self.width == 0 || self.height == 0 {
            return None;
        }
        let most_h = each.iter().map(|[_, f, _]| factor(*f).0).max()?;
        let most_v = each.iter().map(|[_, f, _]| factor(*f).1).max()?;
        let mcus = (self.width.div_ceil(8 * most_h), self.height.div_ceil(8 * most_v));
        for [id, factors, quantizer] in each {
            let (h, v) = factor(*factors);
            let (across, down) = (mcus.0 * h, mcus.1 * v);
            let samples = ((self.width * h).div_ceil(most_h), (self.height * v).div_ceil(most_v));
            self.components.push(Component {
                id: *id,
                h,
                v,
                quantizer: usize::from(*quantizer),
                across,
                down,
                used: (samples.0.div_ceil(8), samples.1.div_ceil(8)),
                blocks: vec![[0; 64]; across * down],
                last_dc: 0,
            });
        }
        Some(())
    }

    fn quantizer(&mut self, mut body: &[u8]) -> Option<()> {
        while let Some((&head, rest)) = body.split_first() {
            let width = if head >> 4 == 0 { 1 } else { 2 };
            let values = rest.get(..64 * width)?;
            let value = |bytes: &[u8]| bytes.iter().fold(0, |v, b| v << 8 | i32::from(*b));
            *self.quantizers.get_mut(usize::from(head & 15))? = Some(values.chunks_exact(width).map(value).collect());
            body = rest.get(64 * width..)?;
        }
        Some(())
    }

    fn huffman(&mut self, mut body: &[u8]) -> Option<()> {
        while let Some((&head, rest)) = body.split_first() {
            let counts = rest.first_chunk::<16>()?;
            let total = counts.iter().map(|c| usize::from(*c)).sum::<usize>();
            let table = table_of(counts, rest.get(16..16 + total)?)?;
            let tables = if head >> 4 == 0 { &mut self.dc } else { &mut self.ac };
            *tables.get_mut(usize::from(head & 15))? = Some(table);
            body = rest.get(16 + total..)?;
        }
        Some(())
    }

    fn scan_header(&mut self, body: &[u8]) -> Option<Scan> {
        let (&count, rest) = body.split_first()?;
        let count = usize::from(count);
        let mut parts = Vec::new();
        for chosen in rest.get(..2 * count)?.as_chunks::<2>().0 {
            let [id, tables] = *chosen;
            let place = self.components.iter().position(|c| c.id == id)?;
            parts.push((place, usize::from(tables >> 4), usize::from(tables & 15)));
        }
        let [first, last, approximation] = *rest.get(2 * count..)?.first_chunk::<3>()?;
        // sequential scans have no use for these three, and some writers fill them wrongly
        let (first, last, approximation) = if self.progressive {
            (first, last, approximation)
        } else {
            (0, 63, 0)
        };
        let scan = Scan {
            parts,
            first: usize::from(first),
            last: usize::from(last),
            high: u32::from(approximation >> 4),
            low: u32::from(approximation & 15),
        };
        let dc_only = scan.first == 0 && scan.last == 0;
        let ac_only = scan.first > 0 && scan.first <= scan.last && scan.last < 64 && scan.parts.len() == 1;
        let legal = !self.progressive || (dc_only || ac_only) && scan.low <= 13;
        (legal && !scan.parts.is_empty()).then_some(scan)
    }

    /// Decodes the entropy coded data of a scan; returns how many bytes they are.
    fn scan(&mut self, scan: &Scan, data: &[u8]) -> Option<usize> {
        let mut bits = Bits::new(data);
        let mut run = 0;
        self.components.iter_mut().for_each(|c| c.last_dc = 0);
        // one component: its own blocks; several: MCUs of all of them, A.2
        let (units_across, units_down, single) = match scan.parts.as_slice() {
            [(place, ..)] => {
                let component = self.components.get(*place)?;
                (component.used.0, component.used.1, true)
            }
            _ => {
                let component = self.components.first()?;
                (component.across / component.h, component.down / component.v, false)
            }
        };
        for unit in 0..units_across * units_down {
            if self.restart > 0 && unit > 0 && unit % self.restart == 0 {
                bits.restart()?;
                run = 0;
                self.components.iter_mut().for_each(|c| c.last_dc = 0);
            }
            let (row, column) = (unit / units_across, unit % units_across);
            for (place, dc, ac) in &scan.parts {
                let component = self.components.get_mut(*place)?;
                let (h, v) = if single { (1, 1) } else { (component.h, component.v) };
                for y in 0..v {
                    for x in 0..h {
                        let at = (row * v + y) * component.across + column * h + x;
                        let block = component.blocks.get_mut(at)?;
                        let (dc, ac) = (self.dc.get(*dc)?.as_ref(), self.ac.get(*ac)?.as_ref());
                        if scan.first == 0 {
                            dc_value(&mut bits, dc, scan, block, &mut component.last_dc)?;
                        }
                        if !self.progressive {
                            ac_values(&mut bits, ac?, (1, 63, 0), block, &mut 0)?;
                        } else if scan.first > 0 {
                            let band = (scan.first, scan.last, scan.low);
                            if scan.high == 0 {
                                ac_values(&mut bits, ac?, band, block, &mut run)?;
                            } else {
                                ac_refine(&mut bits, ac?, band, block, &mut run)?;
                            }
                        }
                    }
                }
            }
        }
        Some(bits.position())
    }

    /// Turns coefficients into samples; chroma of half size is repeated.
    fn picture(&self) -> Option<Vec<u16>> {
        let most_h = self.components.iter().map(|c| c.h).max()?;
        let most_v = self.components.iter().map(|c| c.v).max()?;
        let count = self.components.len();
        let mut out = vec![0; self.width * self.height * count];
        let cosines = cosines();
        for (n, component) in self.components.iter().enumerate() {
            let quantizer = self.quantizers.get(component.quantizer)?.as_ref()?;
            let stride = component.across * 8;
            let mut plane = vec![0u16; stride * component.down * 8];
            for (at, block) in component.blocks.iter().enumerate() {
                let origin = at / component.across * 8 * stride + at % component.across * 8;
                let samples = inverse(block, quantizer, &cosines);
                for (y, line) in samples.as_chunks::<8>().0.iter().enumerate() {
                    let from = origin + y * stride;
                    plane.get_mut(from..from + 8)?.copy_from_slice(line);
                }
            }
            for (y, line) in out.chunks_exact_mut(self.width * count).enumerate() {
                let source = plane.get(y * component.v / most_v * stride..)?;
                for (x, pixel) in line.chunks_exact_mut(count).enumerate() {
                    *pixel.get_mut(n)? = *source.get(x * component.h / most_h)?;
                }
            }
        }
        Some(out)
    }
}

/// DC coefficient: difference to the last block's, or in refining scans one more bit, F.2.1.3.1 and G.1.2.1.
fn dc_value(bits: &mut Bits<'_>, table: Option<&Table>, scan: &Scan, block: &mut Block, last: &mut i32) -> Option<()> {
    let place = block.first_mut()?;
    if scan.high > 0 {
        *place |= i32::try_from(bits.take(1)?).ok()? << scan.low;
        return Some(());
    }
    let size = bits.symbol(table?)?;
    *last = last.checked_add(bits.extended(size)?)?;
    *place = last.checked_shl(scan.low)?;
    Some(())
}

/// AC coefficients of a band, first scan: runs of zeros, then a value, F.2.2.2 and G.1.2.2.
fn ac_values(
    bits: &mut Bits<'_>,
    table: &Table,
    (first, last, low): (usize, usize, u32),
    block: &mut Block,
    run: &mut u32,
) -> Option<()> {
    if *run > 0 {
        *run -= 1;
        return Some(());
    }
    let mut k = first;
    while k <= last {
        let symbol = bits.symbol(table)?;
        let (zeros, size) = (symbol >> 4, symbol & 15);
        if size == 0 {
            if zeros == 15 {
                k += 16;
                continue;
            }
            *run = (1 << zeros) - 1 + bits.take(u32::from(zeros))?;
            return Some(());
        }
        k += usize::from(zeros);
        *block.get_mut(*ZIGZAG.get(k)?)? = bits.extended(size)?.checked_shl(low)?;
        k += 1;
    }
    Some(())
}

/// AC coefficients of a band, one more bit of each, G.1.2.3.
fn ac_refine(
    bits: &mut Bits<'_>,
    table: &Table,
    (first, last, low): (usize, usize, u32),
    block: &mut Block,
    run: &mut u32,
) -> Option<()> {
    let step = 1 << low;
    let mut k = first;
    let refine = |bits: &mut Bits<'_>, value: &mut i32| -> Option<()> {
        if bits.take(1)? == 1 && *value & step == 0 {
            *value += if *value > 0 { step } else { -step };
        }
        Some(())
    };
    if *run == 0 {
        while k <= last {
            let symbol = bits.symbol(table)?;
            let (mut zeros, size) = (symbol >> 4, symbol & 15);
            let mut fresh = 0;
            match size {
                0 if zeros < 15 => {
                    *run = (1 << zeros) + bits.take(u32::from(zeros))?;
                    break;
                }
                0 => {}
                1 => fresh = if bits.take(1)? == 1 { step } else { -step },
                _ => return None,
            }
            while k <= last {
                let value = block.get_mut(*ZIGZAG.get(k)?)?;
                k += 1;
                if *value != 0 {
                    refine(bits, value)?;
                } else if zeros == 0 {
                    *value = fresh;
                    break;
                } else {
                    zeros -= 1;
                }
            }
        }
    }
    if *run > 0 {
        for place in ZIGZAG.get(k..=last).unwrap_or_default() {
            let value = block.get_mut(*place)?;
            if *value != 0 {
                refine(bits, value)?;
            }
        }
        *run -= 1;
    }
    Some(())
}

fn cosines() -> [[f32; 8]; 8] {
    let mut table = [[0.0; 8]; 8];
    for (x, row) in (0u8..).zip(&mut table) {
        for (u, value) in (0u8..).zip(row) {
            let scale = if u == 0 {
                std::f32::consts::FRAC_1_SQRT_2 / 2.0
            } else {
                0.5
            };
            *value = scale * (f32::from(2 * x + 1) * f32::from(u) * std::f32::consts::PI / 16.0).cos();
        }
    }
    table
}

/// Dequantizes a block and undoes the cosine transformation, A.3.3, with the level shift of 12 bits.
fn inverse(block: &Block, quantizer: &[i32], cosines: &[[f32; 8]; 8]) -> [u16; 64] {
    let mut values = [0.0f32; 64];
    for (place, step) in ZIGZAG.iter().zip(quantizer) {
        if let (Some(value), Some(coefficient)) = (values.get_mut(*place), block.get(*place)) {
            *value = to_f32(coefficient.saturating_mul(*step));
        }
    }
    let mut across = [0.0f32; 64];
    for (line, out) in values.as_chunks::<8>().0.iter().zip(across.as_chunks_mut::<8>().0) {
        for (sum, row) in out.iter_mut().zip(cosines) {
            *sum = line.iter().zip(row).map(|(v, c)| v * c).sum();
        }
    }
    let mut samples = [0; 64];
    for (row, out) in cosines.iter().zip(samples.as_chunks_mut::<8>().0) {
        for (x, sample) in out.iter_mut().enumerate() {
            let column = across.as_chunks::<8>().0.iter().filter_map(|line| line.get(x));
            let sum: f32 = column.zip(row).map(|(v, c)| v * c).sum();
            *sample = to_sample(sum + 2048.0);
        }
    }
    samples
}

#[expect(clippy::cast_precision_loss, reason = "coefficients of 12-bit samples have 16 bits")]
fn to_f32(value: i32) -> f32 {
    value as f32
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to 12 bits before"
)]
fn to_sample(value: f32) -> u16 {
    value.round().clamp(0.0, 4095.0) as u16
}
