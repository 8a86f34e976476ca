//! A store that speaks S3, and in tests one in memory.
//!
//! An answer to a put is the store's word that the bytes are durable. A put that was repeated because its answer was lost
//! writes the same bytes under the same key, so it may simply overwrite: `PutMode::Create` would turn a lost answer into
//! a refusal, and some stores ignore it anyway. Waiting is bounded, so that a store that is away is said to be away soon.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use futures::TryStreamExt;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::path::Path;
use object_store::{
    BackoffConfig, ClientOptions, GetOptions, GetRange, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload,
    RetryConfig, WriteMultipart,
};
use url::Url;

use super::{Chunks, Found};
use crate::error::{Error, Result};
use crate::id::random;

/// Objects up to this size are put in one request.
const ONE_REQUEST: u64 = 16 << 20;
/// Smallest part of a larger one. At most two are in memory.
const PART: u64 = 8 << 20;
/// S3 takes at most 10,000 parts.
const PARTS: u64 = 9_000;

#[derive(Debug)]
pub(crate) struct Object {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
}

impl Object {
    pub(crate) fn new(store: Arc<dyn ObjectStore>, prefix: &str) -> Self {
        Self {
            store,
            prefix: Path::from(prefix),
        }
    }

    /// Makes the client for `s3://bucket/prefix` from settings named as the usual environment variables.
    pub(crate) fn s3(url: &Url, variables: &BTreeMap<String, String>) -> Result<Self> {
        // The client is built without a default provider and would panic without one. A provider that is there stays.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let bad = |reason: String| Error::Settings { reason };
        let bucket = url.host_str().ok_or_else(|| bad(format!("no bucket in {url}")))?;
        let mut builder = AmazonS3Builder::new();
        let mut endpoint = None;
        for (name, value) in variables.iter().filter(|(name, _)| name.starts_with("AWS_")) {
            // as the AWS tools do, names that mean nothing here are passed over
            if let Ok(key) = name.to_ascii_lowercase().parse::<AmazonS3ConfigKey>() {
                builder = builder.with_config(key, value);
            }
            if matches!(
                name.as_str(),
                "AWS_ENDPOINT" | "AWS_ENDPOINT_URL" | "AWS_ENDPOINT_URL_S3"
            ) {
                endpoint = Some(value);
            }
        }
        let plain_http = endpoint.is_some_and(|endpoint| endpoint.starts_with("http://"));
        let options = ClientOptions::new()
            .with_connect_timeout(Duration::from_secs(5))
            .with_timeout(Duration::from_secs(30))
            .with_allow_http(plain_http);
        let retry = RetryConfig {
            max_retries: 3,
            retry_timeout: Duration::from_secs(10),
            backoff: BackoffConfig {
                max_backoff: Duration::from_secs(2),
                ..BackoffConfig::default()
            },
        };
        let store = builder
            .with_bucket_name(bucket)
            .with_client_options(options)
            .with_retry(retry)
            .build()
            .map_err(|e| bad(e.to_string()))?;
        Ok(Self::new(Arc::new(store), url.path().trim_matches('/')))
    }

    fn path(&self, key: &str) -> Path {
        key.split('/').fold(self.prefix.clone(), |path, part| path.join(part))
    }

    /// Asks whether the store refuses to write over what is there. The answer is for the log: nothing depends on it.
    pub(crate) async fn conditional_put(&self) -> Option<bool> {
        let mut name = [0; 8];
        random(&mut name).ok()?;
        let path = self.path(&format!("probe/{}", hex::encode(name)));
        let create = || {
            let options = PutOptions {
                mode: PutMode::Create,
                ..PutOptions::default()
            };
            self.store.put_opts(&path, PutPayload::from_static(b"probe"), options)
        };
        let first = create().await.is_ok();
        let second = create().await;
        let _ = self.store.delete(&path).await;
        match second {
            _ if !first => None,
            Ok(_) => Some(false),
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => Some(true),
            Err(_) => None,
        }
    }

