//! Names drawn by this package: blobs, keys, packs.
//!
//! All are 128 bits. Blob and key ids are random; a pack's name begins with the time, so that names sort by it, and ends
//! with enough randomness that two writers never meet. Nothing in a name comes from a peer.

use std::fmt;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Error, Result};

/// A text that is not 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not 32 hexadecimal digits")]
pub struct IdError;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            /// Returns the id with these bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// Returns its bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let mut bytes = [0; 16];
                // upper case is refused: one id has one spelling, also as a file name
                if text.bytes().any(|b| b.is_ascii_uppercase()) {
                    return Err(IdError);
                }
                hex::decode_to_slice(text, &mut bytes).map_err(|_| IdError)?;
                Ok(Self(bytes))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(self)
                } else {
                    self.0.serialize(serializer)
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    let text = String::deserialize(deserializer)?;
                    text.parse().map_err(serde::de::Error::custom)
                } else {
                    <[u8; 16]>::deserialize(deserializer).map(Self)
                }
            }
        }
    };
}

id!(
    /// Id of one sealed body: drawn anew for every attempt to seal it.
    BlobId
);
id!(
    /// Id of an Individual's key.
    KeyId
);
id!(
    /// Id of a collection's key.
    CollectionKeyId
);
id!(
    /// Name of a pack: names sort by the time at which they were drawn.
    PackName
);

/// Fills a buffer from the machine's random source.
pub(crate) fn random(buf: &mut [u8]) -> Result<()> {
    getrandom::fill(buf).map_err(|_| Error::Internal("the machine's random source failed"))
}

fn draw() -> Result<[u8; 16]> {
    let mut bytes = [0; 16];
    random(&mut bytes)?;
    Ok(bytes)
}

impl BlobId {
    pub(crate) fn draw() -> Result<Self> {
        draw().map(Self)
    }
}

impl KeyId {
    /// The id under which the archive's own rows are sealed; no Individual has it.
    pub(crate) const SYSTEM: Self = Self([0; 16]);

    pub(crate) fn draw() -> Result<Self> {
        draw().map(Self)
    }
}

impl CollectionKeyId {
    pub(crate) fn draw() -> Result<Self> {
        draw().map(Self)
    }
}

impl PackName {
    /// Returns the time in the name, in milliseconds since 1970.
    #[must_use]
    pub fn unix_millis(&self) -> u64 {
        u128::from_be_bytes(self.0).checked_shr(80).unwrap_or(0) as u64
    }

    /// Returns the folder that holds the pack: one an hour, so that no folder grows without end and no listing is long.
    pub(crate) fn folder(&self) -> String {
        let seconds = self.unix_millis() / 1000;
        let (days, hour) = (seconds / 86_400, seconds % 86_400 / 3600);
        let (year, month, day) = civil(days);
        format!("{year:04}-{month:02}-{day:02}T{hour:02}")
    }

    fn new(millis: u64, sequence: u16, tail: u64) -> Self {
        let number = (u128::from(millis) << 80) | (u128::from(sequence) << 64) | u128::from(tail);
        Self(number.to_be_bytes())
    }
}

/// Turns days since 1970-01-01 into a date of the Gregorian calendar.
fn civil(days: u64) -> (u64, u64, u64) {
    // counted from 0000-03-01, so that the leap day is the last of its year; an era is 400 years
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

/// Draws pack names that only grow, even where the machine's clock steps back.
#[derive(Debug, Default)]
pub(crate) struct PackClock(Mutex<(u64, u16)>);

impl PackClock {
    /// Lets no later name be below this one, which another run has drawn.
    pub(crate) fn not_before(&self, name: &PackName) {
        let mut last = self.0.lock();
        *last = (*last).max((name.unix_millis(), u16::MAX));
    }

    pub(crate) fn draw(&self) -> Result<PackName> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(0));
        self.draw_at(now)
    }

    fn draw_at(&self, now: u64) -> Result<PackName> {
        let mut tail = [0; 8];
        random(&mut tail)?;
        let mut last = self.0.lock();
        *last = if now > last.0 {
            (now, 0)
        } else {
            last.1.checked_add(1).map_or((last.0 + 1, 0), |next| (last.0, next))
        };
        Ok(PackName::new(last.0, last.1, u64::from_be_bytes(tail)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_grow_when_the_clock_stands_still_or_steps_back() {
        let clock = PackClock::default();
        let mut last = clock.draw_at(1_000).unwrap();
        for now in [1_000, 1_000, 999, 5, 1_001, 1_001, 1_000] {
            let next = clock.draw_at(now).unwrap();
            assert!(next > last && next.to_string() > last.to_string());
            last = next;
        }
        clock.not_before(&PackName::new(9_000, 7, 3));
        assert!(clock.draw_at(2_000).unwrap() > PackName::new(9_000, 7, u64::MAX));
    }

    #[test]
    fn a_full_sequence_moves_on_to_the_next_millisecond() {
        let clock = PackClock::default();
        let mut last = clock.draw_at(1).unwrap();
        for _ in 0..70_000 {
            let next = clock.draw_at(1).unwrap();
            assert!(next > last);
            last = next;
        }
        assert_eq!(last.unix_millis(), 2);
    }

    #[test]
    fn folders_are_hours_of_the_calendar_and_sort_like_names() {
        let at = |seconds: u64| PackName::new(seconds * 1000, 0, 0).folder();
        assert_eq!(at(0), "1970-01-01T00");
        assert_eq!(at(951_782_399), "2000-02-28T23");
        assert_eq!(at(951_782_400), "2000-02-29T00");
        assert_eq!(at(1_795_183_200), "2026-11-20T14");
        assert_eq!(at(4_107_542_400), "2100-03-01T00");
    }

    #[test]
    fn ids_have_one_spelling() {
        let name = PackName::new(7, 8, 9);
        assert_eq!(name.to_string().parse(), Ok(name));
        for bad in ["", "00", "../../etc/passwd", &"A".repeat(32), &"0".repeat(33)] {
            assert_eq!(bad.parse::<PackName>(), Err(IdError), "{bad}");
        }
        let json = serde_json::to_string(&name).unwrap();
        assert_eq!(serde_json::from_str::<PackName>(&json).unwrap(), name);
        let binary = postcard::to_stdvec(&name).unwrap();
        assert_eq!(binary.len(), 16);
        assert_eq!(postcard::from_bytes::<PackName>(&binary).unwrap(), name);
    }
}
