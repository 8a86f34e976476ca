//! The sink that every door hands its fragments to, and the walk of one instance behind it.
//!
//! ```text
//! begin -> write ... write -> finish:  stage -> (CPU permit) prepare -> commit group -> Outcome
//!     at risk of drawn text:           stage -> (CPU permit) read -> (search permit) search -> (CPU permit) prepare -> ...
//! ```

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use isocenter_model::arrival::{Form, Refusal, SentUids, Source};
use isocenter_model::{AeTitle, Arrival, Clock, Fault, InstanceSink, InstanceWriter, Outcome, Route};
use isocenter_schema::Database;
use isocenter_storage::{ArchiveWriter, QuarantineWriter, Storage};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::committer::{Committer, Ticket};
use crate::destination::{Destination, Destinations};
use crate::pixels::Searched;
use crate::prepare::{Prepared, Refused, Step, prepare};
use crate::stage::{Budget, Stage, Staged};
use crate::{Error, Settings};

/// Objects of more bytes than this are large: one is prepared at a time.
const LARGE: u64 = 32 << 20;

/// The one way in.
pub struct Pipeline {
    storage: Storage,
    destinations: Destinations,
    budget: Budget,
    cpu: Arc<Semaphore>,
    /// One search for text at a time: it takes up to five seconds and 100 MiB.
    search: Arc<Semaphore>,
    /// The place for large objects, whatever the number of cores: a frame of one may be all of it, coded and decoded.
    large: Arc<Semaphore>,
    committer: Committer,
    clock: Arc<dyn Clock>,
    settings: Settings,
    /// When the last instance began or ended, in milliseconds since the start.
    active_ms: AtomicU64,
    started: Instant,
    /// Size of the instance that arrived last: the slices of a series are alike, and a C-STORE does not tell its size.
    last_size: AtomicU64,
}

impl Pipeline {
    /// Starts the committer and returns the sink.
    ///
    /// The writers are the only handles that can put bytes into the archive and quarantine areas; they live here from now on.
    pub fn start(
        db: Database,
        storage: Storage,
        archive: ArchiveWriter,
        quarantine: QuarantineWriter,
        clock: Arc<dyn Clock>,
        settings: Settings,
    ) -> Arc<Self> {
        let committer = Committer::start(db.clone(), storage.clone(), archive, quarantine, &settings);
        Arc::new(Self {
            destinations: Destinations::new(db, storage.clone()),
            budget: Budget::new(settings.bytes_in_memory),
            cpu: Arc::new(Semaphore::new(settings.cpu_permits)),
            search: Arc::new(Semaphore::new(1)),
            large: Arc::new(Semaphore::new(1)),
            storage,
            committer,
            clock,
            settings,
            active_ms: AtomicU64::new(0),
            started: Instant::now(),
            last_size: AtomicU64::new(0),
        })
    }

    /// Returns how long no instance has begun or ended. Work that can wait looks at this and lets senders go first.
    pub fn idle_for(&self) -> Duration {
        let active = Duration::from_millis(self.active_ms.load(Ordering::Relaxed));
        self.started.elapsed().saturating_sub(active)
    }

    /// Returns whether what it takes can still be committed. It does not come back by itself: the process should be restarted.
    pub fn is_alive(&self) -> bool {
        self.committer.is_alive()
    }

    fn note_activity(&self) {
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.active_ms.store(now, Ordering::Relaxed);
    }

    /// Waits until everything that was handed to the committer is durable or refused, and ends it.
    pub async fn close(&self) {
        self.committer.close().await;
    }

    async fn receive(&self, arrival: Arrival, destination: Arc<Destination>, stage: Stage) -> Outcome {
        let received_at = self.clock.now();
        self.note_activity();
        let staged = match stage.finish() {
            Ok(staged) => staged,
            Err(refusal) => return refused(SentUids::default(), refusal, "the object could not be staged"),
        };
        self.last_size.store(staged.source().len(), Ordering::Relaxed);
        let provenance = provenance(&arrival.source);
        match self.prepared(Arc::new(arrival), Arc::clone(&destination), staged).await {
            Ok(prepared) => {
                let ticket = Ticket {
                    destination,
                    prepared,
                    provenance,
                    received_at,
                };
                self.committer.commit(ticket).await
            }
            Err(refusal) => {
                let Refused { sent, refusal, detail } = *refusal;
                tracing::info!(?refusal, detail, "instance refused");
                Outcome::Refused { sent, refusal, detail }
            }
        }
    }

    /// Does what needs the CPU. One permit at a time is held, and none while waiting for the other: an object that waits
    /// for its search keeps no other from being read, and holds no thread. A large one waits for its place before that.
    async fn prepared(
        &self,
        arrival: Arc<Arrival>,
        destination: Arc<Destination>,
        staged: Staged,
    ) -> Result<Prepared, Box<Refused>> {
        let mut searched = Searched::NotYet;
        loop {
            let step = {
                let (arrival, destination, staged) = (Arc::clone(&arrival), Arc::clone(&destination), staged.clone());
                let place = match staged.source().len() > LARGE {
                    true => Some(place_in(&self.large).await?),
                    false => None,
                };
                let work = move || {
                    let _place = place;
                    prepare(&arrival, &destination, staged, searched)
                };
                under(&self.cpu, work).await?
            };
            match step {
                Step::Done(prepared) => return Ok(*prepared),
                Step::Search(search) => {
                    searched = under(&self.search, move || search.run().map_err(Refused::failed)).await?;
                }
            }
        }
    }
}

