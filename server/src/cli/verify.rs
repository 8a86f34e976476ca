//! `isocenter verify`: every sealed byte against its tag, every row against its pack, and the audit trail's chains.

use std::collections::BTreeSet;

use clap::Args;
use futures::StreamExt as _;
use serde_json::json;

use super::Output;
use crate::archive::Archive;

/// What to leave out.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Only the audit trail and the presence of packs: do not read the objects
    #[arg(long)]
    quick: bool,
}

/// Runs the command: 0 when everything is whole, 1 when something is not, with each damage named.
pub(crate) async fn run(options: Options, archive: &Archive, output: Output) -> anyhow::Result<u8> {
    let mut known = isocenter_schema::packs::known(&archive.db, None).await?;
    let mut packs = archive.storage.list_packs(None);
    let (mut checked, mut bytes, mut unknown) = (0u64, 0u64, 0u64);
    let mut damage: Vec<String> = Vec::new();
    while let Some(name) = packs.next().await {
        let name = name?;
        if !known.remove(&name) {
            unknown += 1;
        }
        checked += 1;
        if options.quick {
            continue;
        }
        match archive.storage.check(&name).await {
            Ok(report) => {
                bytes += report.size;
                damage.extend(report.damage.iter().map(|found| match &found.blob {
                    Some(blob) => format!("pack {name}, object {blob}: {}", found.damage),
                    None => format!("pack {name}: {}", found.damage),
                }));
            }
            Err(error) => damage.push(error.to_string()),
        }
    }
    let missing: BTreeSet<String> = known.iter().map(ToString::to_string).collect();
    damage.extend(
        missing
            .into_iter()
            .map(|name| format!("pack {name}: missing from the store")),
    );
    let audit = isocenter_schema::audit::verify(&archive.db, &archive.audit_key).await?;
    damage.extend(
        audit
            .broken
            .iter()
            .map(|(writer, seq)| format!("audit trail of {writer}: broken at event {seq}")),
    );
    let whole = damage.is_empty();
    let answer = json!({
        "whole": whole, "packs": checked, "bytes": bytes, "packs_not_in_database": unknown,
        "audit_events": audit.events, "damage": damage,
    });
    output.answer(&answer, |_| {
        let mut text = format!("{checked} packs, {bytes} bytes, {} audit events", audit.events);
        text.push_str(if whole { ": everything is whole" } else { ": NOT WHOLE" });
        for line in &damage {
            text.push('\n');
            text.push_str(line);
        }
        text
    })?;
    archive.close().await;
    Ok(u8::from(!whole))
}
