//! The verbs over single keys and whole stores.

use pyo3::prelude::*;
use undercroft::engine::{self, Entry, Life, time::FOREVER};

use super::Cache;
use crate::{
    arguments::{Policy, seconds},
    bridge::{awaitable, wait},
    found::{Found, decode_and_attach},
};

#[pymethods]
impl Cache {
    /// Returns the entry under a key if it may be served at all.
    #[pyo3(signature = (key, skip = Vec::new()))]
    fn entry(&self, py: Python<'_>, key: &str, skip: Vec<String>) -> PyResult<Option<Found>> {
        let (cache, key) = (self.cache(), super::key(py, key)?);
        let mut ask = engine::Ask { skip: skip.into_iter().map(Into::into).collect(), ..cache.ask() };
        loop {
            let Some(entry) = wait(py, async { cache.get_with(&key, &ask).await })? else { return Ok(None) };
            let tier = entry.tier.clone();
            let found = Found::entry("hit", entry, &self.shared, &key);
            // A copy that cannot be decoded is a miss there: the next tier is asked.
            if self.or_distrust(py, &key, &tier, found.decoded_value(py))?.is_some() {
                return Ok(Some(found));
            }
            ask.distrust.push(tier);
        }
    }

    /// Like `entry`, as an awaitable. A value that cannot be decoded raises `Corrupt` when it is asked for.
    #[pyo3(signature = (key, skip = Vec::new(), distrust = Vec::new()))]
    fn entry_async(&self, py: Python<'_>, key: &str, skip: Vec<String>, distrust: Vec<String>) -> PyResult<Py<PyAny>> {
        let (cache, key, shared) = (self.cache(), super::key(py, key)?, self.shared.clone());
        let names = |names: Vec<String>| names.into_iter().map(Into::into).collect();
        let ask = engine::Ask { skip: names(skip), distrust: names(distrust), ..cache.ask() };
        let of = key.clone();
        awaitable(py, async move { cache.get_with(&of, &ask).await }, move |py, entry: Option<Entry>| match entry {
            Some(entry) => Ok(Py::new(py, Found::entry("hit", entry, &shared, &key))?.into_any()),
            None => Ok(py.None()),
        })
    }

    /// Returns the fresh value under a key, or `default`.
    #[pyo3(signature = (key, default = None))]
    fn get(&self, py: Python<'_>, key: &str, default: Option<Py<PyAny>>) -> PyResult<Py<PyAny>> {
        if let Some(value) = self.shared.glance(py, key.as_bytes(), 0, None) {
            return Ok(value);
        }
        let cache = &self.shared.cache;
        let key = super::key(py, key)?;
        // Only what is fresh: a stale copy does not hide a fresh one further back.
        let policy = engine::Policy { stale: Some(0), ..*cache.policy() };
        let mut ask = engine::Ask { policy, ..engine::Ask::default() };
        loop {
            let Some(entry) = wait(py, async { cache.get_fresh(&key, &ask).await })? else {
                return Ok(default.unwrap_or_else(|| py.None()));
            };
            if let Some(value) = self.or_distrust(py, &key, &entry.tier, decode_and_attach(py, &entry, &self.shared, &key))? {
                return Ok(value);
            }
            ask.distrust.push(entry.tier);
        }
    }

    /// Puts a value into every tier. `ttl` in seconds; `None` means for ever, zero stores nothing.
    #[pyo3(signature = (key, value, policy = None))]
    fn put(&self, py: Python<'_>, key: &str, value: &Bound<'_, PyAny>, policy: Option<Policy>) -> PyResult<()> {
        let policy = policy.map_or(*self.shared.cache.policy(), |policy| policy.0);
        if self.shared.put_raw(py, key, value, &policy)? {
            return Ok(());
        }
        let (cache, key, value) = (self.cache(), super::key(py, key)?, self.shared.value(value)?);
        wait(py, async { cache.put(&key, value, Some(&policy)).await })
    }

    /// Like `put`, as an awaitable.
    #[pyo3(signature = (key, value, policy = None))]
    fn put_async(&self, py: Python<'_>, key: &str, value: &Bound<'_, PyAny>, policy: Option<Policy>) -> PyResult<Py<PyAny>> {
        let (cache, key, value) = (self.cache(), super::key(py, key)?, self.shared.value(value)?);
        awaitable(py, async move { cache.put(&key, value, policy.map(|policy| policy.0).as_ref()).await }, |py, ()| Ok(py.None()))
    }

    /// Puts a value for `ttl` seconds; zero, less and `None` mean for ever, as the storage protocol says.
    #[pyo3(signature = (key, value, ttl = None))]
    fn set(&self, py: Python<'_>, key: &str, value: &Bound<'_, PyAny>, ttl: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let ask = storage_ask(ttl)?;
        if self.shared.put_raw(py, key, value, &ask)? {
            return Ok(());
        }
        let (cache, key, value) = (self.cache(), super::key(py, key)?, self.shared.value(value)?);
        wait(py, async { cache.put(&key, value, Some(&ask)).await })
    }

    /// Like `set`, as an awaitable.
    #[pyo3(signature = (key, value, ttl = None))]
    fn set_async(&self, py: Python<'_>, key: &str, value: &Bound<'_, PyAny>, ttl: Option<&Bound<'_, PyAny>>) -> PyResult<Py<PyAny>> {
        let (cache, key, value, policy) = (self.cache(), super::key(py, key)?, self.shared.value(value)?, storage_ask(ttl)?);
        awaitable(py, async move { cache.put(&key, value, Some(&policy)).await }, |py, ()| Ok(py.None()))
    }

