//! Changes of the state of images: release, hold, withdraw, supersede, discard.
//!
//! A change reaches whole series at a time and takes a bounded number of them per transaction, so that a release of two
//! million images holds no lock for long: [`change`] says whether more is left. The counters that visibility reads change
//! with the images.

use isocenter_model::CollectionAccession;
use sea_orm::FromQueryResult;

use crate::numbers::Numbered;
use crate::record::{ImageState, ReleaseRecord, Scope};
use crate::sql::Sql;
use crate::{Error, Reader, Result, Transaction, collections, counters, instant, settings};

/// What a change did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Changed {
    /// Images whose state changed.
    pub images: u64,
    /// Series that were looked at.
    pub series: u64,
    /// Whether more series of the scope have images to change.
    pub more: bool,
}

/// Changes the state of images of a collection that are in one of the states `from`, in at most `series` series.
///
/// # Errors
/// [`Error::NotFound`] when there is no such collection; else when the engine fails.
pub async fn change(
    tx: &Transaction,
    collection: &CollectionAccession,
    scope: &Scope,
    from: &[ImageState],
    to: ImageState,
    series: u32,
) -> Result<Changed> {
    let id = collections::id_in(tx, collection).await?;
    tx.lock_collection(id).await?;
    let limit = usize::try_from(series.max(1)).unwrap_or(usize::MAX);
    let mut ids = affected(tx, id, scope, from, to, limit.saturating_add(1)).await?;
    let more = ids.len() > limit;
    ids.truncate(limit);
    let mut changed = Changed {
        images: 0,
        series: u64::try_from(ids.len()).unwrap_or(0),
        more,
    };
    for part in ids.chunks(500) {
        let mut sql = Sql::new(tx.kind(), "UPDATE image SET state = ");
        sql.bind(to.code())
            .push(", changed_at = ")
            .push(instant::now(tx.kind()))
            .push(" WHERE series_id IN ");
        sql.bind_list(part.iter().copied()).push(" AND state IN ");
        sql.bind_list(from.iter().filter(|state| **state != to).map(|state| state.code()));
        if let Scope::Images(images) = scope {
            sql.push(" AND id IN ").bind_list(numbers(images)?);
        }
        changed.images += sql.execute(tx).await?;
        counters::recount(tx, part).await?;
    }
    if changed.images > 0 {
        settings::bump(tx).await?;
    }
    Ok(changed)
}

/// Applies a release as a pack carries it: all of it, for replay and for the transaction that puts it.
///
/// # Errors
/// As [`change`].
pub async fn apply(tx: &Transaction, release: &ReleaseRecord) -> Result<()> {
    while change(tx, &release.collection, &release.scope, &release.from, release.to, 500)
        .await?
        .more
    {}
    Ok(())
}

fn numbers<T: Numbered>(accessions: &[T]) -> Result<Vec<i64>> {
    if accessions.len() > 10_000 {
        return Err(Error::BadValue("more than 10,000 accessions in one change"));
    }
    accessions.iter().map(Numbered::number).collect()
}

#[derive(FromQueryResult)]
struct Id {
    id: i64,
}

async fn affected(
    tx: &Transaction,
    collection: i64,
    scope: &Scope,
    from: &[ImageState],
    to: ImageState,
    limit: usize,
) -> Result<Vec<i64>> {
    let mut sql = Sql::new(tx.kind(), "SELECT r.id FROM series r WHERE r.collection_id = ");
    sql.bind(collection);
    match scope {
        Scope::Collection => {}
        Scope::Studies(studies) => {
            sql.push(" AND r.study_id IN ").bind_list(numbers(studies)?);
        }
        Scope::Series(series) => {
            sql.push(" AND r.id IN ").bind_list(numbers(series)?);
        }
        Scope::Images(images) => {
            sql.push(" AND r.id IN (SELECT series_id FROM image WHERE id IN ")
                .bind_list(numbers(images)?)
                .push(")");
        }
    }
    sql.push(" AND EXISTS (SELECT 1 FROM image i WHERE i.series_id = r.id AND i.state IN ");
    sql.bind_list(from.iter().filter(|state| **state != to).map(|state| state.code()));
    if let Scope::Images(images) = scope {
        sql.push(" AND i.id IN ").bind_list(numbers(images)?);
    }
    sql.push(") ORDER BY r.id LIMIT ")
        .bind(i64::try_from(limit).unwrap_or(i64::MAX));
    Ok(sql.all::<Id>(tx).await?.into_iter().map(|row| row.id).collect())
}
