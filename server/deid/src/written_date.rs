//! Dates as people write them inside text, and writing them again after they were shifted with their patient.
//!
//! The form stays: order of day, month and year, separators, names of months, zeros in front, a time behind eight digits.
//! A date that can be read in two ways is only rewritten where one reading is a date of this object; which day is meant is
//! else unknown, and it goes.

use std::ops::Range;

use chrono::{Datelike, Days, NaiveDate};

use crate::token::{Kind, Token, digit_runs, is_han, plausible};

/// One way to read a date, with where its parts stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reading {
    pub(crate) date: NaiveDate,
    form: Form,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Form {
    /// Year, month and day in the digits of `span`.
    Parts {
        year: Range<usize>,
        month: Range<usize>,
        day: Range<usize>,
    },
    /// The same with the month in words.
    Named {
        year: Range<usize>,
        month: Range<usize>,
        day: Range<usize>,
    },
    /// Told to be a date, and not to be written again.
    Unclear,
}

/// Something that may be a date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) span: Range<usize>,
    pub(crate) readings: Vec<Reading>,
}

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// Returns the number of a month by its name, whole or cut to three letters.
fn month_of(word: &str) -> Option<u32> {
    let word = word.to_lowercase();
    let at = MONTHS.iter().position(|month| {
        *month == word || word.len() == 3 && month.starts_with(&word) || word == "sept" && *month == "september"
    })?;
    u32::try_from(at + 1).ok()
}

