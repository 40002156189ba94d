//! The cache as Python holds it: every method extracts, builds the future and bridges.

use std::sync::Arc;

use parking_lot::Mutex;
use pyo3::{exceptions::PyTypeError, prelude::*, types::PyDict};
use undercroft::{
    Config, Format, Options,
    engine::{self, Chain, Codec, Entry, Event, Form, Key, Kind, Life, Outcome, Overdue, Resumed, Sink, Value, time::FOREVER},
};

use crate::{
    arguments::{Ask, Policy, seconds},
    bridge::{awaitable, wait},
    codec::{self, Serializer},
    errors::{exception, raise},
    found::{Found, Lease, decode, decode_and_attach},
    object, process,
    testing::{Faults, ManualClock},
    tier::Tier,
};

/// What the objects of one cache share.
pub(crate) struct Shared {
    pub(crate) cache: engine::Cache,
    serializers: Vec<Arc<Serializer>>,
    sized: bool,
}

impl Shared {
    /// Returns the serializer for a codec: the tier's own where it is custom.
    pub(crate) fn serializer(&self, codec: Codec) -> PyResult<&Serializer> {
        static PLAIN: std::sync::OnceLock<Vec<Serializer>> = std::sync::OnceLock::new();
        let plain = PLAIN.get_or_init(|| Codec::ALL.iter().map(|codec| Serializer { codec: *codec, custom: None }).collect());
        let own = self.serializers.iter().map(|serializer| &**serializer).find(|serializer| serializer.codec == codec);
        own.or_else(|| plain.iter().find(|serializer| serializer.codec == codec)).ok_or_else(|| PyTypeError::new_err(format!("unknown codec {}", codec.id)))
    }

    /// Estimates the size of an object where the near tier counts bytes.
    pub(crate) fn size(&self, object: &Bound<'_, PyAny>) -> u64 {
        if self.sized { object::size(object) } else { 0 }
    }

    /// Makes a value of an object, with its bytes for the far tiers; what cannot be encoded says so there.
    fn value(&self, object: &Bound<'_, PyAny>) -> Value {
        let forms = self.cache.chain().codecs().into_iter().map(|codec| {
            let bytes = self.serializer(codec).and_then(|serializer| codec::dumps(object, serializer));
            let why = |raised: PyErr| {
                format!("a value of type `{}` cannot be encoded as `{}`: {}", type_name(object), codec.name(), raised.value(object.py())).into()
            };
            Form { codec, bytes: bytes.map_err(why) }
        });
        Value::live(object::live(object), self.size(object)).with_forms(forms.collect())
    }
}

fn type_name(object: &Bound<'_, PyAny>) -> String {
    object.get_type().fully_qualified_name().map_or_else(|_| "?".into(), |name| name.to_string())
}

/// A chain, the flights over it, and a default policy.
#[pyclass(frozen, subclass, weakref, module = "undercroft._native")]
pub struct Cache {
    pub(crate) shared: Arc<Shared>,
    tiers: Vec<Tier>,
    faults: Vec<(String, undercroft::engine::layers::Faults)>,
}

fn key(py: Python<'_>, text: &str) -> PyResult<Key> {
    raise(py, Key::new(text))
}

fn forever(seconds: f64) -> u64 {
    if seconds == f64::INFINITY { FOREVER } else { engine::time::from_seconds(seconds.max(0.0)).unwrap_or(0) }
}

impl Cache {
    fn from_opened(cache: engine::Cache, serializers: Vec<Arc<Serializer>>, tiers: Vec<Tier>, faults: Vec<(String, engine::layers::Faults)>) -> Self {
        process::register(&cache);
        let sized = cache.chain().near().is_some_and(|tier| tier.near.limits().max_bytes.is_some());
        Self { shared: Arc::new(Shared { cache, serializers, sized }), tiers, faults }
    }

    fn cache(&self) -> engine::Cache {
        self.shared.cache.clone()
    }

