//! QIDO-RS, paging, parameters and faults (PS3.18 8.3.4, 10.6).

use super::cases;
use crate::data_set::tags;
use crate::report::{Verdict, expect, not_applicable};
use crate::web::media;
use crate::world::World;
use std::collections::BTreeSet;

cases! {
    "PS3.18-10.6-31", "PS3.18 8.3.4.4", "limit and offset page through all rows, each once", pages;
    "PS3.18-10.6-32", "PS3.18 8.3.4.4", "An offset past the end is an empty answer", past_the_end;
    "PS3.18-10.6-33", "PS3.18 8.3.4.4", "limit and offset that are no unsigned integers answer 400", bad_numbers;
    "PS3.18-10.6-34", "PS3.18 8.3.4.1", "An unknown attribute answers 400", unknown_attribute;
    "PS3.18-10.6-35", "PS3.18 10.6.3 (CP-2473)", "No match is 200 with an empty array", no_match;
    "PS3.18-10.6-36", "PS3.18 8.3.4.3", "includefield takes keywords, tags, lists, %2C and all", include_field;
    "PS3.18-10.6-37", "PS3.18 8.3.4.2", "fuzzymatching is done, or literal matching with a Warning", fuzzy;
    "PS3.18-10.6-38", "PS3.4 C.2.2.2.5", "A malformed date answers 400", bad_date;
    "PS3.18-10.6-39", "PS3.18 8.3.4.1", "The same attribute twice answers 400", twice;
    "PS3.18-10.6-40", "PS3.18 10.6.1", "The series of an unknown study are an empty answer or 404", unknown_study;
    "PS3.18-10.6-41", "RFC 9110 9.3.2", "HEAD answers as GET does, without a body", head;
    "PS3.18-10.6-42", "PS3.18 10.6.1", "The study list that OHIF asks for is answered", ohif;
    "PS3.18-10.6-44", "PS3.18 8.3.4.3", "An instance attribute outside the default row comes when it is asked for", include_instance_attribute;
    "PS3.18-10.6-43", "PS3.18 8.3.4.4", "Below a study, all series and instances come without a limit being named", no_limit_below_a_study;
}

async fn pages(world: &World) -> Verdict {
    let seed = world.seed()?;
    let all = format!("{}/instances", seed.first.study_path());
    let mut seen = BTreeSet::new();
    let total = seed.count();
    for offset in 0..total {
        let rows = world.web.search(&format!("{all}?limit=1&offset={offset}")).await?;
        expect(rows.len() == 1, || {
            format!("limit=1&offset={offset} of {total} gives {} rows", rows.len())
        })?;
        seen.extend(rows.iter().filter_map(|row| row.text(tags::SOP_INSTANCE_UID)));
    }
    expect(seen.len() == total, || {
        format!("{total} pages of one show {} different instances", seen.len())
    })?;
    let two = world.web.search(&format!("{all}?limit=2")).await?.len();
    expect(two == 2.min(total), || format!("limit=2 gives {two} rows"))
}

async fn past_the_end(world: &World) -> Verdict {
    let seed = world.seed()?;
    let rows = world
        .web
        .search(&format!("{}/instances?offset=1000", seed.first.study_path()))
        .await?;
    expect(rows.is_empty(), || format!("{} rows", rows.len()))
}

/// Checks that each of these searches of studies answers 400.
async fn bad_requests(world: &World, queries: &[&str]) -> Verdict {
    for query in queries {
        world
            .web
            .get(&format!("/studies?{query}"), media::JSON)
            .await?
            .expect_status(&[400])?;
    }
    Ok(())
}

async fn bad_numbers(world: &World) -> Verdict {
    bad_requests(
        world,
        &["limit=abc", "limit=-1", "offset=-1", "offset=1.5", "limit=1e2"],
    )
    .await
}

async fn unknown_attribute(world: &World) -> Verdict {
    bad_requests(world, &["NoSuchAttribute=1", "PatientNam=x", "0010=1"]).await
}

async fn no_match(world: &World) -> Verdict {
    let answer = world
        .web
        .get("/studies?StudyInstanceUID=1.2.3.4.5.6.7.8.9.0.1", media::JSON)
        .await?;
    answer.expect_status(&[200])?;
    expect(answer.rows()?.is_empty(), || "rows for a UID that nobody stored".into())
}

async fn include_field(world: &World) -> Verdict {
    let seed = world.seed()?;
    let base = format!("/studies?StudyInstanceUID={}", seed.first.study);
    for fields in [
        "StudyDescription,00100040",
        "StudyDescription%2C00100040",
        "00081030&includefield=PatientSex",
        "all",
    ] {
        let rows = world.web.search(&format!("{base}&includefield={fields}")).await?;
        let good = rows
            .first()
            .is_some_and(|row| row.has((0x0008, 0x1030)) && row.has((0x0010, 0x0040)));
        expect(good, || {
            format!("includefield={fields} does not return StudyDescription and PatientSex")
        })?;
    }
    Ok(())
}

