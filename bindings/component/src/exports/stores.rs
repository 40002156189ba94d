//! `undercroft:cache/stores`.

use std::sync::Arc;

use serde_json::Value as Document;
use undercroft::{
    Config,
    engine::{self, Body, Chain, Code, Codec, Entry, Error, Meta, Near, Object, Policy, Put, PutMode, Result, StoreExt, Tier, Want},
    open_tier,
    stores::Memory,
};

use super::{Answer, Component};
use crate::{
    bindings::exports::undercroft::cache::{
        stores::{Guest, GuestStore, Page, Store},
        types::{Entry as EntryRecord, Policy as PolicyRecord, Value},
    },
    codec,
    env::{block_on, env, options, variable},
    records,
};

impl Guest for Component {
    type Store = StoreOf;
}

/// A store with its layers, and the near tier that it is, if it is one.
pub(crate) struct StoreOf {
    pub(crate) tier: Tier,
    pub(crate) near: Option<Arc<Near>>,
}

impl StoreOf {
    /// Returns the tier of a chain that has this name.
    pub(crate) fn of_tier(chain: &Chain, name: &str) -> Option<Self> {
        if let Some(tier) = chain.near().filter(|tier| &*tier.name == name) {
            return Some(Self::memory(&tier.name, tier.near.clone()));
        }
        let tier = chain.far().iter().find(|tier| &*tier.name == name)?;
        Some(Self { tier: tier.clone(), near: None })
    }

    fn memory(name: &Arc<str>, near: Arc<Near>) -> Self {
        let store = Arc::new(Memory::new(near.clone(), env().clone()));
        Self { tier: Tier::new(name.clone(), store, Codec::RAW), near: Some(near) }
    }

    fn put_object(&self, key: String, value: Value, policy: Option<PolicyRecord>, mode: PutMode) -> Result<bool> {
        let key = records::key(key)?;
        let policy = policy.map(records::policy).transpose()?.unwrap_or_default();
        let given = engine::Value::bytes(records::core_codec(value.codec), value.bytes);
        let value = codec::in_forms(given, &[self.tier.codec])?;
        let form = value.form(self.tier.codec).or(value.forms().first());
        let Some((codec, bytes)) = form.and_then(|form| Some((form.codec, form.bytes.as_ref().ok()?.clone()))) else {
            return Err(Error::new(Code::Internal, "a value without bytes"));
        };
        let Some(life) = Policy::life(&policy, env()) else { return Ok(mode == PutMode::Always) };
        let object = Object { meta: Meta::new(life, codec, bytes.len() as u64), body: Body::Bytes(bytes) };
        Ok(block_on(self.tier.store.put(&key, object, mode)).map_err(|error| self.at(error))? == Put::Stored)
    }

    fn at(&self, error: Error) -> Error {
        error.at(&self.tier.name)
    }
}

/// Reads one tier: a URL, or an object in JSON.
fn open(tier: &str) -> Result<StoreOf> {
    let tier = match tier.trim_start().starts_with('{') {
        true => serde_json::from_str(tier).map_err(|error| Error::new(Code::ConfigInvalid, format!("not valid JSON: {error}")))?,
        false => Document::String(tier.to_owned()),
    };
    let config = Config::from_value(serde_json::json!({ "tiers": [tier] }), &variable)?;
    let tier = &config.tiers[0];
    if tier.scheme != "memory" {
        return Ok(StoreOf { tier: open_tier(tier, env(), &options())?, near: None });
    }
    let cache = undercroft::open(&config, env(), &options())?.cache;
    let near = cache.chain().near().map(|near| near.near.clone());
    near.map(|near| StoreOf::memory(&tier.name.as_str().into(), near)).ok_or_else(|| Error::new(Code::Internal, "memory in front is the near tier"))
}

impl GuestStore for StoreOf {
    fn open(tier: String) -> Answer<Store> {
        Ok(Store::new(open(&tier)?))
    }

    fn get(&self, key: String) -> Answer<Option<EntryRecord>> {
        let key = records::key(key)?;
        let now = env().clock.wall();
        let found = block_on(self.tier.store.get(&key, Want::ServableAt(now))).map_err(|error| self.at(error))?;
        let Some(Object { meta, body: Body::Bytes(bytes) }) = found.filter(|object| object.meta.life.is_servable(now)) else { return Ok(None) };
        let entry = Entry { value: engine::Value::bytes(meta.codec, bytes), life: meta.life, tier: self.tier.name.clone() };
        Ok(Some(records::entry(&entry)?))
    }

    fn put(&self, key: String, value: Value, policy: Option<PolicyRecord>) -> Answer<()> {
        self.put_object(key, value, policy, PutMode::Always)?;
        Ok(())
    }

    fn put_if_absent(&self, key: String, value: Value, policy: Option<PolicyRecord>) -> Answer<bool> {
        Ok(self.put_object(key, value, policy, PutMode::IfAbsent(env().clock.wall()))?)
    }

    fn exists(&self, key: String) -> Answer<bool> {
        let key = records::key(key)?;
        Ok(block_on(self.tier.store.exists(&key, env().clock.wall())).map_err(|error| self.at(error))?)
    }

    fn delete(&self, key: String) -> Answer<()> {
        Ok(block_on(self.tier.store.delete(&records::key(key)?)).map_err(|error| self.at(error))?)
    }

    fn list(&self, prefix: String, after: Option<String>) -> Answer<Page> {
        let page = block_on(self.tier.store.list(&prefix, after.as_deref())).map_err(|error| self.at(error))?;
        Ok(Page { keys: page.keys, next: page.next })
    }

    fn clear(&self, prefix: String) -> Answer<u64> {
        Ok(block_on(self.tier.store.clear(&prefix)).map_err(|error| self.at(error))?)
    }
}
