//! Again: a part of a large object is tried again by itself, so that a fault does not cost all of it.

use undercroft_engine::{Env, Result, time::Millis};

const TRIES: u32 = 3;
const BACKOFF: Millis = 50;

/// Runs `attempt` up to three times while it fails with what may pass.
pub(crate) async fn again<T, F: Future<Output = Result<T>>>(env: &Env, attempt: impl Fn() -> F) -> Result<T> {
    let mut tries = 1;
    loop {
        match attempt().await {
            Err(error) if error.retryable() && tries < TRIES => {
                let longest = (BACKOFF << tries) as f64;
                env.clock.sleep(((longest * env.random.unit()) as Millis).max(error.wait_asked().unwrap_or(0))).await;
                tries += 1;
            }
            outcome => return outcome,
        }
    }
}
