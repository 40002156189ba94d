//! Copies: bodies that were read before, and the version they had. A service that says they are current sends no body.

use std::sync::Arc;

use bytes::Bytes;
use quick_cache::{Weighter, sync::Cache as Map};
use undercroft_engine::{Body, Life, Meta, Object, Version};

use super::bucket::Known;

/// A body that is shorter costs less than finding out whether it has changed.
const SHORTEST: usize = 512;
/// The share of all copies that one may take.
const SHARE: u64 = 8;

#[derive(Clone, Debug)]
pub(crate) struct Copy {
    meta: Meta,
    version: Version,
    body: Bytes,
}

impl Copy {
    pub(crate) fn known(&self) -> Known<'_> {
        Known { version: &self.version, size: self.body.len() as u64 }
    }

    pub(crate) fn life(&self) -> &Life {
        &self.meta.life
    }

    pub(crate) fn object(&self) -> Object {
        Object { meta: self.meta.clone(), body: Body::Bytes(self.body.clone()) }
    }
}

#[derive(Clone, Debug)]
struct Weigh;

impl Weighter<Arc<str>, Arc<Copy>> for Weigh {
    fn weight(&self, name: &Arc<str>, copy: &Arc<Copy>) -> u64 {
        (name.len() + copy.body.len() + 300) as u64
    }
}

#[derive(Debug)]
pub(crate) struct Copies {
    map: Option<Map<Arc<str>, Arc<Copy>, Weigh>>,
    longest: usize,
}

impl Copies {
    /// Makes room for `max_bytes` of copies; none for zero.
    pub(crate) fn new(max_bytes: u64) -> Self {
        let map = (max_bytes > 0).then(|| Map::with_weighter((max_bytes / 4096).max(16) as usize, max_bytes, Weigh));
        Self { map, longest: (max_bytes / SHARE) as usize }
    }

    pub(crate) fn get(&self, name: &str) -> Option<Arc<Copy>> {
        self.map.as_ref()?.get(name)
    }

    pub(crate) fn remove(&self, name: &str) {
        if let Some(map) = &self.map {
            map.remove(name);
        }
    }

    /// Says whether a body is neither too short nor too long.
    pub(crate) fn would_keep(&self, body: &[u8]) -> bool {
        self.map.is_some() && (SHORTEST..=self.longest).contains(&body.len())
    }

    /// Keeps a copy of an object that has a version.
    pub(crate) fn keep(&self, name: &str, meta: &Meta, body: &Bytes) {
        if let (Some(map), Some(version)) = (&self.map, &meta.version)
            && self.would_keep(body)
        {
            map.insert(name.into(), Arc::new(Copy { meta: meta.clone(), version: version.clone(), body: body.clone() }));
        }
    }
}
