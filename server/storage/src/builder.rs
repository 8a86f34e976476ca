//! Builds one pack: the bodies and rows of one commit group.
//!
//! The name of the pack and the place of every body are known as soon as it is added, so that rows can hold references to
//! bodies of the same pack. Sealing happens in [`PackBuilder::put`], which consumes the builder: an attempt that failed
//! is built anew, under new ids, and nothing is ever sealed twice under one.

use std::marker::PhantomData;

use bytes::Bytes;

use crate::area::{
    ArchiveWriter, Area, BlobRef, InArchive, InArea, InDerived, InOriginal, InQuarantine, QuarantineWriter,
};
use crate::error::{Error, Result};
use crate::id::{BlobId, KeyId, PackName};
use crate::key::Secret;
use crate::pack::{self, PackEntry};
use crate::seal::{self, BlobCipher};
use crate::sealer::{Body, Piece, Sealer, Source};
use crate::storage::{Storage, pack_key};

/// A pack up to this size is sealed into one buffer.
const ONE_BUFFER: u64 = 8 << 20;
/// Size of the chunks of a larger one.
const CHUNK: u64 = 2 << 20;

/// The proof that a pack is durable. Only [`PackBuilder::put`] makes one, and [`Storage::pack_rows`] of a pack that it read
/// back: packs appear whole or not at all, so one that is there was put.
#[derive(Debug, PartialEq, Eq)]
pub struct Durable {
    pack: PackName,
    size: u64,
}

impl Durable {
    pub(crate) fn read_back(pack: PackName, size: u64) -> Self {
        Self { pack, size }
    }

    /// Returns the name of the pack.
    #[must_use]
    pub fn pack(&self) -> &PackName {
        &self.pack
    }

    /// Returns its size in the store.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }
}

/// A pack that is being put together.
pub struct PackBuilder {
    storage: Storage,
    name: PackName,
    entries: Vec<PackEntry>,
    sources: Vec<Source>,
    rows: Vec<(Area, KeyId, Secret, Vec<u8>)>,
    end: u64,
}

impl PackBuilder {
    /// Begins a pack and draws its name.
    ///
    /// # Errors
    /// When the machine has no randomness.
    pub fn new(storage: &Storage) -> Result<Self> {
        Ok(Self {
            storage: storage.clone(),
            name: storage.draw_name()?,
            entries: Vec::new(),
            sources: Vec::new(),
            rows: Vec::new(),
            end: pack::HEADER,
        })
    }

    /// Returns the name that the pack will have.
    #[must_use]
    pub fn name(&self) -> PackName {
        self.name
    }

