//! Search rows as DICOM JSON, PS3.18 10.6.3.3.
//!
//! A row holds what the tables of the standard require of its level (with its VR only where there is no value), what was matched on,
//! and what `includefield` asks for of its level and those above. Where the path names no study, or no series, their attributes
//! are in the row too. That was cut from the header at ingest; no object is opened for a search.
//!
//! What was not cut for rows is in the instance's ready-made metadata record. A row of an instance takes it from there, but only
//! where `includefield` asks for such an attribute ([`wants_record`]). Rows of studies and series do not: which of their
//! instances would speak for them is arbitrary, and a search would read a record for each row. What they lack stays out.

use isocenter_model::Level;
use isocenter_model::query::Query;
use isocenter_schema::search::Row;

use super::instance_url;
use super::json::Object;

const REQUEST_ATTRIBUTES_SEQUENCE: u32 = 0x0040_0275;

/// Table 10.6.3-3, and the description, which every list of studies shows.
const STUDY: &[(u32, &str)] = &[
    (0x0008_0020, "DA"),
    (0x0008_0030, "TM"),
    (0x0008_0050, "SH"),
    (0x0008_0090, "PN"),
    (0x0010_0010, "PN"),
    (0x0010_0020, "LO"),
    (0x0010_0030, "DA"),
    (0x0010_0040, "CS"),
    (0x0020_000D, "UI"),
    (0x0020_0010, "SH"),
];
const STUDY_IF_KNOWN: &[u32] = &[0x0008_0201, 0x0008_1030];

/// Table 10.6.3-4.
const SERIES: &[(u32, &str)] = &[(0x0008_0060, "CS"), (0x0020_000E, "UI"), (0x0020_0011, "IS")];
const SERIES_IF_KNOWN: &[u32] = &[
    0x0008_0021,
    0x0008_0031,
    0x0008_103E,
    0x0040_0244,
    0x0040_0245,
    REQUEST_ATTRIBUTES_SEQUENCE,
];

/// Table 10.6.3-5.
const INSTANCE: &[(u32, &str)] = &[(0x0008_0016, "UI"), (0x0008_0018, "UI"), (0x0020_0013, "IS")];
const INSTANCE_IF_KNOWN: &[u32] = &[0x0028_0008, 0x0028_0010, 0x0028_0011, 0x0028_0100];

fn is_asked_for(query: &Query, tag: u32) -> bool {
    let of_sequence = |key: isocenter_model::query::Key| match key.tag() {
        0x0040_0009 | 0x0040_1001 => REQUEST_ATTRIBUTES_SEQUENCE,
        tag => tag,
    };
    query.include.all
        || query.include.tags.contains(&tag)
        || query.matching.iter().any(|(key, _)| of_sequence(*key) == tag)
}

fn level(row: &mut Object, query: &Query, attributes: &str, whole: bool, required: &[(u32, &str)], known: &[u32]) {
    let usual = |tag| whole && (required.iter().any(|(one, _)| *one == tag) || known.contains(&tag));
    row.take(Object::parse(attributes), |tag| usual(tag) || is_asked_for(query, tag));
    if whole {
        for (tag, vr) in required {
            row.require(*tag, vr);
        }
    }
}

/// Returns a row of an answer; links begin with `base`.
pub fn row(query: &Query, found: &Row, base: &str) -> Object {
    let mut row = Object::new();
    let mut url = base.to_owned();
    if let Some(study) = &found.study {
        let whole = query.level == Level::Study || query.study.is_none();
        url = format!("{base}/studies/{}", study.study_instance_uid);
        row.text(0x0020_000D, "UI", study.study_instance_uid.as_str());
        if whole || is_asked_for(query, 0x0008_0061) {
            row.texts(0x0008_0061, "CS", study.modalities.iter().map(String::as_str));
        }
        if whole {
            row.number(0x0020_1206, "IS", study.series);
            row.number(0x0020_1208, "IS", study.images);
        }
        level(&mut row, query, &study.attributes, whole, STUDY, STUDY_IF_KNOWN);
    }
    if let Some(series) = &found.series {
        let whole = query.level == Level::Series || query.series.is_none();
        url = format!("{url}/series/{}", series.series_instance_uid);
        row.text(0x0020_000E, "UI", series.series_instance_uid.as_str());
        if whole {
            row.number(0x0020_1209, "IS", series.images);
        }
        level(&mut row, query, &series.attributes, whole, SERIES, SERIES_IF_KNOWN);
    }
    if let (Some(image), Some(series), Some(study)) = (&found.image, &found.series, &found.study) {
        let (study, series) = (study.study_instance_uid.as_str(), series.series_instance_uid.as_str());
        url = instance_url(base, study, series, image.sop_instance_uid.as_str());
        row.text(0x0008_0016, "UI", image.sop_class_uid.as_str());
        row.text(0x0008_0018, "UI", image.sop_instance_uid.as_str());
        row.text(0x0008_3002, "UI", image.transfer_syntax_uid.as_str());
        level(&mut row, query, &image.attributes, true, INSTANCE, INSTANCE_IF_KNOWN);
    }
    row.text(0x0008_0056, "CS", "ONLINE");
    row.text(0x0008_1190, "UR", &url);
    row
}

