//! Character sets, PS3.3 C.12.1.1.2 and PS3.5 section 6.1.
//!
//! A whole value is decoded before it is split, for the second byte of a GBK, GB 18030 or JIS X 0208 character may be a
//! backslash. Text that does not decode as declared, or whose set nobody knows, is read byte for byte as ISO 8859-1:
//! every byte stays one character, so nothing is lost and nothing is refused.

use std::borrow::Cow;

use encoding_rs as rs;

/// A single repertoire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Set {
    Ascii,
    Latin1,
    /// One byte a character in the upper half, ASCII in the lower.
    Single(&'static rs::Encoding),
    /// JIS X 0201: ASCII (nearly) below, half-width katakana above.
    Katakana,
    /// JIS X 0208 in the lower half.
    Jis0208,
    /// JIS X 0212 in the lower half.
    Jis0212,
    /// Two bytes a character in the upper half: KS X 1001 or GB 2312.
    Double(&'static rs::Encoding),
    /// Without code extension: UTF-8, GB 18030, GBK, and Shift JIS which some write under ISO_IR 13.
    Whole(&'static rs::Encoding),
}

/// The value of Specific Character Set (0008,0005), understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Charset {
    lower: Set,
    upper: Set,
    /// Code extension techniques of ISO 2022 are declared.
    extended: bool,
    known: bool,
}

impl Default for Charset {
    fn default() -> Self {
        Self {
            lower: Set::Ascii,
            upper: Set::Latin1,
            extended: false,
            known: true,
        }
    }
}

fn named(term: &str) -> Option<Set> {
    let code = term.trim_start_matches("ISO_IR").trim_start_matches("ISO 2022 IR");
    if code == term {
        return match term {
            "GB18030" => Some(Set::Whole(rs::GB18030)),
            "GBK" | "GB2312" => Some(Set::Whole(rs::GBK)),
            _ => None,
        };
    }
    Some(match code.trim_matches([' ', '_', '-']) {
        "6" => Set::Ascii,
        "13" => Set::Katakana,
        "58" => Set::Double(rs::GBK),
        "87" => Set::Jis0208,
        "100" => Set::Latin1,
        "101" => Set::Single(rs::ISO_8859_2),
        "109" => Set::Single(rs::ISO_8859_3),
        "110" => Set::Single(rs::ISO_8859_4),
        "126" => Set::Single(rs::ISO_8859_7),
        "127" => Set::Single(rs::ISO_8859_6),
        "138" => Set::Single(rs::ISO_8859_8),
        "144" => Set::Single(rs::ISO_8859_5),
        "148" => Set::Single(rs::WINDOWS_1254),
        "149" => Set::Double(rs::EUC_KR),
        "159" => Set::Jis0212,
        "166" => Set::Single(rs::WINDOWS_874),
        "192" => Set::Whole(rs::UTF_8),
        "203" => Set::Single(rs::ISO_8859_15),
        _ => return None,
    })
}

impl Charset {
    /// Understands the values of (0008,0005).
    pub(super) fn parse(value: &str) -> Self {
        let mut terms = value.split('\\').map(|term| term.trim_matches([' ', '\0']));
        let first = terms.next().unwrap_or_default();
        let rest: Vec<&str> = terms.filter(|term| !term.is_empty()).collect();
        let set = if first.is_empty() {
            Some(Set::Ascii)
        } else {
            named(first)
        };
        let known = set.is_some() && rest.iter().all(|term| named(term).is_some());
        let extended = !rest.is_empty() || first.starts_with("ISO 2022");
        let base = Self {
            extended,
            known,
            ..Self::default()
        };
        match set {
            // Korean and Chinese by code extension may be named alone; then the upper half is theirs from the start
            Some(Set::Ascii) | None => match rest.as_slice() {
                [only] => match named(only) {
                    Some(set @ Set::Double(_)) => Self { upper: set, ..base },
                    _ => base,
                },
                _ => base,
            },
            Some(set @ (Set::Jis0208 | Set::Jis0212)) if !extended => Self { lower: set, ..base },
            Some(Set::Jis0208 | Set::Jis0212) => base,
            Some(set @ Set::Whole(_)) => Self {
                upper: set,
                extended: false,
                ..base
            },
            Some(set) => Self { upper: set, ..base },
        }
    }

    /// Returns whether the sets are known by name.
    #[cfg(test)]
    pub(super) fn is_known(&self) -> bool {
        self.known
    }

    /// Decodes a whole value; `person_name` resets the code extensions at `^` and `=` too (PS3.5 6.1.2.5.3).
    pub(super) fn decode(&self, bytes: &[u8], person_name: bool) -> String {
        if bytes.is_ascii() && !bytes.contains(&0x1B) && self.lower == Set::Ascii {
            return bytes.iter().map(|b| char::from(*b)).collect();
        }
        let decoded = match self.upper {
            _ if !self.known => None,
            Set::Whole(encoding) => encoding
                .decode_without_bom_handling_and_without_replacement(bytes)
                .map(Cow::into_owned),
            _ => self.decode_parts(bytes, person_name),
        };
        decoded.unwrap_or_else(|| latin1(bytes))
    }

    fn decode_parts(&self, bytes: &[u8], person_name: bool) -> Option<String> {
        let mut out = String::with_capacity(bytes.len());
        let (mut lower, mut upper) = (self.lower, self.upper);
        let mut rest = bytes;
        while let Some((&byte, after)) = rest.split_first() {
            if byte == 0x1B && self.extended {
                let (new_lower, new_upper, after) = escape(after)?;
                lower = new_lower.unwrap_or(lower);
                upper = new_upper.unwrap_or(upper);
                rest = after;
                continue;
            }
            let two_byte = matches!(lower, Set::Jis0208 | Set::Jis0212) && (0x21..=0x7E).contains(&byte);
            if two_byte {
                let (&second, after) = after.split_first()?;
                out.push(jis(lower, byte, second)?);
                rest = after;
                continue;
            }
            if byte < 0x80 {
                let delimiter = matches!(byte, b'\\' | b'\r' | b'\n' | b'\t' | 0x0C)
                    || (person_name && matches!(byte, b'^' | b'='));
                if delimiter {
                    (lower, upper) = (self.lower, self.upper);
                }
                out.push(char::from(byte));
                rest = after;
                continue;
            }
            rest = match upper {
                Set::Latin1 | Set::Ascii => {
                    out.push(char::from(byte));
                    after
                }
                Set::Katakana => {
                    if !(0xA1..=0xDF).contains(&byte) {
                        return None;
                    }
                    out.push(char::from_u32(0xFF61 + u32::from(byte - 0xA1))?);
                    after
                }
                Set::Single(encoding) => {
                    out.push_str(&strict(encoding, &[byte])?);
                    after
                }
                Set::Double(encoding) => {
                    let (&second, after) = after.split_first()?;
                    out.push_str(&strict(encoding, &[byte, second])?);
                    after
                }
                Set::Jis0208 | Set::Jis0212 | Set::Whole(_) => return None,
            };
        }
        Some(out)
    }

    /// Encodes a whole value; `None` where the set has no such character, or cannot be written without escapes.
    pub(super) fn encode<'t>(&self, text: &'t str) -> Option<Cow<'t, [u8]>> {
        // escapes start over from the first set, so plain ASCII is plain ASCII in all of them but bare JIS X 0208
        if text.is_ascii() && self.lower == Set::Ascii {
            return Some(Cow::Borrowed(text.as_bytes()));
        }
        if !self.known {
            return to_latin1(text).map(Cow::Owned);
        }
        if self.extended {
            return None;
        }
        match self.upper {
            Set::Ascii | Set::Latin1 => to_latin1(text).map(Cow::Owned),
            Set::Single(encoding) | Set::Whole(encoding) => {
                let (bytes, _, unmappable) = encoding.encode(text);
                if unmappable { None } else { Some(bytes) }
            }
            Set::Katakana | Set::Jis0208 | Set::Jis0212 | Set::Double(_) => None,
        }
    }
}

