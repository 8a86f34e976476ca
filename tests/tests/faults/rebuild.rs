//! The database can be rebuilt from the store alone.

use isocenter_tests::archive::{Backend, TestArchive, path_of};
use isocenter_tests::samples::{Sample, pixels_of};

#[tokio::test]
async fn a_lost_database_is_rebuilt_from_the_store() {
    let mut archive = TestArchive::start(Backend::Embedded).await;
    let admin = archive.admin.clone();
    let files: Vec<_> = (1..=4).map(|n| Sample::new(1, 1, n).file()).collect();
    assert_eq!(archive.stow("/studies", &files, Some(&admin)).await.0, 202);
    archive.json(&["collection", "release", "OBIA0001"]);
    assert_eq!(
        archive
            .stow("/studies", &[Sample::new(2, 1, 1).file()], Some(&admin))
            .await
            .0,
        202
    );
    let before = archive.search("/instances", Some(&admin)).await;
    let public = archive.search("/instances", None).await;
    assert_eq!((before.len(), public.len()), (5, 4));
    archive.stop();
    for name in ["isocenter.db", "isocenter.db-wal", "isocenter.db-shm"] {
        let _ = std::fs::remove_file(archive.data_dir().join(name));
    }
    let done = archive.json(&["reindex", "--from-store"]);
    assert!(done["applied"].as_u64().unwrap() >= 3, "{done}");
    archive.launch().await;
    let admin = archive.admin.clone();
    let strip = |rows: Vec<serde_json::Value>| -> Vec<serde_json::Value> {
        // The port is another one after the start.
        rows.into_iter()
            .map(|mut row| {
                row.as_object_mut().unwrap().remove("00081190");
                row
            })
            .collect()
    };
    assert_eq!(
        strip(archive.search("/instances", Some(&admin)).await),
        strip(before.clone())
    );
    assert_eq!(archive.search("/instances", None).await.len(), 4);
    let file = archive.instance(&path_of(&before[0]), Some(&admin)).await;
    let pixels = pixels_of(&file);
    assert!((1..=4).any(|n| Sample::new(1, 1, n).pixels() == pixels) || Sample::new(2, 1, 1).pixels() == pixels);
    // The collection's keys are the old ones: what is sent again is known, and nobody has a second pseudonym.
    assert_eq!(archive.stow("/studies", &files, Some(&admin)).await.0, 200);
    assert_eq!(archive.search("/instances", Some(&admin)).await.len(), 5);
    // New accessions go on after the old ones.
    assert_eq!(
        archive
            .stow("/studies", &[Sample::new(3, 1, 1).file()], Some(&admin))
            .await
            .0,
        202
    );
    assert_eq!(archive.search("/instances", Some(&admin)).await.len(), 6);
}

#[tokio::test]
async fn another_master_key_is_told_and_nothing_is_touched() {
    let mut archive = TestArchive::start(Backend::Embedded).await;
    archive.stop();
    let key = archive.data_dir().join("master.key");
    let kept = std::fs::read(&key).unwrap();
    std::fs::remove_file(&key).unwrap();
    private(&key, "7".repeat(64).as_bytes());
    let refused = archive.run(&["collection", "list"]);
    assert!(!refused.status.success());
    assert!(
        String::from_utf8_lossy(&refused.stderr).contains("master key"),
        "{:?}",
        refused.stderr
    );
    std::fs::remove_file(&key).unwrap();
    let refused = archive.run(&["collection", "list"]);
    assert!(
        !refused.status.success(),
        "an archive without its key must not get a new one"
    );
    private(&key, &kept);
    archive.launch().await;
}

/// Writes a file that only its owner may read: the program refuses a key that others can see.
fn private(path: &std::path::Path, bytes: &[u8]) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(path, bytes).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}
