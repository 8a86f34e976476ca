//! Pictures: `/rendered` and `/thumbnail`, PS3.18 10.4.1.1.3, 10.4.1.1.6 and the parameters of 8.3.5.
//!
//! A picture shows one frame: the one named, else the middle one; of a study or series the middle image that has pixels. It is drawn
//! where there is room ([`crate::cpu`]), once for all who ask for it at the same time, and kept nowhere. Annotation is taken and burns nothing in: what a de-identified
//! collection may say about its patients it says in its metadata. Where there is nothing to draw the answer is 406 (404 for a thumbnail).

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use isocenter_imaging::{Format, FrameMap, PixelFacts, RenderOptions, Window, WindowFunction};
use isocenter_schema::retrieve::{self, ImageEntry};

use super::accept::{Packaging, Picture};
use super::{Asked, answer, object, qido, wado};
use crate::archive::Archive;
use crate::cpu::Queue;
use crate::http_error::HttpError;
use crate::once::Once;

/// Longest side of a picture that is made on request.
pub const MAX_SIDE: u32 = 4096;
/// Longest side of a thumbnail where the client asks for no size.
const THUMBNAIL: u32 = 128;
/// Longest side of a thumbnail.
const MAX_THUMBNAIL: u32 = 1024;
/// Images that are looked at for one with pixels.
const TRIED: usize = 64;

fn bad<T>(name: &str, expected: &str) -> Result<T, HttpError> {
    Err(HttpError::bad_request(format!("parameter {name}: expected {expected}")))
}

/// What the parameters of a rendered resource ask for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Wish {
    /// The window; the object's own where nobody asks for another.
    pub window: Option<Window>,
    /// Size and part of the picture.
    pub viewport: Option<Viewport>,
    /// JPEG quality, 1 to 100.
    pub quality: Option<u8>,
}

/// Size of the picture, and the part of the image that it shows; what is not given is the edge of the image.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Viewport {
    /// Width of the picture.
    pub width: u32,
    /// Height of the picture.
    pub height: u32,
    /// Left, top, width and height of the part; a negative width or height flips.
    pub part: [Option<f64>; 4],
}

impl Wish {
    fn options(&self, facts: &PixelFacts, picture: Picture) -> RenderOptions {
        let viewport = self.viewport.map(|asked| {
            let [x, y, width, height] = asked.part;
            let (x, y) = (x.unwrap_or(0.0), y.unwrap_or(0.0));
            let width = width.unwrap_or(f64::from(facts.columns) - x);
            let height = height.unwrap_or(f64::from(facts.rows) - y);
            isocenter_imaging::Viewport {
                width: asked.width,
                height: asked.height,
                source: asked.part.iter().any(Option::is_some).then_some((x, y, width, height)),
            }
        });
        RenderOptions {
            window: self.window,
            viewport,
            quality: self.quality,
            format: match picture {
                Picture::Jpeg => Format::Jpeg,
                Picture::Png => Format::Png,
            },
        }
    }
}

/// Parses the parameters of a rendered resource. Unknown ones change nothing (8.3.3).
///
/// # Errors
/// 400, naming the parameter.
pub fn wish(query: &str) -> Result<Wish, HttpError> {
    let mut wish = Wish::default();
    for (name, value, _) in qido::parameters(query).map_err(|error| HttpError::bad_request(error.to_string()))? {
        match name.as_str() {
            "quality" => match value.parse::<u8>() {
                Ok(quality @ 1..=100) => wish.quality = Some(quality),
                _ => return bad("quality", "an integer from 1 to 100"),
            },
            "window" => wish.window = Some(window(&value)?),
            "viewport" => wish.viewport = Some(viewport(&value)?),
            "annotation" if value.split(',').all(|word| matches!(word, "patient" | "technique")) => {}
            "annotation" => return bad("annotation", "patient, technique or both"),
            "iccprofile" if matches!(value.as_str(), "no" | "yes" | "srgb" | "adobergb" | "rommrgb") => {}
            "iccprofile" => return bad("iccprofile", "no, yes, srgb, adobergb or rommrgb"),
            _ => {}
        }
    }
    Ok(wish)
}

