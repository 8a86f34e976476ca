//! Writing a text as the value of an element, the way the toolkit of CTP does.
//!
//! The text is split at backslashes. What its VR does not take leaves the element as it was: that is CTP's answer, and one
//! of the faults of CTP, since a rule that fails then keeps the original. Strict mode asks [`put`] and holds the object.

use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, Length, PrimitiveValue, Tag, VR};
use dicom_object::mem::InMemElement;

use super::java;
use crate::value::from_texts;

/// Returns the element with a text as its value; `None` if the VR does not take it.
pub(crate) fn put(tag: Tag, vr: VR, text: &str) -> Option<InMemElement> {
    if text.is_empty() {
        return Some(empty(tag, vr));
    }
    let parts = java::split(text, '\\');
    let value = match vr {
        VR::SQ | VR::OB | VR::OW | VR::OF | VR::OD | VR::OL | VR::OV | VR::UN => return None,
        VR::US => PrimitiveValue::U16(numbers(&parts)?.into_iter().collect()),
        VR::SS => PrimitiveValue::I16(numbers(&parts)?.into_iter().collect()),
        VR::UL => PrimitiveValue::U32(numbers(&parts)?.into_iter().collect()),
        VR::SL => PrimitiveValue::I32(numbers(&parts)?.into_iter().collect()),
        VR::UV => PrimitiveValue::U64(numbers(&parts)?.into_iter().collect()),
        VR::SV => PrimitiveValue::I64(numbers(&parts)?.into_iter().collect()),
        VR::FD => PrimitiveValue::F64(parts.iter().map(|p| java::parse_double(p)).collect::<Option<_>>()?),
        VR::FL => PrimitiveValue::F32(parts.iter().map(|p| java::parse_float(p)).collect::<Option<_>>()?),
        VR::AT => PrimitiveValue::Tags(parts.iter().map(|p| tag_of(p)).collect::<Option<_>>()?),
        _ => texts(vr, &parts)?,
    };
    if parts.is_empty() || matches!(&value, PrimitiveValue::Str(text) if text.is_empty()) {
        return Some(DataElement::new(tag, vr, PrimitiveValue::Empty));
    }
    Some(DataElement::new(tag, vr, value))
}

fn texts(vr: VR, parts: &[&str]) -> Option<PrimitiveValue> {
    let mut texts = Vec::with_capacity(parts.len());
    for part in parts {
        texts.push(match vr {
            VR::DA if !takes_date(part) => return None,
            VR::TM if !takes_time(part) => return None,
            VR::DT if !takes_date_time(part) => return None,
            VR::PN => person_name(part)?,
            VR::AS | VR::DA | VR::TM | VR::DT | VR::UI => (*part).to_owned(),
            VR::LT | VR::ST | VR::UT => java_trim_end(part).to_owned(),
            _ => java::trim(part).to_owned(),
        });
    }
    Some(match vr {
        // One value, whatever it holds.
        VR::LT | VR::ST | VR::UT | VR::UR => PrimitiveValue::Str(texts.join("\\")),
        _ => from_texts(texts),
    })
}

fn java_trim_end(text: &str) -> &str {
    text.trim_end_matches(|c: char| c <= ' ')
}

/// Returns the element of a private tag with a text as its value.
pub(crate) fn put_private(tag: Tag, known: Option<VR>, text: &str) -> Option<InMemElement> {
    if tag.1 >= 0x0100
        && let Some(vr) = known
        && let Some(element) = put_single(tag, vr, text)
    {
        return Some(element);
    }
    let vr = if tag.1 < 0x0100 || text.encode_utf16().count() <= 64 {
        VR::LO
    } else {
        VR::LT
    };
    put_single(tag, vr, text)
}

/// As [`put`], but the text is one value.
fn put_single(tag: Tag, vr: VR, text: &str) -> Option<InMemElement> {
    if text.is_empty() {
        return (vr != VR::SQ).then(|| empty(tag, vr));
    }
    match vr {
        VR::US | VR::SS | VR::UL | VR::SL | VR::UV | VR::SV | VR::FD | VR::FL | VR::AT if text.contains('\\') => None,
        VR::US | VR::SS | VR::UL | VR::SL | VR::UV | VR::SV | VR::FD | VR::FL | VR::AT => put(tag, vr, text)?.into(),
        VR::SQ | VR::OB | VR::OW | VR::OF | VR::OD | VR::OL | VR::OV | VR::UN => None,
        _ => {
            let value = texts(vr, &[text])?;
            Some(DataElement::new(tag, vr, split_value(vr, value)))
        }
    }
}

