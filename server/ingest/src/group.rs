//! One commit group: what becomes of each of its objects, and the pack of those that are new.
//!
//! Here is decided what DESIGN section 4 answers: a duplicate is told so, a conflict and what checks keep out go into the
//! quarantine, what is cleared gets its accessions. Only [`Group::archive`] can write into the archive's area, and only with
//! something [`Cleared`].

use std::collections::hash_map::Entry;
use std::sync::Arc;

use isocenter_model::arrival::{InstanceUids, Outcome, Refusal, SentUids};
use isocenter_model::{
    CollectionAccession, ImageAccession, IndividualAccession, SeriesAccession, SeriesInstanceUid, StudyAccession,
    StudyInstanceUid,
};
use isocenter_schema::commit::{self, Known, Probe};
use isocenter_schema::record::{
    Accessions, ImageRecord, ImageState, IndividualFacts, QuarantineRecord, Record, ReleaseRule,
};
use isocenter_storage::{Durable, KeyId, PackBuilder, Piece};

use crate::Error;
use crate::cleared::Cleared;
use crate::committer::{Ticket, Work};
use crate::destination::Destination;
use crate::faults::fault_point;
use crate::prepare::Verdict;
use crate::qc::{self, Finding, Severity, patient_mix};

/// A group whose pack is durable, and the rows that are to be committed against it.
pub(crate) struct Sealed {
    pub(crate) durable: Durable,
    pub(crate) records: Vec<Record>,
    /// Images whose codes are to be made.
    pub(crate) hashes: Vec<ImageAccession>,
}

/// One commit group while it is put together. What it adds is known to the objects after it.
pub(crate) struct Group {
    work: Arc<Work>,
    known: Vec<(CollectionAccession, Known)>,
    pack: PackBuilder,
    records: Vec<Record>,
    hashes: Vec<ImageAccession>,
}

impl Group {
    /// Begins a group with what is known of its objects and their parents.
    pub(crate) async fn look_up(work: &Arc<Work>, tickets: &[Ticket]) -> Result<Self, Error> {
        let mut known = Vec::new();
        let mut collections: Vec<&CollectionAccession> = Vec::new();
        for ticket in tickets {
            if !collections.contains(&&ticket.destination.accession) {
                collections.push(&ticket.destination.accession);
            }
        }
        for collection in collections {
            let of_collection = || tickets.iter().filter(|t| t.destination.accession == *collection);
            let probes = of_collection().map(probe).collect::<Result<Vec<_>, _>>()?;
            let mut found = Known::default();
            commit::lookup_objects(&work.db, collection, &probes, &mut found).await?;
            // Nothing that waits in quarantine has parents.
            let cleared = of_collection().zip(probes);
            let cleared = cleared.filter(|(ticket, _)| matches!(ticket.prepared.verdict, Verdict::Cleared(_)));
            let cleared = cleared.map(|(_, probe)| probe).collect();
            let unknown = work.parents.lock().recall(collection, cleared, &mut found);
            if !unknown.is_empty() {
                commit::lookup_parents(&work.db, collection, &unknown, &mut found).await?;
                work.parents.lock().learn(collection, &found);
            }
            known.push((collection.clone(), found));
        }
        Ok(Self {
            work: Arc::clone(work),
            known,
            pack: PackBuilder::new(&work.storage)?,
            records: Vec::new(),
            hashes: Vec::new(),
        })
    }

    fn known(&mut self, destination: &Destination) -> Result<&mut Known, Error> {
        let found = self
            .known
            .iter_mut()
            .find(|(accession, _)| *accession == destination.accession);
        found.map(|(_, known)| known).ok_or(Error::UnknownCollection)
    }

    /// Adds one object to the group and returns what its peer will hear once the group is committed.
    pub(crate) async fn add(&mut self, ticket: &Ticket) -> Result<Outcome, Error> {
        let prepared = &ticket.prepared;
        let sent = prepared.sent.clone();
        let known = self.known(&ticket.destination)?;
        if let Some(there) = known.images.get(&prepared.sent_digest) {
            if there.content_digest == prepared.content_digest {
                let archived = InstanceUids {
                    sop_class_uid: there.sop_class_uid.clone(),
                    study_instance_uid: there.study_instance_uid.clone(),
                    series_instance_uid: there.series_instance_uid.clone(),
                    sop_instance_uid: there.sop_instance_uid.clone(),
                };
                let coerced = !ticket.destination.profile.changes_nothing();
                let released = there.state == ImageState::Released;
                return Ok(Outcome::Stored {
                    sent,
                    archived,
                    coerced,
                    duplicate: true,
                    released,
                });
            }
            let finding = Finding::new("Q302", Severity::Block, "same SOP Instance UID, other content");
            self.quarantine(ticket, &[finding]).await?;
            return Ok(Outcome::Conflict { sent });
        }
        match &prepared.verdict {
            Verdict::Quarantine(findings) => self.keep(ticket, findings, sent).await,
            Verdict::Cleared(cleared) => {
                let mixed = {
                    let parts = cleared.parts();
                    let study = known.studies.get(&parts.uids.study_instance_uid);
                    let series = known.series.get(&parts.uids.series_instance_uid);
                    let neighbours = patient_mix::Neighbours {
                        study_patient: study.map(|study| &study.pseudonym),
                        series_study: series
                            .and_then(|all| all.first())
                            .map(|series| series.study_instance_uid.as_str()),
                        uid_taken: (known.uids.get(&parts.uids.sop_instance_uid))
                            .is_some_and(|owner| *owner != prepared.sent_digest),
                    };
                    patient_mix::check(
                        &parts.patient.pseudonym,
                        parts.uids.study_instance_uid.as_str(),
                        neighbours,
                    )
                };
                match mixed {
                    Some((check, detail)) => {
                        let findings = [Finding::new(check, Severity::Block, detail)];
                        self.keep(ticket, &findings, sent).await
                    }
                    None => self.archive(ticket, cleared, sent).await,
                }
            }
        }
    }

