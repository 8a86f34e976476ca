//! Groups: rows, counters, contradictions, replay.

use std::time::Duration;

use isocenter_model::Level;
use isocenter_model::query::Query;
use isocenter_schema::audit::AuditEvent;
use isocenter_schema::commit::{self, Fate, NewJob, Probe};
use isocenter_schema::numbers::{self, Sequence};
use isocenter_schema::quarantine::{self, Filter, ItemState};
use isocenter_schema::record::{FindingRecord, QuarantineRecord, Record, Severity};
use isocenter_schema::retrieve::{self, Path};
use isocenter_schema::{Database, Error, ImageState, findings, individuals, jobs, packs, search, stats};
use isocenter_storage::{PackBuilder, Piece};

use crate::world::{World, digest, everything, image, public};

on_both!(
    a_group_becomes_rows_and_counters,
    what_is_there_already_is_told_and_not_inserted,
    contradictions_get_their_fate_and_no_row,
    a_pack_applied_twice_changes_nothing,
    a_dropped_transaction_leaves_nothing,
    lookup_knows_what_was_committed,
    replay_raises_the_numbers,
    quarantined_objects_are_kept_once_and_decided_once,
    an_erased_individual_blocks_and_leaves_no_text,
    a_record_with_other_parents_than_the_database_is_not_written,
    concurrent_groups_add_up,
    texts_that_read_alike_are_kept_apart,
    records_read_back_as_they_were_written,
);

async fn a_group_becomes_rows_and_counters(mut world: World) {
    let c = world.collection(1).await;
    let mut records = Vec::new();
    for n in 0..250 {
        let state = if n % 5 == 0 {
            ImageState::Pending
        } else {
            ImageState::Released
        };
        records.push(image(world.image(&c, [n / 100, n / 50, n / 10, n], state).await));
    }
    let committed = world.commit(records).await;
    assert_eq!(committed.fates.len(), 250);
    assert!(committed.fates.iter().all(|fate| *fate == Fate::Inserted));
    let all = stats::totals(&world.db, &everything()).await.unwrap();
    assert_eq!((all.individuals, all.studies, all.series, all.images), (3, 5, 25, 250));
    let released = stats::totals(&world.db, &public()).await.unwrap();
    assert_eq!(released.images, 200);
    assert_eq!(stats::wrong_counters(&world.db).await.unwrap(), []);
    let of = stats::of_collection(&world.db, &c).await.unwrap();
    assert_eq!((of.images["pending"], of.images["released"], of.series), (50, 200, 25));
    assert_eq!(stats::images_in(&world.db, &c, ImageState::Pending).await.unwrap(), 50);
}

async fn what_is_there_already_is_told_and_not_inserted(mut world: World) {
    let c = world.collection(1).await;
    let first = world.image(&c, [1, 1, 1, 1], ImageState::Released).await;
    let there = first.accessions.image.clone();
    let mut other = world.image(&c, [1, 1, 1, 1], ImageState::Released).await;
    other.content_digest = digest(&["other"]);
    let mut taken = world.image(&c, [1, 1, 1, 1], ImageState::Released).await;
    taken.sent_digest = digest(&["sent otherwise"]);
    let again = world.image(&c, [1, 1, 1, 1], ImageState::Released).await;
    let new = world.image(&c, [1, 1, 1, 2], ImageState::Released).await;
    // in one group, and then again in the next
    let group = vec![
        image(first),
        image(other.clone()),
        image(taken.clone()),
        image(again.clone()),
        image(new),
    ];
    let expected = [
        Fate::OtherContent(there.clone()),
        Fate::UidTaken(there.clone()),
        Fate::SameContent(there.clone()),
    ];
    let committed = world.commit(group).await;
    assert_eq!(committed.fates[0], Fate::Inserted);
    assert_eq!(committed.fates[1..4], expected);
    assert_eq!(committed.fates[4], Fate::Inserted);
    let committed = world.commit(vec![image(other), image(taken), image(again)]).await;
    assert_eq!(committed.fates, expected);
    assert_eq!(stats::totals(&world.db, &public()).await.unwrap().images, 2);
    assert_eq!(stats::wrong_counters(&world.db).await.unwrap(), []);
    // another collection knows nothing of it
    let elsewhere = world.collection(2).await;
    world.images(&elsewhere, &[[1, 1, 1, 1]], ImageState::Released).await;
}

