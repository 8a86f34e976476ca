//! Files: walking a folder in a stable order, reading one without loading it, writing one as a whole or not at all.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context as _;
use isocenter_model::part10::ByteSource;

/// Files up to this size are read at once; of larger ones what is needed.
const READ_WHOLE: u64 = 8 << 20;
/// New pixel bytes beyond this go to a file without a name.
const IN_MEMORY: usize = 16 << 20;

/// The files of a folder.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Regular files with their names below the folder, in the order of these.
    pub(crate) files: Vec<Entry>,
    /// Links and what is neither file nor folder; none is followed.
    pub(crate) passed_over: Vec<PathBuf>,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// Its name below the folder.
    pub(crate) name: PathBuf,
    /// Its size in bytes.
    pub(crate) size: u64,
}

/// Finds the files of a folder, or the one file. Folders in `but` are not entered: what the command itself writes.
pub(crate) fn walk(root: &Path, but: &[PathBuf]) -> anyhow::Result<Found> {
    let named = |path: &Path| path.display().to_string();
    let mut found = Found::default();
    let kind = std::fs::metadata(root).with_context(|| named(root))?;
    if kind.is_file() {
        found.files.push(Entry {
            path: root.to_owned(),
            name: root.file_name().unwrap_or_default().into(),
            size: kind.len(),
        });
        return Ok(found);
    }
    let mut folders = vec![PathBuf::new()];
    while let Some(below) = folders.pop() {
        let folder = root.join(&below);
        if !below.as_os_str().is_empty() && folder.canonicalize().is_ok_and(|folder| but.contains(&folder)) {
            continue;
        }
        for entry in std::fs::read_dir(&folder).with_context(|| named(&folder))? {
            let entry = entry.with_context(|| named(&folder))?;
            let name = below.join(entry.file_name());
            let kind = entry.file_type().with_context(|| named(&entry.path()))?;
            if kind.is_dir() {
                folders.push(name);
            } else if kind.is_file() {
                found.files.push(Entry {
                    path: entry.path(),
                    size: entry.metadata().map_or(0, |meta| meta.len()),
                    name,
                });
            } else {
                found.passed_over.push(name);
            }
        }
    }
    found.files.sort_by(|a, b| a.name.cmp(&b.name));
    found.passed_over.sort();
    Ok(found)
}

/// Opens a file for reading at any place.
pub(crate) fn open(path: &Path) -> io::Result<Box<dyn ByteSource>> {
    let file = File::open(path)?;
    let len = file.metadata()?.len();
    let source = OnDisk { file, len };
    if len > READ_WHOLE {
        return Ok(Box::new(source));
    }
    let mut bytes = vec![0; usize::try_from(len).unwrap_or_default()];
    source.read_at(0, &mut bytes)?;
    Ok(Box::new(bytes))
}

struct OnDisk {
    file: File,
    len: u64,
}

impl ByteSource for OnDisk {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buf, offset)
    }
}

/// Returns a name in a folder that nobody uses.
fn temporary(folder: &Path) -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    folder.join(format!(".isocenter-{}-{next}.part", std::process::id()))
}

/// A file that has no name yet: it gets one when it is whole, or is gone.
#[derive(Debug)]
pub(crate) struct Unnamed {
    path: Option<PathBuf>,
}