/// Returns whether a row lacks something that was asked for and that the instance's metadata record may hold.
pub fn wants_record(query: &Query, row: &Object) -> bool {
    let lacks = |tag: &u32| !row.has(*tag);
    query.level == Level::Instance && (query.include.all || query.include.tags.iter().any(lacks))
}

/// Adds what was asked for from the instance's metadata record. "All" is all but bulk data, which a search does not give by
/// the way; who names such an attribute gets its URL.
pub fn add_record(query: &Query, row: &mut Object, mut record: Object) {
    if query.include.all {
        record.retain(|tag, element| query.include.tags.contains(&tag) || element.get("BulkDataURI").is_none());
        row.take(record, |_| true);
    } else {
        row.take(record, |tag| query.include.tags.contains(&tag));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use chrono::DateTime;
    use isocenter_model::query::{Include, Key, Rule};
    use isocenter_schema::search::StudyRow;

    use super::*;

    fn study() -> Row {
        Row {
            individual: None,
            study: Some(Arc::new(StudyRow {
                id: 1,
                accession: "S00000001".parse().unwrap(),
                collection: "OBIA0001".parse().unwrap(),
                individual: "I00000001".parse().unwrap(),
                study_instance_uid: "1.2.3".parse().unwrap(),
                study_date: "20260131".into(),
                study_time: String::new(),
                study_description: "Pelvis".into(),
                patient_id: "P1".into(),
                patient_name: "X".into(),
                modalities: vec!["MR".into(), "SEG".into()],
                series: 2,
                images: 40,
                images_released: 40,
                received_at: DateTime::UNIX_EPOCH,
                attributes: r#"{"00080020":{"vr":"DA","Value":["20260131"]},"00081030":{"vr":"LO","Value":["Pelvis"]},
                    "00101010":{"vr":"AS","Value":["054Y"]},"00100020":{"vr":"LO","Value":["P1"]}}"#
                    .into(),
            })),
            series: None,
            image: None,
        }
    }

    #[test]
    fn required_attributes_are_always_there() {
        let row = row(&Query::all(Level::Study), &study(), "http://a/dicom-web").sorted();
        for (tag, _) in STUDY {
            assert!(row.get(format!("{tag:08X}")).is_some(), "{tag:08X}");
        }
        assert_eq!(row["00080050"], serde_json::json!({"vr": "SH"}));
        assert_eq!(row["00080061"]["Value"], serde_json::json!(["MR", "SEG"]));
        assert_eq!(row["00201208"]["Value"], serde_json::json!([40]));
        assert_eq!(row["00081190"]["Value"][0], "http://a/dicom-web/studies/1.2.3");
        assert_eq!(row["00081030"]["Value"][0], "Pelvis");
        assert!(row.get("00101010").is_none());
    }

    #[test]
    fn what_is_asked_for_or_matched_on_is_there() {
        let all = |query: Query| row(&query, &study(), "x").has(0x0010_1010);
        assert!(all(Query {
            include: Include {
                all: true,
                tags: vec![]
            },
            ..Query::all(Level::Study)
        }));
        assert!(all(Query {
            include: Include {
                all: false,
                tags: vec![0x0010_1010]
            },
            ..Query::all(Level::Study)
        }));
        let matched = Query {
            matching: vec![(Key::PatientID, Rule::Universal)],
            ..Query::all(Level::Series)
        };
        let matched = Query {
            study: "1.2.3".parse().ok(),
            ..matched
        };
        let row = row(&matched, &study(), "x");
        assert!(row.has(0x0010_0020) && !row.has(0x0010_0010));
    }

    #[test]
    fn a_record_fills_a_row_of_an_instance_only_with_what_is_asked_for() {
        let asks = |level, all, tags: &[u32]| Query {
            include: Include {
                all,
                tags: tags.to_vec(),
            },
            ..Query::all(level)
        };
        let text = r#"{"00280010":{"vr":"US","Value":[1]},"00280101":{"vr":"US","Value":[12]},
            "00280102":{"vr":"US","Value":[11]},"7FE00010":{"vr":"OW","BulkDataURI":"x"}}"#;
        let filled = |query: &Query| {
            let mut row = Object::new();
            row.number(0x0028_0010, "US", 512);
            if wants_record(query, &row) {
                add_record(query, &mut row, Object::parse(text));
            }
            row.sorted().as_object().unwrap().keys().cloned().collect::<Vec<_>>()
        };
        let rows = "00280010";
        assert_eq!(filled(&asks(Level::Instance, false, &[])), [rows]);
        assert_eq!(filled(&asks(Level::Instance, false, &[0x0028_0010])), [rows]);
        assert_eq!(
            filled(&asks(Level::Instance, false, &[0x0028_0101])),
            [rows, "00280101"]
        );
        assert_eq!(
            filled(&asks(Level::Instance, false, &[0x7FE0_0010])),
            [rows, "7FE00010"]
        );
        assert_eq!(
            filled(&asks(Level::Instance, true, &[])),
            [rows, "00280101", "00280102"]
        );
        assert_eq!(filled(&asks(Level::Series, true, &[0x0028_0101])), [rows]);
        let mut whole = Object::new();
        whole.number(0x0028_0010, "US", 512);
        assert!(!wants_record(&asks(Level::Instance, false, &[0x0028_0010]), &whole));
    }
}
