//! The ledger: changes on their way into the index, written in batches beside the callers.
//!
//! A put costs its caller the file alone. Its row follows within a few milliseconds; listing, counting and closing
//! write what is still waiting first. A process that ends without closing leaves its marker in `live/`, unlocked: the
//! next one to open the folder then makes the index again from the files.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;
use undercroft_engine::{Code, Env, Error, Result, time::Millis};

use super::{
    file::Files,
    index::{Change, Index},
    marker::{self, Marker},
    name::place,
};

/// How long a change may wait for others to share a transaction with.
const BATCH: Millis = 10;
/// How often ended objects are swept while the store is in use.
const SWEEP_EVERY: Millis = 30_000;
/// More than this waiting is written by whoever adds to it.
const MOST_WAITING: usize = 20_000;
/// An evicting batch frees this share beyond the limit, so that not every put has to evict.
const SLACK: u64 = 20;

/// Follows the changes of one folder in one process.
#[derive(Debug)]
pub struct Ledger {
    shared: Arc<Shared>,
    /// The process that made this ledger: its connection must not be used in a forked child.
    pub process: u32,
}

#[derive(Debug)]
struct Shared {
    files: Arc<Files>,
    env: Env,
    index_path: PathBuf,
    index: Mutex<Option<Index>>,
    waiting: Mutex<Waiting>,
    max_bytes: Option<u64>,
    rebuilt: AtomicU64,
    evicted: AtomicU64,
    failed: AtomicU64,
    /// Whether a batch is under way.
    scheduled: AtomicBool,
    marker: Marker,
}

#[derive(Debug, Default)]
struct Waiting {
    changes: Vec<Change>,
    bytes: u64,
    swept_at: Millis,
}

/// What happened to the index of a folder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LedgerCounts {
    /// How often it was made again from the files.
    pub rebuilt: u64,
    /// How many objects were removed to keep the limit.
    pub evicted: u64,
    /// How many batches could not be written; they are tried again.
    pub failed: u64,
}

impl Ledger {
    /// Opens the index of `files`, and mends it if a process ended without closing.
    pub fn open(files: Arc<Files>, max_bytes: Option<u64>, env: Env) -> Self {
        let index_path = files.root().join("index.sqlite");
        let shared = Shared {
            index_path,
            index: Mutex::new(None),
            waiting: Mutex::default(),
            max_bytes,
            rebuilt: AtomicU64::new(0),
            evicted: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            scheduled: AtomicBool::new(false),
            marker: Marker::default(),
            files,
            env,
        };
        let ledger = Self { shared: Arc::new(shared), process: std::process::id() };
        if marker::find_dead(&ledger.shared.files) {
            // A folder that can only be read keeps its index as it is.
            let _read_only = ledger.shared.with(|index| ledger.shared.fill(index));
        }
        ledger
    }

    /// Adds a change. It is in the index within a few milliseconds.
    pub fn add(&self, change: Change) {
        let (count, bytes) = {
            let mut waiting = self.shared.waiting.lock();
            if let Change::Put { size, .. } = &change {
                waiting.bytes += size;
            }
            waiting.changes.push(change);
            (waiting.changes.len(), waiting.bytes)
        };
        if !self.shared.scheduled.swap(true, Ordering::SeqCst) {
            self.schedule();
        }
        // What waits is not yet counted against the limit: it may be a small part of it only.
        if count > MOST_WAITING || self.shared.max_bytes.is_some_and(|max| bytes > max / 8) {
            self.shared.flush_counted();
        }
    }

    /// Writes what is waiting.
    ///
    /// # Errors
    /// `unavailable` or `denied`; what was waiting still is.
    pub fn flush(&self) -> Result<()> {
        self.shared.flush()
    }

    /// Runs `work` on the index, with nothing waiting; a broken index is made again first.
    ///
    /// # Errors
    /// As `work`, and `unavailable` or `denied`.
    pub fn with<T>(&self, work: impl Fn(&mut Index) -> Result<T>) -> Result<T> {
        self.shared.flush()?;
        self.shared.with(work)
    }

    /// Removes what can never be served again at `now`, and says how many there were.
    ///
    /// # Errors
    /// `unavailable` or `denied`.
    pub fn sweep(&self, now: Millis) -> Result<u64> {
        self.shared.flush()?;
        self.shared.sweep(now)
    }

    /// Returns what happened to the index.
    pub fn counts(&self) -> LedgerCounts {
        let shared = &self.shared;
        LedgerCounts {
            rebuilt: shared.rebuilt.load(Ordering::Relaxed),
            evicted: shared.evicted.load(Ordering::Relaxed),
            failed: shared.failed.load(Ordering::Relaxed),
        }
    }

    /// Writes what is waiting and lets go of the database, until the next change.
    ///
    /// # Errors
    /// `unavailable` or `denied`; the next process to open the folder then mends the index.
    pub fn close(&self) -> Result<()> {
        self.shared.flush()?;
        *self.shared.index.lock() = None;
        self.shared.marker.remove();
        Ok(())
    }

    /// Has a batch written in a moment. It runs where the environment runs things, so that a fork waits for it.
    fn schedule(&self) {
        self.shared.marker.leave(&self.shared.files);
        let batch = Batch(self.shared.clone());
        self.shared.env.spawn.spawn(Box::pin(async move {
            let env = batch.0.env.clone();
            env.clock.sleep(BATCH).await;
            // Ended before it is written: what is added from here on belongs to the next batch.
            let shared = batch.end();
            let _the_runtime_ended = env.blocking(move || shared.flush_counted()).await;
        }));
    }
}

/// A batch under way; also when it is dropped before its time, as at the end of a runtime, the next may begin.
struct Batch(Arc<Shared>);

