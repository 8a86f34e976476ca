//! The suite over every backend, and what is particular to one.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use url::Url;

use super::{files, local, new_key, open, put};
use crate::double::ForgetfulDisk;
use crate::fail::{Action, Plan, Point};
use crate::{Error, MasterKey, PackBuilder, Storage, StorageSettings, suite};

#[tokio::test(flavor = "multi_thread")]
async fn the_suite_holds_on_a_local_folder() {
    let folder = tempfile::tempdir().unwrap();
    suite::all(&|| local(folder.path())).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_suite_holds_on_a_disk_that_forgets() {
    let folder = tempfile::tempdir().unwrap();
    let disk = ForgetfulDisk::over(folder.path()).unwrap();
    suite::all(&|| local(folder.path()).with_disk(&disk)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_suite_holds_on_a_store_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let memory: Arc<dyn object_store::ObjectStore> = Arc::new(object_store::memory::InMemory::new());
    let make = || {
        let mut settings = StorageSettings::in_memory(folder.path().join("spill")).unwrap();
        settings.set_memory(memory.clone());
        settings
    };
    suite::all(&make).await.unwrap();
}

/// Runs where `ISOCENTER_TEST_S3_ENDPOINT` names a server, with the bucket `ISOCENTER_TEST_S3_BUCKET` (default
/// `isocenter`, which must be there) and the credentials of the usual variables (default `test`).
#[tokio::test(flavor = "multi_thread")]
async fn the_suite_holds_on_s3() {
    let Ok(endpoint) = std::env::var("ISOCENTER_TEST_S3_ENDPOINT") else {
        println!("left out: ISOCENTER_TEST_S3_ENDPOINT names no S3 server");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let get = |name: &str, default: &str| std::env::var(name).unwrap_or_else(|_| default.into());
    let bucket = get("ISOCENTER_TEST_S3_BUCKET", "isocenter");
    let place = format!("s3://{bucket}/suite-{}", crate::id::BlobId::draw().unwrap());
    let make = || {
        let url = |name: &str| Url::parse(&format!("{place}/{name}")).unwrap();
        let mut settings = StorageSettings::new(url("blobs"), url("keys"), folder.path().join("spill"));
        for (name, default) in [
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("AWS_REGION", "us-east-1"),
        ] {
            settings.s3.insert(name.into(), get(name, default));
        }
        settings.s3.insert("AWS_ENDPOINT_URL".into(), endpoint.clone());
        settings
    };
    suite::all(&make).await.unwrap();
    let opened = open(make()).await.unwrap();
    println!("conditional put: {:?}", opened.storage.conditional_put());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_away_is_said_to_be_away_soon() {
    let folder = tempfile::tempdir().unwrap();
    // a port that was free a moment ago answers nothing
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let url = |name: &str| Url::parse(&format!("s3://bucket/{name}")).unwrap();
    let mut settings = StorageSettings::new(url("blobs"), url("keys"), folder.path().join("spill"));
    for (name, value) in [
        ("AWS_ACCESS_KEY_ID", "a"),
        ("AWS_SECRET_ACCESS_KEY", "b"),
        ("AWS_REGION", "c"),
    ] {
        settings.s3.insert(name.into(), value.into());
    }
    settings
        .s3
        .insert("AWS_ENDPOINT_URL".into(), format!("http://127.0.0.1:{port}"));
    let began = Instant::now();
    assert!(matches!(open(settings).await, Err(Error::Unavailable { .. })));
    assert!(began.elapsed() < Duration::from_secs(20));
}

#[tokio::test]
async fn only_known_kinds_of_stores_are_opened() {
    let folder = tempfile::tempdir().unwrap();
    for bad in ["ftp://host/x", "memory:///x", "file://host/x"] {
        let mut settings = local(folder.path());
        settings.store_url = Url::parse(bad).unwrap();
        assert!(matches!(open(settings).await, Err(Error::Settings { .. })), "{bad}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_on_the_disk_is_for_its_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    let opened = open(local(folder.path())).await.unwrap();
    let key = new_key(&opened.storage).await;
    put(&opened, &key, 1000).await.unwrap();
    for place in [
        "keys",
        "keys/individuals",
        "keys/collections",
        "keys/system",
        "blobs",
        "blobs/packs",
    ] {
        let mode = std::fs::metadata(folder.path().join(place))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o700, "{place}");
    }
    let found = files(folder.path());
    assert!(found.len() >= 6, "{found:?}");
    for path in found {
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600,
            "{path:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn packs_without_a_key_store_are_an_error_not_a_first_start() {
    let folder = tempfile::tempdir().unwrap();
    let opened = open(local(folder.path())).await.unwrap();
    let key = new_key(&opened.storage).await;
    put(&opened, &key, 10).await.unwrap();
    drop(opened);
    std::fs::remove_dir_all(folder.path().join("keys")).unwrap();
    assert!(!Storage::nothing_there(&local(folder.path())).await.unwrap());
    assert!(matches!(
        open(local(folder.path())).await,
        Err(Error::KeyStoreMissing { .. })
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_that_was_interrupted_can_be_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let opened = open(local(folder.path())).await.unwrap();
    let collections = [
        opened.storage.new_collection_key().await.unwrap(),
        opened.storage.new_collection_key().await.unwrap(),
    ];
    let new = MasterKey::from_bytes([7; 32]);
    let undone = [
        files(&folder.path().join("keys/collections")).remove(1),
        folder.path().join("keys/system/system"),
    ];
    let before = undone.clone().map(|path| std::fs::read(path).unwrap());
    assert_eq!(opened.storage.rotate_master_key(&new).await.unwrap(), 3);
    // as if the power had gone when only the first collection was done
    for (path, bytes) in undone.iter().zip(before) {
        std::fs::write(path, bytes).unwrap();
    }
    let halfway = open(local(folder.path())).await.unwrap();
    assert_eq!(halfway.storage.rotate_master_key(&new).await.unwrap(), 2);
    let again = Storage::open(local(folder.path()), new).await.unwrap();
    for id in collections {
        again.storage.collection_secret(&id, "x").await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_said_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let disk = ForgetfulDisk::over(folder.path()).unwrap();
    let opened = open(local(folder.path()).with_disk(&disk)).await.unwrap();
    let key = new_key(&opened.storage).await;
    for (len, room) in [(1000, 0), (100_000, 99_000), (9 << 20, 5 << 20)] {
        disk.limit(Some(room));
        assert!(matches!(put(&opened, &key, len).await, Err(Error::NoSpace)), "{len}");
    }
    disk.limit(Some(10));
    let collection = opened.storage.new_collection_key().await;
    assert!(matches!(collection, Err(Error::NoSpace)));
    let left: Vec<_> = files(&folder.path().join("blobs"));
    assert!(
        left.iter().all(|path| path.extension().is_some_and(|e| e == "lock")),
        "{left:?}"
    );
    disk.limit(None);
    put(&opened, &key, 9 << 20).await.unwrap();
    assert!(opened.storage.free_space().await.unwrap().unwrap().available > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn planned_failures_happen_where_they_are_planned() {
    let folder = tempfile::tempdir().unwrap();
    for point in [
        Point::BeforePut,
        Point::BeforeFlush,
        Point::BeforeRename,
        Point::BeforeFolderFlush,
        Point::AfterPut,
    ] {
        let mut settings = local(folder.path());
        settings.fail = Plan::default().with(point, Action::Unavailable, 0, 1);
        let opened = open(settings).await.unwrap();
        let key = new_key(&opened.storage).await;
        let before = files(&folder.path().join("blobs/packs")).len();
        assert!(
            matches!(put(&opened, &key, 10).await, Err(Error::Unavailable { .. })),
            "{point:?}"
        );
        let after = files(&folder.path().join("blobs/packs")).len();
        // behind the put the pack is there, and only the caller does not know
        assert_eq!(after - before, usize::from(point == Point::AfterPut), "{point:?}");
        put(&opened, &key, 10).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn leftovers_of_killed_processes_are_swept_and_those_of_living_ones_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let alive = open(local(folder.path())).await.unwrap();
    let temporary = folder.path().join("blobs/temporary");
    std::fs::create_dir(temporary.join("dead")).unwrap();
    std::fs::write(temporary.join("dead/3"), "half a pack").unwrap();
    std::fs::write(temporary.join("dead.lock"), "").unwrap();
    let other = open(local(folder.path())).await.unwrap();
    assert!(!temporary.join("dead").exists() && !temporary.join("dead.lock").exists());
    assert_eq!(
        std::fs::read_dir(&temporary).unwrap().count(),
        4,
        "a lock and a folder for each that lives"
    );
    alive.storage.ready().await.unwrap();
    let key = new_key(&alive.storage).await;
    put(&alive, &key, 10).await.unwrap();
    drop((alive, other));
    assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_puts_at_once_make_as_many_packs() {
    let folder = tempfile::tempdir().unwrap();
    let opened = Arc::new(open(local(folder.path())).await.unwrap());
    let key = new_key(&opened.storage).await;
    let puts: Vec<_> = (0..24)
        .map(|i| {
            let opened = opened.clone();
            tokio::spawn(async move { put(&opened, &key, i * 10_000).await })
        })
        .collect();
    for (i, made) in puts.into_iter().enumerate() {
        let (_, blob) = made.await.unwrap().unwrap();
        let len = i as u64 * 10_000;
        assert_eq!(opened.storage.read(&blob, 0..len).await.unwrap().len() as u64, len);
    }
    assert_eq!(files(&folder.path().join("blobs/packs")).len(), 24);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_put_is_two_flushes_and_the_first_of_an_hour_a_few_more() {
    let folder = tempfile::tempdir().unwrap();
    let disk = ForgetfulDisk::over(folder.path()).unwrap();
    let opened = open(local(folder.path()).with_disk(&disk)).await.unwrap();
    let key = new_key(&opened.storage).await;
    put(&opened, &key, 10).await.unwrap();
    let mut counted = Vec::new();
    for _ in 0..3 {
        let before = disk.flushes();
        put(&opened, &key, 100_000).await.unwrap();
        counted.push(disk.flushes() - before);
    }
    // the hour may have turned between two of them
    assert_eq!(counted.iter().min(), Some(&2), "{counted:?}");
}

#[tokio::test]
async fn an_empty_pack_is_whole_too() {
    let folder = tempfile::tempdir().unwrap();
    let opened = open(local(folder.path())).await.unwrap();
    let pack = PackBuilder::new(&opened.storage).unwrap();
    assert!(pack.is_empty());
    let durable = pack.put().await.unwrap();
    assert!(opened.storage.check(durable.pack()).await.unwrap().is_whole());
    assert!(opened.storage.pack_rows(durable.pack()).await.unwrap().rows.is_empty());
}