async fn contradictions_get_their_fate_and_no_row(mut world: World) {
    let c = world.collection(1).await;
    world
        .images(&c, &[[1, 1, 1, 1], [2, 2, 2, 2]], ImageState::Released)
        .await;
    let another = world.image(&c, [2, 1, 5, 3], ImageState::Released).await;
    let elsewhere = world.image(&c, [2, 2, 1, 4], ImageState::Released).await;
    let fine = world.image(&c, [3, 3, 3, 5], ImageState::Released).await;
    let of_fine = world.image(&c, [4, 3, 3, 6], ImageState::Released).await;
    let committed = world
        .commit(vec![image(another), image(elsewhere), image(fine), image(of_fine)])
        .await;
    assert_eq!(
        committed.fates,
        [
            Fate::StudyOfAnother,
            Fate::SeriesElsewhere,
            Fate::Inserted,
            Fate::StudyOfAnother
        ]
    );
    assert_eq!(stats::totals(&world.db, &everything()).await.unwrap().images, 3);
}

async fn a_pack_applied_twice_changes_nothing(mut world: World) {
    let c = world.collection(1).await;
    let records = vec![image(world.image(&c, [1, 1, 1, 1], ImageState::Released).await)];
    let durable = world.durable().await;
    let job = NewJob::new("hash", "hash", serde_json::json!({}));
    for applied_before in [false, true] {
        let tx = world.db.begin_write().await.unwrap();
        let committed = commit::replay(&tx, &durable, &records, std::slice::from_ref(&job))
            .await
            .unwrap();
        tx.commit().await.unwrap();
        assert_eq!(committed.applied_before, applied_before);
    }
    assert_eq!(stats::totals(&world.db, &public()).await.unwrap().images, 1);
    assert_eq!(
        jobs::counts(&world.db).await.unwrap(),
        [("hash".to_owned(), "waiting".to_owned(), 1)]
    );
    // the checkpoint only moves on
    let name = *durable.pack();
    assert!(packs::known(&world.db, None).await.unwrap().contains(&name));
    assert_eq!(packs::checkpoint(&world.db).await.unwrap(), None);
    packs::advance(&world.db, &name).await.unwrap();
    let earlier = isocenter_storage::PackName::from_bytes([0; 16]);
    packs::advance(&world.db, &earlier).await.unwrap();
    assert_eq!(packs::checkpoint(&world.db).await.unwrap(), Some(name));
    assert!(packs::known(&world.db, Some(&name)).await.unwrap().is_empty());
}

async fn a_dropped_transaction_leaves_nothing(mut world: World) {
    let record = world.collection_record(1).await;
    let c = record.accession.clone();
    let inside = world.image(&c, [1, 1, 1, 1], ImageState::Released).await;
    let records = vec![Record::Collection(Box::new(record)), image(inside)];
    let durable = world.durable().await;
    let tx = world.db.begin_ingest().await.unwrap();
    let committed = commit::group(&tx, &durable, &records, &[], &[]).await.unwrap();
    assert_eq!(committed.fates, [Fate::Inserted, Fate::Inserted]);
    drop(tx);
    // what the dropped transaction knew of the collection is forgotten with it
    let asked = commit::lookup(&world.db, &c, &[]).await;
    assert_eq!(asked.unwrap_err(), Error::NotFound("collection"));
    assert!(packs::known(&world.db, None).await.unwrap().is_empty());
    let tx = world.db.begin_ingest().await.unwrap();
    commit::group(&tx, &durable, &records, &[], &[]).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(stats::totals(&world.db, &everything()).await.unwrap().images, 1);
}

