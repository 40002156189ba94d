//! What a look found, and the lease that may come with it.

use std::sync::Arc;

use parking_lot::Mutex;
use pyo3::{exceptions::PyException, prelude::*, sync::PyOnceLock};
use undercroft::engine::{self, Entry, Key, Value, time::FOREVER};
use undercroft_native::gate;

use crate::{cache::Shared, codec, errors::exception, object};

/// The right, and duty, to end a flight with a value. Dropping it hands it to the next waiter.
#[pyclass(frozen, module = "undercroft._native")]
pub struct Lease {
    inner: Mutex<Option<engine::Lease>>,
    spare: Option<Entry>,
    shared: Arc<Shared>,
    key: Key,
    flight: u64,
}

impl Lease {
    pub(crate) fn new(lease: engine::Lease, shared: &Arc<Shared>) -> Self {
        Self { key: lease.key().clone(), flight: lease.flight(), spare: lease.spare().cloned(), inner: Mutex::new(Some(lease)), shared: shared.clone() }
    }

    /// Takes the lease out: it ends once.
    pub(crate) fn take(&self, py: Python<'_>) -> PyResult<engine::Lease> {
        self.inner.lock().take().ok_or_else(|| {
            let message = format!("the lease on `{}` has already ended", self.key);
            exception(py, &engine::Error::new(engine::Code::LeaseLost, message))
        })
    }

    pub(crate) fn key_text(&self) -> &str {
        &self.key
    }

    pub(crate) fn spare_entry(&self) -> Option<&Entry> {
        self.spare.as_ref()
    }

    pub(crate) fn with<T>(&self, work: impl FnOnce(&engine::Lease) -> T) -> Option<T> {
        self.inner.lock().as_ref().map(work)
    }
}

#[pymethods]
impl Lease {
    /// The key to produce.
    #[getter]
    fn key(&self) -> &str {
        &self.key
    }

    /// The number of the flight, for callers inside the loader.
    #[getter]
    fn flight(&self) -> u64 {
        self.flight
    }

    /// Whether it was superseded by a delete or a put.
    #[getter]
    fn revoked(&self) -> bool {
        self.with(engine::Lease::is_revoked).unwrap_or(true)
    }

    /// The old entry, if there was one.
    #[getter]
    fn spare(&self) -> Option<Found> {
        self.spare.clone().map(|entry| Found::entry("stale", entry, &self.shared, &self.key))
    }

    /// Gives the lease up: the next waiter gets it.
    fn drop(&self, py: Python<'_>) {
        let lease = self.inner.lock().take();
        // Under locks, so inside the gate: another thread may fork meanwhile.
        py.detach(|| {
            let _gate = gate::enter();
            drop(lease);
        });
    }

    fn __repr__(&self) -> String {
        format!("<Lease on `{}`>", self.key)
    }
}

/// What a look found: a state, the value with its deadlines, and perhaps a lease.
#[pyclass(frozen, module = "undercroft._native")]
pub struct Found {
    state: &'static str,
    entry: Option<Entry>,
    lease: Option<Py<Lease>>,
    shared: Arc<Shared>,
    key: Key,
    decoded: PyOnceLock<Py<PyAny>>,
}

impl Found {
    pub(crate) fn entry(state: &'static str, entry: Entry, shared: &Arc<Shared>, key: &Key) -> Self {
        Self { state, entry: Some(entry), lease: None, shared: shared.clone(), key: key.clone(), decoded: PyOnceLock::new() }
    }

    pub(crate) fn of(py: Python<'_>, outcome: engine::Outcome, shared: &Arc<Shared>, key: &Key) -> PyResult<Self> {
        let wrap = |lease: Option<engine::Lease>| lease.map(|lease| Py::new(py, Lease::new(lease, shared))).transpose();
        let (state, entry, lease) = match outcome {
            engine::Outcome::Hit(entry, lease) => ("hit", Some(entry), wrap(lease)?),
            engine::Outcome::Stale(entry, lease) => ("stale", Some(entry), wrap(lease)?),
            engine::Outcome::Miss(lease) => ("miss", None, wrap(Some(lease))?),
        };
        Ok(Self { state, entry, lease, shared: shared.clone(), key: key.clone(), decoded: PyOnceLock::new() })
    }

