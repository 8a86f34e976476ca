//! A script: rules by attribute, parameters, groups that are kept, and what is removed as a whole.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

use super::expression::{self, Expression};
use super::inputs::Parameters;
use super::reference::Private;
use super::source::{Lines, ParseError, Position, Sourced, excerpt};
use super::{java, properties, reference, xml};

/// Longest script that is read, in bytes.
const MOST_BYTES: usize = 4 << 20;

/// Which attribute a rule is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Target {
    Tag(u32),
    /// Group, creator and element of a private attribute.
    Private(u16, String, u8),
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tag(tag) => write!(f, "({:04X},{:04X})", tag >> 16, tag & 0xFFFF),
            Self::Private(group, creator, element) => write!(f, "({group:04X},[{creator}]{element:02X})"),
        }
    }
}

/// A rule for one attribute.
#[derive(Debug, Clone)]
pub struct Rule {
    pub(crate) target: Target,
    pub(crate) name: String,
    /// The expression as it was written, trimmed where CTP trims it.
    pub(crate) text: String,
    pub(crate) expression: Expression,
    pub(crate) line: u32,
    /// Where each fault of the expression is, and what each call's offset means.
    pub(crate) faults: Vec<ParseError>,
    pub(crate) calls: BTreeMap<usize, Position>,
}

impl Rule {
    /// Returns the attribute as text, `(gggg,eeee)` or `(gggg,[creator]ee)`.
    pub fn attribute(&self) -> String {
        self.target.to_string()
    }

    /// Returns the line of the script.
    pub fn line(&self) -> u32 {
        self.line
    }

    /// Returns the expression as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn position(&self, call: &expression::Call) -> Position {
        self.calls.get(&call.offset).copied().unwrap_or(Position {
            line: self.line,
            column: 1,
        })
    }
}

/// What is kept though no rule names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Keep {
    /// A whole group.
    Group(u16),
    /// Private elements that a dictionary calls safe.
    SafePrivate,
}

/// A script in CTP's language.
#[derive(Debug, Clone, Default)]
pub struct Script {
    pub(crate) rules: BTreeMap<Target, Rule>,
    pub(crate) parameters: Parameters,
    pub(crate) keeps: BTreeSet<Keep>,
    /// `privategroups`, `unspecifiedelements`, `overlays`, `curves`, and what CTP does not know.
    pub(crate) removes: BTreeMap<String, u32>,
    /// Entries that mean nothing, in the order of the file: CTP passes over them.
    pub(crate) passed_over: Vec<ParseError>,
    hash: [u8; 32],
}

/// Returns whether a text is an XML script: CTP looks for the first character that is not blank at the start of any line.
pub(crate) fn is_xml(text: &str) -> bool {
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    text.trim_start_matches(java::is_space).starts_with('<')
}

impl Script {
    /// Reads a script as strict mode takes it.
    ///
    /// # Errors
    /// When the container cannot be read, or an expression or entry means nothing: the first such place.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let script = Self::parse_compat(text)?;
        let first = script.faults().next().cloned();
        first.map_or(Ok(script), Err)
    }

    /// Reads a script as CTP takes it: faults inside expressions are kept for [`Script::faults`].
    ///
    /// # Errors
    /// When the container cannot be read.
    pub fn parse_compat(text: &str) -> Result<Self, ParseError> {
        if text.len() > MOST_BYTES {
            return Err(ParseError::new(Position::START, "a script of at most 4 MiB", "more"));
        }
        let mut builder = Builder {
            lines: Lines::new(text),
            script: Self {
                hash: Sha256::digest(text.as_bytes()).into(),
                ..Self::default()
            },
        };
        if is_xml(text) {
            builder.xml(text)?;
        } else {
            builder.properties(text);
        }
        Ok(builder.script)
    }

    /// Returns all that CTP would pass over, in the order of the file.
    pub fn faults(&self) -> impl Iterator<Item = &ParseError> {
        let mut faults: Vec<&ParseError> = self
            .passed_over
            .iter()
            .chain(self.rules.values().flat_map(|rule| &rule.faults))
            .collect();
        faults.sort_by_key(|fault| (fault.line, fault.column));
        faults.into_iter()
    }

    /// Returns the rules in the order of their attributes.
    pub fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.rules.values()
    }

    /// Returns the parameters.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Returns what is kept though no rule names it.
    pub fn keeps(&self) -> impl Iterator<Item = &Keep> {
        self.keeps.iter()
    }

    /// Returns whether something is removed as a whole: `privategroups`, `unspecifiedelements`, `overlays` or `curves`.
    pub fn removes(&self, what: &str) -> bool {
        self.removes.contains_key(what)
    }

    /// Returns a digest of the script's text.
    pub fn hash(&self) -> [u8; 32] {
        self.hash
    }

    /// Puts an option script over this one: its rules, parameters, keeps and removes win; codes of (0012,0064) are joined.
    #[must_use]
    pub fn merged(mut self, option: &Self) -> Self {
        let codes = Target::Tag(super::walk::CODES);
        for (target, rule) in &option.rules {
            let joined = match self.rules.get(target) {
                Some(base) if *target == codes && !base.text.is_empty() => {
                    let source = Sourced::verbatim(&format!("{}/{}", base.text, rule.text));
                    let mut joined = rule.clone();
                    joined.expression = expression::parse(&source);
                    joined.text = source.text;
                    joined
                }
                _ => rule.clone(),
            };
            self.rules.insert(target.clone(), joined);
        }
        self.parameters.merge(&option.parameters);
        self.keeps.extend(option.keeps.iter().cloned());
        self.removes
            .extend(option.removes.iter().map(|(what, line)| (what.clone(), *line)));
        self.passed_over.extend(option.passed_over.iter().cloned());
        self.hash = Sha256::new()
            .chain_update(self.hash)
            .chain_update(option.hash)
            .finalize()
            .into();
        self
    }

    pub(crate) fn keeps_group(&self, group: u16) -> bool {
        self.keeps.contains(&Keep::Group(group))
    }

    /// Returns the names that the script gives to private elements, in lower case.
    pub(crate) fn private_names(&self) -> Vec<String> {
        let named = self.rules.values().filter(|rule| match &rule.target {
            Target::Private(..) => true,
            Target::Tag(tag) => tag & 0x1_0000 != 0,
        });
        named
            .map(|rule| rule.name.to_lowercase())
            .filter(|name| !name.is_empty())
            .collect()
    }
}

