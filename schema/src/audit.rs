//! The audit trail: one keyed hash chain per writer.
//!
//! A writer is a process with a name. Each of its events carries the hash of the one before, and a hash over itself that
//! only the holder of the key can make: nobody who can write to the database can change, drop or insert an event in the
//! middle unseen. Dropping events at the end is seen by comparing with an exported head.
//!
//! Events hold accessions and keyed references, never patient data. A commit group is one event, not one per image.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use sea_orm::{FromQueryResult, Set};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::entity::system::audit_event;
use crate::sql::{Batch, Sql};
use crate::{Database, Error, Reader, Result, Transaction, instant};

/// A writer's name and the key of its chain. Every writer of an archive uses the same key.
pub struct Chain {
    writer: String,
    key: Zeroizing<[u8; 32]>,
}

impl std::fmt::Debug for Chain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Chain")
            .field("writer", &self.writer)
            .finish_non_exhaustive()
    }
}

impl Chain {
    /// Makes a chain. No two processes that run at the same time should have the same writer.
    pub fn new(writer: impl Into<String>, key: [u8; 32]) -> Self {
        Self {
            writer: writer.into(),
            key: Zeroizing::new(key),
        }
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEvent {
    /// Public id of the principal, or of the part of the program that acted.
    pub actor: String,
    /// What was done, `collection.create`.
    pub action: String,
    /// To what: an accession or a keyed reference.
    pub subject: String,
    /// More, as JSON.
    pub detail: serde_json::Value,
}

/// An event as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The chain.
    pub writer: String,
    /// Its place in the chain, from 1.
    pub seq: u64,
    /// When it was written, by the clock of the writer.
    pub at: DateTime<Utc>,
    /// As [`AuditEvent::actor`].
    pub actor: String,
    /// As [`AuditEvent::action`].
    pub action: String,
    /// As [`AuditEvent::subject`].
    pub subject: String,
    /// As [`AuditEvent::detail`].
    pub detail: serde_json::Value,
}

/// The end of a chain: what is exported, and compared later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Place of the last event.
    pub seq: u64,
    /// Its hash, in hexadecimal digits.
    pub hash: String,
}

/// What [`verify`] found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    /// Events read.
    pub events: u64,
    /// Head of each writer's chain.
    pub heads: BTreeMap<String, Head>,
    /// Places that do not fit: writer and number. Empty is good.
    pub broken: Vec<(String, u64)>,
}

#[derive(FromQueryResult)]
struct Last {
    seq: i64,
    hash: Vec<u8>,
}

/// Appends events to this process's chain.
///
/// # Errors
/// [`Error::NoAuditChain`] when there are events and [`Database::set_audit_chain`] was not called; else when the engine
/// fails.
pub async fn append(tx: &Transaction, events: &[AuditEvent]) -> Result<()> {
    let mut batch = Batch::new(tx.kind());
    append_in(tx, &mut batch, events).await?;
    batch.run(tx).await
}

/// Adds events to a batch. The end of the chain is locked now and stays so until the transaction ends: nothing else may
/// append to it between this and the batch's run.
pub(crate) async fn append_in(tx: &Transaction, batch: &mut Batch, events: &[AuditEvent]) -> Result<()> {
    if events.is_empty() {
        return Ok(());
    }
    let chain = tx.memory().chain.read().clone().ok_or(Error::NoAuditChain)?;
    let writer = chain.writer.as_str();
    tx.lock(writer, 0).await?;
    let mut sql = Sql::new(tx.kind(), "SELECT seq, hash FROM audit_event WHERE writer = ");
    sql.bind(writer).push(" ORDER BY seq DESC LIMIT 1");
    let last: Option<Last> = sql.one(tx).await?;
    let (mut seq, mut prev) = last.map_or((0, vec![0; 32]), |last| (last.seq, last.hash));
    let at = instant::micros(Utc::now());
    let mut rows = Vec::with_capacity(events.len());
    for event in events {
        seq += 1;
        let detail = event.detail.to_string();
        let link = Link {
            writer,
            seq,
            at,
            actor: &event.actor,
            action: &event.action,
            subject: &event.subject,
            detail: &detail,
        };
        let hash = link.hash(&chain.key, &prev)?;
        rows.push(audit_event::ActiveModel {
            writer: Set(writer.to_owned()),
            seq: Set(seq),
            at: Set(at),
            actor: Set(event.actor.clone()),
            action: Set(event.action.clone()),
            subject: Set(event.subject.clone()),
            detail: Set(detail),
            prev_hash: Set(prev),
            hash: Set(hash.clone()),
        });
        prev = hash;
    }
    batch.insert::<audit_event::Entity>(rows);
    Ok(())
}

