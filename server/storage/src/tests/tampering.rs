//! Tampering with a pack or a key entry: any byte, any cut, swapped parts, another area. All is found, and named.

use std::path::PathBuf;

use proptest::prelude::*;

use super::{files, local, new_key, open, plain, put};
use crate::{
    BlobRef, Damage, Error, Finding, InArchive, InQuarantine, KeyId, Opened, PackBuilder, PackName, PackReport, Piece,
    pack, seal,
};

struct Scene {
    folder: tempfile::TempDir,
    opened: Opened,
    key: KeyId,
    name: PackName,
    blob: BlobRef<InArchive>,
    path: PathBuf,
    good: Vec<u8>,
}

const LEN: usize = 300_000;

async fn scene() -> Scene {
    let folder = tempfile::tempdir().unwrap();
    let opened = open(local(folder.path())).await.unwrap();
    let key = new_key(&opened.storage).await;
    let (name, blob) = put(&opened, &key, LEN).await.unwrap();
    let path = files(&folder.path().join("blobs/packs")).remove(0);
    let good = std::fs::read(&path).unwrap();
    Scene {
        folder,
        opened,
        key,
        name,
        blob,
        path,
        good,
    }
}

impl Scene {
    async fn check(&self) -> PackReport {
        self.opened.storage.check(&self.name).await.unwrap()
    }

    async fn damage(&self, bytes: &[u8]) -> Vec<Finding> {
        std::fs::write(&self.path, bytes).unwrap();
        self.check().await.damage
    }

    async fn read_damage(&self, from: u64, to: u64) -> Option<Damage> {
        match self.opened.storage.read(&self.blob, from..to).await {
            Ok(_) => None,
            Err(Error::Corrupt { damage, .. }) => Some(damage),
            Err(other) => panic!("{other}"),
        }
    }

    /// Where the parts of the pack begin: body, row, index, trailer.
    fn parts(&self) -> [usize; 4] {
        let body = pack::HEADER as usize;
        let trailer = self.good.len() - pack::TRAILER as usize;
        [
            body,
            body + self.blob.sealed_len() as usize,
            trailer - 2 * pack::INDEX_ENTRY as usize,
            trailer,
        ]
    }
}

/// Says what flipping a bit there must be called.
fn expected(scene: &Scene, at: usize) -> Damage {
    let [body, row, index, _] = scene.parts();
    let inside = |at: usize| match at.checked_sub(seal::HEADER as usize) {
        None => Damage::Header,
        Some(at) => Damage::Segment((at as u64) / (seal::SEGMENT + seal::TAG)),
    };
    match at {
        _ if at < body => Damage::PackHeader,
        _ if at < row => inside(at - body),
        _ if at < index => inside(at - row),
        _ => Damage::Index,
    }
}

#[test]
fn any_flipped_bit_of_a_pack_is_found_and_named() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let scene = runtime.block_on(scene());
    let try_one = |at: usize, bit: u8| {
        let mut bent = scene.good.clone();
        bent[at] ^= 1 << bit;
        let found = runtime.block_on(scene.damage(&bent));
        let damages: Vec<_> = found.iter().map(|finding| finding.damage).collect();
        assert_eq!(damages, [expected(&scene, at)], "byte {at} bit {bit}");
    };
    let [body, row, index, _] = scene.parts();
    // every byte of everything that is not body, and a sample of that
    for at in (0..body + 60).chain(row - 20..scene.good.len()) {
        try_one(at, (at % 8) as u8);
    }
    assert!(index > row);
    proptest!(ProptestConfig::with_cases(64), |(at in 0..scene.good.len(), bit in 0_u8..8)| try_one(at, bit));
    assert!(
        runtime.block_on(scene.damage(&scene.good)).is_empty(),
        "and the good bytes are good"
    );
}

