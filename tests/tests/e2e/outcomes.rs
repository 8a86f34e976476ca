//! The answers of DESIGN section 4: what each outcome says over C-STORE and STOW-RS, and what is kept.

use isocenter_tests::archive::TestArchive;
use isocenter_tests::peers;
use isocenter_tests::samples::Sample;

use crate::on_both;

fn without(sample: &Sample, tag: dicom_core::Tag) -> Vec<u8> {
    let mut object = sample.object();
    object.remove_element(tag);
    let meta = dicom_object::FileMetaTableBuilder::new()
        .transfer_syntax("1.2.840.10008.1.2.1")
        .media_storage_sop_class_uid("1.2.840.10008.5.1.4.1.1.2")
        .media_storage_sop_instance_uid(sample.instance.clone());
    let mut out = Vec::new();
    object.with_meta(meta).unwrap().write_all(&mut out).unwrap();
    out
}

fn fresh(archive: &TestArchive, title: &str, profile: &str, ae_title: &str) -> String {
    let made = archive.json(&[
        "collection",
        "create",
        "--title",
        title,
        "--profile",
        profile,
        "--release",
        "automatic",
        "--ae-title",
        ae_title,
    ]);
    made["accession"].as_str().unwrap().to_owned()
}

on_both! {
    async fn an_attested_collection_answers_200_and_keeps_every_byte(archive: &mut TestArchive) {
        let accession = fresh(archive, "as it is", "none", "ASITIS");
        let sample = Sample::new(1, 1, 1);
        let admin = archive.admin.clone();
        let (status, body) = archive.stow(&format!("/collections/{accession}/studies"), &[sample.file()], Some(&admin)).await;
        assert_eq!(status, 200, "{body}");
        let path = sample.path();
        let url = body["00081199"]["Value"][0]["00081190"]["Value"][0].as_str().unwrap().to_owned();
        assert!(url.ends_with(&path), "{url}");
        let stored = archive.instance(&path, None).await;
        let data_set = |file: &[u8]| {
            let length = u32::from_le_bytes(file[140..144].try_into().unwrap()) as usize;
            file[144 + length..].to_vec()
        };
        assert_eq!(data_set(&stored), data_set(&sample.file()));
    }

    async fn an_object_without_patient_id_is_kept_and_not_shown(archive: &mut TestArchive) {
        let accession = fresh(archive, "held", "basic", "HELD");
        let admin = archive.admin.clone();
        let file = without(&Sample::new(1, 1, 1), dicom_dictionary_std::tags::PATIENT_ID);
        let (status, body) = archive.stow(&format!("/collections/{accession}/studies"), std::slice::from_ref(&file), Some(&admin)).await;
        assert_eq!(status, 202, "{body}");
        let item = &body["00081199"]["Value"][0];
        assert!(item["00081196"]["Value"][0].is_u64(), "{body}");
        assert!(item.get("00081190").is_none(), "{body}");
        assert!(archive.search("/instances", Some(&admin)).await.is_empty());
        let listed = archive.json(&["quarantine", "list"]);
        assert_eq!(listed.as_array().unwrap().len(), 1, "{listed}");
        assert!(listed.to_string().contains("Q201"), "{listed}");
        let path = archive.scratch().join("no-patient-id.dcm");
        std::fs::write(&path, file).unwrap();
        let sent = peers::storescu(&archive.dimse, "HELD", &[&path], &[]);
        assert!(sent.status.success() && peers::said(&sent).contains("Success"), "{}", peers::said(&sent));
        assert_eq!(archive.json(&["quarantine", "list"]).as_array().unwrap().len(), 1);
    }

    async fn a_conflict_is_told_and_the_first_copy_stays(archive: &mut TestArchive) {
        let accession = fresh(archive, "conflict", "none", "CONFLICT");
        let admin = archive.admin.clone();
        let first = Sample::new(1, 1, 1);
        let mut second = first.clone();
        second.number = 7;
        let path = format!("/collections/{accession}/studies");
        assert_eq!(archive.stow(&path, &[first.file()], Some(&admin)).await.0, 200);
        let (status, body) = archive.stow(&path, &[second.file()], Some(&admin)).await;
        assert_eq!(status, 202, "{body}");
        assert_eq!(body["00081199"]["Value"][0]["00081196"]["Value"][0], 0xB007, "{body}");
        let file = archive.scratch().join("conflict.dcm");
        std::fs::write(&file, second.file()).unwrap();
        let sent = peers::storescu(&archive.dimse, "CONFLICT", &[&file], &[]);
        assert!(peers::said(&sent).to_lowercase().contains("b007"), "{}", peers::said(&sent));
        let path = first.path();
        assert_eq!(isocenter_tests::samples::pixels_of(&archive.instance(&path, None).await), first.pixels());
    }

    async fn another_patient_under_a_known_study_is_kept_aside(archive: &mut TestArchive) {
        let accession = fresh(archive, "mixed", "none", "MIXED");
        let admin = archive.admin.clone();
        let first = Sample::new(1, 1, 1);
        let mut second = Sample::new(1, 1, 2);
        second.patient_id = "SOMEBODYELSE".into();
        let path = format!("/collections/{accession}/studies");
        let (status, body) = archive.stow(&path, &[first.file(), second.file()], Some(&admin)).await;
        assert_eq!(status, 202, "{body}");
        assert_eq!(archive.search("/instances", Some(&admin)).await.len(), 1);
        assert!(archive.json(&["quarantine", "list"]).to_string().contains("Q202"));
    }

    async fn what_is_not_dicom_is_refused_and_leaves_nothing(archive: &mut TestArchive) {
        let admin = archive.admin.clone();
        let mut cut = Sample::new(1, 1, 1).file();
        cut.truncate(cut.len() - 100);
        for (name, bytes) in [("html", b"<html></html>".to_vec()), ("empty", Vec::new()), ("cut", cut)] {
            let (status, body) = archive.stow("/studies", &[bytes], Some(&admin)).await;
            assert_eq!(status, 409, "{name}: {body}");
        }
        let (status, body) = archive.stow("/studies", &[b"junk".to_vec(), Sample::new(1, 1, 1).file()], Some(&admin)).await;
        assert_eq!(status, 202, "{body}");
        assert_eq!(archive.search("/instances", Some(&admin)).await.len(), 1);
        assert!(archive.json(&["quarantine", "list"]).as_array().unwrap().is_empty());
    }

    async fn missing_uids_are_refused_with_a900(archive: &mut TestArchive) {
        let admin = archive.admin.clone();
        let file = without(&Sample::new(1, 1, 1), dicom_dictionary_std::tags::SERIES_INSTANCE_UID);
        let (status, body) = archive.stow("/studies", std::slice::from_ref(&file), Some(&admin)).await;
        assert_eq!(status, 409, "{body}");
        assert_eq!(body["00081198"]["Value"][0]["00081197"]["Value"][0], 0xA900, "{body}");
        let path = archive.scratch().join("no-series.dcm");
        std::fs::write(&path, file).unwrap();
        let sent = peers::storescu(&archive.dimse, "ISOCENTER", &[&path], &[]);
        assert!(peers::said(&sent).to_lowercase().contains("a900"), "{}", peers::said(&sent));
    }

    async fn an_unknown_called_ae_title_is_rejected(archive: &mut TestArchive) {
        let path = archive.scratch().join("x.dcm");
        std::fs::write(&path, Sample::new(1, 1, 1).file()).unwrap();
        let sent = peers::storescu(&archive.dimse, "NOBODY", &[&path], &[]);
        assert!(!sent.status.success());
        assert!(peers::said(&sent).contains("Called AE Title Not Recognized"), "{}", peers::said(&sent));
    }
}
