//! STOW-RS, what must be refused and how (PS3.18 10.5.3, Annex I).

use super::cases;
use crate::data_set::{EXPLICIT_VR_LITTLE_ENDIAN, tags};
use crate::dicom_json::Row;
use crate::discover::{Located, Stored, is_found, outcome};
use crate::multipart::{self, Body};
use crate::report::{Verdict, expect, not_applicable};
use crate::sample::{Sample, pixel_data};
use crate::web::{Answer, media};
use crate::world::World;
use bytes::Bytes;

cases! {
    "PS3.18-10.5-21", "PS3.18 10.5.2", "A request of another media type answers 415", other_media_type;
    "PS3.18-10.5-22", "PS3.18 10.5.3", "A body that is no multipart answers 400", no_multipart;
    "PS3.18-10.5-23", "PS3.18 10.5.3", "A multipart body without a part answers 400", no_part;
    "PS3.18-10.5-24", "PS3.18 10.5.3", "A part that is not DICOM answers 409", not_dicom;
    "PS3.18-10.5-25", "PS3.18 10.5.3", "A good and a bad instance in one request answer 202", good_and_bad;
    "PS3.18-10.5-26", "PS3.18 Annex I", "A truncated instance fails and is not found afterwards", truncated;
    "PS3.18-10.5-27", "PS3.18 10.5.1", "An instance of another study than the path names fails", wrong_study;
    "PS3.18-10.5-28", "PS3.18 Annex I", "An instance without Study Instance UID fails or is kept aside, and is not found", no_study_uid;
    "PS3.18-10.5-29", "PS3.18 10.5.3", "Other content under a stored UID is not passed over in silence, and the first stays", conflict;
    "PS3.18-10.5-30", "RFC 2046 5.1.1", "A missing closing delimiter ends in an answer below 500", no_closing_delimiter;
    "PS3.18-10.5-31", "PS3.18 8.7.5", "An Accept that cannot be met answers 406", unacceptable_answer;
    "PS3.18-10.5-32", "PS3.18 10.5.2", "A single application/dicom body is stored or answers 415", single_body;
}

async fn post(world: &World, content_type: &str, accept: &str, body: Bytes) -> anyhow::Result<Answer> {
    world
        .web
        .send(
            reqwest::Method::POST,
            "/studies",
            &[("content-type", content_type), ("accept", accept)],
            body,
        )
        .await
}

const CONTAINER: &str = "multipart/related; type=\"application/dicom\"; boundary=bb";

async fn other_media_type(world: &World) -> Verdict {
    for content_type in ["text/plain", "multipart/form-data; boundary=bb"] {
        let answer = post(
            world,
            content_type,
            media::JSON,
            Bytes::from_static(b"--bb\r\n\r\nhello\r\n--bb--\r\n"),
        )
        .await?;
        answer.expect_status(&[415])?;
    }
    Ok(())
}

async fn no_multipart(world: &World) -> Verdict {
    post(
        world,
        CONTAINER,
        media::JSON,
        Bytes::from_static(b"this is not multipart at all"),
    )
    .await?
    .expect_status(&[400])?;
    Ok(())
}

async fn no_part(world: &World) -> Verdict {
    post(world, CONTAINER, media::JSON, Bytes::from_static(b"--bb--\r\n"))
        .await?
        .expect_status(&[400])?;
    Ok(())
}

async fn not_dicom(world: &World) -> Verdict {
    let bytes = multipart::with_boundary("bb", [b"GIF89a, and certainly no DICOM".as_slice()]);
    let answer = post(world, CONTAINER, media::JSON, bytes).await?;
    answer.expect_status(&[409])?;
    Row::one(&answer.body)?.check_shape()?;
    Ok(())
}

async fn good_and_bad(world: &World) -> Verdict {
    let sample = Sample::from_data_set(&world.maker.ct("good and bad", 1, 1), EXPLICIT_VR_LITTLE_ENDIAN);
    let answer = world
        .web
        .store(
            None,
            multipart::of_files([sample.file.as_ref(), b"no DICOM at all".as_slice()]),
        )
        .await?;
    answer.expect_status(&[202])?;
    let found = outcome(&Row::one(&answer.body)?, &sample.sop_instance_uid);
    expect(matches!(found, Stored::Referenced { .. }), || {
        format!("the answer says {found:?} of the good one")
    })
}

