//! Choosing the representation (PS3.18 8.7).

use super::cases;
use crate::data_set::EXPLICIT_VR_LITTLE_ENDIAN;
use crate::multipart::essence;
use crate::report::{Verdict, expect};
use crate::sample::header;
use crate::web::media;
use crate::world::World;

cases! {
    "PS3.18-8.7-01", "PS3.18 8.7.5", "No Accept and */* give multipart application/dicom for instances", no_choice;
    "PS3.18-8.7-02", "PS3.18 8.7.1", "Quotes around parameter values make no difference", quotes;
    "PS3.18-8.7-03", "PS3.18 8.7.5", "An entry that cannot be met is passed over for the next", next_entry;
    "PS3.18-8.7-04", "PS3.18 8.7.3", "A transfer syntax that cannot be given answers 406", impossible_syntax;
    "PS3.18-8.7-05", "PS3.18 8.7.3.5.2", "transfer-syntax=* gives the stored encoding", as_stored;
    "PS3.18-8.7-06", "PS3.18 8.7.5", "A type that cannot be given answers 406, not 200 with another type", impossible_type;
    "PS3.18-8.7-07", "PS3.18 8.7.5", "multipart/related with type */* gives frames", any_part_type;
    "PS3.18-8.7-08", "PS3.18 8.7.5", "application/json is taken for application/dicom+json", json_alias;
    "PS3.18-8.7-09", "PS3.18 8.3.3.1", "The accept parameter is heard before the Accept header", accept_parameter;
    "PS3.18-8.7-10", "PS3.18 8.7.5", "XML that is not offered answers 406, never JSON under 200", xml;
    "PS3.18-8.7-11", "PS3.18 8.7.5", "Types and parameter names may be in any case of letters", letters;
    "PS3.18-8.7-12", "PS3.18 10.4.4", "One frame may be asked as single-part application/octet-stream", single_part_frame;
}

async fn no_choice(world: &World) -> Verdict {
    let path = world.seed()?.first.instance_path();
    for headers in [&[][..], &[("accept", "*/*")][..]] {
        let answer = world
            .web
            .send(reqwest::Method::GET, &path, headers, bytes::Bytes::new())
            .await?;
        answer.expect_status(&[200])?;
        expect(!answer.parts()?.is_empty(), || answer.seen())?;
    }
    Ok(())
}

async fn quotes(world: &World) -> Verdict {
    let path = world.seed()?.first.instance_path();
    for accept in [
        "multipart/related; type=\"application/dicom\"",
        "multipart/related; type=application/dicom",
        "multipart/related;type=\"application/dicom\";transfer-syntax=\"1.2.840.10008.1.2.1\"",
        "multipart/related; type=application/dicom; transfer-syntax=1.2.840.10008.1.2.1",
        "multipart/related; type=\"application/dicom\"; transfer-syntax=\"*\"",
        "multipart/related; type=application/dicom; transfer-syntax=*",
    ] {
        let answer = world.web.get(&path, accept).await?;
        expect(answer.status == 200, || format!("Accept `{accept}`: {}", answer.seen()))?;
    }
    for accept in [
        "multipart/related; type=\"application/octet-stream\"; transfer-syntax=\"*\"",
        "multipart/related; type=application/octet-stream; transfer-syntax=*",
    ] {
        let answer = world.web.get(&format!("{path}/frames/1"), accept).await?;
        expect(answer.status == 200, || format!("Accept `{accept}`: {}", answer.seen()))?;
    }
    Ok(())
}

async fn next_entry(world: &World) -> Verdict {
    let path = world.seed()?.first.instance_path();
    let accept = "multipart/related; type=\"application/dicom\"; transfer-syntax=1.2.840.10008.1.2.4.100, \
         multipart/related; type=\"application/dicom\"; transfer-syntax=1.2.840.10008.1.2.1; q=0.5";
    let answer = world.web.get(&path, accept).await?;
    answer.expect_status(&[200])?;
    let part = answer.first_part()?;
    let (_, syntax) = header(&part)?;
    expect(syntax == EXPLICIT_VR_LITTLE_ENDIAN, || {
        format!("transfer syntax {syntax}")
    })
}