    /// Returns the value of a fresh entry; corrupt bytes are a miss.
    fn fresh_value(&self, py: Python<'_>, key: &Key, entry: Option<Entry>) -> PyResult<Option<Py<PyAny>>> {
        let now = self.shared.cache.env().clock.wall();
        match entry.filter(|entry| now < entry.life.fresh_until) {
            Some(entry) => self.or_distrust(py, key, &entry.tier, decode_and_attach(py, &entry, &self.shared, key)),
            None => Ok(None),
        }
    }

    fn or_distrust<T>(&self, py: Python<'_>, key: &Key, tier: &str, decoded: PyResult<T>) -> PyResult<Option<T>> {
        match decoded {
            Ok(value) => Ok(Some(value)),
            Err(raised) if raised.is_instance_of::<pyo3::exceptions::PyException>(py) => {
                let error = engine::Error::new(engine::Code::Corrupt, raised.value(py).to_string());
                self.shared.cache.distrust(key, tier, &error);
                Ok(None)
            }
            Err(raised) => Err(raised),
        }
    }
}

#[pymethods]
impl Cache {
    /// Makes a cache over tiers, nearest first. Memory in front is the near tier.
    #[new]
    #[pyo3(signature = (tiers, policy = None))]
    fn new(py: Python<'_>, tiers: Vec<Tier>, policy: Option<Policy>) -> PyResult<Self> {
        let near = tiers.first().and_then(|tier| tier.near(0));
        let skip = usize::from(near.is_some());
        let far = tiers.iter().enumerate().skip(skip).map(|(at, tier)| tier.far(at)).collect();
        let chain = raise(py, Chain::new(near, far))?;
        let policy = policy.map(|policy| policy.0).unwrap_or_default();
        let cache = raise(py, engine::Cache::new(chain, policy, undercroft_native::env()))?;
        let serializers = tiers.iter().map(|tier| tier.serializer().clone()).collect();
        Ok(Self::from_opened(cache, serializers, tiers, Vec::new()))
    }

    /// Opens a configuration, given as text in a `syntax` (`json`, `yaml` or `toml`).
    #[staticmethod]
    #[pyo3(signature = (text, syntax = "json", *, clock = None, faults = false))]
    fn open(py: Python<'_>, text: &str, syntax: &str, clock: Option<&ManualClock>, faults: bool) -> PyResult<Self> {
        let format = raise(py, Format::of(&format!(".{syntax}")))?;
        let config = raise(py, Config::parse(text, format, &|name| std::env::var(name).ok()))?;
        let env = match clock {
            Some(clock) => engine::Env { clock: Arc::new(clock.0.clone()), random: Arc::new(engine::manual::Middle), ..undercroft_native::env() },
            None => undercroft_native::env(),
        };
        let opened = py.detach(|| undercroft::open(&config, &env, &Options { faults }));
        let opened = raise(py, opened)?;
        let faults = opened.faults.into_iter().map(|(name, faults)| (name.to_string(), faults)).collect();
        Ok(Self::from_opened(opened.cache, Vec::new(), Vec::new(), faults))
    }

    /// The tiers it was made of.
    #[getter]
    fn tiers(&self) -> Vec<Tier> {
        self.tiers.clone()
    }

    /// The names of the tiers, nearest first.
    #[getter]
    fn tier_names(&self) -> Vec<String> {
        self.shared.cache.chain().counts().map(|(name, _)| name.to_string()).collect()
    }

    /// The default policy.
    #[getter]
    fn policy(&self) -> Policy {
        Policy(*self.shared.cache.policy())
    }

    /// The faults of a far tier, for tests.
    fn faults(&self, tier: &str) -> Option<Faults> {
        self.faults.iter().find(|(name, _)| name == tier).map(|(_, faults)| Faults(faults.clone()))
    }

