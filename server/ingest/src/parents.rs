//! What is remembered of individuals, studies and series, so that the next object of a series asks for nothing.
//!
//! These are facts of identity: which accession and key belong to a pseudonym or a UID. They hardly ever change, and never
//! decide a right. Still nothing is written because of what is remembered alone: the transaction finds the parents again
//! and refuses rows that say otherwise ([`isocenter_schema::commit::Fate`]), whereupon everything is forgotten and the group
//! asks the database. It also holds what the group before is about to commit, which the database does not show yet.

use std::collections::HashMap;

use isocenter_model::CollectionAccession;
use isocenter_schema::commit::{Known, Probe};

/// So many individuals, studies or series are remembered; a feed of many scanners sends into some hundred at a time.
const MOST: usize = 4096;

/// The memory of parents, by collection.
#[derive(Default)]
pub(crate) struct Parents {
    collections: HashMap<CollectionAccession, Known>,
}

impl Parents {
    pub(crate) fn is_empty(&self) -> bool {
        self.collections.is_empty()
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.collections.clear();
    }

    /// Puts what is remembered of these objects' parents into `known`, and returns the objects of which not everything is.
    pub(crate) fn recall(&self, collection: &CollectionAccession, probes: Vec<Probe>, known: &mut Known) -> Vec<Probe> {
        let Some(remembered) = self.collections.get(collection) else {
            return probes;
        };
        let mut unknown = Vec::new();
        for probe in probes {
            let individual = remembered.individuals.get(&probe.individual);
            let study = remembered.studies.get(&probe.study_instance_uid);
            let series = remembered.series.get(&probe.series_instance_uid);
            let (all, uid) = (
                individual.is_some() && study.is_some() && series.is_some(),
                probe.study_instance_uid.clone(),
            );
            if let Some(individual) = individual {
                known.individuals.insert(probe.individual, individual.clone());
            }
            if let Some(study) = study {
                known.studies.insert(uid, study.clone());
            }
            if let Some(series) = series {
                known.series.insert(probe.series_instance_uid.clone(), series.clone());
            }
            if !all {
                unknown.push(probe);
            }
        }
        unknown
    }

    /// Remembers the parents that are in `known`.
    pub(crate) fn learn(&mut self, collection: &CollectionAccession, known: &Known) {
        let most = |known: &Known| known.individuals.len().max(known.studies.len()).max(known.series.len());
        if self.collections.values().map(most).sum::<usize>() > MOST {
            self.collections.clear();
        }
        let remembered = self.collections.entry(collection.clone()).or_default();
        for (pseudonym, individual) in &known.individuals {
            // One that was erased is asked for each time: what is refused for good should rest on the database's word.
            if !individual.erased && !remembered.individuals.contains_key(pseudonym) {
                remembered.individuals.insert(*pseudonym, individual.clone());
            }
        }
        for (uid, study) in &known.studies {
            if !remembered.studies.contains_key(uid) {
                remembered.studies.insert(uid.clone(), study.clone());
            }
        }
        for (uid, series) in &known.series {
            if !remembered.series.contains_key(uid) {
                remembered.series.insert(uid.clone(), series.clone());
            }
        }
    }
}
