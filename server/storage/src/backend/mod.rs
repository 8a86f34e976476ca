//! Where the bytes go: a local folder, or a store that speaks S3.
//!
//! A key is a relative path of our own making (`packs/2026-11-20T14/0193…`), unique by construction, so that nothing ever
//! depends on a store refusing to overwrite. What a backend promises: when a put has returned, the whole object is durable
//! under its key; until then nothing can be seen under it.

pub(crate) mod direct;
pub(crate) mod disk;
pub(crate) mod local;
pub(crate) mod object;

use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use crate::error::{Error, Result};
use crate::fail::{Plan, Point};
use local::Local;
use object::Object;

/// Yields the next bytes of an object that is being written, until there are none. Runs on a thread that may wait.
pub(crate) type Chunks = Box<dyn FnMut() -> Result<Option<Bytes>> + Send>;

/// What was found under a key.
pub(crate) enum Found<T> {
    /// It is there.
    Some(T),
    /// Nothing is there.
    Nothing,
}

/// Space in a local file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FreeSpace {
    /// Bytes that may still be written.
    pub available: u64,
    /// Bytes that the file system has in all.
    pub total: u64,
}

#[derive(Clone)]
pub(crate) enum Backend {
    Local(Arc<Local>),
    Object(Arc<Object>),
}

impl Backend {
    /// Puts one object, durably. `total` is its length.
    ///
    /// `plan` is passed where a pack is written. A task that is dropped meanwhile leaves either nothing or a whole object.
    pub(crate) async fn put(&self, key: String, total: u64, chunks: Chunks, plan: Option<Arc<Plan>>) -> Result<()> {
        match self {
            Self::Local(local) => {
                let local = local.clone();
                tokio::task::spawn_blocking(move || {
                    let plan = plan.as_deref();
                    pass(plan, Point::BeforePut)?;
                    local.put(&key, chunks, plan)?;
                    pass(plan, Point::AfterPut)
                })
                .await?
            }
            Self::Object(object) => {
                if let Some(plan) = &plan {
                    plan.pass(Point::BeforePut).await?;
                }
                object.put(&key, total, chunks).await?;
                match &plan {
                    Some(plan) => plan.pass(Point::AfterPut).await,
                    None => Ok(()),
                }
            }
        }
    }

    /// Puts a small object.
    pub(crate) async fn put_small(&self, key: String, bytes: Vec<u8>) -> Result<()> {
        let total = bytes.len() as u64;
        let mut bytes = Some(Bytes::from(bytes));
        self.put(key, total, Box::new(move || Ok(bytes.take())), None).await
    }

    /// Reads a range and hands it to `then`, on a thread that may compute; fewer bytes come where the object is shorter.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        key: String,
        range: Range<u64>,
        then: impl FnOnce(BytesMut) -> Result<T> + Send + 'static,
    ) -> Result<Found<T>> {
        match self {
            Self::Local(local) => {
                let local = local.clone();
                tokio::task::spawn_blocking(move || match local.read(&key, range)? {
                    Found::Some(bytes) => then(bytes).map(Found::Some),
                    Found::Nothing => Ok(Found::Nothing),
                })
                .await?
            }
            Self::Object(object) => match object.read(&key, range).await? {
                // opening a segment takes some 20 microseconds: a few are done here, more are not worth blocking others
                Found::Some(bytes) if bytes.len() < 300_000 => then(bytes).map(Found::Some),
                Found::Some(bytes) => tokio::task::spawn_blocking(move || then(bytes)).await?.map(Found::Some),
                Found::Nothing => Ok(Found::Nothing),
            },
        }
    }

    /// Reads a range on a thread that may wait.
    pub(crate) fn read_blocking(&self, key: &str, range: Range<u64>) -> Result<Found<BytesMut>> {
        match self {
            Self::Local(local) => local.read(key, range),
            Self::Object(object) => tokio::runtime::Handle::try_current()
                .map_err(|_| Error::Internal("no runtime on this thread"))?
                .block_on(object.read(key, range)),
        }
    }

    /// Returns the length of an object.
    pub(crate) async fn len(&self, key: String) -> Result<Found<u64>> {
        match self {
            Self::Local(local) => {
                let local = local.clone();
                tokio::task::spawn_blocking(move || local.len(&key)).await?
            }
            Self::Object(object) => object.len(&key).await,
        }
    }

    /// Deletes an object durably; one that is not there is deleted already.
    pub(crate) async fn delete(&self, key: String) -> Result<()> {
        match self {
            Self::Local(local) => {
                let local = local.clone();
                tokio::task::spawn_blocking(move || local.delete(&key)).await?
            }
            Self::Object(object) => object.delete(&key).await,
        }
    }

    /// Replaces a small object durably and, where the medium lets us, writes over what was there.
    pub(crate) async fn replace_and_wipe(&self, key: String, bytes: Vec<u8>) -> Result<()> {
        match self {
            Self::Local(local) => {
                let local = local.clone();
                tokio::task::spawn_blocking(move || local.replace_and_wipe(&key, bytes)).await?
            }
            Self::Object(_) => self.put_small(key, bytes).await,
        }
    }

    /// Returns the names of the folders under one, in order.
    pub(crate) async fn folders(&self, under: &str) -> Result<Vec<String>> {
        match self {
            Self::Local(local) => {
                let (local, under) = (local.clone(), under.to_owned());
                tokio::task::spawn_blocking(move || local.names(&under, true)).await?
            }
            Self::Object(object) => object.folders(under).await,
        }
    }

    /// Returns the names of the objects directly in a folder, in order.
    pub(crate) async fn names(&self, folder: String) -> Result<Vec<String>> {
        match self {
            Self::Local(local) => {
                let local = local.clone();
                tokio::task::spawn_blocking(move || local.names(&folder, false)).await?
            }
            Self::Object(object) => object.names(&folder).await,
        }
    }

    /// Returns free and total space, where there is such a thing.
    pub(crate) async fn free_space(&self) -> Result<Option<FreeSpace>> {
        match self {
            Self::Local(local) => {
                let local = local.clone();
                tokio::task::spawn_blocking(move || local.free_space().map(Some)).await?
            }
            Self::Object(_) => Ok(None),
        }
    }

    /// Asks whether the store answers.
    pub(crate) async fn ready(&self) -> Result<()> {
        match self {
            Self::Local(local) => {
                let local = local.clone();
                tokio::task::spawn_blocking(move || local.ready()).await?
            }
            Self::Object(object) => object.len("ready").await.map(|_| ()),
        }
    }
}

fn pass(plan: Option<&Plan>, point: Point) -> Result<()> {
    plan.map_or(Ok(()), |plan| plan.pass_blocking(point))
}