async fn include_instance_attribute(world: &World) -> Verdict {
    let seed = world.seed()?;
    let base = format!(
        "{}/instances?SOPInstanceUID={}",
        seed.first.series_path(),
        seed.first.instance
    );
    let rows = world
        .web
        .search(&format!("{base}&includefield=BitsStored,00280102"))
        .await?;
    let good = rows
        .first()
        .is_some_and(|row| row.number((0x0028, 0x0101)) == Some(12) && row.number((0x0028, 0x0102)) == Some(11));
    expect(good, || {
        "includefield=BitsStored,00280102 does not return BitsStored and HighBit".into()
    })
}

async fn fuzzy(world: &World) -> Verdict {
    let seed = world.seed()?;
    let name = seed
        .row
        .text(tags::PATIENT_NAME)
        .ok_or_else(|| not_applicable("the archive returns no PatientName"))?;
    let path = format!(
        "/studies?StudyInstanceUID={}&fuzzymatching=true&PatientName={}",
        seed.first.study,
        crate::web::encoded(&name)
    );
    let answer = world.web.get(&path, media::JSON).await?;
    answer.expect_status(&[200])?;
    expect(answer.rows()?.len() == 1, || "the exact name does not match".into())?;
    let part: String = name.chars().take(3).collect();
    let path = format!(
        "/studies?StudyInstanceUID={}&fuzzymatching=true&PatientName={}",
        seed.first.study,
        crate::web::encoded(&part)
    );
    let answer = world.web.get(&path, media::JSON).await?;
    let matched = !answer.rows()?.is_empty();
    expect(matched || answer.header("warning").is_some(), || {
        "the beginning of a name does not match and no Warning says so".into()
    })
}

async fn bad_date(world: &World) -> Verdict {
    for date in ["yesterday", "20201301", "2020-01-01", "20200101-20200102-20200103"] {
        world
            .web
            .get(&format!("/studies?StudyDate={date}"), media::JSON)
            .await?
            .expect_status(&[400])?;
    }
    Ok(())
}

async fn twice(world: &World) -> Verdict {
    bad_requests(world, &["PatientID=a&PatientID=b", "PatientID=a&00100020=b"]).await
}

async fn unknown_study(world: &World) -> Verdict {
    let answer = world
        .web
        .get("/studies/1.2.3.4.5.6.7.8.9.0.1/series", media::JSON)
        .await?;
    answer.expect_status(&[200, 204, 404])?;
    if answer.status == 200 {
        expect(answer.rows()?.is_empty(), || "rows of an unknown study".into())
    } else {
        Ok(())
    }
}

async fn head(world: &World) -> Verdict {
    let answer = world
        .web
        .send(
            reqwest::Method::HEAD,
            "/studies?limit=1",
            &[("accept", media::JSON)],
            bytes::Bytes::new(),
        )
        .await?;
    answer.expect_status(&[200])?;
    expect(crate::multipart::essence(&answer.content_type()) == media::JSON, || {
        answer.seen()
    })
}

async fn ohif(world: &World) -> Verdict {
    let seed = world.seed()?;
    let path = format!(
        "/studies?limit=101&offset=0&fuzzymatching=true&includefield=00081030%2C00080060%2C00080090%2C00100030&StudyInstanceUID={}",
        seed.first.study
    );
    for accept in [
        media::JSON,
        "application/dicom+json, multipart/related; type=application/octet-stream; transfer-syntax=*",
    ] {
        let answer = world.web.get(&path, accept).await?;
        answer.expect_status(&[200])?;
        expect(answer.rows()?.len() == 1, || "the study is not found".into())?;
    }
    Ok(())
}

async fn no_limit_below_a_study(world: &World) -> Verdict {
    // 130 tiny instances: more than the page of any archive that limits where viewers do not page.
    let maker = crate::sample::Maker::new(&crate::sample::fresh_key(), 8, 8);
    let samples = maker.ct_series("many", 1, 130);
    let body = crate::multipart::of_files(samples.iter().map(|sample| sample.file.as_ref()));
    let answer = world.web.store(None, body).await?;
    answer.expect_status(&[200, 202])?;
    let Some(first) = samples.first() else { return Ok(()) };
    let located = crate::discover::locate(&world.web, &answer, first)
        .await?
        .ok_or_else(|| not_applicable("the archive took the instances but does not show them"))?;
    let count = crate::discover::count_instances(&world.web, &located.study, samples.len()).await?;
    expect(count == samples.len(), || {
        format!(
            "{} instances were stored, a search below the study shows {count}",
            samples.len()
        )
    })
}
