//! Sweeping: what has ended leaves memory without being asked for.
//!
//! The tier is swept when the first of its entries ends, and then again, but never so often that it shows: a sweep looks at
//! every entry. Nothing runs while nothing in memory can end.

use std::{
    pin::Pin,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use super::Near;
use crate::{
    env::Env,
    time::{FOREVER, Millis},
};

/// The shortest time between two sweeps, and what comes to it for every entry, in milliseconds.
const PAUSE: Millis = 1_000;
const PAUSE_EACH: f64 = 0.01;
/// The longest sleep: what is left of a tier that is gone does not stay for as long as its entries would have lived.
const LONGEST: Millis = 60_000;
/// A sweep that is so late does not come any more: its thread is not in this process (after a fork).
const LATE: Millis = 5_000;

/// When the tier is swept next, on the monotonic clock; [`FOREVER`] while there is no need to.
#[derive(Debug)]
pub(super) struct Plan {
    next: AtomicU64,
    /// When the last sweep is far enough behind for another one.
    not_before: AtomicU64,
}

impl Default for Plan {
    fn default() -> Self {
        Self { next: AtomicU64::new(FOREVER), not_before: AtomicU64::new(0) }
    }
}

impl Near {
    /// Plans the next sweep, if an entry ends before the one that is planned. `now` is on the monotonic clock.
    pub fn sweep_in_time(self: &Arc<Self>, env: &Env, now: Millis) {
        let at = self.ends_at().max(self.plan.not_before.load(Ordering::Relaxed));
        let next = self.plan.next.load(Ordering::Relaxed);
        let is_planned = at >= next.saturating_sub(PAUSE) && now <= next.saturating_add(LATE);
        if is_planned || self.ends_at() == FOREVER {
            return;
        }
        let at = at.clamp(now + PAUSE, now + LONGEST);
        if self.plan.next.compare_exchange(next, at, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
            let sleep = env.clock.sleep(at - now);
            env.spawn.spawn(Box::pin(sweep_after(sleep, at, Arc::downgrade(self), env.clone())));
        }
    }

    /// Forgets what was planned, because the thread that was to do it does not exist in this process (after a fork).
    pub fn forget_sweep(&self) {
        self.plan.next.store(FOREVER, Ordering::SeqCst);
    }
}

async fn sweep_after(sleep: Pin<Box<dyn Future<Output = ()> + Send>>, at: Millis, near: Weak<Near>, env: Env) {
    sleep.await;
    let Some(near) = near.upgrade() else { return };
    // One that was planned for earlier has taken this one's place.
    if near.plan.next.compare_exchange(at, FOREVER, Ordering::SeqCst, Ordering::SeqCst).is_err() {
        return;
    }
    if near.ends_at() <= env.clock.monotonic() {
        near.sweep(env.clock.monotonic());
        let pause = (near.len() as f64 * PAUSE_EACH) as Millis;
        near.plan.not_before.store(env.clock.monotonic() + pause, Ordering::Relaxed);
    }
    near.sweep_in_time(&env, env.clock.monotonic());
}
