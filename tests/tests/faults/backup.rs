//! The page on backup and restore, followed word for word: the blocks marked ```` ```sh backup ```` and ```` ```sh restore ````
//! are cut out of `deploy/README.md` and run by bash, so that the page cannot promise what does not work.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use isocenter_tests::archive::{Backend, TestArchive, path_of, program};
use isocenter_tests::peers::said;
use isocenter_tests::samples::{Sample, pixels_of};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/README.md");

/// Returns the lines of the page's block of that name.
fn block(name: &str) -> Vec<String> {
    let page = std::fs::read_to_string(PAGE).unwrap();
    let opening = format!("```sh {name}");
    let line = format!("\n{opening}\n");
    let mut blocks = page.split(line.as_str()).skip(1);
    let block = blocks
        .next()
        .unwrap_or_else(|| panic!("{opening} is not in deploy/README.md"));
    assert!(blocks.next().is_none(), "{opening} is in deploy/README.md twice");
    let (lines, _) = block.split_once("\n```").expect("an end of the block");
    lines.lines().map(str::to_owned).collect()
}

/// Returns the command of the page's text, between backticks, that begins with a program's name.
fn command(program: &str) -> Vec<String> {
    let page = std::fs::read_to_string(PAGE).unwrap();
    let (_, rest) = page.split_once(&format!("`{program} ")).expect("a command of the page");
    let (arguments, _) = rest.split_once('`').unwrap();
    vec![format!("{program} {arguments}")]
}

/// What the page names.
struct Places {
    data: PathBuf,
    backup: PathBuf,
    keys: PathBuf,
    database: Option<String>,
}

impl Places {
    /// Empty folders for the copies of an archive.
    fn of(archive: &TestArchive) -> Self {
        let (backup, keys) = (archive.scratch().join("backup"), archive.scratch().join("keys"));
        std::fs::create_dir(&backup).unwrap();
        std::fs::create_dir(&keys).unwrap();
        Self {
            data: archive.data_dir(),
            backup,
            keys,
            database: archive.database_url().map(str::to_owned),
        }
    }

    /// The same copies, to be restored into the data directory of another archive.
    fn restored_to(&self, archive: &TestArchive) -> Self {
        assert!(!archive.data_dir().exists());
        Self {
            data: archive.data_dir(),
            backup: self.backup.clone(),
            keys: self.keys.clone(),
            database: self.database.clone(),
        }
    }

    /// Runs lines as an operator does who pastes them into a shell; the first that fails is the end. Returns what was printed.
    fn run(&self, lines: &[String]) -> String {
        let folder = program("isocenter").parent().unwrap().to_owned();
        let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
        let done = Command::new("bash")
            .args(["-euo", "pipefail", "-c", &lines.join("\n")])
            .env_clear()
            .env("PATH", path)
            .env("HOME", &self.backup)
            .env("DATA", &self.data)
            .env("BACKUP", &self.backup)
            .env("KEYS", &self.keys)
            .envs(self.database.iter().map(|url| ("ISOCENTER_DATABASE_URL", url)))
            .current_dir(self.data.parent().unwrap())
            .output()
            .expect("bash runs");
        assert!(done.status.success(), "{lines:#?}\n{}", said(&done));
        said(&done)
    }
}

async fn store(archive: &TestArchive, path: &str, sample: &Sample, expected: u16) {
    let (status, body) = archive.stow(path, &[sample.file()], Some(&archive.admin)).await;
    assert_eq!(status, expected, "{body}");
}

/// Returns every instance that the administrator finds, as the file that is given out.
async fn instances(archive: &TestArchive) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for row in archive.search("/instances?limit=1000", Some(&archive.admin)).await {
        let path = path_of(&row);
        let file = archive.instance(&path, Some(&archive.admin)).await;
        found.insert(path, file);
    }
    found
}

/// Fills an archive: four objects that the Inbox de-identifies, two that are kept as they are. Returns the latter's collection.
async fn fill(archive: &TestArchive) -> String {
    for number in 1..=4 {
        store(archive, "/studies", &Sample::new(1, 1, number), 202).await;
    }
    archive.json(&["collection", "release", "OBIA0001"]);
    let path = archive.keeps_as_sent();
    for number in 1..=2 {
        store(archive, &path, &Sample::new(2, 1, number), 200).await;
    }
    path
}

/// Makes a token as the page says and returns what is printed.
fn new_admin(archive: &TestArchive) -> String {
    let made = archive.run(&["token", "create", "--role", "admin"]);
    assert!(made.status.success(), "{}", said(&made));
    String::from_utf8(made.stdout).unwrap().trim().to_owned()
}

fn assert_same(restored: &BTreeMap<String, Vec<u8>>, before: &BTreeMap<String, Vec<u8>>) {
    let names = |of: &BTreeMap<String, Vec<u8>>| of.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(restored), names(before));
    for (name, file) in before {
        assert_eq!(pixels_of(&restored[name]), pixels_of(file), "{name}");
        assert!(restored[name] == *file, "{name}: equal pixels in another file");
    }
}

