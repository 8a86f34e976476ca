//! Application entity titles, PS3.5 section 6.2 (VR AE) and PS3.8 section 9.3.2.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A DICOM application entity title: 1 to 16 characters of the default repertoire, without backslash and control
/// characters, and without the spaces around it, which carry no meaning.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AeTitle(String);

/// Why a text is not an AE title.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AeTitleError {
    /// Only spaces, or nothing.
    #[error("AE title is empty")]
    Empty,
    /// More than 16 characters.
    #[error("AE title is longer than 16 characters")]
    TooLong,
    /// A backslash, a control character, or a character outside ASCII.
    #[error("AE title holds a character that is not allowed")]
    Malformed,
}

impl AeTitle {
    /// Parses an AE title; spaces and NUL around it are dropped.
    ///
    /// # Errors
    /// Fails when nothing is left, when more than 16 characters are, or when one of them is not allowed.
    pub fn parse(text: &str) -> Result<Self, AeTitleError> {
        let text = text.trim_matches(|c: char| c == ' ' || c == '\0');
        if text.is_empty() {
            return Err(AeTitleError::Empty);
        }
        if !text.bytes().all(|b| (0x20..0x7f).contains(&b) && b != b'\\') {
            return Err(AeTitleError::Malformed);
        }
        if text.len() > 16 {
            return Err(AeTitleError::TooLong);
        }
        Ok(Self(text.to_owned()))
    }

    /// Returns the title without padding.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for AeTitle {
    type Error = AeTitleError;
    fn try_from(text: String) -> Result<Self, AeTitleError> {
        Self::parse(&text)
    }
}

impl std::str::FromStr for AeTitle {
    type Err = AeTitleError;
    fn from_str(text: &str) -> Result<Self, AeTitleError> {
        Self::parse(text)
    }
}

impl From<AeTitle> for String {
    fn from(title: AeTitle) -> String {
        title.0
    }
}

impl fmt::Display for AeTitle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for AeTitle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AeTitle({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_carries_no_meaning() {
        assert_eq!(
            AeTitle::parse("  PACS1         ").unwrap(),
            AeTitle::parse("PACS1").unwrap()
        );
    }

    #[test]
    fn control_characters_and_length_are_refused() {
        assert_eq!(AeTitle::parse("A\\B"), Err(AeTitleError::Malformed));
        assert_eq!(AeTitle::parse("A\nB"), Err(AeTitleError::Malformed));
        assert_eq!(AeTitle::parse("ABCDEFGHIJKLMNOPQ"), Err(AeTitleError::TooLong));
        assert_eq!(AeTitle::parse("    "), Err(AeTitleError::Empty));
    }
}
