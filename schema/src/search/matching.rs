//! Keys and rules as SQL conditions (PS3.4 C.2.2.2).
//!
//! Column names come from the table here, values are always bound. A pattern that begins with letters becomes a range and
//! a pattern, so that either engine can use the column's index.

use isocenter_model::Level;
use isocenter_model::query::{Key, KeyKind, Query, Rule};

use crate::search::fold;
use crate::search::visible::Sight;
use crate::sql::Sql;
use crate::{Error, Kind, Result};

/// More stars than any real pattern has; matching time grows with their number.
const MOST_STARS: usize = 8;
const LONGEST_VALUE: usize = 1024;

/// Returns the column of a key, in the aliases of the search: individual n, study s, series r, image i.
fn column(level: Level, key: Key) -> Result<&'static str> {
    if level == Level::Patient {
        return match key {
            Key::PatientName => Ok("n.patient_name"),
            Key::PatientID => Ok("n.patient_id"),
            Key::PatientBirthDate => Ok("n.patient_birth_date"),
            Key::PatientSex => Ok("n.patient_sex"),
            _ => Err(Error::BadQuery("patients are found by their own attributes only")),
        };
    }
    if key.level() > level {
        return Err(Error::BadQuery("a key of a lower level than the rows"));
    }
    Ok(match key {
        Key::StudyInstanceUID => "s.study_instance_uid",
        Key::StudyDate => "s.study_date",
        Key::StudyTime => "s.study_time",
        Key::AccessionNumber => "s.accession_number",
        Key::ModalitiesInStudy => "m.modality",
        Key::ReferringPhysicianName => "s.referring_physician_name",
        Key::StudyDescription => "s.study_description",
        Key::PatientName => "s.patient_name",
        Key::PatientID => "s.patient_id",
        Key::PatientBirthDate => "s.patient_birth_date",
        Key::PatientSex => "s.patient_sex",
        Key::StudyID => "s.study_id",
        Key::SeriesInstanceUID => "r.series_instance_uid",
        Key::Modality => "r.modality",
        Key::SeriesNumber => "r.series_number",
        Key::SeriesDescription => "r.series_description",
        Key::BodyPartExamined => "r.body_part_examined",
        Key::ProtocolName => "r.protocol_name",
        Key::Manufacturer => "r.manufacturer",
        Key::ManufacturerModelName => "r.manufacturer_model_name",
        Key::PerformedProcedureStepStartDate => "r.performed_procedure_step_start_date",
        Key::PerformedProcedureStepStartTime => "r.performed_procedure_step_start_time",
        Key::ScheduledProcedureStepID => "r.scheduled_procedure_step_id",
        Key::RequestedProcedureID => "r.requested_procedure_id",
        Key::SOPInstanceUID => "i.sop_instance_uid",
        Key::SOPClassUID => "i.sop_class_uid",
        Key::InstanceNumber => "i.instance_number",
        Key::NumberOfFrames => "i.number_of_frames",
        Key::Rows => "i.rows",
        Key::Columns => "i.columns",
    })
}

/// Returns whether a rule lets everything through.
pub(crate) fn is_universal(rule: &Rule) -> bool {
    match rule {
        Rule::Universal | Rule::Range(None, None) => true,
        Rule::Wildcard(pattern) => pattern.bytes().all(|b| b == b'*'),
        Rule::Equals(value) => value.is_empty(),
        Rule::AnyOf(values) => values.is_empty(),
        Rule::Range(_, _) => false,
    }
}