/// What the hash covers, beside the hash before.
struct Link<'a> {
    writer: &'a str,
    seq: i64,
    at: i64,
    actor: &'a str,
    action: &'a str,
    subject: &'a str,
    detail: &'a str,
}

impl Link<'_> {
    fn hash(&self, key: &[u8; 32], prev: &[u8]) -> Result<Vec<u8>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).map_err(|_| Error::BadValue("the key of the audit chain"))?;
        mac.update(b"isocenter audit 1");
        mac.update(&self.seq.to_be_bytes());
        mac.update(&self.at.to_be_bytes());
        // each part with its length, so that nothing can move from one to the next
        for part in [
            prev,
            self.writer.as_bytes(),
            self.actor.as_bytes(),
            self.action.as_bytes(),
            self.subject.as_bytes(),
            self.detail.as_bytes(),
        ] {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        Ok(mac.finalize().into_bytes().to_vec())
    }
}

/// Walks every chain and recomputes it.
///
/// # Errors
/// When the engine fails; a chain that does not fit is a result, not an error.
pub async fn verify(db: &Database, key: &[u8; 32]) -> Result<Verified> {
    let mut found = Verified {
        events: 0,
        heads: BTreeMap::new(),
        broken: Vec::new(),
    };
    let (mut writer, mut seq, mut prev) = (String::new(), 0_i64, vec![0_u8; 32]);
    loop {
        let mut sql = Sql::new(db.kind(), "SELECT * FROM audit_event WHERE (writer = ");
        sql.bind(writer.as_str())
            .push(" AND seq > ")
            .bind(seq)
            .push(") OR writer > ")
            .bind(writer.as_str());
        sql.push(" ORDER BY writer, seq LIMIT 1000");
        let rows: Vec<audit_event::Model> = sql.all(db).await?;
        if rows.is_empty() {
            return Ok(found);
        }
        for row in rows {
            if row.writer != writer {
                (writer, seq, prev) = (row.writer.clone(), 0, vec![0; 32]);
            }
            let link = Link {
                writer: &row.writer,
                seq: row.seq,
                at: row.at,
                actor: &row.actor,
                action: &row.action,
                subject: &row.subject,
                detail: &row.detail,
            };
            let fits = row.seq == seq + 1 && row.prev_hash == prev && link.hash(key, &row.prev_hash)? == row.hash;
            let number = u64::try_from(row.seq).unwrap_or(0);
            if !fits {
                found.broken.push((row.writer.clone(), number));
            }
            found.events += 1;
            found.heads.insert(
                row.writer,
                Head {
                    seq: number,
                    hash: hex::encode(&row.hash),
                },
            );
            (seq, prev) = (row.seq, row.hash);
        }
    }
}

/// Returns the newest events, newest first; those about one subject where one is named.
///
/// # Errors
/// When the engine fails.
pub async fn recent(db: &impl Reader, subject: Option<&str>, limit: u64) -> Result<Vec<Event>> {
    let mut sql = Sql::new(db.kind(), "SELECT * FROM audit_event");
    if let Some(subject) = subject {
        sql.push(" WHERE subject = ").bind(subject);
    }
    sql.push(" ORDER BY at DESC, writer, seq DESC LIMIT ")
        .bind(i64::try_from(limit).unwrap_or(i64::MAX));
    let rows: Vec<audit_event::Model> = sql.all(db).await?;
    rows.into_iter().map(event).collect()
}

fn event(row: audit_event::Model) -> Result<Event> {
    Ok(Event {
        writer: row.writer,
        seq: u64::try_from(row.seq).unwrap_or(0),
        at: instant::utc(row.at)?,
        actor: row.actor,
        action: row.action,
        subject: row.subject,
        detail: serde_json::from_str(&row.detail).map_err(|_| Error::Damaged("an audit event is not JSON"))?,
    })
}
