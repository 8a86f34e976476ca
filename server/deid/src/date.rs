//! Dates and times as DICOM writes them, and shifting them by whole days.
//!
//! Only the date moves. Times stay, so that PET timing, midnight pairs and dynamic series stay right; DT keeps its zone and
//! precision (PS3.5 6.2). What is not a legal value gives `None`, and the caller must not keep it.

use chrono::{Days, NaiveDate};

fn number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// Returns the date of a DA value: `YYYYMMDD`, or the older `YYYY.MM.DD`.
pub(crate) fn parse_da(text: &str) -> Option<NaiveDate> {
    let (year, month, day) = match text.len() {
        8 => (text.get(..4)?, text.get(4..6)?, text.get(6..)?),
        10 if text.get(4..5) == Some(".") && text.get(7..8) == Some(".") => {
            (text.get(..4)?, text.get(5..7)?, text.get(8..)?)
        }
        _ => return None,
    };
    let year = i32::try_from(number(year)?).ok().filter(|year| *year > 0)?;
    NaiveDate::from_ymd_opt(year, number(month)?, number(day)?)
}

fn shifted(date: NaiveDate, days: i64) -> Option<NaiveDate> {
    use chrono::Datelike;
    let amount = Days::new(days.unsigned_abs());
    let date = if days < 0 {
        date.checked_sub_days(amount)
    } else {
        date.checked_add_days(amount)
    }?;
    (1..=9999).contains(&date.year()).then_some(date)
}

/// Returns the date with every end of a range moved.
pub(crate) fn shift_da(text: &str, days: i64) -> Option<String> {
    let one = |text: &str| Some(shifted(parse_da(text)?, days)?.format("%Y%m%d").to_string());
    match text.split_once('-') {
        None => one(text),
        Some((from, to)) => range(from, to, one),
    }
}

/// Returns the date and time with the date moved, and both ends of a range.
pub(crate) fn shift_dt(text: &str, days: i64) -> Option<String> {
    if let Some(single) = shift_one_dt(text, days) {
        return Some(single);
    }
    // A hyphen may begin a zone or separate a range; a reading in which both sides are whole wins.
    text.match_indices('-').find_map(|(at, _)| {
        let (from, to) = (text.get(..at)?, text.get(at + 1..)?);
        range(from, to, |text| shift_one_dt(text, days))
    })
}

fn range(from: &str, to: &str, one: impl Fn(&str) -> Option<String>) -> Option<String> {
    let end = |text: &str| {
        if text.is_empty() {
            Some(String::new())
        } else {
            one(text)
        }
    };
    if from.is_empty() && to.is_empty() {
        return None;
    }
    Some(format!("{}-{}", end(from)?, end(to)?))
}

fn shift_one_dt(text: &str, days: i64) -> Option<String> {
    let (date_time, zone) = split_zone(text);
    if !zone.is_empty() && !is_zone(zone) {
        return None;
    }
    let (date, time) = date_time.split_at_checked(8).unwrap_or((date_time, ""));
    match date.len() {
        8 => {
            if !time.is_empty() && !is_time(time) {
                return None;
            }
            let date = shifted(parse_da(date)?, days)?;
            Some(format!("{}{time}{zone}", date.format("%Y%m%d")))
        }
        // A partial value says less than a day; what stays is the year of its first day, shifted.
        4 => year_of(date, "01", days, zone),
        6 => year_of(date.get(..4)?, date.get(4..)?, days, zone),
        _ => None,
    }
}

fn year_of(year: &str, month: &str, days: i64, zone: &str) -> Option<String> {
    let first = parse_da(&format!("{year}{month}01"))?;
    Some(format!("{}{zone}", shifted(first, days)?.format("%Y")))
}

fn split_zone(text: &str) -> (&str, &str) {
    match text.find(['+', '-']) {
        Some(at) => text.split_at(at),
        None => (text, ""),
    }
}

