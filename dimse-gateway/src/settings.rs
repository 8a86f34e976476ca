//! Settings of the DIMSE listener, with their defaults, and the check that they make sense together.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::{Error, Peer};

/// Smallest maximum PDU length that is worth announcing; many peers assume at least this much.
const LEAST_MAX_PDU_LENGTH: u32 = 4_096;
/// Largest: what one association may hold in memory for a PDU that is not complete yet.
const LARGEST_MAX_PDU_LENGTH: u32 = 1 << 20;

/// How the gateway listens, whom it lets in and how long it waits.
#[derive(Debug, Clone)]
pub struct DimseSettings {
    /// Where to listen. Default `127.0.0.1:11112`.
    pub address: SocketAddr,
    /// Who may associate. Empty (the default): any calling AE title, but only from this machine, or with a client
    /// certificate where [`TlsSettings::client_ca`] is set. Not empty: nobody else, wherever from.
    pub peers: Vec<Peer>,
    /// Whether AE titles are compared without regard to case. Default off: PS3.5 says that case matters.
    pub ignore_ae_title_case: bool,
    /// Whether presentation contexts of SOP classes that nobody here knows are accepted for storage. Default on: a
    /// refused context loses the object for good, and vendors' reports and raw data are private classes.
    pub accept_unknown_sop_classes: bool,
    /// Maximum PDU length to announce, 4,096 to 1,048,576. Default 131,072.
    pub max_pdu_length: u32,
    /// Associations at once. Default 64; more are rejected 2/3/2, which senders retry.
    pub max_associations: usize,
    /// Associations at once of one calling AE title. Default 16; more are rejected 2/3/2.
    pub max_associations_per_calling_ae_title: usize,
    /// Connections that have not opened, or have just ended, an association. Default 64; more are closed unheard.
    pub max_pending_connections: usize,
    /// From accepting a connection to the end of its A-ASSOCIATE-RQ, TLS handshake included (the ARTIM timer of PS3.8
    /// 9.1.5). Default 30 s.
    pub acse_timeout: Duration,
    /// Between two messages. Default 600 s: modalities keep associations open between exposures.
    pub idle_timeout: Duration,
    /// Between two reads inside a message. Default 60 s.
    pub read_stall_timeout: Duration,
    /// For one response to leave. Default 60 s.
    pub write_stall_timeout: Duration,
    /// At shutdown, for operations under way to finish. Default 30 s.
    pub drain_timeout: Duration,
    /// TLS; `None` (the default) is the plain protocol.
    pub tls: Option<TlsSettings>,
}

/// TLS 1.2 and 1.3, after the BCP 195 profiles of PS3.15 Annex B.
#[derive(Debug, Clone)]
pub struct TlsSettings {
    /// Certificate chain of this server, PEM, its own certificate first.
    pub certificate: PathBuf,
    /// Its private key, PEM (PKCS #8, PKCS #1 or SEC 1).
    pub key: PathBuf,
    /// Authorities whose client certificates are demanded, PEM. `None` asks clients for no certificate.
    pub client_ca: Option<PathBuf>,
}

impl Default for DimseSettings {
    fn default() -> Self {
        Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 11112)),
            peers: Vec::new(),
            ignore_ae_title_case: false,
            accept_unknown_sop_classes: true,
            max_pdu_length: 131_072,
            max_associations: 64,
            max_associations_per_calling_ae_title: 16,
            max_pending_connections: 64,
            acse_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(600),
            read_stall_timeout: Duration::from_secs(60),
            write_stall_timeout: Duration::from_secs(60),
            drain_timeout: Duration::from_secs(30),
            tls: None,
        }
    }
}

impl DimseSettings {
    /// Returns whether peers must show a client certificate.
    pub(crate) fn demands_client_certificates(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some())
    }

    /// Checks that the values can work, and that strangers are kept out.
    ///
    /// # Errors
    /// [`Error::Setting`] names the field; [`Error::OpenToStrangers`] when other machines could reach the address and
    /// neither a peer list nor client certificates say who may.
    pub fn check(&self) -> Result<(), Error> {
        let positive = [
            ("max_associations", self.max_associations),
            (
                "max_associations_per_calling_ae_title",
                self.max_associations_per_calling_ae_title,
            ),
            ("max_pending_connections", self.max_pending_connections),
        ];
        if let Some((setting, _)) = positive.into_iter().find(|(_, value)| *value == 0) {
            return Err(Error::Setting {
                setting,
                reason: "must be at least 1",
            });
        }
        if !(LEAST_MAX_PDU_LENGTH..=LARGEST_MAX_PDU_LENGTH).contains(&self.max_pdu_length) {
            return Err(Error::Setting {
                setting: "max_pdu_length",
                reason: "must be 4096 to 1048576",
            });
        }
        let open = !self.address.ip().to_canonical().is_loopback();
        if open && self.peers.is_empty() && !self.demands_client_certificates() {
            return Err(Error::OpenToStrangers { address: self.address });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(address: &str) -> DimseSettings {
        DimseSettings {
            address: address.parse().unwrap(),
            ..DimseSettings::default()
        }
    }

    #[test]
    fn the_defaults_work() {
        on("127.0.0.1:11112").check().unwrap();
        on("[::1]:0").check().unwrap();
    }

    #[test]
    fn an_address_that_others_can_reach_needs_a_list_or_certificates() {
        for address in ["0.0.0.0:104", "192.0.2.1:104", "[::]:104"] {
            assert!(
                matches!(on(address).check(), Err(Error::OpenToStrangers { .. })),
                "{address}"
            );
        }
        let mut listed = on("0.0.0.0:104");
        listed.peers = vec!["CT1@192.0.2.0/24".parse().unwrap()];
        listed.check().unwrap();

        let mut encrypted = on("0.0.0.0:2762");
        encrypted.tls = Some(TlsSettings {
            certificate: "cert.pem".into(),
            key: "key.pem".into(),
            client_ca: None,
        });
        assert!(matches!(encrypted.check(), Err(Error::OpenToStrangers { .. })));
        encrypted.tls.as_mut().unwrap().client_ca = Some("ca.pem".into());
        encrypted.check().unwrap();
    }

    #[test]
    fn values_that_cannot_work_are_named() {
        let zero = DimseSettings {
            max_associations: 0,
            ..DimseSettings::default()
        };
        assert!(matches!(zero.check(), Err(Error::Setting { setting, .. }) if setting == "max_associations"));
        let endless = DimseSettings {
            max_pdu_length: u32::MAX,
            ..DimseSettings::default()
        };
        assert!(matches!(endless.check(), Err(Error::Setting { setting, .. }) if setting == "max_pdu_length"));
    }
}
