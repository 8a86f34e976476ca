//! Similar images: exact, out of Faiss, and silent about what the caller may not see.

use std::time::Duration;

use isocenter_tests::archive::TestArchive;
use isocenter_tests::samples::Sample;
use serde_json::Value;

use crate::on_both;

async fn similar(archive: &TestArchive, image: &str, k: usize, token: Option<&str>) -> (u16, Value) {
    let answer = archive
        .get(&format!("/api/v1/images/{image}/similar?k={k}"), token, None)
        .await;
    let status = answer.status().as_u16();
    (status, answer.json().await.unwrap_or(Value::Null))
}

/// Waits until the job has hashed the images: until one of them is similar to so many others.
async fn hashed(archive: &TestArchive, others: usize) {
    let admin = archive.admin.clone();
    for _ in 0..300 {
        let (status, answer) = similar(archive, "IM00000001", 100, Some(&admin)).await;
        if status == 200 && accessions(&answer).len() == others {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the images were not hashed within 30 s");
}

fn pairs(rows: &Value) -> Vec<(String, i64)> {
    let rows = rows["images"].as_array().unwrap().iter();
    rows.map(|row| {
        (
            row["accession"].as_str().unwrap().to_owned(),
            row["distance"].as_i64().unwrap(),
        )
    })
    .collect()
}

fn accessions(rows: &Value) -> Vec<String> {
    rows["images"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["accession"].as_str().unwrap().to_owned())
        .collect()
}

on_both! {
    async fn the_nearest_are_found_and_hidden_collections_stay_hidden(archive: &mut TestArchive) {
        let admin = archive.admin.clone();
        let create = |title: &str, access: &str| archive.json(&["collection", "create", "--title", title, "--access", access,
            "--release", "automatic", "--profile", "basic"])["accession"].as_str().unwrap().to_owned();
        let (open, closed) = (create("open", "open"), create("closed", "controlled"));
        let files: Vec<_> = (1..=6).map(|n| Sample::new(1, 1, n).sized(64).file()).collect();
        assert_eq!(archive.stow(&format!("/collections/{open}/studies"), &files, Some(&admin)).await.0, 202);
        let hidden: Vec<_> = (1..=3).map(|n| Sample::new(2, 1, n).sized(64).file()).collect();
        assert_eq!(archive.stow(&format!("/collections/{closed}/studies"), &hidden, Some(&admin)).await.0, 202);
        hashed(archive, 8).await;
        let (status, all) = similar(archive, "IM00000001", 20, Some(&admin)).await;
        assert_eq!(status, 200, "{all}");
        assert_eq!(accessions(&all).len(), 8, "every other image, {all}");
        let (status, seen) = similar(archive, "IM00000001", 20, None).await;
        assert_eq!(status, 200, "{seen}");
        assert_eq!(accessions(&seen).len(), 5, "{seen}");
        let distances: Vec<i64> = seen["images"].as_array().unwrap().iter().map(|r| r["distance"].as_i64().unwrap()).collect();
        assert!(distances.is_sorted(), "{distances:?}");
        // An image of a hidden collection is as unknown as one that never was.
        let hidden = accessions(&all).into_iter().find(|accession| !accessions(&seen).contains(accession)).unwrap();
        let (status, body) = similar(archive, &hidden, 5, None).await;
        let (never, nothing) = similar(archive, "IM99999999", 5, None).await;
        assert_eq!((status, &body), (never, &nothing));
        assert_eq!(status, 404);
        // The index is rebuilt from the database at start.
        archive.stop();
        archive.launch().await;
        let again = similar(archive, "IM00000001", 20, None).await.1;
        assert_eq!(pairs(&again), pairs(&seen));
        assert!(distances.last() > distances.first(), "pictures that differ should differ in their codes: {distances:?}");
    }
}
