//! Tokens, grants, audit, jobs, settings, routes, codes, submissions.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::TryStreamExt;
use isocenter_model::rights::{Access, Principal, Role};
use isocenter_model::{Classify, Fault};
use isocenter_schema::audit::{self, AuditEvent};
use isocenter_schema::codes::{self, Code};
use isocenter_schema::database::Connections;
use isocenter_schema::jobs::{self, NewJob};
use isocenter_schema::record::{ProfileRecord, Record, RouteRecord};
use isocenter_schema::tokens::{self, NewToken, TokenKind, secret_hash};
use isocenter_schema::users::{self, User};
use isocenter_schema::{Database, Error, ImageState, collections, grants, settings, stats, submissions};
use sea_orm::ConnectionTrait;

use crate::world::{AUDIT_KEY, World};

on_both!(
    a_token_is_good_until_it_expires_or_is_revoked,
    grants_open_collections_to_researchers,
    a_collection_reads_back_and_its_routes_lead_to_it,
    a_profile_of_its_own_stays_with_its_collection,
    jobs_are_leased_tried_again_and_given_up,
    a_job_is_done_by_one_worker_only,
    the_audit_chain_shows_every_change,
    settings_and_change_number,
    codes_come_back_in_batches,
    submissions_move_one_step_at_a_time,
    a_database_says_what_is_missing,
);

fn token(id: &str, kind: TokenKind, role: Role) -> NewToken {
    NewToken {
        id: id.to_owned(),
        secret_hash: secret_hash(id.as_bytes()),
        kind,
        principal: None,
        role,
        collections: None,
        label: "test".to_owned(),
        issuer: "HOSPITAL".to_owned(),
        expires_at: None,
    }
}

async fn a_token_is_good_until_it_expires_or_is_revoked(mut world: World) {
    let c = world.collection(1).await;
    let before = settings::change_number(&world.db).await.unwrap();
    let tx = world.db.begin_write().await.unwrap();
    let bound = NewToken {
        collections: Some(BTreeSet::from([c.clone()])),
        ..token("good", TokenKind::Bearer, Role::Submitter)
    };
    tokens::create(&tx, &bound).await.unwrap();
    let old = chrono::Utc::now() - chrono::Duration::seconds(5);
    let expired = NewToken {
        expires_at: Some(old),
        ..token("old", TokenKind::Bearer, Role::Admin)
    };
    tokens::create(&tx, &expired).await.unwrap();
    tokens::create(&tx, &token("link", TokenKind::Link, Role::Admin))
        .await
        .unwrap();
    tx.commit().await.unwrap();
    assert!(settings::change_number(&world.db).await.unwrap() > before);
    let found = tokens::find(&world.db, &secret_hash(b"good")).await.unwrap().unwrap();
    assert_eq!((found.issuer.as_str(), found.role), ("HOSPITAL", Role::Submitter));
    let principal = Principal::Known {
        id: "good".to_owned(),
        role: Role::Submitter,
        collections: Some(BTreeSet::from([c])),
    };
    assert_eq!(found.as_principal(), principal);
    for bad in ["old", "nobody"] {
        assert_eq!(
            tokens::find(&world.db, &secret_hash(bad.as_bytes())).await.unwrap(),
            None
        );
    }
    let tx = world.db.begin_write().await.unwrap();
    assert!(tokens::consume(&tx, &secret_hash(b"link")).await.unwrap().is_some());
    assert!(tokens::consume(&tx, &secret_hash(b"link")).await.unwrap().is_none());
    assert!(
        tokens::consume(&tx, &secret_hash(b"good")).await.unwrap().is_none(),
        "no link"
    );
    tokens::revoke(&tx, "good").await.unwrap();
    assert_eq!(tokens::revoke(&tx, "good").await, Err(Error::NotFound("token")));
    tx.commit().await.unwrap();
    assert_eq!(tokens::find(&world.db, &secret_hash(b"good")).await.unwrap(), None);
    let listed = tokens::list(&world.db, TokenKind::Bearer).await.unwrap();
    assert_eq!(
        listed.iter().map(|t| t.id.as_str()).collect::<BTreeSet<_>>(),
        BTreeSet::from(["good", "old"])
    );
}

