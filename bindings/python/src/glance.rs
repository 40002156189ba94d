//! The hit: a glance at the near tier, without a lock, a wait or the runtime. What is not that simple asks the core.

use std::sync::atomic::{AtomicU64, Ordering};

use pyo3::prelude::*;
use undercroft::engine::{
    Policy,
    near::{Glance, Seen},
    time::Millis,
};

use crate::{cache::Shared, errors::raise, object};

/// A count that is kept by whoever holds the interpreter's lock: a load and a store, where there is such a lock.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    #[inline]
    pub(crate) fn add(&self, _py: Python<'_>) {
        if cfg!(Py_GIL_DISABLED) {
            self.0.fetch_add(1, Ordering::Relaxed);
        } else {
            self.0.store(self.0.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        }
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How often a glance was enough.
#[derive(Debug, Default)]
pub(crate) struct Glances {
    fresh: Count,
    stale: Count,
}

impl Glances {
    #[inline]
    pub(crate) fn add(&self, py: Python<'_>, seen: Seen) {
        if seen == Seen::Stale { &self.stale } else { &self.fresh }.add(py);
    }

    /// Fresh values.
    pub(crate) fn fresh(&self) -> u64 {
        self.fresh.get()
    }

    /// Stale values, while another caller refreshed them.
    pub(crate) fn stale(&self) -> u64 {
        self.stale.get()
    }
}

impl Shared {
    /// Returns the value under a key, if a glance is enough for a reader who takes stale values for `window`, and counts
    /// it here and in `hits`.
    #[inline]
    pub(crate) fn glance(&self, py: Python<'_>, key: &[u8], window: Millis, hits: Option<&Glances>) -> Option<Py<PyAny>> {
        match &self.near {
            Some(near) => self.glance_at(py, near.hash(key), key, window, hits),
            None => self.peek(py, key, hits),
        }
    }

    /// Like [`Shared::glance`], with the hash of the key.
    #[inline(always)]
    pub(crate) fn glance_at(&self, py: Python<'_>, hash: u64, key: &[u8], window: Millis, hits: Option<&Glances>) -> Option<Py<PyAny>> {
        let Some(near) = &self.near else { return self.peek(py, key, hits) };
        // SAFETY: only who holds the interpreter's lock releases remains (see `remains`). This thread holds it and runs
        // nothing of Python's before it has its own reference.
        let glance = unsafe { near.glance(hash, key) }?;
        self.taken(py, &glance, window, hits)
    }

    /// Returns the value that is seen, if nothing but that is to be done.
    #[inline(always)]
    pub(crate) fn taken(&self, py: Python<'_>, glance: &Glance<'_>, window: Millis, hits: Option<&Glances>) -> Option<Py<PyAny>> {
        let seen = glance.judge(self.clock.coarse(), window);
        if seen == Seen::Unsure || self.cache.is_closed() {
            return None;
        }
        let value = object::seen(py, glance)?;
        self.glances.add(py, seen);
        if let Some(hits) = hits {
            hits.add(py, seen);
        }
        Some(value)
    }

    /// Puts a value into a cache that has memory alone, without letting go of the interpreter. Returns whether it could.
    pub(crate) fn put_raw(&self, py: Python<'_>, key: &str, value: &Bound<'_, PyAny>, policy: &Policy) -> PyResult<bool> {
        if self.near.is_none() {
            return Ok(false);
        }
        let raw = || (object::raw(value), self.size(value));
        // SAFETY: what is returned is dropped by this thread, which holds the interpreter's lock and is not glancing.
        let put = unsafe { self.cache.put_raw(key, raw, policy) };
        let (is_put, removed) = raise(py, put)?;
        drop(removed);
        Ok(is_put)
    }

    /// A hit where there is no lock of the interpreter to keep what is looked at: under the lock of a shard.
    #[cold]
    fn peek(&self, py: Python<'_>, key: &[u8], hits: Option<&Glances>) -> Option<Py<PyAny>> {
        if cfg!(not(Py_GIL_DISABLED)) {
            return None;
        }
        let held = self.cache.peek(std::str::from_utf8(key).ok()?)?;
        let value = object::of(py, held.value().object()?)?;
        if let Some(hits) = hits {
            hits.add(py, Seen::Fresh);
        }
        Some(value)
    }
}
