//! Visibility as SQL against `Visibility::shows`, on random worlds.

use std::collections::{BTreeMap, BTreeSet};

use chrono::Utc;
use isocenter_model::query::Query;
use isocenter_model::rights::{Access, Collections, ImageFacts, Visibility};
use isocenter_model::{CollectionAccession, Level};
use isocenter_schema::record::{Lifecycle, Record};
use isocenter_schema::retrieve;
use isocenter_schema::{ImageState, collections, search, stats};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use crate::world::{World, image};

on_both!(sql_shows_what_the_rights_function_shows);

struct Known {
    facts: ImageFacts,
    collection: CollectionAccession,
    patient: u64,
    study: u64,
    series: u64,
    instance: u64,
    accession: String,
}

fn some_of(rng: &mut StdRng, all: &[CollectionAccession]) -> Collections {
    match rng.random_range(0..4) {
        0 => Collections::All,
        1 => Collections::Of(BTreeSet::new()),
        _ => Collections::Of(all.iter().filter(|_| rng.random_bool(0.4)).cloned().collect()),
    }
}

async fn sql_shows_what_the_rights_function_shows(mut world: World) {
    let seed = Utc::now().timestamp_micros().cast_unsigned();
    println!("seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let mut all = Vec::new();
    let mut known: Vec<Known> = Vec::new();
    for number in 1..=9 {
        let mut record = world.collection_record(number).await;
        record.access = *[Access::Open, Access::Registered, Access::Controlled]
            .choose(&mut rng)
            .unwrap();
        let lifecycles = [
            Lifecycle::Draft,
            Lifecycle::Announced,
            Lifecycle::Released,
            Lifecycle::Withdrawn,
        ];
        record.lifecycle = *lifecycles.choose(&mut rng).unwrap();
        let hours = *[0, 0, -48, 48].choose(&mut rng).unwrap();
        record.embargo_until = (hours != 0).then(|| Utc::now() + chrono::Duration::hours(hours));
        let (access, accession) = (record.access, record.accession.clone());
        let (embargoed, withdrawn) = (hours > 0, record.lifecycle == Lifecycle::Withdrawn);
        world.commit(vec![Record::Collection(Box::new(record))]).await;
        all.push(accession.clone());
        let mut records = Vec::new();
        // the same small numbers in every collection, so that UIDs meet across collections
        for instance in 0..rng.random_range(0..14_u64) {
            let state = *ImageState::ALL.choose(&mut rng).unwrap();
            let series = instance / rng.random_range(1..3);
            let (study, patient) = (series / 3, series / 6);
            let record = world.image(&accession, [patient, study, series, instance], state).await;
            let facts = ImageFacts {
                collection: accession.clone(),
                access,
                embargoed,
                withdrawn,
                released: state == ImageState::Released,
                awaiting: state.is_awaiting(),
            };
            let name = record.accessions.image.to_string();
            records.push(image(record));
            known.push(Known {
                facts,
                collection: accession.clone(),
                patient,
                study,
                series,
                instance,
                accession: name,
            });
        }
        let committed = world.commit(records).await;
        assert!(
            committed
                .fates
                .iter()
                .all(|fate| *fate == isocenter_schema::commit::Fate::Inserted),
            "{committed:?}"
        );
    }
    assert_eq!(stats::wrong_counters(&world.db).await.unwrap(), []);
    for _ in 0..60 {
        let accesses = [Access::Open, Access::Registered, Access::Controlled];
        let sees = Visibility {
            everything_in: some_of(&mut rng, &all),
            released_with_access: accesses.into_iter().filter(|_| rng.random_bool(0.4)).collect(),
            released_in: some_of(&mut rng, &all),
            within: some_of(&mut rng, &all),
        };
        compare(&world, &known, &sees).await;
    }
}

async fn compare(world: &World, known: &[Known], sees: &Visibility) {
    let shown: Vec<&Known> = known.iter().filter(|k| sees.shows(&k.facts)).collect();
    let studies: BTreeSet<(&CollectionAccession, u64)> = shown.iter().map(|k| (&k.collection, k.study)).collect();
    let series: BTreeSet<(&CollectionAccession, u64)> = shown.iter().map(|k| (&k.collection, k.series)).collect();
    let patients: BTreeSet<(&CollectionAccession, u64)> = shown.iter().map(|k| (&k.collection, k.patient)).collect();
    let totals = stats::totals(&world.db, sees).await.unwrap();
    let counted = (totals.individuals, totals.studies, totals.series, totals.images);
    let expected = (
        patients.len() as u64,
        studies.len() as u64,
        series.len() as u64,
        shown.len() as u64,
    );
    assert_eq!(counted, expected, "{sees:?}");

    // where collections share a study, the lowest accession's is the one that is found; collections were made in order
    let mut first: BTreeMap<u64, &CollectionAccession> = BTreeMap::new();
    for (collection, study) in &studies {
        first.entry(*study).or_insert(collection);
    }
    let found: Vec<&&Known> = shown.iter().filter(|k| first[&k.study] == &k.collection).collect();
    let page = search::find(&world.db, &Query::all(Level::Instance), sees)
        .await
        .unwrap();
    let answered: BTreeSet<&str> = page
        .rows
        .iter()
        .map(|row| row.image.as_ref().unwrap().accession.as_str())
        .collect();
    let expected: BTreeSet<&str> = found.iter().map(|k| k.accession.as_str()).collect();
    assert_eq!(answered, expected, "{sees:?}");
    assert_eq!(
        search::count(&world.db, &Query::all(Level::Instance), sees)
            .await
            .unwrap(),
        found.len() as u64
    );

    let page = search::find(&world.db, &Query::all(Level::Study), sees).await.unwrap();
    assert_eq!(page.rows.len(), first.len(), "{sees:?}");
    for row in &page.rows {
        let study = row.study.as_ref().unwrap();
        let number: u64 = study
            .study_instance_uid
            .as_str()
            .rsplit('.')
            .next()
            .unwrap()
            .parse()
            .unwrap();
        assert_eq!(&study.collection, first[&number]);
        let of: Vec<_> = found.iter().filter(|k| k.study == number).collect();
        assert_eq!(study.images, of.len() as u64, "{sees:?}");
        assert_eq!(
            study.series,
            of.iter().map(|k| k.series).collect::<BTreeSet<_>>().len() as u64
        );
        assert_eq!(
            study.images_released,
            of.iter().filter(|k| k.facts.released).count() as u64
        );
    }
    let page = search::find(&world.db, &Query::all(Level::Series), sees).await.unwrap();
    let counts: BTreeMap<String, u64> = page
        .rows
        .iter()
        .map(|row| row.series.as_ref().unwrap())
        .map(|series| (series.series_instance_uid.to_string(), series.images))
        .collect();
    let mut expected: BTreeMap<String, u64> = BTreeMap::new();
    for k in &found {
        *expected.entry(format!("1.2.2.{}", k.series)).or_default() += 1;
    }
    assert_eq!(counts, expected, "{sees:?}");
    let page = search::find(&world.db, &Query::all(Level::Patient), sees)
        .await
        .unwrap();
    assert_eq!(page.rows.len(), patients.len());

    for instance in 0..14 {
        let path = retrieve::Path {
            instance: Some(format!("1.2.3.{instance}").parse().unwrap()),
            ..retrieve::Path::default()
        };
        let entries = retrieve::images_of(&world.db, sees, &path).await.unwrap();
        let expected = shown
            .iter()
            .filter(|k| k.instance == instance)
            .map(|k| &k.collection)
            .min();
        assert_eq!(entries.first().map(|entry| &entry.collection), expected, "{sees:?}");
        assert_eq!(entries.len(), usize::from(expected.is_some()));
    }
    let visible = collections::visible_ids(&world.db, sees).await.unwrap();
    for k in &shown {
        let id: i64 = k.collection.as_str().trim_start_matches("OBIA").parse().unwrap();
        assert!(visible.contains(&id));
    }
}
