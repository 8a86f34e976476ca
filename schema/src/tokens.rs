//! Bearer tokens, sessions and one-time links.
//!
//! A secret is 256 random bits; only its SHA-256 is kept, which needs no slow hash because there is nothing to guess.
//! Whether a token is good is decided by the database's clock.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use isocenter_model::CollectionAccession;
use isocenter_model::rights::{Principal, Role};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::entity::people::token;
use crate::sql::Sql;
use crate::{Error, Reader, Result, Transaction, grants, instant, settings};

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenKind {
    /// Shown by programs with each request.
    Bearer,
    /// Behind a cookie.
    Session,
    /// Good for one log-in.
    Link,
}

impl TokenKind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Bearer => "bearer",
            Self::Session => "session",
            Self::Link => "link",
        }
    }

    fn from_name(name: &str) -> Result<Self> {
        match name {
            "bearer" => Ok(Self::Bearer),
            "session" => Ok(Self::Session),
            "link" => Ok(Self::Link),
            _ => Err(Error::Damaged("kind of a token")),
        }
    }
}

/// A token to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewToken {
    /// Public id, for lists, the audit trail and revocation.
    pub id: String,
    /// [`secret_hash`] of the secret.
    pub secret_hash: [u8; 32],
    /// What it is for.
    pub kind: TokenKind,
    /// Public id of the principal that a session or link stands for; `None` for the token itself.
    pub principal: Option<String>,
    /// Its role.
    pub role: Role,
    /// The collections it is bound to; `None` is every collection.
    pub collections: Option<BTreeSet<CollectionAccession>>,
    /// What people call it.
    pub label: String,
    /// Issuer of patient IDs of what is sent with it; empty for the collection's.
    pub issuer: String,
    /// When it stops being good.
    pub expires_at: Option<DateTime<Utc>>,
}

/// A token as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// Public id.
    pub id: String,
    /// What it is for.
    pub kind: TokenKind,
    /// The principal that it stands for, itself or another.
    pub principal: String,
    /// Its role.
    pub role: Role,
    /// The collections it is bound to; `None` is every collection.
    pub collections: Option<BTreeSet<CollectionAccession>>,
    /// What people call it.
    pub label: String,
    /// Issuer of patient IDs of what is sent with it.
    pub issuer: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it stops being good.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was revoked.
    pub revoked_at: Option<DateTime<Utc>>,
}

impl Token {
    /// Returns who its holder is.
    pub fn as_principal(&self) -> Principal {
        Principal::Known {
            id: self.principal.clone(),
            role: self.role,
            collections: self.collections.clone(),
        }
    }
}

/// Returns what is kept of a secret.
pub fn secret_hash(secret: &[u8]) -> [u8; 32] {
    Sha256::digest(secret).into()
}

/// Makes a token.
///
/// # Errors
/// [`Error::Raced`] when the id or the secret is there already; else when the engine fails.
pub async fn create(tx: &Transaction, new: &NewToken) -> Result<()> {
    let mut sql = Sql::new(
        tx.kind(),
        "INSERT INTO token (id, secret_hash, kind, principal, role, collections, label, issuer, created_at, expires_at) \
         VALUES (",
    );
    sql.bind(new.id.as_str())
        .push(", ")
        .bind(new.secret_hash.to_vec())
        .push(", ")
        .bind(new.kind.as_str());
    sql.push(", ")
        .bind(new.principal.clone().unwrap_or_default())
        .push(", ")
        .bind(new.role.as_str());
    sql.push(", ")
        .bind(collections_text(new.collections.as_ref())?)
        .push(", ")
        .bind(new.label.as_str());
    sql.push(", ")
        .bind(new.issuer.as_str())
        .push(", ")
        .push(instant::now(tx.kind()));
    sql.push(", ").bind(new.expires_at.map(instant::micros)).push(")");
    sql.execute(tx).await?;
    settings::bump(tx).await
}

/// Returns the token of that secret if it is good now, with the grants of its principal among its collections.
///
/// # Errors
/// When the engine fails.
pub async fn find(db: &impl Reader, secret_hash: &[u8; 32]) -> Result<Option<Token>> {
    let mut sql = Sql::new(db.kind(), "SELECT * FROM token WHERE secret_hash = ");
    sql.bind(secret_hash.to_vec());
    good(db, &mut sql);
    let Some(model) = sql.one::<token::Model>(db).await? else {
        return Ok(None);
    };
    let mut token = shown(model)?;
    token.collections = grants::added(db, &token.principal, token.role, token.collections).await?;
    Ok(Some(token))
}

/// Takes a one-time link: it is good once.
///
/// # Errors
/// When the engine fails.
pub async fn consume(tx: &Transaction, secret_hash: &[u8; 32]) -> Result<Option<Token>> {
    let mut sql = Sql::new(tx.kind(), "UPDATE token SET revoked_at = ");
    sql.push(instant::now(tx.kind()))
        .push(" WHERE kind = 'link' AND secret_hash = ")
        .bind(secret_hash.to_vec());
    good(tx, &mut sql);
    sql.push(" RETURNING *");
    let token = sql.one::<token::Model>(tx).await?.map(shown).transpose()?;
    if token.is_some() {
        settings::bump(tx).await?;
    }
    Ok(token)
}

fn good(db: &impl Reader, sql: &mut Sql) {
    sql.push(" AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ")
        .push(instant::now(db.kind()))
        .push(")");
}

/// Returns every token of a kind, also those that are good no more, oldest first.
///
/// # Errors
/// When the engine fails.
pub async fn list(db: &impl Reader, kind: TokenKind) -> Result<Vec<Token>> {
    let mut sql = Sql::new(db.kind(), "SELECT * FROM token WHERE kind = ");
    sql.bind(kind.as_str()).push(" ORDER BY created_at, id");
    sql.all::<token::Model>(db).await?.into_iter().map(shown).collect()
}

/// Revokes a token at once.
///
/// # Errors
/// [`Error::NotFound`] when there is no such token that is not yet revoked.
pub async fn revoke(tx: &Transaction, id: &str) -> Result<()> {
    let mut sql = Sql::new(tx.kind(), "UPDATE token SET revoked_at = ");
    sql.push(instant::now(tx.kind()))
        .push(" WHERE revoked_at IS NULL AND id = ")
        .bind(id);
    if sql.execute(tx).await? != 1 {
        return Err(Error::NotFound("token"));
    }
    settings::bump(tx).await
}

fn shown(model: token::Model) -> Result<Token> {
    Ok(Token {
        principal: if model.principal.is_empty() {
            model.id.clone()
        } else {
            model.principal
        },
        id: model.id,
        kind: TokenKind::from_name(&model.kind)?,
        role: Role::from_name(&model.role).ok_or(Error::Damaged("role of a token"))?,
        collections: collections(model.collections)?,
        label: model.label,
        issuer: model.issuer,
        created_at: instant::utc(model.created_at)?,
        expires_at: model.expires_at.map(instant::utc).transpose()?,
        revoked_at: model.revoked_at.map(instant::utc).transpose()?,
    })
}

pub(crate) fn collections_text(set: Option<&BTreeSet<CollectionAccession>>) -> Result<Option<String>> {
    set.map(serde_json::to_string)
        .transpose()
        .map_err(|_| Error::BadValue("collections of a principal"))
}

pub(crate) fn collections(text: Option<String>) -> Result<Option<BTreeSet<CollectionAccession>>> {
    let parse = |text: String| serde_json::from_str(&text).map_err(|_| Error::Damaged("collections of a principal"));
    text.map(parse).transpose()
}
