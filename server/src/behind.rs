//! One thread that computes when nobody else wants the processor: for work that nobody waits for.
//!
//! Jobs decode and hash what has arrived. On the threads that serve they would be in the way of viewers and of the next
//! sender, so they have a thread of their own at the lowest priority that the system has. One job at a time is enough: what
//! matters is that all are done, not when.

use std::panic::AssertUnwindSafe;
use std::sync::mpsc;

use tokio::sync::oneshot;

use crate::cpu::Room;
use crate::http_error::HttpError;

type Work = Box<dyn FnOnce() + Send>;

/// The lowest priority of Linux.
#[cfg(target_os = "linux")]
const LAST: i32 = 19;

/// The thread. It ends when this is dropped and what it had to do is done.
#[derive(Debug)]
pub struct Behind {
    queue: mpsc::Sender<Work>,
}

impl Behind {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start() -> std::io::Result<Self> {
        let (queue, work) = mpsc::channel::<Work>();
        std::thread::Builder::new().name("behind".to_owned()).spawn(move || {
            // On Linux this is about the calling thread alone. Elsewhere it would be the whole process.
            #[cfg(target_os = "linux")]
            if let Err(error) = rustix::process::setpriority_process(None, LAST) {
                tracing::debug!(%error, "jobs run at the usual priority");
            }
            while let Ok(work) = work.recv() {
                // Whoever waited hears of it: the sender of its answer is dropped.
                let _ = std::panic::catch_unwind(AssertUnwindSafe(work));
            }
        })?;
        Ok(Self { queue })
    }

    /// Computes when there is time. The room stays taken until the work ends, whether or not somebody still waits.
    ///
    /// # Errors
    /// 500 where the work panicked.
    pub async fn run<T: Send + 'static>(
        &self,
        room: Room,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, HttpError> {
        const GONE: &str = "work behind the others ended without a result";
        let (answer, answered) = oneshot::channel();
        let work = move || {
            let _room = room;
            let _ = answer.send(work());
        };
        let sent = self.queue.send(Box::new(work));
        sent.map_err(|_| HttpError::internal(&GONE))?;
        answered.await.map_err(|_| HttpError::internal(&GONE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::{Cpu, Queue};

    #[tokio::test]
    async fn work_is_done_behind_the_others_and_a_panic_costs_only_itself() {
        let cpu = Cpu::new(1);
        let behind = Behind::start().unwrap();
        let room = || cpu.room(1, Queue::Wait);
        let failed = behind.run(room().await.unwrap(), || panic!("a decoder")).await;
        assert_eq!(failed.unwrap_err().status().as_u16(), 500);
        let priority = behind
            .run(room().await.unwrap(), || rustix::process::getpriority_process(None))
            .await
            .unwrap();
        if cfg!(target_os = "linux") {
            assert_eq!(priority.unwrap(), 19);
            assert!(
                rustix::process::getpriority_process(None).unwrap() < 19,
                "nobody else steps back"
            );
        }
    }

    #[tokio::test]
    async fn its_memory_counts_until_it_is_done() {
        let cpu = Cpu::new(1);
        let behind = Behind::start().unwrap();
        let room = cpu.room(crate::cpu::MEMORY, Queue::Wait).await.unwrap();
        let (go, wait) = mpsc::channel::<()>();
        let running = behind.run(room, move || wait.recv());
        tokio::pin!(running);
        assert!(futures::poll!(&mut running).is_pending());
        assert!(futures::poll!(std::pin::pin!(cpu.room(1, Queue::Wait))).is_pending());
        go.send(()).unwrap();
        running.await.unwrap().unwrap();
        cpu.room(1, Queue::Wait).await.unwrap();
    }
}
