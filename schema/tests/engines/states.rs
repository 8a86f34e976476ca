//! Release, hold, withdraw; order and pages of answers; metadata.

use futures::TryStreamExt;
use isocenter_model::query::{Include, Query};
use isocenter_model::{Level, SeriesInstanceUid, StudyInstanceUid};
use isocenter_schema::record::{Lifecycle, Record, ReleaseRecord, Scope};
use isocenter_schema::retrieve::{self, Path};
use isocenter_schema::states::{self, Changed};
use isocenter_schema::{Database, ImageState, collections, contents, search, settings, stats};

use crate::world::{World, at, everything, public};

on_both!(
    a_release_reaches_its_scope_and_no_more,
    a_release_comes_in_parts,
    answers_have_one_order_and_pages_fit_together,
    an_embargo_and_a_withdrawal_hide_at_once,
    what_was_ever_released_was_public,
    a_deep_page_goes_on_where_the_one_before_ended,
    metadata_comes_in_the_order_of_answers,
    contents_come_in_pages_and_leave_out_what_is_withdrawn,
);

async fn a_release_reaches_its_scope_and_no_more(mut world: World) {
    let (c, other) = (world.collection(1).await, world.collection(2).await);
    let paths: Vec<[u64; 4]> = (0..12).map(|n| [n / 6, n / 6, n / 2, n]).collect();
    world.images(&c, &paths, ImageState::Pending).await;
    world.images(&other, &paths, ImageState::Pending).await;
    let one = world.image(&c, [0, 0, 0, 100], ImageState::Held).await;
    let (series, image) = (one.accessions.series.clone(), one.accessions.image.clone());
    world.commit(vec![crate::world::image(one)]).await;
    let before = settings::change_number(&world.db).await.unwrap();
    let seen = |n: u64| {
        let db = world.db.clone();
        async move { assert_eq!(stats::totals(&db, &public()).await.unwrap().images, n) }
    };
    let release = |scope: Scope, from: Vec<ImageState>, to: ImageState| {
        let record = ReleaseRecord {
            collection: c.clone(),
            scope,
            from,
            to,
            at: at(0),
        };
        Record::Release(Box::new(record))
    };
    use ImageState::{Held, Pending, Released, Withdrawn};
    world
        .commit(vec![release(Scope::Series(vec![series]), vec![Pending], Released)])
        .await;
    seen(2).await; // the held one waits
    world
        .commit(vec![release(Scope::Images(vec![image]), vec![Held], Released)])
        .await;
    seen(3).await;
    world
        .commit(vec![release(Scope::Collection, vec![Pending, Held], Released)])
        .await;
    seen(13).await;
    world
        .commit(vec![release(Scope::Collection, vec![Released], Withdrawn)])
        .await;
    seen(0).await;
    assert_eq!(stats::wrong_counters(&world.db).await.unwrap(), []);
    assert_eq!(
        stats::totals(&world.db, &everything()).await.unwrap().images,
        12,
        "the other collection's"
    );
    assert!(settings::change_number(&world.db).await.unwrap() > before);
}

async fn a_release_comes_in_parts(mut world: World) {
    let c = world.collection(1).await;
    let paths: Vec<[u64; 4]> = (0..20).map(|n| [1, 1, n / 4, n]).collect();
    world.images(&c, &paths, ImageState::Pending).await;
    let mut parts = Vec::new();
    loop {
        let tx = world.db.begin_write().await.unwrap();
        let from = [ImageState::Pending, ImageState::Released];
        let changed = states::change(&tx, &c, &Scope::Collection, &from, ImageState::Released, 2)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        parts.push(changed);
        if !changed.more {
            break;
        }
    }
    let part = |images, series, more| Changed { images, series, more };
    assert_eq!(parts, [part(8, 2, true), part(8, 2, true), part(4, 1, false)]);
}

