//! `isocenter quarantine list|show`: what waits, and why; never what it says.

use clap::Subcommand;
use isocenter_model::CollectionAccession;
use isocenter_schema::findings::{self, Subject};
use isocenter_schema::quarantine::{self, Filter, Item, ItemState};
use serde_json::{Value, json};

use super::Output;
use crate::archive::Archive;

/// The most that one list shows; the last id continues it.
const PAGE: u32 = 10_000;

/// What to do with quarantined objects.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List what waits
    List {
        /// Only of this collection
        #[arg(long)]
        collection: Option<CollectionAccession>,
        /// Only after this item
        #[arg(long, default_value_t = 0)]
        after: i64,
    },
    /// Show one item and what the checks found
    Show {
        /// Its number
        id: i64,
    },
}

fn row(item: &Item) -> Value {
    json!({
        "id": item.id,
        "collection": item.collection,
        "check": item.check,
        "state": item.state.as_str(),
        "sop_class_uid": item.sop_class_uid,
        "transfer_syntax_uid": item.transfer_syntax_uid,
        "bytes": item.bytes,
        "received_at": item.received_at,
    })
}

/// Runs the command.
pub(crate) async fn run(command: Command, archive: &Archive, output: Output) -> anyhow::Result<u8> {
    match command {
        Command::List { collection, after } => {
            let filter = Filter {
                collection,
                state: Some(ItemState::Waiting),
                check: None,
                after,
            };
            let rows: Vec<Value> = quarantine::list(&archive.db, &filter, PAGE)
                .await?
                .iter()
                .map(row)
                .collect();
            output.answer(&rows, |rows| rows.iter().map(|row| format!("{row}\n")).collect())?;
        }
        Command::Show { id } => {
            let item = quarantine::get(&archive.db, id).await?;
            let item = item.ok_or_else(|| anyhow::anyhow!("no quarantined object {id}"))?;
            let found = findings::of(&archive.db, Subject::Quarantined(id)).await?;
            let mut shown = row(&item);
            if let Some(object) = shown.as_object_mut() {
                let found = found.iter().map(|finding| {
                    json!({"check": finding.check_code, "severity": finding.severity, "detail": finding.detail,
                        "state": finding.state})
                });
                object.insert("findings".into(), found.collect());
                object.insert(
                    "provenance".into(),
                    serde_json::from_str(&item.provenance).unwrap_or_default(),
                );
            }
            output.answer(&shown, |shown| serde_json::to_string_pretty(shown).unwrap_or_default())?;
        }
    }
    archive.close().await;
    Ok(0)
}
