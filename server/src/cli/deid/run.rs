//! `isocenter deid run`: a file or a folder in, a folder without the patients out.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, BufWriter, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, ensure};
use clap::Args;
use dicom_dictionary_std::tags;
use indicatif::{ProgressBar, ProgressStyle};
use isocenter_deid::{Held, Report, WhenUnanswered};
use serde_json::json;

use super::super::Output;
use super::files::{self, Entry, Scratch, Unnamed};
use super::object::{Deidentifier, NotRead, Read, text};
use super::rules::{self, Rules};
use super::summary::{HeldObject, Summary, ToReview};
use super::workers;

/// What goes in, what comes out, and how.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    rules: Rules,
    /// Key of UIDs, identifiers and dates: 32 bytes, 64 hexadecimal digits, or any text [default: random, forgotten]
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// Write the map from old to new SOP Instance UID, for its owner alone
    #[arg(long, value_name = "OUT.json")]
    mapping: Option<PathBuf>,
    /// Write the report of every object, one JSON document a line
    #[arg(long, value_name = "OUT.jsonl")]
    reports: Option<PathBuf>,
    /// Copy objects that must not go out to this folder, as they are
    #[arg(long, value_name = "DIR")]
    held: Option<PathBuf>,
    /// Hold objects of classes that show text in pixels unless a device signature speaks for them
    #[arg(long)]
    hold_unseen: bool,
    /// Issuer of all patient IDs; the same ID of two issuers is two patients
    #[arg(long, value_name = "ISSUER", default_value = rules::ISSUER)]
    issuer: String,
    /// Threads [default: one for each core]
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// A file or a folder
    #[arg(value_name = "IN")]
    input: PathBuf,
    /// A folder; made if it is not there
    #[arg(value_name = "OUT")]
    output: PathBuf,
}

/// Runs the command: 0 when every object went out, [`NOT_ALL`](super::NOT_ALL) when something was held or unreadable.
pub(crate) fn run(options: &Options, output: Output) -> anyhow::Result<u8> {
    let summary = deidentify(options)?;
    output.answer(&summary, Summary::text)?;
    Ok(if summary.is_all() { 0 } else { super::NOT_ALL })
}

/// What became of one file.
enum Outcome {
    Written(Box<Written>),
    Held(HeldObject),
    Unreadable(HeldObject),
    NotDicom,
    Directory,
    /// Not the object's fault: the output cannot be written.
    Failed(anyhow::Error),
}

struct Written {
    file: Unnamed,
    name: PathBuf,
    bytes: u64,
    old_uid: String,
    new_uid: String,
    report: Report,
    review: Vec<String>,
}

/// De-identifies the input.
pub(crate) fn deidentify(options: &Options) -> anyhow::Result<Summary> {
    let begun = Instant::now();
    let loaded = options.rules.load()?;
    let threads = match options.jobs {
        _ if loaded.in_order => 1,
        Some(jobs) => jobs,
        None => std::thread::available_parallelism().map_or(1, usize::from),
    };
    let deidentifier = Deidentifier {
        pseudonyms: rules::pseudonyms(options.secret_file.as_deref())?,
        rules: loaded,
        issuer: options.issuer.clone(),
        unanswered: match options.hold_unseen {
            true => WhenUnanswered::Hold,
            false => WhenUnanswered::Review,
        },
    };
    let input = options
        .input
        .canonicalize()
        .with_context(|| options.input.display().to_string())?;
    let mut own = Vec::new();
    for folder in [Some(&options.output), options.held.as_ref()].into_iter().flatten() {
        files::folder(folder)?;
        own.push(folder.canonicalize().with_context(|| folder.display().to_string())?);
    }
    ensure!(!own.contains(&input), "IN and OUT are the same folder");
    let found = files::walk(&options.input, &own)?;
    let profile = &deidentifier.rules.profile;
    let mut results = Results {
        options,
        summary: Summary {
            profile: profile.name().to_owned(),
            profile_hash: hex::encode(profile.hash()),
            second_run_matches: options.secret_file.is_some(),
            files: found.files.len() as u64,
            passed_over: found.passed_over.iter().map(|name| shown(name)).collect(),
            output: options.output.display().to_string(),
            ..Summary::default()
        },
        names: HashMap::new(),
        mapping: BTreeMap::new(),
        held: Vec::new(),
        reports: Reports::new(options.reports.as_deref())?,
    };
    let bar = progress(found.files.len());
    workers::in_order(
        found.files.len(),
        threads,
        |number| match found.files.get(number) {
            Some(entry) => one(&deidentifier, entry, &options.output),
            None => Outcome::NotDicom,
        },
        |number, outcome| {
            bar.inc(1);
            match found.files.get(number) {
                Some(entry) => results.take(entry, outcome),
                None => Ok(()),
            }
        },
    )?;
    bar.finish_and_clear();
    let mut summary = results.finish()?;
    summary.seconds = begun.elapsed().as_secs_f64();
    Ok(summary)
}