fn within(level: Level, study: Option<&str>, series: Option<&str>, limit: Option<u64>, offset: u64) -> Query {
    Query {
        level,
        study: study.map(|uid| StudyInstanceUid::parse(uid).unwrap()),
        series: series.map(|uid| SeriesInstanceUid::parse(uid).unwrap()),
        matching: Vec::new(),
        fuzzy: false,
        include: Include::default(),
        limit,
        offset,
    }
}

async fn answers_have_one_order_and_pages_fit_together(mut world: World) {
    let c = world.collection(1).await;
    let mut records = Vec::new();
    for (n, (study, series, number)) in [
        (1, 2, Some(10)),
        (1, 2, Some(9)),
        (1, 2, None),
        (1, 1, Some(1)),
        (2, 3, Some(1)),
        (3, 4, Some(1)),
    ]
    .into_iter()
    .enumerate()
    {
        let mut record = world
            .image(
                &c,
                [study, study, series, u64::try_from(n).unwrap()],
                ImageState::Released,
            )
            .await;
        record.image.instance_number = number;
        record.series.series_number = (series != 3).then_some(i64::try_from(series).unwrap());
        // two studies on one day, one without a date
        record.study.study_date = ["", "20200101", "20200101", ""][usize::try_from(study).unwrap()].to_owned();
        records.push(crate::world::image(record));
    }
    world.commit(records).await;
    let studies = search::find(&world.db, &within(Level::Study, None, None, None, 0), &public())
        .await
        .unwrap();
    let uids: Vec<&str> = studies
        .rows
        .iter()
        .map(|r| r.study.as_ref().unwrap().study_instance_uid.as_str())
        .collect();
    assert_eq!(uids, ["1.2.1.1", "1.2.1.2", "1.2.1.3"]);
    let mut paged = Vec::new();
    for offset in 0..4 {
        let page = search::find(&world.db, &within(Level::Study, None, None, Some(1), offset), &public())
            .await
            .unwrap();
        assert_eq!(page.more, offset < 2);
        paged.extend(page.rows);
    }
    assert_eq!(paged, studies.rows);
    assert_eq!(
        search::count(&world.db, &within(Level::Study, None, None, Some(1), 2), &public())
            .await
            .unwrap(),
        3
    );

    let query = within(Level::Series, Some("1.2.1.1"), None, None, 0);
    let series = search::find(&world.db, &query, &public()).await.unwrap();
    let numbers: Vec<_> = series
        .rows
        .iter()
        .map(|r| r.series.as_ref().unwrap().series_number)
        .collect();
    assert_eq!(numbers, [Some(1), Some(2)]);
    assert_eq!(series.rows[0].study.as_ref().unwrap().modalities, ["MR", "US"]);
    let query = within(Level::Instance, Some("1.2.1.1"), None, None, 0);
    let images = search::find(&world.db, &query, &public()).await.unwrap();
    let uids: Vec<&str> = images
        .rows
        .iter()
        .map(|r| r.image.as_ref().unwrap().sop_instance_uid.as_str())
        .collect();
    assert_eq!(uids, ["1.2.3.3", "1.2.3.1", "1.2.3.0", "1.2.3.2"]);
    let query = within(Level::Instance, Some("1.2.1.1"), Some("1.2.2.2"), Some(2), 1);
    let images = search::find(&world.db, &query, &public()).await.unwrap();
    assert_eq!((images.rows.len(), images.more), (2, false));
    assert_eq!(images.rows[0].series.as_ref().unwrap().images, 3);
    assert_eq!(images.rows[0].image.as_ref().unwrap().attributes, r#"{"image":0}"#);
    let query = within(Level::Series, Some("1.2.99"), None, None, 0);
    assert!(
        search::find(&world.db, &query, &public())
            .await
            .unwrap()
            .rows
            .is_empty()
    );
}

async fn an_embargo_and_a_withdrawal_hide_at_once(mut world: World) {
    let mut record = world.collection_record(1).await;
    world.commit(vec![Record::Collection(Box::new(record.clone()))]).await;
    let c = record.accession.clone();
    world.images(&c, &[[1, 1, 1, 1]], ImageState::Released).await;
    let seen = async |record: &isocenter_schema::record::CollectionRecord| {
        let tx = world.db.begin_write().await.unwrap();
        collections::put(&tx, record).await.unwrap();
        tx.commit().await.unwrap();
        stats::totals(&world.db, &public()).await.unwrap().images
    };
    assert_eq!(seen(&record).await, 1);
    record.embargo_until = Some(chrono::Utc::now() + chrono::Duration::hours(1));
    assert_eq!(seen(&record).await, 0);
    assert!(collections::get(&world.db, &c).await.unwrap().unwrap().embargoed);
    record.embargo_until = Some(chrono::Utc::now() - chrono::Duration::seconds(5));
    assert_eq!(seen(&record).await, 1);
    record.lifecycle = Lifecycle::Withdrawn;
    assert_eq!(seen(&record).await, 0);
    assert_eq!(stats::totals(&world.db, &everything()).await.unwrap().images, 1);
}

async fn a_deep_page_goes_on_where_the_one_before_ended(mut world: World) {
    let c = world.collection(1).await;
    let late = world.image(&c, [1, 1, 1, 5000], ImageState::Released).await;
    let paths: Vec<[u64; 4]> = (0..1500).map(|n| [1, 1, 1 + n / 500, n]).collect();
    world.images(&c, &paths, ImageState::Released).await;
    let ask = async |db: &Database, offset: u64, limit: Option<u64>| -> Vec<String> {
        let query = Query {
            offset,
            limit,
            ..Query::all(Level::Instance)
        };
        let page = search::find(db, &query, &public()).await.unwrap();
        let uid = |row: search::Row| row.image.unwrap().sop_instance_uid.to_string();
        page.rows.into_iter().map(uid).collect()
    };
    let whole = ask(&world.db, 0, None).await;
    let mut pages = Vec::new();
    for page in 0..6 {
        pages.extend(ask(&world.db, page * 300, Some(300)).await);
    }
    assert_eq!(pages, whole);
    // Back and forth, and in steps that fit no page before.
    for (offset, limit) in [
        (1400, 7),
        (1201, 50),
        (1199, 2),
        (1003, 400),
        (0, 1100),
        (1499, 5),
        (1500, 5),
        (9999, 5),
    ] {
        let from = usize::try_from(offset).unwrap().min(whole.len());
        let to = (from + usize::try_from(limit).unwrap()).min(whole.len());
        assert_eq!(
            ask(&world.db, offset, Some(limit)).await,
            whole[from..to],
            "{offset} {limit}"
        );
    }
    // What arrives before a page while somebody reads page after page repeats no row of it.
    world.commit(vec![crate::world::image(late)]).await;
    assert_eq!(ask(&world.db, 1200, Some(300)).await, whole[1200..]);
    // Where rights or states may have changed it is counted from the beginning.
    let tx = world.db.begin_write().await.unwrap();
    settings::bump(&tx).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(ask(&world.db, 1200, Some(1)).await, whole[1199..1200]);
}

async fn what_was_ever_released_was_public(mut world: World) {
    use ImageState::{Discarded, Held, Pending, Released, Withdrawn};
    let states = [
        (vec![], false),
        (vec![Pending, Held, Discarded], false),
        (vec![Pending, Released], true),
        (vec![Withdrawn], true),
    ];
    for (number, (images, expected)) in (1..).zip(states) {
        let collection = world.collection(number).await;
        for (one, state) in (0..).zip(&images) {
            world.images(&collection, &[[0, 0, 0, one]], *state).await;
        }
        let row = collections::get(&world.db, &collection).await.unwrap().unwrap();
        assert_eq!(
            collections::was_public(&world.db, row.id).await.unwrap(),
            expected,
            "{images:?}"
        );
    }
}

async fn metadata_comes_in_the_order_of_answers(mut world: World) {
    let c = world.collection(1).await;
    let mut paths: Vec<[u64; 4]> = (0..450).map(|n| [1, 1, 1 + n % 2, n]).collect();
    paths.reverse();
    world.images(&c, &paths, ImageState::Released).await;
    world.images(&c, &[[1, 1, 1, 1000]], ImageState::Pending).await;
    let path = Path {
        study: Some("1.2.1.1".parse().unwrap()),
        ..Path::default()
    };
    let stream = retrieve::metadata_of(&world.db, &public(), &path).await.unwrap();
    let batches: Vec<Vec<retrieve::MetadataRow>> = stream.try_collect().await.unwrap();
    assert!(batches.iter().all(|batch| batch.len() <= 200));
    let uids: Vec<u64> = batches
        .iter()
        .flatten()
        .map(|row| {
            row.sop_instance_uid
                .as_str()
                .rsplit('.')
                .next()
                .unwrap()
                .parse()
                .unwrap()
        })
        .collect();
    let expected: Vec<u64> = (0..450)
        .filter(|n| n % 2 == 0)
        .chain((0..450).filter(|n| n % 2 == 1))
        .collect();
    assert_eq!(uids, expected);
    let stream = retrieve::stream_of(&world.db, &everything(), &path).await.unwrap();
    let entries: Vec<_> = stream.try_collect::<Vec<_>>().await.unwrap().concat();
    assert_eq!(entries.len(), 451);
    let one = &entries[7];
    let (study, series) = (&one.study_instance_uid, &one.series_instance_uid);
    let found = retrieve::instance(&world.db, &public(), study, series, &one.sop_instance_uid)
        .await
        .unwrap();
    assert_eq!(found.as_ref(), Some(one));
    assert_eq!(
        retrieve::by_accession(&world.db, &public(), &one.accession)
            .await
            .unwrap()
            .as_ref(),
        Some(one)
    );
    let hidden = &entries
        .iter()
        .find(|e| e.sop_instance_uid.as_str() == "1.2.3.1000")
        .unwrap()
        .accession;
    assert_eq!(
        retrieve::by_accession(&world.db, &public(), hidden).await.unwrap(),
        None
    );
    // another prefix with the same number is another accession
    let renamed = hidden.as_str().replace("IM", "XX").parse().unwrap();
    assert_eq!(
        retrieve::by_accession(&world.db, &everything(), &renamed)
            .await
            .unwrap(),
        None
    );
}

async fn contents_come_in_pages_and_leave_out_what_is_withdrawn(mut world: World) {
    let (c, other) = (world.collection(1).await, world.collection(2).await);
    let paths: Vec<[u64; 4]> = (0..5).map(|n| [0, 0, 0, n]).collect();
    world.images(&c, &paths, ImageState::Released).await;
    world.images(&other, &paths, ImageState::Released).await;
    let gone = world.image(&c, [0, 0, 0, 9], ImageState::Withdrawn).await;
    world.commit(vec![crate::world::image(gone)]).await;
    let mut seen = Vec::new();
    let mut after = 0;
    loop {
        let page = contents::page(&world.db, &c, after, 2).await.unwrap();
        let Some(last) = page.last() else { break };
        assert!(page.len() <= 2 && last.id > after);
        after = last.id;
        seen.extend(page);
    }
    assert_eq!(seen.len(), 5);
    assert!(seen.iter().all(|image| image.record == [4, 5, 6]));
    let reports: Vec<i64> = seen.iter().map(|image| image.deid_report_id).collect();
    let bodies = contents::deid_reports(&world.db, &reports).await.unwrap();
    assert!(!bodies.is_empty() && bodies.iter().all(|(_, body)| body.contains("obia")));
    let findings = contents::findings(&world.db, &c).await.unwrap();
    assert!(findings.iter().all(|found| found.findings > 0), "{findings:?}");
    assert!(contents::kept_out(&world.db, &c).await.unwrap().is_empty());
    let nowhere = "OBIA0099".parse().unwrap();
    assert!(contents::page(&world.db, &nowhere, 0, 2).await.is_err());
}
