//! WADO-URI, PS3.18 chapter 9: one object by query parameters, for viewers that know nothing newer.
//!
//! It is another spelling of WADO-RS: the parameters become the same typed request, and the same code answers.

use actix_web::{HttpResponse, web};
use isocenter_imaging::{Window, WindowFunction};
use isocenter_model::uid::UidError;
use isocenter_model::{SeriesInstanceUid, SopInstanceUid, StudyInstanceUid, TransferSyntaxUid};

use super::accept::Accept;
use super::rendered::{self, Viewport, Wish};
use super::{Asked, qido, wado};
use crate::archive::Archive;
use crate::http_error::HttpError;

/// The parameters of one request, by name.
struct Parameters(Vec<(String, String)>);

impl Parameters {
    fn parse(query: &str) -> Result<Self, HttpError> {
        let all = qido::parameters(query).map_err(|error| HttpError::bad_request(error.to_string()))?;
        Ok(Self(all.into_iter().map(|(name, value, _)| (name, value)).collect()))
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    fn uid<T>(&self, name: &str, parse: fn(&str) -> Result<T, UidError>) -> Result<T, HttpError> {
        let text = self
            .get(name)
            .ok_or_else(|| HttpError::bad_request(format!("parameter {name} is missing")))?;
        parse(text).map_err(|error| HttpError::bad_request(format!("parameter {name}: {error}")))
    }

    fn number<T: std::str::FromStr>(&self, name: &str, fits: impl Fn(&T) -> bool) -> Result<Option<T>, HttpError> {
        let Some(text) = self.get(name) else { return Ok(None) };
        match text.parse::<T>() {
            Ok(number) if fits(&number) => Ok(Some(number)),
            _ => Err(HttpError::bad_request(format!(
                "parameter {name}: not a number in its range"
            ))),
        }
    }
}

/// `GET /wado?requestType=WADO&…`
pub async fn retrieve(mut asked: Asked, archive: web::Data<Archive>) -> Result<HttpResponse, HttpError> {
    let parameters = Parameters::parse(&asked.query)?;
    if parameters.get("requestType") != Some("WADO") {
        return Err(HttpError::bad_request("parameter requestType: expected WADO"));
    }
    asked.study = Some(parameters.uid("studyUID", StudyInstanceUid::parse)?);
    asked.series = Some(parameters.uid("seriesUID", SeriesInstanceUid::parse)?);
    asked.instance = Some(parameters.uid("objectUID", SopInstanceUid::parse)?);
    let frame = parameters.number::<u32>("frameNumber", |n| *n > 0)?;
    let syntax = match parameters.get("transferSyntax") {
        None | Some("*") => parameters.get("transferSyntax").map(str::to_owned),
        Some(uid) => Some(
            TransferSyntaxUid::parse(uid)
                .map_err(|error| HttpError::bad_request(format!("parameter transferSyntax: {error}")))?
                .to_string(),
        ),
    };
    if parameters.get("region").is_some() {
        return Err(HttpError::bad_request(
            "parameter region is not supported; use /rendered with viewport",
        ));
    }
    let image = wado::one(&asked, &archive).await?;
    let frames = wado::frame_count(&image);
    // 9.4: a single picture is a JPEG unless something else is named, all else the object itself.
    let wanted = parameters
        .get("contentType")
        .unwrap_or(if frames == 1 { "image/jpeg" } else { "application/dicom" });
    if Accept::of(Some(wanted), None).picture().is_none() || wanted.contains("application/dicom") {
        let entry = match syntax {
            Some(uid) => format!("{wanted}; transfer-syntax={uid}"),
            None => wanted.to_owned(),
        };
        asked.accept = Accept::of(Some(&entry), None);
        return wado::instances(asked, archive).await;
    }
    asked.accept = Accept::of(Some(wanted), None);
    if frame.is_some_and(|frame| frame > frames) {
        return Err(HttpError::not_found());
    }
    let mut wish = Wish {
        quality: parameters.number::<u8>("imageQuality", |n| (1..=100).contains(n))?,
        ..Wish::default()
    };
    let side = |n: &u32| (1..=rendered::MAX_SIDE).contains(n);
    let (rows, columns) = (
        parameters.number::<u32>("rows", side)?,
        parameters.number::<u32>("columns", side)?,
    );
    if rows.is_some() || columns.is_some() {
        // One side alone leaves the other free.
        let free = rendered::MAX_SIDE;
        let (width, height) = (columns.unwrap_or(free), rows.unwrap_or(free));
        wish.viewport = Some(Viewport {
            width,
            height,
            ..Viewport::default()
        });
    }
    let center = parameters.number::<f64>("windowCenter", |n| n.is_finite())?;
    let width = parameters.number::<f64>("windowWidth", |n| n.is_finite() && *n >= 1.0)?;
    match (center, width) {
        (Some(center), Some(width)) => {
            wish.window = Some(Window {
                center,
                width,
                function: WindowFunction::Linear,
            });
        }
        (None, None) => {}
        _ => return Err(HttpError::bad_request("windowCenter and windowWidth come together")),
    }
    rendered::send_drawn(&asked, &archive, &image, frame, &wish).await
}
