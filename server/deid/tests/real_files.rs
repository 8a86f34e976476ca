//! Real and synthetic files of the test data beside the workspace, where it is present: no name, identifier, UID or date of
//! the original occurs in the bytes that come out.
//!
//! The folder is `$ISOCENTER_TEST_DATA`, else `shared/data` beside the workspace. Without it these tests say so and pass.

#![expect(clippy::unwrap_used, reason = "a test: what fails here should fail loudly")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use dicom_core::VR;
use dicom_core::header::Header;
use dicom_core::value::Value;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use dicom_transfer_syntax_registry::entries::EXPLICIT_VR_LITTLE_ENDIAN;
use isocenter_deid::{Context, Profile, Pseudonyms, Secret, deidentify};
use isocenter_model::part10::{Limits, layout_part10, read_header, write_header};
use isocenter_model::{TransferSyntaxUid, uid::transfer_syntax};

fn data() -> Option<PathBuf> {
    let folder = std::env::var_os("ISOCENTER_TEST_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    if folder.is_dir() {
        return Some(folder);
    }
    println!("left out: ../shared/data is absent (looked in {})", folder.display());
    None
}

fn files(folder: &Path, out: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            files(&path, out);
        } else {
            out.push(path);
        }
    }
}

/// What the archive's reader makes of a file; `None` where it refuses.
fn read(path: &Path) -> Option<InMemDicomObject> {
    let bytes = std::fs::read(path).unwrap();
    let limits = Limits {
        header_bytes: 8 << 20,
        inflated_bytes: 8 << 20,
        ..Limits::default()
    };
    let layout = layout_part10(&bytes, &limits).ok()?;
    read_header(&bytes, &layout, &limits).ok()
}

/// Words that are no identity though they stand where one is.
const STAND_INS: [&str; 26] = [
    "text",
    "00000",
    "anonymous",
    "anonymized",
    "patient",
    "phantom",
    "unknown",
    "subject",
    "volunteer",
    "test",
    "study",
    "head",
    "male",
    "none",
    "anon",
    "name",
    "default",
    "person",
    "deidentified",
    "brain",
    "removed",
    "female",
    "null",
    "dummy",
    "anonymised",
    "series",
];

fn tokens(object: &InMemDicomObject, out: &mut BTreeSet<String>) {
    for element in object.iter() {
        let tag = element.tag();
        if tag.0 % 2 == 1 {
            continue;
        }
        match element.value() {
            Value::Sequence(sequence) => sequence.items().iter().for_each(|item| tokens(item, out)),
            Value::Primitive(value) => {
                let text = value.to_str();
                let parts: Vec<&str> = text.split('\\').map(|part| part.trim_matches([' ', '\0'])).collect();
                match element.vr() {
                    VR::PN => out.extend(
                        text.split(['^', '=', '\\', ' ', ','])
                            .filter(|part| part.chars().count() >= 4 || !part.is_ascii() && part.chars().count() >= 2)
                            .filter(|part| !STAND_INS.contains(&part.to_lowercase().as_str()))
                            .filter(|part| !part.chars().any(|c| c.is_control() || c == '\u{FFFD}'))
                            .map(str::to_owned),
                    ),
                    VR::UI => {
                        let class = matches!(
                            tag,
                            tags::SOP_CLASS_UID
                                | tags::REFERENCED_SOP_CLASS_UID
                                | tags::RELATED_GENERAL_SOP_CLASS_UID
                                | tags::CODING_SCHEME_UID
                                | tags::CONTEXT_UID
                                | tags::MAPPING_RESOURCE_UID
                                | tags::SOP_CLASSES_IN_STUDY
                        );
                        let ours = parts
                            .iter()
                            .filter(|uid| !class && !uid.starts_with("1.2.840.10008.") && uid.len() > 8);
                        out.extend(ours.map(|uid| (*uid).to_owned()));
                    }
                    VR::DA | VR::DT => {
                        let days = parts.iter().filter_map(|date| date.get(..8));
                        out.extend(
                            days.filter(|day| *day != "19000101" && day.bytes().all(|b| b.is_ascii_digit()))
                                .map(str::to_owned),
                        );
                    }
                    _ if matches!(
                        tag,
                        tags::PATIENT_ID | tags::ACCESSION_NUMBER | tags::DEVICE_SERIAL_NUMBER
                    ) =>
                    {
                        let ids = parts
                            .iter()
                            .filter(|id| id.len() >= 5 && !STAND_INS.contains(&id.to_lowercase().as_str()));
                        out.extend(ids.map(|id| (*id).to_owned()));
                    }
                    _ => {}
                }
            }
            Value::PixelSequence(_) => {}
        }
    }
}

/// The bytes of both writers: the archive's, which forgives, and the library's, which does not.
fn encode(object: &InMemDicomObject) -> Vec<u8> {
    let syntax = TransferSyntaxUid::parse(transfer_syntax::EXPLICIT_VR_LITTLE_ENDIAN).unwrap();
    let written = write_header(object, &syntax).unwrap();
    let mut bytes = [written.before, written.after].concat();
    object
        .write_dataset_with_ts(&mut bytes, &EXPLICIT_VR_LITTLE_ENDIAN.erased())
        .unwrap();
    bytes
}

