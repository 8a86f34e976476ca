//! Settings: flags, then `ISOCENTER_*` environment, then `isocenter.toml`, then defaults.
//!
//! Two stages: what the user wrote ([`Flags`], [`File`]) and what the program uses ([`Settings`]). A key that nobody knows is
//! an error that names it. The environment is read here, once, at start; nothing deeper asks for it.

mod file;
mod flags;
mod network;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use isocenter_model::AeTitle;
use url::Url;

pub use file::{DimsePeer, File};
pub use flags::Flags;
pub use network::{MoveDestination, Network};

/// Everything that can be set, after merging, with its default where nobody set it.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the embedded default keeps database, blobs and keys.
    pub data_dir: PathBuf,
    /// Address of the HTTP server.
    pub http: SocketAddr,
    /// Root of all links, where the archive stands behind a proxy.
    pub public_url: Option<Url>,
    /// Proxies whose `Forwarded` headers are believed.
    pub trusted_proxies: Vec<Network>,
    /// Origins that browsers may call from.
    pub cors_origins: Vec<String>,
    /// Certificate chain of the HTTP server, PEM.
    pub tls_cert: Option<PathBuf>,
    /// Private key of the HTTP server, PEM.
    pub tls_key: Option<PathBuf>,
    /// Address of the DIMSE server.
    pub dimse: SocketAddr,
    /// Certificate chain of the DIMSE server, PEM.
    pub dimse_tls_cert: Option<PathBuf>,
    /// Private key of the DIMSE server, PEM.
    pub dimse_tls_key: Option<PathBuf>,
    /// Certificate authority that DIMSE peers must be signed by, PEM.
    pub dimse_tls_ca: Option<PathBuf>,
    /// Peers that may open associations where DIMSE listens on more than loopback.
    pub dimse_peers: Vec<DimsePeer>,
    /// AE title that leads to the Inbox.
    pub ae_title: AeTitle,
    /// Database, `sqlite://…` or `postgres://…`.
    pub database_url: String,
    /// Blob store, `file://…` or `s3://bucket/prefix`.
    pub store_url: Url,
    /// Key store; beside the blob store and never in its backups.
    pub key_store_url: Url,
    /// Master key file, mode 0600.
    pub master_key_file: PathBuf,
    /// Largest object in bytes.
    pub max_object_size: u64,
    /// Destinations of C-MOVE.
    pub move_destinations: Vec<MoveDestination>,
    /// Free space in bytes below which the archive warns; by the size of the disk where nothing is set.
    pub disk_low: Option<u64>,
    /// Free space in bytes below which nothing new is taken; by the size of the disk where nothing is set.
    pub disk_critical: Option<u64>,
    /// Who may read the metrics besides administrators.
    pub metrics: MetricsAccess,
    /// Folder of an unpacked OHIF, served on our origin.
    pub ohif_dir: Option<PathBuf>,
    /// The `AWS_*` environment, for the S3 store.
    pub aws: std::collections::BTreeMap<String, String>,
}

/// Who may read the metrics besides administrators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MetricsAccess {
    /// Callers on this machine.
    #[default]
    Local,
    /// Nobody.
    Token,
    /// Everybody.
    Open,
}

/// Why the settings cannot be used. Each names the key, where it was read, and what was expected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file exists and is not TOML, or has a key that nobody knows.
    #[error("{}: {message}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the parser said, with line and column.
        message: String,
    },
    /// A file cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A value is not what the key needs.
    #[error("{key}: {reason}")]
    Value {
        /// The key.
        key: &'static str,
        /// What is wrong with its value.
        reason: String,
    },
}

