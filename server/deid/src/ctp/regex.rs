//! Regular expressions of scripts, which are Java's.
//!
//! The syntax is carried over where it differs: classes that Java keeps to ASCII, POSIX names, quoting, the end of the text.
//! Patterns come from outside, so the size of what they compile to and the steps they may take are bounded.

use std::fmt::Write;

use fancy_regex::{Regex, RegexBuilder};

/// A compiled pattern.
#[derive(Debug)]
pub(crate) struct Pattern {
    find: Regex,
    whole: Regex,
}

impl Pattern {
    /// Compiles a pattern; the error is Java's message where scripts commonly meet it.
    pub(crate) fn new(pattern: &str) -> Result<Self, String> {
        if pattern.len() > 4096 {
            return Err("pattern too long".to_owned());
        }
        if let Some(message) = complaint(pattern) {
            return Err(message);
        }
        let translated = translated(pattern);
        let compile = |text: &str| {
            let mut builder = RegexBuilder::new(text);
            builder.backtrack_limit(100_000);
            builder.delegate_size_limit(1 << 20);
            builder.build().map_err(|_| format!("{pattern}: not a pattern"))
        };
        Ok(Self {
            find: compile(&translated)?,
            whole: compile(&format!("\\A(?:{translated})\\z"))?,
        })
    }

    /// Returns whether the whole text matches.
    pub(crate) fn matches(&self, text: &str) -> Result<bool, String> {
        self.whole.is_match(text).map_err(|_| TOO_MANY_STEPS.to_owned())
    }

    /// Replaces every match as `String.replaceAll`.
    pub(crate) fn replace_all(&self, text: &str, replacement: &str) -> Result<String, String> {
        let mut out = String::with_capacity(text.len());
        let (mut copied, mut from) = (0, 0);
        // Java looks again at the end of a match even if it then finds the empty one there.
        while let Some(captures) = self
            .find
            .captures_from_pos(text, from)
            .map_err(|_| TOO_MANY_STEPS.to_owned())?
        {
            let Some(whole) = captures.get(0) else { break };
            out.push_str(text.get(copied..whole.start()).unwrap_or_default());
            expand(&mut out, &captures, replacement)?;
            copied = whole.end();
            from = whole.end();
            if whole.range().is_empty() {
                match text.get(from..).and_then(|rest| rest.chars().next()) {
                    Some(c) => from += c.len_utf8(),
                    None => break,
                }
            }
            if out.len() > MOST_OUT {
                return Err("replacement too long".to_owned());
            }
        }
        out.push_str(text.get(copied..).unwrap_or_default());
        Ok(out)
    }
}

const TOO_MANY_STEPS: &str = "pattern takes too many steps";
/// Longest text that replacing gives.
const MOST_OUT: usize = 4 << 20;

fn expand(out: &mut String, captures: &fancy_regex::Captures<'_, str>, replacement: &str) -> Result<(), String> {
    let mut chars = replacement.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.push(chars.next().ok_or("character to be escaped is missing")?),
            '$' => match chars.peek() {
                Some('{') => {
                    chars.next();
                    let mut name = String::new();
                    loop {
                        match chars.next() {
                            Some('}') => break,
                            Some(c) => name.push(c),
                            None => return Err("named capturing group is missing trailing '}'".to_owned()),
                        }
                    }
                    let group = captures
                        .name(&name)
                        .ok_or_else(|| format!("No group with name {{{name}}}"))?;
                    out.push_str(group.as_str());
                }
                Some(digit) if digit.is_ascii_digit() => {
                    let mut group = 0_usize;
                    let mut first = true;
                    while let Some(digit) = chars.peek().and_then(|c| c.to_digit(10)) {
                        let longer = group.saturating_mul(10).saturating_add(digit as usize);
                        if !first && longer >= captures.len() {
                            break;
                        }
                        group = longer;
                        first = false;
                        chars.next();
                    }
                    if group >= captures.len() {
                        return Err(format!("No group {group}"));
                    }
                    out.push_str(captures.get(group).map_or("", |group| group.as_str()));
                }
                Some(_) => return Err("Illegal group reference".to_owned()),
                None => return Err("Illegal group reference: group index is missing".to_owned()),
            },
            c => out.push(c),
        }
    }
    Ok(())
}

