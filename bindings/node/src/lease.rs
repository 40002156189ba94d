//! Leases in JavaScript's hands. One that nobody holds any more goes to the next waiter.

use napi_derive::napi;
use parking_lot::Mutex;
use undercroft::engine::{self, Code, Entry, Error, Result};

use crate::{
    cache::Shared,
    errors::raise,
    reply::{Out, Reply, State},
};
use std::sync::Arc;

/// The right, and duty, to load a key.
#[napi]
pub struct Lease {
    lease: Mutex<Option<engine::Lease>>,
    core: Arc<Shared>,
    key: engine::Key,
    flight: u64,
    spare: Option<Entry>,
}

impl Lease {
    pub(crate) fn new(lease: engine::Lease, core: &Arc<Shared>) -> Self {
        Self { key: lease.key().clone(), flight: lease.flight(), spare: lease.spare().cloned(), lease: Mutex::new(Some(lease)), core: core.clone() }
    }

    /// Takes the lease out, to end it.
    ///
    /// # Errors
    /// `lease_lost` when it has ended.
    pub(crate) fn take(&self) -> Result<engine::Lease> {
        self.lease.lock().take().ok_or_else(|| Error::new(Code::LeaseLost, format!("the lease on `{}` has ended", self.key)))
    }

    /// Looks at the lease, if it has not ended.
    pub(crate) fn with<T>(&self, look: impl FnOnce(&engine::Lease) -> T) -> Option<T> {
        self.lease.lock().as_ref().map(look)
    }

    pub(crate) fn key_of(&self) -> &engine::Key {
        &self.key
    }

    pub(crate) fn spare_entry(&self) -> Option<&Entry> {
        self.spare.as_ref()
    }
}

#[napi]
impl Lease {
    /// The key to load.
    #[napi(getter)]
    pub fn key(&self) -> String {
        self.key.to_string()
    }

    /// The number of the flight.
    #[napi(getter)]
    pub fn flight(&self) -> f64 {
        self.flight as f64
    }

    /// Whether it was superseded by a delete or a put.
    #[napi(getter)]
    pub fn is_revoked(&self) -> bool {
        self.with(engine::Lease::is_revoked).unwrap_or(false)
    }

    /// Answers with the old entry, if there is one.
    #[napi]
    pub fn spare(&self) -> Reply {
        let found = self.spare.clone().map(|entry| Out::found(State::Stale, entry, None, &self.core, &self.key));
        Reply::now(&self.core.bridge, Ok(found.unwrap_or(Out::Nothing)))
    }

    /// Hands the lease to the next waiter.
    #[napi]
    pub fn drop(&self) -> napi::Result<()> {
        let lease = self.take().map_err(raise)?;
        drop(lease);
        Ok(())
    }
}
