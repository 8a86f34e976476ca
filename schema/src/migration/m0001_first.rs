//! The first schema: every table, and an index for every key that a search may name (`dicomweb.md` 4.3).
//!
//! On PostgreSQL every text column compares bytes (`COLLATE "C"`), as SQLite does: the order of rows is the same on both,
//! and one plain index serves equality, ranges, order and patterns that begin with letters.

use sea_orm::{ConnectionTrait, DbBackend, EntityTrait, Schema, Statement};
use sea_orm_migration::{DbErr, MigrationName, MigrationTrait, SchemaManager};

use crate::entity::{archive, curation, people, system};

pub(super) struct First;

impl MigrationName for First {
    fn name(&self) -> &str {
        "m0001_first"
    }
}

/// Indexes of several columns or with an order. Those of one column stand at the entities.
const INDEXES: &[&str] = &[
    // uid first: a path names no collection
    "CREATE UNIQUE INDEX study_uid ON study (study_instance_uid, collection_id)",
    // the order of answers
    "CREATE INDEX study_order ON study (study_date DESC, study_instance_uid)",
    "CREATE INDEX study_collection_order ON study (collection_id, study_date DESC, study_instance_uid)",
    "CREATE UNIQUE INDEX series_uid ON series (series_instance_uid, study_id)",
    "CREATE INDEX series_study ON series (study_id, series_number)",
    "CREATE INDEX series_modality ON series (modality, study_id)",
    "CREATE INDEX series_collection ON series (collection_id)",
    "CREATE UNIQUE INDEX image_uid ON image (sop_instance_uid, collection_id)",
    "CREATE UNIQUE INDEX image_sent ON image (sent_digest, collection_id)",
    // state before number: counts per state, and a visible series in order
    "CREATE INDEX image_series ON image (series_id, state, instance_number)",
    "CREATE INDEX image_class ON image (sop_class_uid)",
    "CREATE INDEX image_instance_number ON image (instance_number)",
    "CREATE INDEX image_number_of_frames ON image (number_of_frames)",
    "CREATE INDEX image_rows ON image (rows)",
    "CREATE INDEX image_columns ON image (columns)",
    "CREATE INDEX hash_code_index ON hash_code (collection_id, model)",
    "CREATE INDEX quarantine_state ON quarantine_item (collection_id, state, id)",
    "CREATE INDEX finding_check ON finding (collection_id, check_code)",
    "CREATE INDEX job_due ON job (queue, due_at)",
];

#[async_trait::async_trait]
impl MigrationTrait for First {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        table(manager, archive::collection::Entity).await?;
        table(manager, archive::route::Entity).await?;
        table(manager, archive::individual::Entity).await?;
        table(manager, archive::study::Entity).await?;
        table(manager, archive::series::Entity).await?;
        table(manager, archive::image::Entity).await?;
        table(manager, archive::blob::Entity).await?;
        table(manager, archive::image_metadata::Entity).await?;
        table(manager, archive::deid_report::Entity).await?;
        table(manager, archive::provenance::Entity).await?;
        table(manager, archive::hash_code::Entity).await?;
        table(manager, curation::quarantine_item::Entity).await?;
        table(manager, curation::finding::Entity).await?;
        table(manager, curation::submission::Entity).await?;
        table(manager, people::user::Entity).await?;
        table(manager, people::token::Entity).await?;
        table(manager, people::access_grant::Entity).await?;
        table(manager, system::audit_event::Entity).await?;
        table(manager, system::job::Entity).await?;
        table(manager, system::pack::Entity).await?;
        table(manager, system::counter::Entity).await?;
        table(manager, system::setting::Entity).await?;
        table(manager, system::statistic::Entity).await?;
        let connection = manager.get_connection();
        if manager.get_database_backend() == DbBackend::Postgres {
            compare_bytes(connection).await?;
        }
        for index in INDEXES {
            connection.execute_unprepared(index).await?;
        }
        Ok(())
    }
}

async fn table<E: EntityTrait>(manager: &SchemaManager<'_>, entity: E) -> Result<(), DbErr> {
    let schema = Schema::new(manager.get_database_backend());
    manager.create_table(schema.create_table_from_entity(entity)).await?;
    for index in schema.create_index_from_entity(entity) {
        manager.create_index(index).await?;
    }
    Ok(())
}

async fn compare_bytes(connection: &impl ConnectionTrait) -> Result<(), DbErr> {
    let columns = "SELECT table_name, column_name FROM information_schema.columns \
                   WHERE table_schema = current_schema() AND data_type = 'text' AND table_name <> 'seaql_migrations'";
    let rows = connection
        .query_all_raw(Statement::from_string(DbBackend::Postgres, columns))
        .await?;
    for row in rows {
        let (table, column): (String, String) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        let change = format!("ALTER TABLE \"{table}\" ALTER COLUMN \"{column}\" TYPE text COLLATE \"C\"");
        connection.execute_unprepared(&change).await?;
    }
    Ok(())
}
