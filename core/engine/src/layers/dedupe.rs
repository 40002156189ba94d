//! Dedupe: a value that is there already is not sent again, its deadlines are renewed in place.

use std::sync::Arc;

use async_trait::async_trait;
use sha2::{Digest, Sha256};

use super::Layer;
use crate::{
    entry::Life,
    env::Env,
    error::{Code, Result},
    key::Key,
    store::{Body, Meta, Object, Page, Put, PutMode, Store, StoreInfo, Want},
    time::Millis,
    usage::Usage,
};

/// Compares hashes before a put. It stands outside [`Shape`](super::Shape): the hash is of the plain value, and what is
/// not sent need not be compressed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Dedupe;

/// Above this, hashing runs where blocking harms nobody.
const LARGE: usize = 256 * 1024;

impl Layer for Dedupe {
    fn wrap(&self, inner: Arc<dyn Store>, env: &Env) -> Arc<dyn Store> {
        Arc::new(Deduped { inner, env: env.clone() })
    }
}

#[derive(Debug)]
struct Deduped {
    inner: Arc<dyn Store>,
    env: Env,
}

impl Deduped {
    async fn renewed(&self, key: &Key, object: &Object) -> Result<bool> {
        let Some(known) = self.inner.head(key).await? else { return Ok(false) };
        if known.hash != object.meta.hash || known.codec.id != object.meta.codec.id {
            return Ok(false);
        }
        match self.inner.renew(key, &known, object.meta.life).await {
            Err(error) if error.code() == Code::Unsupported => Ok(false),
            renewed => renewed,
        }
    }
}

#[async_trait]
impl Store for Deduped {
    fn info(&self) -> StoreInfo {
        self.inner.info()
    }

    async fn head(&self, key: &Key) -> Result<Option<Meta>> {
        self.inner.head(key).await
    }

    async fn get(&self, key: &Key, want: Want) -> Result<Option<Object>> {
        self.inner.get(key, want).await
    }

    async fn put(&self, key: &Key, mut object: Object, mode: PutMode) -> Result<Put> {
        let Body::Bytes(bytes) = &object.body else { return self.inner.put(key, object, mode).await };
        let bytes = bytes.clone();
        let hash = if bytes.len() > LARGE { self.env.blocking(move || Sha256::digest(&bytes)).await? } else { Sha256::digest(&bytes) };
        object.meta.hash = Some(hash.into());
        // A look that fails is not the end: the put says itself what is wrong.
        if mode == PutMode::Always && self.renewed(key, &object).await.unwrap_or(false) {
            return Ok(Put::Stored);
        }
        self.inner.put(key, object, mode).await
    }

    async fn delete(&self, key: &Key) -> Result<()> {
        self.inner.delete(key).await
    }

    async fn delete_many(&self, keys: &[Key]) -> Result<()> {
        self.inner.delete_many(keys).await
    }

    async fn renew(&self, key: &Key, known: &Meta, life: Life) -> Result<bool> {
        self.inner.renew(key, known, life).await
    }

    async fn expire(&self, key: &Key) -> Result<()> {
        self.inner.expire(key).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Page> {
        self.inner.list(prefix, after).await
    }

    async fn clear(&self, prefix: &str) -> Result<u64> {
        self.inner.clear(prefix).await
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
