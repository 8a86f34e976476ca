//! A PACS pushes a study; it comes out de-identified, checked, accessioned, sealed, searchable and viewable.

use isocenter_tests::archive::{TestArchive, parts};
use isocenter_tests::samples::{Sample, pixels_of};
use isocenter_tests::{corpus, peers};

use crate::on_both;

on_both! {
    async fn a_pushed_study_is_found_after_release_and_its_pixels_are_its_own(archive: &mut TestArchive) {
        let samples: Vec<Sample> = (1..=3).map(|n| Sample::new(1, 1, n)).collect();
        let folder = archive.scratch();
        let files: Vec<_> = samples.iter().map(|sample| {
            let path = folder.join(format!("{}.dcm", sample.number));
            std::fs::write(&path, sample.file()).unwrap();
            path
        }).collect();
        let paths: Vec<_> = files.iter().map(std::path::PathBuf::as_path).collect();
        let sent = peers::storescu(&archive.dimse, "ISOCENTER", &paths, &[]);
        assert!(sent.status.success(), "{}", peers::said(&sent));

        // The Inbox is released by a person: until then nobody but the administrator sees anything.
        assert!(archive.search("/studies", None).await.is_empty());
        let admin = archive.admin.clone();
        let studies = archive.search("/studies", Some(&admin)).await;
        assert_eq!(studies.len(), 1);
        let study = &studies[0];
        assert_eq!(study["00201208"]["Value"][0], 3, "{study}");
        assert_eq!(study["00080061"]["Value"][0], "CT");
        let uid = study["0020000D"]["Value"][0].as_str().unwrap().to_owned();
        assert!(uid.starts_with("2.25."), "{uid}");
        assert!(!study.to_string().contains("HOSP00001"));

        let released = archive.json(&["collection", "release", "OBIA0001"]);
        assert_eq!(released["images"], 3, "{released}");
        let studies = archive.search("/studies", None).await;
        assert_eq!(studies.len(), 1);

        let instances = archive.search(&format!("/studies/{uid}/instances"), None).await;
        assert_eq!(instances.len(), 3);
        for (sample, row) in samples.iter().zip(&instances) {
            assert_eq!(row["00200013"]["Value"][0], sample.number);
            let series = row["0020000E"]["Value"][0].as_str().unwrap();
            let instance = row["00080018"]["Value"][0].as_str().unwrap();
            let path = format!("/studies/{uid}/series/{series}/instances/{instance}");
            let file = archive.instance(&path, None).await;
            assert_eq!(pixels_of(&file), sample.pixels());
            for original in [&sample.patient_id, "Sample^", &sample.study, &sample.instance, "19610203"] {
                assert!(!contains(&file, original.as_bytes()), "{original}");
            }
            let frame = archive.get(&format!("/dicom-web{path}/frames/1"), None,
                Some("multipart/related; type=\"application/octet-stream\"")).await;
            assert_eq!(frame.status(), 200);
            let kind = frame.headers()["content-type"].to_str().unwrap().to_owned();
            assert_eq!(parts(&kind, &frame.bytes().await.unwrap())[0].1, sample.pixels());
            let picture = archive.get(&format!("/dicom-web{path}/rendered"), None, Some("image/png")).await;
            assert_eq!(picture.headers()["content-type"], "image/png");
            assert!(picture.bytes().await.unwrap().starts_with(b"\x89PNG"));
        }
        let metadata = archive.get(&format!("/dicom-web/studies/{uid}/metadata"), None, None).await;
        let metadata: Vec<serde_json::Value> = serde_json::from_str(&metadata.text().await.unwrap()).unwrap();
        assert_eq!(metadata.len(), 3);
        let pixel_data = metadata[0]["7FE00010"]["BulkDataURI"].as_str().unwrap();
        assert!(pixel_data.starts_with(&archive.url), "{pixel_data}");
    }

    async fn what_is_sent_again_is_there_once(archive: &mut TestArchive) {
        let admin = archive.admin.clone();
        let file = Sample::new(1, 1, 1).file();
        // De-identified the first time, which is a warning; there already afterwards, which is none.
        for expected in [202, 200, 200] {
            let (status, body) = archive.stow("/studies", std::slice::from_ref(&file), Some(&admin)).await;
            assert_eq!(status, expected, "{body}");
        }
        assert_eq!(archive.search("/instances", Some(&admin)).await.len(), 1);
    }

    async fn an_archive_started_again_has_what_it_had(archive: &mut TestArchive) {
        let admin = archive.admin.clone();
        let files: Vec<_> = (1..=5).map(|n| Sample::new(2, 1, n).file()).collect();
        let (status, body) = archive.stow("/studies", &files, Some(&admin)).await;
        assert_eq!(status, 202, "{body}");
        assert!(archive.stop().success());
        archive.launch().await;
        assert_eq!(archive.search("/instances", Some(&admin)).await.len(), 5);
    }

    async fn four_senders_at_once_lose_nothing(archive: &mut TestArchive) {
        let admin = archive.admin.clone();
        let folder = archive.scratch();
        let mut senders = Vec::new();
        for patient in 1..=4u32 {
            let files: Vec<_> = (1..=25).map(|n| {
                let path = folder.join(format!("{patient}-{n}.dcm"));
                std::fs::write(&path, Sample::new(patient, 1, n).file()).unwrap();
                path
            }).collect();
            let dimse = archive.dimse.clone();
            senders.push(tokio::task::spawn_blocking(move || {
                let paths: Vec<_> = files.iter().map(std::path::PathBuf::as_path).collect();
                peers::storescu(&dimse, "ISOCENTER", &paths, &[])
            }));
        }
        for sender in senders {
            let sent = sender.await.unwrap();
            assert!(sent.status.success(), "{}", peers::said(&sent));
        }
        let studies = archive.search("/studies", Some(&admin)).await;
        assert_eq!(studies.len(), 4);
        for study in studies {
            assert_eq!(study["00201208"]["Value"][0], 25);
        }
    }

    async fn pynetdicom_and_dicomweb_client_do_the_main_job(archive: &mut TestArchive) {
        let (host, port) = archive.dimse.rsplit_once(':').unwrap();
        let done = peers::script("main_job.py", &[&archive.url, &archive.admin, host, port]);
        assert!(done.status.success(), "{}", peers::said(&done));
    }

    async fn dcmsend_sends_real_files_of_every_kind(archive: &mut TestArchive) {
        let admin = archive.admin.clone();
        let (host, port) = archive.dimse.rsplit_once(':').unwrap();
        let files = corpus::pydicom_files();
        let names = ["CT_small.dcm", "MR_small.dcm", "MR_small_implicit.dcm", "JPEG2000.dcm", "SC_rgb_rle.dcm"];
        for name in names {
            let file = files.join(name);
            let sent = peers::dcmtk("dcmsend", &["-v", "-aec", "ISOCENTER", host, port, file.to_str().unwrap()]);
            assert!(sent.status.success(), "{name}: {}", peers::said(&sent));
        }
        let instances = archive.search("/instances", Some(&admin)).await;
        assert!(instances.len() >= 3, "{}", instances.len());
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}
