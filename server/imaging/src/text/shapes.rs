//! The own detector: rows of like shapes.
//!
//! ```text
//! plane -> masks (ends of the range; what is brighter or darker than all around) -> components of letter size
//!       -> neighbours on one base line -> chains of like height -> boxes, grown
//! ```
//!
//! Text drawn over a picture lies at the end of the range of values, or stands out from its surroundings by a stroke; both
//! kinds of mask are taken, at more than one size of the picture. Sizes and ratios are those measured in the dependencies
//! reference, section 9.2. One frame of 512 x 512 takes some milliseconds.

use std::time::Instant;

use super::components::{Component, components};
use super::{Found, Plane, TextBox, TextDetector};

/// Components of letter size beyond this number in one mask are texture.
const MOST_COMPONENTS: usize = 40_000;

/// The own detector of connected components.
#[derive(Debug, Clone, Copy)]
pub struct Shapes {
    /// Shapes that a row must have at least.
    pub fewest: usize,
}

impl Default for Shapes {
    fn default() -> Self {
        Self { fewest: 4 }
    }
}

impl TextDetector for Shapes {
    fn name(&self) -> String {
        concat!("shapes ", env!("CARGO_PKG_VERSION")).to_owned()
    }

    fn find(&self, planes: &[Plane], deadline: Instant) -> Found {
        let mut found = Found {
            boxes: Vec::new(),
            complete: true,
        };
        for plane in planes {
            for (plane, twice, times) in sizes(plane) {
                for (mask, drawn) in MASKS {
                    if Instant::now() >= deadline {
                        found.complete = false;
                        return found;
                    }
                    let boxes = boxes_of(&mask(&plane), plane.width, (self.fewest, drawn), twice, times);
                    found.boxes.extend(boxes);
                }
            }
        }
        found
    }
}

/// The sizes at which a plane is looked at: with each, whether it is doubled, and how often larger the original is.
fn sizes(plane: &Plane) -> Vec<(Plane, bool, u32)> {
    let largest = plane.width.max(plane.height);
    let mut out = Vec::new();
    if largest <= 1100 {
        // letters that touch come apart at the threshold
        out.push((plane.enlarged(2), true, 1));
    }
    if largest > 600 {
        out.push((plane.clone(), false, 1));
    }
    let mut smaller = plane.clone();
    let mut times = 1;
    while smaller.width.max(smaller.height) > 1400 {
        smaller = smaller.halved();
        times *= 2;
        out.push((smaller.clone(), false, times));
    }
    out
}

type MaskOf = fn(&Plane) -> Vec<bool>;

/// The masks, and whether what they show was hardly made by anything but a pen: one value, at the very end of the range.
const MASKS: [(MaskOf, bool); 8] = [
    (|plane| plane.pixels.iter().map(|v| *v >= 253).collect(), true),
    (|plane| plane.pixels.iter().map(|v| *v <= 2).collect(), true),
    (|plane| plane.pixels.iter().map(|v| *v >= 230).collect(), false),
    (|plane| plane.pixels.iter().map(|v| *v <= 15).collect(), false),
    (|plane| standing_out(plane, 9, false), false),
    (|plane| standing_out(plane, 17, false), false),
    (|plane| standing_out(plane, 9, true), false),
    (|plane| standing_out(plane, 17, true), false),
];

/// Returns by how much each pixel is brighter (darker, if inverted) than anything around it that is as large as a square of
/// so many pixels.
pub(super) fn top_hat(plane: &Plane, size: usize, invert: bool) -> Vec<u8> {
    let pixels: Vec<u8> = if invert {
        plane.pixels.iter().map(|v| 255 - v).collect()
    } else {
        plane.pixels.clone()
    };
    let eroded = square(&pixels, plane.width, plane.height, size, u8::min, u8::MAX);
    let opened = square(&eroded, plane.width, plane.height, size, u8::max, 0);
    pixels.iter().zip(&opened).map(|(v, o)| v.saturating_sub(*o)).collect()
}