    /// Puts a value with its own deadlines, in seconds since the epoch.
    fn set_life(&self, py: Python<'_>, key: &str, value: &Bound<'_, PyAny>, created_at: f64, fresh_until: f64, stale_until: f64) -> PyResult<()> {
        let (cache, key, value) = (self.cache(), super::key(py, key)?, self.shared.value(value)?);
        let life = Life { created_at: forever(created_at), fresh_until: forever(fresh_until), stale_until: forever(stale_until) };
        wait(py, async { cache.put_with(&key, value, life, &cache.ask()).await })
    }

    /// Puts a value only if the key is absent; the furthest tier decides.
    #[pyo3(signature = (key, value, policy))]
    fn put_if_absent(&self, py: Python<'_>, key: &str, value: &Bound<'_, PyAny>, policy: Policy) -> PyResult<bool> {
        let (cache, key, value) = (self.cache(), super::key(py, key)?, self.shared.value(value)?);
        wait(py, async { cache.put_if_absent(&key, value, Some(&policy.0)).await })
    }

    /// Like `put_if_absent`, as an awaitable.
    #[pyo3(signature = (key, value, policy))]
    fn put_if_absent_async(&self, py: Python<'_>, key: &str, value: &Bound<'_, PyAny>, policy: Policy) -> PyResult<Py<PyAny>> {
        let (cache, key, value) = (self.cache(), super::key(py, key)?, self.shared.value(value)?);
        awaitable(py, async move { cache.put_if_absent(&key, value, Some(&policy.0)).await }, |py, stored| {
            Ok(stored.into_pyobject(py)?.to_owned().into_any().unbind())
        })
    }

    /// Says whether a fresh entry is under a key.
    fn exists(&self, py: Python<'_>, key: &str) -> PyResult<bool> {
        let (cache, key) = (self.cache(), super::key(py, key)?);
        wait(py, async { cache.exists(&key).await })
    }

    /// Like `exists`, as an awaitable.
    fn exists_async(&self, py: Python<'_>, key: &str) -> PyResult<Py<PyAny>> {
        let (cache, key) = (self.cache(), super::key(py, key)?);
        awaitable(py, async move { cache.exists(&key).await }, |py, exists| Ok(exists.into_pyobject(py)?.to_owned().into_any().unbind()))
    }

    /// Deletes a key from every tier.
    fn delete(&self, py: Python<'_>, key: &str) -> PyResult<()> {
        let (cache, key) = (self.cache(), super::key(py, key)?);
        wait(py, async { cache.delete(&key).await })
    }

    /// Like `delete`, as an awaitable. The work begins at once.
    fn delete_async(&self, py: Python<'_>, key: &str) -> PyResult<Py<PyAny>> {
        let (cache, key) = (self.cache(), super::key(py, key)?);
        awaitable(py, async move { cache.delete(&key).await }, |py, ()| Ok(py.None()))
    }

    /// Marks a key as stale: it is served on, and refreshed by the next caller.
    fn expire(&self, py: Python<'_>, key: &str) -> PyResult<()> {
        let (cache, key) = (self.cache(), super::key(py, key)?);
        wait(py, async { cache.expire(&key).await })
    }

    /// Like `expire`, as an awaitable. The work begins at once.
    fn expire_async(&self, py: Python<'_>, key: &str) -> PyResult<Py<PyAny>> {
        let (cache, key) = (self.cache(), super::key(py, key)?);
        awaitable(py, async move { cache.expire(&key).await }, |py, ()| Ok(py.None()))
    }

    /// Deletes every key that begins with `prefix`, and says how many there were.
    #[pyo3(signature = (prefix = String::new()))]
    fn clear(&self, py: Python<'_>, prefix: String) -> PyResult<u64> {
        let cache = self.cache();
        wait(py, async { cache.clear(&prefix).await })
    }

    /// Like `clear`, as an awaitable. The work begins at once.
    #[pyo3(signature = (prefix = String::new()))]
    fn clear_async(&self, py: Python<'_>, prefix: String) -> PyResult<Py<PyAny>> {
        let cache = self.cache();
        awaitable(py, async move { cache.clear(&prefix).await }, |py, count| Ok(count.into_pyobject(py)?.into_any().unbind()))
    }

    /// Removes what can never be served again, and says how many there were.
    fn sweep(&self, py: Python<'_>) -> PyResult<u64> {
        let cache = self.cache();
        wait(py, async { cache.sweep().await })
    }

    /// Closes the cache and its far stores.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let cache = self.cache();
        wait(py, async { cache.close().await })
    }
}

fn forever(seconds: f64) -> u64 {
    if seconds == f64::INFINITY { FOREVER } else { engine::time::from_seconds(seconds.max(0.0)).unwrap_or(0) }
}

/// Reads a ttl of the storage protocol, where zero and less mean no end.
pub(super) fn storage_ask(ttl: Option<&Bound<'_, PyAny>>) -> PyResult<engine::Policy> {
    let ttl = ttl.map_or(Ok(None), |ttl| seconds(ttl, "ttl"))?.filter(|ttl| *ttl > 0);
    Ok(engine::Policy { ttl, ..engine::Policy::default() })
}
