//! What the user wrote on the command line and in the environment.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::MetricsAccess;

/// The settings as flags; each has an environment variable of the same name.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Settings")]
pub struct Flags {
    /// Settings file; `isocenter.toml` in the working folder is read where it exists
    #[arg(long, env = "ISOCENTER_CONFIG", value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// Folder of database, blobs and keys [default: ./data]
    #[arg(long, env = "ISOCENTER_DATA_DIR", value_name = "DIR", global = true)]
    pub data_dir: Option<PathBuf>,
    /// HTTP address [default: 127.0.0.1:8080]
    #[arg(long, env = "ISOCENTER_HTTP", value_name = "ADDRESS", global = true)]
    pub http: Option<SocketAddr>,
    /// Root of all links, behind a proxy; a sub-path is allowed
    #[arg(long, env = "ISOCENTER_PUBLIC_URL", value_name = "URL", global = true)]
    pub public_url: Option<String>,
    /// Address or network of a proxy whose Forwarded headers are believed (repeatable)
    #[arg(
        long,
        env = "ISOCENTER_TRUSTED_PROXY",
        value_name = "NETWORK",
        value_delimiter = ',',
        global = true
    )]
    pub trusted_proxy: Vec<String>,
    /// Origin that browsers may call from (repeatable)
    #[arg(
        long,
        env = "ISOCENTER_CORS_ORIGIN",
        value_name = "ORIGIN",
        value_delimiter = ',',
        global = true
    )]
    pub cors_origin: Vec<String>,
    /// Certificate chain for HTTPS, PEM
    #[arg(long, env = "ISOCENTER_TLS_CERT", value_name = "FILE", global = true)]
    pub tls_cert: Option<PathBuf>,
    /// Private key for HTTPS, PEM
    #[arg(long, env = "ISOCENTER_TLS_KEY", value_name = "FILE", global = true)]
    pub tls_key: Option<PathBuf>,
    /// DIMSE address [default: 127.0.0.1:11112]
    #[arg(long, env = "ISOCENTER_DIMSE", value_name = "ADDRESS", global = true)]
    pub dimse: Option<SocketAddr>,
    /// Certificate chain for DIMSE over TLS, PEM
    #[arg(long, env = "ISOCENTER_DIMSE_TLS_CERT", value_name = "FILE", global = true)]
    pub dimse_tls_cert: Option<PathBuf>,
    /// Private key for DIMSE over TLS, PEM
    #[arg(long, env = "ISOCENTER_DIMSE_TLS_KEY", value_name = "FILE", global = true)]
    pub dimse_tls_key: Option<PathBuf>,
    /// Authority that peers' certificates must come from, PEM
    #[arg(long, env = "ISOCENTER_DIMSE_TLS_CA", value_name = "FILE", global = true)]
    pub dimse_tls_ca: Option<PathBuf>,
    /// AE title of the Inbox [default: ISOCENTER]
    // Not global: `collection create` has an `--ae-title` of its own. `serve` takes this one, too.
    #[arg(long, env = "ISOCENTER_AE_TITLE", value_name = "AE")]
    pub ae_title: Option<String>,
    /// Database [default: sqlite://DATA/isocenter.db]
    #[arg(
        long,
        env = "ISOCENTER_DATABASE_URL",
        value_name = "URL",
        hide_env_values = true,
        global = true
    )]
    pub database_url: Option<String>,
    /// Blob store [default: file://DATA/blobs]
    #[arg(long, env = "ISOCENTER_STORE_URL", value_name = "URL", global = true)]
    pub store_url: Option<String>,
    /// Key store [default: file://DATA/keys, or the S3 prefix with -keys]
    #[arg(long, env = "ISOCENTER_KEY_STORE_URL", value_name = "URL", global = true)]
    pub key_store_url: Option<String>,
    /// Master key [default: DATA/master.key]
    #[arg(long, env = "ISOCENTER_MASTER_KEY_FILE", value_name = "FILE", global = true)]
    pub master_key_file: Option<PathBuf>,
    /// Largest object, as bytes or with KiB, MiB, GiB [default: 16GiB]
    #[arg(long, env = "ISOCENTER_MAX_OBJECT_SIZE", value_name = "SIZE", global = true)]
    pub max_object_size: Option<String>,
    /// C-MOVE destination AE=host:port (repeatable)
    #[arg(
        long,
        env = "ISOCENTER_MOVE_DESTINATION",
        value_name = "AE=HOST:PORT",
        value_delimiter = ',',
        global = true
    )]
    pub move_destination: Vec<String>,
    /// Free space below which the archive warns [default: 10GiB, or 5 % of a smaller disk]
    #[arg(long, env = "ISOCENTER_DISK_LOW", value_name = "SIZE", global = true)]
    pub disk_low: Option<String>,
    /// Free space below which nothing new is taken [default: 1GiB, or 1 % of a smaller disk]
    #[arg(long, env = "ISOCENTER_DISK_CRITICAL", value_name = "SIZE", global = true)]
    pub disk_critical: Option<String>,
    /// Who may read /metrics besides administrators: local (callers on this machine), token (nobody), open [default: local]
    #[arg(long, env = "ISOCENTER_METRICS", value_name = "WHO", global = true)]
    pub metrics: Option<MetricsAccess>,
    /// Folder of an unpacked OHIF viewer
    #[arg(long, env = "ISOCENTER_OHIF_DIR", value_name = "DIR", global = true)]
    pub ohif_dir: Option<PathBuf>,
}
