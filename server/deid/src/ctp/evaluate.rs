//! Evaluating an expression at an element: the dispatch, reading elements, and the functions that steer.
//!
//! A failure is a [`Thrown`]: it stops the object. In [`Mode::Compat`] many functions answer a failure with their own
//! arguments as text, as CTP does; in [`Mode::Strict`] none does.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use dicom_object::InMemDicomObject;

use super::check::Anonymizer;
use super::expression::{Call, Part};
use super::inputs::Mode;
use super::java;
use super::reading::Reading;
use super::regex::Pattern;
use super::script::Rule;
use crate::pseudonym::Pseudonyms;

/// Deepest chain of rules that refer to each other, `@hashuid` with a third argument.
const MOST_RULES: usize = 8;

/// Why an expression gave no value: CTP's exception.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Thrown {
    /// CTP's message. May hold values of the data set: for the person who runs an expression, never for a report.
    pub message: String,
    /// What happened, without values.
    pub reason: &'static str,
}

impl Thrown {
    pub(crate) fn new(message: impl Into<String>, reason: &'static str) -> Self {
        Self {
            message: message.into(),
            reason,
        }
    }

    /// A failure that only strict mode knows.
    pub(crate) fn strict(reason: &'static str) -> Self {
        Self::new(format!("!quarantine! - {reason}"), reason)
    }

    /// Returns whether the script asks to pass the object over.
    pub fn is_skip(&self) -> bool {
        self.message.contains("!skip!")
    }

    fn index(index: usize, length: usize) -> Self {
        let message = format!("Index {index} out of bounds for length {length}");
        Self::new(message, "a function lacks an argument")
    }

    /// Java's exception on nothing where something should be.
    pub(crate) fn null() -> Self {
        Self::new("!error! - no message", "an element that a function needs is absent")
    }
}

/// Evaluates expressions on one object.
pub(crate) struct Evaluator<'a> {
    pub(crate) setup: &'a Anonymizer,
    pub(crate) pseudonyms: &'a Pseudonyms,
    pub(crate) issuer: &'a str,
    pub(crate) reading: Reading<'a>,
    /// The rules by tag, private ones by the blocks of this object.
    pub(crate) rules: HashMap<u32, &'a Rule>,
    /// Whether `@process()` was met since this was last cleared.
    pub(crate) process: bool,
    /// Differences from CTP that were met, by line of the script.
    pub(crate) differences: BTreeSet<(u32, &'static str)>,
    pub(crate) line: u32,
    depth: usize,
}

impl<'a> Evaluator<'a> {
    pub(crate) fn new(
        setup: &'a Anonymizer,
        pseudonyms: &'a Pseudonyms,
        issuer: &'a str,
        meta: Option<&'a InMemDicomObject>,
        data_set: &'a InMemDicomObject,
        pixels: bool,
    ) -> Self {
        let (rules, private_names) = setup.resolved(data_set);
        Self {
            setup,
            pseudonyms,
            issuer,
            reading: Reading {
                meta,
                stack: vec![data_set],
                pixels,
                private_names,
                dictionary: setup.private(),
            },
            rules,
            process: false,
            differences: BTreeSet::new(),
            line: 0,
            depth: 0,
        }
    }

    pub(crate) fn is_strict(&self) -> bool {
        self.setup.mode() == Mode::Strict
    }

    pub(crate) fn differs(&mut self, how: &'static str) {
        self.differences.insert((self.line, how));
    }

    /// Returns the text of an element by any of its names; `None` is Java's null.
    pub(crate) fn text_or_null(&self, name: &str, this: u32) -> Option<String> {
        self.reading.text_in(name, this, self.reading.current()?)
    }

    /// Returns the text of an element, empty if there is none.
    pub(crate) fn text(&self, name: &str, this: u32) -> String {
        self.text_or_null(name, this).unwrap_or_default()
    }

