//! `isocenter deid report`: every element of a folder or a collection with its values, for a person to read before it is
//! passed on.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use isocenter_model::CollectionAccession;

use super::super::Output;
use super::object::{NotRead, Read};
use super::survey::{Report, Seen, Survey};
use super::{collection, files, page, workers};
use crate::archive::Archive;

/// What to report on, and where.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Write the report as a page
    #[arg(long, value_name = "OUT.html")]
    html: Option<PathBuf>,
    /// Write the report as a table
    #[arg(long, value_name = "OUT.csv")]
    csv: Option<PathBuf>,
    /// Most values of an element that are shown
    #[arg(long, value_name = "N", default_value_t = 50)]
    values: usize,
    /// Show values of private elements too
    #[arg(long)]
    private_values: bool,
    /// Report on a collection of the archive, from its index: what it holds, what was done to it, what was kept out and why
    #[arg(
        long,
        value_name = "ACCESSION",
        conflicts_with = "folder",
        required_unless_present = "folder"
    )]
    pub(super) collection: Option<CollectionAccession>,
    /// A file or a folder
    #[arg(value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

/// Runs the command: 0 when every object was read, [`NOT_ALL`](super::NOT_ALL) otherwise.
pub(crate) fn run(options: &Options, output: Output) -> anyhow::Result<u8> {
    let folder = options
        .folder
        .as_deref()
        .context("a folder or --collection is needed")?;
    let found = files::walk(folder, &[])?;
    let mut survey = Survey::new(options.values, options.private_values);
    let mut all = true;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    workers::in_order(
        found.files.len(),
        threads,
        |number| {
            let entry = found.files.get(number).ok_or(NotRead::NotDicom)?;
            let broken = |reason: String| NotRead::Broken(reason);
            catch_unwind(AssertUnwindSafe(|| {
                let source = files::open(&entry.path).map_err(|error| broken(error.kind().to_string()))?;
                Ok(Seen::of(&Read::new(&*source)?.header))
            }))
            .unwrap_or_else(|_| Err(broken("this program failed on it".to_owned())))
        },
        |number, seen| {
            let name = found.files.get(number).map(|entry| entry.name.to_string_lossy());
            let name = name.unwrap_or_default();
            match seen {
                Ok(seen) => survey.add(&name, seen),
                Err(NotRead::NotDicom) => survey.leave_out(&name, "not DICOM"),
                Err(NotRead::Directory) => survey.leave_out(&name, "a media directory"),
                Err(NotRead::Broken(reason)) => {
                    all = false;
                    survey.leave_out(&name, &reason);
                }
            }
            Ok(())
        },
    )?;
    tell(options, &survey.finish(), output)?;
    Ok(if all { 0 } else { super::NOT_ALL })
}

/// Runs the command on a collection.
pub(crate) async fn run_on(options: &Options, archive: &Archive, output: Output) -> anyhow::Result<u8> {
    let accession = options.collection.as_ref().context("a collection is needed")?;
    let done = collection::report(archive, accession, options.values, options.private_values).await;
    archive.close().await;
    let (report, all) = done?;
    tell(options, &report, output)?;
    Ok(if all { 0 } else { super::NOT_ALL })
}

fn tell(options: &Options, report: &Report, output: Output) -> anyhow::Result<()> {
    if let Some(path) = &options.html {
        files::write(path, page::html(report).as_bytes())?;
    }
    if let Some(path) = &options.csv {
        files::write(path, page::csv(report).as_bytes())?;
    }
    output.answer(report, words)
}

fn words(report: &Report) -> String {
    let private = report.elements.iter().filter(|element| element.private).count();
    let mut text = format!(
        "{} objects, {} series, {} studies, {} patients; {} different elements, {private} of them private",
        report.objects,
        report.series,
        report.studies,
        report.patients,
        report.elements.len(),
    );
    if report.not_marked > 0 {
        text.push_str(&format!(
            "\n{} objects do not say that they are de-identified",
            report.not_marked
        ));
    }
    if !report.left_out.is_empty() {
        let left_out = report.left_out.len() as u64 + report.left_out_not_listed;
        text.push_str(&format!("\n{left_out} files are not in the report"));
    }
    if let Some(collection) = &report.collection {
        let kept_out: i64 = collection.kept_out.iter().map(|kept| kept.objects).sum();
        let findings: i64 = collection.findings.iter().map(|found| found.findings).sum();
        text.push_str(&format!(
            "\n{kept_out} objects were kept out, {findings} findings of checks"
        ));
    }
    text.push_str("\n--html, --csv and --json give every element with its values");
    text
}