    /// Begins a read that ends in a value.
    #[pyo3(signature = (key, ask, lineage = Vec::new()))]
    fn begin(&self, py: Python<'_>, key: &str, ask: &Ask, lineage: Vec<u64>) -> PyResult<Found> {
        let (cache, key, ask) = (self.cache(), self::key(py, key)?, ask.with_lineage(lineage));
        let outcome = wait(py, async { cache.begin(&key, &ask).await })?;
        Found::of(py, outcome, &self.shared, &key)
    }

    /// Like `begin`, as an awaitable.
    #[pyo3(signature = (key, ask, lineage = Vec::new()))]
    fn begin_async(&self, py: Python<'_>, key: &str, ask: &Ask, lineage: Vec<u64>) -> PyResult<Py<PyAny>> {
        let (cache, key, ask, shared) = (self.cache(), self::key(py, key)?, ask.with_lineage(lineage), self.shared.clone());
        let of = key.clone();
        awaitable(py, async move { cache.begin(&of, &ask).await }, move |py, outcome: Outcome| {
            Ok(Py::new(py, Found::of(py, outcome, &shared, &key)?)?.into_any())
        })
    }

    /// Looks far before a stale entry is loaded again. Returns a hit, or a miss with the lease.
    fn resume(&self, py: Python<'_>, lease: &Lease, ask: &Ask) -> PyResult<Found> {
        let (cache, lease) = (self.cache(), lease.take(py)?);
        let key = lease.key().clone();
        match wait(py, async { cache.resume(lease, &ask.0).await })? {
            Resumed::Fresh(entry) => Ok(Found::entry("hit", entry, &self.shared, &key)),
            Resumed::Load(lease) => Found::loadable(py, lease, &self.shared, &key),
        }
    }

    /// Like `resume`, as an awaitable.
    fn resume_async(&self, py: Python<'_>, lease: &Lease, ask: &Ask) -> PyResult<Py<PyAny>> {
        let (cache, lease, ask, shared) = (self.cache(), lease.take(py)?, ask.0.clone(), self.shared.clone());
        let key = lease.key().clone();
        awaitable(py, async move { cache.resume(lease, &ask).await }, move |py, resumed| {
            let found = match resumed {
                Resumed::Fresh(entry) => Found::entry("hit", entry, &shared, &key),
                Resumed::Load(lease) => Found::loadable(py, lease, &shared, &key)?,
            };
            Ok(Py::new(py, found)?.into_any())
        })
    }

    /// Takes the lease on a key, unless another caller has it.
    fn claim(&self, py: Python<'_>, key: &str) -> PyResult<Option<Lease>> {
        let key = self::key(py, key)?;
        Ok(self.shared.cache.claim(&key).map(|lease| Lease::new(lease, &self.shared)))
    }

    /// Puts the value a lease stands for, and ends the flight.
    fn fulfil(&self, py: Python<'_>, lease: &Lease, value: &Bound<'_, PyAny>, ask: &Ask) -> PyResult<Found> {
        let (cache, value, lease) = (self.cache(), self.shared.value(value), lease.take(py)?);
        let key = lease.key().clone();
        let entry = wait(py, async { cache.fulfil_with(lease, value, &ask.0).await })?;
        Ok(Found::entry("hit", entry, &self.shared, &key))
    }

    /// Like `fulfil`, as an awaitable.
    fn fulfil_async(&self, py: Python<'_>, lease: &Lease, value: &Bound<'_, PyAny>, ask: &Ask) -> PyResult<Py<PyAny>> {
        let (cache, value, lease, ask, shared) = (self.cache(), self.shared.value(value), lease.take(py)?, ask.0.clone(), self.shared.clone());
        let key = lease.key().clone();
        awaitable(py, async move { cache.fulfil_with(lease, value, &ask).await }, move |py, entry| {
            Ok(Py::new(py, Found::entry("hit", entry, &shared, &key))?.into_any())
        })
    }

