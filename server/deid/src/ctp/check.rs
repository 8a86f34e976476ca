//! A script made ready: its parameters bound, and in strict mode refused where it means nothing or would do harm.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use dicom_object::InMemDicomObject;
use sha2::{Digest, Sha256};

use super::expression::{self, Call, Part};
use super::inputs::{Inputs, Integers, Mode, Parameters};
use super::lookup::LookupTable;
use super::private::PrivateDictionary;
use super::reference::{self, Private, PrivateNames};
use super::regex::Pattern;
use super::script::{Rule, Script, Target};
use super::source::{ParseError, excerpt};
use super::{digests, java};

/// Most compiled patterns that are kept.
const MOST_PATTERNS: usize = 256;

/// A script with its inputs, ready to be applied to any number of data sets.
#[derive(Debug)]
pub struct Anonymizer {
    script: Script,
    mode: Mode,
    inputs: Inputs,
    parameters: Parameters,
    private_names: Vec<String>,
    patterns: Mutex<HashMap<String, Arc<Pattern>>>,
}

impl Anonymizer {
    /// Makes a script ready.
    ///
    /// # Errors
    /// In strict mode, when the script holds anything that the engine would have to guess, or that cannot be done safely:
    /// all such places, in the order of the file, what is the same in several rules once. In compatible mode never.
    pub fn new(script: Script, mode: Mode, inputs: Inputs) -> Result<Self, Vec<ParseError>> {
        let mut parameters = script.parameters().clone();
        parameters.merge(&inputs.parameters);
        let anonymizer = Self {
            private_names: script.private_names(),
            script,
            mode,
            inputs,
            parameters,
            patterns: Mutex::default(),
        };
        if mode == Mode::Compat {
            return Ok(anonymizer);
        }
        let mut faults: Vec<ParseError> = anonymizer.script.faults().cloned().collect();
        for rule in anonymizer.script.rules() {
            anonymizer.check_rule(rule, &mut faults);
        }
        faults.sort_by_key(|fault| (fault.line, fault.column));
        // A parameter that is wrong is wrong in every rule: the first tells.
        let mut told = HashSet::new();
        faults.retain(|fault| told.insert((fault.expected.clone(), fault.found.clone())));
        match faults.is_empty() {
            true => Ok(anonymizer),
            false => Err(faults),
        }
    }

    /// Returns the script.
    pub fn script(&self) -> &Script {
        &self.script
    }

    /// Returns the mode.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Returns a digest of the script and what it was bound to; a clock and running numbers are not in it.
    pub(crate) fn digest(&self) -> [u8; 32] {
        let mut digest = Sha256::new().chain_update(self.script.hash());
        for (name, value) in self.parameters.iter() {
            for part in [name, value] {
                digest.update((part.len() as u64).to_be_bytes());
                digest.update(part);
            }
        }
        if let Some(table) = &self.inputs.lookup {
            digest.update(table.digest());
        }
        digest.finalize().into()
    }

    pub(crate) fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    pub(crate) fn lookup(&self) -> Option<&LookupTable> {
        self.inputs.lookup.as_deref()
    }

    pub(crate) fn integers(&self) -> Option<&dyn Integers> {
        self.inputs.integers.as_deref()
    }

    pub(crate) fn private(&self) -> &PrivateDictionary {
        &self.inputs.private
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.inputs.clock.now()
    }

