//! Work that can wait: claimed by a lease, done at least once, tried again with growing pauses, set aside where a person
//! can see it when it keeps failing.
//!
//! This module only claims, calls and retries. What a job does is a function of ingest, imaging or retrieval, called by
//! one file here per kind of job. A job looks before it acts: it may have been done already.

pub mod hash_images;

use std::sync::Arc;
use std::time::{Duration, Instant};

use isocenter_ingest::events::{HASH_IMAGES, IMAGING_QUEUE};
use isocenter_schema::jobs::{self, Leased};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::archive::Archive;
use crate::metrics::METRICS;

/// How long a job may take before another worker may claim it.
const LEASE: Duration = Duration::from_secs(300);
/// How long an idle worker waits before it looks again.
const PAUSE: Duration = Duration::from_millis(500);

/// For so long nothing must have arrived before jobs take the processor.
const QUIET: Duration = Duration::from_millis(750);
/// After so long a job is done whatever arrives.
const PATIENCE: Duration = Duration::from_secs(20);

/// Starts the worker of this process; it ends soon after the word to stop.
pub fn start(archive: Arc<Archive>, mut stopped: watch::Receiver<bool>) -> JoinHandle<()> {
    tokio::spawn(async move {
        let worker = format!("{}-{}", std::process::id(), archive.settings.http);
        let mut last = Instant::now();
        while !*stopped.borrow() {
            // Senders go first: hashing costs as much as storing. Under a load that never pauses, a job a while still is done.
            if archive.ingest_idle_for() < QUIET && last.elapsed() < PATIENCE {
                let _ = tokio::time::timeout(PAUSE, stopped.wait_for(|stop| *stop)).await;
                continue;
            }
            last = Instant::now();
            let busy = match jobs::claim(&archive.db, IMAGING_QUEUE, &worker, 1, LEASE).await {
                Ok(claimed) => {
                    for job in &claimed {
                        work(&archive, job).await;
                    }
                    !claimed.is_empty()
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

async fn work(archive: &Archive, job: &Leased) {
    let done = match job.name.as_str() {
        HASH_IMAGES => hash_images::run(archive, &job.payload).await,
        other => Err(anyhow::anyhow!("no job of the name {other}")),
    };
    let result = if done.is_ok() { "done" } else { "failed" };
    METRICS.jobs_total.with_label_values(&[job.name.as_str(), result]).inc();
    let closed = async {
        let tx = archive.db.begin_write().await?;
        match &done {
            Ok(()) => jobs::complete(&tx, job).await?,
            Err(error) => {
                tracing::warn!(job = job.id, name = job.name, attempt = job.attempt, error = %error, "job failed");
                jobs::fail(&tx, job, &error.to_string()).await?;
            }
        }
        tx.commit().await
    };
    if let Err(error) = closed.await {
        // The lease runs out and somebody does it again.
        tracing::warn!(job = job.id, error = %error, "the end of a job could not be written down");
    }
}