/// Every byte one character.
pub(super) fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|b| char::from(*b)).collect()
}

/// Every character one byte, where that is possible.
pub(super) fn to_latin1(text: &str) -> Option<Vec<u8>> {
    text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect()
}

fn strict(encoding: &'static rs::Encoding, bytes: &[u8]) -> Option<String> {
    encoding
        .decode_without_bom_handling_and_without_replacement(bytes)
        .map(Cow::into_owned)
}

fn jis(set: Set, first: u8, second: u8) -> Option<char> {
    let (a, b) = (first | 0x80, second | 0x80);
    let text = match set {
        Set::Jis0212 => strict(rs::EUC_JP, &[0x8F, a, b])?,
        _ => strict(rs::EUC_JP, &[a, b])?,
    };
    text.chars().next()
}

type Escaped<'a> = (Option<Set>, Option<Set>, &'a [u8]);

/// Reads the rest of an escape sequence, PS3.3 tables C.12-3 and C.12-4: what it puts into the lower and upper half.
fn escape(rest: &[u8]) -> Option<Escaped<'_>> {
    let sequences: [(&[u8], Option<Set>, Option<Set>); 19] = [
        (b"$B", Some(Set::Jis0208), None),
        (b"$@", Some(Set::Jis0208), None),
        (b"$(D", Some(Set::Jis0212), None),
        (b"$)C", None, Some(Set::Double(rs::EUC_KR))),
        (b"$)A", None, Some(Set::Double(rs::GBK))),
        (b"(B", Some(Set::Ascii), None),
        (b"(J", Some(Set::Ascii), None),
        (b")I", None, Some(Set::Katakana)),
        (b"-A", None, Some(Set::Latin1)),
        (b"-B", None, Some(Set::Single(rs::ISO_8859_2))),
        (b"-C", None, Some(Set::Single(rs::ISO_8859_3))),
        (b"-D", None, Some(Set::Single(rs::ISO_8859_4))),
        (b"-F", None, Some(Set::Single(rs::ISO_8859_7))),
        (b"-G", None, Some(Set::Single(rs::ISO_8859_6))),
        (b"-H", None, Some(Set::Single(rs::ISO_8859_8))),
        (b"-L", None, Some(Set::Single(rs::ISO_8859_5))),
        (b"-M", None, Some(Set::Single(rs::WINDOWS_1254))),
        (b"-T", None, Some(Set::Single(rs::WINDOWS_874))),
        (b"-b", None, Some(Set::Single(rs::ISO_8859_15))),
    ];
    sequences
        .into_iter()
        .find_map(|(start, lower, upper)| Some((lower, upper, rest.strip_prefix(start)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_standards_annexes_are_read() {
        // PS3.5 H.3.1, I.2, J.3
        let japanese = Charset::parse("\\ISO 2022 IR 87");
        let name = b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B";
        assert_eq!(japanese.decode(name, true), "Yamada^Tarou=山田^太郎=やまだ^たろう");
        let korean = Charset::parse("\\ISO 2022 IR 149");
        let name = b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf";
        assert_eq!(korean.decode(name, true), "Hong^Gildong=洪^吉洞=홍^길동");
        let katakana = Charset::parse("ISO 2022 IR 13\\ISO 2022 IR 87");
        assert_eq!(katakana.decode(b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3", true), "ﾔﾏﾀﾞ^ﾀﾛｳ");
    }

    #[test]
    fn a_backslash_inside_of_a_chinese_character_splits_nothing() {
        let gbk = Charset::parse("GBK");
        let bytes = gbk.encode("測誠\\乗").map(Cow::into_owned).unwrap();
        assert!(bytes.iter().filter(|b| **b == b'\\').count() >= 1);
        assert_eq!(gbk.decode(&bytes, false), "測誠\\乗");
        assert_eq!(Charset::parse("GB18030").decode(&[0x5C, 0x81, 0x5C], false), "\\乗");
    }

    #[test]
    fn what_does_not_decode_keeps_each_byte() {
        assert_eq!(Charset::parse("ISO_IR 192").decode(b"M\xfcller", false), "Müller");
        let unknown = Charset::parse("ISO_IR 999");
        assert!(!unknown.is_known());
        assert_eq!(unknown.decode(b"M\xfcller", false), "Müller");
        assert_eq!(unknown.encode("Müller").as_deref(), Some(&b"M\xfcller"[..]));
    }

    #[test]
    fn a_text_that_its_set_lacks_is_not_written_in_it() {
        assert_eq!(Charset::parse("ISO_IR 100").encode("山田"), None);
        assert_eq!(Charset::parse("\\ISO 2022 IR 87").encode("山田"), None);
        assert_eq!(
            Charset::parse("ISO_IR 192").encode("山田").as_deref(),
            Some("山田".as_bytes())
        );
    }
}
