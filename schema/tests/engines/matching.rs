//! Every key, and every way of matching, PS3.4 C.2.2.2.

use isocenter_model::Level;
use isocenter_model::query::{Key, Query, Rule};
use isocenter_schema::{Error, ImageState, search};

use crate::world::{World, everything, image};

on_both!(
    every_key_finds_its_value_and_nothing_else,
    texts_match_as_the_standard_says,
    bad_questions_are_refused
);

fn equals(value: &str) -> Rule {
    Rule::Equals(value.to_owned())
}

fn pattern(value: &str) -> Rule {
    Rule::Wildcard(value.to_owned())
}

fn query(level: Level, key: Key, rule: Rule) -> Query {
    Query {
        matching: vec![(key, rule)],
        ..Query::all(level)
    }
}

/// Returns the last number of the study UIDs found.
async fn studies(world: &World, query: Query) -> Vec<u64> {
    let page = search::find(&world.db, &query, &everything()).await.unwrap();
    let number = |row: search::Row| {
        row.study
            .unwrap()
            .study_instance_uid
            .as_str()
            .rsplit('.')
            .next()
            .unwrap()
            .parse()
    };
    let mut numbers: Vec<u64> = page.rows.into_iter().map(|row| number(row).unwrap()).collect();
    numbers.sort_unstable();
    numbers
}

async fn every_key_finds_its_value_and_nothing_else(mut world: World) {
    let c = world.collection(1).await;
    world.images(&c, &[[1, 1, 1, 1]], ImageState::Released).await;
    let mut other = world.image(&c, [2, 2, 2, 2], ImageState::Released).await;
    other.individual.birth_date = "19800101".to_owned();
    other.individual.sex = "M".to_owned();
    other.study.study_time = "235959.5".to_owned();
    other.study.referring_physician_name = "Other".to_owned();
    let series = &mut other.series;
    for text in [
        &mut series.body_part_examined,
        &mut series.protocol_name,
        &mut series.manufacturer,
        &mut series.manufacturer_model_name,
        &mut series.scheduled_procedure_step_id,
        &mut series.requested_procedure_id,
    ] {
        "OTHER".clone_into(text);
    }
    series.performed_procedure_step_start_date = "20210101".to_owned();
    series.performed_procedure_step_start_time = "2359".to_owned();
    other.image.sop_class_uid = "1.2.840.10008.5.1.4.1.1.4".parse().unwrap();
    other.image.number_of_frames = Some(7);
    (other.image.rows, other.image.columns) = (Some(1), Some(2));
    world.commit(vec![image(other)]).await;
    let of_other = |key: Key| match key {
        Key::StudyInstanceUID => "1.2.1.2",
        Key::StudyDate => "20200303",
        Key::StudyTime => "235959.500000",
        Key::AccessionNumber => "ACC2",
        Key::ModalitiesInStudy | Key::Modality => "US",
        Key::ReferringPhysicianName => "OTHER",
        Key::StudyDescription => "Study 2",
        Key::PatientName => "FAMILY2^given",
        Key::PatientID => "P2",
        Key::PatientBirthDate => "19800101",
        Key::PatientSex => "M",
        Key::StudyID | Key::SeriesNumber | Key::InstanceNumber | Key::Columns => "2",
        Key::SeriesInstanceUID => "1.2.2.2",
        Key::SeriesDescription => "Series 2",
        Key::BodyPartExamined
        | Key::ProtocolName
        | Key::Manufacturer
        | Key::ManufacturerModelName
        | Key::ScheduledProcedureStepID
        | Key::RequestedProcedureID => "OTHER",
        Key::PerformedProcedureStepStartDate => "20210101",
        Key::PerformedProcedureStepStartTime => "235900",
        Key::SOPInstanceUID => "1.2.3.2",
        Key::SOPClassUID => "1.2.840.10008.5.1.4.1.1.4",
        Key::NumberOfFrames => "7",
        Key::Rows => "1",
    };
    for key in Key::ALL {
        for level in [Level::Study, Level::Series, Level::Instance] {
            let query = query(level, *key, equals(of_other(*key)));
            if key.level() > level {
                let refused = search::find(&world.db, &query, &everything()).await;
                assert!(matches!(refused, Err(Error::BadQuery(_))), "{key:?}");
            } else {
                assert_eq!(studies(&world, query).await, [2], "{key:?} at {level:?}");
            }
        }
        let universal = Query {
            matching: vec![(*key, Rule::Universal), (*key, pattern("*"))],
            ..Query::all(Level::Instance)
        };
        assert_eq!(studies(&world, universal).await, [1, 2], "{key:?}");
    }
    let page = search::find(
        &world.db,
        &query(Level::Patient, Key::PatientID, equals("P2")),
        &everything(),
    )
    .await;
    let individual = page.unwrap().rows.remove(0).individual.unwrap();
    assert_eq!(
        (
            individual.patient_id.as_str(),
            individual.studies,
            individual.series,
            individual.images
        ),
        ("P2", 1, 1, 1)
    );
}

