//! A small moving window over a [`ByteSource`], so that a walk over gigabytes reads kilobytes.

use super::{ByteSource, Error};

const WINDOW: usize = 16 * 1024;

/// Reads a few bytes at a time, in ascending order mostly, without one call to the source per element.
pub(super) struct Window<'a> {
    source: &'a dyn ByteSource,
    slice: Option<&'a [u8]>,
    len: u64,
    start: u64,
    buffer: Vec<u8>,
}

impl<'a> Window<'a> {
    pub(super) fn new(source: &'a dyn ByteSource) -> Self {
        let slice = source.as_slice();
        let len = slice.map_or_else(|| source.len(), |s| s.len() as u64);
        Self {
            source,
            slice,
            len,
            start: 0,
            buffer: Vec::new(),
        }
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Returns the `n` bytes at `at`, or `None` where the source ends before. `n` is a few bytes, never a declared
    /// length.
    pub(super) fn peek(&mut self, at: u64, n: usize) -> Result<Option<&[u8]>, Error> {
        let Some(end) = at.checked_add(n as u64).filter(|end| *end <= self.len) else {
            return Ok(None);
        };
        if let Some(slice) = self.slice {
            let range = usize::try_from(at).ok().zip(usize::try_from(end).ok());
            return Ok(range.and_then(|(from, to)| slice.get(from..to)));
        }
        let held = self.start.saturating_add(self.buffer.len() as u64);
        if at < self.start || end > held {
            let want = (self.len - at).min(WINDOW.max(n) as u64);
            self.buffer.resize(usize::try_from(want).unwrap_or(n), 0);
            self.start = at;
            if let Err(error) = self.source.read_at(at, &mut self.buffer) {
                self.buffer.clear();
                return Err(Error::Source {
                    offset: at,
                    kind: error.kind(),
                });
            }
        }
        let from = usize::try_from(at - self.start).unwrap_or(usize::MAX);
        Ok(self.buffer.get(from..from.saturating_add(n)))
    }

    /// Returns the bytes of a value. The caller has checked `len` against its limits; that it fits is checked here,
    /// before anything is allocated.
    pub(super) fn value(&mut self, at: u64, len: u32) -> Result<Vec<u8>, Error> {
        let end = at.checked_add(u64::from(len)).filter(|end| *end <= self.len);
        end.ok_or(Error::CutOff { offset: at })?;
        let n = usize::try_from(len).map_err(|_| Error::TooLarge {
            what: "value",
            limit: usize::MAX as u64,
        })?;
        if n <= WINDOW {
            return Ok(self.peek(at, n)?.map(<[u8]>::to_vec).unwrap_or_default());
        }
        let mut bytes = vec![0; n];
        let read = self.source.read_at(at, &mut bytes);
        read.map_err(|error| Error::Source {
            offset: at,
            kind: error.kind(),
        })?;
        Ok(bytes)
    }
}
