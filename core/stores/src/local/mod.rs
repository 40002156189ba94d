//! The local store: a directory. Objects are files, an SQLite index follows them, several processes may share it.
//!
//! A put writes a temporary file and renames it, so that every process sees the old object or the new one. With
//! `durable`, the file is synced before it is renamed, its folder after, and the index before the answer. Without it
//! (the default, because this is a cache) nothing is synced: after a power failure a body may be torn, which its
//! checksum tells, and which is then a miss. Syncing costs five times the put itself.
//!
//! A get costs one look at the file when this process has read the object before: an unchanged stamp (inode, size,
//! times) proves that its copy in memory is current, whichever process wrote last.

pub mod file;
pub mod index;
pub mod ledger;
mod marker;
pub mod name;
pub mod stamp;

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use quick_cache::{Weighter, sync::Cache as Map};
use undercroft_engine::{
    Body, Capability, Code, Codec, Env, Error, Key, Meta, Object, Page, Put, PutMode, Result, Store, StoreInfo, Want, envelope::Header, time::Millis,
};

use file::Files;
use index::{Change, Listed};
use ledger::{Ledger, LedgerCounts};
use name::{Place, place};
use stamp::Stamp;

const PAGE: usize = 1000;
/// Bodies up to this length are kept in memory, this many bytes in all.
const COPIED: u64 = 64 * 1024;
const COPIES: u64 = 32 * 1024 * 1024;
/// A use is noted again after this long: eviction needs no finer order.
const TOUCH_EVERY: Millis = 10_000;

/// How a directory is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalOptions {
    /// How many bytes the bodies may take; the least recently used go first. `None`: no limit.
    pub max_bytes: Option<u64>,
    /// Whether a put is synced to the disk before it is answered.
    pub durable: bool,
}

impl Default for LocalOptions {
    fn default() -> Self {
        Self { max_bytes: Some(1024 * 1024 * 1024), durable: false }
    }
}

/// A directory as a store.
#[derive(Debug)]
pub struct Local {
    inner: Arc<Inner>,
    env: Env,
}

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    options: LocalOptions,
    files: Arc<Files>,
    env: Env,
    ledger: Mutex<Arc<Ledger>>,
    copies: Map<Arc<str>, Arc<Copy>, Weigh>,
    corrupt: AtomicU64,
}

/// An object in memory, and the state of the file it was read from.
#[derive(Debug)]
struct Copy {
    place: Place,
    stamp: Stamp,
    header: Header,
    body: Bytes,
    touched_at: AtomicU64,
}

#[derive(Clone, Debug)]
struct Weigh;

impl Weighter<Arc<str>, Arc<Copy>> for Weigh {
    fn weight(&self, key: &Arc<str>, copy: &Arc<Copy>) -> u64 {
        (key.len() + copy.body.len() + 200) as u64
    }
}

/// What a directory holds, and what happened to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LocalStats {
    /// How many objects there are.
    pub objects: u64,
    /// How many bytes their bodies take.
    pub bytes: u64,
    /// How many files were found to be no valid objects, and removed.
    pub corrupt: u64,
    /// What happened to the index.
    pub ledger: LedgerCounts,
}

impl Local {
    /// Opens the directory `root`, making it where it is missing.
    ///
    /// # Errors
    /// `unavailable` or `denied`, naming the folder.
    pub fn open(root: impl Into<PathBuf>, options: LocalOptions, env: Env) -> Result<Self> {
        let root = std::path::absolute(root.into()).map_err(|error| Error::new(Code::ConfigInvalid, format!("the folder has no absolute path: {error}")))?;
        let files = Arc::new(Files::open(&root, options.durable)?);
        let ledger = Mutex::new(Arc::new(Ledger::open(files.clone(), options.max_bytes, env.clone())));
        let copies = Map::with_weighter((COPIES / 4096) as usize, COPIES, Weigh);
        Ok(Self { inner: Arc::new(Inner { root, options, files, env: env.clone(), ledger, copies, corrupt: AtomicU64::new(0) }), env })
    }

    /// Returns what the directory holds.
    ///
    /// # Errors
    /// `unavailable` or `denied`.
    pub async fn stats(&self) -> Result<LocalStats> {
        self.run(|inner| {
            let ledger = inner.ledger();
            let (objects, bytes) = ledger.with(|index| index.totals())?;
            Ok(LocalStats { objects, bytes, corrupt: inner.corrupt.load(Ordering::Relaxed), ledger: ledger.counts() })
        })
        .await
    }

