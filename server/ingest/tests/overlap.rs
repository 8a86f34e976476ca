//! What the overlap of two commit groups must not change: every object is stored once, whoever sends it beside whom, and what
//! is remembered of a patient never outlives what the database says.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use bytes::Bytes;
use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use futures::future::join_all;
use isocenter_ingest::{Pipeline, Settings, Sink};
use isocenter_model::arrival::{Form, Refusal, Source};
use isocenter_model::rights::{Access, Collections, Visibility};
use isocenter_model::{Arrival, CollectionAccession, InstanceSink, Outcome, Route, SystemClock, TransferSyntaxUid};
use isocenter_schema::audit::Chain;
use isocenter_schema::record::{CollectionRecord, Lifecycle, Originals, Record, ReleaseRule};
use isocenter_schema::{Database, commit, individuals, packs, stats};
use isocenter_storage::{MasterKey, PackBuilder, Storage, StorageSettings};
use url::Url;

struct Archive {
    db: Database,
    sink: Sink,
    storage: Storage,
    collection: CollectionAccession,
    _folder: tempfile::TempDir,
}

async fn archive() -> Archive {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| Url::from_directory_path(folder.path().join(name)).unwrap();
    let url = format!("sqlite://{}", folder.path().join("isocenter.db").display());
    let db = Database::open(&url).await.unwrap();
    db.migrate().await.unwrap();
    db.set_audit_chain(Chain::new("test", [7; 32]));
    let settings = StorageSettings::new(at("blobs"), at("keys"), folder.path().join("spill"));
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
        _folder: folder,
    }
}

/// An instance without pixels, of one patient's study and series.
fn instance(patient: u32, number: u32) -> Vec<u8> {
    let uid = |tail: String| format!("1.2.826.0.1.3680043.8.498.{tail}");
    let text = |tag, vr, value: String| DataElement::new(tag, vr, PrimitiveValue::from(value));
    let object = InMemDicomObject::from_element_iter([
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
    let mut bytes = Vec::new();
    let syntax = dicom_transfer_syntax_registry::entries::EXPLICIT_VR_LITTLE_ENDIAN.erased();
    object.write_dataset_with_ts(&mut bytes, &syntax).unwrap();
    bytes
}

impl Archive {
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
    let everything = Visibility {
        everything_in: Collections::All,
        released_with_access: Vec::new(),
        released_in: Collections::Of(Default::default()),
        within: Collections::All,
    };
    let totals = stats::totals(&archive.db, &everything).await.unwrap();
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
