//! Storing: C-STORE on associations, STOW-RS on connections.

use super::Measured;
use super::measure::{Figure, Tally, Usage};
use crate::dicom_json::Row;
use crate::dimse::{Association, Context, Offer};
use crate::discover::{self, Located, Stored};
use crate::multipart::{self, Body};
use crate::sample::Sample;
use crate::web::{Answer, Web};
use anyhow::{Context as _, Result, anyhow};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// How instances are sent.
#[derive(Clone, Copy, Debug)]
enum Way {
    CStore,
    /// STOW-RS with that many instances a request.
    Stow(usize),
}

/// One storing case.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case {
    pub(super) name: &'static str,
    way: Way,
    /// Associations or connections.
    lanes: usize,
}

pub(super) const CASES: &[Case] = &[
    Case {
        name: "c-store 1 association",
        way: Way::CStore,
        lanes: 1,
    },
    Case {
        name: "c-store 4 associations",
        way: Way::CStore,
        lanes: 4,
    },
    Case {
        name: "stow 1 connection x1",
        way: Way::Stow(1),
        lanes: 1,
    },
    Case {
        name: "stow 4 connections x1",
        way: Way::Stow(1),
        lanes: 4,
    },
    Case {
        name: "stow 4 connections x10",
        way: Way::Stow(10),
        lanes: 4,
    },
];

/// Sends the instances and returns the figure, with what a search shows afterwards.
pub(super) async fn measure(side: &Measured<'_>, case: &Case, samples: &[Sample]) -> Result<Figure> {
    let share = samples.len().div_ceil(case.lanes).max(1);
    let before = Usage::now(&side.side.pids);
    let (tally, wall) = match case.way {
        Way::CStore => c_store(side, samples, share).await?,
        Way::Stow(batch) => stow(side, samples, share, batch).await?,
    };
    let mut figure = tally.figure(wall);
    Usage::charge(before, &side.side.pids, &mut figure);
    figure.not_visible = not_visible(&side.web, samples, figure.done).await;
    Ok(figure)
}

async fn c_store(side: &Measured<'_>, samples: &[Sample], share: usize) -> Result<(Tally, Duration)> {
    let entity = side.side.target.dimse.as_ref().context("no Storage SCP was given")?;
    let contexts: Vec<Context> = samples
        .iter()
        .map(|sample| (sample.sop_class_uid.clone(), sample.transfer_syntax_uid.clone()))
        .collect::<BTreeSet<_>>()
        .into_iter()
        .map(|(class, syntax)| Context::new(&class, &syntax))
        .collect();
    anyhow::ensure!(
        contexts.len() <= 128,
        "the files need more than 128 presentation contexts"
    );
    let mut lanes = Vec::new();
    for chunk in samples.chunks(share) {
        lanes.push((
            Association::open(&entity.address, &Offer::to(entity, contexts.clone())).await?,
            chunk.to_vec(),
        ));
    }
    let start = Instant::now();
    let tasks: Vec<_> = lanes
        .into_iter()
        .map(|(association, chunk)| tokio::spawn(send(association, chunk)))
        .collect();
    let mut tally = Tally::default();
    let mut open_ones = Vec::new();
    for task in tasks {
        let (seen, association) = task.await?;
        tally.merge(seen);
        open_ones.push(association);
    }
    let wall = start.elapsed();
    for association in open_ones {
        // A peer that forgets to answer the release has still stored what it said.
        let _ = association.release().await;
    }
    Ok((tally, wall))
}

async fn send(mut association: Association, samples: Vec<Sample>) -> (Tally, Association) {
    let mut tally = Tally::default();
    for (number, sample) in samples.iter().enumerate() {
        let Some(context) = association.context_for(&sample.sop_class_uid, &sample.transfer_syntax_uid) else {
            tally.failures += 1;
            continue;
        };
        let start = Instant::now();
        match association
            .store_status(
                context,
                &sample.sop_class_uid,
                &sample.sop_instance_uid,
                &sample.data_set,
            )
            .await
        {
            Ok(status) if status.is_taken() => {
                tally.times.push(start.elapsed());
                tally.done += 1;
            }
            Ok(_) => tally.failures += 1,
            Err(_) => {
                // The association is gone: so is the rest of this lane.
                tally.failures += samples.len() - number;
                break;
            }
        }
    }
    (tally, association)
}

async fn stow(side: &Measured<'_>, samples: &[Sample], share: usize, batch: usize) -> Result<(Tally, Duration)> {
    let mut lanes: Vec<Vec<(Body, usize)>> = Vec::new();
    for chunk in samples.chunks(share) {
        let bodies = chunk.chunks(batch);
        lanes.push(
            bodies
                .map(|batch| {
                    (
                        multipart::of_files(batch.iter().map(|sample| sample.file.as_ref())),
                        batch.len(),
                    )
                })
                .collect(),
        );
    }
    // One cheap request a lane, so that the connections are open before the clock starts.
    let opening = lanes
        .iter()
        .map(|_| side.web.get("/studies?limit=1", crate::web::media::JSON));
    futures::future::try_join_all(opening).await?;
    let start = Instant::now();
    let tasks: Vec<_> = lanes
        .into_iter()
        .map(|bodies| tokio::spawn(post(side.web.clone(), bodies)))
        .collect();
    let mut tally = Tally::default();
    for task in tasks {
        tally.merge(task.await?);
    }
    Ok((tally, start.elapsed()))
}

async fn post(web: Web, bodies: Vec<(Body, usize)>) -> Tally {
    let mut tally = Tally::default();
    for (body, instances) in bodies {
        let start = Instant::now();
        let answer = web.store(None, body).await;
        let stored = answer.as_ref().map_or(0, stored).min(instances);
        if stored == instances {
            tally.times.push(start.elapsed());
        }
        tally.done += stored;
        tally.failures += instances - stored;
    }
    tally
}

/// How many instances an answer names as stored.
fn stored(answer: &Answer) -> usize {
    if !matches!(answer.status, 200 | 202) {
        return 0;
    }
    Row::one(&answer.body).map_or(0, |row| row.items((0x0008, 0x1199)).len())
}

/// How many of the instances done a search does not show; `None` when the archive does not tell what it calls them.
async fn not_visible(web: &Web, samples: &[Sample], done: usize) -> Option<usize> {
    let first = samples.first()?;
    let study = study_in_archive(web, first).await.ok()?;
    if samples
        .iter()
        .any(|sample| sample.study_instance_uid != first.study_instance_uid)
    {
        return None;
    }
    let shown = discover::count_instances(web, &study, done).await.ok()?;
    Some(done.saturating_sub(shown))
}

/// What the archive calls the study: the UID sent, or the one that storing the same instance again points to.
async fn study_in_archive(web: &Web, sample: &Sample) -> Result<String> {
    let sent = Located::as_sent(sample);
    if discover::is_found(web, &sent).await? {
        return Ok(sent.study);
    }
    let answer = web.store(None, multipart::of_files([sample.file.as_ref()])).await?;
    match Row::one(&answer.body).map(|row| discover::outcome(&row, &sample.sop_instance_uid)) {
        Ok(Stored::Referenced {
            retrieve_url: Some(url),
            ..
        }) => Located::from_retrieve_url(&url)
            .map(|located| located.study)
            .ok_or_else(|| anyhow!("the RetrieveURL names no instance")),
        _ => Err(anyhow!("the archive does not say what it calls the study")),
    }
}