async fn grants_open_collections_to_researchers(mut world: World) {
    let c = world.collection(1).await;
    let user = User {
        id: "u1".to_owned(),
        name: "ann".to_owned(),
        password_hash: "$argon2id$".to_owned(),
        role: Role::Researcher,
        collections: None,
        enabled: true,
    };
    let tx = world.db.begin_write().await.unwrap();
    users::put(&tx, &user).await.unwrap();
    tokens::create(&tx, &token("edge", TokenKind::Bearer, Role::Edge))
        .await
        .unwrap();
    for principal in ["u1", "edge"] {
        grants::give(&tx, principal, &c, "admin", None).await.unwrap();
    }
    tx.commit().await.unwrap();
    let found = users::find(&world.db, "ann").await.unwrap().unwrap();
    assert_eq!(found.collections, Some(BTreeSet::from([c.clone()])));
    let edge = tokens::find(&world.db, &secret_hash(b"edge")).await.unwrap().unwrap();
    assert_eq!(edge.collections, None, "grants are for researchers");
    let tx = world.db.begin_write().await.unwrap();
    let over = chrono::Utc::now() - chrono::Duration::seconds(5);
    grants::give(&tx, "u1", &c, "admin", Some(over)).await.unwrap();
    tx.commit().await.unwrap();
    assert!(grants::of(&world.db, "u1").await.unwrap().is_empty());
    let tx = world.db.begin_write().await.unwrap();
    grants::take_back(&tx, "u1", &c).await.unwrap();
    assert_eq!(grants::take_back(&tx, "u1", &c).await, Err(Error::NotFound("grant")));
    users::put(&tx, &User { enabled: false, ..user }).await.unwrap();
    tx.commit().await.unwrap();
    assert!(!users::find(&world.db, "ann").await.unwrap().unwrap().enabled);
}

async fn a_collection_reads_back_and_its_routes_lead_to_it(mut world: World) {
    let mut record = world.collection_record(1).await;
    let route = |ae: &str, issuer: &str| RouteRecord {
        ae_title: ae.to_owned(),
        issuer: issuer.to_owned(),
    };
    record.routes = vec![route("CT1", ""), route("MR1", "MR ISSUER")];
    record.attested = Some("operator".to_owned());
    record.allowed_sop_classes = vec!["1.2.3".parse().unwrap()];
    record.access = Access::Controlled;
    world.commit(vec![Record::Collection(Box::new(record.clone()))]).await;
    assert_eq!(
        collections::get(&world.db, &record.accession)
            .await
            .unwrap()
            .unwrap()
            .record,
        record
    );
    let to = collections::route(&world.db, "CT1").await.unwrap().unwrap();
    assert_eq!(
        (to.collection, to.issuer.as_str()),
        (record.accession.clone(), "HOSPITAL")
    );
    assert_eq!(
        collections::route(&world.db, "MR1").await.unwrap().unwrap().issuer,
        "MR ISSUER"
    );
    assert_eq!(collections::route(&world.db, "ct1").await.unwrap(), None);
    // a change keeps the mark of the attestation, and may not take another's route
    let mut changed = record.clone();
    changed.attested = None;
    changed.title = "New".to_owned();
    changed.routes = vec![route("MR1", "")];
    let tx = world.db.begin_write().await.unwrap();
    collections::put(&tx, &changed).await.unwrap();
    tx.commit().await.unwrap();
    let read = collections::get(&world.db, &record.accession)
        .await
        .unwrap()
        .unwrap()
        .record;
    assert_eq!(
        (read.title.as_str(), read.attested.as_deref()),
        ("New", Some("operator"))
    );
    assert_eq!(collections::route(&world.db, "CT1").await.unwrap(), None);
    let mut thief = world.collection_record(2).await;
    thief.routes = vec![route("MR1", "")];
    let tx = world.db.begin_write().await.unwrap();
    assert_eq!(
        collections::put(&tx, &thief).await,
        Err(Error::Exists("route of that AE title"))
    );
    drop(tx);
    assert_eq!(collections::list(&world.db).await.unwrap().len(), 1);
}