    /// Puts an object; a large one in parts, of which two are in memory.
    pub(crate) async fn put(&self, key: &str, total: u64, chunks: Chunks) -> Result<()> {
        let path = self.path(key);
        if total <= ONE_REQUEST {
            let payload = all(chunks).await?;
            self.store.put(&path, payload).await.map_err(fault)?;
            return Ok(());
        }
        let part = usize::try_from(PART.max(total.div_ceil(PARTS))).map_err(|_| Error::TooLarge { len: total })?;
        let upload = self.store.put_multipart(&path).await.map_err(fault)?;
        let mut upload = WriteMultipart::new_with_chunk_size(upload, part);
        let mut chunks = chunks;
        let written = loop {
            if let Err(e) = upload.wait_for_capacity(1).await {
                break Err(fault(e));
            }
            let made = tokio::task::spawn_blocking(move || (chunks(), chunks)).await?;
            chunks = made.1;
            match made.0 {
                Ok(Some(chunk)) => upload.put(chunk),
                Ok(None) => break Ok(()),
                Err(e) => break Err(e),
            }
        };
        match written {
            Ok(()) => upload.finish().await.map(|_| ()).map_err(fault),
            Err(e) => {
                // best effort: parts without an end are never visible, and stores expire them by rule
                let _ = upload.abort().await;
                Err(e)
            }
        }
    }

    /// Reads a range; fewer bytes come where the object ends before it.
    pub(crate) async fn read(&self, key: &str, range: Range<u64>) -> Result<Found<BytesMut>> {
        if range.is_empty() {
            return Ok(match self.len(key).await? {
                Found::Some(_) => Found::Some(BytesMut::new()),
                Found::Nothing => Found::Nothing,
            });
        }
        let path = self.path(key);
        let options = GetOptions {
            range: Some(GetRange::Bounded(range.clone())),
            ..GetOptions::default()
        };
        let got = match self.store.get_opts(&path, options).await {
            Ok(got) => got.bytes().await,
            Err(e) => Err(e),
        };
        match got {
            Ok(bytes) => Ok(Found::Some(bytes.into())),
            Err(object_store::Error::NotFound { .. }) => Ok(Found::Nothing),
            // stores refuse a range that begins behind the end: to us that is an object that was cut
            Err(e @ object_store::Error::Generic { .. }) => match self.len(key).await {
                Ok(Found::Some(len)) if len <= range.start => Ok(Found::Some(BytesMut::new())),
                _ => Err(fault(e)),
            },
            Err(e) => Err(fault(e)),
        }
    }

    /// Returns the length of an object.
    pub(crate) async fn len(&self, key: &str) -> Result<Found<u64>> {
        match self.store.head(&self.path(key)).await {
            Ok(facts) => Ok(Found::Some(facts.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(Found::Nothing),
            Err(e) => Err(fault(e)),
        }
    }

    pub(crate) async fn delete(&self, key: &str) -> Result<()> {
        match self.store.delete(&self.path(key)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(e) => Err(fault(e)),
        }
    }

    pub(crate) async fn folders(&self, under: &str) -> Result<Vec<String>> {
        let listing = self
            .store
            .list_with_delimiter(Some(&self.path(under)))
            .await
            .map_err(fault)?;
        let mut names: Vec<String> = listing
            .common_prefixes
            .iter()
            .filter_map(|path| path.filename().map(str::to_owned))
            .collect();
        names.sort_unstable();
        Ok(names)
    }

    pub(crate) async fn names(&self, folder: &str) -> Result<Vec<String>> {
        let folder = self.path(folder);
        let mut names: Vec<String> = self
            .store
            .list(Some(&folder))
            .map_ok(|facts| facts.location)
            .try_filter_map(|path| async move { Ok(path.filename().map(str::to_owned)) })
            .try_collect()
            .await
            .map_err(fault)?;
        names.sort_unstable();
        Ok(names)
    }
}

async fn all(mut chunks: Chunks) -> Result<PutPayload> {
    let parts = tokio::task::spawn_blocking(move || {
        let mut parts = Vec::new();
        while let Some(chunk) = chunks()? {
            parts.push(chunk);
        }
        Ok::<_, Error>(parts)
    });
    Ok(parts.await??.into_iter().collect())
}

/// Says what a store's refusal means to us.
fn fault(error: object_store::Error) -> Error {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(cause) = source {
        let io = cause.downcast_ref::<std::io::Error>();
        if io.is_some_and(|io| {
            matches!(
                io.kind(),
                std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded
            )
        }) {
            return Error::NoSpace;
        }
        source = cause.source();
    }
    let text = error.to_string();
    // 507 and the names that stores have for it
    if [
        "507 Insufficient",
        "StorageFull",
        "QuotaExceeded",
        "InsufficientCapacity",
    ]
    .iter()
    .any(|name| text.contains(name))
    {
        return Error::NoSpace;
    }
    Error::unavailable(error)
}
