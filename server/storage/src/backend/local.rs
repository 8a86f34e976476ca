//! A local folder.
//!
//! ```text
//! ROOT/packs/2026-11-20T14/<name>     one folder an hour
//! ROOT/temporary/<process>.lock       held locked while the process lives
//! ROOT/temporary/<process>/<number>   files that are being written
//! ```
//!
//! A put writes under a temporary name, flushes the file (fdatasync), renames it and flushes the folder (fsync): two
//! flushes, and no fewer is honest: without the first the name could survive without the bytes, without the second the
//! bytes without the name. The first put of an hour also flushes the folder above the new one. A flush that failed is
//! never tried again on the same file: the kernel may have dropped the pages and say yes the second time.
//!
//! What a process left behind when it was killed is swept when the next one opens the folder: its lock is free then. A
//! process that lives keeps its lock, so a command beside a running server does not sweep the server's files.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;

use super::disk::Disk;
use super::{Chunks, Found, FreeSpace, pass};
use crate::error::{Error, Result};
use crate::fail::{Plan, Point};
use crate::id::random;

const TEMPORARY: &str = "temporary";
/// How many folders are remembered as made; only the present hour's matters.
const REMEMBERED: usize = 64;

#[derive(Debug)]
pub(crate) struct Local {
    root: PathBuf,
    disk: Arc<dyn Disk>,
    /// This process's own temporary folder.
    temporary: PathBuf,
    /// Held for as long as the process lives.
    _lock: File,
    next: AtomicU64,
    made: Mutex<HashSet<PathBuf>>,
}

impl Local {
    /// Opens a folder, makes it where it is missing, and sweeps what killed processes left in it.
    pub(crate) fn open(root: &Path, disk: Arc<dyn Disk>) -> Result<Self> {
        let root = std::path::absolute(root).map_err(Error::io)?;
        make_folders(disk.as_ref(), &root).map_err(Error::io)?;
        let temporaries = root.join(TEMPORARY);
        disk.make_folder(&temporaries).map_err(Error::io)?;
        sweep(&temporaries);
        let (temporary, lock) = own_temporary(&temporaries)?;
        Ok(Self {
            root,
            disk,
            temporary,
            _lock: lock,
            next: AtomicU64::new(0),
            made: Mutex::default(),
        })
    }

    fn path(&self, key: &str) -> PathBuf {
        self.root.join(key)
    }

