//! Low and critical marks of free space on the folders of this machine.
//!
//! A disk that is quite full hurts more than one that stopped in time: the database cannot fold its log, an erasure cannot be
//! written down. So at the *critical* mark nothing new is taken (A700, 503: senders come back by themselves), while reading,
//! releasing and erasing go on; at the *low* mark the log, the metrics and `doctor` say so. What lies in an S3 store or a
//! database server has no disk here; the folder of spills and of the embedded database always has.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use isocenter_model::arrival::Refusal;
use isocenter_model::{AeTitle, Arrival, InstanceSink, InstanceWriter, Route};
use isocenter_storage::{FreeSpace, Storage};
use parking_lot::Mutex;

use crate::config::Settings;
use crate::metrics::METRICS;

/// How old an answer may be.
const FRESH: Duration = Duration::from_secs(1);
/// How long somebody waits for one.
const PATIENCE: Duration = Duration::from_secs(2);
/// Marks where the settings name none: so many bytes, or so many parts of a thousand of a small disk.
const LOW: (u64, u64) = (10 << 30, 50);
const CRITICAL: (u64, u64) = (1 << 30, 10);

/// How much space is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Enough.
    Fine,
    /// Below the low mark.
    Low,
    /// Below the critical mark: nothing is taken.
    Critical,
}

impl State {
    /// Returns the word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fine => "fine",
            Self::Low => "low",
            Self::Critical => "critical",
        }
    }
}

/// What was seen at a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// How it stands with the fullest disk.
    pub state: State,
    /// Bytes that are left there.
    pub available: u64,
}

/// Before the first answer.
const UNKNOWN: Seen = Seen {
    state: State::Fine,
    available: u64::MAX,
};

/// The disks of this archive.
pub struct Disk {
    storage: Storage,
    data_dir: PathBuf,
    low: Option<u64>,
    critical: Option<u64>,
    watch: Watch,
}

/// The last look, and the one that is under way.
///
/// There is never more than one: a look that hangs holds one thread, and everybody else goes by what was seen before.
#[derive(Default)]
struct Watch {
    last: Mutex<Option<(Instant, Seen)>>,
    looking: Arc<tokio::sync::Mutex<()>>,
}

impl Watch {
    /// Returns how it stands. Where this call looked and was answered in time, also how it stood before.
    async fn seen(
        &self,
        look: impl Future<Output = Option<Seen>> + Send + 'static,
        patience: Duration,
    ) -> (Seen, Option<Seen>) {
        let last = *self.last.lock();
        let before = last.map_or(UNKNOWN, |(_, seen)| seen);
        if last.is_some_and(|(at, _)| at.elapsed() < FRESH) {
            return (before, None);
        }
        let Ok(turn) = Arc::clone(&self.looking).try_lock_owned() else {
            return (before, None);
        };
        // A task of its own: it keeps its turn until the disk answers, however long nobody waits for it any more.
        let looking = tokio::spawn(async move {
            let seen = look.await;
            drop(turn);
            seen
        });
        let Ok(answered) = tokio::time::timeout(patience, looking).await else {
            tracing::warn!("a disk does not answer");
            return (before, None);
        };
        let seen = answered.ok().flatten().unwrap_or(UNKNOWN);
        *self.last.lock() = Some((Instant::now(), seen));
        (seen, Some(before))
    }
}

fn report(before: Seen, now: Seen) {
    if before.state != now.state {
        let (state, available) = (now.state.as_str(), now.available);
        match now.state {
            State::Fine => tracing::info!(state, available, "disk space"),
            State::Low | State::Critical => tracing::warn!(state, available, "disk space"),
        }
    }
    METRICS
        .disk_available_bytes
        .set(i64::try_from(now.available).unwrap_or(i64::MAX));
    METRICS.disk_state.set(match now.state {
        State::Fine => 0,
        State::Low => 1,
        State::Critical => 2,
    });
}

