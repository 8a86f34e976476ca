//! A gateway under test: on a free port, with a sink in memory and an observer that writes down.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use isocenter_gateway::observer::{ContextRefusal, Rejection};
use isocenter_gateway::{AssociationInfo, DimseSettings, Observer, Status, serve};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::sink::MemorySink;

/// What the observer heard.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    pub(crate) opened: usize,
    pub(crate) echoes: usize,
    pub(crate) panics: usize,
    pub(crate) rejected: Vec<Rejection>,
    pub(crate) failed: Vec<&'static str>,
    pub(crate) ended: Vec<&'static str>,
    pub(crate) refused_contexts: Vec<(String, u8)>,
    pub(crate) instances: Vec<(Status, u64)>,
    pub(crate) unrecognized: Vec<u16>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Ear(pub(crate) Arc<Mutex<Heard>>);

impl Observer for Ear {
    fn association_opened(&self, _: &AssociationInfo) {
        self.0.lock().unwrap().opened += 1;
    }
    fn association_rejected(&self, _: IpAddr, rejection: Rejection) {
        self.0.lock().unwrap().rejected.push(rejection);
    }
    fn connection_failed(&self, _: IpAddr, why: &'static str) {
        self.0.lock().unwrap().failed.push(why);
    }
    fn association_ended(&self, _: &AssociationInfo, how: &'static str) {
        self.0.lock().unwrap().ended.push(how);
    }
    fn task_panicked(&self) {
        self.0.lock().unwrap().panics += 1;
    }
    fn context_refused(&self, _: &AssociationInfo, abstract_syntax: &str, refusal: ContextRefusal) {
        let mut heard = self.0.lock().unwrap();
        heard
            .refused_contexts
            .push((abstract_syntax.to_owned(), refusal.code()));
    }
    fn echoed(&self, _: &AssociationInfo) {
        self.0.lock().unwrap().echoes += 1;
    }
    fn instance_answered(&self, _: &AssociationInfo, status: Status, bytes: u64, _: Duration) {
        self.0.lock().unwrap().instances.push((status, bytes));
    }
    fn operation_unrecognized(&self, _: &AssociationInfo, command_field: u16) {
        self.0.lock().unwrap().unrecognized.push(command_field);
    }
}

pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    pub(crate) sink: MemorySink,
    pub(crate) ear: Ear,
    pub(crate) stop: Option<oneshot::Sender<()>>,
    pub(crate) join: JoinHandle<()>,
}

/// Settings on a free port.
pub(crate) fn settings() -> DimseSettings {
    DimseSettings {
        address: "127.0.0.1:0".parse().unwrap(),
        ..DimseSettings::default()
    }
}

impl Gateway {
    pub(crate) async fn start() -> Self {
        Self::start_with(settings(), MemorySink::new()).await
    }

    pub(crate) async fn start_with(settings: DimseSettings, sink: MemorySink) -> Self {
        let ear = Ear::default();
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async move {
            let _ = stopped.await;
        };
        let bound = serve(settings, Arc::new(sink.clone()), Arc::new(ear.clone()), shutdown)
            .await
            .unwrap();
        Self {
            address: bound.local_addr,
            sink,
            ear,
            stop: Some(stop),
            join: bound.join,
        }
    }

    /// Waits until what the observer heard is as expected.
    pub(crate) async fn until(&self, what: &str, heard: impl Fn(&Heard) -> bool) {
        for _ in 0..250 {
            if heard(&self.ear.0.lock().unwrap()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("not heard within 5 s: {what}; {:?}", self.ear.0.lock().unwrap());
    }
}
