//! Threads of ours that are in Python, or on their way there.
//!
//! An interpreter that ends ends such a thread wherever it waits for the lock, and with it the process: so the end waits
//! for them.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use pyo3::prelude::*;
use undercroft::engine::{Code, Error, Result};
use undercroft_native::gate;

/// A number and not a lock: see `undercroft_native::gate`.
static UNDER_WAY: AtomicUsize = AtomicUsize::new(0);

/// One thread's stay in Python.
pub(crate) struct Visit(());

impl Visit {
    pub(crate) fn begin() -> Self {
        UNDER_WAY.fetch_add(1, Ordering::SeqCst);
        Self(())
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        // Not below zero: a forked child has forgotten the visits of its parent, and may itself come out of one.
        let _was_zero = UNDER_WAY.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |visits| visits.checked_sub(1));
    }
}

/// Runs `work` in Python, outside the fork gate: it calls the user's code, which may fork.
///
/// # Errors
/// As `work`; `closed` when the interpreter is shutting down.
pub(crate) fn visit_python<T>(work: impl FnOnce(Python<'_>) -> Result<T>) -> Result<T> {
    let _visit = Visit::begin();
    gate::outside(|| Python::try_attach(work).unwrap_or_else(|| Err(Error::new(Code::Closed, "the interpreter is shutting down"))))
}

/// Waits until nobody is there, with the interpreter released.
pub(crate) fn wait_for_all() {
    while UNDER_WAY.load(Ordering::SeqCst) > 0 {
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Forgets those of the parent of a forked child.
pub(crate) fn forget() {
    UNDER_WAY.store(0, Ordering::SeqCst);
}
