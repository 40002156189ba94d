//! The clock of hits: the monotonic time in milliseconds, in memory that JavaScript reads like a variable.
//!
//! Asking the system for the time takes longer than the rest of a hit. So while hits come, a thread writes the time down every few
//! milliseconds; when none come it writes "never" and rests, and the next read asks the core, which wakes it.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, Thread},
    time::Duration,
};

/// The time, and whether somebody has read it: two `f64`, as bits.
static CELL: [AtomicU64; 2] = [AtomicU64::new(f64::INFINITY.to_bits()), AtomicU64::new(0)];
static RUNS: AtomicBool = AtomicBool::new(false);

const TICK: Duration = Duration::from_millis(2);
/// How many ticks nobody reads before the thread rests.
const IDLE: u32 = 50;

/// How much earlier JavaScript stops to serve by itself, in milliseconds: the clock lags by a tick, and by what the scheduler takes.
/// From then on the core is asked, whose clock is exact. On a machine where the thread has to wait longer than this for its turn, a hit
/// may come later than its entry's end by the rest.
pub(crate) const MARGIN: u64 = 8;

/// Returns where the time is written.
pub(crate) fn cell() -> *mut f64 {
    CELL.as_ptr().cast::<f64>().cast_mut()
}

/// Has the time written from now on.
pub(crate) fn wake() {
    if RUNS.load(Ordering::Relaxed) || RUNS.swap(true, Ordering::AcqRel) {
        return;
    }
    static THREAD: OnceLock<Option<Thread>> = OnceLock::new();
    let thread = THREAD.get_or_init(|| {
        let spawned = thread::Builder::new().name("undercroft-clock".into()).stack_size(64 * 1024).spawn(tick);
        // Without the thread the clock says "never", and every hit asks the core.
        spawned.ok().map(|handle| handle.thread().clone())
    });
    if let Some(thread) = thread {
        thread.unpark();
    }
}

fn tick() {
    let clock = undercroft_native::env().clock;
    let mut idle = 0;
    loop {
        CELL[0].store((clock.monotonic() as f64).to_bits(), Ordering::Relaxed);
        thread::sleep(TICK);
        idle = if CELL[1].swap(0, Ordering::Relaxed) == 0 { idle + 1 } else { 0 };
        if idle > IDLE {
            CELL[0].store(f64::INFINITY.to_bits(), Ordering::Relaxed);
            RUNS.store(false, Ordering::Release);
            while !RUNS.load(Ordering::Acquire) {
                thread::park();
            }
            idle = 0;
        }
    }
}