    /// Lists keys and common prefixes, as object stores do: sorted, from `after` on (exclusive), up to `limit` rows.
    ///
    /// Returns the rows and whether there are more.
    ///
    /// # Errors
    /// `unavailable` or `denied`.
    pub async fn list_delimited(&self, prefix: &str, delimiter: Option<&str>, after: Option<&str>, limit: usize) -> Result<(Vec<Listed>, bool)> {
        let (prefix, delimiter, after) = (prefix.to_owned(), delimiter.map(str::to_owned), after.map(str::to_owned));
        self.run(move |inner| inner.ledger().with(|index| index.list(&prefix, delimiter.as_deref(), after.as_deref(), limit))).await
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce(&Inner) -> Result<T> + Send + 'static) -> Result<T> {
        let inner = self.inner.clone();
        self.env.blocking(move || work(&inner)).await?
    }
}

impl Inner {
    /// Returns the ledger of this process: a forked child needs its own.
    fn ledger(&self) -> Arc<Ledger> {
        let mut ledger = self.ledger.lock();
        if ledger.process != std::process::id() {
            let fresh = Arc::new(Ledger::open(self.files.clone(), self.options.max_bytes, self.env.clone()));
            // The parent's is leaked: closing it here would write to the parent's database.
            std::mem::forget(std::mem::replace(&mut *ledger, fresh));
        }
        ledger.clone()
    }

    fn get(&self, key: &Key, now: Millis, want: &Want) -> Result<Option<Object>> {
        let wants = |header: &Header| match want {
            Want::ServableAt(at) => header.life.is_servable(*at),
            Want::Any => true,
        };
        if let Some(copy) = self.copies.get(&**key) {
            match self.files.stamp(&copy.place)? {
                Some(stamp) if stamp == copy.stamp => {
                    self.touch_copy(key, &copy, now);
                    let body = if wants(&copy.header) { Body::Bytes(copy.body.clone()) } else { Body::Absent };
                    return Ok(Some(object(&copy.header, &copy.stamp, body)));
                }
                Some(_) => {}
                None => {
                    self.copies.remove(&**key);
                    return Ok(None);
                }
            }
        }
        let place = place(key);
        let read = match self.files.read(&place, wants) {
            Err(error) if error.code() == Code::Corrupt => {
                self.discard(key, &place);
                return Err(error);
            }
            read => read?,
        };
        let Some(read) = read.filter(|read| read.key.as_deref().is_none_or(|own| own == &**key)) else { return Ok(None) };
        let Some(body) = read.body else { return Ok(Some(object(&read.header, &read.stamp, Body::Absent))) };
        let body = Bytes::from(body);
        if body.len() as u64 <= COPIED && read.stamp.is_settled(now) {
            let copy = Copy { place, stamp: read.stamp, header: read.header, body: body.clone(), touched_at: AtomicU64::new(now) };
            self.copies.insert(key.shared().clone(), Arc::new(copy));
        }
        self.ledger().add(Change::Touch { key: key.to_string(), at: now });
        Ok(Some(object(&read.header, &read.stamp, Body::Bytes(body))))
    }

