//! What metadata points to: `{BulkDataURI}` and `…/pixeldata`, PS3.18 10.4.1.1.5.
//!
//! The path below `bulkdata/` is the one that ingest wrote into the record: tags of 8 hexadecimal digits, and between a sequence and
//! what lies in it the number of the item, from 1. It is parsed into numbers before anything is looked up, and rights are asked at
//! every request: who holds a URI holds nothing. Pixel data leave as frames do; any other value as its little endian bytes, text
//! as UTF-8.

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use dicom_core::value::Value;
use dicom_core::{Tag, VR};
use dicom_object::InMemDicomObject;

use super::accept::Packaging;
use super::answer::{self, Parts};
use super::{Asked, object, wado};
use crate::archive::Archive;
use crate::cpu::Queue;
use crate::http_error::HttpError;

const OCTETS: &str = "application/octet-stream";
const ENCAPSULATED_DOCUMENT: Tag = Tag(0x0042, 0x0011);
const MIME_TYPE_OF_ENCAPSULATED_DOCUMENT: Tag = Tag(0x0042, 0x0012);

/// Where a bulk value lies in a data set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Sequences on the way, with the index of the item, from 0.
    within: Vec<(Tag, usize)>,
    /// The element.
    tag: Tag,
}

impl Place {
    /// Parses the path below `bulkdata/`; `None` where there can be nothing.
    pub fn parse(path: &str) -> Option<Self> {
        let mut within = Vec::new();
        let mut steps = path.split('/');
        loop {
            let tag = parse_tag(steps.next()?)?;
            let Some(item) = steps.next() else {
                return Some(Self { within, tag });
            };
            let number: usize = item.parse().ok().filter(|_| item.bytes().all(|b| b.is_ascii_digit()))?;
            within.push((tag, number.checked_sub(1)?));
            // No data set is nested deeper than ingest takes.
            if within.len() > 64 {
                return None;
            }
        }
    }

    fn is_pixel_data(&self) -> bool {
        self.within.is_empty() && self.tag.group() == 0x7FE0 && matches!(self.tag.element(), 0x0008..=0x0010)
    }

    /// Returns the value's bytes and VR, where there is such an element.
    fn find(&self, header: &InMemDicomObject) -> Option<(Bytes, VR)> {
        let mut data_set = header;
        for (sequence, item) in &self.within {
            data_set = data_set.get(*sequence)?.items()?.get(*item)?;
        }
        let element = data_set.get(self.tag)?;
        let Value::Primitive(value) = element.value() else {
            return None;
        };
        let vr = element.vr();
        let text = matches!(
            vr,
            VR::LT | VR::ST | VR::UT | VR::UR | VR::UC | VR::LO | VR::SH | VR::PN | VR::DS | VR::IS | VR::CS | VR::UI
        );
        let bytes = if text {
            value.to_raw_str().into_owned().into_bytes()
        } else {
            value.to_bytes().into_owned()
        };
        Some((bytes.into(), vr))
    }
}

fn parse_tag(text: &str) -> Option<Tag> {
    let digits = text.len() == 8 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let number = digits.then(|| u32::from_str_radix(text, 16).ok()).flatten()?;
    Some(Tag((number >> 16) as u16, (number & 0xFFFF) as u16))
}

/// `GET …/instances/{instance}/pixeldata`
pub async fn pixel_data(asked: Asked, archive: web::Data<Archive>) -> Result<HttpResponse, HttpError> {
    let image = wado::one(&asked, &archive).await?;
    let count = wado::frame_count(&image);
    if count == 0 {
        return Err(HttpError::not_found());
    }
    if !image.transfer_syntax_uid.is_native() {
        return wado::send_frames(&asked, archive, image, (1..=count).collect()).await;
    }
    let (packaging, _) = packaging(&asked, OCTETS)?;
    let mut answer = HttpResponse::Ok();
    let boundary = answer::boundary()?;
    answer.insert_header((header::VARY, "Accept, Authorization"));
    let content_type = format!("{OCTETS}; transfer-syntax=1.2.840.10008.1.2.1");
    answer.content_type(match packaging {
        Packaging::Single => content_type.clone(),
        Packaging::Multipart => boundary.content_type(OCTETS),
    });
    let location = format!("{}/bulkdata/7FE00010", wado::url(&asked, &image));
    answer::streamed(answer, move |mut out| async move {
        if packaging == Packaging::Single {
            object::native_pixels(&archive, &image, &mut out).await?;
            return Ok(out);
        }
        let mut parts = Parts::new(out, boundary);
        let out = parts.part(&content_type, Some(&location)).await?;
        object::native_pixels(&archive, &image, out).await?;
        parts.finish().await
    })
    .await
}