/// Returns how it stands with one disk.
fn judge(space: FreeSpace, low: Option<u64>, critical: Option<u64>) -> Seen {
    let mark = |set: Option<u64>, (bytes, thousandths): (u64, u64)| {
        set.unwrap_or_else(|| bytes.min(space.total / 1000 * thousandths))
    };
    let state = if space.available < mark(critical, CRITICAL) {
        State::Critical
    } else if space.available < mark(low, LOW) {
        State::Low
    } else {
        State::Fine
    };
    Seen {
        state,
        available: space.available,
    }
}

impl Disk {
    /// Watches the disks of these settings.
    pub fn new(storage: Storage, settings: &Settings) -> Self {
        Self {
            storage,
            data_dir: settings.data_dir.clone(),
            low: settings.disk_low,
            critical: settings.disk_critical,
            watch: Watch::default(),
        }
    }

    /// Looks at every disk. Nothing here says for how long: a network folder whose server is away answers when it is back.
    async fn look(storage: Storage, data_dir: PathBuf, low: Option<u64>, critical: Option<u64>) -> Option<Seen> {
        let own = tokio::task::spawn_blocking(move || rustix::fs::statvfs(&data_dir));
        let own = own.await.ok().and_then(Result::ok).map(|facts| FreeSpace {
            available: facts.f_bavail.saturating_mul(facts.f_frsize),
            total: facts.f_blocks.saturating_mul(facts.f_frsize),
        });
        let store = storage.free_space().await.ok().flatten();
        let judged = [own, store].into_iter().flatten();
        judged
            .map(|space| judge(space, low, critical))
            .max_by_key(|seen| (seen.state, std::cmp::Reverse(seen.available)))
    }

    /// Returns how it stands; a disk that does not answer has not run out of space, and what is written to it will tell.
    pub async fn seen(&self) -> Seen {
        let look = Self::look(self.storage.clone(), self.data_dir.clone(), self.low, self.critical);
        let (seen, before) = self.watch.seen(look, PATIENCE).await;
        if let Some(before) = before {
            report(before, seen);
        }
        seen
    }

    /// Returns whether nothing new may be taken now.
    pub async fn refuses(&self) -> bool {
        self.seen().await.state == State::Critical
    }
}

/// The way in, closed while space is critical.
pub struct Guarded<S> {
    /// The way in.
    pub sink: S,
    /// The disks.
    pub disk: Arc<Disk>,
}

#[async_trait]
impl<S: InstanceSink> InstanceSink for Guarded<S> {
    async fn route(
        &self,
        called: &AeTitle,
        calling: &AeTitle,
        peer: std::net::IpAddr,
    ) -> Result<Option<Route>, Refusal> {
        self.sink.route(called, calling, peer).await
    }

    async fn begin(&self, arrival: Arrival) -> Result<Box<dyn InstanceWriter>, Refusal> {
        if self.disk.refuses().await {
            return Err(Refusal::OutOfResources);
        }
        self.sink.begin(arrival).await
    }
}

#[cfg(test)]
mod tests {
    use actix_web::App;
    use actix_web::test::{self, TestRequest};
    use actix_web::web;
    use isocenter_model::Outcome;

    use super::*;
    use crate::archive::Archive;
    use crate::world::world;

    #[test]
    fn marks_are_those_of_the_settings_or_fit_the_disk() {
        let space = |available: u64, total: u64| FreeSpace { available, total };
        let state = |space, low, critical| judge(space, low, critical).state;
        let tib = 1 << 40;
        assert_eq!(state(space(11 << 30, tib), None, None), State::Fine);
        assert_eq!(state(space(9 << 30, tib), None, None), State::Low);
        assert_eq!(state(space((1 << 30) - 1, tib), None, None), State::Critical);
        // A small disk is not full because it is small.
        assert_eq!(state(space(900_000, 1_000_000), None, None), State::Fine);
        assert_eq!(state(space(40_000, 1_000_000), None, None), State::Low);
        assert_eq!(state(space(9_000, 1_000_000), None, None), State::Critical);
        assert_eq!(state(space(900_000, 1_000_000), Some(950_000), Some(10)), State::Low);
        assert_eq!(state(space(9, 1_000_000), Some(950_000), Some(10)), State::Critical);
        assert_eq!(state(space(0, 1_000_000), Some(0), Some(0)), State::Fine);
    }

