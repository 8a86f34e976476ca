//! Counts, of what the caller may see, worked out from the counters of studies and series; and numbers that a job keeps.

use std::collections::BTreeMap;

use chrono::Utc;
use isocenter_model::CollectionAccession;
use isocenter_model::rights::Visibility;
use sea_orm::FromQueryResult;
use serde::{Deserialize, Serialize};

use crate::search::visible::Sight;
use crate::sql::Sql;
use crate::{Error, ImageState, Reader, Result, Transaction, collections, instant};

/// How much there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Totals {
    /// Individuals with at least one image in sight.
    pub individuals: u64,
    /// Studies.
    pub studies: u64,
    /// Series.
    pub series: u64,
    /// Images.
    pub images: u64,
}

fn unsigned(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}

/// Returns how much the caller may see.
///
/// # Errors
/// When the engine fails.
pub async fn totals(db: &impl Reader, visibility: &Visibility) -> Result<Totals> {
    let sight = Sight::new(visibility);
    let mut sql = Sql::new(
        db.kind(),
        "SELECT COUNT(DISTINCT s.individual_id), COUNT(*), CAST(COALESCE(SUM(",
    );
    sight.count(&mut sql, "s");
    sql.push("), 0) AS BIGINT) FROM study s WHERE ");
    sight.counted(&mut sql, "s");
    let rows = sql.rows(db).await?;
    let row = rows.first().ok_or(Error::Damaged("no count"))?;
    let count = |i: usize| -> Result<u64> { Ok(unsigned(row.try_get_by_index(i)?)) };
    let mut sql = Sql::new(db.kind(), "SELECT COUNT(*) FROM series r WHERE ");
    sight.counted(&mut sql, "r");
    let series = unsigned(sql.value(db).await?.unwrap_or(0));
    Ok(Totals {
        individuals: count(0)?,
        studies: count(1)?,
        series,
        images: count(2)?,
    })
}

/// What one row of [`by_modality`] counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, FromQueryResult)]
pub struct ByModality {
    /// Modality; empty where a series has none.
    pub modality: String,
    /// Series.
    pub series: i64,
    /// Images.
    pub images: i64,
}

/// Returns series and images in sight by modality.
///
/// # Errors
/// When the engine fails.
pub async fn by_modality(db: &impl Reader, visibility: &Visibility) -> Result<Vec<ByModality>> {
    let sight = Sight::new(visibility);
    let mut sql = Sql::new(db.kind(), "SELECT r.modality, COUNT(*) AS series, CAST(SUM(");
    sight.count(&mut sql, "r");
    sql.push(") AS BIGINT) AS images FROM series r WHERE ");
    sight.counted(&mut sql, "r");
    sql.push(" GROUP BY r.modality ORDER BY r.modality");
    sql.all(db).await
}

/// Returns how many images a collection has in each state. For curators; it looks at every image of the collection.
///
/// # Errors
/// When the engine fails.
pub async fn by_state(db: &impl Reader, collection_id: i64) -> Result<BTreeMap<&'static str, u64>> {
    let mut sql = Sql::new(
        db.kind(),
        "SELECT i.state, COUNT(*) FROM series r JOIN image i ON i.series_id = r.id WHERE r.collection_id = ",
    );
    sql.bind(collection_id).push(" GROUP BY i.state");
    let mut counts = BTreeMap::new();
    for row in sql.rows(db).await? {
        let state = crate::ImageState::from_code(row.try_get_by_index(0)?);
        let state = state.ok_or(Error::Damaged("unknown state of an image"))?;
        counts.insert(state.as_str(), unsigned(row.try_get_by_index(1)?));
    }
    Ok(counts)
}

/// What a collection holds, for those who curate it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CollectionCounts {
    /// Individuals, erased ones left out.
    pub individuals: u64,
    /// Studies with an image in the archive.
    pub studies: u64,
    /// Series with an image in the archive.
    pub series: u64,
    /// Images in the archive by state.
    pub images: BTreeMap<String, u64>,
    /// Bytes of the stored objects.
    pub bytes: u64,
    /// Objects that wait in quarantine.
    pub quarantined: u64,
}

