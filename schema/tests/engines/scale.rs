//! The synthetic archive, small here; `ISOCENTER_TEST_IMAGES` makes it larger. It prints how large the database is and what
//! searches cost, each asked `ISOCENTER_TEST_ROUNDS` times.

use std::time::{Duration, Instant};

use isocenter_model::query::{Key, Query, Rule};
use isocenter_model::{Level, StudyInstanceUid};
use isocenter_schema::audit::AuditEvent;
use isocenter_schema::commit::{self, NewJob};
use isocenter_schema::synthetic::{Spec, fill};
use isocenter_schema::{ImageState, search, stats};

use crate::world::{World, everything, public};

on_both!(
    a_synthetic_archive_has_its_size_and_right_counters,
    groups_of_one_cost_little
);

async fn a_synthetic_archive_has_its_size_and_right_counters(mut world: World) {
    let images = number("ISOCENTER_TEST_IMAGES", 3_000);
    let rounds = number("ISOCENTER_TEST_ROUNDS", 2);
    let c = world.collection(1).await;
    let (durable, blob) = world.blob(&c).await;
    let spec = Spec::shaped(c, images);
    let begin = Instant::now();
    let mut heard = 0;
    fill(&world.db, &durable, &blob, &spec, 42, |done, _| heard = done)
        .await
        .unwrap();
    println!(
        "{images} images in {:?}, {} MiB",
        begin.elapsed(),
        world.size().await >> 20
    );
    let totals = stats::totals(&world.db, &everything()).await.unwrap();
    assert_eq!((heard, totals.images, totals.series), (images, images, spec.series));
    assert!(totals.studies <= spec.studies && totals.individuals <= spec.individuals);
    let released = stats::totals(&world.db, &public()).await.unwrap();
    assert!(released.images < images && released.images > images / 2);
    assert_eq!(stats::wrong_counters(&world.db).await.unwrap(), []);

    let ask = |level, limit, offset, matching: Vec<(Key, Rule)>| Query {
        matching,
        limit: Some(limit),
        offset,
        ..Query::all(level)
    };
    let page = search::find(&world.db, &ask(Level::Study, 10, 0, vec![]), &public())
        .await
        .unwrap();
    let study = page.rows[0].study.as_ref().unwrap().clone();
    let exact = |key, value: &str| vec![(key, Rule::Equals(value.to_owned()))];
    let wild = |key, value: &str| vec![(key, Rule::Wildcard(value.to_owned()))];
    let mut in_study = ask(Level::Instance, 1000, 0, vec![]);
    in_study.study = Some(StudyInstanceUid::parse(study.study_instance_uid.as_str()).unwrap());
    let questions = [
        ("studies", ask(Level::Study, 100, 0, vec![])),
        ("studies, pages", ask(Level::Study, 100, 0, vec![])),
        ("studies, far", ask(Level::Study, 100, spec.studies / 2, vec![])),
        (
            "patient id",
            ask(Level::Study, 100, 0, exact(Key::PatientID, &study.patient_id)),
        ),
        (
            "patient name",
            ask(Level::Study, 100, 0, wild(Key::PatientName, "wang*")),
        ),
        (
            "modality in study",
            ask(Level::Study, 100, 0, exact(Key::ModalitiesInStudy, "CT")),
        ),
        ("series", ask(Level::Series, 100, 0, vec![])),
        (
            "series by modality",
            ask(Level::Series, 100, 0, exact(Key::Modality, "NM")),
        ),
        ("instances", ask(Level::Instance, 100, 0, vec![])),
        ("instances, pages", ask(Level::Instance, 100, 0, vec![])),
        ("instances, far", ask(Level::Instance, 100, images / 2, vec![])),
        (
            "instances of patient",
            ask(Level::Instance, 100, 0, exact(Key::PatientID, &study.patient_id)),
        ),
        (
            "instances by class",
            ask(
                Level::Instance,
                100,
                0,
                exact(Key::SOPClassUID, "1.2.840.10008.5.1.4.1.1.20"),
            ),
        ),
        (
            "instances by number",
            ask(Level::Instance, 100, 0, exact(Key::InstanceNumber, "100000")),
        ),
        (
            "instances by frames",
            ask(Level::Instance, 100, 0, exact(Key::NumberOfFrames, "31")),
        ),
        ("instances of study", in_study),
    ];
    for (who, sees) in [("public", public()), ("curator", everything())] {
        for (name, question) in &questions {
            let (mut rows, mut times) = (0, Vec::new());
            for round in 0..rounds {
                let mut question = question.clone();
                if name.ends_with("pages") {
                    // One round after the other, from the first page to the last.
                    let all = if question.level == Level::Study {
                        totals.studies
                    } else {
                        images
                    };
                    question.offset = all * round / rounds;
                }
                let begin = Instant::now();
                let page = search::find(&world.db, &question, &sees).await.unwrap();
                times.push(begin.elapsed());
                rows = rows.max(page.rows.len());
            }
            println!("{who:8} {name:22} {rows:5} rows {}", spread(times));
        }
        let mut times = Vec::new();
        for _ in 0..rounds {
            let begin = Instant::now();
            stats::totals(&world.db, &sees).await.unwrap();
            times.push(begin.elapsed());
        }
        println!("{who:8} {:22} {:5} rows {}", "totals", 1, spread(times));
    }
}

fn number(variable: &str, or: u64) -> u64 {
    std::env::var(variable).ok().and_then(|n| n.parse().ok()).unwrap_or(or)
}

/// The first time stands apart: what it reads is not in memory yet.
fn spread(mut times: Vec<Duration>) -> String {
    let first = times[0];
    times.sort();
    let at = |percent: usize| times[(times.len() * percent / 100).min(times.len() - 1)];
    let [first, p50, p95] = [first, at(50), at(95)].map(|time| time.as_secs_f64() * 1e3);
    format!("first {first:9.3} p50 {p50:9.3} p95 {p95:9.3} ms")
}

async fn groups_of_one_cost_little(mut world: World) {
    let groups = number("ISOCENTER_TEST_GROUPS", 20);
    let c = world.collection(1).await;
    let mut ready = Vec::new();
    for n in 0..groups {
        let record = world.image(&c, [1, 1, 1, n], ImageState::Released).await;
        ready.push((world.durable().await, [crate::world::image(record)]));
    }
    let event = AuditEvent {
        actor: "test".to_owned(),
        action: "ingest".to_owned(),
        subject: "OBIA0001".to_owned(),
        detail: serde_json::json!({"stored": 1}),
    };
    let begin = Instant::now();
    for (durable, records) in &ready {
        let tx = world.db.begin_ingest().await.unwrap();
        let job = NewJob::new("hash", "hash", serde_json::json!({"image": 1}));
        commit::group(&tx, durable, records, &[job], std::slice::from_ref(&event))
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }
    println!(
        "a group of one image: {:.3} ms",
        begin.elapsed().as_secs_f64() * 1e3 / groups as f64
    );
    assert_eq!(stats::totals(&world.db, &public()).await.unwrap().images, groups);
}
