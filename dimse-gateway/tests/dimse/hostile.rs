//! What arrives every day on an open port, and what a broken peer does: each costs itself only.

use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;

use crate::gateway::Gateway;
use crate::peer::{Peer, Request, command, echo_rq, item, pattern, pdu, pdv, store_rq};

/// Source 2 is the service provider; the reasons of PS3.8 9.3.8.
const UNRECOGNIZED_PDU: (u8, u8) = (2, 1);
const UNEXPECTED_PDU: (u8, u8) = (2, 2);
const UNEXPECTED_PARAMETER: (u8, u8) = (2, 5);
const INVALID_PARAMETER: (u8, u8) = (2, 6);

async fn still_serves(gateway: &Gateway) {
    let mut peer = Peer::open(gateway.address).await;
    assert_eq!(peer.echo().await, 0);
    peer.release().await;
}

#[tokio::test]
async fn openings_that_are_none_are_aborted_at_once() {
    let gateway = Gateway::start().await;
    let request = Request::usual().encode();
    let mut cut_item = request.clone();
    cut_item[6 + 68 + 2] = 0xff; // the application context item now leaves the PDU
    let mut even_id = Request::usual();
    even_id.contexts[0].0 = 2;
    let mut twice = Request::usual();
    twice.contexts[1].0 = 1;
    let cases: Vec<(&str, Vec<u8>, (u8, u8))> = vec![
        (
            "HTTP",
            b"GET / HTTP/1.1\r\nHost: pacs\r\n\r\n".to_vec(),
            UNRECOGNIZED_PDU,
        ),
        ("TLS hello", b"\x16\x03\x01\x02\x00\x01\x00".to_vec(), UNRECOGNIZED_PDU),
        ("zeros", vec![0; 64], UNRECOGNIZED_PDU),
        ("one byte of nonsense", vec![0x80], UNRECOGNIZED_PDU),
        ("4 GiB request", b"\x01\x00\xff\xff\xff\xff".to_vec(), INVALID_PARAMETER),
        (
            "1 MiB and a byte",
            b"\x01\x00\x00\x10\x00\x01".to_vec(),
            INVALID_PARAMETER,
        ),
        ("4 GiB data", b"\x04\x00\xff\xff\xff\xff".to_vec(), INVALID_PARAMETER),
        ("empty request", pdu(0x01, b""), INVALID_PARAMETER),
        ("short request", pdu(0x01, &[0; 67]), INVALID_PARAMETER),
        ("item beyond its PDU", cut_item, INVALID_PARAMETER),
        ("even context id", even_id.encode(), INVALID_PARAMETER),
        ("context id twice", twice.encode(), INVALID_PARAMETER),
        ("data first", pdu(0x04, &pdv(1, 3, &echo_rq(1))), UNEXPECTED_PDU),
        ("release first", pdu(0x05, &[0; 4]), UNEXPECTED_PDU),
        ("accept first", pdu(0x02, &request[6..]), UNEXPECTED_PDU),
        ("long release", pdu(0x05, &[0; 400]), INVALID_PARAMETER),
    ];
    let started = Instant::now();
    let count = cases.len();
    for (name, bytes, reason) in cases {
        let mut peer = Peer::connect(gateway.address).await;
        peer.send(&bytes).await;
        assert_eq!(peer.abort().await, reason, "{name}");
    }
    assert!(
        started.elapsed() < Duration::from_secs(10),
        "nothing waited for a time-out"
    );
    gateway.until("the failures", |heard| heard.failed.len() == count).await;
    still_serves(&gateway).await;
}

#[tokio::test]
async fn random_bytes_end_their_connection_only() {
    let gateway = Gateway::start().await;
    let mut state = 0x2545_f491_4f6c_dd1du64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    for round in 0..40 {
        let mut bytes: Vec<u8> = (0..2_000).map(|_| random()).collect();
        if round % 2 == 0 {
            // A good opening, and then nonsense under a P-DATA header that looks right.
            bytes = [Request::usual().encode(), pdu(0x04, &bytes)].concat();
        }
        let mut peer = Peer::connect(gateway.address).await;
        let _ = peer.0.write_all(&bytes).await;
        let _ = peer.0.shutdown().await;
        while peer.read().await.is_some() {}
    }
    still_serves(&gateway).await;
}