#[test]
fn a_pack_cut_anywhere_is_called_cut() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let scene = runtime.block_on(scene());
    let cut = |keep: usize| {
        let found = runtime.block_on(scene.damage(&scene.good[..keep]));
        assert_eq!(
            found,
            [Finding {
                blob: None,
                damage: Damage::CutOff
            }],
            "cut to {keep}"
        );
        let rows = runtime.block_on(scene.opened.storage.pack_rows(&scene.name));
        assert!(
            matches!(
                rows,
                Err(Error::Corrupt {
                    damage: Damage::CutOff,
                    ..
                })
            ),
            "cut to {keep}"
        );
        let whole = runtime.block_on(scene.read_damage(0, LEN as u64));
        let untouched = keep >= scene.parts()[1];
        assert_eq!(whole, (!untouched).then_some(Damage::CutOff), "cut to {keep}");
    };
    for keep in (0..100).chain(scene.good.len() - 200..scene.good.len()) {
        cut(keep);
    }
    proptest!(ProptestConfig::with_cases(48), |(keep in 0..scene.good.len())| cut(keep));
}

#[tokio::test]
async fn bytes_behind_the_end_are_found() {
    let scene = scene().await;
    let grown = [scene.good.as_slice(), b"more"].concat();
    assert_eq!(
        scene.damage(&grown).await,
        [Finding {
            blob: None,
            damage: Damage::Grown
        }]
    );
    assert_eq!(
        scene.read_damage(0, LEN as u64).await,
        None,
        "the body itself is untouched"
    );
}

#[tokio::test]
async fn swapped_segments_are_found_by_check_and_by_the_reads_that_touch_them() {
    let scene = scene().await;
    let step = (seal::SEGMENT + seal::TAG) as usize;
    let at = |segment: usize| (pack::HEADER + seal::HEADER) as usize + segment * step;
    let mut bent = scene.good.clone();
    let kept = bent[at(1)..at(2)].to_vec();
    bent.copy_within(at(3)..at(4), at(1));
    bent[at(3)..at(4)].copy_from_slice(&kept);
    let found = scene.damage(&bent).await;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].damage, Damage::Moved { place: 1, belongs: 3 });
    assert_eq!(found[0].blob, Some(scene.blob.blob_id()));
    assert_eq!(
        scene.read_damage(70_000, 70_010).await,
        Some(Damage::Moved { place: 1, belongs: 3 })
    );
    assert_eq!(
        scene.read_damage(200_000, 200_010).await,
        Some(Damage::Moved { place: 3, belongs: 1 })
    );
    assert_eq!(
        scene.read_damage(140_000, 190_000).await,
        None,
        "a segment between them still opens"
    );
    let said = scene
        .opened
        .storage
        .read(&scene.blob, 70_000..70_010)
        .await
        .unwrap_err()
        .to_string();
    assert!(said.contains("segment 3 stands at the place of segment 1"), "{said}");
}

#[tokio::test]
async fn a_header_that_was_altered_is_named_even_by_a_read_in_the_middle() {
    let scene = scene().await;
    let step = seal::SEGMENT + seal::TAG;
    let mut bent = scene.good.clone();
    bent[pack::HEADER as usize + 10] ^= 1;
    std::fs::write(&scene.path, &bent).unwrap();
    assert_eq!(
        scene.read_damage(70_000, 70_010).await,
        None,
        "the header is not needed to open a segment"
    );
    bent[(pack::HEADER + seal::HEADER + step) as usize + 5] ^= 1;
    std::fs::write(&scene.path, &bent).unwrap();
    assert_eq!(scene.read_damage(70_000, 70_010).await, Some(Damage::Header));
}

#[tokio::test]
async fn a_body_cannot_be_read_through_another_area() {
    let scene = scene().await;
    let mut pack = PackBuilder::new(&scene.opened.storage).unwrap();
    let body = vec![Piece::Bytes(plain(100_000).into())];
    let held = pack
        .add_quarantine(&scene.opened.quarantine_writer, &scene.key, body)
        .await
        .unwrap();
    pack.put().await.unwrap();
    // as if somebody had changed the row: the same reference, with the archive's mark
    let mut row = serde_json::to_value(&held).unwrap();
    assert!(serde_json::from_value::<BlobRef<InArchive>>(row.clone()).is_err());
    row["area"] = 1.into();
    let forged: BlobRef<InArchive> = serde_json::from_value(row).unwrap();
    for range in [0..10, 70_000..70_010, 0..100_000] {
        let read = scene.opened.storage.read(&forged, range).await;
        let damage = match read {
            Err(Error::Corrupt { damage, .. }) => damage,
            other => panic!("{other:?}"),
        };
        assert_eq!(damage, Damage::WrongArea(crate::Area::Quarantine));
    }
    let held: BlobRef<InQuarantine> = held;
    assert_eq!(
        scene.opened.storage.read(&held, 0..100_000).await.unwrap(),
        plain(100_000)
    );
}

