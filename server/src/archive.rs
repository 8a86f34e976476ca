//! The archive as one value: what every handler, command and job works on.
//!
//! [`Archive::open`] is the same for the server and for every command: it brings the database to this program's version,
//! finds the master key and holds it against the fingerprint that the database remembers, opens the store, and on the very
//! first start makes what a new archive needs. It starts nothing that listens.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Context as _;
use isocenter_deid::{Definition, Profile};
use isocenter_ingest::{Pipeline, Sink, profile_record};
use isocenter_model::rights::{Access, Role};
use isocenter_model::{AeTitle, Clock, CollectionAccession, InstanceSink, SystemClock};
use isocenter_retrieval::Indexes;
use isocenter_schema::commit::{self, AuditEvent};
use isocenter_schema::record::{
    CollectionRecord, Lifecycle, Originals, Record, ReleaseRecord, ReleaseRule, RouteRecord,
};
use isocenter_schema::{Database, settings as remembered};
use isocenter_storage::{MasterKey, Opened, PackBuilder, Storage, StorageSettings};

use crate::audit::Ledger;
use crate::auth::token;
use crate::behind::Behind;
use crate::config::Settings;
use crate::cpu::Cpu;
use crate::dicomweb::rendered::Drawings;
use crate::disk::{Disk, Guarded};

/// The archive.
pub struct Archive {
    /// The index.
    pub db: Database,
    /// The sealed objects.
    pub storage: Storage,
    /// The one way in.
    pub sink: Arc<dyn InstanceSink>,
    /// What the user asked for.
    pub settings: Settings,
    /// Threads and memory for decoding and rendering: CPU work stays off the threads that serve.
    pub cpu: Cpu,
    /// Where jobs compute.
    pub behind: Behind,
    /// Pictures that are being drawn now.
    pub drawings: Drawings,
    /// The hash indexes of similar images.
    pub indexes: Arc<Indexes>,
    /// The disks of this machine that it needs.
    pub disk: Arc<Disk>,
    /// Reads of controlled data that were written down.
    pub reads: Ledger,
    /// The present time.
    pub clock: Arc<dyn Clock>,
    /// Whether start-up is over and shutdown has not begun.
    pub ready: AtomicBool,
    /// What was rebuilt from the store, where the database was lost.
    pub(crate) rebuilt: Option<isocenter_ingest::replay::Replayed>,
    /// Key of the audit trail's chains.
    pub(crate) audit_key: [u8; 32],
    pipeline: Arc<Pipeline>,
}

/// The de-identification profile that somebody wants for a collection.
#[derive(Debug, Clone)]
pub enum ChosenProfile {
    /// A built-in one, by its name.
    BuiltIn(String),
    /// One of its own.
    Own(Box<Definition>),
}

impl From<&str> for ChosenProfile {
    fn from(name: &str) -> Self {
        Self::BuiltIn(name.to_owned())
    }
}

/// A collection as somebody asks for it.
#[derive(Debug, Clone)]
pub struct NewCollection {
    /// Title.
    pub title: String,
    /// The de-identification profile.
    pub profile: ChosenProfile,
    /// How images are released.
    pub release: ReleaseRule,
    /// Who may read what is released.
    pub access: Access,
    /// What becomes of the objects as received.
    pub originals: Originals,
    /// AE title that leads to it.
    pub ae_title: Option<AeTitle>,
    /// Issuer of patient IDs of its source.
    pub issuer: String,
}

/// Returns the name of this process's chain in the audit trail: one writer a chain, so that none waits for another.
fn writer_name() -> String {
    let started = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_micros());
    format!("{}-{started}", std::process::id())
}

/// Creates a folder that only its owner may enter, and its parents.
pub(crate) fn private_folder(path: &std::path::Path) -> anyhow::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.with_context(|| format!("data directory {}", path.display()))
}

