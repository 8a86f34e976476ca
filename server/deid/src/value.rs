//! One value: reading it as text, telling whether it can be believed, and writing a dummy in its place.

use std::borrow::Cow;

use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_core::smallvec::smallvec;
use dicom_core::{PrimitiveValue, Tag, VR};
use dicom_dictionary_std::StandardDataDictionary;

/// What the values of a VR are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    Text,
    Binary,
    Sequence,
}

pub(crate) fn class(vr: VR) -> Class {
    match vr {
        VR::SQ => Class::Sequence,
        VR::AT
        | VR::FL
        | VR::FD
        | VR::OB
        | VR::OD
        | VR::OF
        | VR::OL
        | VR::OV
        | VR::OW
        | VR::SL
        | VR::SS
        | VR::SV
        | VR::UL
        | VR::UN
        | VR::US
        | VR::UV => Class::Binary,
        _ => Class::Text,
    }
}

/// Returns the VR of a public attribute in PS3.6; `None` if the attribute is not in the standard.
pub(crate) fn standard_vr(tag: Tag) -> Option<VR> {
    StandardDataDictionary.by_tag(tag).map(|entry| entry.vr().relaxed())
}

/// Returns the VR to treat a value as, where the file and the standard may differ: the standard's for UN, the stricter of
/// the two for text, `None` where one is text and the other is not, so that the value cannot be believed. Of a listed
/// attribute numbers are believed only under their own VR.
pub(crate) fn effective_vr(file: VR, standard: VR, listed: bool) -> Option<VR> {
    let strict = |vr| matches!(vr, VR::PN | VR::DA | VR::DT | VR::TM | VR::UI | VR::AS);
    match (class(file), class(standard)) {
        _ if file == standard => Some(file),
        _ if file == VR::UN => (class(standard) != Class::Sequence).then_some(standard),
        (Class::Text, Class::Text) if strict(file) && !strict(standard) => Some(file),
        (Class::Text, Class::Text) => Some(standard),
        (Class::Binary, Class::Binary) => (!listed).then_some(file),
        _ => None,
    }
}

/// Returns the values as text, one for each; `None` if the value is no text (numbers, or bytes that are not ASCII).
pub(crate) fn texts(value: &PrimitiveValue, vr: VR) -> Option<Vec<Cow<'_, str>>> {
    let single = matches!(vr, VR::ST | VR::LT | VR::UT | VR::UR);
    let split = |text| -> Vec<Cow<'_, str>> {
        if single {
            vec![Cow::Borrowed(text)]
        } else {
            str::split(text, '\\').map(Cow::Borrowed).collect()
        }
    };
    match value {
        PrimitiveValue::Empty => Some(Vec::new()),
        PrimitiveValue::Str(text) => Some(split(text)),
        PrimitiveValue::Strs(texts) if single && texts.len() > 1 => Some(vec![Cow::Owned(texts.join("\\"))]),
        PrimitiveValue::Strs(texts) => Some(texts.iter().map(|text| Cow::Borrowed(text.as_str())).collect()),
        // Bytes under a VR of text: a reader could not decode them, or the file says UN.
        PrimitiveValue::U8(bytes) if bytes.is_ascii() => std::str::from_utf8(bytes).ok().map(split),
        PrimitiveValue::Date(_) | PrimitiveValue::Time(_) | PrimitiveValue::DateTime(_) => {
            Some(value.to_multi_str().iter().cloned().map(Cow::Owned).collect())
        }
        PrimitiveValue::I32(_) | PrimitiveValue::F64(_) | PrimitiveValue::F32(_) | PrimitiveValue::I64(_)
            if matches!(vr, VR::DS | VR::IS) =>
        {
            Some(value.to_multi_str().iter().cloned().map(Cow::Owned).collect())
        }
        _ => None,
    }
}

/// What a data set declares its text to be written in, (0008,0005).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Repertoire {
    /// ASCII, or nothing.
    #[default]
    Default,
    /// One byte a character, or UTF-8.
    Western,
    /// Several bytes a character: Chinese, Japanese, Korean.
    Eastern,
}

