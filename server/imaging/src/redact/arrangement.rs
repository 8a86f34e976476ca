//! How the samples of a frame stand in its bytes, and the runs of bits that a mask covers there.
//!
//! One description serves native pixel data, whose frames follow each other without a gap (and, of single bits, without
//! regard to bytes), and decoded frames in memory.

use isocenter_deid::FillStyle;

use super::fill;
use super::mask::Mask;
use crate::{Error, Photometric, PixelFacts};

/// The order of samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    /// All samples of a pixel, then the next pixel.
    Pixels,
    /// All pixels of a sample, then the next sample.
    Planes,
    /// Two luminances, then the differences that both pixels share (PS3.3 C.7.6.3.1.2).
    Pairs,
}

/// The samples of one frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Arrangement {
    order: Order,
    rows: u64,
    columns: u64,
    /// Bits of a sample: 1, or 8 times a power of two.
    bits: u64,
    /// What hides a pixel, per plane, in the bytes of the frame.
    patterns: Vec<Vec<u8>>,
    frame_bits: u64,
    /// Place of the stored bits within a sample.
    low_bit: u32,
    stored: u32,
    signed: bool,
    little: bool,
    float: bool,
}

/// A run of bits, from the start of the pixel data, that a pattern goes into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run<'a> {
    pub(super) start: u64,
    pub(super) len: u64,
    pub(super) pattern: &'a [u8],
}

const UNSUPPORTED: Error = Error::Unsupported {
    what: "hiding pixels of this arrangement",
};

impl Arrangement {
    /// Describes native frames, in the byte order in which they are stored.
    pub(super) fn native(facts: &PixelFacts, little: bool, style: FillStyle) -> Result<Self, Error> {
        let pairs = matches!(
            facts.photometric_interpretation,
            Photometric::YbrFull422 | Photometric::YbrPartial
        );
        let order = match (facts.samples_per_pixel, pairs, facts.planar_configuration) {
            (1, ..) => Order::Pixels,
            (_, true, _) => Order::Pairs,
            (_, _, 1) => Order::Planes,
            _ => Order::Pixels,
        };
        Self::new(facts, order, little, style)
    }

    /// Describes a decoded frame: pixel after pixel, little endian.
    pub(super) fn decoded(facts: &PixelFacts, style: FillStyle) -> Result<Self, Error> {
        Self::new(facts, Order::Pixels, true, style)
    }

    fn new(facts: &PixelFacts, order: Order, little: bool, style: FillStyle) -> Result<Self, Error> {
        let samples = u64::from(facts.samples_per_pixel);
        let bits = u64::from(facts.bits_allocated);
        let known = matches!(bits, 8 | 16 | 32 | 64) || bits == 1 && samples == 1;
        if !known || order == Order::Pairs && samples != 3 || !matches!(samples, 1..=4) {
            return Err(UNSUPPORTED);
        }
        let values = fill::samples(facts, style);
        let bytes = |value: &u64| -> Vec<u8> {
            if bits == 1 {
                return vec![if value & 1 == 1 { 0xFF } else { 0 }];
            }
            let width = usize::try_from(bits / 8).unwrap_or(1);
            let mut bytes: Vec<u8> = value.to_le_bytes().into_iter().take(width).collect();
            if !little {
                bytes.reverse();
            }
            bytes
        };
        let each: Vec<Vec<u8>> = values.iter().map(bytes).collect();
        let patterns = match order {
            Order::Planes => each,
            Order::Pixels => vec![each.concat()],
            Order::Pairs => {
                let luminance = each.iter().take(1);
                vec![
                    luminance
                        .clone()
                        .chain(luminance)
                        .chain(each.iter().skip(1))
                        .flatten()
                        .copied()
                        .collect(),
                ]
            }
        };
        let in_pixel = if order == Order::Pairs { 2 } else { samples };
        Ok(Self {
            order,
            rows: u64::from(facts.rows),
            columns: u64::from(facts.columns),
            bits,
            patterns,
            frame_bits: facts.pixels().saturating_mul(in_pixel).saturating_mul(bits),
            low_bit: u32::from(facts.high_bit.saturating_add(1).saturating_sub(facts.bits_stored)),
            stored: u32::from(facts.bits_stored),
            signed: facts.is_signed(),
            little,
            float: facts.float,
        })
    }

    pub(super) fn frame_bits(&self) -> u64 {
        self.frame_bits
    }