async fn a_profile_of_its_own_stays_with_its_collection(mut world: World) {
    let record = world.collection_record(1).await;
    let own = |sealed: &[u8]| {
        Record::Profile(Box::new(ProfileRecord {
            collection: record.accession.clone(),
            sealed: sealed.to_vec(),
        }))
    };
    let tx = world.db.begin_write().await.unwrap();
    let Record::Profile(early) = own(b"x") else { panic!() };
    assert_eq!(
        collections::put_profile(&tx, &early).await,
        Err(Error::NotFound("collection"))
    );
    drop(tx);
    let collection = Record::Collection(Box::new(record.clone()));
    world.commit(vec![collection.clone(), own(b"first")]).await;
    let other = world.collection_record(2).await;
    world.commit(vec![Record::Collection(Box::new(other.clone()))]).await;
    let id = collections::get(&world.db, &record.accession)
        .await
        .unwrap()
        .unwrap()
        .id;
    let other = collections::get(&world.db, &other.accession).await.unwrap().unwrap().id;
    assert_eq!(
        collections::own_profile(&world.db, id).await.unwrap().unwrap(),
        b"first"
    );
    assert_eq!(collections::own_profile(&world.db, other).await.unwrap(), None);
    // a change of the collection leaves it, the newest record of a profile holds, and everybody hears of it
    let before = settings::change_number(&world.db).await.unwrap();
    world.commit(vec![collection]).await;
    world.commit(vec![own(b"second")]).await;
    assert_eq!(
        collections::own_profile(&world.db, id).await.unwrap().unwrap(),
        b"second"
    );
    assert_eq!(settings::change_number(&world.db).await.unwrap(), before + 2);
}

async fn enqueue(world: &World, jobs: &[NewJob]) {
    let tx = world.db.begin_write().await.unwrap();
    jobs::enqueue(&tx, jobs).await.unwrap();
    tx.commit().await.unwrap();
}

async fn jobs_are_leased_tried_again_and_given_up(world: World) {
    let job = NewJob::new("hash", "hash image", serde_json::json!({"image": 1}));
    enqueue(&world, &[job.clone().once("a"), job.clone().once("a")]).await;
    enqueue(&world, &[job.clone().once("a")]).await;
    let lease = Duration::from_millis(50);
    let taken = jobs::claim(&world.db, "hash", "w1", 10, Duration::from_secs(60))
        .await
        .unwrap();
    let [first] = taken.as_slice() else { panic!("{taken:?}") };
    assert_eq!((first.payload["image"].as_i64(), first.attempt), (Some(1), 1));
    // one that runs does not stand in the way of the next
    enqueue(&world, &[job.clone().once("a")]).await;
    assert!(
        jobs::claim(&world.db, "other", "w1", 10, lease)
            .await
            .unwrap()
            .is_empty()
    );
    let second = jobs::claim(&world.db, "hash", "w2", 10, lease).await.unwrap().remove(0);
    // its worker dies; the lease ends; another takes it, and the first one's answer counts no more
    tokio::time::sleep(Duration::from_millis(120)).await;
    let again = jobs::claim(&world.db, "hash", "w3", 10, Duration::from_secs(60))
        .await
        .unwrap()
        .remove(0);
    assert_eq!((again.id, again.attempt), (second.id, 2));
    let tx = world.db.begin_write().await.unwrap();
    assert_eq!(
        jobs::complete(&tx, std::slice::from_ref(&second)).await,
        Err(Error::LeaseLost)
    );
    jobs::complete(&tx, &[]).await.unwrap();
    jobs::extend(&tx, &again, Duration::from_secs(90)).await.unwrap();
    jobs::complete(&tx, std::slice::from_ref(&again)).await.unwrap();
    jobs::fail(&tx, first, "no such file").await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(
        jobs::counts(&world.db).await.unwrap(),
        [("hash".to_owned(), "waiting".to_owned(), 1)]
    );
    assert!(
        jobs::claim(&world.db, "hash", "w1", 10, lease)
            .await
            .unwrap()
            .is_empty(),
        "there is a pause"
    );
    // given up after the last attempt
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let mut last = jobs::claim(&world.db, "hash", "w1", 10, Duration::from_secs(60))
        .await
        .unwrap()
        .remove(0);
    last.max_attempts = last.attempt;
    let tx = world.db.begin_write().await.unwrap();
    jobs::fail(&tx, &last, "still no such file").await.unwrap();
    tx.commit().await.unwrap();
    let dead = jobs::dead(&world.db, 10).await.unwrap();
    assert_eq!((dead.len(), dead[0].last_error.as_str()), (1, "still no such file"));
    let tx = world.db.begin_write().await.unwrap();
    jobs::revive(&tx, dead[0].id).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(jobs::claim(&world.db, "hash", "w1", 10, lease).await.unwrap().len(), 1);
}

