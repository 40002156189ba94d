//! Caches and leases, typed.

use wasmtime::component::ResourceAny;

use crate::{
    Ask, Count, Entry, Fault, Policy, TierStats, Value, bindings::exports::undercroft::cache::cache as wit, error::Result, instance::Instance, store::Store,
};

impl Value {
    /// Makes a value of bytes as they are.
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self { bytes: bytes.into(), codec: crate::Codec::Raw }
    }

    /// Makes a value of a document in JSON.
    pub fn json(text: impl Into<Vec<u8>>) -> Self {
        Self { bytes: text.into(), codec: crate::Codec::Json }
    }
}

/// An entry, and the lease to refresh it where that is due and this caller is the one.
#[derive(Debug)]
pub struct Found {
    /// The entry.
    pub entry: Entry,
    /// The lease.
    pub lease: Option<Lease>,
}

/// What [`Cache::begin`] found, and what the caller does next.
#[derive(Debug)]
pub enum Outcome {
    /// The entry is fresh. A lease comes with it when a refresh ahead of time is due.
    Hit(Found),
    /// The entry may be served now, and is refreshed by whoever holds the lease.
    Stale(Found),
    /// There is no entry to serve, and this caller produces it.
    Miss(Lease),
    /// There is no entry to serve, and another caller is producing it.
    Busy,
}

/// One cache of an instance. Dropping it lets go of it.
#[derive(Debug)]
pub struct Cache {
    instance: Instance,
    handle: ResourceAny,
}

impl Drop for Cache {
    fn drop(&mut self) {
        self.instance.release(self.handle);
    }
}

/// Calls a method of the cache, and takes its answer apart.
macro_rules! ask {
    ($self:ident . $call:ident ( $($argument:expr),* )) => {
        Ok($self.instance.call(|store, exports| exports.undercroft_cache_cache().cache().$call(store, $self.handle $(, $argument)*))??)
    };
}

impl Cache {
    pub(crate) fn new(instance: Instance, handle: ResourceAny) -> Self {
        Self { instance, handle }
    }

    /// Gets the entry under `key`, if it may be served at all.
    ///
    /// # Errors
    /// `key-invalid`, `closed`, or the error of a tier that raises.
    pub fn get(&self, key: &str) -> Result<Option<Entry>> {
        ask!(self.call_get(key))
    }

    /// Like [`Cache::get`], with what the call asks for.
    ///
    /// # Errors
    /// As [`Cache::get`].
    pub fn get_with(&self, key: &str, ask: &Ask) -> Result<Option<Entry>> {
        ask!(self.call_get_with(key, ask))
    }

    /// Starts a read that ends in a value: from the chain, or from this caller.
    ///
    /// # Errors
    /// As [`Cache::get`].
    pub fn begin(&self, key: &str) -> Result<Outcome> {
        let outcome: Result<wit::Outcome> = ask!(self.call_begin(key));
        Ok(self.outcome(outcome?))
    }

    /// Like [`Cache::begin`], with what the call asks for.
    ///
    /// # Errors
    /// As [`Cache::get`]; `conflict` when a load waits for itself.
    pub fn begin_with(&self, key: &str, ask: &Ask) -> Result<Outcome> {
        let outcome: Result<wit::Outcome> = ask!(self.call_begin_with(key, ask));
        Ok(self.outcome(outcome?))
    }

    fn outcome(&self, outcome: wit::Outcome) -> Outcome {
        let found = |found: wit::Found| Found { entry: found.entry, lease: found.lease.map(|lease| self.lease(lease)) };
        match outcome {
            wit::Outcome::Hit(hit) => Outcome::Hit(found(hit)),
            wit::Outcome::Stale(stale) => Outcome::Stale(found(stale)),
            wit::Outcome::Miss(lease) => Outcome::Miss(self.lease(lease)),
            wit::Outcome::Busy => Outcome::Busy,
        }
    }

    fn lease(&self, handle: ResourceAny) -> Lease {
        Lease { instance: self.instance.clone(), handle }
    }

    /// Takes the lease on `key` whatever the chain holds, unless another caller has it.
    ///
    /// # Errors
    /// `key-invalid`.
    pub fn claim(&self, key: &str) -> Result<Option<Lease>> {
        let lease: Result<Option<ResourceAny>> = ask!(self.call_claim(key));
        Ok(lease?.map(|lease| self.lease(lease)))
    }

    /// Says whether something fresh is under `key` in some tier.
    ///
    /// # Errors
    /// As [`Cache::get`].
    pub fn exists(&self, key: &str) -> Result<bool> {
        ask!(self.call_exists(key))
    }

    /// Puts `value` into every tier, the furthest first.
    ///
    /// # Errors
    /// As [`Cache::get`]; `corrupt` when the bytes are not what they are said to be, and others read them.
    pub fn put(&self, key: &str, value: &Value, policy: Option<&Policy>) -> Result<()> {
        ask!(self.call_put(key, value, policy.copied()))
    }

    /// Puts `value` if nothing fresh is under `key`, and says whether it did.
    ///
    /// # Errors
    /// As [`Cache::put`]; `unsupported` where the furthest tier cannot decide.
    pub fn put_if_absent(&self, key: &str, value: &Value, policy: Option<&Policy>) -> Result<bool> {
        ask!(self.call_put_if_absent(key, value, policy.copied()))
    }

    /// Gets the fresh entries under `keys`, in their order.
    ///
    /// # Errors
    /// As [`Cache::get`].
    pub fn get_many(&self, keys: &[String]) -> Result<Vec<Option<Entry>>> {
        ask!(self.call_get_many(keys))
    }

