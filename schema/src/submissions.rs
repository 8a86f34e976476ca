//! Submissions to a collection. Their states and who may move them are the portal's table (`portal.md` section 4); here is
//! the row.

use chrono::{DateTime, Utc};
use isocenter_model::CollectionAccession;
use sea_orm::{EntityTrait, FromQueryResult, Set};

use crate::entity::curation::submission;
use crate::sql::Sql;
use crate::{Database, Error, Reader, Result, Transaction, collections, instant};

/// A submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// Its row.
    pub id: i64,
    /// The collection.
    pub collection: CollectionAccession,
    /// Its title.
    pub title: String,
    /// Public id of who submits.
    pub submitter: String,
    /// Its state.
    pub state: String,
    /// What was said last.
    pub note: String,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

/// Opens a submission and returns its row.
///
/// # Errors
/// [`Error::NotFound`] when there is no such collection; else when the engine fails.
pub async fn open(
    tx: &Transaction,
    collection: &CollectionAccession,
    title: &str,
    submitter: &str,
    state: &str,
) -> Result<i64> {
    let now = instant::micros(Utc::now());
    let row = submission::ActiveModel {
        collection_id: Set(collections::id_in(tx, collection).await?),
        title: Set(title.to_owned()),
        submitter: Set(submitter.to_owned()),
        state: Set(state.to_owned()),
        note: Set(String::new()),
        created_at: Set(now),
        updated_at: Set(now),
        ..Default::default()
    };
    let made = submission::Entity::insert(row).exec(&tx.executor()).await?;
    Ok(made.last_insert_id)
}

/// Moves a submission from one state to another.
///
/// # Errors
/// [`Error::NotFound`] when there is none in that state: somebody else was faster.
pub async fn advance(tx: &Transaction, id: i64, from: &str, to: &str, note: &str) -> Result<()> {
    let mut sql = Sql::new(tx.kind(), "UPDATE submission SET state = ");
    sql.bind(to)
        .push(", note = ")
        .bind(note)
        .push(", updated_at = ")
        .push(instant::now(tx.kind()));
    sql.push(" WHERE id = ").bind(id).push(" AND state = ").bind(from);
    if sql.execute(tx).await? == 1 {
        Ok(())
    } else {
        Err(Error::NotFound("submission in that state"))
    }
}

/// Returns submissions, newest first; those of one submitter where one is named.
///
/// # Errors
/// When the engine fails.
pub async fn list(db: &Database, submitter: Option<&str>, limit: u32) -> Result<Vec<Submission>> {
    #[derive(FromQueryResult)]
    struct Row {
        id: i64,
        accession: String,
        title: String,
        submitter: String,
        state: String,
        note: String,
        updated_at: i64,
    }
    let mut sql = Sql::new(
        db.kind(),
        "SELECT b.id, c.accession, b.title, b.submitter, b.state, b.note, b.updated_at FROM submission b \
         JOIN collection c ON c.id = b.collection_id",
    );
    if let Some(submitter) = submitter {
        sql.push(" WHERE b.submitter = ").bind(submitter);
    }
    sql.push(" ORDER BY b.id DESC LIMIT ").bind(i64::from(limit));
    let rows: Vec<Row> = sql.all(db).await?;
    rows.into_iter()
        .map(|row| {
            Ok(Submission {
                id: row.id,
                collection: collections::parse(&row.accession)?,
                title: row.title,
                submitter: row.submitter,
                state: row.state,
                note: row.note,
                updated_at: instant::utc(row.updated_at)?,
            })
        })
        .collect()
}