async fn a_job_is_done_by_one_worker_only(world: World) {
    let jobs: Vec<NewJob> = (0..40).map(|n| NewJob::new("q", "job", serde_json::json!(n))).collect();
    enqueue(&world, &jobs).await;
    let workers = (0..4).map(|worker| {
        let db: Database = world.db.clone();
        tokio::spawn(async move {
            let mut done = Vec::new();
            loop {
                let taken = jobs::claim(&db, "q", &format!("w{worker}"), 3, Duration::from_secs(60))
                    .await
                    .unwrap();
                if taken.is_empty() {
                    return done;
                }
                let tx = db.begin_write().await.unwrap();
                jobs::complete(&tx, &taken).await.unwrap();
                tx.commit().await.unwrap();
                done.extend(taken.iter().map(|job| job.payload.as_i64().unwrap()));
            }
        })
    });
    let mut done: Vec<i64> = Vec::new();
    for worker in futures::future::join_all(workers).await {
        done.extend(worker.unwrap());
    }
    done.sort_unstable();
    // on PostgreSQL a worker may find everything locked by another and leave; nothing is done twice
    assert!(done.windows(2).all(|pair| pair[0] < pair[1]));
    let left: u64 = jobs::counts(&world.db).await.unwrap().iter().map(|(_, _, n)| n).sum();
    assert_eq!(done.len() as u64 + left, 40);
}

async fn the_audit_chain_shows_every_change(world: World) {
    let event = |n: i64| AuditEvent {
        actor: "admin".to_owned(),
        action: "test".to_owned(),
        subject: format!("OBIA000{n}"),
        detail: serde_json::json!({"n": n, "text": "ü"}),
    };
    for group in [vec![event(1), event(2)], vec![event(3)], vec![]] {
        let tx = world.db.begin_write().await.unwrap();
        audit::append(&tx, &group).await.unwrap();
        tx.commit().await.unwrap();
    }
    let good = audit::verify(&world.db, &AUDIT_KEY).await.unwrap();
    assert_eq!((good.events, good.broken.len(), good.heads["test"].seq), (3, 0, 3));
    assert_eq!(
        audit::verify(&world.db, &[0; 32]).await.unwrap().broken.len(),
        3,
        "another key"
    );
    let recent = audit::recent(&world.db, Some("OBIA0002"), 10).await.unwrap();
    assert_eq!((recent.len(), recent[0].detail["n"].as_i64()), (1, Some(2)));
    let raw = sea_orm::Database::connect(&world.url).await.unwrap();
    raw.execute_unprepared("UPDATE audit_event SET actor = 'nobody' WHERE seq = 2")
        .await
        .unwrap();
    assert_eq!(
        audit::verify(&world.db, &AUDIT_KEY).await.unwrap().broken,
        [("test".to_owned(), 2)]
    );
    raw.execute_unprepared("DELETE FROM audit_event WHERE seq = 2")
        .await
        .unwrap();
    assert_eq!(
        audit::verify(&world.db, &AUDIT_KEY).await.unwrap().broken,
        [("test".to_owned(), 3)]
    );
    let without = Database::open(&world.url).await.unwrap();
    let tx = without.begin_write().await.unwrap();
    assert_eq!(audit::append(&tx, &[event(4)]).await, Err(Error::NoAuditChain));
}

async fn settings_and_change_number(world: World) {
    assert_eq!(settings::get(&world.db, settings::KEY_FINGERPRINT).await.unwrap(), None);
    let tx = world.db.begin_write().await.unwrap();
    assert_eq!(
        settings::set_once(&tx, settings::KEY_FINGERPRINT, "aa").await.unwrap(),
        "aa"
    );
    assert_eq!(
        settings::set_once(&tx, settings::KEY_FINGERPRINT, "bb").await.unwrap(),
        "aa"
    );
    settings::set(&tx, "x", "1").await.unwrap();
    settings::set(&tx, "x", "2").await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(settings::get(&world.db, "x").await.unwrap().as_deref(), Some("2"));
    assert_eq!(settings::change_number(&world.db).await.unwrap(), 0);
    for n in 1..4 {
        let tx = world.db.begin_write().await.unwrap();
        settings::bump(&tx).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(settings::change_number(&world.db).await.unwrap(), n);
    }
}

