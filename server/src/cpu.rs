//! Room for work on pixels: threads to compute on, memory to hold frames in, and a queue that ends somewhere.
//!
//! Anybody may ask an archive of open data for pictures, so what a crowd of askers can hold is fixed. Who wants to decode
//! first takes [`Room`]: its share of one budget of memory, before a byte is read. Only then it reads, and then it computes on
//! one of a few threads. The room goes back when the last byte of the result was handed on, so that a client that reads slowly
//! counts for what it holds. Nobody waits for room while it has some. Beyond a fixed number of askers a newcomer hears at once to come back later; work whose answer
//! has begun waits instead.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::http_error::HttpError;

/// Memory that frames and what is made of them may hold together.
pub const MEMORY: u64 = 160 << 20;
/// The budget is kept in pieces of this size.
const UNIT: u64 = 64 << 10;
/// Askers that have room or wait for it.
const PLACES: usize = 256;
/// When somebody who found the queue full may ask again, in seconds.
const COME_BACK_S: u32 = 2;

/// What to do where many wait already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Queue {
    /// Ask the client to come back.
    Refuse,
    /// Wait: a part of the answer has left already, or nobody waits for it.
    Wait,
}

/// The threads and the memory.
#[derive(Debug)]
pub struct Cpu {
    threads: Arc<Semaphore>,
    memory: Arc<Semaphore>,
    places: Arc<Semaphore>,
}

/// A share of the memory. It goes back when this is dropped.
#[derive(Debug)]
pub struct Room {
    memory: OwnedSemaphorePermit,
    place: Option<OwnedSemaphorePermit>,
}

fn units(bytes: u64) -> u32 {
    u32::try_from(bytes.min(MEMORY).div_ceil(UNIT).max(1)).unwrap_or(u32::MAX)
}

impl Cpu {
    /// Makes room for computing on so many threads.
    pub fn new(threads: usize) -> Self {
        let memory = usize::try_from(MEMORY / UNIT).unwrap_or(1);
        Self {
            threads: Arc::new(Semaphore::new(threads)),
            memory: Arc::new(Semaphore::new(memory)),
            places: Arc::new(Semaphore::new(PLACES)),
        }
    }

    /// Waits for room for so many bytes. What is larger than the whole budget has all of it, alone.
    ///
    /// # Errors
    /// 503 where the queue is full and the caller does not want to wait.
    pub async fn room(&self, bytes: u64, queue: Queue) -> Result<Room, HttpError> {
        let place = match queue {
            Queue::Wait => None,
            Queue::Refuse => match Arc::clone(&self.places).try_acquire_owned() {
                Ok(place) => Some(place),
                Err(_) => return Err(HttpError::busy(COME_BACK_S)),
            },
        };
        let memory = Arc::clone(&self.memory).acquire_many_owned(units(bytes)).await;
        let memory = memory.map_err(|error| HttpError::internal(&error))?;
        Ok(Room { memory, place })
    }

    /// Computes off the threads that answer. The room stays taken until the work ends, whether or not somebody still waits.
    ///
    /// # Errors
    /// 500 where the work panicked; decoders guard themselves, so this is a fault of ours.
    pub async fn run<T, F>(&self, room: Room, work: F) -> Result<(T, Room), HttpError>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let thread = Arc::clone(&self.threads).acquire_owned().await;
        let thread = thread.map_err(|error| HttpError::internal(&error))?;
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(thread);
            (done, room)
        });
        done.await.map_err(|error| HttpError::internal(&error))
    }

    /// Returns how many askers have room or wait for it.
    #[cfg(test)]
    pub(crate) fn askers(&self) -> usize {
        PLACES - self.places.available_permits()
    }

    /// Takes so many places of the queue.
    #[cfg(test)]
    pub(crate) fn crowd(&self, askers: usize) -> OwnedSemaphorePermit {
        let askers = u32::try_from(askers).unwrap();
        Arc::clone(&self.places).try_acquire_many_owned(askers).unwrap()
    }

    /// The length of the queue.
    #[cfg(test)]
    pub(crate) const PLACES: usize = PLACES;
}

impl Room {
    /// Gives back what goes beyond so many bytes.
    pub fn shrink(&mut self, bytes: u64) {
        let held = u32::try_from(self.memory.num_permits()).unwrap_or(u32::MAX);
        let spare = held.saturating_sub(units(bytes));
        drop(self.memory.split(usize::try_from(spare).unwrap_or(0)));
    }

    /// Returns bytes that hold this room until the last of them is dropped.
    pub fn holding(mut self, bytes: Vec<u8>) -> Bytes {
        self.shrink(bytes.len() as u64);
        // Its work is done: who now waits for a place waits for the processor.
        self.place = None;
        Bytes::from_owner(Held { bytes, _room: self })
    }
}

struct Held {
    bytes: Vec<u8>,
    _room: Room,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;

    #[tokio::test]
    async fn memory_is_one_budget_and_comes_back() {
        let cpu = Cpu::new(1);
        let most = cpu.room(MEMORY - UNIT, Queue::Wait).await.unwrap();
        let small = cpu.room(1, Queue::Wait).await.unwrap();
        assert!(cpu.room(1, Queue::Wait).now_or_never().is_none());
        drop(small);
        assert!(cpu.room(1, Queue::Wait).now_or_never().is_some());
        drop(most);
        // More than there is means all there is.
        let all = cpu.room(u64::MAX, Queue::Wait).await.unwrap();
        assert!(cpu.room(1, Queue::Wait).now_or_never().is_none());
        drop(all);
    }

    #[tokio::test]
    async fn a_result_holds_what_it_needs_until_it_is_sent() {
        let cpu = Cpu::new(1);
        let room = cpu.room(MEMORY, Queue::Wait).await.unwrap();
        let (bytes, room) = cpu.run(room, || vec![7_u8; 3]).await.unwrap();
        let sent = room.holding(bytes);
        assert_eq!(sent, [7_u8; 3].as_slice());
        assert!(cpu.room(MEMORY - UNIT, Queue::Wait).now_or_never().is_some());
        assert!(cpu.room(MEMORY, Queue::Wait).now_or_never().is_none());
        drop(sent);
        assert!(cpu.room(MEMORY, Queue::Wait).now_or_never().is_some());
    }

    #[tokio::test]
    async fn a_long_queue_sends_newcomers_away_and_keeps_who_has_begun() {
        let cpu = Cpu::new(1);
        let crowd = cpu.crowd(PLACES - 1);
        let last = cpu.room(1, Queue::Refuse).await.unwrap();
        let refused = cpu.room(1, Queue::Refuse).await.unwrap_err();
        assert_eq!(refused.status().as_u16(), 503);
        assert!(cpu.room(1, Queue::Wait).await.is_ok());
        drop(last);
        assert!(cpu.room(1, Queue::Refuse).await.is_ok());
        drop(crowd);
    }
}
