//! Packs go to the disk past the page cache.
//!
//! A pack is written once, flushed at once, and mostly not read for hours. In the page cache its bytes would be copied a
//! second time, push out what viewers read again and again, and on a virtual machine each fresh page may be a trap to the
//! host: measured, half of all the processor time of storing an image. So what is large enough goes to the disk straight
//! from our buffer, in whole pages (`O_DIRECT`), and only the last part of a page goes the usual way. Flushing is no less
//! needed: past the page cache is not past the disk's own.
//!
//! A file system that does not do this says so (EINVAL), and from then on everything goes the usual way.

use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::disk::DiskFile;
use crate::paged::{PAGE, Paged, is_paged};

/// A file whose first bytes are fewer goes the usual way.
const WORTH_IT: usize = 64 << 10;
/// So many bytes are gathered where they come in parts that do not begin at a border.
const GATHER: usize = 1 << 20;

/// A new file that is written from its beginning.
pub(crate) struct PackFile {
    file: File,
    /// Set when the file system turned out not to do it; shared by all files of a disk.
    refused: Arc<AtomicBool>,
    way: Way,
}

enum Way {
    /// Nothing was written yet.
    Undecided,
    /// Through the page cache.
    Cached,
    /// Past it. `rest` is less than a page and waits for more, or for the end.
    Direct { rest: Vec<u8>, gather: Option<Paged> },
}

impl PackFile {
    pub(crate) fn new(file: File, refused: Arc<AtomicBool>) -> Self {
        Self {
            file,
            refused,
            way: Way::Undecided,
        }
    }

