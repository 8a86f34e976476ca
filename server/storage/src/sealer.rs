//! Turns the plan of a pack into its bytes, from the first to the last.
//!
//! A small pack comes as one buffer, allocated once: every segment is sealed from the caller's bytes straight into its
//! final place, in parallel. A large one comes in chunks of a few MiB through the same code, so that memory is flat
//! however large the bodies are.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use isocenter_model::part10::ByteSource;
use rayon::prelude::*;

use crate::backend::{Backend, Found};
use crate::error::{Error, Result};
use crate::paged::{Paged, Spares};
use crate::seal::{self, BlobCipher, SEGMENT, TAG};

/// A piece of a body.
#[derive(Clone)]
pub enum Piece {
    /// Bytes in memory.
    Bytes(Bytes),
    /// A range of staged bytes, read while the pack is being sealed.
    Spilled(Arc<dyn ByteSource>, Range<u64>),
}

/// A body: the pieces that it is made of, in order.
pub type Body = Vec<Piece>;

impl Piece {
    /// Returns the number of bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Spilled(_, range) => range.end.saturating_sub(range.start),
        }
    }

    /// Returns whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl From<Bytes> for Piece {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes)
    }
}

impl std::fmt::Debug for Piece {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // never the bytes: they may be a patient's
        write!(f, "Piece({} bytes)", self.len())
    }
}

/// What one entry of a pack is made from.
pub(crate) enum Source {
    /// Plain bytes, to be sealed.
    Plain { cipher: Box<BlobCipher>, body: Body },
    /// An entry of another pack, taken as it is.
    Copy {
        backend: Backend,
        key: String,
        from: u64,
        sealed_len: u64,
    },
}

impl Source {
    fn sealed_len(&self) -> Result<u64> {
        match self {
            Self::Plain { body, .. } => seal::sealed_len(body.iter().map(Piece::len).sum()),
            Self::Copy { sealed_len, .. } => Ok(*sealed_len),
        }
    }

    fn units(&self) -> Result<u64> {
        Ok(match self {
            // the header, then the segments
            Self::Plain { body, .. } => 1 + seal::segments(body.iter().map(Piece::len).sum()),
            Self::Copy { sealed_len, .. } => sealed_len.div_ceil(SEGMENT),
        })
    }

    /// Returns the length of a unit in the pack.
    fn unit_len(&self, unit: u64) -> u64 {
        match self {
            Self::Plain { cipher, .. } => match unit.checked_sub(1) {
                None => seal::HEADER,
                Some(segment) => cipher.segment_len(segment) + TAG,
            },
            Self::Copy { sealed_len, .. } => (sealed_len - unit * SEGMENT).min(SEGMENT),
        }
    }

    /// Writes a unit to its place.
    fn write(&self, unit: u64, out: &mut [u8]) -> Result<()> {
        match self {
            Self::Plain { cipher, body } => match unit.checked_sub(1) {
                None => copy(cipher.header(), out),
                Some(segment) => {
                    let len = out.len() - TAG as usize;
                    match gather(body, segment * SEGMENT, out.get_mut(..len).unwrap_or_default())? {
                        Some(plain) => cipher.seal(segment, Some(plain), out),
                        None => cipher.seal(segment, None, out),
                    }
                }
            },
            Self::Copy { backend, key, from, .. } => {
                let start = from + unit * SEGMENT;
                match backend.read_blocking(key, start..start + out.len() as u64)? {
                    Found::Some(bytes) => copy(&bytes, out),
                    Found::Nothing => Err(Error::Internal("a pack that is being copied is gone")),
                }
            }
        }
    }
}

fn copy(from: &[u8], to: &mut [u8]) -> Result<()> {
    if from.len() != to.len() {
        return Err(Error::Internal("a part of a pack has another length"));
    }
    to.copy_from_slice(from);
    Ok(())
}

