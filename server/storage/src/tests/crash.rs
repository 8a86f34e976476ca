//! A power cut at every named point: what was acknowledged is there, and nothing is half there.

use futures::TryStreamExt;

use super::{local, new_key, open, put};
use crate::double::ForgetfulDisk;
use crate::fail::{Action, Plan, Point};
use crate::{Error, Opened};

/// Checks that each pack in the store is whole, and returns how many there are.
async fn whole_packs(opened: &Opened) -> usize {
    let names: Vec<_> = opened.storage.list_packs(None).try_collect().await.unwrap();
    for name in &names {
        let report = opened.storage.check(name).await.unwrap();
        assert!(report.is_whole(), "{report:?}");
        opened.storage.pack_rows(name).await.unwrap();
    }
    names.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn at_any_point_of_a_put_the_acknowledged_survives_and_nothing_is_half_there() {
    let points = [
        Point::BeforePut,
        Point::BeforeFlush,
        Point::BeforeRename,
        Point::BeforeFolderFlush,
        Point::AfterPut,
    ];
    for point in points {
        for len in [1000, 9 << 20] {
            let folder = tempfile::tempdir().unwrap();
            let disk = ForgetfulDisk::over(folder.path()).unwrap();
            let mut settings = local(folder.path()).with_disk(&disk);
            // two go through, the third meets the point
            settings.fail = Plan::default().with(point, Action::Unavailable, 2, u64::MAX);
            let opened = open(settings).await.unwrap();
            let key = new_key(&opened.storage).await;
            let mut kept = Vec::new();
            for _ in 0..2 {
                kept.push(put(&opened, &key, len).await.unwrap().1);
            }
            assert!(put(&opened, &key, len).await.is_err());
            disk.crash().unwrap();

            let again = open(local(folder.path())).await.unwrap();
            for blob in &kept {
                let read = again.storage.read(blob, 0..len as u64).await.unwrap();
                assert_eq!(read.len(), len, "{point:?}: an acknowledged object is gone");
            }
            let found = whole_packs(&again).await;
            assert_eq!(found, 2 + usize::from(point == Point::AfterPut), "{point:?} {len}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_power_cut_in_the_middle_of_a_put_leaves_no_name() {
    for point in [Point::BeforeFlush, Point::BeforeRename, Point::BeforeFolderFlush] {
        let folder = tempfile::tempdir().unwrap();
        let disk = ForgetfulDisk::over(folder.path()).unwrap();
        let mut settings = local(folder.path()).with_disk(&disk);
        settings.fail = Plan::default().with(point, Action::Delay(std::time::Duration::from_millis(300)), 1, 1);
        let opened = open(settings).await.unwrap();
        let key = new_key(&opened.storage).await;
        put(&opened, &key, 1000).await.unwrap();
        let (cut, last) = tokio::join!(
            async {
                tokio::time::sleep(std::time::Duration::from_millis(150)).await;
                disk.crash()
            },
            put(&opened, &key, 1000)
        );
        cut.unwrap();
        assert!(matches!(last, Err(Error::Unavailable { .. })), "{point:?}");
        let again = open(local(folder.path())).await.unwrap();
        assert_eq!(whole_packs(&again).await, 1, "{point:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_durable_before_their_ids_are_known() {
    let folder = tempfile::tempdir().unwrap();
    let disk = ForgetfulDisk::over(folder.path()).unwrap();
    let opened = open(local(folder.path()).with_disk(&disk)).await.unwrap();
    let collection = opened.storage.new_collection_key().await.unwrap();
    let kept = opened.storage.new_individual_key(&collection).await.unwrap();
    let erased = opened.storage.new_individual_key(&collection).await.unwrap();
    opened.storage.destroy_key(&erased).await.unwrap();
    disk.crash().unwrap();
    let again = open(local(folder.path())).await.unwrap();
    assert!(again.storage.key_exists(&kept).await.unwrap());
    assert!(!again.storage.key_exists(&erased).await.unwrap());
    let secret = again.storage.collection_secret(&collection, "x").await.unwrap();
    assert_eq!(
        *secret,
        *opened.storage.collection_secret(&collection, "x").await.unwrap()
    );
    put(&again, &kept, 10).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_pack_stays_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let disk = ForgetfulDisk::over(folder.path()).unwrap();
    let opened = open(local(folder.path()).with_disk(&disk)).await.unwrap();
    let key = new_key(&opened.storage).await;
    let (name, _) = put(&opened, &key, 10).await.unwrap();
    opened.storage.delete_pack(&name).await.unwrap();
    disk.crash().unwrap();
    let again = open(local(folder.path())).await.unwrap();
    assert!(matches!(again.storage.check(&name).await, Err(Error::Missing { .. })));
}

#[test]
fn the_double_really_forgets() {
    use crate::backend::disk::Disk;
    let folder = tempfile::tempdir().unwrap();
    let disk = ForgetfulDisk::over(folder.path()).unwrap();
    let at = |name: &str| folder.path().join(name);
    let write = |name: &str, flush: bool| {
        let mut file = disk.create_new(&at(name)).unwrap();
        file.write_all(b"bytes").unwrap();
        if flush {
            file.sync().unwrap();
        }
    };
    write("no flush of the file", false);
    write("flushed", true);
    write("renamed too late", true);
    disk.sync_folder(folder.path()).unwrap();
    disk.rename(&at("renamed too late"), &at("new name")).unwrap();
    write("no flush of the folder", true);
    assert!(at("new name").exists() && at("no flush of the folder").exists());
    disk.crash().unwrap();
    assert_eq!(std::fs::read(at("flushed")).unwrap(), b"bytes");
    assert_eq!(std::fs::read(at("no flush of the file")).unwrap(), b"");
    assert!(!at("no flush of the folder").exists());
    assert!(!at("new name").exists());
    assert_eq!(std::fs::read(at("renamed too late")).unwrap(), b"bytes");
    assert!(disk.create_new(&at("after")).is_err());
}
