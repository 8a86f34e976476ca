//! The services as a client meets them: a whole archive in a temporary folder, filled through STOW-RS with the demo's studies.

use std::path::PathBuf;
use std::rc::Rc;

use actix_web::http::{Method, StatusCode, header};
use actix_web::middleware::{NormalizePath, TrailingSlash};
use actix_web::test::{self, TestRequest};
use actix_web::{App, web};
use bytes::Bytes;
use futures::future::LocalBoxFuture;
use isocenter_model::part10::{self, Limits, PixelData};
use isocenter_model::rights::Access;
use isocenter_model::{CollectionAccession, rights::Role};
use isocenter_schema::record::{Originals, ReleaseRule};
use serde_json::Value;

use super::multipart::{self, Reader};
use crate::archive::NewCollection;
use crate::demo;
use crate::world::{World, world};

const RELATED: &str = "multipart/related; type=\"application/dicom\"";
const OCTETS: &str = "multipart/related; type=\"application/octet-stream\"";
const JSON: &str = "application/dicom+json";

/// One answer, whole.
struct Answer {
    status: StatusCode,
    headers: header::HeaderMap,
    body: Bytes,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{}: {:?}", self.status, self.body))
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    async fn parts(&self) -> Vec<(String, Bytes)> {
        let media = super::accept::MediaType::parse(self.header("content-type")).unwrap();
        let body = futures::stream::iter([Ok::<_, ()>(self.body.clone())]);
        let mut reader = Reader::new(body, multipart::boundary(&media).unwrap());
        let mut parts = Vec::new();
        while let Some(headers) = reader.next_part().await.unwrap() {
            let mut content = Vec::new();
            while let Some(chunk) = reader.next_chunk().await.unwrap() {
                content.extend_from_slice(&chunk);
            }
            parts.push((headers.content_type.unwrap(), content.into()));
        }
        parts
    }
}

type Service = Box<dyn Fn(TestRequest) -> LocalBoxFuture<'static, Answer>>;

/// A client with a token, or without.
struct Client {
    service: Service,
    token: Option<String>,
}

impl Client {
    async fn send(&self, request: TestRequest) -> Answer {
        let request = request.insert_header(("host", "archive.test"));
        (self.service)(match &self.token {
            Some(token) => request.insert_header(("authorization", format!("Bearer {token}"))),
            None => request,
        })
        .await
    }

    async fn get(&self, path: &str, accept: &str) -> Answer {
        let request = TestRequest::get()
            .uri(&format!("/dicom-web{path}"))
            .insert_header(("accept", accept));
        self.send(request).await
    }

    async fn status(&self, path: &str, accept: &str) -> u16 {
        self.get(path, accept).await.status.as_u16()
    }

    async fn store(&self, path: &str, files: &[Vec<u8>]) -> Answer {
        let mut body = Vec::new();
        for file in files {
            body.extend_from_slice(b"--abc def\r\nContent-Type: application/dicom\r\n\r\n");
            body.extend_from_slice(file);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"--abc def--\r\n");
        let request = TestRequest::post()
            .uri(&format!("/dicom-web{path}"))
            .insert_header(("content-type", format!("{RELATED}; boundary=\"abc def\"")))
            .set_payload(body);
        self.send(request).await
    }
}

async fn client(world: &World, token: Option<&str>) -> Client {
    let app = App::new()
        .app_data(world.archive.clone())
        .wrap(NormalizePath::new(TrailingSlash::Trim))
        .service(web::scope("/dicom-web").configure(super::configure));
    let app = Rc::new(test::init_service(app).await);
    let service = move |request: TestRequest| -> LocalBoxFuture<'static, Answer> {
        let app = Rc::clone(&app);
        Box::pin(async move {
            let answer = test::call_service(&*app, request.to_request()).await;
            let (status, headers) = (answer.status(), answer.headers().clone());
            let body = test::read_body(answer).await;
            Answer { status, headers, body }
        })
    };
    Client {
        service: Box::new(service),
        token: token.map(str::to_owned),
    }
}