    /// Writes whole pages. Where the file system refuses, or wrote in part and no page border is left to go on from, the
    /// others go through the cache.
    fn write_pages(&mut self, mut pages: &[u8]) -> io::Result<()> {
        while !pages.is_empty() {
            match self.file.write(pages) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => pages = pages.get(written..).unwrap_or_default(),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::InvalidInput => {
                    self.refused.store(true, Ordering::Relaxed);
                    self.through_the_cache(pages)?;
                    return Ok(());
                }
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// Goes on through the page cache, `first` first.
    fn through_the_cache(&mut self, first: &[u8]) -> io::Result<()> {
        let before = std::mem::replace(&mut self.way, Way::Cached);
        if matches!(before, Way::Direct { .. }) {
            set_direct(&self.file, false)?;
        }
        Write::write_all(&mut self.file, first)
    }

    fn gather(&mut self, bytes: &[u8]) -> io::Result<()> {
        for part in bytes.chunks(GATHER - PAGE) {
            let Way::Direct { rest, gather } = &mut self.way else {
                Write::write_all(&mut self.file, part)?;
                continue;
            };
            let mut all = gather.take().unwrap_or_else(|| Paged::new(GATHER));
            let len = rest.len() + part.len();
            let filled = all.as_mut();
            let (a, b) = filled.split_at_mut(rest.len());
            a.copy_from_slice(rest);
            b.get_mut(..part.len()).unwrap_or_default().copy_from_slice(part);
            let (pages, after) = filled.get(..len).unwrap_or_default().split_at(len - len % PAGE);
            self.write_pages(pages)?;
            self.keep_or_pass_on(after)?;
            if let Way::Direct { gather, .. } = &mut self.way {
                *gather = Some(all);
            }
        }
        Ok(())
    }

    /// What is left behind the last page waits; where the way has changed meanwhile it is written.
    fn keep_or_pass_on(&mut self, after: &[u8]) -> io::Result<()> {
        match &mut self.way {
            Way::Direct { rest, .. } => {
                *rest = after.to_vec();
                Ok(())
            }
            Way::Undecided | Way::Cached => Write::write_all(&mut self.file, after),
        }
    }
}

impl DiskFile for PackFile {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        if matches!(self.way, Way::Undecided) {
            let direct = bytes.len() >= WORTH_IT
                && is_paged(bytes)
                && !self.refused.load(Ordering::Relaxed)
                && set_direct(&self.file, true).is_ok();
            self.way = if direct {
                Way::Direct {
                    rest: Vec::new(),
                    gather: None,
                }
            } else {
                Way::Cached
            };
        }
        match &self.way {
            Way::Direct { rest, .. } if rest.is_empty() && is_paged(bytes) => {
                let (pages, after) = bytes.split_at(bytes.len() - bytes.len() % PAGE);
                self.write_pages(pages)?;
                self.keep_or_pass_on(after)
            }
            Way::Direct { .. } => self.gather(bytes),
            Way::Undecided | Way::Cached => Write::write_all(&mut self.file, bytes),
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        if let Way::Direct { rest, .. } = &mut self.way {
            let rest = std::mem::take(rest);
            self.through_the_cache(&rest)?;
        }
        // fdatasync: bytes and length; nobody needs the times of a pack
        self.file.sync_data()
    }
}

#[cfg(target_os = "linux")]
fn set_direct(file: &File, on: bool) -> io::Result<()> {
    use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
    let mut flags = fcntl_getfl(file)?;
    flags.set(OFlags::DIRECT, on);
    Ok(fcntl_setfl(file, flags)?)
}

#[cfg(not(target_os = "linux"))]
fn set_direct(_: &File, on: bool) -> io::Result<()> {
    if on {
        Err(io::ErrorKind::Unsupported.into())
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder beside this program: what is temporary may lie in memory, where there is no disk to go straight to.
    fn folder() -> tempfile::TempDir {
        tempfile::tempdir_in(std::env::current_exe().unwrap().parent().unwrap()).unwrap()
    }

    fn pattern(len: usize) -> Vec<u8> {
        (0..len).map(|at| (at * 31 + at / 4096) as u8).collect()
    }

    fn paged(bytes: &[u8]) -> Paged {
        let mut paged = Paged::new(bytes.len());
        paged.as_mut().copy_from_slice(bytes);
        paged
    }

    /// Writes in parts of the given lengths, each beginning at a border of memory, and returns what the file holds.
    fn written(folder: &std::path::Path, parts: &[usize], refused: bool) -> (Vec<u8>, Vec<u8>) {
        let path = folder.join("file");
        let refused = Arc::new(AtomicBool::new(refused));
        let mut file = PackFile::new(File::create(&path).unwrap(), refused);
        let whole = pattern(parts.iter().sum());
        let mut at = 0;
        for part in parts {
            file.write_all(paged(&whole[at..at + part]).as_ref()).unwrap();
            at += part;
        }
        file.sync().unwrap();
        (std::fs::read(&path).unwrap(), whole)
    }

    #[test]
    fn what_was_written_is_there_however_it_was_cut() {
        let folder = folder();
        let cuts: [&[usize]; 9] = [
            &[0],
            &[1],
            &[65_536],
            &[65_535, 70_000],
            &[526_001],
            &[526_001, 526_001, 3],
            &[2 << 20, 2_100_000, 77, 5 << 20, 1],
            &[100_000, 0, 100_000],
            &[69_632, 4096, 1],
        ];
        for parts in cuts {
            for refused in [false, true] {
                let (found, whole) = written(folder.path(), parts, refused);
                assert!(found == whole, "{parts:?}, refused: {refused}");
            }
        }
    }

    #[test]
    fn bytes_that_begin_at_no_border_go_the_usual_way() {
        let folder = folder();
        let path = folder.path().join("file");
        let mut file = PackFile::new(File::create(&path).unwrap(), Arc::default());
        let whole = pattern(200_001);
        let buffer = paged(&[&[0], whole.as_slice()].concat());
        file.write_all(&buffer.as_ref()[1..]).unwrap();
        assert!(matches!(file.way, Way::Cached));
        file.sync().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), whole);
    }

    #[test]
    fn a_refusal_in_the_middle_loses_nothing_and_is_remembered() {
        let folder = folder();
        let path = folder.path().join("file");
        let refused = Arc::new(AtomicBool::new(false));
        let mut file = PackFile::new(File::create(&path).unwrap(), Arc::clone(&refused));
        let whole = pattern(300_000);
        file.write_all(paged(&whole[..100_000]).as_ref()).unwrap();
        if !matches!(file.way, Way::Direct { .. }) {
            return; // this file system does it for no file
        }
        // pages that lie at no border in memory are what a file system refuses
        let crooked = paged(&[&[0], &whole[98_304..294_912]].concat());
        let Way::Direct { rest, .. } = &mut file.way else {
            unreachable!()
        };
        assert_eq!(std::mem::take(rest), &whole[98_304..100_000]);
        file.write_pages(&crooked.as_ref()[1..]).unwrap();
        // some disks take such memory after all; one that refuses is not asked again
        assert_eq!(refused.load(Ordering::Relaxed), matches!(file.way, Way::Cached));
        file.write_all(&whole[294_912..]).unwrap();
        file.sync().unwrap();
        assert!(std::fs::read(&path).unwrap() == whole);
    }
}
