//! `GET /api/v1/images/{accession}/similar?k=`: the images whose codes are nearest, among those the caller may see.
//!
//! Rights are exact by the choice of indexes: only the indexes of collections that the caller may see anything of are
//! searched, and what they answer is filtered once more by the caller's visibility. The answer comes out of Faiss; the
//! database says what the ids mean. An image that the caller may not see is as unknown as one that never was.

use std::collections::HashMap;

use actix_web::{HttpResponse, web};
use isocenter_model::ImageAccession;
use isocenter_model::rights::visibility;
use isocenter_retrieval::{Code64, MAX_HITS};
use isocenter_schema::{codes, retrieve};
use serde::{Deserialize, Serialize};

use crate::archive::Archive;
use crate::auth::Caller;
use crate::http_error::HttpError;
use crate::jobs::hash_images::MODEL;
use crate::links::PublicRoot;
use crate::reading::readable;

/// The most that one answer holds.
const MOST: usize = 1000;

/// Adds the route.
pub fn configure(app: &mut web::ServiceConfig) {
    app.service(readable("/images/{accession}/similar", similar));
}

/// What may be asked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// How many images; 20 where nothing is asked.
    k: Option<usize>,
}

/// One similar image.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Similar {
    /// Its accession.
    accession: String,
    /// The collection that holds it.
    collection: String,
    /// Bits in which the two codes differ, 0 to 64.
    distance: u32,
    /// Where it can be read.
    retrieve_url: String,
}

/// The nearest images, nearest first.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Answer {
    /// The image that was asked about.
    accession: String,
    /// The model that made the codes.
    model: &'static str,
    /// The nearest images; equal distances in the order of their accessions.
    images: Vec<Similar>,
}

/// Finds the images that look most like one that the archive holds.
#[utoipa::path(get, path = "/api/v1/images/{accession}/similar",
    params(("accession" = String, Path, description = "Accession of an image"),
        ("k" = Option<usize>, Query, description = "How many, 1 to 1000; 20 where nothing is asked")),
    responses((status = 200, body = Answer),
        (status = 404, description = "No such image that the caller may see, or one without a code (yet, or blank)")))]
pub async fn similar(
    path: web::Path<String>,
    asked: web::Query<Asked>,
    caller: Caller,
    root: PublicRoot,
    archive: web::Data<Archive>,
) -> Result<HttpResponse, HttpError> {
    let k = asked.k.unwrap_or(20);
    if k == 0 || k > MOST {
        return Err(HttpError::bad_request(format!("k: expected 1 to {MOST}")));
    }
    let accession = ImageAccession::parse(&path).map_err(|_| HttpError::not_found())?;
    let sees = visibility(&caller.principal);
    let image = retrieve::by_accession(&archive.db, &sees, &accession)
        .await?
        .ok_or_else(HttpError::not_found)?;
    let code = codes::of_image(&archive.db, image.id, MODEL)
        .await?
        .ok_or_else(HttpError::not_found)?;
    let collections = isocenter_schema::collections::visible_ids(&archive.db, &sees).await?;
    let indexes = std::sync::Arc::clone(&archive.indexes);
    // Hidden images of a visible collection (pending ones, for the public) may stand among the nearest: ask for more
    // until enough are left, or everything was seen.
    let mut wanted = k.saturating_add(1);
    loop {
        wanted = wanted.min(MAX_HITS);
        let (indexes, collections) = (std::sync::Arc::clone(&indexes), collections.clone());
        let search = web::block(move || indexes.search(&collections, MODEL, Code64(code), wanted));
        let hits = search
            .await
            .map_err(|error| HttpError::internal(&error))?
            .map_err(HttpError::from)?;
        let seen_all = hits.len() < wanted || wanted == MAX_HITS;
        let ids: Vec<i64> = hits.iter().map(|hit| hit.id).filter(|id| *id != image.id).collect();
        let entries = retrieve::by_ids(&archive.db, &sees, &ids).await?;
        if entries.len() >= k || seen_all {
            let by_id: HashMap<i64, _> = entries.into_iter().map(|entry| (entry.id, entry)).collect();
            let images = hits.iter().filter_map(|hit| Some((hit, by_id.get(&hit.id)?))).take(k);
            let images = images.map(|(hit, entry)| Similar {
                accession: entry.accession.as_str().to_owned(),
                collection: entry.collection.as_str().to_owned(),
                distance: hit.distance,
                retrieve_url: format!(
                    "{}/studies/{}/series/{}/instances/{}",
                    root.dicom_web(),
                    entry.study_instance_uid,
                    entry.series_instance_uid,
                    entry.sop_instance_uid
                ),
            });
            let answer = Answer {
                accession: accession.as_str().to_owned(),
                model: MODEL,
                images: images.collect(),
            };
            return Ok(HttpResponse::Ok().json(answer));
        }
        wanted = wanted.saturating_mul(4);
    }
}
