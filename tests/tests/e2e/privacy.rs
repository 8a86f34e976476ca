//! Markers are planted in every identifying element and searched for in every output: blobs, database, logs, metrics,
//! answers, errors.

use std::path::Path;

use isocenter_tests::archive::{Backend, TestArchive};
use isocenter_tests::peers;
use isocenter_tests::samples::Sample;

use crate::on_both;

const MARKER: &str = "ZQXMARKERZQX";

fn holds_marker(bytes: &[u8]) -> bool {
    let upper: Vec<u8> = bytes.iter().map(u8::to_ascii_uppercase).collect();
    let wide: Vec<u8> = MARKER.bytes().flat_map(|b| [b, 0]).collect();
    [MARKER.as_bytes(), &wide]
        .iter()
        .any(|needle| upper.windows(needle.len()).any(|window| window == *needle))
}

fn search_folder(folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            search_folder(&path, found);
        } else if std::fs::read(&path).is_ok_and(|bytes| holds_marker(&bytes)) {
            found.push(path.display().to_string());
        }
    }
}

on_both! {
    async fn no_original_identifier_is_left_anywhere(archive: &mut TestArchive) {
        let admin = archive.admin.clone();
        let good = Sample::new(1, 1, 1).marked(MARKER);
        assert!(holds_marker(&good.file()), "the test plants nothing");
        let folder = archive.scratch();
        let path = folder.join("marked.dcm");
        std::fs::write(&path, good.file()).unwrap();
        let sent = peers::storescu(&archive.dimse, "ISOCENTER", &[&path], &[]);
        assert!(sent.status.success(), "{}", peers::said(&sent));
        std::fs::remove_file(&path).unwrap();
        // What fails and what is kept must be as silent: cut off, without UID, another patient, conflict.
        let mut cut = Sample::new(1, 1, 2).marked(MARKER).file();
        cut.truncate(cut.len() / 2);
        let mut other = Sample::new(1, 1, 3).marked(MARKER);
        other.patient_id = format!("{MARKER}OTHER");
        let mut conflict = good.clone();
        conflict.number = 9;
        let (_, body) = archive.stow("/studies", &[cut, other.file(), conflict.file()], Some(&admin)).await;
        assert!(!holds_marker(body.to_string().as_bytes()), "{body}");
        archive.json(&["collection", "release", "OBIA0001"]);

        for path in ["/dicom-web/studies?includefield=all", "/dicom-web/instances", "/metrics", "/", "/api/v1/stats/summary",
            "/dicom-web/studies?PatientID=*"] {
            for token in [None, Some(admin.as_str())] {
                let answer = archive.get(path, token, None).await;
                let body = answer.bytes().await.unwrap();
                assert!(!holds_marker(&body), "{path}");
            }
        }
        let studies = archive.search("/studies", Some(&admin)).await;
        assert_eq!(studies.len(), 1);
        let study = studies[0]["0020000D"]["Value"][0].as_str().unwrap();
        let metadata = archive.get(&format!("/dicom-web/studies/{study}/metadata"), Some(&admin), None).await;
        assert!(!holds_marker(&metadata.bytes().await.unwrap()));
        let file = archive.instance(&format!("/studies/{study}"), Some(&admin)).await;
        assert!(!holds_marker(&file));
        assert!(!holds_marker(archive.log().as_bytes()), "the log");
        let listed = archive.run(&["quarantine", "list", "--json"]);
        assert!(!holds_marker(&listed.stdout) && !holds_marker(&listed.stderr));
        archive.stop();
        let mut found = Vec::new();
        search_folder(&archive.data_dir(), &mut found);
        assert!(found.is_empty(), "{found:?}");
        if archive.backend() == Backend::Grown {
            let dump = std::process::Command::new("pg_dump").arg(archive.database_url().unwrap()).output().unwrap();
            assert!(dump.status.success() && !dump.stdout.is_empty());
            assert!(!holds_marker(&dump.stdout), "the database");
        }
    }
}
