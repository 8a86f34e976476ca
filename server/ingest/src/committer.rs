//! Group commit: everything that waits at one moment becomes one pack, one transaction, and then the answers.
//!
//! ```text
//! tickets ... -> take all that wait -> look up (one query a table) -> sort out -> accessions, keys
//!             -> pack: bodies, then rows; one put, one flush -> Durable -> transaction -> answers
//! ```
//!
//! One object alone costs one wait for the disk; sixteen that arrive together cost one wait, too. The order is the
//! promise: bytes durable, then rows committed, then the peer hears of it. When the transaction fails after the put, the
//! pack is an orphan that start-up's replay may still apply: the peer was not told of success and sends again, which then
//! is a duplicate.

use std::collections::hash_map::Entry;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures::FutureExt as _;
use isocenter_model::arrival::{InstanceUids, Outcome, Refusal, SentUids};
use isocenter_model::{
    Classify, CollectionAccession, Fault, ImageAccession, IndividualAccession, SeriesAccession, SeriesInstanceUid,
    StudyAccession, StudyInstanceUid,
};
use isocenter_schema::Database;
use isocenter_schema::commit::{self, Fate, Known, Probe};
use isocenter_schema::record::{
    Accessions, ImageRecord, ImageState, IndividualFacts, QuarantineRecord, Record, ReleaseRule,
};
use isocenter_storage::{ArchiveWriter, KeyId, PackBuilder, Piece, QuarantineWriter, Storage};
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::accessions::Numbers;
use crate::cleared::Cleared;
use crate::destination::Destination;
use crate::faults::fault_point;
use crate::prepare::{Prepared, Verdict};
use crate::qc::{self, Finding, Severity, patient_mix};
use crate::{Error, Settings};

/// At most so many objects are committed together: the rows of one transaction.
const GROUP_OBJECTS: usize = 256;
/// At most so many bytes are committed together: what a put holds in memory.
const GROUP_BYTES: u64 = 48 << 20;
/// Objects above this size have a pack of their own.
const ALONE_BYTES: u64 = 8 << 20;
/// How often a group is tried again when another server was faster with one of its objects.
const TRIES: usize = 3;

/// An instance that waits for its commit.
pub(crate) struct Ticket {
    pub(crate) destination: Arc<Destination>,
    pub(crate) prepared: Prepared,
    pub(crate) provenance: String,
    pub(crate) received_at: DateTime<Utc>,
}

type Waiting = (Ticket, oneshot::Sender<Outcome>);

/// The queue in front of the one task that commits.
pub(crate) struct Committer {
    queue: Mutex<Option<mpsc::Sender<Waiting>>>,
    task: Mutex<Option<JoinHandle<()>>>,
}

struct Work {
    db: Database,
    storage: Storage,
    archive: ArchiveWriter,
    quarantine: QuarantineWriter,
    numbers: Numbers,
}

impl Committer {
    pub(crate) fn start(
        db: Database,
        storage: Storage,
        archive: ArchiveWriter,
        quarantine: QuarantineWriter,
        settings: &Settings,
    ) -> Self {
        let (queue, waiting) = mpsc::channel(settings.commit_queue);
        let numbers = Numbers::new(db.clone(), settings.prefixes.clone());
        let work = Work {
            db,
            storage,
            archive,
            quarantine,
            numbers,
        };
        let task = tokio::spawn(work.run(waiting));
        Self {
            queue: Mutex::new(Some(queue)),
            task: Mutex::new(Some(task)),
        }
    }

    /// Hands an instance over and waits for its fate.
    pub(crate) async fn commit(&self, ticket: Ticket) -> Outcome {
        let sent = ticket.prepared.sent.clone();
        let queue = self.queue.lock().clone();
        let stopping = || Outcome::Refused {
            sent: sent.clone(),
            refusal: Refusal::OutOfResources,
            detail: "the archive is stopping".to_owned(),
        };
        let Some(queue) = queue else { return stopping() };
        let (answer, answered) = oneshot::channel();
        if queue.send((ticket, answer)).await.is_err() {
            return stopping();
        }
        drop(queue);
        answered.await.unwrap_or_else(|_| stopping())
    }

    pub(crate) async fn close(&self) {
        drop(self.queue.lock().take());
        let task = self.task.lock().take();
        if let Some(task) = task {
            let _ = task.await;
        }
    }
}

fn size(ticket: &Ticket) -> u64 {
    ticket.prepared.staged.source().len()
}

impl Work {
    async fn run(self, mut waiting: mpsc::Receiver<Waiting>) {
        let mut next = None;
        loop {
            let Some(first) = (match next.take() {
                Some(first) => Some(first),
                None => waiting.recv().await,
            }) else {
                return;
            };
            let mut bytes = size(&first.0);
            let alone = bytes > ALONE_BYTES;
            let mut group = vec![first];
            while !alone && group.len() < GROUP_OBJECTS && bytes < GROUP_BYTES {
                let Ok(another) = waiting.try_recv() else { break };
                let more = size(&another.0);
                if more > ALONE_BYTES {
                    next = Some(another);
                    break;
                }
                bytes += more;
                group.push(another);
            }
            // A panic costs its group, which is told to send again, and never the archive.
            if AssertUnwindSafe(self.commit(group)).catch_unwind().await.is_err() {
                tracing::error!("a commit group panicked; its objects were refused");
            }
        }
    }

