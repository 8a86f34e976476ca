//! Reads a pack from itself alone: its index, its rows, and whether every byte is as it was written.

use std::ops::Range;

use bytes::BytesMut;

use crate::backend::Found;
use crate::builder::Durable;
use crate::error::{Damage, Error, Result};
use crate::id::{BlobId, PackName};
use crate::pack::{self, PackEntry, Trailer};
use crate::seal::{self, BlobCipher, SEGMENT, Window};
use crate::storage::{Storage, pack_key};

/// How much is read from the end at first: index and rows of a common pack in one go.
const TAIL: u64 = 256 << 10;
/// Bytes of rows that are read at once.
const ROWS: u64 = 16 << 20;
/// Plain bytes that are checked at once.
const PIECE: u64 = 64 * SEGMENT;

/// The records that a pack carries.
#[derive(Debug, PartialEq, Eq)]
pub struct PackRows {
    /// The proof that this pack is durable: it was read back from the store. What replays its rows shows it.
    pub durable: Durable,
    /// The records, opened, in the order in which they were added.
    pub rows: Vec<Vec<u8>>,
    /// How many more there were, whose key was destroyed.
    pub destroyed: usize,
}

/// Damage found in a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finding {
    /// The entry, where the damage is inside one.
    pub blob: Option<BlobId>,
    /// What was found.
    pub damage: Damage,
}

/// What checking a pack found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackReport {
    /// The pack.
    pub pack: PackName,
    /// Its size in the store.
    pub size: u64,
    /// How many entries its index names, rows included.
    pub entries: usize,
    /// How many of them could not be checked, because their key was destroyed.
    pub destroyed: usize,
    /// Everything that is wrong; of each entry the first fault.
    pub damage: Vec<Finding>,
}

impl PackReport {
    /// Returns whether nothing is wrong.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.damage.is_empty()
    }
}

/// A pack's index, and the end of the pack that was read for it.
struct Index {
    size: u64,
    entries: Vec<PackEntry>,
    tail: BytesMut,
}