/// Returns what may be read as a date.
pub(crate) fn find(text: &str, tokens: &[Token<'_>]) -> Vec<Written> {
    let runs = digit_runs(text);
    let mut found: Vec<Written> = runs.iter().filter_map(|run| in_digits(text, run)).collect();
    for three in runs.windows(3) {
        let [a, b, c] = three else { continue };
        let near = |left: &Range<usize>, right: &Range<usize>| {
            text.get(left.end..right.start).is_some_and(|between| {
                let mut chars = between.chars();
                let one = chars.next().is_some_and(|c| !c.is_alphabetic() || is_han(c));
                // In Korean a blank stands behind the word for year and month.
                one && chars.all(|c| c == ' ') && between.chars().count() <= 2
            })
        };
        if near(a, b) && near(b, c) {
            found.extend(in_three(text, [a, b, c]));
        }
    }
    found.extend(in_words(text, tokens));
    found
}

/// Eight digits, alone or with a time behind; longer runs that hold a date somewhere are told and not understood.
fn in_digits(text: &str, run: &Range<usize>) -> Option<Written> {
    let digits = text.get(run.clone())?;
    if digits.len() < 8 {
        return None;
    }
    let parts = |at: usize, order: [usize; 3]| -> Option<Reading> {
        // where year, month and day begin inside eight digits
        let [y, m, d] = order.map(|offset| run.start + at + offset);
        let (year, month, day) = (y..y + 4, m..m + 2, d..d + 2);
        let date = plausible(
            text.get(year.clone())?,
            text.get(month.clone())?,
            text.get(day.clone())?,
        )?;
        let clear = at == 0 && matches!(digits.len(), 8 | 12 | 14);
        let form = if clear {
            Form::Parts { year, month, day }
        } else {
            Form::Unclear
        };
        Some(Reading { date, form })
    };
    let mut readings: Vec<Reading> = Vec::new();
    for at in 0..=digits.len().saturating_sub(8).min(64) {
        readings.extend(
            [[0, 4, 6], [4, 2, 0], [4, 0, 2]]
                .into_iter()
                .filter_map(|order| parts(at, order)),
        );
    }
    // With a time behind only the order of DICOM is believed.
    if digits.len() > 8 {
        readings.truncate(1);
    }
    let span = run.clone();
    (!readings.is_empty()).then_some(Written { span, readings })
}

fn in_three(text: &str, [a, b, c]: [&Range<usize>; 3]) -> Option<Written> {
    let part = |range: &Range<usize>| text.get(range.clone()).unwrap_or_default();
    let reading = |year: &Range<usize>, month: &Range<usize>, day: &Range<usize>| {
        let parts = Form::Parts {
            year: year.clone(),
            month: month.clone(),
            day: day.clone(),
        };
        let whole = part(year);
        let centuries = if whole.len() == 4 {
            vec![whole.to_owned()]
        } else {
            vec![format!("19{whole}"), format!("20{whole}")]
        };
        centuries
            .into_iter()
            .filter_map(move |year| plausible(&year, part(month), part(day)))
            .map(move |date| Reading {
                date,
                form: parts.clone(),
            })
            .collect::<Vec<_>>()
    };
    let readings = match (part(a).len(), part(b).len(), part(c).len()) {
        (4, 1 | 2, 1 | 2) => reading(a, b, c),
        (1 | 2, 1 | 2, 4) => [reading(c, b, a), reading(c, a, b)].concat(),
        (2, 2, 2) => [reading(c, b, a), reading(c, a, b), reading(a, b, c)].concat(),
        _ => Vec::new(),
    };
    let span = a.start..c.end;
    (!readings.is_empty()).then_some(Written { span, readings })
}

/// A month by name, with day and year around it; without both it is a date that cannot be written again.
fn in_words(text: &str, tokens: &[Token<'_>]) -> Vec<Written> {
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        let Some(month) = (token.kind == Kind::Word).then(|| month_of(token.text)).flatten() else {
            continue;
        };
        let neighbour = |index: Option<usize>| {
            index
                .and_then(|index| tokens.get(index))
                .filter(|other| other.kind != Kind::Word)
        };
        let (before, after, later) = (
            neighbour(at.checked_sub(1)),
            neighbour(Some(at + 1)),
            neighbour(Some(at + 2)),
        );
        let numeric = |other: &&Token<'_>| other.text.starts_with(|c: char| c.is_ascii_digit());
        let near = |left: &Token<'_>, right: &Token<'_>| {
            text.get(left.span.end..right.span.start)
                .is_some_and(|gap| gap.chars().count() <= 2 && !gap.contains('\n'))
        };
        let before = before.filter(numeric).filter(|other| near(other, token));
        let after = after.filter(numeric).filter(|other| near(token, other));
        let later = later
            .filter(numeric)
            .filter(|other| after.is_some_and(|after| near(after, other)));
        let clear = |day: Option<&Token<'_>>, year: Option<&Token<'_>>| {
            let (day, year) = (
                day.filter(|day| day.text.len() <= 2)?,
                year.filter(|year| year.text.len() == 4)?,
            );
            let date = plausible(year.text, &month.to_string(), day.text)?;
            let form = Form::Named {
                year: year.span.clone(),
                month: token.span.clone(),
                day: day.span.clone(),
            };
            let start = day.span.start.min(token.span.start);
            Some((start..year.span.end, Reading { date, form }))
        };
        if let Some((span, reading)) = clear(before, after).or_else(|| clear(after, later)) {
            found.push(Written {
                span,
                readings: vec![reading],
            });
        } else if before.is_some() || after.is_some() {
            let start = before.map_or(token.span.start, |token| token.span.start);
            let end = after.map_or(token.span.end, |token| token.span.end);
            found.push(Written {
                span: start..end,
                readings: Vec::new(),
            });
        }
    }
    found
}

impl Written {
    /// Returns the text of the span with the date of a reading moved; `None` where the form is not understood.
    pub(crate) fn shifted(&self, text: &str, reading: &Reading, days: i64) -> Option<String> {
        let amount = Days::new(days.unsigned_abs());
        let date = if days < 0 {
            reading.date.checked_sub_days(amount)
        } else {
            reading.date.checked_add_days(amount)
        }?;
        let (year, month, day, named) = match &reading.form {
            Form::Parts { year, month, day } => (year, month, day, false),
            Form::Named { year, month, day } => (year, month, day, true),
            Form::Unclear => return None,
        };
        let part = |range: &Range<usize>| text.get(range.clone()).unwrap_or_default();
        let zeros = named && part(day).starts_with('0')
            || !named
                && (part(month).len() == 2 && part(day).len() == 2
                    || part(month).starts_with('0')
                    || part(day).starts_with('0'));
        let two = |number: u32| {
            if zeros {
                format!("{number:02}")
            } else {
                number.to_string()
            }
        };
        let new_year = match part(year).len() {
            2 => format!("{:02}", date.year().rem_euclid(100)),
            _ => format!("{:04}", date.year()),
        };
        let new_month = if named {
            name_like(part(month), date.month())
        } else {
            two(date.month())
        };
        let mut parts = [(year, new_year), (month, new_month), (day, two(date.day()))];
        parts.sort_by_key(|(range, _)| range.start);
        let mut out = String::new();
        let mut at = self.span.start;
        for (range, new) in &parts {
            out.push_str(text.get(at..range.start)?);
            out.push_str(new);
            at = range.end;
        }
        out.push_str(text.get(at..self.span.end)?);
        Some(out)
    }
}

/// Writes a month as another one was written: cut or whole, in capitals or not.
fn name_like(model: &str, month: u32) -> String {
    let index = (month as usize).saturating_sub(1);
    let whole = MONTHS.get(index).copied().unwrap_or_default();
    // `may` is whole and cut at once; the shorter is taken.
    let name = if model.len() <= 4 {
        whole.get(..3).unwrap_or(whole)
    } else {
        whole
    };
    if model.chars().all(char::is_uppercase) {
        name.to_uppercase()
    } else if model.starts_with(char::is_uppercase) {
        let mut letters = name.chars();
        letters
            .next()
            .map(|first| first.to_ascii_uppercase())
            .into_iter()
            .chain(letters)
            .collect()
    } else {
        name.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::tokens;

    fn moved(text: &str) -> Vec<String> {
        let mut all: Vec<String> = find(text, &tokens(text))
            .iter()
            .flat_map(|written| {
                written
                    .readings
                    .iter()
                    .map(|reading| written.shifted(text, reading, -679).unwrap_or_else(|| "?".to_owned()))
            })
            .collect();
        all.sort();
        all.dedup();
        all
    }

    #[test]
    fn the_form_of_a_date_stays() {
        for (text, expected) in [
            ("on 2004-01-19.", "2002-03-11"),
            ("20040119", "20020311"),
            ("20040119072730", "20020311072730"),
            ("19.1.2004", "11.3.2002"),
            ("19.01.2004", "11.03.2002"),
            ("01/19/2004", "03/11/2002"),
            ("2004年1月19日", "2002年3月11"),
            ("19 Jan 2004", "11 Mar 2002"),
            ("19-JAN-2004", "11-MAR-2002"),
            ("January 19, 2004", "March 11, 2002"),
        ] {
            assert_eq!(moved(text), [expected], "{text}");
        }
    }

    #[test]
    fn a_date_with_two_readings_has_both() {
        assert_eq!(moved("03/07/2020").len(), 2);
        assert_eq!(moved("1.5 2.0 3"), Vec::<String>::new());
        assert_eq!(moved("9920040119"), ["?"]);
    }

    #[test]
    fn a_month_without_a_day_is_told_and_has_no_reading() {
        let text = "since Jan 2004";
        let found = find(text, &tokens(text));
        assert_eq!(found.len(), 1);
        assert!(found[0].readings.is_empty() && text.get(found[0].span.clone()) == Some("Jan 2004"));
    }
}
