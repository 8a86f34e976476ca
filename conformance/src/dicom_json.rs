//! Reading DICOM JSON (PS3.18 Annex F) the way a strict client does.

use crate::data_set::Tag;
use anyhow::{Result, anyhow, ensure};
use serde_json::{Map, Value};

/// One data set of an answer.
#[derive(Clone, Debug)]
pub struct Row(Map<String, Value>);

impl Row {
    /// Returns the rows of a document, which has to be an array of objects (PS3.18 F.2.1).
    ///
    /// # Errors
    /// When it is anything else.
    pub fn all(document: &[u8]) -> Result<Vec<Self>> {
        let value: Value = serde_json::from_slice(document)?;
        let Value::Array(items) = value else {
            return Err(anyhow!("the document is no array"));
        };
        items.into_iter().map(Self::from_value).collect()
    }

    /// Returns a single data set.
    ///
    /// # Errors
    /// When the document is neither an object nor an array of one.
    pub fn one(document: &[u8]) -> Result<Self> {
        match serde_json::from_slice(document)? {
            Value::Array(mut items) if items.len() == 1 => Self::from_value(items.remove(0)),
            other => Self::from_value(other),
        }
    }

    fn from_value(value: Value) -> Result<Self> {
        match value {
            Value::Object(map) => Ok(Self(map)),
            _ => Err(anyhow!("a data set is no object")),
        }
    }

    /// Returns whether the element is there, empty or not.
    pub fn has(&self, tag: Tag) -> bool {
        self.0.contains_key(&key(tag))
    }

    /// Returns the element as it stands.
    pub fn element(&self, tag: Tag) -> Option<&Value> {
        self.0.get(&key(tag))
    }

    /// Returns the values of an element as text, one for each value; a person's name is its alphabetic group.
    pub fn texts(&self, tag: Tag) -> Vec<String> {
        let Some(Value::Array(values)) = self.element(tag).and_then(|element| element.get("Value")) else {
            return Vec::new();
        };
        values.iter().map(text).collect()
    }

    /// Returns the first value as text, when it is not empty.
    pub fn text(&self, tag: Tag) -> Option<String> {
        self.texts(tag).into_iter().next().filter(|value| !value.is_empty())
    }

    /// Returns the first value as a whole number.
    pub fn number(&self, tag: Tag) -> Option<i64> {
        self.text(tag)?.trim().parse().ok()
    }

    /// Returns the items of a sequence.
    pub fn items(&self, tag: Tag) -> Vec<Self> {
        let Some(Value::Array(items)) = self.element(tag).and_then(|element| element.get("Value")) else {
            return Vec::new();
        };
        items
            .iter()
            .filter_map(|item| item.as_object().cloned().map(Self))
            .collect()
    }

    /// Checks the shape of every element, at any depth (PS3.18 F.2.2 to F.2.7).
    ///
    /// # Errors
    /// Names the first element whose key, VR or value breaks the model.
    pub fn check_shape(&self) -> Result<()> {
        for (key, element) in &self.0 {
            ensure!(
                key.len() == 8
                    && key
                        .bytes()
                        .all(|byte| byte.is_ascii_digit() || (b'A'..=b'F').contains(&byte)),
                "`{key}` is no key of eight upper-case hexadecimal digits"
            );
            ensure!(!key.starts_with("0002"), "the File Meta element {key} is in a data set");
            ensure!(!key.ends_with("0000"), "the group length {key} is in a data set");
            let vr = element
                .get("vr")
                .and_then(Value::as_str)
                .ok_or_else(|| anyhow!("{key} has no vr"))?;
            ensure!(vr.len() == 2, "{key} has the vr `{vr}`");
            let kinds = ["Value", "BulkDataURI", "InlineBinary"]
                .iter()
                .filter(|kind| element.get(**kind).is_some())
                .count();
            ensure!(
                kinds <= 1,
                "{key} has more than one of Value, BulkDataURI and InlineBinary"
            );
            match element.get("Value") {
                None => {}
                Some(Value::Array(values)) => {
                    ensure!(
                        !values.is_empty(),
                        "{key} is empty but has a Value: an empty element is its vr alone"
                    );
                    for value in values {
                        check_value(key, vr, value)?;
                    }
                }
                Some(_) => return Err(anyhow!("the Value of {key} is no array")),
            }
        }
        Ok(())
    }
}

fn check_value(key: &str, vr: &str, value: &Value) -> Result<()> {
    match vr {
        "SQ" => {
            let Value::Object(item) = value else {
                return Err(anyhow!("an item of {key} is no object"));
            };
            Row(item.clone()).check_shape()
        }
        "PN" => {
            let good = value.is_null()
                || value.as_object().is_some_and(|groups| {
                    groups
                        .keys()
                        .all(|group| ["Alphabetic", "Ideographic", "Phonetic"].contains(&group.as_str()))
                        && groups.values().all(Value::is_string)
                });
            ensure!(good, "{key} is no person name object");
            Ok(())
        }
        "US" | "SS" | "UL" | "SL" => {
            ensure!(value.is_number() || value.is_null(), "{key} of VR {vr} is no number");
            Ok(())
        }
        "DS" | "IS" | "SV" | "UV" | "FL" | "FD" => {
            ensure!(
                value.is_number() || value.is_string() || value.is_null(),
                "{key} of VR {vr} is neither number nor string"
            );
            Ok(())
        }
        _ => {
            ensure!(value.is_string() || value.is_null(), "{key} of VR {vr} is no string");
            Ok(())
        }
    }
}

/// Returns the key of a tag: eight upper-case hexadecimal digits.
pub fn key(tag: Tag) -> String {
    format!("{:04X}{:04X}", tag.0, tag.1)
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(groups) => groups.get("Alphabetic").map(text).unwrap_or_default(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(document: &str) -> Result<()> {
        Row::one(document.as_bytes())?.check_shape()
    }

    #[test]
    fn a_good_data_set_passes() {
        shape(r#"{"00100010":{"vr":"PN","Value":[{"Alphabetic":"A^B"}]},"00080050":{"vr":"SH"},"00400275":{"vr":"SQ","Value":[{}]}}"#).unwrap();
    }

    #[test]
    fn each_broken_shape_is_named() {
        for bad in [
            r#"{"0010001a":{"vr":"LO"}}"#,
            r#"{"00020010":{"vr":"UI"}}"#,
            r#"{"00100020":{"Value":["x"]}}"#,
            r#"{"00100020":{"vr":"LO","Value":[]}}"#,
            r#"{"00100010":{"vr":"PN","Value":["A^B"]}}"#,
            r#"{"00280010":{"vr":"US","Value":["48"]}}"#,
            r#"{"7FE00010":{"vr":"OW","BulkDataURI":"u","InlineBinary":"AA=="}}"#,
        ] {
            assert!(shape(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn numbers_and_names_read_as_text() {
        let row = Row::one(
            br#"[{"00201208":{"vr":"IS","Value":[3]},"00100010":{"vr":"PN","Value":[{"Alphabetic":"A^B"}]}}]"#,
        )
        .unwrap();
        assert_eq!(row.number((0x0020, 0x1208)), Some(3));
        assert_eq!(row.text((0x0010, 0x0010)).as_deref(), Some("A^B"));
    }
}
