//! Functions on text: contents, truncate, initials, rounding of ages, parts of a path.

use super::evaluate::{Evaluator, Thrown, argument, unquoted};
use super::expression::Call;
use super::java;

impl Evaluator<'_> {
    pub(crate) fn contents(&mut self, call: &Call, this: u32) -> Result<String, Thrown> {
        let value = self.text(argument(call, 0)?, this);
        let replacement = match call.args.len() {
            1 => return Ok(value),
            2 => String::new(),
            3 => unquoted(call, 2)?,
            _ => return Ok(String::new()),
        };
        let pattern = self.pattern(&unquoted(call, 1)?)?;
        let replaced = pattern.replace_all(&value, &replacement);
        replaced.map_err(|message| Thrown::new(message, "a replacement failed"))
    }

    pub(crate) fn truncate(&mut self, call: &Call, this: u32) -> Result<String, Thrown> {
        let value = self.text(argument(call, 0)?, this);
        let Some(n) = call.args.get(1).and_then(|n| java::parse_int(n)) else {
            return Ok(value);
        };
        let most = n.unsigned_abs() as usize;
        if n >= 0 {
            return Ok(value.chars().take(most).collect());
        }
        let value = java::trim(&value);
        let skipped = value.chars().count().saturating_sub(most);
        Ok(value.chars().skip(skipped).collect())
    }

    pub(crate) fn initials(&mut self, call: &Call, this: u32) -> Result<String, Thrown> {
        let initials = initials(&self.text(argument(call, 0)?, this));
        Ok(match call.args.get(1) {
            Some(offset) => shifted(&initials, java::parse_int(java::trim(offset)).unwrap_or(0)),
            None => initials,
        })
    }

    pub(crate) fn path_element(&mut self, call: &Call, this: u32) -> Result<String, Thrown> {
        let value = self.text(argument(call, 0)?, this);
        let index = call
            .args
            .get(1)
            .and_then(|index| java::parse_int(index))
            .unwrap_or(1000);
        let parts = java::split(&value, '/');
        let index = match usize::try_from(index) {
            Ok(index) => Some(index),
            Err(_) => parts.len().checked_sub(index.unsigned_abs() as usize),
        };
        Ok(index
            .and_then(|index| parts.get(index))
            .map_or(value.clone(), |part| (*part).to_owned()))
    }

    pub(crate) fn round(&mut self, call: &Call, this: u32) -> Result<String, Thrown> {
        let (Some(name), Some(width)) = (call.args.first(), call.args.get(1)) else {
            return self.failed(call, "@round lacks an argument");
        };
        let age = self.text(name, this);
        let Some(width) = self.parameter(width).and_then(java::parse_int) else {
            return self.failed(call, "@round needs a whole number");
        };
        let rounded = rounded(&age, width);
        match rounded {
            None => self.failed(call, "@round needs an age"),
            Some(rounded) if self.is_strict() => {
                let padded = age_string(&rounded);
                if padded != rounded {
                    self.differs("an age is padded to three digits");
                }
                Ok(padded)
            }
            Some(rounded) => Ok(rounded),
        }
    }
}

/// The first letters of the words of a name, the last name's at the end.
fn initials(name: &str) -> String {
    let name = name.replace(['^', ','], " ");
    let words = name.split(java::is_space).filter(|word| !java::trim(word).is_empty());
    let mut letters: Vec<char> = words.filter_map(|word| java::trim(word).chars().next()).collect();
    if letters.is_empty() {
        return "X".to_owned();
    }
    letters.rotate_left(1);
    letters.into_iter().flat_map(char::to_uppercase).collect()
}

/// Caesar's cipher within letters of one case and within digits.
fn shifted(text: &str, offset: i32) -> String {
    let shift = |c: char, first: u8, count: i64| {
        let place = i64::from(u32::from(c)) - i64::from(first);
        let place = (place + i64::from(offset)).rem_euclid(count);
        char::from(first + u8::try_from(place).unwrap_or(0))
    };
    text.chars()
        .map(|c| match c {
            'a'..='z' => shift(c, b'a', 26),
            'A'..='Z' => shift(c, b'A', 26),
            '0'..='9' => shift(c, b'0', 10),
            c => c,
        })
        .collect()
}

/// An age to the nearest multiple; letters stay behind it.
fn rounded(age: &str, width: i32) -> Option<String> {
    let age = java::trim(age);
    if age.is_empty() {
        return Some(String::new());
    }
    let digits: String = age.chars().filter(char::is_ascii_digit).collect();
    let letters: String = age.chars().filter(|c| !c.is_ascii_digit()).collect();
    let number: f32 = digits.parse().ok()?;
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "as CTP computes"
    )]
    let rounded = ((number / width as f32) + 0.5).floor() as i32;
    let mut rounded = format!("{}{letters}", rounded.wrapping_mul(width));
    if rounded.encode_utf16().count() % 2 == 1 {
        rounded.insert(0, '0');
    }
    Some(rounded)
}

/// An age as AS wants it, PS3.5 6.2, if it is one in fewer digits.
fn age_string(text: &str) -> String {
    let unit = text.strip_suffix(['D', 'W', 'M', 'Y']);
    match unit.filter(|number| (1..=3).contains(&number.len()) && number.bytes().all(|b| b.is_ascii_digit())) {
        Some(number) => format!("{number:0>3}{}", text.get(number.len()..).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn initials_end_with_the_last_name() {
        for (name, expected) in [
            ("Last^First^Middle", "FML"),
            ("CompressedSamples^CT1", "CC"),
            ("", "X"),
            (" ^ ", "X"),
            ("smith, john", "JS"),
            ("one", "O"),
        ] {
            assert_eq!(initials(name), expected, "{name}");
        }
        assert_eq!(shifted("CC", -1), "BB");
        assert_eq!(shifted("Az9-", 1), "Ba0-");
        assert_eq!(shifted("A", i32::MIN), shifted("A", i32::MIN % 26));
    }

    #[test]
    fn ages_are_rounded_as_ctp_does_and_padded_by_strict() {
        for (age, width, expected) in [
            ("000Y", 10, Some("0Y")),
            ("027Y", 5, Some("025Y")),
            ("045Y", 10, Some("050Y")),
            ("abc", 10, None),
            ("", 10, Some("")),
            ("9", 5, Some("10")),
            ("104Y", 5, Some("105Y")),
        ] {
            assert_eq!(rounded(age, width).as_deref(), expected, "{age}");
        }
        assert_eq!(age_string("0Y"), "000Y");
        assert_eq!(age_string("25"), "25");
    }
}
