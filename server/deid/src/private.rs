//! Private attributes that hold nothing but numbers (OBIA's rule; deid reference, section 12, rule 5).
//!
//! A number can still be a record number, a birth date or a Unix time, so each is read: no digits of anything known, no
//! eight digits that are a date, no time stamp of the patient's years, no date in three values side by side, no text spelled
//! in character codes. Where one value fails, the element goes.

use chrono::NaiveDate;
use dicom_core::value::PrimitiveValue;
use dicom_core::{Tag, VR};

use crate::known::Known;
use crate::value;

/// More values than these are not read, and so do not stay.
const MOST_VALUES: u32 = 65_536;

/// Returns whether a VR is of numbers only.
pub(crate) fn is_numeric(vr: VR) -> bool {
    matches!(
        vr,
        VR::FD | VR::FL | VR::SL | VR::SS | VR::UL | VR::US | VR::SV | VR::UV | VR::DS | VR::IS | VR::AT
    )
}

/// Returns whether the value really is numbers, and none of them says who or when.
pub(crate) fn is_harmless(vr: VR, value: &PrimitiveValue, known: &Known) -> bool {
    if !is_numeric(vr) || value.multiplicity() > MOST_VALUES {
        return false;
    }
    match value {
        PrimitiveValue::Empty => true,
        PrimitiveValue::U16(v) => integers(v.iter().map(|n| i128::from(*n)), known),
        PrimitiveValue::I16(v) => integers(v.iter().map(|n| i128::from(*n)), known),
        PrimitiveValue::U32(v) => integers(v.iter().map(|n| i128::from(*n)), known),
        PrimitiveValue::I32(v) => integers(v.iter().map(|n| i128::from(*n)), known),
        PrimitiveValue::U64(v) => integers(v.iter().map(|n| i128::from(*n)), known),
        PrimitiveValue::I64(v) => integers(v.iter().map(|n| i128::from(*n)), known),
        PrimitiveValue::F32(v) => v
            .iter()
            .all(|n| is_short(f64::from(*n)) || float(f64::from(*n), &n.to_string(), known)),
        PrimitiveValue::F64(v) => v.iter().all(|n| is_short(*n) || float(*n, &n.to_string(), known)),
        PrimitiveValue::Tags(tags) => tags.iter().all(|tag| tag_is_harmless(*tag, known)),
        PrimitiveValue::Str(_) | PrimitiveValue::Strs(_) => value::texts(value, vr).is_some_and(|texts| {
            texts.iter().all(|text| decimal(text, known))
                && triples(texts.iter().filter_map(|text| text.trim().parse().ok()), known)
        }),
        _ => false,
    }
}

fn integers(numbers: impl Iterator<Item = i128> + Clone, known: &Known) -> bool {
    let each = numbers.clone().all(|n| integer(n, known));
    let narrow = numbers.clone().filter_map(|n| i64::try_from(n).ok());
    // One number of four bytes spells nothing that is long enough to be known.
    let short = numbers.clone().nth(1).is_none() && numbers.clone().all(|n| u32::try_from(n.unsigned_abs()).is_ok());
    each && triples(narrow, known) && (short || !spells(numbers, known))
}

fn integer(number: i128, known: &Known) -> bool {
    let digits = number.unsigned_abs().to_string();
    // Everything below a hundred is too short to be anybody's.
    digits.len() < 3 || (!known.in_integer(&digits) && !is_unix_time(number, known))
}

/// Returns whether a number has two digits before the point and five after it at most, and so says nothing: an identifier
/// or a date has more. It spares most measurements being written out.
fn is_short(number: f64) -> bool {
    number.abs() < 100.0 && (number * 1e5).round() / 1e5 == number
}

fn float(number: f64, shortest: &str, known: &Known) -> bool {
    if number.is_finite() && number.fract() == 0.0 && number.abs() < 1e18 {
        #[expect(clippy::cast_possible_truncation, reason = "whole and below 1e18")]
        return integer(number as i128, known);
    }
    let (whole, fraction) = shortest.split_once('.').unwrap_or((shortest, ""));
    let whole = whole.trim_start_matches('-');
    let seconds = whole.parse().is_ok_and(|n| is_unix_time(n, known));
    !seconds && (whole.len() < 3 || !known.in_integer(whole)) && !known.in_fraction(fraction)
}

fn decimal(text: &str, known: &Known) -> bool {
    let text = text.trim_matches([' ', '\0']);
    if text.is_empty() {
        return true;
    }
    if !value::is_numeric_text(text) {
        return false;
    }
    // As in `is_short`, by what is written.
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if let Some((whole, fraction)) = text.split_once('.')
        && whole.trim_start_matches(['+', '-']).len() < 3
        && fraction.len() < 6
        && digits(whole.trim_start_matches(['+', '-']))
        && digits(fraction)
    {
        return true;
    }
    match text.parse::<i128>() {
        // As written too: leading zeros are part of a record number.
        Ok(number) => integer(number, known) && !known.in_integer(text.trim_start_matches(['+', '-'])),
        Err(_) => text.parse().is_ok_and(|number| {
            let mantissa = text.split(['e', 'E']).next().unwrap_or(text);
            float(number, mantissa.trim_start_matches('+'), known)
        }),
    }
}

