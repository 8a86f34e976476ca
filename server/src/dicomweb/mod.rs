//! DICOMweb, PS3.18: store, search and retrieve over HTTP.
//!
//! | file | holds |
//! | --- | --- |
//! | [`stow`], [`reasons`] | STOW-RS, and the table from outcome to reason and status |
//! | [`qido`], [`rows`] | QIDO-RS: URL to query, rows to DICOM JSON |
//! | [`wado`] | WADO-RS: instances, metadata, frames |
//! | [`rendered`] | pictures: `/rendered`, `/thumbnail` |
//! | [`bulkdata`] | what metadata points to |
//! | [`wado_uri`] | the older WADO-URI |
//! | [`accept`] | which representation a client gets |
//! | [`multipart`], [`json`], [`answer`], [`object`] | bodies, in and out |
//!
//! The same routes stand twice: at `/dicom-web`, where the caller sees all that it may see, and at
//! `/dicom-web/collections/{accession}`, narrowed to one collection. A handler does four things: takes typed input ([`Asked`]),
//! asks whether this caller may, calls one function, shapes the answer. What a caller may see is a
//! [`Visibility`](isocenter_model::rights::Visibility) that schema turns into SQL; nothing is filtered here, and what is not
//! visible is 404, as if it were not there.

pub mod accept;
pub mod answer;
pub mod bulkdata;
pub mod json;
pub mod multipart;
pub mod object;
pub mod qido;
pub mod reasons;
pub mod rendered;
pub mod rows;
pub mod stow;
pub mod wado;
pub mod wado_uri;

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::{HttpServiceFactory, Payload};
use actix_web::http::header;
use actix_web::middleware::{Compress, from_fn};
use actix_web::{FromRequest, HttpRequest, HttpResponse, web};
use isocenter_model::rights::{self, Principal, Visibility};
use isocenter_model::uid::UidError;
use isocenter_model::{CollectionAccession, Level, SeriesInstanceUid, SopInstanceUid, StudyInstanceUid};
use isocenter_schema::record::Lifecycle;
use isocenter_schema::{collections, retrieve};

use crate::archive::Archive;
use crate::audit::Reader;
use crate::auth::Caller;
use crate::cors;
use crate::http_error::HttpError;
use crate::links::PublicRoot;
use crate::reading::{not_allowed, readable};
use accept::Accept;

/// A request with its credentials checked and its path parsed.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Who asks.
    pub principal: Principal,
    /// Issuer of the patient IDs that it sends; empty where its token names none.
    pub issuer: String,
    /// What it may see, within the collection of the path where there is one.
    pub visibility: Visibility,
    /// The collection of the path.
    pub collection: Option<CollectionAccession>,
    /// Base of all links, without a slash at the end.
    pub base: String,
    /// What it accepts.
    pub accept: Accept,
    /// The raw query string.
    pub query: String,
    /// The study of the path.
    pub study: Option<StudyInstanceUid>,
    /// The series of the path.
    pub series: Option<SeriesInstanceUid>,
    /// The instance of the path.
    pub instance: Option<SopInstanceUid>,
    /// Validators that the client holds, `If-None-Match`.
    pub if_none_match: Option<String>,
    /// `Range`, where the client asks for a part.
    pub range: Option<String>,
}

fn uid<T>(request: &HttpRequest, name: &str, parse: fn(&str) -> Result<T, UidError>) -> Result<Option<T>, HttpError> {
    let bad = |error: UidError| HttpError::bad_request(format!("{name} in the path: {error}"));
    request.match_info().get(name).map(parse).transpose().map_err(bad)
}

fn text(request: &HttpRequest, name: header::HeaderName) -> Option<String> {
    // A list may be spread over several lines of the header.
    let lines: Vec<&str> = request
        .headers()
        .get_all(name)
        .filter_map(|value| value.to_str().ok())
        .collect();
    (!lines.is_empty()).then(|| lines.join(","))
}

impl Asked {
    fn of(request: &HttpRequest, caller: Caller, root: &PublicRoot) -> Result<Self, HttpError> {
        let Caller { principal, issuer } = caller;
        let collection = match request.match_info().get("collection") {
            None => None,
            // What cannot be an accession is no collection.
            Some(text) => Some(CollectionAccession::parse(text).map_err(|_| HttpError::not_found())?),
        };
        let mut visibility = rights::visibility(&principal);
        if let Some(accession) = &collection {
            visibility = visibility.within(accession.clone());
        }
        let parameter = qido::accept_parameter(request.query_string());
        Ok(Self {
            principal,
            issuer,
            visibility,
            collection,
            base: root.dicom_web(),
            accept: Accept::of(parameter.as_deref(), text(request, header::ACCEPT).as_deref()),
            query: request.query_string().to_owned(),
            study: uid(request, "study", StudyInstanceUid::parse)?,
            series: uid(request, "series", SeriesInstanceUid::parse)?,
            instance: uid(request, "instance", SopInstanceUid::parse)?,
            if_none_match: text(request, header::IF_NONE_MATCH),
            range: text(request, header::RANGE),
        })
    }

