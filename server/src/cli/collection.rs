//! `isocenter collection create|list|show|release|withdraw`. How a profile is given is in [`profile`].

mod profile;

use clap::{Args, Subcommand, ValueEnum};
use isocenter_model::rights::Access;
use isocenter_model::{AeTitle, CollectionAccession};
use isocenter_schema::collections::{self, CollectionRow};
use isocenter_schema::record::{ImageState, Lifecycle, Originals, ReleaseRecord, ReleaseRule, Scope};
use serde_json::{Value, json};

use super::Output;
use crate::archive::{Archive, NewCollection};

/// What to do with collections.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create a collection and print its accession
    Create(Create),
    /// List the collections
    List,
    /// Show one collection and its counts
    Show {
        /// Its accession, OBIA0001
        accession: CollectionAccession,
    },
    /// Withdraw a collection for good: its number stays, its data are gone (410) but for curators, and it takes nothing more
    Withdraw {
        /// Its accession, OBIA0001
        accession: CollectionAccession,
        /// Why; kept in the audit trail, and so never a patient's name
        #[arg(long)]
        reason: String,
    },
    /// Release the images of a collection that wait for it
    Release {
        /// Its accession, OBIA0001
        accession: CollectionAccession,
    },
}

/// A new collection.
#[derive(Debug, Args)]
pub(crate) struct Create {
    /// Title
    #[arg(long)]
    title: String,
    #[command(flatten)]
    profile: profile::Choice,
    /// How images are released
    #[arg(long, value_enum, default_value = "manual")]
    release: Release,
    /// Who may read what is released
    #[arg(long, value_enum, default_value = "open")]
    access: Who,
    /// Keep the objects as received: none, until-release, or a number of days
    #[arg(long, default_value = "none", value_parser = originals)]
    originals: Originals,
    /// AE title that leads to it
    #[arg(long)]
    ae_title: Option<AeTitle>,
    /// Issuer of the patient IDs of its source
    #[arg(long, default_value = "")]
    issuer: String,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Release {
    Manual,
    Automatic,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Who {
    Open,
    Registered,
    Controlled,
}

fn originals(text: &str) -> Result<Originals, String> {
    match text {
        "none" => Ok(Originals::None),
        // Said now, and not taken and forgotten: who asks for them relies on them.
        other if other == "until-release" || other.parse::<u32>().is_ok() => {
            Err("keeping originals is not offered yet; the only choice is none".into())
        }
        _ => Err("expected none, until-release, or a number of days".into()),
    }
}

fn row(collection: &CollectionRow) -> Value {
    let record = &collection.record;
    json!({
        "accession": record.accession,
        "title": record.title,
        "profile": record.profile,
        "release": record.release,
        "access": record.access,
        "attested": record.attested,
        "lifecycle": record.lifecycle,
        "routes": record.routes.iter().map(|route| json!({"ae_title": route.ae_title, "issuer": route.issuer}))
            .collect::<Vec<_>>(),
        "created_at": record.created_at,
    })
}

fn line(value: &Value) -> String {
    let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or("").to_owned();
    let titles: Vec<&str> = value
        .get("routes")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|route| route.get("ae_title")?.as_str())
        .collect();
    format!(
        "{}  {:11} {:9} {:10} {:16} {}\n",
        text("accession"),
        text("profile"),
        text("release"),
        text("access"),
        titles.join(","),
        text("title")
    )
}

/// Runs the command.
pub(crate) async fn run(command: Command, archive: &Archive, output: Output) -> anyhow::Result<u8> {
    let actor = "command line";
    match command {
        Command::Create(create) => {
            let accession = archive.create_collection(new(create)?, actor).await?;
            output.answer(&json!({"accession": accession}), |_| accession.to_string())?;
        }
        Command::List => {
            let rows: Vec<Value> = collections::list(&archive.db).await?.iter().map(row).collect();
            output.answer(&rows, |rows| rows.iter().map(line).collect())?;
        }
        Command::Show { accession } => {
            let found = collections::get(&archive.db, &accession).await?;
            let found = found.ok_or_else(|| anyhow::anyhow!("no collection {accession}"))?;
            let counts = isocenter_schema::stats::of_collection(&archive.db, &accession).await?;
            let mut shown = row(&found);
            if let Some(object) = shown.as_object_mut() {
                // said where the program still takes it: else the collection takes nothing, and this is how one sees why
                let profile = isocenter_ingest::profile_of(&archive.db, &archive.storage, &found).await;
                let hash = profile.as_ref().ok().map(|profile| hex::encode(profile.hash()));
                object.insert("profile_hash".into(), hash.into());
                if let Err(error) = profile {
                    object.insert("profile_error".into(), error.to_string().into());
                }
                object.insert("counts".into(), serde_json::to_value(counts)?);
            }
            output.answer(&shown, |shown| serde_json::to_string_pretty(shown).unwrap_or_default())?;
        }
        Command::Withdraw { accession, reason } => {
            let found = collections::get(&archive.db, &accession).await?;
            let found = found.ok_or_else(|| anyhow::anyhow!("no collection {accession}"))?;
            anyhow::ensure!(
                found.record.lifecycle != Lifecycle::Withdrawn,
                "{accession} is withdrawn already"
            );
            anyhow::ensure!(!reason.trim().is_empty(), "a withdrawal needs a reason");
            archive.withdraw(found.record, reason.trim(), actor).await?;
            output.answer(&json!({"withdrawn": accession}), |_| {
                format!("{accession} is withdrawn")
            })?;
        }
        Command::Release { accession } => {
            anyhow::ensure!(
                collections::get(&archive.db, &accession).await?.is_some(),
                "no collection {accession}"
            );
            let change = ReleaseRecord {
                collection: accession.clone(),
                scope: Scope::Collection,
                from: vec![ImageState::Pending],
                to: ImageState::Released,
                at: archive.clock.now(),
            };
            let images = archive.change_state(change, actor).await?;
            let answer = json!({"accession": accession, "images": images});
            output.answer(&answer, |_| format!("{images} images of {accession} released"))?;
        }
    }
    archive.close().await;
    Ok(0)
}

fn new(create: Create) -> anyhow::Result<NewCollection> {
    Ok(NewCollection {
        title: create.title,
        profile: create.profile.read()?,
        release: match create.release {
            Release::Manual => ReleaseRule::Manual,
            Release::Automatic => ReleaseRule::Automatic,
        },
        access: match create.access {
            Who::Open => Access::Open,
            Who::Registered => Access::Registered,
            Who::Controlled => Access::Controlled,
        },
        originals: create.originals,
        ae_title: create.ae_title,
        issuer: create.issuer,
    })
}
