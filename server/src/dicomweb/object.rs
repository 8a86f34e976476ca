//! Stored objects, opened as far as an answer needs them.
//!
//! Most answers need no object opened: bytes go out as they lie, frames are found by the frame map, metadata is ready-made. What is
//! here is for the rest: a header for a decoder, a data set to be written again in Explicit VR Little Endian, one bulk value.
//! Frames that leave as they lie are streamed; what is decoded is read only once there is room for it ([`crate::cpu`]).

use std::ops::Range;

use bytes::Bytes;
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_object::InMemDicomObject;
use futures::StreamExt as _;
use isocenter_imaging::{FrameMap, PixelFacts};
use isocenter_model::TransferSyntaxUid;
use isocenter_model::part10::{self, ByteSource, Layout, Limits, NewFileMeta, PixelData};
use isocenter_model::uid::transfer_syntax as ts;
use isocenter_schema::retrieve::ImageEntry;
use isocenter_storage::{BlobRef, InArchive, Storage};

use super::answer::{Outgoing, Stop};
use crate::archive::Archive;
use crate::cpu::{Queue, Room};
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

/// Room for the header of an object and what is parsed of it.
const HEADER: u64 = 1 << 20;
/// Frames up to this many bytes are sent at once; longer ones are streamed.
pub const SHORT: u64 = 1 << 20;
/// The longest frame, stored or decoded, that is decoded here: 32 million pixels of 16 bits.
const LARGEST_DECODED: u64 = 64 << 20;

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
/// 500 where the stored object does not parse: it did when it came in. 503 where the queue is full.
pub async fn open(archive: &Archive, image: &ImageEntry, queue: Queue) -> Result<Opened, HttpError> {
    let stored = stored(archive, image);
    let room = archive.cpu.room(HEADER, queue).await?;
    let opening = archive.cpu.run(room, move || {
        let limits = Limits::default();
        let layout = part10::layout_part10(&stored, &limits)?;
        let header = part10::read_header(&stored, &layout, &limits)?;
        Ok(Opened { layout, header })
    });
    let (opened, _) = opening.await?;
    opened.map_err(|error: part10::Error| HttpError::internal(&error))
}

/// Returns where the frames of an object lie, and what their pixels mean.
///
/// # Errors
/// 500 where the stored map is damaged.
pub fn frame_map(image: &ImageEntry) -> Result<FrameMap, HttpError> {
    FrameMap::decode(&image.frame_map).map_err(|error| HttpError::internal(&error))
}

/// Where the stored bytes of one frame lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    ranges: Vec<Range<u64>>,
    /// Whether these bytes are the frame, or hold it among others: frames of single bits do not begin at a byte.
    whole: bool,
}

impl Place {
    /// Finds a frame, numbered from 1.
    ///
    /// # Errors
    /// 404 past the last frame.
    pub fn of(image: &ImageEntry, map: &FrameMap, number: u32) -> Result<Self, HttpError> {
        let index = number.checked_sub(1).ok_or_else(HttpError::not_found)?;
        let ranges = map.ranges(index).ok_or_else(HttpError::not_found)?;
        let syntax = &image.transfer_syntax_uid;
        let at_bytes = |facts: &PixelFacts| {
            facts.bits_allocated > 8 || (facts.frame_bits().is_multiple_of(8) && syntax.is_little_endian())
        };
        Ok(Self {
            ranges,
            whole: !syntax.is_native() || map.facts().is_some_and(at_bytes),
        })
    }

    fn stored_len(&self) -> u64 {
        let lengths = self.ranges.iter().map(|range| range.end.saturating_sub(range.start));
        lengths.fold(0, u64::saturating_add)
    }

    /// Returns the length of the frame where it is known without reading.
    pub fn known_len(&self) -> Option<u64> {
        self.whole.then(|| self.stored_len())
    }

    /// Reads the frame. All of it is in memory then: only for who has room for it.
    async fn read(
        &self,
        archive: &Archive,
        image: &ImageEntry,
        map: &FrameMap,
        number: u32,
    ) -> Result<Bytes, HttpError> {
        if let ([one], true) = (self.ranges.as_slice(), self.whole) {
            // The usual case: no byte is copied.
            return Ok(archive.storage.read(&image.blob, one.clone()).await?);
        }
        let mut joined = Vec::new();
        for range in &self.ranges {
            joined.extend_from_slice(&archive.storage.read(&image.blob, range.clone()).await?);
        }
        Ok(map.trim(number.saturating_sub(1), joined).into())
    }
}

/// Returns the stored bytes of a frame where they are few: what a connection may hold without room.
///
/// # Errors
/// What storage fails with.
pub async fn short_frame(archive: &Archive, image: &ImageEntry, place: &Place) -> Result<Option<Bytes>, HttpError> {
    match place.ranges.as_slice() {
        [one] if place.whole && place.stored_len() <= SHORT => {
            Ok(Some(archive.storage.read(&image.blob, one.clone()).await?))
        }
        _ => Ok(None),
    }
}

