//! The forms in which texts are kept and compared (PS3.4 C.2.2.2).
//!
//! Plain texts: without padding, Unicode NFC, case kept. Person names: each component group by itself, without case and
//! without the accents of European scripts, so that `MULLER` finds `Müller`; kana keep their voicing marks. Times: filled
//! up to `HHMMSS.FFFFFF`, so that text order is the order of times.

use unicode_normalization::UnicodeNormalization;

/// Returns a text without padding, in NFC. NUL goes, which PostgreSQL cannot hold.
pub(crate) fn text(value: &str) -> String {
    let value = value.trim_matches(|c: char| c == '\0' || c.is_whitespace());
    if value.is_ascii() && !value.contains('\0') {
        return value.to_owned();
    }
    value.nfc().filter(|c| *c != '\0').collect()
}

/// Returns a text without case and accents.
pub(crate) fn name(value: &str) -> String {
    let without = value
        .nfd()
        .flat_map(char::to_lowercase)
        .filter(|c| !('\u{300}'..='\u{36f}').contains(c) && *c != '\0')
        .collect::<String>();
    without.nfc().collect()
}

/// A person name as columns hold it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct FoldedName {
    /// First component group, folded.
    pub(crate) alphabetic: String,
    /// Second.
    pub(crate) ideographic: String,
    /// Third.
    pub(crate) phonetic: String,
    /// Every part of every group behind a bar, `|doe|john`: what fuzzy matching looks in.
    pub(crate) parts: String,
}

impl FoldedName {
    pub(crate) fn new(value: &str) -> Self {
        let folded = name(value);
        let mut groups = folded.split('=').map(group);
        let mut next = || groups.next().unwrap_or_default();
        let (alphabetic, ideographic, phonetic) = (next(), next(), next());
        let mut parts = String::new();
        for part in name_parts(&folded) {
            parts.push('|');
            parts.push_str(part);
        }
        Self {
            alphabetic,
            ideographic,
            phonetic,
            parts,
        }
    }
}

/// Returns one component group without padding and trailing empty components.
pub(crate) fn group(group: &str) -> String {
    group
        .trim_end_matches(|c: char| c == '^' || c.is_whitespace())
        .trim_start()
        .to_owned()
}

/// Returns the parts of a folded name or pattern: whatever stands between characters that are neither letter nor digit.
pub(crate) fn name_parts(folded: &str) -> impl Iterator<Item = &str> {
    folded
        .split(|c: char| !c.is_alphanumeric())
        .filter(|part| !part.is_empty())
}

/// Returns a time filled up with zeros, or what was there where it is no time.
pub(crate) fn time(value: &str) -> String {
    bounds(value).map_or_else(|| text(value), |(from, _)| from)
}

/// Returns the first and the last microsecond that a time of any precision means: `10` is all of the hour.
pub(crate) fn bounds(value: &str) -> Option<(String, String)> {
    let value = text(value).replace(':', ""); // the colons of ACR-NEMA
    let (whole, fraction) = value.split_once('.').unwrap_or((&value, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if !matches!(whole.len(), 2 | 4 | 6) || !digits(whole) || !digits(fraction) || fraction.len() > 6 {
        return None;
    }
    if !fraction.is_empty() && whole.len() != 6 {
        return None;
    }
    let fill = |zeros: &str| {
        let rest = zeros.get(whole.len()..).unwrap_or_default();
        format!("{whole}{rest}")
    };
    let (low, high) = (fill("000000"), fill("005959"));
    if fraction.is_empty() {
        Some((format!("{low}.000000"), format!("{high}.999999")))
    } else {
        Some((format!("{low}.{fraction:0<6}"), format!("{high}.{fraction:0<6}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_case_and_accents_but_not_voicing_marks() {
        assert_eq!(name("MÜLLER^Jürgen"), "muller^jurgen");
        assert_eq!(name("MU\u{308}LLER"), "muller");
        assert_eq!(name("İstanbul"), "istanbul");
        assert_ne!(name("か"), name("が"));
        assert_eq!(name("か\u{3099}"), name("が"));
        assert_eq!(name("한글"), "한글");
    }

    #[test]
    fn groups_are_apart_and_trailing_components_are_nothing() {
        let folded = FoldedName::new("Wang^XiaoDong^^^=王^小東=");
        assert_eq!(folded.alphabetic, "wang^xiaodong");
        assert_eq!(folded.ideographic, "王^小東");
        assert_eq!(folded.phonetic, "");
        assert_eq!(folded.parts, "|wang|xiaodong|王|小東");
        assert_eq!(FoldedName::new(""), FoldedName::default());
    }

    #[test]
    fn a_time_means_all_of_what_it_does_not_say() {
        let bounds = |t| bounds(t).map(|(a, b)| format!("{a}-{b}"));
        assert_eq!(bounds("10").as_deref(), Some("100000.000000-105959.999999"));
        assert_eq!(bounds("1030").as_deref(), Some("103000.000000-103059.999999"));
        assert_eq!(bounds("103015").as_deref(), Some("103015.000000-103015.999999"));
        assert_eq!(bounds("235959.5").as_deref(), Some("235959.500000-235959.500000"));
        assert_eq!(bounds("10:30:15").as_deref(), Some("103015.000000-103015.999999"));
        for bad in ["", "1", "noon", "10.5", "103015.1234567"] {
            assert_eq!(bounds(bad), None, "{bad}");
        }
    }

    #[test]
    fn padding_goes_and_composition_is_one() {
        assert_eq!(text(" ABC \0"), "ABC");
        assert_eq!(text("Mu\u{308}ller"), "Müller");
    }
}
