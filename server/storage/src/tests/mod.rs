//! Tests of the whole package: every backend, every kind of tampering, every kind of crash.

mod backends;
mod crash;
mod tampering;

use std::path::Path;

use url::Url;

use crate::{
    BlobRef, InArchive, KeyId, MasterKey, Opened, PackBuilder, PackName, Piece, Result, Storage, StorageSettings,
};

/// Settings of a local store under a folder.
fn local(root: &Path) -> StorageSettings {
    let url = |name: &str| Url::from_directory_path(root.join(name)).unwrap();
    StorageSettings::new(url("blobs"), url("keys"), root.join("spill"))
}

async fn open(settings: StorageSettings) -> Result<Opened> {
    Storage::open(settings, MasterKey::from_bytes([0x42; 32])).await
}

fn plain(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 31 + i / 251) as u8).collect()
}

async fn new_key(storage: &Storage) -> KeyId {
    let collection = storage.new_collection_key().await.unwrap();
    storage.new_individual_key(&collection).await.unwrap()
}

/// Puts a body of this length, with a row.
async fn put(opened: &Opened, key: &KeyId, len: usize) -> Result<(PackName, BlobRef<InArchive>)> {
    let mut pack = PackBuilder::new(&opened.storage)?;
    let body = vec![Piece::Bytes(plain(len).into())];
    let blob = pack.add_archive(&opened.archive_writer, key, body).await?;
    pack.add_row(key, format!("{len}").into_bytes()).await?;
    pack.put().await.map(|durable| (*durable.pack(), blob))
}

/// Returns all files under a folder.
fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = std::fs::read_dir(folder) else {
        return found;
    };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}
