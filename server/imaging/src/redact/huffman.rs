//! Writing Huffman codes of JPEG (ISO 10918-1 annexes C and K.2, F.1.2).

/// Codes and their lengths by symbol; length 0 where a symbol has none.
#[derive(Debug, Clone)]
pub(super) struct Codes {
    codes: Vec<(u16, u8)>,
}

impl Codes {
    /// Returns the codes of one table of a DHT segment: 16 counts, then the symbols (C.2).
    pub(super) fn of_table(counts: &[u8], symbols: &[u8]) -> Option<Self> {
        let mut codes = vec![(0u16, 0u8); 256];
        let mut symbols = symbols.iter();
        let mut next = 0u32;
        for (length, count) in (1u8..).zip(counts) {
            for _ in 0..*count {
                *codes.get_mut(usize::from(*symbols.next()?))? = (u16::try_from(next).ok()?, length);
                next += 1;
            }
            next <<= 1;
        }
        Some(Self { codes })
    }

    pub(super) fn get(&self, symbol: u8) -> Option<(u16, u8)> {
        self.codes.get(usize::from(symbol)).copied().filter(|(_, len)| *len > 0)
    }
}

/// Returns counts and symbols of the best table for symbols that occur so often: annex K.2.
pub(super) fn best_table(often: &[u64; 256]) -> ([u8; 16], Vec<u8>) {
    // the last one is no symbol: it takes the code of all ones, which must not be used
    let mut frequency: Vec<u64> = often.iter().copied().chain([1]).collect();
    let mut size = vec![0usize; 257];
    let mut next: Vec<Option<usize>> = vec![None; 257];
    let least = |frequency: &[u64], but: Option<usize>| {
        let there = frequency.iter().enumerate().filter(|(n, f)| **f > 0 && Some(*n) != but);
        // the largest symbol of the rarest, as figure K.1 asks
        there.min_by_key(|(n, f)| (**f, 256 - n)).map(|(n, _)| n)
    };
    while let Some(first) = least(&frequency, None) {
        let Some(second) = least(&frequency, Some(first)) else {
            break;
        };
        let sum = frequency.get(first).copied().unwrap_or(0) + frequency.get(second).copied().unwrap_or(0);
        for (place, value) in [(first, sum), (second, 0)] {
            if let Some(f) = frequency.get_mut(place) {
                *f = value;
            }
        }
        let mut deepen = |mut at: usize| {
            loop {
                if let Some(size) = size.get_mut(at) {
                    *size += 1;
                }
                match next.get(at).copied().flatten() {
                    Some(further) => at = further,
                    None => return at,
                }
            }
        };
        let last = deepen(first);
        deepen(second);
        if let Some(link) = next.get_mut(last) {
            *link = Some(second);
        }
    }
    let mut bits = vec![0u32; 258];
    for size in size.iter().filter(|size| **size > 0) {
        if let Some(count) = bits.get_mut(*size) {
            *count += 1;
        }
    }
    shorten(&mut bits);
    let mut counts = [0; 16];
    for (count, bits) in counts.iter_mut().zip(bits.iter().skip(1)) {
        *count = u8::try_from(*bits).unwrap_or(u8::MAX);
    }
    let mut order: Vec<(usize, usize)> = size
        .iter()
        .take(256)
        .copied()
        .zip(0..)
        .filter(|(size, _)| *size > 0)
        .collect();
    order.sort_unstable();
    let symbols = order.into_iter().map(|(_, symbol)| u8::try_from(symbol).unwrap_or(0));
    (counts, symbols.collect())
}

/// No code may be longer than 16 bits, figure K.3; and the reserved one goes.
fn shorten(bits: &mut [u32]) {
    let get = |bits: &[u32], n: usize| bits.get(n).copied().unwrap_or(0);
    let add = |bits: &mut [u32], n: usize, by: i64| {
        if let Some(count) = bits.get_mut(n) {
            *count = u32::try_from(i64::from(*count) + by).unwrap_or(0);
        }
    };
    for long in (17..bits.len()).rev() {
        while get(bits, long) > 0 {
            let Some(short) = (1..long - 1).rev().find(|n| get(bits, *n) > 0) else {
                break;
            };
            add(bits, long, -2);
            add(bits, long - 1, 1);
            add(bits, short + 1, 2);
            add(bits, short, -1);
        }
    }
    if let Some(last) = (1..=16).rev().find(|n| get(bits, *n) > 0) {
        add(bits, last, -1);
    }
}

