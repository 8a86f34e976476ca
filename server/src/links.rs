//! Absolute URLs of this archive, as the client must write them.
//!
//! A link is right when the client that gets it can follow it. The public root is `--public-url` where the operator set
//! it; else what a *trusted* proxy says in `Forwarded` (RFC 7239) or `X-Forwarded-Proto|Host|Prefix`; else the request's own
//! `Host`. Headers of anybody else are ignored: a stranger must not write the links that others follow.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header::HeaderMap;
use actix_web::{FromRequest, HttpRequest, web};

use crate::archive::Archive;
use crate::config::Settings;
use crate::http_error::HttpError;

/// The URL under which the client reaches the archive, without a slash at the end, and the collection that the request's
/// path is narrowed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicRoot {
    root: String,
    collection: Option<String>,
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    // A chain of proxies appends; the first value is what the client asked for.
    headers
        .get(name)?
        .to_str()
        .ok()?
        .split(',')
        .next()
        .map(str::trim)
        .filter(|v| !v.is_empty())
}

fn forwarded<'a>(headers: &'a HeaderMap, key: &str) -> Option<&'a str> {
    header(headers, "forwarded")?
        .split(';')
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case(key))
        .map(|(_, value)| value.trim().trim_matches('"'))
}

/// Returns the value when it can stand in a URL as a host or a scheme; a header that cannot is as good as none.
fn plain(value: &str) -> Option<&str> {
    let fine = |b: u8| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b);
    (!value.is_empty() && value.bytes().all(fine)).then_some(value)
}

fn prefix_of(headers: &HeaderMap) -> String {
    let prefix = header(headers, "x-forwarded-prefix").unwrap_or("").trim_matches('/');
    let fine = prefix
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"-._~/".contains(&b));
    if prefix.is_empty() || !fine {
        String::new()
    } else {
        format!("/{prefix}")
    }
}

impl PublicRoot {
    /// Returns the root for a request.
    pub fn of(request: &HttpRequest, settings: &Settings) -> Self {
        let collection = request.match_info().get("collection").map(str::to_owned);
        if let Some(url) = &settings.public_url {
            return Self {
                root: url.as_str().trim_end_matches('/').to_owned(),
                collection,
            };
        }
        let info = request.connection_info();
        let direct = (
            request.app_config().secure(),
            request.headers().get("host").and_then(|h| h.to_str().ok()),
        );
        drop(info);
        let trusted = request.peer_addr().is_some_and(|peer| settings.trusts_proxy(peer.ip()));
        let headers = request.headers();
        let mut scheme = if direct.0 { "https" } else { "http" };
        let mut host = direct.1.and_then(plain);
        let mut prefix = String::new();
        if trusted {
            let proto = forwarded(headers, "proto").or_else(|| header(headers, "x-forwarded-proto"));
            if let Some(proto) = proto.filter(|p| matches!(*p, "http" | "https")) {
                scheme = proto;
            }
            let named = forwarded(headers, "host").or_else(|| header(headers, "x-forwarded-host"));
            host = named.and_then(plain).or(host);
            prefix = prefix_of(headers);
        }
        let host = host.map_or_else(|| request.app_config().local_addr().to_string(), str::to_owned);
        Self {
            root: format!("{scheme}://{host}{prefix}"),
            collection,
        }
    }

    /// Returns the public root, without a slash at the end.
    pub fn root(&self) -> &str {
        &self.root
    }

    /// Returns the base of the DICOMweb services; within one collection where the request's path was.
    pub fn dicom_web(&self) -> String {
        match &self.collection {
            None => format!("{}/dicom-web", self.root),
            Some(accession) => format!("{}/dicom-web/collections/{accession}", self.root),
        }
    }
}

impl FromRequest for PublicRoot {
    type Error = HttpError;
    type Future = Ready<Result<Self, HttpError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(match request.app_data::<web::Data<Archive>>() {
            Some(archive) => Ok(Self::of(request, &archive.settings)),
            None => Err(HttpError::internal(&"no archive in the application's data")),
        })
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn root(settings: &Settings, peer: &str, headers: &[(&'static str, &'static str)]) -> String {
        let mut request = TestRequest::default().peer_addr(peer.parse().unwrap());
        for pair in headers {
            request = request.insert_header(*pair);
        }
        PublicRoot::of(&request.to_http_request(), settings).root().to_owned()
    }

    #[test]
    fn the_request_names_the_root_where_nobody_else_does() {
        assert_eq!(
            root(&Settings::default(), "192.0.2.1:9", &[("host", "pacs.example:8080")]),
            "http://pacs.example:8080"
        );
    }

    #[test]
    fn a_stranger_does_not_write_our_links() {
        let headers = [
            ("host", "pacs.example"),
            ("x-forwarded-host", "evil.example"),
            ("x-forwarded-proto", "https"),
        ];
        assert_eq!(
            root(&Settings::default(), "192.0.2.1:9", &headers),
            "http://pacs.example"
        );
    }

    #[test]
    fn a_trusted_proxy_does() {
        let settings = Settings {
            trusted_proxies: vec!["192.0.2.0/24".parse().unwrap()],
            ..Settings::default()
        };
        let headers = [
            ("host", "inner:1"),
            ("x-forwarded-host", "archive.example"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-prefix", "/archive/"),
        ];
        assert_eq!(
            root(&settings, "192.0.2.1:9", &headers),
            "https://archive.example/archive"
        );
        let headers = [
            ("host", "inner:1"),
            ("forwarded", "for=1.2.3.4;proto=https;host=\"a.example\""),
        ];
        assert_eq!(root(&settings, "192.0.2.1:9", &headers), "https://a.example");
    }

    #[test]
    fn the_operators_word_wins() {
        let settings = Settings {
            public_url: Some("https://obia.example/archive/".parse().unwrap()),
            ..Settings::default()
        };
        assert_eq!(
            root(&settings, "192.0.2.1:9", &[("host", "x")]),
            "https://obia.example/archive"
        );
    }

    #[test]
    fn markup_in_a_host_never_becomes_a_link() {
        let answer = root(&Settings::default(), "192.0.2.1:9", &[("host", "a\"><script>")]);
        assert!(!answer.contains('<') && !answer.contains('"'), "{answer}");
    }
}
