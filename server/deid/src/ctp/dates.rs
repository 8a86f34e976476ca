//! Functions on dates, with the lenient calendar of Java behind them.
//!
//! A month 13 is the next January and the thirtieth of February a day in March; hours beyond a day move it. Before
//! 15 October 1582 days are counted by Julius Caesar's calendar.

use chrono::{DateTime, Local, Utc};

use super::evaluate::{Evaluator, Thrown, argument, unquoted};
use super::expression::Call;
use super::java;

const EMPTY: &str = "@empty()";
const REMOVE: &str = "@remove()";

/// Days from 1 March 0000 of the Gregorian calendar to 15 October 1582.
const CUTOVER: i64 = days_gregorian(1582, 10, 15);

const fn shifted_year(year: i64, month: i64) -> (i64, i64) {
    if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    }
}

const fn days_gregorian(year: i64, month: i64, day: i64) -> i64 {
    let (y, m) = shifted_year(year, month);
    365 * y + y.div_euclid(4) - y.div_euclid(100) + y.div_euclid(400) + (153 * m + 2) / 5 + day - 1
}

const fn days_julian(year: i64, month: i64, day: i64) -> i64 {
    let (y, m) = shifted_year(year, month);
    365 * y + y.div_euclid(4) + (153 * m + 2) / 5 + day - 3
}

/// Returns the number of a day; month and day may be any number.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = (year + (month - 1).div_euclid(12), (month - 1).rem_euclid(12) + 1);
    let gregorian = days_gregorian(year, month, 1) + day - 1;
    if gregorian >= CUTOVER {
        return gregorian;
    }
    days_julian(year, month, 1) + day - 1
}

/// Returns year, month and day of a day's number.
fn civil(number: i64) -> (i64, i64, i64) {
    let (mut year, day_of) = if number >= CUTOVER {
        let era = number.div_euclid(146_097);
        let rest = number.rem_euclid(146_097);
        let year = (rest - rest / 1460 + rest / 36_524 - rest / 146_096) / 365;
        (era * 400 + year, rest - (365 * year + year / 4 - year / 100))
    } else {
        let number = number + 2;
        let cycle = number.div_euclid(1461);
        let rest = number.rem_euclid(1461);
        let year = (rest - rest / 1460) / 365;
        (cycle * 4 + year, rest - 365 * year)
    };
    let m = (5 * day_of + 2) / 153;
    let month = if m < 10 { m + 3 } else { m - 9 };
    if month <= 2 {
        year += 1;
    }
    (year, month, day_of - (153 * m + 2) / 5 + 1)
}

/// Reads a date with or without time as CTP does: year, month, day and the days that the time adds.
fn read(text: &str) -> Option<(i64, i64, i64, i64)> {
    let mut bare: String = text
        .chars()
        .filter(|c| !matches!(c, '@' | ':' | 'T' | '-') && !java::is_space(*c))
        .collect();
    if let Some(rest) = bare.strip_prefix("00") {
        bare = format!("19{rest}");
    }
    if !bare.is_ascii() {
        return None;
    }
    let number = |from: usize, to: usize| java::parse_int(bare.get(from..to)?).map(i64::from);
    let (year, month, day) = (number(0, 4)?, number(4, 6)?, number(6, 8)?);
    let time = bare.get(8..)?;
    let time = time.split('&').next().unwrap_or_default();
    if bare.len() == 8 {
        return Some((year, month, day, 0));
    }
    let part = |from: usize, to: usize| java::parse_int(time.get(from..to)?).map(i64::from);
    let (hours, minutes) = (part(0, 2)?, part(2, 4)?);
    #[expect(clippy::cast_possible_truncation, reason = "saturates, as in Java")]
    let seconds = match time.get(4..)? {
        "" => 0,
        seconds => i64::from(java::parse_float(seconds)? as i32),
    };
    Some((
        year,
        month,
        day,
        (hours * 3600 + minutes * 60 + seconds).div_euclid(86_400),
    ))
}

/// Prints a date in place of the date that a text begins with.
fn printed(number: i64, text: &str) -> String {
    let (year, month, day) = civil(number);
    let year = if year > 0 { year } else { 1 - year };
    let dash = if text.contains('-') { "-" } else { "" };
    let length = if dash.is_empty() { 8 } else { 10 };
    let rest = text.get(length..).unwrap_or_default();
    format!("{year:04}{dash}{month:02}{dash}{day:02}{rest}")
}