async fn lookup_knows_what_was_committed(mut world: World) {
    let c = world.collection(1).await;
    let record = world.image(&c, [1, 1, 1, 1], ImageState::Held).await;
    world.commit(vec![image(record.clone())]).await;
    let probe = |sent: [u8; 32], series: &str| Probe {
        sent_digest: sent,
        content_digest: record.content_digest,
        individual: record.individual.pseudonym,
        sop_instance_uid: None,
        study_instance_uid: record.study.study_instance_uid.clone(),
        series_instance_uid: series.parse().unwrap(),
    };
    let series = record.series.series_instance_uid.as_str();
    let probes = [probe(record.sent_digest, series), probe([0; 32], "1.2.3")];
    let known = commit::lookup(&world.db, &c, &probes).await.unwrap();
    let there = &known.images[&record.sent_digest];
    assert_eq!(
        (&there.accession, there.state),
        (&record.accessions.image, ImageState::Held)
    );
    assert_eq!(there.content_digest, record.content_digest);
    let individual = &known.individuals[&record.individual.pseudonym];
    assert_eq!(
        (individual.key_id, individual.erased),
        (record.individual.key_id, false)
    );
    let study = &known.studies[&record.study.study_instance_uid];
    assert_eq!(
        (&study.accession, study.pseudonym),
        (&record.accessions.study, record.individual.pseudonym)
    );
    assert_eq!(
        known.series[&record.series.series_instance_uid][0].accession,
        record.accessions.series
    );
    assert_eq!(
        (known.images.len(), known.series.len(), known.quarantined.len()),
        (1, 1, 0)
    );
    // another object that was given the same UID meets who has it
    let mut other = probe([0; 32], "1.2.3");
    assert!(
        commit::lookup(&world.db, &c, &[other.clone()])
            .await
            .unwrap()
            .uids
            .is_empty()
    );
    other.sop_instance_uid = Some(record.image.sop_instance_uid.clone());
    let known = commit::lookup(&world.db, &c, &[other]).await.unwrap();
    assert_eq!(known.uids[&record.image.sop_instance_uid], record.sent_digest);
}

async fn replay_raises_the_numbers(mut world: World) {
    let range = numbers::reserve(&world.db, Sequence::Image, 3).await.unwrap();
    assert_eq!(range, 1..4);
    assert_eq!(numbers::reserve(&world.db, Sequence::Image, 1).await.unwrap(), 4..5);
    let c = world.collection(1).await;
    let mut record = world.image(&c, [1, 1, 1, 1], ImageState::Released).await;
    record.accessions.image = "IM00000900".parse().unwrap();
    let durable = world.durable().await;
    let tx = world.db.begin_write().await.unwrap();
    commit::replay(&tx, &durable, &[image(record)], &[]).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(numbers::reserve(&world.db, Sequence::Image, 1).await.unwrap(), 901..902);
    let series = numbers::reserve(&world.db, Sequence::Series, 1).await.unwrap();
    assert!(series.start > 1, "{series:?}");
}

