use std::net::IpAddr;
use std::sync::Mutex;

use actix_web::test::TestRequest;
use async_trait::async_trait;
use isocenter_model::{AeTitle, InstanceWriter, SopClassUid, SopInstanceUid, StudyInstanceUid};
use serde_json::Value;

use super::super::accept::Accept;
use super::*;

/// A sink that keeps what it is given: bytes that begin with `bad` are unreadable, more than 1000 are too large.
#[derive(Default)]
struct Kept(Arc<Mutex<Vec<Vec<u8>>>>);

struct Writer(Vec<u8>, Arc<Mutex<Vec<Vec<u8>>>>);

fn uids(instance: &str) -> InstanceUids {
    InstanceUids {
        sop_class_uid: SopClassUid::parse("1.2.1").unwrap(),
        study_instance_uid: StudyInstanceUid::parse("1.2.2").unwrap(),
        series_instance_uid: "1.2.3".parse().unwrap(),
        sop_instance_uid: SopInstanceUid::parse(instance).unwrap(),
    }
}

fn sent(instance: &str) -> SentUids {
    SentUids {
        sop_class_uid: SopClassUid::parse("1.2.1").ok(),
        sop_instance_uid: SopInstanceUid::parse(instance).ok(),
    }
}

#[async_trait]
impl InstanceWriter for Writer {
    async fn write(&mut self, fragment: Bytes) -> Result<(), Refusal> {
        self.0.extend_from_slice(&fragment);
        if self.0.len() > 1000 {
            Err(Refusal::TooLarge)
        } else {
            Ok(())
        }
    }

    async fn finish(self: Box<Self>) -> Outcome {
        // The first waits longest: answers must still be in the order of the request.
        let number = self.0.iter().filter(|b| b.is_ascii_digit()).count() as u64;
        tokio::time::sleep(std::time::Duration::from_millis(20 / (number + 1))).await;
        if self.0.starts_with(b"bad") {
            return refused(Refusal::Unreadable);
        }
        let instance = format!("1.{}", self.0.len());
        self.1.lock().unwrap().push(self.0);
        Outcome::Stored {
            sent: sent(&instance),
            archived: uids("9.9"),
            coerced: false,
            duplicate: false,
            released: false,
        }
    }
}

#[async_trait]
impl InstanceSink for Kept {
    async fn route(&self, _: &AeTitle, _: &AeTitle, _: IpAddr) -> Result<Option<Route>, Refusal> {
        Ok(None)
    }

    async fn begin(&self, _: Arrival) -> Result<Box<dyn InstanceWriter>, Refusal> {
        Ok(Box::new(Writer(Vec::new(), Arc::clone(&self.0))))
    }
}

fn asked(role: Role) -> Asked {
    let collection = CollectionAccession::numbered("OBIA", 1);
    let principal = Principal::Known {
        id: "t1".into(),
        role,
        collections: Some([collection].into()),
    };
    Asked {
        visibility: rights::visibility(&principal),
        principal,
        issuer: String::new(),
        collection: None,
        base: "http://a/dicom-web".into(),
        accept: Accept::of(None, None),
        query: String::new(),
        study: None,
        series: None,
        instance: None,
        if_none_match: None,
        range: None,
    }
}

async fn take(body: &[u8], boundary: Option<&str>) -> (Vec<Item>, bool, Vec<Vec<u8>>) {
    let sink = Kept::default();
    let kept = Arc::clone(&sink.0);
    let mut intake = Intake {
        sink: Arc::new(sink),
        arrival: Arrival {
            route: Route {
                collection: CollectionAccession::numbered("OBIA", 1),
                issuer: String::new(),
            },
            source: Source::Stow { token: "t1".into() },
            form: Form::Part10,
            bound_to_study: None,
            size_hint: None,
        },
        open: VecDeque::new(),
        items: Vec::new(),
    };
    let pieces: Vec<Result<Bytes, ()>> = body.chunks(7).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    let mut pieces = futures::stream::iter(pieces);
    let ended = match boundary {
        Some(boundary) => intake.related(Reader::new(pieces, boundary)).await,
        None => intake.single(&mut pieces).await,
    };
    let items = intake.settle().await;
    let kept = kept.lock().unwrap().clone();
    (items, ended.is_ok(), kept)
}

