//! Many keys in one call.

use napi_derive::napi;
use undercroft::engine::{self, Key, Policy, Result};

use super::{Core, Encoded, value};
use crate::{
    ask::Ask,
    reply::{Out, Reply},
};

fn keys(given: Vec<String>) -> Result<Vec<Key>> {
    given.into_iter().map(Key::new).collect()
}

#[napi]
impl Core {
    /// Answers with the fresh entries under keys, in their order; the requests run beside each other.
    #[napi]
    pub fn get_many(&self, keys: Vec<String>) -> Reply {
        let (cache, core) = (self.cache(), self.shared.clone());
        let ask = engine::Ask { policy: Policy { stale: Some(0), ..*cache.policy() }, ..engine::Ask::default() };
        self.reply_with(async move {
            let keys = self::keys(keys)?;
            let found = cache.get_many(&keys, &ask).await?;
            Ok(Out::Many(core, keys, found))
        })
    }

    /// Puts several values; the requests run beside each other.
    #[napi]
    pub fn put_many(&self, keys: Vec<String>, slots: Vec<u32>, sizes: Vec<f64>, forms: Vec<Vec<Encoded>>, ask: &Ask) -> Reply {
        let values: Vec<_> = slots.into_iter().zip(sizes).zip(forms).map(|((slot, size), forms)| value(&self.shared.bridge, slot, size, Some(forms))).collect();
        let (cache, policy) = (self.cache(), ask.ask.policy);
        self.reply_with(async move {
            cache.put_many(self::keys(keys)?.into_iter().zip(values).collect(), Some(&policy)).await?;
            Ok(Out::Nothing)
        })
    }

    /// Answers with the keys that begin with `prefix`, of every tier that can list them.
    #[napi]
    pub fn keys(&self, prefix: String) -> Reply {
        let cache = self.cache();
        self.reply_with(async move { cache.keys(&prefix).await.map(Out::Texts) })
    }

    /// Deletes several keys from every tier.
    #[napi]
    pub fn delete_many(&self, keys: Vec<String>) -> Reply {
        let cache = self.cache();
        self.reply_with(async move { cache.delete_many(&self::keys(keys)?).await.map(|()| Out::Nothing) })
    }
}
