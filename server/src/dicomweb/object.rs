//! Stored objects, opened as far as an answer needs them.
//!
//! Most answers need no object opened: bytes go out as they lie, frames are found by the frame map, metadata is ready-made. What is
//! here is for the rest: a header for a decoder, a data set to be written again in Explicit VR Little Endian, one bulk value.
//! CPU work runs on the blocking pool under the archive's permits, so that a crowd of askers queues instead of thrashing.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_object::InMemDicomObject;
use futures::StreamExt as _;
use isocenter_imaging::FrameMap;
use isocenter_model::TransferSyntaxUid;
use isocenter_model::part10::{self, ByteSource, Layout, Limits, NewFileMeta, PixelData};
use isocenter_model::uid::transfer_syntax as ts;
use isocenter_schema::retrieve::ImageEntry;
use isocenter_storage::{BlobRef, InArchive, Storage};

use super::answer::{Outgoing, Stop};
use crate::archive::Archive;
use crate::http_error::HttpError;

const PIXEL_DATA: Tag = Tag(0x7FE0, 0x0010);
const PHOTOMETRIC_INTERPRETATION: Tag = Tag(0x0028, 0x0004);
const EXTENDED_OFFSET_TABLE: Tag = Tag(0x7FE0, 0x0001);
const EXTENDED_OFFSET_TABLE_LENGTHS: Tag = Tag(0x7FE0, 0x0002);

/// A stored object that a synchronous reader can walk over. Only for threads that may block.
struct Stored {
    storage: Storage,
    blob: BlobRef<InArchive>,
    runtime: tokio::runtime::Handle,
}

