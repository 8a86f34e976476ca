//! Reads of controlled data are written down before they happen.
//!
//! One event for each principal, series and minute, durable before the first byte leaves: who may see controlled data answers
//! for having looked. The series of one batch of an answer are written down together. What cannot be written down is not read. Open and registered collections are read without a trace, and
//! nobody unknown ever sees a controlled one.

use std::collections::HashSet;

use isocenter_model::query::Query;
use isocenter_model::rights::{Access, Principal, Visibility};
use isocenter_model::{CollectionAccession, Level, SeriesInstanceUid, StudyInstanceUid};
use isocenter_schema::audit::{self, AuditEvent};
use isocenter_schema::{collections, search};
use parking_lot::Mutex;

use crate::archive::Archive;
use crate::http_error::HttpError;

/// Reads that are remembered; beyond them some are written down twice.
const REMEMBERED: usize = 100_000;

/// What this process has written down in the present minute.
#[derive(Default)]
pub struct Ledger {
    written: Mutex<(i64, HashSet<Read>)>,
    /// Held while writing: who reads the same meanwhile waits until it is durable.
    pen: tokio::sync::Mutex<()>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Read {
    principal: String,
    collection: CollectionAccession,
    series: SeriesInstanceUid,
}

impl Ledger {
    fn holds(&self, minute: i64, read: &Read) -> bool {
        let written = self.written.lock();
        written.0 == minute && written.1.contains(read)
    }

    fn enter(&self, minute: i64, read: Read) {
        let mut written = self.written.lock();
        if written.0 != minute || written.1.len() >= REMEMBERED {
            *written = (minute, HashSet::new());
        }
        written.1.insert(read);
    }
}

/// The series that something is read of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part<'a> {
    /// The collection that holds it.
    pub collection: &'a CollectionAccession,
    /// Its study.
    pub study: &'a StudyInstanceUid,
    /// The series.
    pub series: &'a SeriesInstanceUid,
}

/// Who reads in one request, and what it found out about what it reads.
#[derive(Debug, Clone)]
pub struct Reader {
    principal: Option<String>,
    visibility: Visibility,
    /// The last collection, and whether it is controlled: one answer is mostly about one.
    collection: Option<(CollectionAccession, bool)>,
}

impl Reader {
    /// Makes the reader of a request.
    pub fn new(principal: &Principal, visibility: &Visibility) -> Self {
        Self {
            principal: match principal {
                Principal::Anonymous => None,
                Principal::Known { id, .. } => Some(id.clone()),
            },
            visibility: visibility.clone(),
            collection: None,
        }
    }

    async fn is_controlled(&mut self, archive: &Archive, accession: &CollectionAccession) -> Result<bool, HttpError> {
        if let Some((last, controlled)) = &self.collection
            && last == accession
        {
            return Ok(*controlled);
        }
        let row = collections::get(&archive.db, accession).await?;
        let controlled = row.is_none_or(|row| row.record.access == Access::Controlled);
        self.collection = Some((accession.clone(), controlled));
        Ok(controlled)
    }

    /// Writes down that something of these series is read now, where that has to be; durable when this returns. One
    /// transaction, and so one wait for the disk, however many there are.
    ///
    /// # Errors
    /// When the database fails: then none of them must be read.
    pub async fn reads<'a>(
        &mut self,
        archive: &Archive,
        of: impl IntoIterator<Item = Part<'a>>,
    ) -> Result<(), HttpError> {
        let Some(principal) = self.principal.clone() else {
            return Ok(());
        };
        let minute = archive.clock.now().timestamp().div_euclid(60);
        // Images of a series stand together: each is looked at once, whatever their number.
        let mut before: Option<Part<'a>> = None;
        let mut open: Vec<(Read, AuditEvent)> = Vec::new();
        for part in of {
            if before.replace(part) == Some(part) || !self.is_controlled(archive, part.collection).await? {
                continue;
            }
            let read = Read {
                principal: principal.clone(),
                collection: part.collection.clone(),
                series: part.series.clone(),
            };
            if !archive.reads.holds(minute, &read) && open.iter().all(|(other, _)| *other != read) {
                let event = self.event(archive, &principal, part).await?;
                open.push((read, event));
            }
        }
        if open.is_empty() {
            return Ok(());
        }
        let _pen = archive.reads.pen.lock().await;
        open.retain(|(read, _)| !archive.reads.holds(minute, read));
        let (reads, events): (Vec<Read>, Vec<AuditEvent>) = open.into_iter().unzip();
        if !events.is_empty() {
            let tx = archive.db.begin_write().await?;
            audit::append(&tx, &events).await?;
            tx.commit().await?;
        }
        for read in reads {
            archive.reads.enter(minute, read);
        }
        Ok(())
    }

    /// Returns what the trail says of a read. It names accessions: a UID may be one that a hospital knows.
    async fn event(&self, archive: &Archive, principal: &str, part: Part<'_>) -> Result<AuditEvent, HttpError> {
        let query = Query {
            study: Some(part.study.clone()),
            series: Some(part.series.clone()),
            limit: Some(1),
            ..Query::all(Level::Series)
        };
        let within = self.visibility.clone().within(part.collection.clone());
        let page = search::find(&archive.db, &query, &within).await?;
        let found = page.rows.into_iter().find_map(|row| row.series);
        let found = found.ok_or_else(HttpError::not_found)?;
        Ok(AuditEvent {
            actor: principal.to_owned(),
            action: "read".to_owned(),
            subject: found.accession.to_string(),
            detail: serde_json::json!({"collection": part.collection}),
        })
    }
}
