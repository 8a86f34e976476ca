//! A parsed query and a visibility, turned into rows: QIDO-RS (PS3.18 10.6) and C-FIND (PS3.4 C.4.1).
//!
//! A page is found first, as row ids, by conditions on narrow columns; what the rows say is read after, for the page only.
//! Studies and series are seen or not by their counters, so no search looks at images to know what a study holds.
//!
//! Order, stable for unchanged data: studies by date, newest first, then by UID; series of a study by series number, then
//! UID; instances of a study or series the same way, by instance number. Series and instances without a study in the path
//! come as they arrived, instances series by series where the question says anything about study or series. Where two collections in sight hold a study, the lower accession's is the one that is found.

pub(crate) mod fold;
mod matching;
pub(crate) mod pages;
#[cfg(test)]
mod plans;
mod rows;
pub(crate) mod visible;

use std::collections::BTreeSet;
use std::sync::Arc;

use isocenter_model::Level;
use isocenter_model::query::Query;
use isocenter_model::rights::Visibility;
use sea_orm::FromQueryResult;

use crate::sql::Sql;
use crate::{Reader, Result, settings};

use pages::Question;
pub use rows::{ImageRow, IndividualRow, SeriesRow, StudyRow};
use visible::Sight;

/// One row of an answer: its own level and those above. Rows of one answer share what they have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The individual, at the patient level only; a study says enough of it.
    pub individual: Option<Arc<IndividualRow>>,
    /// The study, at the study level and below.
    pub study: Option<Arc<StudyRow>>,
    /// The series, at the series level and below.
    pub series: Option<Arc<SeriesRow>>,
    /// The image, at the instance level.
    pub image: Option<ImageRow>,
}

/// Part of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The rows.
    pub rows: Vec<Row>,
    /// Whether there are more; [`count`] tells how many.
    pub more: bool,
}

/// The most that [`count`] counts.
pub const COUNTED: u64 = 100_000;

/// An offset from which on it pays to find once what is asked for each row otherwise.
const FAR: u64 = 1_000;

#[derive(FromQueryResult)]
struct Id {
    id: i64,
}

/// Returns the rows that match and that the caller may see. Embargo is decided by the database's clock. No limit in the
/// query is no limit.
///
/// # Errors
/// [`crate::Error::BadQuery`] when a key cannot do what its rule asks, or belongs to a lower level than the rows; else when
/// the engine fails.
pub async fn find(db: &impl Reader, query: &Query, visibility: &Visibility) -> Result<Page> {
    let sight = Sight::new(visibility);
    let limit = query.limit.unwrap_or(u64::MAX);
    let (ids, more) = if query.offset.saturating_add(limit) > FAR && query.limit.is_some() {
        deep_page(db, query, visibility, &sight, limit).await?
    } else {
        page(db, query, &sight, limit, (None, query.offset)).await?
    };
    let rows = match query.level {
        Level::Patient => patients(db, &sight, &ids).await?,
        Level::Study => studies(db, &sight, &ids).await?,
        Level::Series => series(db, &sight, &ids).await?,
        Level::Instance => instances(db, &sight, &ids).await?,
    };
    Ok(Page { rows, more })
}

/// Finds a page from where the one before ended, if that is remembered, and remembers where this one does.
async fn deep_page(
    db: &impl Reader,
    query: &Query,
    visibility: &Visibility,
    sight: &Sight<'_>,
    limit: u64,
) -> Result<(Vec<i64>, bool)> {
    let Some(question) = Question::of(query, visibility) else {
        return page(db, query, sight, limit, (None, query.offset)).await;
    };
    let change = settings::change_number(db).await?;
    let ends = &db.memory().ends;
    let from = match ends.before(question, change, query.offset) {
        Some((id, offset)) => (Some(id), query.offset.saturating_sub(offset)),
        None => (None, query.offset),
    };
    let (ids, more) = page(db, query, sight, limit, from).await?;
    if let (true, Some(last)) = (more, ids.last()) {
        ends.remember(question, change, query.offset.saturating_add(limit), *last);
    }
    Ok((ids, more))
}

/// Returns the row ids of a page, and whether there are more. It begins behind a row, where one is given, and so many further.
async fn page(
    db: &impl Reader,
    query: &Query,
    sight: &Sight<'_>,
    limit: u64,
    (behind, offset): (Option<i64>, u64),
) -> Result<(Vec<i64>, bool)> {
    let mut sql = Sql::new(db.kind(), "SELECT ");
    from_where(&mut sql, query, sight, offset > FAR)?;
    if let Some(id) = behind {
        let column = if query.level == Level::Series { "r.id" } else { "i.id" };
        sql.push(" AND ").push(column).push(" > ").bind(id);
    }
    order(&mut sql, query);
    let signed = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    sql.push(" LIMIT ").bind(signed(limit.saturating_add(1)));
    sql.push(" OFFSET ").bind(signed(offset));
    let mut ids: Vec<i64> = sql.all::<Id>(db).await?.into_iter().map(|row| row.id).collect();
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = ids.len() > limit;
    ids.truncate(limit);
    Ok((ids, more))
}

/// Returns how many rows match, limit and offset left aside; [`COUNTED`] means so many or more.
///
/// # Errors
/// As [`find`].
pub async fn count(db: &impl Reader, query: &Query, visibility: &Visibility) -> Result<u64> {
    let sight = Sight::new(visibility);
    let mut sql = Sql::new(db.kind(), "SELECT COUNT(*) FROM (SELECT ");
    from_where(&mut sql, query, &sight, true)?;
    sql.push(" LIMIT ")
        .bind(i64::try_from(COUNTED).unwrap_or(i64::MAX))
        .push(") counted");
    Ok(rows::unsigned(sql.value(db).await?.unwrap_or(0)))
}

