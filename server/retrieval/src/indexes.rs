//! All indexes of the server: one per collection and model, searched together where a caller may read several.
//!
//! The table of indexes is locked only to find one. Each index has a lock of its own: searches share it, a change waits
//! for them and then has it alone for microseconds. A search over several collections is not one moment in time; the
//! server checks each hit against the database anyway, and uses [`Indexes::search_where`] to ask for the next ones.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use parking_lot::RwLock;

use crate::collection::CollectionIndex;
#[cfg(feature = "faiss")]
use crate::faiss_index::FlatIndex;
#[cfg(not(feature = "faiss"))]
use crate::not_built::FlatIndex;
use crate::{Code64, Error};

/// The most hits that one search gives.
pub const MAX_HITS: usize = 10_000;

/// Codes handed to Faiss at once while an index is loaded.
const CHUNK: usize = 65_536;

/// An image found by its code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hit {
    /// Bits in which its code differs from the one asked for. Hits are ordered by this first.
    pub distance: u32,
    /// The image.
    pub id: i64,
    /// The collection whose index held it.
    pub collection: i64,
}

type Shared = Arc<RwLock<CollectionIndex>>;

/// One Faiss binary flat index per collection and model.
#[derive(Default)]
pub struct Indexes {
    /// Model, then collection: few models, many collections.
    indexes: RwLock<HashMap<String, HashMap<i64, Shared>>>,
}

impl std::fmt::Debug for Indexes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Indexes").finish_non_exhaustive()
    }
}

impl Indexes {
    /// Returns the set without any index.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Builds the index of a collection from the rows of the database, in place of the one that was there.
    ///
    /// Searches see the old index until the new one is whole. Changes made to the old one meanwhile are not in the new
    /// one: load at start, before the jobs that change codes.
    ///
    /// # Errors
    ///
    /// [`Error::NotBuilt`] without Faiss, [`Error::Engine`] where Faiss fails; the old index then stays.
    pub fn load<C: Into<Code64>>(
        &self,
        collection: i64,
        model: &str,
        rows: impl IntoIterator<Item = (i64, C)>,
    ) -> Result<usize, Error> {
        let mut index = CollectionIndex::new()?;
        let mut chunk = Vec::new();
        for (id, code) in rows {
            chunk.push((id, code.into()));
            if chunk.len() == CHUNK {
                index.insert(&chunk)?;
                chunk.clear();
            }
        }
        index.insert(&chunk)?;
        let images = index.len();
        self.indexes
            .write()
            .entry(model.to_owned())
            .or_default()
            .insert(collection, Arc::new(RwLock::new(index)));
        Ok(images)
    }

    /// Puts an image's code into its collection's index, in place of the code that was there.
    ///
    /// # Errors
    ///
    /// [`Error::NotBuilt`] without Faiss, [`Error::Engine`] where Faiss fails.
    pub fn insert(&self, collection: i64, model: &str, id: i64, code: impl Into<Code64>) -> Result<(), Error> {
        self.insert_all(collection, model, &[(id, code.into())])
    }

    /// Puts the codes of several images into their collection's index under one lock.
    ///
    /// # Errors
    ///
    /// As [`Indexes::insert`].
    pub fn insert_all(&self, collection: i64, model: &str, rows: &[(i64, Code64)]) -> Result<(), Error> {
        FlatIndex::available()?;
        let index = match self.get(collection, model) {
            Some(index) => index,
            None => {
                let fresh = Arc::new(RwLock::new(CollectionIndex::new()?));
                Arc::clone(
                    self.indexes
                        .write()
                        .entry(model.to_owned())
                        .or_default()
                        .entry(collection)
                        .or_insert(fresh),
                )
            }
        };
        index.write().insert(rows)
    }

    /// Takes an image out of its collection's index; no search that starts after this finds it.
    ///
    /// # Errors
    ///
    /// As [`Indexes::insert`]; the image is out even then.
    pub fn remove(&self, collection: i64, model: &str, id: i64) -> Result<(), Error> {
        self.remove_all(collection, model, &[id])
    }

    /// Takes several images out of their collection's index under one lock.
    ///
    /// # Errors
    ///
    /// As [`Indexes::remove`].
    pub fn remove_all(&self, collection: i64, model: &str, ids: &[i64]) -> Result<(), Error> {
        FlatIndex::available()?;
        match self.get(collection, model) {
            Some(index) => index.write().remove(ids),
            None => Ok(()),
        }
    }

    /// Drops every index of a collection.
    ///
    /// # Errors
    ///
    /// [`Error::NotBuilt`] without Faiss.
    pub fn forget(&self, collection: i64) -> Result<(), Error> {
        FlatIndex::available()?;
        self.indexes.write().values_mut().for_each(|collections| {
            collections.remove(&collection);
        });
        Ok(())
    }

    /// Returns the number of images in the index of a collection, 0 where there is none.
    #[must_use]
    pub fn count(&self, collection: i64, model: &str) -> usize {
        self.get(collection, model).map_or(0, |index| index.read().len())
    }

    /// Returns the `k` images of these collections whose codes are nearest, by distance and then by id.
    ///
    /// # Errors
    ///
    /// [`Error::NotBuilt`] without Faiss, [`Error::TooManyHits`] above [`MAX_HITS`], [`Error::Engine`] where Faiss fails.
    pub fn search(
        &self,
        collections: &[i64],
        model: &str,
        code: impl Into<Code64>,
        k: usize,
    ) -> Result<Vec<Hit>, Error> {
        self.search_where(collections, model, code, k, |_| true)
    }

    /// Returns the `k` nearest images among those that `keep` lets pass: what is left out is made up for by the next.
    ///
    /// `keep` runs while the index is locked for reading: it should be a look into a set, no more.
    ///
    /// # Errors
    ///
    /// As [`Indexes::search`].
    pub fn search_where(
        &self,
        collections: &[i64],
        model: &str,
        code: impl Into<Code64>,
        k: usize,
        keep: impl Fn(i64) -> bool,
    ) -> Result<Vec<Hit>, Error> {
        FlatIndex::available()?;
        if k > MAX_HITS {
            return Err(Error::TooManyHits {
                asked: k,
                most: MAX_HITS,
            });
        }
        let code = code.into();
        let wanted: BTreeSet<i64> = collections.iter().copied().collect();
        let chosen: Vec<(i64, Shared)> = {
            let indexes = self.indexes.read();
            let Some(of_model) = indexes.get(model) else {
                return Ok(Vec::new());
            };
            wanted
                .iter()
                .filter_map(|id| Some((*id, Arc::clone(of_model.get(id)?))))
                .collect()
        };
        let mut hits = Vec::new();
        for (collection, index) in chosen {
            let found = index.read().search(code, k, &keep)?;
            hits.extend(found.into_iter().map(|(distance, id)| Hit {
                distance,
                id,
                collection,
            }));
            // never more than twice k in hand, however many collections there are
            hits.sort_unstable();
            hits.truncate(k);
        }
        Ok(hits)
    }

    fn get(&self, collection: i64, model: &str) -> Option<Shared> {
        self.indexes.read().get(model)?.get(&collection).map(Arc::clone)
    }
}
