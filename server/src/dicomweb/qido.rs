//! Search, QIDO-RS, PS3.18 10.6: a URL is parsed into a [`Query`], schema finds, and rows are shaped into DICOM JSON.
//!
//! Parsing is strict, because the other way is dangerous: a misspelt attribute that is silently ignored turns a narrow search
//! into "all studies". So an attribute that nobody knows, or that this archive does not match on, is 400 and named. Values are
//! percent-decoded exactly once. A raw `+` means a plus sign (RFC 3986), except in person names, dates, times, numbers and UIDs,
//! where none can be meant and form encoders write a space so.

use std::collections::BTreeSet;

use dicom_core::dictionary::DataDictionary as _;
use dicom_dictionary_std::StandardDataDictionary;
use isocenter_model::query::{Include, Key, KeyKind, Query, Rule};
use isocenter_model::{Level, SeriesInstanceUid, SopInstanceUid, StudyInstanceUid};
use percent_encoding::percent_decode_str;

/// What this archive gives at most for a search over all studies; below a study a search gives everything, as viewers expect.
pub const MAX_ROWS: u64 = 1000;

/// Sent with fuzzy answers whose algorithm the conformance statement describes, and never otherwise.
const IGNORED: &str = "The emptyvaluematching and multiplevaluematching parameters are not supported.";

/// A search as the client asked for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    /// What to find.
    pub query: Query,
    /// Texts of the warnings that the answer carries.
    pub warnings: Vec<&'static str>,
}

/// Why a search cannot be understood; names the parameter, never repeats its value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(pub String);

fn invalid<T>(parameter: &str, reason: &str) -> Result<T, Invalid> {
    // The name came from a stranger too.
    let name: String = parameter
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || *c == '.')
        .take(64)
        .collect();
    Err(Invalid(format!("parameter {name}: {reason}")))
}

/// Splits a query string and decodes names and values, once.
///
/// # Errors
/// When a name or a value is not UTF-8 or holds a control character.
pub fn parameters(query_string: &str) -> Result<Vec<(String, String, bool)>, Invalid> {
    let decode = |text: &str| {
        percent_decode_str(text)
            .decode_utf8()
            .ok()
            .filter(|text| !text.contains(char::is_control))
            .map(std::borrow::Cow::into_owned)
            .ok_or_else(|| Invalid("the query is not percent-encoded UTF-8".into()))
    };
    query_string
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decode(name)?, decode(value)?, value.contains('+')))
        })
        .collect()
}

/// Returns the decoded `accept` query parameter, 8.3.3.1.
pub fn accept_parameter(query_string: &str) -> Option<String> {
    let all: Vec<String> = parameters(query_string)
        .ok()?
        .into_iter()
        .filter(|(name, _, _)| name == "accept")
        .map(|(_, value, _)| value)
        .collect();
    (!all.is_empty()).then(|| all.join(","))
}

/// What an attribute's name stands for.
enum Named {
    Key(Key),
    /// In the dictionary, or a private tag; not matched on.
    Known,
    Unknown,
}

fn tag_of(name: &str) -> Option<u32> {
    if name.len() == 8 && name.bytes().all(|b| b.is_ascii_hexdigit()) {
        return u32::from_str_radix(name, 16).ok();
    }
    let entry = StandardDataDictionary.by_name(name)?;
    let tag = dicom_core::dictionary::DataDictionaryEntry::tag(entry);
    Some((u32::from(tag.group()) << 16) | u32::from(tag.element()))
}

const REQUEST_ATTRIBUTES_SEQUENCE: u32 = 0x0040_0275;

fn named(name: &str) -> Named {
    let (path, last) = name
        .rsplit_once('.')
        .map_or((None, name), |(path, last)| (Some(path), last));
    let Some(tag) = tag_of(last) else { return Named::Unknown };
    let key = Key::ALL.iter().copied().find(|key| key.tag() == tag);
    match (path, key) {
        (None, Some(key)) => Named::Key(key),
        (Some(path), Some(key @ (Key::ScheduledProcedureStepID | Key::RequestedProcedureID)))
            if tag_of(path) == Some(REQUEST_ATTRIBUTES_SEQUENCE) =>
        {
            Named::Key(key)
        }
        (None, None) => Named::Known,
        (Some(path), _) if path.split('.').all(|step| tag_of(step).is_some()) => Named::Known,
        (Some(_), _) => Named::Unknown,
    }
}

