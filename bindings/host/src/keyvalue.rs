//! Key-value stores of the host's, for the component that is built as middleware (`wasi:keyvalue/store`).

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use wasmtime::component::{HasData, Resource, ResourceTable};

#[allow(missing_docs, clippy::all, reason = "generated")]
mod generated {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "package undercroft:host; world keyvalue { import wasi:keyvalue/store@0.2.0-draft; }",
        imports: { default: trappable },
        with: { "wasi:keyvalue/store.bucket": super::Open },
    });
}

pub(crate) use generated::wasi::keyvalue::store::add_to_linker;
use generated::wasi::keyvalue::store::{Error, Host, HostBucket, KeyResponse};

/// Why a key-value store cannot do what it was asked for: a sentence.
pub type KeyValueError = String;

/// One page of keys.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    /// The keys.
    pub keys: Vec<String>,
    /// Where the next page begins, if there is one.
    pub cursor: Option<u64>,
}

/// A key-value store of the host's: Redis, a database, or whatever else holds bytes.
pub trait KeyValue: fmt::Debug + Send + Sync + 'static {
    /// Gets what is under `key`.
    ///
    /// # Errors
    /// A sentence; the tier is `unavailable` then.
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, KeyValueError>;

    /// Sets `key`.
    ///
    /// # Errors
    /// As [`KeyValue::get`].
    fn set(&self, key: &str, value: Vec<u8>) -> Result<(), KeyValueError>;

    /// Deletes `key`, if it is there.
    ///
    /// # Errors
    /// As [`KeyValue::get`].
    fn delete(&self, key: &str) -> Result<(), KeyValueError>;

    /// Lists keys, from a cursor that an earlier page gave.
    ///
    /// # Errors
    /// As [`KeyValue::get`].
    fn keys(&self, cursor: Option<u64>) -> Result<Keys, KeyValueError>;
}

/// A key-value store in this process.
#[derive(Debug, Default)]
pub struct MemoryKeyValue(Mutex<BTreeMap<String, Vec<u8>>>);

impl MemoryKeyValue {
    fn map(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KeyValue for MemoryKeyValue {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, KeyValueError> {
        Ok(self.map().get(key).cloned())
    }

    fn set(&self, key: &str, value: Vec<u8>) -> Result<(), KeyValueError> {
        self.map().insert(key.to_owned(), value);
        Ok(())
    }

    fn delete(&self, key: &str) -> Result<(), KeyValueError> {
        self.map().remove(key);
        Ok(())
    }

    fn keys(&self, _cursor: Option<u64>) -> Result<Keys, KeyValueError> {
        Ok(Keys { keys: self.map().keys().cloned().collect(), cursor: None })
    }
}

/// A store that the component has opened.
pub struct Open(Arc<dyn KeyValue>);

/// The host's side of `wasi:keyvalue/store`.
pub(crate) struct Stores<'a> {
    pub(crate) known: &'a BTreeMap<String, Arc<dyn KeyValue>>,
    pub(crate) table: &'a mut ResourceTable,
}

pub(crate) struct HasStores;

impl HasData for HasStores {
    type Data<'a> = Stores<'a>;
}

impl Stores<'_> {
    fn store(&self, bucket: &Resource<Open>) -> wasmtime::Result<Arc<dyn KeyValue>> {
        Ok(self.table.get(bucket)?.0.clone())
    }
}

impl Host for Stores<'_> {
    fn open(&mut self, identifier: String) -> wasmtime::Result<Result<Resource<Open>, Error>> {
        match self.known.get(&identifier) {
            Some(store) => Ok(Ok(self.table.push(Open(store.clone()))?)),
            None => Ok(Err(Error::NoSuchStore)),
        }
    }
}

impl HostBucket for Stores<'_> {
    fn get(&mut self, bucket: Resource<Open>, key: String) -> wasmtime::Result<Result<Option<Vec<u8>>, Error>> {
        Ok(self.store(&bucket)?.get(&key).map_err(Error::Other))
    }

    fn set(&mut self, bucket: Resource<Open>, key: String, value: Vec<u8>) -> wasmtime::Result<Result<(), Error>> {
        Ok(self.store(&bucket)?.set(&key, value).map_err(Error::Other))
    }

    fn delete(&mut self, bucket: Resource<Open>, key: String) -> wasmtime::Result<Result<(), Error>> {
        Ok(self.store(&bucket)?.delete(&key).map_err(Error::Other))
    }

    fn exists(&mut self, bucket: Resource<Open>, key: String) -> wasmtime::Result<Result<bool, Error>> {
        Ok(self.store(&bucket)?.get(&key).map(|found| found.is_some()).map_err(Error::Other))
    }

    fn list_keys(&mut self, bucket: Resource<Open>, cursor: Option<u64>) -> wasmtime::Result<Result<KeyResponse, Error>> {
        Ok(self.store(&bucket)?.keys(cursor).map(|page| KeyResponse { keys: page.keys, cursor: page.cursor }).map_err(Error::Other))
    }

    fn drop(&mut self, bucket: Resource<Open>) -> wasmtime::Result<()> {
        self.table.delete(bucket)?;
        Ok(())
    }
}
