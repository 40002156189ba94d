//! From futures to callers: at once where possible, by blocking, or in the background.

use std::{
    cell::Cell,
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

use undercroft::engine::{Code, Error, Result};

use crate::{gate, runtime};

thread_local! {
    static MAY_BLOCK: Cell<bool> = const { Cell::new(false) };
}

pub(crate) fn may_block() -> bool {
    MAY_BLOCK.with(Cell::get)
}

/// Polls inside the fork gate, with panics caught: they become `internal`.
fn poll_inside<T, F: Future<Output = Result<T>>>(future: Pin<&mut F>, cx: &mut Context<'_>, may_block: bool) -> Poll<Result<T>> {
    let _gate = gate::enter();
    let before = MAY_BLOCK.with(|flag| flag.replace(may_block));
    let polled = catch_unwind(AssertUnwindSafe(|| future.poll(cx)));
    MAY_BLOCK.with(|flag| flag.set(before));
    polled.unwrap_or_else(|panic| {
        let message = panic.downcast_ref::<&str>().map(|text| (*text).to_owned()).or_else(|| panic.downcast_ref::<String>().cloned());
        Poll::Ready(Err(Error::new(Code::Internal, format!("panic: {}", message.unwrap_or_default()))))
    })
}

/// A future that goes on without its caller: it is polled, and dropped, inside the gate.
struct Gated<F>(Option<Pin<Box<F>>>);

impl<F> Drop for Gated<F> {
    fn drop(&mut self) {
        // A future that is dropped leaves queues and hands leases on, under locks. The thread may hold the interpreter,
        // which a fork under way needs: so it does not wait here.
        let _gate = gate::try_enter();
        drop(self.0.take());
    }
}

impl<T, F: Future<Output = Result<T>>> Future for Gated<F> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T>> {
        poll_inside(self.0.as_mut().expect("only dropping takes it").as_mut(), cx, false)
    }
}

/// Blocks the calling thread until `future` is ready. Blocking work runs on this very thread.
///
/// # Errors
/// As `future`; `internal` when it panicked.
pub fn wait<T, F: Future<Output = Result<T>>>(future: F) -> Result<T> {
    let mut future = pin!(future);
    // Most answers are there at the first poll: the runtime is entered only to wait.
    if let Poll::Ready(output) = poll_inside(future.as_mut(), &mut Context::from_waker(Waker::noop()), true) {
        return output;
    }
    runtime::handle().block_on(poll_fn(|cx| poll_inside(future.as_mut(), cx, true)))
}

/// Blocks the calling thread until `future` is ready, which runs on the runtime, beside what it waits for.
///
/// # Errors
/// As `future`; `internal` when it panicked.
pub fn wait_on_runtime<T: Send + 'static, F: Future<Output = Result<T>> + Send + 'static>(future: F) -> Result<T> {
    match attempt(future) {
        Ready::Now(answer) => answer,
        Ready::Later(rest) => {
            let runtime = runtime::handle();
            let task = runtime.spawn(rest);
            runtime.block_on(task).unwrap_or_else(|error| Err(Error::new(Code::Internal, format!("the work ended without an answer: {error}"))))
        }
    }
}

/// What one poll on the calling thread gave.
pub enum Ready<T> {
    /// The answer.
    Now(Result<T>),
    /// The rest of the work, which needs the runtime.
    Later(Pin<Box<dyn Future<Output = Result<T>> + Send>>),
}

/// Polls `future` once on the calling thread, which must not block.
pub fn attempt<T: 'static, F: Future<Output = Result<T>> + Send + 'static>(future: F) -> Ready<T> {
    let mut gated = Gated(Some(Box::pin(future)));
    match Pin::new(&mut gated).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Ready::Now(output),
        Poll::Pending => Ready::Later(Box::pin(gated)),
    }
}

/// Runs `task` on the runtime, and returns what stops it.
pub fn run_detached(task: impl Future<Output = ()> + Send + 'static) -> tokio::task::AbortHandle {
    runtime::handle().spawn(task).abort_handle()
}
