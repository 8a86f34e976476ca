//! Database or store away: the peer is told to come back (A700, 503), and nothing is half there.

use isocenter_tests::archive::{Backend, TestArchive};
use isocenter_tests::peers;
use isocenter_tests::samples::Sample;

/// The local store's folder is taken away, as an unmounted disk is.
#[tokio::test]
async fn a_store_that_is_away_is_answered_503_and_a700_and_heals() {
    let archive = TestArchive::start(Backend::Embedded).await;
    let admin = archive.admin.clone();
    let blobs = archive.data_dir().join("blobs");
    let aside = archive.data_dir().join("blobs.away");
    assert_eq!(
        archive
            .stow("/studies", &[Sample::new(1, 1, 1).file()], Some(&admin))
            .await
            .0,
        202
    );
    std::fs::rename(&blobs, &aside).unwrap();
    std::fs::write(&blobs, b"not a folder").unwrap();
    let second = Sample::new(1, 1, 2);
    let (status, body) = archive.stow("/studies", &[second.file()], Some(&admin)).await;
    assert_eq!(status, 503, "{body}");
    let path = archive.scratch().join("away.dcm");
    std::fs::write(&path, second.file()).unwrap();
    let sent = peers::storescu(&archive.dimse, "ISOCENTER", &[&path], &[]);
    assert!(
        peers::said(&sent).to_lowercase().contains("a700"),
        "{}",
        peers::said(&sent)
    );
    assert_eq!(archive.get("/health/ready", None, None).await.status(), 503);
    assert_eq!(archive.search("/instances", Some(&admin)).await.len(), 1);
    std::fs::remove_file(&blobs).unwrap();
    std::fs::rename(&aside, &blobs).unwrap();
    assert_eq!(archive.stow("/studies", &[second.file()], Some(&admin)).await.0, 202);
    assert_eq!(archive.search("/instances", Some(&admin)).await.len(), 2);
    assert!(archive.run(&["verify"]).status.success());
}

/// The database refuses connections for a while.
#[tokio::test]
async fn a_database_that_is_away_is_answered_503_and_heals() {
    let archive = TestArchive::start(Backend::Grown).await;
    let admin = archive.admin.clone();
    assert_eq!(
        archive
            .stow("/studies", &[Sample::new(1, 1, 1).file()], Some(&admin))
            .await
            .0,
        202
    );
    let url = url::Url::parse(archive.database_url().unwrap()).unwrap();
    let name = url.path().trim_start_matches('/').to_owned();
    let server = std::env::var("ISOCENTER_TEST_POSTGRES_URL").unwrap();
    let psql = |statement: &str| {
        let done = std::process::Command::new("psql")
            .args(["-q", "-X", &server, "-c", statement])
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    };
    psql(&format!("alter database {name} allow_connections false"));
    psql(&format!(
        "select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'"
    ));
    let (status, body) = archive
        .stow("/studies", &[Sample::new(1, 1, 2).file()], Some(&admin))
        .await;
    assert_eq!(status, 503, "{body}");
    assert_eq!(archive.get("/health/ready", None, None).await.status(), 503);
    psql(&format!("alter database {name} allow_connections true"));
    // A connection of the pool notices that it was cut when it is used next; each such request is told to come back, and
    // a sender that does is served without anybody's help.
    let mut status = 503;
    for _ in 0..40 {
        status = archive
            .stow("/studies", &[Sample::new(1, 1, 2).file()], Some(&admin))
            .await
            .0;
        if status != 503 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(250)).await;
    }
    assert!(status == 202 || status == 200, "{status}");
    assert_eq!(archive.search("/instances", Some(&admin)).await.len(), 2);
}
