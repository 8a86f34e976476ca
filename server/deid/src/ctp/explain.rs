//! A script in words, and what it would leak: for people who must approve one.

use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::StandardDataDictionary;

use super::expression::{Call, Part};
use super::script::{Keep, Rule, Script, Target};
use super::{java, values};
use crate::table::{self, Attribute, BasicAction};

/// How much a line of an explanation matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// What a rule does.
    Says,
    /// What to know before approving it.
    Notice,
    /// What lets identity through, at least in compatible mode.
    Leak,
    /// What strict mode refuses.
    Refused,
}

/// A line of an explanation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// Line of the script, 0 for what no line says.
    pub line: u32,
    /// How much it matters.
    pub severity: Severity,
    /// The attribute, where it is about one.
    pub attribute: String,
    /// In words.
    pub text: String,
}

impl Script {
    /// Explains each rule in words, and warns of what the script would leak.
    pub fn explain(&self) -> Vec<Explanation> {
        let mut out = Explainer {
            script: self,
            lines: Vec::new(),
        };
        for fault in self.faults() {
            let text = format!(
                "column {}: expected {}, found {}",
                fault.column, fault.expected, fault.found
            );
            out.say(fault.line, Severity::Refused, "", text);
        }
        out.wholes();
        for rule in self.rules() {
            out.rule(rule);
        }
        out.uncovered();
        out.lines
    }
}

struct Explainer<'a> {
    script: &'a Script,
    lines: Vec<Explanation>,
}

fn named(tag: Tag) -> String {
    let entry = StandardDataDictionary.by_tag(tag);
    let name = entry.map_or("", |entry| entry.alias());
    format!("({:04X},{:04X}) {name}", tag.0, tag.1).trim_end().to_owned()
}

fn vr_of(target: &Target) -> Option<VR> {
    match target {
        Target::Tag(tag) => StandardDataDictionary
            .by_tag(values::tag(*tag))
            .map(|entry| entry.vr().relaxed()),
        Target::Private(..) => None,
    }
}

