//! Again: a part of a large object is tried again by itself, so that a fault does not cost all of it.

use undercroft_engine::{Env, Error, Result, time::Millis};

const TRIES: u32 = 3;
const BACKOFF: Millis = 50;
/// A service that asks for a longer wait is not waited for.
const LONGEST: Millis = 2_000;

/// Runs `attempt` up to three times while it fails with what may pass.
pub(crate) async fn again<T, F: Future<Output = Result<T>>>(env: &Env, attempt: impl Fn() -> F) -> Result<T> {
    let mut tries = 0;
    loop {
        match attempt().await {
            Ok(done) => return Ok(done),
            Err(error) => pause(env, error, &mut tries).await?,
        }
    }
}

/// Waits before another attempt.
///
/// # Errors
/// `error` itself, when it will not pass or there were enough attempts.
pub(crate) async fn pause(env: &Env, error: Error, tries: &mut u32) -> Result<()> {
    *tries += 1;
    let asked = error.wait_asked().unwrap_or(0);
    if !error.retryable() || *tries >= TRIES || asked > LONGEST {
        return Err(error);
    }
    let longest = (BACKOFF << *tries) as f64;
    env.clock.sleep(((longest * env.random.unit()) as Millis).max(asked)).await;
    Ok(())
}
