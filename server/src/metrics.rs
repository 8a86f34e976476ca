//! `/metrics` in the Prometheus text format.
//!
//! Names end in their unit; labels are small closed sets (method, status class, outcome, AE title of a configured route),
//! never a UID and never anything a patient owns.

use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::sync::LazyLock;
use std::time::Instant;

use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready};
use actix_web::{HttpResponse, web};
use prometheus::{Encoder, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, Opts, Registry, TextEncoder};

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
        let associations_open =
            IntGauge::new("isocenter_dimse_associations_open", "DIMSE associations that are open").expect("legal");
        registry
            .register(Box::new(associations_open.clone()))
            .expect("registered once");
        Self {
            http_request_seconds,
            instances_total: counter(
                "isocenter_instances_total",
                "Instances that arrived",
                &["door", "outcome"],
            ),
            associations_total: counter("isocenter_dimse_associations_total", "DIMSE associations", &["result"]),
            associations_open,
            jobs_total: counter("isocenter_jobs_total", "Jobs that ended", &["name", "result"]),
            registry,
        }
    }
}

/// Adds the route.
pub fn configure(app: &mut web::ServiceConfig) {
    app.service(crate::reading::readable("/metrics", exposition));
}

async fn exposition() -> HttpResponse {
    let mut body = Vec::new();
    match TextEncoder::new().encode(&METRICS.registry.gather(), &mut body) {
        Ok(()) => HttpResponse::Ok().content_type("text/plain; version=0.0.4").body(body),
        Err(error) => crate::http_error::HttpError::internal(&error).into_response(),
    }
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
