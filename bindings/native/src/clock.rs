//! The clocks of the system, and chance.

use std::{
    future::poll_fn,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use undercroft::engine::{Clock, Random, env::BoxFuture, time::Millis};

use crate::runtime;

#[derive(Debug)]
pub(crate) struct SystemClock;

fn read(clock: libc::clockid_t) -> Millis {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a `timespec` of our own. The call fails only for clocks that do not exist, and these do.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    time.tv_sec as u64 * 1000 + time.tv_nsec as u64 / 1_000_000
}

impl Clock for SystemClock {
    fn wall(&self) -> Millis {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as Millis)
    }

    fn monotonic(&self) -> Millis {
        read(libc::CLOCK_MONOTONIC)
    }

    #[cfg(target_os = "linux")]
    fn coarse(&self) -> Millis {
        read(libc::CLOCK_MONOTONIC_COARSE)
    }

    #[cfg(target_os = "linux")]
    fn coarse_wall(&self) -> Millis {
        read(libc::CLOCK_REALTIME_COARSE)
    }

    fn sleep(&self, millis: Millis) -> BoxFuture<()> {
        Box::pin(async move {
            let timer = {
                // Made at the first poll, with this process's runtime: the caller's thread need not belong to one.
                let handle = runtime::handle();
                let _entered = handle.enter();
                tokio::time::sleep(Duration::from_millis(millis))
            };
            timer.await;
        })
    }
}

/// A SplitMix64 generator: plenty for jitter and backoff.
#[derive(Debug)]
pub(crate) struct SystemRandom(AtomicU64);

impl SystemRandom {
    pub(crate) fn new() -> Self {
        let seed = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64);
        Self(AtomicU64::new(seed ^ u64::from(std::process::id()).rotate_left(32)))
    }
}

impl Random for SystemRandom {
    fn unit(&self) -> f64 {
        let mut z = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) as f64 / (u64::MAX as f64 + 1.0)
    }
}

#[derive(Debug)]
pub(crate) struct TokioSpawn;

impl undercroft::engine::Spawn for TokioSpawn {
    fn spawn(&self, mut task: BoxFuture<()>) {
        crate::bridge::run_detached(poll_fn(move |cx| {
            let _gate = crate::gate::enter();
            task.as_mut().poll(cx)
        }));
    }

    fn block(&self, work: Box<dyn FnOnce() + Send>) {
        runtime::handle().spawn_blocking(move || {
            let _gate = crate::gate::enter();
            work();
        });
    }

    fn may_block(&self) -> bool {
        crate::bridge::may_block()
    }
}