pub(crate) fn incremented(text: &str, more: i64) -> Option<String> {
    let (year, month, day, extra) = read(text)?;
    #[expect(clippy::cast_possible_truncation, reason = "Java keeps the lower half")]
    let more = i64::from(more as i32);
    Some(printed(days(year, month, day) + extra + more, text))
}

/// Returns the date with fields replaced, and whether that day is in the calendar.
fn modified(text: &str, year: i32, month: i32, day: i32) -> Option<(String, bool)> {
    let (y, m, d, extra) = read(text)?;
    let (y, m, d) = civil(days(y, m, d) + extra);
    let chosen = |new: i32, old: i64| if new < 0 { old } else { i64::from(new) };
    let (y, m, d) = (chosen(year, y), chosen(month, m), chosen(day, d));
    let number = days(y, m, d);
    Some((printed(number, text), civil(number) == (y, m, d)))
}

/// Reads the first eight characters as `yyyyMMdd`.
fn read_compact(text: &str) -> Option<i64> {
    let text: String = text.chars().take(8).collect();
    let digits = |from: usize, to: usize| {
        let part = text.get(from..to)?;
        part.bytes()
            .all(|b| b.is_ascii_digit())
            .then(|| part.parse::<i64>().ok())
            .flatten()
    };
    let rest: String = text.get(6..)?.chars().take_while(char::is_ascii_digit).collect();
    Some(days(digits(0, 4)?, digits(4, 6)?, rest.parse().ok()?))
}

/// Reads `M/d/yyyy`, what follows it left aside.
fn read_slashed(text: &str) -> Option<i64> {
    let mut parts = text.splitn(3, '/');
    let whole = |part: &str| java::trim(part).parse::<i32>().ok().map(i64::from);
    let (month, day) = (whole(parts.next()?)?, whole(parts.next()?)?);
    let year: String = parts
        .next()?
        .trim_start()
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    Some(days(year.parse::<i32>().ok()?.into(), month, day))
}

fn each(dates: &str, change: impl Fn(&str) -> Option<String>) -> Option<String> {
    let changed: Option<Vec<String>> = java::split(dates, '\\').into_iter().map(change).collect();
    changed.map(|dates| dates.join("\\"))
}

