//! C-STORE as peers send it, and what they are answered.

use std::time::Duration;

use isocenter_model::arrival::{Form, Refusal, SentUids};
use isocenter_model::{Outcome, Source};

use crate::gateway::Gateway;
use crate::peer::{CT, EXPLICIT, IMPLICIT, Peer, Request, command, echo_rq, pattern, pdu, pdv, store_rq};
use crate::sink::Plan;

#[tokio::test]
async fn an_instance_reaches_the_sink_as_it_was_sent_with_its_origin() {
    let gateway = Gateway::start().await;
    let mut peer = Peer::connect(gateway.address).await;
    peer.associate(&Request {
        called: "TRIAL".into(),
        ..Request::usual()
    })
    .await;
    let data = pattern(300_000);
    let answer = peer.store("1.2.3.4", &data).await;
    assert_eq!(answer.status(), 0);
    assert_eq!(answer.number(0x0100), 0x8001);
    assert_eq!(answer.number(0x0120), 1);
    assert_eq!(answer.number(0x0800), 0x0101);
    assert_eq!(answer.text(0x0002), CT);
    assert_eq!(answer.text(0x1000), "1.2.3.4");
    assert!(!answer.0.contains_key(&0x0902));

    let received = gateway.sink.received();
    assert_eq!(received.len(), 1);
    assert!(received[0].bytes == data);
    let arrival = &received[0].arrival;
    assert_eq!(arrival.route.collection.to_string(), "OBIA0002");
    assert_eq!(arrival.route.issuer, "HOSPITAL_B");
    let Source::Dimse {
        calling_ae_title,
        called_ae_title,
        peer: address,
    } = &arrival.source
    else {
        panic!("{:?}", arrival.source);
    };
    assert_eq!(
        (calling_ae_title.as_str(), called_ae_title.as_str()),
        ("TESTER", "TRIAL")
    );
    assert!(address.is_loopback());
    let Form::DataSet {
        transfer_syntax_uid,
        affected_sop_class_uid,
        affected_sop_instance_uid,
    } = &arrival.form
    else {
        panic!("{:?}", arrival.form);
    };
    assert_eq!(transfer_syntax_uid.as_str(), IMPLICIT);
    assert_eq!(affected_sop_class_uid.as_str(), CT);
    assert_eq!(affected_sop_instance_uid.as_str(), "1.2.3.4");
    gateway
        .until("the instance", |heard| {
            heard.instances.len() == 1 && heard.instances[0].1 == 300_000
        })
        .await;
}

#[tokio::test]
async fn the_transfer_syntax_is_that_of_the_context_the_message_came_in() {
    let gateway = Gateway::start().await;
    let mut peer = Peer::open(gateway.address).await;
    for (context_id, syntax) in [(5, EXPLICIT), (3, IMPLICIT)] {
        peer.send_command(context_id, &store_rq(1, "1.2.3")).await;
        peer.send_data(context_id, b"data", 100).await;
        assert_eq!(peer.answer().await.status(), 0);
        let received = gateway.sink.received().pop().unwrap();
        assert!(
            matches!(received.arrival.form, Form::DataSet { transfer_syntax_uid, .. } if transfer_syntax_uid.as_str() == syntax)
        );
    }
}

#[tokio::test]
async fn fragments_of_one_byte_are_joined_and_gathered() {
    let gateway = Gateway::start().await;
    let mut peer = Peer::open(gateway.address).await;
    let data = pattern(5_000);
    let set = store_rq(1, "1.2.3");
    for (at, byte) in set.iter().enumerate() {
        let control = if at + 1 == set.len() { 3 } else { 1 };
        peer.send(&pdu(0x04, &pdv(3, control, &[*byte]))).await;
    }
    peer.send_data(3, &data, 1).await;
    assert_eq!(peer.answer().await.status(), 0);
    let received = gateway.sink.received().pop().unwrap();
    assert!(received.bytes == data);
    assert_eq!(received.fragments, 1);
}

#[tokio::test]
async fn small_and_large_fragments_keep_their_order() {
    let gateway = Gateway::start().await;
    let mut peer = Peer::open(gateway.address).await;
    let data = pattern(200_000);
    let mut rest = data.as_slice();
    let mut bytes = pdu(0x04, &pdv(3, 3, &store_rq(1, "1.2.3")));
    for size in [1, 10, 5_000, 0, 3, 100_000, 4_096, 4_095, 7, usize::MAX] {
        let (fragment, left) = rest.split_at(size.min(rest.len()));
        rest = left;
        let control = if size == usize::MAX { 2 } else { 0 };
        bytes.extend(pdu(0x04, &pdv(3, control, fragment)));
    }
    peer.send(&bytes).await;
    assert_eq!(peer.answer().await.status(), 0);
    assert!(gateway.sink.received().pop().unwrap().bytes == data);
}

