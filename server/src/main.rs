//! The program `isocenter`.

use std::process::ExitCode;

use clap::Parser;
use isocenter::cli::{self, Cli};

// The answers of an archive are many small texts; this allocator halves what they cost and gives memory back.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    isocenter::serve::prepare_process();
    let cli = Cli::parse();
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

#[expect(clippy::print_stderr, reason = "a failed command says why on standard error")]
fn failed(error: &anyhow::Error) -> ExitCode {
    eprintln!("isocenter: {error:#}");
    ExitCode::FAILURE
}
