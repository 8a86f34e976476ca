//! Conditions on an object: the filter language.
//!
//! ```text
//! expression = term { "+" term }            or
//! term       = factor { "*" factor }        and
//! factor     = "!" factor | "(" expression ")" | operand
//! operand    = "true." | "false." | element "." method "(" quoted ")"
//! ```
//!
//! CTP answers every fault with `false`, and reads two negations in a row as one; [`Filter::parse_compat`] does both.
//! [`Filter::parse`] says what is wrong and negates twice.

use dicom_object::InMemDicomObject;

use super::apply::Object;
use super::private::PrivateDictionary;
use super::reading::Reading;
use super::reference::{self, PrivateNames};
use super::regex::Pattern;
use super::source::{Lines, ParseError, excerpt};
use super::{java, walk};

/// Deepest nesting of parentheses and negations.
const MOST_DEPTH: usize = 256;

/// A condition on an object.
#[derive(Debug)]
pub struct Filter {
    /// In reverse Polish order; `None` is a text that CTP cannot read.
    program: Option<Vec<Token>>,
}

#[derive(Debug)]
enum Token {
    Constant(bool),
    Test(Box<Test>),
    Not,
    And,
    Or,
}

#[derive(Debug)]
struct Test {
    element: String,
    method: Method,
    with: String,
    /// The same in lower case.
    lower: String,
    pattern: Option<Pattern>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    Equals,
    EqualsIgnoreCase,
    Matches,
    Contains,
    ContainsIgnoreCase,
    StartsWith,
    StartsWithIgnoreCase,
    EndsWith,
    EndsWithIgnoreCase,
    IsLessThan,
    IsGreaterThan,
}

impl Method {
    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "equals" => Self::Equals,
            "equalsIgnoreCase" => Self::EqualsIgnoreCase,
            "matches" => Self::Matches,
            "contains" => Self::Contains,
            "containsIgnoreCase" => Self::ContainsIgnoreCase,
            "startsWith" => Self::StartsWith,
            "startsWithIgnoreCase" => Self::StartsWithIgnoreCase,
            "endsWith" => Self::EndsWith,
            "endsWithIgnoreCase" => Self::EndsWithIgnoreCase,
            "isLessThan" => Self::IsLessThan,
            "isGreaterThan" => Self::IsGreaterThan,
            _ => return None,
        })
    }
}

impl Test {
    fn holds(&self, value: &str) -> bool {
        let lower = || value.to_lowercase();
        let numbers = || {
            let number = |text: &str| {
                let digits: String = text.chars().filter(|c| c.is_ascii_digit() || *c == '.').collect();
                java::parse_double(&digits)
            };
            number(value).zip(number(&self.with))
        };
        match self.method {
            Method::Equals => value == self.with,
            Method::EqualsIgnoreCase => lower() == self.lower,
            Method::Matches => self
                .pattern
                .as_ref()
                .is_some_and(|pattern| pattern.matches(value) == Ok(true)),
            Method::Contains => value.contains(&self.with),
            Method::ContainsIgnoreCase => lower().contains(&self.lower),
            Method::StartsWith => value.starts_with(&self.with),
            Method::StartsWithIgnoreCase => lower().starts_with(&self.lower),
            Method::EndsWith => value.ends_with(&self.with),
            Method::EndsWithIgnoreCase => lower().ends_with(&self.lower),
            Method::IsLessThan => numbers().is_some_and(|(a, b)| a < b),
            Method::IsGreaterThan => numbers().is_some_and(|(a, b)| a > b),
        }
    }
}

impl Filter {
    /// Reads a filter; any fault is an error.
    ///
    /// # Errors
    /// At the first place that is no filter, names no element, or holds a pattern that is none.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let mut parser = Parser::new(text, true);
        parser.whole()?;
        Ok(Self {
            program: Some(parser.program),
        })
    }

    /// Reads a filter as CTP does: a fault makes it false.
    pub fn parse_compat(text: &str) -> Self {
        let mut parser = Parser::new(text, false);
        let program = parser.whole().is_ok().then_some(parser.program);
        Self { program }
    }

    /// Returns whether the condition holds for an object.
    pub fn matches(&self, object: &Object<'_>) -> bool {
        let dictionary = PrivateDictionary::measured();
        self.matches_with(object.data_set, object.meta, object.has_pixel_data, &dictionary)
    }

    fn matches_with(
        &self,
        data_set: &InMemDicomObject,
        meta: Option<&InMemDicomObject>,
        pixels: bool,
        dictionary: &PrivateDictionary,
    ) -> bool {
        let reading = Reading {
            meta,
            stack: vec![data_set],
            pixels: pixels || data_set.get(super::values::tag(walk::PIXEL_DATA)).is_some(),
            private_names: PrivateNames::new(),
            dictionary,
        };
        let Some(program) = &self.program else { return false };
        let mut stack: Vec<bool> = Vec::new();
        for token in program {
            match token {
                Token::Constant(value) => stack.push(*value),
                Token::Test(test) => {
                    let value = reading.text_in(&test.element, 0, data_set).unwrap_or_default();
                    stack.push(test.holds(&value));
                }
                // A negation without operand is what CTP makes of the first of two.
                Token::Not => {
                    if let Some(last) = stack.last_mut() {
                        *last = !*last;
                    }
                }
                Token::And | Token::Or => {
                    let (b, a) = (stack.pop().unwrap_or(false), stack.pop().unwrap_or(false));
                    stack.push(if matches!(token, Token::And) { a && b } else { a || b });
                }
            }
        }
        stack.pop().unwrap_or(false)
    }
}

