//! QIDO-RS, resources, keys and matching (PS3.18 10.6; PS3.4 C.2.2.2).
//!
//! Keys are matched on the values that the archive itself returns for the seed study, so an archive that replaces names and
//! dates is judged by the same cases.

use super::cases;
use crate::data_set::{Tag, tags};
use crate::dicom_json::{Row, key};
use crate::report::{Objection, Verdict, expect, not_applicable};
use crate::web::{encoded, media};
use crate::world::{Seed, World};

cases! {
    "PS3.18-10.6-01", "PS3.18 10.6.1", "A study search answers an array of DICOM JSON", study_list;
    "PS3.18-10.6-02", "PS3.18 Table 10.6.3-3", "A study row holds every required attribute", study_row;
    "PS3.18-10.6-03", "PS3.18 Table 10.6.3-4", "The series of a study are found with every required attribute", series_of_study;
    "PS3.18-10.6-04", "PS3.18 Table 10.6.3-5", "The instances of a series are found with every required attribute", instances_of_series;
    "PS3.18-10.6-05", "PS3.18 10.6.1", "All six search resources find the study's entities", all_resources;
    "PS3.18-10.6-06", "PS3.18 8.3.4.1", "A key may be a keyword or a tag, in either case of letters", keyword_or_tag;
    "PS3.18-10.6-07", "PS3.4 C.2.2.2.2", "A list of UIDs matches, divided by comma or backslash", uid_list;
    "PS3.18-10.6-08", "PS3.4 C.2.2.2.1", "PatientID matches by its whole value only", patient_id;
    "PS3.18-10.6-09", "PS3.4 C.2.2.2.4", "The wildcards * and ? match", wildcards;
    "PS3.18-10.6-10", "PS3.4 C.2.2.2.4", "% and _ are ordinary characters", sql_wildcards;
    "PS3.18-10.6-11", "PS3.4 C.2.2.2.5", "StudyDate matches closed and open ranges and nothing outside", date_range;
    "PS3.18-10.6-12", "PS3.4 C.2.2.2.5", "StudyTime matches ranges", time_range;
    "PS3.18-10.6-13", "PS3.4 C.2.2.2.3", "An empty value matches all and returns the attribute", universal;
    "PS3.18-10.6-14", "PS3.18 10.6.1.2", "ModalitiesInStudy and Modality match any of the study's modalities", modality;
    "PS3.18-10.6-15", "PS3.18 10.6.1.2", "SeriesNumber, InstanceNumber and SOPClassUID match", numbers_and_class;
    "PS3.18-10.6-16", "PS3.18 10.6.1.2", "Lower levels take the keys of the levels above", keys_from_above;
    "PS3.18-10.6-17", "RFC 3986 2.1", "A percent-encoded ^ in a name is decoded before matching", encoded_caret;
    "PS3.18-10.6-18", "PS3.18 10.6.1.2", "AccessionNumber and StudyID match", accession_and_study_id;
    "PS3.18-10.6-19", "PS3.4 C.2.2.2.6", "A key inside RequestAttributesSequence is understood", sequence_key;
    "PS3.18-10.6-20", "PS3.18 8.3.4", "A URL of 121 UIDs, over 5 kB, is understood", long_url;
}

/// The search that names the seed study, with further keys.
fn of_study(seed: &Seed, more: &str) -> String {
    format!("/studies?StudyInstanceUID={}{more}", seed.first.study)
}

async fn finds(world: &World, path: &str) -> Result<bool, Objection> {
    Ok(!world.web.search(path).await?.is_empty())
}

async fn expect_found(world: &World, path: &str) -> Verdict {
    expect(finds(world, path).await?, || format!("{path} finds nothing"))
}

async fn expect_nothing(world: &World, path: &str) -> Verdict {
    expect(!finds(world, path).await?, || format!("{path} finds the study"))
}

fn value(row: &Row, tag: Tag, name: &str) -> Result<String, Objection> {
    row.text(tag)
        .ok_or_else(|| not_applicable(format!("the archive returns no {name} to match on")))
}

async fn study_list(world: &World) -> Verdict {
    let answer = world.web.get("/studies?limit=10", media::JSON).await?;
    answer.expect_status(&[200])?;
    expect(crate::multipart::essence(&answer.content_type()) == media::JSON, || {
        answer.seen()
    })?;
    for row in answer.rows()? {
        row.check_shape()?;
    }
    Ok(())
}

