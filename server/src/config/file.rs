//! What the user wrote in `isocenter.toml`: the flags' names as keys, and what has no flag.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{Error, MetricsAccess, Network};

/// A peer that may open DIMSE associations from beyond loopback.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DimsePeer {
    /// AE title that it calls from.
    pub ae_title: String,
    /// Address or network that it calls from; any where it is left out.
    #[serde(default)]
    pub address: Option<Network>,
}

/// The settings file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[expect(missing_docs, reason = "each field is documented at the flag of the same name")]
pub struct File {
    pub data_dir: Option<PathBuf>,
    pub http: Option<SocketAddr>,
    pub public_url: Option<String>,
    pub trusted_proxy: Option<Vec<String>>,
    pub cors_origin: Option<Vec<String>>,
    pub tls_cert: Option<PathBuf>,
    pub tls_key: Option<PathBuf>,
    pub dimse: Option<SocketAddr>,
    pub dimse_tls_cert: Option<PathBuf>,
    pub dimse_tls_key: Option<PathBuf>,
    pub dimse_tls_ca: Option<PathBuf>,
    pub dimse_peer: Option<Vec<DimsePeer>>,
    pub ae_title: Option<String>,
    pub database_url: Option<String>,
    pub store_url: Option<String>,
    pub key_store_url: Option<String>,
    pub master_key_file: Option<PathBuf>,
    pub max_object_size: Option<String>,
    pub move_destination: Option<Vec<String>>,
    pub disk_low: Option<String>,
    pub disk_critical: Option<String>,
    pub metrics: Option<MetricsAccess>,
    pub ohif_dir: Option<PathBuf>,
}

impl File {
    /// Reads the named file, or `isocenter.toml` in the working folder where that exists.
    ///
    /// # Errors
    /// When a named file cannot be read, or what is read is not TOML or holds an unknown key.
    pub fn find(named: Option<&Path>) -> Result<Self, Error> {
        let path = named.unwrap_or(Path::new("isocenter.toml"));
        match std::fs::read_to_string(path) {
            Ok(text) => toml::from_str(&text).map_err(|error| Error::File {
                path: path.to_owned(),
                message: error.to_string(),
            }),
            Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(source) => Err(Error::Read {
                path: path.to_owned(),
                source,
            }),
        }
    }
}
