//! STOW-RS, what must be taken (PS3.18 10.5).

use super::cases;
use crate::data_set::{IMPLICIT_VR_LITTLE_ENDIAN, tags};
use crate::dicom_json::Row;
use crate::discover::{self, Located, Stored, outcome};
use crate::multipart::{self, Body};
use crate::report::{Verdict, expect, not_applicable};
use crate::sample::{Sample, pixel_data};
use crate::web::media;
use crate::world::World;
use bytes::Bytes;

cases! {
    "PS3.18-10.5-01", "PS3.18 10.5.3, Annex I", "Stored instances are named in ReferencedSOPSequence", names_what_it_stored;
    "PS3.18-10.5-02", "PS3.18 Annex I", "A RetrieveURL that is given works", retrieve_url_works;
    "PS3.18-10.5-03", "PS3.18 8.7.1", "The type parameter may stand without quotes", type_without_quotes;
    "PS3.18-10.5-04", "RFC 2046 5.1.1", "A quoted boundary with every legal character is understood", quoted_boundary;
    "PS3.18-10.5-05", "RFC 2046 5.1.1", "Preamble and epilogue are ignored", preamble_and_epilogue;
    "PS3.18-10.5-06", "RFC 2046 5.1.1", "A body that looks like a delimiter is kept whole", boundary_look_alike;
    "PS3.18-10.5-07", "PS3.18 10.5.1", "An instance sent to the study of its own UID is stored", study_in_path;
    "PS3.18-10.5-08", "PS3.18 10.5.3", "The same instance again is a success and adds nothing", same_again;
    "PS3.18-10.5-09", "PS3.18 8.7.3", "Implicit VR Little Endian is taken and never given back over HTTP", implicit_in_explicit_out;
    "PS3.18-10.5-10", "PS3.18 10.5", "Eight parallel requests into one new study give one study with exact counts", parallel_requests;
    "PS3.18-10.5-11", "PS3.18 10.5.2", "Parameters of the container that say nothing new are ignored", extra_parameters;
}

async fn names_what_it_stored(world: &World) -> Verdict {
    let seed = world
        .seed
        .as_ref()
        .map_err(|reason| crate::report::Objection::Fail(reason.clone()))?;
    let row = Row::one(&seed.answer.body)?;
    row.check_shape()?;
    expect(multipart::essence(&seed.answer.content_type()) == media::JSON, || {
        seed.answer.seen()
    })?;
    for sample in &seed.samples {
        let found = outcome(&row, &sample.sop_instance_uid);
        expect(matches!(found, Stored::Referenced { .. }), || {
            format!(
                "the answer says {found:?} of an instance of class {}",
                sample.sop_class_uid
            )
        })?;
    }
    let classes: Vec<_> = row
        .items((0x0008, 0x1199))
        .iter()
        .filter_map(|item| item.text((0x0008, 0x1150)))
        .collect();
    expect(classes.len() == seed.samples.len(), || {
        "ReferencedSOPClassUID is missing in an item".into()
    })
}

async fn retrieve_url_works(world: &World) -> Verdict {
    let seed = world.seed()?;
    let row = Row::one(&seed.answer.body)?;
    let urls: Vec<_> = row
        .items((0x0008, 0x1199))
        .iter()
        .filter_map(|item| item.text((0x0008, 0x1190)))
        .collect();
    let Some(url) = urls.first() else {
        return Err(not_applicable("the answer gives no RetrieveURL"));
    };
    expect(Located::from_retrieve_url(url).is_some(), || {
        "the RetrieveURL is no URL of an instance".into()
    })?;
    world.web.get(url, media::INSTANCES).await?.expect_status(&[200])?;
    Ok(())
}

async fn stored_as(world: &World, study: &str, content_type: String, wrap: impl Fn(&[u8]) -> Bytes) -> Verdict {
    let set = world.maker.ct(study, 1, 1);
    let sample = Sample::from_data_set(&set, crate::data_set::EXPLICIT_VR_LITTLE_ENDIAN);
    let answer = world
        .web
        .store(
            None,
            Body {
                content_type,
                bytes: wrap(&sample.file),
            },
        )
        .await?;
    answer.expect_status(&[200, 202])?;
    let row = Row::one(&answer.body)?;
    let found = outcome(&row, &sample.sop_instance_uid);
    expect(matches!(found, Stored::Referenced { .. }), || {
        format!("{}: the answer says {found:?}", answer.seen())
    })
}

async fn type_without_quotes(world: &World) -> Verdict {
    let content_type = "multipart/related; type=application/dicom; boundary=plain-boundary".to_owned();
    stored_as(world, "type without quotes", content_type, |file| {
        multipart::with_boundary("plain-boundary", [file])
    })
    .await
}

async fn quoted_boundary(world: &World) -> Verdict {
    let boundary = "b'()+_,-./:=? x9";
    let content_type = format!("multipart/related; type=\"application/dicom\"; boundary=\"{boundary}\"");
    stored_as(world, "quoted boundary", content_type, |file| {
        multipart::with_boundary(boundary, [file])
    })
    .await
}

async fn preamble_and_epilogue(world: &World) -> Verdict {
    let content_type = "multipart/related; type=\"application/dicom\"; boundary=around".to_owned();
    stored_as(world, "preamble and epilogue", content_type, |file| {
        [
            b"This is a preamble.\r\n".as_slice(),
            &multipart::with_boundary("around", [file]),
            b"\r\nand an epilogue\r\n",
        ]
        .concat()
        .into()
    })
    .await
}

