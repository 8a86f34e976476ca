//! Reads of controlled data are written down before they happen.
//!
//! One event for each principal, series and minute, durable before the first byte leaves: who may see controlled data answers
//! for having looked. What cannot be written down is not read. Open and registered collections are read without a trace, and
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

    /// Writes down that something of a series is read now, where that has to be; durable when this returns.
    ///
    /// # Errors
    /// When the database fails: then it must not be read.
    pub async fn reads(
        &mut self,
        archive: &Archive,
        collection: &CollectionAccession,
        study: &StudyInstanceUid,
        series: &SeriesInstanceUid,
    ) -> Result<(), HttpError> {
        let Some(principal) = self.principal.clone() else {
            return Ok(());
        };
        if !self.is_controlled(archive, collection).await? {
            return Ok(());
        }
        let read = Read {
            principal,
            collection: collection.clone(),
            series: series.clone(),
        };
        let minute = archive.clock.now().timestamp().div_euclid(60);
        if archive.reads.holds(minute, &read) {
            return Ok(());
        }
        let _pen = archive.reads.pen.lock().await;
        if archive.reads.holds(minute, &read) {
            return Ok(());
        }
        // The trail names accessions; a UID may be one that a hospital knows.
        let query = Query {
            study: Some(study.clone()),
            series: Some(series.clone()),
            limit: Some(1),
            ..Query::all(Level::Series)
        };
        let page = search::find(&archive.db, &query, &self.visibility.clone().within(collection.clone())).await?;
        let found = page.rows.into_iter().find_map(|row| row.series);
        let found = found.ok_or_else(HttpError::not_found)?;
        let event = AuditEvent {
            actor: read.principal.clone(),
            action: "read".to_owned(),
            subject: found.accession.to_string(),
            detail: serde_json::json!({"collection": collection}),
        };
        let tx = archive.db.begin_write().await?;
        audit::append(&tx, &[event]).await?;
        tx.commit().await?;
        archive.reads.enter(minute, read);
        Ok(())
    }
}
