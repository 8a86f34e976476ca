//! Who is asking.
//!
//! A request without credentials is anonymous and sees released, open data. A bearer token becomes a
//! [`Principal`]; a bad or expired one is always 401, never anonymous, so that a client with a stale token learns of it. A
//! browser's [`session`] speaks where there is no token.
//! What a principal may do is decided by [`isocenter_model::rights`] alone.

pub mod session;
pub mod token;

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest, web};
use isocenter_model::rights::Principal;

use crate::archive::Archive;
use crate::http_error::HttpError;

/// Who sent a request.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The principal, which rights are about.
    pub principal: Principal,
    /// Issuer of the patient IDs that this caller sends; empty where its token names none.
    pub issuer: String,
}

impl Caller {
    /// Returns whether we know who it is.
    pub fn is_known(&self) -> bool {
        self.principal != Principal::Anonymous
    }
}

fn bearer(request: &HttpRequest) -> Result<Option<String>, HttpError> {
    let Some(value) = request.headers().get(header::AUTHORIZATION) else {
        return Ok(None);
    };
    let text = value
        .to_str()
        .map_err(|_| HttpError::unauthorised("credentials are not readable"))?;
    let (scheme, secret) = text.split_once(' ').unwrap_or((text, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(HttpError::unauthorised("expected a bearer token"));
    }
    Ok(Some(secret.trim().to_owned()))
}

impl FromRequest for Caller {
    type Error = HttpError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, HttpError>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let archive = request.app_data::<web::Data<Archive>>().cloned();
        let shown = bearer(request);
        let session = session::reading(request);
        Box::pin(async move {
            let archive = archive.ok_or_else(|| HttpError::internal(&"no archive in the application's data"))?;
            let Some(secret) = shown? else {
                let session = match session {
                    Some(secret) => session::of(&archive.db, &secret).await?,
                    None => None,
                };
                return Ok(Self {
                    principal: session.map_or(Principal::Anonymous, |session| session.as_principal()),
                    issuer: String::new(),
                });
            };
            match token::find(&archive.db, &secret).await? {
                Some(token) => Ok(Self {
                    principal: token.as_principal(),
                    issuer: token.issuer,
                }),
                None => Err(HttpError::unauthorised(
                    "token is not valid, was revoked or has expired",
                )),
            }
        })
    }
}
