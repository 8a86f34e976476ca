//! DIMSE over TLS 1.2 and 1.3, PS3.15 Annex B: the library's own modern suites, and nothing older.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

use crate::{Error, TlsSettings};

/// Reads the files of the settings and makes the acceptor. Client certificates are demanded where an authority for them
/// is set.
pub(crate) fn acceptor(settings: &TlsSettings) -> Result<TlsAcceptor, Error> {
    let chain = certificates(&settings.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&settings.key).map_err(|error| bad_file(&settings.key, &error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(Error::Tls)?;
    let builder = match &settings.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(path)? {
                roots.add(certificate).map_err(|error| bad_file(path, &error))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .map_err(|error| bad_file(path, &error))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let config = builder.with_single_cert(chain, key).map_err(Error::Tls)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let read = CertificateDer::pem_file_iter(path).map_err(|error| bad_file(path, &error))?;
    let all: Vec<_> = read.collect::<Result<_, _>>().map_err(|error| bad_file(path, &error))?;
    if all.is_empty() {
        return Err(bad_file(path, &"holds no certificate"));
    }
    Ok(all)
}

fn bad_file(path: &Path, reason: &dyn std::fmt::Display) -> Error {
    Error::TlsFile {
        path: path.to_owned(),
        reason: reason.to_string(),
    }
}
