//! The 64-bit perceptual hash of a picture (pHash): which of its low frequencies are stronger than the middle one.
//!
//! The picture is averaged by area down to 32 x 32, transformed by a two-dimensional DCT-II, and the 8 x 8 lowest
//! frequencies are kept. The constant term says how bright the picture is and nothing else: it takes no part, and bit 0,
//! its place, is always 0. Each other bit is 1 where its coefficient exceeds the median of the 63.
//!
//! All arithmetic is in integers, and coefficients are rounded to a step below one gray level before they are compared.
//! So a symmetric picture, half of whose coefficients are zero but for the rounding of its samples, gets the same bits on
//! every machine and at every size.

use crate::blank::is_blank;
use crate::{Code64, GrayPicture};

/// Name under which codes of [`perceptual_hash`] are kept; another number is another, incomparable code.
pub const PERCEPTUAL_MODEL: &str = "phash64-1";

/// Side of the picture that is transformed.
const SIDE: usize = 32;
/// Lowest frequencies kept in each direction.
const LOW: usize = 8;
/// Fraction bits of the averaged gray levels.
const LEVEL_BITS: u32 = 8;
/// Fraction bits of the cosines.
const COSINE_BITS: u32 = 16;
/// Coefficients are rounded to steps of 64: a wave of an eighth of a gray level along one side, a quarter across both.
const STEP_BITS: u32 = 6;

/// Returns the perceptual hash of a picture, or `None` where there is nothing to see on it.
#[must_use]
pub fn perceptual_hash(picture: &GrayPicture<'_>) -> Option<Code64> {
    if is_blank(picture) {
        return None;
    }
    let coefficients = low_frequencies(&shrink(picture));
    // the first is the constant term
    let (_, waves) = coefficients.split_first()?;
    let mut sorted = waves.to_vec();
    sorted.sort_unstable();
    let median = sorted.get(sorted.len() / 2)?;
    let bits = waves
        .iter()
        .zip(1u32..)
        .filter(|(wave, _)| *wave > median)
        .map(|(_, bit)| 1u64 << bit)
        .sum();
    Some(Code64(bits))
}

/// Returns the averages of 32 x 32 equal cells, as gray levels with [`LEVEL_BITS`] fraction bits.
///
/// Measured in units of 1/32 pixel times 1/width, the borders of cells and pixels are whole numbers, so overlaps are
/// exact. Every cell weighs `width * height`.
fn shrink(picture: &GrayPicture<'_>) -> [[i64; SIDE]; SIDE] {
    let (width, height) = (u64::from(picture.width()), u64::from(picture.height()));
    let mut sums = [[0u64; SIDE]; SIDE];
    // where the cells lie is the same in every row
    let across: [Span; SIDE] = std::array::from_fn(|cell| Span::of(cell, width));
    for (y, row) in (0u64..).zip(picture.rows()) {
        let line = across.each_ref().map(|span| span.sum(row));
        for (cell, overlap) in overlaps(y, height) {
            if let Some(sums) = sums.get_mut(cell) {
                sums.iter_mut()
                    .zip(&line)
                    .for_each(|(sum, part)| *sum += overlap * part);
            }
        }
    }
    // divide before the shift: 255 * width * height takes up to 40 + 8 bits, and the sides are 32-bit numbers
    let weight = u128::from(width) * u128::from(height);
    sums.map(|line| line.map(|sum| i64::try_from((u128::from(sum) << LEVEL_BITS) / weight).unwrap_or(0)))
}

/// The pixels of a row that a cell covers: some whole, and up to two in part.
struct Span {
    whole: std::ops::Range<usize>,
    parts: [(usize, u64); 2],
}

impl Span {
    fn of(cell: usize, length: u64) -> Self {
        const CELLS: u64 = SIDE as u64;
        let cell = cell as u64;
        // in 1/32 pixel
        let (from, to) = (cell * length, (cell + 1) * length);
        let (first, last) = (from / CELLS, to / CELLS);
        let at = |pixel: u64| usize::try_from(pixel).unwrap_or(usize::MAX);
        if first == last {
            // all within one pixel
            return Self {
                whole: 0..0,
                parts: [(at(first), to - from), (at(first), 0)],
            };
        }
        let whole_from = from.div_ceil(CELLS);
        Self {
            whole: at(whole_from)..at(last),
            parts: [(at(first), whole_from * CELLS - from), (at(last), to - last * CELLS)],
        }
    }

    /// Returns the sum of the samples, each as often as 1/32 pixels of it are covered.
    fn sum(&self, row: &[u8]) -> u64 {
        let whole: u64 = row
            .get(self.whole.clone())
            .unwrap_or_default()
            // short runs add up in 32 bits, which the processor does many at a time
            .chunks(1 << 16)
            .map(|run| u64::from(run.iter().map(|sample| u32::from(*sample)).sum::<u32>()))
            .sum();
        let parts = self.parts.iter().filter(|(_, overlap)| *overlap > 0);
        let parts: u64 = parts
            .map(|(pixel, overlap)| overlap * row.get(*pixel).map_or(0, |sample| u64::from(*sample)))
            .sum();
        whole * SIDE as u64 + parts
    }
}

