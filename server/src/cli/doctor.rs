//! `isocenter doctor`: looks at this machine and these settings as the server would, and says what is wrong.

use isocenter_imaging::TextDetector as _;
use serde::Serialize;

use super::Output;
use crate::config::Settings;
use crate::disk::State;
use crate::present;

#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    fine: bool,
    detail: String,
}

fn address(name: &'static str, address: std::net::SocketAddr) -> Check {
    let bound = std::net::TcpListener::bind(address);
    let detail = match &bound {
        Ok(_) => format!("{address} is free"),
        Err(error) => format!("{address}: {error} (fine where this archive's server runs)"),
    };
    let in_use = |error: &std::io::Error| error.kind() == std::io::ErrorKind::AddrInUse;
    Check {
        name,
        fine: bound.as_ref().map_or_else(in_use, |_| true),
        detail,
    }
}

fn key_file(settings: &Settings) -> Check {
    use std::os::unix::fs::PermissionsExt as _;
    let path = &settings.master_key_file;
    let (fine, detail) = match std::fs::metadata(path) {
        Ok(meta) if meta.permissions().mode() & 0o077 != 0 => (false, "others can read it: chmod 600".to_owned()),
        Ok(_) => (true, "there, and only its owner can read it".to_owned()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => (true, "made at the first start".to_owned()),
        Err(error) => (false, error.to_string()),
    };
    Check {
        name: "master key",
        fine,
        detail: format!("{}: {detail}", path.display()),
    }
}

/// The program that reads text in pixels is the only one that is looked for outside; nothing needs it.
fn text_reader() -> Check {
    let found = isocenter_imaging::Tesseract::installed();
    let without = "Tesseract is not installed; the own detector searches alone. To have both: \
        apt-get install tesseract-ocr tesseract-ocr-eng tesseract-ocr-chi-sim, and start the server again";
    Check {
        name: "text reader",
        fine: true,
        detail: found.map_or_else(|| without.to_owned(), |found| found.name()),
    }
}

/// Runs the command: 0 when nothing is wrong, 1 otherwise.
pub(crate) async fn run(settings: Settings, output: Output) -> anyhow::Result<u8> {
    let mut checks = vec![
        address("HTTP address", settings.http),
        address("DIMSE address", settings.dimse),
        key_file(&settings),
        text_reader(),
    ];
    match present::open(settings).await {
        Err(error) => checks.push(Check {
            name: "archive",
            fine: false,
            detail: format!("{error:#}"),
        }),
        Ok(archive) => {
            let said = |name, result: Result<(), String>| Check {
                name,
                fine: result.is_ok(),
                detail: result.err().unwrap_or_else(|| "answers".to_owned()),
            };
            checks.push(said("database", archive.db.ping().await.map_err(|e| e.to_string())));
            checks.push(said("store", archive.storage.ready().await.map_err(|e| e.to_string())));
            let disk = archive.disk.seen().await;
            let what = match disk.state {
                State::Fine => "",
                State::Low => ", below the low mark",
                State::Critical => ", below the critical mark: nothing is taken",
            };
            checks.push(Check {
                name: "disk",
                fine: disk.state == State::Fine,
                detail: format!("{} MiB free{what}", disk.available >> 20),
            });
            archive.close().await;
        }
    }
    let fine = checks.iter().all(|check| check.fine);
    output.answer(&checks, |checks| {
        let mark = |check: &Check| if check.fine { "fine " } else { "WRONG" };
        checks
            .iter()
            .map(|check| format!("{} {:13} {}\n", mark(check), check.name, check.detail))
            .collect()
    })?;
    Ok(u8::from(!fine))
}
