//! Reads of a controlled collection leave a trace, and others do not.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use isocenter_model::Clock;
use isocenter_schema::audit;
use parking_lot::Mutex;

use super::*;

/// A clock that stands still until it is moved.
struct Standing(Mutex<DateTime<Utc>>);

impl Clock for Standing {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock()
    }
}

async fn collection(world: &World, access: Access) -> CollectionAccession {
    let new = NewCollection {
        title: "t".into(),
        profile: "basic".into(),
        release: ReleaseRule::Automatic,
        access,
        originals: Originals::None,
        ae_title: None,
        issuer: String::new(),
    };
    world.archive.create_collection(new, "test").await.unwrap()
}

/// Returns who read what: actor and accession of the series.
async fn traces(world: &World) -> Vec<(String, String)> {
    let events = audit::recent(&world.archive.db, None, 1000).await.unwrap();
    let reads = events.into_iter().filter(|event| event.action == "read");
    reads.map(|event| (event.actor, event.subject)).collect()
}

#[actix_web::test]
async fn reads_of_controlled_data_are_written_down_once_a_minute() {
    let clock = Arc::new(Standing(Mutex::new("2026-01-31T12:00:10Z".parse().unwrap())));
    let world = crate::world::world_at(clock.clone()).await;
    let admin = client(&world, Some(&world.token)).await;
    let (open, controlled) = (
        collection(&world, Access::Open).await,
        collection(&world, Access::Controlled).await,
    );
    let files = phantoms();
    for accession in [&open, &controlled] {
        let stored = admin.store(&format!("/collections/{accession}/studies"), &files).await;
        assert_eq!(stored.status.as_u16(), 202, "{:?}", stored.body);
    }
    let granted = Some([controlled.clone()].into());
    let made = crate::auth::token::create(&world.archive.db, Role::Researcher, granted, "", None, "test");
    let made = made.await.unwrap();
    let researcher = client(&world, Some(&made.secret)).await;
    let base = format!("/collections/{controlled}");
    let row = researcher
        .get(&format!("{base}/instances?Modality=CT&limit=1"), JSON)
        .await
        .json()[0]
        .clone();
    let study = format!("{base}/studies/{}", text(&row, "0020000D"));
    let series = format!("{study}/series/{}", text(&row, "0020000E"));
    let image = format!("{series}/instances/{}", text(&row, "00080018"));
    // To search is not to read.
    assert_eq!(traces(&world).await, []);

    let anonymous = client(&world, None).await;
    assert_eq!(anonymous.status(&image, "*/*").await, 404);
    assert_eq!(traces(&world).await, []);

    for path in [
        image.clone(),
        format!("{image}/frames/1"),
        format!("{image}/rendered"),
        format!("{image}/bulkdata/7FE00010"),
        format!("{image}/metadata"),
        format!("{series}/thumbnail"),
        format!("{series}/metadata"),
        series.clone(),
    ] {
        assert_eq!(researcher.status(&path, "*/*").await, 200, "{path}");
        let found = traces(&world).await;
        assert_eq!(found.len(), 1, "{path}");
        assert_eq!(found[0].0, made.id);
        assert!(found[0].1.starts_with("SE"), "{found:?}");
    }
    // Another principal, and another minute.
    assert_eq!(admin.status(&image, "*/*").await, 200);
    assert_eq!(traces(&world).await.len(), 2);
    *clock.0.lock() += TimeDelta::minutes(1);
    assert_eq!(researcher.status(&image, "*/*").await, 200);
    assert_eq!(traces(&world).await.len(), 3);
    // A whole study: each of its series.
    let all = researcher.get(&format!("{study}/series"), JSON).await.json();
    assert_eq!(researcher.status(&study, "*/*").await, 200);
    assert_eq!(traces(&world).await.len(), 2 + all.as_array().unwrap().len());

    // Open data are read without a trace.
    let before = traces(&world).await.len();
    let row = admin
        .get(&format!("/collections/{open}/instances?limit=1"), JSON)
        .await
        .json()[0]
        .clone();
    let public = format!(
        "/collections/{open}/studies/{}/series/{}/instances/{}",
        text(&row, "0020000D"),
        text(&row, "0020000E"),
        text(&row, "00080018")
    );
    for client in [&admin, &researcher, &anonymous] {
        assert_eq!(client.status(&public, "*/*").await, 200);
    }
    assert_eq!(traces(&world).await.len(), before);
}

#[actix_web::test]
async fn the_series_of_a_study_are_written_down_together() {
    let clock = Arc::new(Standing(Mutex::new("2026-01-31T12:00:10Z".parse().unwrap())));
    let world = crate::world::world_at(clock.clone()).await;
    let admin = client(&world, Some(&world.token)).await;
    let base = format!("/collections/{}", collection(&world, Access::Controlled).await);
    let stored = admin.store(&format!("{base}/studies"), &phantoms()).await;
    assert_eq!(stored.status.as_u16(), 202, "{:?}", stored.body);
    // The MR study of the phantom has two series.
    let found = admin.get(&format!("{base}/series?Modality=MR"), JSON).await.json();
    let study = format!("{base}/studies/{}", text(&found[0], "0020000D"));
    for (path, times) in [(study.clone(), 1), (format!("{study}/metadata"), 2)] {
        assert_eq!(admin.status(&path, "*/*").await, 200);
        let events = audit::recent(&world.archive.db, None, 1000).await.unwrap();
        let mut at: Vec<_> = events.iter().filter(|e| e.action == "read").map(|e| e.at).collect();
        assert_eq!(at.len(), 2 * times, "{path}");
        // One transaction has one time.
        at.dedup();
        assert_eq!(at.len(), times, "{path}");
        *clock.0.lock() += TimeDelta::minutes(1);
    }
}