/// Returns the cells that pixel `at` of `length` touches, and how much of it lies in each, in 1/32 pixel.
fn overlaps(at: u64, length: u64) -> impl Iterator<Item = (usize, u64)> {
    const CELLS: u64 = SIDE as u64;
    let (from, to) = (at * CELLS, (at + 1) * CELLS);
    (from / length..to.div_ceil(length)).map(move |cell| {
        let overlap = to.min((cell + 1) * length) - from.max(cell * length);
        (usize::try_from(cell).unwrap_or(usize::MAX), overlap)
    })
}

/// Returns the 8 x 8 lowest coefficients of the DCT-II, row by row, the constant term first, rounded to the step.
fn low_frequencies(cells: &[[i64; SIDE]; SIDE]) -> Vec<i64> {
    let waves = cosines();
    // along the rows first: 32 lines of 8
    let lines: Vec<[i64; LOW]> = cells
        .iter()
        .map(|line| waves.map(|wave| rounded(dot(wave.iter(), line.iter()), COSINE_BITS)))
        .collect();
    let mut coefficients = Vec::with_capacity(LOW * LOW);
    for wave in &waves {
        for column in 0..LOW {
            let along = lines.iter().filter_map(|line| line.get(column));
            coefficients.push(rounded(dot(wave.iter(), along), COSINE_BITS + LEVEL_BITS + STEP_BITS));
        }
    }
    coefficients
}

fn dot<'a>(a: impl Iterator<Item = &'a i64>, b: impl Iterator<Item = &'a i64>) -> i64 {
    a.zip(b).map(|(a, b)| a * b).sum()
}

/// Returns the value without its lowest bits, rounded to nearest with halves away from zero, so that signs do not matter.
fn rounded(value: i64, bits: u32) -> i64 {
    let half = 1i64 << (bits - 1);
    if value < 0 {
        -((half - value) >> bits)
    } else {
        (value + half) >> bits
    }
}

