//! `/health/live` and `/health/ready`, for whatever restarts the program or sends it traffic.
//!
//! *Live* says that the process answers. *Ready* says that start-up is over, that database and store answer now, and that what
//! arrives would be committed; a load balancer takes the server out while it says 503.

use std::future::Future;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix_web::{HttpResponse, web};

use crate::archive::Archive;
use crate::present;
use crate::reading::readable;

/// Who asks does not wait for long, and neither does this: what answers later does not answer.
const PATIENCE: Duration = Duration::from_secs(4);

/// Adds the two routes.
pub fn configure(app: &mut web::ServiceConfig) {
    app.service(readable("/health/live", live))
        .service(readable("/health/ready", ready));
}

/// Says that the process answers.
#[utoipa::path(get, path = "/health/live", responses((status = 200, description = "The process answers")))]
pub async fn live() -> HttpResponse {
    HttpResponse::Ok().json(serde_json::json!({"status": "live"}))
}

async fn answers<T, E>(asked: impl Future<Output = Result<T, E>>) -> bool {
    matches!(tokio::time::timeout(PATIENCE, asked).await, Ok(Ok(_)))
}

/// Says whether start-up is over, database and store answer, and what arrives would be committed.
#[utoipa::path(get, path = "/health/ready", responses(
    (status = 200, description = "Start-up is over; database and store answer; what arrives is committed"),
    (status = 503, description = "Not now; the body names what does not answer"),
))]
pub async fn ready(archive: web::Data<Archive>) -> HttpResponse {
    let started = archive.ready.load(Ordering::Acquire);
    // An open SQLite file that somebody took away still answers; what is written to it is lost.
    let file = present::database_file(&archive.settings);
    let there = async { file.is_none_or(|file| file.exists()) };
    let (database, there, store) = futures::join!(answers(archive.db.ping()), there, answers(archive.storage.ready()));
    let (database, commits) = (database && there, archive.commits());
    let ready = started && database && store && commits;
    let word = |fine| if fine { "ok" } else { "away" };
    let body = serde_json::json!({
        "status": if ready { "ready" } else { "not ready" },
        "started": started,
        "database": word(database),
        "store": word(store),
        "disk": archive.disk.seen().await.state.as_str(),
        "ingest": if commits { "ok" } else { "dead" },
    });
    if ready {
        HttpResponse::Ok().json(body)
    } else {
        HttpResponse::ServiceUnavailable()
            .insert_header(("Retry-After", "5"))
            .json(body)
    }
}

#[cfg(test)]
mod tests {
    use actix_web::body::to_bytes;

    use super::*;
    use crate::world::{World, world};

    async fn ask(world: &World) -> (u16, serde_json::Value) {
        let answer = ready(world.archive.clone()).await;
        let status = answer.status().as_u16();
        let body = to_bytes(answer.into_body()).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap())
    }

    #[actix_web::test]
    async fn what_does_not_answer_is_named() {
        let world = world().await;
        assert_eq!(ask(&world).await.0, 503);
        world.archive.ready.store(true, Ordering::Release);
        let (status, said) = ask(&world).await;
        assert_eq!((status, &said["status"]), (200, &"ready".into()), "{said}");

        let database = present::database_file(&world.archive.settings).unwrap();
        let away = database.with_extension("away");
        std::fs::rename(&database, &away).unwrap();
        let (status, said) = ask(&world).await;
        assert_eq!(
            (status, &said["database"], &said["store"]),
            (503, &"away".into(), &"ok".into())
        );
        std::fs::rename(&away, &database).unwrap();

        let blobs = world.archive.settings.store_url.to_file_path().unwrap();
        std::fs::rename(&blobs, blobs.with_extension("away")).unwrap();
        let (status, said) = ask(&world).await;
        assert_eq!(
            (status, &said["database"], &said["store"]),
            (503, &"ok".into(), &"away".into())
        );
        std::fs::rename(blobs.with_extension("away"), &blobs).unwrap();
        assert_eq!(ask(&world).await.0, 200);
    }

    #[actix_web::test]
    async fn a_committer_that_ended_is_noticed() {
        let world = world().await;
        world.archive.ready.store(true, Ordering::Release);
        assert_eq!(ask(&world).await.1["ingest"], "ok");
        world.archive.stop_ingest().await;
        let (status, said) = ask(&world).await;
        assert_eq!((status, &said["ingest"]), (503, &"dead".into()), "{said}");
    }
}
