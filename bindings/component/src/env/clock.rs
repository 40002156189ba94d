//! The host's clocks, and its chance.

use undercroft::engine::{Clock, Random, env::BoxFuture, time::Millis};

use super::reactor::Sleep;
use crate::bindings::wasi::{
    clocks::{monotonic_clock, wall_clock},
    random::insecure,
};

#[derive(Debug)]
pub(super) struct WasiClock;

/// Returns the host's monotonic clock in milliseconds.
pub(super) fn monotonic() -> Millis {
    monotonic_clock::now() / 1_000_000
}

impl Clock for WasiClock {
    fn wall(&self) -> Millis {
        let now = wall_clock::now();
        now.seconds * 1_000 + u64::from(now.nanoseconds) / 1_000_000
    }

    fn monotonic(&self) -> Millis {
        monotonic()
    }

    fn sleep(&self, millis: Millis) -> BoxFuture<()> {
        Box::pin(Sleep::until(monotonic().saturating_add(millis)))
    }
}

#[derive(Debug)]
pub(super) struct WasiRandom;

impl Random for WasiRandom {
    fn unit(&self) -> f64 {
        // The upper 53 bits are what a double holds.
        (insecure::get_insecure_random_u64() >> 11) as f64 / (1u64 << 53) as f64
    }
}
