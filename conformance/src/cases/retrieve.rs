//! WADO-RS, instances and frames (PS3.18 10.4).

use super::cases;
use crate::data_set::{EXPLICIT_VR_LITTLE_ENDIAN, tags};
use crate::multipart::essence;
use crate::report::{Verdict, expect};
use crate::sample::{header, pixel_data};
use crate::web::media;
use crate::world::{FRAMES, World};
use bytes::Bytes;
use std::collections::BTreeSet;

cases! {
    "PS3.18-10.4-01", "PS3.18 10.4.1.1.1", "A study comes as one application/dicom part for each instance", study;
    "PS3.18-10.4-02", "PS3.18 10.4.1.1.1", "A series comes as one part for each instance", series;
    "PS3.18-10.4-03", "PS3.18 10.4.1.1.1", "An instance comes whole, in Explicit VR Little Endian, pixels bit for bit", instance;
    "PS3.18-10.4-04", "PS3.10 7.1", "File Meta and data set of a retrieved instance agree", file_meta;
    "PS3.18-10.4-05", "PS3.18 10.4.4", "One instance can be had as single-part application/dicom", single_part;
    "PS3.18-10.4-06", "PS3.18 10.4.4", "A study as single-part application/dicom answers 406", single_part_study;
    "PS3.18-10.4-07", "PS3.18 10.4.1", "An instance under another study or series answers 404", wrong_parent;
    "PS3.18-10.4-08", "PS3.18 10.4.3", "Unknown study, series and instance answer 404", unknown;
    "PS3.18-10.4-09", "PS3.18 10.4.3", "What is no UID in a path answers 400 or 404", no_uid;
    "PS3.18-10.4-10", "PS3.18 10.4.1", "Frame 1 of a single-frame image is its pixel data", frame_of_single;
    "PS3.18-10.4-11", "PS3.18 10.4.1", "Each frame of a multi-frame image has its exact bytes, odd lengths too", each_frame;
    "PS3.18-10.4-12", "PS3.18 10.4.1", "A frame list comes in the order asked, one part each", frame_list;
    "PS3.18-10.4-13", "PS3.18 10.4.1", "Frame 0 and what is no number answer 400, a frame past the end 404", bad_frames;
    "PS3.18-10.4-14", "PS3.18 8.6.1", "Parts carry Content-Type, and frames say their transfer syntax when asked as stored", part_headers;
    "PS3.18-10.4-15", "PS3.18 10.4", "A study that grows is whole again at the next retrieval", growing;
    "PS3.18-10.4-16", "RFC 9110 9.3.2", "HEAD on an instance answers 200 without a body", head;
}

async fn uids(world: &World, path: &str) -> anyhow::Result<BTreeSet<String>> {
    let answer = world.web.get(path, media::INSTANCES).await?;
    answer.expect_status(&[200])?;
    let mut found = BTreeSet::new();
    for part in answer.parts()? {
        let of = part.header("content-type").map(essence);
        anyhow::ensure!(of.as_deref() == Some("application/dicom"), "a part has the type {of:?}");
        let (set, _) = header(&part.body)?;
        found.insert(
            set.element_by_name("SOPInstanceUID")?
                .to_str()?
                .trim_end_matches('\0')
                .to_owned(),
        );
    }
    Ok(found)
}

async fn study(world: &World) -> Verdict {
    let seed = world.seed()?;
    let found = uids(world, &seed.first.study_path()).await?;
    let wanted: BTreeSet<_> = seed
        .ct
        .iter()
        .chain(&seed.multi_frame)
        .map(|one| one.instance.clone())
        .collect();
    expect(found == wanted, || {
        format!("{} instances came, {} are stored", found.len(), wanted.len())
    })
}

async fn series(world: &World) -> Verdict {
    let seed = world.seed()?;
    let found = uids(world, &seed.first.series_path()).await?;
    let wanted: BTreeSet<_> = seed.ct.iter().map(|one| one.instance.clone()).collect();
    expect(found == wanted, || {
        format!("{} instances came, {} are stored", found.len(), wanted.len())
    })
}

async fn only_part(world: &World, path: &str, accept: &str) -> anyhow::Result<Bytes> {
    let answer = world.web.get(path, accept).await?;
    answer.expect_status(&[200])?;
    let mut parts = answer.parts()?;
    anyhow::ensure!(parts.len() == 1, "{}: {} parts", answer.seen(), parts.len());
    Ok(parts.remove(0).body)
}