fn instance_of(item: &Item) -> &str {
    match item {
        Item::Success { sent, .. } | Item::Failure { sent, .. } => reasons::sent_texts(sent).1,
    }
}

#[actix_web::test]
async fn every_part_is_answered_in_the_order_of_the_request() {
    let mut body = String::new();
    for number in 0..100 {
        body += &format!(
            "--b\r\nContent-Type: application/dicom\r\n\r\n{}\r\n",
            "1".repeat(number + 1)
        );
    }
    body += "--b--";
    let (items, whole, kept) = take(body.as_bytes(), Some("b")).await;
    assert!(whole);
    assert_eq!(kept.len(), 100);
    let instances: Vec<_> = items.iter().map(instance_of).collect();
    let expected: Vec<_> = (1..=100).map(|n| format!("1.{n}")).collect();
    assert_eq!(instances, expected);
}

#[actix_web::test]
async fn a_part_that_is_too_large_or_no_dicom_does_not_harm_the_others() {
    let large = "x".repeat(5000);
    let body = format!(
        "--b\r\n\r\none\r\n--b\r\n\r\n{large}\r\n--b\r\nContent-Type: text/plain\r\n\r\nhello\r\n--b\r\n\r\nbad\r\n--b\r\n\r\nfour\r\n--b--"
    );
    let (items, whole, kept) = take(body.as_bytes(), Some("b")).await;
    assert!(whole);
    assert_eq!(kept, [b"one".to_vec(), b"four".to_vec()]);
    let refusals: Vec<_> = items
        .iter()
        .map(|item| match item {
            Item::Failure { refusal, .. } => Some(*refusal),
            Item::Success { .. } => None,
        })
        .collect();
    assert_eq!(
        refusals,
        [
            None,
            Some(Refusal::TooLarge),
            Some(Refusal::Unreadable),
            Some(Refusal::Unreadable),
            None
        ]
    );
    assert_eq!(reasons::status(&items).as_u16(), 202);
}

#[actix_web::test]
async fn without_the_last_delimiter_the_open_part_fails_and_the_others_stay() {
    let (items, whole, kept) = take(b"--b\r\n\r\none\r\n--b\r\n\r\ntw", Some("b")).await;
    assert!(!whole);
    assert_eq!(kept, [b"one".to_vec()]);
    assert!(matches!(
        items.as_slice(),
        [
            Item::Success { .. },
            Item::Failure {
                refusal: Refusal::CutOff,
                ..
            }
        ]
    ));
}

#[actix_web::test]
async fn one_object_may_be_the_whole_body() {
    let (items, whole, kept) = take(b"an object", None).await;
    assert!(whole);
    assert_eq!((items.len(), kept), (1, vec![b"an object".to_vec()]));
    let (items, whole, kept) = take(&vec![b'x'; 5000], None).await;
    assert!(!whole && kept.is_empty());
    assert_eq!(reasons::status(&items).as_u16(), 413);
}

fn success(warning: Option<u16>, archived: bool) -> Item {
    Item::Success {
        sent: sent("1.5"),
        warning,
        archived: archived.then(|| uids("9.9")),
    }
}

fn failure(sent: SentUids) -> Item {
    Item::Failure {
        sent,
        reason: reasons::CANNOT_UNDERSTAND,
        refusal: Refusal::Unreadable,
    }
}

#[test]
fn the_module_has_each_sequence_only_where_it_has_items() {
    let module = module(&asked(Role::Submitter), &[success(None, true)]);
    assert_eq!(
        module,
        serde_json::json!({
            "00081190": {"vr": "UR", "Value": ["http://a/dicom-web/studies/1.2.2"]},
            "00081199": {"vr": "SQ", "Value": [{
                "00081150": {"vr": "UI", "Value": ["1.2.1"]},
                "00081155": {"vr": "UI", "Value": ["1.5"]},
                "00081190": {"vr": "UR", "Value": ["http://a/dicom-web/studies/1.2.2/series/1.2.3/instances/9.9"]},
            }]},
        })
    );
}

