//! Whether there is an archive at all.
//!
//! Only `serve`, `demo` and `migrate` make one. Every other command looks first and touches nothing: who mistypes a folder must
//! not be left with a second, empty archive and a master key that belongs to nothing.

use std::path::PathBuf;

use isocenter_schema::Database;
use isocenter_storage::Storage;

use crate::archive::{Archive, places};
use crate::config::Settings;

/// Returns the file of an embedded database.
pub fn database_file(settings: &Settings) -> Option<PathBuf> {
    let path = settings.database_url.strip_prefix("sqlite:")?;
    let path = path.strip_prefix("//").unwrap_or(path);
    let path = path.split('?').next().unwrap_or(path);
    Some(PathBuf::from(path))
}

fn holds_something(url: &url::Url) -> bool {
    let folder = url.to_file_path().ok().and_then(|path| std::fs::read_dir(path).ok());
    folder.is_some_and(|mut entries| entries.next().is_some())
}

/// Returns whether the settings name an archive: a database with something in it, or a store from which one can be rebuilt.
/// Makes nothing.
///
/// # Errors
/// When database or store do not answer.
pub async fn is_there(settings: &Settings) -> anyhow::Result<bool> {
    if database_file(settings).is_none_or(|file| file.exists()) {
        let db = Database::open(&settings.database_url).await?;
        let empty = db.is_empty().await;
        db.close().await?;
        if !empty? {
            return Ok(true);
        }
    }
    // Looking into a folder as a store would make one of it. Packs without keys, or keys without packs, are an archive that lost
    // something: opening it says what.
    let (store, keys) = (&settings.store_url, &settings.key_store_url);
    if store.scheme() == "file" && !holds_something(store) && !holds_something(keys) {
        return Ok(false);
    }
    Ok(!Storage::nothing_there(&places(settings)).await?)
}

/// Returns what a person needs to hear where there is none.
pub fn none_here(settings: &Settings) -> String {
    format!(
        "there is no archive in {}: `isocenter serve` makes one, and --data-dir (or --database-url and --store-url) names another",
        settings.data_dir.display()
    )
}

/// Opens an archive that is there.
///
/// # Errors
/// When there is none, and as [`Archive::open`].
pub async fn open(settings: Settings) -> anyhow::Result<Archive> {
    anyhow::ensure!(is_there(&settings).await?, none_here(&settings));
    Archive::open(settings).await
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::Parser as _;

    use super::*;
    use crate::cli::{self, Cli};

    async fn run(folder: &Path, command: &[&str]) -> anyhow::Result<u8> {
        let folder = folder.to_str().unwrap();
        let line = [
            &[
                "isocenter",
                "--data-dir",
                folder,
                "--http",
                "127.0.0.1:0",
                "--dimse",
                "127.0.0.1:0",
            ],
            command,
        ];
        Box::pin(cli::run(Cli::try_parse_from(line.concat()).unwrap())).await
    }

    /// Everything below a folder with its mode, the folder itself first.
    fn below(folder: &Path) -> Vec<(PathBuf, u32)> {
        use std::os::unix::fs::PermissionsExt as _;
        let meta = std::fs::metadata(folder).unwrap();
        let mut found = vec![(folder.to_owned(), meta.permissions().mode())];
        if meta.is_dir() {
            let entries = std::fs::read_dir(folder).unwrap();
            found.extend(entries.flat_map(|entry| below(&entry.unwrap().path())));
        }
        found
    }

    const LOOKING: [&[&str]; 8] = [
        &["collection", "list"],
        &["collection", "create", "--title", "t"],
        &["collection", "release", "OBIA0001"],
        &["token", "list"],
        &["quarantine", "list"],
        &["reindex", "--from-store"],
        &["verify"],
        &["doctor"],
    ];

    #[tokio::test]
    async fn commands_that_look_make_no_archive() {
        let scratch = tempfile::tempdir().unwrap();
        let (missing, empty) = (scratch.path().join("missing"), scratch.path().join("empty"));
        std::fs::create_dir(&empty).unwrap();
        for command in LOOKING {
            for folder in [&missing, &empty] {
                match run(folder, command).await {
                    Ok(code) => assert_eq!((command, code), (&["doctor"][..], 1)),
                    Err(error) => {
                        let said = error.to_string();
                        assert!(
                            said.contains("no archive in") && said.contains("serve"),
                            "{command:?}: {said}"
                        );
                    }
                }
            }
        }
        assert!(!missing.exists());
        assert_eq!(below(&empty).len(), 1);
    }

    #[tokio::test]
    async fn an_empty_database_is_no_archive_and_a_store_without_one_is() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path();
        assert_eq!(run(folder, &["migrate"]).await.unwrap(), 0);
        assert!(run(folder, &["token", "list"]).await.is_err());
        let demo = ["demo", "--individuals", "1", "--slices", "1", "--size", "16"];
        assert_eq!(run(folder, &demo).await.unwrap(), 0);
        assert_eq!(run(folder, &["token", "list"]).await.unwrap(), 0);
        for name in ["isocenter.db", "isocenter.db-wal", "isocenter.db-shm"] {
            let _ = std::fs::remove_file(folder.join(name));
        }
        assert_eq!(run(folder, &["reindex", "--from-store"]).await.unwrap(), 0);
        assert_eq!(run(folder, &["verify"]).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn nobody_else_can_read_what_an_archive_writes() {
        crate::serve::prepare_process();
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().join("data");
        let demo = ["demo", "--individuals", "1", "--slices", "1", "--size", "16"];
        assert_eq!(run(&folder, &demo).await.unwrap(), 0);
        // A database that is open has its log beside it.
        let _open = Database::open(&format!("sqlite://{}", folder.join("isocenter.db").display()))
            .await
            .unwrap();
        let found = below(&folder);
        assert!(found.len() > 10, "{found:?}");
        for (path, mode) in found {
            assert_eq!(mode & 0o077, 0, "{} has mode {mode:o}", path.display());
        }
    }
}