/// Writes ` AND ...` for each key of the query.
pub(crate) fn matching(sql: &mut Sql, query: &Query, sight: &Sight<'_>) -> Result<()> {
    for (key, rule) in &query.matching {
        let column = column(query.level, *key)?;
        if is_universal(rule) {
            continue;
        }
        sql.push(" AND ");
        match key.kind() {
            KeyKind::Text => text(sql, column, rule)?,
            KeyKind::PersonName if query.fuzzy => fuzzy(sql, column, rule)?,
            KeyKind::PersonName => person(sql, column, rule)?,
            KeyKind::Codes => {
                // a set, not a question for each study: so the search may begin with it
                sql.push("s.id IN (SELECT m.study_id FROM series m WHERE ");
                text(sql, column, rule)?;
                sql.push(" AND ");
                sight.counted(sql, "m");
                sql.push(")");
            }
            KeyKind::Uid => uids(sql, column, rule)?,
            KeyKind::Date => date(sql, column, rule)?,
            KeyKind::Time => time(sql, column, rule)?,
            KeyKind::Number => number(sql, column, rule)?,
        }
    }
    Ok(())
}

fn checked(value: &str) -> Result<&str> {
    if value.len() > LONGEST_VALUE {
        return Err(Error::BadQuery("a value of more than 1024 bytes"));
    }
    Ok(value)
}

fn text(sql: &mut Sql, column: &str, rule: &Rule) -> Result<()> {
    match rule {
        Rule::Equals(value) => {
            sql.push(column).push(" = ").bind(fold::text(checked(value)?));
        }
        Rule::Wildcard(pattern) => like(sql, column, &fold::text(checked(pattern)?))?,
        Rule::AnyOf(values) => {
            let values = values
                .iter()
                .map(|v| checked(v).map(fold::text))
                .collect::<Result<Vec<_>>>()?;
            sql.push(column).push(" IN ").bind_list(values);
        }
        Rule::Universal | Rule::Range(_, _) => return Err(Error::BadQuery("a range of a text")),
    }
    Ok(())
}

/// Writes a pattern of `*` and `?`. GLOB is case-sensitive on every connection, which SQLite's LIKE is not.
fn like(sql: &mut Sql, column: &str, pattern: &str) -> Result<()> {
    if pattern.matches('*').count() > MOST_STARS {
        return Err(Error::BadQuery("a pattern with more than 8 stars"));
    }
    let prefix: &str = pattern.split(['*', '?']).next().unwrap_or_default();
    if prefix.len() == pattern.len() {
        sql.push(column).push(" = ").bind(pattern);
        return Ok(());
    }
    sql.push("(");
    if !prefix.is_empty() {
        sql.push(column).push(" >= ").bind(prefix).push(" AND ");
        sql.push(column)
            .push(" < ")
            .bind(format!("{prefix}\u{10FFFF}"))
            .push(" AND ");
    }
    match sql.kind() {
        Kind::Sqlite => {
            sql.push(column).push(" GLOB ").bind(pattern.replace('[', "[[]"));
        }
        Kind::Postgres => {
            let mut escaped = String::with_capacity(pattern.len() + 8);
            for c in pattern.chars() {
                match c {
                    '*' => escaped.push('%'),
                    '?' => escaped.push('_'),
                    '%' | '_' | '\\' => escaped.extend(['\\', c]),
                    c => escaped.push(c),
                }
            }
            sql.push(column).push(" LIKE ").bind(escaped);
        }
    }
    sql.push(")");
    Ok(())
}

const GROUPS: [&str; 3] = ["_folded", "_ideographic", "_phonetic"];

/// A pattern without `=` is tried on each component group; with `=`, group by group, where an empty one says nothing.
fn person(sql: &mut Sql, column: &str, rule: &Rule) -> Result<()> {
    let (Rule::Equals(value) | Rule::Wildcard(value)) = rule else {
        return Err(Error::BadQuery("a list or range of a person name"));
    };
    let folded = fold::name(checked(value)?);
    let one = |sql: &mut Sql, suffix: &str, pattern: &str| -> Result<()> {
        let column = format!("{column}{suffix}");
        let pattern = fold::group(pattern);
        match rule {
            Rule::Wildcard(_) => like(sql, &column, &pattern),
            _ => {
                sql.push(&column).push(" = ").bind(pattern);
                Ok(())
            }
        }
    };
    sql.push("(");
    if folded.contains('=') {
        sql.push("TRUE");
        for (suffix, pattern) in GROUPS.iter().zip(folded.split('=')) {
            if !fold::group(pattern).is_empty() {
                sql.push(" AND ");
                one(sql, suffix, pattern)?;
            }
        }
    } else {
        for (i, suffix) in GROUPS.iter().enumerate() {
            sql.push(if i == 0 { "" } else { " OR " });
            one(sql, suffix, &folded)?;
        }
    }
    sql.push(")");
    Ok(())
}