fn require(row: &Row, level: &str, required: &[Tag]) -> Verdict {
    let missing: Vec<_> = required
        .iter()
        .filter(|tag| !row.has(**tag))
        .map(|tag| key(*tag))
        .collect();
    expect(missing.is_empty(), || {
        format!("a {level} row lacks {}", missing.join(", "))
    })
}

async fn study_row(world: &World) -> Verdict {
    let seed = world.seed()?;
    require(
        &seed.row,
        "study",
        &[
            tags::STUDY_DATE,
            tags::STUDY_TIME,
            tags::ACCESSION_NUMBER,
            (0x0008, 0x0061),
            (0x0008, 0x0090),
            tags::PATIENT_NAME,
            tags::PATIENT_ID,
            (0x0010, 0x0030),
            (0x0010, 0x0040),
            tags::STUDY_INSTANCE_UID,
            (0x0020, 0x0010),
            (0x0020, 0x1206),
            (0x0020, 0x1208),
        ],
    )?;
    let rows = world.web.search(&of_study(seed, "")).await?;
    expect(rows.len() == 1, || format!("{} studies have the UID", rows.len()))?;
    let counts = (seed.row.number((0x0020, 0x1206)), seed.row.number((0x0020, 0x1208)));
    let series = if seed.multi_frame.is_some() { 2 } else { 1 };
    let wanted = (Some(series), i64::try_from(seed.count()).ok());
    let now = rows
        .first()
        .map(|row| (row.number((0x0020, 0x1206)), row.number((0x0020, 0x1208))));
    expect(now == Some(wanted), || {
        format!("series and instances of the study: {counts:?}, expected {wanted:?}")
    })
}

async fn series_of_study(world: &World) -> Verdict {
    let seed = world.seed()?;
    let rows = world.web.search(&format!("{}/series", seed.first.study_path())).await?;
    let wanted = if seed.multi_frame.is_some() { 2 } else { 1 };
    expect(rows.len() == wanted, || {
        format!("{} series, expected {wanted}", rows.len())
    })?;
    for row in &rows {
        row.check_shape()?;
        require(
            row,
            "series",
            &[
                tags::MODALITY,
                tags::SERIES_INSTANCE_UID,
                tags::SERIES_NUMBER,
                (0x0020, 0x1209),
            ],
        )?;
    }
    let ours = rows
        .iter()
        .find(|row| row.text(tags::SERIES_INSTANCE_UID).as_deref() == Some(seed.first.series.as_str()));
    let count = ours.and_then(|row| row.number((0x0020, 0x1209)));
    expect(count == Some(3), || {
        format!("NumberOfSeriesRelatedInstances of the CT series is {count:?}, expected 3")
    })
}

async fn instances_of_series(world: &World) -> Verdict {
    let seed = world.seed()?;
    let rows = world
        .web
        .search(&format!("{}/instances", seed.first.series_path()))
        .await?;
    expect(rows.len() == 3, || format!("{} instances, expected 3", rows.len()))?;
    for row in &rows {
        row.check_shape()?;
        require(
            row,
            "instance",
            &[
                tags::SOP_CLASS_UID,
                tags::SOP_INSTANCE_UID,
                tags::INSTANCE_NUMBER,
                (0x0028, 0x0010),
                (0x0028, 0x0011),
                (0x0028, 0x0100),
            ],
        )?;
        let size = (row.number((0x0028, 0x0010)), row.number((0x0028, 0x0011)));
        let wanted = (
            Some(i64::from(crate::world::ROWS)),
            Some(i64::from(crate::world::COLUMNS)),
        );
        expect(size == wanted, || {
            format!("Rows and Columns are {size:?}, expected {wanted:?}")
        })?;
    }
    Ok(())
}

async fn all_resources(world: &World) -> Verdict {
    let seed = world.seed()?;
    let study = &seed.first.study;
    let (series, instances) = (if seed.multi_frame.is_some() { 2 } else { 1 }, seed.count());
    for (path, wanted) in [
        (format!("/studies?StudyInstanceUID={study}"), 1),
        (format!("/series?StudyInstanceUID={study}"), series),
        (format!("/instances?StudyInstanceUID={study}"), instances),
        (format!("/studies/{study}/series"), series),
        (format!("/studies/{study}/instances"), instances),
        (format!("{}/instances", seed.first.series_path()), 3),
    ] {
        let count = world.web.search(&path).await?.len();
        expect(count == wanted, || format!("{path} finds {count}, expected {wanted}"))?;
    }
    Ok(())
}

