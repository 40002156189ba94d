//! The fork gate: no thread is inside the engine while the process forks.
//!
//! Locks that another thread holds at the moment of a fork stay locked in the child for ever. Every poll of a future
//! and every piece of blocking work enters the gate; a fork closes it and waits for those inside to leave. They never
//! stay long: waiting happens between polls.
//!
//! The lock is the standard library's, on a futex of its own. `parking_lot` keeps all who wait in one table for the
//! whole process, under locks of their own, which a thread that is about to wait may hold while the process forks.

use std::{
    cell::RefCell,
    sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, TryLockError},
};

static GATE: RwLock<()> = RwLock::new(());

#[derive(Default)]
struct Stay {
    depth: u32,
    guard: Option<RwLockReadGuard<'static, ()>>,
}

thread_local! {
    static STAY: RefCell<Stay> = RefCell::default();
    static CLOSED: RefCell<Option<RwLockWriteGuard<'static, ()>>> = const { RefCell::new(None) };
}

/// A stay inside the gate.
#[derive(Debug)]
pub struct Inside(());

/// Enters, waiting while a fork is under way.
pub fn enter() -> Inside {
    enter_with(|| Some(GATE.read().unwrap_or_else(PoisonError::into_inner))).expect("waiting gives a guard")
}

/// Enters if no fork is under way; for those who must not wait.
pub(crate) fn try_enter() -> Option<Inside> {
    enter_with(|| match GATE.try_read() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    })
}

fn enter_with(lock: impl FnOnce() -> Option<RwLockReadGuard<'static, ()>>) -> Option<Inside> {
    STAY.with_borrow_mut(|stay| {
        if stay.depth == 0 {
            stay.guard = Some(lock()?);
        }
        stay.depth += 1;
        Some(Inside(()))
    })
}

impl Drop for Inside {
    fn drop(&mut self) {
        STAY.with_borrow_mut(|stay| {
            stay.depth -= 1;
            if stay.depth == 0 {
                stay.guard = None;
            }
        });
    }
}

/// Runs `work`, which calls the host, outside the gate: the host may fork.
pub fn outside<T>(work: impl FnOnce() -> T) -> T {
    let depth = STAY.with_borrow_mut(|stay| {
        stay.guard = None;
        std::mem::take(&mut stay.depth)
    });
    let result = work();
    if depth > 0 {
        let guard = GATE.read().unwrap_or_else(PoisonError::into_inner);
        STAY.with_borrow_mut(|stay| *stay = Stay { depth, guard: Some(guard) });
    }
    result
}

/// Closes the gate before a fork, waiting for those inside to leave.
pub fn close() {
    let guard = GATE.write().unwrap_or_else(PoisonError::into_inner);
    CLOSED.with_borrow_mut(|closed| *closed = Some(guard));
}

/// Opens the gate after a fork, in the parent and in the child: by the thread that closed it.
pub fn open() {
    CLOSED.with_borrow_mut(|closed| *closed = None);
}
