//! Deflated Explicit VR Little Endian, PS3.5 A.5: the data set as one raw deflate stream.

use flate2::{Decompress, FlushDecompress, Status};

use super::{ByteSource, Error, Layout, Limits};

/// Returns the data set of a deflated object as plain Explicit VR Little Endian.
///
/// The output is never larger than [`Limits::inflated_bytes`]; a bomb is refused before a byte of it is kept.
///
/// # Errors
/// [`Error::TooLarge`] beyond the limit, [`Error::CutOff`] or [`Error::Malformed`] where the stream is damaged.
pub fn inflate(source: &dyn ByteSource, layout: &Layout, limits: &Limits) -> Result<Vec<u8>, Error> {
    if !layout.transfer_syntax_uid.is_deflated() {
        return Err(Error::Unsupported {
            what: "inflating a data set that is not deflated",
        });
    }
    let start = layout.data_set_offset;
    match capped(source, start, false, limits) {
        // a few senders wrap the stream in zlib's header, whose first byte is this
        Err(Error::Malformed { .. }) if first_byte(source, start) == Some(0x78) => capped(source, start, true, limits),
        other => other,
    }
}

/// Inflates twice: first only to count, so that a bomb costs no memory at all and a good file exactly its size. A vector
/// that grows by doubling would hold three times the limit at its worst.
fn capped(source: &dyn ByteSource, start: u64, zlib_header: bool, limits: &Limits) -> Result<Vec<u8>, Error> {
    let len = each_piece(source, start, zlib_header, limits, &mut |_| {})?;
    let mut out = Vec::with_capacity(usize::try_from(len).unwrap_or(0));
    each_piece(source, start, zlib_header, limits, &mut |piece| {
        out.extend_from_slice(piece)
    })?;
    Ok(out)
}

/// Hands over what comes out of the stream, piece by piece, and returns how many bytes that were.
fn each_piece(
    source: &dyn ByteSource,
    start: u64,
    zlib_header: bool,
    limits: &Limits,
    hand_over: &mut dyn FnMut(&[u8]),
) -> Result<u64, Error> {
    const CHUNK: usize = 32 * 1024;
    let limit = limits.inflated_bytes;
    let mut stream = Decompress::new(zlib_header);
    let mut piece = vec![0; 2 * CHUNK];
    let (mut input, mut used, mut at) = (Vec::new(), 0, start);
    loop {
        if used >= input.len() {
            let left = source.len().saturating_sub(at);
            input.resize(usize::try_from(left).unwrap_or(CHUNK).min(CHUNK), 0);
            let read = source.read_at(at, &mut input);
            read.map_err(|error| Error::Source {
                offset: at,
                kind: error.kind(),
            })?;
            at += input.len() as u64;
            used = 0;
        }
        let rest = input.get(used..).unwrap_or_default();
        let (before_in, before_out) = (stream.total_in(), stream.total_out());
        let status = stream.decompress(rest, &mut piece, FlushDecompress::None);
        let status = status.map_err(|_| Error::Malformed {
            offset: start,
            reason: "damaged deflate stream",
        })?;
        used += usize::try_from(stream.total_in() - before_in).unwrap_or(usize::MAX);
        let made = usize::try_from(stream.total_out() - before_out).unwrap_or(0);
        hand_over(piece.get(..made).unwrap_or_default());
        if stream.total_out() > limit {
            return Err(Error::TooLarge {
                what: "inflated data set",
                limit,
            });
        }
        if status == Status::StreamEnd {
            return Ok(stream.total_out());
        }
        // a stream that wants more where nothing is left was cut off, even if it stopped between two elements
        if rest.is_empty() && made == 0 {
            return Err(Error::CutOff { offset: start });
        }
    }
}

fn first_byte(source: &dyn ByteSource, at: u64) -> Option<u8> {
    let mut byte = [0];
    source.read_at(at, &mut byte).ok()?;
    byte.first().copied()
}