impl Batch {
    fn end(self) -> Arc<Shared> {
        self.0.clone()
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        self.0.scheduled.store(false, Ordering::SeqCst);
    }
}

impl Shared {
    fn flush_counted(&self) {
        if self.flush().is_err() {
            self.failed.fetch_add(1, Ordering::Relaxed);
            // A full or read-only disk: wait for better times, and forget rather than grow without bound. The marker
            // stays, so that the next opening makes the index again.
            let mut waiting = self.waiting.lock();
            let excess = waiting.changes.len().saturating_sub(MOST_WAITING);
            waiting.changes.drain(..excess);
        }
    }

    fn flush(&self) -> Result<()> {
        let mut index = self.index.lock();
        let changes = {
            let mut waiting = self.waiting.lock();
            waiting.bytes = 0;
            std::mem::take(&mut waiting.changes)
        };
        if changes.is_empty() {
            return Ok(());
        }
        let latest = latest(&changes);
        if let Err(error) = self.on(&mut index, |index| index.apply(latest.iter().copied())) {
            let mut waiting = self.waiting.lock();
            let newer = std::mem::replace(&mut waiting.changes, changes);
            waiting.changes.extend(newer);
            return Err(error);
        }
        self.on(&mut index, |index| self.evict(index))?;
        drop(index);
        let now = self.env.clock.wall();
        let due = {
            let mut waiting = self.waiting.lock();
            let due = now.saturating_sub(waiting.swept_at) > SWEEP_EVERY;
            if due {
                waiting.swept_at = now;
            }
            due
        };
        if due {
            self.sweep(now)?;
        }
        Ok(())
    }

    fn with<T>(&self, work: impl Fn(&mut Index) -> Result<T>) -> Result<T> {
        self.on(&mut self.index.lock(), work)
    }

    /// Opens the index where it is not open, and makes it again from the files where it is broken.
    fn on<T>(&self, slot: &mut Option<Index>, work: impl Fn(&mut Index) -> Result<T>) -> Result<T> {
        if slot.as_ref().is_some_and(Index::is_replaced) {
            *slot = None;
        }
        let missing = slot.is_none() && !self.index_path.exists();
        for last in [false, true] {
            let attempt = match slot {
                Some(index) => work(index),
                None => Index::open(&self.index_path).and_then(|mut index| {
                    if missing || last {
                        self.fill(&mut index)?;
                    }
                    work(slot.insert(index))
                }),
            };
            match attempt {
                Err(error) if error.code() == Code::Corrupt && !last => {
                    *slot = None;
                    Index::discard(&self.index_path);
                    self.rebuilt.fetch_add(1, Ordering::Relaxed);
                }
                attempt => return attempt,
            }
        }
        Err(Error::new(Code::Corrupt, "index: broken again after it was rebuilt"))
    }

    /// Reads every file into the index.
    fn fill(&self, index: &mut Index) -> Result<()> {
        let mut changes = Vec::new();
        self.files.walk(|name, place| {
            let Some(key) = self.files.key(name, &place) else { return };
            // A file without valid metadata is removed when it is read; until then it takes space.
            let Ok(Some(read)) = self.files.read(&place, |_| false) else { return };
            changes.push(Change::Put { key, size: read.stamp.size(), life: read.header.life, at: read.header.life.created_at });
        })?;
        changes.chunks(5000).try_for_each(|chunk| index.apply(chunk))
    }

    fn evict(&self, index: &mut Index) -> Result<()> {
        let Some(max) = self.max_bytes else { return Ok(()) };
        let (_, mut bytes) = index.totals()?;
        if bytes <= max {
            return Ok(());
        }
        let goal = max - max / SLACK;
        while bytes > goal {
            let oldest = index.least_recently_used(256)?;
            if oldest.is_empty() {
                break;
            }
            let mut gone = Vec::new();
            for (key, size) in oldest {
                self.files.remove(&place(&key))?;
                self.evicted.fetch_add(1, Ordering::Relaxed);
                gone.push(Change::Delete { key });
                bytes = bytes.saturating_sub(size);
                if bytes <= goal {
                    break;
                }
            }
            index.apply(&gone)?;
        }
        Ok(())
    }

    fn sweep(&self, now: Millis) -> Result<u64> {
        let mut count = 0;
        loop {
            let ended = self.with(|index| index.ended(now, 500))?;
            if ended.is_empty() {
                return Ok(count);
            }
            let mut changes = Vec::with_capacity(ended.len());
            for (key, _) in ended {
                let place = place(&key);
                if self.files.remove_if(&place, |header| now >= header.life.stale_until)? {
                    count += 1;
                }
                // Somebody may have put it anew: the row then says what the file says.
                changes.push(match self.files.read(&place, |_| false) {
                    Ok(Some(read)) => Change::Put { key, size: read.stamp.size(), life: read.header.life, at: now },
                    _ => Change::Delete { key },
                });
            }
            self.with(|index| index.apply(&changes))?;
        }
    }
}

/// Returns the last change of each key, in their order; a touch never hides a put.
fn latest(changes: &[Change]) -> Vec<&Change> {
    let mut last: HashMap<&str, usize> = HashMap::with_capacity(changes.len());
    for (at, change) in changes.iter().enumerate() {
        match change {
            Change::Put { key, .. } | Change::Delete { key } => {
                last.insert(key, at);
            }
            Change::Touch { key, .. } => {
                last.entry(key).or_insert(at);
            }
        }
    }
    let mut order: Vec<usize> = last.into_values().collect();
    order.sort_unstable();
    order.into_iter().map(|at| &changes[at]).collect()
}

impl Drop for Ledger {
    fn drop(&mut self) {
        if self.process == std::process::id() {
            // Dropping cannot fail; an error leaves the marker, and the next opening mends the index.
            let _mended_later = self.close();
        }
    }
}