/// Returns what stands out from its surroundings by a third of what the strongest does.
fn standing_out(plane: &Plane, size: usize, invert: bool) -> Vec<bool> {
    let hat = top_hat(plane, size, invert);
    let mut often = [0usize; 256];
    for value in &hat {
        if let Some(count) = often.get_mut(usize::from(*value)) {
            *count += 1;
        }
    }
    let mut above = hat.len() / 1000;
    let mut top = 255u16;
    for (value, count) in (0u16..256).zip(often).rev() {
        top = value;
        if count > above {
            break;
        }
        above -= count;
    }
    let threshold = u8::try_from((top * 35 / 100).max(20)).unwrap_or(u8::MAX);
    hat.into_iter().map(|v| v >= threshold).collect()
}

/// The least or greatest value in a square around each pixel: rows, then columns.
fn square(pixels: &[u8], width: usize, height: usize, size: usize, of: fn(u8, u8) -> u8, none: u8) -> Vec<u8> {
    let mut rows = Vec::with_capacity(pixels.len());
    for row in pixels.chunks_exact(width.max(1)) {
        line(row, size, of, none, &mut rows);
    }
    let turned = transposed(&rows, width, height);
    let mut columns = Vec::with_capacity(pixels.len());
    for column in turned.chunks_exact(height.max(1)) {
        line(column, size, of, none, &mut columns);
    }
    transposed(&columns, height, width)
}

/// The least or greatest value around each place of a line, in time that does not depend on the size (van Herk): prefixes
/// and suffixes of blocks.
fn line(values: &[u8], size: usize, of: fn(u8, u8) -> u8, none: u8, out: &mut Vec<u8>) {
    let half = size / 2;
    let padded: Vec<u8> = std::iter::repeat_n(none, half)
        .chain(values.iter().copied())
        .chain(std::iter::repeat_n(none, half + size))
        .collect();
    let mut prefix = padded.clone();
    let mut suffix = padded;
    for block in prefix.chunks_mut(size) {
        let mut so_far = none;
        for value in block {
            so_far = of(so_far, *value);
            *value = so_far;
        }
    }
    for block in suffix.chunks_mut(size) {
        let mut so_far = none;
        for value in block.iter_mut().rev() {
            so_far = of(so_far, *value);
            *value = so_far;
        }
    }
    let ends = prefix.iter().skip(size - 1);
    out.extend(suffix.iter().zip(ends).take(values.len()).map(|(a, b)| of(*a, *b)));
}

fn transposed(pixels: &[u8], width: usize, height: usize) -> Vec<u8> {
    const TILE: usize = 32;
    let mut out = vec![0; pixels.len()];
    for top in (0..height).step_by(TILE) {
        for left in (0..width).step_by(TILE) {
            for y in top..(top + TILE).min(height) {
                let from = y * width;
                let Some(row) = pixels.get(from + left..from + (left + TILE).min(width)) else {
                    continue;
                };
                for (x, value) in (left..).zip(row) {
                    if let Some(place) = out.get_mut(x * height + y) {
                        *place = *value;
                    }
                }
            }
        }
    }
    out
}

/// A row of shapes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Row {
    all: Component,
    /// The height of its letters.
    height: u32,
}

impl Row {
    /// Returns the row as a box of the original picture, with room for what was not found: two heights at its sides, one
    /// above and below. A turned row runs from top to bottom.
    fn grown(&self, twice: bool, times: u32, turned: bool) -> TextBox {
        let native = |at: u32| if twice { at / 2 } else { at * times };
        let room = native(self.height).max(2);
        let (left, top) = (native(self.all.left), native(self.all.top));
        let (right, bottom) = (native(self.all.right) + 1, native(self.all.bottom) + 1);
        let x = left.saturating_sub(2 * room);
        let y = top.saturating_sub(room);
        let (width, height) = (right + 2 * room - x, bottom + room - y);
        let (x, y, width, height) = if turned {
            (y, x, height, width)
        } else {
            (x, y, width, height)
        };
        TextBox {
            x,
            y,
            width,
            height,
            text: None,
        }
    }
}

