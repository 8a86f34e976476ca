//! Words, numbers, dates and UIDs inside text.

use std::borrow::Cow;
use std::ops::Range;

use chrono::NaiveDate;

/// What a token is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Letters.
    Word,
    /// Decimal digits.
    Number,
    /// Letters and digits.
    Mixed,
    /// Ideographs, kana or hangul: scripts that put no blank between words.
    Han,
}

/// A run of characters of one kind.
#[derive(Debug, Clone)]
pub(crate) struct Token<'a> {
    pub(crate) text: &'a str,
    pub(crate) span: Range<usize>,
    pub(crate) kind: Kind,
}

/// Returns whether a character belongs to a script that puts no blank between words.
pub(crate) fn is_han(c: char) -> bool {
    matches!(
        u32::from(c),
        0x1100..=0x11FF | 0x3040..=0x318F | 0x3400..=0x4DBF | 0x4E00..=0x9FFF | 0xAC00..=0xD7AF | 0xF900..=0xFAFF
            | 0x2_0000..=0x3_FFFF
    )
}

/// Returns the tokens of a text, in order.
pub(crate) fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens: Vec<Token<'_>> = Vec::new();
    for (at, c) in text.char_indices() {
        let combining = matches!(u32::from(c), 0x0300..=0x036F);
        let kind = match c {
            _ if is_han(c) => Kind::Han,
            '0'..='9' => Kind::Number,
            _ if c.is_alphanumeric() => Kind::Word,
            _ if combining => Kind::Word,
            _ => continue,
        };
        let end = at + c.len_utf8();
        match tokens.last_mut() {
            Some(last) if last.span.end == at && (last.kind == Kind::Han) == (kind == Kind::Han) => {
                last.span.end = end;
                last.text = text.get(last.span.clone()).unwrap_or_default();
                if last.kind != kind {
                    last.kind = Kind::Mixed;
                }
            }
            _ => tokens.push(Token {
                text: text.get(at..end).unwrap_or_default(),
                span: at..end,
                kind,
            }),
        }
    }
    tokens
}

/// Returns the runs of decimal digits.
pub(crate) fn digit_runs(text: &str) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for (at, byte) in text.bytes().enumerate() {
        if !byte.is_ascii_digit() {
            continue;
        }
        match runs.last_mut() {
            Some(run) if run.end == at => run.end = at + 1,
            _ => runs.push(at..at + 1),
        }
    }
    runs
}

/// Returns the day that three texts name, where it is one of this century or the last.
pub(crate) fn plausible(year: &str, month: &str, day: &str) -> Option<NaiveDate> {
    let year: i32 = year.parse().ok()?;
    let year = (1900..2100).contains(&year).then_some(year)?;
    NaiveDate::from_ymd_opt(year, month.parse().ok()?, day.parse().ok()?)
}

/// Returns the dates that eight digits may mean: year first, day first, month first.
pub(crate) fn dates_of_digits(digits: &str) -> impl Iterator<Item = NaiveDate> {
    let part = |range: Range<usize>| digits.get(range).unwrap_or_default();
    [
        plausible(part(0..4), part(4..6), part(6..8)),
        plausible(part(4..8), part(2..4), part(0..2)),
        plausible(part(4..8), part(0..2), part(2..4)),
    ]
    .into_iter()
    .flatten()
}

/// Returns what may be read as a date, and where: runs of eight digits, and three numbers with one character between.
pub(crate) fn dates(text: &str) -> Vec<(Range<usize>, NaiveDate)> {
    let mut found = Vec::new();
    let runs = digit_runs(text);
    for run in &runs {
        for at in run.start..(run.end + 1).saturating_sub(8).max(run.start) {
            if let Some(eight) = text.get(at..at + 8).filter(|_| at + 8 <= run.end) {
                found.extend(dates_of_digits(eight).map(|date| (run.clone(), date)));
            }
        }
    }
    for three in runs.windows(3) {
        let [a, b, c] = three else { continue };
        let near = |left: &Range<usize>, right: &Range<usize>| {
            text.get(left.end..right.start).is_some_and(|between| {
                between.chars().count() == 1 && !between.starts_with(|c: char| c.is_alphabetic() && !is_han(c))
            })
        };
        if !near(a, b) || !near(b, c) {
            continue;
        }
        let part = |range: &Range<usize>| text.get(range.clone()).unwrap_or_default();
        let (x, y, z) = (part(a), part(b), part(c));
        let span = a.start..c.end;
        let centuries = |short: &str| [format!("19{short}"), format!("20{short}")];
        match (x.len(), y.len(), z.len()) {
            (4, 1 | 2, 1 | 2) => found.extend(plausible(x, y, z).map(|date| (span, date))),
            (1 | 2, 1 | 2, 4) => {
                found.extend(plausible(z, y, x).map(|date| (span.clone(), date)));
                found.extend(plausible(z, x, y).map(|date| (span, date)));
            }
            (2, 2, 2) => {
                for year in centuries(z) {
                    found.extend(plausible(&year, y, x).map(|date| (span.clone(), date)));
                    found.extend(plausible(&year, x, y).map(|date| (span.clone(), date)));
                }
                for year in centuries(x) {
                    found.extend(plausible(&year, y, z).map(|date| (span.clone(), date)));
                }
            }
            _ => {}
        }
    }
    found
}

/// Returns the runs of digits and dots that may be UIDs.
pub(crate) fn uids(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_digit() && c != '.')
        .map(|run| run.trim_matches('.'))
        .filter(|run| run.len() >= 9 && run.bytes().filter(|b| *b == b'.').count() >= 2)
}

