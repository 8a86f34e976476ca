//! `isocenter reindex [--from-store]`: rebuild what can be derived.

use clap::Args;
use isocenter_ingest::replay::{From, run as replay};

use super::Output;
use crate::archive::Archive;

/// From what to rebuild.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Read every pack of the store and write the rows that the database does not have
    #[arg(long)]
    from_store: bool,
}

/// Runs the command.
pub(crate) async fn run(options: Options, archive: &Archive, output: Output) -> anyhow::Result<u8> {
    let from = if options.from_store {
        From::Beginning
    } else {
        From::Checkpoint
    };
    let mut done = replay(&archive.db, &archive.storage, from).await?;
    if let Some(rebuilt) = &archive.rebuilt {
        done.applied += rebuilt.applied;
        done.destroyed += rebuilt.destroyed;
    }
    output.answer(&done, |done| {
        format!(
            "{} packs read, {} applied, {} rows of destroyed keys",
            done.packs, done.applied, done.destroyed
        )
    })?;
    archive.close().await;
    Ok(0)
}