async fn codes_come_back_in_batches(mut world: World) {
    let c = world.collection(1).await;
    let paths: Vec<[u64; 4]> = (0..30).map(|n| [1, 1, 1, n]).collect();
    world.images(&c, &paths, ImageState::Pending).await;
    let everything = crate::world::everything();
    let path = isocenter_schema::retrieve::Path {
        study: Some("1.2.1.1".parse().unwrap()),
        ..Default::default()
    };
    let ids = isocenter_schema::retrieve::ids_of(&world.db, &everything, &path)
        .await
        .unwrap();
    let codes: Vec<Code> = ids
        .iter()
        .map(|id| Code {
            image_id: *id,
            frame: 1,
            code: u64::MAX - id.cast_unsigned(),
        })
        .collect();
    let tx = world.db.begin_write().await.unwrap();
    codes::put(&tx, 1, "phash", &[Code { code: 7, ..codes[0] }])
        .await
        .unwrap();
    codes::put(&tx, 1, "phash", &codes).await.unwrap();
    stats::put(&tx, 1, "codes", 30).await.unwrap();
    tx.commit().await.unwrap();
    let read: Vec<Code> = codes::all(&world.db, 1, "phash").try_concat().await.unwrap();
    assert_eq!(read, codes);
    assert_eq!(codes::indexes(&world.db).await.unwrap(), [(1, "phash".to_owned(), 30)]);
    assert_eq!(
        codes::of_image(&world.db, ids[3], "phash").await.unwrap(),
        Some(codes[3].code)
    );
    assert_eq!(codes::of_image(&world.db, ids[3], "other").await.unwrap(), None);
    assert_eq!(stats::kept(&world.db, 1).await.unwrap()["codes"], 30);
}

async fn submissions_move_one_step_at_a_time(mut world: World) {
    let c = world.collection(1).await;
    let tx = world.db.begin_write().await.unwrap();
    let id = submissions::open(&tx, &c, "Ultrasound", "u1", "draft").await.unwrap();
    submissions::advance(&tx, id, "draft", "submitted", "ready")
        .await
        .unwrap();
    assert!(matches!(
        submissions::advance(&tx, id, "draft", "submitted", "").await,
        Err(Error::NotFound(_))
    ));
    tx.commit().await.unwrap();
    let list = submissions::list(&world.db, Some("u1"), 10).await.unwrap();
    assert_eq!(
        (list.len(), list[0].state.as_str(), &list[0].collection),
        (1, "submitted", &c)
    );
    assert!(submissions::list(&world.db, Some("u2"), 10).await.unwrap().is_empty());
}

async fn a_database_says_what_is_missing(mut world: World) {
    assert!(world.db.is_empty().await.unwrap());
    world.db.check_version().await.unwrap();
    world.db.migrate().await.unwrap(); // a second time changes nothing
    world.db.ping().await.unwrap();
    world.collection(1).await;
    assert!(!world.db.is_empty().await.unwrap());
    let off = (world.db.now().await.unwrap() - chrono::Utc::now()).num_seconds().abs();
    assert!(off < 5, "{off}");
    let raw = sea_orm::Database::connect(&world.url).await.unwrap();
    let newer = "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m9999_newer', 0)";
    raw.execute_unprepared(newer).await.unwrap();
    assert!(matches!(world.db.check_version().await, Err(Error::Version(_))));
    assert!(matches!(world.db.migrate().await, Err(Error::Version(_))));
    raw.execute_unprepared("DELETE FROM seaql_migrations").await.unwrap();
    assert!(matches!(world.db.check_version().await, Err(Error::Version(_))));
    let short = Connections {
        read: 1,
        wait: Duration::from_millis(300),
    };
    let nobody = Database::open_with("postgres://127.0.0.1:1/nobody", short)
        .await
        .unwrap_err();
    assert_eq!(nobody.fault(), Fault::Unavailable, "{nobody}");
    assert!(matches!(Database::open("mysql://x").await, Err(Error::BadValue(_))));
    assert!(matches!(
        Database::open("sqlite::memory:").await,
        Err(Error::BadValue(_))
    ));
}
