//! What was taken out of a near tier, and when it may be dropped.
//!
//! Dropping a host's object may run the host's code, so nothing is dropped under a lock. Where readers look without
//! the lock ([`super::Near::glance`]), it must also wait until none of them can still be looking. Only the host knows when
//! that is: in Python, whoever holds the interpreter's lock knows that no other reader does.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use parking_lot::Mutex;

use super::{held::Held, table::Buckets};

/// What one change took out. Whoever gets it decides when it is dropped.
#[derive(Default)]
#[must_use = "dropping it may run the host's code"]
pub struct Removed {
    /// Most changes take out one entry.
    first: Option<Held>,
    rest: Vec<Held>,
    #[expect(clippy::vec_box, reason = "readers may be looking at them where they are")]
    tables: Vec<Box<Buckets>>,
}

impl Removed {
    pub(super) fn add(&mut self, held: Held) {
        if self.first.is_none() {
            self.first = Some(held);
        } else {
            self.rest.push(held);
        }
    }

    pub(super) fn table(&mut self, outgrown: Option<Box<Buckets>>) {
        self.tables.extend(outgrown);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none() && self.rest.is_empty() && self.tables.is_empty()
    }

    fn join(&mut self, other: Removed) {
        self.rest.extend(other.first);
        self.rest.extend(other.rest);
        self.tables.extend(other.tables);
    }
}

/// Where what was taken out waits until the host says that nobody is looking at it.
#[derive(Default)]
pub struct Remains {
    waits: AtomicBool,
    waiting: Mutex<Removed>,
    ask: Option<Box<dyn Fn() + Send + Sync>>,
}

impl Remains {
    /// Makes an empty place. `ask` is called, with no lock held, when something waits and nobody is at work who will
    /// release it anyway.
    pub fn new(ask: impl Fn() + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { ask: Some(Box::new(ask)), ..Self::default() })
    }

    /// Says whether something waits.
    pub fn is_waiting(&self) -> bool {
        self.waits.load(Ordering::Relaxed)
    }

    /// Drops what waits.
    ///
    /// # Safety
    /// No reader is between [`super::Near::glance`] and its last look at the answer. Readers who begin afterwards do no
    /// harm: what waits can no longer be found.
    pub unsafe fn release(&self) {
        let released = {
            let mut waiting = self.waiting.lock();
            self.waits.store(false, Ordering::Relaxed);
            std::mem::take(&mut *waiting)
        };
        drop(released);
    }

    pub(super) fn take(&self, removed: Removed) {
        if !removed.is_empty() {
            self.waiting.lock().join(removed);
            self.waits.store(true, Ordering::Relaxed);
        }
    }

    pub(super) fn ask(&self) {
        if let Some(ask) = self.ask.as_ref().filter(|_| self.is_waiting()) {
            ask();
        }
    }
}

impl fmt::Debug for Removed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Removed").field("is_empty", &self.is_empty()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Remains {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remains").field("is_waiting", &self.is_waiting()).finish_non_exhaustive()
    }
}
