//! Calls from pages of other origins (the Fetch standard's CORS), for viewers that do not live on ours.
//!
//! Only origins that the operator named (`--cors-origin`; `*` is every one) are answered so; for everybody else nothing is said
//! and the browser keeps the answer from the page. Credentials are bearer tokens that the page itself sends, never cookies.

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpResponse, web};

use crate::archive::Archive;

const METHODS: &str = "GET, HEAD, POST";
const REQUEST_HEADERS: &str = "Authorization, Accept, Content-Type, Range, If-None-Match";
const ANSWER_HEADERS: &str =
    "Content-Type, Content-Location, Content-Range, Content-Encoding, Content-Length, ETag, Link, Warning, Retry-After";
/// Browsers keep a preflight for so long, per URL.
const MAX_AGE: &str = "86400";

/// Returns the origin to answer with, where the operator allows it.
fn allowed(origin: &HeaderValue, origins: &[String]) -> Option<HeaderValue> {
    let text = origin.to_str().ok()?;
    if origins.iter().any(|one| one == "*") {
        return Some(HeaderValue::from_static("*"));
    }
    origins
        .iter()
        .any(|one| one.trim_end_matches('/') == text)
        .then(|| origin.clone())
}

fn say(headers: &mut HeaderMap, origin: HeaderValue, more: &[(HeaderName, &'static str)]) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    for (name, value) in more {
        headers.insert(name.clone(), HeaderValue::from_static(value));
    }
}

/// The middleware.
///
/// # Errors
/// What the service behind it fails with.
pub async fn cors<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let origins = request
        .app_data::<web::Data<Archive>>()
        .map(|archive| archive.settings.cors_origins.as_slice());
    let origin = request.headers().get(header::ORIGIN);
    let origin = origin.and_then(|origin| allowed(origin, origins.unwrap_or_default()));
    let Some(origin) = origin else {
        return Ok(next.call(request).await?.map_into_boxed_body());
    };
    let asks_first = request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if request.method() == Method::OPTIONS && asks_first {
        let mut answer = request.into_response(HttpResponse::NoContent().finish());
        let more = [
            (header::ACCESS_CONTROL_ALLOW_METHODS, METHODS),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS),
            (header::ACCESS_CONTROL_MAX_AGE, MAX_AGE),
        ];
        say(answer.headers_mut(), origin, &more);
        return Ok(answer);
    }
    let mut answer = next.call(request).await?.map_into_boxed_body();
    say(
        answer.headers_mut(),
        origin,
        &[(header::ACCESS_CONTROL_EXPOSE_HEADERS, ANSWER_HEADERS)],
    );
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_named_origins_are_allowed() {
        let named = vec!["https://viewer.example".to_owned()];
        let origin = |text: &'static str| HeaderValue::from_static(text);
        assert_eq!(
            allowed(&origin("https://viewer.example"), &named),
            Some(origin("https://viewer.example"))
        );
        for other in [
            "https://viewer.example.evil.example",
            "http://viewer.example",
            "null",
            "https://viewer.example:444",
        ] {
            assert_eq!(allowed(&origin(other), &named), None, "{other}");
        }
        assert_eq!(allowed(&origin("https://a"), &["*".to_owned()]), Some(origin("*")));
        assert_eq!(allowed(&origin("https://a"), &[]), None);
    }
}
