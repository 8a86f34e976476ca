//! What is stored before the first case, and what every case may use.
//!
//! One study of our own (three CT images in a series, one multi-frame image in another) and the files that the caller named.
//! Cases that need more store it themselves under studies of their own, so no case depends on another one having run.

use crate::data_set::{DataSet, EXPLICIT_VR_LITTLE_ENDIAN};
use crate::dicom_json::Row;
use crate::discover::{self, Located, Stored};
use crate::multipart;
use crate::report::{Objection, not_applicable};
use crate::sample::{Maker, Sample, fresh_key};
use crate::target::Target;
use crate::web::{Answer, Web};
use anyhow::{Context, Result, anyhow};
use std::path::PathBuf;

/// Columns of the CT images of the cases; not equal to the rows, so that a mix-up shows.
pub const COLUMNS: u16 = 64;
/// Rows of the CT images of the cases.
pub const ROWS: u16 = 48;
/// Frames of the multi-frame image.
pub const FRAMES: u16 = 5;

/// Whether an archive gives instances back under the identifiers sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// UIDs are those sent.
    Kept,
    /// The archive gave new ones, as de-identification does.
    Replaced,
}

impl Identity {
    /// Returns the word used on the command line and in reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Replaced => "replaced",
        }
    }
}

/// The study that most cases look at.
#[derive(Clone, Debug)]
pub struct Seed {
    /// What was sent: CT 1 to 3, then the multi-frame image.
    pub samples: Vec<Sample>,
    /// The data sets behind the samples.
    pub sets: Vec<DataSet>,
    /// The first CT image in the archive.
    pub first: Located,
    /// All CT images in the archive, in the order sent.
    pub ct: Vec<Located>,
    /// The multi-frame image, when the archive shows it.
    pub multi_frame: Option<Located>,
    /// The answer to the request that stored them.
    pub answer: Answer,
    /// The row of the study in a search.
    pub row: Row,
}

impl Seed {
    /// Returns the multi-frame image, or why a case about it does not apply.
    ///
    /// # Errors
    /// Not applicable when the archive took the image but does not show it.
    pub fn frames(&self) -> Result<&Located, Objection> {
        self.multi_frame
            .as_ref()
            .ok_or_else(|| not_applicable("the archive does not show the multi-frame image that was stored"))
    }

    /// Returns how many instances of the study the archive should show.
    pub fn count(&self) -> usize {
        self.ct.len() + usize::from(self.multi_frame.is_some())
    }
}

/// A file of the caller and what became of it.
#[derive(Clone, Debug)]
pub struct SentFile {
    /// The instance.
    pub sample: Sample,
    /// HTTP status of the request that stored it.
    pub status: u16,
    /// What the answer says of it.
    pub stored: Stored,
    /// Where it is, when the archive shows it.
    pub located: Option<Located>,
}

/// Everything that a case may use.
#[derive(Debug)]
pub struct World {
    /// Where the archive is.
    pub target: Target,
    /// The client, with the token.
    pub web: Web,
    /// Makes further instances.
    pub maker: Maker,
    /// The study, or why there is none.
    pub seed: Result<Seed, String>,
    /// The caller's files that could be read.
    pub files: Vec<SentFile>,
    /// Why others were left aside: no Part 10 file, or without one of the UIDs.
    pub left_aside: Vec<String>,
    /// Whether identifiers were kept.
    pub identity: Option<Identity>,
}

impl World {
    /// Stores the seed study and the files and looks for them.
    ///
    /// # Errors
    /// When the client cannot be built or the archive cannot be reached. An archive that stores nothing is no error here:
    /// the cases say so.
    pub async fn prepare(target: Target, files: &[PathBuf], identity: Option<Identity>) -> Result<Self> {
        let web = Web::new(&target.web, target.token.as_deref())?;
        let maker = Maker::new(&fresh_key(), COLUMNS, ROWS);
        let seed = store_seed(&web, &maker).await.map_err(|error| format!("{error:#}"));
        let (mut sent, mut left_aside) = (Vec::new(), Vec::new());
        for path in files {
            match Sample::read(path) {
                // Two files under one UID are a conflict, which has cases of its own.
                Ok(sample)
                    if sent
                        .iter()
                        .any(|one: &SentFile| one.sample.sop_instance_uid == sample.sop_instance_uid) =>
                {
                    left_aside.push(format!("{}: another file has its SOP Instance UID", path.display()));
                }
                Ok(sample) => sent.push(store_file(&web, sample).await?),
                Err(error) => left_aside.push(format!("{}: {error:#}", path.display())),
            }
        }
        let identity = identity.or_else(|| {
            let seed = seed.as_ref().ok()?;
            let kept = seed.samples.first().map(Located::as_sent).as_ref() == seed.ct.first();
            Some(if kept { Identity::Kept } else { Identity::Replaced })
        });
        Ok(Self {
            target,
            web,
            maker,
            seed,
            files: sent,
            left_aside,
            identity,
        })
    }

