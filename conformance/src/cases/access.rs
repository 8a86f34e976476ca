//! Who may do what (PS3.18 8.5.1 status codes 401, 403 and 404; RFC 6750).

use super::cases;
use crate::data_set::EXPLICIT_VR_LITTLE_ENDIAN;
use crate::dicom_json::Row;
use crate::discover::Located;
use crate::multipart;
use crate::report::{Objection, Verdict, expect, not_applicable};
use crate::sample::Sample;
use crate::web::{Web, media};
use crate::world::World;

cases! {
    "PS3.18-8.5-01", "RFC 6750 3", "A bad token answers 401, whatever is asked", bad_token;
    "PS3.18-8.5-02", "RFC 6750 3", "STOW without a token answers 401 and stores nothing", store_without_token;
    "PS3.18-8.5-03", "PS3.18 8.5", "What a search without a token does not show cannot be retrieved without one", consistent;
    "PS3.18-8.5-04", "PS3.18 Annex I, F.2.6", "Links in answers begin with the root of the service", links;
    "PS3.18-8.5-05", "PS3.18 8.5", "An error body holds nothing of the request's patient", error_bodies;
}

fn needs_token(world: &World) -> Verdict {
    if world.target.token.is_some() {
        Ok(())
    } else {
        Err(not_applicable("no token was given"))
    }
}

async fn bad_token(world: &World) -> Verdict {
    needs_token(world)?;
    let stranger = world.web.speaking_as(Some("certainly-not-a-token"));
    let mut paths = vec![("/studies?limit=1".to_owned(), media::JSON)];
    if let Ok(seed) = &world.seed {
        paths.push((seed.first.instance_path(), media::INSTANCES));
        paths.push((format!("{}/metadata", seed.first.instance_path()), media::JSON));
        paths.push((format!("{}/frames/1", seed.first.instance_path()), media::FRAMES));
        paths.push((format!("{}/rendered", seed.first.instance_path()), "image/png"));
    }
    for (path, accept) in paths {
        stranger.get(&path, accept).await?.expect_status(&[401])?;
    }
    Ok(())
}

async fn store_without_token(world: &World) -> Verdict {
    needs_token(world)?;
    let sample = Sample::from_data_set(&world.maker.ct("without token", 1, 1), EXPLICIT_VR_LITTLE_ENDIAN);
    let anonymous = world.web.speaking_as(None);
    anonymous
        .store(None, multipart::of_files([sample.file.as_ref()]))
        .await?
        .expect_status(&[401])?;
    let found = crate::discover::is_found(&world.web, &Located::as_sent(&sample)).await?;
    expect(!found, || "the instance was stored".into())
}

async fn consistent(world: &World) -> Verdict {
    needs_token(world)?;
    let seed = world.seed()?;
    let anonymous: Web = world.web.speaking_as(None);
    let search = anonymous
        .get(&format!("/studies?StudyInstanceUID={}", seed.first.study), media::JSON)
        .await?;
    let shown = search.status == 200 && !search.rows()?.is_empty();
    let one = &seed.first;
    for (path, accept) in [
        (one.study_path(), media::INSTANCES),
        (one.instance_path(), media::INSTANCES),
        (format!("{}/metadata", one.study_path()), media::JSON),
        (format!("{}/frames/1", one.instance_path()), media::FRAMES),
        (format!("{}/rendered", one.instance_path()), "image/png"),
    ] {
        let answer = anonymous.get(&path, accept).await?;
        if shown {
            answer.expect_status(&[200])?;
        } else {
            answer.expect_status(&[401, 403, 404])?;
        }
    }
    for path in [
        format!("/series?StudyInstanceUID={}", one.study),
        format!("{}/instances", one.study_path()),
    ] {
        let answer = anonymous.get(&path, media::JSON).await?;
        let rows = if answer.status == 200 { answer.rows()?.len() } else { 0 };
        expect(shown == (rows > 0), || {
            format!(
                "{path} shows {rows} rows without a token, the study search {}",
                if shown { "one" } else { "none" }
            )
        })?;
    }
    Ok(())
}

async fn links(world: &World) -> Verdict {
    let seed = world.seed()?;
    let mut urls: Vec<String> = Row::one(&seed.answer.body)?
        .items((0x0008, 0x1199))
        .iter()
        .filter_map(|item| item.text((0x0008, 0x1190)))
        .collect();
    urls.extend(seed.row.text((0x0008, 0x1190)));
    if urls.is_empty() {
        return Err(not_applicable("the archive gives no links"));
    }
    for url in urls {
        expect(url.starts_with(world.web.root()), || {
            format!("{url} does not begin with {}", world.web.root())
        })?;
    }
    Ok(())
}

async fn error_bodies(world: &World) -> Verdict {
    let mut set = world.maker.ct("error bodies", 1, 1);
    set.text(crate::data_set::tags::PATIENT_NAME, "PN", "Marker^Quetzalcoatl");
    let sample = Sample::from_data_set(&set, EXPLICIT_VR_LITTLE_ENDIAN);
    let cut = sample.file.slice(..sample.file.len() - 777);
    let answer = world.web.store(None, multipart::of_files([cut.as_ref()])).await?;
    let says = String::from_utf8_lossy(&answer.body).contains("Quetzalcoatl");
    if says {
        Err(Objection::Fail(format!(
            "{}: the body names the patient",
            answer.seen()
        )))
    } else {
        Ok(())
    }
}
