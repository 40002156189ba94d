//! Stores: one place that keeps bytes under keys.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, stream};

use crate::{
    entry::Life,
    error::{Code, Error, Result},
    key::Key,
    time::Millis,
    usage::Usage,
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
    /// It bounds its own waiting: one deadline for a whole call would cut off large bodies that arrive steadily.
    pub paced: bool,
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

/// A SHA-256 of the value's bytes before compression: equal values have equal hashes, whatever the time and the level.
pub type Hash = [u8; 32];

/// How a body is compressed (RFC 9110, section 8.4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// Not at all.
    #[default]
    Identity,
    /// With gzip (RFC 1952).
    Gzip,
    /// With Zstandard (RFC 8878).
    Zstd,
}

/// What is known of an object beside its body.
#[derive(Clone, Debug)]
pub struct Meta {
    /// The deadlines.
    pub life: Life,
    /// How the value became bytes.
    pub codec: Codec,
    /// How the body is compressed.
    pub encoding: Encoding,
    /// The length of the body as stored, in bytes.
    pub size: u64,
    /// The state of the object, where the store has one.
    pub version: Option<Version>,
    /// The hash of the value, where somebody asked for one ([`Dedupe`](crate::layers::Dedupe)).
    pub hash: Option<Hash>,
}

impl Meta {
    /// Describes a plain body of `size` bytes.
    pub fn new(life: Life, codec: Codec, size: u64) -> Self {
        Self { life, codec, encoding: Encoding::Identity, size, version: None, hash: None }
    }
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

    /// Deletes the objects under `keys`. Missing keys are no error; the first failure is returned after all were tried.
    async fn delete_many(&self, keys: &[Key]) -> Result<()> {
        let failed = stream::iter(keys.to_vec())
            .map(|key| async move { self.delete(&key).await })
            .buffer_unordered(CONCURRENCY)
            .filter_map(|deleted| std::future::ready(deleted.err()));
        std::pin::pin!(failed).fold(None, |first: Option<Error>, error| std::future::ready(first.or(Some(error)))).await.map_or(Ok(()), Err)
    }

    /// Gives the object that `known` describes other deadlines, without its body being sent, and says whether it was
    /// still that object.
    ///
    /// # Errors
    /// `unsupported` where the store cannot: the object is put again then.
    async fn renew(&self, _key: &Key, _known: &Meta, _life: Life) -> Result<bool> {
        Err(Error::new(Code::Unsupported, format!("`{}` cannot renew deadlines", self.info().scheme)))
    }

    /// Marks the object under `key` as stale ([`Life::expired`]); a missing key is no error.
    async fn expire(&self, key: &Key) -> Result<()> {
        let Some(Object { mut meta, body }) = self.get(key, Want::Any).await? else { return Ok(()) };
        meta.life = meta.life.expired();
        self.put(key, Object { meta, body }, PutMode::Always).await.map(|_| ())
    }

    /// Returns what the store has sent and received so far; `None` where nothing is counted.
    fn usage(&self) -> Option<Usage> {
        None
    }

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
            self.delete_many(&keys).await?;
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

    /// Forgets, in a forked child, what belongs to threads that do not exist there.
    fn after_fork(&self) {}

    /// Writes what is still in memory and lets go of files and connections. A later call takes them up again.
    async fn close(&self) -> Result<()> {
        Ok(())
    }
}

/// How many operations one call has under way at a time.
pub(crate) const CONCURRENCY: usize = 32;

/// What every store can do, built once from [`Store`].
#[async_trait]
pub trait StoreExt: Store {
    /// Says whether `key` holds something that is fresh at `now`, without transferring it.
    async fn exists(&self, key: &Key, now: Millis) -> Result<bool> {
        Ok(self.head(key).await?.is_some_and(|meta| now < meta.life.fresh_until))
    }
}

impl<S: Store + ?Sized> StoreExt for S {}