impl Storage {
    /// Opens the records of a pack. A record that is damaged is an error: `check` says what else is.
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::Missing`], [`Error::KeyMissing`], [`Error::Unavailable`].
    pub async fn pack_rows(&self, name: &PackName) -> Result<PackRows> {
        let Index { size, entries, tail } = self.index(name).await?;
        let durable = Durable::read_back(*name, size);
        let mut found = PackRows {
            durable,
            rows: Vec::new(),
            destroyed: 0,
        };
        // what lies in memory, and where in the pack it begins
        let mut held_from = size - tail.len() as u64;
        let mut held = tail;
        let rows: Vec<PackEntry> = entries.into_iter().filter(|entry| entry.area.is_row()).collect();
        let end = rows.last().map_or(0, PackEntry::end);
        for row in rows {
            let secret = match self.entry_key(&row.key_id).await {
                Ok(secret) => secret,
                Err(Error::KeyDestroyed { .. }) => {
                    found.destroyed += 1;
                    continue;
                }
                Err(e) => return Err(e),
            };
            let corrupt = |damage| Error::Corrupt {
                pack: *name,
                blob: Some(row.blob_id),
                damage,
            };
            if row.offset < held_from || row.end() > held_from + held.len() as u64 {
                let wanted = row.offset..row.end().max(end.min(row.offset + ROWS));
                held_from = wanted.start;
                held = self.bytes(name, wanted).await?;
            }
            let at = |offset: u64| usize::try_from(offset - held_from).ok();
            let sealed = at(row.offset)
                .zip(at(row.end()))
                .and_then(|(from, to)| held.get_mut(from..to));
            let sealed = sealed.ok_or_else(|| corrupt(Damage::CutOff))?;
            let cipher = BlobCipher::new(&secret, row.area, row.blob_id, row.key_id, row.plain_len)?;
            let window = Window::of(row.plain_len, &(0..row.plain_len))?;
            let len = cipher.open_window(&window, sealed).map_err(corrupt)?;
            found.rows.push(sealed.get(..len).unwrap_or_default().to_vec());
        }
        Ok(found)
    }

    /// Returns the entries of a pack, as its index names them: what compaction and erasure go by.
    ///
    /// # Errors
    /// As [`Storage::pack_rows`].
    pub async fn pack_entries(&self, name: &PackName) -> Result<Vec<PackEntry>> {
        self.index(name).await.map(|index| index.entries)
    }

    /// Checks every byte of a pack, with flat memory. Damage is a finding; only what hinders the check is an error.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::KeyMissing`], [`Error::KeyCorrupt`], [`Error::Unavailable`].
    pub async fn check(&self, name: &PackName) -> Result<PackReport> {
        let size = self.size(name).await?;
        let mut report = PackReport {
            pack: *name,
            size,
            entries: 0,
            destroyed: 0,
            damage: Vec::new(),
        };
        let index = match self.index(name).await {
            Ok(index) => index,
            Err(Error::Corrupt { blob, damage, .. }) => {
                report.damage.push(Finding { blob, damage });
                return Ok(report);
            }
            Err(e) => return Err(e),
        };
        report.entries = index.entries.len();
        // the checksum proved name and length, so the whole header is known
        if *self.bytes(name, 0..pack::HEADER).await? != *pack::header(name, size) {
            report.damage.push(Finding {
                blob: None,
                damage: Damage::PackHeader,
            });
        }
        for entry in index.entries {
            match self.check_entry(name, &entry).await {
                Ok(None) => {}
                Ok(Some(damage)) => report.damage.push(Finding {
                    blob: Some(entry.blob_id),
                    damage,
                }),
                Err(Error::KeyDestroyed { .. }) => report.destroyed += 1,
                Err(e) => return Err(e),
            }
        }
        Ok(report)
    }

    async fn check_entry(&self, name: &PackName, entry: &PackEntry) -> Result<Option<Damage>> {
        let secret = self.entry_key(&entry.key_id).await?;
        let mut start = 0;
        loop {
            let range = start..(start + PIECE).min(entry.plain_len);
            let window = Window::of(entry.plain_len, &range)?;
            let cipher = BlobCipher::new(&secret, entry.area, entry.blob_id, entry.key_id, entry.plain_len)?;
            let place = entry.offset + window.sealed.start..entry.offset + window.sealed.end;
            let opened = self.packs().read(pack_key(name), place, move |mut bytes| {
                Ok(cipher.open_window(&window, &mut bytes).err())
            });
            match opened.await? {
                Found::Nothing => return Err(Error::Missing { pack: *name }),
                Found::Some(Some(damage)) => return Ok(Some(damage)),
                Found::Some(None) => {}
            }
            start = range.end;
            if start >= entry.plain_len {
                return Ok(None);
            }
        }
    }

    async fn size(&self, name: &PackName) -> Result<u64> {
        match self.packs().len(pack_key(name)).await? {
            Found::Some(size) => Ok(size),
            Found::Nothing => Err(Error::Missing { pack: *name }),
        }
    }

    async fn bytes(&self, name: &PackName, range: Range<u64>) -> Result<BytesMut> {
        let wanted = range.end - range.start;
        match self.packs().read(pack_key(name), range, Ok).await? {
            Found::Some(bytes) if bytes.len() as u64 == wanted => Ok(bytes),
            Found::Some(_) => Err(Error::Corrupt {
                pack: *name,
                blob: None,
                damage: Damage::CutOff,
            }),
            Found::Nothing => Err(Error::Missing { pack: *name }),
        }
    }

    /// Reads the index from the end of the pack.
    async fn index(&self, name: &PackName) -> Result<Index> {
        let size = self.size(name).await?;
        match self.read_index(name, size).await {
            Err(Error::Corrupt { damage, .. }) => {
                // A pack that was cut has no trailer where one is looked for; its header says how long it was.
                let head = self.bytes(name, 0..pack::HEADER.min(size)).await?;
                if let Some(version) = head.get(8).copied().filter(|&version| version > pack::VERSION)
                    && head.starts_with(b"ISOPACK\0")
                {
                    return Err(Error::UnknownVersion { pack: *name, version });
                }
                let damage = pack::blame(&head, name, size, damage);
                Err(Error::Corrupt {
                    pack: *name,
                    blob: None,
                    damage,
                })
            }
            read => read,
        }
    }

    async fn read_index(&self, name: &PackName, size: u64) -> Result<Index> {
        let corrupt = |damage| Error::Corrupt {
            pack: *name,
            blob: None,
            damage,
        };
        let mut tail = self.bytes(name, size.saturating_sub(TAIL)..size).await?;
        let trailer = Trailer::read(&tail, size).map_err(corrupt)?;
        let index = trailer.index_offset..size - pack::TRAILER;
        if index.start < size - tail.len() as u64 {
            tail = self.bytes(name, index.start..size).await?;
        }
        let from = usize::try_from(index.start - (size - tail.len() as u64)).unwrap_or(usize::MAX);
        let to = tail.len().saturating_sub(pack::TRAILER as usize);
        let bytes = tail.get(from..to).ok_or_else(|| corrupt(Damage::Index))?;
        let entries = trailer.entries(self.index_key(), name, bytes).map_err(corrupt)?;
        if let Some(entry) = entries.iter().find(|entry| entry.version != seal::VERSION) {
            return Err(Error::UnknownVersion {
                pack: *name,
                version: entry.version,
            });
        }
        Ok(Index { size, entries, tail })
    }
}
