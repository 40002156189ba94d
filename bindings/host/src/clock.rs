//! The clocks an instance sees.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use wasmtime_wasi::{HostMonotonicClock, HostWallClock};

/// Tells the time. Tests bring their own.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// Returns the time since the Unix epoch.
    fn wall(&self) -> Duration;

    /// Returns the time since some moment, which never steps.
    fn monotonic(&self) -> Duration;
}

/// The clocks of the system.
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self { start: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn wall(&self) -> Duration {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO)
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }
}

/// A clock as wasmtime wants it.
pub(crate) struct Shown(pub(crate) Arc<dyn Clock>);

impl HostWallClock for Shown {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(1)
    }

    fn now(&self) -> Duration {
        self.0.wall()
    }
}

impl HostMonotonicClock for Shown {
    fn resolution(&self) -> u64 {
        1
    }

    fn now(&self) -> u64 {
        self.0.monotonic().as_nanos() as u64
    }
}
