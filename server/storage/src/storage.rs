//! The opened storage: settings, keys, and the names of what is there.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use futures::stream::{BoxStream, StreamExt, TryStreamExt};
use url::Url;
use zeroize::Zeroizing;

use crate::area::{ArchiveWriter, QuarantineWriter};
use crate::backend::disk::{Disk, RealDisk};
use crate::backend::local::Local;
use crate::backend::object::Object;
use crate::backend::{Backend, FreeSpace};
use crate::error::{Error, Result};
use crate::fail::{Plan, Point};
use crate::id::{CollectionKeyId, KeyId, PackClock, PackName};
use crate::key::{MasterKey, Secret};
use crate::keystore::KeyStore;
use crate::sealer::SealPool;
use crate::spill::Spill;

pub(crate) const PACKS: &str = "packs";

/// Returns the key under which a pack is stored.
pub(crate) fn pack_key(name: &PackName) -> String {
    format!("{PACKS}/{}/{name}", name.folder())
}

fn purpose_of_text(purpose: &str) -> String {
    format!("isocenter collection text/{purpose}")
}

/// Variables of the S3 client, named as the usual environment variables: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`,
/// `AWS_SESSION_TOKEN`, `AWS_REGION`, `AWS_ENDPOINT_URL`, ... Others are passed over.
pub type S3Settings = BTreeMap<String, String>;

/// Where the storage lies.
#[derive(Debug)]
#[non_exhaustive]
pub struct StorageSettings {
    /// Where packs lie: `file:///folder` or `s3://bucket/prefix`.
    pub store_url: Url,
    /// Where wrapped keys lie: another folder or prefix, which backups of the archive leave out.
    pub key_store_url: Url,
    /// A local folder for sealed temporary files. They have no name there.
    pub spill_dir: PathBuf,
    /// Variables of the S3 client.
    pub s3: S3Settings,
    /// Planned failures, for tests.
    pub fail: Plan,
    disk: Arc<dyn Disk>,
    memory: Option<Arc<dyn object_store::ObjectStore>>,
}

impl StorageSettings {
    /// Returns settings for these places, without S3 variables or planned failures.
    #[must_use]
    pub fn new(store_url: Url, key_store_url: Url, spill_dir: PathBuf) -> Self {
        Self {
            store_url,
            key_store_url,
            spill_dir,
            s3: S3Settings::new(),
            fail: Plan::default(),
            disk: Arc::new(RealDisk::default()),
            memory: None,
        }
    }

    #[cfg(any(test, feature = "double"))]
    pub(crate) fn set_disk(&mut self, disk: Arc<dyn Disk>) {
        self.disk = disk;
    }

    #[cfg(any(test, feature = "double"))]
    pub(crate) fn set_memory(&mut self, store: Arc<dyn object_store::ObjectStore>) {
        self.memory = Some(store);
    }

    async fn backend(&self, url: &Url) -> Result<Backend> {
        match (url.scheme(), &self.memory) {
            ("file", _) => {
                let path = url.to_file_path();
                let path = path.map_err(|()| Error::Settings {
                    reason: format!("{url} names no local folder"),
                })?;
                let disk = self.disk.clone();
                let local = tokio::task::spawn_blocking(move || Local::open(&path, disk)).await??;
                Ok(Backend::Local(Arc::new(local)))
            }
            ("s3", _) => Ok(Backend::Object(Arc::new(Object::s3(url, &self.s3)?))),
            ("memory", Some(store)) => Ok(Backend::Object(Arc::new(Object::new(store.clone(), url.path())))),
            (scheme, _) => Err(Error::Settings {
                reason: format!("no store of the kind {scheme}: (file: or s3:)"),
            }),
        }
    }
}

/// What opening the storage gives: the storage, and the only handles that may write bodies of their areas.
#[derive(Debug)]
pub struct Opened {
    /// The storage.
    pub storage: Storage,
    /// The right to write into the archive; moved into ingest and nowhere else.
    pub archive_writer: ArchiveWriter,
    /// The right to write objects as received.
    pub quarantine_writer: QuarantineWriter,
}

/// Sealed durable packs and their keys.
#[derive(Clone)]
pub struct Storage(Arc<Inner>);

struct Inner {
    packs: Backend,
    keys: KeyStore,
    system_rows: Secret,
    index_key: Secret,
    clock: PackClock,
    pool: Arc<SealPool>,
    plan: Arc<Plan>,
    spill_dir: PathBuf,
    conditional_put: Option<bool>,
}

impl std::fmt::Debug for Storage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Storage")
    }
}

impl Storage {
    /// Tells whether the places in the settings hold neither packs nor keys: only then may a first start draw a master key.
    ///
    /// # Errors
    /// When one of them does not answer.
    pub async fn nothing_there(settings: &StorageSettings) -> Result<bool> {
        let packs = settings.backend(&settings.store_url).await?;
        let keys = settings.backend(&settings.key_store_url).await?;
        Ok(packs.folders(PACKS).await?.is_empty()
            && keys.names("system".into()).await?.is_empty()
            && keys.names("collections".into()).await?.is_empty())
    }

