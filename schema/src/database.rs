//! Connections, and the three ways to begin.
//!
//! SQLite allows one writer, so there is one connection that writes and flushes (`synchronous=FULL`) and one that ingests
//! (`synchronous=NORMAL`: the pack that was put before is the durable copy, start-up replays it); both begin IMMEDIATE,
//! because a transaction that reads first and then writes fails under contention. Everything else reads, on a pool whose
//! connections cannot write. A flush by the one covers the earlier commits of the other: they share the write-ahead log.
//! PostgreSQL has one pool for all three, and flushes every commit.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use isocenter_model::CollectionAccession;
use parking_lot::{Mutex, RwLock};
use sea_orm::sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use sea_orm::{
    ConnectOptions, ConnectionTrait, DatabaseConnection, DatabaseExecutor, DatabaseTransaction, DbBackend, DbErr,
    SqliteTransactionMode, TransactionOptions, TransactionTrait,
};
use sea_orm_migration::MigratorTrait;

use crate::audit::Chain;
use crate::migration::Migrator;
use crate::sql::Sql;
use crate::{Error, Result, instant};

/// The engine behind a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A SQLite file.
    Sqlite,
    /// A PostgreSQL server.
    Postgres,
}

impl Kind {
    pub(crate) fn backend(self) -> DbBackend {
        match self {
            Self::Sqlite => DbBackend::Sqlite,
            Self::Postgres => DbBackend::Postgres,
        }
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Database {}
    impl Sealed for super::Transaction {}
}

/// What can be read from: a [`Database`] or a [`Transaction`].
pub trait Reader: sealed::Sealed + Sync {
    /// Returns the engine.
    fn kind(&self) -> Kind;

    /// Returns where the statement goes. For this package only.
    #[doc(hidden)]
    fn executor(&self) -> DatabaseExecutor<'_>;

    /// Returns what the process remembers of this database. For this package only.
    #[doc(hidden)]
    fn memory(&self) -> &Memory;
}

/// What never changes once it is there, and so may be remembered: a collection's row id, and which shared texts have rows.
/// Rights are never remembered.
#[doc(hidden)]
#[derive(Debug, Default)]
pub struct Memory {
    pub(crate) collections: RwLock<HashMap<CollectionAccession, i64>>,
    /// ids of reports and provenances; bounded by forgetting all
    pub(crate) texts: RwLock<HashSet<i64>>,
    pub(crate) chain: RwLock<Option<Arc<Chain>>>,
    /// where pages ended, good for the change number that stands with it
    pub(crate) ends: crate::search::pages::Ends,
}

struct Inner {
    kind: Kind,
    read: DatabaseConnection,
    write: DatabaseConnection,
    ingest: DatabaseConnection,
    memory: Arc<Memory>,
}

/// A database, as many times cloned as needed.
#[derive(Clone)]
pub struct Database(Arc<Inner>);

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database")
            .field("kind", &self.0.kind)
            .finish_non_exhaustive()
    }
}

/// A transaction that may write. Dropped without [`Transaction::commit`] it changes nothing.
pub struct Transaction {
    kind: Kind,
    inner: DatabaseTransaction,
    memory: Arc<Memory>,
    learned: Mutex<Learned>,
}

/// What a transaction found or made, to be remembered once it holds.
#[derive(Debug, Default)]
struct Learned {
    collections: Vec<(CollectionAccession, i64)>,
    texts: Vec<i64>,
}

/// Shared texts that are remembered; a report has one for each profile and kind of object.
const TEXTS: usize = 4096;

impl std::fmt::Debug for Transaction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transaction")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

impl Reader for Database {
    fn kind(&self) -> Kind {
        self.0.kind
    }
    fn executor(&self) -> DatabaseExecutor<'_> {
        DatabaseExecutor::from(&self.0.read)
    }
    fn memory(&self) -> &Memory {
        &self.0.memory
    }
}

impl Reader for Transaction {
    fn kind(&self) -> Kind {
        self.kind
    }
    fn executor(&self) -> DatabaseExecutor<'_> {
        DatabaseExecutor::from(&self.inner)
    }
    fn memory(&self) -> &Memory {
        &self.memory
    }
}

impl Transaction {
    /// Makes the changes hold.
    ///
    /// # Errors
    /// When the engine refuses; then nothing was changed, or, if it went away while answering, nobody knows.
    pub async fn commit(self) -> Result<()> {
        self.inner.commit().await?;
        let learned = self.learned.into_inner();
        if !learned.collections.is_empty() {
            self.memory.collections.write().extend(learned.collections);
        }
        if !learned.texts.is_empty() {
            let mut texts = self.memory.texts.write();
            if texts.len() > TEXTS {
                texts.clear();
            }
            texts.extend(learned.texts);
        }
        Ok(())
    }

