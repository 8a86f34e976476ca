//! Reading: searches, metadata, instances, frames and pictures of a series stored beforehand.

use super::Measured;
use super::measure::{Figure, Tally, Usage};
use crate::data_set::tags;
use crate::discover::{self, Located};
use crate::multipart;
use crate::sample::Sample;
use crate::web::{Web, media};
use anyhow::{Context as _, Result, ensure};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// What a reading case asks for.
#[derive(Clone, Copy, Debug)]
enum Ask {
    StudyList,
    Study,
    Patient,
    SeriesOfStudy,
    InstancesOfSeries,
    Metadata,
    Instance,
    Frame,
    Rendered,
}

/// One reading case.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case {
    pub(super) name: &'static str,
    ask: Ask,
    connections: usize,
}

pub(super) const CASES: &[Case] = &[
    Case {
        name: "qido study list of 101",
        ask: Ask::StudyList,
        connections: 1,
    },
    Case {
        name: "qido study by UID",
        ask: Ask::Study,
        connections: 1,
    },
    Case {
        name: "qido study by PatientID",
        ask: Ask::Patient,
        connections: 1,
    },
    Case {
        name: "qido series of study",
        ask: Ask::SeriesOfStudy,
        connections: 1,
    },
    Case {
        name: "qido instances of series",
        ask: Ask::InstancesOfSeries,
        connections: 1,
    },
    Case {
        name: "wado metadata of series",
        ask: Ask::Metadata,
        connections: 1,
    },
    Case {
        name: "wado instance",
        ask: Ask::Instance,
        connections: 1,
    },
    Case {
        name: "wado frame 1 connection",
        ask: Ask::Frame,
        connections: 1,
    },
    Case {
        name: "wado frame 4 connections",
        ask: Ask::Frame,
        connections: 4,
    },
    Case {
        name: "wado rendered",
        ask: Ask::Rendered,
        connections: 1,
    },
];

/// A series that is read.
pub(super) struct Series {
    first: Located,
    patient_id: Option<String>,
    instances: Vec<String>,
}

/// Stores a series to read and finds out what the archive calls it.
pub(super) async fn store_series(web: &Web, samples: &[Sample]) -> Result<Series> {
    let mut first = None;
    for batch in samples.chunks(10) {
        let answer = web
            .store(
                None,
                multipart::of_files(batch.iter().map(|sample| sample.file.as_ref())),
            )
            .await?;
        answer.expect_status(&[200, 202])?;
        if let (None, Some(sample)) = (&first, batch.first()) {
            first = discover::locate(web, &answer, sample).await?;
        }
    }
    let first = first.context("stored, but neither the answer nor a search shows where")?;
    let rows = web.search(&format!("{}/instances", first.series_path())).await?;
    let instances: Vec<String> = rows.iter().filter_map(|row| row.text(tags::SOP_INSTANCE_UID)).collect();
    ensure!(!instances.is_empty(), "the series is empty");
    let studies = web
        .search(&format!("/studies?StudyInstanceUID={}", first.study))
        .await?;
    let patient_id = studies.first().and_then(|row| row.text(tags::PATIENT_ID));
    Ok(Series {
        first,
        patient_id,
        instances,
    })
}

impl Series {
    /// Returns path and Accept header of request number `number`.
    fn request(&self, ask: Ask, number: usize) -> Option<(String, &'static str)> {
        let one = &self.first;
        let instance = || -> Option<String> {
            let uid = self.instances.get(number % self.instances.len())?;
            Some(format!("{}/instances/{uid}", one.series_path()))
        };
        Some(match ask {
            Ask::StudyList => (
                "/studies?limit=101&offset=0&includefield=00081030,00080060,00080090,00100030".into(),
                media::JSON,
            ),
            Ask::Study => (format!("/studies?StudyInstanceUID={}", one.study), media::JSON),
            Ask::Patient => (
                format!(
                    "/studies?PatientID={}",
                    crate::web::encoded(self.patient_id.as_deref()?)
                ),
                media::JSON,
            ),
            Ask::SeriesOfStudy => (format!("{}/series", one.study_path()), media::JSON),
            Ask::InstancesOfSeries => (format!("{}/instances", one.series_path()), media::JSON),
            Ask::Metadata => (format!("{}/metadata", one.series_path()), media::JSON),
            Ask::Instance => (instance()?, media::INSTANCES_AS_STORED),
            Ask::Frame => (format!("{}/frames/1", instance()?), media::FRAMES),
            Ask::Rendered => (format!("{}/rendered", instance()?), "image/jpeg"),
        })
    }
}

/// Asks again and again for that many seconds.
pub(super) async fn measure(side: &Measured<'_>, series: &Series, case: &Case, seconds: f64) -> Result<Figure> {
    // One answer is looked at before the clock starts; an archive that answers nonsense fast is not fast.
    let (path, accept) = series
        .request(case.ask, 0)
        .context("the archive returns no value to ask with")?;
    let answer = side.web.get(&path, accept).await?;
    answer.expect_status(&[200])?;
    ensure!(!answer.body.is_empty(), "{}", answer.seen());
    let wanted = match case.ask {
        Ask::Metadata | Ask::InstancesOfSeries => Some(series.instances.len()),
        Ask::Study | Ask::SeriesOfStudy => Some(1),
        _ => None,
    };
    if let Some(wanted) = wanted {
        let rows = answer.rows()?.len();
        ensure!(rows == wanted, "{}: {rows} rows, expected {wanted}", answer.seen());
    }
    let next = Arc::new(AtomicUsize::new(0));
    let before = Usage::now(&side.side.pids);
    let start = Instant::now();
    let end = start + Duration::from_secs_f64(seconds.clamp(0.1, 600.0));
    let workers = (0..case.connections).map(|_| worker(&side.web, series, case.ask, &next, end));
    let mut tally = Tally::default();
    for seen in futures::future::join_all(workers).await {
        tally.merge(seen);
    }
    let mut figure = tally.figure(start.elapsed());
    Usage::charge(before, &side.side.pids, &mut figure);
    Ok(figure)
}

async fn worker(web: &Web, series: &Series, ask: Ask, next: &AtomicUsize, end: Instant) -> Tally {
    let mut tally = Tally::default();
    while Instant::now() < end {
        let Some((path, accept)) = series.request(ask, next.fetch_add(1, Ordering::Relaxed)) else {
            break;
        };
        let start = Instant::now();
        match web.get(&path, accept).await {
            Ok(answer) if answer.status == 200 => {
                tally.times.push(start.elapsed());
                tally.done += 1;
            }
            _ => tally.failures += 1,
        }
    }
    tally
}
