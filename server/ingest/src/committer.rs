//! Group commit: everything that waits at one moment becomes one pack, what is durable at one moment one transaction, and
//! then come the answers.
//!
//! ```text
//! tickets ... -> take all that wait -> look up -> sort out -> accessions, keys -> pack
//!                                                     few at a time: one put, one flush -> Durable
//!                                                              all that landed: one transaction -> answers
//! ```
//!
//! One object alone costs one wait for the disk; sixteen that arrive together cost one wait, too. While rows are being
//! committed the next packs are sealed and flushed, and a pack of gigabytes does not hold up the others. The order is the
//! promise: bytes durable, then rows committed, then the peer hears of it. When the transaction fails after the put, the
//! pack is an orphan. Its peer was told of no success and will send again, perhaps something else, so that it must never be
//! applied after that: before anything else is committed it is marked void and deleted, unless its rows turn out to be there.
//!
//! A group that is being put together cannot see in the database what those before it are about to commit. New individuals,
//! studies and series it knows from [`Parents`]; an object that is on its way itself makes its twin step aside until its
//! fate is known.

use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures::FutureExt as _;
use isocenter_model::arrival::{Outcome, Refusal};
use isocenter_model::{Classify, CollectionAccession, Fault};
use isocenter_schema::commit::{self, Fate};
use isocenter_schema::{Database, packs};
use isocenter_storage::{ArchiveWriter, PackName, QuarantineWriter, Storage};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
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
/// So many groups are sealed and flushed at a time. What arrives meanwhile is the next one: two side by side would be half as
/// large, and each costs its flushes and its messages to the database.
const PUTS: usize = 1;
/// So many groups that have landed may wait for the transaction that takes all of them; those behind them wait with their place.
const LANDED: usize = 2;
/// So many objects that have a pack of their own are written at a time. Their senders wait; there are no more than those.
const LARGE: usize = 4;
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
    /// Packs that were put, and whose rows were not committed as far as we know.
    orphans: Mutex<Vec<PackName>>,
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
            orphans: Mutex::default(),
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

    /// Returns whether the same object is on its way already.
    fn meets(&self, ticket: &Ticket) -> bool {
        let sent = self.sent.lock();
        !sent.is_empty() && sent.contains(&Self::of(ticket))
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

/// One of the few places among those on their way.
enum Place {
    Wanted(Arc<Semaphore>),
    Taken(#[expect(dead_code, reason = "held, not looked at")] OwnedSemaphorePermit),
    Left,
}

/// A group on its way, and who waits for it.
struct Flight {
    tickets: Vec<Ticket>,
    answers: Vec<oneshot::Sender<Outcome>>,
    outcomes: Vec<Outcome>,
    travellers: Travellers,
    place: Place,
}

impl Flight {
    fn end(self, outcomes: Vec<Outcome>) {
        // First what a twin waits for, then the answers: a sender that hears of success and sends again meets the rows.
        drop(self.travellers);
        answer(outcomes, self.answers);
    }

    fn fail(self, error: &Error) {
        let outcomes = failed(&self.tickets, error);
        self.end(outcomes);
    }
}

/// Takes out the first that may go.
fn take_first<T>(all: &mut Vec<T>, may_go: impl Fn(&T) -> bool) -> Option<T> {
    let at = all.iter().position(may_go)?;
    Some(all.remove(at))
}

fn size(ticket: &Ticket) -> u64 {
    ticket.prepared.staged.source().len()
}

impl Work {
    async fn run(self: Arc<Self>, mut waiting: mpsc::Receiver<Waiting>) {
        let places = Arc::new(Semaphore::new(PUTS));
        let large = Arc::new(Semaphore::new(LARGE));
        let (land, landed) = mpsc::channel(LANDED);
        let ground = tokio::spawn(Arc::clone(&self).commit_all(landed));
        // Twins of what is on its way; each has a sender that waits, so they are as many as there are senders.
        let mut aside: Vec<Waiting> = Vec::new();
        let mut next = None;
        let mut open = true;
        while open || next.is_some() || !aside.is_empty() {
            let free = |waiting: &Waiting| !self.on_their_way.meets(&waiting.0);
            let first = match next.take().or_else(|| take_first(&mut aside, free)) {
                Some(first) => first,
                None => tokio::select! {
                    another = waiting.recv(), if open => match another {
                        Some(another) => another,
                        None => {
                            open = false;
                            continue;
                        }
                    },
                    () = self.on_their_way.landed.notified(), if !aside.is_empty() => continue,
                },
            };
            if !free(&first) {
                aside.push(first);
                continue;
            }
            let mut bytes = size(&first.0);
            let alone = bytes > ALONE_BYTES;
            // A place first, then the group: what arrives while there is none is part of it. What is large waits for its
            // own place where it holds up nobody.
            let place = if alone {
                Place::Wanted(Arc::clone(&large))
            } else {
                match Arc::clone(&places).acquire_owned().await {
                    Ok(place) => Place::Taken(place),
                    Err(_) => break,
                }
            };
            let mut group = vec![first];
            while !alone && group.len() < GROUP_OBJECTS && bytes < GROUP_BYTES {
                let Ok(another) = waiting.try_recv() else { break };
                if !free(&another) {
                    aside.push(another);
                    continue;
                }
                let more = size(&another.0);
                if more > ALONE_BYTES {
                    next = Some(another);
                    break;
                }
                bytes += more;
                group.push(another);
            }
            // A panic costs its group, which is told to send again, and never the archive.
            let sorted = AssertUnwindSafe(self.sort_out(group, place)).catch_unwind().await;
            match sorted {
                Ok(Some((group, flight))) => {
                    let putting = Arc::clone(&self).put(group, flight, land.clone());
                    let work = Arc::clone(&self);
                    tokio::spawn(async move {
                        if AssertUnwindSafe(putting).catch_unwind().await.is_err() {
                            work.parents.lock().clear();
                            tracing::error!("a put panicked; its objects were refused");
                        }
                    });
                }
                Ok(None) => {}
                Err(_) => tracing::error!("a commit group panicked; its objects were refused"),
            }
        }
        // Those on their way hold the channel open until they have landed.
        drop(land);
        let _ = ground.await;
    }

    /// Decides what becomes of each object. None where nothing is left to put: they were there, or failed.
    async fn sort_out(self: &Arc<Self>, group: Vec<Waiting>, place: Place) -> Option<(Group, Flight)> {
        let (tickets, answers): (Vec<_>, Vec<_>) = group.into_iter().unzip();
        // What was remembered of parents may be out of date: then it is done again without.
        let remembered = !self.parents.lock().is_empty();
        let mut sorted = self.attempt(&tickets).await;
        if let Err(error) = &sorted {
            self.parents.lock().clear();
            if remembered && error.fault() != Fault::Unavailable {
                sorted = self.attempt(&tickets).await;
            }
        }
        match sorted {
            Ok((outcomes, group)) if group.is_empty() => {
                answer(outcomes, answers);
                None
            }
            Ok((outcomes, group)) => {
                group.remember_parents();
                let flight = Flight {
                    travellers: Travellers::new(self, &tickets),
                    tickets,
                    answers,
                    outcomes,
                    place,
                };
                Some((group, flight))
            }
            Err(error) => {
                answer(failed(&tickets, &error), answers);
                None
            }
        }
    }

    async fn attempt(self: &Arc<Self>, tickets: &[Ticket]) -> Result<(Vec<Outcome>, Group), Error> {
        let mut group = Group::look_up(self, tickets).await?;
        let mut outcomes = Vec::with_capacity(tickets.len());
        for ticket in tickets {
            outcomes.push(group.add(ticket).await?);
        }
        Ok((outcomes, group))
    }

    async fn put(self: Arc<Self>, group: Group, mut flight: Flight, land: mpsc::Sender<(Sealed, Flight)>) {
        if let Place::Wanted(places) = &flight.place
            && let Ok(place) = Arc::clone(places).acquire_owned().await
        {
            flight.place = Place::Taken(place);
        }
        match group.put().await {
            Ok(sealed) => {
                // Nobody commits any more only where the process ends; the senders then hear that it does.
                if let Ok(ground) = land.reserve().await {
                    // Not before there is ground to land on: what is sealed and not committed is bounded.
                    flight.place = Place::Left;
                    ground.send((sealed, flight));
                }
            }
            Err(error) => {
                self.parents.lock().clear();
                flight.fail(&error);
            }
        }
    }

    async fn commit_all(self: Arc<Self>, mut landed: mpsc::Receiver<(Sealed, Flight)>) {
        let mut groups = Vec::new();
        while landed.recv_many(&mut groups, LANDED).await > 0 {
            let groups = std::mem::take(&mut groups);
            if AssertUnwindSafe(self.land(groups)).catch_unwind().await.is_err() {
                self.parents.lock().clear();
                tracing::error!("a commit group panicked; its objects were refused");
            }
        }
    }

    /// Commits the rows of everything that has landed, and answers.
    async fn land(self: &Arc<Self>, mut groups: Vec<(Sealed, Flight)>) {
        if let [_] = groups.as_slice() {
            if let Some((sealed, flight)) = groups.pop() {
                self.land_alone(sealed, flight).await;
            }
            return;
        }
        let all: Vec<&Sealed> = groups.iter().map(|(sealed, _)| sealed).collect();
        match self.commit(&all).await {
            Ok(()) => {
                for (_, mut flight) in groups {
                    let outcomes = std::mem::take(&mut flight.outcomes);
                    flight.end(outcomes);
                }
            }
            Err(error) if error.fault() == Fault::Unavailable => {
                self.parents.lock().clear();
                for (sealed, flight) in groups {
                    self.orphan(&sealed);
                    flight.fail(&error);
                }
            }
            // One of them lost a race, or holds what the database does not take: each for itself.
            Err(_) => {
                for (sealed, flight) in groups {
                    self.land_alone(sealed, flight).await;
                }
            }
        }
    }

    async fn land_alone(self: &Arc<Self>, sealed: Sealed, mut flight: Flight) {
        let outcomes = std::mem::take(&mut flight.outcomes);
        let mut done = self.commit(&[&sealed]).await.map(|()| outcomes);
        if done.is_err() {
            self.orphan(&sealed);
        }
        for _ in 1..TRIES {
            match &done {
                // Another server was faster with one of them: look again, it is a duplicate now.
                Err(error) if error.fault() == Fault::Conflict => {}
                _ => break,
            }
            self.parents.lock().clear();
            done = self.again(&flight.tickets).await;
        }
        match done {
            Ok(outcomes) => flight.end(outcomes),
            Err(error) => {
                self.parents.lock().clear();
                flight.fail(&error);
            }
        }
    }

    async fn again(self: &Arc<Self>, tickets: &[Ticket]) -> Result<Vec<Outcome>, Error> {
        let (outcomes, group) = self.attempt(tickets).await?;
        if !group.is_empty() {
            let sealed = group.put().await?;
            if let Err(error) = self.commit(&[&sealed]).await {
                self.orphan(&sealed);
                return Err(error);
            }
        }
        Ok(outcomes)
    }

    fn orphan(&self, sealed: &Sealed) {
        self.orphans.lock().push(*sealed.durable.pack());
    }

    /// Does away with the packs whose rows were not committed. While the database is away they wait, and nothing is committed.
    async fn bury(&self) -> Result<(), Error> {
        loop {
            let Some(name) = self.orphans.lock().last().copied() else {
                return Ok(());
            };
            if packs::void(&self.db, &name).await? {
                tracing::warn!(pack = %name, "the rows of a pack were not committed; it is deleted");
                if let Err(error) = self.storage.delete_pack(&name).await {
                    // It is marked, so nothing applies it; the next start deletes it.
                    tracing::warn!(pack = %name, error = %error, "the pack could not be deleted yet");
                }
            }
            self.orphans.lock().retain(|orphan| *orphan != name);
        }
    }

    /// Commits the rows of packs that are durable, all or none.
    async fn commit(&self, groups: &[&Sealed]) -> Result<(), Error> {
        self.bury().await?;
        let packs: Vec<_> = groups
            .iter()
            .map(|sealed| (&sealed.durable, sealed.records.as_slice()))
            .collect();
        let records: Vec<_> = groups.iter().flat_map(|sealed| &sealed.records).collect();
        let images: Vec<_> = groups.iter().flat_map(|sealed| &sealed.hashes).cloned().collect();
        let events = crate::events::of_group(&records);
        let jobs = crate::events::jobs_of(&images);
        let tx = self.db.begin_ingest().await?;
        let fates = commit::groups(&tx, &packs, &jobs, &events).await?;
        if fates
            .iter()
            .flatten()
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