    /// Drops the changes.
    ///
    /// # Errors
    /// When the engine went away; then they are dropped as well.
    pub async fn rollback(self) -> Result<()> {
        Ok(self.inner.rollback().await?)
    }

    /// Remembers a collection's row id once this transaction holds.
    pub(crate) fn learn(&self, accession: CollectionAccession, id: i64) {
        self.learned.lock().collections.push((accession, id));
    }

    pub(crate) fn learned(&self, accession: &CollectionAccession) -> Option<i64> {
        self.learned
            .lock()
            .collections
            .iter()
            .find(|(a, _)| a == accession)
            .map(|(_, id)| *id)
    }

    /// Remembers that shared texts have rows once this transaction holds.
    pub(crate) fn learn_texts(&self, ids: impl Iterator<Item = i64>) {
        self.learned.lock().texts.extend(ids);
    }

    /// Lets nobody else change a collection's images until the end of this transaction. SQLite has one writer anyway.
    pub(crate) async fn lock_collection(&self, id: i64) -> Result<()> {
        self.lock("isocenter collection", id).await
    }

    /// Waits for, and holds to the end, a lock of that purpose and number.
    pub(crate) async fn lock(&self, purpose: &str, number: i64) -> Result<()> {
        if self.kind == Kind::Postgres {
            let mut sql = Sql::new(self.kind, "SELECT pg_advisory_xact_lock(hashtextextended(");
            sql.bind(purpose).push(", ").bind(number).push("))");
            sql.execute(self).await?;
        }
        Ok(())
    }
}

/// How many connections are opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connections {
    /// Connections that read; on PostgreSQL all connections.
    pub read: u32,
    /// How long a caller waits for one.
    pub wait: Duration,
}

impl Default for Connections {
    fn default() -> Self {
        Self {
            read: 8,
            wait: Duration::from_secs(10),
        }
    }
}

impl Database {
    /// Opens a database: `sqlite://PATH` (made where it is missing) or `postgres://...`. Applies no migration.
    ///
    /// # Errors
    /// When the URL is neither, or the engine cannot be reached.
    pub async fn open(url: &str) -> Result<Self> {
        Self::open_with(url, Connections::default()).await
    }

    /// Opens a database with a chosen number of connections.
    ///
    /// # Errors
    /// As [`Database::open`].
    pub async fn open_with(url: &str, connections: Connections) -> Result<Self> {
        let memory = Arc::new(Memory::default());
        if url.starts_with("sqlite:") {
            if url.contains(":memory:") || url.contains("mode=memory") {
                return Err(Error::BadValue(
                    "a SQLite database must be a file: several connections share it",
                ));
            }
            // the first connection makes the file and sets its journal mode, before the others look at it
            let write = sqlite(url, SqliteSynchronous::Full, 1, false, connections).await?;
            let ingest = sqlite(url, SqliteSynchronous::Normal, 1, false, connections).await?;
            let read = sqlite(url, SqliteSynchronous::Full, connections.read.max(1), true, connections).await?;
            return Ok(Self(Arc::new(Inner {
                kind: Kind::Sqlite,
                read,
                write,
                ingest,
                memory,
            })));
        }
        if !(url.starts_with("postgres:") || url.starts_with("postgresql:")) {
            return Err(Error::BadValue("a database URL begins with sqlite: or postgres:"));
        }
        let mut options = ConnectOptions::new(url.to_owned());
        options
            .sqlx_logging(false)
            .max_connections(connections.read.max(2))
            .acquire_timeout(connections.wait)
            .connect_timeout(connections.wait)
            // A database that was away for a while cuts every connection; one that idled is asked before it is used, so
            // that the first requests after its return do not fail one by one. Busy ones save the round trip.
            .test_before_acquire_if_idle_for(Duration::from_millis(100))
            .set_application_name("isocenter");
        let pool = sea_orm::Database::connect(options).await?;
        let (read, write) = (pool.clone(), pool.clone());
        Ok(Self(Arc::new(Inner {
            kind: Kind::Postgres,
            read,
            write,
            ingest: pool,
            memory,
        })))
    }

    /// Returns the engine.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// Hands over the audit chain of this process; [`crate::audit::append`] needs one.
    pub fn set_audit_chain(&self, chain: Chain) {
        *self.0.memory.chain.write() = Some(Arc::new(chain));
    }

    /// Applies the migrations that are missing.
    ///
    /// # Errors
    /// [`Error::Version`] when a newer program made the database.
    pub async fn migrate(&self) -> Result<()> {
        Migrator::up(&self.0.write, None).await.map_err(of_version)
    }

    /// Checks that the database has exactly the migrations of this program.
    ///
    /// # Errors
    /// [`Error::Version`] when some are missing or unknown.
    pub async fn check_version(&self) -> Result<()> {
        let missing = Migrator::get_pending_migrations_read_only(&self.0.read)
            .await
            .map_err(of_version)?;
        if missing.is_empty() {
            Ok(())
        } else {
            Err(Error::Version(format!("{} migrations are missing", missing.len())))
        }
    }

