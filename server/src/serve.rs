//! `isocenter serve`: everything that listens, started in order and stopped in order.
//!
//! Start: settings, database, master key, store, replay of packs that the database does not know yet, hash indexes, jobs,
//! DIMSE, HTTP; `/health/ready` says yes only then. Stop, on SIGTERM or Ctrl-C: no new associations and connections, what
//! runs is finished within a deadline, jobs give their leases back.

use std::net::SocketAddr;
use std::time::Duration;

use actix_web::middleware::{NormalizePath, TrailingSlash, from_fn};
use actix_web::{App, HttpServer, web};
use anyhow::Context as _;
use isocenter_model::rights::Role;
use tokio::sync::watch;
use utoipa::OpenApi;

use crate::archive::Archive;
use crate::auth::session;
use crate::config::Settings;
use crate::reading::readable;
use crate::{cors, dicomweb, health, jobs, metrics, portal, similar};

/// How long what runs may take to finish after the word to stop.
const STOP_DEADLINE: Duration = Duration::from_secs(40);
/// How long cutting it off may take.
const CUT_OFF: Duration = Duration::from_secs(2);
/// How long the last commit and the closing of the database may take after that. Service managers end by force what takes a
/// minute.
const CLOSE_DEADLINE: Duration = Duration::from_secs(12);

/// The OpenAPI document of `/api/v1`.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Isocenter",
        description = "The archive's own interface. Images and their attributes come over DICOMweb at /dicom-web.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    paths(similar::similar, portal::summary, health::live, health::ready)
)]
struct Api;

/// Returns the OpenAPI document of the HTTP interface.
pub fn openapi() -> utoipa::openapi::OpenApi {
    Api::openapi()
}

/// Does what must come before any thread starts: files that only their owner can read, one TLS provider for the process, and
/// panics that say where and never what, since a panic's message may hold a value of a data set.
pub fn prepare_process() {
    // Database, its log and spill folders are made by libraries that ask for the usual mode.
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    // An error means that a provider is installed already, which is what is wanted.
    let _ = rustls::crypto::ring::default_provider().install_default();
    std::panic::set_hook(Box::new(|panic| {
        let place = panic
            .location()
            .map(|l| format!("{}:{}", l.file(), l.line()))
            .unwrap_or_default();
        if tracing::dispatcher::has_been_set() {
            tracing::error!(place, "panic");
        } else {
            say(&place);
        }
    }));
}

#[expect(clippy::print_stderr, reason = "before the log has started there is nowhere else")]
fn say(place: &str) {
    eprintln!("isocenter: panic at {place}");
}

fn start_log() {
    use std::io::IsTerminal as _;
    let filter = tracing_subscriber::EnvFilter::try_from_env("ISOCENTER_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info,sqlx=warn,sea_orm=warn"));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    // People read text; collectors read one JSON document a line.
    let _ = if std::io::stderr().is_terminal() {
        log.try_init()
    } else {
        log.json().try_init()
    };
}

/// Runs the archive until it is told to stop.
///
/// # Errors
/// When a part cannot start: the settings are wrong, the key does not fit, an address is taken.
pub async fn run(settings: Settings) -> anyhow::Result<()> {
    start_log();
    let archive = web::Data::new(Archive::open(settings).await?);
    archive
        .replay()
        .await
        .context("replay of packs after the last checkpoint")?;
    archive.load_indexes().await.context("hash indexes")?;
    let (stop, stopped) = watch::channel(false);
    let working = jobs::start(archive.clone().into_inner(), stopped.clone());
    let dimse = crate::dimse::start(&archive, stopped.clone()).await.context("DIMSE")?;
    let (http, http_address) = bind(archive.clone())?;
    let handle = http.handle();
    tracing::info!(
        http = %http_address,
        dimse = %dimse.local_addr,
        ae_title = %archive.settings.ae_title,
        "isocenter is ready"
    );
    // The first look at the disks comes before the first object.
    archive.disk.seen().await;
    archive.ready.store(true, std::sync::atomic::Ordering::Release);
    let server = tokio::spawn(http);
    greet(&archive, http_address).await?;
    wait_for_signal().await?;
    tracing::info!("stopping: finishing what runs");
    archive.ready.store(false, std::sync::atomic::Ordering::Release);
    let _ = stop.send(true);
    let finished = async {
        let _ = tokio::join!(dimse.join, handle.stop(true), working);
    };
    if tokio::time::timeout(STOP_DEADLINE, finished).await.is_err() {
        tracing::warn!("what still runs is cut off; nobody was told that it succeeded");
        let _ = tokio::time::timeout(CUT_OFF, handle.stop(false)).await;
    }
    server.abort();
    close_within(&archive, CLOSE_DEADLINE).await;
    Ok(())
}