async fn boundary_look_alike(world: &World) -> Verdict {
    let mut set = world.maker.ct("look-alike", 1, 1);
    let mut pixels = set.value(tags::PIXEL_DATA).unwrap_or_default().to_vec();
    let look_alike = b"\r\n--isocenter-conformance-7d1c44e0a9f35b6\r\n--isoc";
    pixels.splice(100..100 + look_alike.len(), look_alike.iter().copied());
    set.bytes(tags::PIXEL_DATA, "OW", pixels.clone());
    let (_, located) = world.store_and_locate(&set).await?;
    let answer = world.web.get(&located.instance_path(), media::INSTANCES).await?;
    let part = answer.first_part()?;
    expect(pixel_data(&part)? == pixels, || {
        "the pixel data changed on the way".into()
    })
}

async fn study_in_path(world: &World) -> Verdict {
    let sample = Sample::from_data_set(
        &world.maker.ct("in path", 1, 1),
        crate::data_set::EXPLICIT_VR_LITTLE_ENDIAN,
    );
    let body = multipart::of_files([sample.file.as_ref()]);
    let answer = world.web.store(Some(&sample.study_instance_uid), body).await?;
    answer.expect_status(&[200, 202])?;
    let found = outcome(&Row::one(&answer.body)?, &sample.sop_instance_uid);
    expect(matches!(found, Stored::Referenced { .. }), || {
        format!("the answer says {found:?}")
    })
}

async fn same_again(world: &World) -> Verdict {
    let seed = world.seed()?;
    let before = discover::count_instances(&world.web, &seed.first.study, seed.count()).await?;
    let body = multipart::of_files(seed.samples.iter().map(|sample| sample.file.as_ref()));
    let answer = world.web.store(None, body).await?;
    answer.expect_status(&[200, 202])?;
    let row = Row::one(&answer.body)?;
    for sample in &seed.samples {
        let found = outcome(&row, &sample.sop_instance_uid);
        expect(matches!(found, Stored::Referenced { .. }), || {
            format!("the answer says {found:?} the second time")
        })?;
    }
    let after = discover::count_instances(&world.web, &seed.first.study, before).await?;
    expect(before == after, || {
        format!("the study had {before} instances and has {after}")
    })
}

async fn implicit_in_explicit_out(world: &World) -> Verdict {
    let sample = Sample::from_data_set(&world.maker.ct("implicit", 1, 1), IMPLICIT_VR_LITTLE_ENDIAN);
    let answer = world
        .web
        .store(None, multipart::of_files([sample.file.as_ref()]))
        .await?;
    answer.expect_status(&[200, 202])?;
    let located = discover::locate(&world.web, &answer, &sample)
        .await?
        .ok_or_else(|| not_applicable("the archive took the instance but does not show it"))?;
    for accept in [media::INSTANCES, media::INSTANCES_AS_STORED] {
        let answer = world.web.get(&located.instance_path(), accept).await?;
        answer.expect_status(&[200])?;
        let part = answer.first_part()?;
        let (_, syntax) = crate::sample::header(&part)?;
        expect(syntax != IMPLICIT_VR_LITTLE_ENDIAN, || {
            format!("`{accept}` gave Implicit VR Little Endian")
        })?;
        expect(pixel_data(&part)? == pixel_data(&sample.file)?, || {
            "the pixel data changed on the way".into()
        })?;
    }
    Ok(())
}

async fn parallel_requests(world: &World) -> Verdict {
    let samples: Vec<Sample> = world.maker.ct_series("parallel", 1, 8);
    let requests = samples
        .iter()
        .map(|sample| world.web.store(None, multipart::of_files([sample.file.as_ref()])));
    let answers = futures::future::try_join_all(requests).await?;
    let mut located = Vec::new();
    for (answer, sample) in answers.iter().zip(&samples) {
        answer.expect_status(&[200, 202])?;
        located.extend(discover::locate(&world.web, answer, sample).await?);
    }
    let Some(first) = located.first() else {
        return Err(not_applicable("the archive took the instances but does not show them"));
    };
    expect(located.iter().all(|one| one.study == first.study), || {
        "the instances are in more than one study".into()
    })?;
    let count = discover::count_instances(&world.web, &first.study, samples.len()).await?;
    expect(count == samples.len(), || {
        format!("{} were stored, {count} are found", samples.len())
    })?;
    let rows = world
        .web
        .search(&format!("/studies?StudyInstanceUID={}", first.study))
        .await?;
    expect(rows.len() == 1, || format!("{} studies are found", rows.len()))?;
    let counts: Vec<_> = rows
        .iter()
        .map(|row| (row.number((0x0020, 0x1206)), row.number((0x0020, 0x1208))))
        .collect();
    expect(counts == [(Some(1), Some(8))], || {
        format!("series and instances of the study: {counts:?}, expected 1 and 8")
    })
}

async fn extra_parameters(world: &World) -> Verdict {
    let content_type = "multipart/related; start=\"<a@b>\"; start-info=\"x\"; charset=utf-8; \
         transfer-syntax=1.2.840.10008.1.2.1; TYPE=\"application/dicom\"; boundary=more"
        .to_owned();
    stored_as(world, "extra parameters", content_type, |file| {
        multipart::with_boundary("more", [file])
    })
    .await
}
