//! Bearer tokens: `iso_` and 43 characters of a 256-bit secret. The database holds a SHA-256 of it, so who reads the
//! database has no token; a secret of that length needs no slow hash.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use isocenter_model::CollectionAccession;
use isocenter_model::rights::Role;
use isocenter_schema::Database;
use isocenter_schema::audit::{self, AuditEvent};
use isocenter_schema::tokens::{self, Token, TokenKind};

const PREFIX: &str = "iso_";

/// A token that was just made; the secret is never shown again.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Created {
    /// Public id, for the list, the audit trail and revocation.
    pub id: String,
    /// The secret, as the client sends it.
    #[serde(rename = "token")]
    pub secret: String,
}

/// Makes a token. What is sent with it has patient IDs of `issuer`; where that is empty, of the collection's.
///
/// # Errors
/// When the database fails or the system has no randomness.
pub async fn create(
    db: &Database,
    role: Role,
    collections: Option<BTreeSet<CollectionAccession>>,
    issuer: &str,
    expires_at: Option<DateTime<Utc>>,
    actor: &str,
) -> anyhow::Result<Created> {
    let mut bytes = [0u8; 40];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
    let (public, private) = bytes.split_at(8);
    let id = format!("t{}", hex::encode(public));
    let secret = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(private));
    let tx = db.begin_write().await?;
    let new = tokens::NewToken {
        id: id.clone(),
        secret_hash: tokens::secret_hash(secret.as_bytes()),
        kind: TokenKind::Bearer,
        principal: None,
        role,
        collections,
        label: String::new(),
        issuer: issuer.to_owned(),
        expires_at,
    };
    tokens::create(&tx, &new).await?;
    let event = AuditEvent {
        actor: actor.to_owned(),
        action: "create token".to_owned(),
        subject: id.clone(),
        detail: serde_json::json!({"role": role.as_str()}),
    };
    audit::append(&tx, &[event]).await?;
    tx.commit().await?;
    Ok(Created { id, secret })
}

/// Returns the token of a secret; `None` when there is none, when it was revoked, or when it has expired by the database's
/// clock.
///
/// # Errors
/// When the database does not answer.
pub async fn find(db: &Database, secret: &str) -> isocenter_schema::Result<Option<Token>> {
    if !secret.starts_with(PREFIX) || secret.len() > 128 {
        return Ok(None);
    }
    let found = tokens::find(db, &tokens::secret_hash(secret.as_bytes())).await?;
    Ok(found.filter(|token| token.kind == TokenKind::Bearer))
}