    pub(crate) fn loadable(py: Python<'_>, lease: engine::Lease, shared: &Arc<Shared>, key: &Key) -> PyResult<Self> {
        let lease = Some(Py::new(py, Lease::new(lease, shared))?);
        Ok(Self { state: "miss", entry: None, lease, shared: shared.clone(), key: key.clone(), decoded: PyOnceLock::new() })
    }
}

impl Found {
    pub(crate) fn decoded_value(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let Some(entry) = &self.entry else { return Ok(py.None()) };
        let value = self.decoded.get_or_try_init(py, || decode_and_attach(py, entry, &self.shared, &self.key))?;
        Ok(value.clone_ref(py))
    }
}

/// Returns the Python object of an entry; the near copy keeps what had to be decoded.
///
/// # Errors
/// As [`decode`].
pub(crate) fn decode_and_attach(py: Python<'_>, entry: &Entry, shared: &Shared, key: &Key) -> PyResult<Py<PyAny>> {
    let object = decode(py, &entry.value, shared)?;
    if entry.value.object().is_none() && shared.cache.chain().near().is_some() {
        let size = shared.size(object.bind(py));
        shared.cache.attach(key, &entry.life, &object::value(object.bind(py), size));
        crate::remains::release(py);
    }
    Ok(object)
}

/// Returns the Python object of a value, decoding it where it is bytes.
///
/// # Errors
/// `Corrupt` when the bytes are not what their codec says; `Unsupported` when Python has no such codec.
pub(crate) fn decode(py: Python<'_>, value: &Value, shared: &Shared) -> PyResult<Py<PyAny>> {
    if let Some(object) = value.object().and_then(|live| object::of(py, live)) {
        return Ok(object);
    }
    let Some((codec, bytes)) = value.encoded() else {
        return Err(exception(py, &engine::Error::new(engine::Code::Internal, "an entry without a value")));
    };
    let decoded = shared.serializer(codec).and_then(|serializer| codec::loads(py, bytes, serializer));
    decoded.map(Bound::unbind).map_err(|raised| {
        if !raised.is_instance_of::<PyException>(py) {
            return raised;
        }
        let message = format!("a value cannot be decoded from `{}`: {}", codec.name(), raised.value(py));
        let corrupt = exception(py, &engine::Error::new(engine::Code::Corrupt, message));
        corrupt.set_cause(py, Some(raised));
        corrupt
    })
}

#[pymethods]
impl Found {
    /// `hit`, `stale` or `miss`.
    #[getter]
    fn state(&self) -> &'static str {
        self.state
    }

    /// Whether there is a value.
    #[getter]
    fn has_value(&self) -> bool {
        self.entry.is_some()
    }

    /// The value; decoded once, and the near copy keeps the decoded object.
    #[getter]
    fn value(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.decoded_value(py)
    }

    /// The lease, if this caller is the one to load.
    #[getter]
    fn lease(&self, py: Python<'_>) -> Option<Py<Lease>> {
        self.lease.as_ref().map(|lease| lease.clone_ref(py))
    }

    /// The name of the tier that answered.
    #[getter]
    fn tier(&self) -> Option<&str> {
        self.entry.as_ref().map(|entry| &*entry.tier)
    }

    /// When the value was made, in seconds since the epoch.
    #[getter]
    fn created_at(&self) -> Option<f64> {
        self.entry.as_ref().map(|entry| seconds(entry.life.created_at))
    }

    /// Until when it is fresh, in seconds since the epoch.
    #[getter]
    fn fresh_until(&self) -> Option<f64> {
        self.entry.as_ref().map(|entry| seconds(entry.life.fresh_until))
    }

    /// Until when it may be served, in seconds since the epoch.
    #[getter]
    fn stale_until(&self) -> Option<f64> {
        self.entry.as_ref().map(|entry| seconds(entry.life.stale_until))
    }

    /// Whether it is fresh now.
    #[getter]
    fn is_fresh(&self) -> bool {
        let now = self.shared.cache.env().clock.wall();
        self.entry.as_ref().is_some_and(|entry| now < entry.life.fresh_until)
    }

    fn __repr__(&self) -> String {
        format!("<Found {} `{}`>", self.state, self.key)
    }
}

fn seconds(millis: u64) -> f64 {
    if millis == FOREVER { f64::INFINITY } else { millis as f64 / 1000.0 }
}
