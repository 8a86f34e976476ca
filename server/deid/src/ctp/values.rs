//! Values as text, the way the toolkit of CTP gives them.
//!
//! Numbers are printed as Java prints them, bytes and words as hexadecimal numbers, a sequence has no text. Padding is cut
//! from the whole value and not from each of its parts, and which side is cut depends on the VR.

use dicom_core::header::Header;
use dicom_core::value::Value;
use dicom_core::{PrimitiveValue, Tag, VR};
use dicom_object::InMemDicomObject;
use dicom_object::mem::InMemElement;

use super::java;
use super::private::PrivateDictionary;
use super::reference::Private;

pub(crate) fn tag(number: u32) -> Tag {
    #[expect(clippy::cast_possible_truncation, reason = "the two halves of a tag")]
    Tag((number >> 16) as u16, number as u16)
}

/// Returns the first value of an element as text, if there is one.
pub(crate) fn first_text(data_set: &InMemDicomObject, number: u32) -> Option<String> {
    let element = data_set.get(tag(number))?;
    let text = text(element)?;
    let first = text.split('\\').next().unwrap_or_default();
    (!text.is_empty()).then(|| first.to_owned())
}

/// Returns the private element that a tag is in a data set, if its block has an owner there.
pub(crate) fn private_of(data_set: &InMemDicomObject, tag: Tag) -> Option<Private> {
    let block = tag.1 >> 8;
    if tag.0.is_multiple_of(2) || block == 0 {
        return None;
    }
    let creator = first_text(data_set, (u32::from(tag.0) << 16) | u32::from(block))?;
    Some(Private {
        group: tag.0,
        creator,
        element: u8::try_from(tag.1 & 0xFF).unwrap_or_default(),
    })
}

/// Returns the text of an element in its data set; `None` is Java's null.
pub(crate) fn text_in(
    element: &InMemElement,
    data_set: &InMemDicomObject,
    dictionary: &PrivateDictionary,
) -> Option<String> {
    let number = element.tag();
    if number.0 < 0x0008 {
        // The file meta: of texts the first value only.
        let text = text(element)?;
        let binary = matches!(element.vr(), VR::OB | VR::UN);
        let first = text.split('\\').next().filter(|_| !binary).map(str::to_owned);
        return Some(first.unwrap_or(text));
    }
    if let Some(private) = private_of(data_set, number)
        && let Value::Primitive(value) = element.value()
    {
        let vr = if private.creator == "CTP" {
            Some(VR::LO)
        } else {
            dictionary.vr(&private, element.vr())
        };
        if let Some(text) = vr.and_then(|vr| known_private(value, vr)) {
            return Some(text);
        }
    }
    text(element)
}

/// A private value whose VR a dictionary knows is read from its bytes: text with its padding, numbers by their width, the
/// long ones with a sign and the short ones without, whatever the VR says.
fn known_private(value: &PrimitiveValue, vr: VR) -> Option<String> {
    let joined = |numbers: Vec<String>| numbers.join("\\");
    match vr {
        VR::LO
        | VR::LT
        | VR::SH
        | VR::CS
        | VR::ST
        | VR::DA
        | VR::DS
        | VR::DT
        | VR::TM
        | VR::IS
        | VR::PN
        | VR::UC
        | VR::UI
        | VR::UR
        | VR::UN => match value {
            PrimitiveValue::Str(_) | PrimitiveValue::Strs(_) => {
                let mut text = raw_text(value);
                if text.is_ascii() && text.len() % 2 == 1 {
                    text.push(if vr == VR::UI { '\0' } else { ' ' });
                }
                Some(text)
            }
            PrimitiveValue::U8(bytes) => Some(bytes.iter().map(|b| char::from(*b)).collect()),
            PrimitiveValue::Empty => Some(String::new()),
            _ => None,
        },
        VR::SL | VR::UL => match value {
            PrimitiveValue::I32(v) => Some(joined(v.iter().map(ToString::to_string).collect())),
            PrimitiveValue::U32(v) => Some(joined(v.iter().map(|n| n.cast_signed().to_string()).collect())),
            PrimitiveValue::U8(v) => {
                let (fours, _) = v.as_chunks::<4>();
                Some(joined(
                    fours.iter().map(|four| i32::from_le_bytes(*four).to_string()).collect(),
                ))
            }
            _ => None,
        },
        VR::US | VR::SS => match value {
            PrimitiveValue::U16(v) => Some(joined(v.iter().map(ToString::to_string).collect())),
            PrimitiveValue::I16(v) => Some(joined(v.iter().map(|n| n.cast_unsigned().to_string()).collect())),
            PrimitiveValue::U8(v) => {
                let (twos, _) = v.as_chunks::<2>();
                Some(joined(
                    twos.iter().map(|two| u16::from_le_bytes(*two).to_string()).collect(),
                ))
            }
            _ => None,
        },
        _ => None,
    }
}