fn absolute(path: &std::path::Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn folder_url(key: &'static str, path: &std::path::Path) -> Result<Url, Error> {
    Url::from_directory_path(absolute(path)).map_err(|()| Error::Value {
        key,
        reason: "not a folder's path".into(),
    })
}

impl Settings {
    /// Merges flags (and the environment, which clap has read into them) over a file over the defaults.
    ///
    /// # Errors
    /// When the file cannot be read or holds an unknown key, or a value is not what its key needs.
    pub fn load(flags: &Flags) -> Result<Self, Error> {
        let file = File::find(flags.config.as_deref())?;
        let aws = std::env::vars().filter(|(name, _)| name.starts_with("AWS_")).collect();
        Self::merge(flags, file, aws)
    }

    fn merge(flags: &Flags, file: File, aws: std::collections::BTreeMap<String, String>) -> Result<Self, Error> {
        let default = Self::default();
        let f = flags.clone();
        let data_dir = f.data_dir.or(file.data_dir).unwrap_or_else(|| PathBuf::from("data"));
        let store_url = match f.store_url.or(file.store_url) {
            Some(text) => parse_url("store-url", &text)?,
            None => folder_url("data-dir", &data_dir.join("blobs"))?,
        };
        let key_store_url = match f.key_store_url.or(file.key_store_url) {
            Some(text) => parse_url("key-store-url", &text)?,
            None if store_url.scheme() == "s3" => {
                let beside = format!("{}-keys", store_url.as_str().trim_end_matches('/'));
                // A bucket without prefix has no beside: its keys get a prefix of their own.
                let has_prefix = store_url.path().trim_matches('/').len() > 1;
                parse_url(
                    "key-store-url",
                    &if has_prefix {
                        beside
                    } else {
                        format!("{}/keys", store_url.as_str().trim_end_matches('/'))
                    },
                )?
            }
            None => folder_url("data-dir", &data_dir.join("keys"))?,
        };
        let database_url = f
            .database_url
            .or(file.database_url)
            .unwrap_or_else(|| format!("sqlite://{}", absolute(&data_dir.join("isocenter.db")).display()));
        let list = |flag: Vec<String>, file: Option<Vec<String>>| {
            if flag.is_empty() {
                file.unwrap_or_default()
            } else {
                flag
            }
        };
        let settings = Self {
            http: f.http.or(file.http).unwrap_or(default.http),
            public_url: f
                .public_url
                .or(file.public_url)
                .map(|text| parse_url("public-url", &text))
                .transpose()?,
            trusted_proxies: list(f.trusted_proxy, file.trusted_proxy)
                .iter()
                .map(|text| {
                    text.parse().map_err(|reason| Error::Value {
                        key: "trusted-proxy",
                        reason,
                    })
                })
                .collect::<Result<_, _>>()?,
            cors_origins: list(f.cors_origin, file.cors_origin),
            tls_cert: f.tls_cert.or(file.tls_cert),
            tls_key: f.tls_key.or(file.tls_key),
            dimse: f.dimse.or(file.dimse).unwrap_or(default.dimse),
            dimse_tls_cert: f.dimse_tls_cert.or(file.dimse_tls_cert),
            dimse_tls_key: f.dimse_tls_key.or(file.dimse_tls_key),
            dimse_tls_ca: f.dimse_tls_ca.or(file.dimse_tls_ca),
            dimse_peers: file.dimse_peer.unwrap_or_default(),
            ae_title: match f.ae_title.or(file.ae_title) {
                Some(text) => AeTitle::parse(&text).map_err(|error| Error::Value {
                    key: "ae-title",
                    reason: error.to_string(),
                })?,
                None => default.ae_title,
            },
            database_url,
            store_url,
            key_store_url,
            master_key_file: f
                .master_key_file
                .or(file.master_key_file)
                .unwrap_or_else(|| data_dir.join("master.key")),
            max_object_size: size("max-object-size", f.max_object_size.or(file.max_object_size))?
                .unwrap_or(default.max_object_size),
            move_destinations: list(f.move_destination, file.move_destination)
                .iter()
                .map(|text| {
                    text.parse().map_err(|reason| Error::Value {
                        key: "move-destination",
                        reason,
                    })
                })
                .collect::<Result<_, _>>()?,
            disk_low: size("disk-low", f.disk_low.or(file.disk_low))?,
            disk_critical: size("disk-critical", f.disk_critical.or(file.disk_critical))?,
            metrics: f.metrics.or(file.metrics).unwrap_or(default.metrics),
            ohif_dir: f.ohif_dir.or(file.ohif_dir),
            aws,
            data_dir,
        };
        settings.validate()
    }

    fn validate(self) -> Result<Self, Error> {
        let both = |a: &Option<PathBuf>, b: &Option<PathBuf>| a.is_some() == b.is_some();
        if !both(&self.tls_cert, &self.tls_key) {
            return Err(Error::Value {
                key: "tls-cert",
                reason: "needs tls-key, and the other way round".into(),
            });
        }
        if !both(&self.dimse_tls_cert, &self.dimse_tls_key) {
            return Err(Error::Value {
                key: "dimse-tls-cert",
                reason: "needs dimse-tls-key, and the other way round".into(),
            });
        }
        if self
            .disk_low
            .zip(self.disk_critical)
            .is_some_and(|(low, critical)| low < critical)
        {
            return Err(Error::Value {
                key: "disk-low",
                reason: "below disk-critical".into(),
            });
        }
        if !matches!(self.store_url.scheme(), "file" | "s3") {
            return Err(Error::Value {
                key: "store-url",
                reason: "expected file:// or s3://bucket/prefix".into(),
            });
        }
        let scheme = self.database_url.split(':').next().unwrap_or("");
        if !matches!(scheme, "sqlite" | "postgres" | "postgresql") {
            return Err(Error::Value {
                key: "database-url",
                reason: "expected sqlite:// or postgres://".into(),
            });
        }
        Ok(self)
    }

    /// Returns whether `Forwarded` headers of this address are believed.
    pub fn trusts_proxy(&self, address: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|network| network.contains(address))
    }
}

fn size(key: &'static str, text: Option<String>) -> Result<Option<u64>, Error> {
    let parsed = text.map(|text| network::parse_size(&text)).transpose();
    parsed.map_err(|reason| Error::Value { key, reason })
}

