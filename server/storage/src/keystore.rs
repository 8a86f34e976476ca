//! The key store: wrapped keys, each in a small entry of its own, in a place of its own.
//!
//! ```text
//! system/system            the system key, wrapped by the master key
//! collections/<key id>     a collection key, wrapped by the master key
//! individuals/<key id>     an Individual's key, wrapped by its collection key
//!
//! entry   "ISOK" · version 1 · kind 1 · id 16 · parent 16 ‖ nonce 12 · wrapped key 32 · tag 16
//! ```
//!
//! What stands before ‖ is authenticated by the wrapping. The parent of a collection key is the master key's fingerprint,
//! so that a wrong master key is told from damage.
//!
//! A key is durable before its id is handed out. A destroyed key leaves an entry of kind 255 without a key: only that mark
//! means *erased*; an entry that is simply not there is a damaged key store, and is said to be.
//!
//! Opened keys are kept for a minute, a bounded number of them, and wiped when they leave. A key that another process
//! destroyed is thus forgotten here within that minute.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::backend::{Backend, Found};
use crate::error::{Error, Result};
use crate::id::{CollectionKeyId, KeyId};
use crate::key::{MasterKey, Secret, Wrapped};

const MAGIC: [u8; 4] = *b"ISOK";
const VERSION: u8 = 1;
const HEAD: usize = 38;
const ENTRY: u64 = 98;
const SYSTEM: &str = "system/system";
const SYSTEM_ID: [u8; 16] = [0; 16];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    System = 1,
    Collection = 2,
    Individual = 3,
    Destroyed = 255,
}

fn head(kind: Kind, id: &[u8; 16], parent: &[u8; 16]) -> [u8; HEAD] {
    let mut head = [0; HEAD];
    let parts = MAGIC.into_iter().chain([VERSION, kind as u8]).chain(*id).chain(*parent);
    for (to, from) in head.iter_mut().zip(parts) {
        *to = from;
    }
    head
}

fn master_parent(mark: [u8; 8]) -> [u8; 16] {
    let mut parent = [0; 16];
    for (to, from) in parent.iter_mut().zip(mark) {
        *to = from;
    }
    parent
}

/// An entry as it is stored.
struct Entry {
    destroyed: bool,
    parent: [u8; 16],
    head: [u8; HEAD],
    wrapped: Wrapped,
}

impl Entry {
    /// Reads an entry that must be of this kind and id.
    fn read(bytes: &[u8], kind: Kind, id: &[u8; 16]) -> Option<Self> {
        let (head, sealed) = bytes.split_first_chunk::<HEAD>()?;
        let (_, parent) = head.split_last_chunk::<16>()?;
        let nothing = Wrapped {
            nonce: [0; 12],
            sealed: [0; 32],
            tag: [0; 16],
        };
        if *head == self::head(Kind::Destroyed, id, parent) {
            return Some(Self {
                destroyed: true,
                parent: *parent,
                head: *head,
                wrapped: nothing,
            });
        }
        let (nonce, sealed) = sealed.split_first_chunk::<12>()?;
        let (key, tag) = sealed.split_first_chunk::<32>()?;
        let wrapped = Wrapped {
            nonce: *nonce,
            sealed: *key,
            tag: tag.try_into().ok()?,
        };
        (*head == self::head(kind, id, parent)).then_some(Self {
            destroyed: false,
            parent: *parent,
            head: *head,
            wrapped,
        })
    }

    fn make(kind: Kind, id: &[u8; 16], parent: &[u8; 16], above: &Secret, key: &Secret) -> Result<Vec<u8>> {
        let head = head(kind, id, parent);
        let wrapped = above.wrap(key, &head)?;
        let mut out = Vec::with_capacity(ENTRY as usize);
        out.extend_from_slice(&head);
        out.extend_from_slice(&wrapped.nonce);
        out.extend_from_slice(&wrapped.sealed);
        out.extend_from_slice(&wrapped.tag);
        Ok(out)
    }
}