    /// Returns what an argument means: a parameter, or itself.
    pub(crate) fn parameter<'b>(&'b self, argument: &'b str) -> Option<&'b str> {
        self.setup.parameters().of_argument(argument)
    }

    pub(crate) fn pattern(&self, text: &str) -> Result<Arc<Pattern>, Thrown> {
        self.setup
            .pattern(text)
            .map_err(|message| Thrown::new(message, "a pattern is malformed"))
    }

    /// What CTP writes where a function failed; strict mode holds the object.
    pub(crate) fn failed(&self, call: &Call, reason: &'static str) -> Result<String, Thrown> {
        match self.setup.mode() {
            Mode::Compat => Ok(call.written_args()),
            Mode::Strict => Err(Thrown::strict(reason)),
        }
    }

    /// Evaluates an expression that stands at an element.
    pub(crate) fn evaluate(&mut self, parts: &'a [Part], this: u32) -> Result<String, Thrown> {
        let mut out = String::new();
        for part in parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Call(call) => out.push_str(&self.call(call, this)?),
            }
        }
        Ok(out)
    }

    fn call(&mut self, call: &'a Call, this: u32) -> Result<String, Thrown> {
        match call.name.as_str() {
            "contents" => self.contents(call, this),
            "value" => {
                let value = self.text(argument(call, 0)?, this);
                if !value.is_empty() {
                    return Ok(value);
                }
                unquoted(call, 1)
            }
            "truncate" => self.truncate(call, this),
            "date" => self.date(call),
            "time" => self.time(call),
            "dateinterval" => self.date_interval(call, this),
            "decrypt" => self.decrypt(call, this),
            "encrypt" => self.encrypt(call, this),
            "hash" => self.hash(call, this),
            "hashname" => self.hash_name(call, this),
            "hashptid" => self.hash_patient_id(call, this),
            "hashuid" => self.hash_uid(call, this),
            "hashdate" => self.hash_date(call, this),
            "if" => {
                let branch = if self.condition(call, this)? {
                    &call.first
                } else {
                    &call.second
                };
                self.branch(branch.as_deref(), this)
            }
            "select" => {
                let branch = if self.reading.is_top() {
                    &call.first
                } else {
                    &call.second
                };
                self.branch(branch.as_deref(), this)
            }
            "append" => {
                let more = self.branch(call.first.as_deref(), this)?;
                match self.reading.text_of(this) {
                    Some(value) if !value.is_empty() => Ok(format!("{value}\\{more}")),
                    None if self.reading.has_items(this) && self.is_strict() => {
                        Err(Thrown::strict("@append stands at a sequence"))
                    }
                    None if self.reading.has_items(this) => Ok(format!("null\\{more}")),
                    _ => Ok(more),
                }
            }
            "always" => Ok(String::new()),
            "incrementdate" => self.increment_date(call, this),
            "modifydate" => self.modify_date(call, this),
            "lowercase" => Ok(self.text(argument(call, 0)?, this).to_lowercase()),
            "uppercase" => Ok(self.text(argument(call, 0)?, this).to_uppercase()),
            "initials" => self.initials(call, this),
            "lookup" => self.lookup(call, this),
            "integer" => self.integer(call, this),
            "param" => match self.parameter(argument(call, 0)?) {
                Some(value) => Ok(value.to_owned()),
                None if self.is_strict() => Err(Thrown::strict("a parameter is not defined")),
                None => Ok("null".to_owned()),
            },
            "quarantine" => Err(Thrown::new("!quarantine!", "the script asks for it")),
            "skip" => Err(Thrown::new("!skip!", "the script asks to pass it over")),
            "require" => self.require(call, this),
            "round" => self.round(call, this),
            "process" => self.process(this),
            "call" => {
                let id = argument(call, 0).map_err(|thrown| Thrown {
                    message: format!("!quarantine! - plugin call: {}", thrown.message),
                    ..thrown
                })?;
                let message = format!("!quarantine! - plugin call: Unable to load plugin {id}");
                Err(Thrown::new(message, "a plugin is not there"))
            }
            "pathelement" => self.path_element(call, this),
            name => Ok(format!("@{name}{}", call.written_args())),
        }
    }

    fn branch(&mut self, parts: Option<&'a [Part]>, this: u32) -> Result<String, Thrown> {
        self.evaluate(parts.unwrap_or_default(), this)
    }

    /// Evaluates the rule of another attribute, if there is one.
    pub(crate) fn rule_of(&mut self, tag: u32) -> Result<Option<String>, Thrown> {
        let Some(rule) = self.rules.get(&tag).copied() else {
            return Ok(None);
        };
        if self.depth >= MOST_RULES {
            return Err(Thrown::new("null", "rules refer to each other in a circle"));
        }
        self.depth += 1;
        let value = self.evaluate(&rule.expression.parts, tag);
        self.depth -= 1;
        value.map(Some)
    }

    fn condition(&mut self, call: &Call, this: u32) -> Result<bool, Thrown> {
        if call.args.len() < 2 {
            return Ok(false);
        }
        let name = unquoted(call, 0)?;
        let element = self.text(&name, this);
        let operator = argument(call, 1)?;
        let operand = |call: &Call| -> Result<String, Thrown> {
            let operand = unquoted(call, 2)?;
            let parameter = operand.strip_prefix('@').and_then(|_| self.parameter(&operand));
            Ok(parameter.map_or(operand.clone(), str::to_owned))
        };
        let given = call.args.len() > 2;
        Ok(match operator {
            "isblank" => java::trim(&element).is_empty(),
            "exists" => match java::trim(&name) {
                "" | "this" => self.reading.contains(this),
                name => self.reading.contains(self.reading.resolve(name)),
            },
            "contains" if given => element.to_lowercase().contains(&operand(call)?.to_lowercase()),
            "equals" if given => element.to_lowercase() == operand(call)?.to_lowercase(),
            "matches" if given => {
                let pattern = self.pattern(java::trim(&operand(call)?))?;
                let matched = pattern.matches(&element);
                matched.map_err(|message| Thrown::new(message, "a pattern takes too many steps"))?
            }
            "greaterthan" if given => {
                let number = |text: &str| {
                    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
                    java::parse_int(&digits).unwrap_or(0)
                };
                number(&element) > number(&operand(call)?)
            }
            _ => false,
        })
    }

    fn require(&mut self, call: &Call, this: u32) -> Result<String, Thrown> {
        if self.reading.contains(this) {
            return Ok("@keep()".to_owned());
        }
        let Some(name) = call.args.first() else {
            return Ok(String::new());
        };
        let tag = match java::trim(name) {
            "" | "this" => this,
            name => self.reading.resolve(name),
        };
        let value = if self.reading.contains(tag) {
            self.reading.text_of(tag).ok_or_else(Thrown::null)?
        } else {
            unquoted(call, 1)?
        };
        if java::trim(&value).is_empty() {
            return Ok(format!("@blank({})", value.encode_utf16().count()));
        }
        Ok(value)
    }

    fn process(&mut self, this: u32) -> Result<String, Thrown> {
        if !self.reading.contains(this) {
            return Err(Thrown::null());
        }
        self.process = true;
        Ok("@keep()".to_owned())
    }
}

/// Returns an argument as it was written.
pub(crate) fn argument(call: &Call, index: usize) -> Result<&str, Thrown> {
    let arg = call.args.get(index).map(String::as_str);
    arg.ok_or_else(|| Thrown::index(index, call.args.len()))
}

/// Returns an argument without its quotes, empty if there is none.
pub(crate) fn unquoted(call: &Call, index: usize) -> Result<String, Thrown> {
    let arg = call.unquoted(index).map(str::to_owned);
    arg.ok_or_else(|| Thrown::new("begin 1, end 0, length 1", "a quote stands alone"))
}