#[tokio::test]
async fn command_and_data_may_share_a_pdu_and_messages_may_follow_at_once() {
    let gateway = Gateway::start().await;
    let mut peer = Peer::open(gateway.address).await;
    // Two whole messages and the beginning of a third in one PDU.
    let third = store_rq(3, "1.2.3.3");
    let body = [
        pdv(3, 3, &store_rq(1, "1.2.3.1")),
        pdv(3, 0, b"one, "),
        pdv(3, 2, b"in two"),
        pdv(1, 3, &echo_rq(2)),
        pdv(3, 1, &third[..20]),
    ]
    .concat();
    peer.send(&pdu(0x04, &body)).await;
    peer.send(&pdu(0x04, &[pdv(3, 3, &third[20..]), pdv(3, 2, b"three")].concat()))
        .await;
    for (message_id, field) in [(1, 0x8001), (2, 0x8030), (3, 0x8001)] {
        let answer = peer.answer().await;
        assert_eq!(
            (answer.number(0x0120), answer.number(0x0100), answer.status()),
            (message_id, field, 0)
        );
    }
    let received = gateway.sink.received();
    assert_eq!(received[0].bytes, b"one, in two");
    assert_eq!(received[1].bytes, b"three");
}

#[tokio::test]
async fn stores_sent_ahead_are_answered_in_order() {
    let gateway = Gateway::start().await;
    let mut peer = Peer::open(gateway.address).await;
    let mut bytes = Vec::new();
    for id in 1..=50u16 {
        bytes.extend(pdu(0x04, &pdv(3, 3, &store_rq(id, &format!("1.2.{id}")))));
        bytes.extend(pdu(0x04, &pdv(3, 2, &pattern(20_000))));
    }
    peer.send(&bytes).await;
    for id in 1..=50u16 {
        let answer = peer.answer().await;
        assert_eq!((answer.number(0x0120), answer.status()), (id, 0));
        assert_eq!(answer.text(0x1000), format!("1.2.{id}"));
    }
}

#[tokio::test]
async fn every_outcome_has_its_status_and_the_association_goes_on() {
    let gateway = Gateway::start().await;
    let refused = |refusal, detail: &str| {
        Plan::End(Outcome::Refused {
            sent: SentUids::default(),
            refusal,
            detail: detail.into(),
        })
    };
    let sent = SentUids::default;
    let cases = [
        (
            Plan::End(Outcome::Kept {
                sent: sent(),
                check: "Q201",
            }),
            0x0000,
        ),
        (Plan::End(Outcome::Conflict { sent: sent() }), 0xB007),
        (refused(Refusal::Unreadable, ""), 0xC000),
        (refused(Refusal::CutOff, "ends at 17"), 0xC000),
        (refused(Refusal::MissingUid, "Study Instance UID (0020,000D)"), 0xA900),
        (refused(Refusal::Mismatch, ""), 0xA900),
        (refused(Refusal::TooLarge, ""), 0xC000),
        (refused(Refusal::NotAuthorised, ""), 0x0124),
        (refused(Refusal::OutOfResources, ""), 0xA700),
        (refused(Refusal::Internal, ""), 0x0110),
        (Plan::RefuseAtOnce(Refusal::OutOfResources), 0xA700),
        (Plan::RefuseAtOnce(Refusal::NotAuthorised), 0x0124),
        (Plan::RefuseAfter(50_000, Refusal::TooLarge), 0xC000),
        (Plan::Store, 0x0000),
    ];
    let mut peer = Peer::open(gateway.address).await;
    for (at, (plan, status)) in cases.into_iter().enumerate() {
        let instance = format!("1.2.{at}");
        gateway.sink.plan(&instance, plan.clone());
        let answer = peer.store(&instance, &pattern(200_000)).await;
        assert_eq!(answer.status(), status, "{plan:?}");
        assert_eq!(answer.text(0x1000), instance);
        let has_comment = answer.0.contains_key(&0x0902);
        assert_eq!(has_comment, status != 0, "{plan:?}");
        if status == 0xA900 && answer.text(0x0902).contains("(0020,000D)") {
            assert_eq!(answer.0[&0x0901], [0x20, 0, 0x0D, 0]);
        }
    }
    assert_eq!(gateway.sink.received().len(), 1);
    peer.release().await;
}

#[tokio::test]
async fn commands_that_cannot_be_stored_are_answered_and_their_data_read_away() {
    let gateway = Gateway::start().await;
    let mut peer = Peer::open(gateway.address).await;
    let store = |class: &[u8], instance: &[u8], data_set: &[u8]| {
        command(&[
            (0x0002, class),
            (0x0100, &[1, 0]),
            (0x0110, &[9, 0]),
            (0x0800, data_set),
            (0x1000, instance),
        ])
    };
    let data = &[0u8, 0][..];
    let long = [b'1'; 66];
    for (context_id, set, status, offending) in [
        (
            3,
            store(CT.as_bytes(), b"../../etc/passwd", data),
            0xA900,
            Some([0, 0, 0, 0x10]),
        ),
        (3, store(CT.as_bytes(), &long, data), 0xA900, Some([0, 0, 0, 0x10])),
        (3, store(CT.as_bytes(), b"", data), 0xA900, Some([0, 0, 0, 0x10])),
        (3, store(b"", b"1.2.3", data), 0xA900, Some([0, 0, 2, 0])),
        (1, store(CT.as_bytes(), b"1.2.3", data), 0x0122, None),
        (3, store(CT.as_bytes(), b"1.2.3", &[1, 1]), 0xC000, Some([0, 0, 0, 8])),
    ] {
        peer.send_command(context_id, &set).await;
        if status != 0xC000 {
            peer.send_data(context_id, &pattern(100_000), 16_000).await;
        }
        let answer = peer.answer().await;
        assert_eq!((answer.status(), answer.number(0x0120)), (status, 9));
        assert_eq!(
            answer.0.get(&0x0901).map(Vec::as_slice),
            offending.as_ref().map(|o| &o[..])
        );
        if offending == Some([0, 0, 0, 0x10]) {
            assert!(
                !answer.0.contains_key(&0x1000),
                "no text of the peer's is repeated unread"
            );
        }
    }
    assert_eq!(gateway.sink.begun(), 0);
    assert_eq!(peer.echo().await, 0);
}

