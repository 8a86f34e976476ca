//! A sealed temporary file: where an object is staged that memory has no room for.
//!
//! The file has no name (it is unlinked as soon as it is open), so nothing is left of it after a crash; its bytes are
//! AES-256-GCM under a key that was drawn for this file and lives in memory only, so nothing can be read from the disk
//! either. Ciphertext lies in the file as the plain bytes would, segment behind segment; the tags are kept in memory
//! (16 bytes a 64 KiB). It is never flushed: what is staged is not yet anybody's promise.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use aes_gcm::aead::KeyInit;
use aes_gcm::{AeadInOut, Aes256Gcm};
use isocenter_model::part10::ByteSource;
use parking_lot::Mutex;
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::id::random;
use crate::key::Secret;

const SEGMENT: usize = 65_536;

/// A temporary file that is being filled.
pub struct Spill {
    sealed: Sealed,
    /// Plain bytes that do not fill a segment yet.
    rest: Zeroizing<Vec<u8>>,
}

struct Sealed {
    file: File,
    cipher: Aes256Gcm,
    tags: Vec<[u8; 16]>,
    len: u64,
}

impl std::fmt::Debug for Spill {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Spill({} bytes)", self.len())
    }
}

fn nonce(index: u64) -> [u8; 12] {
    let mut nonce = [0; 12];
    for (to, from) in nonce.iter_mut().skip(4).zip(index.to_be_bytes()) {
        *to = from;
    }
    nonce
}

impl Spill {
    /// Makes a file in a folder of this machine.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create(folder: &Path) -> Result<Self> {
        let mut name = [0; 16];
        random(&mut name)?;
        let path = folder.join(format!("spill-{}", hex::encode(name)));
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(Error::io)?;
        std::fs::remove_file(&path).map_err(Error::io)?;
        let cipher = Aes256Gcm::new(Secret::draw()?.bytes().into());
        let rest = Zeroizing::new(Vec::with_capacity(SEGMENT));
        Ok(Self {
            sealed: Sealed {
                file,
                cipher,
                tags: Vec::new(),
                len: 0,
            },
            rest,
        })
    }

    /// Returns the number of bytes so far.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.sealed.len + self.rest.len() as u64
    }

    /// Returns whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds bytes. Seals and writes whole segments, some 0.1 ms each: on a runtime's thread add a few of them at a time.
    ///
    /// # Errors
    /// [`Error::NoSpace`] and others of the file system; the spill is then good for nothing but dropping.
    pub fn append(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let take = bytes.len().min(SEGMENT - self.rest.len());
            let (now, later) = bytes.split_at_checked(take).unwrap_or((bytes, &[]));
            self.rest.extend_from_slice(now);
            bytes = later;
            if self.rest.len() == SEGMENT {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        let sealed = &mut self.sealed;
        let index = sealed.tags.len() as u64;
        let tag = sealed
            .cipher
            .encrypt_inout_detached(&nonce(index).into(), &[], self.rest.as_mut_slice().into())
            .map_err(|_| Error::Internal("a staged segment cannot be sealed"))?;
        sealed.file.write_all_at(&self.rest, sealed.len).map_err(Error::io)?;
        sealed.tags.push(tag.into());
        sealed.len += self.rest.len() as u64;
        self.rest.clear();
        Ok(())
    }

    /// Ends the writing: from now on the bytes can be read, from any thread, until the last reader is gone.
    ///
    /// # Errors
    /// As [`Spill::append`].
    pub fn freeze(mut self) -> Result<Arc<dyn ByteSource>> {
        if !self.rest.is_empty() {
            self.flush()?;
        }
        Ok(Arc::new(Spilled {
            sealed: self.sealed,
            last: Mutex::new((u64::MAX, Zeroizing::new(Vec::new()))),
        }))
    }
}

/// A temporary file that is being read.
struct Spilled {
    sealed: Sealed,
    /// The segment opened last: a parser reads many small pieces one behind the other.
    last: Mutex<(u64, Zeroizing<Vec<u8>>)>,
}