/// Returns the eight lowest cosine waves over 32 samples, with [`COSINE_BITS`] fraction bits.
fn cosines() -> [[i64; SIDE]; LOW] {
    let mut waves = [[0; SIDE]; LOW];
    for (frequency, wave) in (0u32..).zip(waves.iter_mut()) {
        for (sample, value) in (0u32..).zip(wave.iter_mut()) {
            let angle = std::f64::consts::PI * f64::from(frequency * (2 * sample + 1)) / (2 * SIDE) as f64;
            // no cosine here lies near a half, so that machines whose last digit differs round alike
            *value = (angle.cos() * f64::from(1u32 << COSINE_BITS)).round() as i64;
        }
    }
    waves
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_cut_into_cells_as_the_overlaps_say() {
        for width in [1_u32, 2, 7, 31, 32, 33, 64, 100, 511, 512, 513, 2048] {
            let row: Vec<u8> = (0..width).map(|x| (x * 37 % 251) as u8).collect();
            let mut plain = [0_u64; SIDE];
            for (x, sample) in row.iter().enumerate() {
                for (cell, overlap) in overlaps(x as u64, u64::from(width)) {
                    plain[cell] += overlap * u64::from(*sample);
                }
            }
            let quick: Vec<u64> = (0..SIDE)
                .map(|cell| Span::of(cell, u64::from(width)).sum(&row))
                .collect();
            assert_eq!(quick, plain, "{width}");
        }
    }

    /// A picture as a function over the unit square, so that it can be drawn at any size.
    fn draw(width: u32, height: u32, at: impl Fn(f64, f64) -> f64) -> Vec<u8> {
        let place = |i: u32, n: u32| (f64::from(i) + 0.5) / f64::from(n);
        (0..height)
            .flat_map(|y| (0..width).map(move |x| (x, y)))
            .map(|(x, y)| at(place(x, width), place(y, height)).round().clamp(0.0, 255.0) as u8)
            .collect()
    }

    fn hash(width: u32, height: u32, data: &[u8]) -> Option<Code64> {
        perceptual_hash(&GrayPicture::new(width, height, data).unwrap())
    }

    /// A body with two bright spots whose places depend on `n`.
    fn body(n: u32) -> impl Fn(f64, f64) -> f64 {
        let spot = |x: f64, y: f64, cx: f64, cy: f64, r: f64| (-((x - cx).powi(2) + (y - cy).powi(2)) / (r * r)).exp();
        let p = move |k: u32| f64::from(n.wrapping_mul(2_654_435_761).rotate_left(k * 5) % 1000) / 1000.0;
        move |x, y| {
            30.0 + 90.0 * spot(x, y, 0.5, 0.5, 0.35 + 0.1 * p(1))
                + 80.0 * spot(x, y, 0.2 + 0.6 * p(2), 0.2 + 0.6 * p(3), 0.08 + 0.1 * p(4))
                + 60.0 * spot(x, y, 0.2 + 0.6 * p(5), 0.2 + 0.6 * p(6), 0.05 + 0.1 * p(1))
                - 50.0 * spot(x, y, 0.2 + 0.6 * p(4), 0.2 + 0.6 * p(2), 0.05 + 0.1 * p(3))
        }
    }

    #[test]
    fn scaling_keeps_the_hash() {
        for n in 1..20 {
            let reference = hash(256, 256, &draw(256, 256, body(n))).unwrap();
            for (width, height) in [(512, 512), (128, 128), (300, 300), (64, 64), (256, 200)] {
                let distance = reference.distance(hash(width, height, &draw(width, height, body(n))).unwrap());
                assert!(distance <= 4, "{n} at {width} x {height}: {distance}");
            }
        }
    }

    #[test]
    fn brightness_and_contrast_keep_the_hash() {
        for n in 1..20 {
            let reference = hash(200, 200, &draw(200, 200, body(n))).unwrap();
            for (gain, shift) in [(1.0, 15.0), (1.0, -8.0), (0.8, 0.0), (1.1, -5.0)] {
                let changed = draw(200, 200, |x, y| body(n)(x, y) * gain + shift);
                let distance = reference.distance(hash(200, 200, &changed).unwrap());
                assert!(distance <= 6, "{n} times {gain} plus {shift}: {distance}");
            }
        }
    }

    #[test]
    fn other_pictures_have_other_hashes() {
        let hashes: Vec<Code64> = (1..30)
            .map(|n| hash(128, 128, &draw(128, 128, body(n))).unwrap())
            .collect();
        for (i, a) in hashes.iter().enumerate() {
            for (j, b) in hashes.iter().enumerate().skip(i + 1) {
                assert!(a.distance(*b) > 6, "{i} and {j}: {}", a.distance(*b));
            }
        }
    }

    #[test]
    fn at_most_half_of_the_waves_are_above_the_median_and_the_constant_term_takes_no_part() {
        for n in 1..30 {
            let code = hash(100, 90, &draw(100, 90, body(n))).unwrap();
            assert_eq!(code.0 & 1, 0);
            assert!((16..=31).contains(&code.0.count_ones()), "{n}: {}", code.0.count_ones());
        }
    }

    #[test]
    fn a_wave_along_the_rows_sets_the_bit_of_its_frequency() {
        // frequency 3 across, 0 down
        let wave = draw(320, 320, |x, _| 128.0 + 100.0 * (std::f64::consts::PI * 3.0 * x).cos());
        let code = hash(320, 320, &wave).unwrap();
        assert_eq!(code.0 & 0xff, 1 << 3);
        // and turned by a quarter, in the first column
        let wave = draw(320, 320, |_, y| 128.0 + 100.0 * (std::f64::consts::PI * 3.0 * y).cos());
        assert_eq!(hash(320, 320, &wave).unwrap().0, 1 << 24);
    }

    #[test]
    fn a_mirrored_picture_has_its_odd_waves_turned() {
        let data = draw(96, 96, body(7));
        let mirrored: Vec<u8> = data.chunks(96).flat_map(|row| row.iter().rev().copied()).collect();
        assert!(hash(96, 96, &data).unwrap().distance(hash(96, 96, &mirrored).unwrap()) > 10);
    }

    #[test]
    fn averages_are_exact_where_cells_hold_whole_pixels_and_where_they_do_not() {
        let data = draw(64, 96, |x, y| 255.0 * x * y);
        let cells = shrink(&GrayPicture::new(64, 96, &data).unwrap());
        let mean: u32 = (0..3)
            .flat_map(|y| (0..2).map(move |x| (x, y)))
            .map(|(x, y)| u32::from(data[(30 + y) * 64 + 20 + x]))
            .sum();
        assert_eq!(cells[10][10], i64::from(mean * 256 / 6));
        // a constant stays one at any size
        for (width, height) in [(1, 1), (7, 5), (31, 33), (1000, 3)] {
            let flat = vec![77; width as usize * height as usize];
            let cells = shrink(&GrayPicture::new(width, height, &flat).unwrap());
            assert!(
                cells.iter().flatten().all(|&level| level == 77 * 256),
                "{width} x {height}"
            );
        }
    }

    #[test]
    fn blank_frames_have_no_hash_and_tiny_ones_do_not_fail() {
        assert_eq!(hash(64, 64, &[0; 4096]), None);
        assert_eq!(hash(64, 64, &[255; 4096]), None);
        assert_eq!(hash(1, 1, &[9]), None);
        assert!(hash(2, 1, &[0, 255]).is_some());
    }
}