pub(crate) struct KeyStore {
    backend: Backend,
    location: String,
    master: MasterKey,
    individuals: Cache<KeyId>,
    collections: Cache<CollectionKeyId>,
    /// Counts destructions, so that a reader that began before one does not keep the key after it.
    destroyed: AtomicU64,
}

impl KeyStore {
    /// Opens the key store and its system key; makes the latter where the key store is new.
    ///
    /// `holds_packs` tells whether there is anything that an empty key store could no longer open.
    pub(crate) async fn open(
        backend: Backend,
        location: String,
        master: MasterKey,
        holds_packs: bool,
    ) -> Result<(Self, Secret)> {
        let store = Self {
            backend,
            location,
            master,
            individuals: Cache::new(),
            collections: Cache::new(),
            destroyed: AtomicU64::new(0),
        };
        let system = match store.get(SYSTEM.into(), Kind::System, &SYSTEM_ID).await? {
            Some(entry) => store.open_with_master(&entry, || SYSTEM.into())?,
            None if holds_packs || store.has_keys().await? => {
                return Err(Error::KeyStoreMissing {
                    location: store.location,
                });
            }
            None => {
                let parent = master_parent(store.master.mark());
                let key = Secret::draw()?;
                let entry = Entry::make(Kind::System, &SYSTEM_ID, &parent, store.master.secret(), &key)?;
                store.backend.put_small(SYSTEM.into(), entry).await?;
                key
            }
        };
        Ok((store, system))
    }

    /// Returns whether any collection or Individual has a key.
    pub(crate) async fn has_keys(&self) -> Result<bool> {
        // an Individual's key needs a collection's
        Ok(!self.backend.names("collections".into()).await?.is_empty())
    }

    pub(crate) fn backend(&self) -> &Backend {
        &self.backend
    }

    async fn get(&self, key: String, kind: Kind, id: &[u8; 16]) -> Result<Option<Entry>> {
        // one byte more than an entry has: a longer one is no entry
        match self.backend.read(key.clone(), 0..ENTRY + 1, Ok).await? {
            Found::Nothing => Ok(None),
            Found::Some(bytes) => match Entry::read(&bytes, kind, id) {
                Some(entry) => Ok(Some(entry)),
                None => Err(Error::KeyCorrupt { entry: key }),
            },
        }
    }

    fn open_with_master(&self, entry: &Entry, name: impl Fn() -> String) -> Result<Secret> {
        let opened = self.master.secret().unwrap(&entry.wrapped, &entry.head)?;
        let parent = master_parent(self.master.mark());
        opened.ok_or_else(|| {
            if entry.parent == parent {
                Error::KeyCorrupt { entry: name() }
            } else {
                let expected = entry.parent.first_chunk::<8>().map(hex::encode).unwrap_or_default();
                Error::WrongMasterKey {
                    given: self.master.fingerprint(),
                    expected,
                }
            }
        })
    }

    /// Makes a collection key; it is durable when this returns.
    pub(crate) async fn new_collection(&self) -> Result<CollectionKeyId> {
        let (id, key) = (CollectionKeyId::draw()?, Secret::draw()?);
        let parent = master_parent(self.master.mark());
        let entry = Entry::make(Kind::Collection, id.as_bytes(), &parent, self.master.secret(), &key)?;
        self.backend.put_small(collection_path(&id), entry).await?;
        self.collections.insert(id, key);
        Ok(id)
    }

    /// Makes an Individual's key; it is durable when this returns.
    pub(crate) async fn new_individual(&self, collection: &CollectionKeyId) -> Result<KeyId> {
        let above = self.collection(collection).await?;
        let (id, key) = (KeyId::draw()?, Secret::draw()?);
        let entry = Entry::make(Kind::Individual, id.as_bytes(), collection.as_bytes(), &above, &key)?;
        self.backend.put_small(individual_path(&id), entry).await?;
        self.individuals.insert(id, key);
        Ok(id)
    }