    async fn keep(&mut self, ticket: &Ticket, findings: &[Finding], sent: SentUids) -> Result<Outcome, Error> {
        self.quarantine(ticket, findings).await?;
        Ok(Outcome::Kept {
            sent,
            check: qc::keeps_out(findings).map_or("Q101", |finding| finding.check),
        })
    }

    /// Keeps an object sealed as it was received, once per content.
    async fn quarantine(&mut self, ticket: &Ticket, findings: &[Finding]) -> Result<(), Error> {
        let prepared = &ticket.prepared;
        let content = (prepared.sent_digest, prepared.content_digest);
        if !self.known(&ticket.destination)?.quarantined.insert(content) {
            return Ok(());
        }
        // A key of its own: what is thrown away or erased here must not take anything else with it.
        let key = self
            .work
            .storage
            .new_individual_key(&ticket.destination.collection_key_id)
            .await?;
        let body = match prepared.staged.memory() {
            Some(bytes) => vec![Piece::Bytes(bytes.clone())],
            None => {
                let source = Arc::clone(prepared.staged.source());
                let len = source.len();
                vec![Piece::Spilled(source, 0..len)]
            }
        };
        let blob = self.pack.add_quarantine(&self.work.quarantine, &key, body).await?;
        let record = Record::Quarantine(Box::new(QuarantineRecord {
            collection: ticket.destination.accession.clone(),
            sent_digest: prepared.sent_digest,
            content_digest: prepared.content_digest,
            individual: prepared.individual,
            findings: findings.iter().map(Finding::record).collect(),
            sop_class_uid: prepared.sent.sop_class_uid.clone(),
            transfer_syntax_uid: prepared.transfer_syntax_uid.clone(),
            blob,
            provenance: ticket.provenance.clone(),
            received_at: ticket.received_at,
        }));
        self.pack.add_row(&key, record.encode()?).await?;
        self.records.push(record);
        Ok(())
    }

    async fn archive(&mut self, ticket: &Ticket, cleared: &Cleared, sent: SentUids) -> Result<Outcome, Error> {
        let parts = cleared.parts();
        let erased = |there: &commit::KnownIndividual| there.erased;
        if self
            .known(&ticket.destination)?
            .individuals
            .get(&parts.patient.pseudonym)
            .is_some_and(erased)
        {
            let detail = "the individual was erased on request; nothing of it is taken".to_owned();
            return Ok(Outcome::Refused {
                sent,
                refusal: Refusal::NotAuthorised,
                detail,
            });
        }
        let (accessions, key_id) = self.place(ticket, cleared).await?;
        let state = match ticket.destination.release {
            ReleaseRule::Automatic => ImageState::Released,
            ReleaseRule::Manual => ImageState::Pending,
        };
        let blob = self
            .pack
            .add_archive(&self.work.archive, &key_id, parts.body.clone())
            .await?;
        self.hashes.push(accessions.image.clone());
        let record = Record::Image(Box::new(ImageRecord {
            accessions,
            collection: ticket.destination.accession.clone(),
            individual: IndividualFacts {
                pseudonym: parts.patient.pseudonym,
                key_id,
                patient_id: parts.patient.patient_id.clone(),
                patient_name: parts.patient.patient_name.clone(),
                birth_date: parts.patient.birth_date.clone(),
                sex: parts.patient.sex.clone(),
            },
            study: parts.study.clone(),
            series: parts.series.clone(),
            image: parts.image.clone(),
            sent_digest: ticket.prepared.sent_digest,
            content_digest: ticket.prepared.content_digest,
            pixel_digest: ticket.prepared.pixel_digest,
            state,
            blob,
            header_len: parts.header_len,
            frame_map: parts.frame_map.clone(),
            metadata: parts.metadata.clone(),
            deid_report: parts.deid_report.clone(),
            findings: cleared.findings().iter().map(Finding::record).collect(),
            provenance: ticket.provenance.clone(),
            received_at: ticket.received_at,
        }));
        self.pack.add_row(&key_id, record.encode()?).await?;
        self.records.push(record);
        Ok(Outcome::Stored {
            sent,
            archived: parts.uids.clone(),
            coerced: parts.coerced,
            duplicate: false,
            released: state == ImageState::Released,
        })
    }