fn leaks(
    folder: &str,
    needles_of: impl Fn(&Path, &InMemDicomObject) -> BTreeSet<String>,
) -> (usize, usize, Vec<String>) {
    let Some(root) = data() else { return (0, 0, Vec::new()) };
    let root = root.join(folder);
    let mut paths = Vec::new();
    files(&root, &mut paths);
    let pseudonyms = Pseudonyms::new(&Secret::new([9; 32]), "OBIA0001");
    let (mut done, mut held, mut found) = (0, 0, Vec::new());
    for path in &paths {
        let name = path.strip_prefix(&root).unwrap().display().to_string();
        if matches!(
            path.extension().and_then(|end| end.to_str()),
            Some("csv" | "md" | "json")
        ) {
            continue;
        }
        let Some(object) = read(path) else { continue };
        let needles = needles_of(path, &object);
        for profile in ["basic", "obia"] {
            let profile = Profile::builtin(profile).unwrap();
            let out = match deidentify(&object, &profile, &pseudonyms, &Context::default()) {
                Ok(out) => out,
                Err(_) => {
                    held += 1;
                    continue;
                }
            };
            let bytes = encode(&out.data_set);
            let bytes = String::from_utf8_lossy(&bytes);
            let report = serde_json::to_string(&out.report).unwrap();
            for needle in &needles {
                if bytes.contains(needle.as_str()) {
                    found.push(format!("{name} {}: {needle}", profile.name()));
                }
                if report.contains(needle.as_str()) {
                    found.push(format!("{name} {}: {needle} in the report", profile.name()));
                }
            }
            done += 1;
        }
    }
    println!("{folder}: {done} objects de-identified, {held} held");
    (done, held, found)
}

#[test]
fn no_identity_of_a_test_file_is_left() {
    let (done, _, found) = leaks("dicom", |_, object| {
        let mut needles = BTreeSet::new();
        tokens(object, &mut needles);
        needles
    });
    assert!(found.is_empty(), "{} leaks:\n{}", found.len(), found.join("\n"));
    assert!(data().is_none() || done > 200, "{done}");
}

#[test]
fn no_planted_identity_is_left() {
    let Some(root) = data() else { return };
    let key: serde_json::Value =
        serde_json::from_slice(&std::fs::read(root.join("phi/answer_key.json")).unwrap()).unwrap();
    let (done, _, found) = leaks("phi/original", |path, object| {
        let mut needles = BTreeSet::new();
        tokens(object, &mut needles);
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let file = key["files"]
            .as_array()
            .unwrap()
            .iter()
            .find(|file| file["file"].as_str().unwrap().ends_with(&name));
        for check in file.unwrap()["checks"].as_array().unwrap() {
            let kind = check["kind"].as_str().unwrap();
            if matches!(kind, "text_removed" | "private_removed" | "scan" | "document_removed") {
                let planted = check["needles"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .filter_map(|needle| needle.as_str());
                needles.extend(planted.filter(|needle| needle.chars().count() >= 3).map(str::to_owned));
            }
        }
        needles
    });
    assert!(found.is_empty(), "{} leaks:\n{}", found.len(), found.join("\n"));
    assert!(done >= 16, "{done}");
}

#[test]
fn descriptions_of_the_benchmark_stay_under_obia() {
    let Some(root) = data() else { return };
    let key: serde_json::Value =
        serde_json::from_slice(&std::fs::read(root.join("phi/answer_key.json")).unwrap()).unwrap();
    let pseudonyms = Pseudonyms::new(&Secret::new([9; 32]), "OBIA0001");
    let (mut kept, mut lost) = (0, Vec::new());
    for file in key["files"].as_array().unwrap() {
        let name = file["file"].as_str().unwrap();
        let Some(object) = read(&root.join("phi/original").join(name)) else {
            continue;
        };
        let profile = Profile::builtin("obia").unwrap();
        let Ok(out) = deidentify(&object, &profile, &pseudonyms, &Context::default()) else {
            continue;
        };
        for check in file["checks"].as_array().unwrap() {
            let wanted = matches!(
                check["category"].as_str(),
                Some("keep descriptors" | "keep characteristics" | "keep core")
            );
            let tag = check["path"]
                .as_str()
                .and_then(|path| path.parse::<dicom_core::Tag>().ok());
            let (true, Some(tag), Some(value)) = (wanted, tag, check["value"].as_str()) else {
                continue;
            };
            let after = out
                .data_set
                .get(tag)
                .map(|element| element.value().to_str().unwrap().into_owned());
            if after.as_deref().is_some_and(|after| after.contains(value)) {
                kept += 1;
            } else {
                lost.push(format!("{name} {tag}: {value:?} became {after:?}"));
            }
        }
    }
    println!("{kept} values kept, {} lost:\n{}", lost.len(), lost.join("\n"));
    assert!(
        kept > 100 && lost.len() * 20 < kept,
        "{kept} kept, lost:\n{}",
        lost.join("\n")
    );
}