/// Finds the plain bytes at `start`: where one piece in memory holds them all they are returned, else they are gathered
/// in `out`.
fn gather<'a>(body: &'a [Piece], start: u64, out: &mut [u8]) -> Result<Option<&'a [u8]>> {
    let mut skip = start;
    let mut filled = 0;
    let want = out.len();
    for piece in body {
        let len = piece.len();
        if skip >= len {
            skip -= len;
            continue;
        }
        let Some(rest) = out.get_mut(filled..) else { break };
        let take = usize::try_from(len - skip).unwrap_or(usize::MAX).min(rest.len());
        let Some(rest) = rest.get_mut(..take) else { break };
        match piece {
            Piece::Bytes(bytes) => {
                let from = usize::try_from(skip).unwrap_or(usize::MAX);
                let found = bytes.get(from..from.saturating_add(take));
                let found = found.ok_or(Error::Internal("a piece is shorter than it said"))?;
                if filled == 0 && found.len() == want {
                    return Ok(Some(found));
                }
                rest.copy_from_slice(found);
            }
            Piece::Spilled(source, range) => {
                source
                    .read_at(range.start + skip, rest)
                    .map_err(|source| Error::Staged { source })?;
            }
        }
        filled += take;
        skip = 0;
        if filled == want {
            break;
        }
    }
    if filled == want {
        Ok(None)
    } else {
        Err(Error::Internal("a body is shorter than it said"))
    }
}

/// Makes the bytes of a pack.
pub(crate) struct Sealer {
    head: Option<Vec<u8>>,
    sources: Vec<Source>,
    tail: Option<Vec<u8>>,
    entry: usize,
    unit: u64,
    chunk: u64,
    pool: Arc<SealPool>,
}

impl Sealer {
    /// `head` and `tail` go out as they are; `chunk` is about how many bytes are made at a time.
    pub(crate) fn new(head: Vec<u8>, sources: Vec<Source>, tail: Vec<u8>, chunk: u64, pool: Arc<SealPool>) -> Self {
        Self {
            head: Some(head),
            sources,
            tail: Some(tail),
            entry: 0,
            unit: 0,
            chunk,
            pool,
        }
    }

    /// Returns the sum of the sealed lengths.
    pub(crate) fn sealed_len(sources: &[Source]) -> Result<u64> {
        sources.iter().map(Source::sealed_len).sum()
    }

    /// Makes the next bytes; `None` when the pack is whole.
    pub(crate) fn next(&mut self) -> Result<Option<Bytes>> {
        let head = self.head.take();
        let mut total = head.as_ref().map_or(0, |head| head.len() as u64);
        let mut units: Vec<(usize, u64, u64)> = Vec::new();
        while total < self.chunk
            && let Some(source) = self.sources.get(self.entry)
        {
            let len = source.unit_len(self.unit);
            units.push((self.entry, self.unit, len));
            total += len;
            self.unit += 1;
            if self.unit == source.units()? {
                (self.entry, self.unit) = (self.entry + 1, 0);
            }
        }
        let done = self.entry >= self.sources.len();
        let tail = if done { self.tail.take() } else { None };
        total += tail.as_ref().map_or(0, |tail| tail.len() as u64);
        if total == 0 {
            return Ok(None);
        }

        const WRONG: Error = Error::Internal("a pack has another length than planned");
        // every byte of it is written below, or nothing of it is returned
        let mut out = Paged::take(&self.pool.spares, usize::try_from(total).map_err(|_| WRONG)?);
        let mut rest = out.as_mut();
        if let Some(head) = head {
            let (place, after) = rest.split_at_mut_checked(head.len()).ok_or(WRONG)?;
            copy(&head, place)?;
            rest = after;
        }
        let mut places = Vec::with_capacity(units.len());
        for (entry, unit, len) in units {
            let source = self.sources.get(entry).ok_or(WRONG)?;
            let (place, after) = rest
                .split_at_mut_checked(usize::try_from(len).map_err(|_| WRONG)?)
                .ok_or(WRONG)?;
            places.push((source, unit, place));
            rest = after;
        }
        if let Some(tail) = tail {
            copy(&tail, rest)?;
        }
        self.pool.write(places)?;
        // what is sealed and gone needs no memory any more
        for source in self.sources.iter_mut().take(self.entry) {
            if let Source::Plain { body, .. } = source {
                body.clear();
            }
        }
        Ok(Some(out.into_bytes()))
    }
}

/// The threads that seal.
///
/// Their own, and few: in a pool shared with image codecs a group of objects would wait behind somebody's JPEG 2000 while
/// a whole association waits for its answer.
#[derive(Default)]
pub(crate) struct SealPool {
    threads: OnceLock<Option<rayon::ThreadPool>>,
    /// What is sealed is sealed into these.
    spares: Arc<Spares>,
}