    /// Returns the seed study.
    ///
    /// # Errors
    /// Not applicable when it could not be stored; the case of STOW-RS itself fails for that.
    pub fn seed(&self) -> Result<&Seed, Objection> {
        self.seed
            .as_ref()
            .map_err(|reason| not_applicable(format!("the study for this case could not be stored: {reason}")))
    }

    /// Returns nothing when identifiers are kept.
    ///
    /// # Errors
    /// Not applicable otherwise: the case compares with what was sent.
    pub fn needs_kept_identity(&self) -> Result<(), Objection> {
        match self.identity {
            Some(Identity::Kept) => Ok(()),
            _ => Err(not_applicable("the archive replaces identifiers")),
        }
    }

    /// Stores one made data set with STOW-RS and returns the answer and what was sent.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn store(&self, set: &DataSet) -> Result<(Answer, Sample)> {
        let sample = Sample::from_data_set(set, EXPLICIT_VR_LITTLE_ENDIAN);
        let answer = self
            .web
            .store(None, multipart::of_files([sample.file.as_ref()]))
            .await?;
        Ok((answer, sample))
    }

    /// Stores one made data set and returns where it is.
    ///
    /// # Errors
    /// When it is not stored; not applicable when the archive took it but does not show it.
    pub async fn store_and_locate(&self, set: &DataSet) -> Result<(Sample, Located), Objection> {
        let (answer, sample) = self.store(set).await?;
        answer.expect_status(&[200, 202])?;
        match discover::locate(&self.web, &answer, &sample).await? {
            Some(located) => Ok((sample, located)),
            None => Err(not_applicable("the archive took the instance but does not show it")),
        }
    }
}

async fn store_seed(web: &Web, maker: &Maker) -> Result<Seed> {
    let mut sets: Vec<DataSet> = (1..=3).map(|number| maker.ct("seed", 1, number)).collect();
    sets.push(maker.odd_frames("seed", 2, FRAMES));
    let samples: Vec<Sample> = sets
        .iter()
        .map(|set| Sample::from_data_set(set, EXPLICIT_VR_LITTLE_ENDIAN))
        .collect();
    let answer = web
        .store(
            None,
            multipart::of_files(samples.iter().map(|sample| sample.file.as_ref())),
        )
        .await?;
    answer.expect_status(&[200, 202])?;
    let mut located = Vec::new();
    for sample in &samples {
        located.push(discover::locate(web, &answer, sample).await?);
    }
    let multi_frame = located.pop().flatten();
    let ct = located
        .into_iter()
        .collect::<Option<Vec<_>>>()
        .context("stored, but neither the answer nor a search shows where")?;
    let first = ct.first().context("nothing was sent")?.clone();
    let rows = web
        .search(&format!("/studies?StudyInstanceUID={}", first.study))
        .await?;
    let row = rows
        .into_iter()
        .next()
        .ok_or_else(|| anyhow!("stored, but a search by StudyInstanceUID does not find the study"))?;
    Ok(Seed {
        samples,
        sets,
        first,
        ct,
        multi_frame,
        answer,
        row,
    })
}

async fn store_file(web: &Web, sample: Sample) -> Result<SentFile> {
    let answer = web.store(None, multipart::of_files([sample.file.as_ref()])).await?;
    let stored =
        Row::one(&answer.body).map_or(Stored::Unnamed, |row| discover::outcome(&row, &sample.sop_instance_uid));
    let located = if matches!(answer.status, 200 | 202) {
        discover::locate(web, &answer, &sample).await?
    } else {
        None
    };
    Ok(SentFile {
        sample,
        status: answer.status,
        stored,
        located,
    })
}
