//! Which packs have been applied: what start-up needs to know to replay the others.
//!
//! An ingest transaction is not flushed, so after a power cut the newest packs may be in the store and not here. The
//! checkpoint is the name up to which every pack is surely applied *and flushed*; start-up lists the store from there,
//! and replays what [`known`] does not hold.

use std::collections::BTreeSet;

use isocenter_storage::PackName;

use crate::sql::Sql;
use crate::{Database, Error, Reader, Result, instant, settings};

const CHECKPOINT: &str = "pack_checkpoint";

/// Returns the names of all packs that were applied and come after `after`.
///
/// # Errors
/// When the engine fails.
pub async fn known(db: &impl Reader, after: Option<&PackName>) -> Result<BTreeSet<PackName>> {
    let mut sql = Sql::new(db.kind(), "SELECT name FROM pack");
    if let Some(after) = after {
        sql.push(" WHERE name > ").bind(after.as_bytes().to_vec());
    }
    let rows = sql.rows(db).await?;
    rows.iter().map(|row| name(row.try_get_by_index(0)?)).collect()
}

/// Marks a pack whose rows were not committed as one that never will be, and returns whether it could: one that was applied
/// meanwhile, by us or by a replay, stays. The mark is flushed, and outlives the pack: a replay that has read the pack and
/// comes late finds it.
///
/// # Errors
/// When the engine fails; then nothing is known, and it should be asked again.
pub async fn void(db: &Database, name: &PackName) -> Result<bool> {
    let tx = db.begin_write().await?;
    let mut sql = Sql::new(tx.kind(), "INSERT INTO pack (name, size, records, applied_at) VALUES (");
    sql.bind(name.as_bytes().to_vec())
        .push(", 0, 0, ")
        .push(instant::now(tx.kind()))
        .push(") ON CONFLICT DO NOTHING");
    let marked = sql.execute(&tx).await? == 1;
    tx.commit().await?;
    Ok(marked)
}

/// Returns the packs that were marked so. They hold nothing anybody was told of, and may be deleted.
///
/// # Errors
/// When the engine fails.
pub async fn voided(db: &impl Reader) -> Result<Vec<PackName>> {
    // no pack that was put has no bytes
    let rows = Sql::new(db.kind(), "SELECT name FROM pack WHERE size = 0")
        .rows(db)
        .await?;
    rows.iter().map(|row| name(row.try_get_by_index(0)?)).collect()
}

/// Returns the name up to which every pack of the store is applied and flushed.
///
/// # Errors
/// When the engine fails.
pub async fn checkpoint(db: &impl Reader) -> Result<Option<PackName>> {
    match settings::get(db, CHECKPOINT).await? {
        None => Ok(None),
        Some(text) => text
            .parse()
            .map(Some)
            .map_err(|_| Error::Damaged("the checkpoint is no pack name")),
    }
}

/// Moves the checkpoint, in a flushed transaction. The flush covers every earlier commit, those of ingest included. The
/// caller vouches that no pack up to this name is still on its way.
///
/// # Errors
/// When the engine fails; then the checkpoint stays.
pub async fn advance(db: &Database, name: &PackName) -> Result<()> {
    let tx = db.begin_write().await?;
    if checkpoint(&tx).await?.is_none_or(|now| now < *name) {
        settings::set(&tx, CHECKPOINT, &name.to_string()).await?;
    }
    tx.commit().await
}

/// Returns how many packs there are and how many bytes they have.
///
/// # Errors
/// When the engine fails.
pub async fn totals(db: &impl Reader) -> Result<(u64, u64)> {
    let sql = Sql::new(
        db.kind(),
        "SELECT COUNT(*), CAST(COALESCE(SUM(size), 0) AS BIGINT) FROM pack",
    );
    let rows = sql.rows(db).await?;
    let row = rows.first().ok_or(Error::Damaged("no count"))?;
    let (count, bytes): (i64, i64) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
    Ok((u64::try_from(count).unwrap_or(0), u64::try_from(bytes).unwrap_or(0)))
}

pub(crate) fn name(bytes: Vec<u8>) -> Result<PackName> {
    let bytes = bytes
        .try_into()
        .map_err(|_| Error::Damaged("a pack name has another length"))?;
    Ok(PackName::from_bytes(bytes))
}
