//! Pictures for detectors: bytes over the whole range of what is stored, and enlarged or reduced ones.

use std::time::Instant;

use isocenter_model::TransferSyntaxUid;

use crate::{Error, PixelFacts, Samples, decode};

/// One channel of a picture, a byte a pixel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plane {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// As many bytes as that needs, row after row.
    pub pixels: Vec<u8>,
}

/// The planes of a frame, and how many of its pixels stand in one of theirs, in each direction.
pub(super) struct Planes {
    pub(super) planes: Vec<Plane>,
    pub(super) times: u32,
}

/// The longest side of a plane. Larger pictures are reduced while they are decoded.
const LONGEST: u32 = 2048;
/// Letters of larger ones would be gone.
const MOST_TIMES: u32 = 4;
/// The most bytes of samples that a searched frame may have: they are in memory twice.
const MOST_BYTES: u64 = 32 << 20;

/// Returns an error where a frame is too large to be searched, before anything of it is read.
pub(super) fn check_size(facts: &PixelFacts, coded: u64) -> Result<(), Error> {
    let samples = facts.pixels().saturating_mul(u64::from(facts.samples_per_pixel));
    let bytes = samples.saturating_mul(u64::from(facts.bits_allocated)).div_ceil(8);
    let bytes = bytes.max(samples / 2).max(coded);
    let longest = u32::from(facts.rows.max(facts.columns));
    if bytes > MOST_BYTES || longest > LONGEST * MOST_TIMES {
        return Err(Error::TooLarge {
            bytes,
            limit: MOST_BYTES,
        });
    }
    Ok(())
}

/// Returns the planes of a frame; `None` where time ran out. Gray values are spread over the range of all, since overlays
/// are drawn at its ends, and, where single values stretch that range, a second time over the range of nearly all. Equal
/// colours are one plane.
pub(super) fn of_frame(
    facts: &PixelFacts,
    ts: &TransferSyntaxUid,
    frame: &[u8],
    deadline: Instant,
) -> Result<Option<Planes>, Error> {
    let (columns, rows) = (u32::from(facts.columns), u32::from(facts.rows));
    let times = columns.max(rows).div_ceil(LONGEST).max(1);
    let size = |side: u32| usize::try_from(side.div_ceil(times)).unwrap_or(0);
    let (width, height) = (size(columns), size(rows));
    let mut reduced = Reduced::new(usize::from(facts.columns), usize::try_from(times).unwrap_or(1), width);
    let whole = decode::in_bands(facts, ts, frame, &mut |samples| {
        match samples {
            Samples::Rgb(values) => reduced.take(3, values.iter().map(|v| f32::from(*v))),
            Samples::Gray(values) => reduced.take(1, values.iter().map(|v| narrow(f64::from(*v)))),
            Samples::GrayWide(values) => reduced.take(1, values.iter().map(|v| narrow(*v))),
        }
        Instant::now() < deadline
    })?;
    if !whole {
        return Ok(None);
    }
    reduced.end_row();
    let plane = |pixels: Vec<u8>| Plane { width, height, pixels };
    if !reduced.colours.iter().all(Vec::is_empty) {
        let mut planes: Vec<Plane> = reduced.colours.into_iter().map(plane).collect();
        planes.dedup();
        return Ok(Some(Planes { planes, times }));
    }
    let values = reduced.gray;
    let mut sorted: Vec<f32> = values.iter().copied().step_by((values.len() / 50_000).max(1)).collect();
    sorted.sort_by(f32::total_cmp);
    let at = |part: usize| sorted.get(sorted.len() * part / 1000).copied().unwrap_or(0.0);
    let nearly = (at(2), at(998));
    let all = values
        .iter()
        .fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), v| {
            (low.min(*v), high.max(*v))
        });
    let mut planes = vec![plane(spread(&values, all))];
    if nearly.1 > nearly.0 && nearly.1 - nearly.0 < 0.7 * (all.1 - all.0) {
        planes.push(plane(spread(&values, nearly)));
    }
    Ok(Some(Planes { planes, times }))
}

/// A picture that is reduced row by row: each of its pixels is the mean of a square.
struct Reduced {
    columns: usize,
    times: usize,
    /// Sums of the row that is being made, all samples of a pixel together.
    sums: Vec<f32>,
    width: usize,
    channels: usize,
    /// Rows and samples of the original that are in `sums`.
    rows: usize,
    filled: usize,
    gray: Vec<f32>,
    colours: [Vec<u8>; 3],
}

impl Reduced {
    fn new(columns: usize, times: usize, width: usize) -> Self {
        Self {
            columns,
            times,
            sums: Vec::new(),
            width,
            channels: 1,
            rows: 0,
            filled: 0,
            gray: Vec::new(),
            colours: Default::default(),
        }
    }

    /// Takes whole rows.
    fn take(&mut self, channels: usize, values: impl Iterator<Item = f32>) {
        self.channels = channels;
        let row = self.columns * channels;
        for value in values {
            if self.sums.is_empty() {
                self.sums.resize(self.width * channels, 0.0);
            }
            let (pixel, channel) = (self.filled / channels, self.filled % channels);
            if let Some(sum) = self.sums.get_mut(pixel / self.times * channels + channel) {
                *sum += value;
            }
            self.filled += 1;
            if self.filled == row {
                self.filled = 0;
                self.rows += 1;
                if self.rows == self.times {
                    self.end_row();
                }
            }
        }
    }

