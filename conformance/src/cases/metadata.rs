//! WADO-RS, metadata and bulk data (PS3.18 10.4.1, Annex F).

use super::cases;
use crate::data_set::tags;
use crate::dicom_json::Row;
use crate::multipart::essence;
use crate::report::{Verdict, expect, not_applicable};
use crate::web::media;
use crate::world::{COLUMNS, ROWS, World};
use serde_json::Value;

cases! {
    "PS3.18-F-01", "PS3.18 F.2.1", "Metadata of a study, series and instance is an array with every instance", arrays;
    "PS3.18-F-02", "PS3.18 F.2.2 to F.2.7", "Keys, VRs and values keep the DICOM JSON Model", shape;
    "PS3.18-F-03", "PS3.18 F.2.7", "Pixel data is not inline", no_inline_pixels;
    "PS3.18-F-04", "PS3.18 F.2.1.1", "A Specific Character Set in JSON says ISO_IR 192", character_set;
    "PS3.18-F-05", "PS3.18 F.2.2", "What a viewer needs is there, with the values sent", viewer;
    "PS3.18-F-06", "PS3.18 F.2.3", "Names in Latin, Chinese and Japanese come back in their component groups", names;
    "PS3.18-F-07", "PS3.18 10.4.1", "The BulkDataURI of the pixel data gives the pixel data", bulk_data;
}

/// Returns the data sets of what a path names.
async fn metadata(world: &World, path: &str) -> anyhow::Result<Vec<Row>> {
    world.web.get(&format!("{path}/metadata"), media::JSON).await?.rows()
}

async fn arrays(world: &World) -> Verdict {
    let seed = world.seed()?;
    for (path, wanted) in [
        (seed.first.study_path(), seed.count()),
        (seed.first.series_path(), 3),
        (seed.first.instance_path(), 1),
    ] {
        let answer = world.web.get(&format!("{path}/metadata"), media::JSON).await?;
        answer.expect_status(&[200])?;
        expect(essence(&answer.content_type()) == media::JSON, || answer.seen())?;
        let count = answer.rows()?.len();
        expect(count == wanted, || {
            format!("{}: {count} data sets, expected {wanted}", answer.seen())
        })?;
    }
    Ok(())
}

async fn shape(world: &World) -> Verdict {
    let seed = world.seed()?;
    for row in metadata(world, &seed.first.study_path()).await? {
        row.check_shape()?;
    }
    Ok(())
}

async fn no_inline_pixels(world: &World) -> Verdict {
    let seed = world.seed()?;
    for row in metadata(world, &seed.first.study_path()).await? {
        let inline = row
            .element(tags::PIXEL_DATA)
            .is_some_and(|element| element.get("InlineBinary").is_some() || element.get("Value").is_some());
        expect(!inline, || "pixel data is inline".into())?;
    }
    Ok(())
}

async fn character_set(world: &World) -> Verdict {
    let mut set = world.maker.ct("latin", 1, 1);
    set.text(tags::SPECIFIC_CHARACTER_SET, "CS", "ISO_IR 100")
        .bytes((0x0008, 0x103E), "LO", b"Sch\xe4del ".to_vec());
    let (_, located) = world.store_and_locate(&set).await?;
    for path in [
        format!("{}/metadata", located.instance_path()),
        format!("{}/series?includefield=SeriesDescription", located.study_path()),
    ] {
        for row in world.web.get(&path, media::JSON).await?.rows()? {
            let named = row.text(tags::SPECIFIC_CHARACTER_SET);
            expect(named.as_deref().is_none_or(|name| name == "ISO_IR 192"), || {
                format!("{path} says {named:?}")
            })?;
            if let Some(text) = row.text((0x0008, 0x103E)) {
                expect(text == "Schädel", || {
                    format!("{path}: the text came back as other characters")
                })?;
            }
        }
    }
    Ok(())
}

