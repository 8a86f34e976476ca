//! One association from its first byte to its last.
//!
//! An association is one task that reads a message, has it answered and reads the next: operations are performed one at
//! a time and answered in order, and throughput comes from several associations at once. Whatever ends it, the object
//! under way is forgotten, because dropping an unfinished writer leaves nothing behind.

mod admission;
mod ending;
mod messages;
mod negotiate;
pub mod request;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use dicom_ul::pdu::{Pdu, write_pdu};
use isocenter_model::InstanceSink;
use tokio::sync::watch;
use tokio::time::timeout;
use tracing::Instrument;

pub use ending::Ending;

pub(crate) use admission::{Router, Seats};
pub(crate) use messages::{Association, DataSet, Message};

use admission::{Admitted, admit, reject};
use negotiate::{Negotiated, negotiate};
use request::AssociateRequest;

use crate::observer::Rejection;
use crate::pdu::{PduType, Violation};
use crate::peers::PeerPolicy;
use crate::transport::{Patience, Transport, Wire};
use crate::{AssociationInfo, DimseSettings, Observer, service};

/// How long a peer may take to close its side after the last PDU of ours.
const FAREWELL: Duration = Duration::from_secs(5);

/// What all associations share.
pub(crate) struct Shared {
    pub(crate) settings: DimseSettings,
    pub(crate) sink: Arc<dyn InstanceSink>,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) policy: PeerPolicy,
    pub(crate) seats: Seats,
    pub(crate) stopping: watch::Receiver<bool>,
}

impl Shared {
    /// Returns what asks the sink for routes.
    pub(crate) fn router(&self) -> Router<'_> {
        Router {
            sink: self.sink.as_ref(),
            ignore_case: self.settings.ignore_ae_title_case,
        }
    }
}

/// Holds a connection from its first byte to its last.
pub(crate) async fn converse<T: Transport>(shared: &Shared, transport: T, peer: SocketAddr, id: u64) {
    let peer_address = peer.ip().to_canonical();
    let mut wire = Wire::new(transport, shared.settings.write_stall_timeout);
    match open(shared, &mut wire, peer_address, id).await {
        Ok(Opening::Accepted(opened)) => converse_open(shared, wire, *opened).await,
        Ok(Opening::Rejected) => wire.close(FAREWELL).await,
        Err(ending) => {
            tracing::debug!(peer = %peer_address, why = ending.name(), what = ending.what(), "no association");
            shared.observer.connection_failed(peer_address, ending.name());
            say_farewell(wire, &ending).await;
        }
    }
}

/// What a request led to.
enum Opening {
    Accepted(Box<Opened>),
    Rejected,
}

/// An association that was just accepted.
struct Opened {
    info: AssociationInfo,
    admitted: Admitted,
    negotiated: Negotiated,
    peer_max_pdu_length: u32,
}

/// Reads the request and answers it.
async fn open<T: Transport>(shared: &Shared, wire: &mut Wire<T>, peer: IpAddr, id: u64) -> Result<Opening, Ending> {
    let request = read_request(shared, wire).await?;
    let admitted = admit(&request, peer, &shared.policy, &shared.seats, &shared.router()).await;
    let admitted = match admitted {
        Ok(admitted) => admitted,
        Err(rejection) => {
            note_rejection(shared, peer, rejection, &request);
            send(wire, &Pdu::AssociationRJ(reject(rejection))).await?;
            return Ok(Opening::Rejected);
        }
    };
    let negotiated = negotiate(&request, shared.settings.accept_unknown_sop_classes);
    let answer = negotiated.accept(
        &admitted.calling_ae_title,
        &admitted.called_ae_title,
        shared.settings.max_pdu_length,
    );
    send(wire, &Pdu::AssociationAC(answer)).await?;
    let info = AssociationInfo {
        id,
        calling_ae_title: admitted.calling_ae_title.clone(),
        called_ae_title: admitted.called_ae_title.clone(),
        peer,
    };
    note_opening(shared, &info, &request, &negotiated);
    Ok(Opening::Accepted(Box::new(Opened {
        info,
        admitted,
        negotiated,
        peer_max_pdu_length: request.user.max_pdu_length,
    })))
}

