//! What a cache holds, what happened in it, and who is told.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;
use pyo3::{prelude::*, types::PyDict};
use undercroft::engine::{self, Event, Kind, Sink, Usage};
use undercroft_native::gate;

use super::Cache;
use crate::object;

#[pymethods]
impl Cache {
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
                held.value().object().and_then(|live| object::of(py, live)).map_or(held.size(), |object| object::size(object.bind(py)))
            };
            tier.near.entries("").iter().map(|held| held.key().len() as u64 + size(held)).sum()
        };
        Some((tier.near.len(), bytes, limits.max_entries, limits.max_bytes))
    }

    /// The keys of the near tier that begin with `prefix`.
    #[pyo3(signature = (prefix = ""))]
    fn near_keys(&self, prefix: &str) -> Vec<String> {
        let now = self.shared.cache.env().clock.monotonic();
        let Some(tier) = self.shared.cache.chain().near() else { return Vec::new() };
        tier.near.entries(prefix).into_iter().filter(|held| held.is_servable(now)).map(|held| held.key().to_owned()).collect()
    }

    /// How often each kind of event happened, and how often each tier answered, failed and was written.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let stats = PyDict::new(py);
        let glances = &self.shared.glances;
        for kind in Kind::ALL {
            let glanced = match kind {
                Kind::Hit => glances.fresh(),
                Kind::Stale => glances.stale(),
                _ => 0,
            };
            stats.set_item(kind.as_str(), self.shared.cache.events().count(*kind) + glanced)?;
        }
        // What a glance found was in the near tier, which is the first.
        let mut glanced = glances.fresh() + glances.stale();
        let tiers = PyDict::new(py);
        for (name, counts) in self.shared.cache.chain().counts() {
            let tier = PyDict::new(py);
            let read = |count: &std::sync::atomic::AtomicU64| count.load(std::sync::atomic::Ordering::Relaxed);
            tier.set_item("hits", read(&counts.hits) + std::mem::take(&mut glanced))?;
            tier.set_item("errors", read(&counts.errors))?;
            tier.set_item("writes", read(&counts.writes))?;
            if let Some(usage) = self.shared.cache.chain().usage(name) {
                set_usage(&tier, &usage)?;
            }
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

/// Writes what a tier was asked and what it carried.
fn set_usage(tier: &Bound<'_, PyDict>, usage: &Usage) -> PyResult<()> {
    tier.set_item("requests", usage.requests.iter().filter(|(_, count)| **count > 0).collect::<HashMap<_, _>>())?;
    tier.set_item("bytes_sent", usage.sent)?;
    tier.set_item("bytes_received", usage.received)?;
    tier.set_item("cost", usage.cost)?;
    tier.set_item("retries", usage.retries)?;
    tier.set_item("timeouts", usage.timeouts)?;
    tier.set_item("refused", usage.refused)?;
    tier.set_item("opened", usage.opened)
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
        // Outside the gate: the listener is the user's code, and may fork.
        gate::outside(|| {
            Python::try_attach(|py| {
                let sink = self.sink.lock().clone_ref(py);
                if let Err(raised) = sink.call1(py, (event.kind.as_str(), event.key, event.tier, message)) {
                    raised.write_unraisable(py, None);
                }
            })
        });
    }
}