/// Returns Java's message on a pattern that scripts get wrong most often.
fn complaint(pattern: &str) -> Option<String> {
    let chars: Vec<char> = pattern.chars().collect();
    let at = |index: usize| chars.get(index).copied();
    let message = |text: &str, index: usize| {
        let mut message = format!("{text} near index {index}\n{pattern}");
        // Java points at the place.
        let _ = write!(message, "\n{:index$}^", "");
        Some(message)
    };
    let (mut index, mut parens, mut class) = (0, 0_usize, 0_usize);
    while let Some(c) = at(index) {
        match c {
            '\\' => {
                if at(index + 1) == Some('Q') {
                    while index < chars.len() && !(at(index) == Some('\\') && at(index + 1) == Some('E')) {
                        index += 1;
                    }
                }
                if matches!(at(index + 1), Some('p' | 'P' | 'x' | 'k')) && matches!(at(index + 2), Some('{' | '<')) {
                    while index < chars.len() && !matches!(at(index), Some('}' | '>')) {
                        index += 1;
                    }
                } else {
                    index += 1;
                }
            }
            '[' => {
                class += 1;
                if at(index + 1) == Some('^') {
                    index += 1;
                }
                if at(index + 1) == Some(']') && class == 1 {
                    index += 1; // a bracket right after the opening is a character
                }
            }
            ']' if class > 0 => class -= 1,
            _ if class > 0 => {}
            '{' => match repetition(chars.get(index + 1..).unwrap_or_default()) {
                Some(length) if index > 0 => index += length,
                _ => return Some(format!("Illegal repetition\n{pattern}")),
            },
            '(' => parens += 1,
            ')' if parens == 0 => {
                let text = "Unmatched closing ')'";
                return match index.checked_sub(1) {
                    Some(before) => message(text, before),
                    None => Some(format!("{text}\n{pattern}")),
                };
            }
            ')' => parens -= 1,
            '*' | '+' | '?' if index == 0 || matches!(at(index - 1), Some('(' | '|')) && at(index + 1) != Some(':') => {
                let group = c == '?' && index > 0 && at(index - 1) == Some('(');
                if !group {
                    return message(&format!("Dangling meta character '{c}'"), index);
                }
            }
            _ => {}
        }
        index += 1;
    }
    if class > 0 {
        return message("Unclosed character class", chars.len().saturating_sub(1));
    }
    if parens > 0 {
        let length = chars.len();
        return Some(format!("Unclosed group near index {length}\n{pattern}"));
    }
    None
}

/// Returns how many characters a counted repetition takes after its brace.
fn repetition(rest: &[char]) -> Option<usize> {
    let end = rest.iter().position(|c| *c == '}')?;
    let inside = rest.get(..end)?;
    let counts = inside.first().is_some_and(char::is_ascii_digit)
        && inside.iter().all(|c| c.is_ascii_digit() || *c == ',')
        && inside.iter().filter(|c| **c == ',').count() <= 1;
    counts.then_some(end + 1)
}

/// Carries Java's syntax over.
fn translated(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 16);
    let mut chars = pattern.chars().peekable();
    let mut class = 0_usize;
    while let Some(c) = chars.next() {
        match c {
            '\\' => escape(&mut out, &mut chars, class > 0),
            '[' => {
                class += 1;
                out.push('[');
                if chars.next_if_eq(&'^').is_some() {
                    out.push('^');
                }
                if class == 1 && chars.next_if_eq(&']').is_some() {
                    out.push_str("\\]");
                }
            }
            ']' if class > 0 => {
                class -= 1;
                out.push(']');
            }
            // Operators between classes that Java does not have.
            '~' | '-' if class > 0 && chars.peek() == Some(&c) => {
                out.push('\\');
                out.push(c);
            }
            '.' if class == 0 => out.push_str("[^\\n\\r\\x{85}\\x{2028}\\x{2029}]"),
            '$' if class == 0 => out.push_str("(?=(?:\\r\\n|[\\n\\r\\x{85}\\x{2028}\\x{2029}])?\\z)"),
            c => out.push(c),
        }
    }
    out
}

