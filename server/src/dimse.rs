//! The embedded DIMSE gateway: the archive's settings and sink, handed over.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use isocenter_gateway::observer::{ContextRefusal, Rejection};
use isocenter_gateway::{AssociationInfo, Bound, DimseSettings, Observer, Status, TlsSettings};
use tokio::sync::watch;

use crate::archive::Archive;
use crate::config::Settings;
use crate::metrics::METRICS;

fn settings(from: &Settings) -> anyhow::Result<DimseSettings> {
    let tls = from
        .dimse_tls_cert
        .clone()
        .zip(from.dimse_tls_key.clone())
        .map(|(certificate, key)| TlsSettings {
            certificate,
            key,
            client_ca: from.dimse_tls_ca.clone(),
        });
    let peers = from.dimse_peers.iter().map(|peer| match &peer.address {
        Some(network) => format!("{}@{network}", peer.ae_title).parse(),
        None => peer.ae_title.parse(),
    });
    Ok(DimseSettings {
        address: from.dimse,
        peers: peers.collect::<Result<_, _>>()?,
        tls,
        ..DimseSettings::default()
    })
}

struct Meter;

impl Observer for Meter {
    fn association_opened(&self, association: &AssociationInfo) {
        METRICS.associations_open.inc();
        METRICS.associations_total.with_label_values(&["accepted"]).inc();
        tracing::debug!(
            association = association.id,
            calling_ae_title = %association.calling_ae_title,
            called_ae_title = %association.called_ae_title,
            "association accepted"
        );
    }

    fn association_rejected(&self, _: IpAddr, rejection: Rejection) {
        METRICS.associations_total.with_label_values(&[rejection.name()]).inc();
        tracing::info!(reason = rejection.name(), "association rejected");
    }

    fn connection_failed(&self, _: IpAddr, why: &'static str) {
        METRICS.associations_total.with_label_values(&[why]).inc();
    }

    fn association_ended(&self, association: &AssociationInfo, how: &'static str) {
        METRICS.associations_open.dec();
        tracing::debug!(association = association.id, how, "association ended");
    }

    fn context_refused(&self, association: &AssociationInfo, abstract_syntax: &str, refusal: ContextRefusal) {
        tracing::info!(
            association = association.id,
            calling_ae_title = %association.calling_ae_title,
            abstract_syntax,
            ?refusal,
            "presentation context refused"
        );
    }

    fn instance_answered(&self, _: &AssociationInfo, status: Status, _: u64, _: Duration) {
        let status = format!("{:04X}", status.0);
        METRICS
            .instances_total
            .with_label_values(&["dimse", status.as_str()])
            .inc();
    }
}

/// Starts to listen.
///
/// # Errors
/// When the settings do not allow it (an address beyond loopback without peer list or client certificates), a
/// certificate cannot be used, or the address is taken.
pub async fn start(archive: &Archive, mut stopped: watch::Receiver<bool>) -> anyhow::Result<Bound> {
    let stop = async move {
        // An error means that nobody can say stop any more, which is a stop.
        let _ = stopped.wait_for(|stop| *stop).await;
    };
    let bound = isocenter_gateway::serve(
        settings(&archive.settings)?,
        Arc::clone(&archive.sink),
        Arc::new(Meter),
        stop,
    );
    Ok(bound.await?)
}
