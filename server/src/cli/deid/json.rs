//! Elements of an object that is in the archive, from its ready-made metadata (PS3.18 Annex F): what it says to everybody
//! who may see it. Nothing is opened, and nothing that was there before de-identification is known here.

use std::io::Read as _;

use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;
use serde_json::{Map, Value};

use super::survey::{Met, Seen, creator_of, cut, digest, is_shown, keyword, path_of};

/// Records that inflate to more are not read: a tree of them takes some ten times as much.
const MOST_BYTES: u64 = 16 << 20;

/// Why a record gives nothing.
#[derive(Debug, thiserror::Error)]
#[error("its metadata cannot be read, or has more than 16 MiB")]
pub(crate) struct Unreadable;

type Object = Map<String, Value>;

impl Seen {
    /// Collects the elements of a metadata record.
    ///
    /// # Errors
    /// When it is none.
    pub(crate) fn of_record(record: &[u8]) -> Result<Self, Unreadable> {
        let mut json = Vec::with_capacity(record.len() * 4);
        let inflated = flate2::read::ZlibDecoder::new(record)
            .take(MOST_BYTES)
            .read_to_end(&mut json);
        inflated.map_err(|_| Unreadable)?;
        let object: Object = serde_json::from_slice(&json).map_err(|_| Unreadable)?;
        let of = |tag| value_of(&object, tag);
        let mut seen = Self {
            patient: digest(&of(tags::PATIENT_ID)),
            study: digest(&of(tags::STUDY_INSTANCE_UID)),
            series: digest(&of(tags::SERIES_INSTANCE_UID)),
            machine: (
                of(tags::MANUFACTURER),
                of(tags::MANUFACTURER_MODEL_NAME),
                of(tags::MODALITY),
            ),
            is_marked: of(tags::PATIENT_IDENTITY_REMOVED) == "YES",
            elements: Vec::with_capacity(object.len()),
        };
        walk(&mut seen.elements, &object, "");
        Ok(seen)
    }
}

fn walk(elements: &mut Vec<Met>, object: &Object, above: &str) {
    for (key, element) in object {
        let Some(tag) = tag_of(key) else { continue };
        let creator = creator_of(tag).map(|creator| value_of(object, creator));
        let path = format!("{above}{}", path_of(tag, creator.as_deref()));
        let vr = element.get("vr").and_then(Value::as_str).and_then(|vr| vr.parse().ok());
        let vr = vr.unwrap_or(VR::UN);
        let values = element.get("Value").and_then(Value::as_array);
        if vr == VR::SQ {
            let below = format!("{path}.");
            for item in values.into_iter().flatten().filter_map(Value::as_object) {
                walk(elements, item, &below);
            }
        }
        let value = match (values, element.get("InlineBinary"), element.get("BulkDataURI")) {
            _ if vr == VR::SQ => format!("{} items", values.map_or(0, Vec::len)),
            (_, Some(binary), _) => format!("{} bytes", bytes_of(binary.as_str().unwrap_or_default())),
            (_, _, Some(_)) => "bulk data".to_owned(),
            _ if !is_shown(vr) => "0 bytes".to_owned(),
            (values, ..) => cut(&joined(values)),
        };
        elements.push(Met {
            path,
            vr,
            keyword: keyword(tag),
            private: tag.0 % 2 == 1 || above.contains('['),
            value,
        });
    }
}

fn tag_of(key: &str) -> Option<Tag> {
    let half = |range: std::ops::Range<usize>| u16::from_str_radix(key.get(range)?, 16).ok();
    (key.len() == 8).then_some(())?;
    Some(Tag(half(0..4)?, half(4..8)?))
}

/// Returns the text of an element at this level; empty if there is none.
fn value_of(object: &Object, tag: Tag) -> String {
    let key = format!("{:04X}{:04X}", tag.0, tag.1);
    let values = object.get(&key).and_then(|element| element.get("Value")?.as_array());
    joined(values).trim_matches([' ', '\0']).to_owned()
}

/// Returns values as DICOM writes several in one.
fn joined(values: Option<&Vec<Value>>) -> String {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Object(name) => name_of(name),
        _ => String::new(),
    };
    let all: Vec<String> = values.into_iter().flatten().map(text).collect();
    all.join("\\")
}

/// Returns a person's name, its groups with `=` between them (PS3.5 6.2.1).
fn name_of(name: &Object) -> String {
    let groups = ["Alphabetic", "Ideographic", "Phonetic"];
    let all = groups.map(|key| name.get(key).and_then(Value::as_str).unwrap_or_default());
    all.join("=").trim_end_matches('=').to_owned()
}

fn bytes_of(base64: &str) -> usize {
    let padding = base64.bytes().rev().take_while(|byte| *byte == b'=').count();
    (base64.len() / 4 * 3).saturating_sub(padding)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn deflated(json: &str) -> Vec<u8> {
        let mut out = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        out.write_all(json.as_bytes()).unwrap();
        out.finish().unwrap()
    }

    #[test]
    fn a_record_gives_what_a_file_gives() {
        let record = deflated(
            r#"{"00080060":{"vr":"CS","Value":["CT"]},"00080070":{"vr":"LO","Value":["Maker"]},
            "00082111":{"vr":"ST"},"00081140":{"vr":"SQ","Value":[{"00081155":{"vr":"UI","Value":["1.2"]}},{}]},
            "00100010":{"vr":"PN","Value":[{"Alphabetic":"A^B","Phonetic":"C"}]},"00100020":{"vr":"LO","Value":["ANON"]},
            "00120062":{"vr":"CS","Value":["YES"]},"00190010":{"vr":"LO","Value":["ACME 1"]},
            "00191004":{"vr":"UN","InlineBinary":"AAEC"},"00280030":{"vr":"DS","Value":[0.5,0.25]},
            "7FE00010":{"vr":"OW","BulkDataURI":"\u0001/bulkdata/7FE00010"},"x":{"vr":"CS"}}"#,
        );
        let seen = Seen::of_record(&record).unwrap();
        assert!(seen.is_marked);
        assert_eq!(seen.machine, ("Maker".to_owned(), String::new(), "CT".to_owned()));
        let mut told: Vec<(&str, &str, bool)> = seen
            .elements
            .iter()
            .map(|met| (met.path.as_str(), met.value.as_str(), met.private))
            .collect();
        told.sort_unstable();
        assert_eq!(
            told,
            [
                ("00080060", "CT", false),
                ("00080070", "Maker", false),
                ("00081140", "2 items", false),
                ("00081140.00081155", "1.2", false),
                ("00082111", "", false),
                ("00100010", "A^B==C", false),
                ("00100020", "ANON", false),
                ("00120062", "YES", false),
                ("00190010", "ACME 1", true),
                ("0019[ACME 1]04", "3 bytes", true),
                ("00280030", "0.5\\0.25", false),
                ("7FE00010", "bulk data", false),
            ]
        );
        assert!(Seen::of_record(b"no record").is_err());
        assert!(Seen::of_record(&deflated("[1]")).is_err());
    }
}
