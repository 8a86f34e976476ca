//! Brute force: look at every code.

use std::collections::BTreeMap;

use isocenter_retrieval::Hit;

/// What the indexes should hold.
#[derive(Default)]
pub(crate) struct Oracle(BTreeMap<(i64, i64), u64>);

impl Oracle {
    pub(crate) fn insert(&mut self, collection: i64, id: i64, code: u64) {
        self.0.insert((collection, id), code);
    }

    pub(crate) fn remove(&mut self, collection: i64, id: i64) {
        self.0.remove(&(collection, id));
    }

    pub(crate) fn forget(&mut self, collection: i64) {
        self.0.retain(|(of, _), _| *of != collection);
    }

    pub(crate) fn count(&self, collection: i64) -> usize {
        self.0.keys().filter(|(of, _)| *of == collection).count()
    }

    pub(crate) fn search(&self, collections: &[i64], code: u64, k: usize, keep: impl Fn(i64) -> bool) -> Vec<Hit> {
        let mut hits: Vec<Hit> = self
            .0
            .iter()
            .filter(|((collection, id), _)| collections.contains(collection) && keep(*id))
            .map(|((collection, id), other)| Hit {
                distance: (code ^ other).count_ones(),
                id: *id,
                collection: *collection,
            })
            .collect();
        hits.sort_by_key(|hit| (hit.distance, hit.id));
        hits.truncate(k);
        hits
    }
}
