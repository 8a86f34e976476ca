//! The command line: one file per command, each a short walk over the same functions that the server uses.
//!
//! Commands work on a data directory whether or not a server runs on it; what they change is seen by the server through
//! the database's change number. Only `serve`, `demo` and `migrate` make an archive where there is none; `deid` needs none,
//! but for `deid report --collection`.
//! Exit codes: 0 done, 1 failed, 2 wrong usage (clap), 3 something is missing on the machine, 4 done, but not with
//! everything (`deid`). `--json` on each prints one JSON document instead of text.

mod collection;
mod config;
mod deid;
mod demo;
mod doctor;
mod migrate;
mod quarantine;
mod reindex;
mod token;
mod verify;

use clap::{Parser, Subcommand};

use crate::config::{Flags, Settings};
use crate::present;

/// An open biomedical imaging archive: PACS in, de-identified, checked, sealed, searchable collections out.
#[derive(Debug, Parser)]
#[command(name = "isocenter", version, propagate_version = true, max_term_width = 110)]
pub struct Cli {
    #[command(flatten)]
    flags: Flags,
    /// Print one JSON document instead of text
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

impl Cli {
    /// Returns whether the program is asked to run the archive.
    pub fn serves(&self) -> bool {
        matches!(self.command, Command::Serve(_))
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the archive: DIMSE, DICOMweb and the portal
    Serve(Serve),
    /// Fill an empty archive with small phantom studies made by our own code
    Demo(demo::Options),
    /// Bring the database to this program's version
    Migrate,
    /// Create, list, show and release collections
    #[command(subcommand)]
    Collection(collection::Command),
    /// Create, list and revoke bearer tokens
    #[command(subcommand)]
    Token(token::Command),
    /// List what waits in quarantine and why
    #[command(subcommand)]
    Quarantine(quarantine::Command),
    /// De-identify files and folders, and try out profiles and scripts; needs no archive
    #[command(subcommand)]
    Deid(Box<deid::Command>),
    /// Rebuild what can be derived
    Reindex(reindex::Options),
    /// Check every sealed object and the audit trail
    Verify(verify::Options),
    /// Check this machine and these settings and say what is wrong
    Doctor,
    /// Show or check the settings
    #[command(subcommand)]
    Config(config::Command),
    /// Print the OpenAPI document of the HTTP interface
    Openapi,
}

/// What `serve` takes besides the settings that every command takes.
#[derive(Debug, clap::Args)]
struct Serve {
    /// AE title of the Inbox [default: ISOCENTER]
    #[arg(long, value_name = "AE")]
    ae_title: Option<String>,
}

/// Where a command's answer goes: text for people, or one JSON document.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    json: bool,
}

impl Output {
    /// Prints the document, or the text made of it.
    #[expect(clippy::print_stdout, reason = "the answer of a command is its standard output")]
    pub(crate) fn answer<T: serde::Serialize>(self, value: &T, text: impl FnOnce(&T) -> String) -> anyhow::Result<()> {
        if self.json {
            println!("{}", serde_json::to_string_pretty(value)?);
        } else {
            let text = text(value);
            if !text.is_empty() {
                println!("{}", text.trim_end());
            }
        }
        Ok(())
    }
}

/// Runs the command line and returns the exit code.
///
/// # Errors
/// What the command failed with; `main` prints it and exits with 1.
pub async fn run(mut cli: Cli) -> anyhow::Result<u8> {
    if let Command::Serve(Serve { ae_title: Some(title) }) = &cli.command {
        cli.flags.ae_title = Some(title.clone());
    }
    let output = Output { json: cli.json };
    if let Command::Config(command) = &cli.command {
        return config::run(command, &cli.flags, output);
    }
    if let Command::Openapi = &cli.command {
        return output
            .answer(&crate::serve::openapi(), |document| {
                document.to_pretty_json().unwrap_or_default()
            })
            .map(|()| 0);
    }
    if let Command::Deid(command) = cli.command {
        if command.needs_archive() {
            let archive = present::open(Settings::load(&cli.flags)?).await?;
            return deid::run_on(*command, &archive, output).await;
        }
        return tokio::task::spawn_blocking(move || deid::run(*command, output)).await?;
    }
    let settings = Settings::load(&cli.flags)?;
    match cli.command {
        Command::Serve(_) => crate::serve::run(settings).await.map(|()| 0),
        Command::Demo(options) => demo::run(options, settings, output).await,
        Command::Migrate => migrate::run(settings, output).await,
        Command::Doctor => doctor::run(settings, output).await,
        Command::Collection(command) => collection::run(command, &present::open(settings).await?, output).await,
        Command::Token(command) => token::run(command, &present::open(settings).await?, output).await,
        Command::Quarantine(command) => quarantine::run(command, &present::open(settings).await?, output).await,
        Command::Reindex(options) => reindex::run(options, &present::open(settings).await?, output).await,
        Command::Verify(options) => verify::run(options, &present::open(settings).await?, output).await,
        Command::Config(_) | Command::Openapi | Command::Deid(_) => Ok(0),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_collections_title_is_not_the_inboxs() {
        let line = [
            "isocenter",
            "collection",
            "create",
            "--title",
            "t",
            "--ae-title",
            "OTHER",
            "--data-dir",
            "d",
        ];
        assert_eq!(Cli::try_parse_from(line).unwrap().flags.ae_title, None);
        let line = ["isocenter", "serve", "--ae-title", "HOSPITAL", "--http", "127.0.0.1:1"];
        assert!(matches!(
            Cli::try_parse_from(line).unwrap().command,
            Command::Serve(Serve { ae_title: Some(_) })
        ));
    }
}
