//! Gray values to brightness: modality transformation (PS3.3 C.11.1), values of interest (C.11.2), MONOCHROME1.

use crate::{Lut, Photometric, PixelFacts, Window, WindowFunction};

/// How a value becomes a brightness, settled once for a frame.
enum Show<'a> {
    Window(Window),
    Lut(&'a Lut),
}

impl Show<'_> {
    /// Brightness of a value of interest, 0 to 255, before inversion.
    fn brightness(&self, value: f64) -> u8 {
        match self {
            Self::Window(window) => to_u8(share(*window, value) * 255.0),
            Self::Lut(lut) => {
                let most = f64::from((1u32 << lut.bits.clamp(1, 16)) - 1);
                to_u8(f64::from(lut.at(to_i32(value))) / most * 255.0)
            }
        }
    }
}

/// Where a value lies between black (0) and white (1).
fn share(window: Window, x: f64) -> f64 {
    let Window {
        center: c,
        width: w,
        function,
    } = window;
    match function {
        WindowFunction::Linear => {
            let (c, w) = (c - 0.5, w - 1.0);
            if x <= c - w / 2.0 {
                0.0
            } else if x > c + w / 2.0 {
                1.0
            } else {
                (x - c) / w + 0.5
            }
        }
        WindowFunction::LinearExact => ((x - c) / w + 0.5).clamp(0.0, 1.0),
        WindowFunction::Sigmoid => 1.0 / (1.0 + (-4.0 * (x - c) / w).exp()),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to 0..=255 before"
)]
fn to_u8(value: f64) -> u8 {
    value.round().clamp(0.0, 255.0) as u8
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a float becomes the nearest integer; out of range it saturates"
)]
fn to_i32(value: f64) -> i32 {
    value.round() as i32
}

fn is_padding(facts: &PixelFacts, stored: i32) -> bool {
    facts.padding.is_some_and(|(low, high)| (low..=high).contains(&stored))
}

fn modality(facts: &PixelFacts, stored: f64) -> f64 {
    match (&facts.modality_lut, facts.rescale) {
        (Some(lut), _) => f64::from(lut.at(to_i32(stored))),
        (None, Some((slope, intercept))) => stored * slope + intercept,
        (None, None) => stored,
    }
}

fn inverted(facts: &PixelFacts) -> bool {
    facts.photometric_interpretation == Photometric::Monochrome1
}

/// Settles the window: the one asked for, the header's first, its table, else the range of the values.
fn settle<'a>(facts: &'a PixelFacts, window: Option<Window>, range: impl FnOnce() -> (f64, f64)) -> Show<'a> {
    if let Some(window) = window.or_else(|| facts.windows.first().copied()) {
        return Show::Window(window);
    }
    if let Some(lut) = &facts.voi_lut {
        return Show::Lut(lut);
    }
    let (low, high) = range();
    let (center, width) = (f64::midpoint(low, high), (high - low).max(f64::MIN_POSITIVE));
    Show::Window(Window {
        center,
        width,
        function: WindowFunction::LinearExact,
    })
}

fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| {
        (low.min(v), high.max(v))
    });
    // nothing but padding
    if low > high { (0.0, 0.0) } else { (low, high) }
}

/// Shows stored values; padding is black whatever the interpretation.
pub(super) fn show(values: &[i32], facts: &PixelFacts, window: Option<Window>) -> Vec<u8> {
    let meant = || {
        values
            .iter()
            .filter(|v| !is_padding(facts, **v))
            .map(|v| modality(facts, f64::from(*v)))
    };
    let show = settle(facts, window, || range(meant()));
    let invert = inverted(facts);
    let one = |stored: i32| {
        if is_padding(facts, stored) {
            return 0;
        }
        let brightness = show.brightness(modality(facts, f64::from(stored)));
        if invert { 255 - brightness } else { brightness }
    };
    let (low, high) = values
        .iter()
        .fold((i32::MAX, i32::MIN), |(low, high), v| (low.min(*v), high.max(*v)));
    // 8 to 16 bits: each value once, not each pixel
    let spread = i64::from(high) - i64::from(low);
    if (0..=0xFFFF).contains(&spread) && spread < values.len() as i64 {
        let table: Vec<u8> = (low..=high).map(one).collect();
        let place = |v: i32| {
            usize::try_from(v.wrapping_sub(low))
                .ok()
                .and_then(|n| table.get(n))
                .copied()
        };
        return values.iter().map(|v| place(*v).unwrap_or(0)).collect();
    }
    values.iter().map(|v| one(*v)).collect()
}

/// Shows values that are not 32-bit integers; they have no padding value.
pub(super) fn show_wide(values: &[f64], facts: &PixelFacts, window: Option<Window>) -> Vec<u8> {
    let show = settle(facts, window, || range(values.iter().map(|v| modality(facts, *v))));
    let invert = inverted(facts);
    let one = |v: &f64| {
        let brightness = show.brightness(modality(facts, *v));
        if invert { 255 - brightness } else { brightness }
    };
    values.iter().map(one).collect()
}
