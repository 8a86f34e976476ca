//! Work that can wait: claimed by a lease, done at least once, tried again with growing pauses, set aside where a person
//! can see it when it keeps failing.
//!
//! This module only claims, calls and retries. What a job does is a function of ingest, imaging or retrieval, called by
//! one file here per kind of job. A job looks before it acts: it may have been done already.

pub mod hash_images;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use isocenter_ingest::events::{HASH_IMAGES, IMAGING_QUEUE};
use isocenter_schema::jobs::{self, Leased};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::archive::Archive;
use crate::jobs::hash_images::FoundCode;
use crate::metrics::METRICS;

/// How long a job may take before another worker may claim it.
const LEASE: Duration = Duration::from_secs(300);
/// How long an idle worker waits before it looks again.
const PAUSE: Duration = Duration::from_millis(500);
/// So many are claimed together: claiming and ending one costs as much as what most of them do.
const TOGETHER: u32 = 16;
/// After so long, what is done of those claimed together is written down and the others are kept for longer.
const WRITE_DOWN: Duration = Duration::from_secs(30);

/// For so long nothing must have arrived before jobs take the processor: longer than senders pause within a study.
const QUIET: Duration = Duration::from_secs(3);
/// After so long a job is done whatever arrives.
const PATIENCE: Duration = Duration::from_secs(20);

/// A job and what became of it.
type Done = (Leased, anyhow::Result<Vec<FoundCode>>);

/// Starts the worker of this process; it ends with the job that it does when the word to stop comes.
pub fn start(archive: Arc<Archive>, mut stopped: watch::Receiver<bool>) -> JoinHandle<()> {
    tokio::spawn(async move {
        let worker = format!("{}-{}", std::process::id(), archive.settings.http);
        let mut last = Instant::now();
        while !*stopped.borrow() {
            // Senders go first: hashing costs as much as storing. Under a load that never pauses, a few a while still are done.
            if archive.ingest_idle_for() < QUIET && last.elapsed() < PATIENCE {
                let _ = tokio::time::timeout(PAUSE, stopped.wait_for(|stop| *stop)).await;
                continue;
            }
            last = Instant::now();
            let busy = match jobs::claim(&archive.db, IMAGING_QUEUE, &worker, TOGETHER, LEASE).await {
                Ok(claimed) => {
                    let busy = !claimed.is_empty();
                    work(&archive, claimed, &stopped).await;
                    busy
                }
                Err(error) => {
                    tracing::warn!(error = %error, "jobs cannot be claimed");
                    false
                }
            };
            if !busy {
                let _ = tokio::time::timeout(PAUSE, stopped.wait_for(|stop| *stop)).await;
            }
        }
    })
}

async fn work(archive: &Archive, claimed: Vec<Leased>, stopped: &watch::Receiver<bool>) {
    let mut done: Vec<Done> = Vec::new();
    let mut since = Instant::now();
    let mut left: VecDeque<Leased> = claimed.into();
    while let Some(job) = left.pop_front() {
        let result = match job.name.as_str() {
            HASH_IMAGES => hash_images::run(archive, &job.payload).await,
            other => Err(anyhow::anyhow!("no job of the name {other}")),
        };
        let outcome = if result.is_ok() { "done" } else { "failed" };
        METRICS
            .jobs_total
            .with_label_values(&[job.name.as_str(), outcome])
            .inc();
        done.push((job, result));
        let stop = *stopped.borrow();
        // Who stops gives the others back at once; another worker, or this one when it is started again, may take them.
        let lease = if stop { Duration::ZERO } else { LEASE };
        if (left.is_empty() || stop || since.elapsed() > WRITE_DOWN)
            && let Err(error) = write_down(archive, std::mem::take(&mut done), &left, lease).await
        {
            // The leases run out and somebody does it again.
            tracing::warn!(error = %error, "the end of jobs could not be written down");
            return;
        }
        if stop {
            return;
        }
        if done.is_empty() {
            since = Instant::now();
        }
    }
}

/// Ends jobs in the transaction that keeps what they made, and keeps the others for as long.
async fn write_down(
    archive: &Archive,
    done: Vec<Done>,
    left: &VecDeque<Leased>,
    lease: Duration,
) -> anyhow::Result<()> {
    let mut made: Vec<FoundCode> = Vec::new();
    let mut ended: Vec<Leased> = Vec::new();
    let tx = archive.db.begin_write().await?;
    for (job, result) in done {
        match result {
            Ok(codes) => {
                made.extend(codes);
                ended.push(job);
            }
            Err(error) => {
                tracing::warn!(job = job.id, name = job.name, attempt = job.attempt, error = %error, "job failed");
                jobs::fail(&tx, &job, &error.to_string()).await?;
            }
        }
    }
    hash_images::keep(&tx, &mut made).await?;
    jobs::complete(&tx, &ended).await?;
    for job in left {
        jobs::extend(&tx, job, lease).await?;
    }
    tx.commit().await?;
    hash_images::index(archive, &made)
}