async fn quarantined_objects_are_kept_once_and_decided_once(mut world: World) {
    let c = world.collection(1).await;
    let mut pack = PackBuilder::new(&world.storage).unwrap();
    let body = vec![Piece::Bytes(bytes::Bytes::from_static(b"as received"))];
    let blob = pack
        .add_quarantine(&world.quarantine, &world.key(&c), body)
        .await
        .unwrap();
    let found = |check: &str| FindingRecord {
        check: check.to_owned(),
        severity: Severity::Block,
        detail: "{}".to_owned(),
    };
    let item = QuarantineRecord {
        collection: c.clone(),
        sent_digest: [1; 32],
        content_digest: [2; 32],
        individual: None,
        findings: vec![found("Q201"), found("Q404")],
        sop_class_uid: None,
        transfer_syntax_uid: Some("1.2.840.10008.1.2".parse().unwrap()),
        blob: blob.clone(),
        provenance: "{}".to_owned(),
        received_at: crate::world::at(5),
    };
    let records = vec![
        Record::Quarantine(Box::new(item.clone())),
        Record::Quarantine(Box::new(item)),
    ];
    let committed = world.commit(records).await;
    assert_eq!(committed.fates, [Fate::Inserted, Fate::QuarantinedBefore]);
    let filter = Filter {
        collection: Some(c.clone()),
        state: Some(ItemState::Waiting),
        ..Filter::default()
    };
    let items = quarantine::list(&world.db, &filter, 10).await.unwrap();
    let [item] = items.as_slice() else { panic!("{items:?}") };
    assert_eq!((item.check.as_str(), item.bytes, &item.blob), ("Q201", 11, &blob));
    let checks = findings::of(&world.db, findings::Subject::Quarantined(item.id))
        .await
        .unwrap();
    assert_eq!(
        checks.iter().map(|f| f.check_code.as_str()).collect::<Vec<_>>(),
        ["Q201", "Q404"]
    );
    let tx = world.db.begin_write().await.unwrap();
    quarantine::decide(&tx, item.id, ItemState::Discarded, "curator", "blank")
        .await
        .unwrap();
    let second = quarantine::decide(&tx, item.id, ItemState::Released, "curator", "").await;
    assert!(matches!(second, Err(Error::NotFound(_))));
    tx.commit().await.unwrap();
    assert_eq!(quarantine::counts(&world.db).await.unwrap(), []);
    assert_eq!(
        quarantine::get(&world.db, item.id).await.unwrap().unwrap().state,
        ItemState::Discarded
    );
}

async fn an_erased_individual_blocks_and_leaves_no_text(mut world: World) {
    let c = world.collection(1).await;
    world
        .images(&c, &[[1, 1, 1, 1], [1, 1, 1, 2], [2, 2, 2, 3]], ImageState::Released)
        .await;
    let again = world.image(&c, [1, 9, 9, 9], ImageState::Released).await;
    let accession = again.accessions.individual.clone();
    let tx = world.db.begin_write().await.unwrap();
    let erased = individuals::erase(&tx, &accession).await.unwrap();
    individuals::erase(&tx, &accession).await.unwrap(); // may run twice
    tx.commit().await.unwrap();
    assert_eq!(erased.key_id, world.key(&c));
    assert!(individuals::get(&world.db, &accession).await.unwrap().unwrap().erased);
    let page = search::find(&world.db, &Query::all(Level::Instance), &everything())
        .await
        .unwrap();
    assert_eq!(page.rows.len(), 1);
    assert_eq!(stats::wrong_counters(&world.db).await.unwrap(), []);
    let committed = world.commit(vec![image(again)]).await;
    assert_eq!(committed.fates, [Fate::Erased]);
}

async fn a_record_with_other_parents_than_the_database_is_not_written(mut world: World) {
    let c = world.collection(1).await;
    let first = world.image(&c, [1, 1, 1, 1], ImageState::Pending).await;
    world.commit(vec![image(first.clone())]).await;
    // made by a server that had not heard of the series
    let mut second = world.image(&c, [1, 1, 1, 2], ImageState::Pending).await;
    second.accessions.series = isocenter_model::SeriesAccession::numbered("SE", 4711);
    let durable = world.durable().await;
    let tx = world.db.begin_ingest().await.unwrap();
    let records = [image(second)];
    let committed = commit::group(&tx, &durable, &records, &[], &[]).await.unwrap();
    assert_eq!(committed.fates, [Fate::Moved]);
    tx.rollback().await.unwrap();
    // what was acknowledged once is taken as it is
    let tx = world.db.begin_ingest().await.unwrap();
    let committed = commit::replay(&tx, &durable, &records, &[]).await.unwrap();
    assert_eq!(committed.fates, [Fate::Inserted]);
    tx.commit().await.unwrap();
    let all = stats::totals(&world.db, &everything()).await.unwrap();
    assert_eq!((all.series, all.images), (1, 2));
}

