//! Text as Java's library treats it, where CTP's answers depend on it.
//!
//! Scripts are held against what CTP writes, and CTP is a Java program: what counts as blank, which numbers parse, which
//! empty parts a split drops and how a number is printed all show in its answers.

use std::fmt::Write;

/// Returns the text without characters up to U+0020 at both ends, as `String.trim`.
pub(crate) fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| c <= ' ')
}

/// Returns whether `Character.isWhitespace` holds.
pub(crate) fn is_whitespace(c: char) -> bool {
    match c {
        '\t'..='\r' | '\x1C'..='\x1F' => true,
        '\u{A0}' | '\u{2007}' | '\u{202F}' | '\u{85}' => false,
        _ => c.is_whitespace(),
    }
}

/// Returns whether the character is one of the regular expression class `\s`.
pub(crate) fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\x0B' | '\x0C' | '\r')
}

/// Splits as `String.split` does: empty parts at the end are dropped, and text without a separator is one part.
pub(crate) fn split(text: &str, separator: char) -> Vec<&str> {
    if !text.contains(separator) {
        return vec![text];
    }
    let mut parts: Vec<&str> = text.split(separator).collect();
    while parts.last().is_some_and(|last| last.is_empty()) {
        parts.pop();
    }
    parts
}

/// Returns the number that `Integer.parseInt` reads.
pub(crate) fn parse_int(text: &str) -> Option<i32> {
    i32::try_from(parse_long(text)?).ok()
}

/// Returns the number that `Long.parseLong` reads.
pub(crate) fn parse_long(text: &str) -> Option<i64> {
    // Rust reads the same texts: a sign and ASCII digits. Java's other digits are not worth having.
    text.parse().ok()
}

/// Returns the number that `Float.parseFloat` reads; hexadecimal floats are not worth having.
pub(crate) fn parse_float(text: &str) -> Option<f32> {
    parse_double_text(text)?.parse().ok()
}

/// Returns the number that `Double.parseDouble` reads.
pub(crate) fn parse_double(text: &str) -> Option<f64> {
    parse_double_text(text)?.parse().ok()
}

fn parse_double_text(text: &str) -> Option<&str> {
    let text = trim(text);
    let bare = text.strip_suffix(['f', 'F', 'd', 'D']).unwrap_or(text);
    let unsigned = bare.trim_start_matches(['+', '-']);
    if matches!(unsigned, "NaN" | "Infinity") {
        return Some(bare);
    }
    let numeric = unsigned
        .bytes()
        .all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'));
    (numeric && unsigned.bytes().any(|b| b.is_ascii_digit())).then_some(bare)
}

/// Returns the text of `Double.toString`, from the shortest digits.
pub(crate) fn double(number: f64) -> String {
    printed(number, &format!("{number:e}"))
}

/// Returns the text of `Float.toString`, from the shortest digits.
pub(crate) fn float(number: f32) -> String {
    printed(f64::from(number), &format!("{number:e}"))
}

fn printed(number: f64, scientific: &str) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", mantissa),
    };
    let digits: String = mantissa.chars().filter(|c| *c != '.').collect();
    let mut text = sign.to_owned();
    if number == 0.0 {
        text.push_str("0.0");
    } else if (-3..7).contains(&exponent) {
        push_plain(&mut text, &digits, exponent);
    } else {
        let (first, rest) = digits.split_at_checked(1).unwrap_or((&digits, ""));
        // Writing to a String does not fail.
        let _ = write!(text, "{first}.{}E{exponent}", if rest.is_empty() { "0" } else { rest });
    }
    text
}

fn push_plain(text: &mut String, digits: &str, exponent: i32) {
    match usize::try_from(exponent) {
        Err(_) => {
            text.push_str("0.");
            for _ in exponent..-1 {
                text.push('0');
            }
            text.push_str(digits);
        }
        Ok(exponent) => {
            let whole = exponent + 1;
            let padded = format!("{digits:0<whole$}");
            let (before, after) = padded.split_at_checked(whole).unwrap_or((&padded, ""));
            text.push_str(before);
            text.push('.');
            text.push_str(if after.is_empty() { "0" } else { after });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_printed_as_java_prints_them() {
        for (number, text) in [
            (1.5, "1.5"),
            (1e10, "1.0E10"),
            (0.1, "0.1"),
            (1e-7, "1.0E-7"),
            (0.001, "0.001"),
            (9_999_999.0, "9999999.0"),
            (-12345.678, "-12345.678"),
            (1.25e-5, "1.25E-5"),
            (0.0, "0.0"),
            (100.0, "100.0"),
        ] {
            assert_eq!(double(number), text);
        }
        assert_eq!(float(0.1), "0.1");
        assert_eq!(float(3.4e38), "3.4E38");
    }

    #[test]
    fn a_split_drops_empty_parts_at_the_end() {
        assert_eq!(split("a\\b\\\\", '\\'), ["a", "b"]);
        assert_eq!(split("\\b", '\\'), ["", "b"]);
        assert_eq!(split("", '\\'), [""]);
        assert!(split("\\", '\\').is_empty());
    }

    #[test]
    fn numbers_are_read_as_java_reads_them() {
        assert_eq!(parse_int("+6"), Some(6));
        assert_eq!(parse_int(" 6"), None);
        assert_eq!(parse_int("3000000000"), None);
        assert_eq!(parse_double(" 1.5d "), Some(1.5));
        assert_eq!(parse_double("inf"), None);
        assert_eq!(parse_double(""), None);
        assert_eq!(parse_float("30.5"), Some(30.5));
    }
}
