//! Who sees what: nobody sees what is not released, a bad token is never anonymous, and collections keep their walls.

use isocenter_tests::archive::TestArchive;
use isocenter_tests::samples::Sample;

use crate::on_both;

on_both! {
    async fn a_bad_token_is_always_refused(archive: &mut TestArchive) {
        for path in ["/dicom-web/studies", "/", "/dicom-web/studies/1.2/metadata"] {
            let answer = archive.get(path, Some("iso_not-a-token"), None).await;
            assert_eq!(answer.status(), 401, "{path}");
        }
        let (status, _) = archive.stow("/studies", &[Sample::new(1, 1, 1).file()], Some("iso_not-a-token")).await;
        assert_eq!(status, 401);
    }

    async fn nobody_stores_without_a_token(archive: &mut TestArchive) {
        let (status, _) = archive.stow("/studies", &[Sample::new(1, 1, 1).file()], None).await;
        assert_eq!(status, 401);
        let admin = archive.admin.clone();
        assert!(archive.search("/studies", Some(&admin)).await.is_empty());
    }

    async fn a_submitter_stores_to_its_collection_and_no_other(archive: &mut TestArchive) {
        let create = |title: &str| archive.json(&["collection", "create", "--title", title, "--profile", "basic"])["accession"].as_str().unwrap().to_owned();
        let (ours, theirs) = (create("ours"), create("theirs"));
        let token = archive.json(&["token", "create", "--role", "submitter", "--collection", &ours])["token"].as_str().unwrap().to_owned();
        let file = [Sample::new(1, 1, 1).file()];
        let (status, body) = archive.stow("/studies", &file, Some(&token)).await;
        assert_eq!(status, 202, "{body}");
        let (status, _) = archive.stow(&format!("/collections/{theirs}/studies"), &file, Some(&token)).await;
        assert!(status == 403 || status == 404, "{status}");
        assert_eq!(archive.search("/studies", Some(&token)).await.len(), 1);
        let other = archive.json(&["token", "create", "--role", "submitter", "--collection", &theirs])["token"].as_str().unwrap().to_owned();
        assert!(archive.search("/studies", Some(&other)).await.is_empty());
        assert!(archive.search("/studies", None).await.is_empty());
    }

    async fn a_revoked_token_is_refused_at_once(archive: &mut TestArchive) {
        let made = archive.json(&["token", "create", "--role", "researcher"]);
        let token = made["token"].as_str().unwrap().to_owned();
        assert_eq!(archive.get("/dicom-web/studies", Some(&token), None).await.status(), 200);
        archive.json(&["token", "revoke", made["id"].as_str().unwrap()]);
        assert_eq!(archive.get("/dicom-web/studies", Some(&token), None).await.status(), 401);
    }

    async fn controlled_collections_are_for_those_they_are_granted_to(archive: &mut TestArchive) {
        let made = archive.json(&["collection", "create", "--title", "controlled", "--access", "controlled",
            "--release", "automatic", "--profile", "basic"]);
        let accession = made["accession"].as_str().unwrap().to_owned();
        let admin = archive.admin.clone();
        let (status, body) = archive.stow(&format!("/collections/{accession}/studies"), &[Sample::new(1, 1, 1).file()], Some(&admin)).await;
        assert_eq!(status, 202, "{body}");
        assert!(archive.search("/studies", None).await.is_empty());
        let stranger = archive.json(&["token", "create", "--role", "researcher"])["token"].as_str().unwrap().to_owned();
        assert!(archive.search("/studies", Some(&stranger)).await.is_empty());
        let granted = archive.json(&["token", "create", "--role", "researcher", "--collection", &accession])["token"].as_str().unwrap().to_owned();
        assert_eq!(archive.search("/studies", Some(&granted)).await.len(), 1);
    }
}
