//! Time-outs and counts.

use std::time::{Duration, Instant};

use isocenter_gateway::DimseSettings;
use tokio::io::AsyncWriteExt;

use crate::gateway::{Gateway, settings};
use crate::peer::{Peer, Request, pdu, pdv, store_rq};
use crate::sink::MemorySink;

const SOON: Duration = Duration::from_millis(200);

#[tokio::test]
async fn a_connection_without_a_request_is_closed_in_time() {
    let short = DimseSettings {
        acse_timeout: SOON,
        ..settings()
    };
    let gateway = Gateway::start_with(short, MemorySink::new()).await;
    let started = Instant::now();
    let mut silent = Peer::connect(gateway.address).await;
    assert_eq!(silent.abort().await, (2, 0));
    // One byte now and then does not help: the timer is for the whole request.
    let mut slow = Peer::connect(gateway.address).await;
    for byte in &Request::usual().encode()[..40] {
        let _ = slow.0.write_all(&[*byte]).await;
        tokio::time::sleep(SOON / 20).await;
    }
    assert_eq!(slow.abort().await, (2, 0));
    assert!(started.elapsed() < Duration::from_secs(5));
    gateway
        .until("both", |heard| heard.failed == ["opening_timeout", "opening_timeout"])
        .await;
}

#[tokio::test]
async fn an_idle_association_and_a_stalled_message_are_aborted() {
    let short = DimseSettings {
        idle_timeout: SOON,
        read_stall_timeout: SOON,
        ..settings()
    };
    let gateway = Gateway::start_with(short, MemorySink::new()).await;
    let mut idle = Peer::open(gateway.address).await;
    assert_eq!(idle.echo().await, 0);
    assert_eq!(idle.abort().await, (2, 0));

    let mut stalled = Peer::open(gateway.address).await;
    stalled.send_command(3, &store_rq(1, "1.2.3")).await;
    stalled.send(&pdu(0x04, &pdv(3, 0, b"data"))).await;
    assert_eq!(stalled.abort().await, (2, 0));
    gateway.sink.until_dropped(1).await;

    let mut inside_a_pdu = Peer::open(gateway.address).await;
    inside_a_pdu.send(&[0x04, 0, 0]).await;
    assert_eq!(inside_a_pdu.abort().await, (2, 0));
    gateway
        .until("three endings", |heard| heard.ended == ["idle", "stalled", "stalled"])
        .await;
}

#[tokio::test]
async fn associations_are_limited_for_each_calling_title_and_overall() {
    let few = DimseSettings {
        max_associations: 3,
        max_associations_per_calling_ae_title: 2,
        ..settings()
    };
    let gateway = Gateway::start_with(few, MemorySink::new()).await;
    let from = |calling: &str| Request {
        calling: calling.into(),
        ..Request::usual()
    };
    let mut open = Vec::new();
    for calling in ["A", "A", "B"] {
        let mut peer = Peer::connect(gateway.address).await;
        peer.associate(&from(calling)).await;
        open.push(peer);
    }
    // Transient, so that senders try again.
    for calling in ["A", "C"] {
        let mut peer = Peer::connect(gateway.address).await;
        assert_eq!(peer.rejection(&from(calling)).await, (2, 3, 2));
    }
    open.remove(0).release().await;
    let mut peer = Peer::connect(gateway.address).await;
    peer.associate(&from("A")).await;
    assert_eq!(peer.echo().await, 0);
}

#[tokio::test]
async fn connections_that_ask_for_nothing_are_limited_too() {
    let few = DimseSettings {
        max_associations: 1,
        max_pending_connections: 2,
        ..settings()
    };
    let gateway = Gateway::start_with(few, MemorySink::new()).await;
    let mut waiting = Vec::new();
    for _ in 0..3 {
        waiting.push(Peer::connect(gateway.address).await);
    }
    let mut unheard = Peer::connect(gateway.address).await;
    assert!(unheard.read().await.is_none());
    gateway
        .until("the count", |heard| heard.failed == ["too_many_connections"])
        .await;
    waiting.remove(0).associate(&Request::usual()).await;
}

#[tokio::test]
async fn forty_at_once_are_all_served() {
    let many = DimseSettings {
        max_associations_per_calling_ae_title: 64,
        ..settings()
    };
    let gateway = Gateway::start_with(many, MemorySink::new()).await;
    let address = gateway.address;
    let peers: Vec<_> = (0..40)
        .map(|n| {
            tokio::spawn(async move {
                let mut peer = Peer::open(address).await;
                for k in 0..5 {
                    let answer = peer.store(&format!("1.2.{n}.{k}"), &[n as u8; 30_000]).await;
                    assert_eq!(answer.status(), 0);
                }
                peer.release().await;
            })
        })
        .collect();
    for peer in peers {
        peer.await.unwrap();
    }
    let received = gateway.sink.received();
    assert_eq!(received.len(), 200);
    assert!(
        received
            .iter()
            .all(|r| r.bytes.len() == 30_000 && r.bytes.iter().all(|b| *b == r.bytes[0]))
    );
}