    /// Returns the runs of a mask in frame `frame`, counted from 0, in ascending order.
    pub(super) fn runs<'a, 'm>(&'a self, mask: &'m Mask, frame: u64) -> impl Iterator<Item = Run<'a>> + use<'a, 'm> {
        let base = self.frame_bits.saturating_mul(frame);
        let planes = self.patterns.len() as u64;
        let plane_bits = self.frame_bits / planes.max(1);
        // bits that one pixel takes in a row, and whether two pixels must go together
        let (pixel_bits, paired) = match self.order {
            Order::Planes => (self.bits, false),
            Order::Pixels => (self.frame_bits / (self.rows * self.columns).max(1), false),
            Order::Pairs => (2 * self.bits, true),
        };
        self.patterns.iter().zip(0..planes).flat_map(move |(pattern, plane)| {
            let base = base + plane * plane_bits;
            mask.bands().iter().flat_map(move |(rows, columns)| {
                rows.clone().flat_map(move |row| {
                    columns.iter().map(move |x| {
                        let (mut from, mut to) = (u64::from(x.start), u64::from(x.end));
                        let row = u64::from(row) * self.columns;
                        if paired {
                            // pairs go on over the ends of rows where columns are odd in number
                            (from, to) = (row + from, row + to);
                            (from, to) = (from - from % 2, to + to % 2);
                        } else {
                            (from, to) = (row + from, row + to);
                        }
                        let start = base + from * pixel_bits;
                        let len = ((to - from) * pixel_bits).min((base + plane_bits).saturating_sub(start));
                        Run { start, len, pattern }
                    })
                })
            })
        })
    }

    /// Returns whether samples have bits that hold none of their value.
    pub(super) fn has_unused_bits(&self) -> bool {
        self.bits > 8 && !self.float && u64::from(self.stored) < self.bits || self.bits == 8 && self.stored < 8
    }

    /// Clears the bits that hold no sample; where samples are signed, those above become the sign, as naive readers expect.
    /// `bytes` begins at a sample. Returns whether anything changed.
    pub(super) fn clear_unused(&self, bytes: &mut [u8]) -> bool {
        if !self.has_unused_bits() {
            return false;
        }
        let cleared = |value: u64| {
            let above = 64 - self.stored.clamp(1, 64);
            let lifted = (value >> self.low_bit.min(63)) << above;
            let value = if self.signed {
                (lifted.cast_signed() >> above).cast_unsigned()
            } else {
                lifted >> above
            };
            value << self.low_bit.min(63)
        };
        let width = usize::try_from(self.bits / 8).unwrap_or(1).max(1);
        let mut changed = false;
        for sample in bytes.chunks_exact_mut(width) {
            let mut wide = [0u8; 8];
            for (to, from) in wide.iter_mut().zip(self.in_order(sample)) {
                *to = from;
            }
            let before = u64::from_le_bytes(wide);
            let after = cleared(before).to_le_bytes();
            let differs = after.iter().zip(&wide).take(width).any(|(a, b)| a != b);
            if differs {
                changed = true;
                let after: Vec<u8> = self.in_order(after.get(..width).unwrap_or_default()).collect();
                sample.copy_from_slice(&after);
            }
        }
        changed
    }

    fn in_order<'a>(&self, sample: &'a [u8]) -> Box<dyn Iterator<Item = u8> + 'a> {
        if self.little {
            Box::new(sample.iter().copied())
        } else {
            Box::new(sample.iter().rev().copied())
        }
    }
}

impl Run<'_> {
    /// Puts the run into a window of the pixel data that begins at byte `at`. `paired` windows hold single bytes in big
    /// endian words, so that neighbours have changed places; such windows begin and end at a word.
    pub(super) fn put(&self, window: &mut [u8], at: u64, paired: bool) {
        let end = self.start + self.len;
        let (first, last) = (self.start / 8, end.div_ceil(8));
        let from = first.max(at);
        let to = last.min(at + window.len() as u64);
        for byte in from..to {
            let place = usize::try_from((byte - at) ^ u64::from(paired)).ok();
            let Some(place) = place.and_then(|place| window.get_mut(place)) else {
                continue;
            };
            let within = usize::try_from(byte - first).unwrap_or(0) % self.pattern.len().max(1);
            let value = self.pattern.get(within).copied().unwrap_or(0);
            // only runs of single bits begin or end within a byte
            let skip = self.start.saturating_sub(byte * 8).min(7);
            let over = (byte * 8 + 8).saturating_sub(end).min(8);
            let bits = (0xFFu8 << skip) & u8::try_from(0xFFu16 >> over).unwrap_or(0);
            *place = *place & !bits | value & bits;
        }
    }
}
