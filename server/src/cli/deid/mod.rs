//! `isocenter deid run|eval|filter|check|report`: de-identification of files and folders, with no archive anywhere near.
//!
//! People try it before they trust us, and debug their scripts with it: the profiles, the script language and the pixel
//! cleaning are those of the archive's way in, from the same packages. No settings, no data directory and no database are
//! touched; what is read are the files that the command line names, what is written is the output that it names, for its
//! owner alone. One exception says so: `report --collection` reads a collection of the archive.
//!
//! | file | holds |
//! | --- | --- |
//! | `rules` | the flags that say how: profile or script, its inputs, the secret |
//! | `files` | walking a folder, reading a file bounded, writing one as a whole or not at all |
//! | `object` | one object: read, de-identified, its pixels cleaned, laid out |
//! | `run`, `workers`, `summary` | a folder on several cores; putting results back in order; what is said at the end |
//! | `ask` | `eval` and `filter`: one question to one object |
//! | `check` | a script in words |
//! | `report`, `survey`, `page` | what a folder holds, element by element; collected; as HTML and CSV |
//! | `collection`, `json` | what a collection holds: its rows page by page; elements from ready-made metadata |
//!
//! Exit codes beside the usual ones: 4, everything was done, and something was held back or could not be read (`run`), or a
//! script is refused (`check`).

mod ask;
mod check;
mod collection;
mod files;
mod json;
mod object;
mod page;
mod report;
pub(super) mod rules;
mod run;
mod summary;
mod survey;
mod workers;

use clap::Subcommand;

use super::Output;
use crate::archive::Archive;

/// Done, but not with everything: something was held, or is refused.
pub(crate) const NOT_ALL: u8 = 4;

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// De-identify a file or a folder
    Run(Box<run::Options>),
    /// Evaluate expressions of a CTP script, one a line on standard input, on an object
    Eval(ask::EvalOptions),
    /// Say whether a CTP filter holds for an object
    Filter(ask::FilterOptions),
    /// Explain a CTP script in words, and warn about what it would leak
    Check(check::Options),
    /// Report what a folder of objects, or a collection of the archive, holds: element by element, and what was done to it
    Report(report::Options),
}

impl Command {
    /// Returns whether the command reads the archive.
    pub(crate) fn needs_archive(&self) -> bool {
        matches!(self, Self::Report(options) if options.collection.is_some())
    }
}

/// Runs a command that reads the archive.
pub(crate) async fn run_on(command: Command, archive: &Archive, output: Output) -> anyhow::Result<u8> {
    match command {
        Command::Report(options) => report::run_on(&options, archive, output).await,
        other => tokio::task::spawn_blocking(move || run(other, output)).await?,
    }
}

/// Runs a command that needs no archive.
pub(crate) fn run(command: Command, output: Output) -> anyhow::Result<u8> {
    match command {
        Command::Run(options) => run::run(&options, output),
        Command::Eval(options) => ask::eval(&options),
        Command::Filter(options) => ask::filter(&options, output),
        Command::Check(options) => check::run(&options, output),
        Command::Report(options) => report::run(&options, output),
    }
}
