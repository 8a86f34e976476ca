//! DICOM JSON, PS3.18 Annex F, as this archive writes it into answers.
//!
//! Three uses: small modules built here ([`Object`]), search rows put together from the parts that were cut at ingest, and
//! metadata records, which lie ready-made and deflated and get the asker's URLs spliced in on their way out ([`splice`]).
//! An element without a value has its `vr` and nothing else; that is the one rule clients trip over.

use std::io::{BufRead as _, Read as _};

use serde_json::{Map, Value, json};

/// A metadata record larger than this is damaged: ingest caps headers below it.
const MAX_RECORD: u64 = 256 * 1024 * 1024;

/// What stands before the value of a `BulkDataURI` in a stored record.
const KEY: &[u8] = b"\"BulkDataURI\":\"";
/// U+0001, escaped as JSON must: the splice point. The path below the instance's URL follows.
const MARKER: &[u8] = b"\\u0001";

/// A DICOM JSON object under construction.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Object(Map<String, Value>);

/// Returns a tag as the key of a DICOM JSON object.
pub fn key(tag: u32) -> String {
    format!("{tag:08X}")
}

impl Object {
    /// Returns an empty object.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads an object that ingest wrote; anything else counts as empty.
    pub fn parse(text: &str) -> Self {
        match serde_json::from_str(text) {
            Ok(Value::Object(map)) => Self(map),
            _ => Self::default(),
        }
    }

    /// Sets a text element; an empty text is an empty element.
    pub fn text(&mut self, tag: u32, vr: &str, value: &str) {
        if value.is_empty() {
            self.empty(tag, vr)
        } else {
            self.set(tag, vr, vec![Value::from(value)])
        }
    }

    /// Sets an element with several texts.
    pub fn texts<'a>(&mut self, tag: u32, vr: &str, values: impl IntoIterator<Item = &'a str>) {
        self.set(tag, vr, values.into_iter().map(Value::from).collect());
    }

    /// Sets a numeric element.
    pub fn number(&mut self, tag: u32, vr: &str, value: u64) {
        self.set(tag, vr, vec![Value::from(value)]);
    }

    /// Sets a sequence; without items it is an empty element.
    pub fn sequence(&mut self, tag: u32, items: Vec<Self>) {
        self.set(tag, "SQ", items.into_iter().map(|item| Value::Object(item.0)).collect());
    }

    /// Sets an element without a value.
    pub fn empty(&mut self, tag: u32, vr: &str) {
        self.set(tag, vr, Vec::new());
    }

    fn set(&mut self, tag: u32, vr: &str, values: Vec<Value>) {
        let element = if values.is_empty() {
            json!({ "vr": vr })
        } else {
            json!({ "vr": vr, "Value": values })
        };
        self.0.insert(key(tag), element);
    }

    /// Returns whether there is an element of that tag.
    pub fn has(&self, tag: u32) -> bool {
        self.0.contains_key(&key(tag))
    }

    /// Makes sure that there is an element of that tag, if only its VR.
    pub fn require(&mut self, tag: u32, vr: &str) {
        if !self.has(tag) {
            self.empty(tag, vr);
        }
    }

    /// Keeps the elements that `wanted` picks.
    pub fn retain(&mut self, wanted: impl Fn(u32, &Value) -> bool) {
        self.0
            .retain(|name, element| u32::from_str_radix(name, 16).is_ok_and(|tag| wanted(tag, element)));
    }

    /// Takes over the elements of another object that `wanted` picks.
    pub fn take(&mut self, other: Self, wanted: impl Fn(u32) -> bool) {
        for (name, element) in other.0 {
            if u32::from_str_radix(&name, 16).is_ok_and(&wanted) {
                self.0.entry(name).or_insert(element);
            }
        }
    }

    /// Returns the object in the order of its tags.
    pub fn sorted(self) -> Value {
        let mut elements: Vec<_> = self.0.into_iter().collect();
        elements.sort_by(|a, b| a.0.cmp(&b.0));
        Value::Object(elements.into_iter().collect())
    }
}

