//! A clock that stands still until it is advanced.

use std::{
    sync::atomic::{AtomicI64, AtomicU64, Ordering},
    time::Duration,
};

use undercroft_host::Clock;

/// The wall-clock time at which it starts: 2026-01-01T00:00:00Z.
pub const START: u64 = 1_767_225_600_000;

/// A clock that stands still until it is advanced.
#[derive(Debug, Default)]
pub struct ManualClock {
    elapsed: AtomicU64,
    wall_offset: AtomicI64,
}

impl ManualClock {
    /// Lets `millis` pass on both clocks.
    pub fn advance(&self, millis: u64) {
        self.elapsed.fetch_add(millis, Ordering::SeqCst);
    }

    /// Steps the wall clock alone.
    pub fn step_wall(&self, millis: i64) {
        self.wall_offset.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn wall(&self) -> Duration {
        let elapsed = self.elapsed.load(Ordering::SeqCst);
        Duration::from_millis((START + elapsed).saturating_add_signed(self.wall_offset.load(Ordering::SeqCst)))
    }

    fn monotonic(&self) -> Duration {
        // Not from zero: a machine has been running for a while.
        Duration::from_millis(1_000_000 + self.elapsed.load(Ordering::SeqCst))
    }
}