    async fn commit(&self, group: Vec<Waiting>) {
        let (tickets, answers): (Vec<_>, Vec<_>) = group.into_iter().unzip();
        let mut outcomes = Err(Error::Stopping);
        for _ in 0..TRIES {
            outcomes = self.attempt(&tickets).await;
            match &outcomes {
                // Another server was faster with one of them: look again, it is a duplicate now.
                Err(error) if error.fault() == Fault::Conflict => {}
                _ => break,
            }
        }
        let outcomes = outcomes.unwrap_or_else(|error| {
            tracing::error!(error = %error, objects = tickets.len(), "commit group failed");
            let refusal = match error.fault() {
                Fault::Unavailable | Fault::Conflict => Refusal::OutOfResources,
                _ => Refusal::Internal,
            };
            let refused = |ticket: &Ticket| Outcome::Refused {
                sent: ticket.prepared.sent.clone(),
                refusal,
                detail: "storage or database did not take the object".to_owned(),
            };
            tickets.iter().map(refused).collect()
        });
        for (outcome, answer) in outcomes.into_iter().zip(answers) {
            // The peer may have gone; what was stored stays stored.
            let _ = answer.send(outcome);
        }
    }

    async fn attempt(&self, tickets: &[Ticket]) -> Result<Vec<Outcome>, Error> {
        let mut known = Vec::new();
        let mut collections: Vec<&Arc<Destination>> = Vec::new();
        for ticket in tickets {
            if !collections.iter().any(|d| d.accession == ticket.destination.accession) {
                collections.push(&ticket.destination);
            }
        }
        for destination in collections {
            let of_collection = tickets
                .iter()
                .filter(|t| t.destination.accession == destination.accession);
            let probes = of_collection.map(probe).collect::<Result<Vec<_>, _>>()?;
            known.push((
                destination.accession.clone(),
                commit::lookup(&self.db, &destination.accession, &probes).await?,
            ));
        }
        let mut group = Group::new(self, known)?;
        let mut fates = Vec::with_capacity(tickets.len());
        for ticket in tickets {
            fates.push(group.add(ticket).await?);
        }
        group.finish().await?;
        Ok(fates)
    }
}

fn probe(ticket: &Ticket) -> Result<Probe, Error> {
    let prepared = &ticket.prepared;
    let (individual, study, series) = match &prepared.verdict {
        Verdict::Cleared(cleared) => {
            let parts = cleared.parts();
            let uids = &parts.uids;
            (
                parts.patient.pseudonym,
                uids.study_instance_uid.clone(),
                uids.series_instance_uid.clone(),
            )
        }
        // Only the digests are asked for: nothing that waits in quarantine has a study in the archive.
        Verdict::Quarantine(_) => (
            [0; 32],
            nowhere()?,
            SeriesInstanceUid::parse("0").map_err(|_| Error::Stopping)?,
        ),
    };
    Ok(Probe {
        sent_digest: prepared.sent_digest,
        content_digest: prepared.content_digest,
        individual,
        study_instance_uid: study,
        series_instance_uid: series,
    })
}

fn nowhere() -> Result<StudyInstanceUid, Error> {
    StudyInstanceUid::parse("0").map_err(|_| Error::Stopping)
}

/// One commit group while it is put together. What it adds is known to the objects after it.
struct Group<'a> {
    work: &'a Work,
    known: Vec<(CollectionAccession, Known)>,
    pack: PackBuilder,
    records: Vec<Record>,
    hashes: Vec<ImageAccession>,
}

impl<'a> Group<'a> {
    fn new(work: &'a Work, known: Vec<(CollectionAccession, Known)>) -> Result<Self, Error> {
        let pack = PackBuilder::new(&work.storage)?;
        Ok(Self {
            work,
            known,
            pack,
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
    async fn add(&mut self, ticket: &Ticket) -> Result<Outcome, Error> {
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
        let work = self.work;
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

    /// Puts the pack, then commits its rows.
    async fn finish(self) -> Result<(), Error> {
        if self.records.is_empty() {
            return Ok(());
        }
        fault_point("before_put");
        let durable = self.pack.put().await?;
        fault_point("after_put");
        let events = crate::events::of_group(&self.records);
        let jobs = crate::events::jobs_of(&self.hashes);
        let tx = self.work.db.begin_ingest().await?;
        let committed = commit::group(&tx, &durable, &self.records, &jobs, &events).await?;
        if committed
            .fates
            .iter()
            .any(|fate| !matches!(fate, Fate::Inserted | Fate::QuarantinedBefore))
        {
            // Between the look-up and now another server wrote one of these. Nothing of ours is kept; look again.
            tx.rollback().await?;
            return Err(Error::Raced);
        }
        fault_point("before_commit");
        tx.commit().await?;
        fault_point("after_commit");
        Ok(())
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