/// Returns where the next splice point stands.
fn find(json: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        let mut rest = json.get(at..)?;
        let length = rest.len();
        // Backslashes are rare; `skip_until` is the standard library's fast search, and a slice never fails to read.
        let skipped = rest.skip_until(b'\\').unwrap_or(length);
        at += skipped.checked_sub(1)?;
        let (before, here) = json.split_at_checked(at)?;
        if here.starts_with(MARKER) && before.ends_with(KEY) {
            return Some(at);
        }
        if skipped == length {
            return None;
        }
        at += 1;
    }
}

/// Inflates a stored metadata record and puts the instance's URL into its splice points.
///
/// # Errors
/// When the record does not inflate, or to more than any record can be.
pub fn splice(record: &[u8], instance_url: &str) -> std::io::Result<Vec<u8>> {
    let mut json = Vec::with_capacity(record.len() * 4);
    let read = flate2::read::ZlibDecoder::new(record)
        .take(MAX_RECORD)
        .read_to_end(&mut json)?;
    if read as u64 == MAX_RECORD {
        return Err(std::io::Error::other("metadata record is too long"));
    }
    let Some(mut next) = find(&json, 0) else {
        return Ok(json);
    };
    let mut out = Vec::with_capacity(json.len() + 4 * instance_url.len());
    let mut copied = 0;
    loop {
        out.extend_from_slice(json.get(copied..next).unwrap_or_default());
        out.extend_from_slice(instance_url.as_bytes());
        copied = next + MARKER.len();
        match find(&json, copied) {
            Some(at) => next = at,
            None => break,
        }
    }
    out.extend_from_slice(json.get(copied..).unwrap_or_default());
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn deflate(text: &str) -> Vec<u8> {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn splice_points_become_the_urls_of_the_asker() {
        let record = serde_json::json!({
            "7FE00010": {"vr": "OW", "BulkDataURI": "\u{1}/bulkdata/7FE00010"},
            "00081140": {"vr": "SQ", "Value": [{"00420011": {"vr": "OB", "BulkDataURI": "\u{1}/bulkdata/00081140/1/00420011"}}]},
            "00100020": {"vr": "LO", "Value": ["\"BulkDataURI\":\"\\u0001/x"]},
        });
        let spliced = splice(
            &deflate(&record.to_string()),
            "https://a/dicom-web/studies/1/series/2/instances/3",
        )
        .unwrap();
        let spliced: Value = serde_json::from_slice(&spliced).unwrap();
        assert_eq!(
            spliced["7FE00010"]["BulkDataURI"],
            "https://a/dicom-web/studies/1/series/2/instances/3/bulkdata/7FE00010"
        );
        assert_eq!(
            spliced["00081140"]["Value"][0]["00420011"]["BulkDataURI"],
            "https://a/dicom-web/studies/1/series/2/instances/3/bulkdata/00081140/1/00420011"
        );
        assert_eq!(spliced["00100020"], record["00100020"]);
    }

    #[test]
    fn a_damaged_record_is_an_error() {
        assert!(splice(b"not deflated", "x").is_err());
    }

    #[test]
    fn empty_elements_have_their_vr_only() {
        let mut object = Object::new();
        object.text(0x0008_0050, "SH", "");
        object.sequence(0x0008_1199, Vec::new());
        object.require(0x0020_000D, "UI");
        object.number(0x0020_1208, "IS", 7);
        assert_eq!(
            object.sorted().to_string(),
            r#"{"00080050":{"vr":"SH"},"00081199":{"vr":"SQ"},"0020000D":{"vr":"UI"},"00201208":{"vr":"IS","Value":[7]}}"#
        );
    }

    #[test]
    fn rows_take_what_is_wanted_and_keep_what_they_have() {
        let mut row = Object::new();
        row.text(0x0010_0020, "LO", "mine");
        row.take(
            Object::parse(
                r#"{"00100020":{"vr":"LO","Value":["theirs"]},"00100010":{"vr":"PN"},"00101010":{"vr":"AS"}}"#,
            ),
            |tag| tag != 0x0010_1010,
        );
        assert_eq!(
            row.sorted().to_string(),
            r#"{"00100010":{"vr":"PN"},"00100020":{"vr":"LO","Value":["mine"]}}"#
        );
    }
}
