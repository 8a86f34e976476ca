//! Held against what CTP itself answers: every expression, every condition, every element of every file.
//!
//! The answers are in `ctp` of the test data (`$ISOCENTER_TEST_DATA`, else `shared/data` beside the workspace), and in the
//! folders of `$ISOCENTER_CTP_ANSWERS` (with `:` between), for those who have a CTP to ask. Without them these tests say so
//! and pass.

#![expect(clippy::unwrap_used, reason = "a test: what fails here should fail loudly")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dicom_core::Tag;
use dicom_core::header::Header;
use dicom_core::value::{PrimitiveValue, Value};
use dicom_object::{FileMetaTable, InMemDicomObject};
use isocenter_deid::ctp::{
    Anonymizer, Filter, Inputs, LookupTable, Mode, Object, Outcome, RunningIntegers, Script, meta_elements,
};
use isocenter_deid::{Pseudonyms, Secret};
use isocenter_model::part10::{Limits, layout_part10, read_header};
use serde_json::Value as Json;
use sha2::{Digest, Sha256};

fn data() -> Option<PathBuf> {
    let folder = std::env::var_os("ISOCENTER_TEST_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    if folder.join("ctp").is_dir() {
        return Some(folder);
    }
    println!("left out: ../shared is absent");
    None
}

/// The folders of answers.
fn answers() -> Vec<PathBuf> {
    let more = std::env::var("ISOCENTER_CTP_ANSWERS").unwrap_or_default();
    let more = more.split(':').filter(|folder| !folder.is_empty()).map(PathBuf::from);
    data()
        .map(|folder| folder.join("ctp"))
        .into_iter()
        .chain(more)
        .collect()
}

fn json(path: &Path) -> Option<Json> {
    Some(serde_json::from_slice(&std::fs::read(path).ok()?).unwrap())
}

/// Every file of the test data by name.
fn files() -> BTreeMap<String, Vec<PathBuf>> {
    let mut out: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    let mut folders: Vec<PathBuf> = data()
        .map(|folder| folder.join("dicom"))
        .into_iter()
        .chain(answers())
        .collect();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                out.entry(name).or_default().push(path);
            }
        }
    }
    out
}

struct Read {
    header: InMemDicomObject,
    meta: Option<InMemDicomObject>,
    pixels: bool,
}

impl Read {
    fn object(&self) -> Object<'_> {
        Object {
            data_set: &self.header,
            meta: self.meta.as_ref(),
            has_pixel_data: self.pixels,
            issuer: "",
        }
    }
}

fn read(bytes: &[u8]) -> Option<Read> {
    let limits = Limits {
        header_bytes: 8 << 20,
        inflated_bytes: 8 << 20,
        ..Limits::default()
    };
    let layout = layout_part10(&bytes, &limits).ok()?;
    let header = read_header(&bytes, &layout, &limits).ok()?;
    let meta = bytes.get(128..).and_then(|rest| FileMetaTable::from_reader(rest).ok());
    let pixel_data = [0xE0, 0x7F, 0x10, 0x00];
    let big_endian = [0x7F, 0xE0, 0x00, 0x10];
    Some(Read {
        pixels: bytes.windows(4).any(|four| four == pixel_data || four == big_endian),
        header,
        meta: meta.as_ref().map(meta_elements),
    })
}

fn find(name: &str, sha256: Option<&str>) -> Option<Read> {
    let all = files();
    for path in all.get(name)? {
        let bytes = std::fs::read(path).unwrap();
        if sha256.is_none_or(|sha256| hex::encode(Sha256::digest(&bytes)) == sha256) {
            return read(&bytes);
        }
    }
    None
}

fn pseudonyms() -> Pseudonyms {
    Pseudonyms::new(&Secret::new([7; 32]), "TEST0001")
}

fn text(json: &Json) -> Option<&str> {
    json.as_str()
}