/// Returns the boxes around rows of letters in a mask, upright and turned by a quarter.
fn boxes_of(mask: &[bool], width: usize, (fewest, drawn): (usize, bool), twice: bool, times: u32) -> Vec<TextBox> {
    let on = mask.iter().filter(|on| **on).count();
    // most of the picture is no text
    if on * 2 > mask.len() {
        return Vec::new();
    }
    let all = components(mask, width).unwrap_or_default();
    let swapped = |c: &Component| Component {
        left: c.top,
        top: c.left,
        right: c.bottom,
        bottom: c.right,
        pixels: c.pixels,
    };
    let turned = all.iter().map(swapped).collect();
    let upright = rows_of(all, (fewest, drawn), twice)
        .into_iter()
        .map(|row| row.grown(twice, times, false));
    // structures that run down a picture are more often bones than letters
    let turned = rows_of(turned, (fewest + 2, false), twice)
        .into_iter()
        .map(|row| row.grown(twice, times, true));
    upright.chain(turned).collect()
}

/// Returns the rows among components.
fn rows_of(mut letters: Vec<Component>, (fewest, drawn): (usize, bool), twice: bool) -> Vec<Row> {
    let (least, most) = if twice { (7, 96) } else { (5, 48) };
    letters.retain(|c| {
        let (w, h) = (c.width(), c.height());
        (least..=most).contains(&h) && w * 10 <= h * 22 && c.pixels * 12 >= w * h
    });
    if letters.len() < fewest.min(3) || letters.len() > MOST_COMPONENTS {
        return Vec::new();
    }
    letters.sort_by_key(|c| (c.left, c.top));
    let next = neighbours(&letters);
    let mut has_before = vec![false; letters.len()];
    for after in next.iter().flatten() {
        if let Some(place) = has_before.get_mut(*after) {
            *place = true;
        }
    }
    let mut rows = Vec::new();
    for (start, _) in has_before.iter().enumerate().filter(|(_, before)| !**before) {
        let mut chain = Vec::new();
        let mut at = Some(start);
        while let Some(here) = at {
            chain.extend(letters.get(here));
            at = next.get(here).copied().flatten();
        }
        let row = row_of(&chain, fewest).or_else(|| row_of(&chain, 3).filter(|_| drawn && alike(&chain)));
        rows.extend(row.map(|row| lengthened(row, &chain, &letters)));
    }
    rows
}

/// Most letters that are added to either end of a row.
const MOST_ADDED: usize = 64;

/// Adds what stands beside a row on its base line, as high as its letters and at most a wide space away: words that are too
/// short to be rows themselves.
fn lengthened(mut row: Row, chain: &[&Component], letters: &[Component]) -> Row {
    let height = row.height;
    let (touch, space) = (height / 3, height * 5 / 2);
    let fits = |edge: &Component, c: &Component| {
        let off = edge.bottom.abs_diff(c.bottom).min(edge.top.abs_diff(c.top));
        off * 3 <= height && c.height() * 2 >= height && c.height() * 2 <= height * 3
    };
    let place = |left: u32| letters.partition_point(|c| c.left < left);
    if let Some(mut edge) = chain.last().copied() {
        for _ in 0..MOST_ADDED {
            let (from, to) = (
                edge.right.saturating_sub(touch).max(edge.left + 1),
                edge.right + space + 1,
            );
            let mut beside = letters.get(place(from)..place(to)).unwrap_or_default().iter();
            let Some(next) = beside.find(|c| c.right > edge.right && fits(edge, c)) else {
                break;
            };
            row.all.join(next);
            edge = next;
        }
    }
    if let Some(mut edge) = chain.first().copied() {
        for _ in 0..MOST_ADDED {
            // a letter is at most 2.2 times as wide as high
            let (from, to) = (edge.left.saturating_sub(space + height * 33 / 10), edge.left);
            let mut beside = letters.get(place(from)..place(to)).unwrap_or_default().iter().rev();
            let near = |c: &Component| c.right <= edge.left + touch && c.right + space >= edge.left;
            let Some(next) = beside.find(|c| near(c) && fits(edge, c)) else {
                break;
            };
            row.all.join(next);
            edge = next;
        }
    }
    row
}