/// `GET …/instances/{instance}/bulkdata/{path}`
pub async fn bulk_data(
    request: HttpRequest,
    asked: Asked,
    archive: web::Data<Archive>,
) -> Result<HttpResponse, HttpError> {
    let path = request.match_info().get("path").unwrap_or("");
    let place = Place::parse(path).ok_or_else(HttpError::not_found)?;
    if place.is_pixel_data() {
        return pixel_data(asked, archive).await;
    }
    let image = wado::one(&asked, &archive).await?;
    let header = object::open(&archive, &image, Queue::Refuse).await?.header;
    let (value, _) = place.find(&header).ok_or_else(HttpError::not_found)?;
    let (packaging, media) = packaging(&asked, &own_media(&place, &header))?;
    let location = format!("{}/bulkdata/{path}", wado::url(&asked, &image));
    let mut answer = HttpResponse::Ok();
    answer.insert_header((header::VARY, "Accept, Authorization"));
    answer.insert_header((header::CACHE_CONTROL, "private, max-age=300"));
    answer.insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"));
    if packaging == Packaging::Multipart {
        let boundary = answer::boundary()?;
        answer.content_type(boundary.content_type(&media));
        return answer::streamed(answer, move |out| async move {
            let mut parts = Parts::new(out, boundary);
            parts.part(&media, Some(&location)).await?.write(value).await?;
            parts.finish().await
        })
        .await;
    }
    answer
        .content_type(media)
        .insert_header((header::ACCEPT_RANGES, "bytes"));
    match asked.range.as_deref().map(|range| byte_range(range, value.len())) {
        None | Some(Asking::Whole) => Ok(answer.body(value)),
        Some(Asking::Part(from, to)) => {
            let part = value.slice(from..to);
            answer.status(StatusCode::PARTIAL_CONTENT);
            answer.insert_header((
                header::CONTENT_RANGE,
                format!("bytes {from}-{}/{}", to - 1, value.len()),
            ));
            Ok(answer.body(part))
        }
        Some(Asking::Nothing) => Ok(HttpResponse::RangeNotSatisfiable()
            .insert_header((header::CONTENT_RANGE, format!("bytes */{}", value.len())))
            .finish()),
    }
}

/// Returns the media type that a value has by itself: an encapsulated document says it.
fn own_media(place: &Place, header: &InMemDicomObject) -> String {
    let declared = (place.tag == ENCAPSULATED_DOCUMENT && place.within.is_empty())
        .then(|| header.get(MIME_TYPE_OF_ENCAPSULATED_DOCUMENT))
        .flatten()
        .and_then(|element| {
            element
                .to_str()
                .ok()
                .map(|text| text.trim_matches([' ', '\0']).to_ascii_lowercase())
        });
    // Only the type that browsers show without running it; everything else stays octets.
    declared
        .filter(|media| media == "application/pdf")
        .unwrap_or_else(|| OCTETS.to_owned())
}

fn packaging(asked: &Asked, own: &str) -> Result<(Packaging, String), HttpError> {
    asked
        .accept
        .choose(true, Packaging::Single, |wanted| {
            [own, OCTETS]
                .into_iter()
                .find(|media| wanted.names(media))
                .map(str::to_owned)
        })
        .ok_or_else(|| HttpError::not_acceptable("bulk data are given as application/octet-stream"))
}

