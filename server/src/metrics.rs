//! `/metrics` in the Prometheus text format.
//!
//! Who may read it is a setting (`--metrics`): by default a caller on this machine, and anybody with an administrator's token.
//! Behind a proxy on this machine everybody seems to be here, so where one is configured or shows itself the token is needed. So
//! it is where the caller knows this machine by another name than a loopback's: that may be a foreign page in a browser here.
//!
//! Names end in their unit; labels are small closed sets (method, status class, outcome, AE title of a configured route),
//! never a UID and never anything a patient owns.

use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::sync::LazyLock;
use std::time::Instant;

use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready};
use actix_web::{HttpRequest, HttpResponse, web};
use isocenter_model::rights::{Principal, Role};
use prometheus::{Encoder, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, Opts, Registry, TextEncoder};

use crate::archive::Archive;
use crate::auth::Caller;
use crate::config::{MetricsAccess, Settings};
use crate::http_error::HttpError;
use crate::links;

/// Every metric of the program.
pub struct Metrics {
    registry: Registry,
    http_request_seconds: HistogramVec,
    /// Instances that arrived, by door and outcome.
    pub instances_total: IntCounterVec,
    /// DIMSE associations, by what became of them.
    pub associations_total: IntCounterVec,
    /// DIMSE associations that are open.
    pub associations_open: IntGauge,
    /// Jobs that ended, by name and result.
    pub jobs_total: IntCounterVec,
    /// Bytes that the fullest disk has left.
    pub disk_available_bytes: IntGauge,
    /// How it stands with it: 0 fine, 1 low, 2 critical.
    pub disk_state: IntGauge,
}

/// The metrics of this process.
pub static METRICS: LazyLock<Metrics> = LazyLock::new(Metrics::new);

#[expect(
    clippy::expect_used,
    reason = "names and labels are constants; a wrong one fails at the first start"
)]
impl Metrics {
    fn new() -> Self {
        let registry = Registry::new();
        let counter = |name: &str, help: &str, labels: &[&str]| {
            let counter = IntCounterVec::new(Opts::new(name, help), labels).expect("a legal metric");
            registry.register(Box::new(counter.clone())).expect("registered once");
            counter
        };
        let buckets = vec![0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
        let opts = HistogramOpts::new("isocenter_http_request_seconds", "Time to the end of the answer's head")
            .buckets(buckets);
        let http_request_seconds = HistogramVec::new(opts, &["method", "status"]).expect("a legal metric");
        registry
            .register(Box::new(http_request_seconds.clone()))
            .expect("registered once");
        let gauge = |name: &str, help: &str| {
            let gauge = IntGauge::new(name, help).expect("a legal metric");
            registry.register(Box::new(gauge.clone())).expect("registered once");
            gauge
        };
        Self {
            http_request_seconds,
            instances_total: counter(
                "isocenter_instances_total",
                "Instances that arrived",
                &["door", "outcome"],
            ),
            associations_total: counter("isocenter_dimse_associations_total", "DIMSE associations", &["result"]),
            associations_open: gauge("isocenter_dimse_associations_open", "DIMSE associations that are open"),
            disk_available_bytes: gauge("isocenter_disk_available_bytes", "Bytes that the fullest disk has left"),
            disk_state: gauge(
                "isocenter_disk_state",
                "Free space: 0 fine, 1 low, 2 critical (nothing is taken)",
            ),
            jobs_total: counter("isocenter_jobs_total", "Jobs that ended", &["name", "result"]),
            registry,
        }
    }
}

/// Adds the route.
pub fn configure(app: &mut web::ServiceConfig) {
    app.service(crate::reading::readable("/metrics", exposition));
}

/// Headers by which a proxy shows itself.
const PROXIED: [&str; 6] = [
    "forwarded",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
];

/// Returns whether a request comes from this machine, by what nobody elsewhere can make up.
fn is_local(request: &HttpRequest, settings: &Settings) -> bool {
    let peer = request.peer_addr().map(|peer| peer.ip().to_canonical());
    peer.is_some_and(|ip| ip.is_loopback() && !settings.trusts_proxy(ip))
        && settings.public_url.is_none()
        && links::dials_this_machine(request)
        && !PROXIED.iter().any(|name| request.headers().contains_key(*name))
}

fn may_read(request: &HttpRequest, caller: &Caller, settings: &Settings) -> Result<(), HttpError> {
    let allowed = match settings.metrics {
        MetricsAccess::Open => true,
        MetricsAccess::Local => is_local(request, settings),
        MetricsAccess::Token => false,
    };
    match &caller.principal {
        _ if allowed => Ok(()),
        Principal::Known {
            role: Role::Admin,
            collections: None,
            ..
        } => Ok(()),
        Principal::Known { .. } => Err(HttpError::forbidden("metrics are for administrators")),
        Principal::Anonymous => Err(HttpError::unauthorised("metrics need an administrator's token here")),
    }
}

async fn exposition(
    request: HttpRequest,
    caller: Caller,
    archive: web::Data<Archive>,
) -> Result<HttpResponse, HttpError> {
    may_read(&request, &caller, &archive.settings)?;
    // Looks, where nobody has for a while.
    archive.disk.seen().await;
    let mut body = Vec::new();
    TextEncoder::new()
        .encode(&METRICS.registry.gather(), &mut body)
        .map_err(|error| HttpError::internal(&error))?;
    Ok(HttpResponse::Ok().content_type("text/plain; version=0.0.4").body(body))
}

/// Middleware that times every request.
#[derive(Debug, Clone, Copy)]
pub struct Requests;

/// The service that [`Requests`] puts around the others.
pub struct Timed<S> {
    inner: S,
}

impl<S, B> Transform<S, ServiceRequest> for Requests
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = actix_web::Error> + 'static,
    B: 'static,
{
    type Response = ServiceResponse<B>;
    type Error = actix_web::Error;
    type InitError = ();
    type Transform = Timed<S>;
    type Future = Ready<Result<Timed<S>, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(Timed { inner: service }))
    }
}

