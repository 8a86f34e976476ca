//! Java properties text: lines `key=value`, with its escapes and continued lines.
//!
//! Used for the second container of scripts, for lookup tables and for files of parameters.

use super::source::Sourced;

/// One property.
#[derive(Debug)]
pub(crate) struct Property {
    pub(crate) key: Sourced,
    pub(crate) value: Sourced,
}

/// Returns the properties in order; what cannot be meant otherwise is a key without value, as in Java.
pub(crate) fn properties(text: &str) -> Vec<Property> {
    logical_lines(text).iter().filter_map(property).collect()
}

type Chars = Vec<(usize, char)>;

/// Joins lines that end in an odd number of backslashes with the next, without its blanks; drops comments.
fn logical_lines(text: &str) -> Vec<Chars> {
    let mut lines = Vec::new();
    let mut line = Chars::new();
    let mut continued = false;
    let mut chars = text.char_indices().peekable();
    while chars.peek().is_some() {
        while chars.next_if(|(_, c)| matches!(c, ' ' | '\t' | '\x0C')).is_some() {}
        let comment = !continued && chars.peek().is_some_and(|(_, c)| matches!(c, '#' | '!'));
        let mut backslashes = 0_usize;
        let mut natural = Chars::new();
        for (at, c) in chars.by_ref() {
            if matches!(c, '\n' | '\r') {
                break;
            }
            backslashes = if c == '\\' { backslashes + 1 } else { 0 };
            natural.push((at, c));
        }
        // A carriage return and a line feed are one end; between them the empty line does no harm, except to a continued one.
        if comment {
            continue;
        }
        continued = backslashes % 2 == 1;
        if continued {
            natural.pop();
            if chars.peek().is_some_and(|(_, c)| *c == '\n') && text.get(..).is_some() {
                let after_return = chars
                    .peek()
                    .and_then(|(at, _)| text.as_bytes().get(at.wrapping_sub(1)))
                    .is_some_and(|b| *b == b'\r');
                if after_return {
                    chars.next();
                }
            }
        }
        line.append(&mut natural);
        if !continued {
            lines.push(std::mem::take(&mut line));
        }
    }
    lines.push(line);
    lines.retain(|line| !line.is_empty());
    lines
}

fn property(line: &Chars) -> Option<Property> {
    let mut key_end = line.len();
    let mut escaped = false;
    for (index, (_, c)) in line.iter().enumerate() {
        if !escaped && matches!(c, '=' | ':' | ' ' | '\t' | '\x0C') {
            key_end = index;
            break;
        }
        escaped = *c == '\\' && !escaped;
    }
    let mut value_start = key_end;
    let mut separator = false;
    while let Some((_, c)) = line.get(value_start) {
        match c {
            ' ' | '\t' | '\x0C' => {}
            '=' | ':' if !separator => separator = true,
            _ => break,
        }
        value_start += 1;
    }
    Some(Property {
        key: unescaped(line.get(..key_end)?),
        value: unescaped(line.get(value_start..)?),
    })
}

fn unescaped(chars: &[(usize, char)]) -> Sourced {
    let mut out = Sourced::default();
    let mut units: Vec<u16> = Vec::new();
    let mut at = 0;
    while let Some((offset, c)) = chars.get(at).copied() {
        at += 1;
        if c != '\\' {
            out.push(c, offset);
            continue;
        }
        let Some((_, c)) = chars.get(at).copied() else { break };
        at += 1;
        match c {
            'u' => {
                let digits: String = chars
                    .get(at..at + 4)
                    .unwrap_or_default()
                    .iter()
                    .map(|(_, c)| *c)
                    .collect();
                match u16::from_str_radix(&digits, 16) {
                    Ok(unit) => {
                        at += 4;
                        units.push(unit);
                        let more = chars.get(at).is_some_and(|(_, c)| *c == '\\')
                            && chars.get(at + 1).is_some_and(|(_, c)| *c == 'u');
                        if !more || !matches!(unit, 0xD800..=0xDBFF) {
                            for c in char::decode_utf16(units.drain(..)) {
                                out.push(c.unwrap_or(char::REPLACEMENT_CHARACTER), offset);
                            }
                        }
                    }
                    Err(_) => out.push('u', offset),
                }
            }
            't' => out.push('\t', offset),
            'n' => out.push('\n', offset),
            'r' => out.push('\r', offset),
            'f' => out.push('\x0C', offset),
            c => out.push(c, offset),
        }
    }
    for c in char::decode_utf16(units) {
        out.push(c.unwrap_or(char::REPLACEMENT_CHARACTER), 0);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        properties(text)
            .into_iter()
            .map(|p| (p.key.text, p.value.text))
            .collect()
    }

    #[test]
    fn keys_and_values_are_told_apart_as_in_java() {
        let text = "# no\n a = b c \n!no\nk\\=1:v\nlone\nset.[0010,0010]Name=@keep()\r\nd/\\u00fc=\\t\\\\x\n";
        assert_eq!(
            pairs(text),
            [
                ("a", "b c "),
                ("k=1", "v"),
                ("lone", ""),
                ("set.[0010,0010]Name", "@keep()"),
                ("d/ü", "\t\\x"),
            ]
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
        );
    }

    #[test]
    fn a_backslash_at_the_end_continues_the_line() {
        assert_eq!(
            pairs("a=1\\\n   2\\\r\n  3\nb=\\\\\nc=x\\"),
            [("a", "123"), ("b", "\\"), ("c", "x")].map(|(k, v)| (k.to_owned(), v.to_owned()))
        );
    }

    #[test]
    fn surrogates_pair_up() {
        assert_eq!(pairs("a=\\ud83d\\ude00\\uZZ"), [("a".to_owned(), "😀uZZ".to_owned())]);
    }
}
