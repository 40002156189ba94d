//! Stores by themselves, typed.

use wasmtime::component::ResourceAny;

use crate::{Entry, Page, Policy, Value, error::Result, instance::Instance};

/// One store of an instance, with its layers. Dropping it lets go of it.
#[derive(Debug)]
pub struct Store {
    instance: Instance,
    handle: ResourceAny,
}

impl Drop for Store {
    fn drop(&mut self) {
        self.instance.release(self.handle);
    }
}

/// Calls a method of the store, and takes its answer apart.
macro_rules! ask {
    ($self:ident . $call:ident ( $($argument:expr),* )) => {
        Ok($self.instance.call(|store, exports| exports.undercroft_cache_stores().store().$call(store, $self.handle $(, $argument)*))??)
    };
}

impl Store {
    pub(crate) fn new(instance: Instance, handle: ResourceAny) -> Self {
        Self { instance, handle }
    }

    /// Gets the entry under `key`, if it may be served at all.
    ///
    /// # Errors
    /// What the store says.
    pub fn get(&self, key: &str) -> Result<Option<Entry>> {
        ask!(self.call_get(key))
    }

    /// Puts `value` under `key`. Without a policy it stays for ever.
    ///
    /// # Errors
    /// What the store says; `corrupt` when the bytes are not what they are said to be.
    pub fn put(&self, key: &str, value: &Value, policy: Option<&Policy>) -> Result<()> {
        ask!(self.call_put(key, value, policy.copied()))
    }

    /// Puts `value` if nothing fresh is there, and says whether it did.
    ///
    /// # Errors
    /// As [`Store::put`]; `unsupported` where the store cannot.
    pub fn put_if_absent(&self, key: &str, value: &Value, policy: Option<&Policy>) -> Result<bool> {
        ask!(self.call_put_if_absent(key, value, policy.copied()))
    }

    /// Says whether something fresh is under `key`.
    ///
    /// # Errors
    /// What the store says.
    pub fn exists(&self, key: &str) -> Result<bool> {
        ask!(self.call_exists(key))
    }

    /// Deletes what is under `key`.
    ///
    /// # Errors
    /// What the store says.
    pub fn delete(&self, key: &str) -> Result<()> {
        ask!(self.call_delete(key))
    }

    /// Lists keys that begin with `prefix`, from `after` on.
    ///
    /// # Errors
    /// What the store says.
    pub fn list(&self, prefix: &str, after: Option<&str>) -> Result<Page> {
        ask!(self.call_list(prefix, after))
    }

    /// Deletes every key that begins with `prefix`, and says how many there were.
    ///
    /// # Errors
    /// What the store says.
    pub fn clear(&self, prefix: &str) -> Result<u64> {
        ask!(self.call_clear(prefix))
    }
}