fn phantoms() -> Vec<Vec<u8>> {
    let spec = demo::DemoSpec {
        individuals: 1,
        size: 32,
        slices: 3,
    };
    demo::studies(7, &spec).map(|instance| instance.part10).collect()
}

fn value<'a>(row: &'a Value, tag: &str) -> &'a Value {
    &row[tag]["Value"][0]
}

fn text(row: &Value, tag: &str) -> String {
    value(row, tag)
        .as_str()
        .unwrap_or_else(|| panic!("{tag} in {row}"))
        .to_owned()
}

/// Returns the native pixel data of a file.
fn pixels(file: &Bytes) -> Vec<u8> {
    let layout = part10::layout_part10(file, &Limits::default()).unwrap();
    let Some(PixelData::Native {
        value_offset,
        value_len,
        ..
    }) = layout.pixel_data
    else {
        panic!("no native pixels")
    };
    file[value_offset as usize..(value_offset + value_len) as usize].to_vec()
}

fn syntax(file: &Bytes) -> String {
    part10::layout_part10(file, &Limits::default())
        .unwrap()
        .transfer_syntax_uid
        .to_string()
}

#[actix_web::test]
async fn what_is_stored_is_found_and_comes_back() {
    let world = world().await;
    let client = client(&world, Some(&world.token)).await;
    let files = phantoms();

    // The Inbox de-identifies: stored, with the warning of coercion.
    let stored = client.store("/studies", &files).await;
    assert_eq!(stored.status.as_u16(), 202, "{:?}", stored.body);
    assert_eq!(stored.header("content-type"), JSON);
    let module = stored.json();
    let successes = module["00081199"]["Value"].as_array().unwrap();
    assert_eq!(successes.len(), files.len());
    assert!(module.get("00081198").is_none(), "{module}");
    assert!(
        successes
            .iter()
            .all(|item| value(item, "00081196").as_u64() == Some(45056))
    );
    // The same again is the same.
    let again = client.store("/studies", &files).await;
    assert_eq!(again.status.as_u16(), 200, "{:?}", again.body);

    let studies = client.get("/studies", JSON).await.json();
    let studies = studies.as_array().unwrap();
    let images: u64 = studies.iter().map(|row| value(row, "00201208").as_u64().unwrap()).sum();
    assert_eq!(images as usize, files.len());
    for row in studies {
        let study = text(row, "0020000D");
        assert_eq!(
            text(row, "00081190"),
            format!("http://archive.test/dicom-web/studies/{study}")
        );
        let all = client.get(&format!("/studies/{study}"), RELATED).await;
        let parts = all.parts().await;
        assert_eq!(parts.len() as u64, value(row, "00201208").as_u64().unwrap());
        for (content_type, part) in parts {
            assert_eq!(content_type, "application/dicom; transfer-syntax=1.2.840.10008.1.2.1");
            assert_eq!(syntax(&part), "1.2.840.10008.1.2.1");
        }
        let thumbnail = client.get(&format!("/studies/{study}/thumbnail"), "*/*").await;
        assert!(thumbnail.body.starts_with(&[0xFF, 0xD8]), "{}", thumbnail.status);
    }
    // Trailing slash, and the other prefix.
    assert_eq!(
        client.get("/studies/", JSON).await.json().as_array().unwrap().len(),
        studies.len()
    );
    let scoped = client.get("/collections/OBIA0001/studies", JSON).await.json();
    assert_eq!(scoped.as_array().unwrap().len(), studies.len());
    assert!(text(&scoped[0], "00081190").contains("/dicom-web/collections/OBIA0001/studies/"));
    assert_eq!(
        client.get("/collections/OBIA0099/studies", JSON).await.json(),
        serde_json::json!([])
    );
}

