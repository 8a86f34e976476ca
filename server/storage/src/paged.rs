//! Buffers that begin at the border of a page, and come back.
//!
//! A disk takes bytes straight from memory only where they begin at such a border ([`crate::backend::direct`]). Sealing a
//! pack needs a buffer of half a megabyte and more each time: memory that is fresh from the system has to be cleared first,
//! page by page, and on a virtual machine every such page may be a trap to the host. So a few are kept and used again.
//! What is kept is sealed bytes, which are secret to nobody.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

/// The border: a page, and no file system asks for more.
pub(crate) const PAGE: usize = 4096;
/// Buffers come in multiples of this, so that packs of about a size can use the same one.
const STEP: usize = 1 << 20;
/// At most so many buffers are kept, of at most so many bytes.
const KEPT: usize = 2;
const LARGEST_KEPT: usize = 4 << 20;

/// The buffers that wait to be used again.
#[derive(Debug, Default)]
pub(crate) struct Spares(Mutex<Vec<Vec<u8>>>);

/// Bytes of which the first lies at the border of a page. They begin as whatever was there before.
#[derive(Debug)]
pub(crate) struct Paged {
    buffer: Vec<u8>,
    start: usize,
    len: usize,
    home: Option<Arc<Spares>>,
}

impl Paged {
    /// Takes a buffer of `len` bytes out of the spares, or makes one. It goes back there when it is dropped.
    pub(crate) fn take(spares: &Arc<Spares>, len: usize) -> Self {
        let fits = |buffer: &Vec<u8>| buffer.len() >= len.saturating_add(PAGE);
        let mut kept = spares.0.lock();
        let buffer = kept.iter().position(fits).map(|at| kept.swap_remove(at));
        drop(kept);
        let mut paged = buffer.map_or_else(|| Self::new(len), |buffer| Self::within(buffer, len));
        paged.home = Some(Arc::clone(spares));
        paged
    }

    /// Makes a buffer of `len` bytes.
    pub(crate) fn new(len: usize) -> Self {
        Self::within(vec![0; len.saturating_add(PAGE).next_multiple_of(STEP)], len)
    }

    fn within(buffer: Vec<u8>, len: usize) -> Self {
        // Where the border cannot be told, the bytes begin at the front and are written like any others.
        let start = buffer.as_ptr().align_offset(PAGE);
        let start = if start < PAGE { start } else { 0 };
        Self {
            buffer,
            start,
            len,
            home: None,
        }
    }

    pub(crate) fn as_mut(&mut self) -> &mut [u8] {
        let end = self.start.saturating_add(self.len);
        self.buffer.get_mut(self.start..end).unwrap_or_default()
    }

    /// Returns the bytes as they are, without a copy.
    pub(crate) fn into_bytes(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Paged {
    fn as_ref(&self) -> &[u8] {
        let end = self.start.saturating_add(self.len);
        self.buffer.get(self.start..end).unwrap_or_default()
    }
}

impl Drop for Paged {
    fn drop(&mut self) {
        if let Some(home) = &self.home
            && self.buffer.len() <= LARGEST_KEPT
        {
            let mut kept = home.0.lock();
            if kept.len() < KEPT {
                kept.push(std::mem::take(&mut self.buffer));
            }
        }
    }
}

/// Returns whether the bytes begin at the border of a page.
pub(crate) fn is_paged(bytes: &[u8]) -> bool {
    bytes.as_ptr().align_offset(PAGE) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_has_its_length_and_begins_at_a_border() {
        for len in [0, 1, PAGE, PAGE + 1, 526_000, 3 << 20] {
            let mut paged = Paged::new(len);
            assert_eq!(paged.as_mut().len(), len);
            assert!(is_paged(paged.as_ref()), "{len}");
            assert!(len < 2 || !is_paged(&paged.as_ref()[1..]));
            let at = paged.as_ref().as_ptr();
            let bytes = paged.into_bytes();
            assert_eq!((bytes.as_ptr(), bytes.len()), (at, len), "moved without a copy");
        }
    }

    #[test]
    fn what_was_used_is_used_again_and_no_more_is_kept_than_said() {
        let spares = Arc::new(Spares::default());
        let first = Paged::take(&spares, 500_000);
        let at = first.as_ref().as_ptr();
        drop(first.into_bytes());
        let again = Paged::take(&spares, 600_000);
        assert_eq!(again.as_ref().as_ptr(), at, "another length, the same place");
        assert_eq!(again.as_ref().len(), 600_000);
        let many: Vec<Paged> = (0..KEPT + 2).map(|_| Paged::take(&spares, 10)).collect();
        drop((again, many));
        assert_eq!(spares.0.lock().len(), KEPT);
        drop(Paged::take(&spares, LARGEST_KEPT));
        assert_eq!(spares.0.lock().len(), KEPT, "a large one is not kept");
    }
}
