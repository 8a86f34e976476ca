//! What a collection does with what arrives: its profile, its secrets, its release rule.
//!
//! Made of the collection's row and its keys, and kept as long as the database's change number stands still: no process
//! goes on with rights or routes that another one changed.

use std::collections::HashMap;
use std::sync::Arc;

use isocenter_deid::{Profile, Pseudonyms, Secret};
use isocenter_model::{AeTitle, CollectionAccession, Route};
use isocenter_schema::record::ReleaseRule;
use isocenter_schema::{Database, collections, settings};
use isocenter_storage::{CollectionKeyId, Storage};
use parking_lot::Mutex;

use crate::Error;
use crate::profile::profile_of;

/// One collection as the way in sees it.
pub(crate) struct Destination {
    pub(crate) accession: CollectionAccession,
    pub(crate) profile: Arc<Profile>,
    pub(crate) pseudonyms: Pseudonyms,
    /// Key of content and pixel digests.
    pub(crate) digest_key: [u8; 32],
    pub(crate) collection_key_id: CollectionKeyId,
    pub(crate) release: ReleaseRule,
}

/// A change number, and the destinations that were asked for since.
type Known = (Option<u64>, HashMap<CollectionAccession, Arc<Destination>>);

/// The destinations that were asked for since the last change.
pub(crate) struct Destinations {
    db: Database,
    storage: Storage,
    known: Mutex<Known>,
}

impl Destinations {
    pub(crate) fn new(db: Database, storage: Storage) -> Self {
        Self {
            db,
            storage,
            known: Mutex::new((None, HashMap::new())),
        }
    }

    /// Returns where a called AE title leads.
    pub(crate) async fn route(&self, called: &AeTitle) -> Result<Option<Route>, Error> {
        Ok(collections::route(&self.db, called.as_str()).await?)
    }

    /// Returns a collection's destination; `None` where there is no such collection, or it takes nothing any more.
    pub(crate) async fn find(&self, accession: &CollectionAccession) -> Result<Option<Arc<Destination>>, Error> {
        let change = settings::change_number(&self.db).await?;
        {
            let mut known = self.known.lock();
            if known.0 != Some(change) {
                *known = (Some(change), HashMap::new());
            }
            if let Some(destination) = known.1.get(accession) {
                return Ok(Some(Arc::clone(destination)));
            }
        }
        let Some(collection) = collections::get(&self.db, accession).await? else {
            return Ok(None);
        };
        if collection.record.lifecycle == isocenter_schema::record::Lifecycle::Withdrawn {
            return Ok(None);
        }
        let profile = profile_of(&self.db, &self.storage, &collection).await?;
        let record = collection.record;
        let key_id = record.collection_key_id;
        let secret = self.storage.collection_secret(&key_id, "pseudonyms").await?;
        let digest_key = self.storage.collection_secret(&key_id, "content-digest").await?;
        let destination = Arc::new(Destination {
            pseudonyms: Pseudonyms::new(&Secret::new(*secret), record.accession.as_str()),
            digest_key: *digest_key,
            accession: record.accession,
            profile,
            collection_key_id: key_id,
            release: record.release,
        });
        let mut known = self.known.lock();
        if known.0 == Some(change) {
            known.1.insert(accession.clone(), Arc::clone(&destination));
        }
        Ok(Some(destination))
    }
}