fn tag_is_harmless(tag: Tag, known: &Known) -> bool {
    !known.in_integer(&format!("{:04X}{:04X}", tag.0, tag.1))
}

const DAY: i128 = 86_400;
/// Time stamps are looked for this many days around each of the patient's dates.
const YEARS_AROUND: i64 = 3653;

/// Returns whether a number is a Unix time, in seconds or milliseconds, near one of the patient's dates; where the object
/// has no date, any time since 1980 counts.
fn is_unix_time(number: i128, known: &Known) -> bool {
    if number < 315_532_800 {
        return false; // before 1980 no scanner counted
    }
    let near = |day: i128| {
        let mut dates = known.dates().peekable();
        if dates.peek().is_none() {
            return day < 51_000; // 2109
        }
        dates.any(|date| {
            let days = (date - NaiveDate::default()).num_days(); // the default is 1970-01-01
            (day - i128::from(days)).abs() <= i128::from(YEARS_AROUND)
        })
    };
    near(number / DAY) || near(number / (DAY * 1000))
}

fn triples(numbers: impl Iterator<Item = i64>, known: &Known) -> bool {
    let mut last: [Option<i64>; 2] = [None, None];
    for number in numbers {
        if let [Some(a), Some(b)] = last
            && known.in_triple([a, b, number])
        {
            return false;
        }
        last = [last[1], Some(number)];
    }
    true
}

/// Returns whether numbers spell something known: one character each, or packed in the bytes of wider numbers.
fn spells(numbers: impl Iterator<Item = i128> + Clone, known: &Known) -> bool {
    let one_each: String = numbers
        .clone()
        .filter_map(|n| u32::try_from(n).ok().and_then(char::from_u32))
        .collect();
    if known.in_text(&one_each) {
        return true;
    }
    let packed: Vec<u8> = numbers
        .clone()
        .flat_map(|n| n.to_le_bytes())
        .filter(|b| *b != 0)
        .collect();
    let reversed: Vec<u8> = numbers.flat_map(|n| n.to_be_bytes()).filter(|b| *b != 0).collect();
    known.in_bytes(&packed) || known.in_bytes(&reversed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::known::tests::{known, quellmann};
    use dicom_core::smallvec::smallvec;

    fn ul(number: u32) -> PrimitiveValue {
        PrimitiveValue::U32(smallvec![number])
    }

    #[test]
    fn measurements_are_harmless() {
        let known = quellmann();
        for (vr, value) in [
            (VR::US, PrimitiveValue::U16(smallvec![512, 512, 1])),
            (VR::UL, ul(4_000_000)),
            (VR::FD, PrimitiveValue::F64(smallvec![0.123456789, -1.5e-9, 65535.0])),
            (VR::FL, PrimitiveValue::F32(smallvec![1.0, 2.5])),
            (VR::DS, "-0.0125\\3.4e5".into()),
            (VR::IS, "12 ".into()),
            (VR::SL, PrimitiveValue::Empty),
        ] {
            assert!(is_harmless(vr, &value, &known), "{vr:?} {value:?}");
        }
    }

    #[test]
    fn identifiers_dates_and_spelled_names_are_not() {
        let known = quellmann();
        let spelled = PrimitiveValue::U16("Quellmann".encode_utf16().collect());
        let packed = PrimitiveValue::U32(
            b"QuellmannXYZ"
                .chunks(4)
                .map(|four| u32::from_le_bytes(four.try_into().unwrap()))
                .collect(),
        );
        for (vr, value) in [
            (VR::UL, ul(2_188_878)),
            (VR::UL, ul(670_276_249)),
            (VR::FD, PrimitiveValue::F64(smallvec![19_731_025.0])),
            (VR::UL, ul(20_010_203)),
            (VR::DS, "20200703.5".into()),
            (VR::IS, "731025".into()),
            (VR::US, PrimitiveValue::U16(smallvec![1973, 10, 25])),
            (VR::IS, "25\\10\\1973".into()),
            (VR::SL, PrimitiveValue::I32(smallvec![1_593_734_400])),
            (VR::FD, PrimitiveValue::F64(smallvec![1_593_734_400.25])),
            (VR::SV, PrimitiveValue::I64(smallvec![1_593_734_400_000])),
            (VR::US, spelled),
            (VR::UL, packed),
            (VR::DS, "Smith".into()),
            (VR::LO, "1".into()),
            (VR::UN, PrimitiveValue::U8(smallvec![1])),
            (VR::IS, "02188878".into()),
        ] {
            assert!(!is_harmless(vr, &value, &known), "{vr:?} {value:?}");
        }
    }

    #[test]
    fn the_unix_time_of_ct_small_is_found() {
        // (0009,[GEMS_IDEN_01]27) of a well-known test file: 1997-04-30, the day of its series.
        let known = known(&[(Tag(0x0008, 0x0021), VR::DA, "19970430")]);
        assert!(!is_harmless(
            VR::SL,
            &PrimitiveValue::I32(smallvec![862_399_669]),
            &known
        ));
    }
}
