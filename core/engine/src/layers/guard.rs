//! Guard: a timeout, retries with full jitter, and a circuit breaker around a store.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;

use super::{
    Layer,
    breaker::{Breaker, Trying},
};
use crate::{
    entry::Life,
    env::Env,
    error::{Code, Error, Result},
    key::Key,
    store::{Meta, Object, Page, Put, PutMode, Store, StoreInfo, Want},
    time::Millis,
    usage::Usage,
};

/// How a store is guarded. Zero or `None` turns a part off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guard {
    /// The longest one attempt may take, and the time after which nothing is tried again. A store that bounds its own
    /// waiting ([`Capability::paced`](crate::Capability::paced)) is given it instead.
    pub timeout: Option<Millis>,
    /// How often a retryable failure is tried again.
    pub retries: u32,
    /// The longest wait before the first retry; it doubles with each. The wait is drawn from zero to this (full jitter),
    /// and is no shorter than the store asks for.
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

impl Guard {
    /// Guards a store on a network: what a caller who has a loader to fall back on would wait for.
    pub const fn remote() -> Self {
        Self { timeout: Some(5_000), retries: 3, backoff: 50, breaker: 10, cooldown: 5_000 }
    }
}

impl Layer for Guard {
    fn wrap(&self, inner: Arc<dyn Store>, env: &Env) -> Arc<dyn Store> {
        let breaker = Breaker::new(self.breaker, self.cooldown);
        Arc::new(Guarded { guard: *self, is_paced: inner.info().can.paced, inner, env: env.clone(), breaker, counts: Counts::default() })
    }
}

#[derive(Debug, Default)]
struct Counts {
    retries: AtomicU64,
    timeouts: AtomicU64,
    refused: AtomicU64,
}

#[derive(Debug)]
struct Guarded {
    guard: Guard,
    is_paced: bool,
    inner: Arc<dyn Store>,
    env: Env,
    breaker: Breaker,
    counts: Counts,
}

impl Guarded {
    async fn call<T, F: Future<Output = Result<T>>>(&self, attempt: impl Fn() -> F) -> Result<T> {
        self.call_within(self.guard.timeout.filter(|_| !self.is_paced), attempt).await
    }

    async fn call_within<T, F: Future<Output = Result<T>>>(&self, limit: Option<Millis>, attempt: impl Fn() -> F) -> Result<T> {
        let begun = self.env.clock.monotonic();
        let (mut tries, mut last) = (0, None);
        loop {
            let (started, trying) = match (self.admit(), last) {
                (Ok(admitted), _) => admitted,
                // Refused after a failure of its own: that says more.
                (Err(_), Some(error)) => return Err(error),
                (Err(refused), None) => return Err(refused),
            };
            let answer = match self.env.within(limit, attempt()).await {
                Some(answer) => answer,
                None => Err(Error::new(Code::Timeout, format!("no answer within {} ms", limit.unwrap_or(0)))),
            };
            self.record(answer.as_ref().err(), started);
            drop(trying);
            match answer {
                Err(error) if error.retryable() && tries < self.guard.retries => {
                    let longest = self.guard.backoff.saturating_mul(1 << tries.min(16));
                    let wait = ((longest as f64 * self.env.random.unit()) as Millis).max(error.wait_asked().unwrap_or(0));
                    let waited = self.env.clock.monotonic().saturating_sub(begun);
                    if self.guard.timeout.is_some_and(|timeout| waited.saturating_add(wait) >= timeout) {
                        return Err(error);
                    }
                    self.counts.retries.fetch_add(1, Ordering::Relaxed);
                    self.env.clock.sleep(wait).await;
                    tries += 1;
                    last = Some(error);
                }
                answer => return answer,
            }
        }
    }

    fn admit(&self) -> Result<(Millis, Trying<'_>)> {
        let now = self.env.clock.monotonic();
        let trying = self.breaker.admit(now).inspect_err(|_| {
            self.counts.refused.fetch_add(1, Ordering::Relaxed);
        })?;
        Ok((now, trying))
    }

    fn record(&self, error: Option<&Error>, started: Millis) {
        let is_timeout = error.is_some_and(|error| error.code() == Code::Timeout);
        if is_timeout {
            self.counts.timeouts.fetch_add(1, Ordering::Relaxed);
        }
        let now = self.env.clock.monotonic();
        match error {
            Some(error) if error.retryable() => self.breaker.failed(now, is_timeout.then_some(started)),
            // An answer that nobody likes is an answer: the store is there.
            _ => self.breaker.answered(now),
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

    async fn delete_many(&self, keys: &[Key]) -> Result<()> {
        // As long as it takes: there may be many.
        self.call_within(None, || self.inner.delete_many(keys)).await
    }

    async fn renew(&self, key: &Key, known: &Meta, life: Life) -> Result<bool> {
        self.call(|| self.inner.renew(key, known, life)).await
    }

    async fn expire(&self, key: &Key) -> Result<()> {
        self.call(|| self.inner.expire(key)).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Page> {
        self.call(|| self.inner.list(prefix, after)).await
    }

    async fn clear(&self, prefix: &str) -> Result<u64> {
        self.call_within(None, || self.inner.clear(prefix)).await
    }

    async fn sweep(&self, now: Millis) -> Result<u64> {
        self.inner.sweep(now).await
    }

    fn usage(&self) -> Option<Usage> {
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Some(Usage {
            retries: count(&self.counts.retries),
            timeouts: count(&self.counts.timeouts),
            refused: count(&self.counts.refused),
            opened: self.breaker.opened(),
            ..self.inner.usage().unwrap_or_default()
        })
    }

    fn after_fork(&self) {
        self.breaker.after_fork();
        self.inner.after_fork();
    }

    async fn close(&self) -> Result<()> {
        self.inner.close().await
    }
}
