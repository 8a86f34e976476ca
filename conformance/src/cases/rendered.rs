//! Rendered images (PS3.18 10.4.1, 8.3.5, 8.7.4).

use super::cases;
use crate::multipart::essence;
use crate::report::{Verdict, expect, not_applicable};
use crate::web::{Answer, media};
use crate::world::{COLUMNS, ROWS, World};

cases! {
    "PS3.18-8.3.5-01", "PS3.18 8.7.4", "An instance is rendered as JPEG when the client leaves the choice", jpeg;
    "PS3.18-8.3.5-02", "PS3.18 8.7.4", "PNG comes when it is asked for, in the image's own size", png;
    "PS3.18-8.3.5-03", "PS3.18 8.3.5.1.3", "viewport scales into the box and keeps the aspect", viewport;
    "PS3.18-8.3.5-04", "PS3.18 8.3.5.1.4", "window changes the picture", window;
    "PS3.18-8.3.5-05", "PS3.18 8.3.5", "Parameters with bad values answer 400", bad_parameters;
    "PS3.18-8.3.5-06", "PS3.18 10.4.1", "A frame of a multi-frame image is rendered", frame;
    "PS3.18-8.3.5-07", "PS3.18 8.7.5", "A type that no picture has answers 406", unacceptable;
    "PS3.18-8.3.5-08", "PS3.18 8.3.3.1", "The accept parameter is heard before the Accept header", accept_parameter;
    "PS3.18-8.3.5-09", "PS3.18 10.4.3", "A picture of an unknown instance answers 404", unknown;
}

/// Width and height in the header of a PNG.
fn png_size(bytes: &[u8]) -> Option<(u32, u32)> {
    bytes.starts_with(b"\x89PNG\r\n\x1a\n").then_some(())?;
    let number =
        |range: std::ops::Range<usize>| -> Option<u32> { Some(u32::from_be_bytes(bytes.get(range)?.try_into().ok()?)) };
    Some((number(16..20)?, number(20..24)?))
}

async fn picture(world: &World, more: &str, accept: &str) -> Result<Answer, crate::report::Objection> {
    let path = format!("{}/rendered{more}", world.seed()?.first.instance_path());
    Ok(world.web.get(&path, accept).await?)
}

async fn jpeg(world: &World) -> Verdict {
    for accept in ["*/*", "image/*", "image/jpeg"] {
        let answer = picture(world, "", accept).await?;
        answer.expect_status(&[200])?;
        let good = essence(&answer.content_type()) == "image/jpeg"
            && answer.body.starts_with(&[0xFF, 0xD8, 0xFF])
            && answer.body.ends_with(&[0xFF, 0xD9]);
        expect(good, || format!("Accept {accept}: {}", answer.seen()))?;
    }
    Ok(())
}

async fn png(world: &World) -> Verdict {
    let answer = picture(world, "", "image/png").await?;
    answer.expect_status(&[200])?;
    let size = png_size(&answer.body);
    expect(size == Some((u32::from(COLUMNS), u32::from(ROWS))), || {
        format!("{}: size {size:?}", answer.seen())
    })
}

async fn viewport(world: &World) -> Verdict {
    let answer = picture(world, "?viewport=32,32", "image/png").await?;
    answer.expect_status(&[200])?;
    let size = png_size(&answer.body);
    expect(size == Some((32, 24)), || {
        format!("64 x 48 in a box of 32 x 32 is {size:?}")
    })
}

async fn window(world: &World) -> Verdict {
    let narrow = picture(world, "?window=40,80,linear", "image/png").await?;
    let wide = picture(world, "?window=0,4000,linear", "image/png").await?;
    narrow.expect_status(&[200])?;
    wide.expect_status(&[200])?;
    expect(narrow.body != wide.body, || {
        "a narrow and a wide window give the same picture".into()
    })
}

async fn bad_parameters(world: &World) -> Verdict {
    for query in [
        "window=abc",
        "window=40",
        "window=40,400,loud",
        "window=40,0,linear",
        "viewport=0,0",
        "viewport=a,b",
        "quality=0",
        "quality=101",
        "quality=x",
    ] {
        picture(world, &format!("?{query}"), "image/jpeg")
            .await?
            .expect_status(&[400])?;
    }
    Ok(())
}

async fn frame(world: &World) -> Verdict {
    let path = world.seed()?.frames()?.instance_path();
    let mut pictures = Vec::new();
    for number in [1, 3] {
        let answer = world
            .web
            .get(&format!("{path}/frames/{number}/rendered"), "image/png")
            .await?;
        answer.expect_status(&[200])?;
        expect(png_size(&answer.body) == Some((33, 21)), || answer.seen())?;
        pictures.push(answer.body);
    }
    expect(pictures.first() != pictures.last(), || {
        "two different frames give the same picture".into()
    })?;
    world
        .web
        .get(&format!("{path}/frames/99/rendered"), "image/png")
        .await?
        .expect_status(&[404])?;
    Ok(())
}

async fn unacceptable(world: &World) -> Verdict {
    for accept in ["text/csv", "application/dicom", media::FRAMES] {
        picture(world, "", accept).await?.expect_status(&[406])?;
    }
    Ok(())
}

async fn accept_parameter(world: &World) -> Verdict {
    let answer = picture(world, "?accept=image%2Fjpeg", media::FRAMES).await?;
    answer.expect_status(&[200])?;
    expect(essence(&answer.content_type()) == "image/jpeg", || answer.seen())?;
    let seed = world.seed()?;
    let answer = world
        .web
        .get(
            &format!("{}/thumbnail?accept=image%2Fjpeg", seed.first.instance_path()),
            media::FRAMES,
        )
        .await?;
    if answer.status == 404 {
        return Err(not_applicable(
            "rendered hears the parameter; the archive has no thumbnails",
        ));
    }
    answer.expect_status(&[200])?;
    expect(essence(&answer.content_type()) == "image/jpeg", || answer.seen())
}

async fn unknown(world: &World) -> Verdict {
    let seed = world.seed()?;
    world
        .web
        .get(
            &format!("{}/instances/1.2.3.4.5/rendered", seed.first.series_path()),
            "image/png",
        )
        .await?
        .expect_status(&[404])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::png_size;

    #[test]
    fn the_size_of_a_png_is_read_from_its_header() {
        let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
        bytes.extend_from_slice(&[0, 0, 0, 64, 0, 0, 0, 48]);
        assert_eq!(png_size(&bytes), Some((64, 48)));
        assert_eq!(png_size(b"GIF89a"), None);
    }
}
