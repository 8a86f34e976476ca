//! Retrieve, WADO-RS, PS3.18 10.4: instances, metadata, frames.
//!
//! Every answer begins with one query: the images that the path names and the caller may see, in the order of series and
//! instance numbers, each with its blob reference and frame map. None is 404, whatever the reason. Then bytes stream: one object
//! in memory at a time, frames by their ranges only, metadata as records that lie ready-made.

use std::collections::BTreeSet;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use bytes::Bytes;
use futures::TryStreamExt as _;
use isocenter_imaging::FrameMap;
use isocenter_model::TransferSyntaxUid;
use isocenter_schema::retrieve::{self, ImageEntry, MetadataRow};
use sha2::{Digest as _, Sha256};

use super::accept::{self, FrameForm, InstanceForm, Packaging, Wanted};
use super::answer::{self, Outgoing, Parts, Stop};
use super::{Asked, instance_url, json, object};
use crate::archive::Archive;
use crate::audit::{Part, Reader};
use crate::cpu::Queue;
use crate::http_error::HttpError;

/// Frames that one request may name.
const MAX_FRAMES: usize = 10_000;

/// Returns the URL of an image for this caller.
pub fn url(asked: &Asked, image: &ImageEntry) -> String {
    instance_url(
        &asked.base,
        image.study_instance_uid.as_str(),
        image.series_instance_uid.as_str(),
        image.sop_instance_uid.as_str(),
    )
}

/// Returns the one image that the path names, to be read.
///
/// # Errors
/// 404 where there is none that the caller may see.
pub async fn one(asked: &Asked, archive: &Archive) -> Result<ImageEntry, HttpError> {
    let (Some(study), Some(series), Some(instance)) = (&asked.study, &asked.series, &asked.instance) else {
        return Err(HttpError::not_found());
    };
    let found = retrieve::instance(&archive.db, &asked.visibility, study, series, instance).await?;
    let image = found.ok_or_else(HttpError::not_found)?;
    note(&mut asked.reader(), archive, std::slice::from_ref(&image)).await?;
    Ok(image)
}

/// Writes down that images are read, where that has to be.
///
/// # Errors
/// When it cannot be written down.
pub async fn note(reader: &mut Reader, archive: &Archive, images: &[ImageEntry]) -> Result<(), HttpError> {
    fn part(image: &ImageEntry) -> Part<'_> {
        Part {
            collection: &image.collection,
            study: &image.study_instance_uid,
            series: &image.series_instance_uid,
        }
    }
    reader.reads(archive, images.iter().map(part)).await
}

/// Returns the number of frames of an image; 0 where it has no pixels.
pub fn frame_count(image: &ImageEntry) -> u32 {
    object::frame_map(image).map_or(0, |map| map.frame_count())
}

/// Parses a frame list, `1,3,2`.
///
/// # Errors
/// 400 where it holds anything but integers from 1, or too many.
pub fn frame_numbers(text: &str) -> Result<Vec<u32>, HttpError> {
    let numbers: Option<Vec<u32>> = text
        .split(',')
        .map(|number| number.trim())
        .map(|number| {
            number
                .bytes()
                .all(|b| b.is_ascii_digit())
                .then(|| number.parse().ok())
                .flatten()
        })
        .map(|number| number.filter(|number| *number > 0))
        .collect();
    match numbers {
        Some(numbers) if numbers.len() <= MAX_FRAMES => Ok(numbers),
        _ => Err(HttpError::bad_request(
            "frames in the path: expected integers from 1, separated by commas",
        )),
    }
}

/// `GET /studies/{study}`, `…/series/{series}`, `…/instances/{instance}`
pub async fn instances(asked: Asked, archive: web::Data<Archive>) -> Result<HttpResponse, HttpError> {
    let mut batches = Box::pin(retrieve::stream_of(&archive.db, &asked.visibility, &asked.path()).await?);
    let first = batches.try_next().await?.ok_or_else(HttpError::not_found)?;
    let syntaxes = syntaxes(&asked, &archive, &first).await?;
    let chosen = asked
        .accept
        .choose(asked.instance.is_some(), Packaging::Multipart, |wanted| {
            syntaxes
                .iter()
                .all(|syntax| form_of(wanted, syntax).is_some())
                .then(|| wanted.clone())
        });
    let Some((packaging, wanted)) = chosen else {
        return Err(HttpError::not_acceptable(
            "instances are given as application/dicom, as stored or in Explicit VR Little Endian",
        ));
    };
    let mut answer = HttpResponse::Ok();
    let mut reader = asked.reader();
    answer.insert_header((header::VARY, "Accept, Authorization"));
    answer.insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"));
    if packaging == Packaging::Single {
        answer.content_type("application/dicom");
        return answer::streamed(answer, move |mut out| async move {
            for image in first.iter().take(1) {
                note(&mut reader, &archive, std::slice::from_ref(image)).await?;
                write_instance(&archive, image, form(&wanted, image)?, &mut out).await?;
            }
            Ok(out)
        })
        .await;
    }
    let boundary = answer::boundary()?;
    answer.content_type(boundary.content_type("application/dicom"));
    answer::streamed(answer, move |out| async move {
        let mut parts = Parts::new(out, boundary);
        let mut batch = Some(first);
        while let Some(images) = batch {
            note(&mut reader, &archive, &images).await?;
            for image in &images {
                let form = form(&wanted, image)?;
                let syntax = match form {
                    InstanceForm::AsStored => image.transfer_syntax_uid.as_str(),
                    _ => isocenter_model::uid::transfer_syntax::EXPLICIT_VR_LITTLE_ENDIAN,
                };
                let content_type = format!("application/dicom; transfer-syntax={syntax}");
                let out = parts.part(&content_type, Some(&url(&asked, image))).await?;
                write_instance(&archive, image, form, out).await?;
            }
            batch = batches.try_next().await?;
        }
        parts.finish().await
    })
    .await
}

