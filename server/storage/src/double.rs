//! Doubles for tests: a disk that forgets what was not flushed, and a store in memory.
//!
//! [`ForgetfulDisk`] stands under the real local backend and writes to a real folder, so everything reads back as usual.
//! It keeps account of what was flushed, and [`ForgetfulDisk::crash`] then leaves of the folder exactly what a power cut
//! might leave at worst: files as long as they were flushed, under the names whose folder was flushed since.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use url::Url;

use crate::backend::disk::{Disk, DiskFile, RealDisk};
use crate::storage::StorageSettings;

/// A disk that forgets at a crash whatever was not flushed.
#[derive(Debug)]
pub struct ForgetfulDisk {
    root: PathBuf,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// What is under each name now, and what would be there after a crash.
    live: BTreeMap<PathBuf, u64>,
    durable: BTreeMap<PathBuf, u64>,
    durable_folders: BTreeSet<PathBuf>,
    /// Bytes of each file as last flushed.
    flushed: BTreeMap<u64, Vec<u8>>,
    next: u64,
    flushes: u64,
    /// Bytes that may still be written.
    room: Option<u64>,
    crashed: bool,
}

impl ForgetfulDisk {
    /// Stands over a folder; what is in it already counts as flushed.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn over(root: &Path) -> io::Result<Arc<Self>> {
        let root = std::path::absolute(root)?;
        let mut state = State::default();
        note(&mut state, &root)?;
        Ok(Arc::new(Self {
            root,
            state: Arc::new(Mutex::new(state)),
        }))
    }

    /// Lets only so many more bytes be written before the disk is full; `None` takes the limit away.
    pub fn limit(&self, bytes: Option<u64>) {
        self.state.lock().room = bytes;
    }

    /// Returns how many flushes there were, of files and folders.
    #[must_use]
    pub fn flushes(&self) -> u64 {
        self.state.lock().flushes
    }

    /// Cuts the power: every later change fails, and the folder is left as the disk would have it.
    ///
    /// # Errors
    /// When the folder cannot be rewritten.
    pub fn crash(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        state.crashed = true;
        match std::fs::remove_dir_all(&self.root) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        for folder in &state.durable_folders {
            // sorted, so a folder comes after the one above it; where that one was lost, so is this
            match std::fs::create_dir(folder) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
        }
        for (path, file) in &state.durable {
            let bytes = state.flushed.get(file).map_or(&[] as &[u8], Vec::as_slice);
            match std::fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(path)
            {
                Ok(mut file) => io::Write::write_all(&mut file, bytes)?,
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}

/// Takes account of what is in a folder.
fn note(state: &mut State, path: &Path) -> io::Result<()> {
    if !path.is_dir() {
        return Ok(());
    }
    state.durable_folders.insert(path.to_owned());
    for entry in std::fs::read_dir(path)? {
        let path = entry?.path();
        if path.is_dir() {
            note(state, &path)?;
        } else {
            let id = state.new_file(&path);
            state.durable.insert(path.clone(), id);
            state.flushed.insert(id, std::fs::read(&path)?);
        }
    }
    Ok(())
}

impl State {
    fn alive(&self) -> io::Result<()> {
        if self.crashed {
            Err(io::Error::other("the power is off"))
        } else {
            Ok(())
        }
    }

    fn new_file(&mut self, path: &Path) -> u64 {
        self.next += 1;
        self.live.insert(path.to_owned(), self.next);
        self.next
    }
}

impl Disk for ForgetfulDisk {
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.state.lock();
        state.alive()?;
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        let id = state.new_file(path);
        Ok(Box::new(ForgetfulFile {
            file,
            id,
            state: self.state.clone(),
        }))
    }

    fn open_to_wipe(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let state = self.state.lock();
        state.alive()?;
        let file = File::options().read(true).write(true).open(path)?;
        let id = state.live.get(path).copied().unwrap_or_default();
        Ok(Box::new(ForgetfulFile {
            file,
            id,
            state: self.state.clone(),
        }))
    }

    fn make_folder(&self, path: &Path) -> io::Result<()> {
        self.state.lock().alive()?;
        RealDisk::default().make_folder(path)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        state.alive()?;
        state.flushes += 1;
        let inside = |other: &PathBuf| other.parent() == Some(path);
        state.durable.retain(|other, _| !inside(other));
        let now: Vec<_> = state
            .live
            .iter()
            .filter(|(other, _)| inside(other))
            .map(|(other, id)| (other.clone(), *id))
            .collect();
        state.durable.extend(now);
        for entry in std::fs::read_dir(path)? {
            let entry = entry?.path();
            if entry.is_dir() {
                state.durable_folders.insert(entry);
            }
        }
        // the double's own folder lies in one that is none of its business
        if path == self.root {
            state.durable_folders.insert(path.to_owned());
        }
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        state.alive()?;
        std::fs::rename(from, to)?;
        if let Some(id) = state.live.remove(from) {
            state.live.insert(to.to_owned(), id);
        }
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        state.alive()?;
        std::fs::remove_file(path)?;
        state.live.remove(path);
        Ok(())
    }
}

struct ForgetfulFile {
    file: File,
    id: u64,
    state: Arc<Mutex<State>>,
}

impl DiskFile for ForgetfulFile {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.state.lock();
        state.alive()?;
        if let Some(room) = &mut state.room {
            let Some(left) = room.checked_sub(bytes.len() as u64) else {
                return Err(io::ErrorKind::StorageFull.into());
            };
            *room = left;
        }
        io::Write::write_all(&mut self.file, bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.state.lock();
        state.alive()?;
        state.flushes += 1;
        let len = self.file.metadata()?.len();
        let mut bytes = vec![0; usize::try_from(len).map_err(io::Error::other)?];
        self.file.read_exact_at(&mut bytes, 0)?;
        state.flushed.insert(self.id, bytes);
        Ok(())
    }
}

impl StorageSettings {
    /// Puts a forgetful disk under the local folders.
    #[must_use]
    pub fn with_disk(mut self, disk: &Arc<ForgetfulDisk>) -> Self {
        self.set_disk(disk.clone());
        self
    }

    /// Keeps packs and keys in a store in memory, which lives as long as the storage.
    ///
    /// # Errors
    /// Never in practice: the two addresses are fixed.
    pub fn in_memory(spill_dir: PathBuf) -> Result<Self, url::ParseError> {
        let mut settings = Self::new(Url::parse("memory:///blobs")?, Url::parse("memory:///keys")?, spill_dir);
        settings.set_memory(Arc::new(object_store::memory::InMemory::new()));
        Ok(settings)
    }
}
