//! The fork gate: no thread is inside the engine while the process forks.
//!
//! Locks that another thread holds at the moment of a fork stay locked in the child for ever. Every poll of a future
//! and every piece of blocking work enters the gate; a fork closes it and waits for those inside to leave. They never
//! stay long: waiting happens between polls.

use std::cell::Cell;

use parking_lot::{RawRwLock, lock_api::RawRwLock as _};

static GATE: RawRwLock = RawRwLock::INIT;

thread_local! {
    static INSIDE: Cell<u32> = const { Cell::new(0) };
}

/// A stay inside the gate.
#[derive(Debug)]
pub struct Inside(());

/// Enters, waiting while a fork is under way.
pub fn enter() -> Inside {
    INSIDE.with(|inside| {
        if inside.get() == 0 {
            GATE.lock_shared();
        }
        inside.set(inside.get() + 1);
    });
    Inside(())
}

impl Drop for Inside {
    fn drop(&mut self) {
        INSIDE.with(|inside| {
            inside.set(inside.get() - 1);
            if inside.get() == 0 {
                // SAFETY: this thread holds the shared lock that its outermost `enter` took.
                unsafe { GATE.unlock_shared() };
            }
        });
    }
}

/// Runs `work`, which calls the host, outside the gate: the host may fork.
pub fn outside<T>(work: impl FnOnce() -> T) -> T {
    let depth = INSIDE.with(|inside| inside.replace(0));
    if depth > 0 {
        // SAFETY: this thread holds the shared lock that its outermost `enter` took.
        unsafe { GATE.unlock_shared() };
    }
    let result = work();
    if depth > 0 {
        GATE.lock_shared();
        INSIDE.with(|inside| inside.set(depth));
    }
    result
}

/// Closes the gate before a fork, waiting for those inside to leave.
pub fn close() {
    GATE.lock_exclusive();
}

/// Opens the gate after a fork, in the parent and in the child.
pub fn open() {
    // SAFETY: only called after `close`, by the same thread, which fork duplicated.
    unsafe { GATE.unlock_exclusive() };
}
