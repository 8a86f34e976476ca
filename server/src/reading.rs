//! Resources that are only read.
//!
//! `HEAD` works wherever `GET` does, and any other method hears 405 with `Allow` (RFC 9110 9.3.2, 15.5.6), so that a client can
//! tell a wrong method from a wrong path. The HTTP layer leaves the body of an answer to `HEAD` out.

use actix_web::http::header;
use actix_web::{FromRequest, Handler, HttpResponse, Resource, Responder, web};

/// Returns a resource that answers GET and HEAD alike.
pub fn readable<F, Args>(path: &str, handler: F) -> Resource
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    web::resource(path)
        .route(web::get().to(handler.clone()))
        .route(web::head().to(handler))
        .default_service(web::to(|| async { not_allowed("GET, HEAD") }))
}

/// Returns 405 with the methods that the resource has.
pub fn not_allowed(allow: &'static str) -> HttpResponse {
    HttpResponse::MethodNotAllowed()
        .insert_header((header::ALLOW, allow))
        .finish()
}