impl Evaluator<'_> {
    /// The date that a function is to change, or its answer where there is none.
    fn date_of(&self, call: &Call, this: u32) -> Result<String, String> {
        let name = call.args.first().ok_or_else(|| EMPTY.to_owned())?;
        match self.text_or_null(name, this) {
            None => Err(REMOVE.to_owned()),
            Some(date) if date.encode_utf16().count() < 8 => Err(EMPTY.to_owned()),
            Some(date) => Ok(date),
        }
    }

    /// A fault of the script, not of the date: CTP empties the element, strict mode holds the object.
    fn empties(&self, reason: &'static str) -> Result<String, Thrown> {
        if self.is_strict() {
            return Err(Thrown::strict(reason));
        }
        Ok(EMPTY.to_owned())
    }

    pub(crate) fn hash_date(&mut self, call: &Call, this: u32) -> Result<String, Thrown> {
        let dates = match self.date_of(call, this) {
            Ok(dates) => dates,
            Err(answer) => return Ok(answer),
        };
        let Some(key) = call.args.get(1) else {
            return self.empties("@hashdate lacks an argument");
        };
        let Some(key) = self.text_or_null(key, this) else {
            return Ok(REMOVE.to_owned());
        };
        let shift = if self.is_strict() {
            self.differs("days are taken from a keyed digest");
            self.pseudonyms.date_shift_days(self.issuer, &key)
        } else {
            let digits = super::digests::md5_decimal(&key);
            let last = digits.get(digits.len().saturating_sub(4)..).unwrap_or_default();
            let days = last.parse::<i64>().unwrap_or(0) % 3650;
            if days == 0 { -1 } else { -days }
        };
        Ok(each(&dates, |date| incremented(date, shift)).unwrap_or_else(|| EMPTY.to_owned()))
    }

    pub(crate) fn increment_date(&mut self, call: &Call, this: u32) -> Result<String, Thrown> {
        let dates = match self.date_of(call, this) {
            Ok(dates) => dates,
            Err(answer) => return Ok(answer),
        };
        let more = match call.args.as_slice() {
            [_, days] => self.parameter(days).and_then(java::parse_long),
            [_, key, key_type] => {
                let key = self.text_or_null(key, this);
                let found = match (key, self.parameter(key_type)) {
                    (Some(key), Some(key_type)) => self.found(key_type, &key).ok(),
                    _ => None,
                };
                found.and_then(|days| java::parse_long(&days))
            }
            _ => None,
        };
        let Some(more) = more else {
            return self.empties("@incrementdate has no number of days");
        };
        Ok(each(&dates, |date| incremented(date, more)).unwrap_or_else(|| EMPTY.to_owned()))
    }

    pub(crate) fn modify_date(&mut self, call: &Call, this: u32) -> Result<String, Thrown> {
        let dates = match self.date_of(call, this) {
            Ok(dates) => dates,
            Err(answer) => return Ok(answer),
        };
        let field = |index: usize| {
            let field = self.parameter(call.args.get(index)?)?;
            Some(java::parse_int(java::trim(field)).unwrap_or(-1))
        };
        let (Some(year), Some(month), Some(day)) = (field(1), field(2), field(3)) else {
            return self.empties("@modifydate lacks a year, month or day");
        };
        let mut exists = true;
        let mut out = Vec::new();
        for date in java::split(&dates, '\\') {
            let Some((date, of_calendar)) = modified(date, year, month, day) else {
                return Ok(EMPTY.to_owned());
            };
            exists &= of_calendar;
            out.push(date);
        }
        if !exists && self.is_strict() {
            return Err(Thrown::strict("@modifydate makes a day that does not exist"));
        }
        Ok(out.join("\\"))
    }

    pub(crate) fn date_interval(&mut self, call: &Call, this: u32) -> Result<String, Thrown> {
        self.interval(call, this)
            .ok_or_else(|| Thrown::new("!quarantine!", "@dateinterval found no dates to compare"))
    }

    fn interval(&self, call: &Call, this: u32) -> Option<String> {
        let [date, key_type, key, origin @ ..] = call.args.as_slice() else {
            return None;
        };
        let date = self.text(java::trim(date), this);
        // CTP says the top data set and takes the one above.
        let above = match self.reading.stack.len() {
            _ if self.is_strict() => self.reading.stack.first(),
            0 | 1 => self.reading.stack.last(),
            depth => self.reading.stack.get(depth - 2),
        };
        let key = self.reading.text_in(java::trim(key), this, above?).unwrap_or_default();
        let base = self.found(key_type, &key).ok()?;
        let days = read_compact(&date)? - read_slashed(&base)?;
        match origin.first() {
            None => Some(days.to_string()),
            Some(origin) => incremented(self.parameter(origin)?, days),
        }
    }

    pub(crate) fn date(&mut self, call: &Call) -> Result<String, Thrown> {
        let separator = unquoted(call, 0)?;
        Ok(self.now(&format!("%Y{0}%m{0}%d", separator.replace('%', "%%"))))
    }

    pub(crate) fn time(&mut self, call: &Call) -> Result<String, Thrown> {
        let separator = unquoted(call, 0)?;
        Ok(self.now(&format!("%H{0}%M{0}%S", separator.replace('%', "%%"))))
    }

    /// CTP tells the time of its machine; strict mode tells UTC, which is the same on every node.
    fn now(&self, form: &str) -> String {
        let now: DateTime<Utc> = self.setup.now();
        if self.is_strict() {
            return now.format(form).to_string();
        }
        now.with_timezone(&Local).format(form).to_string()
    }

    fn found(&self, key_type: &str, key: &str) -> Result<String, String> {
        match self.setup.lookup() {
            Some(table) => table.find(key_type, key),
            None => Err("missing lookup table".to_owned()),
        }
    }

    pub(crate) fn lookup(&mut self, call: &Call, this: u32) -> Result<String, Thrown> {
        let mut key: Vec<String> = Vec::new();
        for name in java::split(argument(call, 0).map_err(quarantined)?, '|') {
            key.push(self.text(java::trim(name), this));
        }
        let mut key = key.join("|").replace('\\', "");
        if call.args.get(2).is_some_and(|action| action == "UC") {
            key = key.to_uppercase();
        }
        let found = argument(call, 1).map_err(|thrown| thrown.message);
        let message = match found.and_then(|key_type| self.found(key_type, &key)) {
            Ok(value) => return Ok(value),
            Err(message) => message,
        };
        match (java::trim(&unquoted(call, 2)?), call.args.len()) {
            ("keep", 3..) => return Ok("@keep()".to_owned()),
            ("remove", 3..) => return Ok(REMOVE.to_owned()),
            ("empty", 3..) => return Ok(EMPTY.to_owned()),
            ("default", 4..) => return Ok(java::trim(&unquoted(call, 3)?).to_owned()),
            ("ignore", 4..) => {
                let matched = self.pattern(&unquoted(call, 3)?)?.matches(&key);
                if matched.map_err(|message| Thrown::new(message, "a pattern takes too many steps"))? {
                    return Ok(key);
                }
            }
            _ => {}
        }
        Err(Thrown::new(
            format!("!quarantine! - {message}"),
            "the lookup table has no such key",
        ))
    }

    pub(crate) fn integer(&mut self, call: &Call, this: u32) -> Result<String, Thrown> {
        let value = self.text(argument(call, 0).map_err(quarantined)?, this);
        let key_type = argument(call, 1).map_err(quarantined)?;
        let width = call.args.get(2).and_then(|width| java::parse_int(width)).unwrap_or(0);
        let Some(integers) = self.setup.integers() else {
            return Err(Thrown::new(
                "!quarantine! - missing IntegerTable",
                "@integer has nothing to keep its numbers in",
            ));
        };
        match integers.number(java::trim(key_type), java::trim(&value)) {
            // A longer number than any value may be is no number.
            Some(number) => Ok(format!(
                "{number:0width$}",
                width = usize::try_from(width).unwrap_or(0).min(64)
            )),
            None if self.is_strict() => Err(Thrown::strict("@integer could not keep a number")),
            None => Ok("error".to_owned()),
        }
    }
}

