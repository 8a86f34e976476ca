//! `isocenter-conformance`: checks and measures an archive from outside.

use anyhow::{Context as _, Result, bail};
use clap::{Args, Parser, Subcommand, ValueEnum};
use isocenter_conformance::bench::{self, Plan, Side};
use isocenter_conformance::cases;
use isocenter_conformance::report::{self, Outcome, Report};
use isocenter_conformance::target::{ApplicationEntity, Target};
use isocenter_conformance::world::{Identity, World};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Parser)]
#[command(
    version,
    about = "Checks and measures any archive that speaks DICOMweb and DIMSE, ours or another."
)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the numbered cases. Ends with 0 when none fails, else with 1. Stores instances of its own in the archive.
    Check(Check),
    /// Measures storing, finding and retrieving, alone or in turn with a peer. Stores instances of its own in the archive.
    Bench(Box<Bench>),
}

#[derive(Args)]
struct Check {
    /// Root of the DICOMweb service, such as http://127.0.0.1:8080/dicom-web
    #[arg(long, value_name = "URL", required_unless_present = "list")]
    web: Option<String>,
    /// Bearer token
    #[arg(long, env = "ISOCENTER_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Storage SCP; without it the DIMSE cases do not apply
    #[arg(long, value_name = "AE@HOST:PORT")]
    dimse: Option<ApplicationEntity>,
    /// Whether the archive keeps the identifiers sent to it
    #[arg(long, value_enum, default_value_t = IdentityChoice::Auto)]
    identity: IdentityChoice,
    /// Run only cases whose number begins so; may be given again
    #[arg(long, value_name = "PREFIX")]
    only: Vec<String>,
    /// Print the cases and end
    #[arg(long)]
    list: bool,
    /// Write the report as JSON to a file, or to standard output with `-`
    #[arg(long, value_name = "OUT")]
    json: Option<PathBuf>,
    /// DICOM files, or folders of them, to store and retrieve as well
    files: Vec<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum IdentityChoice {
    Auto,
    Kept,
    Replaced,
}

#[derive(Args)]
struct Bench {
    /// Root of the DICOMweb service
    #[arg(long, value_name = "URL")]
    web: String,
    /// Bearer token
    #[arg(long, env = "ISOCENTER_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Storage SCP; without it C-STORE is not measured
    #[arg(long, value_name = "AE@HOST:PORT")]
    dimse: Option<ApplicationEntity>,
    /// What the archive is called in the tables
    #[arg(long, default_value = "archive")]
    name: String,
    /// A process of the archive whose CPU time and memory are measured (its children too); may be given again
    #[arg(long, value_name = "PID")]
    pid: Vec<u32>,
    /// Root of a peer's DICOMweb service, measured in turn with the archive
    #[arg(long, value_name = "URL")]
    vs_web: Option<String>,
    /// The peer's bearer token
    #[arg(long, requires = "vs_web")]
    vs_token: Option<String>,
    /// The peer's Storage SCP
    #[arg(long, value_name = "AE@HOST:PORT", requires = "vs_web")]
    vs_dimse: Option<ApplicationEntity>,
    /// What the peer is called in the tables
    #[arg(long, default_value = "peer", requires = "vs_web")]
    vs_name: String,
    /// A process of the peer
    #[arg(long, value_name = "PID", requires = "vs_web")]
    vs_pid: Vec<u32>,
    /// Instances that each storing case sends
    #[arg(long, default_value_t = 100)]
    instances: u32,
    /// Rows and columns of the made CT images
    #[arg(long, default_value_t = 512)]
    size: u16,
    /// Send these files or folders, under new UIDs, instead of made CT images
    #[arg(long, value_name = "PATH", num_args = 1..)]
    files: Vec<PathBuf>,
    /// Rounds of each case; the median is reported
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Seconds that each reading case lasts
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Run only cases whose name begins so; may be given again
    #[arg(long, value_name = "PREFIX")]
    only: Vec<String>,
    /// Write all figures as JSON to a file, or to standard output with `-`
    #[arg(long, value_name = "OUT")]
    json: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match CommandLine::parse().command {
        Command::Check(options) => check(options).await,
        Command::Bench(options) => measure(*options).await.map(|()| true),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("isocenter-conformance: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Returns whether no case failed.
async fn check(options: Check) -> Result<bool> {
    let chosen: Vec<_> = cases::all()
        .into_iter()
        .filter(|case| options.only.is_empty() || options.only.iter().any(|only| case.id.starts_with(only.as_str())))
        .collect();
    let mut out = std::io::stdout().lock();
    if options.list {
        for case in &chosen {
            writeln!(out, "{:<18} {:<24} {}", case.id, case.clause, case.title)?;
        }
        return Ok(true);
    }
    if chosen.is_empty() {
        bail!("no case begins with {}", options.only.join(" or "));
    }
    let web = options.web.as_deref().context("--web is missing")?;
    let target = Target::new(web, options.token, options.dimse);
    let identity = match options.identity {
        IdentityChoice::Auto => None,
        IdentityChoice::Kept => Some(Identity::Kept),
        IdentityChoice::Replaced => Some(Identity::Replaced),
    };
    let started = chrono::Utc::now().to_rfc3339();
    let world = World::prepare(target, &files_below(&options.files)?, identity).await?;
    for reason in &world.left_aside {
        eprintln!("left aside: {reason}");
    }
    let to_stdout = options.json.as_deref() == Some(Path::new("-"));
    let mut reports = Vec::new();
    for case in chosen {
        let report = case.judge(&world).await;
        if !to_stdout {
            writeln!(out, "{}", report::line(&report))?;
        }
        reports.push(report);
    }
    let report = Report {
        version: env!("CARGO_PKG_VERSION"),
        started,
        web: world.target.web.clone(),
        dimse: world
            .target
            .dimse
            .as_ref()
            .map(|entity| format!("{}@{}", entity.ae_title, entity.address)),
        identity: world.identity.map(Identity::word),
        passed: Report::count(&reports, Outcome::Pass),
        failed: Report::count(&reports, Outcome::Fail),
        not_applicable: Report::count(&reports, Outcome::NotApplicable),
        cases: reports,
    };
    if !to_stdout {
        writeln!(out, "\n{}", report.summary())?;
    }
    write_json(options.json.as_deref(), &report)?;
    Ok(report.failed == 0)
}

async fn measure(options: Bench) -> Result<()> {
    let mut sides = vec![Side {
        name: options.name,
        target: Target::new(&options.web, options.token, options.dimse),
        pids: options.pid,
    }];
    if let Some(web) = options.vs_web {
        sides.push(Side {
            name: options.vs_name,
            target: Target::new(&web, options.vs_token, options.vs_dimse),
            pids: options.vs_pid,
        });
    }
    let plan = Plan {
        instances: options.instances.max(1),
        size: options.size.max(8),
        files: files_below(&options.files)?,
        rounds: options.rounds.max(1),
        seconds: options.seconds,
        only: options.only,
    };
    let results = bench::run(&sides, &plan, |line| eprintln!("{line}")).await?;
    if options.json.as_deref() != Some(Path::new("-")) {
        print!("{}", results.table());
    }
    write_json(options.json.as_deref(), &results)
}

fn write_json(out: Option<&Path>, value: &impl serde::Serialize) -> Result<()> {
    let Some(path) = out else { return Ok(()) };
    let mut text = serde_json::to_string_pretty(value)?;
    text.push('\n');
    if path == Path::new("-") {
        std::io::stdout().lock().write_all(text.as_bytes())?;
        return Ok(());
    }
    std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))
}

/// Returns the files named, and those below the folders named, in order of name.
fn files_below(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let entries = std::fs::read_dir(path).with_context(|| format!("reading {}", path.display()))?;
            let mut inside = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
            inside.sort();
            files.extend(files_below(&inside)?);
        } else {
            files.push(path.clone());
        }
    }
    Ok(files)
}
