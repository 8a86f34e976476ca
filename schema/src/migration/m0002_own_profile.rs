//! Profiles that collections bring themselves: a table beside `collection`, so that lists of collections do not read them.
//! What it holds is sealed (a lookup table is a key to patients); the record of the pack holds the same bytes.

use sea_orm::{ConnectionTrait, DbBackend};
use sea_orm_migration::{DbErr, MigrationName, MigrationTrait, SchemaManager};

pub(super) struct OwnProfile;

impl MigrationName for OwnProfile {
    fn name(&self) -> &str {
        "m0002_own_profile"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for OwnProfile {
    fn use_transaction(&self) -> Option<bool> {
        // On SQLite too: a program that is killed between the table and its mark must find neither.
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let (number, bytes) = match manager.get_database_backend() {
            DbBackend::Postgres => ("bigint", "bytea"),
            _ => ("integer", "blob"),
        };
        let table = format!(
            "CREATE TABLE own_profile (collection_id {number} NOT NULL PRIMARY KEY REFERENCES collection (id), \
             sealed {bytes} NOT NULL)"
        );
        manager.get_connection().execute_unprepared(&table).await?;
        Ok(())
    }
}
