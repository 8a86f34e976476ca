//! What the images of a collection hold, page by page: for reports over all of it, which open no object.
//!
//! Everything here is what stands in the archive, after de-identification. Pages follow the rows of images, so that a report
//! over a million of them holds one page at a time and no connection between two.

use isocenter_model::{CollectionAccession, ImageAccession};
use sea_orm::FromQueryResult;
use serde::{Deserialize, Serialize};

use crate::commit::lookup::parsed;
use crate::sql::Sql;
use crate::{ImageState, Reader, Result, collections};

/// An image as reports see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    /// Its row: where the next page begins.
    pub id: i64,
    /// Its accession.
    pub accession: ImageAccession,
    /// Which report of de-identification is its; many share one.
    pub deid_report_id: i64,
    /// Deflated DICOM JSON with splice points.
    pub record: Vec<u8>,
}

#[derive(FromQueryResult)]
struct Row {
    id: i64,
    accession: String,
    deid_report_id: i64,
    record: Vec<u8>,
}

/// Returns the images of a collection that stand in the archive, released or waiting for it, after a row, in their order.
///
/// # Errors
/// [`Error::NotFound`](crate::Error::NotFound) when there is no such collection; else when the engine fails.
pub async fn page(db: &impl Reader, collection: &CollectionAccession, after: i64, limit: u32) -> Result<Vec<Contents>> {
    let id = collections::id_of(db, collection).await?;
    let mut sql = Sql::new(
        db.kind(),
        "SELECT i.id, i.accession, m.deid_report_id, m.record FROM image i \
         JOIN image_metadata m ON m.image_id = i.id WHERE i.collection_id = ",
    );
    sql.bind(id).push(" AND i.id > ").bind(after).push(" AND i.state IN ");
    sql.bind_list([ImageState::Pending, ImageState::Held, ImageState::Released].map(ImageState::code));
    sql.push(" ORDER BY i.id LIMIT ").bind(i64::from(limit));
    let rows = sql.all::<Row>(db).await?.into_iter().map(|row| {
        Ok(Contents {
            id: row.id,
            accession: parsed(ImageAccession::parse(&row.accession))?,
            deid_report_id: row.deid_report_id,
            record: row.record,
        })
    });
    rows.collect()
}

#[derive(FromQueryResult)]
struct ReportRow {
    id: i64,
    body: String,
}

/// Returns reports of de-identification, as JSON, by their rows.
///
/// # Errors
/// When the engine fails.
pub async fn deid_reports(db: &impl Reader, ids: &[i64]) -> Result<Vec<(i64, String)>> {
    let mut all = Vec::with_capacity(ids.len());
    for ids in ids.chunks(400) {
        let mut sql = Sql::new(db.kind(), "SELECT id, body FROM deid_report WHERE id IN ");
        sql.bind_list(ids.iter().copied()).push(" ORDER BY id");
        all.extend(
            sql.all::<ReportRow>(db)
                .await?
                .into_iter()
                .map(|row| (row.id, row.body)),
        );
    }
    Ok(all)
}

/// How often a check found something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, FromQueryResult)]
pub struct FindingCount {
    /// Code of the check.
    pub check_code: String,
    /// `info`, `warn`, `hold` or `block`.
    pub severity: String,
    /// `open`, `waived` or `resolved`.
    pub state: String,
    /// Findings.
    pub findings: i64,
    /// Those of them about objects in quarantine.
    pub in_quarantine: i64,
}

/// Returns what the checks found in a collection, in the archive and in quarantine.
///
/// # Errors
/// As [`page`].
pub async fn findings(db: &impl Reader, collection: &CollectionAccession) -> Result<Vec<FindingCount>> {
    let id = collections::id_of(db, collection).await?;
    let mut sql = Sql::new(
        db.kind(),
        "SELECT check_code, severity, state, COUNT(*) AS findings, COUNT(quarantine_id) AS in_quarantine \
         FROM finding WHERE collection_id = ",
    );
    sql.bind(id)
        .push(" GROUP BY check_code, severity, state ORDER BY check_code, severity, state");
    sql.all(db).await
}

/// How many objects are kept out of a collection for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, FromQueryResult)]
pub struct KeptOut {
    /// Code of the check that sent them into quarantine.
    pub check_code: String,
    /// `waiting`, `released`, `repaired` or `discarded`.
    pub state: String,
    /// Class as sent; empty where it could not be read.
    pub sop_class_uid: String,
    /// Objects.
    pub objects: i64,
}

/// Returns what went into quarantine on its way into a collection, by reason.
///
/// # Errors
/// As [`page`].
pub async fn kept_out(db: &impl Reader, collection: &CollectionAccession) -> Result<Vec<KeptOut>> {
    let id = collections::id_of(db, collection).await?;
    let mut sql = Sql::new(
        db.kind(),
        "SELECT check_code, state, sop_class_uid, COUNT(*) AS objects FROM quarantine_item WHERE collection_id = ",
    );
    sql.bind(id)
        .push(" GROUP BY check_code, state, sop_class_uid ORDER BY check_code, state, sop_class_uid");
    sql.all(db).await
}
