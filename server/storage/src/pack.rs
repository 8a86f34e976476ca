//! The file format of a pack.
//!
//! ```text
//! ┌──────────────┬─────────────┬─────┬─────────────┬──────┬─────┬──────┬─────────────┬──────────┐
//! │ pack header  │ sealed body │ ... │ sealed body │ row  │ ... │ row  │ index       │ trailer  │
//! │ 40 bytes     │             │     │             │      │     │      │ 64 an entry │ 56 bytes │
//! └──────────────┴─────────────┴─────┴─────────────┴──────┴─────┴──────┴─────────────┴──────────┘
//!
//! pack header   "ISOPACK\0" · version 1 · zero 7 · pack name 16 · length of the pack 8
//! index entry   area 1 · version 1 · zero 6 · blob id 16 · key id 16 · offset 8 · sealed length 8 · plain length 8
//! trailer       offset of the index 8 · number of entries 4 · zero 4 · keyed checksum 32 · "ISOPEND\0"
//! ```
//!
//! Numbers are big endian; what is reserved is zero. Bodies and rows are sealed as
//! [`seal`](crate::seal) describes; rows come last, so that one read from the end brings index and rows. The index is in
//! clear: it holds ids, lengths and areas, and whoever may list the store may see those. Its checksum is HMAC-SHA-256 over
//! pack header, index and the trailer's numbers under a key derived from the system key, so an entry can neither be
//! changed nor dropped, nor a pack be renamed, cut or grown, without notice. No entry depends on its place: compaction can
//! copy it to another pack as it is.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::area::Area;
use crate::error::Damage;
use crate::id::{BlobId, KeyId, PackName};
use crate::key::Secret;
use crate::seal;

/// Version of the pack format.
pub(crate) const VERSION: u8 = 1;
/// Bytes of the pack header.
pub(crate) const HEADER: u64 = 40;
/// Bytes of one index entry.
pub(crate) const INDEX_ENTRY: u64 = 64;
/// How many entries a pack may have: what a reader must hold in memory.
pub(crate) const ENTRIES: u64 = 1 << 20;
/// Bytes of the trailer.
pub(crate) const TRAILER: u64 = 56;

const MAGIC: &[u8; 8] = b"ISOPACK\0";
const END: &[u8; 8] = b"ISOPEND\0";

/// One entry of a pack's index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PackEntry {
    /// What the entry is for.
    pub area: Area,
    /// Version of its sealed form.
    pub version: u8,
    /// Its id.
    pub blob_id: BlobId,
    /// The key that it is sealed under.
    pub key_id: KeyId,
    /// Where it begins.
    pub offset: u64,
    /// Its length in the pack.
    pub sealed_len: u64,
    /// Its length when opened.
    pub plain_len: u64,
}

impl PackEntry {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[self.area.code(), self.version, 0, 0, 0, 0, 0, 0]);
        out.extend_from_slice(self.blob_id.as_bytes());
        out.extend_from_slice(self.key_id.as_bytes());
        for number in [self.offset, self.sealed_len, self.plain_len] {
            out.extend_from_slice(&number.to_be_bytes());
        }
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let mut bytes = Reader(bytes);
        let [area, version, ..] = bytes.take::<8>()?;
        Some(Self {
            area: Area::from_code(area)?,
            version,
            blob_id: BlobId::from_bytes(bytes.take()?),
            key_id: KeyId::from_bytes(bytes.take()?),
            offset: u64::from_be_bytes(bytes.take()?),
            sealed_len: u64::from_be_bytes(bytes.take()?),
            plain_len: u64::from_be_bytes(bytes.take()?),
        })
    }

    /// Returns where the entry ends.
    pub(crate) fn end(&self) -> u64 {
        self.offset.saturating_add(self.sealed_len)
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }
}

/// Returns the length of a pack whose entries end at `index_offset`.
pub(crate) fn len(index_offset: u64, entries: u64) -> u64 {
    index_offset + entries * INDEX_ENTRY + TRAILER
}

/// Returns the header of a pack of this name and length.
pub(crate) fn header(name: &PackName, len: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER as usize);
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&[VERSION, 0, 0, 0, 0, 0, 0, 0]);
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(&len.to_be_bytes());
    out
}

fn checksum(key: &Secret, name: &PackName, len: u64, index: &[u8], numbers: &[u8]) -> Hmac<Sha256> {
    // RFC 2104: a key shorter than a block is filled up with zeros
    let mut block = Zeroizing::new([0; 64]);
    for (to, from) in block.iter_mut().zip(key.bytes()) {
        *to = *from;
    }
    let mut mac = <Hmac<Sha256> as KeyInit>::new((&*block).into());
    mac.update(&header(name, len));
    mac.update(index);
    mac.update(numbers);
    mac
}

/// Returns what stands behind the last entry: index and trailer.
pub(crate) fn index_and_trailer(key: &Secret, name: &PackName, index_offset: u64, entries: &[PackEntry]) -> Vec<u8> {
    let count = entries.len() as u64;
    let mut out = Vec::with_capacity((count * INDEX_ENTRY + TRAILER) as usize);
    for entry in entries {
        entry.write(&mut out);
    }
    let mut numbers = [0; 16];
    // more entries than 32 bits count are refused when they are added
    let count32 = u32::try_from(count).unwrap_or(u32::MAX).to_be_bytes();
    for (to, from) in numbers
        .iter_mut()
        .zip(index_offset.to_be_bytes().into_iter().chain(count32))
    {
        *to = from;
    }
    let mac = checksum(key, name, len(index_offset, count), &out, &numbers);
    out.extend_from_slice(&numbers);
    out.extend_from_slice(&mac.finalize().into_bytes());
    out.extend_from_slice(END);
    out
}

