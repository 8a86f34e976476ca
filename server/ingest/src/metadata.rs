//! The ready-made metadata record of an instance: DICOM JSON, PS3.18 Annex F, written once at ingest and only copied after.
//!
//! A viewer's first call on a series asks for the metadata of every instance; here it costs a read and an inflate, never an
//! opened object. URLs depend on who asks and through which proxy, so each `BulkDataURI` is written as a *splice point*:
//! the two characters U+0001 and `/`, then the path below the instance's URL. U+0001 cannot stand in a DICOM text, and in
//! JSON it is always escaped, so a reader finds the six characters `\u0001` and nothing else.
//!
//! The text is UTF-8 whatever the object's own character set is, so a Specific Character Set always says `ISO_IR 192`, F.2.
//!
//! Nothing is dropped: pixel data and binary values over 4 KiB become bulk data, smaller ones `InlineBinary`. Group lengths
//! and file meta are left out, as F.2.2 asks.

use std::cell::RefCell;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dicom_core::header::Header;
use dicom_core::value::{PrimitiveValue, Value};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use dicom_object::mem::InMemElement;
use flate2::{Compress, Compression, FlushCompress, Status};

/// Binary values above this many bytes become bulk data.
const INLINE_LIMIT: usize = 4096;

/// Values of these VRs above this many numbers become bulk data too: spelled out they would be many times their size.
const NUMBERS_LIMIT: usize = 1024;

/// Returns the metadata record: deflated DICOM JSON with splice points.
///
/// `pixel_data` is the tag and VR of the pixel data element, which is not part of `header`.
pub(crate) fn record(header: &InMemDicomObject, pixel_data: Option<(Tag, VR)>) -> std::io::Result<Vec<u8>> {
    DEFLATE.with_borrow_mut(|deflate| deflated(deflate, to_json(header, pixel_data).as_bytes()))
}

thread_local! {
    /// A compressor is a third of a megabyte that has to be cleared page by page when it is new, longer than a record takes.
    /// The fastest level: records are small, written once, and their size is half of their transport's anyway.
    static DEFLATE: RefCell<Compress> = RefCell::new(Compress::new(Compression::fast(), true));
}

fn deflated(deflate: &mut Compress, text: &[u8]) -> std::io::Result<Vec<u8>> {
    deflate.reset();
    let mut out = Vec::with_capacity(text.len() / 3 + 64);
    loop {
        let read = usize::try_from(deflate.total_in()).map_err(std::io::Error::other)?;
        let rest = text.get(read..).unwrap_or_default();
        if deflate.compress_vec(rest, &mut out, FlushCompress::Finish)? == Status::StreamEnd {
            return Ok(out);
        }
        out.reserve(out.capacity().max(256));
    }
}

/// Returns the DICOM JSON object of an instance, with splice points.
pub(crate) fn to_json(header: &InMemDicomObject, pixel_data: Option<(Tag, VR)>) -> String {
    let mut writer = Writer {
        out: String::with_capacity(8192),
        path: String::new(),
    };
    writer.data_set(header, pixel_data);
    writer.out
}

/// Returns the DICOM JSON object of the elements that `wanted` picks at the top level.
pub(crate) fn select_json(header: &InMemDicomObject, wanted: impl Fn(Tag) -> bool) -> String {
    let mut writer = Writer {
        out: String::with_capacity(1024),
        path: String::new(),
    };
    writer.out.push('{');
    let mut first = true;
    for element in header {
        if wanted(element.tag()) {
            writer.member(&mut first, element);
        }
    }
    writer.out.push('}');
    writer.out
}

struct Writer {
    out: String,
    /// Path of the item that is being written, `00081140/1/`, for splice points of nested bulk data.
    path: String,
}

fn is_left_out(tag: Tag) -> bool {
    tag.element() == 0 || tag.group() == 0x0002 || tag == Tag(0xFFFC, 0xFFFC)
}

