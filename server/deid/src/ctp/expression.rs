//! One expression as a tree.
//!
//! ```text
//! rule   = { text | "\" any | call }
//! call   = "@" name "(" [ arg { "," arg } ] ")" [ clause [ clause ] ]
//! clause = "{" balanced "}"
//! ```
//!
//! CTP reads an expression anew each time, and what it makes of half a call is part of its answers: an unclosed call ends
//! the expression, a missing clause swallows the rest. The tree holds exactly that reading; the faults it met are listed
//! beside it, and strict mode refuses a script that has any.

use super::java;
use super::source::{Sourced, excerpt};

/// Deepest nesting of clauses that is read.
pub(crate) const MOST_DEPTH: usize = 32;

/// A part of an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    Text(String),
    Call(Call),
}

/// A function call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    /// Without blanks.
    pub(crate) name: String,
    pub(crate) args: Vec<String>,
    /// What is done if the condition holds, or at top level, or is appended.
    pub(crate) first: Option<Vec<Part>>,
    pub(crate) second: Option<Vec<Part>>,
    /// Offset in the file.
    pub(crate) offset: usize,
}

impl Call {
    /// Returns an argument without the quotes around it. CTP cannot unquote a lone quote; neither do we.
    pub(crate) fn unquoted(&self, index: usize) -> Option<&str> {
        let Some(arg) = self.args.get(index) else {
            return Some("");
        };
        let arg = java::trim(arg);
        if arg.starts_with('"') && arg.ends_with('"') {
            return arg.get(1..arg.len().checked_sub(1)?);
        }
        Some(arg)
    }

    /// Returns the arguments as CTP writes them where a function failed.
    pub(crate) fn written_args(&self) -> String {
        format!("({})", self.args.join(","))
    }

    /// Returns the clauses.
    pub(crate) fn clauses(&self) -> impl Iterator<Item = &Vec<Part>> {
        self.first.iter().chain(&self.second)
    }
}

/// Something in an expression that CTP passes over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) offset: usize,
    pub(crate) expected: String,
    pub(crate) found: String,
}

/// An expression.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Expression {
    pub(crate) parts: Vec<Part>,
    pub(crate) faults: Vec<Fault>,
}

/// Names of the functions that there are, and the most arguments that each takes.
const FUNCTIONS: [(&str, usize, usize); 36] = [
    ("always", 0, 0),
    ("append", 0, 0),
    ("blank", 1, 1),
    ("call", 1, usize::MAX),
    ("contents", 1, 3),
    ("date", 0, 1),
    ("dateinterval", 3, 4),
    ("decrypt", 2, 2),
    ("empty", 0, 0),
    ("encrypt", 2, 2),
    ("hash", 1, 2),
    ("hashdate", 2, 2),
    ("hashname", 2, 3),
    ("hashptid", 2, 3),
    ("hashuid", 2, 3),
    ("if", 2, 3),
    ("incrementdate", 2, 3),
    ("initials", 1, 2),
    ("integer", 2, 3),
    ("keep", 0, 0),
    ("lookup", 2, 4),
    ("lowercase", 1, 1),
    ("modifydate", 4, 4),
    ("param", 1, 1),
    ("pathelement", 2, 2),
    ("process", 0, 0),
    ("quarantine", 0, 0),
    ("remove", 0, 0),
    ("require", 0, 2),
    ("round", 2, 2),
    ("select", 0, 0),
    ("skip", 0, 0),
    ("time", 0, 1),
    ("truncate", 1, 2),
    ("uppercase", 1, 1),
    ("value", 1, 2),
];

/// Returns the least and the most arguments of a function, if there is one of that name.
pub(crate) fn function(name: &str) -> Option<(usize, usize)> {
    FUNCTIONS
        .iter()
        .find(|(n, ..)| *n == name)
        .map(|(_, least, most)| (*least, *most))
}