/// What the last 56 bytes of a pack say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Trailer {
    pub(crate) index_offset: u64,
    pub(crate) count: u64,
    numbers: [u8; 16],
    mac: [u8; 32],
}

impl Trailer {
    /// Reads the trailer from the end of `tail`, of a file with `size` bytes.
    pub(crate) fn read(tail: &[u8], size: u64) -> Result<Self, Damage> {
        let bytes = tail.last_chunk::<{ TRAILER as usize }>().ok_or(Damage::CutOff)?;
        let mut bytes = Reader(bytes);
        let mut trailer = || {
            let numbers: [u8; 16] = bytes.take()?;
            let mac = bytes.take()?;
            if &bytes.take::<8>()? != END {
                return None;
            }
            let mut fields = Reader(&numbers);
            let index_offset = u64::from_be_bytes(fields.take()?);
            let count = u64::from(u32::from_be_bytes(fields.take()?));
            let fits = index_offset >= HEADER
                && count <= ENTRIES
                && index_offset
                    .checked_add(count * INDEX_ENTRY + TRAILER)
                    .is_some_and(|end| end == size);
            fits.then_some(Self {
                index_offset,
                count,
                numbers,
                mac,
            })
        };
        trailer().ok_or(Damage::Index)
    }

    /// Reads the index, which must be whole and as it was written.
    pub(crate) fn entries(&self, key: &Secret, name: &PackName, index: &[u8]) -> Result<Vec<PackEntry>, Damage> {
        if index.len() as u64 != self.count * INDEX_ENTRY {
            return Err(Damage::CutOff);
        }
        checksum(key, name, len(self.index_offset, self.count), index, &self.numbers)
            .verify_slice(&self.mac)
            .map_err(|_| Damage::Index)?;
        let mut entries = Vec::with_capacity(self.count as usize);
        let mut at = HEADER;
        for bytes in index.chunks_exact(INDEX_ENTRY as usize) {
            let entry = PackEntry::read(bytes).ok_or(Damage::Index)?;
            // entries lie one behind the other; their lengths follow from one another
            let fits = entry.offset == at
                && seal::sealed_len(entry.plain_len).is_ok_and(|len| len == entry.sealed_len)
                && entry.end() <= self.index_offset;
            if !fits {
                return Err(Damage::Index);
            }
            at = entry.end();
            entries.push(entry);
        }
        if at == self.index_offset {
            Ok(entries)
        } else {
            Err(Damage::Index)
        }
    }
}

/// Tells why a trailer or index cannot be read, from the pack header and the size of the file.
pub(crate) fn blame(head: &[u8], name: &PackName, size: u64, found: Damage) -> Damage {
    let mut head = Reader(head);
    let mut claimed = || {
        let (magic, _version) = (head.take::<8>()?, head.take::<8>()?);
        let named = head.take::<16>()?;
        (&magic == MAGIC && &named == name.as_bytes()).then_some(())?;
        head.take::<8>().map(u64::from_be_bytes)
    };
    match claimed() {
        _ if size < HEADER + TRAILER => Damage::CutOff,
        Some(len) if size < len => Damage::CutOff,
        Some(len) if size > len => Damage::Grown,
        Some(_) => found,
        None => Damage::PackHeader,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries() -> Vec<PackEntry> {
        let mut at = HEADER;
        [
            (Area::Archive, 0_u64),
            (Area::Quarantine, 100_000),
            (Area::Rows, 65_536),
            (Area::System, 9),
        ]
        .into_iter()
        .map(|(area, plain_len)| {
            let sealed_len = seal::sealed_len(plain_len).unwrap();
            let entry = PackEntry {
                area,
                version: 1,
                blob_id: BlobId::from_bytes([area.code(); 16]),
                key_id: KeyId::from_bytes([9; 16]),
                offset: at,
                sealed_len,
                plain_len,
            };
            at += sealed_len;
            entry
        })
        .collect()
    }

    #[test]
    fn an_index_reads_back_and_no_byte_of_it_may_change() {
        let (key, name, entries) = (Secret::draw().unwrap(), PackName::from_bytes([5; 16]), entries());
        let index_offset = entries.last().unwrap().end();
        let good = index_and_trailer(&key, &name, index_offset, &entries);
        let size = index_offset + good.len() as u64;
        let read = |bytes: &[u8], name: &PackName, size| {
            let trailer = Trailer::read(bytes, size)?;
            trailer.entries(&key, name, &bytes[..bytes.len() - TRAILER as usize])
        };
        assert_eq!(read(&good, &name, size), Ok(entries));
        assert_eq!(
            read(&good, &PackName::from_bytes([6; 16]), size),
            Err(Damage::Index),
            "renamed"
        );
        for at in 0..good.len() {
            let mut bent = good.clone();
            bent[at] ^= 0x40;
            assert_eq!(read(&bent, &name, size), Err(Damage::Index), "byte {at}");
        }
        assert_eq!(read(&good[64..], &name, size), Err(Damage::CutOff));
    }

    #[test]
    fn cut_grown_and_renamed_packs_are_told_apart() {
        let name = PackName::from_bytes([5; 16]);
        let head = header(&name, 1000);
        assert_eq!(head.len() as u64, HEADER);
        assert_eq!(blame(&head, &name, 999, Damage::Index), Damage::CutOff);
        assert_eq!(blame(&head, &name, 1001, Damage::Index), Damage::Grown);
        assert_eq!(blame(&head, &name, 1000, Damage::Index), Damage::Index);
        assert_eq!(
            blame(&head, &PackName::from_bytes([6; 16]), 1000, Damage::Index),
            Damage::PackHeader
        );
        assert_eq!(blame(&head[..7], &name, 7, Damage::Index), Damage::CutOff);
    }
}
