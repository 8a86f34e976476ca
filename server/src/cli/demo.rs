//! `isocenter demo`: small phantom studies through the real way in.

use std::collections::BTreeSet;

use clap::Args;
use isocenter_model::arrival::{Arrival, Form, Source};
use isocenter_model::rights::{Access, Principal, Role, visibility};
use isocenter_model::{CollectionAccession, Outcome, Route};
use isocenter_schema::record::{ImageState, Originals, ReleaseRecord, ReleaseRule, Scope};
use serde_json::json;

use super::Output;
use crate::archive::{Archive, NewCollection};
use crate::config::Settings;
use crate::demo::{DemoSpec, studies};

/// How large the demonstration is.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Individuals
    #[arg(long, default_value_t = 6)]
    individuals: u32,
    /// Slices of a volume
    #[arg(long, default_value_t = 24)]
    slices: u16,
    /// Rows and columns of a slice
    #[arg(long, default_value_t = 256)]
    size: u16,
    /// Seed of the phantoms
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

const TITLE: &str = "Phantom pelvis";

/// Runs the command. An archive that already holds something is left alone.
pub(crate) async fn run(options: Options, settings: Settings, output: Output) -> anyhow::Result<u8> {
    let archive = Archive::open(settings).await?;
    let everything = visibility(&Principal::Known {
        id: "demo".to_owned(),
        role: Role::Admin,
        collections: None,
    });
    if isocenter_schema::stats::totals(&archive.db, &everything).await?.images > 0 {
        let answer = json!({"accession": null, "images": 0});
        output.answer(&answer, |_| {
            "the archive holds images already; nothing was added".into()
        })?;
        archive.close().await;
        return Ok(0);
    }
    let new = NewCollection {
        title: TITLE.to_owned(),
        profile: "obia".into(),
        // Ultrasound and mammograms may show text, and no search releases them: who runs this command does.
        release: ReleaseRule::Manual,
        access: Access::Open,
        originals: Originals::None,
        ae_title: None,
        issuer: "DEMO".to_owned(),
    };
    let accession = archive.create_collection(new, "demo").await?;
    let spec = DemoSpec {
        individuals: options.individuals,
        size: options.size,
        slices: options.slices,
    };
    let mut stored = 0u64;
    let mut waiting = Vec::new();
    for instance in studies(options.seed, &spec) {
        waiting.push(send(&archive, &accession, instance.part10));
        if waiting.len() >= 32 {
            stored += finish(&mut waiting).await?;
        }
    }
    stored += finish(&mut waiting).await?;
    let release = ReleaseRecord {
        collection: accession.clone(),
        scope: Scope::Collection,
        from: vec![ImageState::Pending],
        to: ImageState::Released,
        at: archive.clock.now(),
    };
    archive.change_state(release, "demo").await?;
    let answer = json!({"accession": accession, "images": stored});
    output.answer(&answer, |_| format!("{stored} phantom images in {accession}"))?;
    archive.close().await;
    Ok(0)
}

async fn finish(waiting: &mut Vec<impl Future<Output = anyhow::Result<Outcome>>>) -> anyhow::Result<u64> {
    let outcomes = futures::future::join_all(waiting.drain(..)).await;
    let mut stored = 0;
    let mut others = BTreeSet::new();
    for outcome in outcomes {
        match outcome? {
            Outcome::Stored { .. } => stored += 1,
            other => {
                others.insert(format!("{other:?}"));
            }
        }
    }
    anyhow::ensure!(others.is_empty(), "phantoms were not stored: {others:?}");
    Ok(stored)
}

async fn send(archive: &Archive, accession: &CollectionAccession, part10: Vec<u8>) -> anyhow::Result<Outcome> {
    let arrival = Arrival {
        route: Route {
            collection: accession.clone(),
            issuer: "DEMO".to_owned(),
        },
        source: Source::Import,
        form: Form::Part10,
        bound_to_study: None,
        size_hint: Some(part10.len() as u64),
    };
    let refused = |refusal| anyhow::anyhow!("a phantom was refused: {refusal:?}");
    let mut writer = archive.sink.begin(arrival).await.map_err(refused)?;
    writer.write(bytes::Bytes::from(part10)).await.map_err(refused)?;
    Ok(writer.finish().await)
}
