//! A store that the user wrote in Python, as a far tier.
//!
//! With `get_entry` and `set_entry` the deadlines lie in the store. Without them the store keeps plain values for a
//! ttl; the deadlines of what this process wrote are remembered beside it, and what others wrote is fresh as long as
//! the store has it, and is not copied to other tiers, because nobody knows how long it may live.

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use parking_lot::Mutex;
use pyo3::{exceptions::PyTypeError, prelude::*};
use undercroft::engine::{
    Body, Capability, Code, Codec, Env, Error, Key, Life, Meta, Object, Page, Put, PutMode, Result, Store, StoreInfo, Want,
    time::{FOREVER, Millis},
};

use crate::{errors::from_raised, object, visits::visit_python};

/// How many deadlines are remembered for a store that cannot keep them.
const REMEMBERED: usize = 100_000;

pub(crate) struct HostStore {
    inner: Arc<Inner>,
    env: Env,
}

struct Inner {
    store: Py<PyAny>,
    label: String,
    keeps_entries: bool,
    lives: Mutex<HashMap<Key, Life>>,
}

impl std::fmt::Debug for HostStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HostStore").field("label", &self.inner.label).finish()
    }
}

impl HostStore {
    pub(crate) fn new(store: &Bound<'_, PyAny>) -> PyResult<Self> {
        for name in ["get", "set", "delete", "exists", "set_if_not_exists"] {
            if !store.hasattr(name)? {
                return Err(PyTypeError::new_err(format!("`{}` is no cache store: it has no method `{name}`", store.get_type().name()?)));
            }
        }
        let keeps_entries = store.hasattr("get_entry")? && store.hasattr("set_entry")?;
        let label = store.get_type().name()?.to_string();
        Ok(Self { inner: Arc::new(Inner { store: store.clone().unbind(), label, keeps_entries, lives: Mutex::default() }), env: undercroft_native::env() })
    }

    /// Runs `work` in Python where blocking harms nobody, outside the fork gate.
    async fn call<T: Send + 'static>(&self, method: &'static str, work: impl FnOnce(&Inner, &Bound<'_, PyAny>) -> PyResult<T> + Send + 'static) -> Result<T> {
        let inner = self.inner.clone();
        let work = move |py: Python<'_>| work(&inner, inner.store.bind(py)).map_err(|raised| from_raised(py, raised, &format!("`{}.{method}`", inner.label)));
        self.env.blocking(|| visit_python(work)).await?
    }
}

fn seconds(millis: Millis) -> f64 {
    if millis == FOREVER { f64::INFINITY } else { millis as f64 / 1000.0 }
}

fn millis(seconds: f64) -> Millis {
    undercroft::engine::time::from_seconds(seconds.max(0.0)).unwrap_or(FOREVER)
}

impl Inner {
    fn get(&self, store: &Bound<'_, PyAny>, key: &Key) -> PyResult<Option<Object>> {
        if self.keeps_entries {
            let entry = store.call_method1("get_entry", (key.as_str(),))?;
            if entry.is_none() {
                return Ok(None);
            }
            let life = life_of(&entry)?;
            return Ok(Some(live_object(&entry.getattr("value")?, life)));
        }
        let value = store.call_method1("get", (key.as_str(),))?;
        // `None` may be a value (law 8): the store itself says whether it is.
        if value.is_none() && !store.call_method1("exists", (key.as_str(),))?.is_truthy()? {
            self.lives.lock().remove(key);
            return Ok(None);
        }
        let life = self.lives.lock().get(key).copied().unwrap_or(Life::UNKNOWN);
        Ok(Some(live_object(&value, life)))
    }