/// Parses a search.
///
/// # Errors
/// [`Invalid`] names the first parameter that cannot be understood: 400.
pub fn parse(
    level: Level,
    study: Option<StudyInstanceUid>,
    series: Option<SeriesInstanceUid>,
    query_string: &str,
) -> Result<Search, Invalid> {
    let mut query = Query {
        study,
        series,
        ..Query::all(level)
    };
    let mut warnings = Vec::new();
    let mut seen = BTreeSet::new();
    for (name, value, plus) in parameters(query_string)? {
        match name.as_str() {
            "includefield" => include(&mut query.include, &value)?,
            "limit" => once(&mut seen, &name)
                .and_then(|()| unsigned(&name, &value))
                .map(|n| query.limit = Some(n))?,
            "offset" => once(&mut seen, &name)
                .and_then(|()| unsigned(&name, &value))
                .map(|n| query.offset = n)?,
            "fuzzymatching" => {
                once(&mut seen, &name)?;
                query.fuzzy = match value.as_str() {
                    "true" => true,
                    "false" => false,
                    _ => return invalid(&name, "expected true or false"),
                };
            }
            "emptyvaluematching" | "multiplevaluematching" => warnings.push(IGNORED),
            "accept" | "charset" => {}
            _ => {
                let key = match named(&name) {
                    Named::Key(key) => key,
                    Named::Known => return invalid(&name, "this archive does not match on that attribute"),
                    Named::Unknown => return invalid(&name, "not an attribute or parameter of a search"),
                };
                if key.level() > level {
                    return invalid(&name, "belongs to a level below the one that is searched");
                }
                once(&mut seen, key.keyword())?;
                let value = match key.kind() {
                    KeyKind::Text | KeyKind::Codes => value,
                    _ if plus => value.replace('+', " "),
                    _ => value,
                };
                query
                    .matching
                    .push((key, rule(key, &value).or_else(|reason| invalid(&name, reason))?));
            }
        }
    }
    warnings.dedup();
    Ok(Search { query, warnings })
}

fn once(seen: &mut BTreeSet<String>, name: &str) -> Result<(), Invalid> {
    if seen.insert(name.to_owned()) {
        Ok(())
    } else {
        invalid(name, "given more than once")
    }
}

fn unsigned(name: &str, value: &str) -> Result<u64, Invalid> {
    let digits = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
    // What does not fit is as good as endless, but must fit the database's signed numbers.
    if digits {
        Ok(value.parse::<u64>().unwrap_or(u64::MAX).min(i64::MAX as u64))
    } else {
        invalid(name, "expected an unsigned integer")
    }
}

fn include(into: &mut Include, value: &str) -> Result<(), Invalid> {
    for field in value.split(',').map(str::trim).filter(|field| !field.is_empty()) {
        if field == "all" {
            into.all = true;
            continue;
        }
        // Of a path the whole sequence is returned.
        let top = field.split('.').next().unwrap_or(field);
        match tag_of(top) {
            Some(tag) => into.tags.push(tag),
            None => return invalid("includefield", "not the keyword or tag of an attribute"),
        }
    }
    Ok(())
}

/// Returns how a key's value must match, PS3.4 C.2.2.2.
fn rule(key: Key, value: &str) -> Result<Rule, &'static str> {
    let value = value.trim();
    if value.chars().all(|c| c == '*') {
        return Ok(Rule::Universal);
    }
    match key.kind() {
        KeyKind::Text | KeyKind::PersonName | KeyKind::Codes => {
            let wild = value.contains(['*', '?']);
            Ok(if wild {
                Rule::Wildcard(value.into())
            } else {
                Rule::Equals(value.into())
            })
        }
        KeyKind::Uid => uids(value),
        KeyKind::Date => range(value, |text, _| date(text)),
        KeyKind::Time => range(value, time),
        KeyKind::Number => match value.parse::<i64>() {
            Ok(number) => Ok(Rule::Equals(number.to_string())),
            Err(_) => Err("expected an integer"),
        },
    }
}

fn uids(value: &str) -> Result<Rule, &'static str> {
    let mut list = Vec::new();
    for text in value.split([',', '\\']) {
        // The three UID types obey one grammar.
        list.push(
            SopInstanceUid::parse(text)
                .map_err(|_| "expected a UID or a list of UIDs")?
                .to_string(),
        );
    }
    match list.as_slice() {
        [one] => Ok(Rule::Equals(one.clone())),
        _ => Ok(Rule::AnyOf(list)),
    }
}

/// Which end of a range a value stands at; a partial time is filled up downwards or upwards.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    From,
    To,
}

fn range(value: &str, one: impl Fn(&str, End) -> Result<String, &'static str>) -> Result<Rule, &'static str> {
    let bound = |text: &str, end| match text.trim() {
        "" => Ok(None),
        text => one(text, end).map(Some),
    };
    let (from, to) = value.split_once('-').unwrap_or((value, value));
    let (from, to) = (bound(from, End::From)?, bound(to, End::To)?);
    Ok(match (from, to) {
        (None, None) => Rule::Universal,
        (Some(a), Some(b)) if a == b => Rule::Equals(a),
        (from, to) => Rule::Range(from, to),
    })
}

fn date(text: &str) -> Result<String, &'static str> {
    const WRONG: &str = "expected a date as YYYYMMDD or a range of two";
    let digits = text.len() == 8 && text.bytes().all(|b| b.is_ascii_digit());
    let real = digits && chrono::NaiveDate::parse_from_str(text, "%Y%m%d").is_ok();
    if real { Ok(text.to_owned()) } else { Err(WRONG) }
}

