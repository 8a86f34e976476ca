//! What every backend must do, as functions over the settings of an empty place.
//!
//! [`all`] runs over the local folder, the store in memory and, where one is at hand, a store that speaks S3. A `make`
//! returns settings of the same place each time it is called, so that a case can open it again as another process would.

use futures::{StreamExt, TryStreamExt};
use isocenter_model::part10::ByteSource;
use std::sync::Arc;

use crate::area::{BlobRef, InArchive};
use crate::builder::PackBuilder;
use crate::error::Error;
use crate::id::{KeyId, PackName};
use crate::key::MasterKey;
use crate::sealer::Piece;
use crate::storage::{Opened, Storage, StorageSettings};

/// Result of a case: the error says what did not hold.
pub type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

fn holds(condition: bool, what: &str) -> Outcome {
    if condition { Ok(()) } else { Err(what.into()) }
}

const MASTER: [u8; 32] = [0x42; 32];

/// Runs every case over an empty place.
///
/// # Errors
/// The first thing that did not hold.
pub async fn all(make: &(dyn Fn() -> StorageSettings + Sync)) -> Outcome {
    first_start(make).await?;
    bodies_read_back(make).await?;
    large_bodies_stream_through(make).await?;
    packs_are_listed_in_order(make).await?;
    keys_end(make).await?;
    the_master_key_rotates(make).await
}

fn plain(len: usize, seed: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 31 + i / 251 + seed) as u8).collect()
}

async fn open(make: &(dyn Fn() -> StorageSettings + Sync)) -> Result<Opened, Error> {
    Storage::open(make(), MasterKey::from_bytes(MASTER)).await
}

async fn key(storage: &Storage) -> Result<KeyId, Error> {
    let collection = storage.new_collection_key().await?;
    storage.new_individual_key(&collection).await
}

async fn put(opened: &Opened, key: &KeyId, bodies: &[Vec<u8>]) -> Result<(PackName, Vec<BlobRef<InArchive>>), Error> {
    let mut pack = PackBuilder::new(&opened.storage)?;
    let mut blobs = Vec::new();
    for body in bodies {
        let (a, b) = body.split_at_checked(body.len() / 3).unwrap_or((body, &[]));
        let body = vec![Piece::Bytes(a.to_vec().into()), Piece::Bytes(b.to_vec().into())];
        let blob = pack.add_archive(&opened.archive_writer, key, body).await?;
        pack.add_row(key, format!("row of {}", blob.blob_id()).into_bytes())
            .await?;
        blobs.push(blob);
    }
    pack.add_system_row(b"collection".to_vec());
    let durable = pack.put().await?;
    Ok((*durable.pack(), blobs))
}

/// A new place is empty, a second opening finds the same keys, another master key is told.
///
/// # Errors
/// What did not hold.
pub async fn first_start(make: &(dyn Fn() -> StorageSettings + Sync)) -> Outcome {
    holds(Storage::nothing_there(&make()).await?, "a new place is empty")?;
    let opened = open(make).await?;
    holds(
        opened.storage.is_empty().await?,
        "opening adds neither packs nor collections",
    )?;
    opened.storage.ready().await?;
    holds(
        !Storage::nothing_there(&make()).await?,
        "a second start is not a first one",
    )?;
    let collection = opened.storage.new_collection_key().await?;
    holds(!opened.storage.is_empty().await?, "a collection key makes it non-empty")?;
    let secret = opened.storage.collection_secret(&collection, "pseudonyms").await?;
    let other = opened.storage.collection_secret(&collection, "digests").await?;
    holds(*secret != *other, "purposes have their own secrets")?;
    let again = open(make).await?;
    let same = again.storage.collection_secret(&collection, "pseudonyms").await?;
    holds(*secret == *same, "a collection's secret is the same after a restart")?;
    let wrong = Storage::open(make(), MasterKey::from_bytes([1; 32])).await;
    holds(
        matches!(wrong, Err(Error::WrongMasterKey { .. })),
        "another master key is told",
    )
}

