//! Randomness that is always the same: hashes of numbers, and smooth noise made of them.

/// Returns 64 well-mixed bits of a number.
pub(super) fn mix(n: u64) -> u64 {
    let n = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}

/// Returns a number in 0..1 that belongs to a grid point.
pub(super) fn hash(seed: u32, i: i32, j: i32, k: i32) -> f32 {
    let mut h = seed.wrapping_mul(0x85eb_ca6b)
        ^ i.cast_unsigned().wrapping_mul(0x165_667b1)
        ^ j.cast_unsigned().wrapping_mul(0x27d4_eb2f)
        ^ k.cast_unsigned().wrapping_mul(0x9e37_79b1);
    h = (h ^ (h >> 15)).wrapping_mul(0x2c1b_3c6d);
    h = (h ^ (h >> 12)).wrapping_mul(0x297a_2d39);
    ((h ^ (h >> 15)) >> 8) as f32 / (1 << 24) as f32
}

/// Returns a number of about a normal distribution, deviation 1, that belongs to a grid point.
pub(super) fn gauss(seed: u32, i: i32, j: i32, k: i32) -> f32 {
    let of = |n: u32| hash(seed.wrapping_add(n.wrapping_mul(0x51_7cc1)), i, j, k);
    (of(0) + of(1) + of(2) - 1.5) * 2.0
}

/// Returns smooth noise in -1..1: hashes at whole numbers, eased between them.
pub(super) fn smooth(seed: u32, x: f32, y: f32, z: f32) -> f32 {
    let (i, j, k) = (x.floor(), y.floor(), z.floor());
    let (u, v, w) = (ease(x - i), ease(y - j), ease(z - k));
    let (i, j, k) = (i as i32, j as i32, k as i32);
    let at = |a, b, c| hash(seed, i + a, j + b, k + c);
    let line = |b, c| mix_of(at(0, b, c), at(1, b, c), u);
    mix_of(mix_of(line(0, 0), line(1, 0), v), mix_of(line(0, 1), line(1, 1), v), w) * 2.0 - 1.0
}

/// Returns 0..1 for 0..1, flat at both ends.
pub(super) fn ease(t: f32) -> f32 {
    t * t * (3.0 - 2.0 * t)
}

fn mix_of(a: f32, b: f32, t: f32) -> f32 {
    a + (b - a) * t
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_fill_their_range_evenly() {
        let values: Vec<f32> = (0..10_000).map(|n| hash(7, n % 100, n / 100, 3)).collect();
        assert!(values.iter().all(|v| (0.0..1.0).contains(v)));
        let mean = values.iter().sum::<f32>() / 10_000.0;
        assert!((mean - 0.5).abs() < 0.01, "{mean}");
    }

    #[test]
    fn gauss_has_deviation_one() {
        let values: Vec<f32> = (0..10_000).map(|n| gauss(7, n % 100, n / 100, 3)).collect();
        let deviation = (values.iter().map(|v| v * v).sum::<f32>() / 10_000.0).sqrt();
        assert!((deviation - 1.0).abs() < 0.03, "{deviation}");
    }

    #[test]
    fn smooth_noise_has_no_steps() {
        for n in 0..2000 {
            let x = n as f32 * 0.01 - 10.0;
            assert!(
                (smooth(1, x, 0.3, 0.7) - smooth(1, x + 0.01, 0.3, 0.7)).abs() < 0.05,
                "{x}"
            );
        }
    }
}