#[actix_web::test]
async fn searches_are_strict_and_rows_complete() {
    let world = world().await;
    let client = client(&world, Some(&world.token)).await;
    assert_eq!(client.get("/studies", JSON).await.json(), serde_json::json!([]));
    client.store("/studies", &phantoms()).await;
    let count = async |path: &str| client.get(path, "*/*").await.json().as_array().unwrap().len();
    let studies = client
        .get(
            "/studies?includefield=00081030%2C00080060&limit=101&offset=0&fuzzymatching=true",
            JSON,
        )
        .await;
    let rows = studies.json();
    let total = rows.as_array().unwrap().len();
    assert!(total >= 2);
    let study = text(&rows[0], "0020000D");
    assert_eq!(count(&format!("/studies?StudyInstanceUID={study}")).await, 1);
    assert_eq!(count(&format!("/studies?0020000d={study}%2C1.2.3")).await, 1);
    assert_eq!(count("/studies?ModalitiesInStudy=CT").await, 1);
    assert_eq!(count("/studies?PatientName=").await, total);
    assert_eq!(count("/studies?limit=1").await, 1);
    assert_eq!(count("/studies?limit=0").await, 0);
    assert_eq!(count("/studies?offset=1000").await, 0);
    assert_eq!(count("/studies?PatientID=%25").await, 0);
    assert_eq!(
        count(&format!("/studies/{study}/series")).await as u64,
        value(&rows[0], "00201206").as_u64().unwrap()
    );
    assert_eq!(
        count(&format!("/studies/{study}/instances")).await as u64,
        value(&rows[0], "00201208").as_u64().unwrap()
    );
    assert_eq!(count("/studies/1.2.3/series").await, 0);
    let all_series = client.get("/series?Modality=CT", JSON).await.json();
    for tag in ["0020000D", "00100020", "0020000E", "00080060", "00201209", "00081190"] {
        assert!(all_series[0].get(tag).is_some(), "{tag}");
    }
    for bad in [
        "/studies?PatientIDD=1",
        "/studies?limit=abc",
        "/studies?StudyDate=20240230",
        "/studies?Modality=CT",
    ] {
        let answer = client.get(bad, JSON).await;
        assert_eq!(answer.status.as_u16(), 400, "{bad}");
        assert_eq!(answer.header("content-type"), "application/problem+json");
    }
    assert_eq!(client.status("/studies", "application/dicom+xml").await, 406);
    let one = client.get("/instances?limit=1", JSON).await.json();
    for tag in ["00080016", "00080018", "00280010", "00280011", "00080056"] {
        assert!(one[0][tag].get("Value").is_some(), "{tag} in {one}");
    }
    assert!(one[0].get("00280101").is_none());
    // What was not cut for rows comes from the metadata record, and only what is asked for.
    let more = client
        .get("/instances?Modality=CT&includefield=BitsStored,00280102", JSON)
        .await
        .json();
    assert_eq!(more.as_array().unwrap().len(), 3);
    for row in more.as_array().unwrap() {
        let path = format!(
            "/studies/{}/series/{}/instances/{}/metadata",
            text(row, "0020000D"),
            text(row, "0020000E"),
            text(row, "00080018")
        );
        let record = client.get(&path, JSON).await.json();
        for tag in ["00280101", "00280102"] {
            assert!(record[0][tag].get("Value").is_some(), "{tag} in {record}");
            assert_eq!(row[tag], record[0][tag]);
        }
        assert!(row.get("00280103").is_none() && row.get("7FE00010").is_none());
    }
    let all = client.get("/instances?limit=1&includefield=all", JSON).await.json();
    assert!(
        all[0].get("00280103").is_some() && all[0].get("7FE00010").is_none(),
        "{all}"
    );
}