async fn keyword_or_tag(world: &World) -> Verdict {
    let study = &world.seed()?.first.study;
    for name in ["StudyInstanceUID", "0020000D", "0020000d"] {
        expect_found(world, &format!("/studies?{name}={study}")).await?;
    }
    Ok(())
}

async fn uid_list(world: &World) -> Verdict {
    let seed = world.seed()?;
    let uids: Vec<_> = seed.ct.iter().take(2).map(|one| one.instance.as_str()).collect();
    for divider in [",", "%2C", "%5C"] {
        let path = format!(
            "{}/instances?SOPInstanceUID={}",
            seed.first.series_path(),
            uids.join(divider)
        );
        let count = world.web.search(&path).await?.len();
        expect(count == 2, || format!("two UIDs divided by `{divider}` find {count}"))?;
    }
    Ok(())
}

async fn patient_id(world: &World) -> Verdict {
    let seed = world.seed()?;
    let id = value(&seed.row, tags::PATIENT_ID, "PatientID")?;
    expect_found(world, &of_study(seed, &format!("&PatientID={}", encoded(&id)))).await?;
    let part: String = id.chars().take(id.chars().count().saturating_sub(1)).collect();
    if part.is_empty() {
        return Ok(());
    }
    expect_nothing(world, &of_study(seed, &format!("&PatientID={}", encoded(&part)))).await
}

async fn wildcards(world: &World) -> Verdict {
    let seed = world.seed()?;
    let id = value(&seed.row, tags::PATIENT_ID, "PatientID")?;
    let count = id.chars().count();
    let head: String = id.chars().take(count / 2).collect();
    let tail: String = id.chars().skip(1).collect();
    let shorter: String = id.chars().skip(2).collect();
    expect_found(world, &of_study(seed, &format!("&PatientID={}*", encoded(&head)))).await?;
    expect_found(world, &of_study(seed, &format!("&PatientID=%3F{}", encoded(&tail)))).await?;
    expect_found(world, &of_study(seed, "&PatientID=*")).await?;
    expect_nothing(world, &of_study(seed, &format!("&PatientID=%3F{}", encoded(&shorter)))).await
}

async fn sql_wildcards(world: &World) -> Verdict {
    let seed = world.seed()?;
    let id = value(&seed.row, tags::PATIENT_ID, "PatientID")?;
    let tail: String = id.chars().skip(1).collect();
    expect_nothing(world, &of_study(seed, "&PatientID=%25")).await?;
    expect_nothing(world, &of_study(seed, "&PatientID=%25*")).await?;
    expect_nothing(world, &of_study(seed, &format!("&PatientID=_{}", encoded(&tail)))).await
}

async fn date_range(world: &World) -> Verdict {
    let seed = world.seed()?;
    let date = value(&seed.row, tags::STUDY_DATE, "StudyDate")?;
    for range in [
        date.clone(),
        format!("{date}-{date}"),
        format!("18000101-{date}"),
        format!("{date}-"),
        format!("-{date}"),
    ] {
        expect_found(world, &of_study(seed, &format!("&StudyDate={range}"))).await?;
    }
    for range in ["18000101-18000102", "-18000102", "29990101-"] {
        expect_nothing(world, &of_study(seed, &format!("&StudyDate={range}"))).await?;
    }
    Ok(())
}

async fn time_range(world: &World) -> Verdict {
    let seed = world.seed()?;
    let time = value(&seed.row, tags::STUDY_TIME, "StudyTime")?;
    let hour: String = time.chars().take(2).collect();
    let whole: String = time.chars().take(6).collect();
    for range in [
        format!("{hour}-{hour}"),
        format!("000000-{whole}.999999"),
        format!("{whole}-"),
        format!("-{whole}.999999"),
    ] {
        expect_found(world, &of_study(seed, &format!("&StudyTime={range}"))).await?;
    }
    let outside = if hour.as_str() < "12" {
        "230000-235959"
    } else {
        "000000-005959"
    };
    expect_nothing(world, &of_study(seed, &format!("&StudyTime={outside}"))).await
}

async fn universal(world: &World) -> Verdict {
    let seed = world.seed()?;
    let rows = world
        .web
        .search(&of_study(seed, "&StudyDescription=&PatientID="))
        .await?;
    let row = rows
        .first()
        .ok_or_else(|| Objection::Fail("an empty key finds nothing".into()))?;
    require(row, "study", &[(0x0008, 0x1030), tags::PATIENT_ID])
}