fn form_of(wanted: &Wanted, syntax: &TransferSyntaxUid) -> Option<InstanceForm> {
    accept::instance_form(wanted, syntax, isocenter_imaging::can_decode(syntax))
}

/// Returns the form of one instance; all syntaxes were looked at before, unless one arrived since.
fn form(wanted: &Wanted, image: &ImageEntry) -> Result<InstanceForm, HttpError> {
    form_of(wanted, &image.transfer_syntax_uid)
        .ok_or_else(|| HttpError::not_acceptable("an instance arrived that cannot be given so"))
}

/// Returns the stored syntaxes of what the path names. Only where the client asks for a certain syntax can an instance fail to
/// meet it; only then are all looked at, without being kept.
async fn syntaxes(
    asked: &Asked,
    archive: &Archive,
    first: &[ImageEntry],
) -> Result<BTreeSet<TransferSyntaxUid>, HttpError> {
    let mut syntaxes: BTreeSet<_> = first.iter().map(|image| image.transfer_syntax_uid.clone()).collect();
    if asked.instance.is_none() && asked.accept.names_a_syntax() {
        let mut batches = Box::pin(retrieve::stream_of(&archive.db, &asked.visibility, &asked.path()).await?);
        while let Some(images) = batches.try_next().await? {
            syntaxes.extend(images.into_iter().map(|image| image.transfer_syntax_uid));
        }
    }
    Ok(syntaxes)
}

async fn write_instance(
    archive: &Archive,
    image: &ImageEntry,
    form: InstanceForm,
    out: &mut Outgoing,
) -> Result<(), Stop> {
    match form {
        InstanceForm::Rewritten => object::rewritten(archive, image, out).await,
        InstanceForm::Decompressed if frame_count(image) > 0 => object::decompressed(archive, image, out).await,
        _ => object::as_stored(archive, image, out).await,
    }
}

fn part(row: &MetadataRow) -> Part<'_> {
    Part {
        collection: &row.collection,
        study: &row.study_instance_uid,
        series: &row.series_instance_uid,
    }
}

/// `GET …/metadata`
pub async fn metadata(asked: Asked, archive: web::Data<Archive>) -> Result<HttpResponse, HttpError> {
    asked.json()?;
    let ids = retrieve::ids_of(&archive.db, &asked.visibility, &asked.path()).await?;
    if ids.is_empty() {
        return Err(HttpError::not_found());
    }
    let tag = entity_tag(&asked.base, &ids);
    let not_modified = asked.if_none_match.as_deref().is_some_and(|held| holds(held, &tag));
    let mut answer = if not_modified {
        HttpResponse::NotModified()
    } else {
        HttpResponse::Ok()
    };
    answer.insert_header((header::ETAG, tag));
    answer.insert_header((header::CACHE_CONTROL, "private, no-cache"));
    answer.insert_header((header::VARY, "Accept, Authorization"));
    if not_modified {
        return Ok(answer.finish());
    }
    answer.content_type("application/dicom+json");
    answer::streamed(answer, move |mut out| async move {
        let path = asked.path();
        let mut batches = Box::pin(retrieve::metadata_of(&archive.db, &asked.visibility, &path).await?);
        let mut lead = "[";
        let mut reader = asked.reader();
        while let Some(rows) = batches.try_next().await? {
            reader.reads(&archive, rows.iter().map(part)).await?;
            for row in rows {
                let (study, series) = (row.study_instance_uid.as_str(), row.series_instance_uid.as_str());
                let url = instance_url(&asked.base, study, series, row.sop_instance_uid.as_str());
                let record = json::splice(&row.record, &url).map_err(|error| HttpError::internal(&error))?;
                out.write(Bytes::from_static(lead.as_bytes())).await?;
                out.write(record.into()).await?;
                lead = ",";
            }
        }
        out.write(Bytes::from_static(if lead == "[" { b"[]" } else { b"]" }))
            .await?;
        Ok(out)
    })
    .await
}

/// Returns a validator: weak, because the body may be compressed on its way. The record of a row never changes, so the rows
/// and the base of the links say everything.
fn entity_tag(base: &str, ids: &[i64]) -> String {
    let mut digest = Sha256::new();
    digest.update(base.as_bytes());
    for id in ids {
        digest.update(id.to_be_bytes());
    }
    let digest = digest.finalize();
    format!("W/\"{}\"", hex::encode(digest.get(..16).unwrap_or_default()))
}

