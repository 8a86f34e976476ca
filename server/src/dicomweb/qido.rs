//! Search, QIDO-RS, PS3.18 10.6: a URL is parsed into a [`Query`], schema finds, and rows are shaped into DICOM JSON.
//!
//! Parsing is strict, because the other way is dangerous: a misspelt attribute that is silently ignored turns a narrow search
//! into "all studies". So an attribute that nobody knows, or that this archive does not match on, is 400 and named. Values are
//! percent-decoded exactly once. A raw `+` means a plus sign (RFC 3986), except in person names, dates, times, numbers and UIDs,
//! where none can be meant and form encoders write a space so.

use std::collections::{BTreeSet, HashMap};

use actix_web::http::header;
use actix_web::{HttpResponse, web};
use bytes::Bytes;
use dicom_core::dictionary::DataDictionary as _;
use dicom_dictionary_std::StandardDataDictionary;
use isocenter_model::query::{Include, Key, KeyKind, Query, Rule};
use isocenter_model::{Level, SeriesInstanceUid, SopInstanceUid, StudyInstanceUid};
use isocenter_schema::search::{self, Row};
use isocenter_schema::{Database, retrieve};
use percent_encoding::percent_decode_str;

use super::json::{self, Object};
use super::{Asked, answer, instance_url, rows};
use crate::archive::Archive;
use crate::http_error::HttpError;

/// Rows that are read at a time; a study of a hundred thousand instances passes in pieces.
const BATCH: u64 = 5000;
/// Rows that are filled up from metadata records at a time; a record is a hundred times a row.
const FILLED: usize = 200;

/// What a search over all studies gives where the client names no limit; below a study it gives everything, as viewers expect.
pub const DEFAULT_ROWS: u64 = 1000;
/// The most that a client may ask for at once. A client that pages takes a short page for the last, so this is generous.
pub const MAX_ROWS: u64 = 50_000;

/// Sent where a client asks for one of the two (8.3.4): they change nothing here.
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

/// Shapes rows, and fills up from the metadata records those that lack what was asked for.
async fn shaped(db: &Database, asked: &Asked, query: &Query, found: &[Row]) -> Result<Vec<Object>, HttpError> {
    let mut objects: Vec<Object> = found.iter().map(|row| rows::row(query, row, &asked.base)).collect();
    let lacking: Vec<i64> = found
        .iter()
        .zip(&objects)
        .filter(|(_, object)| rows::wants_record(query, object))
        .filter_map(|(row, _)| row.image.as_ref().map(|image| image.id))
        .collect();
    if lacking.is_empty() {
        return Ok(objects);
    }
    let records = retrieve::metadata_by_ids(db, &asked.visibility, &lacking).await?;
    let records: HashMap<i64, _> = records.into_iter().map(|record| (record.id, record)).collect();
    for (row, object) in found.iter().zip(&mut objects) {
        let Some(record) = row.image.as_ref().and_then(|image| records.get(&image.id)) else {
            continue;
        };
        let (study, series) = (record.study_instance_uid.as_str(), record.series_instance_uid.as_str());
        let url = instance_url(&asked.base, study, series, record.sop_instance_uid.as_str());
        let text = json::splice(&record.record, &url).map_err(|error| HttpError::internal(&error))?;
        rows::add_record(query, object, Object::parse(&String::from_utf8_lossy(&text)));
    }
    Ok(objects)
}

/// `GET /studies`, `/series`, `/instances` and the searches below a study or series.
///
/// # Errors
/// 400 and 406; never 404: what is not there is an empty list.
pub async fn find(level: Level, asked: Asked, archive: web::Data<Archive>) -> Result<HttpResponse, HttpError> {
    asked.json()?;
    let Search { mut query, warnings } = parse(level, asked.study.clone(), asked.series.clone(), &asked.query)
        .map_err(|error| HttpError::bad_request(error.to_string()))?;
    // Below a study viewers do not page; over all studies nobody gets everything at once.
    let most = match (&asked.study, query.limit) {
        (Some(_), _) => u64::MAX,
        (None, None) => DEFAULT_ROWS,
        (None, Some(_)) => MAX_ROWS,
    };
    let cut_by_us = query.limit.is_none_or(|limit| limit > most);
    let mut left = query.limit.unwrap_or(u64::MAX).min(most);
    query.limit = Some(left.min(BATCH));
    let mut page = search::find(&archive.db, &query, &asked.visibility).await?;
    let mut answer = HttpResponse::Ok();
    answer.content_type("application/dicom+json");
    answer.insert_header((header::VARY, "Accept, Authorization"));
    answer.insert_header((header::CACHE_CONTROL, "private, no-cache"));
    for warning in warnings {
        answer.append_header((header::WARNING, format!("299 {}: \"{warning}\"", asked.base)));
    }
    if page.more && cut_by_us && most < u64::MAX {
        let all = search::count(&archive.db, &query, &asked.visibility).await?;
        let more = all.saturating_sub(query.offset).saturating_sub(left);
        if more > 0 {
            let text = format!("There are {more} additional results that can be requested");
            answer.append_header((header::WARNING, format!("299 {}: \"{text}\"", asked.base)));
        }
    }
    answer::streamed(answer, move |mut out| async move {
        let mut lead = "[";
        loop {
            for found in page.rows.chunks(FILLED) {
                for row in shaped(&archive.db, &asked, &query, found).await? {
                    out.write(Bytes::from_static(lead.as_bytes())).await?;
                    out.write(row.sorted().to_string().into()).await?;
                    lead = ",";
                }
            }
            // By what was asked for, not by what came: rows may have gone out of sight in between.
            let step = left.min(BATCH);
            left -= step;
            if !page.more || left == 0 {
                break;
            }
            query.offset = query.offset.saturating_add(step);
            query.limit = Some(left.min(BATCH));
            page = search::find(&archive.db, &query, &asked.visibility).await?;
        }
        out.write(Bytes::from_static(if lead == "[" { b"[]" } else { b"]" }))
            .await?;
        Ok(out)
    })
    .await
}

#[cfg(test)]
mod tests;