fn escape(out: &mut String, chars: &mut std::iter::Peekable<std::str::Chars<'_>>, in_class: bool) {
    let Some(c) = chars.next() else {
        out.push_str("\\\\");
        return;
    };
    let mut class = |inside: &str, negated: bool| {
        match (in_class, negated) {
            (true, false) => out.push_str(inside),
            (true, true) => {
                let _ = write!(out, "[^{inside}]");
            }
            (false, negated) => {
                let _ = write!(out, "[{}{inside}]", if negated { "^" } else { "" });
            }
        };
    };
    match c {
        'd' | 'D' => class("0-9", c == 'D'),
        'w' | 'W' => class("a-zA-Z0-9_", c == 'W'),
        's' | 'S' => class(" \\t\\n\\x0B\\f\\r", c == 'S'),
        'h' => class(
            " \\t\\x{A0}\\x{1680}\\x{2000}-\\x{200A}\\x{202F}\\x{205F}\\x{3000}",
            false,
        ),
        'p' | 'P' => {
            let name: String = match chars.next() {
                Some('{') => chars.by_ref().take_while(|c| *c != '}').collect(),
                Some(c) => c.to_string(),
                None => String::new(),
            };
            match posix(&name) {
                Some(inside) => class(inside, c == 'P'),
                None => {
                    let _ = write!(out, "\\{c}{{{}}}", name.strip_prefix("Is").unwrap_or(&name));
                }
            }
        }
        'Q' => {
            let mut quoted = String::new();
            while let Some(c) = chars.next() {
                if c == '\\' && chars.peek() == Some(&'E') {
                    chars.next();
                    break;
                }
                quoted.push(c);
            }
            out.push_str(&fancy_regex::escape(&quoted));
        }
        'E' => {}
        'Z' => out.push_str("(?=(?:\\r\\n|[\\n\\r\\x{85}\\x{2028}\\x{2029}])?\\z)"),
        'R' => out.push_str("(?:\\r\\n|[\\n-\\r\\x{85}\\x{2028}\\x{2029}])"),
        'e' => out.push_str("\\x1B"),
        'u' => {
            let digits: String = chars.by_ref().take(4).collect();
            let _ = write!(out, "\\x{{{digits}}}");
        }
        '0' => {
            let mut code = 0;
            while let Some(digit) = chars.peek().and_then(|c| c.to_digit(8)) {
                if code * 8 + digit > 0o377 {
                    break;
                }
                code = code * 8 + digit;
                chars.next();
            }
            let _ = write!(out, "\\x{{{code:X}}}");
        }
        c if c.is_ascii_alphanumeric() => {
            out.push('\\');
            out.push(c);
        }
        c => out.push_str(&fancy_regex::escape(c.encode_utf8(&mut [0; 4]))),
    }
}

fn posix(name: &str) -> Option<&'static str> {
    Some(match name {
        "Lower" => "a-z",
        "Upper" => "A-Z",
        "ASCII" => "\\x00-\\x7F",
        "Alpha" => "a-zA-Z",
        "Digit" => "0-9",
        "Alnum" => "a-zA-Z0-9",
        "Punct" => "!-/:-@\\[-`\\{-~",
        "Graph" => "!-~",
        "Print" => " -~",
        "Blank" => " \\t",
        "Cntrl" => "\\x00-\\x1F\\x7F",
        "XDigit" => "0-9a-fA-F",
        "Space" => " \\t\\n\\x0B\\f\\r",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replace(text: &str, pattern: &str, replacement: &str) -> Result<String, String> {
        Pattern::new(pattern)?.replace_all(text, replacement)
    }

    #[test]
    fn replacing_is_javas() {
        for (text, pattern, replacement, expected) in [
            ("CompressedSamples^CT1", "[A-Z]+", "", "ompressedamples^1"),
            ("abc", "x*", "-", "-a-b-c-"),
            ("xab", "x*", "-", "--a-b-"),
            ("a-b", "(\\w)-(\\w)", "$2$1", "ba"),
            ("ab", "(a)", "$12", "a2b"),
            ("a.b", "\\.", "\\$", "a$b"),
            ("a^b", "[\\^]", "-", "a-b"),
            ("äd1", "\\w", "", "ä"),
            ("ab\n", "b$", "x", "ax\n"),
            ("aXb", "(?i)x", "", "ab"),
            ("foobar", "foo(?=bar)", "", "bar"),
            ("a+b", "\\Q+\\E", "", "ab"),
            ("aaa", "a{2}", "b", "ba"),
            ("año", "\\p{L}", "", ""),
            ("aB", "\\p{Upper}", "", "a"),
        ] {
            assert_eq!(replace(text, pattern, replacement).unwrap(), expected, "{pattern}");
        }
    }

    #[test]
    fn bad_patterns_get_javas_words() {
        assert_eq!(
            Pattern::new("[^]").unwrap_err(),
            "Unclosed character class near index 2\n[^]\n  ^"
        );
        assert_eq!(
            Pattern::new("*a").unwrap_err(),
            "Dangling meta character '*' near index 0\n*a\n^"
        );
        assert_eq!(Pattern::new("(a").unwrap_err(), "Unclosed group near index 2\n(a");
        assert!(replace("a", "a", "$").is_err() && replace("a", "a", "$1").is_err());
        assert!(Pattern::new("a)").is_err() && Pattern::new("a{2").is_err());
    }

    #[test]
    fn whole_texts_match() {
        let pattern = Pattern::new("C.|M.").unwrap();
        assert!(pattern.matches("CT").unwrap() && !pattern.matches("CTX").unwrap());
    }

    #[test]
    fn steps_are_bounded() {
        let pattern = Pattern::new("(?:(a+)(?=a?))+b").unwrap();
        assert!(pattern.replace_all(&"a".repeat(60), "").is_err());
        assert!(Pattern::new(&"a".repeat(5000)).is_err());
        assert!(Pattern::new("(?:a{1000}){1000}").is_err());
    }
}