async fn texts_match_as_the_standard_says(mut world: World) {
    let c = world.collection(1).await;
    let names = [
        (1, "Müller^Jürgen", "A_1", "10"),
        (2, "Wang^XiaoDong=王^小東=", "AB1", "1030"),
        (3, "Yamada^Tarou=山田^太郎=やまだ^たろう", "100%", "235959.999999"),
        (4, "DOE^JOHN^^^", "[x]*", ""),
        (5, "O'Brien-Smith^Ann", "a_1", "11"),
    ];
    let mut records = Vec::new();
    for (n, name, id, time) in names {
        let mut record = world.image(&c, [n, n, n, n], ImageState::Pending).await;
        record.individual.patient_name = name.to_owned();
        record.individual.patient_id = format!(" {id} ");
        record.study.study_time = time.to_owned();
        record.study.study_date = if n == 4 { String::new() } else { format!("2020010{n}") };
        records.push(image(record));
    }
    world.commit(records).await;
    let name = |rule| query(Level::Study, Key::PatientName, rule);
    let id = |rule| query(Level::Study, Key::PatientID, rule);
    let time = |rule| query(Level::Study, Key::StudyTime, rule);
    let date = |rule| query(Level::Study, Key::StudyDate, rule);
    let range = |from: &str, to: &str| {
        let end = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Rule::Range(end(from), end(to))
    };
    let fuzzy = |value| Query {
        fuzzy: true,
        ..name(equals(value))
    };
    let cases: Vec<(Query, &[u64])> = vec![
        (name(equals("MULLER^JURGEN")), &[1]),
        (name(equals("Mu\u{308}ller^Ju\u{308}rgen")), &[1]),
        (name(equals("Müller")), &[]),
        (name(pattern("müll*")), &[1]),
        (name(pattern("M?LLER*")), &[1]),
        (name(pattern("*王*")), &[2]),
        (name(pattern("王*")), &[2]),
        (name(equals("王^小東")), &[2]),
        (name(equals("Wang^XiaoDong=王^小東")), &[2]),
        (name(pattern("Wang*=山*")), &[]),
        (name(pattern("=山田*")), &[3]),
        (name(pattern("*たろう")), &[3]),
        (name(pattern("*xiaodong")), &[2]), // a pattern does not run on into the next group
        (name(equals("doe^john")), &[4]),
        (name(pattern("*")), &[1, 2, 3, 4, 5]),
        (fuzzy("smi"), &[5]),
        (fuzzy("ann o"), &[5]),
        (fuzzy("rien"), &[]),
        (fuzzy("小"), &[2]),
        (id(equals("A_1")), &[1]),
        (id(equals(" A_1 ")), &[1]),
        (id(pattern("A_1*")), &[1]),
        (id(pattern("A?1")), &[1, 2]),
        (id(pattern("*_*")), &[1, 5]),
        (id(pattern("*%")), &[3]),
        (id(pattern("[x]?")), &[4]),
        (id(pattern("[a-z]*")), &[]),
        (id(pattern("a*")), &[5]), // case matters
        (id(pattern("*\\*")), &[]),
        (time(equals("10")), &[1, 2]),
        (time(equals("1030")), &[2]),
        (time(range("1030", "11")), &[2, 5]),
        (time(range("", "1029")), &[1]),
        (time(range("2359", "")), &[3]),
        (date(equals("20200102")), &[2]),
        (date(range("20200102", "20200103")), &[2, 3]),
        (date(range("20200103", "")), &[3, 5]),
        (date(range("", "20200102")), &[1, 2]), // what has no date lies in no range
        (
            query(
                Level::Study,
                Key::StudyInstanceUID,
                Rule::AnyOf(vec!["1.2.1.1".into(), "1.2.1.4".into()]),
            ),
            &[1, 4],
        ),
        (query(Level::Study, Key::ModalitiesInStudy, equals("MR")), &[1, 4]),
        (query(Level::Instance, Key::InstanceNumber, equals("+03")), &[3]),
        (query(Level::Study, Key::PatientID, equals("x' OR '1'='1")), &[]),
    ];
    for (query, expected) in cases {
        let asked = format!("{:?} fuzzy {}", query.matching, query.fuzzy);
        assert_eq!(studies(&world, query).await, expected, "{asked}");
    }
    let both = Query {
        matching: vec![(Key::PatientName, pattern("*a*")), (Key::Modality, equals("US"))],
        ..Query::all(Level::Instance)
    };
    assert_eq!(studies(&world, both).await, [2, 5]);
}

async fn bad_questions_are_refused(world: World) {
    let long = "A".repeat(2000);
    for (key, rule) in [
        (Key::StudyInstanceUID, pattern("1.2*")),
        (Key::StudyDate, pattern("2020*")),
        (Key::StudyTime, equals("noon")),
        (Key::SeriesNumber, equals("one")),
        (Key::PatientName, Rule::Range(Some("A".into()), None)),
        (Key::PatientID, equals(&long)),
        (Key::PatientID, pattern("*a*a*a*a*a*a*a*a*a*a*b")),
    ] {
        let refused = search::find(&world.db, &query(Level::Instance, key, rule), &everything()).await;
        assert!(matches!(refused, Err(Error::BadQuery(_))), "{key:?}");
    }
    // NUL, which PostgreSQL cannot hold, finds nothing and breaks nothing
    assert!(
        studies(&world, query(Level::Study, Key::PatientID, equals("a\0b")))
            .await
            .is_empty()
    );
}