impl Repertoire {
    /// Understands the values of (0008,0005).
    pub(crate) fn of(declared: &str) -> Self {
        let terms = declared.split('\\').map(|term| term.trim_matches([' ', '\0']));
        terms.fold(Self::Default, |sofar, term| {
            let number = term.rsplit([' ', '_']).next().unwrap_or_default();
            match number {
                "" | "6" => sofar,
                "13" | "58" | "87" | "149" | "159" => Self::Eastern,
                _ if term.starts_with("GB") => Self::Eastern,
                _ if sofar == Self::Eastern => sofar,
                _ => Self::Western,
            }
        })
    }
}

/// Returns whether text was decoded as it was meant: no control characters, no replacement character, no octal escape that
/// the library's decoder puts for a byte it did not understand, nothing beyond ASCII where no character set was declared,
/// and not the look of bytes that were read one by one because they did not decode as declared: characters of the upper
/// half of Latin-1 where a text of the East was declared, or more of them in a row than a word of Europe has.
pub(crate) fn is_decoded(text: &str, vr: VR, declared: Repertoire) -> bool {
    let text = text.trim_end_matches('\0');
    let single = matches!(vr, VR::ST | VR::LT | VR::UT | VR::UR);
    if !single && text.contains('\\') || has_escape(text) {
        return false;
    }
    if text.is_ascii() {
        return !text
            .bytes()
            .any(|b| b.is_ascii_control() && !matches!(b, b'\t' | b'\n' | b'\r' | 0x0C));
    }
    let of_default_repertoire = matches!(
        vr,
        VR::AE | VR::AS | VR::CS | VR::DA | VR::DS | VR::DT | VR::IS | VR::TM | VR::UI | VR::UR
    );
    if of_default_repertoire || declared == Repertoire::Default {
        return false;
    }
    let mut in_a_row = 0;
    for c in text.chars() {
        let control = c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\x0C');
        let latin1 = matches!(c, '\u{A0}'..='\u{FF}');
        in_a_row = if latin1 { in_a_row + 1 } else { 0 };
        let unlikely = match declared {
            Repertoire::Eastern => latin1 && !matches!(c, '°' | '±' | '×' | '÷' | '·'),
            _ => in_a_row >= 4,
        };
        if control || unlikely || c == '\u{FFFD}' {
            return false;
        }
    }
    true
}

fn has_escape(text: &str) -> bool {
    text.match_indices('\\').any(|(at, _)| {
        let octal = text.as_bytes().get(at + 1..at + 4);
        octal.is_some_and(|digits| matches!(digits, [b'2' | b'3', b'0'..=b'7', b'0'..=b'7']))
    })
}

/// Returns whether the text is a decimal or integer string.
pub(crate) fn is_numeric_text(text: &str) -> bool {
    let text = text.trim_matches([' ', '\0']);
    text.is_empty() || text.len() <= 32 && text.parse::<f64>().is_ok_and(f64::is_finite)
}

/// Returns the value of one or more texts.
pub(crate) fn from_texts(texts: Vec<String>) -> PrimitiveValue {
    match <[String; 1]>::try_from(texts) {
        Ok([one]) => PrimitiveValue::Str(one),
        Err(texts) if texts.is_empty() => PrimitiveValue::Empty,
        Err(texts) => PrimitiveValue::Strs(texts.into_iter().collect()),
    }
}

/// Most zero bytes that a dummy is made of.
const DUMMY_BYTES: usize = 64 * 1024;

