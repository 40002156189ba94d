//! The life of the process: what `os.register_at_fork` and `atexit` call.

use parking_lot::Mutex;
use pyo3::prelude::*;
use undercroft::{
    Options,
    engine::{Cache, WeakCache},
};
use undercroft_native::gate;

use crate::{remains, visits};

static CACHES: Mutex<Vec<WeakCache>> = Mutex::new(Vec::new());

/// Remembers a cache, so that a forked child can make it usable.
pub(crate) fn register(cache: &Cache) {
    let mut caches = CACHES.lock();
    if caches.len() == caches.capacity() {
        caches.retain(|cache| cache.upgrade().is_some());
    }
    caches.push(cache.downgrade());
}

/// Returns how caches are opened in this process.
pub(crate) fn options() -> Options {
    Options { identities: Some(undercroft_native::identities()), variables: Some(|name| std::env::var(name).ok()), ..Options::default() }
}

/// Waits until no thread is inside the engine, and keeps them out.
#[pyfunction]
pub fn before_fork(py: Python<'_>) {
    py.detach(gate::close);
}

/// Lets threads in again.
#[pyfunction]
pub fn after_in_parent() {
    gate::open();
}

/// Lets threads in again, and forgets the flights of threads that do not exist here.
#[pyfunction]
pub fn after_in_child() {
    gate::open();
    visits::forget();
    for cache in CACHES.lock().iter().filter_map(WeakCache::upgrade) {
        cache.after_fork();
    }
}

/// Waits for users' stores that are being called, and has every store write what is still in memory, because the
/// interpreter ends. From then on nothing is dropped in the background.
#[pyfunction]
pub fn flush_all(py: Python<'_>) {
    py.detach(visits::wait_for_all);
    let caches: Vec<Cache> = CACHES.lock().iter().filter_map(WeakCache::upgrade).collect();
    for cache in caches {
        // A store that cannot write now mends itself when it is next opened; there is nobody left to tell.
        let _mended_later = crate::bridge::wait(py, async { cache.flush().await });
    }
    remains::end();
    py.detach(visits::wait_for_all);
}