fn time(text: &str, end: End) -> Result<String, &'static str> {
    const WRONG: &str = "expected a time as HH, HHMM, HHMMSS or HHMMSS.FFFFFF, or a range of two";
    let (clock, fraction) = text
        .split_once('.')
        .map_or((text, None), |(clock, fraction)| (clock, Some(fraction)));
    let all_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let whole = matches!(clock.len(), 2 | 4 | 6) && all_digits(clock);
    let fraction_fits = fraction.is_none_or(|fraction| clock.len() == 6 && fraction.len() <= 6 && all_digits(fraction));
    if !whole || !fraction_fits {
        return Err(WRONG);
    }
    let filler = if end == End::From { "000000" } else { "235959" };
    let full = format!("{clock}{}", filler.get(clock.len()..).unwrap_or_default());
    let in_range = |at: usize, most: u32| {
        full.get(at..at + 2)
            .and_then(|two| two.parse::<u32>().ok())
            .is_some_and(|number| number <= most)
    };
    // A leap second is a time too.
    if !(in_range(0, 23) && in_range(2, 59) && in_range(4, 60)) {
        return Err(WRONG);
    }
    let fill = if end == End::From { '0' } else { '9' };
    Ok(format!("{full}.{:<6}", fraction.unwrap_or("")).replace(' ', &fill.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(level: Level, text: &str) -> Result<Query, String> {
        parse(level, None, None, text)
            .map(|search| search.query)
            .map_err(|error| error.0)
    }

    fn one(text: &str) -> (Key, Rule) {
        let mut matching = query(Level::Instance, text).unwrap().matching;
        assert_eq!(matching.len(), 1, "{text}");
        matching.remove(0)
    }

    #[test]
    fn attributes_are_named_by_keyword_tag_and_path() {
        let equals = |text: &str| Rule::Equals(text.into());
        assert_eq!(one("PatientID=A"), (Key::PatientID, equals("A")));
        assert_eq!(one("00100020=A"), (Key::PatientID, equals("A")));
        assert_eq!(one("0020000d=1.2"), (Key::StudyInstanceUID, equals("1.2")));
        for path in [
            "RequestAttributesSequence.ScheduledProcedureStepID",
            "00400275.00400009",
            "00400275.ScheduledProcedureStepID",
        ] {
            assert_eq!(one(&format!("{path}=x")), (Key::ScheduledProcedureStepID, equals("x")));
        }
    }

    #[test]
    fn unknown_and_unmatchable_attributes_are_named() {
        for (text, name) in [
            ("PatientIDD=1", "PatientIDD"),
            ("patientid=1", "patientid"),
            ("PixelSpacing=1", "PixelSpacing"),
            ("00280030=1", "00280030"),
            ("00091001=1", "00091001"),
            ("Nope.Modality=CT", "Nope.Modality"),
            (
                "ReferencedSeriesSequence.Modality=CT",
                "ReferencedSeriesSequence.Modality",
            ),
            ("<script>=1", "script"),
            ("limit=abc", "limit"),
            ("limit=-1", "limit"),
            ("limit=", "limit"),
            ("offset=1.5", "offset"),
            ("limit=1&limit=2", "limit"),
            ("PatientID=1&00100020=2", "PatientID"),
            ("fuzzymatching=yes", "fuzzymatching"),
            ("includefield=Nope", "includefield"),
            ("StudyDate=2024", "StudyDate"),
            ("StudyDate=20240230", "StudyDate"),
            ("StudyDate=2024*", "StudyDate"),
            ("StudyDate=20240101-2024013", "StudyDate"),
            ("StudyTime=25", "StudyTime"),
            ("StudyTime=1", "StudyTime"),
            ("StudyTime=10.5", "StudyTime"),
            ("StudyTime=10%3A30", "StudyTime"),
            ("StudyInstanceUID=1.2.*", "StudyInstanceUID"),
            ("SeriesNumber=x", "SeriesNumber"),
        ] {
            let error = query(Level::Instance, text).unwrap_err();
            assert!(error.contains(name), "{text}: {error}");
        }
        assert!(query(Level::Study, "Modality=CT").is_err());
        assert!(query(Level::Series, "SOPClassUID=1.2").is_err());
        assert!(query(Level::Series, "PatientID=1").is_ok());
        assert!(query(Level::Study, "PatientName=%FF").is_err());
        assert!(query(Level::Study, "PatientName=%00").is_err());
    }

    #[test]
    fn what_is_sent_encoded_is_decoded_once() {
        assert_eq!(one("PatientName=Doe%5EJ*").1, Rule::Wildcard("Doe^J*".into()));
        assert_eq!(one("PatientName=%E7%8E%8B*").1, Rule::Wildcard("王*".into()));
        assert_eq!(one("PatientName=100%2525").1, Rule::Equals("100%25".into()));
        assert_eq!(
            query(Level::Study, "includefield=00081030%2C00080060&includefield=PatientAge")
                .unwrap()
                .include
                .tags,
            [0x0008_1030, 0x0008_0060, 0x0010_1010]
        );
        assert!(query(Level::Study, "includefield=00081030,all").unwrap().include.all);
    }

    #[test]
    fn a_plus_is_a_space_where_no_plus_can_be_meant() {
        assert_eq!(one("PatientName=Doe+Jane").1, Rule::Equals("Doe Jane".into()));
        assert_eq!(one("PatientName=Doe%2BJane").1, Rule::Equals("Doe+Jane".into()));
        assert_eq!(one("SeriesDescription=T1+C").1, Rule::Equals("T1+C".into()));
    }

    #[test]
    fn empty_values_and_lone_stars_match_everything() {
        for text in [
            "PatientName=",
            "PatientName=*",
            "PatientID=**",
            "StudyDate=",
            "StudyDate=-",
            "StudyInstanceUID=",
            "SeriesNumber",
        ] {
            assert_eq!(one(text).1, Rule::Universal, "{text}");
        }
    }

    #[test]
    fn wildcards_are_for_texts_and_sql_has_no_say() {
        assert_eq!(one("PatientID=A?").1, Rule::Wildcard("A?".into()));
        assert_eq!(one("PatientID=A%25_").1, Rule::Equals("A%_".into()));
        assert_eq!(one("ModalitiesInStudy=CT").1, Rule::Equals("CT".into()));
    }

    #[test]
    fn uid_lists_are_separated_by_comma_or_backslash() {
        let three = Rule::AnyOf(vec!["1.2".into(), "1.3".into(), "1.4".into()]);
        assert_eq!(one("StudyInstanceUID=1.2,1.3%5C1.4").1, three);
        assert_eq!(one("StudyInstanceUID=1.2%2C1.3%2C1.4").1, three);
    }

    #[test]
    fn dates_and_times_become_full_ranges() {
        let range = |from: &str, to: &str| {
            let end = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            Rule::Range(end(from), end(to))
        };
        assert_eq!(one("StudyDate=20240101").1, Rule::Equals("20240101".into()));
        assert_eq!(one("StudyDate=20240101-20240131").1, range("20240101", "20240131"));
        assert_eq!(one("StudyDate=20240101-").1, range("20240101", ""));
        assert_eq!(one("StudyDate=-20240131").1, range("", "20240131"));
        assert_eq!(one("StudyTime=10").1, range("100000.000000", "105959.999999"));
        assert_eq!(one("StudyTime=1030").1, range("103000.000000", "103059.999999"));
        assert_eq!(one("StudyTime=103015").1, range("103015.000000", "103015.999999"));
        assert_eq!(one("StudyTime=103015.500000").1, Rule::Equals("103015.500000".into()));
        assert_eq!(one("StudyTime=235959.500-").1, range("235959.500000", ""));
        assert_eq!(one("StudyTime=08-0930").1, range("080000.000000", "093059.999999"));
    }

    #[test]
    fn limits_are_unsigned_and_huge_ones_are_as_good_as_none() {
        let q = query(Level::Study, "limit=101&offset=0&fuzzymatching=true").unwrap();
        assert_eq!((q.limit, q.offset, q.fuzzy), (Some(101), 0, true));
        assert_eq!(query(Level::Study, "limit=0").unwrap().limit, Some(0));
        assert!(query(Level::Study, "limit=99999999999999999999999").is_ok());
    }

    #[test]
    fn a_parameter_that_changes_nothing_is_answered_with_a_warning() {
        assert_eq!(
            parse(Level::Study, None, None, "emptyvaluematching=true")
                .unwrap()
                .warnings,
            [IGNORED]
        );
        assert!(
            parse(Level::Study, None, None, "PatientID=1")
                .unwrap()
                .warnings
                .is_empty()
        );
    }

    #[test]
    fn the_accept_parameter_is_decoded_and_joined() {
        assert_eq!(
            accept_parameter("a=b&accept=image%2Fpng&accept=image/jpeg"),
            Some("image/png,image/jpeg".into())
        );
        assert_eq!(accept_parameter("a=b"), None);
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,80}") {
            let _ = parse(Level::Instance, None, None, &text);
        }
    }
}
