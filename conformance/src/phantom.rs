//! Pixels of the objects that we make: a CT-like phantom, the same for the same seed on every machine.
//!
//! A benchmark on black pictures flatters an archive that compresses or deduplicates. So each image is a body with lungs,
//! spine and ribs in Hounsfield units under smooth noise, drawn in integer arithmetic so that no two machines differ.

/// A reproducible stream of numbers (SplitMix64).
#[derive(Clone, Debug)]
pub struct Numbers(u64);

impl Numbers {
    /// Returns the stream that belongs to a name.
    pub fn named(parts: &[&str]) -> Self {
        // FNV-1a over the parts with a separator, so that ("a","bc") and ("ab","c") differ.
        let mut state = 0xcbf2_9ce4_8422_2325_u64;
        for part in parts {
            for byte in part.bytes().chain([0x1f]) {
                state = (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
        Self(state)
    }

    /// Returns the next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// Returns the UID under 2.25 that belongs to a name (PS3.5 B.2).
pub fn uid(parts: &[&str]) -> String {
    let mut numbers = Numbers::named(parts);
    let value = (u128::from(numbers.draw()) << 64) | u128::from(numbers.draw());
    format!("2.25.{value}")
}

/// Draws images of one size. The noise is made once and shifted for each image, which is what makes drawing cheap.
#[derive(Clone, Debug)]
pub struct Phantom {
    columns: usize,
    rows: usize,
    noise: Vec<i16>,
}

impl Phantom {
    /// Returns a phantom of that size, with noise from the seed.
    pub fn new(columns: u16, rows: u16, seed: &str) -> Self {
        let (columns, rows) = (usize::from(columns), usize::from(rows));
        let mut numbers = Numbers::named(&[seed, "noise"]);
        let mut previous = 0_i32;
        let noise = (0..columns * rows)
            .map(|_| {
                // The sum of eight bytes is near a normal distribution; each value leans on the one before it.
                let sum: i32 = numbers
                    .draw()
                    .to_le_bytes()
                    .iter()
                    .map(|&byte| i32::from(byte) - 128)
                    .sum();
                previous = (sum + previous) / 2;
                i16::try_from(previous / 8).unwrap_or(0)
            })
            .collect();
        Self { columns, rows, noise }
    }

    /// Returns image number `slice` as 12-bit samples in 16, little endian: Hounsfield units plus 1024.
    pub fn ct_slice(&self, key: &str, slice: u32) -> Vec<u8> {
        let shift = usize::try_from(Numbers::named(&[key]).draw() % (self.noise.len().max(1) as u64)).unwrap_or(0);
        let mut pixels = Vec::with_capacity(self.columns * self.rows * 2);
        let noise = self.noise.iter().cycle().skip(shift);
        let places = (0..self.rows).flat_map(|row| (0..self.columns).map(move |column| (row, column)));
        for ((row, column), noise) in places.zip(noise) {
            let stored = self
                .hounsfield(row, column, slice)
                .map_or(0, |value| (value + i32::from(*noise) + 1024).clamp(0, 4095));
            pixels.extend_from_slice(&u16::try_from(stored).unwrap_or(0).to_le_bytes());
        }
        pixels
    }

    /// The tissue at a place, in Hounsfield units; `None` outside the field of view. Lengths are in thousandths of half the width.
    fn hounsfield(&self, row: usize, column: usize, slice: u32) -> Option<i32> {
        let place = |index: usize, count: usize| -> i64 {
            let count = i64::try_from(count.max(1)).unwrap_or(1);
            (2 * i64::try_from(index).unwrap_or(0) + 1) * 1000 / count - 1000
        };
        let (x, y) = (place(column, self.columns), place(row, self.rows));
        if x * x + y * y > 980_000 {
            return None;
        }
        let ellipse = |cx: i64, cy: i64, a: i64, b: i64| {
            let (dx, dy) = ((x - cx) * 1000 / a, (y - cy) * 1000 / b);
            dx * dx + dy * dy
        };
        let breath = i64::from(slice % 40) * 2;
        let body = ellipse(0, 0, 760, 560 + breath);
        if body > 1_000_000 {
            return Some(-1000);
        }
        let inside = if ellipse(0, 330, 110, 100) < 1_000_000 {
            420 // spine
        } else if ellipse(340, 0, 220, 320 - breath) < 1_000_000 || ellipse(-340, 0, 220, 320 - breath) < 1_000_000 {
            -830 // lungs
        } else if body > 900_000 {
            -90 // fat under the skin
        } else if (720_000..780_000).contains(&body) && (x + i64::from(slice) * 20).rem_euclid(300) < 160 {
            650 // ribs
        } else {
            40
        };
        Some(inside)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_draws_the_same_image_and_another_key_another_one() {
        let (one, two) = (Phantom::new(64, 48, "a"), Phantom::new(64, 48, "a"));
        assert_eq!(one.ct_slice("k", 3), two.ct_slice("k", 3));
        assert_ne!(one.ct_slice("k", 3), one.ct_slice("other", 3));
        assert_eq!(one.ct_slice("k", 3).len(), 64 * 48 * 2);
    }

    #[test]
    fn an_image_is_neither_blank_nor_outside_twelve_bits() {
        let pixels = Phantom::new(64, 64, "a").ct_slice("k", 0);
        let samples: Vec<u16> = pixels
            .chunks_exact(2)
            .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
            .collect();
        assert!(samples.iter().all(|&sample| sample < 4096));
        assert!(samples.iter().collect::<std::collections::BTreeSet<_>>().len() > 200);
    }

    #[test]
    fn uids_are_valid_and_differ_by_name() {
        assert_ne!(uid(&["a", "bc"]), uid(&["ab", "c"]));
        assert!(uid(&["a"]).len() <= 64);
    }
}