    /// Ends a lease whose load failed. Returns what to serve instead, if there is something.
    fn fail(&self, py: Python<'_>, lease: &Lease) -> PyResult<Option<Found>> {
        let (cache, lease) = (self.cache(), lease.take(py)?);
        let key = lease.key().clone();
        Ok(py.detach(|| cache.fail(lease)).map(|entry| Found::entry("stale", entry, &self.shared, &key)))
    }

    /// Says how many seconds the caller that loads waits before it asks `overdue`.
    fn patience(&self, lease: &Lease, ask: &Ask) -> Option<f64> {
        let millis = lease.with(|lease| self.shared.cache.patience(lease, &ask.0.policy))??;
        Some(millis as f64 / 1000.0)
    }

    /// Says what to do whose load has taken `waited` seconds: a value to serve, seconds to wait on, or `None` (for ever).
    ///
    /// Raises `Timeout` when the caller is to give up.
    fn overdue(&self, py: Python<'_>, lease: &Lease, ask: &Ask, waited: f64) -> PyResult<Py<PyAny>> {
        let key = self::key(py, lease.key_text())?;
        let waited = engine::time::from_seconds(waited.max(0.0)).unwrap_or(0);
        match self.shared.cache.overdue(&key, lease.spare_entry(), &ask.0.policy, waited) {
            Overdue::Serve(entry) => Ok(Py::new(py, Found::entry("stale", entry, &self.shared, &key))?.into_any()),
            Overdue::Wait(None) => Ok(py.None()),
            Overdue::Wait(Some(millis)) => Ok((millis as f64 / 1000.0).into_pyobject(py)?.into_any().unbind()),
            Overdue::Fail(error) => Err(exception(py, &error)),
        }
    }

    /// Takes note that the copy of a tier could not be decoded.
    fn distrust(&self, py: Python<'_>, key: &str, tier: &str, why: &str) -> PyResult<()> {
        let key = self::key(py, key)?;
        self.shared.cache.distrust(&key, tier, &engine::Error::new(engine::Code::Corrupt, why));
        Ok(())
    }

    /// Returns the entry under a key if it may be served at all.
    #[pyo3(signature = (key, skip = Vec::new()))]
    fn entry(&self, py: Python<'_>, key: &str, skip: Vec<String>) -> PyResult<Option<Found>> {
        let (cache, key) = (self.cache(), self::key(py, key)?);
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
        let (cache, key, shared) = (self.cache(), self::key(py, key)?, self.shared.clone());
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
        let cache = &self.shared.cache;
        if let Some(held) = cache.peek(key)
            && held.value.object().is_some()
        {
            return decode(py, &held.value, &self.shared);
        }
        let key = self::key(py, key)?;
        let entry = wait(py, async { cache.get(&key).await })?;
        Ok(self.fresh_value(py, &key, entry)?.or(default).unwrap_or_else(|| py.None()))
    }

    /// Puts a value into every tier. `ttl` in seconds; `None` means for ever, zero stores nothing.
    #[pyo3(signature = (key, value, policy = None))]
    fn put(&self, py: Python<'_>, key: &str, value: &Bound<'_, PyAny>, policy: Option<Policy>) -> PyResult<()> {
        let (cache, key, value) = (self.cache(), self::key(py, key)?, self.shared.value(value));
        wait(py, async { cache.put(&key, value, policy.map(|policy| policy.0).as_ref()).await })
    }

    /// Like `put`, as an awaitable.
    #[pyo3(signature = (key, value, policy = None))]
    fn put_async(&self, py: Python<'_>, key: &str, value: &Bound<'_, PyAny>, policy: Option<Policy>) -> PyResult<Py<PyAny>> {
        let (cache, key, value) = (self.cache(), self::key(py, key)?, self.shared.value(value));
        awaitable(py, async move { cache.put(&key, value, policy.map(|policy| policy.0).as_ref()).await }, |py, ()| Ok(py.None()))
    }

