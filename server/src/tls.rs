//! The HTTP server's TLS: certificate chain and key from PEM files, TLS 1.2 and 1.3 with ring.

use std::path::Path;

use anyhow::Context as _;

/// Returns the configuration of a server that shows this chain.
///
/// # Errors
/// When a file cannot be read, holds no certificate or no key, or the two do not belong together.
pub fn server_config(cert: &Path, key: &Path) -> anyhow::Result<rustls::ServerConfig> {
    let open = |path: &Path| {
        std::fs::File::open(path)
            .map(std::io::BufReader::new)
            .with_context(|| path.display().to_string())
    };
    let chain = rustls_pemfile::certs(&mut open(cert)?).collect::<Result<Vec<_>, _>>()?;
    anyhow::ensure!(!chain.is_empty(), "{}: no certificate in it", cert.display());
    let key = rustls_pemfile::private_key(&mut open(key)?)?
        .with_context(|| format!("{}: no private key in it", key.display()))?;
    Ok(rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, key)?)
}
