//! The blank test: a frame with nothing on it gets no code, or all of them would be each other's nearest neighbours.
//!
//! A frame is blank if its first and 99th percentile lie less than eight gray levels apart, or if 99.5 % of its pixels
//! are within two levels of the most common one.

use crate::GrayPicture;

/// Tells whether there is nothing to see on a picture.
pub(crate) fn is_blank(picture: &GrayPicture<'_>) -> bool {
    let mut histogram = [0u64; 256];
    for &sample in picture.samples() {
        if let Some(count) = histogram.get_mut(usize::from(sample)) {
            *count += 1;
        }
    }
    let total: u64 = histogram.iter().sum();

    let spread = level_at(&histogram, total, 990) - level_at(&histogram, total, 10);
    if spread < 8 {
        return true;
    }

    let Some(common) = (0..256i64).max_by_key(|&level| near(&histogram, level, 0)) else {
        return true;
    };
    near(&histogram, common, 2) * 1000 >= total * 995
}

/// Returns the lowest level at or below which lie so many of a thousand pixels.
fn level_at(histogram: &[u64; 256], total: u64, of_thousand: u64) -> i64 {
    let mut below = 0;
    for (level, count) in (0i64..).zip(histogram) {
        below += count;
        if below * 1000 >= total * of_thousand {
            return level;
        }
    }
    255
}

/// Returns how many pixels lie at most `reach` levels from `level`.
fn near(histogram: &[u64; 256], level: i64, reach: i64) -> u64 {
    (0i64..)
        .zip(histogram)
        .filter(|(at, _)| (at - level).abs() <= reach)
        .map(|(_, count)| count)
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blank(width: u32, height: u32, at: impl Fn(u32, u32) -> u8) -> bool {
        let data: Vec<u8> = (0..height)
            .flat_map(|y| (0..width).map(move |x| (x, y)))
            .map(|(x, y)| at(x, y))
            .collect();
        is_blank(&GrayPicture::new(width, height, &data).unwrap())
    }

    fn noise(x: u32, y: u32) -> u32 {
        let mut h = x.wrapping_mul(374_761_393) ^ y.wrapping_mul(668_265_263);
        h = (h ^ (h >> 13)).wrapping_mul(1_274_126_177);
        h ^ (h >> 16)
    }

    #[test]
    fn frames_of_one_level_are_blank() {
        for level in [0, 1, 127, 254, 255] {
            assert!(blank(64, 48, |_, _| level), "{level}");
        }
        assert!(blank(1, 1, |_, _| 90));
    }

    #[test]
    fn a_noise_floor_is_blank() {
        for base in [0u8, 60, 248] {
            assert!(blank(128, 128, |x, y| base + (noise(x, y) % 8) as u8), "{base}");
        }
    }

    #[test]
    fn padding_with_a_few_stray_pixels_is_blank() {
        assert!(blank(128, 128, |x, y| if x == 5 && y < 60 { 255 } else { 0 }));
    }

    #[test]
    fn a_small_disc_and_a_faint_ramp_are_not_blank() {
        assert!(!blank(128, 128, |x, y| {
            if x.abs_diff(64).pow(2) + y.abs_diff(64).pow(2) < 100 {
                200
            } else {
                0
            }
        }));
        assert!(!blank(128, 128, |x, _| (100 + x / 8) as u8));
    }
}