/// `window=center,width,function`, 8.3.5.1.4.
fn window(value: &str) -> Result<Window, HttpError> {
    const EXPECTED: &str = "center,width,function with function linear, linear-exact or sigmoid";
    let mut parts = value.split(',').map(str::trim);
    let mut number = || {
        parts
            .next()
            .and_then(|text| text.parse::<f64>().ok())
            .filter(|number| number.is_finite())
    };
    let (Some(center), Some(width)) = (number(), number()) else {
        return bad("window", EXPECTED);
    };
    let (function, least) = match parts.next() {
        Some("linear" | "LINEAR") | None => (WindowFunction::Linear, 1.0),
        Some("linear-exact" | "LINEAR_EXACT") => (WindowFunction::LinearExact, f64::MIN_POSITIVE),
        Some("sigmoid" | "SIGMOID") => (WindowFunction::Sigmoid, f64::MIN_POSITIVE),
        Some(_) => return bad("window", EXPECTED),
    };
    if parts.next().is_some() {
        return bad("window", EXPECTED);
    }
    // PS3.3 C.11.2.1.2: a linear window is at least one wide, the others wider than nothing.
    if width < least {
        return bad("window", "a width of at least 1 (linear) or above 0");
    }
    Ok(Window {
        center,
        width,
        function,
    })
}

/// `viewport=vw,vh[,sx,sy,sw,sh]`, 8.3.5.1.3.
fn viewport(value: &str) -> Result<Viewport, HttpError> {
    const EXPECTED: &str = "vw,vh or vw,vh,sx,sy,sw,sh in pixels";
    let parts: Vec<&str> = value.split(',').map(str::trim).collect();
    let side = |text: Option<&&str>| {
        text.and_then(|t| t.parse::<u32>().ok())
            .filter(|n| (1..=MAX_SIDE).contains(n))
    };
    let (Some(width), Some(height)) = (side(parts.first()), side(parts.get(1))) else {
        return bad("viewport", EXPECTED);
    };
    if !matches!(parts.len(), 2 | 6) {
        return bad("viewport", EXPECTED);
    }
    // An empty value stands for the edge of the image.
    let mut source = [None; 4];
    for (slot, text) in source.iter_mut().zip(parts.iter().skip(2)) {
        if !text.is_empty() {
            match text.parse::<f64>() {
                Ok(number) if number.is_finite() => *slot = Some(number),
                _ => return bad("viewport", EXPECTED),
            }
        }
    }
    let [x, y, source_width, source_height] = source;
    let outside = |edge: Option<f64>| edge.is_some_and(|edge| edge < 0.0);
    if outside(x) || outside(y) || source_width == Some(0.0) || source_height == Some(0.0) {
        return bad("viewport", EXPECTED);
    }
    Ok(Viewport {
        width,
        height,
        part: source,
    })
}

/// `GET …/rendered`
pub async fn rendered(
    request: HttpRequest,
    asked: Asked,
    archive: web::Data<Archive>,
) -> Result<HttpResponse, HttpError> {
    let wish = wish(&asked.query)?;
    let (image, frame) = find(&request, &asked, &archive).await?;
    send_drawn(&asked, &archive, &image, frame, &wish).await
}

/// Answers with the picture of one frame, the middle one where none is named.
///
/// # Errors
/// 406 where no picture can be made, or none that is accepted.
pub async fn send_drawn(
    asked: &Asked,
    archive: &web::Data<Archive>,
    image: &ImageEntry,
    frame: Option<u32>,
    wish: &Wish,
) -> Result<HttpResponse, HttpError> {
    let Some((packaging, picture)) = asked.accept.picture() else {
        return Err(HttpError::not_acceptable(
            "pictures are given as image/jpeg or image/png",
        ));
    };
    let drawn = draw(archive, image, frame, picture, wish).await?;
    let drawn = drawn.ok_or_else(|| HttpError::not_acceptable("there is nothing to draw in this instance"))?;
    let number = frame_of(wado::frame_count(image), frame).unwrap_or(1);
    send(
        packaging,
        picture,
        drawn,
        &format!("{}/frames/{number}/rendered", wado::url(asked, image)),
    )
}