fn quarantined(thrown: Thrown) -> Thrown {
    Thrown {
        message: format!("!quarantine! - {}", thrown.message),
        ..thrown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_dates_are_the_same_thing() {
        for number in (-400_000..1_500_000).step_by(37) {
            let (y, m, d) = civil(number);
            assert_eq!(days(y, m, d), number, "{y} {m} {d}");
        }
        assert_eq!(civil(days(1582, 10, 15) - 1), (1582, 10, 4));
        assert_eq!(civil(days(2001, 2, 31)), (2001, 3, 3));
        assert_eq!(civil(days(2001, 13, 0)), (2001, 12, 31));
    }

    #[test]
    fn dates_are_moved_and_keep_what_follows() {
        for (text, more, expected) in [
            ("20040119", 1, Some("20040120")),
            ("20040119", 365, Some("20050118")),
            ("20040119", -3210, Some("19950406")),
            ("20040119072730.123456", 1, Some("20040120072730.123456")),
            ("2004-01-19", 1, Some("2004-01-20")),
            ("20041399", 0, Some("20050409")),
            ("00040119", 0, Some("19040119")),
            ("20040119xx", 1, None),
            ("200401190", 1, None),
            ("072730", 1, None),
        ] {
            assert_eq!(incremented(text, more).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn fields_are_replaced_and_a_day_that_does_not_exist_is_told() {
        assert_eq!(modified("20040119", 1900, -1, -1), Some(("19000119".to_owned(), true)));
        assert_eq!(modified("20040119", 2001, 2, 30), Some(("20010302".to_owned(), false)));
        assert_eq!(modified("20040119", -1, 1, 1), Some(("20040101".to_owned(), true)));
    }

    #[test]
    fn base_dates_are_american() {
        assert_eq!(
            read_compact("20040119").unwrap() - read_slashed("1/15/2004").unwrap(),
            4
        );
        assert_eq!(read_slashed("1-15-2004"), None);
        assert_eq!(read_compact("200401"), None);
    }
}
