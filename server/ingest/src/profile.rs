//! The de-identification profile of a collection: a built-in one by its name, or one of its own.
//!
//! A profile of its own is kept as the texts that were given, sealed under the collection's key: a lookup table is a key to
//! patients, and the database may hold none. It wins over a built-in one; a collection whose own profile is lost or cannot
//! be read takes nothing, since its name is none of ours.

use std::sync::Arc;

use isocenter_deid::{Definition, Profile};
use isocenter_model::CollectionAccession;
use isocenter_schema::Reader;
use isocenter_schema::collections::{self, CollectionRow};
use isocenter_schema::record::ProfileRecord;
use isocenter_storage::{CollectionKeyId, Storage};

use crate::Error;

/// What the texts are sealed for.
const PURPOSE: &str = "de-identification profile";

/// Returns the profile that a collection applies.
///
/// # Errors
/// [`Error::UnknownProfile`] where this program has none of that name, or does not take its texts any more; else when
/// database or store fail.
pub async fn profile_of(db: &impl Reader, storage: &Storage, row: &CollectionRow) -> Result<Arc<Profile>, Error> {
    let Some(sealed) = collections::own_profile(db, row.id).await? else {
        return Profile::builtin(&row.record.profile).ok_or(Error::UnknownProfile);
    };
    let texts = storage
        .open_text(&row.record.collection_key_id, PURPOSE, &sealed)
        .await?;
    let definition = Definition::decode(&texts).map_err(|_| Error::UnknownProfile)?;
    let profile = definition.compile().map_err(|_| Error::UnknownProfile)?;
    Ok(Arc::new(profile))
}

/// Returns the record that gives a collection a profile of its own.
///
/// # Errors
/// When the store does not have the collection's key.
pub async fn profile_record(
    storage: &Storage,
    collection: &CollectionAccession,
    key: &CollectionKeyId,
    definition: &Definition,
) -> Result<ProfileRecord, Error> {
    let texts = definition.encode().map_err(|_| Error::UnknownProfile)?;
    Ok(ProfileRecord {
        collection: collection.clone(),
        sealed: storage.seal_text(key, PURPOSE, &texts).await?,
    })
}