/// An operator on the parser's stack; a fence is where a parenthesis opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Fence,
    Or,
    And,
    Not,
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    strict: bool,
    operators: Vec<Operator>,
    program: Vec<Token>,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str, strict: bool) -> Self {
        Self {
            text,
            at: 0,
            strict,
            operators: vec![Operator::Fence],
            program: Vec::new(),
        }
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn fault(&self, at: usize, expected: &str) -> ParseError {
        let rest = self.text.get(at..).unwrap_or_default();
        ParseError::new(Lines::new(self.text).position(at), expected, excerpt(rest))
    }

    fn skip_blanks(&mut self) {
        loop {
            let rest = self.rest();
            if rest.starts_with("//") {
                self.at += rest.find('\n').map_or(rest.len(), |end| end + 1);
                continue;
            }
            match rest.chars().next() {
                Some(c) if java::is_whitespace(c) => self.at += c.len_utf8(),
                _ => return,
            }
        }
    }

    fn peek(&mut self) -> Option<char> {
        self.skip_blanks();
        self.rest().chars().next()
    }

    fn whole(&mut self) -> Result<(), ParseError> {
        self.expression(0)?;
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.fault(self.at, "`+`, `*` or the end")),
        }
    }

    fn expression(&mut self, depth: usize) -> Result<(), ParseError> {
        self.factor(depth)?;
        loop {
            let operator = match self.peek() {
                Some('+') => Operator::Or,
                Some('*') => Operator::And,
                _ => break,
            };
            self.at += 1;
            self.push(operator);
            self.factor(depth)?;
        }
        while let Some(operator) = self.operators.pop_if(|operator| *operator != Operator::Fence) {
            self.emit(operator);
        }
        Ok(())
    }

    fn factor(&mut self, depth: usize) -> Result<(), ParseError> {
        let mut negations = 0;
        while self.peek() == Some('!') {
            self.at += 1;
            negations += 1;
            if negations > MOST_DEPTH {
                return Err(self.fault(self.at, "fewer negations"));
            }
            if !self.strict {
                self.push(Operator::Not);
            }
        }
        if self.strict && negations % 2 == 1 {
            self.push(Operator::Not);
        }
        match self.peek() {
            Some('(') if depth < MOST_DEPTH => {
                self.at += 1;
                self.operators.push(Operator::Fence);
                self.expression(depth + 1)?;
                if self.peek() != Some(')') {
                    return Err(self.fault(self.at, "`)`"));
                }
                self.at += 1;
                self.operators.pop();
                Ok(())
            }
            Some('(') => Err(self.fault(self.at, "fewer parentheses")),
            Some(c) if c == '[' || c.is_alphabetic() => self.operand(),
            _ => Err(self.fault(self.at, "an element, `true.`, `false.`, `!` or `(`")),
        }
    }

    fn push(&mut self, operator: Operator) {
        while let Some(last) = self.operators.pop_if(|last| *last >= operator) {
            self.emit(last);
        }
        self.operators.push(operator);
    }

    fn emit(&mut self, operator: Operator) {
        self.program.push(match operator {
            Operator::Or => Token::Or,
            Operator::And => Token::And,
            Operator::Not => Token::Not,
            Operator::Fence => return,
        });
    }

    /// Reads up to a delimiter outside quotes; tells whether it was there.
    fn field(&mut self, delimiter: char) -> (&'a str, bool) {
        let rest = self.rest();
        let mut quoted = false;
        for (at, c) in rest.char_indices() {
            if c == '"' {
                quoted = !quoted;
            }
            if !quoted && c == delimiter {
                self.at += at + 1;
                return (rest.get(..at).unwrap_or_default(), true);
            }
        }
        self.at += rest.len();
        (rest, false)
    }

    fn operand(&mut self) -> Result<(), ParseError> {
        let start = self.at;
        let (element, dot) = self.field('.');
        let element = java::trim(element);
        if self.strict && !dot {
            return Err(self.fault(self.text.len(), "`.` after the element"));
        }
        if matches!(element, "true" | "false") {
            self.program.push(Token::Constant(element == "true"));
            return Ok(());
        }
        if self.strict && (element == "this" || !reference::is_name(element, &[])) {
            return Err(self.fault(start, "the name of an element"));
        }
        let named = self.at;
        let (name, paren) = self.field('(');
        let with_at = self.at;
        let (with, closed) = self.field(')');
        let with = java::trim(with);
        let method = Method::of(java::trim(name));
        let quoted = with.strip_prefix('"').and_then(|with| with.strip_suffix('"'));
        if self.strict {
            if method.is_none() || !paren {
                return Err(self.fault(named, "a method such as equals(\"...\")"));
            }
            if quoted.is_none() {
                return Err(self.fault(with_at, "text in quotes"));
            }
            if !closed {
                return Err(self.fault(self.text.len(), "`)`"));
            }
        }
        let (Some(method), Some(with)) = (method, quoted) else {
            self.program.push(Token::Constant(false));
            return Ok(());
        };
        let pattern = match method {
            Method::Matches => match Pattern::new(with) {
                Ok(pattern) => Some(pattern),
                Err(_) => return Err(self.fault(with_at, "a regular expression")),
            },
            _ => None,
        };
        self.program.push(Token::Test(Box::new(Test {
            element: element.to_owned(),
            method,
            with: with.to_owned(),
            lower: with.to_lowercase(),
            pattern,
        })));
        Ok(())
    }
}

