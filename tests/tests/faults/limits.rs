//! A full disk, and objects that are too large.

use isocenter_tests::archive::{Backend, TestArchive, path_of};
use isocenter_tests::peers;
use isocenter_tests::samples::Sample;

/// A small file system of its own, full after a few objects. Needs the rights to mount one; without them the test says
/// so and fails, since a full disk is not something to believe in.
#[tokio::test]
async fn a_full_disk_is_answered_a700_and_503_and_reading_goes_on() {
    let mut archive = TestArchive::prepare(Backend::Embedded);
    let data = archive.data_dir();
    let blobs = data.join("blobs");
    std::fs::create_dir_all(&blobs).unwrap();
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=3m", "tmpfs", blobs.to_str().unwrap()])
        .status()
        .unwrap();
    assert!(mounted.success(), "a file system of 3 MiB could not be mounted");
    struct Mounted(std::path::PathBuf);
    impl Drop for Mounted {
        fn drop(&mut self) {
            let _ = std::process::Command::new("umount")
                .args(["-l", self.0.to_str().unwrap()])
                .status();
        }
    }
    let _mounted = Mounted(blobs.clone());
    archive.launch().await;
    let admin = archive.admin.clone();
    let mut stored = 0;
    let mut refused = None;
    for number in 1..=20 {
        let (status, body) = archive
            .stow("/studies", &[Sample::new(1, 1, number).sized(512).file()], Some(&admin))
            .await;
        match status {
            202 => stored += 1,
            _ => {
                refused = Some((status, body));
                break;
            }
        }
    }
    let (status, body) = refused.expect("the disk was never full");
    assert_eq!(status, 503, "{body}");
    assert!(stored >= 1);
    let path = archive.scratch().join("full.dcm");
    std::fs::write(&path, Sample::new(2, 1, 1).sized(512).file()).unwrap();
    let sent = peers::storescu(&archive.dimse, "ISOCENTER", &[&path], &[]);
    assert!(
        peers::said(&sent).to_lowercase().contains("a700"),
        "{}",
        peers::said(&sent)
    );
    let rows = archive.search("/instances", Some(&admin)).await;
    assert_eq!(rows.len(), stored);
    for row in &rows {
        archive.instance(&path_of(row), Some(&admin)).await;
    }
    archive.kill();
}

/// The marks are those of the settings; no disk needs to be full for it.
#[tokio::test]
async fn below_the_critical_mark_peers_hear_a700_and_503_and_reading_goes_on() {
    let mut archive = TestArchive::start(Backend::Embedded).await;
    let admin = archive.admin.clone();
    let first = Sample::new(1, 1, 1).file();
    assert_eq!(archive.stow("/studies", &[first], Some(&admin)).await.0, 202);
    let path = archive.scratch().join("second.dcm");
    std::fs::write(&path, Sample::new(1, 1, 2).file()).unwrap();
    let disk = async |archive: &TestArchive| {
        let answer = archive.get("/health/ready", None, None).await;
        assert_eq!(answer.status(), 200);
        let said: serde_json::Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        said["disk"].as_str().unwrap().to_owned()
    };

    assert!(archive.stop().success());
    archive.set_environment("ISOCENTER_DISK_LOW", "1000000GiB");
    archive.launch().await;
    // Low is a warning and nothing else.
    assert_eq!(disk(&archive).await, "low");
    let third = Sample::new(1, 1, 3).file();
    assert_eq!(archive.stow("/studies", &[third], Some(&admin)).await.0, 202);

    assert!(archive.stop().success());
    archive.set_environment("ISOCENTER_DISK_CRITICAL", "1000000GiB");
    archive.launch().await;
    assert_eq!(disk(&archive).await, "critical");
    let (status, body) = archive
        .stow("/studies", &[std::fs::read(&path).unwrap()], Some(&admin))
        .await;
    assert!(status == 503 || status == 507, "{status} {body}");
    let sent = peers::storescu(&archive.dimse, "ISOCENTER", &[&path], &[]);
    let said = peers::said(&sent).to_lowercase();
    assert!(said.contains("a700"), "{said}");
    let rows = archive.search("/instances", Some(&admin)).await;
    assert_eq!(rows.len(), 2);
    for row in &rows {
        archive.instance(&path_of(row), Some(&admin)).await;
    }
    // Releasing is not storing.
    let released = archive.json(&["collection", "release", "OBIA0001"]);
    assert_eq!(released["images"], 2, "{released}");

    assert!(archive.stop().success());
    archive.set_environment("ISOCENTER_DISK_CRITICAL", "");
    archive.launch().await;
    let sent = peers::storescu(&archive.dimse, "ISOCENTER", &[&path], &[]);
    assert!(sent.status.success(), "{}", peers::said(&sent));
    assert_eq!(archive.search("/instances", Some(&admin)).await.len(), 3);
}

#[tokio::test]
async fn an_object_over_the_limit_is_refused_and_the_next_is_taken() {
    let archive = TestArchive::start_with(Backend::Embedded, &["--max-object-size", "64KiB"], &[]).await;
    let admin = archive.admin.clone();
    let (status, body) = archive
        .stow("/studies", &[Sample::new(1, 1, 1).sized(512).file()], Some(&admin))
        .await;
    assert!(status == 413 || status == 409, "{status} {body}");
    assert_eq!(
        archive
            .stow("/studies", &[Sample::new(1, 1, 2).file()], Some(&admin))
            .await
            .0,
        202
    );
    let path = archive.scratch().join("large.dcm");
    std::fs::write(&path, Sample::new(1, 1, 3).sized(512).file()).unwrap();
    let small = archive.scratch().join("small.dcm");
    std::fs::write(&small, Sample::new(1, 1, 4).file()).unwrap();
    let sent = peers::storescu(&archive.dimse, "ISOCENTER", &[&path, &small], &["-nh"]);
    assert!(
        !peers::said(&sent).to_lowercase().contains("abort"),
        "{}",
        peers::said(&sent)
    );
    assert_eq!(
        archive.search("/instances", Some(&admin)).await.len(),
        2,
        "{}",
        peers::said(&sent)
    );
}

/// Objects that are staged in a file and cannot be named are known by their bytes: two are two.
#[tokio::test]
async fn two_large_objects_that_nobody_can_name_are_both_kept() {
    let archive = TestArchive::start(Backend::Embedded).await;
    let admin = archive.admin.clone();
    for number in 1..=2 {
        let mut sample = Sample::new(1, 1, number).sized(3000);
        sample.study = "1.2.not-a-uid".to_owned();
        let (status, body) = archive.stow("/studies", &[sample.file()], Some(&admin)).await;
        assert_eq!(status, 202, "{body}");
    }
    assert_eq!(archive.json(&["quarantine", "list"]).as_array().unwrap().len(), 2);
}