/// Returns text with the full-width forms of ASCII, as East Asian input methods write letters and digits, in ASCII.
pub(crate) fn narrow(text: &str) -> Cow<'_, str> {
    let wide = |c: char| matches!(u32::from(c), 0xFF01..=0xFF5E | 0x3000);
    if text.is_ascii() || !text.contains(wide) {
        return Cow::Borrowed(text);
    }
    let one = |c: char| match u32::from(c) {
        0x3000 => ' ',
        code @ 0xFF01..=0xFF5E => char::from_u32(code - 0xFEE0).unwrap_or(c),
        _ => c,
    };
    Cow::Owned(text.chars().map(one).collect())
}

/// Returns the spellings of a lower-case word of Europe without its accents: each letter alone, and with the vowels of
/// German as two; none where it has none.
pub(crate) fn unaccented(word: &str) -> Vec<String> {
    if word.is_ascii() {
        return Vec::new();
    }
    let spell = |pairs: bool| -> String {
        word.chars().fold(String::new(), |mut out, c| {
            match (c, pairs) {
                ('ä' | 'æ', true) => out.push_str("ae"),
                ('ö' | 'ø' | 'œ', true) => out.push_str("oe"),
                ('ü', true) => out.push_str("ue"),
                ('å', true) => out.push_str("aa"),
                ('ß', _) => out.push_str("ss"),
                ('à'..='å' | 'ā' | 'ă' | 'ą' | 'æ', _) => out.push('a'),
                ('ç' | 'ć' | 'č' | 'ĉ' | 'ċ', _) => out.push('c'),
                ('ď' | 'đ' | 'ð', _) => out.push('d'),
                ('è'..='ë' | 'ē' | 'ĕ' | 'ė' | 'ę' | 'ě', _) => out.push('e'),
                ('ğ' | 'ģ' | 'ĝ' | 'ġ', _) => out.push('g'),
                ('ì'..='ï' | 'ī' | 'į' | 'ı' | 'ĩ', _) => out.push('i'),
                ('ķ', _) => out.push('k'),
                ('ł' | 'ľ' | 'ĺ' | 'ļ', _) => out.push('l'),
                ('ñ' | 'ń' | 'ň' | 'ņ', _) => out.push('n'),
                ('ò'..='ö' | 'ø' | 'ō' | 'ő' | 'ŏ' | 'œ', _) => out.push('o'),
                ('ŕ' | 'ř' | 'ŗ', _) => out.push('r'),
                ('ś' | 'š' | 'ş' | 'ŝ' | 'ș', _) => out.push('s'),
                ('ť' | 'ţ' | 'ț' | 'ŧ', _) => out.push('t'),
                ('ù'..='ü' | 'ū' | 'ů' | 'ű' | 'ų' | 'ŭ' | 'ũ', _) => out.push('u'),
                ('ý' | 'ÿ', _) => out.push('y'),
                ('ź' | 'ż' | 'ž', _) => out.push('z'),
                ('\u{300}'..='\u{36F}', _) => {}
                (c, _) => out.push(c),
            }
            out
        })
    };
    let mut spellings = vec![spell(false), spell(true)];
    spellings.dedup();
    spellings.retain(|spelling| spelling != word);
    spellings
}

/// Returns only the decimal digits of a text.
pub(crate) fn digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        let mut dates: Vec<String> = dates(text).iter().map(|(_, date)| date.to_string()).collect();
        dates.sort();
        dates.dedup();
        dates
    }

    #[test]
    fn tokens_have_kinds() {
        let kinds: Vec<(String, Kind)> = tokens("CT A2188 12 胸部CT")
            .iter()
            .map(|t| (t.text.to_owned(), t.kind))
            .collect();
        let expected = [
            ("CT", Kind::Word),
            ("A2188", Kind::Mixed),
            ("12", Kind::Number),
            ("胸部", Kind::Han),
            ("CT", Kind::Word),
        ];
        assert_eq!(kinds.len(), expected.len());
        for ((text, kind), (want, want_kind)) in kinds.iter().zip(expected) {
            assert_eq!((text.as_str(), *kind), (want, want_kind));
        }
    }

    #[test]
    fn dates_are_found_in_the_ways_people_write_them() {
        for text in [
            "20040119",
            "2004-01-19",
            "19.01.2004",
            "01/19/2004",
            "2004年1月19日",
            "x20040119y",
            "19-01-04",
            "2004 01 19",
        ] {
            assert!(
                found(text).contains(&"2004-01-19".to_owned()),
                "{text}: {:?}",
                found(text)
            );
        }
        assert!(found("9920040119").contains(&"2004-01-19".to_owned()));
        for text in ["0.625", "512 512", "120 kV 250 mA", "12345678", "T1 1.5 2.0"] {
            assert!(found(text).is_empty(), "{text}");
        }
    }

    #[test]
    fn words_are_spelled_without_accents_and_in_narrow_letters() {
        assert_eq!(unaccented("müller"), ["muller", "mueller"]);
        assert_eq!(unaccented("dvořák"), ["dvorak"]);
        assert!(unaccented("smith").is_empty() && unaccented("欧阳").is_empty());
        assert_eq!(narrow("Ａ２１８８\u{3000}胸部"), "A2188 胸部");
    }

    #[test]
    fn uids_are_found_inside_text() {
        assert_eq!(
            uids("see 1.2.840.113619.2.1, 3.5 mm").collect::<Vec<_>>(),
            ["1.2.840.113619.2.1"]
        );
    }
}