    #[actix_web::test]
    async fn a_disk_that_hangs_is_asked_once_and_holds_up_nobody() {
        let watch = Watch::default();
        let low = Seen {
            state: State::Low,
            available: 7,
        };
        let soon = Duration::from_millis(20);
        assert_eq!(
            watch.seen(async move { Some(low) }, PATIENCE).await,
            (low, Some(UNKNOWN))
        );
        // What was seen just now need not be seen again.
        assert_eq!(watch.seen(async { None }, PATIENCE).await, (low, None));
        let age = |watch: &Watch| watch.last.lock().as_mut().unwrap().0 -= FRESH;
        age(&watch);
        let (answer, hangs) = tokio::sync::oneshot::channel::<Seen>();
        let hanging = async move { hangs.await.ok() };
        assert_eq!(watch.seen(hanging, soon).await, (low, None));
        // Nobody looks or waits while it hangs: with this patience a look would never end.
        let never = Duration::from_secs(1 << 40);
        for _ in 0..3 {
            assert_eq!(watch.seen(std::future::pending(), never).await, (low, None));
        }
        answer.send(low).unwrap();
        while watch.looking.try_lock().is_err() {
            tokio::task::yield_now().await;
        }
        let fine = Seen {
            state: State::Fine,
            available: 9,
        };
        assert_eq!(watch.seen(async move { Some(fine) }, PATIENCE).await, (fine, Some(low)));
    }

    #[actix_web::test]
    async fn below_the_critical_mark_nothing_is_taken_and_reading_goes_on() {
        let world = world().await;
        assert!(matches!(world.store_phantom().await, Outcome::Stored { .. }));
        let settings = Settings {
            disk_low: Some(u64::MAX),
            disk_critical: Some(u64::MAX),
            ..world.archive.settings.clone()
        };
        let full = web::Data::new(Archive::open(settings).await.unwrap());
        full.ready.store(true, std::sync::atomic::Ordering::Release);
        let app = App::new().app_data(full.clone()).configure(crate::serve::routes);
        let app = test::init_service(app).await;
        let bearer = ("authorization", format!("Bearer {}", world.token));
        let store = TestRequest::post()
            .uri("/dicom-web/studies")
            .insert_header(bearer.clone())
            .insert_header(("content-type", "application/dicom"))
            .set_payload("it is not read");
        let refused = test::call_service(&app, store.to_request()).await;
        assert_eq!(refused.status().as_u16(), 503);
        assert!(refused.headers().contains_key("retry-after"));
        // C-STORE hears the same through the sink: A700.
        assert_eq!(crate::world::begin(&full).await.err(), Some(Refusal::OutOfResources));
        let read = TestRequest::get()
            .uri("/dicom-web/studies")
            .insert_header(bearer.clone());
        let read = test::call_service(&app, read.to_request()).await;
        assert_eq!(read.status().as_u16(), 200);
        assert!(test::read_body(read).await.len() > 2);
        let ready = test::call_service(&app, TestRequest::get().uri("/health/ready").to_request()).await;
        assert_eq!(ready.status().as_u16(), 200);
        let said: serde_json::Value = test::read_body_json(ready).await;
        assert_eq!(said["disk"], "critical");
        let metrics = TestRequest::get().uri("/metrics").insert_header(bearer);
        let metrics = test::call_service(&app, metrics.to_request()).await;
        let text = String::from_utf8(test::read_body(metrics).await.to_vec()).unwrap();
        assert!(text.contains("isocenter_disk_state 2"), "{text}");
    }
}
