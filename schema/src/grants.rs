//! Collections opened to a principal beyond what its token or account says: the answer to a request for controlled data.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use isocenter_model::CollectionAccession;
use isocenter_model::rights::Role;
use sea_orm::FromQueryResult;

use crate::sql::Sql;
use crate::{Error, Reader, Result, Transaction, collections, instant, settings};

/// Opens a collection to a principal, or changes until when it is open.
///
/// # Errors
/// [`Error::NotFound`] when there is no such collection; else when the engine fails.
pub async fn give(
    tx: &Transaction,
    principal: &str,
    collection: &CollectionAccession,
    granted_by: &str,
    expires_at: Option<DateTime<Utc>>,
) -> Result<()> {
    let id = collections::id_in(tx, collection).await?;
    let text = "INSERT INTO access_grant (principal, collection_id, granted_by, granted_at, expires_at) VALUES (";
    let mut sql = Sql::new(tx.kind(), text);
    sql.bind(principal)
        .push(", ")
        .bind(id)
        .push(", ")
        .bind(granted_by)
        .push(", ")
        .push(instant::now(tx.kind()));
    sql.push(", ")
        .bind(expires_at.map(instant::micros))
        .push(") ON CONFLICT (principal, collection_id) DO UPDATE SET ");
    sql.push("granted_by = excluded.granted_by, granted_at = excluded.granted_at, expires_at = excluded.expires_at");
    sql.execute(tx).await?;
    settings::bump(tx).await
}

/// Closes it again.
///
/// # Errors
/// [`Error::NotFound`] when it was not open.
pub async fn take_back(tx: &Transaction, principal: &str, collection: &CollectionAccession) -> Result<()> {
    let id = collections::id_in(tx, collection).await?;
    let mut sql = Sql::new(tx.kind(), "DELETE FROM access_grant WHERE principal = ");
    sql.bind(principal).push(" AND collection_id = ").bind(id);
    if sql.execute(tx).await? != 1 {
        return Err(Error::NotFound("grant"));
    }
    settings::bump(tx).await
}

/// Returns the collections that are open to a principal now.
///
/// # Errors
/// When the engine fails.
pub async fn of(db: &impl Reader, principal: &str) -> Result<BTreeSet<CollectionAccession>> {
    #[derive(FromQueryResult)]
    struct Row {
        accession: String,
    }
    let mut sql = Sql::new(
        db.kind(),
        "SELECT c.accession FROM access_grant g JOIN collection c ON c.id = g.collection_id WHERE g.principal = ",
    );
    sql.bind(principal)
        .push(" AND (g.expires_at IS NULL OR g.expires_at > ")
        .push(instant::now(db.kind()))
        .push(")");
    sql.all::<Row>(db)
        .await?
        .iter()
        .map(|row| collections::parse(&row.accession))
        .collect()
}

/// Adds the grants to a researcher's collections. Other roles are bound by their collections, and grants do not widen that.
pub(crate) async fn added(
    db: &impl Reader,
    principal: &str,
    role: Role,
    bound: Option<BTreeSet<CollectionAccession>>,
) -> Result<Option<BTreeSet<CollectionAccession>>> {
    if role != Role::Researcher {
        return Ok(bound);
    }
    let granted = of(db, principal).await?;
    if granted.is_empty() {
        return Ok(bound);
    }
    let mut all = bound.unwrap_or_default();
    all.extend(granted);
    Ok(Some(all))
}
