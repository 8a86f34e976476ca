//! Lookup tables: `keytype/key=value`, as properties text or CSV.

use std::collections::HashMap;

use sha2::{Digest, Sha256};

use super::{java, properties};

/// Most values that are followed from one to the next.
const MOST_INDIRECTIONS: usize = 10;

/// A lookup table.
#[derive(Clone, Default)]
pub struct LookupTable(HashMap<String, String>);

impl std::fmt::Debug for LookupTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A lookup table is the key to the patients.
        write!(f, "LookupTable({} rows)", self.0.len())
    }
}

impl LookupTable {
    /// Reads properties text. Keys that begin with `..` are no data, but settings of CTP's editor.
    pub fn parse(text: &str) -> Self {
        let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
        let rows = properties::properties(text).into_iter();
        Self(
            rows.map(|property| (property.key.text, property.value.text))
                .filter(|(key, _)| !key.starts_with(".."))
                .collect(),
        )
    }

    /// Reads CSV: `keytype/key,value`, or `key,value` where the script uses one key type only. CTP reads such rows and then
    /// forgets them; here they count. Rows of other lengths are passed over, as are quotes around a field.
    pub fn parse_csv(text: &str, default_key_type: Option<&str>) -> Self {
        let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
        let mut rows = HashMap::new();
        for line in text.lines() {
            let mut fields = line.split(',').map(field);
            let (Some(key), Some(value), None) = (fields.next(), fields.next(), fields.next()) else {
                continue;
            };
            if key.is_empty() || key.starts_with("..") {
                continue;
            }
            let key = match default_key_type.map(java::trim) {
                Some(key_type) if !key.starts_with(&format!("{key_type}/")) => format!("{key_type}/{key}"),
                _ => key.to_owned(),
            };
            rows.insert(key, value.to_owned());
        }
        Self(rows)
    }

    /// Returns the rows as properties text, which [`parse`](Self::parse) reads back; sorted.
    pub fn to_properties(&self) -> String {
        let mut rows: Vec<(&String, &String)> = self.0.iter().collect();
        rows.sort_unstable();
        let mut out = String::new();
        for (key, value) in rows {
            escape(&mut out, key);
            out.push('=');
            escape(&mut out, value);
            out.push('\n');
        }
        out
    }

    /// Returns whether the table has no row.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns how many rows the table has.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns a digest of the rows.
    pub(crate) fn digest(&self) -> [u8; 32] {
        let mut rows: Vec<(&String, &String)> = self.0.iter().collect();
        rows.sort_unstable();
        let mut digest = Sha256::new();
        for (key, value) in rows {
            for part in [key, value] {
                digest.update((part.len() as u64).to_be_bytes());
                digest.update(part);
            }
        }
        digest.finalize().into()
    }

    /// Looks a value up and follows `@keytype/key`; the error is CTP's words and may hold the key.
    pub(crate) fn find(&self, key_type: &str, key: &str) -> Result<String, String> {
        if self.0.is_empty() {
            return Err("empty lookup table".to_owned());
        }
        let mut key = format!("{}/{}", java::trim(key_type), java::trim(key));
        let mut left = MOST_INDIRECTIONS;
        loop {
            let Some(value) = self.0.get(&key) else {
                return Err(format!("missing key ({key}) in lookup table"));
            };
            let value = java::trim(value);
            match value.strip_prefix('@').filter(|next| next.contains('/')) {
                // CTP gives up at the tenth, found or not.
                _ if left == 0 => return Err(format!("more than {MOST_INDIRECTIONS} indirects")),
                Some(next) => key = java::trim(next).to_owned(),
                None => return Ok(value.to_owned()),
            }
            left -= 1;
        }
    }
}

/// Writes text so that a reader of properties takes none of it for an end, a comment or an escape.
fn escape(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x0C' => out.push_str("\\f"),
            ' ' | '=' | ':' | '#' | '!' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
}

fn field(text: &str) -> &str {
    let text = java::trim(text);
    text.strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
        .unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_trimmed_and_followed() {
        let table = LookupTable::parse("ptid/1= A \nchain/1=@ptid/1\nloop/1=@loop/1\n..x=1\n");
        assert_eq!(table.len(), 3);
        assert_eq!(table.find(" ptid ", " 1 ").unwrap(), "A");
        assert_eq!(table.find("chain", "1").unwrap(), "A");
        assert_eq!(table.find("loop", "1").unwrap_err(), "more than 10 indirects");
        assert_eq!(
            table.find("ptid", "2").unwrap_err(),
            "missing key (ptid/2) in lookup table"
        );
        assert_eq!(LookupTable::default().find("a", "b").unwrap_err(), "empty lookup table");
    }

    #[test]
    fn nine_steps_are_followed_and_the_tenth_is_refused() {
        let chain = |n: usize| {
            let rows: String = (0..n).map(|i| format!("c/{i}=@c/{}\n", i + 1)).collect();
            LookupTable::parse(&format!("{rows}c/{n}=end")).find("c", "0")
        };
        assert_eq!(chain(9).unwrap(), "end");
        assert!(chain(10).is_err());
    }

    #[test]
    fn a_table_is_written_as_it_reads() {
        let csv = "1,A\n a b=c:d , # x! \\n \n\u{6B27}\u{9633},=v \n@k, @ptid/1\n";
        let table = LookupTable::parse_csv(csv, Some("ptid"));
        assert_eq!(table.len(), 4);
        let read = LookupTable::parse(&table.to_properties());
        assert_eq!(read.digest(), table.digest(), "{}", table.to_properties());
        assert_eq!(LookupTable::default().to_properties(), "");
    }

    #[test]
    fn two_columns_of_csv_are_kept() {
        let table = LookupTable::parse_csv("1,A\nptid/2,\"B\"\n..k,\nx\n3,C,D\n", Some("ptid"));
        assert_eq!(table.find("ptid", "1").unwrap(), "A");
        assert_eq!(table.find("ptid", "2").unwrap(), "B");
        assert_eq!(table.len(), 2);
    }
}