    fn touch_copy(&self, key: &Key, copy: &Copy, now: Millis) {
        let last = copy.touched_at.load(Ordering::Relaxed);
        if now.saturating_sub(last) > TOUCH_EVERY && copy.touched_at.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            self.ledger().add(Change::Touch { key: key.to_string(), at: now });
        }
    }

    /// Removes a file that is no valid object, so that it is not read again and again.
    fn discard(&self, key: &Key, place: &Place) {
        self.corrupt.fetch_add(1, Ordering::Relaxed);
        self.copies.remove(&**key);
        // Where it cannot be removed it stays a miss.
        if let Ok(true) = self.files.remove(place) {
            self.ledger().add(Change::Delete { key: key.to_string() });
        }
    }

    fn put(&self, key: &Key, object: &Object, mode: &PutMode, now: Millis) -> Result<Put> {
        let Body::Bytes(body) = &object.body else {
            return Err(Error::new(Code::Unsupported, "a directory keeps bytes, not objects"));
        };
        let place = place(key);
        let header = Header { codec: object.meta.codec.id, encoding: object.meta.encoding, signed: false, life: object.meta.life };
        if let PutMode::IfAbsent(at) = mode {
            self.files.remove_if(&place, |header| *at >= header.life.fresh_until)?;
        }
        if !self.files.write(&place, key, &header, body, *mode != PutMode::Always)? {
            return Ok(Put::Present);
        }
        let ledger = self.ledger();
        ledger.add(Change::Put { key: key.to_string(), size: body.len() as u64, life: object.meta.life, at: now });
        if self.options.durable {
            ledger.flush()?;
        }
        Ok(Put::Stored)
    }

    fn delete(&self, key: &Key) -> Result<()> {
        self.copies.remove(&**key);
        if self.files.remove(&place(key))? {
            self.ledger().add(Change::Delete { key: key.to_string() });
        }
        Ok(())
    }

    /// Walks the files, not the index: what another process has just written must go too.
    fn clear(&self, prefix: &str) -> Result<u64> {
        let (mut count, mut failed) = (0, None);
        self.files.walk(|name, place| {
            if self.files.key(name, &place).is_some_and(|key| key.starts_with(prefix)) {
                match self.files.remove(&place) {
                    Ok(removed) => count += u64::from(removed),
                    Err(error) => failed = failed.take().or(Some(error)),
                }
            }
        })?;
        if let Some(error) = failed {
            return Err(error);
        }
        self.ledger().with(|index| index.clear(prefix))?;
        Ok(count)
    }

    fn list(&self, prefix: &str, after: Option<&str>) -> Result<Page> {
        let (rows, more) = self.ledger().with(|index| index.list(prefix, None, after, PAGE))?;
        let keys: Vec<String> = rows
            .into_iter()
            .map(|row| match row {
                Listed::Key(key) | Listed::Prefix(key) => key,
            })
            .collect();
        let next = if more { keys.last().cloned() } else { None };
        Ok(Page { keys, next })
    }
}

fn object(header: &Header, stamp: &Stamp, body: Body) -> Object {
    Object { meta: meta(header, stamp), body }
}

fn meta(header: &Header, stamp: &Stamp) -> Meta {
    Meta { encoding: header.encoding, ..Meta::new(header.life, Codec { id: header.codec, instance: 0 }, stamp.size()) }
}

#[async_trait]
impl Store for Local {
    fn info(&self) -> StoreInfo {
        StoreInfo {
            scheme: "file",
            label: self.inner.root.display().to_string(),
            can: Capability { list: true, put_if_absent: true, live: false, bytes: true, paced: false },
        }
    }

    async fn head(&self, key: &Key) -> Result<Option<Meta>> {
        let key = key.clone();
        self.run(move |inner| match inner.files.read(&place(&key), |_| false) {
            Err(error) if error.code() == Code::Corrupt => {
                inner.discard(&key, &place(&key));
                Err(error)
            }
            read => Ok(read?.map(|read| meta(&read.header, &read.stamp))),
        })
        .await
    }

    async fn get(&self, key: &Key, want: Want) -> Result<Option<Object>> {
        let (key, now) = (key.clone(), self.env.clock.wall());
        self.run(move |inner| inner.get(&key, now, &want)).await
    }

    async fn put(&self, key: &Key, object: Object, mode: PutMode) -> Result<Put> {
        let (key, now) = (key.clone(), self.env.clock.wall());
        self.run(move |inner| inner.put(&key, &object, &mode, now)).await
    }

    async fn delete(&self, key: &Key) -> Result<()> {
        let key = key.clone();
        self.run(move |inner| inner.delete(&key)).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Page> {
        let (prefix, after) = (prefix.to_owned(), after.map(str::to_owned));
        self.run(move |inner| inner.list(&prefix, after.as_deref())).await
    }

    async fn clear(&self, prefix: &str) -> Result<u64> {
        let prefix = prefix.to_owned();
        self.run(move |inner| inner.clear(&prefix)).await
    }

    async fn sweep(&self, now: Millis) -> Result<u64> {
        self.run(move |inner| inner.ledger().sweep(now)).await
    }

    async fn close(&self) -> Result<()> {
        self.run(|inner| inner.ledger().close()).await
    }
}
