//! A 64-bit code and how it is written.
//!
//! Bit `i` lies in byte `i / 8` at position `i % 8`, least significant first; the written form is the hexadecimal digits
//! of those bytes in order. Databases have no unsigned 64-bit integer, so a column holds the same bits as an `i64`.

use std::fmt;
use std::str::FromStr;

use crate::Error;

/// A 64-bit code of a frame, made by one model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code64(pub u64);

impl Code64 {
    /// Returns the number of bits in which two codes differ, 0 to 64.
    #[must_use]
    pub fn distance(self, other: Self) -> u32 {
        (self.0 ^ other.0).count_ones()
    }

    /// Returns the same bits as a signed number, the form a database column holds.
    #[must_use]
    pub fn to_column(self) -> i64 {
        self.0.cast_signed()
    }

    /// Returns the code whose bits a database column holds.
    #[must_use]
    pub fn from_column(column: i64) -> Self {
        Self(column.cast_unsigned())
    }

    /// Returns the packed bytes, the form Faiss and the written form share.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 8] {
        self.0.to_le_bytes()
    }
}

impl From<u64> for Code64 {
    fn from(bits: u64) -> Self {
        Self(bits)
    }
}

impl fmt::Display for Code64 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for Code64 {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if text.len() != 16 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(Error::CodeForm);
        }
        // the first two digits are the lowest byte
        u64::from_str_radix(text, 16)
            .map(|bits| Self(bits.swap_bytes()))
            .map_err(|_| Error::CodeForm)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bits_are_packed_least_significant_first() {
        // 1011 0010 0100 0001, bit 0 first
        let bits = [1, 0, 1, 1, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1];
        let code = Code64(bits.iter().enumerate().map(|(i, bit)| bit << i).sum());
        assert_eq!(code.to_string(), "4d82000000000000");
    }

    #[test]
    fn other_forms_of_a_code_are_refused() {
        for text in [
            "",
            "4d82",
            "+d82000000000000",
            "4d8200000000000g",
            "4d820000000000000",
            "4d8200000000000é",
        ] {
            assert_eq!(text.parse::<Code64>(), Err(Error::CodeForm), "{text}");
        }
    }

    proptest! {
        #[test]
        fn written_and_stored_forms_come_back(bits: u64) {
            let code = Code64(bits);
            prop_assert_eq!(code.to_string().parse::<Code64>().unwrap(), code);
            prop_assert_eq!(Code64::from_column(code.to_column()), code);
        }
    }
}
