//! A profile as somebody brings it: the texts of its files, checked at once and kept.
//!
//! What is kept is the texts, not what was made of them, so that a later program reads them its own way. A definition is
//! compiled when a collection is made and refused there with line and column, and compiled again by whoever applies it.
//! Scripts run in strict mode only: an archive's profile may not have CTP's leaks.
//!
//! The texts may hold secrets and the names of patients (a lookup table is a key to them): they are shown nowhere, and
//! whoever keeps [`Definition::encode`] seals it.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::ctp::{Anonymizer, Inputs, LookupTable, Mode, Parameters, ParseError, PixelScript, Script};
use crate::profile::Profile;

/// Most bytes that the texts may have together.
const MOST_BYTES: usize = 8 << 20;
/// Most characters of a name: it becomes part of (0012,0063), VR LO.
const MOST_NAME: usize = 44;
/// Most faults that are told at once.
const MOST_FAULTS: usize = 20;

/// The rules of a definition.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Rules {
    /// An option set in TOML; it says its name itself.
    Options {
        /// The text.
        text: String,
    },
    /// A script in CTP's language, as XML or properties.
    Script {
        /// What the profile is called.
        name: String,
        /// The text.
        text: String,
        /// Text of the parameters; they win over the script's own.
        parameters: Option<String>,
        /// Text of the lookup table.
        lookup: Option<String>,
    },
}

/// Rules, and what is hidden of whose images.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// The rules.
    pub rules: Rules,
    /// Text of a pixel script.
    pub pixel_script: Option<String>,
}

impl fmt::Debug for Definition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Definition").finish_non_exhaustive()
    }
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Options { .. } => "Options",
            Self::Script { .. } => "Script",
        })
    }
}

impl Definition {
    /// Returns the profile that the texts describe.
    ///
    /// # Errors
    /// [`Error::ProfileNotRead`] with file, line and column of what cannot be read or would not be safe, or
    /// [`Error::ExclusiveOptions`].
    pub fn compile(&self) -> Result<Profile, Error> {
        if self.bytes() > MOST_BYTES {
            return Err(refused("its files have more than 8 MiB together"));
        }
        let profile = match &self.rules {
            Rules::Options { text } => Profile::parse(text)?,
            Rules::Script {
                name,
                text,
                parameters,
                lookup,
            } => Profile::from_ctp(name, script(text, parameters.as_deref(), lookup.as_deref())?),
        };
        let name = profile.name();
        // it stands in a multi-valued attribute of every object, and names of our own must mean our own
        let legible = name.chars().all(|c| c.is_ascii_graphic() && c != '\\' || c == ' ');
        if name.trim().is_empty() || name.len() > MOST_NAME || !legible || Profile::builtin(name).is_some() {
            return Err(refused(
                "its name is empty, longer than 44 characters, not plain ASCII, or that of a built-in profile",
            ));
        }
        let Some(text) = &self.pixel_script else {
            return Ok(profile);
        };
        let pixels = PixelScript::parse(text).map_err(|fault| refused(format!("pixel script: {fault}")))?;
        if pixels.signatures().is_empty() {
            return Err(refused("pixel script: there is no signature in it"));
        }
        Ok(profile.with_pixels(pixels, text))
    }

    fn bytes(&self) -> usize {
        let rules = match &self.rules {
            Rules::Options { text } => text.len(),
            Rules::Script {
                name,
                text,
                parameters,
                lookup,
            } => name.len() + text.len() + length(parameters) + length(lookup),
        };
        rules + length(&self.pixel_script)
    }

    /// Returns the bytes in which a definition is kept; they are to be sealed.
    ///
    /// # Errors
    /// Never in practice: every text has an encoding.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        serde_json::to_vec(self).map_err(|_| refused("it cannot be encoded"))
    }

    /// Returns the definition that was kept.
    ///
    /// # Errors
    /// [`Error::ProfileNotRead`] when the bytes are none; nothing of them is repeated.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        serde_json::from_slice(bytes).map_err(|_| refused("what was kept of it cannot be read"))
    }
}

fn length(text: &Option<String>) -> usize {
    text.as_ref().map_or(0, String::len)
}

fn refused(reason: impl Into<String>) -> Error {
    Error::ProfileNotRead { reason: reason.into() }
}

