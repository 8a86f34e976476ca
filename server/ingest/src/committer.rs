//! Group commit: everything that waits at one moment becomes one pack, one transaction, and then the answers.
//!
//! ```text
//! first task:   tickets ... -> take all that wait -> look up -> sort out -> accessions, keys -> pack: one put -> Durable
//! second task:                                                                        -> transaction -> answers
//! ```
//!
//! One object alone costs one wait for the disk; sixteen that arrive together cost one wait, too. While the rows of one
//! group are committed, the next is being sealed and flushed. The order is the promise: bytes durable, then rows committed,
//! then the peer hears of it; groups commit in the order in which they were put. When the transaction fails after the put,
//! the pack is an orphan that start-up's replay may still apply: the peer was not told of success and sends again, which
//! then is a duplicate.
//!
//! The group being sealed cannot see in the database what the group before it is about to commit. New individuals, studies
//! and series it knows from [`Parents`]; an object that is on its way itself makes its twin wait until its fate is known.

use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures::FutureExt as _;
use isocenter_model::arrival::{Outcome, Refusal};
use isocenter_model::{Classify, CollectionAccession, Fault};
use isocenter_schema::Database;
use isocenter_schema::commit::{self, Fate};
use isocenter_storage::{ArchiveWriter, QuarantineWriter, Storage};
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::accessions::Numbers;
use crate::destination::Destination;
use crate::faults::fault_point;
use crate::group::{Group, Sealed};
use crate::parents::Parents;
use crate::prepare::Prepared;
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

/// The queue in front of the tasks that commit.
pub(crate) struct Committer {
    queue: Mutex<Option<mpsc::Sender<Waiting>>>,
    task: Mutex<Option<JoinHandle<()>>>,
}

pub(crate) struct Work {
    pub(crate) db: Database,
    pub(crate) storage: Storage,
    pub(crate) archive: ArchiveWriter,
    pub(crate) quarantine: QuarantineWriter,
    pub(crate) numbers: Numbers,
    pub(crate) parents: Mutex<Parents>,
    on_their_way: OnTheirWay,
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
        let work = Arc::new(Work {
            db,
            storage,
            archive,
            quarantine,
            numbers,
            parents: Mutex::default(),
            on_their_way: OnTheirWay::default(),
        });
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

    /// Returns whether the tasks that commit are there.
    pub(crate) fn is_alive(&self) -> bool {
        self.task.lock().as_ref().is_some_and(|task| !task.is_finished())
    }

    pub(crate) async fn close(&self) {
        drop(self.queue.lock().take());
        let task = self.task.lock().take();
        if let Some(task) = task {
            let _ = task.await;
        }
    }
}

/// What is put and not committed yet, by the digest of its UID as sent.
#[derive(Default)]
struct OnTheirWay {
    sent: Mutex<HashSet<(CollectionAccession, [u8; 32])>>,
    landed: tokio::sync::Notify,
}

impl OnTheirWay {
    fn of(ticket: &Ticket) -> (CollectionAccession, [u8; 32]) {
        (ticket.destination.accession.clone(), ticket.prepared.sent_digest)
    }

    /// Waits until none of these is on its way any more.
    async fn wait_for(&self, tickets: &[Ticket]) {
        loop {
            let landed = self.landed.notified();
            let meets = {
                let sent = self.sent.lock();
                !sent.is_empty() && tickets.iter().any(|ticket| sent.contains(&Self::of(ticket)))
            };
            if !meets {
                return;
            }
            landed.await;
        }
    }
}

/// Marks the objects of a group as on their way for as long as it lives.
struct Travellers {
    work: Arc<Work>,
    sent: Vec<(CollectionAccession, [u8; 32])>,
}

impl Travellers {
    fn new(work: &Arc<Work>, tickets: &[Ticket]) -> Self {
        let sent: Vec<_> = tickets.iter().map(OnTheirWay::of).collect();
        work.on_their_way.sent.lock().extend(sent.iter().cloned());
        Self {
            work: Arc::clone(work),
            sent,
        }
    }
}

impl Drop for Travellers {
    fn drop(&mut self) {
        let way = &self.work.on_their_way;
        {
            let mut all = way.sent.lock();
            for one in &self.sent {
                all.remove(one);
            }
        }
        way.landed.notify_one();
    }
}

/// A group whose bytes are durable.
struct Landing {
    tickets: Vec<Ticket>,
    answers: Vec<oneshot::Sender<Outcome>>,
    outcomes: Vec<Outcome>,
    sealed: Sealed,
    travellers: Travellers,
}

fn size(ticket: &Ticket) -> u64 {
    ticket.prepared.staged.source().len()
}

