//! Objects that wait outside the archive, and what people decide about them.

use chrono::{DateTime, Utc};
use isocenter_model::CollectionAccession;
use isocenter_storage::{BlobRef, InQuarantine};
use sea_orm::FromQueryResult;
use serde::{Deserialize, Serialize};

use crate::commit::rows::dereference;
use crate::sql::Sql;
use crate::{Error, Reader, Result, Transaction, collections, instant};

/// State of a quarantined object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ItemState {
    /// Waits for a person.
    Waiting,
    /// Went into the archive as it is.
    Released,
    /// Went into the archive repaired.
    Repaired,
    /// Dropped; its bytes go after the retention time.
    Discarded,
}

impl ItemState {
    /// Returns the word that the database and answers use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Released => "released",
            Self::Repaired => "repaired",
            Self::Discarded => "discarded",
        }
    }

    fn from_name(name: &str) -> Result<Self> {
        [Self::Waiting, Self::Released, Self::Repaired, Self::Discarded]
            .into_iter()
            .find(|state| state.as_str() == name)
            .ok_or(Error::Damaged("state of a quarantined object"))
    }
}

/// A quarantined object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// Its row: what the command line and the pages call it.
    pub id: i64,
    /// The collection that it was submitted to.
    pub collection: CollectionAccession,
    /// Code of the check that sent it here.
    pub check: String,
    /// Its state.
    pub state: ItemState,
    /// SOP class as sent; empty where it could not be read.
    pub sop_class_uid: String,
    /// Transfer syntax as received; empty where it could not be read.
    pub transfer_syntax_uid: String,
    /// Size of the object.
    pub bytes: u64,
    /// Where its bytes lie.
    pub blob: BlobRef<InQuarantine>,
    /// Keyed digest of the SOP Instance UID as sent.
    pub sent_digest: [u8; 32],
    /// Where it came from, as JSON.
    pub provenance: String,
    /// When it arrived.
    pub received_at: DateTime<Utc>,
    /// Who decided.
    pub decided_by: String,
    /// What he said.
    pub comment: String,
}

/// Which items a list shows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// Only of this collection.
    pub collection: Option<CollectionAccession>,
    /// Only in this state.
    pub state: Option<ItemState>,
    /// Only of this check.
    pub check: Option<String>,
    /// Only after this row: the last one of the page before.
    pub after: i64,
}

#[derive(FromQueryResult)]
struct Row {
    id: i64,
    accession: String,
    check_code: String,
    state: String,
    sop_class_uid: String,
    transfer_syntax_uid: String,
    bytes: i64,
    reference: Vec<u8>,
    sent_digest: Vec<u8>,
    provenance: Option<String>,
    received_at: i64,
    decided_by: String,
    comment: String,
}

fn select(db: &impl Reader) -> Sql {
    Sql::new(
        db.kind(),
        "SELECT q.id, c.accession, q.check_code, q.state, q.sop_class_uid, q.transfer_syntax_uid, q.bytes, q.reference, \
         q.sent_digest, p.body AS provenance, q.received_at, q.decided_by, q.comment FROM quarantine_item q \
         JOIN collection c ON c.id = q.collection_id LEFT JOIN provenance p ON p.id = q.provenance_id",
    )
}

/// Returns quarantined objects, oldest first.
///
/// # Errors
/// When the engine fails.
pub async fn list(db: &impl Reader, filter: &Filter, limit: u32) -> Result<Vec<Item>> {
    let mut sql = select(db);
    sql.push(" WHERE q.id > ").bind(filter.after);
    if let Some(collection) = &filter.collection {
        sql.push(" AND c.accession = ").bind(collection.as_str());
    }
    if let Some(state) = filter.state {
        sql.push(" AND q.state = ").bind(state.as_str());
    }
    if let Some(check) = &filter.check {
        sql.push(" AND q.check_code = ").bind(check.as_str());
    }
    sql.push(" ORDER BY q.id LIMIT ").bind(i64::from(limit));
    sql.all::<Row>(db).await?.into_iter().map(shown).collect()
}

/// Returns one quarantined object.
///
/// # Errors
/// When the engine fails.
pub async fn get(db: &impl Reader, id: i64) -> Result<Option<Item>> {
    let mut sql = select(db);
    sql.push(" WHERE q.id = ").bind(id);
    sql.one::<Row>(db).await?.map(shown).transpose()
}

/// Decides over an object that waits.
///
/// # Errors
/// [`Error::NotFound`] when there is no such object that waits.
pub async fn decide(tx: &Transaction, id: i64, state: ItemState, by: &str, comment: &str) -> Result<()> {
    let mut sql = Sql::new(tx.kind(), "UPDATE quarantine_item SET state = ");
    sql.bind(state.as_str())
        .push(", decided_by = ")
        .bind(by)
        .push(", comment = ")
        .bind(comment);
    sql.push(", decided_at = ").push(instant::now(tx.kind()));
    sql.push(" WHERE state = 'waiting' AND id = ").bind(id);
    if sql.execute(tx).await? == 1 {
        Ok(())
    } else {
        Err(Error::NotFound("quarantined object that waits"))
    }
}

/// Returns how many objects wait, by collection and check.
///
/// # Errors
/// When the engine fails.
pub async fn counts(db: &impl Reader) -> Result<Vec<(CollectionAccession, String, u64)>> {
    let sql = Sql::new(
        db.kind(),
        "SELECT c.accession, q.check_code, COUNT(*) FROM quarantine_item q JOIN collection c ON c.id = q.collection_id \
         WHERE q.state = 'waiting' GROUP BY c.accession, q.check_code ORDER BY c.accession, q.check_code",
    );
    let rows = sql.rows(db).await?;
    rows.iter()
        .map(|row| {
            let (accession, count): (String, i64) = (row.try_get_by_index(0)?, row.try_get_by_index(2)?);
            Ok((
                collections::parse(&accession)?,
                row.try_get_by_index(1)?,
                u64::try_from(count).unwrap_or(0),
            ))
        })
        .collect()
}

fn shown(row: Row) -> Result<Item> {
    Ok(Item {
        id: row.id,
        collection: collections::parse(&row.accession)?,
        check: row.check_code,
        state: ItemState::from_name(&row.state)?,
        sop_class_uid: row.sop_class_uid,
        transfer_syntax_uid: row.transfer_syntax_uid,
        bytes: u64::try_from(row.bytes).unwrap_or(0),
        blob: dereference(&row.reference)?,
        sent_digest: crate::commit::lookup::digest(row.sent_digest)?,
        provenance: row.provenance.unwrap_or_default(),
        received_at: instant::utc(row.received_at)?,
        decided_by: row.decided_by,
        comment: row.comment,
    })
}
