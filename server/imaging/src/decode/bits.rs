//! Entropy coded bits of JPEG, ISO 10918-1 F.2.2.

/// Symbols by the next 16 bits: length of the code and symbol; length 0 where no code is.
pub(crate) type Table = Vec<(u8, u8)>;

/// Entropy coded bits, highest first; a stuffed zero after FF is no data, a marker is the end.
pub(crate) struct Bits<'a> {
    data: &'a [u8],
    at: usize,
    held: u32,
    count: u32,
}

impl<'a> Bits<'a> {
    pub(crate) fn new(data: &'a [u8]) -> Self {
        Self {
            data,
            at: 0,
            held: 0,
            count: 0,
        }
    }

    /// Returns how many bytes were read; those of bits still held among them.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// Holds at least 16 bits, zeros after the end.
    fn fill(&mut self) -> u32 {
        let mut padded = 0;
        while self.count < 16 {
            let byte = match (self.data.get(self.at), self.data.get(self.at + 1)) {
                (Some(0xFF), Some(0)) => {
                    self.at += 2;
                    0xFF
                }
                (Some(0xFF), _) | (None, _) => {
                    padded += 8;
                    0
                }
                (Some(byte), _) => {
                    self.at += 1;
                    *byte
                }
            };
            self.held = self.held << 8 | u32::from(byte);
            self.count += 8;
        }
        padded
    }

    fn drop_bits(&mut self, n: u32, padded: u32) -> Option<()> {
        // what was never there may be looked at, not used
        self.count = self.count.checked_sub(n)?;
        let there = self.count >= padded;
        self.held &= (1u32 << self.count) - 1;
        if padded > 0 {
            self.held >>= padded.min(self.count);
            self.count = self.count.saturating_sub(padded);
        }
        there.then_some(())
    }

    pub(crate) fn take(&mut self, n: u32) -> Option<u32> {
        if n == 0 {
            return Some(0);
        }
        let padded = self.fill();
        let value = self.held >> self.count.checked_sub(n)?;
        self.drop_bits(n, padded)?;
        Some(value)
    }

    pub(crate) fn symbol(&mut self, table: &Table) -> Option<u8> {
        let padded = self.fill();
        let next = self.held >> (self.count - 16) & 0xFFFF;
        let (length, symbol) = *table.get(usize::try_from(next).ok()?)?;
        if length == 0 {
            return None;
        }
        self.drop_bits(u32::from(length), padded)?;
        Some(symbol)
    }

    /// A value of so many bits, the lower half of which are negative, F.2.2.1.
    pub(crate) fn extended(&mut self, size: u8) -> Option<i32> {
        if size > 15 {
            return None;
        }
        let value = i32::try_from(self.take(u32::from(size))?).ok()?;
        Some(if size > 0 && value < 1 << (size - 1) {
            value - (1 << size) + 1
        } else {
            value
        })
    }

    pub(crate) fn restart(&mut self) -> Option<()> {
        (self.held, self.count) = (0, 0);
        let marker = self
            .data
            .get(self.at..)?
            .windows(2)
            .position(|w| matches!(w, [0xFF, 0xD0..=0xD7]))?;
        self.at += marker + 2;
        Some(())
    }
}

/// Returns the table of one part of a DHT segment: 16 counts, then the symbols; annex C.
pub(crate) fn table_of(counts: &[u8; 16], symbols: &[u8]) -> Option<Table> {
    let mut symbols = symbols.iter();
    // codes of equal length count up, longer ones go on behind them
    let mut table = vec![(0, 0); 1 << 16];
    let mut next = 0;
    for (bits, count) in (1u8..).zip(counts) {
        let span = 1usize << (16 - bits);
        for _ in 0..*count {
            table.get_mut(next..next + span)?.fill((bits, *symbols.next()?));
            next += span;
        }
    }
    Some(table)
}
