//! Waiting: futures that wait for the host's pollables and clock, and what blocks until one of them is ready.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    future::Future,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use undercroft::engine::{Spawn, env::BoxFuture, time::Millis};

use super::clock;
use crate::bindings::wasi::{
    clocks::monotonic_clock,
    io::poll::{self, Pollable},
};

/// Who waits for what. An instance has one thread.
#[derive(Default)]
struct Reactor {
    next: u64,
    events: BTreeMap<u64, (Pollable, Waker)>,
    timers: BTreeMap<(Millis, u64), Waker>,
    tasks: Vec<Task>,
}

thread_local! {
    static REACTOR: RefCell<Reactor> = RefCell::default();
}

fn with<T>(work: impl FnOnce(&mut Reactor) -> T) -> T {
    REACTOR.with_borrow_mut(work)
}

/// A task beside the callers. It goes on while one of them is inside.
struct Task {
    future: BoxFuture<()>,
    woken: Arc<Woken>,
}

/// Whether a future has something to do.
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn woken() -> Arc<Woken> {
    Arc::new(Woken(AtomicBool::new(true)))
}

/// Blocks this instance until `future` is ready.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    tick();
    // Most are ready at once.
    if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        return output;
    }
    let main = woken();
    let waker = Waker::from(main.clone());
    loop {
        if main.0.swap(false, Ordering::Relaxed)
            && let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker))
        {
            return output;
        }
        run_tasks();
        let is_idle = || with(|reactor| reactor.tasks.iter().all(|task| !task.woken.0.load(Ordering::Relaxed)));
        if !main.0.load(Ordering::Relaxed) && is_idle() {
            wait();
        }
    }
}

/// Lets tasks go on whose time has come.
fn tick() {
    let has_timers = with(|reactor| !reactor.timers.is_empty());
    if has_timers {
        wake_timers();
        run_tasks();
    }
}

fn run_tasks() {
    // Taken out while they run: a task may start another one.
    let mut tasks = with(|reactor| std::mem::take(&mut reactor.tasks));
    tasks.retain_mut(|task| {
        if !task.woken.0.swap(false, Ordering::Relaxed) {
            return true;
        }
        let waker = Waker::from(task.woken.clone());
        task.future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending()
    });
    with(|reactor| reactor.tasks.append(&mut tasks));
}

/// Blocks until something that somebody waits for has happened.
fn wait() {
    let first = with(|reactor| reactor.timers.keys().next().map(|(until, _)| *until));
    let timer = first.map(|until| monotonic_clock::subscribe_duration(until.saturating_sub(clock::monotonic()).saturating_mul(1_000_000)));
    let happened = with(|reactor| {
        let ids: Vec<u64> = reactor.events.keys().copied().collect();
        let mut pollables: Vec<&Pollable> = reactor.events.values().map(|(pollable, _)| pollable).collect();
        pollables.extend(timer.as_ref());
        assert!(!pollables.is_empty(), "a call waits for nothing that could happen");
        let ready = poll::poll(&pollables);
        ready.iter().filter_map(|at| ids.get(*at as usize).copied()).collect::<Vec<u64>>()
    });
    for id in happened {
        if let Some((_, waker)) = with(|reactor| reactor.events.remove(&id)) {
            waker.wake();
        }
    }
    wake_timers();
}

fn wake_timers() {
    let now = clock::monotonic();
    while let Some(waker) = with(|reactor| {
        let first = reactor.timers.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }) {
        waker.wake();
    }
}

/// Has `waker` woken when `pollable` is ready; returns what names it.
#[cfg(feature = "object")]
pub(super) fn watch(pollable: Pollable, waker: &Waker) -> u64 {
    with(|reactor| {
        reactor.next += 1;
        reactor.events.insert(reactor.next, (pollable, waker.clone()));
        reactor.next
    })
}

/// Says whether this has not happened yet, and has `waker` woken when it does.
#[cfg(feature = "object")]
pub(super) fn is_watched(id: u64, waker: &Waker) -> bool {
    with(|reactor| reactor.events.get_mut(&id).map(|(_, known)| known.clone_from(waker)).is_some())
}

/// Waits no longer for this.
#[cfg(feature = "object")]
pub(super) fn forget(id: u64) {
    drop(with(|reactor| reactor.events.remove(&id)));
}

/// Waits for a time on the monotonic clock.
pub(super) struct Sleep {
    until: Millis,
    id: Option<u64>,
}

impl Sleep {
    pub(super) fn until(until: Millis) -> Self {
        Self { until, id: None }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if clock::monotonic() >= self.until {
            return Poll::Ready(());
        }
        let (until, known) = (self.until, self.id);
        self.id = Some(with(|reactor| {
            reactor.next += 1;
            let id = known.unwrap_or(reactor.next);
            reactor.timers.insert((until, id), cx.waker().clone());
            id
        }));
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            drop(with(|reactor| reactor.timers.remove(&(self.until, id))));
        }
    }
}

/// Keeps tasks for when a caller is inside.
#[derive(Debug)]
pub(super) struct Tasks;

impl Spawn for Tasks {
    fn spawn(&self, future: BoxFuture<()>) {
        let task = Task { future, woken: woken() };
        with(|reactor| reactor.tasks.push(task));
        // Once, so that it is known what it waits for.
        run_tasks();
    }

    fn block(&self, work: Box<dyn FnOnce() + Send>) {
        work();
    }

    fn may_block(&self) -> bool {
        true
    }
}