    /// Puts every value under its key.
    ///
    /// # Errors
    /// As [`Cache::put`]; all are tried.
    pub fn put_many(&self, values: &[(String, Value)], policy: Option<&Policy>) -> Result<()> {
        ask!(self.call_put_many(values, policy.copied()))
    }

    /// Deletes `key` from every tier.
    ///
    /// # Errors
    /// The first failure of a tier, after all were asked.
    pub fn delete(&self, key: &str) -> Result<()> {
        ask!(self.call_delete(key))
    }

    /// Deletes `keys` from every tier.
    ///
    /// # Errors
    /// As [`Cache::delete`].
    pub fn delete_many(&self, keys: &[String]) -> Result<()> {
        ask!(self.call_delete_many(keys))
    }

    /// Marks what is under `key` as stale.
    ///
    /// # Errors
    /// As [`Cache::get`].
    pub fn expire(&self, key: &str) -> Result<()> {
        ask!(self.call_expire(key))
    }

    /// Deletes every key that begins with `prefix`, and says how many there were.
    ///
    /// # Errors
    /// As [`Cache::delete`].
    pub fn clear(&self, prefix: &str) -> Result<u64> {
        ask!(self.call_clear(prefix))
    }

    /// Removes what can never be served again, and says how many there were.
    ///
    /// # Errors
    /// As [`Cache::delete`].
    pub fn sweep(&self) -> Result<u64> {
        ask!(self.call_sweep())
    }

    /// Closes the cache. Later calls fail with `closed`.
    ///
    /// # Errors
    /// As [`Cache::delete`].
    pub fn close(&self) -> Result<()> {
        ask!(self.call_close())
    }

    /// Returns the tier of this name as a store by itself.
    ///
    /// # Errors
    /// When the instance ends.
    pub fn tier(&self, name: &str) -> Result<Option<Store>> {
        let found = self.instance.call(|store, exports| exports.undercroft_cache_cache().cache().call_tier(store, self.handle, name))?;
        Ok(found.map(|handle| Store::new(self.instance.clone(), handle)))
    }

    /// Returns how often everything happened.
    ///
    /// # Errors
    /// When the instance ends.
    pub fn events(&self) -> Result<Vec<Count>> {
        self.instance.call(|store, exports| exports.undercroft_cache_stats().call_events(store, self.handle))
    }

    /// Returns what each tier has done, nearest first.
    ///
    /// # Errors
    /// When the instance ends.
    pub fn tiers(&self) -> Result<Vec<TierStats>> {
        self.instance.call(|store, exports| exports.undercroft_cache_stats().call_tiers(store, self.handle))
    }

    /// Has calls of an operation at a tier fail: the next `times`, or all ([`Instance::open_for_tests`]).
    ///
    /// # Errors
    /// `config-invalid` when there is no such tier or operation.
    pub fn inject(&self, tier: &str, operation: &str, fault: Fault, times: Option<u32>) -> Result<()> {
        let testing = |store: &mut wasmtime::Store<_>, exports: &crate::bindings::Component| {
            exports.undercroft_cache_testing().call_inject(store, self.handle, tier, operation, fault, times)
        };
        Ok(self.instance.call(testing)??)
    }

    /// Ends all faults of a tier.
    ///
    /// # Errors
    /// As [`Cache::inject`].
    pub fn heal(&self, tier: &str) -> Result<()> {
        Ok(self.instance.call(|store, exports| exports.undercroft_cache_testing().call_heal(store, self.handle, tier))??)
    }
}

/// The right, and duty, to produce the value of one key. Dropping it gives it up.
#[derive(Debug)]
pub struct Lease {
    instance: Instance,
    handle: ResourceAny,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.instance.release(self.handle);
    }
}

impl Lease {
    /// Returns the key.
    ///
    /// # Errors
    /// When the instance ends.
    pub fn key(&self) -> Result<String> {
        self.instance.call(|store, exports| exports.undercroft_cache_cache().lease().call_key(store, self.handle))
    }

    /// Returns what names the lease in [`Ask::inside`].
    ///
    /// # Errors
    /// When the instance ends.
    pub fn id(&self) -> Result<u64> {
        self.instance.call(|store, exports| exports.undercroft_cache_cache().lease().call_id(store, self.handle))
    }

    /// Puts the value the lease stands for, and ends the lease.
    ///
    /// # Errors
    /// `lease-lost` when it has been used; as [`Cache::put`].
    pub fn fulfil(&self, value: Value, ask: Option<&Ask>) -> Result<Entry> {
        Ok(self.instance.call(|store, exports| exports.undercroft_cache_cache().lease().call_fulfil(store, self.handle, &value, ask))??)
    }

    /// Ends the lease because the load failed, and returns what may be served instead.
    ///
    /// # Errors
    /// `lease-lost` when it has been used.
    pub fn fail(&self) -> Result<Option<Entry>> {
        Ok(self.instance.call(|store, exports| exports.undercroft_cache_cache().lease().call_fail(store, self.handle))??)
    }

    /// Looks far before a stale entry is loaded again; an entry that is returned ends the lease, and so does an error.
    ///
    /// # Errors
    /// `lease-lost` when it has been used; the error of a tier that raises.
    pub fn resume(&self) -> Result<Option<Entry>> {
        Ok(self.instance.call(|store, exports| exports.undercroft_cache_cache().lease().call_resume(store, self.handle))??)
    }
}