impl Explainer<'_> {
    fn say(&mut self, line: u32, severity: Severity, attribute: &str, text: impl Into<String>) {
        self.lines.push(Explanation {
            line,
            severity,
            attribute: attribute.to_owned(),
            text: text.into(),
        });
    }

    /// What the script keeps and removes as a whole.
    fn wholes(&mut self) {
        let script = self.script;
        for keep in script.keeps() {
            match keep {
                Keep::Group(group) => {
                    let text = format!("group {group:04X} stays even where no rule names an attribute");
                    self.say(0, Severity::Says, "", text);
                }
                Keep::SafePrivate => {
                    let text = "private attributes stay that a dictionary calls safe";
                    self.say(0, Severity::Says, "", text);
                    let text = "some of those name sites and machines, and creators of empty blocks stay; \
                        strict mode looks at each value and drops such creators";
                    self.say(0, Severity::Leak, "", text);
                }
            }
        }
        for (what, on, off) in [
            (
                "privategroups",
                "private attributes go unless a rule names them",
                "private attributes stay, whatever they hold",
            ),
            (
                "unspecifiedelements",
                "attributes that no rule names go",
                "attributes that no rule names stay, sequences with all their items",
            ),
            (
                "overlays",
                "overlays go",
                "overlays stay, with text that is drawn in them",
            ),
            ("curves", "curves go", "curves stay"),
        ] {
            match script.removes.get(what) {
                Some(line) => self.say(*line, Severity::Says, "", on),
                None => self.say(0, Severity::Leak, "", off),
            }
        }
        if script.removes("curves") && !script.removes("unspecifiedelements") {
            let text = "CTP removes curves only together with attributes that no rule names; strict mode always";
            self.say(0, Severity::Leak, "", text);
        }
    }

    fn rule(&mut self, rule: &Rule) {
        let attribute = match &rule.target {
            Target::Tag(tag) => named(values::tag(*tag)),
            other => other.to_string(),
        };
        let text = if rule.target == Target::Tag(super::walk::CODES) {
            format!("codes {} are written", rule.text)
        } else {
            describe(&rule.expression.parts)
        };
        self.say(rule.line, Severity::Says, &attribute, text);
        let sequence = vr_of(&rule.target) == Some(VR::SQ) && rule.target != Target::Tag(super::walk::CODES);
        if sequence && !has_call(&rule.expression.parts, "process") && !has_call(&rule.expression.parts, "remove") {
            let text = "a sequence that stays: CTP leaves all its items untouched, strict mode enters them";
            self.say(rule.line, Severity::Leak, &attribute, text);
        }
        self.calls(rule, &attribute, &rule.expression.parts);
    }

    fn calls(&mut self, rule: &Rule, attribute: &str, parts: &[Part]) {
        for part in parts {
            let Part::Call(call) = part else { continue };
            if let Some((severity, text)) = self.remark(call) {
                self.say(rule.line, severity, attribute, text);
            }
            for clause in call.clauses() {
                self.calls(rule, attribute, clause);
            }
        }
    }

    fn remark(&self, call: &Call) -> Option<(Severity, &'static str)> {
        let length = |index: usize| {
            let length = call.args.get(index)?;
            java::parse_int(self.script.parameters().of_argument(length)?)
        };
        Some(match call.name.as_str() {
            "hash" | "hashptid" | "hashname" | "hashuid" | "hashdate" => {
                let short = match call.name.as_str() {
                    "hash" => length(1),
                    "hashptid" => length(2),
                    "hashname" => length(1),
                    _ => None,
                };
                if short.is_some_and(|short| (1..8).contains(&short)) {
                    let text = "CTP takes MD5 without a key, which a list of identifiers breaks (strict mode keys it), \
                        and so few digits give different patients the same value";
                    (Severity::Leak, text)
                } else {
                    let text = "CTP takes MD5 without a key, which a list of identifiers breaks; strict mode keys it";
                    (Severity::Leak, text)
                }
            }
            "initials" => (
                Severity::Leak,
                "initials are parts of a name, and a shifted letter is shifted back",
            ),
            "encrypt" => (
                Severity::Notice,
                "who has the script and its parameters can decrypt the value",
            ),
            "decrypt" => (Severity::Leak, "an encrypted value is written in the open"),
            "date" | "time" => (Severity::Notice, "the value depends on when the script runs"),
            "integer" => (
                Severity::Notice,
                "numbers are given in the order of arrival, from a memory of one node",
            ),
            "skip" => (
                Severity::Leak,
                "CTP passes the object on as it is; strict mode holds it",
            ),
            "call" => (Severity::Refused, "plugins of CTP are not here"),
            _ => return None,
        })
    }

    /// Attributes of Table E.1-1 that nothing in the script takes out.
    fn uncovered(&mut self) {
        for row in table::rows() {
            let Attribute::Single(tag) = row.attribute else {
                continue;
            };
            let number = table::number(tag);
            let action = match row.basic {
                BasicAction::U => "replaces",
                BasicAction::X | BasicAction::Z | BasicAction::D => "removes, empties or replaces",
                BasicAction::ZOrD | BasicAction::XOrZ | BasicAction::XOrD => "removes, empties or replaces",
                BasicAction::XOrZOrD => "removes, empties or replaces",
                BasicAction::XOrZOrU => continue,
            };
            match self.script.rules.get(&Target::Tag(number)) {
                Some(rule) if rule.text == "@keep()" => {
                    let text = format!("stays, which the Basic profile of PS3.15 {action}");
                    self.say(rule.line, Severity::Notice, &named(tag), text);
                }
                Some(_) => {}
                None if self.stays(tag) => {
                    let text = format!("no rule, so it stays, which the Basic profile of PS3.15 {action}");
                    self.say(0, Severity::Leak, &named(tag), text);
                }
                None => {}
            }
        }
    }

    fn stays(&self, tag: Tag) -> bool {
        let fixed = matches!(table::number(tag), 0x0008_0018 | 0x0020_000D) || matches!(tag.0, 0x0028 | 0x7FE0);
        fixed || self.script.keeps_group(tag.0) || !self.script.removes("unspecifiedelements")
    }
}

fn has_call(parts: &[Part], name: &str) -> bool {
    parts.iter().any(|part| match part {
        Part::Text(_) => false,
        Part::Call(call) => call.name == name || call.clauses().any(|clause| has_call(clause, name)),
    })
}

/// An expression in words.
fn describe(parts: &[Part]) -> String {
    let words: Vec<String> = parts
        .iter()
        .filter(|part| !matches!(part, Part::Call(call) if call.name == "always"))
        .map(|part| match part {
            Part::Text(text) => format!("the text \"{}\"", shown(text)),
            Part::Call(call) => described(call),
        })
        .collect();
    let inserted = parts
        .iter()
        .any(|part| matches!(part, Part::Call(call) if call.name == "always"));
    let what = match words.as_slice() {
        [] => "empty".to_owned(),
        words => words.join(", then "),
    };
    if inserted {
        format!("{what}; added where it is absent")
    } else {
        what
    }
}

fn shown(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(80)
        .collect()
}