/// Returns whether the text is an offset from UTC, `&ZZXX`, from -1200 to +1400.
pub(crate) fn is_zone(text: &str) -> bool {
    let offset = |text: &str| {
        let (hours, minutes) = (number(text.get(..2)?)?, number(text.get(2..)?)?);
        (text.len() == 4 && minutes < 60).then_some(hours * 100 + minutes)
    };
    match text.split_at_checked(1) {
        Some(("+", rest)) => offset(rest).is_some_and(|z| z <= 1400),
        Some(("-", rest)) => offset(rest).is_some_and(|z| z <= 1200),
        _ => false,
    }
}

/// Returns whether the text is one time of day: `HH[MM[SS[.F{1-6}]]]`.
fn is_time(text: &str) -> bool {
    let (whole, fraction) = match text.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (text, None),
    };
    if fraction.is_some_and(|fraction| whole.len() != 6 || fraction.len() > 6 || number(fraction).is_none()) {
        return false;
    }
    if !matches!(whole.len(), 2 | 4 | 6) {
        return false;
    }
    let below = |at: usize, limit: u32| match whole.get(at..at + 2) {
        Some(part) => number(part).is_some_and(|n| n < limit),
        None => true,
    };
    below(0, 24) && below(2, 60) && below(4, 61)
}

/// Returns whether the text is a legal TM value: a time, the older `HH:MM:SS`, or a range.
pub(crate) fn is_tm(text: &str) -> bool {
    let one = |text: &str| {
        let old = text.len() >= 5 && text.get(2..3) == Some(":");
        if old {
            is_time(&text.replace(':', ""))
        } else {
            is_time(text)
        }
    };
    match text.split_once('-') {
        None => one(text),
        Some((from, to)) => {
            (!from.is_empty() || !to.is_empty()) && (from.is_empty() || one(from)) && (to.is_empty() || one(to))
        }
    }
}

/// Returns the date of a DT value, if it goes down to the day.
pub(crate) fn date_of_dt(text: &str) -> Option<NaiveDate> {
    parse_da(text.get(..8)?)
}

/// Returns an age at a day as AS writes it; over 89 years it is 90, which hides a rare age (deid reference, section 10).
pub(crate) fn age(birth: NaiveDate, at: NaiveDate) -> Option<String> {
    let years = at.years_since(birth)?;
    Some(match years {
        90.. => "090Y".to_owned(),
        2..90 => format!("{years:03}Y"),
        0..2 => format!("{:03}M", (at - birth).num_days() / 31),
    })
}