fn script(text: &str, parameters: Option<&str>, lookup: Option<&str>) -> Result<Anonymizer, Error> {
    let script = Script::parse_compat(text).map_err(|fault| refused(format!("script: {fault}")))?;
    let mut inputs = Inputs::default();
    if let Some(text) = parameters {
        inputs.parameters = Parameters::parse(text).map_err(|fault| refused(format!("parameters: {fault}")))?;
    }
    if let Some(text) = lookup {
        let table = LookupTable::parse(text);
        if table.is_empty() {
            return Err(refused("lookup table: there is no row `keytype/key=value` in it"));
        }
        inputs.lookup = Some(Arc::new(table));
    }
    Anonymizer::new(script, Mode::Strict, inputs).map_err(|faults| {
        let more = faults.len().saturating_sub(MOST_FAULTS);
        let mut told: Vec<String> = faults.into_iter().take(MOST_FAULTS).map(told).collect();
        if more > 0 {
            told.push(format!("and {more} more"));
        }
        refused(format!("script: {}", told.join("; ")))
    })
}

fn told(mut fault: ParseError) -> String {
    if fault.found == "@integer" {
        fault.expected = "a function without memory, since there is no counter yet that all servers share".to_owned();
    }
    fault.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_script(text: &str) -> Definition {
        Definition {
            rules: Rules::Script {
                name: "trial-7".to_owned(),
                text: text.to_owned(),
                parameters: None,
                lookup: None,
            },
            pixel_script: None,
        }
    }

    const PIXELS: &str = "{ Modality.equals(\"US\") } (0,0,100,20)\n";

    #[test]
    fn a_definition_reads_back_and_compiles_to_the_same_profile() {
        let mut script = of_script("param.ROOT=1.2.3\nset.[0010,0010]PatientName=@empty()\n");
        script.pixel_script = Some(PIXELS.to_owned());
        let options = Definition {
            rules: Rules::Options {
                text: "name = 'own'\nextends = 'obia'".to_owned(),
            },
            pixel_script: None,
        };
        for definition in [script, options] {
            let read = Definition::decode(&definition.encode().unwrap()).unwrap();
            assert_eq!(read, definition);
            assert_eq!(read.compile().unwrap().hash(), definition.compile().unwrap().hash());
        }
        assert!(Definition::decode(b"{}").is_err());
    }

    #[test]
    fn every_input_is_part_of_the_hash() {
        let script = "set.[0010,0020]PatientID=@lookup(this,ptid)\n";
        let with = |name: &str, parameters: Option<&str>, lookup: &str, pixels: Option<&str>| {
            let definition = Definition {
                rules: Rules::Script {
                    name: name.to_owned(),
                    text: script.to_owned(),
                    parameters: parameters.map(str::to_owned),
                    lookup: Some(lookup.to_owned()),
                },
                pixel_script: pixels.map(str::to_owned),
            };
            definition.compile().unwrap().hash()
        };
        let mut hashes = vec![
            with("a", None, "ptid/1=A", None),
            with("b", None, "ptid/1=A", None),
            with("a", Some("X=1"), "ptid/1=A", None),
            with("a", None, "ptid/1=B", None),
            with("a", None, "ptid/1=A", Some(PIXELS)),
        ];
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), 5);
    }

    #[test]
    fn faults_are_told_with_their_place() {
        for (definition, words) in [
            (
                of_script("set.[0010,0010]PatientName=@empty()\nset.[0010,0020]PatientID=@nothing()\n"),
                "script: line 2, column 26",
            ),
            (
                of_script("<script><e en=\"T\" t=\"00100010\"</script>"),
                "line 1, column",
            ),
            (
                of_script("set.[0010,0020]PatientID=@integer(this,id,4)\n"),
                "all servers share",
            ),
            (
                of_script("set.[0010,0020]PatientID=@lookup(this,ptid)\n"),
                "a lookup table",
            ),
            (
                Definition {
                    pixel_script: Some("nothing".to_owned()),
                    ..of_script("")
                },
                "pixel script:",
            ),
            (
                Definition {
                    rules: Rules::Options {
                        text: "name = 'x'\noption = []".to_owned(),
                    },
                    pixel_script: None,
                },
                "line 2, column 1",
            ),
        ] {
            let error = definition.compile().unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn a_name_must_be_legible_and_not_one_of_ours() {
        for name in ["", " ", "none", "a\\b", "ä", &"n".repeat(45)] {
            let mut definition = of_script("");
            if let Rules::Script { name: own, .. } = &mut definition.rules {
                *own = name.to_owned();
            }
            assert!(definition.compile().is_err(), "{name}");
        }
    }

    #[test]
    fn texts_are_not_shown_and_not_endless() {
        let definition = of_script("set.[0010,0010]PatientName=SECRET\n");
        assert!(!format!("{definition:?} {:?}", definition.rules).contains("SECRET"));
        let large = of_script(&"#".repeat(MOST_BYTES));
        assert!(large.compile().unwrap_err().to_string().contains("8 MiB"));
    }
}
