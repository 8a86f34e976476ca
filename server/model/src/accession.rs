//! Accessions: the public, stable names of what the archive holds.
//!
//! An accession is a prefix and a number: collection `OBIA0001`, individual `I00000001`, study `S00000001`, series
//! `SE00000001`, image `IM00000001`. It is drawn when an object first clears, never reused, and never derived from
//! anything a patient or a hospital owns.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a text is not an accession.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an accession: expected letters followed by digits, at most 32 characters")]
pub struct AccessionError;

macro_rules! accession {
    ($(#[$doc:meta])* $name:ident, $prefix:literal, $width:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The prefix that is used where the settings name no other.
            pub const DEFAULT_PREFIX: &'static str = $prefix;

            /// Returns the accession of the given number under a prefix.
            pub fn numbered(prefix: &str, number: u64) -> Self {
                Self(format!(concat!("{}{:0", $width, "}"), prefix, number))
            }

            /// Parses an accession: upper-case letters, then digits.
            ///
            /// # Errors
            /// Fails on anything else, and on more than 32 characters.
            pub fn parse(text: &str) -> Result<Self, AccessionError> {
                let digits = text.trim_start_matches(|c: char| c.is_ascii_uppercase());
                let well_formed = text.len() <= 32
                    && digits.len() < text.len()
                    && !digits.is_empty()
                    && digits.bytes().all(|b| b.is_ascii_digit());
                if well_formed { Ok(Self(text.to_owned())) } else { Err(AccessionError) }
            }

            /// Returns the accession as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = AccessionError;
            fn try_from(text: String) -> Result<Self, AccessionError> {
                Self::parse(&text)
            }
        }

        impl std::str::FromStr for $name {
            type Err = AccessionError;
            fn from_str(text: &str) -> Result<Self, AccessionError> {
                Self::parse(text)
            }
        }

        impl From<$name> for String {
            fn from(accession: $name) -> String {
                accession.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

accession!(
    /// Accession of a collection, `OBIA0001`.
    CollectionAccession, "OBIA", "4"
);
accession!(
    /// Accession of an individual: the archive's de-identified subject.
    IndividualAccession, "I", "8"
);
accession!(
    /// Accession of a study.
    StudyAccession, "S", "8"
);
accession!(
    /// Accession of a series.
    SeriesAccession, "SE", "8"
);
accession!(
    /// Accession of an image: the archive's record of one instance.
    ImageAccession, "IM", "8"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_padded_and_grow_past_the_padding() {
        assert_eq!(CollectionAccession::numbered("OBIA", 1).as_str(), "OBIA0001");
        assert_eq!(
            ImageAccession::numbered("IM", 123_456_789_012).as_str(),
            "IM123456789012"
        );
    }

    #[test]
    fn only_letters_and_digits_parse() {
        assert!(CollectionAccession::parse("OBIA0001").is_ok());
        for bad in ["", "OBIA", "0001", "obia1", "OBIA-1", "OBIA1'", "OBIA1/.."] {
            assert_eq!(CollectionAccession::parse(bad), Err(AccessionError), "{bad}");
        }
    }
}