#[tokio::test]
async fn an_open_association_that_breaks_the_protocol_is_aborted() {
    let gateway = Gateway::start().await;
    let begun = [pdv(3, 3, &store_rq(1, "1.2.3")), pdv(3, 0, b"some data")].concat();
    let cases: Vec<(&str, Vec<u8>, (u8, u8))> = vec![
        (
            "unknown context",
            pdu(0x04, &pdv(99, 3, &echo_rq(1))),
            INVALID_PARAMETER,
        ),
        ("even context", pdu(0x04, &pdv(2, 3, &echo_rq(1))), INVALID_PARAMETER),
        (
            "data without a command",
            pdu(0x04, &pdv(3, 2, b"data")),
            UNEXPECTED_PARAMETER,
        ),
        (
            "command inside a data set",
            pdu(0x04, &[begun.clone(), pdv(1, 3, &echo_rq(1))].concat()),
            UNEXPECTED_PARAMETER,
        ),
        (
            "data set in another context",
            pdu(0x04, &[begun.clone(), pdv(5, 2, b"more")].concat()),
            UNEXPECTED_PARAMETER,
        ),
        (
            "data inside a command",
            pdu(0x04, &[pdv(3, 1, b"\0\0"), pdv(3, 2, b"data")].concat()),
            UNEXPECTED_PARAMETER,
        ),
        (
            "PDV beyond its PDU",
            pdu(0x04, &[0, 0, 1, 0, 3, 3, 0]),
            INVALID_PARAMETER,
        ),
        ("PDV of length 1", pdu(0x04, &[0, 0, 0, 1, 3]), INVALID_PARAMETER),
        ("PDU without a PDV", pdu(0x04, b""), INVALID_PARAMETER),
        (
            "PDU above the maximum",
            b"\x04\x00\x00\x02\x00\x07".to_vec(),
            INVALID_PARAMETER,
        ),
        ("4 GiB PDU", b"\x04\x00\xff\xff\xff\xff".to_vec(), INVALID_PARAMETER),
        (
            "4 GiB PDV",
            pdu(0x04, &[0xff, 0xff, 0xff, 0xff, 3, 0, 1, 2]),
            INVALID_PARAMETER,
        ),
        ("second request", Request::usual().encode(), UNEXPECTED_PDU),
        ("release response", pdu(0x06, &[0; 4]), UNEXPECTED_PDU),
        ("HTTP", b"GET / HTTP/1.1\r\n\r\n".to_vec(), UNRECOGNIZED_PDU),
        (
            "nonsense command",
            pdu(0x04, &pdv(3, 3, &pattern(100))),
            INVALID_PARAMETER,
        ),
        (
            "command without an id",
            pdu(0x04, &pdv(3, 3, &command(&[(0x0100, &[1, 0])]))),
            INVALID_PARAMETER,
        ),
        (
            "endless command",
            (0..5).flat_map(|_| pdu(0x04, &pdv(3, 1, &[0; 20_000]))).collect(),
            INVALID_PARAMETER,
        ),
    ];
    let mut dropped = 0;
    for (name, bytes, reason) in cases {
        let mut peer = Peer::open(gateway.address).await;
        peer.send(&bytes).await;
        assert_eq!(peer.abort().await, reason, "{name}");
        dropped += usize::from(bytes.windows(9).any(|w| w == b"some data"));
        gateway.sink.until_dropped(dropped).await;
    }
    assert!(gateway.sink.received().is_empty());
    still_serves(&gateway).await;
}

#[tokio::test]
async fn a_request_in_single_bytes_is_a_request() {
    let gateway = Gateway::start().await;
    let mut peer = Peer::connect(gateway.address).await;
    for byte in Request::usual().encode() {
        peer.send(&[byte]).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(peer.read().await.unwrap().0, 0x02);
    assert_eq!(peer.echo().await, 0);
}

#[tokio::test]
async fn a_user_information_item_of_nonsense_is_aborted() {
    let gateway = Gateway::start().await;
    let mut request = Request::usual();
    request.user_items = item(0x54, b"\xff\xff1.2");
    let mut peer = Peer::connect(gateway.address).await;
    peer.send(&request.encode()).await;
    assert_eq!(peer.abort().await, INVALID_PARAMETER);
}
