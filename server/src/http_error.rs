//! One table from what failed to what an HTTP client hears.
//!
//! Every error body is `application/problem+json` (RFC 9457) with a title and a short detail that names the thing: a
//! parameter, a limit, a UID's position; never patient data, never a stack trace. DICOMweb services answer with their own
//! modules where the standard has one (STOW-RS); everything else comes through here.

use std::fmt;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, ResponseError};
use isocenter_model::{Classify, Fault};

/// A failed request.
#[derive(Debug, Clone)]
pub struct HttpError {
    status: StatusCode,
    detail: String,
    retry_after_s: Option<u32>,
}

impl HttpError {
    fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            detail: detail.into(),
            retry_after_s: None,
        }
    }

    /// 400: syntax; `detail` names the parameter.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// 401: no credentials where some are needed, or bad ones.
    pub fn unauthorised(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, detail)
    }

    /// 403: known, and may not.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, detail)
    }

    /// 404: not there, or nothing that this caller may know of.
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "nothing here that you may see")
    }

    /// 410: it was here and has been withdrawn.
    pub fn gone() -> Self {
        Self::new(StatusCode::GONE, "this collection has been withdrawn")
    }

    /// 406: none of the accepted media types or transfer syntaxes can be given.
    pub fn not_acceptable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_ACCEPTABLE, detail)
    }

    /// 413: over a limit.
    pub fn too_large(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
    }

    /// 415: the request's content type is not one that is taken here.
    pub fn unsupported_media_type(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail)
    }

    /// 503 with `Retry-After`.
    pub fn unavailable(retry_after_s: u32) -> Self {
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            detail: "storage or database does not answer; send again later".into(),
            retry_after_s: Some(retry_after_s),
        }
    }

    /// 503 with `Retry-After`: nothing is taken while the disk is nearly full.
    pub fn no_space() -> Self {
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            detail: "too little space is left; send again later".into(),
            retry_after_s: Some(60),
        }
    }

    /// 503 with `Retry-After`: too many ask at the same time.
    pub fn busy(retry_after_s: u32) -> Self {
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            detail: "too many wait already; ask again later".into(),
            retry_after_s: Some(retry_after_s),
        }
    }

    /// 500: a fault of ours. The cause is logged here, once, and not shown.
    pub fn internal(cause: &dyn fmt::Display) -> Self {
        tracing::error!(error = %cause, "request failed");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the archive failed; the operator's log says why",
        )
    }

    /// Returns the answer to a failure of one of our packages, by its kind.
    pub fn from_fault<E: Classify + fmt::Display>(error: &E) -> Self {
        match error.fault() {
            Fault::BadInput => Self::bad_request(error.to_string()),
            Fault::Unreadable => Self::bad_request(error.to_string()),
            Fault::NotFound => Self::not_found(),
            Fault::Unauthenticated => Self::unauthorised(error.to_string()),
            Fault::Forbidden => Self::forbidden(error.to_string()),
            Fault::Conflict => Self::new(StatusCode::CONFLICT, error.to_string()),
            Fault::NotAcceptable => Self::not_acceptable(error.to_string()),
            Fault::TooLarge => Self::too_large(error.to_string()),
            Fault::Unavailable => {
                tracing::warn!(error = %error, "request refused for now");
                Self::unavailable(10)
            }
            _ => Self::internal(error),
        }
    }

    /// Returns the answer.
    pub fn into_response(self) -> HttpResponse {
        self.error_response()
    }

    /// Returns the status.
    pub fn status(&self) -> StatusCode {
        self.status
    }
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.status, self.detail)
    }
}

impl std::error::Error for HttpError {}

impl ResponseError for HttpError {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut answer = HttpResponse::build(self.status);
        if let Some(seconds) = self.retry_after_s {
            answer.insert_header((header::RETRY_AFTER, seconds.to_string()));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            answer.insert_header((header::WWW_AUTHENTICATE, "Bearer realm=\"isocenter\""));
        }
        answer.content_type("application/problem+json").body(
            serde_json::json!({
                "type": "about:blank",
                "title": self.status.canonical_reason().unwrap_or("error"),
                "status": self.status.as_u16(),
                "detail": self.detail,
            })
            .to_string(),
        )
    }
}

impl<E: Classify + fmt::Display> From<E> for HttpError {
    fn from(error: E) -> Self {
        Self::from_fault(&error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Failed(Fault);
    impl fmt::Display for Failed {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("failed")
        }
    }
    impl Classify for Failed {
        fn fault(&self) -> Fault {
            self.0
        }
    }

    #[test]
    fn every_kind_has_its_status() {
        for (fault, status) in [
            (Fault::BadInput, 400),
            (Fault::Unreadable, 400),
            (Fault::NotFound, 404),
            (Fault::Unauthenticated, 401),
            (Fault::Forbidden, 403),
            (Fault::Conflict, 409),
            (Fault::NotAcceptable, 406),
            (Fault::TooLarge, 413),
            (Fault::Unavailable, 503),
            (Fault::Corrupt, 500),
            (Fault::Internal, 500),
        ] {
            assert_eq!(HttpError::from(Failed(fault)).status().as_u16(), status, "{fault:?}");
        }
    }

    #[test]
    fn what_is_unavailable_says_when_to_come_back() {
        let answer = HttpError::unavailable(10).error_response();
        assert_eq!(answer.headers().get("retry-after").unwrap(), "10");
    }
}
