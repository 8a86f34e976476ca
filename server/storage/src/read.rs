//! Reads bodies: of a range exactly the segments that hold it, in one read.

use std::ops::Range;

use bytes::Bytes;
use futures::Stream;
use futures::stream::StreamExt;

use crate::area::{BlobRef, InArea};
use crate::backend::Found;
use crate::error::{Damage, Error, Result};
use crate::seal::{self, BlobCipher, SEGMENT, Window};
use crate::storage::{Storage, pack_key};

/// Plain bytes that a stream reads at once; two such pieces are in memory.
const PIECE: u64 = 16 * SEGMENT;

impl Storage {
    /// Reads a range of a body. All of it is in memory then; see [`Storage::stream`] for more than that bears.
    ///
    /// # Errors
    /// [`Error::Corrupt`] with what happened to the bytes; [`Error::KeyDestroyed`]; [`Error::Missing`];
    /// [`Error::OutOfRange`]; [`Error::Unavailable`].
    pub async fn read<A: InArea>(&self, blob: &BlobRef<A>, range: Range<u64>) -> Result<Bytes> {
        let corrupt = |damage| Error::Corrupt {
            pack: blob.pack,
            blob: Some(blob.blob_id),
            damage,
        };
        if blob.version != seal::VERSION {
            return Err(Error::UnknownVersion {
                pack: blob.pack,
                version: blob.version,
            });
        }
        let window = Window::of(blob.plain_len, &range)?;
        let secret = self.individual_key(&blob.key_id).await?;
        let cipher = BlobCipher::new(&secret, A::AREA, blob.blob_id, blob.key_id, blob.plain_len)?;
        let key = pack_key(&blob.pack);
        let at = |range: &Range<u64>| {
            let place = |offset| {
                blob.offset
                    .checked_add(offset)
                    .ok_or(Error::Internal("a reference beyond any file"))
            };
            Ok::<_, Error>(place(range.start)?..place(range.end)?)
        };
        let (with_header, place) = (window.first == 0, at(&window.sealed)?);
        let opened = self.packs().read(key.clone(), place, move |mut bytes| {
            Ok(match cipher.open_window(&window, &mut bytes) {
                Ok(len) => {
                    bytes.truncate(len);
                    let bytes = bytes.freeze();
                    let end = window.skip.saturating_add(window.take);
                    if end > len {
                        return Err(Error::Internal("a window shorter than its range"));
                    }
                    Ok(bytes.slice(window.skip..end))
                }
                Err(damage) => Err((damage, cipher)),
            })
        });
        let (damage, cipher) = match opened.await? {
            Found::Nothing => return Err(Error::Missing { pack: blob.pack }),
            Found::Some(Ok(bytes)) => return Ok(bytes),
            Found::Some(Err(failed)) => failed,
        };
        // A failure behind the first segment may be the header's: read it too, to say what really happened.
        if !with_header && damage != Damage::CutOff {
            let found = self.packs().read(key, at(&(0..seal::HEADER))?, move |bytes| {
                Ok(cipher.check_header(&bytes))
            });
            if let Found::Some(Err(damage)) = found.await? {
                return Err(corrupt(damage));
            }
        }
        Err(corrupt(damage))
    }

    /// Streams a range of a body in pieces of about 1 MiB, reading one ahead. Memory does not grow with the range.
    ///
    /// The stream ends with the first error. A range outside the body is an error of the first piece.
    pub fn stream<A: InArea>(
        &self,
        blob: BlobRef<A>,
        range: Range<u64>,
    ) -> impl Stream<Item = Result<Bytes>> + Send + 'static {
        let storage = self.clone();
        let mut next = Some(range.start);
        // a range that ends outside is asked for as a whole, which is an error
        let piece = if range.end > blob.plain_len { u64::MAX } else { PIECE };
        let pieces = std::iter::from_fn(move || {
            let start = next?;
            // cut where segments end, so that none is opened twice
            let end = (start / piece).saturating_add(1).saturating_mul(piece).min(range.end);
            next = (end < range.end).then_some(end);
            Some(start..end)
        });
        let mut failed = false;
        futures::stream::iter(pieces)
            .map(move |piece| {
                let (storage, blob) = (storage.clone(), blob.clone());
                async move { storage.read(&blob, piece).await }
            })
            .buffered(2)
            .take_while(move |piece| {
                let over = failed;
                failed |= piece.is_err();
                std::future::ready(!over)
            })
    }
}
