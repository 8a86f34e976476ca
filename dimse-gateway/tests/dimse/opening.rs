//! Association establishment: who gets in, and what each presentation context is answered.

use isocenter_gateway::observer::Rejection;
use isocenter_gateway::{DimseSettings, Error, NoObserver, serve};
use isocenter_model::arrival::Refusal;
use std::sync::Arc;

use crate::gateway::{Gateway, settings};
use crate::peer::{CT, EXPLICIT, IMPLICIT, J2K_LOSSLESS, Peer, Request, VERIFICATION, item};
use crate::sink::MemorySink;

#[tokio::test]
async fn an_echo_is_answered_and_the_association_released() {
    let gateway = Gateway::start().await;
    let mut peer = Peer::open(gateway.address).await;
    assert_eq!(peer.echo().await, 0);
    assert_eq!(peer.echo().await, 0);
    peer.release().await;
    gateway
        .until("release", |heard| {
            heard.ended == ["released"] && heard.echoes == 2 && heard.opened == 1
        })
        .await;
}

#[tokio::test]
async fn what_must_be_rejected_is_rejected_with_its_reason() {
    let mut listed = settings();
    listed.peers = vec!["TESTER@127.0.0.1".parse().unwrap(), "FAR@192.0.2.1".parse().unwrap()];
    let gateway = Gateway::start_with(listed, MemorySink::new()).await;
    gateway.sink.set_route("AWAY", Err(Refusal::OutOfResources));
    let usual = Request::usual;
    let cases = [
        (
            Request {
                called: "NOBODY".into(),
                ..usual()
            },
            (1, 1, 7),
        ),
        (
            Request {
                called: String::new(),
                ..usual()
            },
            (1, 1, 7),
        ),
        (
            Request {
                called: "isocenter".into(),
                ..usual()
            },
            (1, 1, 7),
        ),
        (
            Request {
                calling: "STRANGER".into(),
                ..usual()
            },
            (1, 1, 3),
        ),
        (
            Request {
                calling: "FAR".into(),
                ..usual()
            },
            (1, 1, 3),
        ),
        (
            Request {
                calling: "A\\B".into(),
                ..usual()
            },
            (1, 1, 3),
        ),
        (
            Request {
                application_context: "1.2.3".into(),
                ..usual()
            },
            (1, 1, 2),
        ),
        (
            Request {
                protocol_version: 2,
                ..usual()
            },
            (1, 2, 2),
        ),
        (
            Request {
                called: "AWAY".into(),
                ..usual()
            },
            (2, 3, 1),
        ),
    ];
    for (request, codes) in cases {
        let mut peer = Peer::connect(gateway.address).await;
        assert_eq!(peer.rejection(&request).await, codes, "{request:?}");
    }
    assert!(
        gateway
            .ear
            .0
            .lock()
            .unwrap()
            .rejected
            .contains(&Rejection::CalledAeTitle)
    );
    // Version bits beyond the first are for versions to come.
    let mut peer = Peer::connect(gateway.address).await;
    peer.associate(&Request {
        protocol_version: 0xffff,
        ..usual()
    })
    .await;
}

#[tokio::test]
async fn case_is_ignored_where_the_setting_says_so() {
    let relaxed = DimseSettings {
        ignore_ae_title_case: true,
        ..settings()
    };
    let gateway = Gateway::start_with(relaxed, MemorySink::new()).await;
    let mut peer = Peer::connect(gateway.address).await;
    peer.associate(&Request {
        called: "isocenter".into(),
        ..Request::usual()
    })
    .await;
    assert_eq!(peer.store("1.2.3", b"data").await.status(), 0);
}

