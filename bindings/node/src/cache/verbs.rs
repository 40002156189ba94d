//! The verbs over single keys and whole stores.

use napi_derive::napi;
use undercroft::engine::{self, Life, Policy};

use super::{Core, Encoded, value};
use crate::{
    ask::{Ask, millis},
    clock,
    live::live,
    reply::{Out, Reply, State},
};

#[napi]
impl Core {
    /// Puts a value into every tier, and answers with the number until which JavaScript may serve it by itself.
    #[napi]
    pub fn put(&self, key: String, slot: u32, size: f64, forms: Option<Vec<Encoded>>, ask: &Ask) -> Reply {
        let (value, policy) = (value(&self.shared.bridge, slot, size, forms), ask.ask.policy);
        self.put_value(&key, value, policy)
    }

    /// Puts a value with its own deadlines: when it was made, until when it is fresh, until when it may be served; milliseconds since the epoch.
    #[napi]
    pub fn put_life(&self, key: String, slot: u32, size: f64, forms: Option<Vec<Encoded>>, life: Vec<f64>) -> Reply {
        let value = value(&self.shared.bridge, slot, size, forms);
        let moment = |at: usize| life.get(at).copied().map_or(engine::time::FOREVER, millis);
        let life = Life { created_at: moment(0), fresh_until: moment(1), stale_until: moment(2) };
        let (core, object) = (self.shared.clone(), value.object().cloned());
        self.reply(&key, move |cache, key| async move {
            cache.put_with(&key, value, life, &cache.ask()).await?;
            Ok(Out::put(core, key, object))
        })
    }

    /// Puts a value only if the key is absent; the furthest tier decides. Answers with whether it was put.
    #[napi]
    pub fn put_if_absent(&self, key: String, slot: u32, size: f64, forms: Option<Vec<Encoded>>, ask: &Ask) -> Reply {
        let (value, policy) = (value(&self.shared.bridge, slot, size, forms), ask.ask.policy);
        self.reply(&key, move |cache, key| async move { Ok(Out::flag(cache.put_if_absent(&key, value, Some(&policy)).await?)) })
    }

    /// Gives the near copy that came as bytes the object that was decoded from them. Returns until when JavaScript may serve it.
    #[napi]
    pub fn attach(&self, key: String, created_at: f64, slot: u32, size: f64) -> f64 {
        let _inside = crate::bridge::Inside::enter();
        let object = engine::Value::live(live(&self.shared.bridge, slot), size.max(0.0) as u64);
        let Ok(key) = engine::Key::new(key) else { return 0.0 };
        let created_at = millis(created_at);
        self.shared.cache.attach(&key, &Life { created_at, fresh_until: created_at, stale_until: created_at }, &object);
        self.shared.plain_until(&key, slot)
    }

    /// Says whether a key holds something fresh.
    #[napi]
    pub fn exists(&self, key: String) -> Reply {
        self.reply(&key, |cache, key| async move { Ok(Out::flag(cache.exists(&key).await?)) })
    }

    /// Marks a key as stale.
    #[napi]
    pub fn expire(&self, key: String) -> Reply {
        self.reply(&key, |cache, key| async move { cache.expire(&key).await.map(|()| Out::Nothing) })
    }

    /// Deletes a key from every tier.
    #[napi]
    pub fn delete(&self, key: String) -> Reply {
        self.reply(&key, |cache, key| async move { cache.delete(&key).await.map(|()| Out::Nothing) })
    }

    /// Deletes every key that begins with `prefix`, and answers with how many there were.
    #[napi]
    pub fn clear(&self, prefix: String) -> Reply {
        let cache = self.cache();
        self.reply_with(async move { Ok(Out::Number(cache.clear(&prefix).await? as f64)) })
    }

    /// Removes what can never be served again, and answers with how much there was.
    #[napi]
    pub fn sweep(&self) -> Reply {
        let cache = self.cache();
        self.reply_with(async move { Ok(Out::Number(cache.sweep().await? as f64)) })
    }

    /// Closes the cache.
    #[napi]
    pub fn close(&self) -> Reply {
        let cache = self.cache();
        self.reply_with(async move { cache.close().await.map(|()| Out::Nothing) })
    }

    /// Takes note that the copy of a tier could not be decoded.
    #[napi]
    pub fn distrust(&self, key: String, tier: String, why: String) {
        let _inside = crate::bridge::Inside::enter();
        if let Ok(key) = engine::Key::new(key) {
            self.shared.cache.distrust(&key, &tier, &engine::Error::new(engine::Code::Corrupt, why));
        }
    }
}

impl Core {
    pub(super) fn put_value(&self, key: &str, value: engine::Value, policy: Policy) -> Reply {
        clock::wake();
        let (core, object) = (self.shared.clone(), value.object().cloned());
        self.reply(key, move |cache, key| async move {
            cache.put(&key, value, Some(&policy)).await?;
            Ok(Out::put(core, key, object))
        })
    }

    pub(super) fn entry_of(&self, key: &str, mut ask: engine::Ask, is_fresh: bool) -> Reply {
        clock::wake();
        let core = self.shared.clone();
        if is_fresh {
            // A stale copy does not hide a fresh one further back.
            ask.policy = Policy { stale: Some(0), ..ask.policy };
        }
        self.reply(key, move |cache, key| async move {
            let entry = if is_fresh { cache.get_fresh(&key, &ask).await? } else { cache.get_with(&key, &ask).await? };
            Ok(entry.map_or_else(|| Out::missed(State::Miss, None, &core, &key), |entry| Out::found(State::Hit, entry, None, &core, &key)))
        })
    }
}