fn parse_url(key: &'static str, text: &str) -> Result<Url, Error> {
    Url::parse(text).map_err(|error| Error::Value {
        key,
        reason: error.to_string(),
    })
}

impl Default for Settings {
    fn default() -> Self {
        let data_dir = absolute(std::path::Path::new("data"));
        let folder = |name: &str| Url::from_directory_path(data_dir.join(name)).unwrap_or_else(|()| unreachable_url());
        Self {
            http: SocketAddr::from(([127, 0, 0, 1], 8080)),
            public_url: None,
            trusted_proxies: Vec::new(),
            cors_origins: Vec::new(),
            tls_cert: None,
            tls_key: None,
            dimse: SocketAddr::from(([127, 0, 0, 1], 11112)),
            dimse_tls_cert: None,
            dimse_tls_key: None,
            dimse_tls_ca: None,
            dimse_peers: Vec::new(),
            ae_title: default_ae_title(),
            database_url: format!("sqlite://{}", data_dir.join("isocenter.db").display()),
            store_url: folder("blobs"),
            key_store_url: folder("keys"),
            master_key_file: data_dir.join("master.key"),
            max_object_size: 16 << 30,
            move_destinations: Vec::new(),
            disk_low: None,
            disk_critical: None,
            metrics: MetricsAccess::Local,
            ohif_dir: None,
            aws: std::collections::BTreeMap::new(),
            data_dir,
        }
    }
}

#[expect(clippy::expect_used, reason = "constants")]
fn default_ae_title() -> AeTitle {
    AeTitle::parse("ISOCENTER").expect("a legal AE title")
}

#[expect(
    clippy::expect_used,
    reason = "an absolute path is always a legal file URL; this arm is for the type"
)]
fn unreachable_url() -> Url {
    Url::parse("file:///").expect("a legal URL")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(flags: Flags, file: &str) -> Result<Settings, Error> {
        Settings::merge(&flags, toml::from_str(file).unwrap(), Default::default())
    }

    #[test]
    fn flags_win_over_the_file_and_the_file_over_defaults() {
        let file = "http = \"127.0.0.1:9000\"\nae-title = \"FILE\"\n";
        let flags = Flags {
            ae_title: Some("FLAG".into()),
            ..Flags::default()
        };
        let settings = merged(flags, file).unwrap();
        assert_eq!(settings.ae_title.as_str(), "FLAG");
        assert_eq!(settings.http.port(), 9000);
        assert_eq!(settings.dimse.port(), 11112);
    }

    #[test]
    fn an_unknown_key_is_an_error_that_names_it() {
        let error = toml::from_str::<File>("htpp = \"127.0.0.1:9000\"").unwrap_err();
        assert!(error.to_string().contains("htpp"), "{error}");
    }

    #[test]
    fn folders_follow_the_data_directory() {
        let settings = merged(
            Flags {
                data_dir: Some("/srv/iso".into()),
                ..Flags::default()
            },
            "",
        )
        .unwrap();
        assert_eq!(settings.store_url.as_str(), "file:///srv/iso/blobs/");
        assert_eq!(settings.master_key_file, PathBuf::from("/srv/iso/master.key"));
        assert_eq!(settings.database_url, "sqlite:///srv/iso/isocenter.db");
    }

    #[test]
    fn a_certificate_without_its_key_is_refused() {
        let flags = Flags {
            tls_cert: Some("c.pem".into()),
            ..Flags::default()
        };
        assert!(matches!(merged(flags, ""), Err(Error::Value { key: "tls-cert", .. })));
    }

    #[test]
    fn disk_marks_are_sizes_and_the_low_one_comes_first() {
        let settings = merged(Flags::default(), "disk-low = \"2GiB\"\ndisk-critical = \"512MiB\"").unwrap();
        assert_eq!(
            (settings.disk_low, settings.disk_critical),
            (Some(2 << 30), Some(512 << 20))
        );
        let swapped = merged(Flags::default(), "disk-low = \"1GiB\"\ndisk-critical = \"2GiB\"");
        assert!(matches!(swapped, Err(Error::Value { key: "disk-low", .. })));
        let nonsense = merged(Flags::default(), "disk-critical = \"plenty\"");
        assert!(matches!(
            nonsense,
            Err(Error::Value {
                key: "disk-critical",
                ..
            })
        ));
    }

    #[test]
    fn values_that_do_not_fit_name_their_key() {
        let flags = Flags {
            ae_title: Some("far too long for a title".into()),
            ..Flags::default()
        };
        assert!(matches!(merged(flags, ""), Err(Error::Value { key: "ae-title", .. })));
        let flags = Flags {
            store_url: Some("ftp://x/y".into()),
            ..Flags::default()
        };
        assert!(matches!(merged(flags, ""), Err(Error::Value { key: "store-url", .. })));
    }
}