    /// Finds or draws the accessions of an image and of what it belongs to, and the key of its individual.
    async fn place(&mut self, ticket: &Ticket, cleared: &Cleared) -> Result<(Accessions, KeyId), Error> {
        let work = Arc::clone(&self.work);
        let parts = cleared.parts();
        let image = work.numbers.image().await?;
        let known = self.known(&ticket.destination)?;
        let (individual, key_id) = match known.individuals.entry(parts.patient.pseudonym) {
            Entry::Occupied(there) => (there.get().accession.clone(), there.get().key_id),
            Entry::Vacant(free) => {
                let accession: IndividualAccession = work.numbers.individual().await?;
                let key_id = work
                    .storage
                    .new_individual_key(&ticket.destination.collection_key_id)
                    .await?;
                let patient = &parts.patient;
                free.insert(commit::KnownIndividual {
                    accession: accession.clone(),
                    key_id,
                    erased: false,
                    patient_name: patient.patient_name.clone(),
                    birth_date: patient.birth_date.clone(),
                    sex: patient.sex.clone(),
                });
                (accession, key_id)
            }
        };
        let study = match known.studies.entry(parts.uids.study_instance_uid.clone()) {
            Entry::Occupied(there) => there.get().accession.clone(),
            Entry::Vacant(free) => {
                let accession: StudyAccession = work.numbers.study().await?;
                free.insert(commit::KnownStudy {
                    accession: accession.clone(),
                    individual: individual.clone(),
                    pseudonym: parts.patient.pseudonym,
                });
                accession
            }
        };
        let there = known
            .series
            .get(&parts.uids.series_instance_uid)
            .and_then(|all| all.first());
        let series = match there.map(|series| series.accession.clone()) {
            Some(accession) => accession,
            None => {
                let accession: SeriesAccession = work.numbers.series().await?;
                let new = commit::KnownSeries {
                    accession: accession.clone(),
                    study_instance_uid: parts.uids.study_instance_uid.clone(),
                    modality: parts.series.modality.clone(),
                };
                known.series.insert(parts.uids.series_instance_uid.clone(), vec![new]);
                accession
            }
        };
        known
            .images
            .insert(ticket.prepared.sent_digest, known_image(ticket, &image, &parts.uids));
        known
            .uids
            .insert(parts.uids.sop_instance_uid.clone(), ticket.prepared.sent_digest);
        Ok((
            Accessions {
                individual,
                study,
                series,
                image,
            },
            key_id,
        ))
    }

    /// Returns whether nothing of the group is new.
    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Lets the groups after this one know the parents that it makes. Where it fails they must be forgotten.
    pub(crate) fn remember_parents(&self) {
        let mut parents = self.work.parents.lock();
        for (collection, known) in &self.known {
            parents.learn(collection, known);
        }
    }

    /// Puts the pack.
    pub(crate) async fn put(self) -> Result<Sealed, Error> {
        fault_point("before_put");
        let durable = self.pack.put().await?;
        fault_point("after_put");
        Ok(Sealed {
            durable,
            records: self.records,
            hashes: self.hashes,
        })
    }
}

fn known_image(ticket: &Ticket, accession: &ImageAccession, uids: &InstanceUids) -> commit::KnownImage {
    commit::KnownImage {
        accession: accession.clone(),
        content_digest: ticket.prepared.content_digest,
        sop_class_uid: uids.sop_class_uid.clone(),
        sop_instance_uid: uids.sop_instance_uid.clone(),
        series_instance_uid: uids.series_instance_uid.clone(),
        study_instance_uid: uids.study_instance_uid.clone(),
        state: match ticket.destination.release {
            ReleaseRule::Automatic => ImageState::Released,
            ReleaseRule::Manual => ImageState::Pending,
        },
    }
}

fn probe(ticket: &Ticket) -> Result<Probe, Error> {
    let prepared = &ticket.prepared;
    // Our own profiles give every object its own; what a script of a site writes is up to the site.
    let scripted = ticket.destination.profile.ctp().is_some();
    let (individual, instance, study, series) = match &prepared.verdict {
        Verdict::Cleared(cleared) => {
            let parts = cleared.parts();
            let uids = &parts.uids;
            (
                parts.patient.pseudonym,
                scripted.then(|| uids.sop_instance_uid.clone()),
                uids.study_instance_uid.clone(),
                uids.series_instance_uid.clone(),
            )
        }
        // Only the digests are asked for: nothing that waits in quarantine has a study in the archive.
        Verdict::Quarantine(_) => (
            [0; 32],
            None,
            nowhere()?,
            SeriesInstanceUid::parse("0").map_err(|_| Error::Stopping)?,
        ),
    };
    Ok(Probe {
        sent_digest: prepared.sent_digest,
        content_digest: prepared.content_digest,
        individual,
        sop_instance_uid: instance,
        study_instance_uid: study,
        series_instance_uid: series,
    })
}

fn nowhere() -> Result<StudyInstanceUid, Error> {
    StudyInstanceUid::parse("0").map_err(|_| Error::Stopping)
}
