use super::*;

fn query(level: Level, text: &str) -> Result<Query, String> {
    parse(level, None, None, text)
        .map(|search| search.query)
        .map_err(|error| error.0)
}

fn one(text: &str) -> (Key, Rule) {
    let mut matching = query(Level::Instance, text).unwrap().matching;
    assert_eq!(matching.len(), 1, "{text}");
    matching.remove(0)
}

#[test]
fn attributes_are_named_by_keyword_tag_and_path() {
    let equals = |text: &str| Rule::Equals(text.into());
    assert_eq!(one("PatientID=A"), (Key::PatientID, equals("A")));
    assert_eq!(one("00100020=A"), (Key::PatientID, equals("A")));
    assert_eq!(one("0020000d=1.2"), (Key::StudyInstanceUID, equals("1.2")));
    for path in [
        "RequestAttributesSequence.ScheduledProcedureStepID",
        "00400275.00400009",
        "00400275.ScheduledProcedureStepID",
    ] {
        assert_eq!(one(&format!("{path}=x")), (Key::ScheduledProcedureStepID, equals("x")));
    }
}

#[test]
fn unknown_and_unmatchable_attributes_are_named() {
    for (text, name) in [
        ("PatientIDD=1", "PatientIDD"),
        ("patientid=1", "patientid"),
        ("PixelSpacing=1", "PixelSpacing"),
        ("00280030=1", "00280030"),
        ("00091001=1", "00091001"),
        ("Nope.Modality=CT", "Nope.Modality"),
        (
            "ReferencedSeriesSequence.Modality=CT",
            "ReferencedSeriesSequence.Modality",
        ),
        ("<script>=1", "script"),
        ("limit=abc", "limit"),
        ("limit=-1", "limit"),
        ("limit=", "limit"),
        ("offset=1.5", "offset"),
        ("limit=1&limit=2", "limit"),
        ("PatientID=1&00100020=2", "PatientID"),
        ("fuzzymatching=yes", "fuzzymatching"),
        ("includefield=Nope", "includefield"),
        ("StudyDate=2024", "StudyDate"),
        ("StudyDate=20240230", "StudyDate"),
        ("StudyDate=2024*", "StudyDate"),
        ("StudyDate=20240101-2024013", "StudyDate"),
        ("StudyTime=25", "StudyTime"),
        ("StudyTime=1", "StudyTime"),
        ("StudyTime=10.5", "StudyTime"),
        ("StudyTime=10%3A30", "StudyTime"),
        ("StudyInstanceUID=1.2.*", "StudyInstanceUID"),
        ("SeriesNumber=x", "SeriesNumber"),
    ] {
        let error = query(Level::Instance, text).unwrap_err();
        assert!(error.contains(name), "{text}: {error}");
    }
    assert!(query(Level::Study, "Modality=CT").is_err());
    assert!(query(Level::Series, "SOPClassUID=1.2").is_err());
    assert!(query(Level::Series, "PatientID=1").is_ok());
    assert!(query(Level::Study, "PatientName=%FF").is_err());
    assert!(query(Level::Study, "PatientName=%00").is_err());
}

#[test]
fn what_is_sent_encoded_is_decoded_once() {
    assert_eq!(one("PatientName=Doe%5EJ*").1, Rule::Wildcard("Doe^J*".into()));
    assert_eq!(one("PatientName=%E7%8E%8B*").1, Rule::Wildcard("王*".into()));
    assert_eq!(one("PatientName=100%2525").1, Rule::Equals("100%25".into()));
    assert_eq!(
        query(Level::Study, "includefield=00081030%2C00080060&includefield=PatientAge")
            .unwrap()
            .include
            .tags,
        [0x0008_1030, 0x0008_0060, 0x0010_1010]
    );
    assert!(query(Level::Study, "includefield=00081030,all").unwrap().include.all);
}

