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
