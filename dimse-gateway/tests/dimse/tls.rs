//! DIMSE over TLS, with echoscu as peer and certificates made by openssl.

use std::path::Path;

use isocenter_gateway::{DimseSettings, TlsSettings};

use crate::gateway::{Gateway, settings};
use crate::sink::MemorySink;
use crate::tools::{run, told, words};

/// Makes an authority and two certificates of it: `server` and `client`.
async fn make_certificates(folder: &Path) {
    let file = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let openssl = async |arguments: &[&str]| {
        let output = run("openssl", &words(arguments)).await;
        assert!(output.status.success(), "{}", told(&output));
    };
    let key = ["-newkey", "rsa:2048", "-nodes"];
    let ca = [&["req", "-x509", "-days", "2", "-subj", "/CN=Test CA"][..], &key].concat();
    openssl(&[&ca[..], &["-keyout", &file("ca.key"), "-out", &file("ca.pem")]].concat()).await;
    std::fs::write(
        folder.join("ext"),
        "subjectAltName=IP:127.0.0.1,DNS:localhost\nbasicConstraints=CA:FALSE\n",
    )
    .unwrap();
    for name in ["server", "client"] {
        let subject = format!("/CN={name}");
        let request = [&["req", "-subj", subject.as_str()][..], &key].concat();
        let (secret, wanted, made) = (
            file(&format!("{name}.key")),
            file(&format!("{name}.csr")),
            file(&format!("{name}.pem")),
        );
        openssl(&[&request[..], &["-keyout", &secret, "-out", &wanted]].concat()).await;
        openssl(&[
            "x509",
            "-req",
            "-days",
            "2",
            "-in",
            &wanted,
            "-CA",
            &file("ca.pem"),
            "-CAkey",
            &file("ca.key"),
            "-CAcreateserial",
            "-extfile",
            &file("ext"),
            "-out",
            &made,
        ])
        .await;
    }
}

fn tls(folder: &Path, mutual: bool) -> DimseSettings {
    DimseSettings {
        tls: Some(TlsSettings {
            certificate: folder.join("server.pem"),
            key: folder.join("server.key"),
            client_ca: mutual.then(|| folder.join("ca.pem")),
        }),
        ..settings()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn echo_over_tls_with_and_without_client_certificates() {
    let folder = tempfile::tempdir().unwrap();
    make_certificates(folder.path()).await;
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (ca, key, certificate) = (file("ca.pem"), file("client.key"), file("client.pem"));
    for mutual in [false, true] {
        let gateway = Gateway::start_with(tls(folder.path(), mutual), MemorySink::new()).await;
        let port = gateway.address.port().to_string();
        let to = ["-aec", "ISOCENTER", "127.0.0.1", port.as_str()];
        let anonymous = run("echoscu", &words(&[&["+tla", "+cf", ca.as_str()][..], &to].concat())).await;
        assert_eq!(anonymous.status.success(), !mutual, "{}", told(&anonymous));
        let certified = [
            &["+tls", key.as_str(), certificate.as_str(), "+cf", ca.as_str()][..],
            &to,
        ]
        .concat();
        let certified = run("echoscu", &words(&certified)).await;
        assert!(certified.status.success(), "{}", told(&certified));
        let plain = run("echoscu", &words(&[&["-ta", "3", "-to", "3"][..], &to].concat())).await;
        assert!(!plain.status.success(), "{}", told(&plain));
    }
}