async fn truncated(world: &World) -> Verdict {
    let sample = Sample::from_data_set(&world.maker.ct("truncated", 1, 1), EXPLICIT_VR_LITTLE_ENDIAN);
    let cut = sample.file.slice(..sample.file.len() - 1001);
    let answer = world.web.store(None, multipart::of_files([cut.as_ref()])).await?;
    answer.expect_status(&[409])?;
    let found = is_found(&world.web, &Located::as_sent(&sample)).await?;
    expect(!found, || "the truncated instance is found".into())
}

async fn wrong_study(world: &World) -> Verdict {
    let sample = Sample::from_data_set(&world.maker.ct("wrong study", 1, 1), EXPLICIT_VR_LITTLE_ENDIAN);
    let other = crate::phantom::uid(&["another study"]);
    let answer = world
        .web
        .store(Some(&other), multipart::of_files([sample.file.as_ref()]))
        .await?;
    answer.expect_status(&[409])?;
    match outcome(&Row::one(&answer.body)?, &sample.sop_instance_uid) {
        // PS3.4 Table B.2-1: A9xx, the data set does not match; Microsoft and others use A901.
        Stored::Failed(Some(reason)) => expect((0xA900..=0xA9FF).contains(&reason), || {
            format!("the failure reason is {reason:04X}, expected A9xx")
        }),
        other => expect(false, || format!("the answer says {other:?}")),
    }
}

async fn no_study_uid(world: &World) -> Verdict {
    let mut set = world.maker.ct("no study uid", 1, 1);
    set.remove(tags::STUDY_INSTANCE_UID);
    let (answer, sample) = world.store(&set).await?;
    answer.expect_status(&[202, 409])?;
    let path = format!("/instances?SOPInstanceUID={}", sample.sop_instance_uid);
    let rows = world.web.search(&path).await?;
    expect(rows.is_empty(), || {
        "an instance that belongs to no study is found".into()
    })
}

async fn conflict(world: &World) -> Verdict {
    let mut set = world.maker.ct("conflict", 1, 1);
    let (sample, located) = world.store_and_locate(&set).await?;
    let mut pixels = set.value(tags::PIXEL_DATA).unwrap_or_default().to_vec();
    pixels.iter_mut().step_by(2).for_each(|byte| *byte ^= 0x55);
    set.bytes(tags::PIXEL_DATA, "OW", pixels);
    let (answer, _) = world.store(&set).await?;
    let said = outcome(&Row::one(&answer.body)?, &sample.sop_instance_uid);
    let silent = matches!(said, Stored::Referenced { warning: None, .. } | Stored::Unnamed);
    expect(answer.status != 200 && !silent, || {
        format!(
            "{}: it says {said:?} of other content under a stored UID",
            answer.seen()
        )
    })?;
    let now = world.web.get(&located.instance_path(), media::INSTANCES).await?;
    let part = now.first_part()?;
    expect(pixel_data(&part)? == pixel_data(&sample.file)?, || {
        "the first instance was changed".into()
    })
}

async fn no_closing_delimiter(world: &World) -> Verdict {
    let one = Sample::from_data_set(&world.maker.ct("no end", 1, 1), EXPLICIT_VR_LITTLE_ENDIAN);
    let whole = multipart::with_boundary("bb", [one.file.as_ref()]);
    let answer = world
        .web
        .store(
            None,
            Body {
                content_type: CONTAINER.into(),
                bytes: whole.slice(..whole.len() - 8),
            },
        )
        .await?;
    expect(answer.status < 500, || answer.seen())
}

async fn unacceptable_answer(world: &World) -> Verdict {
    let sample = Sample::from_data_set(&world.maker.ct("unacceptable", 1, 1), EXPLICIT_VR_LITTLE_ENDIAN);
    let body = multipart::of_files([sample.file.as_ref()]);
    post(world, &body.content_type, "text/html", body.bytes.clone())
        .await?
        .expect_status(&[406])?;
    Ok(())
}

async fn single_body(world: &World) -> Verdict {
    let sample = Sample::from_data_set(&world.maker.ct("single body", 1, 1), EXPLICIT_VR_LITTLE_ENDIAN);
    let answer = post(world, "application/dicom", media::JSON, sample.file.clone()).await?;
    answer.expect_status(&[200, 202, 415])?;
    if answer.status == 415 {
        Err(not_applicable("this extension of PS3.18 is not offered (415)"))
    } else {
        Ok(())
    }
}
