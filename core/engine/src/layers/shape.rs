//! Shape: what keys and bodies look like in the store. A prefix for keys, compression and a size limit for bodies.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::{
    Layer,
    squeeze::{Squeeze, squeeze, unsqueeze},
};
use crate::{
    entry::Life,
    env::Env,
    error::{Code, Error, Result},
    key::Key,
    store::{Body, Encoding, Meta, Object, Page, Put, PutMode, Store, StoreInfo, Want},
    time::Millis,
    usage::Usage,
};

/// What keys and bodies look like in the store.
#[derive(Clone, Debug, Default)]
pub struct Shape {
    /// Stands before every key; nothing outside it is ever read, listed or deleted (law 11).
    pub prefix: String,
    /// How bodies are compressed that become smaller by it.
    pub compress: Option<Squeeze>,
    /// The largest body that is stored, in bytes before compression.
    pub max_value: Option<u64>,
}

/// Above this, compression runs where blocking harms nobody.
const LARGE: usize = 64 * 1024;

impl Layer for Shape {
    fn wrap(&self, inner: Arc<dyn Store>, env: &Env) -> Arc<dyn Store> {
        Arc::new(Shaped { shape: self.clone(), inner, env: env.clone() })
    }
}

#[derive(Debug)]
struct Shaped {
    shape: Shape,
    inner: Arc<dyn Store>,
    env: Env,
}

impl Shaped {
    fn key(&self, key: &Key) -> Result<Key> {
        if self.shape.prefix.is_empty() { Ok(key.clone()) } else { Key::new(format!("{}{key}", self.shape.prefix)) }
    }

    /// Runs `work` on `bytes`: here when they are few, where blocking harms nobody when they are many.
    async fn run<T: Send + 'static>(&self, bytes: Bytes, work: impl FnOnce(Bytes) -> Result<T> + Send + 'static) -> Result<T> {
        if bytes.len() > LARGE { self.env.blocking(move || work(bytes)).await? } else { work(bytes) }
    }

    async fn unpack(&self, object: Object) -> Result<Object> {
        let Object { mut meta, body } = object;
        let body = match body {
            Body::Bytes(bytes) if meta.encoding != Encoding::Identity => {
                let encoding = std::mem::take(&mut meta.encoding);
                let bytes = self.run(bytes, move |bytes| unsqueeze(bytes, encoding)).await?;
                meta.size = bytes.len() as u64;
                Body::Bytes(bytes)
            }
            body => body,
        };
        Ok(Object { meta, body })
    }

    async fn pack(&self, object: Object) -> Result<Object> {
        let Object { mut meta, body } = object;
        let Body::Bytes(bytes) = body else { return Ok(Object { meta, body }) };
        if let Some(max) = self.shape.max_value.filter(|max| bytes.len() as u64 > *max) {
            return Err(Error::new(Code::TooLarge, format!("the value has {} bytes; the tier takes at most {max}", bytes.len())));
        }
        let Some(how) = self.shape.compress.filter(|_| meta.encoding == Encoding::Identity) else {
            return Ok(Object { meta, body: Body::Bytes(bytes) });
        };
        let packed = self.run(bytes.clone(), move |bytes| squeeze(&bytes, how)).await?;
        let body = match packed {
            Some(packed) => {
                meta.encoding = how.encoding();
                packed.into()
            }
            None => bytes,
        };
        meta.size = body.len() as u64;
        Ok(Object { meta, body: Body::Bytes(body) })
    }
}

#[async_trait]
impl Store for Shaped {
    fn info(&self) -> StoreInfo {
        self.inner.info()
    }

    async fn head(&self, key: &Key) -> Result<Option<Meta>> {
        self.inner.head(&self.key(key)?).await
    }

    async fn get(&self, key: &Key, want: Want) -> Result<Option<Object>> {
        match self.inner.get(&self.key(key)?, want).await? {
            Some(object) => self.unpack(object).await.map(Some),
            None => Ok(None),
        }
    }

    async fn put(&self, key: &Key, object: Object, mode: PutMode) -> Result<Put> {
        let object = self.pack(object).await?;
        self.inner.put(&self.key(key)?, object, mode).await
    }

    async fn delete(&self, key: &Key) -> Result<()> {
        self.inner.delete(&self.key(key)?).await
    }

    async fn delete_many(&self, keys: &[Key]) -> Result<()> {
        let keys = keys.iter().map(|key| self.key(key)).collect::<Result<Vec<_>>>()?;
        self.inner.delete_many(&keys).await
    }

    async fn renew(&self, key: &Key, known: &Meta, life: Life) -> Result<bool> {
        self.inner.renew(&self.key(key)?, known, life).await
    }

    async fn expire(&self, key: &Key) -> Result<()> {
        self.inner.expire(&self.key(key)?).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Page> {
        let own = &self.shape.prefix;
        let after = after.map(|after| format!("{own}{after}"));
        let page = self.inner.list(&format!("{own}{prefix}"), after.as_deref()).await?;
        let strip = |key: String| key.strip_prefix(own.as_str()).map(str::to_owned);
        Ok(Page { keys: page.keys.into_iter().filter_map(strip).collect(), next: page.next.and_then(strip) })
    }

    async fn clear(&self, prefix: &str) -> Result<u64> {
        self.inner.clear(&format!("{}{prefix}", self.shape.prefix)).await
    }

    async fn sweep(&self, now: Millis) -> Result<u64> {
        self.inner.sweep(now).await
    }

    fn usage(&self) -> Option<Usage> {
        self.inner.usage()
    }

    fn after_fork(&self) {
        self.inner.after_fork();
    }

    async fn close(&self) -> Result<()> {
        self.inner.close().await
    }
}
