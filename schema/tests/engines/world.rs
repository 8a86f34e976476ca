//! A database, a store, and objects made of numbers.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use isocenter_model::rights::{Access, Collections, Visibility};
use isocenter_model::{CollectionAccession, ImageAccession, IndividualAccession, SeriesAccession, StudyAccession};
use isocenter_schema::audit::{AuditEvent, Chain};
use isocenter_schema::commit::{self, Committed};
use isocenter_schema::record::{
    Accessions, CollectionRecord, ImageFacts, ImageRecord, IndividualFacts, Lifecycle, Originals, Record, ReleaseRule,
    SeriesFacts, StudyFacts,
};
use isocenter_schema::{Database, ImageState};
use isocenter_storage::{
    ArchiveWriter, BlobRef, Durable, InArchive, KeyId, MasterKey, PackBuilder, Piece, QuarantineWriter, Storage,
    StorageSettings,
};
use sea_orm::{ConnectionTrait, Statement};
use tempfile::TempDir;
use url::Url;

pub(crate) const AUDIT_KEY: [u8; 32] = [9; 32];

pub(crate) struct World {
    pub(crate) db: Database,
    pub(crate) url: String,
    pub(crate) storage: Storage,
    pub(crate) archive: ArchiveWriter,
    pub(crate) quarantine: QuarantineWriter,
    /// an individual's key for each collection
    keys: HashMap<CollectionAccession, KeyId>,
    /// accession numbers of parents by name
    numbers: HashMap<String, u64>,
    next: u64,
    _dir: TempDir,
}

fn url(path: std::path::PathBuf) -> Url {
    Url::from_directory_path(path).unwrap()
}

static DATABASES: AtomicU64 = AtomicU64::new(0);