#[tokio::test]
async fn a_pack_under_another_packs_name_is_found() {
    let scene = scene().await;
    let (other, blob) = put(&scene.opened, &scene.key, LEN).await.unwrap();
    let path = files(&scene.folder.path().join("blobs/packs"));
    let path = path.iter().find(|path| path.ends_with(other.to_string())).unwrap();
    std::fs::write(path, &scene.good).unwrap();
    let report = scene.opened.storage.check(&other).await.unwrap();
    assert_eq!(
        report.damage,
        [Finding {
            blob: None,
            damage: Damage::PackHeader
        }]
    );
    let read = scene.opened.storage.read(&blob, 0..10).await;
    assert!(
        matches!(
            read,
            Err(Error::Corrupt {
                damage: Damage::Header,
                ..
            })
        ),
        "{read:?}"
    );
}

#[tokio::test]
async fn a_reference_to_another_place_or_length_opens_nothing() {
    let scene = scene().await;
    let row = serde_json::to_value(&scene.blob).unwrap();
    for (field, value) in [
        ("offset", 41_u64),
        ("plain_len", LEN as u64 - 1),
        ("plain_len", 10),
        ("offset", u64::MAX - 9),
    ] {
        let mut row = row.clone();
        row[field] = value.into();
        let forged: BlobRef<InArchive> = serde_json::from_value(row).unwrap();
        assert!(
            scene.opened.storage.read(&forged, 0..10).await.is_err(),
            "{field} {value}"
        );
    }
    let mut row = row.clone();
    row["version"] = 9.into();
    let forged: BlobRef<InArchive> = serde_json::from_value(row).unwrap();
    let read = scene.opened.storage.read(&forged, 0..10).await;
    assert!(matches!(read, Err(Error::UnknownVersion { version: 9, .. })));
}

#[tokio::test]
async fn an_altered_key_entry_is_named() {
    let scene = scene().await;
    let entry = files(&scene.folder.path().join("keys/individuals")).remove(0);
    let good = std::fs::read(&entry).unwrap();
    for at in (0..good.len()).step_by(7) {
        let mut bent = good.clone();
        bent[at] ^= 1;
        std::fs::write(&entry, &bent).unwrap();
        scene.opened.storage.forget_keys();
        let read = scene.opened.storage.read(&scene.blob, 0..10).await;
        // an entry that names another collection fails when that one is looked for
        let named = matches!(read, Err(Error::KeyCorrupt { .. } | Error::CollectionKeyMissing { .. }));
        assert!(named, "byte {at}: {read:?}");
    }
    std::fs::write(&entry, &good).unwrap();
    assert_eq!(scene.read_damage(0, 10).await, None);
}

#[tokio::test]
async fn a_destroyed_key_leaves_no_wrapped_key_on_the_disk() {
    let scene = scene().await;
    let entry = files(&scene.folder.path().join("keys/individuals")).remove(0);
    let wrapped = std::fs::read(&entry).unwrap()[50..82].to_vec();
    let linked = scene.folder.path().join("another name of the same file");
    std::fs::hard_link(&entry, &linked).unwrap();
    scene.opened.storage.destroy_key(&scene.key).await.unwrap();
    for path in [&entry, &linked] {
        let left = std::fs::read(path).unwrap();
        assert!(!left.windows(32).any(|bytes| bytes == wrapped), "{path:?}");
    }
    let read = scene.opened.storage.read(&scene.blob, 0..10).await;
    assert!(
        matches!(read, Err(Error::KeyDestroyed { .. })),
        "the key is gone from memory too"
    );
}
