//! Source box, flips and scaling: the mean of an area when a picture shrinks, between neighbours when it grows.

use super::{LONGEST_SIDE, Picture, Viewport};
use crate::Error;

const BOX: Error = Error::Parameter { name: "viewport" };

/// What one place of the result is made of, along one axis: first source place and the weights from there on.
struct Taps {
    first: usize,
    weights: Vec<f32>,
}

/// Scales a picture into a viewport.
pub(super) fn fit(picture: Picture, viewport: Viewport) -> Result<Picture, Error> {
    let Viewport { width, height, source } = viewport;
    if !(1..=LONGEST_SIDE).contains(&width) || !(1..=LONGEST_SIDE).contains(&height) {
        return Err(BOX);
    }
    let (full_w, full_h) = (f64::from(picture.width), f64::from(picture.height));
    let (x, y, w, h) = source.unwrap_or((0.0, 0.0, full_w, full_h));
    let (flip_x, flip_y) = (w < 0.0, h < 0.0);
    let (w, h) = (w.abs(), h.abs());
    let inside = [x, y, w, h].iter().all(|v| v.is_finite())
        && x >= 0.0
        && y >= 0.0
        && w >= 1.0
        && h >= 1.0
        && x + w <= full_w
        && y + h <= full_h;
    if !inside {
        return Err(BOX);
    }
    let factor = (f64::from(width) / w).min(f64::from(height) / h);
    let across = taps(x, w, side(w * factor, width), picture.width, flip_x);
    let down = taps(y, h, side(h * factor, height), picture.height, flip_y);
    Ok(resample(&picture, &across, &down))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to 1..=most before"
)]
fn side(length: f64, most: u32) -> u32 {
    length.round().clamp(1.0, f64::from(most)) as u32
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to places of the picture before"
)]
fn place(at: f64, places: u32) -> usize {
    at.clamp(0.0, f64::from(places.saturating_sub(1))) as usize
}

#[expect(clippy::cast_possible_truncation, reason = "a weight between 0 and 1")]
fn weight(value: f64) -> f32 {
    value as f32
}

fn taps(start: f64, length: f64, out: u32, places: u32, flip: bool) -> Vec<Taps> {
    let step = length / f64::from(out);
    let mut taps: Vec<Taps> = (0..out)
        .map(|n| {
            if step > 1.0 {
                let (from, to) = (start + f64::from(n) * step, start + f64::from(n + 1) * step);
                let (first, last) = (place(from, places), place((to - 1e-9).max(from), places));
                let cover = |at: usize| {
                    let at = f64::from(u32::try_from(at).unwrap_or(u32::MAX));
                    weight(((to.min(at + 1.0) - from.max(at)) / step).max(0.0))
                };
                Taps {
                    first,
                    weights: (first..=last).map(cover).collect(),
                }
            } else {
                let at = (start + (f64::from(n) + 0.5) * step - 0.5).clamp(0.0, f64::from(places.saturating_sub(1)));
                let first = place(at, places);
                let part = weight(at - at.floor());
                let weights = if part > 0.0 { vec![1.0 - part, part] } else { vec![1.0] };
                Taps { first, weights }
            }
        })
        .collect();
    if flip {
        taps.reverse();
    }
    taps
}

fn resample(picture: &Picture, across: &[Taps], down: &[Taps]) -> Picture {
    let channels = picture.channels;
    let row_len = usize::try_from(picture.width).unwrap_or(0) * channels;
    let mut data = Vec::with_capacity(across.len() * down.len() * channels);
    let mut column = vec![0.0f32; row_len];
    for tap in down {
        column.fill(0.0);
        let rows = picture.data.chunks_exact(row_len.max(1)).skip(tap.first);
        for (row, weight) in rows.zip(&tap.weights) {
            for (sum, value) in column.iter_mut().zip(row) {
                *sum += weight * f32::from(*value);
            }
        }
        for tap in across {
            for channel in 0..channels {
                let values = column.iter().skip(tap.first * channels + channel).step_by(channels);
                let sum: f32 = values.zip(&tap.weights).map(|(value, weight)| value * weight).sum();
                data.push(to_u8(sum));
            }
        }
    }
    let side = |taps: &[Taps]| u32::try_from(taps.len()).unwrap_or(u32::MAX);
    Picture {
        width: side(across),
        height: side(down),
        channels,
        data,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to 0..=255 before"
)]
fn to_u8(value: f32) -> u8 {
    value.round().clamp(0.0, 255.0) as u8
}
