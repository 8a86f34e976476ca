//! Absolute URLs of this archive, as the client must write them.
//!
//! A link is right when the client that gets it can follow it. The public root is `--public-url` where the operator set
//! it; else what a *trusted* proxy says in `Forwarded` (RFC 7239) or `X-Forwarded-Proto|Host|Prefix`; else the request's own
//! `Host` (`:authority` in HTTP/2). Headers of anybody else are ignored: a stranger must not write the links that others
//! follow.
//!
//! Some clients leave the port out of `Host`, against RFC 9110 7.2. Where such a host can only be this listener, its port is
//! put back; behind a mapped port that would be a guess, and `--public-url` is the way to say it.

use std::future::{Ready, ready};
use std::net::{IpAddr, SocketAddr};

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

/// Returns the host that the client named, with its port where it said one. HTTP/2 says `:authority` instead of `Host`. Not
/// `connection_info()`: it believes the headers of anybody.
fn said(request: &HttpRequest) -> Option<&str> {
    let named = request.headers().get("host").and_then(|host| host.to_str().ok());
    named.or_else(|| request.uri().authority().map(|authority| authority.as_str()))
}

fn without_port(host: &str) -> &str {
    match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, after)) if after.is_empty() || after.starts_with(':') => address,
        Some(_) => host,
        None => host.split_once(':').map_or(host, |(name, _)| name),
    }
}

fn is_this_machine(name: &str) -> bool {
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

/// Returns whether the client dialled this machine by a name that nobody else can give it.
///
/// A page elsewhere can point a name of its own at 127.0.0.1 once it is loaded (DNS rebinding): the browser then calls from
/// this machine and takes the answer for the page's own. What it cannot do is say another host than the page's.
pub(crate) fn dials_this_machine(request: &HttpRequest) -> bool {
    said(request).map(without_port).is_some_and(is_this_machine)
}

/// Returns the host with the port of the listener, where the client left it out and the host can only be the listener.
///
/// A name of this machine is ours only if the call comes from this machine: else somebody maps ports on the way.
fn with_our_port(host: &str, scheme: &str, listening: SocketAddr, peer: Option<IpAddr>) -> String {
    let usual = if scheme == "https" { 443 } else { 80 };
    let has_port = host.rsplit_once(']').map_or(host, |(_, after)| after).contains(':');
    if has_port || listening.port() == usual {
        return host.to_owned();
    }
    let name = without_port(host);
    let address = name.parse::<IpAddr>();
    let from_this_machine = peer.is_some_and(|ip| ip.to_canonical().is_loopback());
    let own = listening.ip().to_canonical();
    let hears_loopback = own.is_loopback() || own.is_unspecified();
    let ours = (is_this_machine(name) && from_this_machine && hears_loopback)
        || address.is_ok_and(|ip| ip.to_canonical() == own && !own.is_loopback());
    if ours {
        format!("{host}:{}", listening.port())
    } else {
        host.to_owned()
    }
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
        let app = request.app_config();
        let peer = request.peer_addr().map(|peer| peer.ip());
        let headers = request.headers();
        let mut scheme = if app.secure() { "https" } else { "http" };
        let said = said(request);
        let mut host = said
            .and_then(plain)
            .map(|host| with_our_port(host, scheme, app.local_addr(), peer));
        let mut prefix = String::new();
        if peer.is_some_and(|ip| settings.trusts_proxy(ip)) {
            let proto = forwarded(headers, "proto").or_else(|| header(headers, "x-forwarded-proto"));
            let named = forwarded(headers, "host").or_else(|| header(headers, "x-forwarded-host"));
            prefix = prefix_of(headers);
            if proto.is_some() || named.is_some() || !prefix.is_empty() {
                // The port that the proxy listens on is the proxy's to say.
                host = named.or(said).and_then(plain).map(str::to_owned);
            }
            if let Some(proto) = proto.filter(|p| matches!(*p, "http" | "https")) {
                scheme = proto;
            }
        }
        let host = host.unwrap_or_else(|| app.local_addr().to_string());
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
    fn http2_names_it_in_the_authority() {
        let settings = Settings::default();
        let request = TestRequest::with_uri("https://pacs.example:8443/studies")
            .peer_addr("192.0.2.1:9".parse().unwrap())
            .insert_header(("x-forwarded-host", "evil.example"))
            .to_http_request();
        assert_eq!(PublicRoot::of(&request, &settings).root(), "http://pacs.example:8443");
    }

    #[test]
    fn a_port_that_the_client_left_out_is_put_back() {
        // The listener of a test request is 127.0.0.1:8080.
        for host in ["127.0.0.1", "localhost", "[::1]"] {
            let answer = root(&Settings::default(), "127.0.0.1:9", &[("host", host)]);
            assert_eq!(answer, format!("http://{host}:8080"));
        }
        let listening = |text: &str| text.parse::<SocketAddr>().unwrap();
        let peer = |text: &str| Some(text.parse::<IpAddr>().unwrap());
        for (host, scheme, own, from, expected) in [
            ("localhost:9", "http", "127.0.0.1:8080", "127.0.0.1", "localhost:9"),
            ("[::1]:9", "http", "[::1]:8080", "::1", "[::1]:9"),
            ("localhost", "http", "127.0.0.1:80", "127.0.0.1", "localhost"),
            ("localhost", "https", "127.0.0.1:80", "127.0.0.1", "localhost:80"),
            ("localhost", "https", "127.0.0.1:443", "127.0.0.1", "localhost"),
            ("localhost", "http", "[::]:8080", "::ffff:127.0.0.1", "localhost:8080"),
            // A published port of a container: the call comes over a bridge, and 80 may be what the client dialled.
            ("localhost", "http", "0.0.0.0:8080", "172.17.0.1", "localhost"),
            ("192.0.2.7", "http", "192.0.2.7:8080", "192.0.2.1", "192.0.2.7:8080"),
            ("192.0.2.7", "http", "192.0.2.8:8080", "192.0.2.1", "192.0.2.7"),
            ("pacs.example", "http", "192.0.2.7:8080", "192.0.2.1", "pacs.example"),
        ] {
            let answer = with_our_port(host, scheme, listening(own), peer(from));
            assert_eq!(answer, expected, "{host} at {own} from {from}");
        }
    }

    #[test]
    fn the_port_is_the_proxys_to_say_where_one_speaks() {
        let settings = Settings {
            trusted_proxies: vec!["127.0.0.0/8".parse().unwrap()],
            ..Settings::default()
        };
        let spoken = [("host", "localhost"), ("x-forwarded-proto", "https")];
        assert_eq!(root(&settings, "127.0.0.1:9", &spoken), "https://localhost");
        assert_eq!(root(&settings, "127.0.0.1:9", &spoken[..1]), "http://localhost:8080");
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
