//! A store over a sorted map of bytes: the smallest store there can be.

use std::collections::BTreeMap;

use async_trait::async_trait;
use parking_lot::Mutex;
use undercroft_engine::{Capability, Key, Meta, Object, Page, Put, PutMode, Result, Store, StoreInfo, Want};

#[derive(Debug, Default)]
pub struct MapStore(Mutex<BTreeMap<String, Object>>);

#[async_trait]
impl Store for MapStore {
    fn info(&self) -> StoreInfo {
        StoreInfo { scheme: "map", label: String::new(), can: Capability { list: true, put_if_absent: true, live: false, bytes: true, paced: false } }
    }

    async fn head(&self, key: &Key) -> Result<Option<Meta>> {
        Ok(self.0.lock().get(&**key).map(|object| object.meta.clone()))
    }

    async fn get(&self, key: &Key, _want: Want) -> Result<Option<Object>> {
        Ok(self.0.lock().get(&**key).cloned())
    }

    async fn put(&self, key: &Key, object: Object, _mode: PutMode) -> Result<Put> {
        self.0.lock().insert(key.to_string(), object);
        Ok(Put::Stored)
    }

    async fn delete(&self, key: &Key) -> Result<()> {
        self.0.lock().remove(&**key);
        Ok(())
    }

    /// Pages of two, so that continuation is used.
    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Page> {
        let map = self.0.lock();
        let mut keys: Vec<String> =
            map.keys().filter(|key| key.starts_with(prefix) && after.is_none_or(|after| key.as_str() > after)).take(3).cloned().collect();
        let next = if keys.len() > 2 { keys.pop().and(keys.last().cloned()) } else { None };
        Ok(Page { keys, next })
    }
}