struct Builder<'a> {
    lines: Lines<'a>,
    script: Script,
}

impl Builder<'_> {
    fn pass_over(&mut self, offset: usize, expected: &str, found: String) {
        let fault = ParseError::new(self.lines.position(offset), expected, found);
        self.script.passed_over.push(fault);
    }

    fn xml(&mut self, text: &str) -> Result<(), ParseError> {
        for entry in xml::entries(text.strip_prefix('\u{FEFF}').unwrap_or(text))? {
            match entry.kind.as_str() {
                "p" => self.script.parameters.set(entry.tag, entry.text.text),
                _ if !entry.enabled => {}
                "e" => {
                    let Some((group, element)) = entry.tag.split_at_checked(4) else {
                        self.pass_over(entry.offset, "t with eight hexadecimal digits", excerpt(&entry.tag));
                        continue;
                    };
                    let attribute = format!("{group},{element}");
                    self.rule(&attribute, &entry.name, entry.text.trimmed(), entry.offset);
                }
                "k" if entry.tag.starts_with("safe") => self.keep("safeprivateelements", entry.offset),
                "k" => self.keep(&format!("group{}", entry.tag), entry.offset),
                _ => self.remove(&entry.tag, entry.offset),
            }
        }
        Ok(())
    }

    fn properties(&mut self, text: &str) {
        for property in properties::properties(text) {
            let offset = property.key.offset(0);
            let key = property.key.text.as_str();
            if let Some(name) = key.strip_prefix("param.") {
                self.script.parameters.set(name, property.value.text);
            } else if let Some(rest) = key.strip_prefix("set.[") {
                match closing_bracket(rest) {
                    Some(end) => {
                        let (attribute, name) = rest.split_at_checked(end).unwrap_or((rest, ""));
                        let name = name.get(1..).unwrap_or_default().to_owned();
                        self.rule(attribute, &name, property.value, offset);
                    }
                    None => self.pass_over(offset, "`]` after the attribute", excerpt(key)),
                }
            } else if let Some(what) = key.strip_prefix("keep.") {
                self.keep(what, offset);
            } else if let Some(what) = key.strip_prefix("remove.") {
                self.remove(what, offset);
            } else {
                self.pass_over(offset, "param., set.[, keep. or remove.", excerpt(key));
            }
        }
    }

    fn rule(&mut self, attribute: &str, name: &str, source: Sourced, offset: usize) {
        let target = match reference::standard(attribute) {
            0 => match Private::parse(attribute) {
                Some(private) => Target::Private(private.group, private.creator, private.element),
                None => {
                    self.pass_over(offset, "gggg,eeee or gggg,[creator]ee", excerpt(attribute));
                    return;
                }
            },
            tag => Target::Tag(tag),
        };
        let expression = expression::parse(&source);
        let position = |offset| self.lines.position(offset);
        let faults = expression.faults.iter();
        let faults = faults
            .map(|fault| ParseError::new(position(fault.offset), fault.expected.clone(), fault.found.clone()))
            .collect();
        let mut calls = BTreeMap::new();
        positions(&expression.parts, &mut |at| {
            calls.insert(at, position(at));
        });
        let rule = Rule {
            target: target.clone(),
            name: java::trim(name).to_owned(),
            text: source.text,
            expression,
            line: self.lines.position(offset).line,
            faults,
            calls,
        };
        self.script.rules.insert(target, rule);
    }

    fn keep(&mut self, what: &str, offset: usize) {
        match what.strip_prefix("group") {
            Some(group) => match u16::from_str_radix(java::trim(group), 16) {
                Ok(group) => {
                    self.script.keeps.insert(Keep::Group(group));
                }
                Err(_) => self.pass_over(offset, "a group as four hexadecimal digits", excerpt(group)),
            },
            None if what == "safeprivateelements" => {
                self.script.keeps.insert(Keep::SafePrivate);
            }
            None => self.pass_over(offset, "a group or safeprivateelements", excerpt(what)),
        }
    }

    fn remove(&mut self, what: &str, offset: usize) {
        if !matches!(what, "privategroups" | "unspecifiedelements" | "overlays" | "curves") {
            let expected = "privategroups, unspecifiedelements, overlays or curves";
            self.pass_over(offset, expected, excerpt(what));
        }
        let line = self.lines.position(offset).line;
        self.script.removes.insert(what.to_owned(), line);
    }
}

