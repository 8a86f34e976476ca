//! What can go wrong with the database, and how it is said.
//!
//! The engines like to repeat values in their messages (PostgreSQL: `Key (patient_id)=(...) already exists`). So their
//! messages are not passed on: an error keeps the code, and from SQLite the message, which names tables and columns only.

use isocenter_model::{Classify, Fault};
use sea_orm::{DbErr, RuntimeErr};

/// Shorthand for results of this package.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure of the database, or of what was asked of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The database cannot be reached, is overloaded or stays locked: later it may work.
    #[error("the database is away: {0}")]
    Away(String),
    /// The database has no space.
    #[error("the database has no space left")]
    NoSpace,
    /// A uniqueness or reference rule was broken: another transaction was faster. Trying again may work.
    #[error("another transaction was faster: {0}")]
    Raced(String),
    /// Nothing there.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// It is there already.
    #[error("there is such a {0} already")]
    Exists(&'static str),
    /// The search asks for what its key cannot do.
    #[error("bad search: {0}")]
    BadQuery(&'static str),
    /// A value that the database cannot hold.
    #[error("bad value: {0}")]
    BadValue(&'static str),
    /// A record of a pack is not one.
    #[error("the record {0}")]
    Record(&'static str),
    /// A row says what no row of ours says.
    #[error("damaged row: {0}")]
    Damaged(&'static str),
    /// The database was made by a newer program, or the migrations have not been applied.
    #[error("the database's version does not fit this program: {0}")]
    Version(String),
    /// An audit event was to be written and nobody handed over the chain's key.
    #[error("no audit chain was set")]
    NoAuditChain,
    /// The lease of a job is no longer the caller's.
    #[error("the lease was lost")]
    LeaseLost,
    /// Anything else that the engine says.
    #[error("the database failed: {0}")]
    Engine(String),
}

impl Classify for Error {
    fn fault(&self) -> Fault {
        match self {
            Self::Away(_) | Self::NoSpace => Fault::Unavailable,
            Self::Raced(_) | Self::Exists(_) | Self::LeaseLost => Fault::Conflict,
            Self::NotFound(_) => Fault::NotFound,
            Self::BadQuery(_) | Self::BadValue(_) => Fault::BadInput,
            Self::Record(_) | Self::Damaged(_) => Fault::Corrupt,
            Self::Version(_) | Self::NoAuditChain | Self::Engine(_) => Fault::Internal,
        }
    }
}

impl From<DbErr> for Error {
    fn from(error: DbErr) -> Self {
        match &error {
            DbErr::ConnectionAcquire(_) => Self::Away("no connection became free in time".to_owned()),
            DbErr::Conn(inner) | DbErr::Exec(inner) | DbErr::Query(inner) => from_runtime(inner),
            DbErr::Migration(text) => Self::Version(text.clone()),
            DbErr::RecordNotFound(_) => Self::NotFound("row"),
            DbErr::TryIntoErr { .. } | DbErr::Type(_) | DbErr::Json(_) => Self::Damaged("a value has another type"),
            _ => Self::Engine("the statement could not be built".to_owned()),
        }
    }
}

fn from_runtime(error: &RuntimeErr) -> Error {
    let RuntimeErr::SqlxError(error) = error else {
        return Error::Engine("the driver refused".to_owned());
    };
    let Some(engine) = error.as_database_error() else {
        use sea_orm::SqlxError as E;
        return match error.as_ref() {
            E::ColumnDecode { .. } | E::Decode(_) | E::ColumnNotFound(_) => Error::Damaged("a value has another type"),
            E::PoolTimedOut => Error::Away("no connection became free in time".to_owned()),
            E::PoolClosed => Error::Away("the pool is closed".to_owned()),
            E::Io(io) => Error::Away(io.kind().to_string()),
            E::Configuration(_) => Error::Engine("the database URL is not understood".to_owned()),
            _ => Error::Away("the connection failed".to_owned()),
        };
    };
    let code = engine.code().unwrap_or_default().into_owned();
    let table = engine
        .table()
        .or_else(|| engine.constraint())
        .unwrap_or_default()
        .to_owned();
    if engine.is_unique_violation() || engine.is_foreign_key_violation() {
        return Error::Raced(format!("{code} {table}").trim_end().to_owned());
    }
    match code.parse::<u32>() {
        // SQLite's codes have up to four digits (the primary code is the low byte), PostgreSQL's are five characters
        Ok(number) if code.len() < 5 => match number & 0xff {
            5 | 6 | 14 => Error::Away(format!("code {code}")),
            13 => Error::NoSpace,
            10 => Error::Away(format!("input or output failed, code {code}")),
            11 | 26 => Error::Damaged("the database file is malformed"),
            _ => Error::Engine(format!("code {code}: {}", engine.message())),
        },
        _ if code == "53100" => Error::NoSpace,
        // too many connections, shutting down, serialization, deadlock, read only, connection exceptions
        // a database that takes no connections now, or that somebody took away: what is said to a new connection
        _ if matches!(code.as_str(), "55000" | "55P03" | "3D000") => Error::Away(format!("code {code}")),
        _ if code.starts_with("08") || code.starts_with("53") || code.starts_with("57") || code.starts_with("40") => {
            Error::Away(format!("code {code}"))
        }
        _ => Error::Engine(format!("code {code} {table}").trim_end().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_database_asks_to_come_back_and_a_bad_search_does_not() {
        assert_eq!(Error::Away(String::new()).fault(), Fault::Unavailable);
        assert_eq!(Error::NoSpace.fault(), Fault::Unavailable);
        assert_eq!(Error::BadQuery("x").fault(), Fault::BadInput);
    }
}
