//! Store, STOW-RS, PS3.18 10.5.
//!
//! The body streams: bytes of a part go into an [`InstanceWriter`](isocenter_model::InstanceWriter) as they come, and while one
//! instance waits for the disk the next is being read, so that the instances of one request share a commit group. Nothing is
//! answered before every fate is known and durable. A client that goes away in mid-body loses the part that was open and
//! nothing else; what it sends again is recognised as the same content.
//!
//! Taken: `multipart/related; type="application/dicom"`, and beyond the standard one object as plain `application/dicom`.

use std::collections::VecDeque;
use std::sync::Arc;

use actix_web::http::{StatusCode, header};
use actix_web::{FromRequest as _, HttpRequest, HttpResponse, web};
use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use isocenter_model::arrival::{Form, InstanceUids, Refusal, SentUids};
use isocenter_model::rights::{self, Action, Principal, Role};
use isocenter_model::{Arrival, CollectionAccession, InstanceSink, Outcome, Route, Source};
use isocenter_schema::collections;
use isocenter_schema::record::Lifecycle;
use tokio::task::JoinHandle;

use super::accept::MediaType;
use super::json::Object;
use super::multipart::{self, Reader};
use super::reasons::{self, Item};
use super::{Asked, instance_url};
use crate::archive::Archive;
use crate::http_error::HttpError;

/// Instances of one request whose fate may be open at a time.
const OPEN: usize = 16;
/// Parts of one request. The answer names each, so it must end somewhere.
const MAX_PARTS: usize = 100_000;
/// What is read of a body that is refused, so that the client hears the answer before the connection closes.
const DRAINED: usize = 4 * 1024 * 1024;

/// `POST /studies` and `POST /studies/{study}`.
pub async fn store(request: HttpRequest, mut body: web::Payload) -> Result<HttpResponse, HttpError> {
    let prepared = match prepare(&request).await {
        Ok(prepared) => prepared,
        Err(refused) => {
            drain(&mut body).await;
            return Err(refused);
        }
    };
    let Prepared {
        asked,
        sink,
        arrival,
        container,
    } = prepared;
    let mut intake = Intake {
        sink,
        arrival,
        open: VecDeque::new(),
        items: Vec::new(),
    };
    let ended = match container {
        Container::Single => intake.single(&mut body).await,
        Container::Related(boundary) => intake.related(Reader::new(&mut body, &boundary)).await,
    };
    let items = intake.settle().await;
    if ended.is_err() {
        drain(&mut body).await;
    }
    answer(&asked, &items, ended)
}

