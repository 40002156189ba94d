//! One runtime per process id. A forked child makes its own; the parent's is leaked there, never dropped.

use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use tokio::runtime::{Builder, Handle, Runtime};
use undercroft::engine::Env;

use crate::clock::{SystemClock, SystemRandom, TokioSpawn};

static RUNTIME: Mutex<Option<(u32, &'static Runtime)>> = Mutex::new(None);

/// Returns the runtime of this process.
pub(crate) fn handle() -> Handle {
    let mut runtime = RUNTIME.lock();
    let process = std::process::id();
    if let Some((owner, runtime)) = &*runtime
        && *owner == process
    {
        return runtime.handle().clone();
    }
    let made = Builder::new_multi_thread()
        .worker_threads(std::thread::available_parallelism().map_or(2, |n| n.get().clamp(2, 8)))
        .thread_name("undercroft")
        .enable_time()
        .build()
        .expect("a process that cannot start threads cannot run a cache");
    // Leaked on purpose: a runtime must not be dropped where its threads do not exist.
    let made: &'static Runtime = Box::leak(Box::new(made));
    *runtime = Some((process, made));
    made.handle().clone()
}

/// Returns the environment of this process: system clocks, tokio, chance.
pub fn env() -> Env {
    static ENV: OnceLock<Env> = OnceLock::new();
    ENV.get_or_init(|| Env { clock: Arc::new(SystemClock), spawn: Arc::new(TokioSpawn), random: Arc::new(SystemRandom::new()) }).clone()
}
