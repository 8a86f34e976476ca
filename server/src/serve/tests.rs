use actix_web::http::header::HeaderMap;
use actix_web::http::{Method, StatusCode};
use actix_web::test::{self, TestRequest};

use super::*;
use crate::world::{World, world};

async fn ask(world: &World, method: Method, path: &str, headers: &[(&str, &str)]) -> (StatusCode, HeaderMap) {
    let app = App::new().app_data(world.archive.clone()).configure(routes);
    let app = test::init_service(app).await;
    let mut request = TestRequest::with_uri(path).method(method);
    for pair in headers {
        request = request.insert_header(*pair);
    }
    let answer = test::call_service(&app, request.to_request()).await;
    (answer.status(), answer.headers().clone())
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).map_or("", |value| value.to_str().unwrap())
}

#[actix_web::test]
async fn pages_of_named_origins_may_call_both_interfaces() {
    let world = world().await;
    for path in ["/api/v1/stats/summary", "/api/v1/nowhere", "/dicom-web/studies"] {
        let allowed = async |method: Method, origin: &str| {
            let headers = [("origin", origin), ("access-control-request-method", "GET")];
            let (status, headers) = ask(&world, method, path, &headers).await;
            (
                status.as_u16(),
                text(&headers, "access-control-allow-origin").to_owned(),
            )
        };
        let (named, other) = ("https://viewer.example", "https://other.example");
        assert_eq!(allowed(Method::OPTIONS, named).await, (204, named.to_owned()), "{path}");
        assert_eq!(allowed(Method::GET, named).await.1, named, "{path}");
        assert_eq!(allowed(Method::GET, other).await.1, "", "{path}");
    }
    // The pages themselves are for people, not for scripts of others.
    let (_, headers) = ask(&world, Method::GET, "/", &[("origin", "https://viewer.example")]).await;
    assert_eq!(text(&headers, "access-control-allow-origin"), "");
}

#[actix_web::test]
async fn head_works_wherever_get_does_and_nothing_else_does() {
    let world = world().await;
    for path in [
        "/",
        "/assets/site.css",
        "/assets/mark.svg",
        "/health/live",
        "/health/ready",
        "/metrics",
        "/api/openapi.json",
        "/api/v1/stats/summary",
        "/api/v1/images/X/similar",
        "/dicom-web/studies",
        "/dicom-web/series",
        "/dicom-web/wado",
    ] {
        let (get, _) = ask(&world, Method::GET, path, &[]).await;
        let (head, _) = ask(&world, Method::HEAD, path, &[]).await;
        assert_eq!(get, head, "{path}");
        let (other, headers) = ask(&world, Method::DELETE, path, &[]).await;
        assert_eq!(other, StatusCode::METHOD_NOT_ALLOWED, "{path}");
        assert!(text(&headers, "allow").starts_with("GET, HEAD"), "{path}");
    }
    let (nowhere, _) = ask(&world, Method::HEAD, "/nowhere", &[]).await;
    assert_eq!(nowhere, StatusCode::NOT_FOUND);
}

#[actix_web::test]
async fn a_bad_token_is_never_taken_for_none() {
    let world = world().await;
    for path in ["/", "/api/v1/stats/summary", "/dicom-web/studies"] {
        let (anonymous, _) = ask(&world, Method::GET, path, &[]).await;
        assert_eq!(anonymous, StatusCode::OK, "{path}");
        for bad in ["Bearer iso_stale", "Bearer", "Basic YTpi", "iso_stale"] {
            for method in [Method::GET, Method::HEAD] {
                let (status, headers) = ask(&world, method, path, &[("authorization", bad)]).await;
                assert_eq!(status, StatusCode::UNAUTHORIZED, "{path} with {bad}");
                assert!(text(&headers, "www-authenticate").starts_with("Bearer"), "{path}");
            }
        }
    }
}

#[test]
fn the_published_interface_is_the_one_in_the_code() {
    let published: serde_json::Value = serde_json::from_str(include_str!("../../openapi.json")).unwrap();
    let own = serde_json::to_value(openapi()).unwrap();
    assert!(
        published == own,
        "server/openapi.json is not what the code says: `isocenter openapi > server/openapi.json`"
    );
}

#[actix_web::test]
async fn a_new_archive_has_one_link_that_leads_in() {
    let world = world().await;
    let link = first_link(&world.archive, "0.0.0.0:8042".parse().unwrap())
        .await
        .unwrap()
        .unwrap();
    let path = link.strip_prefix("http://127.0.0.1:8042").unwrap().to_owned();
    assert!(path.starts_with("/login?code=lnk_"), "{path}");
    let (status, headers) = ask(&world, Method::GET, &path, &[]).await;
    assert_eq!((status, text(&headers, "location")), (StatusCode::SEE_OTHER, "/"));
    let again = first_link(&world.archive, "127.0.0.1:8042".parse().unwrap())
        .await
        .unwrap();
    assert_eq!(again, None);
}

#[actix_web::test]
async fn a_database_that_hangs_does_not_keep_the_program_from_ending() {
    let world = world().await;
    // A connection that never comes back is what a hung disk or server looks like to who closes the database.
    let held = world.archive.db.begin_write().await.unwrap();
    close_within(&world.archive, Duration::from_millis(50)).await;
    assert!(!world.archive.commits());
    drop(held);
}
