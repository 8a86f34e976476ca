//! What the overlap of two commit groups must not change: every object is stored once, whoever sends it beside whom, and what
//! is remembered of a patient never outlives what the database says.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use futures::future::join_all;
use isocenter_ingest::{Pipeline, Settings, Sink, replay};
use isocenter_model::arrival::{Form, Refusal, Source};
use isocenter_model::query::Query;
use isocenter_model::rights::{Access, Collections, Visibility};
use isocenter_model::{
    Arrival, CollectionAccession, InstanceSink, Level, Outcome, Route, SystemClock, TransferSyntaxUid,
};
use isocenter_schema::audit::Chain;
use isocenter_schema::record::{CollectionRecord, Lifecycle, Originals, Record, ReleaseRule};
use isocenter_schema::{Database, commit, individuals, packs, search, stats};
use isocenter_storage::fail::{Action, Plan, Point};
use isocenter_storage::{MasterKey, PackBuilder, Storage, StorageSettings};
use url::Url;

struct Archive {
    db: Database,
    sink: Sink,
    storage: Storage,
    collection: CollectionAccession,
    folder: tempfile::TempDir,
}

async fn archive() -> Archive {
    archive_with(Plan::default()).await
}

/// Makes an archive whose store fails as planned; the first put is the collection's own.
async fn archive_with(fail: Plan) -> Archive {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| Url::from_directory_path(folder.path().join(name)).unwrap();
    let url = format!("sqlite://{}", folder.path().join("isocenter.db").display());
    let db = Database::open(&url).await.unwrap();
    db.migrate().await.unwrap();
    db.set_audit_chain(Chain::new("test", [7; 32]));
    let mut settings = StorageSettings::new(at("blobs"), at("keys"), folder.path().join("spill"));
    settings.fail = fail;
    let opened = Storage::open(settings, MasterKey::from_bytes([9; 32])).await.unwrap();
    let storage = opened.storage.clone();
    let collection = CollectionAccession::numbered(CollectionAccession::DEFAULT_PREFIX, 1);
    let record = Record::Collection(Box::new(CollectionRecord {
        accession: collection.clone(),
        title: "t".into(),
        profile: "none".into(),
        release: ReleaseRule::Automatic,
        access: Access::Open,
        originals: Originals::None,
        issuer: String::new(),
        collection_key_id: storage.new_collection_key().await.unwrap(),
        attested: Some("test".into()),
        lifecycle: Lifecycle::Released,
        embargo_until: None,
        allowed_sop_classes: Vec::new(),
        routes: Vec::new(),
        created_at: chrono::Utc::now(),
    }));
    let mut pack = PackBuilder::new(&storage).unwrap();
    pack.add_system_row(record.encode().unwrap());
    let durable = pack.put().await.unwrap();
    let tx = db.begin_write().await.unwrap();
    commit::group(&tx, &durable, &[record], &[], &[]).await.unwrap();
    tx.commit().await.unwrap();
    let pipeline = Pipeline::start(
        db.clone(),
        storage.clone(),
        opened.archive_writer,
        opened.quarantine_writer,
        Arc::new(SystemClock),
        Settings::default(),
    );
    Archive {
        db,
        sink: Sink(pipeline),
        storage,
        collection,
        folder,
    }
}

fn everything() -> Visibility {
    Visibility {
        everything_in: Collections::All,
        released_with_access: Vec::new(),
        released_in: Collections::Of(Default::default()),
        within: Collections::All,
    }
}

/// Returns collection, accessions and UID of every image, in order.
async fn images(db: &Database) -> Vec<[String; 4]> {
    let query = Query::all(Level::Instance);
    let page = search::find(db, &query, &everything()).await.unwrap();
    let said = |row: search::Row| {
        let (study, series, image) = (row.study.unwrap(), row.series.unwrap(), row.image.unwrap());
        [
            study.accession.to_string(),
            series.accession.to_string(),
            image.accession.to_string(),
            image.sop_instance_uid.to_string(),
        ]
    };
    page.rows.into_iter().map(said).collect()
}

