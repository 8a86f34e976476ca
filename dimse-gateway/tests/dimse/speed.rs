//! How fast one association is. Not part of the suite: `cargo test -p isocenter-gateway --release -- --ignored speed`.

use std::time::Instant;

use tokio::process::Command;

use crate::gateway::{Gateway, settings};
use crate::peer::{Peer, Request, pdu, pdv, store_rq};
use crate::sink::MemorySink;
use crate::tools::write_ct;

fn discarding() -> MemorySink {
    MemorySink {
        keep_bytes: false,
        ..MemorySink::new()
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement, for an idle machine and the release profile"]
async fn speed_of_one_association_with_raw_bytes() {
    let gateway = Gateway::start_with(settings(), discarding()).await;
    let mut peer = Peer::connect(gateway.address).await;
    peer.associate(&Request::usual()).await;
    let mut message = pdu(0x04, &pdv(3, 3, &store_rq(1, "1.2.3")));
    let data = vec![0x5a; 526_000];
    for (n, fragment) in data.chunks(131_066).enumerate() {
        let control = if n == 4 { 2 } else { 0 };
        message.extend(pdu(0x04, &pdv(3, control, fragment)));
    }
    let started = Instant::now();
    for _ in 0..2_000 {
        peer.send(&message).await;
        assert_eq!(peer.answer().await.status(), 0);
    }
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "raw peer: {:.0} instances/s, {:.0} MB/s",
        2_000.0 / seconds,
        2_000.0 * 0.526 / seconds
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement, for an idle machine and the release profile"]
async fn speed_of_storescu() {
    let gateway = Gateway::start_with(settings(), discarding()).await;
    let folder = tempfile::tempdir().unwrap();
    let files: Vec<_> = (0..1_000)
        .map(|n| write_ct(folder.path(), n, "1.2.840.10008.1.2.1", 512 * 512))
        .collect();
    let port = gateway.address.port().to_string();
    for (name, nodelay, pdu) in [
        ("TCP_NODELAY=1, --max-pdu 131072", true, "131072"),
        ("as installed,  --max-pdu 131072", false, "131072"),
        ("as installed,  default PDU     ", false, "16384"),
    ] {
        let mut command = Command::new("storescu");
        if nodelay {
            command.env("TCP_NODELAY", "1");
        }
        command
            .args([
                "--max-pdu",
                pdu,
                "--max-send-pdu",
                pdu,
                "-aec",
                "ISOCENTER",
                "127.0.0.1",
                &port,
            ])
            .args(&files);
        let started = Instant::now();
        assert!(command.status().await.unwrap().success());
        let seconds = started.elapsed().as_secs_f64();
        println!("storescu {name}: {seconds:.2} s, {:.0} instances/s", 1_000.0 / seconds);
    }
}