    pub(crate) async fn collection(&self, id: &CollectionKeyId) -> Result<Secret> {
        if let Some(key) = self.collections.get(id) {
            return Ok(key);
        }
        let entry = self.get(collection_path(id), Kind::Collection, id.as_bytes()).await?;
        let entry = entry
            .filter(|entry| !entry.destroyed)
            .ok_or(Error::CollectionKeyMissing { key: *id })?;
        let key = self.open_with_master(&entry, || collection_path(id))?;
        self.collections.insert(*id, key.clone());
        Ok(key)
    }

    pub(crate) async fn individual(&self, id: &KeyId) -> Result<Secret> {
        if let Some(key) = self.individuals.get(id) {
            return Ok(key);
        }
        let destroyed = self.destroyed.load(Ordering::SeqCst);
        let entry = self.get(individual_path(id), Kind::Individual, id.as_bytes()).await?;
        let entry = entry.ok_or(Error::KeyMissing { key: *id })?;
        if entry.destroyed {
            return Err(Error::KeyDestroyed { key: *id });
        }
        let above = self.collection(&CollectionKeyId::from_bytes(entry.parent)).await?;
        let key = above.unwrap(&entry.wrapped, &entry.head)?;
        let key = key.ok_or_else(|| Error::KeyCorrupt {
            entry: individual_path(id),
        })?;
        self.individuals.insert(*id, key.clone());
        if self.destroyed.load(Ordering::SeqCst) != destroyed {
            self.individuals.remove(id);
        }
        Ok(key)
    }

    /// Returns whether the key is there and was not destroyed. Asks the store, not the cache.
    pub(crate) async fn exists(&self, id: &KeyId) -> Result<bool> {
        let entry = self.get(individual_path(id), Kind::Individual, id.as_bytes()).await?;
        Ok(entry.is_some_and(|entry| !entry.destroyed))
    }

    /// Destroys a key: what it sealed can never be opened again. Done when this returns; may be done twice.
    pub(crate) async fn destroy(&self, id: &KeyId) -> Result<()> {
        self.individuals.remove(id);
        // the mark names the collection where the entry still says it
        let entry = self.get(individual_path(id), Kind::Individual, id.as_bytes()).await;
        let parent = match entry {
            Ok(Some(entry)) if entry.destroyed => return Ok(()),
            Ok(Some(entry)) => entry.parent,
            Ok(None) | Err(Error::KeyCorrupt { .. }) => [0; 16],
            Err(e) => return Err(e),
        };
        let mark = head(Kind::Destroyed, id.as_bytes(), &parent).to_vec();
        self.backend.replace_and_wipe(individual_path(id), mark).await?;
        // a reader may have brought it back while we wrote; one that still reads will see the count
        self.destroyed.fetch_add(1, Ordering::SeqCst);
        self.individuals.remove(id);
        Ok(())
    }

    /// Wraps the system key and all collection keys by another master key; returns how many were wrapped anew.
    ///
    /// May be repeated after a crash: the system key goes last, so the old master key still opens the key store until all
    /// others are done, and what is wrapped by the new one already is left alone.
    pub(crate) async fn rotate(&self, new: &MasterKey) -> Result<usize> {
        let (old, parent) = (master_parent(self.master.mark()), master_parent(new.mark()));
        let mut wrapped = 0;
        let collections = self.backend.names("collections".into()).await?;
        let ids = collections
            .iter()
            .filter_map(|name| name.parse::<CollectionKeyId>().ok());
        let mut entries: Vec<(String, Kind, [u8; 16])> = ids
            .map(|id| (collection_path(&id), Kind::Collection, *id.as_bytes()))
            .collect();
        entries.push((SYSTEM.into(), Kind::System, SYSTEM_ID));
        for (path, kind, id) in entries {
            let Some(entry) = self.get(path.clone(), kind, &id).await? else {
                continue;
            };
            if entry.destroyed || (entry.parent == parent && parent != old) {
                continue;
            }
            let key = self.open_with_master(&entry, || path.clone())?;
            let entry = Entry::make(kind, &id, &parent, new.secret(), &key)?;
            self.backend.replace_and_wipe(path, entry).await?;
            wrapped += 1;
        }
        Ok(wrapped)
    }