impl Archive {
    /// Opens the archive that the settings name; makes it where database and store are both empty.
    ///
    /// # Errors
    /// When the database or the store does not answer, the master key is missing or another one, or the data directory
    /// cannot be written.
    pub async fn open(settings: Settings) -> anyhow::Result<Self> {
        private_folder(&settings.data_dir)?;
        let db = Database::open(&settings.database_url).await.context("database")?;
        db.migrate().await.context("database migration")?;
        let places = places(&settings);
        let fingerprint = remembered::get(&db, remembered::KEY_FINGERPRINT).await?;
        let first_start = fingerprint.is_none();
        let key = master_key(&settings, fingerprint.as_deref(), &places).await?;
        let audit_key = key.derive("audit-chain");
        db.set_audit_chain(isocenter_schema::audit::Chain::new(writer_name(), audit_key));
        let own_fingerprint = key.fingerprint();
        let Opened {
            storage,
            archive_writer,
            quarantine_writer,
            ..
        } = Storage::open(places, key).await.context("store")?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let pipeline = Pipeline::start(
            db.clone(),
            storage.clone(),
            archive_writer,
            quarantine_writer,
            Arc::clone(&clock),
            isocenter_ingest::Settings {
                max_object_size: settings.max_object_size,
                ..Default::default()
            },
        );
        let disk = Arc::new(Disk::new(storage.clone(), &settings));
        let sink = Guarded {
            sink: Sink(Arc::clone(&pipeline)),
            disk: Arc::clone(&disk),
        };
        let cpu = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        let mut archive = Self {
            rebuilt: None,
            db,
            storage,
            sink: Arc::new(sink),
            disk,
            settings,
            cpu: Cpu::new(cpu),
            behind: Behind::start().context("a thread for jobs")?,
            drawings: Drawings::default(),
            reads: Ledger::default(),
            indexes: Arc::new(Indexes::new()),
            clock,
            ready: AtomicBool::new(false),
            audit_key,
            pipeline,
        };
        if first_start && !archive.storage.is_empty().await? {
            // A lost database: its collections and their keys are in the store. A new Inbox beside them would give every
            // patient a second pseudonym.
            tracing::warn!("the database is empty and the store is not: rebuilding it from the store");
            use isocenter_ingest::replay::{From, run};
            archive.rebuilt = Some(run(&archive.db, &archive.storage, From::Beginning).await?);
        }
        if first_start {
            archive.first_start(&own_fingerprint).await.context("first start")?;
        }
        Ok(archive)
    }

    /// Makes what a new archive needs: the Inbox, an administrator's token, the key's fingerprint. The fingerprint comes
    /// last: a first start that was cut short is simply done again.
    async fn first_start(&self, fingerprint: &str) -> anyhow::Result<()> {
        let inbox = CollectionAccession::numbered(CollectionAccession::DEFAULT_PREFIX, 1);
        if isocenter_schema::collections::get(&self.db, &inbox).await?.is_none() {
            let collection = NewCollection {
                title: "Inbox".to_owned(),
                profile: "obia".into(),
                release: ReleaseRule::Manual,
                access: Access::Open,
                originals: Originals::None,
                ae_title: Some(self.settings.ae_title.clone()),
                issuer: String::new(),
            };
            let made = self.create_collection(collection, "first start").await?;
            anyhow::ensure!(made == inbox, "the first collection should be {inbox}, not {made}");
        }
        let secret = token::create(&self.db, Role::Admin, None, "", None, "first start")
            .await?
            .secret;
        write_private(&self.settings.data_dir.join("admin.token"), &format!("{secret}\n"))?;
        let tx = self.db.begin_write().await?;
        remembered::set_once(&tx, remembered::KEY_FINGERPRINT, fingerprint).await?;
        tx.commit().await?;
        tracing::info!(collection = %inbox, "new archive made; the administrator's token is in admin.token");
        Ok(())
    }

    /// Creates a collection: its key, its row, and its record in a pack, so that the store alone can rebuild it.
    ///
    /// # Errors
    /// When the profile is not known or not taken, the AE title leads elsewhere already, or database or store fail.
    pub async fn create_collection(&self, new: NewCollection, actor: &str) -> anyhow::Result<CollectionAccession> {
        let profile = match &new.profile {
            ChosenProfile::BuiltIn(name) => {
                Profile::builtin(name).with_context(|| format!("no profile of that name: {name}"))?
            }
            ChosenProfile::Own(definition) => Arc::new(definition.compile()?),
        };
        let sequence = isocenter_schema::numbers::Sequence::Collection;
        let number = isocenter_schema::numbers::reserve(&self.db, sequence, 1).await?.start;
        let accession = CollectionAccession::numbered(CollectionAccession::DEFAULT_PREFIX, number);
        let record = CollectionRecord {
            accession: accession.clone(),
            title: new.title,
            profile: profile.name().to_owned(),
            release: new.release,
            access: new.access,
            originals: new.originals,
            issuer: new.issuer.clone(),
            collection_key_id: self.storage.new_collection_key().await?,
            attested: profile.changes_nothing().then(|| actor.to_owned()),
            lifecycle: Lifecycle::Released,
            embargo_until: None,
            allowed_sop_classes: Vec::new(),
            routes: new
                .ae_title
                .map(|title| RouteRecord {
                    ae_title: title.as_str().to_owned(),
                    issuer: new.issuer,
                })
                .into_iter()
                .collect(),
            created_at: self.clock.now(),
        };
        let event = AuditEvent {
            actor: actor.to_owned(),
            action: "create collection".to_owned(),
            subject: accession.as_str().to_owned(),
            detail: serde_json::json!({"profile": record.profile, "profile_hash": hex::encode(profile.hash()),
                "attested": record.attested.is_some()}),
        };
        let own = match &new.profile {
            ChosenProfile::BuiltIn(_) => None,
            ChosenProfile::Own(definition) => {
                let key = &record.collection_key_id;
                Some(profile_record(&self.storage, &accession, key, definition).await?)
            }
        };
        let mut records = vec![Record::Collection(Box::new(record))];
        records.extend(own.map(|own| Record::Profile(Box::new(own))));
        self.commit_system(&records, event).await?;
        Ok(accession)
    }

