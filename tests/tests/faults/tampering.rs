//! Stored bytes that were changed are noticed by the read that touches them, and by `verify`.

use std::path::{Path, PathBuf};

use isocenter_tests::archive::{Backend, TestArchive};
use isocenter_tests::samples::Sample;

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, found)
        } else {
            found.push(path)
        }
    }
}

#[tokio::test]
async fn one_changed_byte_is_an_error_and_never_a_picture() {
    let archive = TestArchive::start(Backend::Embedded).await;
    let admin = archive.admin.clone();
    let sample = Sample::new(1, 1, 1).sized(256);
    let path = archive.keeps_as_sent();
    assert_eq!(archive.stow(&path, &[sample.file()], Some(&admin)).await.0, 200);
    assert!(archive.run(&["verify"]).status.success());
    let mut packs = Vec::new();
    files(&archive.data_dir().join("blobs"), &mut packs);
    let pack = packs
        .into_iter()
        .max_by_key(|path| std::fs::metadata(path).unwrap().len())
        .unwrap();
    let mut bytes = std::fs::read(&pack).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&pack, bytes).unwrap();
    let verified = archive.run(&["verify", "--json"]);
    assert_eq!(verified.status.code(), Some(1));
    let said: serde_json::Value = serde_json::from_slice(&verified.stdout).unwrap();
    assert_eq!(said["damage"].as_array().unwrap().len(), 1, "{said}");
    let answer = archive
        .get(
            &format!("/dicom-web{}/frames/1", sample.path()),
            Some(&admin),
            Some("multipart/related; type=\"application/octet-stream\""),
        )
        .await;
    let whole = answer.status().is_success();
    let body = answer.bytes().await;
    assert!(!whole || body.is_err(), "damaged pixels were given out as whole");
}
