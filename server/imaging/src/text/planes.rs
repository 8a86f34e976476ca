//! Pictures for detectors: bytes over the whole range of what is stored, and enlarged or reduced ones.

use crate::{Frame, Samples};

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

/// Returns the planes of a frame. Gray values are spread over the range of all, since overlays are drawn at its ends, and,
/// where single values stretch that range, a second time over the range of nearly all. Equal colours are one plane.
pub(super) fn of_frame(frame: &Frame) -> Vec<Plane> {
    let (width, height) = (
        usize::try_from(frame.width).unwrap_or(0),
        usize::try_from(frame.height).unwrap_or(0),
    );
    let plane = |pixels: Vec<u8>| Plane { width, height, pixels };
    let values: Vec<f32> = match &frame.samples {
        Samples::Rgb(pixels) => {
            let (pixels, _) = pixels.as_chunks::<3>();
            let channel = |n: usize| plane(pixels.iter().filter_map(|pixel| pixel.get(n).copied()).collect());
            let mut planes = vec![channel(0), channel(1), channel(2)];
            planes.dedup();
            return planes;
        }
        Samples::Gray(values) => values.iter().map(|v| narrow(f64::from(*v))).collect(),
        Samples::GrayWide(values) => values.iter().map(|v| narrow(*v)).collect(),
    };
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
    planes
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
fn spread(values: &[f32], (low, high): (f32, f32)) -> Vec<u8> {
    let scale = if high > low { 255.0 / (high - low) } else { 0.0 };
    values
        .iter()
        .map(|v| ((v - low) * scale).clamp(0.0, 255.0) as u8)
        .collect()
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