/// Each part of the value must be the beginning of some part of the name.
fn fuzzy(sql: &mut Sql, column: &str, rule: &Rule) -> Result<()> {
    let (Rule::Equals(value) | Rule::Wildcard(value)) = rule else {
        return Err(Error::BadQuery("a list or range of a person name"));
    };
    let folded = fold::name(checked(value)?);
    let column = format!("{column}_parts");
    sql.push("(TRUE");
    for part in fold::name_parts(&folded).take(8) {
        sql.push(" AND ");
        like(sql, &column, &format!("*|{part}*"))?;
    }
    sql.push(")");
    Ok(())
}

fn uids(sql: &mut Sql, column: &str, rule: &Rule) -> Result<()> {
    match rule {
        Rule::Equals(value) => {
            sql.push(column).push(" = ").bind(fold::text(checked(value)?));
        }
        Rule::AnyOf(values) if values.len() <= 5000 => {
            let values = values
                .iter()
                .map(|v| checked(v).map(fold::text))
                .collect::<Result<Vec<_>>>()?;
            sql.push(column).push(" IN ").bind_list(values);
        }
        Rule::AnyOf(_) => return Err(Error::BadQuery("more than 5000 UIDs")),
        _ => return Err(Error::BadQuery("a pattern or range of a UID")),
    }
    Ok(())
}

fn date(sql: &mut Sql, column: &str, rule: &Rule) -> Result<()> {
    match rule {
        Rule::Equals(value) => {
            sql.push(column).push(" = ").bind(fold::text(checked(value)?));
        }
        Rule::Range(from, to) => range(sql, column, from.as_deref(), to.as_deref())?,
        _ => return Err(Error::BadQuery("a pattern or list of a date")),
    }
    Ok(())
}

fn time(sql: &mut Sql, column: &str, rule: &Rule) -> Result<()> {
    let bounds = |value: &str| fold::bounds(value).ok_or(Error::BadQuery("not a time"));
    match rule {
        Rule::Equals(value) => {
            let (from, to) = bounds(value)?;
            range(sql, column, Some(&from), Some(&to))
        }
        Rule::Range(from, to) => {
            let from = from.as_deref().map(bounds).transpose()?.map(|(from, _)| from);
            let to = to.as_deref().map(bounds).transpose()?.map(|(_, to)| to);
            range(sql, column, from.as_deref(), to.as_deref())
        }
        _ => Err(Error::BadQuery("a pattern or list of a time")),
    }
}

fn range(sql: &mut Sql, column: &str, from: Option<&str>, to: Option<&str>) -> Result<()> {
    sql.push("(");
    match from {
        Some(from) => sql.push(column).push(" >= ").bind(checked(from)?),
        // what is absent lies in no range
        None => sql.push(column).push(" > ''"),
    };
    if let Some(to) = to {
        sql.push(" AND ").push(column).push(" <= ").bind(checked(to)?);
    }
    sql.push(")");
    Ok(())
}

fn number(sql: &mut Sql, column: &str, rule: &Rule) -> Result<()> {
    let parse = |value: &str| value.trim().trim_start_matches('+').parse::<i64>();
    match rule {
        Rule::Equals(value) => {
            let value = parse(value).map_err(|_| Error::BadQuery("not a number"))?;
            sql.push(column).push(" = ").bind(value);
        }
        Rule::AnyOf(values) => {
            let values = values.iter().map(|value| parse(value)).collect::<Result<Vec<_>, _>>();
            sql.push(column)
                .push(" IN ")
                .bind_list(values.map_err(|_| Error::BadQuery("not a number"))?);
        }
        _ => return Err(Error::BadQuery("a pattern or range of a number")),
    }
    Ok(())
}
