//! A collection brings its own de-identification profile: refused with its place where it is wrong, applied to what
//! arrives, and kept by the store alone.

use std::path::Path;

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use dicom_object::FileMetaTableBuilder;
use isocenter_tests::archive::{Backend, TestArchive, path_of};
use isocenter_tests::peers;
use isocenter_tests::samples::{Sample, pixels_of};

use crate::on_both;

const SCRIPT: &str = "set.[0008,0050]AccessionNumber=@param(@TRIAL)\n\
                      set.[0010,0010]PatientName=@empty()\n\
                      set.[0010,0020]PatientID=@lookup(this,ptid)\n\
                      set.[0010,0030]PatientBirthDate=@if(StudyDescription,equals,\"pass over\"){@skip()}{@empty()}\n";

fn write(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// Returns two values of a file as text: Patient ID and Accession Number.
fn written(file: &[u8]) -> (String, String) {
    let object = dicom_object::from_reader(file).unwrap();
    let text = |tag| object.element(tag).unwrap().to_str().unwrap().trim().to_owned();
    (text(tags::PATIENT_ID), text(tags::ACCESSION_NUMBER))
}

/// Returns a screen capture: of a class that shows text, so that no search releases it.
fn captured(sample: &Sample, station: &str) -> Vec<u8> {
    let mut object = sample.object();
    for (tag, vr, value) in [
        (tags::MODALITY, VR::CS, "OT"),
        (tags::CONVERSION_TYPE, VR::CS, "WSD"),
        (tags::SOP_CLASS_UID, VR::UI, "1.2.840.10008.5.1.4.1.1.7"),
        (tags::STATION_NAME, VR::SH, station),
    ] {
        object.put(DataElement::new(tag, vr, PrimitiveValue::from(value)));
    }
    let meta = FileMetaTableBuilder::new()
        .transfer_syntax("1.2.840.10008.1.2.1")
        .media_storage_sop_class_uid("1.2.840.10008.5.1.4.1.1.7")
        .media_storage_sop_instance_uid(sample.instance.clone());
    let mut out = Vec::new();
    object.with_meta(meta).unwrap().write_all(&mut out).unwrap();
    out
}

fn lose_database(archive: &TestArchive) {
    match archive.backend() {
        Backend::Embedded => {
            for name in ["isocenter.db", "isocenter.db-wal", "isocenter.db-shm"] {
                let _ = std::fs::remove_file(archive.data_dir().join(name));
            }
        }
        Backend::Grown => {
            let all = "drop schema public cascade; create schema public";
            let url = archive.database_url().unwrap();
            let done = std::process::Command::new("psql")
                .args(["-q", "-X", url, "-c", all])
                .status()
                .unwrap();
            assert!(done.success());
        }
    }
}

on_both! {
    async fn a_script_of_its_own_is_applied_and_outlives_the_database(archive: &mut TestArchive) {
        let folder = archive.scratch();
        let script = write(&folder, "trial-7.script", SCRIPT);
        let params = write(&folder, "trial-7.properties", "TRIAL=TRIAL-7\n");
        let lookup = write(&folder, "trial-7.lookup", "ptid/HOSP00001=T7-001\n");
        let made = archive.json(&["collection", "create", "--title", "trial", "--profile", &script,
            "--params", &params, "--lookup", &lookup]);
        let collection = made["accession"].as_str().unwrap().to_owned();
        for path in [script, params, lookup] {
            std::fs::remove_file(path).unwrap(); // the archive has its own copy
        }
        let show = |archive: &TestArchive| {
            let shown = archive.json(&["collection", "show", &collection]);
            (shown["profile"].as_str().unwrap().to_owned(), shown["profile_hash"].as_str().unwrap().to_owned())
        };
        let shown = show(archive);
        assert_eq!((shown.0.as_str(), shown.1.len()), ("trial-7", 64));

        let admin = archive.admin.clone();
        let to = format!("/collections/{collection}/studies");
        let (status, body) = archive.stow(&to, &[Sample::new(1, 1, 1).file()], Some(&admin)).await;
        assert_eq!(status, 202, "{body}");
        // a patient whom the lookup table does not know is no patient of the trial
        archive.stow(&to, &[Sample::new(2, 1, 1).file()], Some(&admin)).await;
        let kept = archive.json(&["quarantine", "list"]);
        assert_eq!(kept.as_array().map(Vec::len), Some(1), "{kept}");
        let rows = archive.search("/instances", Some(&admin)).await;
        assert_eq!(rows.len(), 1);
        let file = archive.instance(&path_of(&rows[0]), Some(&admin)).await;
        assert_eq!(written(&file), ("T7-001".to_owned(), "TRIAL-7".to_owned()));

        archive.stop();
        if archive.backend() == Backend::Embedded {
            // the lookup table names patients: it lies sealed in database and store
            for name in ["isocenter.db", "isocenter.db-wal"] {
                let bytes = std::fs::read(archive.data_dir().join(name)).unwrap_or_default();
                assert!(!bytes.windows(9).any(|window| window == b"HOSP00001"), "{name}");
            }
        }
        lose_database(archive);
        archive.json(&["reindex", "--from-store"]);
        archive.launch().await;
        let admin = archive.admin.clone();
        assert_eq!(show(archive), shown);
        let (status, body) = archive.stow(&to, &[Sample::new(1, 1, 2).file()], Some(&admin)).await;
        assert_eq!(status, 202, "{body}");
        let rows = archive.search("/instances", Some(&admin)).await;
        assert_eq!(rows.len(), 2);
        for row in &rows {
            let file = archive.instance(&path_of(row), Some(&admin)).await;
            assert_eq!(written(&file), ("T7-001".to_owned(), "TRIAL-7".to_owned()));
        }
    }

    async fn a_script_that_passes_objects_over_releases_none(archive: &mut TestArchive) {
        let script = write(&archive.scratch(), "skips.script", "set.[0010,0010]PatientName=@skip()\n");
        let made = archive.json(&["collection", "create", "--title", "skips", "--profile", &script,
            "--release", "automatic"]);
        let collection = made["accession"].as_str().unwrap();
        let admin = archive.admin.clone();
        archive.stow(&format!("/collections/{collection}/studies"), &[Sample::new(1, 1, 1).file()], Some(&admin)).await;
        assert!(archive.search("/instances", Some(&admin)).await.is_empty());
        let kept = archive.json(&["quarantine", "list"]);
        assert!(kept.to_string().contains("Q511"), "{kept}");
    }

    async fn a_script_that_leaves_no_uids_keeps_objects_and_never_fails(archive: &mut TestArchive) {
        let folder = archive.scratch();
        let admin = archive.admin.clone();
        let make = |archive: &TestArchive, name: &str, rule: &str| {
            let script = write(&folder, name, &format!("set.[0010,0010]PatientName=@empty()\n{rule}\n"));
            let made = archive.json(&["collection", "create", "--title", name, "--profile", &script,
                "--release", "automatic", "--ae-title", name]);
            format!("/collections/{}/studies", made["accession"].as_str().unwrap())
        };
        let none = make(archive, "NONE", "set.[0008,0018]SOPInstanceUID=@remove()");
        let (status, body) = archive.stow(&none, &[Sample::new(1, 1, 1).file()], Some(&admin)).await;
        assert_eq!(status, 202, "{body}");
        let path = folder.join("second.dcm");
        std::fs::write(&path, Sample::new(1, 1, 2).file()).unwrap();
        let sent = peers::storescu(&archive.dimse, "NONE", &[&path], &[]);
        assert!(sent.status.success(), "{}", peers::said(&sent));
        let kept = archive.json(&["quarantine", "list"]);
        let ids: Vec<String> = kept.as_array().unwrap().iter().map(|item| item["id"].to_string()).collect();
        assert_eq!(ids.len(), 2, "{kept}");
        for id in &ids {
            let shown = archive.json(&["quarantine", "show", id]).to_string();
            assert!(shown.contains("Q105") && shown.contains("(0008,0018)"), "{shown}");
        }
        // one UID for all: the first has it, the others are kept, and nothing sent beside them suffers
        let same = make(archive, "SAME", "set.[0008,0018]SOPInstanceUID=1.2.3.4");
        for numbers in [[1, 2], [3, 4]] {
            let files = numbers.map(|number| Sample::new(2, 1, number).file());
            let (status, body) = archive.stow(&same, &files, Some(&admin)).await;
            assert_eq!(status, 202, "{body}");
        }
        assert_eq!(archive.search("/instances", Some(&admin)).await.len(), 1);
        let kept = archive.json(&["quarantine", "list"]);
        assert_eq!(kept.to_string().matches("Q206").count(), 3, "{kept}");
    }

    async fn a_device_that_the_pixel_script_knows_is_released_whichever_door_it_takes(archive: &mut TestArchive) {
        let folder = archive.scratch();
        let devices = write(&folder, "devices.script", "Room 4:\n{ StationName.equals(\"ROOM4\") } (0,0,32,8)\n");
        let made = archive.json(&["collection", "create", "--title", "devices", "--pixel-script", &devices,
            "--release", "automatic", "--ae-title", "DEVICES"]);
        let collection = made["accession"].as_str().unwrap().to_owned();
        let admin = archive.admin.clone();
        let to = format!("/collections/{collection}/studies");
        let one = |number| Sample::new(1, 1, number);
        let (status, body) = archive.stow(&to, &[captured(&one(1), "ROOM4")], Some(&admin)).await;
        assert_eq!(status, 202, "{body}");
        let files = [(2, "ROOM4"), (3, "ROOM5")].map(|(number, station)| {
            let path = folder.join(format!("{number}.dcm"));
            std::fs::write(&path, captured(&one(number), station)).unwrap();
            path
        });
        let paths: Vec<&Path> = files.iter().map(AsRef::as_ref).collect();
        let sent = peers::storescu(&archive.dimse, "DEVICES", &paths, &[]);
        assert!(sent.status.success(), "{}", peers::said(&sent));
        let rows = archive.search("/instances?includefield=00200013", Some(&admin)).await;
        let mut numbers: Vec<i64> = rows.iter().filter_map(|row| row["00200013"]["Value"][0].as_i64()).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, [1, 2]);
        for row in &rows {
            let number = u32::try_from(row["00200013"]["Value"][0].as_i64().unwrap()).unwrap();
            let pixels = pixels_of(&archive.instance(&path_of(row), Some(&admin)).await);
            let hidden = 32 * 8 * 2;
            assert!(pixels[..hidden].iter().all(|byte| *byte == 0));
            assert_eq!(pixels[hidden..], one(number).pixels()[hidden..]);
        }
        let kept = archive.json(&["quarantine", "list"]);
        assert!(kept.as_array().map(Vec::len) == Some(1) && kept.to_string().contains("Q506"), "{kept}");
    }

    async fn a_profile_that_is_wrong_makes_no_collection(archive: &mut TestArchive) {
        let folder = archive.scratch();
        let cases = [
            ("wrong.script", "set.[0010,0010]PatientName=@empty()\nset.[0010,0020]PatientID=@nothing()\n", "line 2, column "),
            ("wrong.xml", "<script>\n<e en=\"T\" t=\"00100010\"</script>", "line 2, column "),
            ("counts.script", "set.[0010,0020]PatientID=@integer(this,id,4)\n", "all servers share"),
            ("wrong.toml", "name = 'own'\noption = []\n", "line 2"),
        ];
        let before = archive.json(&["collection", "list"]);
        for (name, text, words) in cases {
            let file = write(&folder, name, text);
            let refused = archive.run(&["collection", "create", "--title", "wrong", "--profile", &file]);
            let said = String::from_utf8_lossy(&refused.stderr);
            assert_eq!(refused.status.code(), Some(1), "{said}");
            assert!(said.contains(name) && said.contains(words), "{said}");
        }
        assert_eq!(archive.json(&["collection", "list"]), before);
        let own = write(&folder, "own.toml", "name = 'own'\nextends = 'obia'\noptions = ['retain-uids']\n");
        let made = archive.json(&["collection", "create", "--title", "own", "--profile", &own]);
        let shown = archive.json(&["collection", "show", made["accession"].as_str().unwrap()]);
        assert_eq!(shown["profile"], "own");
    }
}
