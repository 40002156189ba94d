//! Sweeping: what has ended leaves memory without being asked for.
//!
//! The cache sweeps when the first of its entries ends, and then again, but never so often that it shows: a sweep looks
//! at every entry. Nothing runs while nothing in memory can end.

use std::{
    pin::Pin,
    sync::atomic::{AtomicU64, Ordering},
};

use super::{Cache, WeakCache};
use crate::{
    error::Result,
    time::{FOREVER, Millis},
};

/// The shortest time between two sweeps, and what comes to it for every entry, in milliseconds.
const PAUSE: Millis = 1_000;
const PAUSE_EACH: f64 = 0.01;
/// The longest sleep: what is left of a cache that is gone does not stay for as long as its entries would have lived.
const LONGEST: Millis = 60_000;

/// When the cache sweeps next, on the monotonic clock; [`FOREVER`] while it has no need to.
#[derive(Debug)]
pub(super) struct Sweeps {
    next: AtomicU64,
    /// When the last sweep is far enough behind for another one.
    not_before: AtomicU64,
}

impl Default for Sweeps {
    fn default() -> Self {
        Self { next: AtomicU64::new(FOREVER), not_before: AtomicU64::new(0) }
    }
}

impl Sweeps {
    /// Forgets what was planned, because the thread that was to do it does not exist in this process (after a fork).
    pub(super) fn forget(&self) {
        self.next.store(FOREVER, Ordering::SeqCst);
    }
}

impl Cache {
    /// Removes what can never be served again from every tier, and says how many there were.
    ///
    /// # Errors
    /// The first failure of a far tier, after all were asked.
    pub async fn sweep(&self) -> Result<u64> {
        self.check_open()?;
        let (clock, chain) = (&self.inner.env.clock, &self.inner.chain);
        let mut count = chain.near().map_or(0, |tier| tier.near.sweep(clock.monotonic()));
        let mut failed = None;
        for tier in chain.far() {
            match tier.store.sweep(clock.wall()).await {
                Ok(swept) => count += swept,
                Err(error) => failed = failed.or(Some(error.at(&tier.name))),
            }
        }
        failed.map_or(Ok(count), Err)
    }

    /// Plans the next sweep, if an entry ends before the one that is planned.
    pub(super) fn sweep_in_time(&self) {
        let Some(tier) = self.inner.chain.near() else { return };
        let sweeps = &self.inner.sweeps;
        let at = tier.near.ends_at().max(sweeps.not_before.load(Ordering::Relaxed));
        if at >= sweeps.next.load(Ordering::Relaxed).saturating_sub(PAUSE) {
            return;
        }
        let now = self.inner.env.clock.monotonic();
        let at = at.clamp(now + PAUSE, now + LONGEST);
        let before = sweeps.next.fetch_min(at, Ordering::SeqCst);
        if at < before {
            let (cache, sleep) = (self.downgrade(), self.inner.env.clock.sleep(at - now));
            self.inner.env.spawn.spawn(Box::pin(sweep_after(sleep, at, cache)));
        }
    }
}

async fn sweep_after(sleep: Pin<Box<dyn Future<Output = ()> + Send>>, at: Millis, cache: WeakCache) {
    sleep.await;
    let Some(cache) = cache.upgrade() else { return };
    let inner = &cache.inner;
    // One that was planned for earlier has taken this one's place.
    if inner.sweeps.next.compare_exchange(at, FOREVER, Ordering::SeqCst, Ordering::SeqCst).is_err() || cache.is_closed() {
        return;
    }
    let Some(tier) = inner.chain.near() else { return };
    if tier.near.ends_at() <= inner.env.clock.monotonic() {
        tier.near.sweep(inner.env.clock.monotonic());
        let pause = (tier.near.len() as f64 * PAUSE_EACH) as Millis;
        inner.sweeps.not_before.store(inner.env.clock.monotonic() + pause, Ordering::Relaxed);
    }
    cache.sweep_in_time();
}