async fn concurrent_groups_add_up(mut world: World) {
    let c = world.collection(1).await;
    let mut groups = Vec::new();
    for group in 0..8 {
        let mut records = Vec::new();
        for n in 0..10 {
            // all groups write into the same study and series
            records.push(image(
                world.image(&c, [1, 1, 1, group * 10 + n], ImageState::Pending).await,
            ));
        }
        groups.push((world.durable().await, records));
    }
    let tasks = groups.into_iter().map(|(durable, records)| {
        let db: Database = world.db.clone();
        tokio::spawn(async move {
            let event = AuditEvent {
                actor: "test".to_owned(),
                action: "ingest".to_owned(),
                subject: "OBIA0001".to_owned(),
                detail: serde_json::Value::Null,
            };
            let tx = db.begin_ingest().await.unwrap();
            let committed = commit::group(&tx, &durable, &records, &[], &[event]).await.unwrap();
            tokio::time::sleep(Duration::from_millis(2)).await;
            tx.commit().await.unwrap();
            committed.fates
        })
    });
    for fates in futures::future::join_all(tasks).await {
        assert!(fates.unwrap().iter().all(|fate| *fate == Fate::Inserted));
    }
    let all = stats::totals(&world.db, &everything()).await.unwrap();
    assert_eq!((all.studies, all.series, all.images), (1, 1, 80));
    assert_eq!(stats::wrong_counters(&world.db).await.unwrap(), []);
    let audit = isocenter_schema::audit::verify(&world.db, &crate::world::AUDIT_KEY)
        .await
        .unwrap();
    assert_eq!((audit.events, audit.broken), (9, vec![]));
}

async fn texts_that_read_alike_are_kept_apart(mut world: World) {
    let c = world.collection(1).await;
    // a transaction that is dropped must not be remembered
    let mut first = world.image(&c, [1, 1, 1, 1], ImageState::Released).await;
    (first.deid_report, first.provenance) = ("{}".to_owned(), "{}".to_owned());
    let durable = world.durable().await;
    let tx = world.db.begin_ingest().await.unwrap();
    commit::group(&tx, &durable, &[image(first.clone())], &[], &[])
        .await
        .unwrap();
    drop(tx);
    let mut second = world.image(&c, [1, 1, 1, 2], ImageState::Released).await;
    (second.deid_report, second.provenance) = ("{}".to_owned(), "{\"b\":1}".to_owned());
    for record in [first, second] {
        let id: i64 = record
            .accessions
            .image
            .as_str()
            .trim_start_matches("IM")
            .parse()
            .unwrap();
        let texts = (record.deid_report.clone(), record.provenance.clone());
        world.commit(vec![image(record)]).await;
        assert_eq!(retrieve::report_of(&world.db, id).await.unwrap(), Some(texts));
    }
}

async fn records_read_back_as_they_were_written(mut world: World) {
    let c = world.collection(1).await;
    let record = image(world.image(&c, [1, 1, 1, 1], ImageState::Held).await);
    let bytes = record.encode().unwrap();
    assert_eq!(Record::decode(&bytes).unwrap(), record);
    let mut longer = bytes.clone();
    longer.push(0);
    let mut newer = bytes.clone();
    newer[0] = 200;
    for bad in [&bytes[..bytes.len() - 1], longer.as_slice(), newer.as_slice(), &[]] {
        assert!(matches!(Record::decode(bad), Err(Error::Record(_))));
    }
    world.commit(vec![record.clone()]).await;
    let Record::Image(written) = record else { unreachable!() };
    let path = Path {
        instance: Some(written.image.sop_instance_uid.clone()),
        ..Path::default()
    };
    let entries = retrieve::images_of(&world.db, &everything(), &path).await.unwrap();
    let [entry] = entries.as_slice() else {
        panic!("{entries:?}")
    };
    assert_eq!((&entry.blob, entry.header_len), (&written.blob, 1000));
    assert_eq!(
        (&entry.frame_map, &entry.accession),
        (&written.frame_map, &written.accessions.image)
    );
    let (report, source) = retrieve::report_of(&world.db, entry.id).await.unwrap().unwrap();
    assert_eq!((report, source), (written.deid_report, written.provenance));
}