    /// Opens the storage; makes what is missing where it is new.
    ///
    /// # Errors
    /// [`Error::WrongMasterKey`] where the key store was made with another master key; [`Error::KeyStoreMissing`] where
    /// there are packs and no keys; [`Error::Unavailable`] where a store does not answer; [`Error::Settings`].
    pub async fn open(settings: StorageSettings, master: MasterKey) -> Result<Opened> {
        let packs = settings.backend(&settings.store_url).await?;
        let keys = settings.backend(&settings.key_store_url).await?;
        let folders = packs.folders(PACKS).await?;
        let location = settings.key_store_url.to_string();
        let (keys, system) = KeyStore::open(keys, location, master, !folders.is_empty()).await?;

        let clock = PackClock::default();
        for folder in folders.iter().rev() {
            let names = packs.names(format!("{PACKS}/{folder}")).await?;
            if let Some(last) = names.iter().rev().find_map(|name| name.parse().ok()) {
                clock.not_before(&last);
                break;
            }
        }
        let spill_dir = settings.spill_dir.clone();
        tokio::task::spawn_blocking(move || std::fs::create_dir_all(spill_dir))
            .await?
            .map_err(Error::io)?;
        let conditional_put = match &packs {
            Backend::Local(_) => Some(true),
            Backend::Object(object) => object.conditional_put().await,
        };
        tracing::info!(?conditional_put, "store opened");
        let storage = Self(Arc::new(Inner {
            packs,
            keys,
            system_rows: system.derive_secret(&[], &[b"isocenter system rows"])?,
            index_key: system.derive_secret(&[], &[b"isocenter pack index"])?,
            clock,
            pool: Arc::default(),
            plan: Arc::new(settings.fail),
            spill_dir: settings.spill_dir,
            conditional_put,
        }));
        Ok(Opened {
            storage,
            archive_writer: ArchiveWriter(()),
            quarantine_writer: QuarantineWriter(()),
        })
    }

    /// Returns whether there is neither a pack nor a collection's key.
    ///
    /// # Errors
    /// When a store does not answer.
    pub async fn is_empty(&self) -> Result<bool> {
        Ok(self.0.packs.folders(PACKS).await?.is_empty() && !self.0.keys.has_keys().await?)
    }

    /// Returns whether the store refused to write over an object when asked to; `None` where that is not known.
    ///
    /// Nothing depends on it: names are unique by construction.
    #[must_use]
    pub fn conditional_put(&self) -> Option<bool> {
        self.0.conditional_put
    }

    /// Makes a collection key, durable when this returns.
    ///
    /// # Errors
    /// When the key store does not answer or is full.
    pub async fn new_collection_key(&self) -> Result<CollectionKeyId> {
        self.0.plan.pass(Point::BeforeKey).await?;
        let id = self.0.keys.new_collection().await?;
        self.0.plan.pass(Point::AfterKey).await?;
        Ok(id)
    }

    /// Derives a secret of a collection for one purpose: pseudonyms, digests.
    ///
    /// # Errors
    /// When the key is not there or the key store does not answer.
    pub async fn collection_secret(&self, id: &CollectionKeyId, purpose: &str) -> Result<Zeroizing<[u8; 32]>> {
        let key = self.0.keys.collection(id).await?;
        let mut secret = Zeroizing::new([0; 32]);
        key.derive(
            &[],
            &[b"isocenter collection secret/", purpose.as_bytes()],
            secret.as_mut(),
        )?;
        Ok(secret)
    }

    /// Seals a text of a collection under its key, for a place outside the store; it opens for the same purpose only.
    ///
    /// # Errors
    /// When the key is not there or the key store does not answer.
    pub async fn seal_text(&self, id: &CollectionKeyId, purpose: &str, plain: &[u8]) -> Result<Vec<u8>> {
        self.0
            .keys
            .collection(id)
            .await?
            .seal(plain, purpose_of_text(purpose).as_bytes())
    }

    /// Opens what [`Storage::seal_text`] sealed.
    ///
    /// # Errors
    /// [`Error::TextCorrupt`] where it was altered, or sealed for another collection or purpose; else as there.
    pub async fn open_text(&self, id: &CollectionKeyId, purpose: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        let key = self.0.keys.collection(id).await?;
        key.open(sealed, purpose_of_text(purpose).as_bytes())?
            .ok_or(Error::TextCorrupt { key: *id })
    }

    /// Makes an Individual's key, durable when this returns.
    ///
    /// # Errors
    /// When the collection key is not there, or the key store does not answer or is full.
    pub async fn new_individual_key(&self, collection: &CollectionKeyId) -> Result<KeyId> {
        self.0.plan.pass(Point::BeforeKey).await?;
        let id = self.0.keys.new_individual(collection).await?;
        self.0.plan.pass(Point::AfterKey).await?;
        Ok(id)
    }