async fn modality(world: &World) -> Verdict {
    let seed = world.seed()?;
    let known = seed.row.texts((0x0008, 0x0061));
    expect(known.iter().any(|one| one == "CT"), || {
        format!("ModalitiesInStudy of a study with CT is {known:?}")
    })?;
    expect_found(world, &of_study(seed, "&ModalitiesInStudy=CT")).await?;
    expect_nothing(world, &of_study(seed, "&ModalitiesInStudy=MG")).await?;
    let path = format!("{}/series", seed.first.study_path());
    expect(
        world.web.search(&format!("{path}?Modality=CT")).await?.len() == 1,
        || "Modality=CT does not find the one CT series".into(),
    )?;
    expect(
        world.web.search(&format!("{path}?Modality=MG")).await?.is_empty(),
        || "Modality=MG finds a CT series".into(),
    )
}

async fn numbers_and_class(world: &World) -> Verdict {
    let seed = world.seed()?;
    let instances = format!("{}/instances", seed.first.series_path());
    for (path, wanted) in [
        (format!("{}/series?SeriesNumber=1", seed.first.study_path()), 1),
        (format!("{}/series?SeriesNumber=77", seed.first.study_path()), 0),
        (format!("{instances}?InstanceNumber=2"), 1),
        (format!("{instances}?InstanceNumber=20"), 0),
        (
            format!("{instances}?SOPClassUID={}", crate::sample::CT_IMAGE_STORAGE),
            3,
        ),
        (format!("{instances}?SOPClassUID=1.2.840.10008.5.1.4.1.1.4"), 0),
    ] {
        let count = world.web.search(&path).await?.len();
        expect(count == wanted, || format!("{path} finds {count}, expected {wanted}"))?;
    }
    Ok(())
}

async fn keys_from_above(world: &World) -> Verdict {
    let seed = world.seed()?;
    let study = &seed.first.study;
    for (path, wanted) in [
        (format!("/instances?StudyInstanceUID={study}&Modality=CT"), 3),
        (
            format!(
                "/instances?StudyInstanceUID={study}&SeriesInstanceUID={}",
                seed.first.series
            ),
            3,
        ),
        (format!("/series?StudyInstanceUID={study}&StudyDate=18000101"), 0),
    ] {
        let count = world.web.search(&path).await?.len();
        expect(count == wanted, || format!("{path} finds {count}, expected {wanted}"))?;
    }
    Ok(())
}

async fn encoded_caret(world: &World) -> Verdict {
    let seed = world.seed()?;
    let name = value(&seed.row, tags::PATIENT_NAME, "PatientName")?;
    expect_found(world, &of_study(seed, &format!("&PatientName={}", encoded(&name)))).await?;
    expect_nothing(world, &of_study(seed, "&PatientName=Nobody%5EAtAll")).await?;
    if name.contains('^') {
        Ok(())
    } else {
        Err(not_applicable("the archive returns a name without ^"))
    }
}

async fn accession_and_study_id(world: &World) -> Verdict {
    let seed = world.seed()?;
    for (name, tag) in [
        ("AccessionNumber", tags::ACCESSION_NUMBER),
        ("StudyID", (0x0020, 0x0010)),
    ] {
        if let Some(text) = seed.row.text(tag) {
            expect_found(world, &of_study(seed, &format!("&{name}={}", encoded(&text)))).await?;
        }
        expect_nothing(world, &of_study(seed, &format!("&{name}=NO-SUCH-ONE"))).await?;
    }
    Ok(())
}

async fn sequence_key(world: &World) -> Verdict {
    let seed = world.seed()?;
    for name in [
        "RequestAttributesSequence.ScheduledProcedureStepID",
        "00400275.00400009",
    ] {
        let path = format!("{}/series?{name}=NO-SUCH-ONE", seed.first.study_path());
        let answer = world.web.get(&path, media::JSON).await?;
        answer.expect_status(&[200])?;
        expect(answer.rows()?.is_empty(), || {
            format!("{path} finds series without such an item")
        })?;
    }
    Ok(())
}

async fn long_url(world: &World) -> Verdict {
    let seed = world.seed()?;
    let mut uids: Vec<String> = (0..120)
        .map(|number| crate::phantom::uid(&["nobody", &number.to_string()]))
        .collect();
    uids.push(seed.first.study.clone());
    let path = format!("/studies?StudyInstanceUID={}", uids.join(","));
    let count = world.web.search(&path).await?.len();
    expect(count == 1, || {
        format!("one of {} UIDs is stored, {count} are found", uids.len())
    })
}
