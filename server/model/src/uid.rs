//! Unique identifiers, PS3.5 section 9.1.
//!
//! A UID is at most 64 characters of digits and dots. Real data breaks the finer rules (leading zeros, roots that nobody
//! registered), so those are accepted; anything with another character never becomes a UID, and so never becomes a path,
//! a query or a header either.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a text is not a UID. The text itself is not repeated: it came from a stranger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UidError {
    /// No character is left after trimming.
    #[error("UID is empty")]
    Empty,
    /// More than 64 characters.
    #[error("UID is longer than 64 characters")]
    TooLong,
    /// Something else than digits and dots, or a dot at either end, or two dots in a row.
    #[error("UID holds something else than digits separated by dots")]
    Malformed,
}

/// Returns the text without the padding that is legal (NUL) or common (space) around a UID.
fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| c == '\0' || c.is_ascii_whitespace())
}

fn check(text: &str) -> Result<&str, UidError> {
    let text = trim(text);
    if text.is_empty() {
        return Err(UidError::Empty);
    }
    if text.len() > 64 {
        return Err(UidError::TooLong);
    }
    let well_formed = text
        .split('.')
        .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()));
    if well_formed {
        Ok(text)
    } else {
        Err(UidError::Malformed)
    }
}

macro_rules! uid {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Parses a UID; NUL and space padding is dropped.
            ///
            /// # Errors
            /// Fails when the text is empty, longer than 64 characters, or holds anything but digits separated by dots.
            pub fn parse(text: &str) -> Result<Self, UidError> {
                check(text).map(|t| Self(t.to_owned()))
            }

            /// Returns the UID as text, without padding.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = UidError;
            fn try_from(text: String) -> Result<Self, UidError> {
                Self::parse(&text)
            }
        }

        impl std::str::FromStr for $name {
            type Err = UidError;
            fn from_str(text: &str) -> Result<Self, UidError> {
                Self::parse(text)
            }
        }

        impl From<$name> for String {
            fn from(uid: $name) -> String {
                uid.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
    };
}

uid!(
    /// Study Instance UID (0020,000D).
    StudyInstanceUid
);
uid!(
    /// Series Instance UID (0020,000E).
    SeriesInstanceUid
);
uid!(
    /// SOP Instance UID (0008,0018).
    SopInstanceUid
);
uid!(
    /// SOP Class UID (0008,0016).
    SopClassUid
);
uid!(
    /// Transfer Syntax UID (0002,0010).
    TransferSyntaxUid
);

/// Transfer syntaxes that the code names, PS3.5 Annex A.
pub mod transfer_syntax {
    /// Implicit VR Little Endian.
    pub const IMPLICIT_VR_LITTLE_ENDIAN: &str = "1.2.840.10008.1.2";
    /// Explicit VR Little Endian.
    pub const EXPLICIT_VR_LITTLE_ENDIAN: &str = "1.2.840.10008.1.2.1";
    /// Deflated Explicit VR Little Endian.
    pub const DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN: &str = "1.2.840.10008.1.2.1.99";
    /// Explicit VR Big Endian (retired).
    pub const EXPLICIT_VR_BIG_ENDIAN: &str = "1.2.840.10008.1.2.2";
    /// JPEG Baseline (Process 1).
    pub const JPEG_BASELINE: &str = "1.2.840.10008.1.2.4.50";
    /// RLE Lossless.
    pub const RLE_LOSSLESS: &str = "1.2.840.10008.1.2.5";
    /// JPEG-LS, lossless.
    pub const JPEG_LS_LOSSLESS: &str = "1.2.840.10008.1.2.4.80";
}

impl TransferSyntaxUid {
    /// Returns whether pixel data of this syntax is native: plain samples, not a sequence of fragments.
    pub fn is_native(&self) -> bool {
        use transfer_syntax as ts;
        [
            ts::IMPLICIT_VR_LITTLE_ENDIAN,
            ts::EXPLICIT_VR_LITTLE_ENDIAN,
            ts::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
            ts::EXPLICIT_VR_BIG_ENDIAN,
        ]
        .contains(&self.as_str())
    }

    /// Returns whether the data set carries VRs. Only Implicit VR Little Endian does not.
    pub fn is_explicit_vr(&self) -> bool {
        self.as_str() != transfer_syntax::IMPLICIT_VR_LITTLE_ENDIAN
    }

    /// Returns whether numbers are little endian. Only the retired Explicit VR Big Endian is not.
    pub fn is_little_endian(&self) -> bool {
        self.as_str() != transfer_syntax::EXPLICIT_VR_BIG_ENDIAN
    }

    /// Returns whether the data set is deflated as a whole, PS3.5 A.5.
    pub fn is_deflated(&self) -> bool {
        self.as_str() == transfer_syntax::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_is_dropped() {
        assert_eq!(StudyInstanceUid::parse("1.2.840\0").unwrap().as_str(), "1.2.840");
        assert_eq!(StudyInstanceUid::parse(" 1.2.840 ").unwrap().as_str(), "1.2.840");
    }

    #[test]
    fn nothing_but_digits_and_dots_becomes_a_uid() {
        for bad in [
            "../../etc/passwd",
            "1.2.x",
            "1..2",
            ".1",
            "1.",
            "1.2 3",
            "1.2%2F",
            "１.２",
        ] {
            assert_eq!(SopInstanceUid::parse(bad), Err(UidError::Malformed), "{bad}");
        }
        assert_eq!(SopInstanceUid::parse("\0 "), Err(UidError::Empty));
        assert_eq!(SopInstanceUid::parse(&"1".repeat(65)), Err(UidError::TooLong));
    }

    #[test]
    fn leading_zeros_of_real_data_are_accepted() {
        assert!(SopInstanceUid::parse("1.02.003").is_ok());
    }
}