impl Unnamed {
    /// Makes a file in a folder, for its owner alone, and has it written.
    pub(crate) fn write(folder: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<Self> {
        let path = temporary(folder);
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        // from here on it is gone if anything fails
        let unnamed = Self { path: Some(path) };
        let mut out = io::BufWriter::with_capacity(256 << 10, file);
        write(&mut out)?;
        out.flush()?;
        Ok(unnamed)
    }

    /// Gives the file its name; what had it before is replaced.
    pub(crate) fn name(mut self, path: &Path) -> io::Result<()> {
        match self.path.take() {
            Some(from) => std::fs::rename(&from, path).inspect_err(|_| self.path = Some(from)),
            None => Ok(()),
        }
    }
}

impl Drop for Unnamed {
    fn drop(&mut self) {
        if let Some(path) = self.path.take() {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Writes a file for its owner alone, as a whole or not at all.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    Unnamed::write(folder.unwrap_or(Path::new(".")), |out| out.write_all(bytes))
        .and_then(|file| file.name(path))
        .with_context(|| path.display().to_string())
}

/// Makes a folder for its owner alone, if it is not there.
pub(crate) fn folder(path: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| path.display().to_string())
}

/// Where the new bytes of edited pixels wait: in memory, beyond a limit in a file that has no name.
#[derive(Debug)]
pub(crate) struct Scratch {
    folder: PathBuf,
    memory: Vec<u8>,
    file: Option<File>,
}

impl Scratch {
    /// Makes one whose file, if it needs one, is in this folder.
    pub(crate) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            memory: Vec::new(),
            file: None,
        }
    }

    /// Fills a buffer from what was written.
    pub(crate) fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        match &self.file {
            Some(file) => file.read_exact_at(buf, offset),
            None => self.memory.read_at(offset, buf),
        }
    }
}

impl Write for Scratch {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(file) = &mut self.file {
            return file.write(bytes);
        }
        if self.memory.len() + bytes.len() <= IN_MEMORY {
            self.memory.extend_from_slice(bytes);
            return Ok(bytes.len());
        }
        let path = temporary(&self.folder);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        std::fs::remove_file(&path)?;
        file.write_all(&std::mem::take(&mut self.memory))?;
        self.file.insert(file).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_folder_is_walked_in_the_order_of_names_and_no_link_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (root, outside) = (folder.path().join("in"), folder.path().join("outside"));
        std::fs::create_dir_all(root.join("b")).unwrap();
        std::fs::create_dir_all(root.join("out")).unwrap();
        for name in ["in/z", "in/b/2", "in/b/10", "in/a", "in/out/x", "outside"] {
            std::fs::write(folder.path().join(name), name).unwrap();
        }
        std::os::unix::fs::symlink(&outside, root.join("link")).unwrap();
        std::os::unix::fs::symlink(folder.path(), root.join("b/up")).unwrap();
        let found = walk(&root, &[root.join("out").canonicalize().unwrap()]).unwrap();
        let names: Vec<&str> = found.files.iter().map(|file| file.name.to_str().unwrap()).collect();
        assert_eq!(names, ["a", "b/10", "b/2", "z"]);
        assert_eq!(found.passed_over, [PathBuf::from("b/up"), PathBuf::from("link")]);
        assert_eq!(walk(&root.join("a"), &[]).unwrap().files.len(), 1);
        assert!(walk(&root.join("none"), &[]).is_err());
    }

    #[test]
    fn a_file_is_written_whole_for_its_owner_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.json");
        write(&path, b"1").unwrap();
        write(&path, b"22").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"22");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let failed = Unnamed::write(folder.path(), |out| {
            out.write_all(b"half")?;
            Err(io::Error::other("no"))
        });
        assert!(failed.is_err());
        drop(Unnamed::write(folder.path(), |out| out.write_all(b"never named")).unwrap());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_more_than_memory_may_hold_waits_in_a_file_without_a_name() {
        let folder = tempfile::tempdir().unwrap();
        let mut scratch = Scratch::new(folder.path());
        let bytes: Vec<u8> = (0..IN_MEMORY / 2 + 1).map(|n| (n % 251) as u8).collect();
        for _ in 0..3 {
            scratch.write_all(&bytes).unwrap();
        }
        assert!(scratch.file.is_some() && scratch.memory.is_empty());
        let mut read = vec![0; bytes.len()];
        scratch.read_at(2 * bytes.len() as u64, &mut read).unwrap();
        assert!(read == bytes);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