/// Entropy coded bits, with the zero after each FF (F.1.2.3).
#[derive(Debug, Default)]
pub(super) struct BitWriter {
    out: Vec<u8>,
    held: u32,
    count: u32,
}

impl BitWriter {
    /// Writes the lowest `len` bits of `value`, at most 16.
    pub(super) fn put(&mut self, value: u32, len: u8) {
        let len = u32::from(len);
        self.held = self.held << len | value & ((1u32 << len) - 1);
        self.count += len;
        while self.count >= 8 {
            self.count -= 8;
            let byte = u8::try_from(self.held >> self.count & 0xFF).unwrap_or(0);
            self.out.push(byte);
            if byte == 0xFF {
                self.out.push(0);
            }
        }
        self.held &= (1u32 << self.count) - 1;
    }

    /// Writes a value in so many bits, negative ones as F.1.2.1 says.
    pub(super) fn extended(&mut self, value: i32, size: u8) {
        let coded = if value < 0 { value - 1 } else { value };
        self.put(coded.cast_unsigned(), size);
    }

    /// Fills the last byte with ones and writes a marker.
    pub(super) fn marker(&mut self, marker: u8) {
        self.fill();
        self.out.extend_from_slice(&[0xFF, marker]);
    }

    fn fill(&mut self) {
        if self.count > 0 {
            let missing = 8 - self.count;
            self.put((1 << missing) - 1, u8::try_from(missing).unwrap_or(0));
        }
    }

    pub(super) fn into_bytes(mut self) -> Vec<u8> {
        self.fill();
        self.out
    }
}

/// Returns in how many bits a difference or coefficient is written, table F.1.
pub(super) fn size_of(value: i32) -> u8 {
    u8::try_from(32 - value.unsigned_abs().leading_zeros()).unwrap_or(0)
}

/// Writes a DHT segment with one table.
pub(super) fn segment(class_and_place: u8, counts: &[u8; 16], symbols: &[u8]) -> Vec<u8> {
    let len = u16::try_from(19 + symbols.len()).unwrap_or(u16::MAX);
    let mut out = vec![0xFF, 0xC4];
    out.extend_from_slice(&len.to_be_bytes());
    out.push(class_and_place);
    out.extend_from_slice(counts);
    out.extend_from_slice(symbols);
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn best_tables_give_every_symbol_a_prefix_free_code(often in prop::collection::vec(0u64..5_000_000, 256)) {
            let often: [u64; 256] = often.try_into().unwrap();
            let (counts, symbols) = best_table(&often);
            let wanted = often.iter().filter(|f| **f > 0).count();
            prop_assert_eq!(symbols.len(), wanted);
            let kraft: u64 = (1u32..).zip(&counts).map(|(n, c)| u64::from(*c) << (16 - n)).sum();
            // all ones stay free
            prop_assert!(kraft < 1 << 16);
            let codes = Codes::of_table(&counts, &symbols).unwrap();
            for (symbol, often) in (0u8..=255).zip(often) {
                prop_assert_eq!(codes.get(symbol).is_some(), often > 0);
            }
        }
    }

    #[test]
    fn steep_frequencies_stay_within_sixteen_bits() {
        let mut often = [0u64; 256];
        let (mut a, mut b) = (1u64, 1u64);
        for place in often.iter_mut().take(40) {
            *place = a;
            (a, b) = (b, a + b);
        }
        let (counts, symbols) = best_table(&often);
        assert_eq!(symbols.len(), 40);
        assert_eq!(counts.iter().map(|c| usize::from(*c)).sum::<usize>(), 40);
    }
}
