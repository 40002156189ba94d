//! Shape: what keys and bodies look like in the store. A prefix for keys, gzip and a size limit for bodies.

use std::{
    io::{Read, Write},
    sync::Arc,
};

use async_trait::async_trait;
use flate2::{Compression, read::GzDecoder, write::GzEncoder};

use super::Layer;
use crate::{
    env::Env,
    error::{Code, Error, Result},
    key::Key,
    store::{Body, Meta, Object, Page, Put, PutMode, Store, StoreInfo, Want},
    time::Millis,
};

/// What keys and bodies look like in the store.
#[derive(Clone, Debug, Default)]
pub struct Shape {
    /// Stands before every key; nothing outside it is ever read, listed or deleted (law 11).
    pub prefix: String,
    /// The gzip level, 1 to 9, for bodies that become smaller by it.
    pub compress: Option<u32>,
    /// The largest body that is stored, in bytes before compression.
    pub max_value: Option<u64>,
}

/// Compressing less than this saves nothing worth a byte of CPU.
const WORTH_COMPRESSING: usize = 128;
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

    async fn unpack(&self, object: Object) -> Result<Object> {
        let Object { mut meta, body } = object;
        let body = match body {
            Body::Bytes(bytes) if meta.compressed => {
                meta.compressed = false;
                let work = move || gunzip(&bytes);
                let bytes = if meta.size as usize > LARGE { self.env.blocking(work).await? } else { work() }?;
                meta.size = bytes.len() as u64;
                Body::Bytes(bytes.into())
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
        let Some(level) = self.shape.compress.filter(|_| !meta.compressed && bytes.len() >= WORTH_COMPRESSING) else {
            return Ok(Object { meta, body: Body::Bytes(bytes) });
        };
        let plain = bytes.clone();
        let work = move || gzip(&plain, level);
        let packed = if bytes.len() > LARGE { self.env.blocking(work).await? } else { work() };
        let body = if packed.len() < bytes.len() {
            meta.compressed = true;
            packed.into()
        } else {
            bytes
        };
        meta.size = body.len() as u64;
        Ok(Object { meta, body: Body::Bytes(body) })
    }
}

fn gzip(bytes: &[u8], level: u32) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 2), Compression::new(level));
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("writing to memory does not fail")
}

fn gunzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut plain = Vec::with_capacity(bytes.len() * 3);
    GzDecoder::new(bytes).read_to_end(&mut plain).map_err(|error| Error::new(Code::Corrupt, format!("gzip body: {error}")))?;
    Ok(plain)
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

    async fn close(&self) -> Result<()> {
        self.inner.close().await
    }
}