/// The number of an object whose square image is larger than what shares a pack.
const LARGE: u32 = 900;
const SIDE: u16 = 3000;

/// An instance without pixels, of one patient's study and series.
fn instance(patient: u32, number: u32) -> Vec<u8> {
    let side = if number == LARGE { SIDE } else { 0 };
    let uid = |tail: String| format!("1.2.826.0.1.3680043.8.498.{tail}");
    let text = |tag, vr, value: String| DataElement::new(tag, vr, PrimitiveValue::from(value));
    let mut object = InMemDicomObject::from_element_iter([
        text(tags::SOP_CLASS_UID, VR::UI, uids::CT_IMAGE_STORAGE.into()),
        text(tags::SOP_INSTANCE_UID, VR::UI, uid(format!("{patient}.1.1.{number}"))),
        text(tags::STUDY_DATE, VR::DA, "20240102".into()),
        text(tags::MODALITY, VR::CS, "CT".into()),
        text(tags::PATIENT_NAME, VR::PN, "Doe^Jane".into()),
        text(tags::PATIENT_ID, VR::LO, format!("P{patient}")),
        text(tags::STUDY_INSTANCE_UID, VR::UI, uid(format!("{patient}.1"))),
        text(tags::SERIES_INSTANCE_UID, VR::UI, uid(format!("{patient}.1.1"))),
        text(tags::INSTANCE_NUMBER, VR::IS, number.to_string()),
    ]);
    if side > 0 {
        let count = |tag, value: u16| DataElement::new(tag, VR::US, PrimitiveValue::from(value));
        object.put(text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2".into()));
        for (tag, value) in [
            (tags::SAMPLES_PER_PIXEL, 1),
            (tags::ROWS, side),
            (tags::COLUMNS, side),
            (tags::BITS_ALLOCATED, 8),
            (tags::BITS_STORED, 8),
            (tags::HIGH_BIT, 7),
            (tags::PIXEL_REPRESENTATION, 0),
        ] {
            object.put(count(tag, value));
        }
        let pixels = vec![7_u8; usize::from(side) * usize::from(side)];
        object.put(DataElement::new(tags::PIXEL_DATA, VR::OB, PrimitiveValue::from(pixels)));
    }
    let mut bytes = Vec::new();
    let syntax = dicom_transfer_syntax_registry::entries::EXPLICIT_VR_LITTLE_ENDIAN.erased();
    object.write_dataset_with_ts(&mut bytes, &syntax).unwrap();
    bytes
}

/// Whether an object was taken as a new one; `None` where its sender was told to come back.
fn taken(outcome: &Outcome) -> Option<bool> {
    match outcome {
        Outcome::Stored { duplicate, .. } => Some(!duplicate),
        Outcome::Refused {
            refusal: Refusal::OutOfResources,
            ..
        } => None,
        other => panic!("{other:?}"),
    }
}

impl Archive {
    /// Asks the question after a fault: what was acknowledged is there, once; what was refused is taken when it comes again;
    /// and the store alone gives the same archive.
    async fn holds_what_was_acknowledged(&self, sent: &[((u32, u32), Outcome)]) {
        for ((patient, number), before) in sent {
            let again = taken(&self.send(*patient, *number).await);
            assert_eq!(again, Some(taken(before).is_none()), "{patient} {number}");
        }
        let patients: std::collections::BTreeSet<u32> = sent.iter().map(|((patient, _), _)| *patient).collect();
        let (patients, objects) = (patients.len() as u64, sent.len() as u64);
        let totals = stats::totals(&self.db, &everything()).await.unwrap();
        assert_eq!(
            (totals.individuals, totals.studies, totals.series, totals.images),
            (patients, patients, patients, objects)
        );
        assert_eq!(stats::wrong_counters(&self.db).await.unwrap(), []);
        let url = format!("sqlite://{}", self.folder.path().join("rebuilt.db").display());
        let rebuilt = Database::open(&url).await.unwrap();
        rebuilt.migrate().await.unwrap();
        rebuilt.set_audit_chain(Chain::new("rebuilt", [7; 32]));
        replay::run(&rebuilt, &self.storage, replay::From::Beginning)
            .await
            .unwrap();
        let (there, again) = (images(&self.db).await, images(&rebuilt).await);
        assert_eq!(there.len() as u64, objects);
        let sorted = |mut images: Vec<[String; 4]>| {
            images.sort();
            images
        };
        assert_eq!(sorted(there), sorted(again));
    }

    /// Waits until so many packs are in the store.
    async fn packs_are(&self, least: usize) {
        loop {
            let there = self.storage.list_packs(None);
            if futures::StreamExt::collect::<Vec<_>>(there).await.len() >= least {
                return;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Returns whether the store has bytes that have no name yet.
    fn something_is_being_put(&self, bytes: u64) -> bool {
        fn holds_a_file(folder: &std::path::Path, bytes: u64) -> bool {
            let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
            entries.map(|entry| entry.path()).any(|path| match path.is_dir() {
                true => holds_a_file(&path, bytes),
                false => path.metadata().is_ok_and(|meta| meta.len() >= bytes),
            })
        }
        holds_a_file(&self.folder.path().join("blobs/temporary"), bytes)
    }

    async fn send(&self, patient: u32, number: u32) -> Outcome {
        let arrival = Arrival {
            route: Route {
                collection: self.collection.clone(),
                issuer: String::new(),
            },
            source: Source::Import,
            form: Form::DataSet {
                transfer_syntax_uid: TransferSyntaxUid::parse(uids::EXPLICIT_VR_LITTLE_ENDIAN).unwrap(),
                affected_sop_class_uid: uids::CT_IMAGE_STORAGE.parse().unwrap(),
                affected_sop_instance_uid: format!("1.2.826.0.1.3680043.8.498.{patient}.1.1.{number}")
                    .parse()
                    .unwrap(),
            },
            bound_to_study: None,
            size_hint: None,
        };
        let mut writer = self.sink.begin(arrival).await.unwrap();
        writer.write(Bytes::from(instance(patient, number))).await.unwrap();
        writer.finish().await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_same_objects_from_many_senders_at_once_are_stored_once() {
    let archive = archive().await;
    let all = (0..8_u32).flat_map(|_| (0..40).map(|n| (n % 4, n)));
    let outcomes = join_all(all.map(|(patient, number)| archive.send(patient, number))).await;
    let (mut new, mut again) = (0, 0);
    for outcome in outcomes {
        match outcome {
            Outcome::Stored { duplicate: false, .. } => new += 1,
            Outcome::Stored { duplicate: true, .. } => again += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((new, again), (40, 280));
    let totals = stats::totals(&archive.db, &everything()).await.unwrap();
    assert_eq!(
        (totals.individuals, totals.studies, totals.series, totals.images),
        (4, 4, 4, 40)
    );
    assert_eq!(stats::wrong_counters(&archive.db).await.unwrap(), []);
}

#[tokio::test]
async fn what_is_remembered_of_a_patient_does_not_outlive_the_erasure() {
    let archive = archive().await;
    for number in 1..4 {
        assert!(matches!(
            archive.send(1, number).await,
            Outcome::Stored { duplicate: false, .. }
        ));
    }
    // as another process would: this one is not told
    let tx = archive.db.begin_write().await.unwrap();
    let first = isocenter_model::IndividualAccession::numbered("I", 1);
    individuals::erase(&tx, &first).await.unwrap();
    tx.commit().await.unwrap();
    let outcome = archive.send(1, 9).await;
    assert!(
        matches!(
            outcome,
            Outcome::Refused {
                refusal: Refusal::NotAuthorised,
                ..
            }
        ),
        "{outcome:?}"
    );
    // others are not concerned, and the way in goes on
    assert!(matches!(
        archive.send(2, 1).await,
        Outcome::Stored { duplicate: false, .. }
    ));
    assert!(archive.sink.0.is_alive());
    archive.sink.0.close().await;
    assert!(!archive.sink.0.is_alive());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pack_whose_rows_were_not_committed_is_never_applied_later() {
    let archive = archive().await;
    assert!(matches!(
        archive.send(1, 1).await,
        Outcome::Stored { duplicate: false, .. }
    ));
    // the database refuses to be written to for longer than anybody waits
    let lock = archive.db.begin_write().await.unwrap();
    let refused = archive.send(1, 2).await;
    assert!(
        matches!(
            refused,
            Outcome::Refused {
                refusal: Refusal::OutOfResources,
                ..
            }
        ),
        "{refused:?}"
    );
    lock.rollback().await.unwrap();
    // what comes next finds the pack of the refused one marked, and its object is new
    assert!(matches!(
        archive.send(1, 2).await,
        Outcome::Stored { duplicate: false, .. }
    ));
    assert_eq!(packs::voided(&archive.db).await.unwrap().len(), 1);
    // a rebuilt database holds what was acknowledged, under the accessions that were given
    let known = packs::known(&archive.db, None).await.unwrap();
    let storage = archive.storage.clone();
    let there: Vec<_> = futures::StreamExt::collect::<Vec<_>>(storage.list_packs(None)).await;
    let there: Vec<_> = there.into_iter().map(Result::unwrap).collect();
    assert_eq!(there.len(), 3, "the collection's and two of images");
    assert!(there.iter().all(|name| known.contains(name)));
}

/// The second of two groups fails while the first, one object too large to share a pack, is still being flushed. What came with the
/// first is forgotten then, and a third group knows the patient neither from memory nor from the database.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_put_that_fails_beside_another_costs_its_own_group_and_nothing_else() {
    // On a machine that is busy the first may be through before the second begins: then it is tried again.
    for _ in 0..20 {
        let plan = Plan::default()
            .with(Point::BeforeFlush, Action::Delay(Duration::from_millis(700)), 1, 1)
            .with(Point::BeforeFlush, Action::Unavailable, 2, 1);
        let archive = Arc::new(archive_with(plan).await);
        let begin = |patient: u32, number: u32| {
            let archive = Arc::clone(&archive);
            tokio::spawn(async move { archive.send(patient, number).await })
        };
        // Small groups are flushed one after the other; what is larger than 8 MiB has a place of its own beside them.
        let first = begin(1, LARGE);
        // All its bytes lie in the store's temporary folder as soon as it waits for its flush.
        while !first.is_finished() && !archive.something_is_being_put(u64::from(SIDE) * u64::from(SIDE)) {
            tokio::task::yield_now().await;
        }
        let second = begin(1, 2).await.unwrap();
        let third = begin(1, 3);
        let beside = taken(&second).is_none() && !first.is_finished();
        let (first, third) = (first.await.unwrap(), third.await.unwrap());
        let sent = [((1, LARGE), first), ((1, 2), second), ((1, 3), third)];
        if beside {
            assert_eq!(taken(&sent[0].1), Some(true));
            assert_eq!(taken(&sent[2].1), Some(true));
        }
        archive.holds_what_was_acknowledged(&sent).await;
        if beside {
            return;
        }
    }
    panic!("the two were never on their way at the same time");
}

/// The first of two groups is put, and its rows are not committed; the second was put together in the belief that they would be.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_transaction_that_fails_before_another_leaves_no_row_that_the_other_hangs_on() {
    let archive = Arc::new(archive().await);
    let begin = |patient: u32, number: u32| {
        let archive = Arc::clone(&archive);
        tokio::spawn(async move { archive.send(patient, number).await })
    };
    // Numbers for accessions are drawn in blocks; none is drawn below.
    let before = archive.send(9, 1).await;
    // The database refuses to be written to for longer than the first waits.
    let lock = archive.db.begin_write().await.unwrap();
    let first = begin(1, 1);
    archive.packs_are(3).await;
    let (second, third) = (begin(1, 2), begin(2, 1));
    archive.packs_are(4).await;
    let first = first.await.unwrap();
    assert_eq!(taken(&first), None);
    lock.rollback().await.unwrap();
    let (second, third) = (second.await.unwrap(), third.await.unwrap());
    let sent = [((9, 1), before), ((1, 1), first), ((1, 2), second), ((2, 1), third)];
    archive.holds_what_was_acknowledged(&sent).await;
    assert!(!packs::voided(&archive.db).await.unwrap().is_empty());
}