#[test]
fn a_plus_is_a_space_where_no_plus_can_be_meant() {
    assert_eq!(one("PatientName=Doe+Jane").1, Rule::Equals("Doe Jane".into()));
    assert_eq!(one("PatientName=Doe%2BJane").1, Rule::Equals("Doe+Jane".into()));
    assert_eq!(one("SeriesDescription=T1+C").1, Rule::Equals("T1+C".into()));
}

#[test]
fn empty_values_and_lone_stars_match_everything() {
    for text in [
        "PatientName=",
        "PatientName=*",
        "PatientID=**",
        "StudyDate=",
        "StudyDate=-",
        "StudyInstanceUID=",
        "SeriesNumber",
    ] {
        assert_eq!(one(text).1, Rule::Universal, "{text}");
    }
}

#[test]
fn wildcards_are_for_texts_and_sql_has_no_say() {
    assert_eq!(one("PatientID=A?").1, Rule::Wildcard("A?".into()));
    assert_eq!(one("PatientID=A%25_").1, Rule::Equals("A%_".into()));
    assert_eq!(one("ModalitiesInStudy=CT").1, Rule::Equals("CT".into()));
}

#[test]
fn uid_lists_are_separated_by_comma_or_backslash() {
    let three = Rule::AnyOf(vec!["1.2".into(), "1.3".into(), "1.4".into()]);
    assert_eq!(one("StudyInstanceUID=1.2,1.3%5C1.4").1, three);
    assert_eq!(one("StudyInstanceUID=1.2%2C1.3%2C1.4").1, three);
}

#[test]
fn dates_and_times_become_full_ranges() {
    let range = |from: &str, to: &str| {
        let end = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Rule::Range(end(from), end(to))
    };
    assert_eq!(one("StudyDate=20240101").1, Rule::Equals("20240101".into()));
    assert_eq!(one("StudyDate=20240101-20240131").1, range("20240101", "20240131"));
    assert_eq!(one("StudyDate=20240101-").1, range("20240101", ""));
    assert_eq!(one("StudyDate=-20240131").1, range("", "20240131"));
    assert_eq!(one("StudyTime=10").1, range("100000.000000", "105959.999999"));
    assert_eq!(one("StudyTime=1030").1, range("103000.000000", "103059.999999"));
    assert_eq!(one("StudyTime=103015").1, range("103015.000000", "103015.999999"));
    assert_eq!(one("StudyTime=103015.500000").1, Rule::Equals("103015.500000".into()));
    assert_eq!(one("StudyTime=235959.500-").1, range("235959.500000", ""));
    assert_eq!(one("StudyTime=08-0930").1, range("080000.000000", "093059.999999"));
}

#[test]
fn limits_are_unsigned_and_huge_ones_are_as_good_as_none() {
    let q = query(Level::Study, "limit=101&offset=0&fuzzymatching=true").unwrap();
    assert_eq!((q.limit, q.offset, q.fuzzy), (Some(101), 0, true));
    assert_eq!(query(Level::Study, "limit=0").unwrap().limit, Some(0));
    assert!(query(Level::Study, "limit=99999999999999999999999").is_ok());
}

#[test]
fn a_parameter_that_changes_nothing_is_answered_with_a_warning() {
    assert_eq!(
        parse(Level::Study, None, None, "emptyvaluematching=true")
            .unwrap()
            .warnings,
        [IGNORED]
    );
    assert!(
        parse(Level::Study, None, None, "PatientID=1")
            .unwrap()
            .warnings
            .is_empty()
    );
}

#[test]
fn the_accept_parameter_is_decoded_and_joined() {
    assert_eq!(
        accept_parameter("a=b&accept=image%2Fpng&accept=image/jpeg"),
        Some("image/png,image/jpeg".into())
    );
    assert_eq!(accept_parameter("a=b"), None);
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(text in ".{0,80}") {
        let _ = parse(Level::Instance, None, None, &text);
    }
}