/// `GET …/thumbnail`
pub async fn thumbnail(
    request: HttpRequest,
    asked: Asked,
    archive: web::Data<Archive>,
) -> Result<HttpResponse, HttpError> {
    // Only size and type can be asked of a thumbnail.
    let viewport = wish(&asked.query)?.viewport;
    let side = |side: Option<u32>| side.unwrap_or(THUMBNAIL).min(MAX_THUMBNAIL);
    let wish = Wish {
        viewport: Some(Viewport {
            width: side(viewport.map(|v| v.width)),
            height: side(viewport.map(|v| v.height)),
            ..Viewport::default()
        }),
        ..Wish::default()
    };
    let Some((packaging, picture)) = asked.accept.picture() else {
        return Err(HttpError::not_acceptable(
            "thumbnails are given as image/jpeg or image/png",
        ));
    };
    let (image, frame) = find(&request, &asked, &archive).await?;
    let drawn = draw(&archive, &image, frame, picture, &wish)
        .await?
        .ok_or_else(HttpError::not_found)?;
    send(
        packaging,
        picture,
        drawn,
        &format!("{}/thumbnail", wado::url(&asked, &image)),
    )
}

/// Returns the image to draw and the frame that the path names.
///
/// # Errors
/// 404 where there is no image, or not that frame; 400 where the path names no single frame.
async fn find(request: &HttpRequest, asked: &Asked, archive: &Archive) -> Result<(ImageEntry, Option<u32>), HttpError> {
    let frame = match request.match_info().get("frames") {
        None => None,
        Some(text) => match wado::frame_numbers(text)?.as_slice() {
            [one] => Some(*one),
            _ => return Err(HttpError::bad_request("a picture shows one frame: name one")),
        },
    };
    if asked.instance.is_none() {
        return Ok((representative(asked, archive).await?, None));
    }
    let image = wado::one(asked, archive).await?;
    if frame.is_some_and(|frame| frame > wado::frame_count(&image)) {
        return Err(HttpError::not_found());
    }
    Ok((image, frame))
}

/// Returns the image that stands for a study or series: the middle one, or where that has no pixels the first that has.
async fn representative(asked: &Asked, archive: &Archive) -> Result<ImageEntry, HttpError> {
    let mut ids = retrieve::ids_of(&archive.db, &asked.visibility, &asked.path()).await?;
    let middle = *ids.get(ids.len() / 2).ok_or_else(HttpError::not_found)?;
    ids.truncate(TRIED);
    let mut without_pixels = None;
    for batch in [vec![middle], ids] {
        for image in retrieve::by_ids(&archive.db, &asked.visibility, &batch).await? {
            if wado::frame_count(&image) > 0 {
                wado::note(&mut asked.reader(), archive, std::slice::from_ref(&image)).await?;
                return Ok(image);
            }
            without_pixels.get_or_insert(image);
        }
    }
    without_pixels.ok_or_else(HttpError::not_found)
}

fn frame_of(count: u32, named: Option<u32>) -> Option<u32> {
    named.or_else(|| count.checked_sub(1).map(|last| last / 2 + 1))
}

/// Pictures that are being drawn, by what they show. Who asks was found to see the image before.
pub type Drawings = Once<Drawing, Result<Option<Bytes>, HttpError>>;

/// What a picture shows.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Drawing {
    image: i64,
    frame: u32,
    picture: Picture,
    /// The wish in words: numbers with a fraction have no other identity.
    wish: String,
}

/// What a pixel costs on its way to a picture, beyond its stored and its native bytes: its value, and its colour before and
/// after scaling.
const PIXEL: u64 = 7;

/// Draws one frame, or waits for it where somebody draws it already; `None` where it cannot be decoded here.
///
/// # Errors
/// 503 where too many wait; what storage fails with.
pub async fn draw(
    archive: &web::Data<Archive>,
    image: &ImageEntry,
    named: Option<u32>,
    picture: Picture,
    wish: &Wish,
) -> Result<Option<Bytes>, HttpError> {
    let map = object::frame_map(image)?;
    let (Some(frame), Some(facts)) = (frame_of(map.frame_count(), named), map.facts()) else {
        return Ok(None);
    };
    if !isocenter_imaging::can_decode(&image.transfer_syntax_uid) {
        return Ok(None);
    }
    let options = wish.options(facts, picture);
    let drawing = Drawing {
        image: image.id,
        frame,
        picture,
        wish: format!("{wish:?}"),
    };
    let drawn = archive.drawings.run(drawing, || {
        let (archive, image) = (archive.clone().into_inner(), image.clone());
        async move { drawn(&archive, &image, &map, frame, options).await }
    });
    drawn.await
}