async fn place_in(permits: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Box<Refused>> {
    let permit = Arc::clone(permits).acquire_owned().await;
    permit.map_err(|_| Refused::house(Refusal::OutOfResources, "the archive is stopping"))
}

/// Runs work on a blocking thread under a permit.
async fn under<T: Send + 'static>(
    permits: &Arc<Semaphore>,
    work: impl FnOnce() -> Result<T, Box<Refused>> + Send + 'static,
) -> Result<T, Box<Refused>> {
    let permit = place_in(permits).await?;
    let done = tokio::task::spawn_blocking(move || {
        let done = work();
        drop(permit);
        done
    });
    // A library panicked on a stranger's bytes: the object is at fault, the process goes on.
    let broke = |_| Err(Refused::house(Refusal::Unreadable, "reading the object failed"));
    done.await.unwrap_or_else(broke)
}

fn refused(sent: SentUids, refusal: Refusal, detail: &str) -> Outcome {
    Outcome::Refused {
        sent,
        refusal,
        detail: detail.to_owned(),
    }
}

/// Returns where an instance came from as JSON. For the operator and the audit; never shown to the public.
fn provenance(source: &Source) -> String {
    match source {
        Source::Dimse {
            calling_ae_title,
            called_ae_title,
            peer,
        } => serde_json::json!({
            "door": "dimse",
            "calling_ae_title": calling_ae_title.as_str(),
            "called_ae_title": called_ae_title.as_str(),
            "peer": peer.to_string(),
        }),
        Source::Stow { token } => serde_json::json!({"door": "stow", "token": token}),
        Source::Import => serde_json::json!({"door": "import"}),
    }
    .to_string()
}

fn refusal_of(error: &Error) -> Refusal {
    use isocenter_model::Classify as _;
    tracing::error!(error = %error, "instance refused");
    match error.fault() {
        Fault::Unavailable => Refusal::OutOfResources,
        Fault::Forbidden | Fault::NotFound => Refusal::NotAuthorised,
        _ => Refusal::Internal,
    }
}

struct Writer {
    pipeline: Arc<Pipeline>,
    arrival: Arrival,
    destination: Arc<Destination>,
    stage: Stage,
    /// The first refusal of a write; what follows is read away.
    refused: Option<Refusal>,
}

#[async_trait]
impl InstanceWriter for Writer {
    async fn write(&mut self, fragment: Bytes) -> Result<(), Refusal> {
        if let Some(refusal) = self.refused {
            return Err(refusal);
        }
        self.stage
            .write(&fragment)
            .await
            .inspect_err(|refusal| self.refused = Some(*refusal))
    }

    async fn finish(self: Box<Self>) -> Outcome {
        if let Some(refusal) = self.refused {
            let sent = match &self.arrival.form {
                Form::Part10 => SentUids::default(),
                Form::DataSet {
                    affected_sop_class_uid,
                    affected_sop_instance_uid,
                    ..
                } => SentUids {
                    sop_class_uid: Some(affected_sop_class_uid.clone()),
                    sop_instance_uid: Some(affected_sop_instance_uid.clone()),
                },
            };
            return refused(sent, refusal, "larger than the limit, or no space to stage it");
        }
        let Self {
            pipeline,
            arrival,
            destination,
            stage,
            ..
        } = *self;
        pipeline.receive(arrival, destination, stage).await
    }
}

/// The sink itself: a handle on the pipeline that its writers keep alive.
#[derive(Clone)]
pub struct Sink(pub Arc<Pipeline>);

#[async_trait]
impl InstanceSink for Sink {
    async fn route(&self, called: &AeTitle, _calling: &AeTitle, _peer: IpAddr) -> Result<Option<Route>, Refusal> {
        self.0
            .destinations
            .route(called)
            .await
            .map_err(|error| refusal_of(&error))
    }

    async fn begin(&self, arrival: Arrival) -> Result<Box<dyn InstanceWriter>, Refusal> {
        let found = self.0.destinations.find(&arrival.route.collection).await;
        let destination = found
            .map_err(|error| refusal_of(&error))?
            .ok_or(Refusal::NotAuthorised)?;
        let pipeline = Arc::clone(&self.0);
        pipeline.note_activity();
        let limit = pipeline.settings.max_object_size;
        let stage = Stage::new(
            pipeline.storage.clone(),
            pipeline.budget.clone(),
            limit,
            arrival
                .size_hint
                .unwrap_or_else(|| pipeline.last_size.load(Ordering::Relaxed)),
        );
        Ok(Box::new(Writer {
            pipeline,
            arrival,
            destination,
            stage,
            refused: None,
        }))
    }
}