/// Writes the stored bytes of a frame, numbered from 1, in pieces.
///
/// # Errors
/// 404 past the last frame; what storage fails with.
pub async fn write_frame(
    archive: &Archive,
    image: &ImageEntry,
    map: &FrameMap,
    number: u32,
    out: &mut Outgoing,
) -> Result<(), Stop> {
    let place = Place::of(image, map, number)?;
    if let Some(short) = short_frame(archive, image, &place).await? {
        return out.write(short).await;
    }
    if place.whole {
        for range in &place.ranges {
            out.copy(archive.storage.stream(image.blob.clone(), range.clone()))
                .await?;
        }
        return Ok(());
    }
    if place.stored_len() > LARGEST_DECODED {
        return Err(too_large().into());
    }
    let room = archive
        .cpu
        .room(place.stored_len().saturating_mul(3), out.queue())
        .await?;
    let frame = place.read(archive, image, map, number).await?;
    out.write_held(room.holding(frame.into())).await
}

fn too_large() -> HttpError {
    HttpError::not_acceptable("this frame is too large to be decoded here; ask for it as stored, transfer-syntax=*")
}

/// A frame as it is stored, with the room to decode it in.
pub struct Loaded {
    /// Its stored bytes.
    pub bytes: Bytes,
    /// What its pixels mean.
    pub facts: PixelFacts,
    /// Where it may be decoded.
    pub room: Room,
}

/// Takes room for a frame, numbered from 1, and what is made of it, and only then reads it. `each` is what the work holds for a
/// pixel beyond the stored and the native bytes.
///
/// # Errors
/// 404 past the last frame, 406 for one that is too large, 503 where the queue is full; what storage fails with.
pub async fn load(
    archive: &Archive,
    image: &ImageEntry,
    map: &FrameMap,
    number: u32,
    each: u64,
    queue: Queue,
) -> Result<Loaded, HttpError> {
    let place = Place::of(image, map, number)?;
    let facts = map.facts().ok_or_else(HttpError::not_found)?.clone();
    let (stored, native) = (place.stored_len(), native_len(&facts));
    if stored.max(native) > LARGEST_DECODED {
        return Err(too_large());
    }
    let needed = stored + native + facts.pixels().saturating_mul(each);
    let room = archive.cpu.room(needed, queue).await?;
    let bytes = place.read(archive, image, map, number).await?;
    Ok(Loaded { bytes, facts, room })
}

/// Returns the length of a decoded frame.
pub fn native_len(facts: &PixelFacts) -> u64 {
    let samples = facts.pixels().saturating_mul(u64::from(facts.samples_per_pixel));
    samples.saturating_mul(u64::from(facts.bits_allocated)).div_ceil(8)
}

/// Returns a frame as native little endian samples, numbered from 1; it holds its room ([`Outgoing::write_held`]).
///
/// # Errors
/// As [`load`], and 406 where the stored frame does not decode.
pub async fn native_frame(
    archive: &Archive,
    image: &ImageEntry,
    map: &FrameMap,
    number: u32,
    queue: Queue,
) -> Result<Bytes, HttpError> {
    let samples = map.facts().map_or(1, |facts| u64::from(facts.samples_per_pixel));
    let Loaded { bytes, facts, room } = load(archive, image, map, number, 2 * samples, queue).await?;
    let syntax = image.transfer_syntax_uid.clone();
    let decoding = archive
        .cpu
        .run(room, move || isocenter_imaging::to_native(&facts, &syntax, &bytes));
    let (native, room) = decoding.await?;
    native.map(|native| room.holding(native)).map_err(|error| {
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
            let frame = native_frame(archive, image, &map, number, out.queue()).await?;
            out.write_held(frame).await?;
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
        let inflated = inflated(archive, image, out.queue()).await?;
        return out.write_held(inflated).await;
    }
    let opened = open(archive, image, out.queue()).await?;
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

async fn inflated(archive: &Archive, image: &ImageEntry, queue: Queue) -> Result<Bytes, HttpError> {
    let stored = stored(archive, image);
    // How long it will be is not known before: it has all the room there is, alone.
    let room = archive.cpu.room(u64::MAX, queue).await?;
    let inflating = archive.cpu.run(room, move || {
        let limits = Limits::default();
        let layout = part10::layout_part10(&stored, &limits)?;
        part10::inflate(&stored, &layout, &limits)
    });
    let (inflated, room) = inflating.await?;
    inflated
        .map(|bytes| room.holding(bytes))
        .map_err(|error: part10::Error| HttpError::internal(&error))
}

/// Writes an object with its frames decoded, in Explicit VR Little Endian; one frame in memory at a time.
///
/// # Errors
/// 500 where the stored object does not parse, 406 where a frame does not decode.
pub async fn decompressed(archive: &Archive, image: &ImageEntry, out: &mut Outgoing) -> Result<(), Stop> {
    let explicit = explicit()?;
    let map = frame_map(image)?;
    let facts = map.facts().ok_or_else(HttpError::not_found)?;
    let frame_len = native_len(facts);
    let length = frame_len * u64::from(map.frame_count());
    // Before anything is written: what does not decode at all is an honest 406.
    let Opened { mut header, .. } = open(archive, image, out.queue()).await?;
    let first = native_frame(archive, image, &map, 1, out.queue()).await?;
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
            None => native_frame(archive, image, &map, number, Queue::Wait).await?,
        };
        if frame.len() as u64 != frame_len {
            return Err(HttpError::internal(&"a decoded frame has another size than its header says").into());
        }
        out.write_held(frame).await?;
    }
    if length % 2 == 1 {
        out.write(Bytes::from_static(&[0])).await?;
    }
    out.write(written.after.into()).await
}