impl Sealed {
    /// Opens a segment into `buf`, which has its length.
    fn open(&self, index: u64, buf: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buf, index * SEGMENT as u64)?;
        let damaged = || io::Error::new(io::ErrorKind::InvalidData, "a staged segment was altered");
        let tag = usize::try_from(index)
            .ok()
            .and_then(|index| self.tags.get(index))
            .ok_or_else(damaged)?;
        let opened = self
            .cipher
            .decrypt_inout_detached(&nonce(index).into(), &[], buf.into(), &(*tag).into());
        opened.map_err(|_| damaged())
    }

    fn segment_len(&self, index: u64) -> usize {
        // at most 65,536
        self.len.saturating_sub(index * SEGMENT as u64).min(SEGMENT as u64) as usize
    }
}

impl ByteSource for Spilled {
    fn len(&self) -> u64 {
        self.sealed.len
    }

    fn read_at(&self, offset: u64, mut buf: &mut [u8]) -> io::Result<()> {
        let end = offset.checked_add(buf.len() as u64);
        if end.is_none_or(|end| end > self.sealed.len) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut offset = offset;
        while !buf.is_empty() {
            let (index, skip) = (offset / SEGMENT as u64, (offset % SEGMENT as u64) as usize);
            let len = self.sealed.segment_len(index);
            let take = buf.len().min(len - skip);
            let (now, later) = buf.split_at_mut_checked(take).ok_or(io::ErrorKind::InvalidInput)?;
            if take == len {
                self.sealed.open(index, now)?;
            } else {
                let mut last = self.last.lock();
                if last.0 != index {
                    last.0 = u64::MAX;
                    last.1.resize(len, 0);
                    self.sealed.open(index, &mut last.1)?;
                    last.0 = index;
                }
                let found = last.1.get(skip..skip + take).ok_or(io::ErrorKind::UnexpectedEof)?;
                now.copy_from_slice(found);
            }
            buf = later;
            offset += take as u64;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn spilled(plain: &[u8], step: usize) -> (tempfile::TempDir, Arc<dyn ByteSource>) {
        let folder = tempfile::tempdir().unwrap();
        let mut spill = Spill::create(folder.path()).unwrap();
        for part in plain.chunks(step.max(1)) {
            spill.append(part).unwrap();
        }
        assert_eq!(spill.len(), plain.len() as u64);
        (folder, spill.freeze().unwrap())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn any_range_reads_back(len in 0_usize..300_000, step in 1_usize..200_000, at in 0_usize..300_000, take in 0_usize..300_000) {
            let plain: Vec<u8> = (0..len).map(|i| (i * 31 + i / 251) as u8).collect();
            let (_folder, source) = spilled(&plain, step);
            let at = at.min(len);
            let take = take.min(len - at);
            let mut buf = vec![0; take];
            source.read_at(at as u64, &mut buf).unwrap();
            prop_assert!(buf == plain[at..at + take]);
            prop_assert!(source.read_at(at as u64, &mut vec![0; len - at + 1]).is_err());
            prop_assert!(source.read_at(u64::MAX, &mut [0; 1]).is_err());
        }
    }

    #[test]
    fn the_file_has_no_name_and_no_plain_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let mut spill = Spill::create(folder.path()).unwrap();
        spill.append(&[0x5A; 200_000]).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        let mut on_disk = vec![0; 131_072];
        spill.sealed.file.read_exact_at(&mut on_disk, 0).unwrap();
        assert!(!on_disk.windows(4).any(|four| four == [0x5A; 4]));
    }

    #[test]
    fn an_altered_segment_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let mut spill = Spill::create(folder.path()).unwrap();
        spill.append(&[1; 100_000]).unwrap();
        spill.sealed.file.write_all_at(&[7], 10).unwrap();
        let source = spill.freeze().unwrap();
        assert_eq!(
            source.read_at(5, &mut [0; 2]).unwrap_err().kind(),
            io::ErrorKind::InvalidData
        );
        assert!(source.read_at(70_000, &mut [0; 2]).is_ok());
    }

    #[test]
    fn many_threads_read_at_once() {
        let plain: Vec<u8> = (0..300_000).map(|i| (i % 253) as u8).collect();
        let (_folder, source) = spilled(&plain, 10_000);
        std::thread::scope(|scope| {
            for thread in 0..4_usize {
                let (source, plain) = (&source, &plain);
                scope.spawn(move || {
                    for i in 0..50 {
                        let at = (thread * 77_777 + i * 4_999) % 299_000;
                        let mut buf = [0; 1000];
                        source.read_at(at as u64, &mut buf).unwrap();
                        assert_eq!(buf[..], plain[at..at + 1000]);
                    }
                });
            }
        });
    }
}
