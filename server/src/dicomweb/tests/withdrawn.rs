//! A withdrawn collection: 410 for everybody, but for who decides over it; unless nobody else ever knew of it.

use isocenter_schema::collections;
use isocenter_schema::record::Lifecycle;

use super::*;

#[actix_web::test]
async fn a_withdrawn_collection_is_gone_and_takes_nothing() {
    let world = world().await;
    let admin = client(&world, Some(&world.token)).await;
    let new = NewCollection {
        title: "t".into(),
        profile: "basic".into(),
        release: ReleaseRule::Automatic,
        access: Access::Open,
        originals: Originals::None,
        ae_title: Some("GONE".parse().unwrap()),
        issuer: String::new(),
    };
    let accession = world.archive.create_collection(new, "test").await.unwrap();
    let base = format!("/collections/{accession}");
    let files = phantoms();
    admin.store(&format!("{base}/studies"), &files[..1]).await;
    let row = admin.get(&format!("{base}/studies"), JSON).await.json()[0].clone();
    let study = format!("{base}/studies/{}", text(&row, "0020000D"));
    let public = client(&world, None).await;
    assert_eq!(public.status(&study, "*/*").await, 200);

    let record = collections::get(&world.archive.db, &accession)
        .await
        .unwrap()
        .unwrap()
        .record;
    world
        .archive
        .withdraw(record, "consent withdrawn", "test")
        .await
        .unwrap();

    for path in [
        format!("{base}/studies"),
        study.clone(),
        format!("{study}/metadata"),
        format!("{study}/rendered"),
    ] {
        assert_eq!(public.status(&path, "*/*").await, 410, "{path}");
        assert_eq!(admin.status(&path, "*/*").await, 200, "{path}");
    }
    // Outside of its own path it is as if it had never been.
    assert_eq!(public.get("/studies", JSON).await.json(), serde_json::json!([]));
    assert_eq!(public.status(study.trim_start_matches(&base), "*/*").await, 404);
    let stored = admin.store(&format!("{base}/studies"), &files[1..2]).await;
    assert_eq!(stored.status.as_u16(), 410);
    let called = "GONE".parse().unwrap();
    let from = "127.0.0.1".parse().unwrap();
    assert!(matches!(
        world.archive.sink.route(&called, &called, from).await,
        Ok(None)
    ));
    // The store knows it, too: a rebuilt database does not bring it back.
    let again = isocenter_ingest::replay::run(
        &world.archive.db,
        &world.archive.storage,
        isocenter_ingest::replay::From::Beginning,
    );
    again.await.unwrap();
    let row = collections::get(&world.archive.db, &accession).await.unwrap().unwrap();
    assert_eq!(row.record.lifecycle, Lifecycle::Withdrawn);
}

#[actix_web::test]
async fn a_withdrawn_collection_that_was_never_public_is_as_one_that_never_was() {
    let world = world().await;
    let admin = client(&world, Some(&world.token)).await;
    let new = NewCollection {
        title: "t".into(),
        profile: "basic".into(),
        release: ReleaseRule::Manual,
        access: Access::Open,
        originals: Originals::None,
        ae_title: None,
        issuer: String::new(),
    };
    let accession = world.archive.create_collection(new, "test").await.unwrap();
    let base = format!("/collections/{accession}");
    let stored = admin.store(&format!("{base}/studies"), &phantoms()[..1]).await;
    assert_eq!(stored.status.as_u16(), 202);
    let row = admin.get(&format!("{base}/studies"), JSON).await.json()[0].clone();
    let study = format!("/studies/{}", text(&row, "0020000D"));
    let found = collections::get(&world.archive.db, &accession).await.unwrap().unwrap();
    world.archive.withdraw(found.record, "a mistake", "test").await.unwrap();

    let made = crate::auth::token::create(&world.archive.db, Role::Researcher, None, "", None, "test");
    let researcher = made.await.unwrap().secret;
    for token in [None, Some(researcher.as_str())] {
        let stranger = client(&world, token).await;
        for path in ["/studies", "/instances", &study, &format!("{study}/metadata")] {
            let here = stranger.get(&format!("{base}{path}"), JSON).await;
            let nowhere = stranger.get(&format!("/collections/OBIA0999{path}"), JSON).await;
            assert_ne!(here.status.as_u16(), 410, "{path}");
            assert_eq!((here.status, &here.body), (nowhere.status, &nowhere.body), "{path}");
        }
        let here = stranger.store(&format!("{base}/studies"), &phantoms()[..1]).await;
        let nowhere = stranger.store("/collections/OBIA0999/studies", &phantoms()[..1]).await;
        assert_eq!((here.status, &here.body), (nowhere.status, &nowhere.body));
    }
    // Who decides over it knows.
    assert_eq!(admin.status(&format!("{base}{study}"), "*/*").await, 200);
    assert_eq!(
        admin
            .store(&format!("{base}/studies"), &phantoms()[..1])
            .await
            .status
            .as_u16(),
        410
    );
}
