//! The job that makes the hash codes of new images: read the middle frame, decode, window, hash, keep, index.

use anyhow::Context as _;
use futures::TryStreamExt as _;
use isocenter_imaging::FrameMap;
use isocenter_model::ImageAccession;
use isocenter_model::rights::{Principal, Role, visibility};
use isocenter_retrieval::{GrayPicture, perceptual_hash};
use isocenter_schema::Transaction;
use isocenter_schema::codes::{self, Code};
use isocenter_schema::numbers::Numbered;
use isocenter_schema::retrieve::{self, ImageEntry};

use crate::archive::Archive;
use crate::cpu::Queue;

/// Name of the model whose codes these are: the label-free transform of `retrieval.md` 3.4.
pub const MODEL: &str = isocenter_retrieval::PERCEPTUAL_MODEL;

/// Frames with more samples, or more stored bytes, get no code: a small compressed one may be gigabytes when decoded.
const LARGEST_FRAME: u64 = 32 << 20;

/// What needs more memory is not computed behind the others: viewers wait for the same memory, and must not wait for a thread
/// that waits for them.
const BEHIND: u64 = 16 << 20;

/// What the queue carries.
#[derive(serde::Deserialize)]
struct Payload {
    images: Vec<ImageAccession>,
}

/// A code and the collection of its image.
pub struct FoundCode {
    collection: i64,
    code: Code,
}

/// Makes the codes of the images that the payload names.
///
/// # Errors
/// When store or database fail. An image that cannot be decoded has no code and is no error.
pub async fn run(archive: &Archive, payload: &serde_json::Value) -> anyhow::Result<Vec<FoundCode>> {
    let payload: Payload = serde_json::from_value(payload.clone()).context("payload")?;
    let ids = payload
        .images
        .iter()
        .map(Numbered::number)
        .collect::<Result<Vec<i64>, _>>()?;
    // The job reads what it is asked to, whoever may see it; what it makes is searched by rights.
    let everything = visibility(&Principal::Known {
        id: "jobs".to_owned(),
        role: Role::Admin,
        collections: None,
    });
    let entries = retrieve::by_ids(&archive.db, &everything, &ids).await?;
    let mut made = Vec::new();
    for entry in entries {
        if let Some((frame, code)) = code_of(archive, &entry).await? {
            made.push(FoundCode {
                collection: entry.collection_id,
                code: Code {
                    image_id: entry.id,
                    frame,
                    code,
                },
            });
        }
    }
    Ok(made)
}

/// Writes codes to their collections, in order; those there already are replaced.
///
/// # Errors
/// When the database fails.
pub async fn keep(tx: &Transaction, made: &mut [FoundCode]) -> anyhow::Result<()> {
    made.sort_by_key(|found| (found.collection, found.code.image_id));
    for group in made.chunk_by(|a, b| a.collection == b.collection) {
        let Some(first) = group.first() else { continue };
        let codes: Vec<Code> = group.iter().map(|found| found.code).collect();
        codes::put(tx, first.collection, MODEL, &codes).await?;
    }
    Ok(())
}

/// Makes codes that were committed findable.
///
/// # Errors
/// When an index cannot take them.
pub fn index(archive: &Archive, made: &[FoundCode]) -> anyhow::Result<()> {
    for FoundCode { collection, code } in made {
        let found = isocenter_retrieval::Code64(code.code);
        archive.indexes.insert(*collection, MODEL, code.image_id, found)?;
    }
    Ok(())
}

/// Returns frame number and code of an image; `None` where it has no pixels, no decoder, or nothing to see.
async fn code_of(archive: &Archive, entry: &ImageEntry) -> anyhow::Result<Option<(u32, u64)>> {
    let map = FrameMap::decode(&entry.frame_map)?;
    let middle = map.frame_count() / 2;
    let Some((facts, ranges)) = map.facts().cloned().zip(map.ranges(middle)) else {
        return Ok(None);
    };
    let samples = u64::from(facts.rows) * u64::from(facts.columns) * u64::from(facts.samples_per_pixel);
    let stored: u64 = ranges.iter().map(|range| range.end - range.start).sum();
    if samples > LARGEST_FRAME || stored > LARGEST_FRAME {
        return Ok(None);
    }
    // Stored bytes, decoded values and the gray picture; read only when there is room for them.
    let needed = stored + samples * 8;
    let room = archive.cpu.room(needed, Queue::Wait).await?;
    let mut bytes = Vec::new();
    for range in ranges {
        bytes.extend_from_slice(&archive.storage.read(&entry.blob, range).await?);
    }
    let syntax = entry.transfer_syntax_uid.clone();
    let hash = move || {
        let frame = isocenter_imaging::decode_frame(&facts, &syntax, &map.trim(middle, bytes)).ok()?;
        let gray = isocenter_imaging::gray8(&frame, &facts);
        let picture = GrayPicture::new(gray.width, gray.height, &gray.data).ok()?;
        perceptual_hash(&picture)
    };
    let code = if needed <= BEHIND {
        archive.behind.run(room, hash).await?
    } else {
        archive.cpu.run(room, hash).await?.0
    };
    Ok(code.map(|code| (middle + 1, code.0)))
}

impl Archive {
    /// Fills the hash indexes from the database, which is the truth.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn load_indexes(&self) -> anyhow::Result<()> {
        for (collection, model, _) in codes::indexes(&self.db).await? {
            let rows: Vec<Vec<Code>> = codes::all(&self.db, collection, &model).try_collect().await?;
            let pairs = rows.iter().flatten().map(|code| (code.image_id, code.code));
            self.indexes.load(collection, &model, pairs)?;
        }
        Ok(())
    }
}