    /// Puts a value for `ttl` seconds; zero, less and `None` mean for ever, as the storage protocol says.
    #[pyo3(signature = (key, value, ttl = None))]
    fn set(&self, py: Python<'_>, key: &str, value: &Bound<'_, PyAny>, ttl: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let (cache, key, value) = (self.cache(), self::key(py, key)?, self.shared.value(value));
        let ask = storage_ask(ttl)?;
        wait(py, async { cache.put(&key, value, Some(&ask)).await })
    }

    /// Like `set`, as an awaitable.
    #[pyo3(signature = (key, value, ttl = None))]
    fn set_async(&self, py: Python<'_>, key: &str, value: &Bound<'_, PyAny>, ttl: Option<&Bound<'_, PyAny>>) -> PyResult<Py<PyAny>> {
        let (cache, key, value, policy) = (self.cache(), self::key(py, key)?, self.shared.value(value), storage_ask(ttl)?);
        awaitable(py, async move { cache.put(&key, value, Some(&policy)).await }, |py, ()| Ok(py.None()))
    }

    /// Puts a value with its own deadlines, in seconds since the epoch.
    fn set_life(&self, py: Python<'_>, key: &str, value: &Bound<'_, PyAny>, created_at: f64, fresh_until: f64, stale_until: f64) -> PyResult<()> {
        let (cache, key, value) = (self.cache(), self::key(py, key)?, self.shared.value(value));
        let life = Life { created_at: forever(created_at), fresh_until: forever(fresh_until), stale_until: forever(stale_until) };
        wait(py, async { cache.put_with(&key, value, life, &cache.ask()).await })
    }

    /// Puts a value only if the key is absent; the furthest tier decides.
    #[pyo3(signature = (key, value, policy))]
    fn put_if_absent(&self, py: Python<'_>, key: &str, value: &Bound<'_, PyAny>, policy: Policy) -> PyResult<bool> {
        let (cache, key, value) = (self.cache(), self::key(py, key)?, self.shared.value(value));
        wait(py, async { cache.put_if_absent(&key, value, Some(&policy.0)).await })
    }

    /// Like `put_if_absent`, as an awaitable.
    #[pyo3(signature = (key, value, policy))]
    fn put_if_absent_async(&self, py: Python<'_>, key: &str, value: &Bound<'_, PyAny>, policy: Policy) -> PyResult<Py<PyAny>> {
        let (cache, key, value) = (self.cache(), self::key(py, key)?, self.shared.value(value));
        awaitable(py, async move { cache.put_if_absent(&key, value, Some(&policy.0)).await }, |py, stored| {
            Ok(stored.into_pyobject(py)?.to_owned().into_any().unbind())
        })
    }

    /// Says whether a servable entry is under a key.
    fn exists(&self, py: Python<'_>, key: &str) -> PyResult<bool> {
        let (cache, key) = (self.cache(), self::key(py, key)?);
        wait(py, async { cache.exists(&key).await })
    }

    /// Like `exists`, as an awaitable.
    fn exists_async(&self, py: Python<'_>, key: &str) -> PyResult<Py<PyAny>> {
        let (cache, key) = (self.cache(), self::key(py, key)?);
        awaitable(py, async move { cache.exists(&key).await }, |py, exists| Ok(exists.into_pyobject(py)?.to_owned().into_any().unbind()))
    }

    /// Deletes a key from every tier.
    fn delete(&self, py: Python<'_>, key: &str) -> PyResult<()> {
        let (cache, key) = (self.cache(), self::key(py, key)?);
        wait(py, async { cache.delete(&key).await })
    }

    /// Like `delete`, as an awaitable. The work begins at once.
    fn delete_async(&self, py: Python<'_>, key: &str) -> PyResult<Py<PyAny>> {
        let (cache, key) = (self.cache(), self::key(py, key)?);
        awaitable(py, async move { cache.delete(&key).await }, |py, ()| Ok(py.None()))
    }

