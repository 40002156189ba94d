//! What the engine needs from outside: clocks, HTTP, chance, and somewhere to run things.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use futures_channel::oneshot;

use crate::{
    error::{Code, Error, Result},
    http::Http,
    time::Millis,
};

/// A future that owns what it needs.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send + 'static>>;

/// Tells the time, in milliseconds, and waits for it to pass.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// Returns the time since the Unix epoch. Shared tiers use it; it may step.
    fn wall(&self) -> Millis;

    /// Returns a time that never steps. The near tier uses it.
    fn monotonic(&self) -> Millis;

    /// Returns [`Clock::monotonic`], read as cheaply as the system can: it may lag by a scheduler tick.
    fn coarse(&self) -> Millis {
        self.monotonic()
    }

    /// Returns [`Clock::wall`], read as cheaply, with the same lag as [`Clock::coarse`].
    fn coarse_wall(&self) -> Millis {
        self.wall()
    }

    /// Completes after `millis`.
    fn sleep(&self, millis: Millis) -> BoxFuture<()>;
}

/// Runs things beside the caller.
pub trait Spawn: fmt::Debug + Send + Sync + 'static {
    /// Runs `task` to its end, beside the caller.
    fn spawn(&self, task: BoxFuture<()>);

    /// Runs `work`, which may block, where blocking harms nobody.
    fn block(&self, work: Box<dyn FnOnce() + Send>);

    /// Says whether the calling thread may itself block: then work need not move.
    fn may_block(&self) -> bool;
}

/// Draws numbers for jitter. Nothing secret comes from here.
pub trait Random: fmt::Debug + Send + Sync + 'static {
    /// Returns a number in `0.0..1.0`.
    fn unit(&self) -> f64;
}

/// Everything the engine asks of the world.
#[derive(Clone, Debug)]
pub struct Env {
    /// The clocks.
    pub clock: Arc<dyn Clock>,
    /// What sends requests.
    pub http: Arc<dyn Http>,
    /// Where tasks and blocking work run.
    pub spawn: Arc<dyn Spawn>,
    /// Chance, for jitter and backoff.
    pub random: Arc<dyn Random>,
}

impl Env {
    /// Runs blocking `work` and returns its answer: here when the thread may block, elsewhere when not.
    ///
    /// # Errors
    /// `internal` when `work` panicked elsewhere.
    pub async fn blocking<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        if self.spawn.may_block() {
            return Ok(work());
        }
        self.elsewhere(work).await
    }

    /// Runs blocking `work` away from the calling thread, which can then stop waiting for it.
    ///
    /// # Errors
    /// As [`Env::blocking`].
    pub async fn elsewhere<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let (answer, waiting) = oneshot::channel();
        self.spawn.block(Box::new(move || {
            let _nobody_waits_any_more = answer.send(work());
        }));
        waiting.await.map_err(|_| Error::new(Code::Internal, "blocking work ended without an answer"))
    }

    /// Waits for `future`, but no longer than `limit`; `None` means that time ran out.
    pub async fn within<F: Future>(&self, limit: Option<Millis>, future: F) -> Option<F::Output> {
        let Some(limit) = limit else {
            return Some(future.await);
        };
        let mut future = std::pin::pin!(future);
        let mut timer = None;
        std::future::poll_fn(|cx| {
            if let std::task::Poll::Ready(output) = future.as_mut().poll(cx) {
                return std::task::Poll::Ready(Some(output));
            }
            // The timer is made only when there is something to wait for: most answers are there at once.
            timer.get_or_insert_with(|| self.clock.sleep(limit)).as_mut().poll(cx).map(|()| None)
        })
        .await
    }
}
