//! Fault: makes a store fail on purpose, for tests.

use std::{collections::VecDeque, sync::Arc};

use async_trait::async_trait;
use futures_channel::oneshot;
use parking_lot::Mutex;

use super::Layer;
use crate::{
    entry::Life,
    env::Env,
    error::{Code, Error, Result},
    key::Key,
    store::{Body, Meta, Object, Page, Put, PutMode, Store, StoreInfo, Want},
    time::Millis,
    usage::Usage,
};

/// What the next operation does instead of its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It fails with this code.
    Fail(Code),
    /// It never answers, until [`Faults::release`].
    Hang,
    /// A read answers with bytes that are no valid entry.
    Corrupt,
}

/// Decides what fails. Clones share one plan.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    plan: Arc<Mutex<Plan>>,
}

#[derive(Debug, Default)]
struct Plan {
    /// What comes next, and on which operation (`*` for any).
    next: VecDeque<(String, Fault)>,
    /// What comes for ever.
    always: Option<(String, Fault)>,
    hanging: Vec<oneshot::Sender<()>>,
    calls: Vec<String>,
}

impl Faults {
    /// Plans `fault` for the next `times` calls of `operation` (`*`: any).
    pub fn next(&self, operation: &str, fault: Fault, times: usize) {
        self.plan.lock().next.extend(std::iter::repeat_n((operation.to_owned(), fault), times));
    }

    /// Plans `fault` for every call of `operation` (`*`: any) from now on.
    pub fn always(&self, operation: &str, fault: Fault) {
        self.plan.lock().always = Some((operation.to_owned(), fault));
    }

    /// Ends all faults that are planned.
    pub fn heal(&self) {
        let mut plan = self.plan.lock();
        plan.next.clear();
        plan.always = None;
    }

    /// Lets every hanging call go on.
    pub fn release(&self) {
        for hanging in std::mem::take(&mut self.plan.lock().hanging) {
            let _gone = hanging.send(());
        }
    }

    /// Returns the operations that were called so far.
    pub fn calls(&self) -> Vec<String> {
        self.plan.lock().calls.clone()
    }

    async fn strike(&self, operation: &str) -> Result<bool> {
        let hanging = {
            let mut plan = self.plan.lock();
            plan.calls.push(operation.to_owned());
            let at = plan.next.iter().position(|(on, _)| on == "*" || on == operation);
            let planned = at.and_then(|at| plan.next.remove(at)).or_else(|| plan.always.clone().filter(|(on, _)| on == "*" || on == operation));
            match planned {
                None => return Ok(false),
                Some((_, Fault::Corrupt)) => return Ok(true),
                Some((_, Fault::Fail(code))) => return Err(Error::new(code, format!("planned failure of `{operation}`"))),
                Some((_, Fault::Hang)) => {
                    let (sender, hanging) = oneshot::channel();
                    plan.hanging.push(sender);
                    hanging
                }
            }
        };
        let _released = hanging.await;
        Ok(false)
    }
}

impl Layer for Faults {
    fn wrap(&self, inner: Arc<dyn Store>, _env: &Env) -> Arc<dyn Store> {
        Arc::new(Faulty { faults: self.clone(), inner })
    }
}

#[derive(Debug)]
struct Faulty {
    faults: Faults,
    inner: Arc<dyn Store>,
}

#[async_trait]
impl Store for Faulty {
    fn info(&self) -> StoreInfo {
        self.inner.info()
    }

    async fn head(&self, key: &Key) -> Result<Option<Meta>> {
        self.faults.strike("head").await?;
        self.inner.head(key).await
    }

    async fn get(&self, key: &Key, want: Want) -> Result<Option<Object>> {
        if self.faults.strike("get").await? {
            return Err(Error::new(Code::Corrupt, "planned corruption"));
        }
        self.inner.get(key, want).await
    }

    async fn put(&self, key: &Key, object: Object, mode: PutMode) -> Result<Put> {
        if self.faults.strike("put").await? {
            return self.inner.put(key, Object { meta: object.meta, body: Body::Bytes(b"\xff garbage".as_slice().into()) }, mode).await;
        }
        self.inner.put(key, object, mode).await
    }

    async fn delete(&self, key: &Key) -> Result<()> {
        self.faults.strike("delete").await?;
        self.inner.delete(key).await
    }

    async fn renew(&self, key: &Key, known: &Meta, life: Life) -> Result<bool> {
        self.faults.strike("renew").await?;
        self.inner.renew(key, known, life).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Page> {
        self.faults.strike("list").await?;
        self.inner.list(prefix, after).await
    }

    async fn clear(&self, prefix: &str) -> Result<u64> {
        self.faults.strike("clear").await?;
        self.inner.clear(prefix).await
    }

    async fn sweep(&self, now: Millis) -> Result<u64> {
        self.inner.sweep(now).await
    }

    fn usage(&self) -> Option<Usage> {
        self.inner.usage()
    }

    fn after_fork(&self) {
        self.inner.after_fork();
    }

    async fn close(&self) -> Result<()> {
        self.inner.close().await
    }
}