/// A bar on a terminal, nothing elsewhere.
fn progress(files: usize) -> ProgressBar {
    let bar = ProgressBar::new(files as u64);
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {pos}/{len} files, {eta} left") {
        bar.set_style(style);
    }
    bar
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// De-identifies one file. Whatever is wrong with it stays with it.
fn one(deidentifier: &Deidentifier, entry: &Entry, output: &Path) -> Outcome {
    catch_unwind(AssertUnwindSafe(|| one_file(deidentifier, entry, output))).unwrap_or_else(|_| {
        Outcome::Unreadable(HeldObject {
            file: shown(&entry.name),
            sop_instance_uid: None,
            check: "Q101",
            reason: "this program failed on it".to_owned(),
        })
    })
}

fn one_file(deidentifier: &Deidentifier, entry: &Entry, output: &Path) -> Outcome {
    let unreadable = |reason: String| {
        Outcome::Unreadable(HeldObject {
            file: shown(&entry.name),
            sop_instance_uid: None,
            check: "Q101",
            reason,
        })
    };
    let source = match files::open(&entry.path) {
        Ok(source) => source,
        Err(error) => return unreadable(error.kind().to_string()),
    };
    let read = match Read::new(&*source) {
        Ok(read) => read,
        Err(NotRead::NotDicom) => return Outcome::NotDicom,
        Err(NotRead::Directory) => return Outcome::Directory,
        Err(NotRead::Broken(reason)) => return unreadable(reason),
    };
    let old_uid = text(&read.header, tags::SOP_INSTANCE_UID);
    let mut scratch = Scratch::new(output);
    let ready = match deidentifier.clean(&read, &*source, &mut scratch) {
        Ok(ready) => ready,
        Err(Held { check, reason }) => {
            return Outcome::Held(HeldObject {
                file: shown(&entry.name),
                sop_instance_uid: Some(old_uid).filter(|uid| !uid.is_empty()),
                check,
                reason,
            });
        }
    };
    let file = Unnamed::write(output, |out| ready.write(out, read.source(&*source), &scratch));
    match file {
        Ok(file) => Outcome::Written(Box::new(Written {
            file,
            bytes: ready.len(),
            name: ready.name,
            old_uid,
            new_uid: ready.sop_instance_uid,
            report: ready.report,
            review: ready.review,
        })),
        Err(error) => Outcome::Failed(anyhow::Error::new(error).context(output.display().to_string())),
    }
}

/// What was done so far, in the order of the input.
struct Results<'a> {
    options: &'a Options,
    summary: Summary,
    /// How often a name was used.
    names: HashMap<PathBuf, u32>,
    mapping: BTreeMap<String, String>,
    held: Vec<HeldObject>,
    reports: Reports,
}