impl Writer {
    fn data_set(&mut self, data_set: &InMemDicomObject, pixel_data: Option<(Tag, VR)>) {
        self.out.push('{');
        let mut first = true;
        let mut pixels = pixel_data;
        for element in data_set {
            if let Some((tag, vr)) = pixels.filter(|(tag, _)| *tag <= element.tag()) {
                self.bulk(&mut first, tag, vr);
                pixels = None;
            }
            self.member(&mut first, element);
        }
        if let Some((tag, vr)) = pixels {
            self.bulk(&mut first, tag, vr);
        }
        self.out.push('}');
    }

    fn key(&mut self, first: &mut bool, tag: Tag, vr: VR) {
        if !std::mem::replace(first, false) {
            self.out.push(',');
        }
        let _ = write!(
            self.out,
            "\"{:04X}{:04X}\":{{\"vr\":\"{}\"",
            tag.group(),
            tag.element(),
            vr.to_string()
        );
    }

    fn bulk(&mut self, first: &mut bool, tag: Tag, vr: VR) {
        self.key(first, tag, vr);
        self.bulk_uri(tag);
        self.out.push('}');
    }

    fn bulk_uri(&mut self, tag: Tag) {
        let _ = write!(
            self.out,
            ",\"BulkDataURI\":\"\\u0001/bulkdata/{}{:04X}{:04X}\"",
            self.path,
            tag.group(),
            tag.element()
        );
    }

    fn member(&mut self, first: &mut bool, element: &InMemElement) {
        let tag = element.tag();
        if is_left_out(tag) {
            return;
        }
        self.key(first, tag, element.vr());
        if tag == tags::SPECIFIC_CHARACTER_SET {
            self.out.push_str(",\"Value\":[\"ISO_IR 192\"]}");
            return;
        }
        match element.value() {
            Value::Sequence(sequence) => self.items(tag, sequence.items()),
            Value::PixelSequence(_) => self.bulk_uri(tag),
            Value::Primitive(value) => self.primitive(tag, element.vr(), value),
        }
        self.out.push('}');
    }

