//! Accession numbers: drawn in blocks, so that a commit group asks the database rarely; never given twice. Numbers of a
//! block that a crash cut short are gone, which nobody minds.

use std::ops::Range;

use isocenter_model::{ImageAccession, IndividualAccession, SeriesAccession, StudyAccession};
use isocenter_schema::Database;
use isocenter_schema::numbers::{self, Sequence};
use tokio::sync::Mutex;

use crate::Error;

/// Prefixes of accessions; settings may name others.
#[derive(Debug, Clone)]
pub struct Prefixes {
    /// Prefix of individuals.
    pub individual: String,
    /// Prefix of studies.
    pub study: String,
    /// Prefix of series.
    pub series: String,
    /// Prefix of images.
    pub image: String,
}

impl Default for Prefixes {
    fn default() -> Self {
        Self {
            individual: IndividualAccession::DEFAULT_PREFIX.to_owned(),
            study: StudyAccession::DEFAULT_PREFIX.to_owned(),
            series: SeriesAccession::DEFAULT_PREFIX.to_owned(),
            image: ImageAccession::DEFAULT_PREFIX.to_owned(),
        }
    }
}

pub(crate) struct Numbers {
    db: Database,
    prefixes: Prefixes,
    individual: Mutex<Range<u64>>,
    study: Mutex<Range<u64>>,
    series: Mutex<Range<u64>>,
    image: Mutex<Range<u64>>,
}

impl Numbers {
    pub(crate) fn new(db: Database, prefixes: Prefixes) -> Self {
        let empty = || Mutex::new(0..0);
        Self {
            db,
            prefixes,
            individual: empty(),
            study: empty(),
            series: empty(),
            image: empty(),
        }
    }

    async fn next(&self, block: &Mutex<Range<u64>>, sequence: Sequence, size: u64) -> Result<u64, Error> {
        let mut block = block.lock().await;
        if block.is_empty() {
            *block = numbers::reserve(&self.db, sequence, size).await?;
        }
        block.next().ok_or(Error::Stopping)
    }

    pub(crate) async fn individual(&self) -> Result<IndividualAccession, Error> {
        let number = self.next(&self.individual, Sequence::Individual, 8).await?;
        Ok(IndividualAccession::numbered(&self.prefixes.individual, number))
    }

    pub(crate) async fn study(&self) -> Result<StudyAccession, Error> {
        let number = self.next(&self.study, Sequence::Study, 16).await?;
        Ok(StudyAccession::numbered(&self.prefixes.study, number))
    }

    pub(crate) async fn series(&self) -> Result<SeriesAccession, Error> {
        let number = self.next(&self.series, Sequence::Series, 32).await?;
        Ok(SeriesAccession::numbered(&self.prefixes.series, number))
    }

    pub(crate) async fn image(&self) -> Result<ImageAccession, Error> {
        let number = self.next(&self.image, Sequence::Image, 1024).await?;
        Ok(ImageAccession::numbered(&self.prefixes.image, number))
    }
}