    fn put(&self, store: &Bound<'_, PyAny>, key: &Key, object: &Object, mode: &PutMode, now: Millis) -> PyResult<Put> {
        let py = store.py();
        let value = match &object.body {
            Body::Live(live) => object::of(py, live),
            _ => None,
        };
        let Some(value) = value else { return Err(PyTypeError::new_err("only Python objects can be put into a store written in Python")) };
        let life = object.meta.life;
        // Whole seconds where they are whole: stores may pass them on to systems that take no fractions.
        let ttl = match life.stale_until {
            FOREVER => 0.0,
            until => (until.saturating_sub(now) as f64 / 1000.0).max(0.001),
        };
        let ttl = if ttl.fract() == 0.0 { (ttl as u64).into_pyobject(py)?.into_any() } else { ttl.into_pyobject(py)?.into_any() };
        if let PutMode::IfAbsent(_) = mode {
            let stored = store.call_method1("set_if_not_exists", (key.as_str(), value, ttl))?.is_truthy()?;
            if stored {
                self.remember(key, life);
            }
            return Ok(if stored { Put::Stored } else { Put::Present });
        }
        if self.keeps_entries {
            let entry = py.import("undercroft")?.getattr("CacheEntry")?.call1((
                value,
                seconds(life.fresh_until),
                seconds(life.created_at),
                seconds(life.stale_until),
            ))?;
            store.call_method1("set_entry", (key.as_str(), entry, ttl))?;
        } else {
            store.call_method1("set", (key.as_str(), value, ttl))?;
            self.remember(key, life);
        }
        Ok(Put::Stored)
    }

    fn remember(&self, key: &Key, life: Life) {
        let mut lives = self.lives.lock();
        if lives.len() >= REMEMBERED {
            // Forgetting makes an entry one of unknown life: served, but not copied.
            lives.clear();
        }
        lives.insert(key.clone(), life);
    }
}

fn life_of(entry: &Bound<'_, PyAny>) -> PyResult<Life> {
    let fresh_until = millis(entry.getattr("fresh_until")?.extract()?);
    let stale_until = match entry.getattr_opt("stale_until")? {
        Some(until) if !until.is_none() => millis(until.extract()?),
        // An entry class that knows no stale window: the store decides when it is gone.
        _ => FOREVER,
    };
    Ok(Life { created_at: millis(entry.getattr("created_at")?.extract()?), fresh_until, stale_until: stale_until.max(fresh_until) })
}

fn live_object(value: &Bound<'_, PyAny>, life: Life) -> Object {
    let meta = Meta::new(life, Codec::RAW, 0);
    Object { meta, body: Body::Live(object::live(value)) }
}

#[async_trait]
impl Store for HostStore {
    fn info(&self) -> StoreInfo {
        StoreInfo {
            scheme: "host",
            label: self.inner.label.clone(),
            can: Capability { list: false, put_if_absent: true, live: true, bytes: false, paced: false },
        }
    }

    async fn head(&self, key: &Key) -> Result<Option<Meta>> {
        let key = key.clone();
        self.call("exists", move |inner, store| {
            let exists = store.call_method1("exists", (key.as_str(),))?.is_truthy()?;
            let life = inner.lives.lock().get(&key).copied().unwrap_or(Life::UNKNOWN);
            Ok(exists.then_some(Meta::new(life, Codec::RAW, 0)))
        })
        .await
    }

    async fn get(&self, key: &Key, _want: Want) -> Result<Option<Object>> {
        let key = key.clone();
        self.call("get", move |inner, store| inner.get(store, &key)).await
    }

    async fn put(&self, key: &Key, object: Object, mode: PutMode) -> Result<Put> {
        let (key, now) = (key.clone(), self.env.clock.wall());
        self.call("set", move |inner, store| inner.put(store, &key, &object, &mode, now)).await
    }

    async fn delete(&self, key: &Key) -> Result<()> {
        let key = key.clone();
        self.call("delete", move |inner, store| {
            inner.lives.lock().remove(&key);
            store.call_method1("delete", (key.as_str(),)).map(|_| ())
        })
        .await
    }

    async fn list(&self, _prefix: &str, _after: Option<&str>) -> Result<Page> {
        Err(Error::new(Code::Unsupported, format!("`{}` cannot list its keys", self.inner.label)))
    }

    async fn clear(&self, prefix: &str) -> Result<u64> {
        let all = prefix.is_empty();
        let cleared = self
            .call("clear", move |inner, store| {
                if !all || !store.hasattr("clear")? {
                    return Ok(None);
                }
                inner.lives.lock().clear();
                let cleared = store.call_method0("clear")?;
                Ok(Some(cleared.extract::<u64>().unwrap_or(0)))
            })
            .await?;
        cleared.ok_or_else(|| {
            Error::new(Code::Unsupported, format!("`{}` can clear neither a prefix nor, without a method `clear`, everything", self.inner.label))
        })
    }
}