impl Work {
    async fn run(self: Arc<Self>, mut waiting: mpsc::Receiver<Waiting>) {
        // One group may wait behind the one that is being committed; a third would only make smaller groups of all.
        let (to_commit, landing) = mpsc::channel(1);
        let second = tokio::spawn(Arc::clone(&self).commit_all(landing));
        let mut next = None;
        loop {
            let Some(first) = (match next.take() {
                Some(first) => Some(first),
                None => waiting.recv().await,
            }) else {
                break;
            };
            // Room first, then the group: what arrives while there is none is part of it.
            let Ok(room) = to_commit.reserve().await else { break };
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
            match AssertUnwindSafe(self.put(group)).catch_unwind().await {
                Ok(Some(group)) => room.send(group),
                Ok(None) => {}
                Err(_) => tracing::error!("a commit group panicked; its objects were refused"),
            }
        }
        drop(to_commit);
        let _ = second.await;
    }

    /// Brings a group as far as the store. None where nothing is left to commit: its objects were there, or failed.
    async fn put(self: &Arc<Self>, group: Vec<Waiting>) -> Option<Landing> {
        let (tickets, answers): (Vec<_>, Vec<_>) = group.into_iter().unzip();
        self.on_their_way.wait_for(&tickets).await;
        match self.seal(&tickets).await {
            Ok((outcomes, None)) => {
                answer(outcomes, answers);
                None
            }
            Ok((outcomes, Some(sealed))) => Some(Landing {
                travellers: Travellers::new(self, &tickets),
                tickets,
                answers,
                outcomes,
                sealed,
            }),
            Err(error) => {
                answer(failed(&tickets, &error), answers);
                None
            }
        }
    }

    /// Looks up, sorts out and puts. What was remembered of parents may be out of date: then it is done again without.
    async fn seal(&self, tickets: &[Ticket]) -> Result<(Vec<Outcome>, Option<Sealed>), Error> {
        let remembered = !self.parents.lock().is_empty();
        match self.attempt(tickets).await {
            Err(error) if remembered && error.fault() != Fault::Unavailable => {
                self.parents.lock().clear();
                self.attempt(tickets).await
            }
            Err(error) => {
                self.parents.lock().clear();
                Err(error)
            }
            done => done,
        }
    }

    async fn attempt(&self, tickets: &[Ticket]) -> Result<(Vec<Outcome>, Option<Sealed>), Error> {
        let mut group = Group::look_up(self, tickets).await?;
        let mut outcomes = Vec::with_capacity(tickets.len());
        for ticket in tickets {
            outcomes.push(group.add(ticket).await?);
        }
        Ok((outcomes, group.put().await?))
    }

    async fn commit_all(self: Arc<Self>, mut landing: mpsc::Receiver<Landing>) {
        while let Some(group) = landing.recv().await {
            if AssertUnwindSafe(self.land(group)).catch_unwind().await.is_err() {
                tracing::error!("a commit group panicked; its objects were refused");
            }
        }
    }

    /// Commits a group and answers.
    async fn land(&self, group: Landing) {
        let Landing {
            tickets,
            answers,
            outcomes,
            sealed,
            travellers,
        } = group;
        let mut done = self.commit(sealed).await.map(|()| outcomes);
        for _ in 1..TRIES {
            match &done {
                // Another server was faster with one of them: look again, it is a duplicate now.
                Err(error) if error.fault() == Fault::Conflict => {}
                _ => break,
            }
            self.parents.lock().clear();
            done = self.again(&tickets).await;
        }
        let outcomes = done.unwrap_or_else(|error| {
            self.parents.lock().clear();
            failed(&tickets, &error)
        });
        // First what a twin waits for, then the answers: a sender that hears of success and sends again meets the rows.
        drop(travellers);
        answer(outcomes, answers);
    }

    async fn again(&self, tickets: &[Ticket]) -> Result<Vec<Outcome>, Error> {
        let (outcomes, sealed) = self.attempt(tickets).await?;
        if let Some(sealed) = sealed {
            self.commit(sealed).await?;
        }
        Ok(outcomes)
    }

    /// Commits the rows of a pack that is durable.
    async fn commit(&self, sealed: Sealed) -> Result<(), Error> {
        let events = crate::events::of_group(&sealed.records);
        let jobs = crate::events::jobs_of(&sealed.hashes);
        let tx = self.db.begin_ingest().await?;
        let committed = commit::group(&tx, &sealed.durable, &sealed.records, &jobs, &events).await?;
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

fn failed(tickets: &[Ticket], error: &Error) -> Vec<Outcome> {
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
}

fn answer(outcomes: Vec<Outcome>, answers: Vec<oneshot::Sender<Outcome>>) {
    for (outcome, answer) in outcomes.into_iter().zip(answers) {
        // The peer may have gone; what was stored stays stored.
        let _ = answer.send(outcome);
    }
}