/// Returns a dummy that conforms to the VR and tells nothing (deid reference, section 10). Numbers keep their count.
pub(crate) fn dummy(vr: VR, original: &PrimitiveValue) -> PrimitiveValue {
    let count = (original.multiplicity() as usize).clamp(1, DUMMY_BYTES / 8);
    let bytes = match original.calculate_byte_len() {
        length if length <= DUMMY_BYTES => length.next_multiple_of(2),
        _ => 2,
    };
    match vr {
        VR::PN => "ANON^ANON".into(),
        VR::UR => "urn:oid:2.25.0".into(),
        VR::DA => "19000101".into(),
        VR::TM => "000000".into(),
        VR::DT => "19000101000000".into(),
        VR::AS => "000D".into(),
        VR::DS | VR::IS => from_texts(vec!["0".to_owned(); count]),
        VR::UI => PrimitiveValue::Empty,
        VR::FD => PrimitiveValue::F64(smallvec![0.0; count]),
        VR::FL => PrimitiveValue::F32(smallvec![0.0; count]),
        VR::SL => PrimitiveValue::I32(smallvec![0; count]),
        VR::SS => PrimitiveValue::I16(smallvec![0; count]),
        VR::SV => PrimitiveValue::I64(smallvec![0; count]),
        VR::UL => PrimitiveValue::U32(smallvec![0; count]),
        VR::US => PrimitiveValue::U16(smallvec![0; count]),
        VR::UV => PrimitiveValue::U64(smallvec![0; count]),
        VR::AT => PrimitiveValue::Tags(smallvec![Tag(0, 0); count]),
        VR::OB | VR::OD | VR::OF | VR::OL | VR::OV | VR::OW | VR::UN => PrimitiveValue::U8(smallvec![0; bytes]),
        VR::SQ => PrimitiveValue::Empty,
        _ => "ANON".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_did_not_decode_is_told() {
        use Repertoire::{Default, Eastern, Western};
        for bad in ["a\u{FFFD}b", "\\303\\251", "\x1b$B", "a\0b", "x\u{85}"] {
            assert!(!is_decoded(bad, VR::LT, Western), "{bad:?}");
        }
        assert!(is_decoded("T\u{EA}te größer", VR::LO, Western));
        assert!(!is_decoded("T\u{EA}te", VR::LO, Default), "no character set declared");
        assert!(
            !is_decoded("T\u{EA}te", VR::CS, Western),
            "CS is of the default repertoire"
        );
        assert!(!is_decoded("ÕÅÈý", VR::LO, Western) && !is_decoded("ÕÅ", VR::LO, Eastern));
        assert!(is_decoded("胸部 45°", VR::LO, Eastern) && is_decoded("胸部", VR::LO, Western));
        assert!(is_decoded("a\\b", VR::LT, Default) && !is_decoded("a\\b", VR::LO, Default));
        assert!(is_decoded("padded \0", VR::LO, Default));
    }

    #[test]
    fn declared_character_sets_are_told_apart() {
        use Repertoire::{Default, Eastern, Western};
        for (declared, repertoire) in [
            ("", Default),
            ("ISO_IR 6", Default),
            ("ISO 2022 IR 6", Default),
            ("ISO_IR 100", Western),
            ("ISO_IR_100", Western),
            ("ISO 2022 IR 100", Western),
            ("ISO_IR 192", Western),
            ("GB18030", Eastern),
            ("GBK", Eastern),
            ("\\ISO 2022 IR 87", Eastern),
            ("ISO 2022 IR 13\\ISO 2022 IR 87", Eastern),
            ("\\ISO 2022 IR 149", Eastern),
            ("\\ISO 2022 IR 58", Eastern),
            ("ISO_IR 13", Eastern),
            ("ISO_IR 138", Western),
        ] {
            assert_eq!(Repertoire::of(declared), repertoire, "{declared}");
        }
    }

    #[test]
    fn the_stricter_vr_is_taken() {
        for (file, standard, expected) in [
            (VR::UN, VR::DA, Some(VR::DA)),
            (VR::LO, VR::DA, Some(VR::DA)),
            (VR::PN, VR::LO, Some(VR::PN)),
            (VR::SS, VR::US, Some(VR::SS)),
            (VR::OB, VR::LO, None),
            (VR::LO, VR::US, None),
            (VR::UN, VR::SQ, None),
        ] {
            assert_eq!(effective_vr(file, standard, false), expected, "{file:?} {standard:?}");
        }
        assert_eq!(effective_vr(VR::UL, VR::US, true), None);
    }

    #[test]
    fn dummies_keep_the_number_of_numbers() {
        let three = PrimitiveValue::F64(smallvec![1.0, 2.0, 3.0]);
        assert_eq!(dummy(VR::FD, &three), PrimitiveValue::F64(smallvec![0.0; 3]));
        assert_eq!(dummy(VR::DS, &"1\\2".into()).multiplicity(), 1);
        assert_eq!(
            dummy(VR::OB, &PrimitiveValue::U8(smallvec![7; 5])),
            PrimitiveValue::U8(smallvec![0; 6])
        );
        assert_eq!(
            dummy(VR::OB, &PrimitiveValue::U8(smallvec![7; 70_000])),
            PrimitiveValue::U8(smallvec![0; 2])
        );
    }
}