fn split_value(vr: VR, value: PrimitiveValue) -> PrimitiveValue {
    match value {
        PrimitiveValue::Str(text) if !matches!(vr, VR::LT | VR::ST | VR::UT | VR::UR) && text.contains('\\') => {
            from_texts(text.split('\\').map(str::to_owned).collect())
        }
        other => other,
    }
}

fn empty(tag: Tag, vr: VR) -> InMemElement {
    if vr == VR::SQ {
        return DataElement::new(tag, vr, DataSetSequence::new(Vec::new(), Length::UNDEFINED));
    }
    DataElement::new(tag, vr, PrimitiveValue::Empty)
}

fn numbers<T: std::str::FromStr>(parts: &[&str]) -> Option<Vec<T>> {
    parts.iter().map(|part| java::trim(part).parse().ok()).collect()
}

fn tag_of(text: &str) -> Option<Tag> {
    let number = i64::from_str_radix(java::trim(text), 16).ok()?;
    let number = u32::try_from(number)
        .or_else(|_| i32::try_from(number).map(i32::cast_unsigned))
        .ok()?;
    Some(super::values::tag(number))
}

/// Characters from one place to another, as `String.substring`: outside is an error.
fn part(text: &str, from: usize, to: usize) -> Option<&str> {
    text.is_ascii().then(|| text.get(from..to)).flatten()
}

fn is_digit_at(text: &str, at: usize) -> Option<bool> {
    Some(text.as_bytes().get(at)?.is_ascii_digit())
}

/// What the toolkit takes for a DA. The day begins at the seventh character wherever the month ended.
fn takes_date(text: &str) -> bool {
    let read = || {
        java::parse_int(part(text, 0, 4)?)?;
        let month = if is_digit_at(text, 4)? { 4 } else { 5 };
        java::parse_int(part(text, month, month + 2)?)?;
        is_digit_at(text, month + 2)?;
        java::parse_int(part(text, 6, text.len())?)
    };
    read().is_some()
}

/// What the toolkit takes for a TM.
fn takes_time(text: &str) -> bool {
    let read = || {
        java::parse_int(part(text, 0, 2)?)?;
        // Hours alone are read and then refused.
        let minutes = if part(text, 2, 3)? == ":" { 3 } else { 2 };
        java::parse_int(part(text, minutes, minutes + 2)?)?;
        let end = minutes + 2;
        if text.len() == end {
            return Some(());
        }
        let seconds = if part(text, end, end + 1)? == ":" { end + 1 } else { end };
        java::parse_float(part(text, seconds, text.len())?)?;
        Some(())
    };
    read().is_some()
}

/// What the toolkit takes for a DT.
fn takes_date_time(text: &str) -> bool {
    let read = || {
        let mut text = text;
        if let Some(zone) = text.len().checked_sub(5)
            && matches!(text.as_bytes().get(zone), Some(b'+' | b'-'))
        {
            java::parse_int(part(text, zone + 1, text.len())?)?;
            text = part(text, 0, zone)?;
        }
        java::parse_int(part(text, 0, 4)?)?;
        let mut at = 4;
        for _ in 0..2 {
            if text.len() <= at {
                return Some(());
            }
            if !is_digit_at(text, at)? {
                at += 1;
            }
            java::parse_int(part(text, at, at + 2)?)?;
            at += 2;
        }
        if text.len() <= at {
            return Some(());
        }
        java::parse_int(part(text, at, at + 2)?)?;
        at += 2;
        if text.len() <= at {
            return Some(());
        }
        if part(text, at, at + 1)? == ":" {
            at += 1;
        }
        java::parse_int(part(text, at, at + 2)?)?;
        at += 2;
        if text.len() <= at {
            return Some(());
        }
        if part(text, at, at + 1)? == ":" {
            at += 1;
        }
        java::parse_float(part(text, at, text.len())?)?;
        Some(())
    };
    read().is_some()
}

