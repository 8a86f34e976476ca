//! The services as a client meets them: a whole archive in a temporary folder, filled through STOW-RS with the demo's studies.
//! Here is the client; the stories are in a file each subject.

mod controlled;
mod crowd;
mod qido;
mod stow;
mod visible;
mod wado;
mod withdrawn;

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