/// Returns what a collection holds. It looks at every image of the collection.
///
/// # Errors
/// [`Error::NotFound`] when there is no such collection; else when the engine fails.
pub async fn of_collection(db: &impl Reader, accession: &CollectionAccession) -> Result<CollectionCounts> {
    let id = collections::id_of(db, accession).await?;
    let count = async |text: &str| -> Result<u64> {
        let mut sql = Sql::new(db.kind(), text);
        sql.bind(id);
        Ok(unsigned(sql.value(db).await?.unwrap_or(0)))
    };
    let images = by_state(db, id).await?;
    Ok(CollectionCounts {
        individuals: count("SELECT COUNT(*) FROM individual WHERE erased_at IS NULL AND collection_id = ").await?,
        studies: count("SELECT COUNT(*) FROM study WHERE images_released + images_awaiting > 0 AND collection_id = ")
            .await?,
        series: count("SELECT COUNT(*) FROM series WHERE images_released + images_awaiting > 0 AND collection_id = ")
            .await?,
        images: images.into_iter().map(|(state, n)| (state.to_owned(), n)).collect(),
        bytes: count(
            "SELECT CAST(COALESCE(SUM(b.bytes), 0) AS BIGINT) FROM series r JOIN image i ON i.series_id = r.id \
             JOIN blob b ON b.image_id = i.id WHERE r.collection_id = ",
        )
        .await?,
        quarantined: count("SELECT COUNT(*) FROM quarantine_item WHERE state = 'waiting' AND collection_id = ").await?,
    })
}

/// Returns how many images of a collection are in a state.
///
/// # Errors
/// As [`of_collection`].
pub async fn images_in(db: &impl Reader, accession: &CollectionAccession, state: ImageState) -> Result<u64> {
    let id = collections::id_of(db, accession).await?;
    Ok(by_state(db, id).await?.get(state.as_str()).copied().unwrap_or(0))
}

/// A study or series whose counters are not what its images say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, FromQueryResult)]
pub struct WrongCounter {
    /// Its accession.
    pub accession: String,
    /// Images released, as its counter says.
    pub images_released: i64,
    /// Images awaiting, as its counter says.
    pub images_awaiting: i64,
    /// Images released, counted.
    pub found_released: i64,
    /// Images awaiting, counted.
    pub found_awaiting: i64,
}

/// Counts every study's and series' images and returns those whose counters are wrong: none, or something is broken. For
/// `verify`; it looks at every image.
///
/// # Errors
/// When the engine fails.
pub async fn wrong_counters(db: &impl Reader) -> Result<Vec<WrongCounter>> {
    let mut wrong = Vec::new();
    for (table, column) in [("study", "study_id"), ("series", "series_id")] {
        let mut sql = Sql::new(
            db.kind(),
            "SELECT * FROM (SELECT t.accession, t.images_released, t.images_awaiting, ",
        );
        sql.push("(SELECT COUNT(*) FROM image i JOIN series r ON r.id = i.series_id WHERE r.");
        sql.push(if table == "study" { "study_id" } else { "id" })
            .push(" = t.id AND i.")
            .push(column);
        sql.push(" = t.id AND i.state = 3) AS found_released, ");
        sql.push("(SELECT COUNT(*) FROM image i JOIN series r ON r.id = i.series_id WHERE r.");
        sql.push(if table == "study" { "study_id" } else { "id" })
            .push(" = t.id AND i.")
            .push(column);
        sql.push(" = t.id AND i.state IN (0, 1)) AS found_awaiting FROM ")
            .push(table)
            .push(" t) w ");
        sql.push("WHERE w.images_released <> w.found_released OR w.images_awaiting <> w.found_awaiting LIMIT 1000");
        wrong.extend(sql.all::<WrongCounter>(db).await?);
    }
    Ok(wrong)
}

/// Keeps a number that a job worked out.
///
/// # Errors
/// When the engine fails, or there is no such collection.
pub async fn put(tx: &Transaction, collection_id: i64, name: &str, value: i64) -> Result<()> {
    let mut sql = Sql::new(
        tx.kind(),
        "INSERT INTO statistic (collection_id, name, value, updated_at) VALUES (",
    );
    sql.bind(collection_id)
        .push(", ")
        .bind(name)
        .push(", ")
        .bind(value)
        .push(", ");
    sql.bind(instant::micros(Utc::now()))
        .push(") ON CONFLICT (collection_id, name) DO UPDATE SET ");
    sql.push("value = excluded.value, updated_at = excluded.updated_at");
    sql.execute(tx).await?;
    Ok(())
}

/// Returns the numbers kept of a collection.
///
/// # Errors
/// When the engine fails.
pub async fn kept(db: &impl Reader, collection_id: i64) -> Result<BTreeMap<String, i64>> {
    let mut sql = Sql::new(db.kind(), "SELECT name, value FROM statistic WHERE collection_id = ");
    sql.bind(collection_id);
    let rows = sql.rows(db).await?;
    rows.iter()
        .map(|row| Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?)))
        .collect()
}