#[tokio::test]
async fn other_operations_are_unrecognized_and_a_cancel_is_ignored() {
    let gateway = Gateway::start().await;
    let mut peer = Peer::open(gateway.address).await;
    for (code, data_set) in [(0x0020u16, 0u16), (0x0021, 0), (0x0130, 0x0101), (0x0777, 0)] {
        let set = command(&[
            (0x0100, &code.to_le_bytes()),
            (0x0110, &[4, 0]),
            (0x0800, &data_set.to_le_bytes()),
        ]);
        peer.send_command(3, &set).await;
        if data_set == 0 {
            peer.send_data(3, b"an identifier", 4).await;
        }
        let answer = peer.answer().await;
        assert_eq!((answer.status(), answer.number(0x0100)), (0x0211, code | 0x8000));
    }
    let cancel = command(&[(0x0100, &[0xff, 0x0f]), (0x0120, &[4, 0]), (0x0800, &[1, 1])]);
    peer.send_command(3, &cancel).await;
    assert_eq!(peer.echo().await, 0);
    assert_eq!(gateway.ear.0.lock().unwrap().unrecognized, [0x20, 0x21, 0x130, 0x777]);
}

#[tokio::test]
async fn an_object_that_ends_early_is_forgotten_however_it_ends() {
    let gateway = Gateway::start().await;
    let mut dropped = 0;
    for way in ["abort", "release", "close", "reset"] {
        let mut peer = Peer::open(gateway.address).await;
        peer.send_command(3, &store_rq(1, "1.2.3")).await;
        peer.send(&pdu(0x04, &pdv(3, 0, &pattern(50_000)))).await;
        while gateway.sink.begun() == dropped {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        match way {
            "abort" => peer.send(&pdu(0x07, &[0; 4])).await,
            "release" => peer.release().await,
            "reset" => peer.0.set_zero_linger().unwrap(),
            _ => {}
        }
        drop(peer);
        dropped += 1;
        gateway.sink.until_dropped(dropped).await;
    }
    assert!(gateway.sink.received().is_empty());
    gateway
        .until("four endings", |heard| {
            heard.ended.len() == 4 && heard.ended[..2] == ["aborted", "released"]
        })
        .await;
}

#[tokio::test]
async fn a_panic_of_the_sink_ends_its_own_association_only() {
    let gateway = Gateway::start().await;
    gateway.sink.plan("1.2.666", Plan::PanicAtFinish);
    let mut other = Peer::open(gateway.address).await;
    let mut peer = Peer::open(gateway.address).await;
    peer.send_command(3, &store_rq(1, "1.2.666")).await;
    peer.send_data(3, b"data", 100).await;
    assert_eq!(peer.read().await, None, "no answer, and above all no success");
    assert_eq!(other.store("1.2.3", b"data").await.status(), 0);
    gateway.until("the panic", |heard| heard.panics == 1).await;
    let mut next = Peer::open(gateway.address).await;
    assert_eq!(next.echo().await, 0);
}

#[tokio::test]
async fn a_route_that_is_taken_away_holds_from_the_next_instance_on() {
    let gateway = Gateway::start().await;
    let mut peer = Peer::open(gateway.address).await;
    assert_eq!(peer.store("1.2.3", b"data").await.status(), 0);
    gateway.sink.forget_route("ISOCENTER");
    assert_eq!(peer.store("1.2.4", b"data").await.status(), 0x0124);
    gateway.sink.set_route("ISOCENTER", Err(Refusal::OutOfResources));
    assert_eq!(peer.store("1.2.5", b"data").await.status(), 0xA700);
}

#[tokio::test]
async fn responses_keep_to_a_small_maximum_of_the_peer() {
    let gateway = Gateway::start().await;
    for max_pdu in [20, 64, 128, 0] {
        let mut peer = Peer::connect(gateway.address).await;
        peer.associate(&Request {
            max_pdu,
            ..Request::usual()
        })
        .await;
        assert_eq!(peer.store("1.2.3", b"data").await.text(0x1000), "1.2.3");
        peer.send_command(1, &echo_rq(1)).await;
        let (kind, body) = peer.read().await.unwrap();
        assert_eq!(kind, 4);
        assert!(max_pdu == 0 || body.len() <= max_pdu as usize);
    }
}
