//! What a script needs beside itself: parameters, a lookup table, a clock, running numbers, a private dictionary.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use isocenter_model::clock::{Clock, SystemClock};

use super::lookup::LookupTable;
use super::private::PrivateDictionary;
use super::{java, properties};

/// How faithful to CTP, and how safe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Mode {
    /// Element by element what CTP writes, its faults included.
    Compat,
    /// The same language with the faults closed that let identity through.
    #[default]
    Strict,
}

/// Parameters of a script, by name without `@`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parameters(BTreeMap<String, String>);

impl Parameters {
    /// Reads a file of parameters: properties text with or without `param.` before each name, or a script with its `p`.
    ///
    /// # Errors
    /// When the text is XML and not a script.
    pub fn parse(text: &str) -> Result<Self, super::ParseError> {
        if super::script::is_xml(text) {
            return Ok(super::Script::parse_compat(text)?.parameters().clone());
        }
        let parameters = properties::properties(text).into_iter().map(|property| {
            let name = property.key.text;
            let name = name.strip_prefix("param.").unwrap_or(&name).to_owned();
            (name, property.value.text)
        });
        Ok(Self(parameters.filter(|(name, _)| !name.is_empty()).collect()))
    }

    /// Returns a parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Sets a parameter.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.insert(name.into(), value.into());
    }

    /// Takes over all parameters of another, which win.
    pub fn merge(&mut self, other: &Self) {
        self.0
            .extend(other.0.iter().map(|(name, value)| (name.clone(), value.clone())));
    }

    /// Returns the parameters in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Returns what an argument means: a parameter if it begins with `@` or `$`, else itself.
    pub(crate) fn of_argument<'a>(&'a self, argument: &'a str) -> Option<&'a str> {
        let argument = java::trim(argument);
        match argument.strip_prefix(['@', '$']) {
            Some(name) => self.get(name),
            None => Some(argument),
        }
    }
}

/// Running numbers of `@integer`: a value gets the same number again, a new one the next of its key type.
///
/// This is the one function with a memory, and so the one that is not the same on two nodes. Strict mode refuses scripts
/// that use it unless such a memory is handed in.
pub trait Integers: Send + Sync {
    /// Returns the number of a value, from 1; `None` if it could not be kept.
    fn number(&self, key_type: &str, value: &str) -> Option<u32>;
}

/// Running numbers in memory, forgotten at the end.
#[derive(Debug, Default)]
pub struct RunningIntegers(Mutex<HashMap<String, HashMap<String, u32>>>);

impl Integers for RunningIntegers {
    fn number(&self, key_type: &str, value: &str) -> Option<u32> {
        let mut types = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let numbers = types.entry(key_type.to_owned()).or_default();
        let next = u32::try_from(numbers.len()).ok()?.checked_add(1)?;
        Some(*numbers.entry(value.to_owned()).or_insert(next))
    }
}

/// What a script needs beside itself.
#[derive(Clone)]
pub struct Inputs {
    /// Parameters; they win over those in the script.
    pub parameters: Parameters,
    /// The lookup table, if there is one.
    pub lookup: Option<Arc<LookupTable>>,
    /// The time of `@date` and `@time`.
    pub clock: Arc<dyn Clock>,
    /// Running numbers of `@integer`.
    pub integers: Option<Arc<dyn Integers>>,
    /// Which private elements are safe, and what they are.
    pub private: Arc<PrivateDictionary>,
}

impl Default for Inputs {
    fn default() -> Self {
        Self {
            parameters: Parameters::default(),
            lookup: None,
            clock: Arc::new(SystemClock),
            integers: None,
            private: PrivateDictionary::measured(),
        }
    }
}

impl fmt::Debug for Inputs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Parameters and tables may be secrets of a site.
        f.debug_struct("Inputs").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_come_from_properties_or_scripts() {
        let p = Parameters::parse("param.A=1\nB=2 \n").unwrap();
        assert_eq!((p.get("A"), p.get("B"), p.get("C")), (Some("1"), Some("2 "), None));
        let p = Parameters::parse("<script><p t=\"A\"> 3</p></script>").unwrap();
        assert_eq!(p.of_argument(" @A "), Some(" 3"));
        assert_eq!((p.of_argument("$B"), p.of_argument(" A ")), (None, Some("A")));
    }

    #[test]
    fn a_value_keeps_its_number_and_key_types_count_apart() {
        let numbers = RunningIntegers::default();
        assert_eq!(numbers.number("a", "x"), Some(1));
        assert_eq!(numbers.number("a", "y"), Some(2));
        assert_eq!(numbers.number("a", "x"), Some(1));
        assert_eq!(numbers.number("b", "y"), Some(1));
    }
}
