//! Log-in links and sessions: how a person with a browser becomes a principal.
//!
//! A link is a secret that is good once and for a quarter of an hour; who follows it gets a session. Both are kept as tokens
//! are, as a hash, and end by the database's clock. The session's secret lies in a cookie that no script can read and no other
//! site can send along with a change (`HttpOnly`, `SameSite=Lax`, `Secure` under https). It speaks for its holder where
//! something is read and nowhere else: whatever changes the archive needs a token in a header, which no foreign page can put
//! there. A cookie that is good no more counts as none, for a browser sends it unasked.

use std::collections::BTreeSet;

use actix_web::HttpRequest;
use actix_web::cookie::{Cookie, SameSite, time};
use actix_web::http::Method;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use isocenter_model::CollectionAccession;
use isocenter_model::rights::Role;
use isocenter_schema::audit::{self, AuditEvent};
use isocenter_schema::tokens::{self, NewToken, Token, TokenKind};
use isocenter_schema::{Database, Transaction};

/// Name of the cookie.
pub const COOKIE: &str = "isocenter_session";
/// How long a link is good.
pub const LINK_FOR: TimeDelta = TimeDelta::minutes(15);
/// How long a session is good.
const SESSION_FOR: TimeDelta = TimeDelta::hours(12);
const LINK_PREFIX: &str = "lnk_";
const SESSION_PREFIX: &str = "ses_";
/// Longer ones are nobody's.
const LONGEST: usize = 128;

struct Secret {
    id: String,
    text: String,
}

fn draw(letter: char, prefix: &str) -> anyhow::Result<Secret> {
    let mut bytes = [0u8; 40];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
    let (public, private) = bytes.split_at(8);
    Ok(Secret {
        id: format!("{letter}{}", hex::encode(public)),
        text: format!("{prefix}{}", URL_SAFE_NO_PAD.encode(private)),
    })
}

async fn note(tx: &Transaction, actor: &str, action: &str, subject: &str) -> isocenter_schema::Result<()> {
    let event = AuditEvent {
        actor: actor.to_owned(),
        action: action.to_owned(),
        subject: subject.to_owned(),
        detail: serde_json::json!({}),
    };
    audit::append(tx, &[event]).await
}

/// A link that was just made; its code is never shown again.
#[derive(Debug, Clone)]
pub struct Link {
    /// Public id, for the list, the audit trail and revocation.
    pub id: String,
    /// The code, as the address bears it.
    pub code: String,
    /// When it stops being good.
    pub expires_at: DateTime<Utc>,
}

/// Makes a link that logs its holder in, once, within `good_for`: in that role, and for those collections or for all.
///
/// # Errors
/// When the database fails or the system has no randomness.
pub async fn link(
    db: &Database,
    role: Role,
    collections: Option<BTreeSet<CollectionAccession>>,
    good_for: TimeDelta,
    actor: &str,
) -> anyhow::Result<Link> {
    let secret = draw('l', LINK_PREFIX)?;
    let expires_at = db.now().await? + good_for;
    let tx = db.begin_write().await?;
    let new = NewToken {
        id: secret.id.clone(),
        secret_hash: tokens::secret_hash(secret.text.as_bytes()),
        kind: TokenKind::Link,
        principal: None,
        role,
        collections,
        label: String::new(),
        issuer: String::new(),
        expires_at: Some(expires_at),
    };
    tokens::create(&tx, &new).await?;
    note(&tx, actor, "create log-in link", &secret.id).await?;
    tx.commit().await?;
    Ok(Link {
        id: secret.id,
        code: secret.text,
        expires_at,
    })
}

/// Returns whether a link was ever made.
///
/// # Errors
/// When the database fails.
pub async fn had_link(db: &Database) -> isocenter_schema::Result<bool> {
    Ok(!tokens::list(db, TokenKind::Link).await?.is_empty())
}

/// Takes a link and returns the secret of the session that it opens; `None` where the link was never one, was used, or is
/// too old.
///
/// # Errors
/// When the database fails or the system has no randomness.
pub async fn open(db: &Database, code: &str) -> anyhow::Result<Option<String>> {
    if !code.starts_with(LINK_PREFIX) || code.len() > LONGEST {
        return Ok(None);
    }
    let secret = draw('s', SESSION_PREFIX)?;
    let expires_at = db.now().await? + SESSION_FOR;
    let tx = db.begin_write().await?;
    let Some(link) = tokens::consume(&tx, &tokens::secret_hash(code.as_bytes())).await? else {
        tx.rollback().await?;
        return Ok(None);
    };
    let new = NewToken {
        id: secret.id.clone(),
        secret_hash: tokens::secret_hash(secret.text.as_bytes()),
        kind: TokenKind::Session,
        principal: Some(link.principal.clone()),
        role: link.role,
        collections: link.collections,
        label: String::new(),
        issuer: link.issuer,
        expires_at: Some(expires_at),
    };
    tokens::create(&tx, &new).await?;
    note(&tx, &link.principal, "log in", &secret.id).await?;
    tx.commit().await?;
    Ok(Some(secret.text))
}

async fn find(db: &Database, secret: &str) -> isocenter_schema::Result<Option<Token>> {
    if !secret.starts_with(SESSION_PREFIX) || secret.len() > LONGEST {
        return Ok(None);
    }
    let found = tokens::find(db, &tokens::secret_hash(secret.as_bytes())).await?;
    Ok(found.filter(|token| token.kind == TokenKind::Session))
}

fn shown(request: &HttpRequest) -> Option<String> {
    request.cookie(COOKIE).map(|cookie| cookie.value().to_owned())
}

/// Returns the secret of the session that a request may read by.
pub fn reading(request: &HttpRequest) -> Option<String> {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    if reads { shown(request) } else { None }
}

/// Returns the session of a secret; `None` where it is good no more.
///
/// # Errors
/// When the database fails.
pub async fn of(db: &Database, secret: &str) -> isocenter_schema::Result<Option<Token>> {
    find(db, secret).await
}

/// Ends the session of a request; where there is none that is good, nothing is left to do.
///
/// # Errors
/// When the database fails.
pub async fn close(db: &Database, request: &HttpRequest) -> isocenter_schema::Result<()> {
    let Some(secret) = shown(request) else { return Ok(()) };
    let Some(session) = find(db, &secret).await? else {
        return Ok(());
    };
    let tx = db.begin_write().await?;
    tokens::revoke(&tx, &session.id).await?;
    note(&tx, &session.principal, "log out", &session.id).await?;
    tx.commit().await
}

/// Returns the cookie of a session for the archive below this root; an empty secret takes it away.
pub fn cookie(root: &str, prefix: &str, secret: String) -> Cookie<'static> {
    let age = if secret.is_empty() {
        0
    } else {
        SESSION_FOR.num_seconds()
    };
    Cookie::build(COOKIE, secret)
        .path(format!("{prefix}/"))
        .http_only(true)
        .same_site(SameSite::Lax)
        .secure(root.starts_with("https://"))
        .max_age(time::Duration::seconds(age))
        .finish()
}