    /// Forgets all opened keys.
    pub(crate) fn forget(&self) {
        self.individuals.clear();
        self.collections.clear();
    }
}

fn collection_path(id: &CollectionKeyId) -> String {
    format!("collections/{id}")
}

fn individual_path(id: &KeyId) -> String {
    format!("individuals/{id}")
}

/// How long an opened key is kept.
const KEPT: Duration = Duration::from_secs(60);
/// How many are kept in each of two generations.
const GENERATION: usize = 2048;

/// Opened keys, in two generations: what was not asked for during a whole generation falls out.
struct Cache<K>(Mutex<[HashMap<K, (Secret, Instant)>; 2]>);

impl<K: std::hash::Hash + Eq + Copy> Cache<K> {
    fn new() -> Self {
        Self(Mutex::new([HashMap::new(), HashMap::new()]))
    }

    fn get(&self, id: &K) -> Option<Secret> {
        let mut generations = self.0.lock();
        let [young, old] = &mut *generations;
        if let Some((key, since)) = young.get(id) {
            return (since.elapsed() < KEPT).then(|| key.clone());
        }
        let (key, since) = old.remove(id)?;
        if since.elapsed() >= KEPT {
            return None;
        }
        // moved, with its age: a key that is asked for all the time is still read again every minute
        Self::put(&mut generations, *id, (key.clone(), since));
        Some(key)
    }

    fn insert(&self, id: K, key: Secret) {
        Self::put(&mut self.0.lock(), id, (key, Instant::now()));
    }

    fn put(generations: &mut [HashMap<K, (Secret, Instant)>; 2], id: K, entry: (Secret, Instant)) {
        let [young, old] = generations;
        if young.len() >= GENERATION {
            *old = std::mem::take(young);
        }
        young.insert(id, entry);
    }

    fn remove(&self, id: &K) {
        for generation in &mut *self.0.lock() {
            generation.remove(id);
        }
    }

    fn clear(&self) {
        *self.0.lock() = [HashMap::new(), HashMap::new()];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_is_bounded_and_keeps_what_is_asked_for() {
        let cache = Cache::new();
        let key = Secret::draw().unwrap();
        cache.insert(0_u32, key.clone());
        for id in 1..20_000 {
            cache.insert(id, key.clone());
            assert!(cache.get(&0).is_some());
        }
        let kept: usize = cache.0.lock().iter().map(HashMap::len).sum();
        assert!(kept <= 2 * GENERATION);
        assert!(cache.get(&1).is_none());
        cache.remove(&0);
        assert!(cache.get(&0).is_none());
    }

    #[test]
    fn an_entry_reads_back_as_what_it_is_and_nothing_else() {
        let (above, key) = (Secret::draw().unwrap(), Secret::draw().unwrap());
        let bytes = Entry::make(Kind::Individual, &[1; 16], &[2; 16], &above, &key).unwrap();
        assert_eq!(bytes.len() as u64, ENTRY);
        let entry = Entry::read(&bytes, Kind::Individual, &[1; 16]).unwrap();
        assert!(!entry.destroyed && entry.parent == [2; 16]);
        assert_eq!(
            above.unwrap(&entry.wrapped, &entry.head).unwrap().unwrap().bytes(),
            key.bytes()
        );
        assert!(Entry::read(&bytes, Kind::Collection, &[1; 16]).is_none());
        assert!(Entry::read(&bytes, Kind::Individual, &[3; 16]).is_none());
        assert!(Entry::read(&bytes[..97], Kind::Individual, &[1; 16]).is_none());
        for at in 0..bytes.len() {
            let mut bent = bytes.clone();
            bent[at] ^= 1;
            let opened = Entry::read(&bent, Kind::Individual, &[1; 16])
                .and_then(|entry| above.unwrap(&entry.wrapped, &entry.head).unwrap());
            assert!(opened.is_none(), "byte {at}");
        }
        let mark = head(Kind::Destroyed, &[1; 16], &[2; 16]);
        assert!(Entry::read(&mark, Kind::Individual, &[1; 16]).unwrap().destroyed);
    }
}