/// What was put reads back, in whole, in ranges, as a stream, and after a restart; rows come with the pack.
///
/// # Errors
/// What did not hold.
pub async fn bodies_read_back(make: &(dyn Fn() -> StorageSettings + Sync)) -> Outcome {
    let opened = open(make).await?;
    let key = key(&opened.storage).await?;
    let bodies: Vec<_> = [0, 1, 65_536, 526_338, 65_537]
        .iter()
        .enumerate()
        .map(|(i, &len)| plain(len, i))
        .collect();
    let (name, blobs) = put(&opened, &key, &bodies).await?;
    for opened in [&opened, &open(make).await?] {
        let storage = &opened.storage;
        for (blob, body) in blobs.iter().zip(&bodies) {
            let len = body.len() as u64;
            holds(
                storage.read(blob, 0..len).await?[..] == body[..],
                "the whole body reads back",
            )?;
            for (from, to) in [
                (0, 1),
                (65_530, 65_540),
                (70_000, 70_000),
                (131_072, 196_608),
                (400_000, 526_338),
            ] {
                let part = body.get(from..to);
                let read = storage.read(blob, from as u64..to as u64).await;
                match part {
                    Some(part) => holds(read?[..] == *part, "a range reads back")?,
                    None => holds(matches!(read, Err(Error::OutOfRange { .. })), "a range outside is told")?,
                }
            }
            let streamed: Vec<_> = storage.stream(blob.clone(), 0..len).try_collect().await?;
            holds(streamed.concat() == *body, "a stream gives the body")?;
        }
        let rows = storage.pack_rows(&name).await?;
        holds(
            rows.rows.len() == bodies.len() + 1 && rows.destroyed == 0,
            "all rows are there",
        )?;
        let first = blobs
            .first()
            .map(|blob| format!("row of {}", blob.blob_id()).into_bytes());
        holds(rows.rows.first() == first.as_ref(), "rows come in order")?;
        holds(
            rows.rows.last().is_some_and(|row| row == b"collection"),
            "the system row is there",
        )?;
        let report = storage.check(&name).await?;
        holds(
            report.is_whole() && report.entries == 2 * bodies.len() + 1,
            "the pack checks",
        )?;
    }
    Ok(())
}

/// A body too large for one request or buffer goes through with pieces from a spill, and can be copied as it is.
///
/// # Errors
/// What did not hold.
pub async fn large_bodies_stream_through(make: &(dyn Fn() -> StorageSettings + Sync)) -> Outcome {
    let opened = open(make).await?;
    let storage = &opened.storage;
    let key = key(storage).await?;
    let body = plain(21 << 20, 3);
    let mut spill = storage.spill()?;
    for part in body.chunks(100_000) {
        spill.append(part)?;
    }
    let staged: Arc<dyn ByteSource> = spill.freeze()?;
    let len = body.len() as u64;
    let mut pack = PackBuilder::new(storage)?;
    let pieces = vec![
        Piece::Bytes(b"a new header".to_vec().into()),
        Piece::Spilled(staged, 100..len),
    ];
    let blob = pack.add_archive(&opened.archive_writer, &key, pieces).await?;
    pack.add_row(&key, b"row".to_vec()).await?;
    let durable = pack.put().await?;
    holds(durable.size() > len, "the pack has its size")?;
    let expected = [b"a new header", body.get(100..).unwrap_or_default()].concat();
    let read: Vec<_> = storage.stream(blob.clone(), 0..blob.plain_len()).try_collect().await?;
    holds(read.concat() == expected, "a large body reads back")?;
    holds(storage.check(durable.pack()).await?.is_whole(), "a large pack checks")?;

    let mut compacted = PackBuilder::new(storage)?;
    let moved = compacted.add_copy(&blob)?;
    let copied = compacted.put().await?;
    storage.delete_pack(durable.pack()).await?;
    storage.delete_pack(durable.pack()).await?;
    let gone = storage.read(&blob, 0..1).await;
    holds(matches!(gone, Err(Error::Missing { .. })), "a deleted pack is gone")?;
    let tail = storage.read(&moved, blob.plain_len() - 1000..blob.plain_len()).await?;
    holds(
        expected.ends_with(&tail) && tail.len() == 1000,
        "a copied body opens at its new place",
    )?;
    holds(
        storage.check(copied.pack()).await?.is_whole(),
        "a compacted pack checks",
    )
}

/// Packs are listed in the order of their making, from any point, also across a restart.
///
/// # Errors
/// What did not hold.
pub async fn packs_are_listed_in_order(make: &(dyn Fn() -> StorageSettings + Sync)) -> Outcome {
    let opened = open(make).await?;
    let key = key(&opened.storage).await?;
    let before: Option<PackName> = opened
        .storage
        .list_packs(None)
        .try_fold(None, |_, name| async move { Ok(Some(name)) })
        .await?;
    let mut made = Vec::new();
    for i in 0..3 {
        made.push(put(&opened, &key, &[plain(100, i)]).await?.0);
    }
    let again = open(make).await?;
    for i in 0..2 {
        made.push(put(&again, &key, &[plain(100, i)]).await?.0);
    }
    let listed: Vec<_> = again.storage.list_packs(before.as_ref()).try_collect().await?;
    holds(listed == made, "packs are listed in the order of their making")?;
    let behind: Vec<_> = again.storage.list_packs(made.get(2)).collect().await;
    holds(behind.len() == 2, "a listing goes on behind a name")
}