/// Returns whether an `If-None-Match` names a validator; the weak comparison of RFC 9110 13.1.2.
fn holds(if_none_match: &str, tag: &str) -> bool {
    let opaque = |text: &str| text.trim().trim_start_matches("W/").to_owned();
    if_none_match.trim() == "*" || if_none_match.split(',').any(|held| opaque(held) == opaque(tag))
}

/// `GET …/frames/{frames}`
pub async fn frames(
    request: HttpRequest,
    asked: Asked,
    archive: web::Data<Archive>,
) -> Result<HttpResponse, HttpError> {
    let numbers = frame_numbers(request.match_info().get("frames").unwrap_or(""))?;
    let image = one(&asked, &archive).await?;
    let count = frame_count(&image);
    if numbers.iter().any(|number| *number > count) {
        return Err(HttpError::not_found());
    }
    send_frames(&asked, archive, image, numbers).await
}

/// Answers with frames of one image.
///
/// # Errors
/// 406 where no accepted form can be given.
pub async fn send_frames(
    asked: &Asked,
    archive: web::Data<Archive>,
    image: ImageEntry,
    numbers: Vec<u32>,
) -> Result<HttpResponse, HttpError> {
    let decodable = isocenter_imaging::can_decode(&image.transfer_syntax_uid);
    let chosen = asked.accept.choose(numbers.len() == 1, Packaging::Multipart, |wanted| {
        accept::frame_form(wanted, &image.transfer_syntax_uid, decodable)
    });
    let Some((packaging, form)) = chosen else {
        return Err(HttpError::not_acceptable(
            "these frames are given as stored, or as application/octet-stream",
        ));
    };
    let mut answer = HttpResponse::Ok();
    answer.insert_header((header::VARY, "Accept, Authorization"));
    answer.insert_header((header::CACHE_CONTROL, "private, max-age=300"));
    let content_type = format!("{}; transfer-syntax={}", form.media, form.syntax);
    let map = object::frame_map(&image)?;
    if let ([number], Packaging::Single) = (numbers.as_slice(), packaging) {
        answer.content_type(content_type);
        return send_frame(archive, image, map, *number, form, answer).await;
    }
    let boundary = answer::boundary()?;
    answer.content_type(boundary.content_type(&form.media));
    let base = url(asked, &image);
    answer::streamed(answer, move |out| async move {
        let mut parts = Parts::new(out, boundary);
        for number in numbers {
            let location = format!("{base}/frames/{number}");
            let out = parts.part(&content_type, Some(&location)).await?;
            write_frame(&archive, &image, &map, number, &form, out).await?;
        }
        parts.finish().await
    })
    .await
}

/// Answers with one frame that is the body; its length is said where it is known before the frame is read.
async fn send_frame(
    archive: web::Data<Archive>,
    image: ImageEntry,
    map: FrameMap,
    number: u32,
    form: FrameForm,
    mut answer: HttpResponseBuilder,
) -> Result<HttpResponse, HttpError> {
    if form.decode {
        if map
            .facts()
            .is_some_and(|facts| object::native_len(facts) <= object::SHORT)
        {
            let frame = object::native_frame(&archive, &image, &map, number, Queue::Refuse).await?;
            return Ok(answer.body(frame.to_vec()));
        }
    } else {
        let place = object::Place::of(&image, &map, number)?;
        if let Some(frame) = object::short_frame(&archive, &image, &place).await? {
            return Ok(answer.body(frame));
        }
        if let Some(length) = place.known_len() {
            answer.no_chunking(length);
        }
    }
    answer::streamed(answer, move |mut out| async move {
        write_frame(&archive, &image, &map, number, &form, &mut out).await?;
        Ok(out)
    })
    .await
}

async fn write_frame(
    archive: &Archive,
    image: &ImageEntry,
    map: &FrameMap,
    number: u32,
    form: &FrameForm,
    out: &mut Outgoing,
) -> Result<(), Stop> {
    if form.decode {
        let frame = object::native_frame(archive, image, map, number, out.queue()).await?;
        out.write_held(frame).await
    } else {
        object::write_frame(archive, image, map, number, out).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frame_lists_are_integers_from_one() {
        assert_eq!(frame_numbers("1").unwrap(), [1]);
        assert_eq!(frame_numbers("3,1, 3").unwrap(), [3, 1, 3]);
        for bad in [
            "",
            "0",
            "-1",
            "x",
            "1,",
            "1,,2",
            "1.5",
            "+1",
            "99999999999999999999",
            "1-3",
        ] {
            assert_eq!(frame_numbers(bad).unwrap_err().status().as_u16(), 400, "{bad}");
        }
    }

    #[test]
    fn validators_are_compared_weakly() {
        assert!(holds("W/\"a\"", "W/\"a\""));
        assert!(holds("\"x\", \"a\"", "W/\"a\""));
        assert!(holds("*", "W/\"a\""));
        assert!(!holds("\"b\"", "W/\"a\""));
    }
}