#[test]
fn every_expression_gives_the_answer_of_ctp() {
    for folder in answers() {
        let Some(answers) = json(&folder.join("functions.json")) else {
            continue;
        };
        let meta = &answers["meta"];
        let read = find(text(&meta["input"]).unwrap(), text(&meta["input_sha256"])).unwrap();
        let script = std::fs::read_to_string(folder.join(text(&meta["params_script"]).unwrap())).unwrap();
        let lookup = std::fs::read_to_string(folder.join(text(&meta["lookup"]).unwrap())).unwrap();
        let inputs = Inputs {
            lookup: Some(Arc::new(LookupTable::parse(&lookup))),
            integers: Some(Arc::new(RunningIntegers::default())),
            ..Inputs::default()
        };
        let anonymizer = Anonymizer::new(Script::parse_compat(&script).unwrap(), Mode::Compat, inputs).unwrap();
        let (mut asked, mut wrong) = (0, Vec::new());
        for row in answers["rows"].as_array().unwrap() {
            let expression = text(&row["expr"]).unwrap();
            let number = u32::from_str_radix(text(&row["this_tag"]).unwrap(), 16).unwrap();
            #[expect(clippy::cast_possible_truncation, reason = "the two halves of a tag")]
            let tag = Tag((number >> 16) as u16, number as u16);
            let answer = anonymizer.evaluate(expression, Some(tag), &read.object(), &pseudonyms());
            asked += 1;
            let right = match (&answer, text(&row["result"])) {
                (Ok(answer), Some(expected)) if row["now"] == true => answer.len() == expected.len(),
                (Ok(answer), Some(expected)) => answer == expected,
                // Words of Java's own exceptions count only where scripts meet them.
                (Err(thrown), None) => {
                    let expected = text(&row["throws"]).unwrap_or("");
                    let own = |text: &str| text.contains("!quarantine!") || text.contains("!skip!");
                    !own(expected) && !own(&thrown.message) || expected == thrown.message
                }
                _ => false,
            };
            if !right {
                wrong.push(format!("{expression}: {answer:?}, CTP {row}"));
            }
        }
        println!("{}: {asked} expressions", folder.display());
        assert!(
            wrong.is_empty(),
            "{} of {asked} differ:\n{}",
            wrong.len(),
            wrong.join("\n")
        );
    }
}

#[test]
fn every_condition_gives_the_answer_of_ctp() {
    for folder in answers() {
        let Some(answers) = json(&folder.join("filters.json")) else {
            continue;
        };
        let mut reads: BTreeMap<String, Read> = BTreeMap::new();
        let (mut asked, mut wrong) = (0, Vec::new());
        for row in answers.as_array().unwrap() {
            let file = text(&row["file"]).unwrap();
            let read = reads
                .entry(file.to_owned())
                .or_insert_with(|| find(file, None).unwrap());
            let expression = text(&row["expr"]).unwrap();
            let answer = Filter::parse_compat(expression).matches(&read.object());
            asked += 1;
            if answer != row["result"].as_bool().unwrap() {
                wrong.push(format!("{file}: {expression}"));
            }
        }
        println!("{}: {asked} conditions", folder.display());
        assert!(
            wrong.is_empty(),
            "{} of {asked} differ:\n{}",
            wrong.len(),
            wrong.join("\n")
        );
    }
}

/// The values of an element, each as text.
fn values(value: &PrimitiveValue) -> Vec<String> {
    match value {
        PrimitiveValue::Empty => Vec::new(),
        PrimitiveValue::U8(bytes) => vec![hex::encode(bytes)],
        PrimitiveValue::Tags(tags) => tags.iter().map(|t| format!("({:04X},{:04X})", t.0, t.1)).collect(),
        other => other
            .to_multi_str()
            .iter()
            .map(|text| trimmed(text).to_owned())
            .collect(),
    }
}

fn trimmed(text: &str) -> &str {
    text.trim_matches([' ', '\0'])
}

/// The values that an answer holds: one, or a list as Python prints it.
fn listed(text: &str) -> Vec<String> {
    let list = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match list {
        Some(list) => list
            .split(", ")
            .map(|item| trimmed(item.trim_matches(['\'', '"'])).to_owned())
            .collect(),
        None => vec![trimmed(text).to_owned()],
    }
}