    /// Makes several Individuals' keys at once; their flushes share the disk's.
    ///
    /// # Errors
    /// As [`Storage::new_individual_key`].
    pub async fn new_individual_keys(&self, collection: &CollectionKeyId, count: usize) -> Result<Vec<KeyId>> {
        let made = (0..count).map(|_| self.new_individual_key(collection));
        futures::stream::iter(made).buffer_unordered(16).try_collect().await
    }

    /// Returns whether a key is there and was not destroyed.
    ///
    /// # Errors
    /// When the key store does not answer.
    pub async fn key_exists(&self, id: &KeyId) -> Result<bool> {
        self.0.keys.exists(id).await
    }

    /// Destroys an Individual's key, and with it all that was sealed under it. May be done twice.
    ///
    /// A mark of the destruction stays. Copies in backups of the key store live as long as those do; another process that
    /// had opened the key forgets it within a minute.
    ///
    /// # Errors
    /// When the key store does not answer or is full.
    pub async fn destroy_key(&self, id: &KeyId) -> Result<()> {
        self.0.plan.pass(Point::BeforeDestroy).await?;
        self.0.keys.destroy(id).await?;
        self.0.plan.pass(Point::AfterDestroy).await
    }

    /// Wraps the key store by another master key and returns how many entries were wrapped anew. No pack is touched.
    ///
    /// This storage goes on with the old key and must be opened again with the new one. May be repeated after a crash.
    ///
    /// # Errors
    /// When the key store does not answer, is full or damaged.
    pub async fn rotate_master_key(&self, new: &MasterKey) -> Result<usize> {
        self.0.keys.rotate(new).await
    }

    /// Forgets all opened keys, as after a change of rights that another process made.
    pub fn forget_keys(&self) {
        self.0.keys.forget();
    }

    /// Lists packs by name, which is the order of their making, from behind `after`.
    #[must_use]
    pub fn list_packs(&self, after: Option<&PackName>) -> BoxStream<'static, Result<PackName>> {
        let (this, after) = (self.clone(), after.copied());
        let folders = async move {
            let mut folders = this.0.packs.folders(PACKS).await?;
            if let Some(after) = after {
                let first = after.folder();
                folders.retain(|folder| *folder >= first);
            }
            Ok::<_, Error>((this, folders))
        };
        futures::stream::once(folders)
            .map_ok(move |(this, folders)| {
                futures::stream::iter(folders.into_iter().map(Ok::<_, Error>)).and_then(move |folder| {
                    let this = this.clone();
                    async move {
                        let names = this.0.packs.names(format!("{PACKS}/{folder}")).await?;
                        // a name that is none of ours, or lies in another hour's folder, is nobody's pack
                        let ours = names.into_iter().filter_map(move |name| {
                            name.parse()
                                .ok()
                                .filter(|name: &PackName| name.folder() == folder && Some(*name) > after)
                        });
                        Ok(futures::stream::iter(ours.map(Ok)))
                    }
                })
            })
            .try_flatten()
            .try_flatten()
            .boxed()
    }

    /// Deletes a pack durably; one that is not there is deleted already.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn delete_pack(&self, name: &PackName) -> Result<()> {
        self.0.packs.delete(pack_key(name)).await
    }

    /// Asks whether store and key store answer.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where one does not.
    pub async fn ready(&self) -> Result<()> {
        futures::try_join!(self.0.packs.ready(), self.0.keys.backend().ready()).map(|_| ())
    }

    /// Returns the space that the store's folder has left; `None` for a store that is not local.
    ///
    /// # Errors
    /// When the file system does not answer.
    pub async fn free_space(&self) -> Result<Option<FreeSpace>> {
        self.0.packs.free_space().await
    }

    /// Makes a sealed temporary file. Waits for the file system for a moment.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn spill(&self) -> Result<Spill> {
        Spill::create(&self.0.spill_dir)
    }

    pub(crate) fn draw_name(&self) -> Result<PackName> {
        self.0.clock.draw()
    }

    pub(crate) fn packs(&self) -> &Backend {
        &self.0.packs
    }

    pub(crate) fn plan(&self) -> Arc<Plan> {
        self.0.plan.clone()
    }

    pub(crate) fn seal_pool(&self) -> Arc<SealPool> {
        self.0.pool.clone()
    }

    pub(crate) fn system_rows(&self) -> &Secret {
        &self.0.system_rows
    }

    pub(crate) fn index_key(&self) -> &Secret {
        &self.0.index_key
    }

    pub(crate) async fn individual_key(&self, id: &KeyId) -> Result<Secret> {
        self.0.keys.individual(id).await
    }

    /// Returns the key that an entry is sealed under, the archive's own rows included.
    pub(crate) async fn entry_key(&self, id: &KeyId) -> Result<Secret> {
        if *id == KeyId::SYSTEM {
            Ok(self.0.system_rows.clone())
        } else {
            self.individual_key(id).await
        }
    }
}