    /// Ends the row that is being made; the last one may be of fewer rows.
    fn end_row(&mut self) {
        if self.rows == 0 {
            return;
        }
        for (n, sum) in self.sums.drain(..).enumerate() {
            let (pixel, channel) = (n / self.channels, n % self.channels);
            let across = self.times.min(self.columns - pixel * self.times);
            let mean = sum / narrow((across * self.rows) as f64);
            match self.colours.get_mut(channel) {
                Some(colour) if self.channels == 3 => colour.push(byte(mean)),
                _ => self.gray.push(mean),
            }
        }
        self.rows = 0;
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a byte of the range is what counts")]
fn narrow(value: f64) -> f32 {
    value as f32
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to 0..=255 before"
)]
fn byte(value: f32) -> u8 {
    value.clamp(0.0, 255.0) as u8
}

fn spread(values: &[f32], (low, high): (f32, f32)) -> Vec<u8> {
    let scale = if high > low { 255.0 / (high - low) } else { 0.0 };
    values.iter().map(|v| byte((v - low) * scale)).collect()
}

impl Plane {
    pub(super) fn rows(&self) -> impl Iterator<Item = &[u8]> {
        self.pixels.chunks_exact(self.width.max(1))
    }

    /// Returns the plane so many times as large, interpolated.
    pub(super) fn enlarged(&self, times: usize) -> Self {
        let times = times.max(1);
        let stretch = |values: &[u8]| -> Vec<u8> {
            let last = values.last().copied().unwrap_or(0);
            let next = values.iter().skip(1).copied().chain([last]);
            let between = |a: u8, b: u8, n: usize| (usize::from(a) * (times - n) + usize::from(b) * n) / times;
            values
                .iter()
                .zip(next)
                .flat_map(|(a, b)| (0..times).map(move |n| u8::try_from(between(*a, b, n)).unwrap_or(u8::MAX)))
                .collect()
        };
        let rows: Vec<Vec<u8>> = self.rows().map(stretch).collect();
        let mut pixels = Vec::with_capacity(self.pixels.len() * times * times);
        for (n, row) in rows.iter().enumerate() {
            let below = rows.get(n + 1).unwrap_or(row);
            for part in 0..times {
                let mix = |(a, b): (&u8, &u8)| (usize::from(*a) * (times - part) + usize::from(*b) * part) / times;
                pixels.extend(
                    row.iter()
                        .zip(below)
                        .map(|pair| u8::try_from(mix(pair)).unwrap_or(u8::MAX)),
                );
            }
        }
        Self {
            width: self.width * times,
            height: self.height * times,
            pixels,
        }
    }

    /// Returns the plane at half the size; the mean of each four pixels.
    pub(super) fn halved(&self) -> Self {
        let (width, height) = (self.width / 2, self.height / 2);
        let mut pixels = Vec::with_capacity(width * height);
        for pair in self.pixels.chunks_exact((self.width * 2).max(1)) {
            let (upper, lower) = pair.split_at(self.width);
            let four = upper.as_chunks::<2>().0.iter().zip(lower.as_chunks::<2>().0);
            pixels.extend(four.map(|([a, b], [c, d])| middle(middle(*a, *b), middle(*c, *d))));
        }
        Self { width, height, pixels }
    }
}

fn middle(a: u8, b: u8) -> u8 {
    a.midpoint(b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::facts;

    fn native(facts: &PixelFacts, bytes: &[u8], deadline: Instant) -> Option<Planes> {
        let ts = TransferSyntaxUid::parse("1.2.840.10008.1.2.1").unwrap();
        of_frame(facts, &ts, bytes, deadline).unwrap()
    }

    fn later() -> Instant {
        Instant::now() + std::time::Duration::from_secs(60)
    }

    #[test]
    fn large_pictures_are_reduced_by_means_and_small_ones_are_not() {
        let small = facts(3, 2, 8);
        let found = native(&small, &[0, 51, 102, 153, 204, 255], later()).unwrap();
        assert_eq!(
            (found.times, &found.planes[0].pixels[..]),
            (1, &[0, 51, 102, 153, 204, 255][..])
        );
        // 4097 columns: three to one, and two in the last column
        let large = facts(5, 4097, 8);
        let row: Vec<u8> = (0..4097).map(|n| if n < 3 { 255 } else { 0 }).collect();
        let found = native(&large, &row.repeat(5), later()).unwrap();
        let plane = &found.planes[0];
        assert_eq!((found.times, plane.width, plane.height), (3, 1366, 2));
        assert_eq!(plane.pixels.len(), 1366 * 2);
        assert_eq!((plane.pixels[0], plane.pixels[1], plane.pixels[1366]), (255, 0, 255));
    }

    #[test]
    fn frames_beyond_the_limit_are_refused_before_they_are_read() {
        assert!(check_size(&facts(4096, 3328, 16), 1).is_ok());
        for (facts, coded) in [
            (facts(16384, 16384, 8), 1),
            (facts(100, 9000, 8), 1),
            (facts(64, 64, 8), 1 << 26),
            (facts(6000, 6000, 16), 1),
        ] {
            assert!(matches!(check_size(&facts, coded), Err(Error::TooLarge { .. })));
        }
    }

    #[test]
    fn a_deadline_that_passes_ends_the_decoding() {
        assert!(native(&facts(64, 64, 16), &[1; 8192], Instant::now()).is_none());
    }
}
