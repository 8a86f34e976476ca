//! What checks found about images and series after they were committed, and what people decided about it.

use isocenter_model::CollectionAccession;
use sea_orm::FromQueryResult;

use crate::commit::rows::{About, finding_row, insert_findings};
use crate::record::FindingRecord;
use crate::sql::{Batch, Sql};
use crate::{Error, Reader, Result, Transaction, collections, instant};

/// What a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// An image, by its row.
    Image(i64),
    /// A series, by its row.
    Series(i64),
    /// A quarantined object, by its row.
    Quarantined(i64),
}

/// A finding as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, FromQueryResult)]
pub struct Finding {
    /// Its row.
    pub id: i64,
    /// The image that it is about.
    pub image_id: Option<i64>,
    /// The series that it is about.
    pub series_id: Option<i64>,
    /// The quarantined object that it is about.
    pub quarantine_id: Option<i64>,
    /// Code of the check.
    pub check_code: String,
    /// `info`, `warn`, `hold` or `block`.
    pub severity: String,
    /// Machine-readable detail.
    pub detail: String,
    /// `open`, `waived` or `resolved`.
    pub state: String,
}

/// Keeps findings about one subject.
///
/// # Errors
/// [`Error::NotFound`] when there is no such collection; else when the engine fails.
pub async fn add(
    tx: &Transaction,
    collection: &CollectionAccession,
    subject: Subject,
    found: &[FindingRecord],
) -> Result<()> {
    let id = collections::id_in(tx, collection).await?;
    let mut about = About {
        image: None,
        series: None,
        quarantine: None,
    };
    match subject {
        Subject::Image(image) => about.image = Some(image),
        Subject::Series(series) => about.series = Some(series),
        Subject::Quarantined(item) => about.quarantine = Some(item),
    }
    let now = instant::micros(chrono::Utc::now());
    let rows = found.iter().map(|found| finding_row(id, about, found, now)).collect();
    let mut batch = Batch::new(tx.kind());
    insert_findings(&mut batch, rows);
    batch.run(tx).await
}

/// Returns the findings about one subject, oldest first.
///
/// # Errors
/// When the engine fails.
pub async fn of(db: &impl Reader, subject: Subject) -> Result<Vec<Finding>> {
    let (column, id) = match subject {
        Subject::Image(id) => ("image_id", id),
        Subject::Series(id) => ("series_id", id),
        Subject::Quarantined(id) => ("quarantine_id", id),
    };
    let mut sql = Sql::new(
        db.kind(),
        "SELECT id, image_id, series_id, quarantine_id, check_code, severity, detail, state FROM finding WHERE ",
    );
    sql.push(column).push(" = ").bind(id).push(" ORDER BY id");
    sql.all(db).await
}

/// Decides over an open finding: `waived` or `resolved`.
///
/// # Errors
/// [`Error::NotFound`] when there is no such open finding.
pub async fn decide(tx: &Transaction, id: i64, state: &str, by: &str) -> Result<()> {
    let mut sql = Sql::new(tx.kind(), "UPDATE finding SET state = ");
    sql.bind(state)
        .push(", decided_by = ")
        .bind(by)
        .push(" WHERE state = 'open' AND id = ")
        .bind(id);
    if sql.execute(tx).await? == 1 {
        Ok(())
    } else {
        Err(Error::NotFound("open finding"))
    }
}
