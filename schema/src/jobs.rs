//! Work to do: enqueued in the transaction that makes it necessary, taken by lease, tried again with growing pauses.
//!
//! A lease is a time by the database's clock until which nobody else takes the job; a worker that dies loses it by doing
//! nothing. Every job may therefore run twice, and its body must bear that. A job that fails too often is *dead*: it stays
//! as a row for people to look at. A job that is done has no row.

use std::time::Duration;

use sea_orm::sea_query::OnConflict;
use sea_orm::{EntityTrait, FromQueryResult, QueryTrait, Set};
use serde::{Deserialize, Serialize};

use crate::entity::system::job;
use crate::sql::{Batch, Sql};
use crate::{Database, Error, Kind, Reader, Result, Transaction, instant};

/// How often a job is tried where nothing else is said.
pub const ATTEMPTS: i32 = 8;
/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// A job to enqueue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewJob {
    /// Which workers take it.
    pub queue: String,
    /// What is to be done.
    pub name: String,
    /// With what; accessions and ids, never patient data.
    pub payload: serde_json::Value,
    /// While a job with this key waits to be taken, a second one is not made. One that runs does not count: it may have
    /// looked before the change that this job is about.
    pub dedupe_key: Option<String>,
    /// Not before this time has passed.
    pub delay: Duration,
}

impl NewJob {
    /// Returns a job that may start at once.
    pub fn new(queue: impl Into<String>, name: impl Into<String>, payload: serde_json::Value) -> Self {
        Self {
            queue: queue.into(),
            name: name.into(),
            payload,
            dedupe_key: None,
            delay: Duration::ZERO,
        }
    }

    /// Sets the key under which only one such job exists.
    #[must_use]
    pub fn once(mut self, key: impl Into<String>) -> Self {
        self.dedupe_key = Some(key.into());
        self
    }
}

/// A job that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leased {
    /// Its row.
    pub id: i64,
    /// Its queue.
    pub queue: String,
    /// What is to be done.
    pub name: String,
    /// With what.
    pub payload: serde_json::Value,
    /// Which attempt this is, from 1.
    pub attempt: i32,
    /// After how many it is given up.
    pub max_attempts: i32,
}

/// A job as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobRow {
    /// Its row.
    pub id: i64,
    /// Its queue.
    pub queue: String,
    /// What is to be done.
    pub name: String,
    /// `waiting`, `running` or `dead`.
    pub state: String,
    /// Attempts so far.
    pub attempts: i32,
    /// What went wrong last.
    pub last_error: String,
}

/// Enqueues jobs.
///
/// # Errors
/// When the engine fails.
pub async fn enqueue(tx: &Transaction, jobs: &[NewJob]) -> Result<()> {
    let mut batch = Batch::new(tx.kind());
    enqueue_in(tx, &mut batch, jobs).await?;
    batch.run(tx).await
}

/// Adds jobs to a batch.
pub(crate) async fn enqueue_in(tx: &Transaction, batch: &mut Batch, jobs: &[NewJob]) -> Result<()> {
    for chunk in jobs.chunks(100) {
        // what may start at once is due since ever, so that the database's clock need not be asked
        let now = if chunk.iter().all(|job| job.delay.is_zero()) {
            0
        } else {
            now(tx).await?
        };
        let rows = chunk.iter().map(|job| job::ActiveModel {
            queue: Set(job.queue.clone()),
            name: Set(job.name.clone()),
            payload: Set(job.payload.to_string()),
            dedupe_key: Set(job.dedupe_key.clone()),
            state: Set("waiting".to_owned()),
            attempts: Set(0),
            max_attempts: Set(ATTEMPTS),
            due_at: Set(Some(if job.delay.is_zero() {
                0
            } else {
                now.saturating_add(micros(job.delay))
            })),
            worker: Set(String::new()),
            last_error: Set(String::new()),
            created_at: Set(instant::micros(chrono::Utc::now())),
            ..Default::default()
        });
        let mut insert = job::Entity::insert_many(rows).into_query();
        // whatever column is in the way, not only the primary key
        insert.on_conflict(OnConflict::new().do_nothing().to_owned());
        batch.build(&insert);
    }
    Ok(())
}