/// Before the first start too: the lines of the page alone bring everything back, and not what a start does besides.
fn assert_whole(archive: &TestArchive) {
    let verified = archive.json(&["verify"]);
    assert_eq!(verified["whole"], true, "{verified}");
    assert_eq!(verified["packs_not_in_database"], 0, "{verified}");
    assert!(verified["bytes"].as_u64().unwrap() > 0, "{verified}");
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// The archive runs on, and an object arrives between every two lines of the backup: what came before the copy of the blobs is
/// restored, with or without a row in the copied database.
#[tokio::test]
async fn a_restored_backup_has_every_instance_with_equal_pixels() {
    let mut archive = TestArchive::start(Backend::Embedded).await;
    let path = fill(&archive).await;
    let places = Places::of(&archive);
    let mut before = instances(&archive).await;
    assert_eq!(before.len(), 6);
    let (mut meanwhile, mut blobs_copied) = (0, false);
    for line in block("backup") {
        places.run(std::slice::from_ref(&line));
        blobs_copied |= line.contains("\"$DATA/blobs\"");
        meanwhile += 1;
        store(&archive, &path, &Sample::new(3, meanwhile, 1), 200).await;
        if !blobs_copied {
            before = instances(&archive).await;
        }
    }
    assert!(
        before.len() > 6,
        "nothing arrived between the copies of database and blobs"
    );
    assert!(instances(&archive).await.len() > before.len());
    let old_admin = archive.admin.clone();
    archive.stop();

    let mut restored = TestArchive::prepare(Backend::Embedded);
    let there = places.restored_to(&restored);
    there.run(&block("restore"));
    assert_eq!(mode(&there.data), 0o700);
    assert_eq!(mode(&there.data.join("master.key")), 0o600);
    assert_whole(&restored);
    restored.launch().await;
    // Tokens work as before, and their file is in no backup.
    assert!(!there.data.join("admin.token").exists());
    restored.admin = old_admin;
    assert_same(&instances(&restored).await, &before);
    assert_whole(&restored);
    assert_eq!(restored.search("/instances", None).await.len(), before.len());
    restored.admin = new_admin(&restored);

    // What came after the copies is sent again, and numbers go on after those that were given before.
    store(&restored, &path, &Sample::new(3, meanwhile, 1), 200).await;
    assert_eq!(instances(&restored).await.len(), before.len() + 1);
}

/// The whole block at once, as one pastes it, and the line that copies the database back left out.
#[tokio::test]
async fn a_backup_without_its_database_has_every_instance_too() {
    let mut archive = TestArchive::start(Backend::Embedded).await;
    let path = fill(&archive).await;
    let before = instances(&archive).await;
    let places = Places::of(&archive);
    places.run(&block("backup"));
    archive.stop();

    let mut restored = TestArchive::prepare(Backend::Embedded);
    let lines = block("restore");
    let without: Vec<String> = lines
        .iter()
        .filter(|line| !line.contains("isocenter.db"))
        .cloned()
        .collect();
    assert_eq!(without.len() + 1, lines.len(), "one line copies the database");
    places.restored_to(&restored).run(&without);
    assert_whole(&restored);
    restored.launch().await;
    restored.admin = new_admin(&restored);
    assert_same(&instances(&restored).await, &before);
    assert_whole(&restored);
    assert_eq!(restored.search("/instances", None).await.len(), before.len());
    store(&restored, &path, &Sample::new(4, 1, 1), 200).await;
    assert_eq!(instances(&restored).await.len(), before.len() + 1);
}

/// The lines for PostgreSQL; the store, which is S3, was not lost.
#[tokio::test]
async fn a_restored_postgresql_has_every_instance_and_what_came_after_its_dump() {
    let mut archive = TestArchive::start(Backend::Grown).await;
    let path = fill(&archive).await;
    let places = Places::of(&archive);
    places.run(&command("pg_dump"));
    store(&archive, &path, &Sample::new(3, 1, 1), 200).await;
    let before = instances(&archive).await;
    assert_eq!(before.len(), 7);
    archive.stop();
    let lost = Command::new("psql")
        .args(["-q", "-X", archive.database_url().unwrap(), "-c"])
        .arg("drop schema public cascade; create schema public")
        .output()
        .unwrap();
    assert!(lost.status.success(), "{}", said(&lost));
    places.run(&command("pg_restore"));
    for arguments in [&["migrate"][..], &["reindex", "--from-store"], &["verify"]] {
        let done = archive.run(arguments);
        assert!(done.status.success(), "{arguments:?}: {}", said(&done));
    }
    assert_whole(&archive);
    archive.launch().await;
    assert_same(&instances(&archive).await, &before);
    assert_whole(&archive);
}

/// A backup that misses its keys is worth nothing, and is told apart from one that is whole.
#[tokio::test]
async fn a_backup_without_its_keys_is_not_restored_as_whole() {
    let mut archive = TestArchive::start(Backend::Embedded).await;
    fill(&archive).await;
    let places = Places::of(&archive);
    places.run(&block("backup"));
    archive.stop();
    let restored = TestArchive::prepare(Backend::Embedded);
    let there = places.restored_to(&restored);
    std::fs::remove_dir_all(places.keys.join("keys")).unwrap();
    std::fs::create_dir(places.keys.join("keys")).unwrap();
    let lines = block("restore");
    let (copies, programs): (Vec<String>, Vec<String>) =
        lines.into_iter().partition(|line| !line.starts_with("isocenter "));
    there.run(&copies);
    let verify = programs.last().unwrap();
    assert!(
        verify.ends_with(" verify"),
        "the last line of the page reads every byte: {verify}"
    );
    let verified = restored.run(&["verify"]);
    assert!(!verified.status.success(), "{}", said(&verified));
    assert!(said(&verified).contains("key store"), "{}", said(&verified));
}