impl ByteSource for Stored {
    fn len(&self) -> u64 {
        self.blob.plain_len()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> std::io::Result<()> {
        let range = offset..offset.saturating_add(buf.len() as u64);
        if range.end > self.len() {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let bytes = self
            .runtime
            .block_on(self.storage.read(&self.blob, range))
            .map_err(std::io::Error::other)?;
        let fits = bytes.len() == buf.len();
        if fits {
            buf.copy_from_slice(&bytes);
        }
        if fits {
            Ok(())
        } else {
            Err(std::io::ErrorKind::UnexpectedEof.into())
        }
    }
}

fn stored(archive: &Archive, image: &ImageEntry) -> Stored {
    Stored {
        storage: archive.storage.clone(),
        blob: image.blob.clone(),
        runtime: tokio::runtime::Handle::current(),
    }
}

/// Runs CPU work under a permit, off the threads that answer.
///
/// # Errors
/// 500 where the work panicked; decoders guard themselves, so this is a fault of ours.
pub async fn compute<T, F>(archive: &Archive, work: F) -> Result<T, HttpError>
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    let permit = Arc::clone(&archive.cpu)
        .acquire_owned()
        .await
        .map_err(|error| HttpError::internal(&error))?;
    tokio::task::spawn_blocking(move || {
        let done = work();
        drop(permit);
        done
    })
    .await
    .map_err(|error| HttpError::internal(&error))
}

/// An object's header and where everything lies in it.
pub struct Opened {
    /// Offsets.
    pub layout: Layout,
    /// Everything but the pixel data.
    pub header: InMemDicomObject,
}

/// Opens an object's header.
///
/// # Errors
/// 500 where the stored object does not parse: it did when it came in.
pub async fn open(archive: &Archive, image: &ImageEntry) -> Result<Opened, HttpError> {
    let stored = stored(archive, image);
    compute(archive, move || {
        let limits = Limits::default();
        let layout = part10::layout_part10(&stored, &limits)?;
        let header = part10::read_header(&stored, &layout, &limits)?;
        Ok(Opened { layout, header })
    })
    .await?
    .map_err(|error: part10::Error| HttpError::internal(&error))
}

/// Returns where the frames of an object lie, and what their pixels mean.
///
/// # Errors
/// 500 where the stored map is damaged.
pub fn frame_map(image: &ImageEntry) -> Result<FrameMap, HttpError> {
    FrameMap::decode(&image.frame_map).map_err(|error| HttpError::internal(&error))
}

/// Returns the stored bytes of a frame, numbered from 1.
///
/// # Errors
/// 404 past the last frame; what storage fails with.
pub async fn frame(archive: &Archive, image: &ImageEntry, map: &FrameMap, number: u32) -> Result<Bytes, HttpError> {
    let index = number.checked_sub(1).ok_or_else(HttpError::not_found)?;
    let ranges = map.ranges(index).ok_or_else(HttpError::not_found)?;
    let whole_bytes = !image.transfer_syntax_uid.is_native() || map.facts().is_some_and(|f| f.bits_allocated > 8);
    match ranges.as_slice() {
        // The usual case: no byte is copied.
        [one] if whole_bytes => Ok(archive.storage.read(&image.blob, one.clone()).await?),
        _ => {
            let mut joined = Vec::new();
            for range in ranges {
                joined.extend_from_slice(&archive.storage.read(&image.blob, range).await?);
            }
            Ok(map.trim(index, joined).into())
        }
    }
}

/// Returns a frame as native little endian samples, numbered from 1.
///
/// # Errors
/// 404 past the last frame, 406 where the stored frame does not decode.
pub async fn native_frame(
    archive: &Archive,
    image: &ImageEntry,
    map: &FrameMap,
    number: u32,
) -> Result<Bytes, HttpError> {
    let bytes = frame(archive, image, map, number).await?;
    let facts = map.facts().ok_or_else(HttpError::not_found)?.clone();
    let syntax = image.transfer_syntax_uid.clone();
    let native = compute(archive, move || isocenter_imaging::to_native(&facts, &syntax, &bytes)).await?;
    native.map(Bytes::from).map_err(|error| {
        // What was stored may be a code stream that nobody here reads; as stored it can still be had.
        tracing::debug!(%error, image = %image.accession, "a frame does not decode");
        HttpError::not_acceptable("this frame cannot be decoded here; ask for it as stored, transfer-syntax=*")
    })
}

/// Writes the value of native pixel data, little endian: all frames.
///
/// # Errors
/// What storage fails with.
pub async fn native_pixels(archive: &Archive, image: &ImageEntry, out: &mut Outgoing) -> Result<(), Stop> {
    let map = frame_map(image)?;
    if !image.transfer_syntax_uid.is_little_endian() {
        for number in 1..=map.frame_count() {
            out.write(native_frame(archive, image, &map, number).await?).await?;
        }
        return Ok(());
    }
    let bounds = |index: u32| {
        map.ranges(index)
            .and_then(|ranges| Some((ranges.first()?.start, ranges.last()?.end)))
    };
    let last = map.frame_count().checked_sub(1).and_then(bounds);
    let (Some((from, _)), Some((_, to))) = (bounds(0), last) else {
        return Ok(());
    };
    let range = from..to;
    out.copy(archive.storage.stream(image.blob.clone(), range)).await
}

/// Writes an object as it is stored.
///
/// # Errors
/// What storage fails with.
pub async fn as_stored(archive: &Archive, image: &ImageEntry, out: &mut Outgoing) -> Result<(), Stop> {
    let whole = 0..image.blob.plain_len();
    out.copy(archive.storage.stream(image.blob.clone(), whole)).await
}

fn explicit() -> Result<TransferSyntaxUid, HttpError> {
    TransferSyntaxUid::parse(ts::EXPLICIT_VR_LITTLE_ENDIAN).map_err(|error| HttpError::internal(&error))
}

fn file_meta(image: &ImageEntry, syntax: &TransferSyntaxUid) -> Bytes {
    Bytes::from(part10::write_file_meta(&NewFileMeta {
        sop_class_uid: image.sop_class_uid.as_str(),
        sop_instance_uid: image.sop_instance_uid.as_str(),
        transfer_syntax_uid: syntax,
        source_ae_title: None,
    }))
}

/// Writes a natively stored object again in Explicit VR Little Endian: a new header, the pixels as they are (swapped where they
/// were big endian).
///
/// # Errors
/// 500 where the stored object does not parse.
pub async fn rewritten(archive: &Archive, image: &ImageEntry, out: &mut Outgoing) -> Result<(), Stop> {
    let explicit = explicit()?;
    out.write(file_meta(image, &explicit)).await?;
    if image.transfer_syntax_uid.is_deflated() {
        // Deflated, it is Explicit VR Little Endian already.
        return out.write(inflated(archive, image).await?).await;
    }
    let opened = open(archive, image).await?;
    let written = part10::write_header(&opened.header, &explicit).map_err(|error| HttpError::internal(&error))?;
    out.write(written.before.into()).await?;
    if let Some(PixelData::Native {
        tag,
        vr,
        value_offset,
        value_len,
        ..
    }) = opened.layout.pixel_data
    {
        let head = part10::write_native_pixel_header(tag, vr, value_len + value_len % 2, &explicit)
            .map_err(|error| HttpError::internal(&error))?;
        out.write(head.into()).await?;
        let range = value_offset..value_offset + value_len;
        if image.transfer_syntax_uid.is_little_endian() {
            out.copy(archive.storage.stream(image.blob.clone(), range)).await?;
        } else {
            let bits_allocated = frame_map(image)?.facts().map_or(16, |facts| facts.bits_allocated);
            swapped(archive, image, range, vr, bits_allocated, out).await?;
        }
        if value_len % 2 == 1 {
            out.write(Bytes::from_static(&[0])).await?;
        }
    }
    out.write(written.after.into()).await
}

/// Copies native samples with their bytes swapped; pieces are cut at whole samples.
async fn swapped(
    archive: &Archive,
    image: &ImageEntry,
    range: Range<u64>,
    vr: VR,
    bits_allocated: u16,
    out: &mut Outgoing,
) -> Result<(), Stop> {
    let mut pieces = std::pin::pin!(archive.storage.stream(image.blob.clone(), range));
    let mut rest: Vec<u8> = Vec::new();
    while let Some(piece) = pieces.next().await {
        rest.extend_from_slice(&piece.map_err(HttpError::from)?);
        // 8 is the widest sample.
        let tail = rest.split_off(rest.len() - rest.len() % 8);
        part10::swap_native(vr, bits_allocated, &mut rest);
        out.write(std::mem::replace(&mut rest, tail).into()).await?;
    }
    part10::swap_native(vr, bits_allocated, &mut rest);
    out.write(rest.into()).await
}

async fn inflated(archive: &Archive, image: &ImageEntry) -> Result<Bytes, HttpError> {
    let stored = stored(archive, image);
    let inflated = compute(archive, move || {
        let limits = Limits::default();
        let layout = part10::layout_part10(&stored, &limits)?;
        part10::inflate(&stored, &layout, &limits)
    });
    inflated
        .await?
        .map(Bytes::from)
        .map_err(|error| HttpError::internal(&error))
}

/// Writes an object with its frames decoded, in Explicit VR Little Endian; one frame in memory at a time.
///
/// # Errors
/// 500 where the stored object does not parse, 406 where a frame does not decode.
pub async fn decompressed(archive: &Archive, image: &ImageEntry, out: &mut Outgoing) -> Result<(), Stop> {
    let explicit = explicit()?;
    let map = frame_map(image)?;
    let facts = map.facts().ok_or_else(HttpError::not_found)?;
    let frame_len = (facts.pixels() * u64::from(facts.samples_per_pixel) * u64::from(facts.bits_allocated)).div_ceil(8);
    let length = frame_len * u64::from(map.frame_count());
    // Before anything is written: what does not decode at all is an honest 406.
    let first = native_frame(archive, image, &map, 1).await?;
    let Opened { mut header, .. } = open(archive, image).await?;
    if facts.samples_per_pixel == 3 && facts.bits_allocated == 8 {
        // The codecs undo their colour transformations, PS3.5 8.2.
        header.put(DataElement::new(
            PHOTOMETRIC_INTERPRETATION,
            VR::CS,
            PrimitiveValue::from("RGB"),
        ));
    }
    // Offsets of fragments that are no more.
    header.remove_element(EXTENDED_OFFSET_TABLE);
    header.remove_element(EXTENDED_OFFSET_TABLE_LENGTHS);
    let written = part10::write_header(&header, &explicit).map_err(|error| HttpError::internal(&error))?;
    let vr = if facts.bits_allocated > 8 { VR::OW } else { VR::OB };
    let head = part10::write_native_pixel_header(PIXEL_DATA, vr, length + length % 2, &explicit)
        .map_err(|error| HttpError::internal(&error))?;
    out.write(file_meta(image, &explicit)).await?;
    out.write(written.before.into()).await?;
    out.write(head.into()).await?;
    let mut first = Some(first);
    for number in 1..=map.frame_count() {
        let frame = match first.take() {
            Some(frame) => frame,
            None => native_frame(archive, image, &map, number).await?,
        };
        if frame.len() as u64 != frame_len {
            return Err(HttpError::internal(&"a decoded frame has another size than its header says").into());
        }
        out.write(frame).await?;
    }
    if length % 2 == 1 {
        out.write(Bytes::from_static(&[0])).await?;
    }
    out.write(written.after.into()).await
}
