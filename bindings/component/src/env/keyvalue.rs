//! The host's own key-value store as a far tier: `keyvalue://identifier`. Entries lie there in the core's envelope.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use undercroft::{
    HostStores, TierConfig,
    engine::{
        Body, Capability, Code, Codec, Env, Error, Key, Meta, Object, Page, Put, PutMode, Result, Store, StoreInfo, Want,
        envelope::{HEADER, Header},
    },
};

use crate::bindings::wasi::keyvalue::store::{self as host, Bucket};

const PAGE: usize = 1000;

/// Opens `keyvalue://` tiers.
#[derive(Debug)]
pub(super) struct HostKeyValue;

impl HostStores for HostKeyValue {
    fn open(&self, tier: &TierConfig, _env: &Env) -> Result<Option<Arc<dyn Store>>> {
        if tier.scheme != "keyvalue" {
            return Ok(None);
        }
        let identifier = tier.target.clone();
        let bucket = host::open(&identifier).map_err(|error| failed(&identifier, error))?;
        Ok(Some(Arc::new(KeyValue { identifier, bucket })))
    }
}

struct KeyValue {
    identifier: String,
    bucket: Bucket,
}

impl fmt::Debug for KeyValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyValue").field("identifier", &self.identifier).finish_non_exhaustive()
    }
}

fn failed(identifier: &str, error: host::Error) -> Error {
    match error {
        host::Error::NoSuchStore => Error::new(Code::ConfigInvalid, format!("the host has no key-value store `{identifier}`")),
        host::Error::AccessDenied => Error::new(Code::Denied, format!("the host denies access to the key-value store `{identifier}`")),
        host::Error::Other(why) => Error::new(Code::Unavailable, why),
    }
}

impl KeyValue {
    fn read(&self, key: &Key) -> Result<Option<(Meta, Bytes)>> {
        let Some(stored) = self.bucket.get(key).map_err(|error| failed(&self.identifier, error))? else { return Ok(None) };
        let stored = Bytes::from(stored);
        // What is too short for a header is refused by it.
        let body = stored.slice(stored.len().min(HEADER)..);
        let header = Header::open(&stored[..stored.len() - body.len()], &body)?;
        if header.signed {
            return Err(Error::new(Code::Unsupported, "the entry is signed, which this build cannot check"));
        }
        let meta = Meta { encoding: header.encoding, ..Meta::new(header.life, Codec { id: header.codec, instance: 0 }, body.len() as u64) };
        Ok(Some((meta, body)))
    }

    fn keys(&self) -> Result<Vec<String>> {
        let (mut keys, mut cursor) = (Vec::new(), None);
        loop {
            let mut page = self.bucket.list_keys(cursor).map_err(|error| failed(&self.identifier, error))?;
            keys.append(&mut page.keys);
            cursor = page.cursor;
            if cursor.is_none() {
                keys.sort_unstable();
                return Ok(keys);
            }
        }
    }
}

#[async_trait]
impl Store for KeyValue {
    fn info(&self) -> StoreInfo {
        let can = Capability { list: true, put_if_absent: false, live: false, bytes: true, paced: false };
        StoreInfo { scheme: "keyvalue", label: self.identifier.clone(), can }
    }

    async fn head(&self, key: &Key) -> Result<Option<Meta>> {
        Ok(self.read(key)?.map(|(meta, _)| meta))
    }

    async fn get(&self, key: &Key, want: Want) -> Result<Option<Object>> {
        let Some((meta, body)) = self.read(key)? else { return Ok(None) };
        let is_wanted = match want {
            Want::Any => true,
            Want::ServableAt(now) => meta.life.is_servable(now),
        };
        Ok(Some(Object { meta, body: if is_wanted { Body::Bytes(body) } else { Body::Absent } }))
    }

    async fn put(&self, key: &Key, object: Object, mode: PutMode) -> Result<Put> {
        if mode != PutMode::Always {
            return Err(Error::new(Code::Unsupported, "`wasi:keyvalue` cannot put a value only if its key is absent"));
        }
        let Object { meta, body: Body::Bytes(body) } = object else {
            return Err(Error::new(Code::Unsupported, "only bytes can be put there"));
        };
        let header = Header { codec: meta.codec.id, encoding: meta.encoding, signed: false, life: meta.life };
        let mut stored = Vec::with_capacity(HEADER + body.len());
        stored.extend_from_slice(&header.seal(&body));
        stored.extend_from_slice(&body);
        self.bucket.set(key, &stored).map_err(|error| failed(&self.identifier, error))?;
        Ok(Put::Stored)
    }

    async fn delete(&self, key: &Key) -> Result<()> {
        self.bucket.delete(key).map_err(|error| failed(&self.identifier, error))
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Page> {
        let keys = self.keys()?.into_iter().filter(|key| key.starts_with(prefix) && after.is_none_or(|after| key.as_str() > after));
        let mut keys: Vec<String> = keys.take(PAGE + 1).collect();
        let more = keys.len() > PAGE;
        keys.truncate(PAGE);
        let next = if more { keys.last().cloned() } else { None };
        Ok(Page { keys, next })
    }
}