impl World {
    pub(crate) async fn sqlite() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = format!("sqlite://{}", dir.path().join("isocenter.db").display());
        Self::new(file, dir).await
    }

    pub(crate) async fn postgres() -> Option<Self> {
        let database = Self::postgres_database().await?;
        Some(Self::new(database, tempfile::tempdir().unwrap()).await)
    }

    /// Makes an empty database on the server, if there is one.
    pub(crate) async fn postgres_database() -> Option<String> {
        let Ok(server) = std::env::var("ISOCENTER_TEST_POSTGRES_URL") else {
            eprintln!("left out: ISOCENTER_TEST_POSTGRES_URL is not set");
            return None;
        };
        let number = DATABASES.fetch_add(1, Ordering::Relaxed);
        let name = format!(
            "isocenter_schema_{}_{}_{number}",
            std::process::id(),
            Utc::now().timestamp_micros()
        );
        let admin = sea_orm::Database::connect(&server).await.unwrap();
        admin
            .execute_unprepared(&format!("CREATE DATABASE {name}"))
            .await
            .unwrap();
        admin.close().await.unwrap();
        let mut database = Url::parse(&server).unwrap();
        database.set_path(&name);
        Some(database.to_string())
    }

    async fn new(database: String, dir: TempDir) -> Self {
        let db = Database::open(&database).await.unwrap();
        db.migrate().await.unwrap();
        db.set_audit_chain(Chain::new("test", AUDIT_KEY));
        let at = |name: &str| url(dir.path().join(name));
        std::fs::create_dir(dir.path().join("spill")).unwrap();
        let settings = StorageSettings::new(at("blobs"), at("keys"), dir.path().join("spill"));
        let opened = Storage::open(settings, MasterKey::from_bytes([7; 32])).await.unwrap();
        Self {
            db,
            url: database,
            storage: opened.storage,
            archive: opened.archive_writer,
            quarantine: opened.quarantine_writer,
            keys: HashMap::new(),
            numbers: HashMap::new(),
            next: 1,
            _dir: dir,
        }
    }

    /// Returns how many bytes the database takes, with its indexes.
    pub(crate) async fn size(&self) -> i64 {
        let database = sea_orm::Database::connect(&self.url).await.unwrap();
        let sql = if self.url.starts_with("sqlite") {
            "SELECT page_count * page_size AS size FROM pragma_page_count(), pragma_page_size()"
        } else {
            "SELECT pg_database_size(current_database()) AS size"
        };
        let asked = Statement::from_string(database.get_database_backend(), sql);
        let row = database.query_one_raw(asked).await.unwrap().unwrap();
        row.try_get("", "size").unwrap()
    }

    pub(crate) async fn collection_record(&mut self, number: u64) -> CollectionRecord {
        let accession = CollectionAccession::numbered("OBIA", number);
        let key = self.storage.new_collection_key().await.unwrap();
        let individual = self.storage.new_individual_key(&key).await.unwrap();
        self.keys.insert(accession.clone(), individual);
        CollectionRecord {
            accession,
            title: format!("Collection {number}"),
            profile: "obia".to_owned(),
            release: ReleaseRule::Manual,
            access: Access::Open,
            originals: Originals::None,
            issuer: "HOSPITAL".to_owned(),
            collection_key_id: key,
            attested: None,
            lifecycle: Lifecycle::Announced,
            embargo_until: None,
            allowed_sop_classes: Vec::new(),
            routes: Vec::new(),
            created_at: at(0),
        }
    }

    /// Makes an open collection.
    pub(crate) async fn collection(&mut self, number: u64) -> CollectionAccession {
        let record = self.collection_record(number).await;
        let accession = record.accession.clone();
        self.commit(vec![Record::Collection(Box::new(record))]).await;
        accession
    }

    fn number(&mut self, name: String) -> u64 {
        if let Some(number) = self.numbers.get(&name) {
            return *number;
        }
        let number = self.next;
        self.next += 1;
        self.numbers.insert(name, number);
        number
    }

    /// Returns an image: collection, patient, study, series, instance, each a number that everything else follows from.
    pub(crate) async fn image(&mut self, c: &CollectionAccession, path: [u64; 4], state: ImageState) -> ImageRecord {
        let [patient, study, series, instance] = path;
        let key = self.key(c);
        let mut accession = |name: &str, number: u64| self.number(format!("{c} {name} {number}"));
        let accessions = Accessions {
            individual: IndividualAccession::numbered("I", accession("patient", patient)),
            study: StudyAccession::numbered("S", accession("study", study)),
            series: SeriesAccession::numbered("SE", accession("series", series)),
            image: ImageAccession::numbered("IM", self.next),
        };
        self.next += 1;
        let uid = |kind: u64, number: u64| format!("1.2.{kind}.{number}");
        ImageRecord {
            accessions,
            collection: c.clone(),
            individual: IndividualFacts {
                pseudonym: digest(&["patient", c.as_str(), &patient.to_string()]),
                key_id: key,
                patient_id: format!("P{patient}"),
                patient_name: format!("Family{patient}^Given"),
                birth_date: "19700101".to_owned(),
                sex: "F".to_owned(),
            },
            study: StudyFacts {
                study_instance_uid: uid(1, study).parse().unwrap(),
                study_date: format!("2020{:02}{:02}", 1 + study % 12, 1 + study % 28),
                study_time: "101500".to_owned(),
                accession_number: format!("ACC{study}"),
                referring_physician_name: "Ref^Doctor".to_owned(),
                study_description: format!("Study {study}"),
                study_id: study.to_string(),
                attributes: format!(r#"{{"study":{study}}}"#),
            },
            series: SeriesFacts {
                series_instance_uid: uid(2, series).parse().unwrap(),
                modality: ["CT", "MR", "US"][usize::try_from(series % 3).unwrap()].to_owned(),
                series_number: Some(i64::try_from(series).unwrap()),
                series_description: format!("Series {series}"),
                body_part_examined: "PELVIS".to_owned(),
                protocol_name: "ROUTINE".to_owned(),
                manufacturer: "ACME".to_owned(),
                manufacturer_model_name: "Model 1".to_owned(),
                performed_procedure_step_start_date: "20200202".to_owned(),
                performed_procedure_step_start_time: "080000".to_owned(),
                scheduled_procedure_step_id: "SPS1".to_owned(),
                requested_procedure_id: "RP1".to_owned(),
                attributes: format!(r#"{{"series":{series}}}"#),
            },
            image: ImageFacts {
                sop_instance_uid: uid(3, instance).parse().unwrap(),
                sop_class_uid: "1.2.840.10008.5.1.4.1.1.2".parse().unwrap(),
                transfer_syntax_uid: "1.2.840.10008.1.2.1".parse().unwrap(),
                instance_number: Some(i64::try_from(instance).unwrap()),
                number_of_frames: None,
                rows: Some(512),
                columns: Some(256),
                bits_allocated: Some(16),
                attributes: format!(r#"{{"image":{instance}}}"#),
            },
            sent_digest: digest(&["sent", &instance.to_string()]),
            content_digest: digest(&["content", &instance.to_string()]),
            pixel_digest: digest(&["pixels", &instance.to_string()]),
            state,
            blob: self.blob(c).await.1,
            header_len: 1000,
            frame_map: vec![1, 2, 3],
            metadata: vec![4, 5, 6],
            deid_report: r#"{"profile":"obia"}"#.to_owned(),
            findings: Vec::new(),
            provenance: r#"{"source":"test"}"#.to_owned(),
            received_at: at(i64::try_from(instance).unwrap()),
        }
    }

    /// Puts a pack with one body.
    pub(crate) async fn blob(&mut self, c: &CollectionAccession) -> (Durable, BlobRef<InArchive>) {
        let key = self.key(c);
        let mut pack = PackBuilder::new(&self.storage).unwrap();
        let body = vec![Piece::Bytes(Bytes::from_static(b"body"))];
        let blob = pack.add_archive(&self.archive, &key, body).await.unwrap();
        (pack.put().await.unwrap(), blob)
    }

    pub(crate) fn key(&self, c: &CollectionAccession) -> KeyId {
        *self.keys.get(c).expect("a collection of this world")
    }

    /// Puts a pack with a system row, which stands for the group's bodies.
    pub(crate) async fn durable(&self) -> Durable {
        let mut pack = PackBuilder::new(&self.storage).unwrap();
        pack.add_system_row(b"row".to_vec());
        pack.put().await.unwrap()
    }

    /// Commits a group with one audit event.
    pub(crate) async fn commit(&self, records: Vec<Record>) -> Committed {
        let durable = self.durable().await;
        let tx = self.db.begin_ingest().await.unwrap();
        let event = AuditEvent {
            actor: "test".to_owned(),
            action: "ingest".to_owned(),
            subject: "OBIA0001".to_owned(),
            detail: serde_json::json!({ "records": records.len() }),
        };
        let committed = commit::group(&tx, &durable, &records, &[], &[event]).await.unwrap();
        tx.commit().await.unwrap();
        committed
    }

    /// Commits images in the archive, and expects that all are inserted.
    pub(crate) async fn images(&mut self, c: &CollectionAccession, paths: &[[u64; 4]], state: ImageState) {
        let mut records = Vec::new();
        for path in paths {
            records.push(Record::Image(Box::new(self.image(c, *path, state).await)));
        }
        let committed = self.commit(records).await;
        assert!(
            committed.fates.iter().all(|fate| *fate == commit::Fate::Inserted),
            "{committed:?}"
        );
    }
}

pub(crate) fn image(record: ImageRecord) -> Record {
    Record::Image(Box::new(record))
}

pub(crate) fn digest(parts: &[&str]) -> [u8; 32] {
    isocenter_schema::tokens::secret_hash(parts.join("/").as_bytes())
}

pub(crate) fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000 + seconds, 0).unwrap()
}

/// Sees everything in the archive.
pub(crate) fn everything() -> Visibility {
    Visibility {
        everything_in: Collections::All,
        released_with_access: Vec::new(),
        released_in: Collections::Of(Default::default()),
        within: Collections::All,
    }
}

/// Sees what is released and open.
pub(crate) fn public() -> Visibility {
    isocenter_model::rights::visibility(&isocenter_model::rights::Principal::Anonymous)
}