#[test]
fn reasons_are_numbers_and_failures_without_a_name_are_in_both_places() {
    let module = module(
        &asked(Role::Submitter),
        &[failure(sent("1.6")), failure(SentUids::default())],
    );
    assert_eq!(
        module["00081198"]["Value"][0]["00081197"]["Value"][0],
        Value::from(49152)
    );
    assert_eq!(
        module["00081198"]["Value"][1]["00081155"],
        serde_json::json!({"vr": "UI"})
    );
    assert_eq!(module["0008119A"]["Value"].as_array().unwrap().len(), 1);
    assert!(module.get("00081199").is_none() && module.get("00081190").is_none());
}

#[test]
fn new_uids_are_told_only_to_those_who_may_see_them() {
    let module = module(&asked(Role::Edge), &[success(Some(reasons::COERCED), true)]);
    assert!(!module.to_string().contains("9.9"), "{module}");
    assert_eq!(
        module["00081199"]["Value"][0]["00081196"]["Value"][0],
        Value::from(45056)
    );
}

#[test]
fn the_body_must_say_what_it_is() {
    let request = |content_type: &str| {
        container(
            &TestRequest::default()
                .insert_header(("content-type", content_type))
                .to_http_request(),
        )
    };
    for good in [
        "application/dicom",
        "multipart/related; type=\"application/dicom\"; boundary=\"a b\"",
        "Multipart/Related; Type=application/dicom; boundary=ab; start=\"<x>\"; transfer-syntax=1.2",
        "multipart/related; boundary=ab",
    ] {
        assert!(request(good).is_ok(), "{good}");
    }
    for (bad, status) in [
        ("application/json", 415),
        ("multipart/form-data; boundary=ab", 415),
        ("multipart/related; type=\"application/dicom+json\"; boundary=ab", 415),
        ("multipart/related; type=\"application/dicom\"", 400),
        ("", 415),
    ] {
        assert_eq!(request(bad).err().unwrap().status().as_u16(), status, "{bad}");
    }
    let zipped = TestRequest::default()
        .insert_header(("content-type", "application/dicom"))
        .insert_header(("content-encoding", "gzip"))
        .to_http_request();
    assert_eq!(container(&zipped).err().unwrap().status().as_u16(), 415);
}

#[test]
fn storing_needs_a_token_that_may() {
    let mut anonymous = asked(Role::Submitter);
    anonymous.principal = Principal::Anonymous;
    assert_eq!(destination(&anonymous).unwrap_err().status().as_u16(), 401);
    assert_eq!(
        destination(&asked(Role::Researcher)).unwrap_err().status().as_u16(),
        403
    );
    assert_eq!(destination(&asked(Role::Submitter)).unwrap().0.as_str(), "OBIA0001");
    let mut elsewhere = asked(Role::Submitter);
    elsewhere.collection = Some(CollectionAccession::numbered("OBIA", 2));
    assert_eq!(destination(&elsewhere).unwrap_err().status().as_u16(), 403);
    let mut everywhere = asked(Role::Admin);
    everywhere.principal = Principal::Known {
        id: "t1".into(),
        role: Role::Admin,
        collections: None,
    };
    assert_eq!(destination(&everywhere).unwrap().0.as_str(), "OBIA0001");
}

#[actix_web::test]
async fn patient_ids_are_of_the_tokens_issuer_else_of_the_collections() {
    use isocenter_model::rights::Access;
    use isocenter_schema::record::{Originals, ReleaseRule};

    let world = crate::world::world().await;
    let new = crate::archive::NewCollection {
        title: "Two hospitals".into(),
        profile: "none".into(),
        release: ReleaseRule::Manual,
        access: Access::Open,
        originals: Originals::None,
        ae_title: None,
        issuer: "HOUSE".into(),
    };
    let collection = world.archive.create_collection(new, "test").await.unwrap();
    for (of_token, expected) in [("CLINIC", "CLINIC"), ("", "HOUSE")] {
        let bound = Some([collection.clone()].into());
        let made = crate::auth::token::create(&world.archive.db, Role::Submitter, bound, of_token, None, "test");
        let request = TestRequest::post()
            .app_data(world.archive.clone())
            .insert_header(("authorization", format!("Bearer {}", made.await.unwrap().secret)))
            .insert_header(("content-type", "application/dicom"))
            .to_http_request();
        let prepared = prepare(&request).await.map_err(|error| error.to_string()).unwrap();
        assert_eq!(prepared.arrival.route.collection, collection);
        assert_eq!(prepared.arrival.route.issuer, expected);
    }
}
