//! `undercroft:cache/cache`.

use undercroft::{
    Config, Format,
    engine::{self, Entry, Outcome, layers::Faults},
    open,
};

use super::{Answer, Component, chain::ChainOf, lease::LeaseOf, stores::StoreOf};
use crate::{
    bindings::exports::undercroft::cache::{
        cache::{self as wit, Found, Guest, GuestCache, Outcome as Begun},
        chain::ChainBorrow,
        stores::Store,
        types::{Ask, Entry as EntryRecord, Policy, Value},
    },
    codec,
    env::{block_on, env, options, variable},
    records,
};

impl Guest for Component {
    type Lease = LeaseOf;
    type Cache = CacheOf;
}

/// A cache, and the faults of its far tiers by name, if it was opened for tests.
pub(crate) struct CacheOf {
    pub(crate) cache: engine::Cache,
    pub(crate) faults: Vec<(std::sync::Arc<str>, Faults)>,
}

/// Opens a configuration in JSON.
pub(crate) fn open_config(config: &str, faults: bool) -> engine::Result<CacheOf> {
    let config = Config::parse(config, Format::Json, &variable)?;
    let opened = open(&config, env(), &undercroft::Options { faults, ..options() })?;
    Ok(CacheOf { cache: opened.cache, faults: opened.faults })
}

impl CacheOf {
    /// Returns a plain hit: the near copy, if it is fresh and nothing is due.
    fn hit(&self, key: &str) -> Option<engine::Result<EntryRecord>> {
        let held = self.cache.peek(key)?;
        Some(records::hit(&held, &self.cache.chain().near()?.name))
    }

    fn begun(&self, outcome: Option<Outcome>) -> engine::Result<Begun> {
        let found = |entry: &Entry, lease: Option<engine::Lease>| -> engine::Result<Found> {
            Ok(Found { entry: records::entry(entry)?, lease: lease.map(|lease| LeaseOf::handle(&self.cache, lease)) })
        };
        Ok(match outcome {
            Some(Outcome::Hit(entry, lease)) => Begun::Hit(found(&entry, lease)?),
            Some(Outcome::Stale(entry, lease)) => Begun::Stale(found(&entry, lease)?),
            Some(Outcome::Miss(lease)) => Begun::Miss(LeaseOf::handle(&self.cache, lease)),
            None => Begun::Busy,
        })
    }

    fn begin_asking(&self, key: String, ask: &engine::Ask) -> Answer<Begun> {
        let key = records::key(key)?;
        Ok(self.begun(block_on(self.cache.begin_or_busy(&key, ask))?)?)
    }
}

impl GuestCache for CacheOf {
    fn open(config: String) -> Answer<wit::Cache> {
        Ok(wit::Cache::new(open_config(&config, false)?))
    }

    fn over(chain: ChainBorrow<'_>, policy: Policy) -> Answer<wit::Cache> {
        let chain = chain.get::<ChainOf>().chain()?;
        let cache = engine::Cache::new(chain, records::policy(policy)?, env().clone())?;
        Ok(wit::Cache::new(CacheOf { cache, faults: Vec::new() }))
    }

    fn get(&self, key: String) -> Answer<Option<EntryRecord>> {
        if let Some(hit) = self.hit(&key) {
            return Ok(hit.map(Some)?);
        }
        let key = records::key(key)?;
        Ok(records::maybe_entry(block_on(self.cache.get(&key))?.as_ref())?)
    }

    fn get_with(&self, key: String, ask: Ask) -> Answer<Option<EntryRecord>> {
        let (key, ask) = (records::key(key)?, records::ask(&self.cache, ask)?);
        Ok(records::maybe_entry(block_on(self.cache.get_with(&key, &ask))?.as_ref())?)
    }

    fn begin(&self, key: String) -> Answer<Begun> {
        if let Some(hit) = self.hit(&key) {
            return Ok(Begun::Hit(Found { entry: hit?, lease: None }));
        }
        self.begin_asking(key, &self.cache.ask())
    }

    fn begin_with(&self, key: String, ask: Ask) -> Answer<Begun> {
        let ask = records::ask(&self.cache, ask)?;
        self.begin_asking(key, &ask)
    }

    fn claim(&self, key: String) -> Answer<Option<wit::Lease>> {
        Ok(self.cache.claim(&records::key(key)?).map(|lease| LeaseOf::handle(&self.cache, lease)))
    }

    fn exists(&self, key: String) -> Answer<bool> {
        Ok(block_on(self.cache.exists(&records::key(key)?))?)
    }

    fn put(&self, key: String, value: Value, policy: Option<Policy>) -> Answer<()> {
        let (key, policy) = (records::key(key)?, policy.map(records::policy).transpose()?);
        let value = codec::value(&self.cache, records::core_codec(value.codec), value.bytes)?;
        Ok(block_on(self.cache.put(&key, value, policy.as_ref()))?)
    }

    fn put_if_absent(&self, key: String, value: Value, policy: Option<Policy>) -> Answer<bool> {
        let (key, policy) = (records::key(key)?, policy.map(records::policy).transpose()?);
        let value = codec::value(&self.cache, records::core_codec(value.codec), value.bytes)?;
        Ok(block_on(self.cache.put_if_absent(&key, value, policy.as_ref()))?)
    }

    fn get_many(&self, keys: Vec<String>) -> Answer<Vec<Option<EntryRecord>>> {
        let keys = records::keys(keys)?;
        let found = block_on(self.cache.get_many(&keys, &self.cache.ask()))?;
        Ok(found.iter().map(|entry| records::maybe_entry(entry.as_ref())).collect::<engine::Result<Vec<_>>>()?)
    }

    fn put_many(&self, values: Vec<(String, Value)>, policy: Option<Policy>) -> Answer<()> {
        let policy = policy.map(records::policy).transpose()?;
        let entry = |(key, value): (String, Value)| Ok((records::key(key)?, codec::value(&self.cache, records::core_codec(value.codec), value.bytes)?));
        let entries = values.into_iter().map(entry).collect::<engine::Result<Vec<_>>>()?;
        Ok(block_on(self.cache.put_many(entries, policy.as_ref()))?)
    }

    fn delete(&self, key: String) -> Answer<()> {
        Ok(block_on(self.cache.delete(&records::key(key)?))?)
    }

    fn delete_many(&self, keys: Vec<String>) -> Answer<()> {
        Ok(block_on(self.cache.delete_many(&records::keys(keys)?))?)
    }

    fn expire(&self, key: String) -> Answer<()> {
        Ok(block_on(self.cache.expire(&records::key(key)?))?)
    }

    fn clear(&self, prefix: String) -> Answer<u64> {
        Ok(block_on(self.cache.clear(&prefix))?)
    }

    fn sweep(&self) -> Answer<u64> {
        Ok(block_on(self.cache.sweep())?)
    }

    fn tier(&self, name: String) -> Option<Store> {
        StoreOf::of_tier(self.cache.chain(), &name).map(Store::new)
    }

    fn close(&self) -> Answer<()> {
        Ok(block_on(self.cache.close())?)
    }
}