/// Reads an expression.
pub(crate) fn parse(source: &Sourced) -> Expression {
    let chars: Vec<(usize, char)> = source.text.char_indices().collect();
    let mut reader = Reader {
        source,
        chars: &chars,
        faults: Vec::new(),
    };
    let parts = reader.parts(0, chars.len(), 0);
    Expression {
        parts,
        faults: reader.faults,
    }
}

struct Reader<'a> {
    source: &'a Sourced,
    chars: &'a [(usize, char)],
    faults: Vec<Fault>,
}

/// A call as far as its name and arguments go.
struct Head {
    name: String,
    args: Vec<String>,
    end: usize,
}

impl Reader<'_> {
    fn at(&self, index: usize) -> Option<char> {
        self.chars.get(index).map(|(_, c)| *c)
    }

    fn offset(&self, index: usize) -> usize {
        let byte = self.chars.get(index).map_or(self.source.text.len(), |(at, _)| *at);
        self.source.offset(byte)
    }

    fn text(&self, from: usize, to: usize) -> String {
        self.chars
            .get(from..to)
            .unwrap_or_default()
            .iter()
            .map(|(_, c)| *c)
            .collect()
    }

    fn fault(&mut self, index: usize, expected: &str, found: String) {
        if self.faults.len() < 16 {
            let fault = Fault {
                offset: self.offset(index),
                expected: expected.to_owned(),
                found,
            };
            self.faults.push(fault);
        }
    }

    fn parts(&mut self, from: usize, to: usize, depth: usize) -> Vec<Part> {
        let mut parts = Vec::new();
        let mut text = String::new();
        let mut index = from;
        while index < to {
            let Some(c) = self.at(index) else { break };
            index += 1;
            match c {
                '\\' => {
                    text.extend(self.at(index).filter(|_| index < to));
                    index += 1;
                }
                '@' => {
                    if !text.is_empty() {
                        parts.push(Part::Text(std::mem::take(&mut text)));
                    }
                    let Some(head) = self.head(index, to) else {
                        break;
                    };
                    let (call, end) = self.call(index - 1, head, to, depth);
                    parts.push(Part::Call(call));
                    index = end;
                }
                c => text.push(c),
            }
        }
        if !text.is_empty() {
            parts.push(Part::Text(text));
        }
        parts
    }

    fn head(&mut self, from: usize, to: usize) -> Option<Head> {
        let Some(paren) = (from..to).find(|index| self.at(*index) == Some('(')) else {
            let found = excerpt(&self.text(from, to));
            self.fault(from, "a function name and `(` after `@`", found);
            return None;
        };
        let name: String = self.text(from, paren).chars().filter(|c| !java::is_space(*c)).collect();
        let mut index = paren + 1;
        let mut args = Vec::new();
        while let Some(arg) = self.arg(&mut index, to) {
            args.push(arg);
        }
        if index >= to {
            self.fault(from, &format!("`)` at the end of @{name}("), "the end".to_owned());
            return None;
        }
        Some(Head {
            name,
            args,
            end: index + 1,
        })
    }

    /// Reads an argument and the comma after it; leaves a closing parenthesis.
    fn arg(&self, index: &mut usize, to: usize) -> Option<String> {
        self.skip_blanks(index, to);
        if *index >= to || self.at(*index) == Some(')') {
            return None;
        }
        let mut arg = String::new();
        let (mut escape, mut quote) = (false, false);
        let (mut brackets, mut parens) = (0_usize, 0_usize);
        let mut last = '\0';
        while *index < to {
            let Some(c) = self.at(*index) else { break };
            last = c;
            if !escape && !quote && brackets == 0 && parens == 0 && matches!(c, ',' | ')') {
                break;
            }
            if c == '\\' && !escape {
                escape = true;
            } else {
                arg.push(c);
                match c {
                    '"' => quote = !quote,
                    '[' if !quote => brackets += 1,
                    ']' if !quote && brackets > 0 => brackets -= 1,
                    '(' if !quote => parens += 1,
                    ')' if !quote && parens > 0 => parens -= 1,
                    _ => {}
                }
                escape = false;
            }
            *index += 1;
        }
        if *index >= to {
            return None;
        }
        if last == ',' {
            *index += 1;
        }
        Some(java::trim(&arg).to_owned())
    }

    fn call(&mut self, at: usize, head: Head, to: usize, depth: usize) -> (Call, usize) {
        let mut call = Call {
            name: head.name,
            args: head.args,
            first: None,
            second: None,
            offset: self.offset(at),
        };
        let clauses = match call.name.as_str() {
            "if" | "select" => 2,
            "append" => 1,
            _ => 0,
        };
        let mut index = head.end;
        for number in 0..clauses {
            let Some((from, end)) = self.clause(index, to) else {
                // CTP drops what follows.
                let found = excerpt(&self.text(index, to));
                let expected = format!("a clause `{{...}}` of @{}", call.name);
                self.fault(index, &expected, found);
                return (call, to);
            };
            let parts = if depth < MOST_DEPTH {
                let (from, end) = self.trimmed(from, end);
                self.parts(from, end, depth + 1)
            } else {
                self.fault(from, "fewer nested clauses", "more".to_owned());
                Vec::new()
            };
            match number {
                0 => call.first = Some(parts),
                _ => call.second = Some(parts),
            }
            index = end + 1;
        }
        (call, index)
    }

    fn skip_blanks(&self, index: &mut usize, to: usize) {
        while *index < to && self.at(*index).is_some_and(java::is_whitespace) {
            *index += 1;
        }
    }

    /// Returns where the text of a clause begins and where its brace closes.
    fn clause(&self, from: usize, to: usize) -> Option<(usize, usize)> {
        let mut index = from;
        self.skip_blanks(&mut index, to);
        if index >= to || self.at(index) != Some('{') {
            return None;
        }
        let start = index + 1;
        let mut open = 1_usize;
        for index in start..to {
            match self.at(index) {
                Some('{') => open += 1,
                Some('}') => open -= 1,
                _ => {}
            }
            if open == 0 {
                return Some((start, index));
            }
        }
        None
    }

    fn trimmed(&self, mut from: usize, mut to: usize) -> (usize, usize) {
        let blank = |index: usize| self.at(index).is_some_and(|c| c <= ' ');
        while from < to && blank(from) {
            from += 1;
        }
        while from < to && blank(to - 1) {
            to -= 1;
        }
        (from, to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Expression {
        super::parse(&Sourced::verbatim(text))
    }

    fn call(text: &str) -> Call {
        match parse(text).parts.into_iter().next() {
            Some(Part::Call(call)) => call,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn arguments_end_at_commas_outside_brackets_and_quotes() {
        assert_eq!(
            call("@f( a , \"b,c\" ,[0010,0010])").args,
            ["a", "\"b,c\"", "[0010,0010]"]
        );
        assert_eq!(call("@f(a\\,b,\"[\\\\^]\")").args, ["a,b", "\"[\\^]\""]);
        assert_eq!(call("@f()").args, Vec::<String>::new());
        assert_eq!(call("@f(a,)").args, ["a"]);
        assert_eq!(call("@f(,a)").args, ["", "a"]);
        assert_eq!(call("@ha sh ((x),y)").args, ["(x)", "y"]);
    }

    #[test]
    fn half_a_call_ends_the_expression_and_is_told() {
        for text in ["a@contents(PatientName", "a@", "a@keep", "a@f(\"x)"] {
            let expression = parse(text);
            assert_eq!(expression.parts, [Part::Text("a".to_owned())], "{text}");
            assert_eq!(expression.faults.len(), 1, "{text}");
        }
    }

    #[test]
    fn a_missing_clause_swallows_the_rest() {
        let expression = parse("@if(a,isblank){x} rest");
        assert_eq!(expression.parts.len(), 1);
        assert_eq!(expression.faults.len(), 1);
        let both = parse("@if(a,isblank) { x } {@keep()} rest");
        assert_eq!(both.parts.len(), 2);
        assert!(both.faults.is_empty());
    }

    #[test]
    fn nesting_is_bounded() {
        let text = "@select(){".repeat(200) + &"}".repeat(200);
        assert!(!parse(&text).faults.is_empty());
    }
}
