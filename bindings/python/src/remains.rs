//! When what left the near tiers is dropped: by whoever holds the interpreter's lock.
//!
//! A hit looks at an entry without a lock or a count of its own ([`engine::Near::glance`]). It does so with the
//! interpreter attached, and takes its own reference to the object before anything else can run. So a thread that is
//! attached itself knows that no other thread is in the middle of that. Where Python has no such lock, nobody glances.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, Ordering},
};

use pyo3::prelude::*;
use undercroft::engine::near::Remains;
use undercroft_native::gate;

use crate::visits::Visit;

static REMAINS: OnceLock<Arc<Remains>> = OnceLock::new();

/// Returns where the near tiers of this process leave what they remove, if they can be glanced at.
pub(crate) fn remains() -> Option<Arc<Remains>> {
    if cfg!(Py_GIL_DISABLED) { None } else { Some(REMAINS.get_or_init(|| Remains::new(ask)).clone()) }
}

/// Drops what waits. Called wherever a thread comes back to Python; usually there is nothing.
#[inline]
pub(crate) fn release(_py: Python<'_>) {
    if let Some(remains) = REMAINS.get()
        && remains.is_waiting()
    {
        // SAFETY: this thread holds the interpreter's lock, and is not glancing.
        unsafe { remains.release() };
    }
}

/// Whether the interpreter ends.
static ENDS: AtomicBool = AtomicBool::new(false);

/// Has nothing dropped in the background any more.
pub(crate) fn end() {
    ENDS.store(true, Ordering::SeqCst);
}

/// Called after a sweep in the background. Outside the gate: a thread that forks holds the interpreter.
fn ask() {
    let _visit = Visit::begin();
    // Looked at as a visitor: the end waits for those who came before it.
    if !ENDS.load(Ordering::SeqCst) {
        gate::outside(|| Python::try_attach(release));
    }
}
