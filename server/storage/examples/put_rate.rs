//! Measures puts into a local folder: packs of 1 and of 16 objects of 526 KB, one after the other.
//!
//! `cargo run --release -p isocenter-storage --example put_rate -- FOLDER [SECONDS]`

use std::time::{Duration, Instant};

use isocenter_storage::{MasterKey, Opened, PackBuilder, Piece, Storage, StorageSettings};
use url::Url;

type Failure = Box<dyn std::error::Error>;

const OBJECT: usize = 526_338;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let folder = std::path::absolute(arguments.next().ok_or("a folder, please")?)?;
    let seconds: u64 = arguments.next().map_or(Ok(3), |text| text.parse())?;
    let url = |name: &str| Url::from_directory_path(folder.join(name)).map_err(|()| "not a folder");
    let settings = StorageSettings::new(url("blobs")?, url("keys")?, folder.join("spill"));
    let opened = Storage::open(settings, MasterKey::from_bytes([1; 32])).await?;
    let collection = opened.storage.new_collection_key().await?;
    let began = Instant::now();
    for _ in 0..20 {
        opened.storage.new_individual_key(&collection).await?;
    }
    println!("new Individual key: {:.2} ms", began.elapsed().as_secs_f64() * 50.0);
    let object = bytes::Bytes::from((0..OBJECT).map(|i| (i * 31) as u8).collect::<Vec<_>>());
    for objects in [1, 16] {
        measure(&opened, &collection, &object, objects, Duration::from_secs(seconds)).await?;
    }
    Ok(())
}

async fn measure(
    opened: &Opened,
    collection: &isocenter_storage::CollectionKeyId,
    object: &bytes::Bytes,
    objects: usize,
    time: Duration,
) -> Result<(), Failure> {
    let key = opened.storage.new_individual_key(collection).await?;
    let mut took = Vec::new();
    let mut last = None;
    let began = Instant::now();
    while began.elapsed() < time {
        let one = Instant::now();
        let mut pack = PackBuilder::new(&opened.storage)?;
        for _ in 0..objects {
            let body = vec![Piece::Bytes(object.clone())];
            last = Some(pack.add_archive(&opened.archive_writer, &key, body).await?);
            pack.add_row(&key, vec![7; 8000]).await?;
        }
        pack.put().await?;
        took.push(one.elapsed());
    }
    let seconds = began.elapsed().as_secs_f64();
    took.sort_unstable();
    let at = |share: f64| {
        took.get((took.len() as f64 * share) as usize)
            .map_or(0.0, |t| t.as_secs_f64() * 1000.0)
    };
    let packs = took.len() as f64 / seconds;
    println!(
        "{objects:2} x 526 KB: {packs:.0} packs/s, {:.0} objects/s, {:.0} MB/s; p50 {:.2} ms, p95 {:.2} ms, p99 {:.2} ms",
        packs * objects as f64,
        packs * (objects * OBJECT) as f64 / 1e6,
        at(0.5),
        at(0.95),
        at(0.99),
    );
    let blob = last.ok_or("nothing was put")?;
    for len in [1000, 65_536, OBJECT as u64] {
        let began = Instant::now();
        for i in 0..200 {
            let from = (i * 1000) % (OBJECT as u64 - len + 1);
            opened.storage.read(&blob, from..from + len).await?;
        }
        println!(
            "     read of {len:6}: {:.0} us",
            began.elapsed().as_secs_f64() * 1e6 / 200.0
        );
    }
    Ok(())
}
