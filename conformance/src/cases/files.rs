//! The caller's own files, by STOW-RS and C-STORE: what was answered is true, and what comes back is what was sent.

use super::association::{entity, open};
use super::cases;
use crate::dimse::Context;
use crate::discover::{Stored, is_found};
use crate::report::{Objection, Verdict, not_applicable};
use crate::sample::pixel_data;
use crate::web::media;
use crate::world::World;

cases! {
    "PS3.18-10.5-61", "PS3.18 10.5.3", "Every file is answered with what became of it, none with 5xx", answered;
    "PS3.18-10.4-61", "PS3.18 8.7.3.5.2", "Every stored file comes back with its pixel data bit for bit", bit_equal;
    "PS3.18-10.4-62", "PS3.18 10.4.1", "Every stored file has metadata that keeps the DICOM JSON Model", metadata;
    "PS3.18-10.6-61", "PS3.18 10.6", "Every stored file is found by its SOP Instance UID", found;
    "PS3.4-B.2-61", "PS3.4 B.2.3", "Every file is accepted by C-STORE in its own transfer syntax, and answered", by_c_store;
}

fn needs_files(world: &World) -> Verdict {
    if world.files.is_empty() {
        Err(not_applicable("no files were given"))
    } else {
        Ok(())
    }
}

/// Joins what was seen for each file into one verdict.
fn all(seen: Vec<String>) -> Verdict {
    if seen.is_empty() {
        Ok(())
    } else {
        Err(Objection::Fail(seen.join("\n")))
    }
}

fn name(path: Option<&std::path::PathBuf>) -> String {
    path.map(|path| path.display().to_string()).unwrap_or_default()
}

async fn answered(world: &World) -> Verdict {
    needs_files(world)?;
    let mut seen = Vec::new();
    for file in &world.files {
        let good = match &file.stored {
            Stored::Referenced { .. } => matches!(file.status, 200 | 202),
            Stored::Failed(_) => matches!(file.status, 202 | 409),
            Stored::Unnamed => false,
        };
        if !good {
            seen.push(format!(
                "{}: {} and {:?}",
                name(file.sample.path.as_ref()),
                file.status,
                file.stored
            ));
        }
    }
    all(seen)
}

async fn bit_equal(world: &World) -> Verdict {
    needs_files(world)?;
    let mut seen = Vec::new();
    for file in &world.files {
        let Some(located) = &file.located else { continue };
        // A file without pixel data, or one that this library cannot take apart, has nothing to compare.
        let Ok(sent) = pixel_data(&file.sample.file) else {
            continue;
        };
        let answer = world
            .web
            .get(&located.instance_path(), media::INSTANCES_AS_STORED)
            .await?;
        let came = answer
            .parts()
            .ok()
            .and_then(|parts| parts.into_iter().next())
            .and_then(|part| pixel_data(&part.body).ok());
        if came.as_ref() != Some(&sent) {
            seen.push(format!("{}: {}", name(file.sample.path.as_ref()), answer.seen()));
        }
    }
    all(seen)
}

async fn metadata(world: &World) -> Verdict {
    needs_files(world)?;
    let mut seen = Vec::new();
    for file in &world.files {
        let Some(located) = &file.located else { continue };
        let answer = world
            .web
            .get(&format!("{}/metadata", located.instance_path()), media::JSON)
            .await?;
        let checked = answer
            .expect_status(&[200])
            .and_then(|()| answer.rows())
            .and_then(|rows| rows.iter().try_for_each(crate::dicom_json::Row::check_shape));
        if let Err(error) = checked {
            seen.push(format!("{}: {error:#}", name(file.sample.path.as_ref())));
        }
    }
    all(seen)
}

async fn found(world: &World) -> Verdict {
    needs_files(world)?;
    let mut seen = Vec::new();
    for file in &world.files {
        if let Some(located) = &file.located
            && !is_found(&world.web, located).await?
        {
            seen.push(name(file.sample.path.as_ref()));
        }
    }
    all(seen)
}

async fn by_c_store(world: &World) -> Verdict {
    needs_files(world)?;
    let entity = entity(world)?;
    let mut seen = Vec::new();
    for file in &world.files {
        let sample = &file.sample;
        let mut association = open(
            entity,
            vec![Context::new(&sample.sop_class_uid, &sample.transfer_syntax_uid)],
        )
        .await?;
        let result = association.contexts.first().map(|context| context.result);
        if result != Some(0) {
            seen.push(format!(
                "{}: the context was refused with {result:?}",
                name(sample.path.as_ref())
            ));
            continue;
        }
        let status = association
            .store_status(1, &sample.sop_class_uid, &sample.sop_instance_uid, &sample.data_set)
            .await;
        match status {
            Ok(status) if status.is_taken() || status.blames_the_object() => {
                // One policy for both doors: what one takes, the other takes.
                let by_web = matches!(file.stored, Stored::Referenced { .. });
                if by_web != status.is_taken() {
                    seen.push(format!(
                        "{}: STOW-RS says {:?}, C-STORE {status}",
                        name(sample.path.as_ref()),
                        file.stored
                    ));
                }
                association.release().await?;
            }
            Ok(status) => seen.push(format!("{}: status {status}", name(sample.path.as_ref()))),
            Err(error) => seen.push(format!("{}: {error:#}", name(sample.path.as_ref()))),
        }
    }
    all(seen)
}