#[actix_web::test]
async fn metadata_frames_and_bulk_data_agree() {
    let world = world().await;
    let client = client(&world, Some(&world.token)).await;
    client.store("/studies", &phantoms()).await;
    let row = client.get("/instances?Modality=CT&limit=1", JSON).await.json()[0].clone();
    let study = format!("/studies/{}", text(&row, "0020000D"));
    let series = format!("{study}/series/{}", text(&row, "0020000E"));
    let instance = format!("{series}/instances/{}", text(&row, "00080018"));

    let metadata = client.get(&format!("{series}/metadata"), JSON).await;
    assert_eq!(metadata.status.as_u16(), 200);
    let records = metadata.json();
    assert_eq!(records.as_array().unwrap().len(), 3);
    let tag = metadata.header("etag").to_owned();
    let held = TestRequest::get()
        .uri(&format!("/dicom-web{series}/metadata"))
        .insert_header(("if-none-match", tag));
    assert_eq!(client.send(held).await.status.as_u16(), 304);
    let own = client.get(&format!("{instance}/metadata"), JSON).await.json();
    assert_eq!(own[0]["00080018"], row["00080018"]);
    let uri = own[0]["7FE00010"]["BulkDataURI"].as_str().unwrap();
    assert_eq!(
        uri,
        format!("http://archive.test/dicom-web{instance}/bulkdata/7FE00010")
    );

    let file = client.get(&instance, "application/dicom").await;
    assert_eq!(file.header("content-type"), "application/dicom");
    let expected = pixels(&file.body);
    assert_eq!(expected.len(), 32 * 32 * 2);
    let bulk = client
        .get(uri.trim_start_matches("http://archive.test/dicom-web"), "*/*")
        .await;
    assert!(bulk.body == expected, "{} bytes", bulk.body.len());
    let frames = client.get(&format!("{instance}/frames/1"), OCTETS).await.parts().await;
    assert_eq!(
        frames,
        [(
            "application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1".to_owned(),
            expected.clone().into()
        )]
    );
    let twice = client.get(&format!("{instance}/frames/1,1"), "*/*").await.parts().await;
    assert_eq!(twice.len(), 2);
    for (path, status) in [
        ("/frames/0", 400),
        ("/frames/x", 400),
        ("/frames/2", 404),
        ("/frames/1%2C2", 404),
        ("/bulkdata/00100010/1/00100010", 404),
        ("/bulkdata/..", 404),
    ] {
        assert_eq!(
            client.status(&format!("{instance}{path}"), "*/*").await,
            status,
            "{path}"
        );
    }
    assert_eq!(client.status(&format!("{instance}/frames/1"), "image/jp2").await, 406);

    let jpeg = client.get(&format!("{instance}/rendered"), "image/*").await;
    assert!(jpeg.body.starts_with(&[0xFF, 0xD8]) && jpeg.header("content-type") == "image/jpeg");
    let png = client
        .get(
            &format!("{instance}/frames/1/rendered?accept=image%2Fpng&viewport=16,16&window=40,400,linear"),
            OCTETS,
        )
        .await;
    assert!(png.body.starts_with(b"\x89PNG"), "{}", png.status);
    assert_eq!(
        client.status(&format!("{instance}/rendered?quality=0"), "*/*").await,
        400
    );
    assert_eq!(client.status(&format!("{instance}/rendered"), "image/gif").await, 406);
    assert_eq!(client.status(&format!("{series}/thumbnail"), "image/png").await, 200);

    let wado = format!(
        "/wado?requestType=WADO&studyUID={}&seriesUID={}&objectUID={}",
        text(&row, "0020000D"),
        text(&row, "0020000E"),
        text(&row, "00080018")
    );
    assert_eq!(client.get(&wado, "*/*").await.header("content-type"), "image/jpeg");
    let object = client
        .get(&format!("{wado}&contentType=application%2Fdicom"), "*/*")
        .await;
    assert!(pixels(&object.body) == expected);
    assert_eq!(client.status("/wado?requestType=WADO", "*/*").await, 400);
}

