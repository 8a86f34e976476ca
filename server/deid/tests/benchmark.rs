//! The benchmark with planted identity, as whole files: what its answer key says must go or stay, pixels apart.
//!
//! With `ISOCENTER_DEID_OUT` the files are also written there, for the scoring script that comes with the benchmark. Text
//! burned into pixels is found and masked by others; its mark is taken off first, so that no object is held for it.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test: what fails here should fail loudly"
)]

use std::path::{Path, PathBuf};

use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use isocenter_deid::{Context, PixelFacts, Profile, Pseudonyms, Secret, deidentify};
use isocenter_model::part10::{
    Layout, Limits, NewFileMeta, PixelData, layout_part10, read_header, write_file_meta, write_header,
};

fn root() -> Option<PathBuf> {
    let folder = std::env::var_os("ISOCENTER_TEST_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    let folder = folder.join("phi");
    if folder.is_dir() {
        return Some(folder);
    }
    println!("left out: no benchmark at {}", folder.display());
    None
}

fn uid(object: &InMemDicomObject, tag: dicom_core::Tag) -> String {
    object
        .get(tag)
        .unwrap()
        .to_str()
        .unwrap()
        .trim_end_matches('\0')
        .to_owned()
}

/// A de-identified file as the archive writes it: new file meta, new header, the pixel element's own bytes.
fn written(bytes: &[u8], layout: &Layout, header: &InMemDicomObject) -> Vec<u8> {
    let mut out = write_file_meta(&NewFileMeta {
        sop_class_uid: &uid(header, tags::SOP_CLASS_UID),
        sop_instance_uid: &uid(header, tags::SOP_INSTANCE_UID),
        transfer_syntax_uid: &layout.transfer_syntax_uid,
        source_ae_title: None,
    });
    let halves = write_header(header, &layout.transfer_syntax_uid).unwrap();
    out.extend_from_slice(&halves.before);
    if let Some(pixels) = &layout.pixel_data {
        let span = |pixels: &PixelData| pixels.element_offset() as usize..pixels.end_offset() as usize;
        out.extend_from_slice(&bytes[span(pixels)]);
    }
    out.extend_from_slice(&halves.after);
    out
}

fn at<'a>(object: &'a InMemDicomObject, path: &str) -> Option<&'a dicom_object::mem::InMemElement> {
    let mut parts = path.split('.').peekable();
    let mut object = object;
    while let Some(part) = parts.next() {
        let (tag, item) = part.split_once('[').unwrap_or((part, "0]"));
        let element = object.get(tag.parse::<dicom_core::Tag>().ok()?)?;
        if parts.peek().is_none() {
            return Some(element);
        }
        object = element
            .items()?
            .get(item.trim_end_matches(']').parse::<usize>().ok()?)?;
    }
    None
}

#[test]
fn planted_identity_goes_from_whole_files_and_science_stays() {
    let Some(root) = root() else { return };
    let key: serde_json::Value = serde_json::from_slice(&std::fs::read(root.join("answer_key.json")).unwrap()).unwrap();
    let out = std::env::var_os("ISOCENTER_DEID_OUT").map(PathBuf::from);
    let pseudonyms = Pseudonyms::new(&Secret::new([9; 32]), "OBIA0001");
    let profile = Profile::builtin("obia").unwrap();
    let (mut left, mut lost, mut kept) = (Vec::new(), Vec::new(), 0);
    let files = key["files"].as_array().unwrap();
    for (number, file) in files.iter().enumerate() {
        let name = file["file"].as_str().unwrap();
        let bytes = std::fs::read(root.join("original").join(name)).unwrap();
        let limits = Limits::default();
        let layout = layout_part10(&bytes, &limits).unwrap();
        let mut header = read_header(&bytes, &layout, &limits).unwrap();
        header.remove_element(tags::BURNED_IN_ANNOTATION);
        let pixels = Some(PixelFacts {
            transfer_syntax_uid: layout.transfer_syntax_uid.as_str(),
            judged: false,
        });
        // One source, one issuer; else an issuer that only some files of a patient name would make two patients of one.
        let done = deidentify(&header, &profile, &pseudonyms, &Context { issuer: "SITE", pixels })
            .unwrap_or_else(|held| panic!("{name}: {held}"));
        let file_bytes = written(&bytes, &layout, &done.data_set);
        if let Some(out) = &out {
            std::fs::create_dir_all(out).unwrap();
            std::fs::write(out.join(format!("{number}.dcm")), &file_bytes).unwrap();
        }
        let halves = write_header(&done.data_set, &layout.transfer_syntax_uid).unwrap();
        let head = [halves.before, halves.after].concat();
        let text = String::from_utf8_lossy(&head).to_lowercase();
        for check in file["checks"].as_array().unwrap() {
            let path = check["path"].as_str().unwrap();
            let after = at(&done.data_set, path).and_then(|element| element.value().to_str().ok());
            match check["kind"].as_str().unwrap() {
                "scan" => {
                    let needles = check["needles"]
                        .as_array()
                        .unwrap()
                        .iter()
                        .filter_map(|needle| needle.as_str());
                    for needle in needles.filter(|needle| needle.len() >= 5) {
                        if text.contains(&needle.to_lowercase()) {
                            left.push(format!("{name}: {needle}"));
                        }
                    }
                }
                "uid" | "date" | "patid" if !path.starts_with("meta") => match after.as_deref() {
                    None | Some("") => lost.push(format!("{name} {path}")),
                    Some(after) if Some(after) == check["value"].as_str() => left.push(format!("{name} {path}")),
                    Some(_) => kept += 1,
                },
                "tag_retained" if check["value"].is_string() => match after {
                    Some(after) if after.trim() == check["value"].as_str().unwrap() => kept += 1,
                    after => lost.push(format!("{name} {path} {after:?}")),
                },
                "text_retained" => {
                    let value = check["value"].as_str().unwrap().to_lowercase();
                    if text.contains(&value) {
                        kept += 1;
                    } else {
                        lost.push(format!("{name} {path} {after:?}"));
                    }
                }
                _ => {}
            }
        }
    }
    assert!(left.is_empty(), "left:\n{}", left.join("\n"));
    assert!(lost.len() * 100 <= kept, "{kept} kept, lost:\n{}", lost.join("\n"));
}