/// Finds for each letter the next one on its base line: of like height, near, to the right.
fn neighbours(letters: &[Component]) -> Vec<Option<usize>> {
    let mut next: Vec<Option<usize>> = vec![None; letters.len()];
    let mut taken = vec![false; letters.len()];
    for (n, a) in letters.iter().enumerate() {
        let height = a.height();
        let furthest = a.right + height * 12 / 10;
        let mut best: Option<(u32, usize)> = None;
        for (m, b) in letters.iter().enumerate().skip(n + 1) {
            if b.left > furthest {
                break;
            }
            let (low, high) = (height.min(b.height()), height.max(b.height()));
            let overlaps = b.left + low / 3 < a.right;
            // letters turned to the right stand on what is their upper end here
            let off = a.bottom.abs_diff(b.bottom).min(a.top.abs_diff(b.top));
            let level = off * 10 <= high * 3;
            if overlaps || !level || low * 100 < high * 55 || taken.get(m) == Some(&true) {
                continue;
            }
            let distance = b.left.saturating_sub(a.right) + a.bottom.abs_diff(b.bottom);
            if best.is_none_or(|(least, _)| distance < least) {
                best = Some((distance, m));
            }
        }
        if let Some((_, m)) = best {
            if let Some(place) = next.get_mut(n) {
                *place = Some(m);
            }
            if let Some(place) = taken.get_mut(m) {
                *place = true;
            }
        }
    }
    next
}

/// Returns whether three shapes are a word all the same: as high as each other, on one line, as far apart as letters are.
fn alike(chain: &[&Component]) -> bool {
    let least = chain.iter().map(|c| c.height()).min().unwrap_or(0);
    let most = chain.iter().map(|c| c.height()).max().unwrap_or(0);
    let lines = |a: &Component, b: &Component| a.bottom.abs_diff(b.bottom) * 8 <= most.max(8);
    let apart = |a: &Component, b: &Component| b.left.saturating_sub(a.right) * 10 <= most * 6;
    let stroked = |c: &&Component| c.pixels * 10 < c.width() * c.height() * 9 && c.width() * 6 >= c.height();
    let pairs = chain.iter().zip(chain.iter().skip(1));
    least >= 8
        && most * 10 <= least * 12
        && pairs.into_iter().all(|(a, b)| lines(a, b) && apart(a, b))
        && chain.iter().filter(|c| stroked(c)).count() >= 2
}

/// Makes a row of a chain, if it is long enough and its letters are of like height.
fn row_of(chain: &[&Component], fewest: usize) -> Option<Row> {
    if chain.len() < fewest {
        return None;
    }
    let count = u64::try_from(chain.len()).ok()?;
    let mean = chain.iter().map(|c| u64::from(c.height())).sum::<u64>() / count;
    let square = |c: &&Component| u64::from(c.height()).abs_diff(mean).pow(2);
    let variance = chain.iter().map(square).sum::<u64>() / count;
    // the deviation is below 30 % of the mean
    if variance * 100 > mean * mean * 9 {
        return None;
    }
    let first = chain.first()?;
    let mut all = **first;
    for c in chain {
        all.left = all.left.min(c.left);
        all.top = all.top.min(c.top);
        all.right = all.right.max(c.right);
        all.bottom = all.bottom.max(c.bottom);
    }
    Some(Row {
        all,
        height: u32::try_from(mean).ok()?,
    })
}