    fn items(&mut self, tag: Tag, items: &[InMemDicomObject]) {
        if items.is_empty() {
            return;
        }
        self.out.push_str(",\"Value\":[");
        let above = self.path.len();
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                self.out.push(',');
            }
            self.path.truncate(above);
            let _ = write!(self.path, "{:04X}{:04X}/{}/", tag.group(), tag.element(), index + 1);
            self.data_set(item, None);
        }
        self.path.truncate(above);
        self.out.push(']');
    }

    fn primitive(&mut self, tag: Tag, vr: VR, value: &PrimitiveValue) {
        if matches!(value, PrimitiveValue::Empty) {
            return;
        }
        match vr {
            VR::OB | VR::OD | VR::OF | VR::OL | VR::OV | VR::OW | VR::UN => {
                let bytes = value.to_bytes();
                if bytes.is_empty() {
                    return;
                }
                if bytes.len() > INLINE_LIMIT {
                    self.bulk_uri(tag);
                } else {
                    self.out.push_str(",\"InlineBinary\":\"");
                    STANDARD.encode_string(&bytes, &mut self.out);
                    self.out.push('"');
                }
            }
            VR::PN => self.strings(value, false, Self::person_name),
            VR::IS | VR::DS => {
                if value.multiplicity() as usize > NUMBERS_LIMIT {
                    return self.bulk_uri(tag);
                }
                self.strings(value, true, Self::decimal);
            }
            VR::AT => self.list(value.multiplicity() as usize, |writer, index| {
                writer.attribute_tag(value, index)
            }),
            VR::FL | VR::FD | VR::SL | VR::SS | VR::SV | VR::UL | VR::US | VR::UV => {
                if value.multiplicity() as usize > NUMBERS_LIMIT {
                    return self.bulk_uri(tag);
                }
                self.numbers(value);
            }
            // These may hold a backslash that separates nothing.
            VR::LT | VR::ST | VR::UT | VR::UR => {
                let text = value.to_str();
                let text = text.trim_end_matches([' ', '\0']);
                if text.is_empty() {
                    return;
                }
                if text.len() > INLINE_LIMIT * 4 {
                    return self.bulk_uri(tag);
                }
                self.out.push_str(",\"Value\":[");
                quoted(&mut self.out, text);
                self.out.push(']');
            }
            _ => self.strings(value, true, |writer, text| quoted(&mut writer.out, text)),
        }
    }

    /// Writes the values of a text VR; an empty one among others is `null`, F.2.5.
    fn strings(&mut self, value: &PrimitiveValue, trim_start: bool, write: impl Fn(&mut Self, &str)) {
        let many = value.to_multi_str();
        let trimmed = |text: &str| {
            let text = text.trim_end_matches([' ', '\0']);
            if trim_start {
                text.trim_start_matches(' ').to_owned()
            } else {
                text.to_owned()
            }
        };
        if many.iter().all(|text| trimmed(text).is_empty()) {
            return;
        }
        self.out.push_str(",\"Value\":[");
        for (index, text) in many.iter().enumerate() {
            if index > 0 {
                self.out.push(',');
            }
            let text = trimmed(text);
            if text.is_empty() {
                self.out.push_str("null")
            } else {
                write(self, &text)
            }
        }
        self.out.push(']');
    }

    fn person_name(&mut self, text: &str) {
        self.out.push('{');
        let mut first = true;
        for (group, name) in text.splitn(3, '=').zip(["Alphabetic", "Ideographic", "Phonetic"]) {
            let group = group.trim_end_matches(' ');
            if group.is_empty() {
                continue;
            }
            if !std::mem::replace(&mut first, false) {
                self.out.push(',');
            }
            let _ = write!(self.out, "\"{name}\":");
            quoted(&mut self.out, group);
        }
        self.out.push('}');
    }

    /// Writes IS and DS as a number where it is one that prints back the same value, else as the string it is.
    fn decimal(&mut self, text: &str) {
        let text = text.trim();
        if let Ok(whole) = text.parse::<i64>() {
            let _ = write!(self.out, "{whole}");
        } else {
            match text.parse::<f64>() {
                Ok(number) if number.is_finite() => {
                    let _ = write!(self.out, "{number}");
                }
                _ => quoted(&mut self.out, text),
            }
        }
    }

    fn list(&mut self, count: usize, write: impl Fn(&mut Self, usize)) {
        if count == 0 {
            return;
        }
        self.out.push_str(",\"Value\":[");
        for index in 0..count {
            if index > 0 {
                self.out.push(',');
            }
            write(self, index);
        }
        self.out.push(']');
    }

    fn attribute_tag(&mut self, value: &PrimitiveValue, index: usize) {
        let tag = match value {
            PrimitiveValue::Tags(tags) => tags.get(index).copied(),
            _ => None,
        };
        match tag {
            Some(tag) => {
                let _ = write!(self.out, "\"{:04X}{:04X}\"", tag.group(), tag.element());
            }
            None => self.out.push_str("null"),
        }
    }

    fn numbers(&mut self, value: &PrimitiveValue) {
        match value {
            PrimitiveValue::F32(v) => self.list(v.len(), |w, i| {
                w.float(v.get(i).map(|x| f64::from(*x)), v.get(i).map(ToString::to_string))
            }),
            PrimitiveValue::F64(v) => self.list(v.len(), |w, i| {
                w.float(v.get(i).copied(), v.get(i).map(ToString::to_string))
            }),
            PrimitiveValue::I16(v) => self.list(v.len(), |w, i| w.integer(v.get(i))),
            PrimitiveValue::I32(v) => self.list(v.len(), |w, i| w.integer(v.get(i))),
            PrimitiveValue::I64(v) => self.list(v.len(), |w, i| w.integer(v.get(i))),
            PrimitiveValue::U8(v) => self.list(v.len(), |w, i| w.integer(v.get(i))),
            PrimitiveValue::U16(v) => self.list(v.len(), |w, i| w.integer(v.get(i))),
            PrimitiveValue::U32(v) => self.list(v.len(), |w, i| w.integer(v.get(i))),
            PrimitiveValue::U64(v) => self.list(v.len(), |w, i| w.integer(v.get(i))),
            other => self.strings(other, true, |writer, text| quoted(&mut writer.out, text)),
        }
    }

    fn integer<T: std::fmt::Display>(&mut self, number: Option<&T>) {
        match number {
            Some(number) => {
                let _ = write!(self.out, "{number}");
            }
            None => self.out.push_str("null"),
        }
    }

    /// Writes a float; JSON knows no NaN and no infinity, which F.2.3 spells as strings.
    fn float(&mut self, number: Option<f64>, shortest: Option<String>) {
        match number {
            Some(number) if number.is_finite() => self.out.push_str(&shortest.unwrap_or_else(|| number.to_string())),
            Some(number) if number.is_nan() => self.out.push_str("\"NaN\""),
            Some(number) => self
                .out
                .push_str(if number > 0.0 { "\"Infinity\"" } else { "\"-Infinity\"" }),
            None => self.out.push_str("null"),
        }
    }
}

