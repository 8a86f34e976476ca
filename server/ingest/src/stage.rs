//! Where the bytes of an instance wait until it is whole.
//!
//! In memory while the budget of bytes in flight allows, else in a sealed temporary file: nothing waits while it holds
//! memory, so a hundred associations that each send half an object cannot lock each other out. What a peer sent before
//! it went away is gone with the stage; nothing of it was visible to anybody.

use std::sync::Arc;

use bytes::Bytes;
use isocenter_model::arrival::Refusal;
use isocenter_model::part10::ByteSource;
use isocenter_storage::{Spill, Storage};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Objects above this size are staged in a file even when there is memory left: one of them would take the budget of many.
const IN_MEMORY_LIMIT: u64 = 16 << 20;

/// The budget is counted in pieces of this size.
const PIECE: u64 = 64 << 10;

/// The bytes that all instances in flight may hold in memory together.
#[derive(Clone)]
pub(crate) struct Budget(Arc<Semaphore>);

impl Budget {
    /// Returns a budget of so many bytes.
    pub(crate) fn new(bytes: u64) -> Self {
        Self(Arc::new(Semaphore::new(usize::try_from(bytes / PIECE).unwrap_or(1024))))
    }

    fn try_take(&self, bytes: u64) -> Option<OwnedSemaphorePermit> {
        let pieces = u32::try_from(bytes.div_ceil(PIECE)).ok()?;
        Arc::clone(&self.0).try_acquire_many_owned(pieces).ok()
    }
}

enum Place {
    Memory {
        bytes: Vec<u8>,
        permits: Vec<OwnedSemaphorePermit>,
        granted: u64,
    },
    File(Box<Spill>),
}

/// An instance that is still arriving.
pub(crate) struct Stage {
    place: Place,
    len: u64,
    limit: u64,
    budget: Budget,
    storage: Storage,
}

/// An instance that arrived whole. Its share of the budget is given back when the last clone is dropped.
#[derive(Clone)]
pub(crate) struct Staged {
    source: Arc<dyn ByteSource>,
    memory: Option<Bytes>,
    storage: Storage,
    _permits: Arc<Vec<OwnedSemaphorePermit>>,
}

impl Staged {
    /// Returns the bytes as a source that can be read anywhere.
    pub(crate) fn source(&self) -> &Arc<dyn ByteSource> {
        &self.source
    }

    /// Returns the bytes where they are in memory.
    pub(crate) fn memory(&self) -> Option<&Bytes> {
        self.memory.as_ref()
    }

    /// Returns a sealed temporary file for what is made of these bytes.
    pub(crate) fn scratch(&self) -> Result<Spill, isocenter_storage::Error> {
        self.storage.spill()
    }

    /// Returns a staged object over other bytes, which keeps this one's share of the budget.
    pub(crate) fn replaced_by(&self, bytes: Vec<u8>) -> Self {
        let bytes = Bytes::from(bytes);
        Self {
            source: Arc::new(bytes.clone()),
            memory: Some(bytes),
            storage: self.storage.clone(),
            _permits: Arc::clone(&self._permits),
        }
    }
}

impl Stage {
    /// `expected` is what the peer told, or what came before: room that is set aside at once, so that nothing is moved while
    /// it grows. It costs memory only as it is filled.
    pub(crate) fn new(storage: Storage, budget: Budget, limit: u64, expected: u64) -> Self {
        let expected = expected.min(IN_MEMORY_LIMIT);
        let bytes = Vec::with_capacity(usize::try_from(expected).unwrap_or(0));
        Self {
            place: Place::Memory {
                bytes,
                permits: Vec::new(),
                granted: 0,
            },
            len: 0,
            limit,
            budget,
            storage,
        }
    }

    /// Takes the next bytes.
    pub(crate) async fn write(&mut self, fragment: &Bytes) -> Result<(), Refusal> {
        self.len += fragment.len() as u64;
        if self.len > self.limit {
            return Err(Refusal::TooLarge);
        }
        if let Place::Memory {
            bytes,
            permits,
            granted,
        } = &mut self.place
        {
            let missing = self.len.saturating_sub(*granted);
            let fits = self.len <= IN_MEMORY_LIMIT;
            let permit = if missing == 0 {
                None
            } else {
                fits.then(|| self.budget.try_take(missing)).flatten()
            };
            if fits && (missing == 0 || permit.is_some()) {
                if let Some(permit) = permit {
                    *granted += permit.num_permits() as u64 * PIECE;
                    permits.push(permit);
                }
                bytes.extend_from_slice(fragment);
                return Ok(());
            }
            self.spill()?;
        }
        self.append(fragment.clone()).await
    }

    /// Moves what is in memory into a sealed temporary file and gives its share of the budget back.
    fn spill(&mut self) -> Result<(), Refusal> {
        if let Place::Memory { bytes, .. } = &mut self.place {
            let mut file = self.storage.spill().map_err(|error| refusal("staging", &error))?;
            file.append(bytes).map_err(|error| refusal("staging", &error))?;
            self.place = Place::File(Box::new(file));
        }
        Ok(())
    }

    async fn append(&mut self, fragment: Bytes) -> Result<(), Refusal> {
        let Place::File(file) = &mut self.place else {
            return Err(Refusal::Internal);
        };
        // Sealing and writing 128 KiB takes well under a millisecond; a hop to another thread would cost as much.
        file.append(&fragment).map_err(|error| refusal("staging", &error))
    }

    /// Ends the instance.
    pub(crate) fn finish(self) -> Result<Staged, Refusal> {
        match self.place {
            Place::Memory { bytes, permits, .. } => {
                let bytes = Bytes::from(bytes);
                Ok(Staged {
                    source: Arc::new(bytes.clone()),
                    memory: Some(bytes),
                    storage: self.storage,
                    _permits: Arc::new(permits),
                })
            }
            Place::File(file) => {
                let source = file.freeze().map_err(|error| refusal("staging", &error))?;
                Ok(Staged {
                    source,
                    memory: None,
                    storage: self.storage,
                    _permits: Arc::new(Vec::new()),
                })
            }
        }
    }
}

/// Logs why storage did not take the bytes and returns what the peer may hear.
pub(crate) fn refusal(step: &'static str, error: &isocenter_storage::Error) -> Refusal {
    tracing::error!(step, error = %error, "instance refused");
    Refusal::OutOfResources
}