fn positions(parts: &[expression::Part], each: &mut impl FnMut(usize)) {
    for part in parts {
        if let expression::Part::Call(call) = part {
            each(call.offset);
            for clause in call.clauses() {
                positions(clause, each);
            }
        }
    }
}

/// Returns where the bracket closes that was opened before the text.
fn closing_bracket(text: &str) -> Option<usize> {
    let mut open = 1_usize;
    text.char_indices().find_map(|(at, c)| {
        match c {
            '[' => open += 1,
            ']' => open -= 1,
            _ => {}
        }
        (open == 0).then_some(at)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const XML: &str = "<script>\n <p t=\"A\">1</p>\n <e en=\"T\" t=\"00100010\" n=\"PatientName\"> @empty() </e>\n \
        <e en=\"F\" t=\"00100020\" n=\"PatientID\">x</e>\n <e en=\"T\" t=\"0009[ACME]02\" n=\"Mine\">@keep()</e>\n \
        <k en=\"T\" t=\"0018\">Group</k>\n <k en=\"T\" t=\"safeprivateelements\"/>\n <r en=\"T\" t=\"curves\"/>\n</script>";
    const PROPERTIES: &str = "param.A=1\nset.[0010,0010]PatientName=@empty()\n#set.[0010,0020]PatientID=x\n\
        set.[0009,[ACME]02]Mine=@keep()\nkeep.group18=\nkeep.safeprivateelements=\nremove.curves=\n";

    #[test]
    fn both_containers_say_the_same() {
        for text in [XML, PROPERTIES] {
            let script = Script::parse(text).unwrap();
            assert_eq!(script.parameters().get("A"), Some("1"));
            let rules: Vec<String> = script
                .rules()
                .map(|r| format!("{} {}", r.attribute(), r.text()))
                .collect();
            assert_eq!(rules, ["(0010,0010) @empty()", "(0009,[ACME]02) @keep()"]);
            assert_eq!(script.private_names(), ["mine"]);
            assert!(script.keeps_group(0x18) && script.keeps.contains(&Keep::SafePrivate));
            assert!(script.removes("curves") && !script.removes("overlays"));
        }
    }

    #[test]
    fn a_fault_is_told_by_line_and_column() {
        let text = "<script>\n<e en=\"T\" t=\"00100010\" n=\"x\">a@contents(PatientName</e></script>";
        let error = Script::parse(text).unwrap_err();
        assert_eq!((error.line, error.column), (2, 32));
        assert!(Script::parse_compat(text).is_ok());
        let error = Script::parse("param.A=1\nset.[0010,0010]X=\\\n  a@if(this,isblank){x}\n").unwrap_err();
        assert_eq!(error.line, 3);
        assert_eq!(Script::parse("nonsense=1").unwrap_err().line, 1);
    }

    #[test]
    fn an_option_script_wins_and_joins_its_codes() {
        let base = Script::parse("set.[0012,0064]=113100\nset.[0010,0010]=@empty()\nparam.A=1\n").unwrap();
        let option =
            Script::parse("set.[0012,0064]=113105\nset.[0010,0010]=@keep()\nparam.A=2\nkeep.group18=\n").unwrap();
        let merged = base.merged(&option);
        let texts: Vec<&str> = merged.rules().map(Rule::text).collect();
        assert_eq!(texts, ["@keep()", "113100/113105"]);
        assert_eq!(merged.parameters().get("A"), Some("2"));
        assert!(merged.keeps_group(0x18));
    }
}