    /// Returns who reads, for the audit trail.
    pub fn reader(&self) -> Reader {
        Reader::new(&self.principal, &self.visibility)
    }

    /// Returns what the path names.
    pub fn path(&self) -> retrieve::Path {
        retrieve::Path {
            study: self.study.clone(),
            series: self.series.clone(),
            instance: self.instance.clone(),
        }
    }

    /// Fails with 406 unless DICOM JSON is accepted.
    ///
    /// # Errors
    /// 406.
    pub fn json(&self) -> Result<(), HttpError> {
        if self.accept.takes_json() {
            Ok(())
        } else {
            Err(HttpError::not_acceptable(
                "this resource is given as application/dicom+json",
            ))
        }
    }
}

impl FromRequest for Asked {
    type Error = HttpError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, HttpError>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let caller = Caller::extract(&request).await?;
            let root = PublicRoot::extract(&request).await?;
            let asked = Self::of(&request, caller, &root)?;
            if let Some(accession) = &asked.collection {
                let archive = web::Data::<Archive>::extract(&request).await;
                let archive = archive.map_err(|error| HttpError::internal(&error))?;
                let row = collections::get(&archive.db, accession).await?;
                let withdrawn = row.filter(|row| row.record.lifecycle == Lifecycle::Withdrawn);
                // Who decides over it still sees what it was; of what was never public nobody else learns that it was there.
                if let Some(row) = withdrawn
                    && !asked.visibility.everything_in.contains(accession)
                    && collections::was_public(&archive.db, row.id).await?
                {
                    return Err(HttpError::gone());
                }
            }
            Ok(asked)
        })
    }
}

/// Returns the URL of an instance below the base of a request.
pub fn instance_url(base: &str, study: &str, series: &str, instance: &str) -> String {
    format!("{base}/studies/{study}/series/{series}/instances/{instance}")
}

fn search(path: &str, level: Level) -> impl HttpServiceFactory + use<> {
    readable(path, move |asked, archive| qido::find(level, asked, archive)).wrap(Compress::default())
}

fn metadata(path: &str) -> impl HttpServiceFactory + use<> {
    // JSON only: frames of compressed syntaxes gain nothing by being compressed again.
    readable(path, wado::metadata).wrap(Compress::default())
}

fn routes(app: &mut web::ServiceConfig) {
    const STUDY: &str = "/studies/{study}";
    const SERIES: &str = "/studies/{study}/series/{series}";
    const INSTANCE: &str = "/studies/{study}/series/{series}/instances/{instance}";
    app.service(
        web::resource("/studies")
            .route(web::get().to(|asked, archive| qido::find(Level::Study, asked, archive)))
            .route(web::head().to(|asked, archive| qido::find(Level::Study, asked, archive)))
            .route(web::post().to(stow::store))
            .default_service(web::to(|| async { not_allowed("GET, HEAD, POST") }))
            .wrap(Compress::default()),
    )
    .service(
        web::resource(STUDY)
            .route(web::get().to(wado::instances))
            .route(web::head().to(wado::instances))
            .route(web::post().to(stow::store))
            .default_service(web::to(|| async { not_allowed("GET, HEAD, POST") })),
    )
    .service(search("/series", Level::Series))
    .service(search("/instances", Level::Instance))
    .service(search(&format!("{STUDY}/series"), Level::Series))
    .service(search(&format!("{STUDY}/instances"), Level::Instance))
    .service(search(&format!("{SERIES}/instances"), Level::Instance))
    .service(readable(SERIES, wado::instances))
    .service(readable(INSTANCE, wado::instances));
    for whole in [STUDY, SERIES, INSTANCE] {
        app.service(metadata(&format!("{whole}/metadata")))
            .service(readable(&format!("{whole}/rendered"), rendered::rendered))
            .service(readable(&format!("{whole}/thumbnail"), rendered::thumbnail));
    }
    let frames = format!("{INSTANCE}/frames/{{frames}}");
    app.service(readable(&frames, wado::frames))
        .service(readable(&format!("{frames}/rendered"), rendered::rendered))
        .service(readable(&format!("{frames}/thumbnail"), rendered::thumbnail))
        .service(readable(&format!("{INSTANCE}/pixeldata"), bulkdata::pixel_data))
        .service(readable(
            &format!("{INSTANCE}/bulkdata/{{path:.*}}"),
            bulkdata::bulk_data,
        ))
        .service(readable("/wado", wado_uri::retrieve))
        .default_service(web::to(|| async { Err::<HttpResponse, _>(HttpError::not_found()) }));
}

/// Adds the DICOMweb services to the scope `/dicom-web`.
pub fn configure(app: &mut web::ServiceConfig) {
    let services = web::scope("")
        .wrap(from_fn(cors::cors))
        .service(web::scope("/collections/{collection}").configure(routes))
        .configure(routes);
    app.service(services);
}

#[cfg(test)]
mod tests;
