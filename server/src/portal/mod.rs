//! The pages, and the counts behind them.
//!
//! Rendered on the server, usable without JavaScript, and with no word of what the caller may not see: counts and studies come
//! from the same visibility as every other answer. A page is a pure function from a small model to markup ([`home`],
//! [`missing`]); the handlers here only fill the model.

pub mod frame;
pub mod home;
pub mod login;
pub mod missing;
pub mod words;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};
use isocenter_model::Level;
use isocenter_model::query::Query;
use isocenter_model::rights;
use isocenter_schema::{search, stats};
use serde::Serialize;
use utoipa::ToSchema;

use crate::archive::Archive;
use crate::auth::Caller;
use crate::http_error::HttpError;
use crate::links::PublicRoot;
use crate::reading::readable;
use frame::Place;
use home::{Counts, Doors, Home, Recent};
use words::Language;

/// Studies on the first page.
const RECENT: u64 = 12;

static STYLE: &str = include_str!("assets/site.css");
static MARK: &str = include_str!("assets/mark.svg");

/// Adds the pages and their assets, and the page for everything that is not there.
pub fn configure(app: &mut web::ServiceConfig) {
    app.service(readable("/", first_page))
        .service(readable("/assets/site.css", || asset("text/css; charset=utf-8", STYLE)))
        .service(readable("/assets/mark.svg", || asset("image/svg+xml", MARK)))
        .configure(login::configure)
        .default_service(web::to(not_found));
}

/// Adds the interface of the counts to the scope `/api/v1`.
pub fn configure_api(app: &mut web::ServiceConfig) {
    app.service(readable("/stats/summary", summary));
}

async fn asset(content_type: &'static str, text: &'static str) -> HttpResponse {
    HttpResponse::Ok()
        .content_type(content_type)
        .insert_header((header::CACHE_CONTROL, "public, max-age=3600"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .body(text)
}

fn place(request: &HttpRequest, root: &PublicRoot, caller: &Caller) -> Place {
    let parameter = url::form_urlencoded::parse(request.query_string().as_bytes())
        .find(|(name, _)| name == "lang")
        .map(|(_, value)| value.into_owned());
    let accepted = request
        .headers()
        .get(header::ACCEPT_LANGUAGE)
        .and_then(|value| value.to_str().ok());
    Place {
        prefix: Place::prefix_of(root.root()),
        language: Language::of(parameter.as_deref(), accepted),
        logged_in: caller.is_known(),
    }
}

async fn first_page(
    request: HttpRequest,
    caller: Caller,
    root: PublicRoot,
    archive: web::Data<Archive>,
) -> Result<HttpResponse, HttpError> {
    let place = place(&request, &root, &caller);
    let home = Home {
        doors: doors(&archive, &root),
        ..look(&archive, &caller).await?
    };
    Ok(frame::answer(StatusCode::OK, home::home(&place, &home)))
}

/// Returns how to send and read, as this caller would type it.
fn doors(archive: &Archive, root: &PublicRoot) -> Doors {
    let dimse = archive.settings.dimse;
    let public_host = url::Url::parse(root.root())
        .ok()
        .and_then(|url| url.host_str().map(str::to_owned));
    // The address that DIMSE listens on, unless it is every address or this machine only: then the caller's name for it.
    let own = dimse.ip();
    let named = if own.is_unspecified() || own.is_loopback() {
        public_host
    } else {
        None
    };
    Doors {
        ae_title: archive.settings.ae_title.as_str().to_owned(),
        host: named.unwrap_or_else(|| own.to_string()),
        port: dimse.port(),
        dicom_web: format!("{}/dicom-web", root.root()),
    }
}

async fn look(archive: &Archive, caller: &Caller) -> Result<Home, HttpError> {
    let visibility = rights::visibility(&caller.principal);
    let totals = stats::totals(&archive.db, &visibility).await?;
    let mut modalities = stats::by_modality(&archive.db, &visibility).await?;
    // A chart is sorted by size unless its scale has an order.
    modalities.sort_by_key(|one| std::cmp::Reverse(one.series));
    let query = Query {
        limit: Some(RECENT),
        ..Query::all(Level::Study)
    };
    let page = search::find(&archive.db, &query, &visibility).await?;
    let recent = page.rows.into_iter().filter_map(|row| row.study).map(|study| Recent {
        study_instance_uid: study.study_instance_uid.to_string(),
        accession: study.accession.to_string(),
        collection: study.collection.to_string(),
        description: study.study_description.clone(),
        modalities: study.modalities.clone(),
        date: study.study_date.clone(),
        series: study.series,
        images: study.images,
    });
    Ok(Home {
        counts: Counts {
            individuals: totals.individuals,
            studies: totals.studies,
            series: totals.series,
            images: totals.images,
            modalities: modalities.len() as u64,
        },
        recent: recent.collect(),
        modalities: modalities
            .into_iter()
            .map(|one| (one.modality, u64::try_from(one.series).unwrap_or(0)))
            .collect(),
        doors: Doors::default(),
    })
}

/// How much the caller may see.
#[derive(Debug, Serialize, ToSchema)]
pub struct Summary {
    /// Individuals.
    individuals: u64,
    /// Studies.
    studies: u64,
    /// Series.
    series: u64,
    /// Images.
    images: u64,
    /// The same by modality.
    modalities: Vec<ModalityCount>,
}

/// How much of one modality the caller may see.
#[derive(Debug, Serialize, ToSchema)]
pub struct ModalityCount {
    /// Modality; empty where a series has none.
    modality: String,
    /// Series.
    series: u64,
    /// Images.
    images: u64,
}

/// Counts of what the caller may see; without a token that is released, open data.
///
/// # Errors
/// 401 for a bad token, 503 where the database does not answer.
#[utoipa::path(get, path = "/api/v1/stats/summary", responses(
    (status = 200, description = "Counts of what the caller may see", body = Summary),
    (status = 401, description = "The token is not valid"),
))]
pub async fn summary(caller: Caller, archive: web::Data<Archive>) -> Result<HttpResponse, HttpError> {
    let visibility = rights::visibility(&caller.principal);
    let totals = stats::totals(&archive.db, &visibility).await?;
    let count = |number: i64| u64::try_from(number).unwrap_or(0);
    let modalities = stats::by_modality(&archive.db, &visibility).await?.into_iter();
    Ok(HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "private, no-cache"))
        .json(Summary {
            individuals: totals.individuals,
            studies: totals.studies,
            series: totals.series,
            images: totals.images,
            modalities: modalities
                .map(|one| ModalityCount {
                    series: count(one.series),
                    images: count(one.images),
                    modality: one.modality,
                })
                .collect(),
        }))
}

/// Everything that is not there: a page for people, a problem for programs.
async fn not_found(
    request: HttpRequest,
    caller: Result<Caller, HttpError>,
    root: PublicRoot,
) -> Result<HttpResponse, HttpError> {
    let accepts = request
        .headers()
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("");
    if !accepts.contains("text/html") {
        return Err(HttpError::not_found());
    }
    let place = place(&request, &root, &caller?);
    let page = missing::missing(&place, request.path());
    Ok(frame::answer(StatusCode::NOT_FOUND, page))
}
