//! Stores: one place that keeps bytes under keys.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::{
    entry::Life,
    error::Result,
    key::Key,
    time::Millis,
    value::{Codec, Live},
};

/// What a store can do beside get, put and delete.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capability {
    /// It can list its keys.
    pub list: bool,
    /// It can put a value only if the key is absent, decided by the store itself.
    pub put_if_absent: bool,
    /// It keeps the host's own objects; they need not become bytes.
    pub live: bool,
    /// It keeps bytes.
    pub bytes: bool,
}

/// What a store says of itself. Never a secret.
#[derive(Clone, Debug)]
pub struct StoreInfo {
    /// The scheme of its URL: `memory`, `file`, `s3`.
    pub scheme: &'static str,
    /// What tells it from others of its kind: a folder, a bucket.
    pub label: String,
    /// What it can do.
    pub can: Capability,
}

/// Names one state of an object: an entity tag, a generation.
pub type Version = Arc<str>;

/// What is known of an object beside its body.
#[derive(Clone, Debug)]
pub struct Meta {
    /// The deadlines.
    pub life: Life,
    /// How the value became bytes.
    pub codec: Codec,
    /// Whether the body is compressed with gzip.
    pub compressed: bool,
    /// The length of the body as stored, in bytes.
    pub size: u64,
    /// The state of the object, where the store has one.
    pub version: Option<Version>,
}

/// The content of an object.
#[derive(Clone)]
pub enum Body {
    /// Bytes, encoded as [`Meta`] says.
    Bytes(Bytes),
    /// The host's own object.
    Live(Live),
    /// It was not transferred: the caller did not want it.
    Absent,
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Body::Bytes(bytes) => write!(f, "Bytes({} bytes)", bytes.len()),
            Body::Live(_) => f.write_str("Live"),
            Body::Absent => f.write_str("Absent"),
        }
    }
}

/// A body and what is known of it.
#[derive(Clone, Debug)]
pub struct Object {
    /// What is known.
    pub meta: Meta,
    /// The content.
    pub body: Body,
}

/// What a reader wants of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Want {
    /// The body, whatever its deadlines.
    Any,
    /// The body, if the entry may be served at this time; else [`Body::Absent`].
    ServableAt(Millis),
    /// The body, unless the reader's copy is still the current one; else [`Body::Absent`].
    UnlessMatches(Version),
}

/// When to put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PutMode {
    /// Whatever is there.
    Always,
    /// Only if nothing that is fresh at this time is there. Decided by the store: never check-then-act.
    IfAbsent(Millis),
}

/// What a put did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Put {
    /// The object is stored.
    Stored,
    /// Another object was there.
    Present,
}

/// One page of keys, sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The keys.
    pub keys: Vec<String>,
    /// Where the next page begins; `None` when there are no more.
    pub next: Option<String>,
}

/// One place that keeps bytes under keys: memory, a directory, Redis, memcached, S3 or GCS.
#[async_trait]
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// Describes the store.
    fn info(&self) -> StoreInfo;

    /// Returns what is known of the object under `key`. No body is transferred.
    async fn head(&self, key: &Key) -> Result<Option<Meta>>;

    /// Returns the object under `key`.
    async fn get(&self, key: &Key, want: Want) -> Result<Option<Object>>;

    /// Puts an object under `key`.
    async fn put(&self, key: &Key, object: Object, mode: PutMode) -> Result<Put>;

    /// Deletes the object under `key`. Deleting a missing key succeeds.
    async fn delete(&self, key: &Key) -> Result<()>;

    /// Lists up to a page of the keys that begin with `prefix`, sorted, from `after` on (exclusive).
    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Page>;

    /// Deletes every key that begins with `prefix`, and says how many there were.
    ///
    /// The default lists and deletes; a store that can do better overrides it.
    async fn clear(&self, prefix: &str) -> Result<u64> {
        let (mut count, mut after) = (0, None);
        loop {
            let page = self.list(prefix, after.as_deref()).await?;
            count += page.keys.len() as u64;
            let keys = page.keys.iter().map(|key| Key::new(key.as_str())).collect::<Result<Vec<_>>>()?;
            stream::iter(&keys).map(Ok).try_for_each_concurrent(CONCURRENCY, |key| self.delete(key)).await?;
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(count),
            }
        }
    }

    /// Removes what can never be served again at `now`, and says how many there were.
    async fn sweep(&self, _now: Millis) -> Result<u64> {
        Ok(0)
    }

    /// Writes what is still in memory and lets go of files and connections. A later call takes them up again.
    async fn close(&self) -> Result<()> {
        Ok(())
    }
}

const CONCURRENCY: usize = 32;

/// What every store can do, built once from [`Store`].
#[async_trait]
pub trait StoreExt: Store {
    /// Says whether `key` holds something that is fresh at `now`, without transferring it.
    async fn exists(&self, key: &Key, now: Millis) -> Result<bool> {
        Ok(self.head(key).await?.is_some_and(|meta| now < meta.life.fresh_until))
    }

    /// Returns the objects under `keys`, in their order.
    async fn get_many(&self, keys: &[Key], want: Want) -> Result<Vec<Option<Object>>> {
        stream::iter(keys.to_vec())
            .map(|key| {
                let want = want.clone();
                async move { self.get(&key, want).await }
            })
            .buffered(CONCURRENCY)
            .try_collect()
            .await
    }
}

impl<S: Store + ?Sized> StoreExt for S {}