fn same(ours: &PrimitiveValue, answer: &Json) -> bool {
    if answer.is_object() {
        // A long value: its length and digest.
        let bytes = ours.to_bytes();
        let text = ours.to_str();
        let digest = |bytes: &[u8]| Some(hex::encode(Sha256::digest(bytes))).as_deref() == answer["sha256"].as_str();
        return digest(&bytes)
            || digest(text.as_bytes())
            || digest(trimmed(&text).as_bytes())
            || ours.to_bytes().len() as u64 == answer["len"].as_u64().unwrap();
    }
    let answer = answer.as_str().map_or_else(|| answer.to_string(), str::to_owned);
    // How Python prints a number that is not there.
    let answer = if answer == "None" { String::new() } else { answer };
    let (ours, theirs) = (values(ours), listed(&answer));
    let empty = |values: &[String]| values.iter().all(String::is_empty);
    if empty(&ours) && empty(&theirs) || ours.join("\\") == theirs.join("\\") || ours.join("\\") == trimmed(&answer) {
        return true;
    }
    let number = |text: &String| text.parse::<f64>().ok();
    let close = |(a, b): (&String, &String)| match (number(a), number(b)) {
        (Some(a), Some(b)) => (a - b).abs() <= a.abs() * 1e-6,
        _ => a == b,
    };
    ours.len() == theirs.len() && ours.iter().zip(&theirs).all(close)
}

fn collect<'a>(data_set: &'a InMemDicomObject, path: &str, out: &mut BTreeMap<String, Option<&'a PrimitiveValue>>) {
    for element in data_set.iter() {
        let tag = element.tag();
        let here = format!("{path}({:04x},{:04x})", tag.0, tag.1);
        match element.value() {
            Value::Primitive(value) => {
                out.insert(here, Some(value));
            }
            value => {
                for (index, item) in value.items().unwrap_or_default().iter().enumerate() {
                    collect(item, &format!("{here}[{index}]"), out);
                }
                out.insert(here, None);
            }
        }
    }
}

#[test]
fn every_element_of_every_file_is_the_one_of_ctp() {
    for folder in answers() {
        let mut names: Vec<PathBuf> = std::fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        names.sort();
        for path in names
            .iter()
            .filter(|path| path.to_string_lossy().ends_with("_process.json"))
        {
            processes(&folder, &json(path).unwrap());
        }
    }
}

fn processes(folder: &Path, answers: &Json) {
    let meta = &answers["meta"];
    let script = std::fs::read_to_string(folder.join(text(&meta["script"]).unwrap())).unwrap();
    let now_valued: Vec<&str> = meta["now_valued_tags"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Json::as_str)
        .collect();
    let script = Script::parse_compat(&script).unwrap();
    let anonymizer = Anonymizer::new(script, Mode::Compat, Inputs::default()).unwrap();
    let (mut compared, mut files, mut wrong) = (0, 0, Vec::new());
    for (name, answer) in answers["files"].as_object().unwrap() {
        let Some(read) = find(name, text(&answer["input_sha256"])) else {
            // What CTP cannot read either is no question of scripts.
            println!("not compared: {name} is not among the files here");
            continue;
        };
        let outcome = anonymizer.apply("test", &read.object(), &pseudonyms());
        let status = text(&answer["status"]).unwrap();
        let Outcome::Done(done) = outcome else {
            if status == "OK" {
                wrong.push(format!("{name}: {outcome:?}"));
            }
            continue;
        };
        if status != "OK" {
            // CTP's own reader refuses this file.
            println!("not compared: {name}, CTP answers {}", answer["message"]);
            continue;
        }
        files += 1;
        let mut ours = BTreeMap::new();
        collect(&done.data_set, "", &mut ours);
        for row in answer["elements"].as_array().unwrap() {
            let path = text(&row[0]).unwrap();
            if path.starts_with("(0002,") || path.starts_with("(7fe0,0010)") {
                continue;
            }
            compared += 1;
            match ours.remove(path) {
                None => wrong.push(format!("{name} {path}: lacks {}", row[2])),
                Some(Some(value)) => {
                    if !same(value, &row[2]) && !now_valued.contains(&path) {
                        wrong.push(format!("{name} {path}: {value:?}, CTP {}", row[2]));
                    }
                }
                Some(None) => {
                    if !row[2].is_u64() {
                        wrong.push(format!("{name} {path}: a sequence, CTP {}", row[2]));
                    }
                }
            }
        }
        for path in ours.keys().filter(|path| !path.starts_with("(7fe0,0010)")) {
            wrong.push(format!("{name} {path}: CTP does not have it"));
        }
    }
    println!("{}: {compared} elements of {files} files", meta["script"]);
    assert!(
        wrong.is_empty(),
        "{} of {compared} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
