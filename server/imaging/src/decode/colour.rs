//! Colour: arrangements of three samples, and YBR to RGB (PS3.3 C.7.6.3.1.2).

use super::{Raw, Space};
use crate::{Error, PixelFacts};

/// Puts planes together pixel by pixel; `width` is the bytes of a sample.
pub(super) fn to_pixels(planes: &[u8], width: usize) -> Vec<u8> {
    let plane = planes.len() / 3 / width * width;
    let (red, rest) = planes.split_at(plane);
    let (green, blue) = rest.split_at(plane.min(rest.len()));
    let samples = red
        .chunks_exact(width)
        .zip(green.chunks_exact(width))
        .zip(blue.chunks_exact(width));
    let mut out = Vec::with_capacity(planes.len());
    for ((r, g), b) in samples {
        out.extend_from_slice(r);
        out.extend_from_slice(g);
        out.extend_from_slice(b);
    }
    out
}

/// Takes pixels apart into planes.
pub(super) fn to_planes(pixels: &[u8], width: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(pixels.len());
    for plane in 0..3 {
        for pixel in pixels.chunks_exact(3 * width) {
            out.extend(pixel.chunks_exact(width).skip(plane).take(1).flatten());
        }
    }
    out
}

/// Gives each pixel its own colour differences: two pixels share them, in the order Y Y B R.
pub(super) fn expand_422(bytes: &[u8], width: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() / 2 * 3);
    for pair in bytes.chunks_exact(4 * width) {
        let mut samples = pair.chunks_exact(width);
        let (Some(first), Some(second), Some(blue), Some(red)) =
            (samples.next(), samples.next(), samples.next(), samples.next())
        else {
            break;
        };
        for luminance in [first, second] {
            out.extend_from_slice(luminance);
            out.extend_from_slice(blue);
            out.extend_from_slice(red);
        }
    }
    out
}

/// Converts 8-bit pixels in place.
pub(super) fn convert(space: Space, pixels: &mut [u8]) {
    let (scale_y, scale_c, black) = match space {
        Space::Rgb => return,
        Space::Ybr => (1.0, 1.0, 0.0),
        Space::YbrPartial => (255.0 / 219.0, 255.0 / 224.0, 16.0),
    };
    let (pixels, _) = pixels.as_chunks_mut::<3>();
    for pixel in pixels {
        let [y, cb, cr] = pixel.map(f32::from);
        let (y, cb, cr) = ((y - black) * scale_y, (cb - 128.0) * scale_c, (cr - 128.0) * scale_c);
        let rgb = [y + 1.402 * cr, y - 0.344_136 * cb - 0.714_136 * cr, y + 1.772 * cb];
        *pixel = rgb.map(to_u8);
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

/// Turns three samples of any width into 8-bit RGB; of wider ones the upper bits are taken.
pub(super) fn to_rgb(facts: &PixelFacts, raw: &Raw) -> Result<Vec<u8>, Error> {
    let down = raw.stored.saturating_sub(8);
    let low = |v: u32| u8::try_from(v >> u32::from(down.saturating_add(raw.low_bit)).min(31) & 0xFF).unwrap_or(u8::MAX);
    let mut pixels: Vec<u8> = match raw.allocated {
        8 => raw.bytes.clone(),
        16 => raw
            .bytes
            .as_chunks::<2>()
            .0
            .iter()
            .map(|b| low(u32::from(u16::from_le_bytes(*b))))
            .collect(),
        32 => raw
            .bytes
            .as_chunks::<4>()
            .0
            .iter()
            .map(|b| low(u32::from_le_bytes(*b)))
            .collect(),
        _ => {
            return Err(Error::Unsupported {
                what: "colour of this depth",
            });
        }
    };
    let wanted = usize::try_from(facts.pixels()).unwrap_or(usize::MAX).saturating_mul(3);
    // an odd number of columns leaves half a pair of 4:2:2 over
    if pixels.len() < wanted {
        return Err(Error::Damaged {
            what: "frame is shorter than rows and columns need",
        });
    }
    pixels.truncate(wanted);
    convert(raw.space, &mut pixels);
    Ok(pixels)
}