fn described(call: &Call) -> String {
    let arg = |index: usize| call.args.get(index).map_or("?", String::as_str);
    let branch = |parts: &Option<Vec<Part>>| parts.as_ref().map_or("empty".to_owned(), |parts| describe(parts));
    match call.name.as_str() {
        "keep" => "stays".to_owned(),
        "remove" => "removed".to_owned(),
        "empty" => "emptied".to_owned(),
        "blank" => format!("{} blanks", arg(0)),
        "process" => "stays, and its items are processed".to_owned(),
        "contents" if call.args.len() > 2 => {
            format!("the value of {} with {} replaced by {}", arg(0), arg(1), arg(2))
        }
        "contents" if call.args.len() == 2 => format!("the value of {} without {}", arg(0), arg(1)),
        "contents" => format!("the value of {}", arg(0)),
        "value" => format!(
            "the value of {}, or {}",
            arg(0),
            if call.args.len() > 1 { arg(1) } else { "empty" }
        ),
        "truncate" => format!("{} characters of {}", arg(1), arg(0)),
        "lowercase" => format!("{} in lower case", arg(0)),
        "uppercase" => format!("{} in upper case", arg(0)),
        "initials" => format!("the initials of {}", arg(0)),
        "pathelement" => format!("part {} of the path in {}", arg(1), arg(0)),
        "param" => format!("parameter {}", arg(0)),
        "hash" => format!("a number computed from {}", arg(0)),
        "hashptid" => format!("a number computed from site {} and {}", arg(0), arg(1)),
        "hashname" => format!("a number of {} digits computed from the name in {}", arg(1), arg(0)),
        "hashuid" => format!("a UID under {} computed from {}", arg(0), arg(1)),
        "hashdate" => format!("the date {} moved back by days computed from {}", arg(0), arg(1)),
        "incrementdate" if call.args.len() > 2 => {
            format!(
                "the date {} moved by the days that table {} has for {}",
                arg(0),
                arg(2),
                arg(1)
            )
        }
        "incrementdate" => format!("the date {} moved by {} days", arg(0), arg(1)),
        "modifydate" => format!(
            "the date {} with year {}, month {}, day {}",
            arg(0),
            arg(1),
            arg(2),
            arg(3)
        ),
        "dateinterval" => format!("the days from the base date of {} to {}", arg(2), arg(0)),
        "round" => format!("{} rounded to multiples of {}", arg(0), arg(1)),
        "lookup" => format!("what table {} has for {}", arg(1), arg(0)),
        "integer" => format!("a running number of {} for {}", arg(1), arg(0)),
        "encrypt" => format!("{} encrypted with {}", arg(0), arg(1)),
        "decrypt" => format!("{} decrypted with {}", arg(0), arg(1)),
        "date" => "today's date".to_owned(),
        "time" => "the time of day".to_owned(),
        "if" => format!(
            "if {} {}: {}; else: {}",
            arg(0),
            call.args.get(1..).unwrap_or_default().join(" "),
            branch(&call.first),
            branch(&call.second)
        ),
        "select" => format!(
            "at top level: {}; in items: {}",
            branch(&call.first),
            branch(&call.second)
        ),
        "append" => format!("its value and one more: {}", branch(&call.first)),
        "require" if call.args.is_empty() => "stays if it is there, else empty".to_owned(),
        "require" => format!("stays if it is there, else the value of {}", arg(0)),
        "quarantine" => "the object is held".to_owned(),
        "skip" => "the object is passed over".to_owned(),
        "call" => format!("what the plugin {} says", arg(0)),
        name => format!("the text \"@{}\", since there is no such function", shown(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explain(text: &str) -> Vec<Explanation> {
        Script::parse_compat(text).unwrap().explain()
    }

    #[test]
    fn rules_are_put_in_words() {
        let lines = explain(
            "set.[0010,0010]N=@if(Modality,equals,\"CT\"){@empty()}{a@hash(this,4)}\nset.[0012,0062]=@always()YES\n",
        );
        let says: Vec<&str> = lines
            .iter()
            .filter(|l| l.severity == Severity::Says && l.line > 0)
            .map(|l| l.text.as_str())
            .collect();
        assert_eq!(
            says,
            [
                "if Modality equals \"CT\": emptied; else: the text \"a\", then a number computed from this",
                "the text \"YES\"; added where it is absent"
            ]
        );
    }

    #[test]
    fn leaks_are_told() {
        let lines = explain(
            "set.[0010,0010]N=@hash(this)\nset.[0008,1140]S=@keep()\nremove.privategroups=\nremove.curves=\nremove.overlays=\n",
        );
        let leak = |attribute: &str, text: &str| {
            let found = |l: &&Explanation| l.attribute.contains(attribute) && l.text.contains(text);
            lines.iter().filter(|l| l.severity == Severity::Leak).any(|l| found(&l))
        };
        assert!(leak("PatientName", "without a key"));
        assert!(leak("0008,1140", "untouched"));
        assert!(leak("PatientBirthDate", "no rule"));
        assert!(leak("", "sequences with all their items"));
        assert!(!leak("", "private attributes stay, whatever"));
        let closed = explain(
            "set.[0010,0010]N=@empty()\nremove.unspecifiedelements=\nremove.privategroups=\nremove.curves=\nremove.overlays=\n",
        );
        let uncovered: Vec<&str> = closed
            .iter()
            .filter(|l| l.severity == Severity::Leak && l.text.contains("no rule"))
            .map(|l| l.attribute.as_str())
            .collect();
        assert!(
            uncovered
                .iter()
                .all(|a| a.starts_with("(0008,0018)") || a.starts_with("(0020,000D)") || a.starts_with("(0028")),
            "{uncovered:?}"
        );
    }

    #[test]
    fn faults_are_told_as_refused() {
        assert!(
            explain("set.[0010,0010]N=@hash(this\n")
                .iter()
                .any(|l| l.severity == Severity::Refused && l.line == 1)
        );
    }
}