    pub(crate) fn pattern(&self, text: &str) -> Result<Arc<Pattern>, String> {
        let mut patterns = self.patterns.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pattern) = patterns.get(text) {
            return Ok(Arc::clone(pattern));
        }
        let pattern = Arc::new(Pattern::new(text)?);
        if patterns.len() < MOST_PATTERNS {
            patterns.insert(text.to_owned(), Arc::clone(&pattern));
        }
        Ok(pattern)
    }

    /// Returns the rules by tag and the names of private elements, by the blocks of a data set.
    pub(crate) fn resolved<'a>(&'a self, data_set: &InMemDicomObject) -> (HashMap<u32, &'a Rule>, PrivateNames) {
        let mut rules = HashMap::with_capacity(self.script.rules.len());
        let mut names = PrivateNames::new();
        for rule in self.script.rules() {
            let tag = match &rule.target {
                Target::Tag(tag) => *tag,
                Target::Private(group, creator, element) => {
                    let private = Private {
                        group: *group,
                        creator: creator.clone(),
                        element: *element,
                    };
                    private.resolve(data_set)
                }
            };
            if tag == 0 {
                continue;
            }
            if tag & 0x1_0000 != 0 && !rule.name.is_empty() {
                names.insert(rule.name.to_lowercase(), tag);
            }
            rules.insert(tag, rule);
        }
        (rules, names)
    }

    fn check_rule(&self, rule: &Rule, faults: &mut Vec<ParseError>) {
        if rule.target == Target::Tag(super::walk::CODES) {
            return;
        }
        self.check_parts(rule, &rule.expression.parts, faults);
    }

    pub(crate) fn check_parts(&self, rule: &Rule, parts: &[Part], faults: &mut Vec<ParseError>) {
        for part in parts {
            if let Part::Call(call) = part {
                for (expected, found) in self.complaints(call) {
                    faults.push(ParseError::new(rule.position(call), expected, found));
                }
                for clause in call.clauses() {
                    self.check_parts(rule, clause, faults);
                }
            }
        }
    }

    /// Returns what strict mode has against a call.
    fn complaints(&self, call: &Call) -> Vec<(String, String)> {
        let name = call.name.as_str();
        let mut out = Vec::new();
        let mut complain = |expected: &str, found: String| out.push((expected.to_owned(), found));
        let Some((least, most)) = expression::function(name) else {
            complain("a function of the language", excerpt(&format!("@{name}")));
            return out;
        };
        if !(least..=most).contains(&call.args.len()) {
            let expected = match (least, most) {
                (least, usize::MAX) => format!("at least {least} arguments of @{name}"),
                (least, most) if least == most => format!("{least} arguments of @{name}"),
                (least, most) => format!("{least} to {most} arguments of @{name}"),
            };
            complain(&expected, call.args.len().to_string());
            return out;
        }
        let arg = |index: usize| call.args.get(index).map_or("", String::as_str);
        for index in elements_of(call) {
            for element in arg(index).split(if name == "lookup" { '|' } else { '\u{0}' }) {
                let element = if name == "if" {
                    element.trim_matches('"')
                } else {
                    element
                };
                if !reference::is_name(element, &self.private_names) {
                    complain("the name of an element", excerpt(element));
                }
            }
        }
        for index in parameters_of(call) {
            let given = java::trim(arg(index));
            if given.starts_with(['@', '$']) && self.parameters.of_argument(given).is_none() {
                complain("a parameter that is defined", excerpt(given));
            }
        }
        if let Some(pattern) = pattern_of(call)
            && let Err(message) = Pattern::new(&pattern)
        {
            complain(
                "a regular expression",
                message.lines().next().unwrap_or_default().to_owned(),
            );
        }
        match name {
            "if" if !OPERATORS.contains(&arg(1)) => complain("an operator of @if", excerpt(arg(1))),
            "if" if !matches!(arg(1), "isblank" | "exists") && call.args.len() < 3 => {
                complain("something to compare with", "nothing".to_owned());
            }
            "call" => complain("a function of the language; plugins are CTP's", excerpt(arg(0))),
            "integer" if self.inputs.integers.is_none() => {
                complain(
                    "a function without memory, or a place for its numbers",
                    "@integer".to_owned(),
                );
            }
            "hashuid" => {
                if let Some(root) = self.parameters.of_argument(arg(0)) {
                    let root = java::trim(root).trim_end_matches('.');
                    if !crate::beyond::is_uid(root) || root.len() + 1 + digests::DIGITS > digests::MOST_UID {
                        complain("a UID root of at most 24 characters", excerpt(root));
                    }
                }
            }
            "incrementdate" if call.args.len() == 2 => {
                if let Some(days) = self.parameters.of_argument(arg(1))
                    && java::parse_long(days).is_none()
                {
                    complain("a number of days", excerpt(days));
                }
            }
            "param" if !arg(0).starts_with(['@', '$']) => complain("@ before the name of a parameter", excerpt(arg(0))),
            "lookup" if self.inputs.lookup.is_none() => complain("a lookup table", "none".to_owned()),
            _ => {}
        }
        out
    }

    /// Checks one expression that is no rule, as [`Anonymizer::new`] checks a script's.
    pub(crate) fn check_expression(&self, expression: &expression::Expression) -> Option<String> {
        if let Some(fault) = expression.faults.first() {
            return Some(format!("expected {}, found {}", fault.expected, fault.found));
        }
        self.first_complaint(&expression.parts)
    }

    fn first_complaint(&self, parts: &[Part]) -> Option<String> {
        parts.iter().find_map(|part| {
            let Part::Call(call) = part else { return None };
            let own = self.complaints(call).into_iter().next();
            own.map(|(expected, found)| format!("expected {expected}, found {found}"))
                .or_else(|| call.clauses().find_map(|clause| self.first_complaint(clause)))
        })
    }
}

const OPERATORS: [&str; 6] = ["isblank", "exists", "equals", "contains", "matches", "greaterthan"];

/// Which arguments of a call name elements.
fn elements_of(call: &Call) -> Vec<usize> {
    let indices: &[usize] = match (call.name.as_str(), call.args.len()) {
        ("hashptid", _) => &[1],
        ("hashuid", 3) => &[1, 2],
        ("hashuid", _) => &[1],
        ("hashdate", _) | ("incrementdate", 3) => &[0, 1],
        ("dateinterval", _) => &[0, 2],
        ("require", 0) => &[],
        (
            "contents" | "value" | "truncate" | "initials" | "pathelement" | "hash" | "hashname" | "incrementdate"
            | "modifydate" | "round" | "lookup" | "integer" | "encrypt" | "decrypt" | "lowercase" | "uppercase" | "if"
            | "require",
            _,
        ) => &[0],
        _ => &[],
    };
    indices.to_vec()
}

/// Which arguments of a call may be parameters.
fn parameters_of(call: &Call) -> Vec<usize> {
    let indices: &[usize] = match (call.name.as_str(), call.args.len()) {
        ("param" | "hashuid", _) => &[0],
        ("hashptid", _) => &[0, 2],
        ("hash" | "encrypt" | "decrypt" | "round", _) | ("incrementdate", 2) => &[1],
        ("hashname", _) => &[1, 2],
        ("incrementdate", _) => &[2],
        ("modifydate", _) => &[1, 2, 3],
        ("dateinterval", _) => &[3],
        _ => &[],
    };
    indices.to_vec()
}

/// The pattern in a call's arguments, if there is one.
fn pattern_of(call: &Call) -> Option<String> {
    let index = match call.name.as_str() {
        "contents" if call.args.len() > 1 => 1,
        "if" if call.args.get(1).is_some_and(|operator| operator == "matches") => 2,
        "lookup" if call.args.get(2).is_some_and(|action| action == "ignore") => 3,
        _ => return None,
    };
    let pattern = call.unquoted(index)?;
    (!pattern.starts_with('@')).then(|| pattern.to_owned())
}
