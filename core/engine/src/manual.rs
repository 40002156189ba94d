//! An [`Env`] for tests: time passes only when told to, and nothing runs beside the caller.

use std::{
    future::Future,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use parking_lot::Mutex;

use crate::{
    env::{BoxFuture, Clock, Env, Random, Spawn},
    http::NoHttp,
    time::Millis,
};

/// A clock that stands still until it is advanced.
#[derive(Debug)]
pub struct ManualClock {
    elapsed: AtomicU64,
    wall_offset: AtomicI64,
    sleepers: Mutex<Vec<Waker>>,
}

/// The wall-clock time at which every manual clock starts: 2026-01-01T00:00:00Z.
pub const START: Millis = 1_767_225_600_000;

impl Default for ManualClock {
    fn default() -> Self {
        Self { elapsed: AtomicU64::new(1_000_000), wall_offset: AtomicI64::new(0), sleepers: Mutex::default() }
    }
}

impl ManualClock {
    /// Lets `millis` pass on both clocks.
    pub fn advance(&self, millis: Millis) {
        self.elapsed.fetch_add(millis, Ordering::SeqCst);
        for sleeper in std::mem::take(&mut *self.sleepers.lock()) {
            sleeper.wake();
        }
    }

    /// Steps the wall clock alone, as an administrator or NTP may.
    pub fn step_wall(&self, millis: i64) {
        self.wall_offset.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for Arc<ManualClock> {
    fn wall(&self) -> Millis {
        let elapsed = self.elapsed.load(Ordering::SeqCst) - 1_000_000;
        START.saturating_add(elapsed).saturating_add_signed(self.wall_offset.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Millis {
        self.elapsed.load(Ordering::SeqCst)
    }

    fn sleep(&self, millis: Millis) -> BoxFuture<()> {
        Box::pin(Sleep { clock: self.clone(), until: self.monotonic().saturating_add(millis) })
    }
}

struct Sleep {
    clock: Arc<ManualClock>,
    until: Millis,
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.clock.monotonic() >= self.until {
            return Poll::Ready(());
        }
        self.clock.sleepers.lock().push(cx.waker().clone());
        // Time may have passed between the look and the registration.
        if self.clock.monotonic() >= self.until { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// Runs everything on the spot.
#[derive(Debug, Default)]
pub struct Inline;

impl Spawn for Inline {
    fn spawn(&self, task: BoxFuture<()>) {
        drop(poll_once(task));
    }

    fn block(&self, work: Box<dyn FnOnce() + Send>) {
        work();
    }

    fn may_block(&self) -> bool {
        true
    }
}

/// Always draws the middle.
#[derive(Debug, Default)]
pub struct Middle;

impl Random for Middle {
    fn unit(&self) -> f64 {
        0.5
    }
}

/// Makes an environment on `clock` that runs everything on the spot and has no network.
pub fn env(clock: &Arc<ManualClock>) -> Env {
    Env { clock: Arc::new(clock.clone()), http: Arc::new(NoHttp), spawn: Arc::new(Inline), random: Arc::new(Middle) }
}

/// Polls `future` once and returns its output, or the future when it has to wait.
///
/// # Errors
/// The future itself, when it is not ready.
pub fn poll_once<T>(mut future: Pin<Box<dyn Future<Output = T> + Send>>) -> Result<T, Pin<Box<dyn Future<Output = T> + Send>>> {
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Ok(output),
        Poll::Pending => Err(future),
    }
}

/// Blocks this thread until `future` is ready.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(std::thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        std::thread::park();
    }
}