/// Writes a JSON string. Control characters are escaped, U+0001 among them, so that no text looks like a splice point...
fn quoted(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // ... and this one is dropped, because it would.
            '\u{1}' => {}
            c if (c as u32) < 0x20 => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use dicom_core::value::DataSetSequence;
    use dicom_core::{DataElement, dicom_value};

    use std::io::Read as _;

    use super::*;

    fn json(object: &InMemDicomObject) -> serde_json::Value {
        serde_json::from_str(&to_json(object, Some((tags::PIXEL_DATA, VR::OW)))).unwrap()
    }

    fn object(elements: impl IntoIterator<Item = InMemElement>) -> InMemDicomObject {
        InMemDicomObject::from_element_iter(elements)
    }

    #[test]
    fn person_names_keep_their_groups_and_leave_out_empty_ones() {
        let o = object([DataElement::new(tags::PATIENT_NAME, VR::PN, "Wang^XiaoDong=王^小东")]);
        assert_eq!(
            json(&o)["00100010"]["Value"][0],
            serde_json::json!({"Alphabetic": "Wang^XiaoDong", "Ideographic": "王^小东"})
        );
        let o = object([DataElement::new(tags::PATIENT_NAME, VR::PN, "=王^小东")]);
        assert_eq!(
            json(&o)["00100010"]["Value"][0],
            serde_json::json!({"Ideographic": "王^小东"})
        );
    }

    #[test]
    fn a_compressor_that_is_used_again_forgets_what_it_had() {
        let mut state = 7_u32;
        let mut noise = |len: usize| -> Vec<u8> {
            let step = |_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            };
            (0..len).map(step).collect()
        };
        let texts = [
            noise(100_000),
            Vec::new(),
            noise(10),
            vec![b' '; 300_000],
            noise(40_000),
        ];
        let mut deflate = Compress::new(Compression::fast(), true);
        for text in &texts {
            let out = deflated(&mut deflate, text).unwrap();
            assert_eq!(
                out,
                deflated(&mut Compress::new(Compression::fast(), true), text).unwrap()
            );
            let mut back = Vec::new();
            flate2::read::ZlibDecoder::new(out.as_slice())
                .read_to_end(&mut back)
                .unwrap();
            assert!(&back == text, "{}", text.len());
        }
    }

    #[test]
    fn empty_elements_are_their_vr_only_and_gaps_are_null() {
        let o = object([
            DataElement::new(tags::PATIENT_ID, VR::LO, PrimitiveValue::Empty),
            DataElement::new(tags::IMAGE_TYPE, VR::CS, dicom_value!(Strs, ["ORIGINAL", "", "AXIAL"])),
        ]);
        let j = json(&o);
        assert_eq!(j["00100020"], serde_json::json!({"vr": "LO"}));
        assert_eq!(j["00080008"]["Value"], serde_json::json!(["ORIGINAL", null, "AXIAL"]));
    }

    #[test]
    fn decimal_strings_are_numbers_where_they_are_numbers() {
        let o = object([
            DataElement::new(tags::PIXEL_SPACING, VR::DS, dicom_value!(Strs, [" 0.50 ", "2e1"])),
            DataElement::new(tags::SERIES_NUMBER, VR::IS, dicom_value!(Strs, ["7 "])),
            DataElement::new(tags::INSTANCE_NUMBER, VR::IS, dicom_value!(Strs, ["x7"])),
        ]);
        let j = json(&o);
        assert_eq!(j["00280030"]["Value"], serde_json::json!([0.5, 20]));
        assert_eq!(j["00200011"]["Value"], serde_json::json!([7]));
        assert_eq!(j["00200013"]["Value"], serde_json::json!(["x7"]));
    }

    #[test]
    fn not_a_number_stays_valid_json() {
        let o = object([DataElement::new(
            Tag(0x0018, 0x9074),
            VR::FD,
            dicom_value!(F64, [f64::NAN, f64::NEG_INFINITY, 1.5]),
        )]);
        assert_eq!(
            json(&o)["00189074"]["Value"],
            serde_json::json!(["NaN", "-Infinity", 1.5])
        );
    }

    #[test]
    fn large_binaries_and_pixels_are_spliced_small_ones_inline() {
        let item = object([DataElement::new(
            Tag(0x0042, 0x0011),
            VR::OB,
            PrimitiveValue::from(vec![7u8; 5000]),
        )]);
        let o = object([
            DataElement::new(Tag(0x0009, 0x1001), VR::OB, PrimitiveValue::from(vec![1u8, 2, 3, 4])),
            DataElement::new(
                tags::REFERENCED_IMAGE_SEQUENCE,
                VR::SQ,
                DataSetSequence::from(vec![item]),
            ),
        ]);
        let j = json(&o);
        assert_eq!(j["00091001"]["InlineBinary"], "AQIDBA==");
        assert_eq!(
            j["00081140"]["Value"][0]["00420011"]["BulkDataURI"],
            "\u{1}/bulkdata/00081140/1/00420011"
        );
        assert_eq!(
            j["7FE00010"],
            serde_json::json!({"vr": "OW", "BulkDataURI": "\u{1}/bulkdata/7FE00010"})
        );
    }

    #[test]
    fn no_text_of_a_peer_looks_like_a_splice_point() {
        let o = object([DataElement::new(tags::PATIENT_ID, VR::LO, "\u{1}/x")]);
        assert!(!to_json(&o, None).contains("\\u0001"));
    }

    #[test]
    fn the_character_set_is_that_of_the_json_in_items_too() {
        let charset = |value: PrimitiveValue| DataElement::new(tags::SPECIFIC_CHARACTER_SET, VR::CS, value);
        let item = object([charset(PrimitiveValue::from("GB18030"))]);
        let o = object([
            charset(dicom_value!(Strs, ["", "ISO 2022 IR 87"])),
            DataElement::new(
                tags::REFERENCED_IMAGE_SEQUENCE,
                VR::SQ,
                DataSetSequence::from(vec![item]),
            ),
        ]);
        let utf8 = serde_json::json!({"vr": "CS", "Value": ["ISO_IR 192"]});
        let j = json(&o);
        assert_eq!(j["00080005"], utf8);
        assert_eq!(j["00081140"]["Value"][0]["00080005"], utf8);
        let row = select_json(&o, |tag| tag == tags::SPECIFIC_CHARACTER_SET);
        assert_eq!(row, r#"{"00080005":{"vr":"CS","Value":["ISO_IR 192"]}}"#);
        assert!(json(&object([])).get("00080005").is_none());
    }

    #[test]
    fn group_lengths_are_left_out() {
        let o = object([DataElement::new(Tag(0x0008, 0x0000), VR::UL, dicom_value!(U32, [4]))]);
        assert_eq!(to_json(&o, None), "{}");
    }
}