async fn viewer(world: &World) -> Verdict {
    let seed = world.seed()?;
    let rows = metadata(world, &seed.first.instance_path()).await?;
    let row = rows
        .first()
        .ok_or_else(|| crate::report::Objection::Fail("no data set".into()))?;
    for (tag, wanted) in [
        (tags::SOP_CLASS_UID, crate::sample::CT_IMAGE_STORAGE.to_owned()),
        (tags::SOP_INSTANCE_UID, seed.first.instance.clone()),
        (tags::SERIES_INSTANCE_UID, seed.first.series.clone()),
        (tags::STUDY_INSTANCE_UID, seed.first.study.clone()),
        (tags::MODALITY, "CT".into()),
        ((0x0028, 0x0004), "MONOCHROME2".into()),
        ((0x0028, 0x0010), ROWS.to_string()),
        ((0x0028, 0x0011), COLUMNS.to_string()),
        ((0x0028, 0x0100), "16".into()),
        ((0x0028, 0x0101), "12".into()),
        ((0x0028, 0x0102), "11".into()),
        ((0x0028, 0x0103), "0".into()),
        ((0x0028, 0x0002), "1".into()),
    ] {
        let came = row.text(tag);
        expect(came.as_deref() == Some(wanted.as_str()), || {
            format!("({:04X},{:04X}) is {came:?}, expected {wanted}", tag.0, tag.1)
        })?;
    }
    let number = |tag| row.text(tag).and_then(|text| text.parse::<f64>().ok());
    expect(number((0x0028, 0x1052)) == Some(-1024.0), || {
        format!("RescaleIntercept is {:?}", row.text((0x0028, 0x1052)))
    })?;
    expect(row.texts((0x0020, 0x0037)).len() == 6, || {
        "ImageOrientationPatient has not six values".into()
    })?;
    expect(row.texts((0x0028, 0x0030)).len() == 2, || {
        "PixelSpacing has not two values".into()
    })
}

async fn names(world: &World) -> Verdict {
    world.needs_kept_identity()?;
    let mut set = world.maker.ct("names", 1, 1);
    set.text(tags::PATIENT_NAME, "PN", "Wáng^XiǎoDōng=王^小東=わん^しょうとう");
    let (_, located) = world.store_and_locate(&set).await?;
    let wanted =
        serde_json::json!({"Alphabetic": "Wáng^XiǎoDōng", "Ideographic": "王^小東", "Phonetic": "わん^しょうとう"});
    for path in [
        format!("{}/metadata", located.instance_path()),
        format!("/studies?StudyInstanceUID={}", located.study),
    ] {
        let rows = world.web.get(&path, media::JSON).await?.rows()?;
        let came = rows
            .first()
            .and_then(|row| row.element(tags::PATIENT_NAME))
            .and_then(|element| element.pointer("/Value/0"));
        expect(came == Some(&wanted), || {
            format!("{path} does not return the three groups as sent")
        })?;
    }
    let found = world
        .web
        .search(&format!(
            "/studies?StudyInstanceUID={}&PatientName=%2A%E7%8E%8B%2A",
            located.study
        ))
        .await?;
    expect(found.len() == 1, || {
        "PatientName=*王* does not find the ideographic group".into()
    })
}

async fn bulk_data(world: &World) -> Verdict {
    let seed = world.seed()?;
    let rows = metadata(world, &seed.first.instance_path()).await?;
    let uri = rows
        .first()
        .and_then(|row| row.element(tags::PIXEL_DATA))
        .and_then(|element| element.get("BulkDataURI"))
        .and_then(Value::as_str);
    let Some(uri) = uri else {
        return Err(not_applicable("the metadata has no BulkDataURI for the pixel data"));
    };
    let uri = if uri.starts_with("http") {
        uri.to_owned()
    } else {
        let base = url::Url::parse(&world.web.url(&format!("{}/metadata", seed.first.instance_path())))
            .map_err(anyhow::Error::from)?;
        base.join(uri).map_err(anyhow::Error::from)?.to_string()
    };
    let answer = world.web.get(&uri, media::FRAMES).await?;
    answer.expect_status(&[200])?;
    let came: Vec<u8> = answer
        .parts()?
        .into_iter()
        .flat_map(|part| part.body.to_vec())
        .collect();
    let sent = seed
        .sets
        .first()
        .and_then(|set| set.value(tags::PIXEL_DATA))
        .unwrap_or_default();
    expect(came == sent, || {
        format!("{} bytes came, {} were sent", came.len(), sent.len())
    })
}