    /// Returns whether the database holds nothing yet: no table, or no collection and no pack.
    ///
    /// # Errors
    /// When the engine fails.
    pub async fn is_empty(&self) -> Result<bool> {
        let manager = sea_orm_migration::SchemaManager::new(&self.0.read);
        if !manager.has_table("collection").await? {
            return Ok(true);
        }
        let sql = "SELECT (SELECT COUNT(*) FROM collection) + (SELECT COUNT(*) FROM pack)";
        Ok(Sql::new(self.kind(), sql).value::<i64>(self).await?.unwrap_or(0) == 0)
    }

    /// Begins a transaction whose commit is flushed.
    ///
    /// # Errors
    /// [`Error::Away`] when the write lock or a connection does not become free in time.
    pub async fn begin_write(&self) -> Result<Transaction> {
        self.begin(&self.0.write).await
    }

    /// Begins a transaction whose commit is durable through the pack that was put before it: for [`crate::commit::group`]
    /// and nothing else.
    ///
    /// # Errors
    /// As [`Database::begin_write`].
    pub async fn begin_ingest(&self) -> Result<Transaction> {
        self.begin(&self.0.ingest).await
    }

    async fn begin(&self, pool: &DatabaseConnection) -> Result<Transaction> {
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate), // ignored by PostgreSQL
            ..TransactionOptions::default()
        };
        let inner = pool.begin_with_options(options).await?;
        let memory = Arc::clone(&self.0.memory);
        Ok(Transaction {
            kind: self.0.kind,
            inner,
            memory,
            learned: Mutex::default(),
        })
    }

    /// Returns the database's clock.
    ///
    /// # Errors
    /// When the engine fails.
    pub async fn now(&self) -> Result<DateTime<Utc>> {
        let kind = self.kind();
        let mut sql = Sql::new(kind, "SELECT ");
        sql.push(instant::now(kind));
        instant::utc(sql.value(self).await?.ok_or(Error::Damaged("no clock"))?)
    }

    /// Asks each connection kind for a sign of life, for `ready`.
    ///
    /// # Errors
    /// When one does not answer.
    pub async fn ping(&self) -> Result<()> {
        Sql::new(self.kind(), "SELECT 1").value::<i32>(self).await?;
        Ok(())
    }

    /// Lets the engine look at the data again, so that it chooses good plans: after a bulk load, and once a day.
    ///
    /// # Errors
    /// When the engine fails.
    pub async fn optimize(&self) -> Result<()> {
        match self.kind() {
            Kind::Sqlite => {
                let sql = "PRAGMA analysis_limit = 2000; ANALYZE; PRAGMA wal_checkpoint(TRUNCATE);";
                self.0.write.execute_unprepared(sql).await?;
            }
            Kind::Postgres => {
                self.0.write.execute_unprepared("ANALYZE").await?;
            }
        }
        Ok(())
    }

    /// Closes every connection. SQLite then folds its write-ahead log into the file.
    ///
    /// # Errors
    /// When the engine fails.
    pub async fn close(&self) -> Result<()> {
        self.0.read.close_by_ref().await?;
        self.0.ingest.close_by_ref().await?;
        self.0.write.close_by_ref().await?;
        Ok(())
    }
}

/// A migration that the database has and this program does not is told in words only.
fn of_version(error: DbErr) -> Error {
    match error {
        DbErr::Custom(text) | DbErr::Migration(text) => Error::Version(text),
        other => other.into(),
    }
}

async fn sqlite(
    url: &str,
    synchronous: SqliteSynchronous,
    count: u32,
    read_only: bool,
    connections: Connections,
) -> Result<DatabaseConnection> {
    let mut options = ConnectOptions::new(url.to_owned());
    options
        .sqlx_logging(false)
        .max_connections(count)
        .min_connections(1)
        .acquire_timeout(connections.wait)
        // one process, one file: a connection does not go stale, and reopening one costs its statement cache
        .idle_timeout(None::<Duration>)
        .max_lifetime(None::<Duration>)
        .test_before_acquire(false)
        .map_sqlx_sqlite_opts(move |options| {
            let options = options
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(synchronous)
                .busy_timeout(connections.wait)
                .foreign_keys(true)
                .create_if_missing(!read_only)
                .statement_cache_capacity(200)
                .pragma("temp_store", "memory")
                // 16 MB of log before a commit folds it into the file: fewer, longer flushes
                .pragma("wal_autocheckpoint", "4000")
                .pragma("cache_size", if read_only { "-4096" } else { "-24576" });
            if read_only {
                options.pragma("query_only", "on")
            } else {
                options
            }
        });
    Ok(sea_orm::Database::connect(options).await?)
}