    /// Marks a key as stale: it is served on, and refreshed by the next caller.
    fn expire(&self, py: Python<'_>, key: &str) -> PyResult<()> {
        let (cache, key) = (self.cache(), self::key(py, key)?);
        wait(py, async { cache.expire(&key).await })
    }

    /// Like `expire`, as an awaitable. The work begins at once.
    fn expire_async(&self, py: Python<'_>, key: &str) -> PyResult<Py<PyAny>> {
        let (cache, key) = (self.cache(), self::key(py, key)?);
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

    /// How many entries and bytes the near tier holds, and its limits: `(entries, bytes, max_entries, max_bytes)`.
    ///
    /// Where the tier does not count bytes itself, the objects are measured now.
    #[pyo3(signature = (measure = true))]
    fn near_usage(&self, py: Python<'_>, measure: bool) -> Option<(usize, u64, u64, Option<u64>)> {
        let tier = self.shared.cache.chain().near()?;
        let limits = tier.near.limits();
        let bytes = if self.shared.sized || !measure {
            tier.near.bytes()
        } else {
            let size = |held: &engine::near::Held| {
                held.value.object().and_then(|live| object::of(py, live)).map_or(held.value.size(), |object| object::size(object.bind(py)))
            };
            tier.near.entries("").iter().map(|(key, held)| key.len() as u64 + size(held)).sum()
        };
        Some((tier.near.len(), bytes, limits.max_entries, limits.max_bytes))
    }

    /// The keys of the near tier that begin with `prefix`.
    #[pyo3(signature = (prefix = ""))]
    fn near_keys(&self, prefix: &str) -> Vec<String> {
        let now = self.shared.cache.env().clock.monotonic();
        let Some(tier) = self.shared.cache.chain().near() else { return Vec::new() };
        tier.near.entries(prefix).into_iter().filter(|(_, held)| held.is_servable(now)).map(|(key, _)| key.to_string()).collect()
    }

    /// How often each kind of event happened, and how often each tier answered, failed and was written.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let stats = PyDict::new(py);
        for kind in Kind::ALL {
            stats.set_item(kind.as_str(), self.shared.cache.events().count(*kind))?;
        }
        let tiers = PyDict::new(py);
        for (name, counts) in self.shared.cache.chain().counts() {
            let tier = PyDict::new(py);
            let read = |count: &std::sync::atomic::AtomicU64| count.load(std::sync::atomic::Ordering::Relaxed);
            tier.set_item("hits", read(&counts.hits))?;
            tier.set_item("errors", read(&counts.errors))?;
            tier.set_item("writes", read(&counts.writes))?;
            tiers.set_item(&**name, tier)?;
        }
        stats.set_item("tiers", tiers)?;
        stats.set_item("flights", self.shared.cache.flights().len())?;
        Ok(stats)
    }

    /// Calls `sink(kind, key, tier, message)` for every event that is not a hit.
    fn listen(&self, sink: Py<PyAny>) {
        self.shared.cache.events().listen(Arc::new(PySink { sink: Mutex::new(sink) }));
    }
}

/// Reads a ttl of the storage protocol, where zero and less mean no end.
fn storage_ask(ttl: Option<&Bound<'_, PyAny>>) -> PyResult<engine::Policy> {
    let ttl = ttl.map_or(Ok(None), |ttl| seconds(ttl, "ttl"))?.filter(|ttl| *ttl > 0);
    Ok(engine::Policy { ttl, ..engine::Policy::default() })
}

#[derive(Debug)]
struct PySink {
    sink: Mutex<Py<PyAny>>,
}

impl Sink for PySink {
    fn note(&self, event: &Event<'_>) {
        if event.kind == Kind::Hit {
            return;
        }
        let message = event.error.map(ToString::to_string);
        Python::try_attach(|py| {
            let sink = self.sink.lock().clone_ref(py);
            if let Err(raised) = sink.call1(py, (event.kind.as_str(), event.key, event.tier, message)) {
                raised.write_unraisable(py, None);
            }
        });
    }
}