#[actix_web::test]
async fn what_is_not_visible_is_not_there() {
    let world = world().await;
    let admin = client(&world, Some(&world.token)).await;
    let anonymous = client(&world, None).await;
    admin.store("/studies", &phantoms()).await;
    let rows = admin.get("/instances", JSON).await.json();
    let (first, other) = (&rows[0], rows.as_array().unwrap().last().unwrap());
    let study = format!("/studies/{}", text(first, "0020000D"));
    let instance = format!(
        "{study}/series/{}/instances/{}",
        text(first, "0020000E"),
        text(first, "00080018")
    );
    // Not released: the public sees nothing, and cannot tell it from what never was.
    assert_eq!(anonymous.get("/studies", JSON).await.json(), serde_json::json!([]));
    for path in [
        study.clone(),
        format!("{study}/metadata"),
        instance.clone(),
        format!("{instance}/frames/1"),
        format!("{instance}/rendered"),
        format!("{instance}/bulkdata/7FE00010"),
    ] {
        assert_eq!(anonymous.status(&path, "*/*").await, 404, "{path}");
        assert_eq!(admin.status(&path, "*/*").await, 200, "{path}");
        assert_eq!(
            admin.status(&path.replace(&study, "/studies/1.2.3"), "*/*").await,
            404,
            "{path}"
        );
    }
    // The right instance under the wrong study.
    let wrong = format!(
        "/studies/{}/series/{}/instances/{}",
        text(other, "0020000D"),
        text(first, "0020000E"),
        text(first, "00080018")
    );
    assert_eq!(admin.status(&wrong, "*/*").await, 404);
    assert_eq!(admin.status("/studies/1.2.x", "*/*").await, 400);
    assert_eq!(admin.status("/studies/..%2F..%2Fetc", "*/*").await, 400);
    assert_eq!(anonymous.store("/studies", &phantoms()[..1]).await.status.as_u16(), 401);
    let stale = client(&world, Some("iso_stale")).await;
    assert_eq!(stale.status("/studies", JSON).await, 401);
    let researcher = crate::auth::token::create(&world.archive.db, Role::Researcher, None, "", None, "test")
        .await
        .unwrap();
    let researcher = client(&world, Some(&researcher.secret)).await;
    assert_eq!(researcher.get("/studies", JSON).await.json(), serde_json::json!([]));
}

#[actix_web::test]
async fn the_edges_of_the_protocol_are_answered() {
    let world = world().await;
    let client = client(&world, Some(&world.token)).await;
    let files = phantoms();
    let post = |path: &str, content_type: &str, body: Vec<u8>| {
        TestRequest::post()
            .uri(&format!("/dicom-web{path}"))
            .insert_header(("content-type", content_type))
            .set_payload(body)
    };
    // One object as the whole body.
    let one = client
        .send(post("/studies", "application/dicom", files[0].clone()))
        .await;
    assert_eq!(one.status.as_u16(), 202, "{:?}", one.body);
    let row = client.get("/instances", JSON).await.json()[0].clone();
    let instance = format!(
        "/studies/{}/series/{}/instances/{}",
        text(&row, "0020000D"),
        text(&row, "0020000E"),
        text(&row, "00080018")
    );

    assert_eq!(
        client
            .send(post("/studies", "text/plain", b"x".to_vec()))
            .await
            .status
            .as_u16(),
        415
    );
    assert_eq!(
        client
            .send(post("/studies", RELATED, b"x".to_vec()))
            .await
            .status
            .as_u16(),
        400
    );
    let no_parts = post("/studies", &format!("{RELATED}; boundary=b"), b"nothing".to_vec());
    assert_eq!(client.send(no_parts).await.status.as_u16(), 400);
    // A file that is cut off is a failure with a reason, and stays nowhere.
    let cut = client
        .store("/studies", &[files[1][..files[1].len() / 2].to_vec()])
        .await;
    assert_eq!(cut.status.as_u16(), 409, "{:?}", cut.body);
    assert_eq!(
        *value(&cut.json()["00081198"]["Value"][0], "00081197"),
        Value::from(49152)
    );
    let mixed = client
        .store("/studies", &[files[2].clone(), b"not DICOM".to_vec()])
        .await;
    assert_eq!(mixed.status.as_u16(), 202);
    assert_eq!(mixed.json()["00081198"]["Value"].as_array().unwrap().len(), 1);
    // Another study than the one in the path.
    let bound = client.store("/studies/1.2.3", &files[3..4]).await;
    assert_eq!(bound.status.as_u16(), 409);
    assert_eq!(
        *value(&bound.json()["00081198"]["Value"][0], "00081197"),
        Value::from(43265)
    );

    let delete = TestRequest::with_uri(&format!("/dicom-web{instance}")).method(Method::DELETE);
    let answer = client.send(delete).await;
    assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, "GET, HEAD"));
    let head = TestRequest::with_uri("/dicom-web/studies").method(Method::HEAD);
    assert_eq!(client.send(head).await.status.as_u16(), 200);
    let preflight = |origin: &'static str| {
        TestRequest::with_uri(&format!("/dicom-web{instance}/frames/1"))
            .method(Method::OPTIONS)
            .insert_header(("origin", origin))
            .insert_header(("access-control-request-method", "GET"))
    };
    let answer = client.send(preflight("https://viewer.example")).await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("access-control-allow-origin")),
        (204, "https://viewer.example")
    );
    let answer = client.send(preflight("https://other.example")).await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("access-control-allow-origin")),
        (405, "")
    );
    let called = TestRequest::get()
        .uri("/dicom-web/studies/1.2.3")
        .insert_header(("origin", "https://viewer.example"));
    let answer = client.send(called).await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("access-control-allow-origin")),
        (404, "https://viewer.example")
    );
    let zipped = TestRequest::get()
        .uri(&format!("/dicom-web{instance}/metadata"))
        .insert_header(("accept-encoding", "gzip"));
    assert_eq!(client.send(zipped).await.header("content-encoding"), "gzip");
    assert_eq!(client.status("/nowhere", "*/*").await, 404);
}

