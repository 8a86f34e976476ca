//! kill -9 at named points and at random moments, while objects are in flight.

use std::collections::BTreeMap;
use std::time::Duration;

use isocenter_tests::archive::{Backend, TestArchive, path_of};
use isocenter_tests::samples::{Sample, pixels_of};

/// Stores a sample and returns whether success was answered.
async fn acknowledged(archive: &TestArchive, path: &str, sample: &Sample) -> bool {
    let boundary = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";
    let mut body = format!("--{boundary}\r\nContent-Type: application/dicom\r\n\r\n").into_bytes();
    body.extend_from_slice(&sample.file());
    body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    let sent = archive
        .http
        .post(format!("{}/dicom-web{path}", archive.url))
        .bearer_auth(&archive.admin)
        .header(
            "Content-Type",
            format!("multipart/related; type=\"application/dicom\"; boundary={boundary}"),
        )
        .timeout(Duration::from_secs(30))
        .body(body)
        .send()
        .await;
    sent.is_ok_and(|answer| answer.status() == 200)
}

/// Checks that every acknowledged sample is there, whole, and that nothing is there by half.
async fn all_there(archive: &TestArchive, acknowledged: &[Sample]) {
    let rows = archive.search("/instances?limit=5000", Some(&archive.admin)).await;
    let rows: BTreeMap<String, &serde_json::Value> = rows
        .iter()
        .map(|row| (row["00080018"]["Value"][0].as_str().unwrap().to_owned(), row))
        .collect();
    for sample in acknowledged {
        assert!(
            rows.contains_key(&sample.instance),
            "{} was acknowledged and is not found",
            sample.instance
        );
        let file = archive.instance(&sample.path(), Some(&archive.admin)).await;
        assert_eq!(pixels_of(&file), sample.pixels(), "{}", sample.instance);
    }
    // What is found can be read, also when nobody was told of its success.
    for row in rows.values() {
        archive.instance(&path_of(row), Some(&archive.admin)).await;
    }
}

async fn dies_at(backend: Backend, place: &str) {
    let mut archive = TestArchive::start(backend).await;
    let path = archive.keeps_as_sent();
    let first = Sample::new(1, 1, 1);
    assert!(acknowledged(&archive, &path, &first).await);
    archive.stop();
    archive.set_environment("ISOCENTER_FAULT", &format!("{place}:1"));
    archive.launch().await;
    let second = Sample::new(1, 1, 2);
    let told = acknowledged(&archive, &path, &second).await;
    assert!(!archive.wait_for_end().success(), "the process did not pass {place}");
    assert!(!told, "success was answered at {place}, before the end of the walk");
    archive.set_environment("ISOCENTER_FAULT", "");
    archive.launch().await;
    all_there(&archive, std::slice::from_ref(&first)).await;
    // The peer sends again, as it does, and then it is there once.
    assert!(acknowledged(&archive, &path, &second).await);
    all_there(&archive, &[first, second]).await;
    assert_eq!(archive.search("/instances", Some(&archive.admin)).await.len(), 2);
    assert!(archive.run(&["verify"]).status.success());
}

macro_rules! dies_at {
    ($($place:ident)*) => { $(
        mod $place {
            use super::*;
            #[tokio::test]
            async fn loses_nothing_on_sqlite_and_a_folder() {
                dies_at(Backend::Embedded, stringify!($place)).await;
            }
            #[tokio::test]
            async fn loses_nothing_on_postgresql_and_s3() {
                dies_at(Backend::Grown, stringify!($place)).await;
            }
        }
    )* };
}
dies_at! { before_put after_put before_commit after_commit }

/// Kills the server again and again while four senders send. A round counts only when an object was in flight.
#[tokio::test]
async fn kills_at_random_lose_nothing_that_was_acknowledged() {
    let rounds: u32 = std::env::var("ISOCENTER_TEST_KILLS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(20);
    let seed: u64 = std::env::var("ISOCENTER_TEST_SEED")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(42);
    println!("seed {seed}, {rounds} kills");
    let mut random = seed;
    let mut archive = TestArchive::start(Backend::Embedded).await;
    let path = archive.keeps_as_sent();
    let mut safe: Vec<Sample> = Vec::new();
    let mut in_flight = 0;
    for round in 0..rounds {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let pause = Duration::from_millis(150 + (random >> 33) % 500);
        let shared = std::sync::Arc::new(archive);
        let senders: Vec<_> = (0..4u32)
            .map(|sender| {
                let (archive, path) = (std::sync::Arc::clone(&shared), path.clone());
                tokio::spawn(async move {
                    let mut told = Vec::new();
                    for number in 1.. {
                        let sample = Sample::new(1000 + round * 4 + sender, 1, number).sized(128);
                        if !acknowledged(&archive, &path, &sample).await {
                            return (told, true);
                        }
                        told.push(sample);
                    }
                    (told, false)
                })
            })
            .collect();
        tokio::time::sleep(pause).await;
        let killed = std::process::Command::new("kill")
            .args(["-9", &shared.pid().to_string()])
            .status()
            .unwrap();
        assert!(killed.success());
        let mut cut_off = false;
        for sender in senders {
            let (told, cut) = sender.await.unwrap();
            cut_off |= cut;
            safe.extend(told);
        }
        in_flight += u32::from(cut_off);
        archive = std::sync::Arc::into_inner(shared).unwrap();
        archive.kill();
        archive.launch().await;
    }
    println!(
        "{} acknowledged, {in_flight} of {rounds} kills with an object in flight",
        safe.len()
    );
    assert!(
        in_flight * 2 >= rounds,
        "too few kills fell while an object was in flight"
    );
    assert!(!safe.is_empty());
    all_there(&archive, &safe).await;
    assert!(archive.run(&["verify"]).status.success());
}