impl Results<'_> {
    fn take(&mut self, entry: &Entry, outcome: Outcome) -> anyhow::Result<()> {
        match outcome {
            Outcome::Failed(error) => return Err(error),
            Outcome::NotDicom => self.summary.not_dicom.push(shown(&entry.name)),
            Outcome::Directory => self.summary.media_directories.push(shown(&entry.name)),
            Outcome::Held(object) => {
                self.summary.held += 1;
                self.hold(entry, object)?;
            }
            Outcome::Unreadable(object) => {
                self.summary.unreadable += 1;
                self.hold(entry, object)?;
            }
            Outcome::Written(written) => self.written(*written)?,
        }
        Ok(())
    }

    fn written(&mut self, written: Written) -> anyhow::Result<()> {
        let used = self.names.entry(written.name.clone()).or_default();
        *used += 1;
        let mut name = written.name;
        if *used > 1 {
            self.summary.duplicates += 1;
            let stem = name.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            name.set_file_name(format!("{stem}-{used}.dcm"));
        }
        let path = self.options.output.join(&name);
        if let Some(folder) = path.parent() {
            files::folder(folder)?;
        }
        written
            .file
            .name(&path)
            .with_context(|| self.options.output.display().to_string())?;
        self.summary.written += 1;
        self.summary.written_bytes += written.bytes;
        self.summary.add(&written.report);
        self.reports
            .write(&json!({"file": shown(&name), "report": written.report}))?;
        if !written.review.is_empty() {
            self.summary.review.push(ToReview {
                file: shown(&name),
                reasons: written.review,
            });
        }
        if self.options.mapping.is_some() && !written.old_uid.is_empty() {
            self.mapping.insert(written.old_uid, written.new_uid);
        }
        Ok(())
    }

    fn hold(&mut self, entry: &Entry, object: HeldObject) -> anyhow::Result<()> {
        if let Some(folder) = &self.options.held {
            let path = folder.join(&entry.name);
            if let Some(folder) = path.parent() {
                files::folder(folder)?;
            }
            let copied = Unnamed::write(folder, |out| {
                io::copy(&mut std::fs::File::open(&entry.path)?, out).map(|_| ())
            });
            // what cannot be opened cannot be copied: it is named all the same
            match copied {
                Ok(file) => file.name(&path).with_context(|| folder.display().to_string())?,
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
                Err(error) => return Err(error).with_context(|| folder.display().to_string()),
            }
        }
        let reason = format!("{} {}", object.check, object.reason);
        *self.summary.held_by.entry(reason).or_default() += 1;
        self.held.push(object);
        Ok(())
    }

    /// Writes what is known only at the end.
    fn finish(self) -> anyhow::Result<Summary> {
        files::write(
            &self.options.output.join("held.json"),
            &serde_json::to_vec_pretty(&self.held)?,
        )?;
        if let Some(path) = &self.options.mapping {
            files::write(path, &serde_json::to_vec_pretty(&self.mapping)?)?;
        }
        self.reports.finish()?;
        Ok(self.summary)
    }
}

/// The reports of objects, a line each; written under another name until all are there.
struct Reports {
    to: Option<(BufWriter<std::fs::File>, PathBuf, PathBuf)>,
}

impl Reports {
    fn new(path: Option<&Path>) -> anyhow::Result<Self> {
        let Some(path) = path else { return Ok(Self { to: None }) };
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        files::write(&part, b"")?;
        let file = std::fs::OpenOptions::new().append(true).open(&part);
        let file = file.with_context(|| part.display().to_string())?;
        Ok(Self {
            to: Some((BufWriter::new(file), part, path.to_owned())),
        })
    }

    fn write(&mut self, report: &serde_json::Value) -> anyhow::Result<()> {
        if let Some((out, ..)) = &mut self.to {
            serde_json::to_writer(&mut *out, report)?;
            out.write_all(b"\n")?;
        }
        Ok(())
    }

    fn finish(self) -> anyhow::Result<()> {
        if let Some((mut out, part, path)) = self.to {
            out.flush()?;
            std::fs::rename(part, path)?;
        }
        Ok(())
    }
}