/// A person name as the toolkit writes it: at most three groups of 64 characters and five components, none empty at an end.
fn person_name(text: &str) -> Option<String> {
    let groups: Vec<&str> = text.split('=').collect();
    if groups.len() > 3 {
        return None;
    }
    let mut out = Vec::with_capacity(groups.len());
    for group in groups {
        if group.encode_utf16().count() > 64 {
            return None;
        }
        let mut components: Vec<&str> = Vec::with_capacity(5);
        for (index, component) in group.split('^').enumerate() {
            // A sixth component takes the place of the fifth, if it is not empty.
            match components.get_mut(4) {
                Some(last) if index > 4 => {
                    if !component.is_empty() {
                        *last = component;
                    }
                }
                _ => components.push(component),
            }
        }
        while components.last().is_some_and(|last| last.is_empty()) {
            components.pop();
        }
        out.push(components.join("^"));
    }
    while out.last().is_some_and(String::is_empty) {
        out.pop();
    }
    Some(out.join("="))
}

/// Returns whether the element is a sequence.
pub(crate) fn is_sequence(element: &InMemElement) -> bool {
    element.vr() == VR::SQ || element.value().items().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(vr: VR, text: &str) -> Option<String> {
        let element = super::put(Tag(0x0008, 0x0020), vr, text)?;
        Some(super::super::values::text(&element).unwrap_or_default())
    }

    #[test]
    fn dates_and_times_are_taken_as_the_toolkit_takes_them() {
        for text in [
            "2004011",
            "20040119",
            "200401190",
            "20041399",
            "-20050101",
            "2004 0119",
            "072730-080000",
            "20040119072730",
            "20040119\\20050101",
            "00000000",
        ] {
            assert_eq!(put(VR::DA, text).as_deref(), Some(text));
        }
        for text in [
            "2004",
            "200401",
            "2004.01.19",
            "2004-01-19",
            "20040119-20050101",
            "20040119-",
            "20040119x",
            "   ",
            "20040119\\bad",
            "072730.1",
        ] {
            assert_eq!(put(VR::DA, text), None, "{text}");
        }
        for text in [
            "0727", "07273", "072730.1", "07:27:30", "07:27", "256199", "2004", "20040119",
        ] {
            assert_eq!(put(VR::TM, text).as_deref(), Some(text));
        }
        for text in ["07", "072", "7:2", "072730-080000", "abc", "0", "   "] {
            assert_eq!(put(VR::TM, text), None, "{text}");
        }
        for text in [
            "2004",
            "200401",
            "2004011907",
            "200401190727",
            "20040119072730.5",
            "20040119072730+0100",
            "2004.01.19",
            "072730.123456",
            "0119",
        ] {
            assert_eq!(put(VR::DT, text).as_deref(), Some(text));
        }
        for text in [
            "2004011",
            "200401190",
            "20040119072730.123456+010",
            "07:27",
            "20040119-",
        ] {
            assert_eq!(put(VR::DT, text), None, "{text}");
        }
    }

    #[test]
    fn numbers_must_fit_their_vr() {
        assert_eq!(put(VR::US, "1\\2").as_deref(), Some("1\\2"));
        assert_eq!(put(VR::US, "70000"), None);
        assert_eq!(put(VR::UL, "-1"), None);
        assert_eq!(put(VR::SL, "+5").as_deref(), Some("5"));
        assert_eq!(put(VR::FD, "1e3").as_deref(), Some("1000.0"));
        assert_eq!(put(VR::FD, "abc"), None);
        assert_eq!(put(VR::AT, "abc").as_deref(), Some("00000ABC"));
        assert_eq!(put(VR::AT, "-1").as_deref(), Some("FFFFFFFF"));
        assert_eq!(put(VR::OB, "x"), None);
        assert_eq!(put(VR::SQ, "x"), None);
    }

    #[test]
    fn names_are_put_in_order() {
        let long = "A".repeat(65);
        for (text, expected) in [
            ("A^B^C^D^E^F", Some("A^B^C^D^F")),
            ("A^B^^", Some("A^B")),
            ("^", Some("")),
            ("=", Some("")),
            ("A=B=C", Some("A=B=C")),
            ("A=B=C=D", None),
            (long.as_str(), None),
            ("A\\B", Some("A\\B")),
        ] {
            assert_eq!(put(VR::PN, text).as_deref(), expected, "{text}");
        }
    }
}