fn raw_text(value: &PrimitiveValue) -> String {
    match value {
        PrimitiveValue::Str(text) => text.clone(),
        other => other.to_multi_str().join("\\"),
    }
}

/// Returns the text of an element that is not private.
pub(crate) fn text(element: &InMemElement) -> Option<String> {
    let Value::Primitive(value) = element.value() else {
        return None;
    };
    let vr = element.vr();
    if vr == VR::SQ {
        return None;
    }
    let joined = |values: Vec<String>| Some(values.join("\\"));
    match value {
        PrimitiveValue::Empty => Some(String::new()),
        PrimitiveValue::U8(bytes) => joined(bytes.iter().map(|b| format!("{b:02X}")).collect()),
        PrimitiveValue::U16(v) if vr == VR::OW => joined(v.iter().map(|n| format!("{n:04X}")).collect()),
        PrimitiveValue::Tags(v) => joined(v.iter().map(|t| format!("{:04X}{:04X}", t.0, t.1)).collect()),
        PrimitiveValue::F32(v) => joined(v.iter().map(|n| java::float(*n)).collect()),
        PrimitiveValue::F64(v) => joined(v.iter().map(|n| java::double(*n)).collect()),
        value => Some(trimmed(&raw_text(value), vr).to_owned()),
    }
}

fn trimmed(text: &str, vr: VR) -> &str {
    let padding = [' ', '\0'];
    match vr {
        VR::AS => text,
        VR::DA | VR::DT | VR::TM | VR::LT | VR::ST | VR::UT | VR::UC | VR::UR | VR::UI => {
            text.trim_end_matches(padding)
        }
        // Empty components at the end go with the padding.
        VR::PN => text.trim_end_matches([' ', '\0', '^']),
        _ => text.trim_matches(padding),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dicom_core::DataElement;
    use dicom_core::smallvec::smallvec;

    fn of(vr: VR, value: impl Into<PrimitiveValue>) -> Option<String> {
        text(&DataElement::new(Tag(0x0008, 0x0050), vr, value.into()))
    }

    #[test]
    fn padding_goes_by_vr() {
        for (vr, value, expected) in [
            (VR::LO, " a \\ b ", "a \\ b"),
            (VR::LT, " a \\ b  ", " a \\ b"),
            (VR::PN, " x^y ", " x^y"),
            (VR::PN, "A^B^ ^ ", "A^B"),
            (VR::PN, "^^^^", ""),
            (VR::PN, "A^B^^=x", "A^B^^=x"),
            (VR::AS, " 3  ", " 3  "),
            (VR::UI, "1.2.3\0", "1.2.3"),
            (VR::DA, " 20040119 ", " 20040119"),
            (VR::DS, " 1.0 \\ 2 ", "1.0 \\ 2"),
        ] {
            assert_eq!(of(vr, value).unwrap(), expected, "{vr:?}");
        }
    }

    #[test]
    fn numbers_are_printed() {
        assert_eq!(
            of(VR::FD, PrimitiveValue::F64(smallvec![1.5, 1e10])).unwrap(),
            "1.5\\1.0E10"
        );
        assert_eq!(of(VR::OB, PrimitiveValue::U8(smallvec![0xAB, 1])).unwrap(), "AB\\01");
        assert_eq!(of(VR::OW, PrimitiveValue::U16(smallvec![0xCDAB])).unwrap(), "CDAB");
        assert_eq!(
            of(VR::AT, PrimitiveValue::Tags(smallvec![Tag(0x10, 0x10)])).unwrap(),
            "00100010"
        );
        assert_eq!(of(VR::SS, PrimitiveValue::I16(smallvec![-5, 7])).unwrap(), "-5\\7");
    }

    #[test]
    fn known_private_numbers_lose_or_gain_a_sign() {
        let ss = PrimitiveValue::I16(smallvec![-2]);
        assert_eq!(known_private(&ss, VR::SS).unwrap(), "65534");
        let ul = PrimitiveValue::U32(smallvec![4_294_967_295]);
        assert_eq!(known_private(&ul, VR::UL).unwrap(), "-1");
        assert_eq!(known_private(&"abc".into(), VR::LO).unwrap(), "abc ");
        assert_eq!(known_private(&PrimitiveValue::F32(smallvec![1.0]), VR::FL), None);
    }
}