impl<S, B> Service<ServiceRequest> for Timed<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = actix_web::Error> + 'static,
    B: 'static,
{
    type Response = ServiceResponse<B>;
    type Error = actix_web::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>>>>;

    forward_ready!(inner);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let started = Instant::now();
        let method = match request.method().as_str() {
            known @ ("GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "OPTIONS") => known.to_owned(),
            _ => "other".to_owned(),
        };
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await;
            let status = match &answer {
                Ok(response) => response.status(),
                Err(error) => error.as_response_error().status_code(),
            };
            METRICS
                .http_request_seconds
                .with_label_values(&[method.as_str(), status.as_str()])
                .observe(started.elapsed().as_secs_f64());
            answer
        })
    }
}

#[cfg(test)]
mod tests {
    use actix_web::App;
    use actix_web::test::{self, TestRequest};

    use super::*;
    use crate::world::{World, world_with};

    async fn status(world: &World, peer: &str, headers: &[(&str, &str)]) -> u16 {
        let app = App::new().app_data(world.archive.clone()).configure(configure);
        let app = test::init_service(app).await;
        let mut request = TestRequest::get()
            .uri("/metrics")
            .insert_header(("host", "localhost:8080"));
        if !peer.is_empty() {
            request = request.peer_addr(format!("{peer}:4711").parse().unwrap());
        }
        for pair in headers {
            request = request.insert_header(*pair);
        }
        test::call_service(&app, request.to_request()).await.status().as_u16()
    }

    #[actix_web::test]
    async fn metrics_are_for_this_machine_and_for_administrators() {
        let world = world_with(|_| {}).await;
        let admin = format!("Bearer {}", world.token);
        let made = crate::auth::token::create(&world.archive.db, Role::Researcher, None, "", None, "test");
        let researcher = format!("Bearer {}", made.await.unwrap().secret);
        for (peer, headers, expected) in [
            ("127.0.0.1", vec![], 200),
            ("[::1]", vec![], 200),
            ("192.0.2.7", vec![], 401),
            ("", vec![], 401),
            ("192.0.2.7", vec![("authorization", admin.as_str())], 200),
            ("192.0.2.7", vec![("authorization", researcher.as_str())], 403),
            ("127.0.0.1", vec![("authorization", "Bearer iso_stale")], 401),
            // A proxy on this machine carries strangers.
            ("127.0.0.1", vec![("x-forwarded-for", "192.0.2.7")], 401),
            ("127.0.0.1", vec![("forwarded", "for=192.0.2.7")], 401),
            // And a stranger cannot say that he is here.
            ("192.0.2.7", vec![("x-forwarded-for", "127.0.0.1")], 401),
        ] {
            assert_eq!(status(&world, peer, &headers).await, expected, "{peer} {headers:?}");
        }
    }

    #[actix_web::test]
    async fn a_foreign_page_cannot_rebind_its_name_to_this_machine() {
        let world = world_with(|_| {}).await;
        for (host, expected) in [
            ("127.0.0.1:8080", 200),
            ("127.8.9.1", 200),
            ("LocalHost", 200),
            ("[::1]:8080", 200),
            ("rebound.example:8080", 401),
            ("rebound.example", 401),
            ("127.0.0.1.rebound.example", 401),
            ("localhost.rebound.example:8080", 401),
            ("localhost@rebound.example", 401),
            ("[::1].rebound.example", 401),
            ("[rebound.example]", 401),
            ("192.0.2.7:8080", 401),
            ("0.0.0.0:8080", 401),
            ("", 401),
        ] {
            assert_eq!(status(&world, "127.0.0.1", &[("host", host)]).await, expected, "{host}");
        }
        let admin = format!("Bearer {}", world.token);
        let told = [("host", "archive.example"), ("authorization", admin.as_str())];
        assert_eq!(status(&world, "127.0.0.1", &told).await, 200);
    }

    #[actix_web::test]
    async fn the_setting_and_a_known_proxy_decide() {
        let open = world_with(|settings| settings.metrics = MetricsAccess::Open).await;
        assert_eq!(status(&open, "192.0.2.7", &[]).await, 200);
        let token = world_with(|settings| settings.metrics = MetricsAccess::Token).await;
        assert_eq!(status(&token, "127.0.0.1", &[]).await, 401);
        let proxied = world_with(|settings| settings.trusted_proxies = vec!["127.0.0.1".parse().unwrap()]).await;
        assert_eq!(status(&proxied, "127.0.0.1", &[]).await, 401);
        let public = world_with(|settings| settings.public_url = Some("https://a.example".parse().unwrap())).await;
        assert_eq!(status(&public, "127.0.0.1", &[]).await, 401);
    }
}