/// Closes the archive, or leaves it where a store or a database that hangs would keep it open for ever: the next start
/// replays what was put and not committed.
async fn close_within(archive: &Archive, deadline: Duration) {
    if tokio::time::timeout(deadline, archive.close()).await.is_err() {
        tracing::warn!("store or database did not end in time; the next start goes on from what they hold");
    }
}

/// Shows a person who starts an archive for the first time the way in. Only on a terminal: a log is read by others.
async fn greet(archive: &Archive, listening: SocketAddr) -> anyhow::Result<()> {
    use std::io::IsTerminal as _;
    if std::io::stdout().is_terminal()
        && let Some(link) = first_link(archive, listening).await?
    {
        print_link(&link);
    }
    Ok(())
}

#[expect(
    clippy::print_stdout,
    reason = "the link is for the person at the terminal and for no log"
)]
fn print_link(link: &str) {
    println!("\nLog in as administrator (good once, for 15 minutes):\n\n    {link}\n");
}

/// Makes the log-in link of a new archive; `None` where one was made before. `demo` may have made the archive: what counts is
/// that nobody was shown a link.
///
/// # Errors
/// When the database fails.
async fn first_link(archive: &Archive, listening: SocketAddr) -> anyhow::Result<Option<String>> {
    if session::had_link(&archive.db).await? {
        return Ok(None);
    }
    let made = session::link(&archive.db, Role::Admin, None, session::LINK_FOR, "first start").await?;
    Ok(Some(login_url(&archive.settings, listening, &made.code)))
}

/// Returns the address that a person follows to log in.
pub(crate) fn login_url(settings: &Settings, listening: SocketAddr, code: &str) -> String {
    let root = match &settings.public_url {
        Some(url) => url.as_str().trim_end_matches('/').to_owned(),
        None => {
            let scheme = if settings.tls_cert.is_some() { "https" } else { "http" };
            let mut address = listening;
            // Every address of this machine is no address to go to.
            if address.ip().is_unspecified() {
                address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
            }
            format!("{scheme}://{address}")
        }
    };
    format!("{root}/login?code={code}")
}

/// Adds everything that the archive answers over HTTP.
pub(crate) fn routes(app: &mut web::ServiceConfig) {
    let api = web::scope("/api")
        .wrap(from_fn(cors::cors))
        .service(readable("/openapi.json", openapi_document))
        .service(
            web::scope("/v1")
                .configure(similar::configure)
                .configure(portal::configure_api),
        );
    app.configure(health::configure)
        .configure(metrics::configure)
        .service(web::scope("/dicom-web").configure(dicomweb::configure))
        .service(api)
        .configure(portal::configure);
}

/// Binds the address and returns the server and where it listens: with port 0 the system chooses.
fn bind(archive: web::Data<Archive>) -> anyhow::Result<(actix_web::dev::Server, SocketAddr)> {
    let settings = archive.settings.clone();
    let workers = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    let server = HttpServer::new(move || {
        App::new()
            .app_data(archive.clone())
            .app_data(web::PayloadConfig::new(usize::MAX))
            .wrap(metrics::Requests)
            // DICOM-RST learned it from its users: `/studies/` is `/studies`.
            .wrap(NormalizePath::new(TrailingSlash::Trim))
            .configure(routes)
    })
    .workers(workers.max(2))
    // The signals are ours: DIMSE and the jobs stop with the same word.
    .disable_signals()
    .keep_alive(Duration::from_secs(75))
    .client_request_timeout(Duration::from_secs(30))
    .shutdown_timeout(15);
    let server = match (&settings.tls_cert, &settings.tls_key) {
        (Some(cert), Some(key)) => server.bind_rustls_0_23(settings.http, crate::tls::server_config(cert, key)?),
        _ => server.bind(settings.http),
    };
    let server = server.with_context(|| format!("HTTP address {}", settings.http))?;
    let address = server.addrs().first().copied().unwrap_or(settings.http);
    Ok((server.run(), address))
}

async fn openapi_document() -> web::Json<utoipa::openapi::OpenApi> {
    web::Json(openapi())
}

async fn wait_for_signal() -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => {}
        interrupted = tokio::signal::ctrl_c() => interrupted?,
    }
    Ok(())
}

#[cfg(test)]
mod tests;