#[tokio::test]
async fn every_context_is_answered_with_its_own_result_and_one_transfer_syntax() {
    let gateway = Gateway::start().await;
    let mut peer = Peer::connect(gateway.address).await;
    let accept = peer
        .associate(&Request::with(&[
            (1, VERIFICATION, &[J2K_LOSSLESS, IMPLICIT]),
            (3, CT, &[IMPLICIT]),
            (5, CT, &[IMPLICIT, J2K_LOSSLESS, "1.2.840.10008.1.2.2", EXPLICIT]),
            (7, CT, &[IMPLICIT, "1.2.840.10008.1.2.4.50", J2K_LOSSLESS]),
            (9, CT, &["1.2.3.4.5.6"]),
            (11, "1.3.46.670589.5.0.1", &[IMPLICIT]),
            (13, "1.2.840.10008.5.1.4.1.2.2.1", &[IMPLICIT]),
            (15, "1.2.840.10008.5.1.4.1.2.2.2", &[IMPLICIT]),
            (17, "1.2.840.10008.5.1.4.1.2.2.3", &[IMPLICIT]),
            (19, VERIFICATION, &[J2K_LOSSLESS]),
            (21, CT, &[]),
        ]))
        .await;
    let expected = [
        (1, 0, IMPLICIT),
        (3, 0, IMPLICIT),
        (5, 0, EXPLICIT),
        (7, 0, J2K_LOSSLESS),
        (9, 0, "1.2.3.4.5.6"),
        (11, 0, IMPLICIT),
        (13, 3, IMPLICIT),
        (15, 3, IMPLICIT),
        (17, 3, IMPLICIT),
        (19, 4, IMPLICIT),
        (21, 4, IMPLICIT),
    ];
    let expected: Vec<_> = expected
        .iter()
        .map(|(id, result, uid)| (*id, *result, (*uid).to_owned()))
        .collect();
    assert_eq!(accept.contexts, expected);
    assert_eq!(peer.echo().await, 0);
    assert!(
        gateway
            .ear
            .0
            .lock()
            .unwrap()
            .refused_contexts
            .contains(&("1.2.840.10008.5.1.4.1.2.2.1".into(), 3))
    );
}

#[tokio::test]
async fn an_association_without_any_acceptable_context_is_accepted_all_the_same() {
    let strict = DimseSettings {
        accept_unknown_sop_classes: false,
        ..settings()
    };
    let gateway = Gateway::start_with(strict, MemorySink::new()).await;
    let mut peer = Peer::connect(gateway.address).await;
    let accept = peer
        .associate(&Request::with(&[(1, "1.3.46.670589.5.0.1", &[IMPLICIT])]))
        .await;
    assert_eq!(accept.contexts, [(1, 3, IMPLICIT.to_owned())]);
    peer.release().await;
}

#[tokio::test]
async fn a_request_may_have_128_contexts() {
    let gateway = Gateway::start().await;
    let mut request = Request::usual();
    let many: Vec<String> = (0..30).map(|n| format!("1.2.840.10008.1.2.4.{}", 50 + n)).collect();
    request.contexts = (0..128)
        .map(|n| (2 * n + 1, format!("1.2.840.10008.5.1.4.1.1.{n}"), many.clone()))
        .collect();
    request.contexts[127].1 = CT.into();
    let mut peer = Peer::connect(gateway.address).await;
    let accept = peer.associate(&request).await;
    assert_eq!(accept.contexts.len(), 128);
    assert!(accept.contexts.iter().all(|(_, result, _)| *result == 0));
    peer.send_command(255, &crate::peer::store_rq(1, "1.2.3")).await;
    peer.send_data(255, b"data", 100).await;
    assert_eq!(peer.answer().await.status(), 0);
}

#[tokio::test]
async fn items_that_nobody_asked_for_are_tolerated() {
    let gateway = Gateway::start().await;
    let mut request = Request::usual();
    request.more_items = item(0x7f, b"an item of the future");
    let role = [&[0, CT.len() as u8][..], CT.as_bytes(), &[1, 1]].concat();
    request.user_items = [
        item(0x53, &[0, 5, 0, 5]),
        item(0x54, &role),
        item(0x56, &[&[0, 17][..], VERIFICATION.as_bytes(), &[1, 1, 1]].concat()),
        item(0x58, b"\x02\x01\x00\x04user\x00\x04pass"),
        item(0x6f, b"a sub-item of the future"),
    ]
    .concat();
    let mut peer = Peer::connect(gateway.address).await;
    let accept = peer.associate(&request).await;
    let kinds: Vec<u8> = accept.user_items.iter().map(|(kind, _)| *kind).collect();
    // No window is answered, which means one operation at a time; nor is an identity that nobody checked.
    assert_eq!(kinds, [0x51, 0x52, 0x55, 0x54]);
    assert_eq!(accept.user_items[0].1, 131_072u32.to_be_bytes());
    assert_eq!(
        accept.user_items[3].1,
        [&[0, CT.len() as u8][..], CT.as_bytes(), &[1, 0]].concat()
    );
    assert_eq!(peer.echo().await, 0);
}

#[tokio::test]
async fn an_address_that_others_can_reach_is_refused_without_peers_or_certificates() {
    let open = DimseSettings {
        address: "0.0.0.0:0".parse().unwrap(),
        ..DimseSettings::default()
    };
    let refused = serve(open, Arc::new(MemorySink::new()), Arc::new(NoObserver), async {}).await;
    assert!(matches!(refused, Err(Error::OpenToStrangers { .. })));
}
