//! Reads that end in a value: begin, and how a lease ends.

use pyo3::prelude::*;
use undercroft::engine::{self, Outcome, Overdue, Resumed};
use undercroft_native::gate;

use super::Cache;
use crate::{
    arguments::Ask,
    bridge::{awaitable, wait},
    errors::exception,
    found::{Found, Lease},
    remains::release,
};

#[pymethods]
impl Cache {
    /// Begins a read that ends in a value.
    #[pyo3(signature = (key, ask, lineage = Vec::new()))]
    fn begin(&self, py: Python<'_>, key: &str, ask: &Ask, lineage: Vec<u64>) -> PyResult<Found> {
        let (cache, key, ask) = (self.cache(), super::key(py, key)?, ask.with_lineage(lineage));
        let outcome = wait(py, async { cache.begin(&key, &ask).await })?;
        Found::of(py, outcome, &self.shared, &key)
    }

    /// Like `begin`, as an awaitable.
    #[pyo3(signature = (key, ask, lineage = Vec::new()))]
    fn begin_async(&self, py: Python<'_>, key: &str, ask: &Ask, lineage: Vec<u64>) -> PyResult<Py<PyAny>> {
        let (cache, key, ask, shared) = (self.cache(), super::key(py, key)?, ask.with_lineage(lineage), self.shared.clone());
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
        let key = super::key(py, key)?;
        Ok(self.shared.cache.claim(&key).map(|lease| Lease::new(lease, &self.shared)))
    }

    /// Puts the value a lease stands for, and ends the flight.
    fn fulfil(&self, py: Python<'_>, lease: &Lease, value: &Bound<'_, PyAny>, ask: &Ask) -> PyResult<Found> {
        let (cache, value, lease) = (self.cache(), self.shared.value(value)?, lease.take(py)?);
        let key = lease.key().clone();
        let entry = wait(py, async { cache.fulfil_with(lease, value, &ask.0).await })?;
        Ok(Found::entry("hit", entry, &self.shared, &key))
    }

    /// Like `fulfil`, as an awaitable.
    fn fulfil_async(&self, py: Python<'_>, lease: &Lease, value: &Bound<'_, PyAny>, ask: &Ask) -> PyResult<Py<PyAny>> {
        let (cache, value, lease, ask, shared) = (self.cache(), self.shared.value(value)?, lease.take(py)?, ask.0.clone(), self.shared.clone());
        let key = lease.key().clone();
        awaitable(py, async move { cache.fulfil_with(lease, value, &ask).await }, move |py, entry| {
            Ok(Py::new(py, Found::entry("hit", entry, &shared, &key))?.into_any())
        })
    }

    /// Ends a lease whose load failed. Returns what to serve instead, if there is something.
    fn fail(&self, py: Python<'_>, lease: &Lease) -> PyResult<Option<Found>> {
        let (cache, lease) = (self.cache(), lease.take(py)?);
        let key = lease.key().clone();
        let spare = py.detach(|| {
            // Under locks, so inside the gate: another thread may fork meanwhile.
            let _gate = gate::enter();
            cache.fail(lease)
        });
        Ok(spare.map(|entry| Found::entry("stale", entry, &self.shared, &key)))
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
        let key = super::key(py, lease.key_text())?;
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
        let key = super::key(py, key)?;
        self.shared.cache.distrust(&key, tier, &engine::Error::new(engine::Code::Corrupt, why));
        release(py);
        Ok(())
    }
}
