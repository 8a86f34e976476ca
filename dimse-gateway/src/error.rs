//! What keeps the gateway from starting. Faults of peers are never errors here: they end their association.

use std::net::SocketAddr;
use std::path::PathBuf;

use isocenter_model::{Classify, Fault};

/// Why the gateway cannot serve.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address is taken, or not one of this machine.
    #[error("cannot listen for DIMSE on {address}")]
    Bind {
        /// The address of the settings.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The address can be reached from other machines, and nothing says who may come: AE titles are no authentication.
    #[error(
        "DIMSE on {address} can be reached from other machines: list the peers that may connect, \
         or set a TLS certificate authority for theirs"
    )]
    OpenToStrangers {
        /// The address of the settings.
        address: SocketAddr,
    },
    /// A setting has a value that cannot work.
    #[error("DIMSE setting {setting}: {reason}")]
    Setting {
        /// Name of the field in [`DimseSettings`](crate::DimseSettings).
        setting: &'static str,
        /// What it must be.
        reason: &'static str,
    },
    /// A certificate or key file cannot be read or used.
    #[error("DIMSE TLS file {path}: {reason}")]
    TlsFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Certificate and key are readable but do not fit together.
    #[error("DIMSE TLS settings")]
    Tls(#[source] rustls::Error),
}

impl Classify for Error {
    fn fault(&self) -> Fault {
        match self {
            Self::Bind { .. } => Fault::Unavailable,
            Self::OpenToStrangers { .. } | Self::Setting { .. } | Self::TlsFile { .. } | Self::Tls(_) => {
                Fault::BadInput
            }
        }
    }
}
