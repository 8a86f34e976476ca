//! The listening socket: takes connections, gives each a task of its own, and winds all of them up at shutdown.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use isocenter_model::InstanceSink;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinError, JoinHandle, JoinSet};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::association::{Seats, Shared, converse};
use crate::peers::PeerPolicy;
use crate::{DimseSettings, Error, Observer, tls, transport};

/// How long to wait after the system refused to hand over a connection, out of file descriptors most likely.
const AFTER_ACCEPT_FAILED: Duration = Duration::from_millis(100);

/// A gateway that listens.
#[derive(Debug)]
pub struct Bound {
    /// Where it listens; tells the port where the settings say 0.
    pub local_addr: SocketAddr,
    /// Ends when the gateway has shut down and no association is left.
    pub join: JoinHandle<()>,
}

/// Listens for associations until `shutdown` is ready.
///
/// At shutdown no connection is taken any more, associations between two messages are aborted, and operations under way
/// get [`DimseSettings::drain_timeout`] to finish and be answered. What is not done then is dropped unanswered, so its
/// sender keeps it.
///
/// The sink's `route` is asked once for each association and once for each instance, so that a change of routes takes
/// effect at once; it should be quick.
///
/// # Errors
/// When the settings cannot work or leave the gateway open to strangers, when a TLS file cannot be used, or when the
/// address cannot be listened on.
pub async fn serve<S>(
    settings: DimseSettings,
    sink: Arc<dyn InstanceSink>,
    observer: Arc<dyn Observer>,
    shutdown: S,
) -> Result<Bound, Error>
where
    S: Future<Output = ()> + Send + 'static,
{
    settings.check()?;
    let tls = settings.tls.as_ref().map(tls::acceptor).transpose()?;
    let address = settings.address;
    let bind = |source| Error::Bind { address, source };
    let listener = TcpListener::bind(address).await.map_err(bind)?;
    let local_addr = listener.local_addr().map_err(bind)?;
    tracing::info!(address = %local_addr, tls = tls.is_some(), "listening for DICOM associations");

    let (stop, stopping) = watch::channel(false);
    let shared = Shared {
        policy: PeerPolicy::of(&settings),
        seats: Seats::new(&settings),
        settings,
        sink,
        observer,
        stopping,
    };
    let listening = Listening {
        connections: Arc::new(Semaphore::new(
            shared.settings.max_associations + shared.settings.max_pending_connections,
        )),
        shared: Arc::new(shared),
        listener,
        tls,
        tasks: JoinSet::new(),
        taken: 0,
    };
    let join = tokio::spawn(listening.run(shutdown, stop));
    Ok(Bound { local_addr, join })
}

struct Listening {
    shared: Arc<Shared>,
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    connections: Arc<Semaphore>,
    tasks: JoinSet<()>,
    taken: u64,
}

impl Listening {
    async fn run(mut self, shutdown: impl Future<Output = ()> + Send, stop: watch::Sender<bool>) {
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                Some(ended) = self.tasks.join_next() => note_end(&self.shared, ended),
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, peer)) => self.take(stream, peer),
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a connection");
                        tokio::time::sleep(AFTER_ACCEPT_FAILED).await;
                    }
                },
            }
        }
        let Self {
            listener,
            mut tasks,
            shared,
            ..
        } = self;
        drop(listener);
        stop.send_replace(true);
        tracing::info!(connections = tasks.len(), "DIMSE is shutting down");
        let drained = async {
            while let Some(ended) = tasks.join_next().await {
                note_end(&shared, ended);
            }
        };
        if timeout(shared.settings.drain_timeout, drained).await.is_err() {
            tracing::warn!(connections = tasks.len(), "operations under way did not finish in time");
            tasks.shutdown().await;
        }
    }

    /// Gives a connection its task, or closes it where there are too many to even hear it.
    fn take(&mut self, stream: TcpStream, peer: SocketAddr) {
        let Ok(permit) = Arc::clone(&self.connections).try_acquire_owned() else {
            tracing::warn!(peer = %peer.ip(), "too many connections");
            self.shared
                .observer
                .connection_failed(peer.ip().to_canonical(), "too_many_connections");
            return;
        };
        if let Err(error) = transport::prepare(&stream) {
            tracing::debug!(%error, "cannot set options of a connection");
        }
        self.taken += 1;
        let id = self.taken;
        let shared = Arc::clone(&self.shared);
        let tls = self.tls.clone();
        self.tasks.spawn(async move {
            let _permit = permit;
            match tls {
                None => converse(&shared, stream, peer, id).await,
                Some(tls) => converse_encrypted(&shared, &tls, stream, peer, id).await,
            }
        });
    }
}

async fn converse_encrypted(shared: &Shared, tls: &TlsAcceptor, stream: TcpStream, peer: SocketAddr, id: u64) {
    let address = peer.ip().to_canonical();
    match timeout(shared.settings.acse_timeout, tls.accept(stream)).await {
        Ok(Ok(stream)) => converse(shared, stream, peer, id).await,
        Ok(Err(error)) => {
            tracing::debug!(peer = %address, %error, "TLS handshake failed");
            shared.observer.connection_failed(address, "tls");
        }
        Err(_) => {
            tracing::debug!(peer = %address, "TLS handshake took too long");
            shared.observer.connection_failed(address, "opening_timeout");
        }
    }
}

/// Takes note of a task that ended. A panic ends its own association and no other; what it said is not repeated,
/// because it could hold what a peer sent.
fn note_end(shared: &Shared, ended: Result<(), JoinError>) {
    if ended.is_err_and(|error| error.is_panic()) {
        tracing::error!("a fault of ours ended an association");
        shared.observer.task_panicked();
    }
}
