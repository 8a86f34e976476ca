//! The DIMSE gateway alone, at a hospital's edge.
//!
//! Not there yet: this program parses its command line and says so. What is there is the library, which the archive
//! embeds.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Receives DICOM objects at a hospital's edge, de-identifies them and forwards them to an Isocenter archive.
#[derive(Debug, Parser)]
#[command(name = "isocenter-gateway", version)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Listens for DICOM associations (comes with a later release).
    Serve,
}

fn main() -> ExitCode {
    match CommandLine::parse().command {
        Command::Serve => {
            eprintln!(
                "isocenter-gateway: the edge mode comes with a later release. \
                 The archive embeds the DIMSE service already: isocenter serve --dimse 127.0.0.1:11112"
            );
            ExitCode::from(2)
        }
    }
}
