//! Each migration on a database as the version before it left it: its schema, dumped from that program, and a collection.

use isocenter_model::CollectionAccession;
use isocenter_schema::record::ProfileRecord;
use isocenter_schema::{Database, Error, collections};
use sea_orm::ConnectionTrait;

use crate::world::World;

/// Loads a fixture into an empty database and brings it to this program's version.
async fn brought_up(url: &str, fixture: &str) -> Database {
    let raw = sea_orm::Database::connect(&format!(
        "{url}{}",
        if url.starts_with("sqlite") { "?mode=rwc" } else { "" }
    ))
    .await
    .unwrap();
    raw.execute_unprepared(fixture).await.unwrap();
    raw.close().await.unwrap();
    let db = Database::open(url).await.unwrap();
    assert!(
        matches!(db.check_version().await, Err(Error::Version(_))),
        "the fixture is older"
    );
    db.migrate().await.unwrap();
    db.check_version().await.unwrap();
    db
}

async fn collections_have_no_profile_of_their_own_until_they_get_one(db: Database) {
    let [row] = <[_; 1]>::try_from(collections::list(&db).await.unwrap()).unwrap();
    let accession = CollectionAccession::numbered("OBIA", 7);
    assert_eq!(
        (row.id, &row.record.accession, row.record.profile.as_str()),
        (7, &accession, "basic")
    );
    assert_eq!(row.record.routes.len(), 1);
    assert_eq!(collections::own_profile(&db, 7).await.unwrap(), None);
    let record = ProfileRecord {
        collection: accession,
        sealed: vec![0, 1, 255],
    };
    let tx = db.begin_write().await.unwrap();
    collections::put_profile(&tx, &record).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(collections::own_profile(&db, 7).await.unwrap(), Some(record.sealed));
}

#[tokio::test]
async fn the_second_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("isocenter.db").display());
    let db = brought_up(&url, include_str!("../fixtures/m0001_sqlite.sql")).await;
    collections_have_no_profile_of_their_own_until_they_get_one(db).await;
}

#[tokio::test]
async fn the_second_on_postgresql() {
    if let Some(url) = World::postgres_database().await {
        let db = brought_up(&url, include_str!("../fixtures/m0001_postgres.sql")).await;
        collections_have_no_profile_of_their_own_until_they_get_one(db).await;
    }
}
