//! The program `isocenter`.

use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use clap::Parser;
use isocenter::cli::{self, Cli};

// The answers of an archive are many small texts; this allocator halves what they cost and gives memory back.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    isocenter::serve::prepare_process();
    let cli = Cli::parse();
    if cli.serves() {
        keep_memory();
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.into()),
    };
    let ended = runtime.block_on(cli::run(cli));
    // A call to a disk that hangs does not come back, and must not keep the program.
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    match ended {
        Ok(code) => ExitCode::from(code),
        Err(error) => failed(&error),
    }
}

/// Lets the allocator keep freed memory for ten seconds, unless the operator said otherwise. Its own one second is shorter than
/// the pauses of a sender between two studies; what it has given back costs a fault a page, and on a virtual machine a trap to
/// the host: a third of all the processor time of the first images after a pause.
///
/// It reads its options from the environment, before anything of ours runs and without `unsafe` only there. So the program
/// starts itself once more, as the same process.
fn keep_memory() {
    const OPTION: &str = "MIMALLOC_PURGE_DELAY";
    if std::env::var_os(OPTION).is_some() {
        return;
    }
    let mut arguments = std::env::args_os();
    let (Some(name), Ok(program)) = (arguments.next(), std::env::current_exe()) else {
        return;
    };
    // This returns only where the system does not let us; then memory goes back sooner.
    let _ = Command::new(program)
        .arg0(name)
        .args(arguments)
        .env(OPTION, "10000")
        .exec();
}

#[expect(clippy::print_stderr, reason = "a failed command says why on standard error")]
fn failed(error: &anyhow::Error) -> ExitCode {
    eprintln!("isocenter: {error:#}");
    ExitCode::FAILURE
}