#[actix_web::test]
async fn all_syntaxes_of_one_image_give_the_same_native_frame() {
    let root = std::env::var_os("ISOCENTER_TEST_DATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data")),
        PathBuf::from,
    );
    let folder = root.join("dicom/transfer-syntax/mr-small");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        eprintln!("left out: ../shared/data is absent (looked in {})", folder.display());
        return;
    };
    let world = world().await;
    let client = client(&world, Some(&world.token)).await;
    let mut frames = Vec::new();
    for entry in entries {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        // One instance has one content: each of its syntaxes goes to a collection of its own.
        let new = NewCollection {
            title: name.clone(),
            profile: "none".into(),
            release: ReleaseRule::Manual,
            access: Access::Open,
            originals: Originals::None,
            ae_title: None,
            issuer: String::new(),
        };
        let collection: CollectionAccession = world.archive.create_collection(new, "test").await.unwrap();
        let base = format!("/collections/{collection}");
        let stored = client
            .store(&format!("{base}/studies"), &[std::fs::read(&path).unwrap()])
            .await;
        assert!(stored.status.is_success(), "{name}: {:?}", stored.body);
        let row = client.get(&format!("{base}/instances"), JSON).await.json()[0].clone();
        let instance = format!(
            "{base}/studies/{}/series/{}/instances/{}",
            text(&row, "0020000D"),
            text(&row, "0020000E"),
            text(&row, "00080018")
        );
        let native = client.get(&format!("{instance}/frames/1"), OCTETS).await;
        assert_eq!(native.status.as_u16(), 200, "{name}");
        let (content_type, frame) = native.parts().await.remove(0);
        assert_eq!(
            content_type, "application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1",
            "{name}"
        );
        let file = client.get(&instance, RELATED).await.parts().await.remove(0).1;
        assert_eq!(syntax(&file), "1.2.840.10008.1.2.1", "{name}");
        assert!(pixels(&file) == frame, "{name}");
        let picture = client.get(&format!("{instance}/rendered"), "image/png").await;
        assert!(picture.body.starts_with(b"\x89PNG"), "{name}: {}", picture.status);
        let as_stored = client.get(&instance, "*/*").await.parts().await.remove(0).1;
        let left_as = syntax(&as_stored);
        assert!(
            !["1.2.840.10008.1.2", "1.2.840.10008.1.2.2"].contains(&left_as.as_str()),
            "{name} left as {left_as}"
        );
        let ohif = client
            .get(
                &format!("{instance}/frames/1"),
                "multipart/related; type=\"application/octet-stream\"; transfer-syntax=\"*\"",
            )
            .await;
        let (content_type, _) = ohif.parts().await.remove(0);
        assert_eq!(
            content_type,
            format!("application/octet-stream; transfer-syntax={left_as}"),
            "{name}"
        );
        frames.push((name, frame));
    }
    assert!(frames.len() > 5);
    let (first, expected) = frames[0].clone();
    for (name, frame) in frames {
        assert!(frame == expected, "{name} and {first}");
    }
}