    /// Returns how many bytes the bodies take so far, sealed.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.end
    }

    /// Returns whether neither body nor row was added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.rows.is_empty()
    }

    /// Adds a de-identified, checked object.
    ///
    /// # Errors
    /// When the key is not there or was destroyed, or the body is too large for the format.
    pub async fn add_archive(&mut self, _: &ArchiveWriter, key: &KeyId, body: Body) -> Result<BlobRef<InArchive>> {
        self.add(key, body).await
    }

    /// Adds an object as received that may not go on.
    ///
    /// # Errors
    /// As [`PackBuilder::add_archive`].
    pub async fn add_quarantine(
        &mut self,
        _: &QuarantineWriter,
        key: &KeyId,
        body: Body,
    ) -> Result<BlobRef<InQuarantine>> {
        self.add(key, body).await
    }

    /// Adds an object as received, kept beside the archive's.
    ///
    /// # Errors
    /// As [`PackBuilder::add_archive`].
    pub async fn add_original(&mut self, _: &QuarantineWriter, key: &KeyId, body: Body) -> Result<BlobRef<InOriginal>> {
        self.add(key, body).await
    }

    /// Adds what was made from archive objects.
    ///
    /// # Errors
    /// As [`PackBuilder::add_archive`].
    pub async fn add_derived(&mut self, key: &KeyId, body: Body) -> Result<BlobRef<InDerived>> {
        self.add(key, body).await
    }

    async fn add<A: InArea>(&mut self, key: &KeyId, body: Body) -> Result<BlobRef<A>> {
        let secret = self.storage.individual_key(key).await?;
        self.add_plain(A::AREA, *key, &secret, body)
            .map(|entry| self.reference(&entry))
    }

    /// Adds a body of another pack as it is sealed there, for compaction.
    ///
    /// # Errors
    /// When there are too many entries in this pack.
    pub fn add_copy<A: InArea>(&mut self, blob: &BlobRef<A>) -> Result<BlobRef<A>> {
        let entry = PackEntry {
            area: A::AREA,
            version: blob.version,
            blob_id: blob.blob_id,
            key_id: blob.key_id,
            offset: self.end,
            sealed_len: blob.sealed_len,
            plain_len: blob.plain_len,
        };
        let source = Source::Copy {
            backend: self.storage.packs().clone(),
            key: pack_key(&blob.pack),
            from: blob.offset,
            sealed_len: blob.sealed_len,
        };
        self.push(entry, source)?;
        Ok(self.reference(&entry))
    }

    /// Adds the record of one object, sealed under its Individual's key.
    ///
    /// # Errors
    /// When the key is not there or was destroyed.
    pub async fn add_row(&mut self, key: &KeyId, record: Vec<u8>) -> Result<()> {
        let secret = self.storage.individual_key(key).await?;
        self.rows.push((Area::Rows, *key, secret, record));
        Ok(())
    }

    /// Adds a record that belongs to no Individual: a collection, a release.
    pub fn add_system_row(&mut self, record: Vec<u8>) {
        let secret = self.storage.system_rows().clone();
        self.rows.push((Area::System, KeyId::SYSTEM, secret, record));
    }

    fn add_plain(&mut self, area: Area, key_id: KeyId, secret: &Secret, body: Body) -> Result<PackEntry> {
        let plain_len = body.iter().map(Piece::len).sum();
        let entry = PackEntry {
            area,
            version: seal::VERSION,
            blob_id: BlobId::draw()?,
            key_id,
            offset: self.end,
            sealed_len: seal::sealed_len(plain_len)?,
            plain_len,
        };
        let cipher = Box::new(BlobCipher::new(secret, area, entry.blob_id, key_id, plain_len)?);
        self.push(entry, Source::Plain { cipher, body })?;
        Ok(entry)
    }

    fn push(&mut self, entry: PackEntry, source: Source) -> Result<()> {
        if self.entries.len() as u64 >= pack::ENTRIES {
            return Err(Error::Internal("a pack with too many entries"));
        }
        self.end = entry.end();
        self.entries.push(entry);
        self.sources.push(source);
        Ok(())
    }

    fn reference<A>(&self, entry: &PackEntry) -> BlobRef<A> {
        BlobRef {
            blob_id: entry.blob_id,
            key_id: entry.key_id,
            pack: self.name,
            offset: entry.offset,
            sealed_len: entry.sealed_len,
            plain_len: entry.plain_len,
            version: entry.version,
            area: PhantomData,
        }
    }

    /// Seals everything and puts the pack: one put, durable when this returns.
    ///
    /// If the task is dropped meanwhile, the pack is either not there or whole; a whole one is found by its rows.
    ///
    /// # Errors
    /// [`Error::NoSpace`], [`Error::Unavailable`], or [`Error::Staged`] where staged bytes are gone. Nothing is then
    /// visible under the pack's name, save in a store whose answer was lost.
    pub async fn put(mut self) -> Result<Durable> {
        for (area, key_id, secret, record) in std::mem::take(&mut self.rows) {
            self.add_plain(area, key_id, &secret, vec![Piece::Bytes(Bytes::from(record))])?;
        }
        let size = pack::len(self.end, self.entries.len() as u64);
        debug_assert_eq!(Sealer::sealed_len(&self.sources).ok(), Some(self.end - pack::HEADER));
        let head = pack::header(&self.name, size);
        let tail = pack::index_and_trailer(self.storage.index_key(), &self.name, self.end, &self.entries);
        let chunk = if size <= ONE_BUFFER { size } else { CHUNK };
        let mut sealer = Sealer::new(head, self.sources, tail, chunk, self.storage.seal_pool());
        let (packs, plan) = (self.storage.packs(), self.storage.plan());
        packs
            .put(pack_key(&self.name), size, Box::new(move || sealer.next()), Some(plan))
            .await?;
        Ok(Durable { pack: self.name, size })
    }
}