async fn drawn(
    archive: &Archive,
    image: &ImageEntry,
    map: &FrameMap,
    frame: u32,
    options: RenderOptions,
) -> Result<Option<Bytes>, HttpError> {
    let object::Loaded { bytes, facts, room } = object::load(archive, image, map, frame, PIXEL, Queue::Refuse).await?;
    let syntax = image.transfer_syntax_uid.clone();
    let drawing = archive.cpu.run(room, move || {
        isocenter_imaging::decode_frame(&facts, &syntax, &bytes)
            .and_then(|decoded| isocenter_imaging::render(&decoded, &facts, &options))
    });
    match drawing.await?.0 {
        Ok(drawn) => Ok(Some(drawn.into())),
        Err(error) => {
            tracing::debug!(%error, image = %image.accession, "not drawn");
            Ok(None)
        }
    }
}

fn send(packaging: Packaging, picture: Picture, drawn: Bytes, location: &str) -> Result<HttpResponse, HttpError> {
    let mut answer = HttpResponse::Ok();
    answer.insert_header((header::VARY, "Accept, Authorization"));
    answer.insert_header((header::CACHE_CONTROL, "private, max-age=300"));
    if packaging == Packaging::Single {
        return Ok(answer.content_type(picture.media_type()).body(drawn));
    }
    let boundary = answer::boundary()?;
    let mut body = boundary.open(true, picture.media_type(), Some(location)).to_vec();
    body.extend_from_slice(&drawn);
    body.extend_from_slice(&boundary.close());
    Ok(answer
        .content_type(boundary.content_type(picture.media_type()))
        .body(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_parameters_are_taken() {
        let w =
            wish("quality=80&window=40,400,linear&viewport=512,256&annotation=patient,technique&iccprofile=srgb&x=y");
        let w = w.unwrap();
        assert_eq!(w.quality, Some(80));
        let window = |center, width, function| {
            Some(Window {
                center,
                width,
                function,
            })
        };
        assert_eq!(w.window, window(40.0, 400.0, WindowFunction::Linear));
        let part = |part| {
            Some(Viewport {
                width: 10,
                height: 12,
                part,
            })
        };
        assert_eq!(wish("viewport=10,12").unwrap().viewport, part([None; 4]));
        assert_eq!(
            wish("viewport=10,12,,,-5,5").unwrap().viewport,
            part([None, None, Some(-5.0), Some(5.0)])
        );
        assert_eq!(
            wish("window=-600.5%2C0.5%2Csigmoid").unwrap().window,
            window(-600.5, 0.5, WindowFunction::Sigmoid)
        );
    }

    #[test]
    fn where_no_frame_is_named_the_middle_one_is_shown() {
        assert_eq!(frame_of(0, None), None);
        assert_eq!(frame_of(1, None), Some(1));
        assert_eq!(frame_of(30, None), Some(15));
        assert_eq!(frame_of(30, Some(2)), Some(2));
    }

    #[test]
    fn bad_parameters_are_named() {
        for query in [
            "quality=0",
            "quality=101",
            "quality=x",
            "window=40",
            "window=40,0,linear",
            "window=a,b,linear",
            "window=40,400,cubic",
            "window=NaN,1,linear",
            "window=40,400,linear,1",
            "viewport=0,10",
            "viewport=10",
            "viewport=10,10,1",
            "viewport=99999,1",
            "viewport=10,10,1,1,0,1",
            "viewport=10,10,-1,0,5,5",
            "annotation=name",
            "iccprofile=maybe",
        ] {
            let error = wish(query).unwrap_err();
            let name = query.split('=').next().unwrap();
            assert!(error.to_string().contains(name), "{query}: {error}");
            assert_eq!(error.status().as_u16(), 400);
        }
    }
}