impl PartialOrd for Operator {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some((*self as u8).cmp(&(*other as u8)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dicom_core::{DataElement, VR};
    use dicom_dictionary_std::tags;

    fn ask(filter: &Filter) -> bool {
        let data_set = InMemDicomObject::from_element_iter([
            DataElement::new(tags::MODALITY, VR::CS, "CT"),
            DataElement::new(tags::IMAGE_TYPE, VR::CS, "A\\B"),
            DataElement::new(tags::ROWS, VR::US, dicom_core::PrimitiveValue::from(64_u16)),
        ]);
        let object = Object {
            data_set: &data_set,
            meta: None,
            has_pixel_data: false,
            issuer: "",
        };
        filter.matches(&object)
    }

    #[test]
    fn conditions_hold_or_not() {
        for (text, expected) in [
            ("true.", true),
            ("false. + true.", true),
            ("Modality.equals(\"CT\") * Rows.isGreaterThan(\"63.5\")", true),
            ("!Modality.equals(\"CT\") + Rows.equals(\"64\")", true),
            ("!(Modality.equals(\"CT\") + Rows.equals(\"64\"))", false),
            ("ImageType.contains(\"A\\B\") // comment\n * true.", true),
            ("[0008,0060].matches(\"C.\")", true),
            ("PatientComments.equals(\"\")", true),
            ("Modality.startsWithIgnoreCase(\"c\")", true),
        ] {
            assert_eq!(ask(&Filter::parse(text).unwrap()), expected, "{text}");
            assert_eq!(ask(&Filter::parse_compat(text)), expected, "{text}");
        }
    }

    #[test]
    fn faults_are_false_to_ctp_and_told_by_strict() {
        for text in [
            "Modality.nosuch(\"CT\")",
            "Modality.equals(CT)",
            "true. true.",
            "(true.",
            "",
            "true. +",
            "0008.equals(\"x\")",
            "Modality.matches(\"[\")",
        ] {
            assert!(!ask(&Filter::parse_compat(text)), "{text}");
            assert!(Filter::parse(text).is_err(), "{text}");
        }
        assert!(
            ask(&Filter::parse_compat("Modality.equals(\"CT\"")),
            "CTP forgives the last parenthesis"
        );
        let error = Filter::parse("true. *\n  nosuch.equals(\"x\")").unwrap_err();
        assert_eq!((error.line, error.column), (2, 3));
    }

    #[test]
    fn two_negations_are_one_to_ctp() {
        assert!(!ask(&Filter::parse_compat("!!Modality.equals(\"CT\")")));
        assert!(ask(&Filter::parse("!!Modality.equals(\"CT\")").unwrap()));
    }

    #[test]
    fn nesting_is_bounded() {
        for text in ["(".repeat(10_000), "!".repeat(10_000) + "true."] {
            assert!(Filter::parse(&text).is_err());
            ask(&Filter::parse_compat(&text));
        }
    }
}