async fn now(db: &impl Reader) -> Result<i64> {
    let mut sql = Sql::new(db.kind(), "SELECT ");
    sql.push(instant::now(db.kind()));
    sql.value(db).await?.ok_or(Error::Damaged("no clock"))
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

#[derive(FromQueryResult)]
struct Taken {
    id: i64,
    queue: String,
    name: String,
    payload: String,
    attempts: i32,
    max_attempts: i32,
}

/// Takes up to `n` jobs of a queue until the lease ends: one that was tried before alone, as it may be what ended its worker
/// and must not take others with it; else only new ones. Jobs whose worker was lost on the last attempt become dead.
///
/// # Errors
/// When the engine fails; then nothing was taken.
pub async fn claim(db: &Database, queue: &str, worker: &str, n: u32, lease: Duration) -> Result<Vec<Leased>> {
    // looking first costs no write lock while there is nothing to do
    let mut due = Sql::new(db.kind(), "SELECT 1 FROM job WHERE queue = ");
    due.bind(queue)
        .push(" AND due_at <= ")
        .push(instant::now(db.kind()))
        .push(" LIMIT 1");
    if due.rows(db).await?.is_empty() {
        return Ok(Vec::new());
    }
    let tx = db.begin_write().await?;
    let now = instant::now(tx.kind());
    let mut bury = Sql::new(
        tx.kind(),
        "UPDATE job SET state = 'dead', due_at = NULL, last_error = 'the worker was lost' WHERE queue = ",
    );
    bury.bind(queue)
        .push(" AND state = 'running' AND attempts >= max_attempts AND due_at <= ")
        .push(now);
    bury.execute(&tx).await?;
    let take = |which: &str, n: u32| {
        let mut take = Sql::new(
            tx.kind(),
            "UPDATE job SET state = 'running', dedupe_key = NULL, attempts = attempts + 1, worker = ",
        );
        take.bind(worker)
            .push(", due_at = ")
            .push(now)
            .push(" + ")
            .bind(micros(lease));
        take.push(" WHERE id IN (SELECT id FROM job WHERE queue = ")
            .bind(queue)
            .push(" AND due_at <= ")
            .push(now)
            .push(which);
        take.push(" ORDER BY due_at, id LIMIT ").bind(i64::from(n));
        if tx.kind() == Kind::Postgres {
            take.push(" FOR UPDATE SKIP LOCKED");
        }
        take.push(") RETURNING id, queue, name, payload, attempts, max_attempts");
        take
    };
    let mut taken: Vec<Taken> = take(" AND attempts > 0", n.min(1)).all(&tx).await?;
    if taken.is_empty() {
        taken = take(" AND attempts = 0", n).all(&tx).await?;
    }
    tx.commit().await?;
    taken.sort_by_key(|job| job.id);
    taken
        .into_iter()
        .map(|job| {
            Ok(Leased {
                id: job.id,
                queue: job.queue,
                name: job.name,
                payload: serde_json::from_str(&job.payload).map_err(|_| Error::Damaged("a job is not JSON"))?,
                attempt: job.attempts,
                max_attempts: job.max_attempts,
            })
        })
        .collect()
}

/// Keeps a job for longer.
///
/// # Errors
/// [`Error::LeaseLost`] when somebody else has it by now.
pub async fn extend(tx: &Transaction, job: &Leased, lease: Duration) -> Result<()> {
    let mut sql = Sql::new(tx.kind(), "UPDATE job SET due_at = ");
    sql.push(instant::now(tx.kind())).push(" + ").bind(micros(lease));
    mine(sql, job, tx).await
}

/// Ends jobs: their rows go. In the transaction of what they did, so that both hold or neither.
///
/// # Errors
/// [`Error::LeaseLost`] when somebody else has one of them by now: the transaction must not be committed.
pub async fn complete(tx: &Transaction, jobs: &[Leased]) -> Result<()> {
    for jobs in jobs.chunks(200) {
        let mut sql = Sql::new(tx.kind(), "DELETE FROM job WHERE state = 'running' AND (");
        for (at, job) in jobs.iter().enumerate() {
            // the attempt is the token of the lease: whoever takes the job later has another
            sql.push(if at == 0 { "(id = " } else { " OR (id = " })
                .bind(job.id)
                .push(" AND attempts = ")
                .bind(job.attempt)
                .push(")");
        }
        sql.push(")");
        if sql.execute(tx).await? != jobs.len() as u64 {
            return Err(Error::LeaseLost);
        }
    }
    Ok(())
}

/// Gives a job back after a failure: it is tried again after a pause that grows with each attempt, or becomes dead.
///
/// # Errors
/// [`Error::LeaseLost`] when somebody else has it by now.
pub async fn fail(tx: &Transaction, job: &Leased, error: &str) -> Result<()> {
    let error: String = error.chars().take(500).collect();
    let mut sql = Sql::new(tx.kind(), "UPDATE job SET last_error = ");
    sql.bind(error).push(", worker = '', ");
    if job.attempt >= job.max_attempts {
        sql.push("state = 'dead', due_at = NULL");
    } else {
        sql.push("state = 'waiting', due_at = ")
            .push(instant::now(tx.kind()))
            .push(" + ")
            .bind(micros(pause(job.attempt)));
    }
    mine(sql, job, tx).await
}

/// Returns the pause after an attempt: 1 s, 4 s, 16 s and so on up to an hour.
fn pause(attempt: i32) -> Duration {
    let doublings = u32::try_from(attempt.saturating_sub(1))
        .unwrap_or(0)
        .saturating_mul(2)
        .min(20);
    Duration::from_secs(1 << doublings).min(LONGEST_PAUSE)
}

async fn mine(mut sql: Sql, job: &Leased, tx: &Transaction) -> Result<()> {
    // the attempt is the token of the lease: whoever takes the job later has another
    sql.push(" WHERE id = ")
        .bind(job.id)
        .push(" AND state = 'running' AND attempts = ")
        .bind(job.attempt);
    if sql.execute(tx).await? == 1 {
        Ok(())
    } else {
        Err(Error::LeaseLost)
    }
}

/// Lets a dead job be tried again from the start.
///
/// # Errors
/// [`Error::NotFound`] when there is no such dead job.
pub async fn revive(tx: &Transaction, id: i64) -> Result<()> {
    let mut sql = Sql::new(tx.kind(), "UPDATE job SET state = 'waiting', attempts = 0, due_at = ");
    sql.push(instant::now(tx.kind()))
        .push(" WHERE state = 'dead' AND id = ")
        .bind(id);
    if sql.execute(tx).await? == 1 {
        Ok(())
    } else {
        Err(Error::NotFound("dead job"))
    }
}

/// Returns how many jobs each queue has in each state.
///
/// # Errors
/// When the engine fails.
pub async fn counts(db: &impl Reader) -> Result<Vec<(String, String, u64)>> {
    let sql = Sql::new(
        db.kind(),
        "SELECT queue, state, COUNT(*) FROM job GROUP BY queue, state ORDER BY queue, state",
    );
    let rows = sql.rows(db).await?;
    rows.iter()
        .map(|row| {
            let count: i64 = row.try_get_by_index(2)?;
            Ok((
                row.try_get_by_index(0)?,
                row.try_get_by_index(1)?,
                u64::try_from(count).unwrap_or(0),
            ))
        })
        .collect()
}

/// Returns dead jobs, newest first.
///
/// # Errors
/// When the engine fails.
pub async fn dead(db: &impl Reader, limit: u32) -> Result<Vec<JobRow>> {
    let mut sql = Sql::new(
        db.kind(),
        "SELECT * FROM job WHERE state = 'dead' ORDER BY id DESC LIMIT ",
    );
    sql.bind(i64::from(limit));
    let rows: Vec<job::Model> = sql.all(db).await?;
    let show = |row: job::Model| JobRow {
        id: row.id,
        queue: row.queue,
        name: row.name,
        state: row.state,
        attempts: row.attempts,
        last_error: row.last_error,
    };
    Ok(rows.into_iter().map(show).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_an_hour() {
        let seconds: Vec<u64> = (1..=9).map(|attempt| pause(attempt).as_secs()).collect();
        assert_eq!(seconds, [1, 4, 16, 64, 256, 1024, 3600, 3600, 3600]);
    }
}
