//! Instants as both engines compare them alike: microseconds since 1970, UTC.

use chrono::{DateTime, Utc};

use crate::{Error, Kind, Result};

/// Returns the number that the database keeps.
pub(crate) fn micros(at: DateTime<Utc>) -> i64 {
    at.timestamp_micros()
}

/// Returns the instant of that number.
pub(crate) fn utc(micros: i64) -> Result<DateTime<Utc>> {
    DateTime::from_timestamp_micros(micros).ok_or(Error::Damaged("an instant is out of range"))
}

/// Returns the expression for the database's own clock.
pub(crate) fn now(kind: Kind) -> &'static str {
    match kind {
        Kind::Sqlite => "CAST(unixepoch('subsec') * 1000000 AS INTEGER)",
        Kind::Postgres => "CAST(extract(epoch FROM statement_timestamp()) * 1000000 AS BIGINT)",
    }
}
