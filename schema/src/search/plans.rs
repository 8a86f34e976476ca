//! Plans: no search may walk all images to find a few.
//!
//! Asked of SQLite on an empty database, which has no statistics: that is what a young archive looks like, and the plan
//! must be right by the indexes alone.

use isocenter_model::query::{Key, KeyKind, Query, Rule};
use isocenter_model::rights::{Principal, Visibility, visibility};
use isocenter_model::{CollectionAccession, Level};

use super::visible::Sight;
use super::{from_where, order};
use crate::Database;
use crate::sql::Sql;

async fn plan(db: &Database, query: &Query, sees: &Visibility) -> String {
    let sight = Sight::new(sees);
    let mut sql = Sql::new(db.kind(), "EXPLAIN QUERY PLAN SELECT ");
    from_where(&mut sql, query, &sight, false).unwrap();
    order(&mut sql, query);
    sql.push(" LIMIT 101");
    let rows = sql.rows(db).await.unwrap();
    let lines: Vec<String> = rows
        .iter()
        .map(|row| row.try_get_by::<String, _>("detail").unwrap())
        .collect();
    lines.join("\n")
}

fn value(key: Key) -> Rule {
    Rule::Equals(match key.kind() {
        KeyKind::Number => "1".to_owned(),
        KeyKind::Date => "20200101".to_owned(),
        KeyKind::Time => "1015".to_owned(),
        _ => "x".to_owned(),
    })
}

#[tokio::test]
async fn every_key_is_found_by_an_index_at_every_level() {
    let dir = tempfile::tempdir().unwrap();
    let db = Database::open(&format!("sqlite://{}", dir.path().join("a.db").display()))
        .await
        .unwrap();
    db.migrate().await.unwrap();
    let public = visibility(&Principal::Anonymous);
    let one = public.clone().within(CollectionAccession::parse("OBIA0001").unwrap());
    let curator = visibility(&Principal::Known {
        id: "t".to_owned(),
        role: isocenter_model::rights::Role::Admin,
        collections: None,
    });
    for sees in [&public, &one, &curator] {
        for level in [Level::Study, Level::Series, Level::Instance] {
            for key in Key::ALL.iter().filter(|key| key.level() <= level) {
                let query = Query {
                    matching: vec![(*key, value(*key))],
                    ..Query::all(level)
                };
                let plan = plan(&db, &query, sees).await;
                // v is the handful of collections
                let walks = plan
                    .lines()
                    .find(|line| line.starts_with("SCAN ") && !line.starts_with("SCAN v"));
                assert_eq!(walks, None, "{key:?} at {level:?}:\n{plan}");
            }
        }
    }
}

#[tokio::test]
async fn what_is_not_asked_is_walked_in_the_order_of_answers() {
    let dir = tempfile::tempdir().unwrap();
    let db = Database::open(&format!("sqlite://{}", dir.path().join("a.db").display()))
        .await
        .unwrap();
    db.migrate().await.unwrap();
    let public = visibility(&Principal::Anonymous);
    for level in [Level::Study, Level::Series, Level::Instance] {
        let plan = plan(&db, &Query::all(level), &public).await;
        assert!(!plan.contains("TEMP B-TREE FOR ORDER BY"), "{level:?}:\n{plan}");
    }
}