async fn instance(world: &World) -> Verdict {
    let seed = world.seed()?;
    for (located, set) in seed.ct.iter().zip(&seed.sets) {
        let file = only_part(world, &located.instance_path(), media::INSTANCES).await?;
        let (_, syntax) = header(&file)?;
        expect(syntax == EXPLICIT_VR_LITTLE_ENDIAN, || {
            format!("transfer syntax {syntax}")
        })?;
        expect(
            Some(pixel_data(&file)?.as_slice()) == set.value(tags::PIXEL_DATA),
            || "the pixel data differ from those sent".into(),
        )?;
    }
    Ok(())
}

async fn file_meta(world: &World) -> Verdict {
    let seed = world.seed()?;
    let file = only_part(world, &seed.first.instance_path(), media::INSTANCES).await?;
    let object: dicom_object::DefaultDicomObject =
        dicom_object::from_reader(file.as_ref()).map_err(anyhow::Error::from)?;
    let trim = |text: &str| text.trim_end_matches(['\0', ' ']).to_owned();
    let of = |name| -> anyhow::Result<String> { Ok(trim(&object.element_by_name(name)?.to_str()?)) };
    let meta = (
        trim(&object.meta().media_storage_sop_class_uid),
        trim(&object.meta().media_storage_sop_instance_uid),
    );
    let set = (of("SOPClassUID")?, of("SOPInstanceUID")?);
    expect(meta == set, || format!("File Meta says {meta:?}, the data set {set:?}"))?;
    expect(set.1 == seed.first.instance, || {
        "the instance has another UID than its path".into()
    })?;
    expect(of("StudyInstanceUID")? == seed.first.study, || {
        "the instance has another Study Instance UID than its path".into()
    })
}

async fn single_part(world: &World) -> Verdict {
    let seed = world.seed()?;
    let answer = world.web.get(&seed.first.instance_path(), "application/dicom").await?;
    answer.expect_status(&[200])?;
    expect(essence(&answer.content_type()) == "application/dicom", || answer.seen())?;
    header(&answer.body)?;
    Ok(())
}

async fn single_part_study(world: &World) -> Verdict {
    let seed = world.seed()?;
    world
        .web
        .get(&seed.first.study_path(), "application/dicom")
        .await?
        .expect_status(&[406])?;
    Ok(())
}

async fn wrong_parent(world: &World) -> Verdict {
    let seed = world.seed()?;
    let (set, one) = (world.maker.ct("another parent", 1, 1), &seed.first);
    let (_, other) = world.store_and_locate(&set).await?;
    for path in [
        format!(
            "/studies/{}/series/{}/instances/{}",
            other.study, one.series, one.instance
        ),
        format!(
            "/studies/{}/series/{}/instances/{}",
            one.study, other.series, one.instance
        ),
        format!("/studies/{}/series/{}", other.study, one.series),
        format!(
            "/studies/{}/series/{}/instances/{}/frames/1",
            other.study, other.series, one.instance
        ),
    ] {
        let accept = if path.ends_with("frames/1") {
            media::FRAMES
        } else {
            media::INSTANCES
        };
        world.web.get(&path, accept).await?.expect_status(&[404])?;
    }
    Ok(())
}

async fn unknown(world: &World) -> Verdict {
    let one = &world.seed()?.first;
    for path in [
        "/studies/1.2.3.4.5".to_owned(),
        format!("{}/series/1.2.3.4.5", one.study_path()),
        format!("{}/instances/1.2.3.4.5", one.series_path()),
        "/studies/1.2.3.4.5/metadata".to_owned(),
    ] {
        let accept = if path.ends_with("metadata") {
            media::JSON
        } else {
            media::INSTANCES
        };
        world.web.get(&path, accept).await?.expect_status(&[404])?;
    }
    Ok(())
}

async fn no_uid(world: &World) -> Verdict {
    let long = "1.".repeat(40) + "1";
    for uid in ["abc", "1.2.%2e%2e", "..%2F..%2Fetc%2Fpasswd", "1.2'--", long.as_str()] {
        world
            .web
            .get(&format!("/studies/{uid}/metadata"), media::JSON)
            .await?
            .expect_status(&[400, 404])?;
    }
    Ok(())
}

async fn frame_of_single(world: &World) -> Verdict {
    let seed = world.seed()?;
    let frame = only_part(
        world,
        &format!("{}/frames/1", seed.first.instance_path()),
        media::FRAMES,
    )
    .await?;
    let sent = seed
        .sets
        .first()
        .and_then(|set| set.value(tags::PIXEL_DATA))
        .unwrap_or_default();
    expect(frame.as_ref() == sent, || {
        format!("{} bytes came, {} were sent", frame.len(), sent.len())
    })
}

