//! `/health/live` and `/health/ready`, for whatever restarts the program or sends it traffic.
//!
//! *Live* says that the process answers. *Ready* says that start-up is over and that database and store answer now; a
//! load balancer takes the server out while it says 503.

use std::sync::atomic::Ordering;

use actix_web::{HttpResponse, web};

use crate::archive::Archive;
use crate::reading::readable;

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

/// Says whether start-up is over and database and store answer.
#[utoipa::path(get, path = "/health/ready", responses(
    (status = 200, description = "Start-up is over; database and store answer"),
    (status = 503, description = "Not now; the body names what does not answer"),
))]
pub async fn ready(archive: web::Data<Archive>) -> HttpResponse {
    let started = archive.ready.load(Ordering::Acquire);
    let database = archive.db.ping().await.is_ok();
    let store = archive.storage.ready().await.is_ok();
    let word = |fine| if fine { "ok" } else { "away" };
    let body = serde_json::json!({
        "status": if started && database && store { "ready" } else { "not ready" },
        "started": started,
        "database": word(database),
        "store": word(store),
    });
    if started && database && store {
        HttpResponse::Ok().json(body)
    } else {
        HttpResponse::ServiceUnavailable()
            .insert_header(("Retry-After", "5"))
            .json(body)
    }
}
