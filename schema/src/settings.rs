//! What the archive remembers of itself: the fingerprint of its master key, and the change number.
//!
//! The change number grows with every change of rights, routes, collections, tokens or states that a process might have
//! read before. No process keeps such a thing without comparing the number (DESIGN section 6.9).

use crate::sql::Sql;
use crate::{Error, Reader, Result, Transaction};

/// Name of the setting that holds the fingerprint of the master key.
pub const KEY_FINGERPRINT: &str = "key_fingerprint";

const CHANGE: &str = "change";

/// Returns a setting's value.
///
/// # Errors
/// When the engine fails.
pub async fn get(db: &impl Reader, name: &str) -> Result<Option<String>> {
    let mut sql = Sql::new(db.kind(), "SELECT value FROM setting WHERE name = ");
    sql.bind(name);
    sql.value(db).await
}

/// Sets a value.
///
/// # Errors
/// When the engine fails.
pub async fn set(tx: &Transaction, name: &str, value: &str) -> Result<()> {
    let mut sql = Sql::new(tx.kind(), "INSERT INTO setting (name, value) VALUES (");
    sql.bind(name).push(", ").bind(value);
    sql.push(") ON CONFLICT (name) DO UPDATE SET value = excluded.value");
    sql.execute(tx).await?;
    Ok(())
}

/// Sets a value if there is none yet, and returns the one that holds: the caller's, or the earlier one.
///
/// # Errors
/// When the engine fails.
pub async fn set_once(tx: &Transaction, name: &str, value: &str) -> Result<String> {
    let mut sql = Sql::new(tx.kind(), "INSERT INTO setting (name, value) VALUES (");
    sql.bind(name).push(", ").bind(value).push(") ON CONFLICT DO NOTHING");
    sql.execute(tx).await?;
    get(tx, name).await?.ok_or(Error::Damaged("a setting vanished"))
}

/// Returns the change number: equal numbers mean that nothing of it changed.
///
/// # Errors
/// When the engine fails.
pub async fn change_number(db: &impl Reader) -> Result<u64> {
    let mut sql = Sql::new(db.kind(), "SELECT next FROM counter WHERE name = ");
    sql.bind(CHANGE);
    Ok(u64::try_from(sql.value::<i64>(db).await?.unwrap_or(0)).unwrap_or(0))
}

/// Moves the change number on. The functions of this package that change rights do so themselves.
///
/// # Errors
/// When the engine fails.
pub async fn bump(tx: &Transaction) -> Result<()> {
    let mut sql = Sql::new(tx.kind(), "INSERT INTO counter (name, next) VALUES (");
    sql.bind(CHANGE)
        .push(", 1) ON CONFLICT (name) DO UPDATE SET next = counter.next + 1");
    sql.execute(tx).await?;
    Ok(())
}
