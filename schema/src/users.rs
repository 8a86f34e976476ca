//! People with a password. The hash is argon2id's own text form; making and checking it is the program's affair.

use std::collections::BTreeSet;

use isocenter_model::CollectionAccession;
use isocenter_model::rights::{Principal, Role};

use crate::entity::people::user;
use crate::sql::Sql;
use crate::tokens::{collections, collections_text};
use crate::{Error, Reader, Result, Transaction, grants, instant, settings};

/// A user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Public id, for the audit trail.
    pub id: String,
    /// Log-in name.
    pub name: String,
    /// Hash of the password, in argon2's text form.
    pub password_hash: String,
    /// Role.
    pub role: Role,
    /// The collections it is bound to; `None` is every collection.
    pub collections: Option<BTreeSet<CollectionAccession>>,
    /// Whether it may log in.
    pub enabled: bool,
}

impl User {
    /// Returns who this is to the rights function.
    pub fn as_principal(&self) -> Principal {
        Principal::Known {
            id: self.id.clone(),
            role: self.role,
            collections: self.collections.clone(),
        }
    }
}

/// Makes a user, or changes the one with this id.
///
/// # Errors
/// [`Error::Raced`] when another has the name; else when the engine fails.
pub async fn put(tx: &Transaction, new: &User) -> Result<()> {
    let text = "INSERT INTO account (id, name, password_hash, role, collections, created_at, disabled_at) VALUES (";
    let mut sql = Sql::new(tx.kind(), text);
    sql.bind(new.id.as_str())
        .push(", ")
        .bind(new.name.as_str())
        .push(", ")
        .bind(new.password_hash.as_str());
    sql.push(", ")
        .bind(new.role.as_str())
        .push(", ")
        .bind(collections_text(new.collections.as_ref())?);
    sql.push(", ").push(instant::now(tx.kind())).push(", ");
    sql.push(if new.enabled { "NULL" } else { instant::now(tx.kind()) });
    sql.push(
        ") ON CONFLICT (id) DO UPDATE SET name = excluded.name, password_hash = excluded.password_hash, \
         role = excluded.role, collections = excluded.collections, disabled_at = excluded.disabled_at",
    );
    sql.execute(tx).await?;
    settings::bump(tx).await
}

/// Returns the user of that name, with grants among the collections.
///
/// # Errors
/// When the engine fails.
pub async fn find(db: &impl Reader, name: &str) -> Result<Option<User>> {
    let mut sql = Sql::new(db.kind(), "SELECT * FROM account WHERE name = ");
    sql.bind(name);
    let Some(model) = sql.one::<user::Model>(db).await? else {
        return Ok(None);
    };
    let role = Role::from_name(&model.role).ok_or(Error::Damaged("role of a user"))?;
    Ok(Some(User {
        collections: grants::added(db, &model.id, role, collections(model.collections)?).await?,
        id: model.id,
        name: model.name,
        password_hash: model.password_hash,
        role,
        enabled: model.disabled_at.is_none(),
    }))
}