/// Reads what a client has in flight already, within reason.
async fn drain(body: &mut web::Payload) {
    let reading = async {
        let mut read = 0;
        while let Some(Ok(piece)) = body.next().await {
            read += piece.len();
            if read > DRAINED {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(std::time::Duration::from_secs(2), reading).await;
}

/// How the request's body holds instances.
enum Container {
    /// One object is the body.
    Single,
    /// Parts, with this boundary.
    Related(String),
}

fn container(request: &HttpRequest) -> Result<Container, HttpError> {
    let unsupported = || {
        HttpError::unsupported_media_type(
            "expected multipart/related; type=\"application/dicom\", or application/dicom",
        )
    };
    if request
        .headers()
        .get(header::CONTENT_ENCODING)
        .is_some_and(|coding| coding != "identity")
    {
        return Err(HttpError::unsupported_media_type(
            "a Content-Encoding of the request is not decoded here",
        ));
    }
    let text = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let media = text.and_then(MediaType::parse).ok_or_else(unsupported)?;
    match media.essence() {
        "application/dicom" => Ok(Container::Single),
        "multipart/related" => {
            // RFC 2387 demands `type`; some leave it out.
            let parts = media.parameter("type").unwrap_or("application/dicom");
            if !parts
                .split(';')
                .next()
                .unwrap_or("")
                .trim()
                .eq_ignore_ascii_case("application/dicom")
            {
                return Err(unsupported());
            }
            let boundary = multipart::boundary(&media).map_err(|error| HttpError::bad_request(error.to_string()))?;
            Ok(Container::Related(boundary.to_owned()))
        }
        _ => Err(unsupported()),
    }
}

/// A request that may send its body.
struct Prepared {
    asked: Asked,
    sink: Arc<dyn InstanceSink>,
    /// What each of its instances arrives as.
    arrival: Arrival,
    container: Container,
}

/// Checks everything that can be refused before the first byte of the body.
async fn prepare(request: &HttpRequest) -> Result<Prepared, HttpError> {
    let asked = Asked::extract(request).await?;
    let archive = web::Data::<Archive>::extract(request)
        .await
        .map_err(|error| HttpError::internal(&error))?;
    let (collection, token) = destination(&asked)?;
    let container = container(request)?;
    asked.json()?;
    if archive.disk.refuses().await {
        return Err(HttpError::no_space());
    }
    let row = collections::get(&archive.db, &collection)
        .await?
        .ok_or_else(HttpError::not_found)?;
    if row.record.lifecycle == Lifecycle::Withdrawn {
        return Err(HttpError::gone());
    }
    // A token may speak for one hospital of several that submit to the collection.
    let issuer = if asked.issuer.is_empty() {
        row.record.issuer
    } else {
        asked.issuer.clone()
    };
    let arrival = Arrival {
        route: Route { collection, issuer },
        source: Source::Stow { token },
        form: Form::Part10,
        bound_to_study: asked.study.clone(),
        size_hint: None,
    };
    Ok(Prepared {
        sink: Arc::clone(&archive.sink),
        asked,
        arrival,
        container,
    })
}

/// Returns the collection that the request submits to, and the token that it shows.
///
/// # Errors
/// 401 without a token, 403 where the token may not, 400 where it leaves the choice open.
fn destination(asked: &Asked) -> Result<(CollectionAccession, String), HttpError> {
    let Principal::Known { id, role, collections } = &asked.principal else {
        return Err(HttpError::unauthorised("storing needs a token"));
    };
    let inbox = || CollectionAccession::numbered(CollectionAccession::DEFAULT_PREFIX, 1);
    let collection = match (&asked.collection, collections) {
        (Some(named), _) => named.clone(),
        (None, None) if *role == Role::Admin => inbox(),
        (None, Some(bound)) if bound.len() == 1 => bound.iter().next().cloned().unwrap_or_else(inbox),
        (None, _) => {
            return Err(HttpError::bad_request(
                "the token leads to no single collection: post to /dicom-web/collections/{accession}/studies",
            ));
        }
    };
    if !rights::may(&asked.principal, Action::Submit, &collection) {
        return Err(HttpError::forbidden("this token may not submit to that collection"));
    }
    Ok((collection, id.clone()))
}

/// Why reading the body ended early.
enum Broken {
    /// It is not what its `Content-Type` says.
    Multipart(multipart::Error),
    /// It has more parts than one answer may name.
    TooMany,
    /// The one object was refused before its end.
    Refused,
}

/// One request's instances on their way in.
struct Intake {
    sink: Arc<dyn InstanceSink>,
    arrival: Arrival,
    /// Fates that are still open, in the order of the request.
    open: VecDeque<JoinHandle<Outcome>>,
    items: Vec<Item>,
}

fn refused(refusal: Refusal) -> Outcome {
    Outcome::Refused {
        sent: SentUids::default(),
        refusal,
        detail: String::new(),
    }
}

impl Intake {
    fn arrival(&self, size_hint: Option<u64>) -> Arrival {
        Arrival {
            size_hint,
            ..self.arrival.clone()
        }
    }

    async fn settle_first(&mut self) {
        if let Some(fate) = self.open.pop_front() {
            // A task that died took its instance with it; the client must not think that it was stored.
            let outcome = fate.await.unwrap_or_else(|_| refused(Refusal::Internal));
            self.items.push(reasons::item(outcome));
        }
    }

    async fn push(&mut self, fate: JoinHandle<Outcome>) {
        self.open.push_back(fate);
        while self.open.len() >= OPEN {
            self.settle_first().await;
        }
    }

    async fn settle(mut self) -> Vec<Item> {
        while !self.open.is_empty() {
            self.settle_first().await;
        }
        self.items
    }

    async fn refuse(&mut self, refusal: Refusal) {
        // In its turn, after what is open.
        self.push(tokio::spawn(std::future::ready(refused(refusal)))).await;
    }

    /// Takes parts until the last delimiter.
    async fn related<S, E>(&mut self, mut reader: Reader<S>) -> Result<(), Broken>
    where
        S: Stream<Item = Result<Bytes, E>> + Unpin,
    {
        loop {
            let headers = match reader.next_part().await {
                Ok(Some(headers)) if reader.parts() <= MAX_PARTS => headers,
                Ok(Some(_)) => {
                    self.refuse(Refusal::TooLarge).await;
                    return Err(Broken::TooMany);
                }
                Ok(None) => return Ok(()),
                Err(error) => {
                    // What came before stands; the answer must not look as if this part had never been there.
                    if reader.parts() > 1 {
                        self.refuse(Refusal::CutOff).await;
                    }
                    return Err(Broken::Multipart(error));
                }
            };
            let declared = headers.content_type.as_deref().and_then(MediaType::parse);
            if declared
                .is_some_and(|media| !matches!(media.essence(), "application/dicom" | "application/octet-stream"))
            {
                self.refuse(Refusal::Unreadable).await;
                continue;
            }
            let mut writer = match self.sink.begin(self.arrival(headers.content_length)).await {
                Ok(writer) => writer,
                Err(refusal) => {
                    self.refuse(refusal).await;
                    continue;
                }
            };
            let mut last_word = None;
            loop {
                match reader.next_chunk().await {
                    Ok(Some(chunk)) => {
                        if let Err(refusal) = writer.write(chunk).await {
                            last_word = Some(refusal);
                            break; // `next_part` reads the rest away
                        }
                    }
                    Ok(None) => break,
                    Err(error) => {
                        drop(writer);
                        self.refuse(Refusal::CutOff).await;
                        return Err(Broken::Multipart(error));
                    }
                }
            }
            match last_word {
                Some(refusal) => self.refuse(refusal).await,
                None => self.push(tokio::spawn(writer.finish())).await,
            }
        }
    }

    /// Takes the whole body as one object.
    async fn single<S, E>(&mut self, body: &mut S) -> Result<(), Broken>
    where
        S: Stream<Item = Result<Bytes, E>> + Unpin,
    {
        let taken = async {
            let mut writer = self.sink.begin(self.arrival(None)).await?;
            while let Some(piece) = body.next().await {
                writer.write(piece.map_err(|_| Refusal::CutOff)?).await?;
            }
            Ok(writer)
        };
        match taken.await {
            Ok(writer) => self.push(tokio::spawn(writer.finish())).await,
            Err(refusal) => {
                self.refuse(refusal).await;
                return Err(Broken::Refused);
            }
        }
        Ok(())
    }
}

/// Returns the answer: the Store Instances Response Module, PS3.18 Annex I.
fn answer(asked: &Asked, items: &[Item], ended: Result<(), Broken>) -> Result<HttpResponse, HttpError> {
    if items.is_empty() {
        return Err(match ended {
            Err(Broken::Multipart(error)) => HttpError::bad_request(error.to_string()),
            Err(Broken::TooMany) => HttpError::too_large("too many parts in one request"),
            Err(Broken::Refused) | Ok(()) => HttpError::bad_request("the request holds no instance"),
        });
    }
    let mut status = reasons::status(items);
    if ended.is_err() && status == StatusCode::OK {
        status = StatusCode::ACCEPTED;
    }
    let mut answer = HttpResponse::build(status);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        answer.insert_header((header::RETRY_AFTER, "30"));
    }
    answer.content_type("application/dicom+json");
    Ok(answer.body(module(asked, items).to_string()))
}

fn module(asked: &Asked, items: &[Item]) -> serde_json::Value {
    // The new URL only for those who may know what the new UIDs are.
    let may_see = destination(asked).is_ok_and(|(collection, _)| {
        asked.visibility.everything_in.contains(&collection) && asked.visibility.within.contains(&collection)
    });
    let url_of = |uids: &InstanceUids| {
        let (study, series) = (uids.study_instance_uid.as_str(), uids.series_instance_uid.as_str());
        instance_url(&asked.base, study, series, uids.sop_instance_uid.as_str())
    };
    let (mut stored, mut failed, mut unnamed) = (Vec::new(), Vec::new(), Vec::new());
    let mut studies = std::collections::BTreeSet::new();
    for item in items {
        let mut entry = Object::new();
        match item {
            Item::Success {
                sent,
                warning,
                archived,
            } => {
                let (class, instance) = reasons::sent_texts(sent);
                entry.text(0x0008_1150, "UI", class);
                entry.text(0x0008_1155, "UI", instance);
                if let Some(uids) = archived.as_ref().filter(|_| may_see) {
                    entry.text(0x0008_1190, "UR", &url_of(uids));
                    studies.insert(uids.study_instance_uid.as_str());
                }
                if let Some(reason) = warning {
                    entry.number(0x0008_1196, "US", u64::from(*reason));
                }
                stored.push(entry);
            }
            Item::Failure { sent, reason, .. } => {
                let (class, instance) = reasons::sent_texts(sent);
                entry.text(0x0008_1150, "UI", class);
                entry.text(0x0008_1155, "UI", instance);
                entry.number(0x0008_1197, "US", u64::from(*reason));
                if instance.is_empty() {
                    let mut other = Object::new();
                    other.number(0x0008_1197, "US", u64::from(*reason));
                    unnamed.push(other);
                }
                failed.push(entry);
            }
        }
    }
    let mut module = Object::new();
    if let (Some(study), 1) = (studies.first(), studies.len()) {
        module.text(0x0008_1190, "UR", &format!("{}/studies/{study}", asked.base));
    }
    // Each only where it has items: an empty one breaks a widespread client.
    for (tag, items) in [(0x0008_1198, failed), (0x0008_1199, stored), (0x0008_119A, unnamed)] {
        if !items.is_empty() {
            module.sequence(tag, items);
        }
    }
    module.sorted()
}

#[cfg(test)]
mod tests;