/// The frames of the multi-frame image as sent.
fn sent_frames(world: &World) -> Result<Vec<Vec<u8>>, crate::report::Objection> {
    let seed = world.seed()?;
    let pixels = seed
        .sets
        .last()
        .and_then(|set| set.value(tags::PIXEL_DATA))
        .unwrap_or_default();
    let length = pixels.len() / usize::from(FRAMES);
    Ok(pixels
        .chunks(length)
        .take(usize::from(FRAMES))
        .map(<[u8]>::to_vec)
        .collect())
}

async fn each_frame(world: &World) -> Verdict {
    let path = world.seed()?.frames()?.instance_path();
    for (number, sent) in (1..).zip(sent_frames(world)?) {
        let frame = only_part(world, &format!("{path}/frames/{number}"), media::FRAMES).await?;
        expect(frame.as_ref() == sent.as_slice(), || {
            format!(
                "frame {number}: {} bytes came, {} were sent, or their content differs",
                frame.len(),
                sent.len()
            )
        })?;
    }
    Ok(())
}

async fn frame_list(world: &World) -> Verdict {
    let path = world.seed()?.frames()?.instance_path();
    let sent = sent_frames(world)?;
    for list in ["4,2,5", "1%2C3"] {
        let answer = world.web.get(&format!("{path}/frames/{list}"), media::FRAMES).await?;
        answer.expect_status(&[200])?;
        let came: Vec<_> = answer.parts()?.into_iter().map(|part| part.body.to_vec()).collect();
        let wanted: Vec<_> = list
            .replace("%2C", ",")
            .split(',')
            .filter_map(|number| number.parse::<usize>().ok())
            .filter_map(|number| sent.get(number - 1).cloned())
            .collect();
        expect(came == wanted, || {
            format!("frames/{list}: {} parts, or in another order", came.len())
        })?;
    }
    Ok(())
}

async fn bad_frames(world: &World) -> Verdict {
    let path = world.seed()?.first.instance_path();
    for list in ["0", "-1", "x", "1,x"] {
        world
            .web
            .get(&format!("{path}/frames/{list}"), media::FRAMES)
            .await?
            .expect_status(&[400])?;
    }
    for list in ["2", "1,2", "99999999"] {
        world
            .web
            .get(&format!("{path}/frames/{list}"), media::FRAMES)
            .await?
            .expect_status(&[404])?;
    }
    Ok(())
}

async fn part_headers(world: &World) -> Verdict {
    let path = world.seed()?.first.instance_path();
    let answer = world
        .web
        .get(&format!("{path}/frames/1"), media::FRAMES_AS_STORED)
        .await?;
    answer.expect_status(&[200])?;
    for part in answer.parts()? {
        let of = part.header("content-type").unwrap_or_default().to_owned();
        expect(essence(&of) == "application/octet-stream", || {
            format!("the part has the type `{of}`")
        })?;
        // Without the parameter a native frame is Explicit VR Little Endian by Table 8.7.3-2; another value would be wrong.
        let syntax = crate::multipart::parameter(&of, "transfer-syntax");
        expect(
            syntax.as_deref().is_none_or(|uid| uid == EXPLICIT_VR_LITTLE_ENDIAN),
            || format!("the part says {syntax:?}"),
        )?;
    }
    Ok(())
}

async fn growing(world: &World) -> Verdict {
    let (_, first) = world.store_and_locate(&world.maker.ct("growing", 1, 1)).await?;
    expect(uids(world, &first.study_path()).await?.len() == 1, || {
        "the study does not begin with one instance".into()
    })?;
    let (_, second) = world.store_and_locate(&world.maker.ct("growing", 1, 2)).await?;
    let found = uids(world, &first.study_path()).await?;
    expect(found.len() == 2 && found.contains(&second.instance), || {
        format!("{} instances after the second was stored", found.len())
    })
}

async fn head(world: &World) -> Verdict {
    let path = world.seed()?.first.instance_path();
    let headers = [("accept", media::INSTANCES)];
    let answer = world
        .web
        .send(reqwest::Method::HEAD, &path, &headers, Bytes::new())
        .await?;
    answer.expect_status(&[200])?;
    expect(essence(&answer.content_type()) == "multipart/related", || answer.seen())
}
