//! Profiles that people write: the Basic profile with options, in a few lines of TOML.
//!
//! ```toml
//! name = "trial-7"
//! extends = "obia"                       # or nothing: then the Basic profile alone
//! options = ["retain-device-identity"]   # joins those of what it extends
//! without = ["clean-graphics"]           # leaves out
//! private = "safe"                       # remove, safe, numbers, safe-and-numbers
//! documents = "hold"                     # or blank
//!
//! [private-attributes]                   # group, creator, element in its block
//! keep = ["0019,GEMS_ACQU_01,23"]
//! remove = ["0029,SIEMENS CSA HEADER,10"]
//! ```
//!
//! Unknown keys are refused: a typing error in a profile would be a leak.

use serde::Deserialize;

use crate::Error;
use crate::documents::DocumentRule;
use crate::options::{ConfidentialityOption as O, Options};
use crate::private_rules::{PrivateAttribute, PrivateLists};
use crate::profile::{PrivateRule, Profile, Settings};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    name: String,
    extends: Option<String>,
    #[serde(default)]
    options: Vec<String>,
    #[serde(default)]
    without: Vec<String>,
    private: Option<Private>,
    documents: Option<Documents>,
    #[serde(default)]
    private_attributes: Lists,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Lists {
    #[serde(default)]
    keep: Vec<String>,
    #[serde(default)]
    remove: Vec<String>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "kebab-case")]
enum Private {
    Remove,
    Safe,
    Numbers,
    SafeAndNumbers,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "kebab-case")]
enum Documents {
    Hold,
    Blank,
}

fn not_read(reason: impl Into<String>) -> Error {
    Error::ProfileNotRead { reason: reason.into() }
}

fn options(names: &[String]) -> Result<Vec<O>, Error> {
    let one = |name: &String| {
        O::named(name).ok_or_else(|| {
            let known: Vec<&str> = O::ALL.iter().map(|option| option.name()).collect();
            not_read(format!("no option is called {name:?}; there are {}", known.join(", ")))
        })
    };
    names.iter().map(one).collect()
}

fn attributes(list: &[String]) -> Result<std::collections::HashSet<PrivateAttribute>, Error> {
    let one = |text: &String| {
        PrivateAttribute::parse(text).ok_or_else(|| {
            not_read(format!(
                "{text:?} is not a private attribute as in \"0019,GEMS_ACQU_01,23\""
            ))
        })
    };
    list.iter().map(one).collect()
}

impl Profile {
    /// Reads a profile that a person wrote; `server/deid/src/profile_file.rs` shows all it can say.
    ///
    /// # Errors
    /// [`Error::ProfileNotRead`] with line and reason, [`Error::ExclusiveOptions`] where two options contradict each other.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let file: File = toml::from_str(text).map_err(|error| not_read(error.to_string()))?;
        if file.name.is_empty() || file.name.len() > 64 || Profile::builtin(&file.name).is_some() {
            return Err(not_read(
                "the name is empty, too long, or one of the built-in profiles'",
            ));
        }
        let base = match file.extends.as_deref() {
            None => Settings::default(),
            Some(name) => Settings::builtin(name).ok_or_else(|| not_read(format!("no profile {name:?} to extend")))?,
        };
        let mut chosen: Vec<O> = base.options.iter().collect();
        let added = options(&file.options)?;
        // A file that asks for the other kind of dates means it.
        let dates = [O::RetainLongitudinalFullDates, O::RetainLongitudinalModifiedDates];
        if added.iter().any(|option| dates.contains(option)) {
            chosen.retain(|option| !dates.contains(option));
        }
        chosen.extend(added);
        let without = options(&file.without)?;
        chosen.retain(|option| !without.contains(option));
        let lists = PrivateLists {
            keep: attributes(&file.private_attributes.keep)?,
            remove: attributes(&file.private_attributes.remove)?,
        };
        let private = match file.private {
            Some(Private::Remove) => PrivateRule::Remove,
            Some(Private::Safe) => PrivateRule::KeepSafe,
            Some(Private::Numbers) => PrivateRule::KeepNumeric,
            Some(Private::SafeAndNumbers) => PrivateRule::KeepSafeAndNumeric,
            None => base.private,
        };
        let documents = match file.documents {
            Some(Documents::Hold) => DocumentRule::Hold,
            Some(Documents::Blank) => DocumentRule::Blank,
            None => base.documents,
        };
        Profile::from_settings(
            &file.name,
            Settings {
                options: Options::of(&chosen),
                private,
                documents,
                lists,
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_extends_a_built_in_profile() {
        let text = "name = 'trial'\nextends = 'obia'\noptions = ['retain-longitudinal-full-dates']\nwithout = ['clean-graphics']\n\
                    private = 'safe'\n[private-attributes]\nkeep = ['0019,GEMS_ACQU_01,23']";
        let profile = Profile::parse(text).unwrap();
        let options = profile.script().unwrap().options();
        assert_eq!(profile.name(), "trial");
        assert!(options.has(O::RetainLongitudinalFullDates) && !options.has(O::RetainLongitudinalModifiedDates));
        assert!(options.has(O::CleanDescriptors) && !options.has(O::CleanGraphics));
        assert_eq!(profile.script().unwrap().private(), PrivateRule::KeepSafe);
        assert_ne!(
            profile.hash(),
            Profile::parse("name = 'trial'\nextends = 'obia'").unwrap().hash()
        );
    }

    #[test]
    fn what_no_profile_can_say_is_refused_with_a_reason() {
        for (text, told) in [
            ("name = 'x'\noption = []", "line 2"),
            ("name = 'x'\noptions = ['clean']", "clean-descriptors"),
            ("name = 'obia'", "built-in"),
            ("name = 'x'\nextends = 'none'", "extend"),
            ("name = 'x'\n[private-attributes]\nkeep = ['0018,A,1']", "0018,A,1"),
            ("name = 'x'\nprivate = 'all'", "private"),
        ] {
            let error = Profile::parse(text).unwrap_err().to_string();
            assert!(error.contains(told), "{text}: {error}");
        }
        let both = "name = 'x'\noptions = ['retain-longitudinal-full-dates', 'retain-longitudinal-modified-dates']";
        assert_eq!(Profile::parse(both).unwrap_err(), Error::ExclusiveOptions);
    }
}