/// Returns whether the query says anything about a level.
fn speaks_of(query: &Query, level: Level) -> bool {
    let path = (level == Level::Study && query.study.is_some()) || (level == Level::Series && query.series.is_some());
    path || query
        .matching
        .iter()
        .any(|(key, rule)| key.level() == level && !matching::is_universal(rule))
}

/// Writes from the columns on to the last condition. `far`: many rows are walked over before the first that is wanted.
fn from_where(sql: &mut Sql, query: &Query, sight: &Sight<'_>, far: bool) -> Result<()> {
    match query.level {
        Level::Patient => {
            sql.push("n.id FROM individual n WHERE EXISTS (SELECT 1 FROM study s WHERE s.individual_id = n.id AND ");
            sight.counted(sql, "s");
            sql.push(")");
        }
        Level::Study => {
            sql.push("s.id FROM study s WHERE ");
            sight.counted(sql, "s");
            sql.push(" AND ");
            sight.first_of_its_uid(sql, "s");
        }
        Level::Series => {
            sql.push("r.id FROM series r JOIN study s ON s.id = r.study_id WHERE ");
            sight.counted(sql, "r");
            sql.push(" AND ");
            sight.first_of_its_uid(sql, "s");
        }
        Level::Instance if speaks_of(query, Level::Study) || speaks_of(query, Level::Series) => {
            sql.push("i.id FROM image i JOIN series r ON r.id = i.series_id JOIN study s ON s.id = r.study_id WHERE ");
            sight.image(sql, "i");
            sql.push(" AND ");
            sight.first_of_its_uid(sql, "s");
        }
        Level::Instance => {
            // nothing to join for: images are walked in order, or found by their own index
            sql.push("i.id FROM image i WHERE ");
            sight.image(sql, "i");
            if far && !sight.is_narrow() {
                sql.push(" AND ");
                sight.not_second(sql, "i.study_id");
            } else if !sight.is_narrow() {
                sql.push(" AND EXISTS (SELECT 1 FROM study s WHERE s.id = i.study_id AND ");
                sight.first_of_its_uid(sql, "s");
                sql.push(")");
            }
        }
    }
    if let (Some(study), Level::Study | Level::Series | Level::Instance) = (&query.study, query.level) {
        sql.push(" AND s.study_instance_uid = ").bind(study.as_str());
    }
    if let (Some(series), Level::Series | Level::Instance) = (&query.series, query.level) {
        sql.push(" AND r.series_instance_uid = ").bind(series.as_str());
    }
    matching::matching(sql, query, sight)
}

fn order(sql: &mut Sql, query: &Query) {
    sql.push(" ORDER BY ");
    sql.push(match query.level {
        Level::Patient => "n.patient_id, n.id",
        Level::Study => "s.study_date DESC, s.study_instance_uid, s.id",
        Level::Series if query.study.is_some() => {
            "r.series_number IS NULL, r.series_number, r.series_instance_uid, r.id"
        }
        Level::Series => "r.id",
        Level::Instance if query.study.is_some() || query.series.is_some() => {
            "r.series_number IS NULL, r.series_number, r.series_instance_uid, \
             i.instance_number IS NULL, i.instance_number, i.sop_instance_uid, i.id"
        }
        // not by image first: a planner would walk all images in that order rather than sort those of a few series
        Level::Instance if speaks_of(query, Level::Study) || speaks_of(query, Level::Series) => "r.id, i.id",
        Level::Instance => "i.id",
    });
}

async fn patients(db: &impl Reader, sight: &Sight<'_>, ids: &[i64]) -> Result<Vec<Row>> {
    let mut found = rows::individuals(db, sight, ids).await?;
    let row = |individual| Row {
        individual: Some(individual),
        study: None,
        series: None,
        image: None,
    };
    Ok(ids.iter().filter_map(|id| found.remove(id)).map(row).collect())
}

async fn studies(db: &impl Reader, sight: &Sight<'_>, ids: &[i64]) -> Result<Vec<Row>> {
    let mut found = rows::studies(db, sight, ids).await?;
    let row = |study| Row {
        individual: None,
        study: Some(study),
        series: None,
        image: None,
    };
    Ok(ids.iter().filter_map(|id| found.remove(id)).map(row).collect())
}

fn distinct(ids: impl Iterator<Item = i64>) -> Vec<i64> {
    ids.collect::<BTreeSet<i64>>().into_iter().collect()
}

async fn series(db: &impl Reader, sight: &Sight<'_>, ids: &[i64]) -> Result<Vec<Row>> {
    let mut found = rows::series(db, sight, ids).await?;
    let studies = rows::studies(db, sight, &distinct(found.values().map(|series| series.study_id))).await?;
    let row = |id: &i64| {
        let series = found.remove(id)?;
        let study = studies.get(&series.study_id)?.clone();
        Some(Row {
            individual: None,
            study: Some(study),
            series: Some(series),
            image: None,
        })
    };
    Ok(ids.iter().filter_map(row).collect())
}

async fn instances(db: &impl Reader, sight: &Sight<'_>, ids: &[i64]) -> Result<Vec<Row>> {
    let mut found = rows::images(db, sight, ids).await?;
    let series = rows::series(db, sight, &distinct(found.values().map(|image| image.series_id))).await?;
    let studies = rows::studies(db, sight, &distinct(series.values().map(|series| series.study_id))).await?;
    let row = |id: &i64| {
        let image = found.remove(id)?;
        let series = series.get(&image.series_id)?.clone();
        let study = studies.get(&series.study_id)?.clone();
        Some(Row {
            individual: None,
            study: Some(study),
            series: Some(series),
            image: Some(image),
        })
    };
    Ok(ids.iter().filter_map(row).collect())
}