/// A destroyed key opens nothing any more, is told from one that is missing, and rows under it are counted.
///
/// # Errors
/// What did not hold.
pub async fn keys_end(make: &(dyn Fn() -> StorageSettings + Sync)) -> Outcome {
    let opened = open(make).await?;
    let storage = &opened.storage;
    let collection = storage.new_collection_key().await?;
    let keys = storage.new_individual_keys(&collection, 3).await?;
    let [erased, kept, ..] = keys.as_slice() else {
        return Err("three keys were asked for".into());
    };
    let mut pack = PackBuilder::new(storage)?;
    let gone = pack
        .add_archive(
            &opened.archive_writer,
            erased,
            vec![Piece::Bytes(plain(1000, 1).into())],
        )
        .await?;
    let stays = pack
        .add_archive(&opened.archive_writer, kept, vec![Piece::Bytes(plain(1000, 2).into())])
        .await?;
    pack.add_row(erased, b"gone".to_vec()).await?;
    pack.add_row(kept, b"stays".to_vec()).await?;
    let durable = pack.put().await?;
    storage.destroy_key(erased).await?;
    storage.destroy_key(erased).await?;
    for storage in [storage, &open(make).await?.storage] {
        holds(
            !storage.key_exists(erased).await? && storage.key_exists(kept).await?,
            "one key is gone",
        )?;
        let read = storage.read(&gone, 0..1).await;
        holds(
            matches!(read, Err(Error::KeyDestroyed { .. })),
            "what it sealed does not open",
        )?;
        holds(
            storage.read(&stays, 0..1000).await?[..] == plain(1000, 2)[..],
            "others are untouched",
        )?;
        let rows = storage.pack_rows(durable.pack()).await?;
        holds(
            rows.rows == [b"stays".to_vec()] && rows.destroyed == 1,
            "rows under it are counted",
        )?;
        let report = storage.check(durable.pack()).await?;
        holds(report.is_whole() && report.destroyed == 2, "the pack still checks")?;
    }
    let mut pack = PackBuilder::new(storage)?;
    let refused = pack.add_row(erased, Vec::new()).await;
    holds(
        matches!(refused, Err(Error::KeyDestroyed { .. })),
        "nothing is sealed under it",
    )?;
    let unknown = storage.destroy_key(&KeyId::from_bytes([9; 16])).await;
    holds(
        unknown.is_ok(),
        "destroying a key that was never made leaves a mark and is no error",
    )?;
    let missing = pack.add_row(&KeyId::from_bytes([8; 16]), Vec::new()).await;
    holds(
        matches!(missing, Err(Error::KeyMissing { .. })),
        "a missing key is not a destroyed one",
    )
}

/// After rotation the new master key opens everything and the old one is told to be wrong. Rotates back at the end.
///
/// # Errors
/// What did not hold.
pub async fn the_master_key_rotates(make: &(dyn Fn() -> StorageSettings + Sync)) -> Outcome {
    let opened = open(make).await?;
    let key = key(&opened.storage).await?;
    let (name, blobs) = put(&opened, &key, &[plain(5000, 5)]).await?;
    let new = MasterKey::from_bytes([0x17; 32]);
    let wrapped = opened.storage.rotate_master_key(&new).await?;
    holds(wrapped >= 2, "the system key and a collection key were wrapped anew")?;
    holds(
        opened.storage.rotate_master_key(&new).await? == 0,
        "a second rotation finds nothing to do",
    )?;
    holds(
        matches!(open(make).await, Err(Error::WrongMasterKey { .. })),
        "the old master key is told",
    )?;
    let again = Storage::open(make(), new).await?;
    for blob in &blobs {
        holds(
            again.storage.read(blob, 0..5000).await?[..] == plain(5000, 5)[..],
            "bodies open",
        )?;
    }
    holds(
        again.storage.pack_rows(&name).await?.rows.len() == 2,
        "rows open, those of the system too",
    )?;
    again.storage.rotate_master_key(&MasterKey::from_bytes(MASTER)).await?;
    Ok(())
}