/// Units below which other threads are not worth waking: some 0.5 ms of work.
const FEW: usize = 24;

impl SealPool {
    fn write(&self, places: Vec<(&Source, u64, &mut [u8])>) -> Result<()> {
        let copies = places.iter().any(|(source, ..)| matches!(source, Source::Copy { .. }));
        let pool = self.threads.get_or_init(|| {
            let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
            rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .thread_name(|n| format!("seal-{n}"))
                .build()
                .ok()
        });
        match pool {
            // a copy may wait for the network, on the runtime that only the calling thread knows
            Some(pool) if places.len() >= FEW && !copies => pool.install(|| {
                places
                    .into_par_iter()
                    .with_min_len(4)
                    .try_for_each(|(source, unit, place)| source.write(unit, place))
            }),
            _ => places
                .into_iter()
                .try_for_each(|(source, unit, place)| source.write(unit, place)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::area::Area;
    use crate::id::{BlobId, KeyId};
    use crate::key::Secret;
    use proptest::prelude::*;

    fn body(cuts: &[usize], spilled: bool) -> (Body, Vec<u8>) {
        let mut body = Body::new();
        let mut plain = Vec::new();
        for (i, &len) in cuts.iter().enumerate() {
            let bytes: Vec<u8> = (0..len).map(|n| (n * 7 + i * 13) as u8).collect();
            plain.extend_from_slice(&bytes);
            if spilled && i % 2 == 1 {
                let mut padded = vec![0xEE; 5];
                padded.extend_from_slice(&bytes);
                body.push(Piece::Spilled(Arc::new(padded), 5..5 + len as u64));
            } else {
                body.push(Piece::Bytes(bytes.into()));
            }
        }
        (body, plain)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn the_size_of_chunks_and_pieces_does_not_change_the_bytes(
            cuts in proptest::collection::vec(0_usize..90_000, 0..6),
            chunk in 1_u64..300_000,
            spilled: bool,
        ) {
            let key = Secret::draw().unwrap();
            let make = |cuts: &[usize], chunk: u64, spilled| {
                let (body, plain) = body(cuts, spilled);
                let len = plain.len() as u64;
                let ids = (BlobId::from_bytes([1; 16]), KeyId::from_bytes([2; 16]));
                let one = || BlobCipher::new(&key, Area::Archive, ids.0, ids.1, len).unwrap();
                let sources = vec![
                    Source::Plain { cipher: Box::new(one()), body: body.clone() },
                    Source::Plain { cipher: Box::new(one()), body },
                ];
                let total = Sealer::sealed_len(&sources).unwrap() + 9;
                let mut sealer = Sealer::new(b"head".to_vec(), sources, b"tail!".to_vec(), chunk, Arc::default());
                let mut out = Vec::new();
                let mut most = 0;
                while let Some(chunk) = sealer.next().unwrap() {
                    most = most.max(chunk.len());
                    out.extend_from_slice(&chunk);
                }
                assert_eq!(out.len() as u64, total);
                (out, most, plain)
            };
            let (whole, _, plain) = make(&cuts, u64::MAX, false);
            let (parts, most, _) = make(&cuts, chunk, spilled);
            prop_assert!(whole == parts);
            prop_assert!(most as u64 <= chunk + SEGMENT + TAG + 16);
            prop_assert!(whole.starts_with(b"head") && whole.ends_with(b"tail!"));
            // joined into one piece it is the same again
            let (joined, _, _) = make(&[plain.len()], u64::MAX, false);
            prop_assert!(cuts.len() > 1 || joined == whole);
        }
    }

    #[test]
    fn a_body_that_is_shorter_than_it_said_is_an_error_not_zeros() {
        let source: Arc<dyn ByteSource> = Arc::new(vec![1_u8; 10]);
        let mut out = [0; 20];
        assert!(matches!(
            gather(&[Piece::Spilled(source, 0..20)], 0, &mut out),
            Err(Error::Staged { .. })
        ));
        assert!(gather(&[Piece::Bytes(Bytes::from_static(b"abc"))], 0, &mut out).is_err());
    }
}