    /// Commits a change that a rebuilt database must know: sealed into a pack of its own, then applied.
    ///
    /// # Errors
    /// When store or database fail.
    pub async fn commit_system(&self, records: &[Record], event: AuditEvent) -> anyhow::Result<()> {
        let mut pack = PackBuilder::new(&self.storage)?;
        for record in records {
            pack.add_system_row(record.encode()?);
        }
        let durable = pack.put().await?;
        let tx = self.db.begin_write().await?;
        commit::group(&tx, &durable, records, &[], &[event]).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Withdraws a collection. The record is a tombstone: nothing of it is deleted, and it is never made again.
    ///
    /// # Errors
    /// When store or database fail.
    pub async fn withdraw(&self, collection: CollectionRecord, reason: &str, actor: &str) -> anyhow::Result<()> {
        let event = AuditEvent {
            actor: actor.to_owned(),
            action: "withdraw collection".to_owned(),
            subject: collection.accession.as_str().to_owned(),
            detail: serde_json::json!({"reason": reason}),
        };
        let tombstone = CollectionRecord {
            lifecycle: Lifecycle::Withdrawn,
            ..collection
        };
        self.commit_system(&[Record::Collection(Box::new(tombstone))], event)
            .await
    }

    /// Changes the state of images and returns how many there are now in that state within the scope.
    ///
    /// # Errors
    /// When store or database fail.
    pub async fn change_state(&self, change: ReleaseRecord, actor: &str) -> anyhow::Result<u64> {
        let collection = change.collection.clone();
        let to = change.to;
        let before = isocenter_schema::stats::images_in(&self.db, &collection, to).await?;
        let event = AuditEvent {
            actor: actor.to_owned(),
            action: format!("images {}", to.as_str()),
            subject: collection.as_str().to_owned(),
            detail: serde_json::json!({}),
        };
        self.commit_system(&[Record::Release(Box::new(change))], event).await?;
        let after = isocenter_schema::stats::images_in(&self.db, &collection, to).await?;
        Ok(after.saturating_sub(before))
    }

    /// Applies packs that are newer than the database's last checkpoint.
    ///
    /// # Errors
    /// When store or database fail, or a pack is damaged.
    pub async fn replay(&self) -> anyhow::Result<isocenter_ingest::replay::Replayed> {
        use isocenter_ingest::replay::{From, run};
        let done = run(&self.db, &self.storage, From::Checkpoint).await?;
        // Only here, before anything of ours is under way: a command beside a running server could pass a pack that is
        // still being put.
        if let Some(last) = &done.last {
            isocenter_schema::packs::advance(&self.db, last).await?;
        }
        Ok(done)
    }

    /// Returns how long no instance has begun or ended.
    pub fn ingest_idle_for(&self) -> std::time::Duration {
        self.pipeline.idle_for()
    }

    /// Returns whether what arrives would be committed.
    pub fn commits(&self) -> bool {
        self.pipeline.is_alive()
    }

    /// Ends the committer, as if it had died.
    #[cfg(test)]
    pub(crate) async fn stop_ingest(&self) {
        self.pipeline.close().await;
    }

    /// Waits for what is being committed and closes the database.
    pub async fn close(&self) {
        self.pipeline.close().await;
        if let Err(error) = self.db.close().await {
            tracing::warn!(error = %error, "database did not close cleanly");
        }
    }
}

/// Returns where the sealed objects and their keys lie.
pub(crate) fn places(settings: &Settings) -> StorageSettings {
    let mut places = StorageSettings::new(
        settings.store_url.clone(),
        settings.key_store_url.clone(),
        settings.data_dir.join("spill"),
    );
    places.s3.clone_from(&settings.aws);
    places
}

/// Finds the master key, or makes it where database and store are both empty.
async fn master_key(
    settings: &Settings,
    fingerprint: Option<&str>,
    places: &StorageSettings,
) -> anyhow::Result<MasterKey> {
    let path = &settings.master_key_file;
    let key = if path.exists() {
        MasterKey::load(path)?
    } else {
        anyhow::ensure!(
            fingerprint.is_none() && Storage::nothing_there(places).await?,
            "master key {} is missing, and this archive was sealed with one: put it back, or name it with --master-key-file",
            path.display()
        );
        MasterKey::create(path)?
    };
    if let Some(expected) = fingerprint {
        anyhow::ensure!(
            key.fingerprint() == expected,
            "master key {} is another one (fingerprint {}) than this archive was sealed with ({expected})",
            path.display(),
            key.fingerprint()
        );
    }
    Ok(key)
}

/// Writes a small secret so that only its owner can read it, whole or not at all.
fn write_private(path: &std::path::Path, text: &str) -> anyhow::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let temporary = path.with_extension("new");
    let _ = std::fs::remove_file(&temporary);
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&temporary, path)?;
    Ok(())
}
