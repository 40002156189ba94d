//! `wasi:keyvalue`: a cache for components that know nothing of caches.
//!
//! What is set is stored as raw bytes under the default policy; only what is fresh is got. An identifier keeps its keys apart
//! from those of others (`identifier:key`); the empty one is the cache as a whole.

use std::{cell::RefCell, sync::OnceLock};

use undercroft::engine::{self, Cache, Code, Codec, Key, Result};

use super::{Component, cache::open_config};
use crate::{
    bindings::exports::wasi::keyvalue::{
        batch::Guest as Batch,
        store::{Bucket, BucketBorrow, Error, Guest, GuestBucket, KeyResponse},
    },
    codec,
    env::{block_on, variable},
};

/// The variable that holds the configuration.
const CONFIG: &str = "UNDERCROFT_CONFIG";
/// What is opened without one.
const DEFAULT: &str = r#"{ "tiers": ["memory://"] }"#;

impl From<engine::Error> for Error {
    fn from(error: engine::Error) -> Self {
        match error.code() {
            Code::Denied => Error::AccessDenied,
            code => Error::Other(format!("{code}: {error}")),
        }
    }
}

/// Returns the cache of all buckets. What could not be opened is tried again.
fn cache() -> Result<&'static Cache> {
    static CACHE: OnceLock<Cache> = OnceLock::new();
    match CACHE.get() {
        Some(cache) => Ok(cache),
        None => {
            let opened = open_config(variable(CONFIG).as_deref().unwrap_or(DEFAULT), false)?.cache;
            Ok(CACHE.get_or_init(|| opened))
        }
    }
}

/// One identifier's part of the cache.
pub(crate) struct BucketOf {
    cache: &'static Cache,
    /// Stands before every key.
    prefix: String,
    /// Where pages of keys begin, by cursor.
    pages: RefCell<Vec<String>>,
}

impl BucketOf {
    fn key(&self, key: String) -> Result<Key> {
        engine::key::check(&key)?;
        if self.prefix.is_empty() { Key::new(key) } else { Key::new(format!("{}{key}", self.prefix)) }
    }

    fn keys(&self, keys: &[String]) -> Result<Vec<Key>> {
        keys.iter().map(|key| self.key(key.clone())).collect()
    }

    fn value(&self, bytes: Vec<u8>) -> Result<engine::Value> {
        codec::value(self.cache, Codec::RAW, bytes)
    }

    /// Returns a plain hit.
    fn hit(&self, key: &str) -> Option<Vec<u8>> {
        let held = if self.prefix.is_empty() { self.cache.peek(key) } else { self.cache.peek(&format!("{}{key}", self.prefix)) }?;
        held.encoded().map(|(_, bytes)| bytes.to_vec())
    }

    /// Lists a page of the last tier: it holds what the others hold.
    fn page(&self, after: Option<&str>) -> Result<engine::Page> {
        let chain = self.cache.chain();
        match (chain.far().last(), chain.near()) {
            (Some(tier), _) => block_on(tier.store.list(&self.prefix, after)).map_err(|error| error.at(&tier.name)),
            (None, Some(tier)) => {
                let memory = undercroft::stores::Memory::new(tier.near.clone(), self.cache.env().clone());
                block_on(engine::Store::list(&memory, &self.prefix, after))
            }
            (None, None) => Ok(engine::Page::default()),
        }
    }
}

fn bytes_of(entry: &engine::Entry) -> Vec<u8> {
    entry.value.encoded().map(|(_, bytes)| bytes.to_vec()).unwrap_or_default()
}

impl Guest for Component {
    type Bucket = BucketOf;

    fn open(identifier: String) -> std::result::Result<Bucket, Error> {
        let prefix = match identifier.is_empty() {
            true => String::new(),
            // So that no identifier and key are those of another bucket.
            false => format!("{}:", identifier.replace('%', "%25").replace(':', "%3A")),
        };
        if !prefix.is_empty() {
            engine::key::check(&prefix).map_err(|_| Error::NoSuchStore)?;
        }
        Ok(Bucket::new(BucketOf { cache: cache()?, prefix, pages: RefCell::default() }))
    }
}

impl GuestBucket for BucketOf {
    fn get(&self, key: String) -> std::result::Result<Option<Vec<u8>>, Error> {
        if let Some(bytes) = self.hit(&key) {
            return Ok(Some(bytes));
        }
        let found = block_on(self.cache.get_fresh(&self.key(key)?, &self.cache.ask()))?;
        Ok(found.as_ref().map(bytes_of))
    }

    fn set(&self, key: String, value: Vec<u8>) -> std::result::Result<(), Error> {
        Ok(block_on(self.cache.put(&self.key(key)?, self.value(value)?, None))?)
    }

    fn delete(&self, key: String) -> std::result::Result<(), Error> {
        Ok(block_on(self.cache.delete(&self.key(key)?))?)
    }

    fn exists(&self, key: String) -> std::result::Result<bool, Error> {
        Ok(block_on(self.cache.exists(&self.key(key)?))?)
    }

    fn list_keys(&self, cursor: Option<u64>) -> std::result::Result<KeyResponse, Error> {
        let after = match cursor {
            None => None,
            Some(cursor) => {
                let after = usize::try_from(cursor).ok().and_then(|at| self.pages.borrow().get(at).cloned());
                Some(after.ok_or_else(|| Error::Other(format!("this bucket has given no cursor {cursor}")))?)
            }
        };
        let page = self.page(after.as_deref())?;
        let cursor = page.next.map(|next| {
            let mut pages = self.pages.borrow_mut();
            let at = pages.iter().position(|known| *known == next).unwrap_or(pages.len());
            if at == pages.len() {
                pages.push(next);
            }
            at as u64
        });
        let keys = page.keys.into_iter().map(|key| key[self.prefix.len()..].to_owned()).collect();
        Ok(KeyResponse { keys, cursor })
    }
}

impl Batch for Component {
    fn get_many(bucket: BucketBorrow<'_>, keys: Vec<String>) -> std::result::Result<Vec<Option<(String, Vec<u8>)>>, Error> {
        let bucket = bucket.get::<BucketOf>();
        let found = block_on(bucket.cache.get_many(&bucket.keys(&keys)?, &bucket.cache.ask()))?;
        Ok(keys.into_iter().zip(&found).map(|(key, entry)| entry.as_ref().map(|entry| (key, bytes_of(entry)))).collect())
    }

    fn set_many(bucket: BucketBorrow<'_>, values: Vec<(String, Vec<u8>)>) -> std::result::Result<(), Error> {
        let bucket = bucket.get::<BucketOf>();
        let entry = |(key, value): (String, Vec<u8>)| Ok((bucket.key(key)?, bucket.value(value)?));
        let entries = values.into_iter().map(entry).collect::<Result<Vec<_>>>()?;
        Ok(block_on(bucket.cache.put_many(entries, None))?)
    }

    fn delete_many(bucket: BucketBorrow<'_>, keys: Vec<String>) -> std::result::Result<(), Error> {
        let bucket = bucket.get::<BucketOf>();
        Ok(block_on(bucket.cache.delete_many(&bucket.keys(&keys)?))?)
    }
}
