//! `isocenter token create|list|revoke`.

use std::collections::BTreeSet;

use clap::{Args, Subcommand};
use isocenter_model::CollectionAccession;
use isocenter_model::rights::Role;
use isocenter_schema::tokens::{self, Token, TokenKind};
use serde_json::{Value, json};

use super::Output;
use crate::archive::Archive;
use crate::auth::{session, token};

/// Who the audit trail names.
const ACTOR: &str = "command line";

/// What to do with tokens.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a bearer token and print it; it is never shown again
    Create(Create),
    /// List the tokens, without their secrets
    List {
        /// List the sessions of browsers and the links that open them instead
        #[arg(long)]
        sessions: bool,
    },
    /// Revoke a token, a session or a log-in link at once
    Revoke {
        /// Its public id
        id: String,
    },
}

/// A new token.
#[derive(Debug, Args)]
pub(crate) struct Create {
    /// admin, curator, submitter, edge or researcher
    #[arg(long, value_parser = role)]
    role: Role,
    /// Collection that it is bound to (repeatable); every collection where none is named
    #[arg(long)]
    collection: Vec<CollectionAccession>,
    /// Issuer of the patient IDs of what is sent with it; the collection's where none is named
    #[arg(long, default_value = "")]
    issuer: String,
    /// Days until it expires; never where nothing is said
    #[arg(long)]
    days: Option<u32>,
    /// Make a link for a browser instead, good for one log-in within 15 minutes
    #[arg(long, conflicts_with_all = ["days", "issuer"])]
    link: bool,
}

fn role(name: &str) -> Result<Role, String> {
    Role::from_name(name).ok_or_else(|| "expected admin, curator, submitter, edge or researcher".into())
}

fn row(token: &Token) -> Value {
    json!({
        "id": token.id,
        "kind": token.kind,
        "principal": token.principal,
        "role": token.role,
        "collections": token.collections,
        "issuer": token.issuer,
        "created_at": token.created_at,
        "expires_at": token.expires_at,
        "revoked_at": token.revoked_at,
    })
}

/// Runs the command.
pub(crate) async fn run(command: Command, archive: &Archive, output: Output) -> anyhow::Result<u8> {
    match command {
        Command::Create(create) => {
            for accession in &create.collection {
                let known = isocenter_schema::collections::get(&archive.db, accession)
                    .await?
                    .is_some();
                anyhow::ensure!(known, "no collection {accession}");
            }
            let needs_one = matches!(create.role, Role::Submitter | Role::Edge);
            anyhow::ensure!(
                !needs_one || create.collection.len() == 1,
                "a token of role {} is bound to one collection: name it with --collection",
                create.role.as_str()
            );
            let collections: Option<BTreeSet<_>> =
                (!create.collection.is_empty()).then(|| create.collection.into_iter().collect());
            if create.link {
                let made = session::link(&archive.db, create.role, collections, session::LINK_FOR, ACTOR).await?;
                let link = crate::serve::login_url(&archive.settings, archive.settings.http, &made.code);
                let answer = json!({"id": made.id, "link": link, "expires_at": made.expires_at});
                output.answer(&answer, |_| link.clone())?;
                archive.close().await;
                return Ok(0);
            }
            let expires_at = create
                .days
                .map(|days| archive.clock.now() + chrono::Duration::days(i64::from(days)));
            let made = token::create(
                &archive.db,
                create.role,
                collections,
                create.issuer.trim(),
                expires_at,
                ACTOR,
            )
            .await?;
            output.answer(&made, |made| made.secret.clone())?;
        }
        Command::List { sessions } => {
            let kinds: &[_] = if sessions {
                &[TokenKind::Link, TokenKind::Session]
            } else {
                &[TokenKind::Bearer]
            };
            let mut rows = Vec::new();
            for kind in kinds {
                rows.extend(tokens::list(&archive.db, *kind).await?.iter().map(row));
            }
            output.answer(&rows, |rows| rows.iter().map(|row| format!("{row}\n")).collect())?;
        }
        Command::Revoke { id } => {
            let tx = archive.db.begin_write().await?;
            tokens::revoke(&tx, &id).await?;
            let event = isocenter_schema::audit::AuditEvent {
                actor: ACTOR.to_owned(),
                action: "revoke token".to_owned(),
                subject: id.clone(),
                detail: json!({}),
            };
            isocenter_schema::audit::append(&tx, &[event]).await?;
            tx.commit().await?;
            output.answer(&json!({"revoked": id}), |_| format!("{id} is revoked"))?;
        }
    }
    archive.close().await;
    Ok(0)
}