/// Returns the age with more than 89 years made 90; `None` if it is no age.
pub(crate) fn limited_age(text: &str) -> Option<String> {
    let (count, unit) = text.split_at_checked(3)?;
    let count = number(count)?;
    match unit {
        "Y" if count > 89 => Some("090Y".to_owned()),
        "D" | "W" | "M" | "Y" => Some(text.to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_moves_by_whole_days() {
        assert_eq!(shift_da("20040119", -679).as_deref(), Some("20020311"));
        assert_eq!(shift_da("2004.01.19", -679).as_deref(), Some("20020311"));
        assert_eq!(shift_da("20040301", -1).as_deref(), Some("20040229"));
    }

    #[test]
    fn both_ends_of_a_range_move() {
        assert_eq!(
            shift_da("20040101-20040301", -366).as_deref(),
            Some("20021231-20030301")
        );
        assert_eq!(shift_da("20040101-", -1).as_deref(), Some("20031231-"));
        assert_eq!(shift_da("-20040101", -1).as_deref(), Some("-20031231"));
        assert_eq!(
            shift_dt("20040101-20040301", -366).as_deref(),
            Some("20021231-20030301")
        );
        assert_eq!(
            shift_dt("20040101120000-0500-20040102120000-0500", -1).as_deref(),
            Some("20031231120000-0500-20040101120000-0500")
        );
    }

    #[test]
    fn a_date_and_time_keeps_zone_and_precision() {
        assert_eq!(
            shift_dt("20040119072730.123456+0100", -679).as_deref(),
            Some("20020311072730.123456+0100")
        );
        assert_eq!(shift_dt("2004011907", -679).as_deref(), Some("2002031107"));
        assert_eq!(shift_dt("20040119-0500", -679).as_deref(), Some("20020311-0500"));
    }

    #[test]
    fn a_partial_date_and_time_keeps_the_year_of_its_first_day() {
        assert_eq!(shift_dt("2004", -679).as_deref(), Some("2002"));
        assert_eq!(shift_dt("200401", -366).as_deref(), Some("2002"));
        assert_eq!(shift_dt("200401+0100", -366).as_deref(), Some("2002+0100"));
        assert_eq!(shift_dt("2004-2005", -367).as_deref(), Some("2002-2003"));
    }

    #[test]
    fn what_is_no_date_is_not_shifted() {
        for bad in [
            "",
            "00000000",
            "20040230",
            "2004",
            "200401",
            "SMITH",
            "20040119x",
            "2004011",
            "-",
            "20041301",
        ] {
            assert_eq!(shift_da(bad, -400), None, "{bad}");
        }
        for bad in [
            "",
            "20040119250000",
            "20040119SMITH",
            "20040119+9900",
            "2004011907.5",
            "20041",
            "20040119 07",
        ] {
            assert_eq!(shift_dt(bad, -400), None, "{bad}");
        }
        assert_eq!(shift_da("00010101", -400), None, "no year before 1");
    }

    #[test]
    fn times_are_told_from_other_text() {
        for good in [
            "07",
            "0727",
            "072730",
            "072730.1",
            "235960.123456",
            "07:27:30",
            "0700-0800",
            "0700-",
        ] {
            assert!(is_tm(good), "{good}");
        }
        for bad in ["", "7", "24", "0760", "0727.5", "072730.1234567", "noon", "SMITH", "-"] {
            assert!(!is_tm(bad), "{bad}");
        }
    }

    #[test]
    fn ages_over_89_become_90() {
        assert_eq!(limited_age("055Y").as_deref(), Some("055Y"));
        assert_eq!(limited_age("089Y").as_deref(), Some("089Y"));
        assert_eq!(limited_age("101Y").as_deref(), Some("090Y"));
        assert_eq!(limited_age("006W").as_deref(), Some("006W"));
        for bad in ["55", "55Y", "055X", "SMITH", "055Y "] {
            assert_eq!(limited_age(bad), None, "{bad}");
        }
        let day = |y, m, d| NaiveDate::from_ymd_opt(y, m, d).unwrap();
        assert_eq!(age(day(1950, 6, 2), day(2004, 6, 1)).as_deref(), Some("053Y"));
        assert_eq!(age(day(1900, 1, 1), day(2004, 6, 1)).as_deref(), Some("090Y"));
        assert_eq!(age(day(2004, 1, 1), day(2004, 6, 1)).as_deref(), Some("004M"));
        assert_eq!(age(day(2004, 6, 2), day(2004, 6, 1)), None);
    }

    proptest::proptest! {
        #[test]
        fn intervals_are_kept(first in 730_000_i32..760_000, gap in 0_i32..20_000, days in -3653_i64..=-366) {
            let text = |day: i32| NaiveDate::from_num_days_from_ce_opt(day).unwrap().format("%Y%m%d").to_string();
            let moved = |day: i32| parse_da(&shift_da(&text(day), days).unwrap()).unwrap();
            proptest::prop_assert_eq!((moved(first + gap) - moved(first)).num_days(), i64::from(gap));
        }

        #[test]
        fn no_text_makes_shifting_panic(text in ".{0,40}", digits in "[0-9+-.]{0,30}") {
            for text in [text.as_str(), digits.as_str()] {
                let _ = (shift_da(text, -700), shift_dt(text, -700), is_tm(text), is_zone(text), limited_age(text));
            }
        }
    }
}
