//! Packs that the database does not know: applied at start-up, and all of them to rebuild it.
//!
//! On the embedded default the ingest transactions are not flushed one by one; the pack carries the same rows and was. A
//! power cut may take the newest transactions, and this brings them back. Every pack is applied in its own flushed
//! transaction, in the order of the packs' names, which is the order of time; one that is known already changes nothing.

use futures::StreamExt as _;
use isocenter_schema::commit;
use isocenter_schema::record::Record;
use isocenter_schema::{Database, packs};
use isocenter_storage::{PackName, Storage};

use crate::{Error, events};

/// What a replay did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Replayed {
    /// Packs that were looked at.
    pub packs: u64,
    /// Packs that the database did not know.
    pub applied: u64,
    /// Rows whose key was destroyed: erased on purpose, and gone.
    pub destroyed: u64,
    /// The newest pack that was looked at.
    #[serde(skip)]
    pub last: Option<PackName>,
}

/// How far back a replay looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// Packs newer than the last checkpoint: start-up.
    Checkpoint,
    /// Every pack of the store: `reindex --from-store`.
    Beginning,
}

/// Applies packs that the database does not know.
///
/// # Errors
/// When store or database fail, or a pack is damaged: nothing after it is applied, since order matters.
pub async fn run(db: &Database, storage: &Storage, from: From) -> Result<Replayed, Error> {
    let after = match from {
        From::Checkpoint => packs::checkpoint(db).await?,
        From::Beginning => None,
    };
    // Whose deletion was cut short: their rows were not committed, and their senders know it.
    for name in packs::voided(db).await? {
        storage.delete_pack(&name).await?;
    }
    let known = packs::known(db, after.as_ref()).await?;
    let mut done = Replayed::default();
    let mut names = storage.list_packs(after.as_ref());
    let mut last = None;
    while let Some(name) = names.next().await {
        let name = name?;
        done.packs += 1;
        if !known.contains(&name) {
            let found = storage.pack_rows(&name).await?;
            let records = found
                .rows
                .iter()
                .map(|row| Record::decode(row))
                .collect::<Result<Vec<_>, _>>()?;
            let images = records.iter().filter_map(|record| match record {
                Record::Image(image) => Some(image.accessions.image.clone()),
                _ => None,
            });
            let images: Vec<_> = images.collect();
            let tx = db.begin_write().await?;
            commit::replay(&tx, &found.durable, &records, &events::jobs_of(&images)).await?;
            tx.commit().await?;
            done.applied += 1;
            done.destroyed += found.destroyed as u64;
            tracing::info!(pack = %name, rows = records.len(), "pack applied that the database did not know");
        }
        last = Some(name);
    }
    done.last = last;
    Ok(done)
}
