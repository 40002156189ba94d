//! One runtime per process id. A forked child makes its own; the parent's is leaked there, never dropped.

use std::{
    ptr,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicPtr, Ordering},
    },
};

use tokio::runtime::{Builder, Handle, Runtime};
use undercroft::engine::{Code, Env, Error, Result};

use crate::{
    clock::{SystemClock, SystemRandom, TokioSpawn},
    http::SystemHttp,
};

struct Owned {
    process: u32,
    runtime: Runtime,
}

/// A pointer and not a lock: a lock that another thread holds during a fork stays locked in the child.
static RUNTIME: AtomicPtr<Owned> = AtomicPtr::new(ptr::null_mut());

/// Returns the runtime of this process.
pub(crate) fn handle() -> Handle {
    let known = RUNTIME.load(Ordering::Acquire);
    let process = std::process::id();
    // SAFETY: the pointer is null or came from `Box::into_raw` below, and what it points to is never freed.
    if let Some(owned) = unsafe { known.as_ref() }
        && owned.process == process
    {
        return owned.runtime.handle().clone();
    }
    let runtime = Builder::new_multi_thread()
        .worker_threads(std::thread::available_parallelism().map_or(2, |n| n.get().clamp(2, 8)))
        .thread_name("undercroft")
        .enable_all()
        .build()
        .expect("a process that cannot start threads cannot run a cache");
    let handle = runtime.handle().clone();
    // Leaked on purpose: a runtime must not be dropped where its threads do not exist.
    let made = Box::into_raw(Box::new(Owned { process, runtime }));
    match RUNTIME.compare_exchange(known, made, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => handle,
        Err(_) => {
            // SAFETY: nobody else has seen this pointer.
            let superfluous = unsafe { Box::from_raw(made) };
            superfluous.runtime.shutdown_background();
            self::handle()
        }
    }
}

/// Runs what needs tokio on the runtime, whichever thread waits for it.
pub(crate) async fn on_runtime<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Result<T> {
    handle().spawn(work).await.map_err(|error| Error::new(Code::Internal, format!("work on the runtime ended without an answer: {error}")))
}

/// Returns the environment of this process: system clocks, reqwest, tokio, chance.
pub fn env() -> Env {
    static ENV: OnceLock<Env> = OnceLock::new();
    ENV.get_or_init(|| Env { clock: Arc::new(SystemClock), http: Arc::new(SystemHttp), spawn: Arc::new(TokioSpawn), random: Arc::new(SystemRandom::new()) })
        .clone()
}
