//! Memory as a store: a near tier that stands further back in a chain, or is used on its own.

use std::sync::Arc;

use async_trait::async_trait;
use undercroft_engine::{
    Body, Capability, Codec, Entry, Env, Key, Meta, Near, Object, Page, Policy, Put, PutMode, Result, Store, StoreInfo, Value, Want, near::Held, time::Millis,
};

const PAGE: usize = 1000;

/// A store in this process. It keeps the host's own objects; nothing becomes bytes.
#[derive(Debug)]
pub struct Memory {
    near: Arc<Near>,
    env: Env,
}

impl Memory {
    /// Makes a store of `near`, which others may share.
    pub fn new(near: Arc<Near>, env: Env) -> Self {
        Self { near, env }
    }

    fn meta(&self, held: &Held) -> Meta {
        let codec = held.value().encoded().map_or(Codec::RAW, |(codec, _)| codec);
        Meta::new(held.life_now(&*self.env.clock), codec, held.size())
    }

    fn held(&self, key: &Key) -> Option<Held> {
        self.near.peek(key).filter(|held| held.is_servable(self.env.clock.monotonic()))
    }
}

#[async_trait]
impl Store for Memory {
    fn info(&self) -> StoreInfo {
        StoreInfo {
            scheme: "memory",
            label: format!("{} entries at most", self.near.limits().max_entries),
            can: Capability { list: true, put_if_absent: true, live: true, bytes: true, paced: false },
        }
    }

    async fn head(&self, key: &Key) -> Result<Option<Meta>> {
        Ok(self.held(key).map(|held| self.meta(&held)))
    }

    async fn get(&self, key: &Key, _want: Want) -> Result<Option<Object>> {
        let Some(held) = self.held(key) else { return Ok(None) };
        let value = held.value();
        let body = match (value.object(), value.encoded()) {
            (Some(live), _) => Body::Live(live.clone()),
            (None, Some((_, bytes))) => Body::Bytes(bytes.clone()),
            (None, None) => Body::Absent,
        };
        Ok(Some(Object { meta: self.meta(&held), body }))
    }

    async fn put(&self, key: &Key, object: Object, mode: PutMode) -> Result<Put> {
        let value = match object.body {
            Body::Live(live) => Value::live(live, object.meta.size),
            Body::Bytes(bytes) => Value::bytes(object.meta.codec, bytes),
            Body::Absent => Value::default(),
        };
        let entry = Entry { value, life: object.meta.life, tier: "memory".into() };
        let clock = &*self.env.clock;
        let present = |held: Option<&Held>| mode != PutMode::Always && held.is_some_and(|held| held.is_fresh(clock.monotonic()));
        let stored = self.near.put_unless(key, &entry, &Policy::default(), None, clock, present);
        self.near.sweep_in_time(&self.env, clock.coarse());
        Ok(if stored { Put::Stored } else { Put::Present })
    }

    async fn delete(&self, key: &Key) -> Result<()> {
        self.near.remove(key);
        Ok(())
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Page> {
        let now = self.env.clock.monotonic();
        let mut keys: Vec<String> = self
            .near
            .entries(prefix)
            .into_iter()
            .filter(|held| held.is_servable(now) && after.is_none_or(|after| held.key() > after))
            .map(|held| held.key().to_owned())
            .collect();
        keys.sort_unstable();
        let more = keys.len() > PAGE;
        keys.truncate(PAGE);
        let next = if more { keys.last().cloned() } else { None };
        Ok(Page { keys, next })
    }

    async fn clear(&self, prefix: &str) -> Result<u64> {
        Ok(self.near.clear(prefix))
    }

    async fn sweep(&self, _now: Millis) -> Result<u64> {
        Ok(self.near.sweep(self.env.clock.monotonic()))
    }
}