/// Waits for a complete A-ASSOCIATE-RQ, no longer than the ARTIM timer allows (PS3.8 9.1.5).
async fn read_request<T: Transport>(shared: &Shared, wire: &mut Wire<T>) -> Result<AssociateRequest, Ending> {
    let limit = shared.settings.acse_timeout;
    let mut stopping = shared.stopping.clone();
    let reading = timeout(limit, wire.next_pdu(Patience::Opening, shared.settings.max_pdu_length));
    let (kind, body) = tokio::select! {
        biased;
        _ = stopping.wait_for(|stop| *stop) => return Err(Ending::Stopping),
        read = reading => read.map_err(|_| Ending::OpeningTimeout)??,
    };
    match kind {
        PduType::AssociateRq => Ok(AssociateRequest::decode(&body)?),
        PduType::Abort => Err(Ending::Aborted),
        _ => Err(Violation::unexpected_pdu("no association yet").into()),
    }
}

/// Answers messages until the association ends.
async fn converse_open<T: Transport>(shared: &Shared, wire: Wire<T>, opened: Opened) {
    let Opened {
        info,
        admitted,
        negotiated,
        peer_max_pdu_length,
    } = opened;
    let span = tracing::info_span!(
        "association",
        id = info.id,
        calling_ae_title = %info.calling_ae_title,
        called_ae_title = %info.called_ae_title,
        peer = %info.peer,
    );
    let mut association = Association::new(
        wire,
        negotiated.contexts,
        peer_max_pdu_length,
        &shared.settings,
        shared.stopping.clone(),
    );
    let ending = answer_messages(shared, &info, &mut association)
        .instrument(span.clone())
        .await;
    match &ending {
        Ending::Released => tracing::debug!(parent: &span, "released"),
        other => tracing::info!(parent: &span, how = other.name(), what = other.what(), "association ended"),
    }
    shared.observer.association_ended(&info, ending.name());
    drop(admitted); // the seat is free while the farewell takes its time
    say_farewell(association.into_wire(), &ending).await;
}

/// Takes message after message, and returns why there is none any more.
async fn answer_messages<T: Transport>(
    shared: &Shared,
    info: &AssociationInfo,
    association: &mut Association<T>,
) -> Ending {
    loop {
        let message = match association.next_message().await {
            Ok(message) => message,
            Err(ending) => return ending,
        };
        if let Err(ending) = service::answer(shared, info, association, &message).await {
            return ending;
        }
    }
}

async fn say_farewell<T: Transport>(mut wire: Wire<T>, ending: &Ending) {
    if let Some(pdu) = ending.farewell()
        && send(&mut wire, &pdu).await.is_ok()
    {
        wire.close(FAREWELL).await;
    }
}

async fn send<T: Transport>(wire: &mut Wire<T>, pdu: &Pdu) -> Result<(), Ending> {
    let mut bytes = Vec::with_capacity(512);
    // Writing into memory fails only for texts that do not fit their fields, and ours were parsed.
    write_pdu(&mut bytes, pdu).map_err(|_| Ending::Broken(std::io::ErrorKind::InvalidData))?;
    wire.send(&bytes).await
}

fn note_rejection(shared: &Shared, peer: IpAddr, rejection: Rejection, request: &AssociateRequest) {
    tracing::info!(
        %peer,
        %rejection,
        calling_ae_title = %printable(&request.calling_ae_title),
        called_ae_title = %printable(&request.called_ae_title),
        "association rejected"
    );
    shared.observer.association_rejected(peer, rejection);
}

fn note_opening(shared: &Shared, info: &AssociationInfo, request: &AssociateRequest, negotiated: &Negotiated) {
    // No line at info for each association: monitoring systems send an echo every few seconds.
    tracing::debug!(
        id = info.id,
        calling_ae_title = %info.calling_ae_title,
        called_ae_title = %info.called_ae_title,
        peer = %info.peer,
        implementation = %request.user.implementation_version_name,
        max_pdu_length = request.user.max_pdu_length,
        "association accepted"
    );
    shared.observer.association_opened(info);
    for refused in &negotiated.refused {
        tracing::info!(
            id = info.id,
            calling_ae_title = %info.calling_ae_title,
            abstract_syntax = %refused.abstract_syntax,
            transfer_syntaxes = %refused.transfer_syntaxes.iter().take(8).cloned().collect::<Vec<_>>().join(" "),
            result = refused.refusal.code(),
            "presentation context refused"
        );
        shared
            .observer
            .context_refused(info, &refused.abstract_syntax, refused.refusal);
    }
}

/// Returns an AE title field for the log, without anything that could forge a line.
fn printable(title: &[u8; 16]) -> String {
    let text = title.iter().map(|b| match b {
        0x20..=0x7e => char::from(*b),
        _ => '?',
    });
    text.collect::<String>().trim().to_owned()
}