/// What a `Range` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asking {
    /// Nothing that can be read so, or several ranges: the whole (RFC 9110 14.2 allows it).
    Whole,
    /// From and to, exclusive.
    Part(usize, usize),
    /// A range that lies outside.
    Nothing,
}

fn byte_range(header: &str, length: usize) -> Asking {
    let Some((from, to)) = header
        .trim()
        .strip_prefix("bytes=")
        .and_then(|range| range.split_once('-'))
    else {
        return Asking::Whole;
    };
    let number = |text: &str| text.trim().parse::<usize>().ok();
    match (number(from), number(to)) {
        (Some(from), Some(to)) if from <= to && from < length => Asking::Part(from, to.saturating_add(1).min(length)),
        (Some(from), None) if to.trim().is_empty() && from < length => Asking::Part(from, length),
        (None, Some(last)) if from.trim().is_empty() && last > 0 && length > 0 => {
            Asking::Part(length.saturating_sub(last), length)
        }
        (Some(from), Some(to)) if from > to => Asking::Whole,
        (Some(_), Some(_)) => Asking::Nothing,
        (Some(_), None) if to.trim().is_empty() => Asking::Nothing,
        _ => Asking::Whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dicom_core::value::DataSetSequence;
    use dicom_core::{DataElement, PrimitiveValue};

    #[test]
    fn paths_are_tags_and_items_from_one() {
        assert_eq!(
            Place::parse("7FE00010"),
            Some(Place {
                within: vec![],
                tag: Tag(0x7FE0, 0x0010)
            })
        );
        assert_eq!(
            Place::parse("00081140/1/00420011"),
            Some(Place {
                within: vec![(Tag(0x0008, 0x1140), 0)],
                tag: Tag(0x0042, 0x0011)
            })
        );
        for bad in [
            "",
            "7FE0001",
            "../etc",
            "00081140/0/00420011",
            "00081140/1",
            "00081140/x/00420011",
            "00081140/1/",
            "+0081140",
            "00081140/-1/00420011",
        ] {
            assert_eq!(Place::parse(bad), None, "{bad}");
        }
        assert_eq!(Place::parse(&"00081140/1/".repeat(5000)), None);
    }

    #[test]
    fn values_are_found_in_items() {
        let item = InMemDicomObject::from_element_iter([DataElement::new(
            Tag(0x0042, 0x0011),
            VR::OB,
            PrimitiveValue::from(vec![1_u8, 2, 3, 4]),
        )]);
        let header = InMemDicomObject::from_element_iter([
            DataElement::new(Tag(0x0008, 0x1140), VR::SQ, DataSetSequence::from(vec![item])),
            DataElement::new(Tag(0x0040, 0xA160), VR::UT, PrimitiveValue::from("Tëxt")),
        ]);
        let find = |path: &str| {
            Place::parse(path)
                .unwrap()
                .find(&header)
                .map(|(bytes, _)| bytes.to_vec())
        };
        assert_eq!(find("00081140/1/00420011"), Some(vec![1, 2, 3, 4]));
        assert_eq!(find("0040A160"), Some("Tëxt".as_bytes().to_vec()));
        for missing in ["00081140/2/00420011", "00081140", "00420011", "0040A160/1/00420011"] {
            assert_eq!(find(missing), None, "{missing}");
        }
    }

    #[test]
    fn ranges_are_those_of_the_rfc() {
        for (header, asking) in [
            ("bytes=0-3", Asking::Part(0, 4)),
            ("bytes=2-", Asking::Part(2, 10)),
            ("bytes=-3", Asking::Part(7, 10)),
            ("bytes=-30", Asking::Part(0, 10)),
            ("bytes=5-500", Asking::Part(5, 10)),
            ("bytes=10-", Asking::Nothing),
            ("bytes=10-12", Asking::Nothing),
            ("bytes=3-2", Asking::Whole),
            ("bytes=0-1,4-5", Asking::Whole),
            ("lines=1-2", Asking::Whole),
            ("bytes=", Asking::Whole),
        ] {
            assert_eq!(byte_range(header, 10), asking, "{header}");
        }
    }
}