    /// Makes the folder of a file, durably. The first time in this process it is flushed even where it exists: another
    /// process may have made it and died before it flushed.
    fn folder_of<'a>(&self, path: &'a Path) -> Result<&'a Path> {
        let folder = path.parent().ok_or(Error::Internal("a key without a folder"))?;
        if !self.made.lock().contains(folder) {
            let inside = folder
                .strip_prefix(&self.root)
                .map_err(|_| Error::Internal("a key outside its folder"))?;
            let mut at = self.root.clone();
            for part in inside.components() {
                let above = at.clone();
                at.push(part);
                self.disk
                    .make_folder(&at)
                    .and_then(|()| self.disk.sync_folder(&above))
                    .map_err(Error::io)?;
            }
            let mut made = self.made.lock();
            if made.len() >= REMEMBERED {
                made.clear();
            }
            made.insert(folder.to_owned());
        }
        Ok(folder)
    }

    /// Writes an object and makes it durable under its key.
    pub(crate) fn put(&self, key: &str, mut chunks: Chunks, plan: Option<&Plan>) -> Result<()> {
        let path = self.path(key);
        let folder = self.folder_of(&path)?;
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let temporary = self.temporary.join(number.to_string());
        let mut unfinished = Unfinished {
            disk: self.disk.as_ref(),
            path: &temporary,
        };
        let mut file = self.disk.create_new(&temporary).map_err(Error::io)?;
        while let Some(chunk) = chunks()? {
            file.write_all(&chunk).map_err(Error::io)?;
        }
        pass(plan, Point::BeforeFlush)?;
        file.sync().map_err(Error::io)?;
        pass(plan, Point::BeforeRename)?;
        self.disk.rename(&temporary, &path).map_err(Error::io)?;
        unfinished.path = &path;
        pass(plan, Point::BeforeFolderFlush)?;
        self.disk.sync_folder(folder).map_err(Error::io)?;
        std::mem::forget(unfinished);
        Ok(())
    }

    /// Reads a range; fewer bytes come where the file ends before it.
    pub(crate) fn read(&self, key: &str, range: Range<u64>) -> Result<Found<BytesMut>> {
        let file = match File::open(self.path(key)) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
            Err(e) => return Err(Error::io(e)),
        };
        let want = range.end.saturating_sub(range.start);
        // no more memory than the file can fill, whatever a damaged row asks for
        let want = if want > 1 << 20 {
            let len = file.metadata().map_err(Error::io)?.len();
            want.min(len.saturating_sub(range.start))
        } else {
            want
        };
        let want = usize::try_from(want).map_err(|_| Error::Internal("a range larger than memory"))?;
        let mut bytes = BytesMut::zeroed(want);
        let mut filled = 0;
        while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match file.read_at(rest, range.start.saturating_add(filled as u64)) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(Error::io(e)),
            }
        }
        bytes.truncate(filled);
        Ok(Found::Some(bytes))
    }

    /// Returns the length of a file.
    pub(crate) fn len(&self, key: &str) -> Result<Found<u64>> {
        match std::fs::metadata(self.path(key)) {
            Ok(facts) => Ok(Found::Some(facts.len())),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Found::Nothing),
            Err(e) => Err(Error::io(e)),
        }
    }

    /// Deletes a file durably.
    pub(crate) fn delete(&self, key: &str) -> Result<()> {
        let path = self.path(key);
        match self.disk.remove(&path) {
            Ok(()) => {}
            // a folder that is not there holds no such file either
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(Error::io(e)),
        }
        path.parent()
            .map_or(Ok(()), |folder| self.disk.sync_folder(folder))
            .map_err(Error::io)
    }

    /// Puts other bytes in a file's place and writes zeros over those that were there.
    ///
    /// The zeros reach the blocks on a disk that writes in place. A copy-on-write file system, a snapshot or flash may
    /// keep the old ones for a while; what lies there is still wrapped.
    pub(crate) fn replace_and_wipe(&self, key: &str, bytes: Vec<u8>) -> Result<()> {
        let path = self.path(key);
        let old = match self.disk.open_to_wipe(&path) {
            Ok(file) => {
                let len = std::fs::metadata(&path).map_err(Error::io)?.len();
                Some((file, usize::try_from(len).unwrap_or(0).min(1 << 16)))
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(e) => return Err(Error::io(e)),
        };
        let mut bytes = Some(Bytes::from(bytes));
        self.put(key, Box::new(move || Ok(bytes.take())), None)?;
        // only now, so that a crash before this line leaves either the old entry or the new one
        if let Some((mut file, len)) = old {
            file.write_all(&vec![0; len])
                .and_then(|()| file.sync())
                .map_err(Error::io)?;
        }
        Ok(())
    }

    /// Returns the names in a folder, in order: those of folders, or those of files.
    pub(crate) fn names(&self, folder: &str, folders: bool) -> Result<Vec<String>> {
        let entries = match std::fs::read_dir(self.path(folder)) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(Error::io(e)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(Error::io)?;
            if entry.file_type().map_err(Error::io)?.is_dir() == folders
                && let Ok(name) = entry.file_name().into_string()
            {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Returns what the file system has left for us.
    pub(crate) fn free_space(&self) -> Result<FreeSpace> {
        let facts = rustix::fs::statvfs(&self.root).map_err(|e| Error::io(e.into()))?;
        let bytes = |blocks: u64| blocks.saturating_mul(facts.f_frsize);
        Ok(FreeSpace {
            available: bytes(facts.f_bavail),
            total: bytes(facts.f_blocks),
        })
    }

    /// Asks whether the folder is still there.
    pub(crate) fn ready(&self) -> Result<()> {
        // a disk that was unmounted leaves an empty mount point: our own lock tells the two apart
        std::fs::metadata(&self.temporary).map(|_| ()).map_err(Error::io)
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        // best effort: what stays is swept by the next process
        let _ = std::fs::remove_dir_all(&self.temporary);
        let _ = std::fs::remove_file(self.temporary.with_extension("lock"));
    }
}

/// Takes away what was not finished, under whichever name it has then.
struct Unfinished<'a> {
    disk: &'a dyn Disk,
    path: &'a Path,
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        // no flush: nobody was told that it is there
        let _ = self.disk.remove(self.path);
    }
}

/// Makes a folder and all above it, each flushed into the one above.
fn make_folders(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let Some(above) = path.parent() else {
        return disk.make_folder(path);
    };
    make_folders(disk, above)?;
    disk.make_folder(path)?;
    disk.sync_folder(above)
}

/// Makes this process's temporary folder, under a lock that others can see.
fn own_temporary(temporaries: &Path) -> Result<(PathBuf, File)> {
    for _ in 0..16 {
        let mut name = [0; 8];
        random(&mut name)?;
        let folder = temporaries.join(hex::encode(name));
        let lock_path = folder.with_extension("lock");
        let lock = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&lock_path)
            .map_err(Error::io)?;
        // between the two lines above and below another process may have swept our lock: look whether it is still ours
        let locked = lock.try_lock().is_ok();
        let ours = lock.metadata().map_err(Error::io)?.ino();
        if locked && std::fs::metadata(&lock_path).is_ok_and(|found| found.ino() == ours) {
            std::fs::create_dir(&folder).map_err(Error::io)?;
            return Ok((folder, lock));
        }
    }
    Err(Error::Internal("no temporary folder could be locked"))
}

/// Removes the temporary folders of processes that are gone.
fn sweep(temporaries: &Path) {
    let Ok(entries) = std::fs::read_dir(temporaries) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.extension().is_none_or(|extension| extension != "lock") {
            continue;
        }
        let gone = File::open(&path).is_ok_and(|lock| {
            // the lock is held while we remove, so that two sweepers do not meet
            lock.try_lock().is_ok() && {
                let swept = std::fs::remove_dir_all(path.with_extension(""));
                swept.is_ok() || swept.is_err_and(|e| e.kind() == io::ErrorKind::NotFound)
            }
        });
        if gone && std::fs::remove_file(&path).is_ok() {
            tracing::info!("swept the temporary files of a process that is gone");
        }
    }
}
