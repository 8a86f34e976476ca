//! A sink in memory that stores, refuses, dawdles or panics as it is told.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use isocenter_model::arrival::{Form, InstanceUids, Refusal, SentUids};
use isocenter_model::{
    AeTitle, Arrival, CollectionAccession, InstanceSink, InstanceWriter, Outcome, Route, SeriesInstanceUid,
    SopClassUid, SopInstanceUid, StudyInstanceUid,
};

/// What becomes of an instance.
#[derive(Debug, Clone)]
pub(crate) enum Plan {
    Store,
    RefuseAtOnce(Refusal),
    RefuseAfter(usize, Refusal),
    End(Outcome),
    StoreAfter(Duration),
    PanicAtFinish,
}

/// An instance as it was handed over.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) arrival: Arrival,
    pub(crate) bytes: Vec<u8>,
    pub(crate) fragments: usize,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) received: Vec<Received>,
    pub(crate) routes: HashMap<String, Result<Route, Refusal>>,
    pub(crate) plans: HashMap<String, Plan>,
}

#[derive(Clone)]
pub(crate) struct MemorySink {
    pub(crate) state: Arc<Mutex<State>>,
    pub(crate) begun: Arc<AtomicUsize>,
    pub(crate) dropped: Arc<AtomicUsize>,
    pub(crate) keep_bytes: bool,
}

pub(crate) fn route_to(collection: &str, issuer: &str) -> Route {
    Route {
        collection: CollectionAccession::parse(collection).unwrap(),
        issuer: issuer.to_owned(),
    }
}

impl MemorySink {
    pub(crate) fn new() -> Self {
        let sink = Self {
            state: Arc::default(),
            begun: Arc::default(),
            dropped: Arc::default(),
            keep_bytes: true,
        };
        sink.set_route("ISOCENTER", Ok(route_to("OBIA0001", "")));
        sink.set_route("TRIAL", Ok(route_to("OBIA0002", "HOSPITAL_B")));
        sink
    }

    pub(crate) fn set_route(&self, called: &str, route: Result<Route, Refusal>) {
        self.state.lock().unwrap().routes.insert(called.to_owned(), route);
    }

    pub(crate) fn forget_route(&self, called: &str) {
        self.state.lock().unwrap().routes.remove(called);
    }

    pub(crate) fn plan(&self, sop_instance_uid: &str, plan: Plan) {
        self.state
            .lock()
            .unwrap()
            .plans
            .insert(sop_instance_uid.to_owned(), plan);
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.state.lock().unwrap().received.clone()
    }

    pub(crate) fn begun(&self) -> usize {
        self.begun.load(Ordering::SeqCst)
    }

    /// Waits until so many unfinished writers were dropped.
    pub(crate) async fn until_dropped(&self, count: usize) {
        for _ in 0..200 {
            if self.dropped.load(Ordering::SeqCst) == count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!(
            "{} unfinished writers were dropped, not {count}",
            self.dropped.load(Ordering::SeqCst)
        );
    }
}

fn affected(arrival: &Arrival) -> (SopClassUid, SopInstanceUid) {
    match &arrival.form {
        Form::DataSet {
            affected_sop_class_uid,
            affected_sop_instance_uid,
            ..
        } => (affected_sop_class_uid.clone(), affected_sop_instance_uid.clone()),
        Form::Part10 => panic!("C-STORE carries bare data sets"),
    }
}

#[async_trait]
impl InstanceSink for MemorySink {
    async fn route(&self, called: &AeTitle, _: &AeTitle, _: IpAddr) -> Result<Option<Route>, Refusal> {
        self.state
            .lock()
            .unwrap()
            .routes
            .get(called.as_str())
            .cloned()
            .transpose()
    }

    async fn begin(&self, arrival: Arrival) -> Result<Box<dyn InstanceWriter>, Refusal> {
        let (_, instance) = affected(&arrival);
        let plan = self.state.lock().unwrap().plans.get(instance.as_str()).cloned();
        let plan = plan.unwrap_or(Plan::Store);
        if let Plan::RefuseAtOnce(refusal) = plan {
            return Err(refusal);
        }
        self.begun.fetch_add(1, Ordering::SeqCst);
        Ok(Box::new(Writer {
            sink: self.clone(),
            plan,
            taken: 0,
            finished: false,
            received: Received {
                arrival,
                bytes: Vec::new(),
                fragments: 0,
            },
        }))
    }
}

struct Writer {
    sink: MemorySink,
    plan: Plan,
    taken: usize,
    finished: bool,
    received: Received,
}

impl Drop for Writer {
    fn drop(&mut self) {
        if !self.finished {
            self.sink.dropped.fetch_add(1, Ordering::SeqCst);
        }
    }
}

#[async_trait]
impl InstanceWriter for Writer {
    async fn write(&mut self, fragment: Bytes) -> Result<(), Refusal> {
        self.taken += fragment.len();
        self.received.fragments += 1;
        if self.sink.keep_bytes {
            self.received.bytes.extend_from_slice(&fragment);
        }
        match self.plan {
            Plan::RefuseAfter(limit, refusal) if self.taken > limit => Err(refusal),
            _ => Ok(()),
        }
    }

    async fn finish(mut self: Box<Self>) -> Outcome {
        match std::mem::replace(&mut self.plan, Plan::Store) {
            Plan::End(outcome) => {
                self.finished = true;
                return outcome;
            }
            Plan::StoreAfter(delay) => tokio::time::sleep(delay).await,
            Plan::PanicAtFinish => panic!("a fault planted by the test"),
            Plan::Store | Plan::RefuseAtOnce(_) | Plan::RefuseAfter(..) => {}
        }
        self.finished = true;
        let (sop_class_uid, sop_instance_uid) = affected(&self.received.arrival);
        self.sink.state.lock().unwrap().received.push(self.received.clone());
        Outcome::Stored {
            sent: SentUids {
                sop_class_uid: Some(sop_class_uid.clone()),
                sop_instance_uid: Some(sop_instance_uid),
            },
            archived: InstanceUids {
                sop_class_uid,
                study_instance_uid: StudyInstanceUid::parse("2.25.1").unwrap(),
                series_instance_uid: SeriesInstanceUid::parse("2.25.2").unwrap(),
                sop_instance_uid: SopInstanceUid::parse("2.25.3").unwrap(),
            },
            coerced: true,
            duplicate: false,
            released: false,
        }
    }
}
