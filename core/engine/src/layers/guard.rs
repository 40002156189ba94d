//! Guard: a timeout, retries with full jitter, and a circuit breaker around a store.

use std::{future::Future, sync::Arc};

use async_trait::async_trait;
use parking_lot::Mutex;

use super::Layer;
use crate::{
    env::Env,
    error::{Code, Error, Result},
    key::Key,
    store::{Meta, Object, Page, Put, PutMode, Store, StoreInfo, Want},
    time::Millis,
};

/// How a store is guarded. Zero or `None` turns a part off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guard {
    /// The longest one attempt may take.
    pub timeout: Option<Millis>,
    /// How often a retryable failure is tried again.
    pub retries: u32,
    /// The longest wait before the first retry; it doubles with each. The wait is drawn from zero to this (full jitter).
    pub backoff: Millis,
    /// After how many failures in a row the store is left alone.
    pub breaker: u32,
    /// For how long it is left alone, until one call may try it again.
    pub cooldown: Millis,
}

impl Default for Guard {
    fn default() -> Self {
        Self { timeout: None, retries: 0, backoff: 50, breaker: 0, cooldown: 5_000 }
    }
}

impl Layer for Guard {
    fn wrap(&self, inner: Arc<dyn Store>, env: &Env) -> Arc<dyn Store> {
        Arc::new(Guarded { guard: *self, inner, env: env.clone(), breaker: Mutex::default() })
    }
}

#[derive(Debug, Default)]
struct Breaker {
    failures: u32,
    open_until: Option<Millis>,
    /// Whether a call is trying the store again.
    trying: bool,
}

#[derive(Debug)]
struct Guarded {
    guard: Guard,
    inner: Arc<dyn Store>,
    env: Env,
    breaker: Mutex<Breaker>,
}

/// Clears the mark of a trying call that was cancelled before it ended.
struct Trying<'a>(Option<&'a Mutex<Breaker>>);

impl Drop for Trying<'_> {
    fn drop(&mut self) {
        if let Some(breaker) = self.0 {
            breaker.lock().trying = false;
        }
    }
}

impl Guarded {
    async fn call<T, F: Future<Output = Result<T>>>(&self, attempt: impl Fn() -> F) -> Result<T> {
        let mut tries = 0;
        loop {
            let trying = self.admit()?;
            let answer = match self.env.within(self.guard.timeout, attempt()).await {
                Some(answer) => answer,
                None => Err(Error::new(Code::Timeout, format!("no answer within {} ms", self.guard.timeout.unwrap_or(0)))),
            };
            drop(trying);
            self.record(answer.as_ref().err());
            match answer {
                Err(error) if error.retryable() && tries < self.guard.retries => {
                    let longest = self.guard.backoff.saturating_mul(1 << tries.min(16));
                    self.env.clock.sleep((longest as f64 * self.env.random.unit()) as Millis).await;
                    tries += 1;
                }
                answer => return answer,
            }
        }
    }

    fn admit(&self) -> Result<Trying<'_>> {
        if self.guard.breaker == 0 {
            return Ok(Trying(None));
        }
        let now = self.env.clock.monotonic();
        let mut breaker = self.breaker.lock();
        match breaker.open_until {
            None => Ok(Trying(None)),
            Some(until) if now >= until && !breaker.trying => {
                breaker.trying = true;
                Ok(Trying(Some(&self.breaker)))
            }
            Some(_) => Err(Error::new(Code::Unavailable, format!("left alone after {} failures in a row", breaker.failures))),
        }
    }

    fn record(&self, error: Option<&Error>) {
        if self.guard.breaker == 0 {
            return;
        }
        let mut breaker = self.breaker.lock();
        if error.is_some_and(Error::retryable) {
            breaker.failures += 1;
            if breaker.failures >= self.guard.breaker {
                breaker.open_until = Some(self.env.clock.monotonic().saturating_add(self.guard.cooldown));
            }
        } else {
            *breaker = Breaker::default();
        }
    }
}

#[async_trait]
impl Store for Guarded {
    fn info(&self) -> StoreInfo {
        self.inner.info()
    }

    async fn head(&self, key: &Key) -> Result<Option<Meta>> {
        self.call(|| self.inner.head(key)).await
    }

    async fn get(&self, key: &Key, want: Want) -> Result<Option<Object>> {
        self.call(|| self.inner.get(key, want.clone())).await
    }

    async fn put(&self, key: &Key, object: Object, mode: PutMode) -> Result<Put> {
        self.call(|| self.inner.put(key, object.clone(), mode.clone())).await
    }

    async fn delete(&self, key: &Key) -> Result<()> {
        self.call(|| self.inner.delete(key)).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Page> {
        self.call(|| self.inner.list(prefix, after)).await
    }

    async fn clear(&self, prefix: &str) -> Result<u64> {
        self.inner.clear(prefix).await
    }

    async fn sweep(&self, now: Millis) -> Result<u64> {
        self.inner.sweep(now).await
    }

    async fn close(&self) -> Result<()> {
        self.inner.close().await
    }
}
