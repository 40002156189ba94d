//! Many keys in one call: as many requests under way at a time as one call may have.

use std::collections::BTreeSet;

use futures_util::{StreamExt, TryStreamExt, stream};

use super::{Ask, Cache};
use crate::{entry::Entry, error::Result, event::Kind, key::Key, policy::Policy, store::CONCURRENCY, value::Value};

impl Cache {
    /// Gets the fresh entries under `keys`, in their order.
    ///
    /// # Errors
    /// As [`Cache::get`]; the first of them ends the call.
    pub async fn get_many(&self, keys: &[Key], ask: &Ask) -> Result<Vec<Option<Entry>>> {
        self.check_open()?;
        stream::iter(keys.to_vec()).map(|key| async move { self.get_fresh(&key, ask).await }).buffered(CONCURRENCY).try_collect().await
    }

    /// Puts every value under its key, as [`Cache::put`] does.
    ///
    /// # Errors
    /// As [`Cache::put`]; all are tried, and the first error is returned.
    pub async fn put_many(&self, entries: Vec<(Key, Value)>, policy: Option<&Policy>) -> Result<()> {
        self.check_open()?;
        let puts = stream::iter(entries).map(|(key, value)| async move { self.put(&key, value, policy).await });
        first_error(puts.buffer_unordered(CONCURRENCY)).await
    }

    /// Deletes `keys` from every tier, as [`Cache::delete`] does, with as few requests as each store allows.
    ///
    /// # Errors
    /// `closed`, or the first failure of a far tier, after all were asked.
    pub async fn delete_many(&self, keys: &[Key]) -> Result<()> {
        self.check_open()?;
        let inner = &self.inner;
        let revoke = || {
            for key in keys {
                inner.flights.revoke(key);
            }
        };
        revoke();
        let deleted = inner.chain.delete_many(keys, &inner.events).await;
        if let Some(tier) = inner.chain.near() {
            for key in keys {
                tier.near.remove(key);
            }
        }
        if !inner.chain.far().is_empty() {
            revoke();
        }
        for key in keys {
            inner.events.on(Kind::Delete, key);
        }
        deleted
    }
}

impl Cache {
    /// Lists the keys that begin with `prefix`, sorted: those of memory that can still be served, and those of every far tier that can
    /// list, where some may have expired.
    ///
    /// # Errors
    /// `closed`, or the first failure of a far tier.
    pub async fn keys(&self, prefix: &str) -> Result<Vec<String>> {
        self.check_open()?;
        let (chain, now) = (&self.inner.chain, self.inner.env.clock.monotonic());
        let mut keys = BTreeSet::new();
        if let Some(tier) = chain.near() {
            keys.extend(tier.near.entries(prefix).iter().filter(|held| held.is_servable(now)).map(|held| held.key().to_owned()));
        }
        for tier in chain.far().iter().filter(|tier| tier.can.list) {
            let mut after = None;
            loop {
                let page = tier.store.list(prefix, after.as_deref()).await.map_err(|error| error.at(&tier.name))?;
                keys.extend(page.keys);
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
        }
        Ok(keys.into_iter().collect())
    }
}

async fn first_error(results: impl stream::Stream<Item = Result<()>>) -> Result<()> {
    results.fold(Ok(()), |first, result| std::future::ready(first.and(result))).await
}