async fn impossible_syntax(world: &World) -> Verdict {
    let path = world.seed()?.first.instance_path();
    // MPEG-2 of a CT image, and a UID that names nothing.
    for syntax in ["1.2.840.10008.1.2.4.100", "1.2.3.4.5.6"] {
        let accept = format!("multipart/related; type=\"application/dicom\"; transfer-syntax={syntax}");
        world.web.get(&path, &accept).await?.expect_status(&[406])?;
    }
    Ok(())
}

async fn as_stored(world: &World) -> Verdict {
    let path = world.seed()?.first.instance_path();
    let answer = world.web.get(&path, media::INSTANCES_AS_STORED).await?;
    answer.expect_status(&[200])?;
    let part = answer.first_part()?;
    let (_, syntax) = header(&part)?;
    expect(syntax == EXPLICIT_VR_LITTLE_ENDIAN, || {
        format!("stored as Explicit VR Little Endian, came as {syntax}")
    })
}

async fn impossible_type(world: &World) -> Verdict {
    let one = &world.seed()?.first;
    for path in [
        one.instance_path(),
        format!("{}/metadata", one.instance_path()),
        "/studies?limit=1".into(),
    ] {
        for accept in ["text/html", "image/tiff"] {
            world.web.get(&path, accept).await?.expect_status(&[406])?;
        }
    }
    Ok(())
}

async fn any_part_type(world: &World) -> Verdict {
    let path = world.seed()?.first.instance_path();
    let answer = world
        .web
        .get(&format!("{path}/frames/1"), "multipart/related; type=\"*/*\"")
        .await?;
    answer.expect_status(&[200])?;
    expect(answer.parts()?.len() == 1, || answer.seen())
}

async fn json_alias(world: &World) -> Verdict {
    for path in [
        "/studies?limit=1".to_owned(),
        format!("{}/metadata", world.seed()?.first.instance_path()),
    ] {
        let answer = world.web.get(&path, "application/json").await?;
        answer.expect_status(&[200])?;
        expect(
            ["application/dicom+json", "application/json"].contains(&essence(&answer.content_type()).as_str()),
            || answer.seen(),
        )?;
        answer.rows()?;
    }
    Ok(())
}

async fn accept_parameter(world: &World) -> Verdict {
    let path = world.seed()?.first.instance_path();
    let answer = world
        .web
        .get(&format!("{path}?accept=application%2Fdicom"), "text/html")
        .await?;
    answer.expect_status(&[200])?;
    expect(essence(&answer.content_type()) == "application/dicom", || answer.seen())
}

async fn xml(world: &World) -> Verdict {
    for path in [
        "/studies?limit=1".to_owned(),
        format!("{}/metadata", world.seed()?.first.instance_path()),
    ] {
        let answer = world
            .web
            .get(&path, "multipart/related; type=\"application/dicom+xml\"")
            .await?;
        answer.expect_status(&[200, 406])?;
        let json = answer.status == 200 && essence(&answer.content_type()) != "multipart/related";
        expect(!json, || answer.seen())?;
    }
    Ok(())
}

async fn letters(world: &World) -> Verdict {
    let path = world.seed()?.first.instance_path();
    let answer = world
        .web
        .get(&path, "Multipart/Related; TYPE=\"Application/DICOM\"")
        .await?;
    answer.expect_status(&[200])?;
    Ok(())
}

async fn single_part_frame(world: &World) -> Verdict {
    let path = world.seed()?.first.instance_path();
    let answer = world
        .web
        .get(&format!("{path}/frames/1"), "application/octet-stream")
        .await?;
    answer.expect_status(&[200])?;
    expect(essence(&answer.content_type()) == "application/octet-stream", || {
        answer.seen()
    })
}
