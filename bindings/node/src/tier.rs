//! Tiers: stores with their place in a chain, as JavaScript builds them.

use std::sync::Arc;

use napi_derive::napi;
use undercroft::{
    Options, TierConfig,
    engine::{
        self, Codec, Near, NearTier, OnError, Store,
        layers::{Layer, Shape, Squeeze},
        near::Limits,
        time::Millis,
    },
    stores::{Local, LocalOptions, Memory},
};

use crate::{
    ask::duration,
    bridge::Bridge,
    errors::{invalid, raise},
    host_store::HostStore,
};

/// Returns how caches are opened in this process.
pub(crate) fn options() -> Options {
    Options { identities: Some(undercroft_native::identities()), variables: Some(|name| std::env::var(name).ok()), ..Options::default() }
}

#[derive(Clone)]
enum Kind {
    Near(Arc<Near>),
    Far(Arc<dyn Store>),
}

/// A store with its limits and its codec. Tiers are immutable; a changed copy is another tier of the same store.
#[napi]
#[derive(Clone)]
pub struct Tier {
    kind: Kind,
    name: Option<String>,
    max_ttl: Option<Millis>,
    on_error: OnError,
    codec: Codec,
}

#[napi]
impl Tier {
    /// Makes a tier of memory.
    #[napi(factory)]
    pub fn memory(max_entries: f64, max_bytes: Option<f64>) -> napi::Result<Self> {
        let count = |number: f64, name: &str| {
            let whole = number >= 1.0 && number.fract() == 0.0 && number.is_finite();
            if whole { Ok(number as u64) } else { Err(invalid(format!("`{name}` must be a whole number from 1 on, not {number}"))) }
        };
        let limits = Limits { max_entries: count(max_entries, "maxEntries")?, max_bytes: max_bytes.map(|bytes| count(bytes, "maxBytes")).transpose()? };
        Ok(Self::of(Kind::Near(Arc::new(Near::new(limits))), Codec::RAW))
    }

    /// Makes a tier of a directory.
    #[napi(factory)]
    pub fn local(root: String, codec: u32, instance: u32, compress: Option<u32>, prefix: String, max_bytes: Option<f64>, durable: bool) -> napi::Result<Self> {
        let env = undercroft_native::env();
        let max_bytes = max_bytes.filter(|bytes| bytes.is_finite()).map(|bytes| bytes as u64);
        let local = Local::open(root, LocalOptions { max_bytes, durable }, env.clone()).map_err(raise)?;
        // Always shaped: what others have compressed is read by those who compress nothing.
        let store = Shape { prefix, compress: compress.map(Squeeze::Gzip), max_value: None }.wrap(Arc::new(local), &env);
        Ok(Self::of(Kind::Far(store), Codec { id: codec as u8, instance }))
    }

    /// Makes a tier on object storage from its settings, as JSON: a URL, or an object with `url`.
    #[napi(factory)]
    pub fn object(settings: String, codec: u32, instance: u32) -> napi::Result<Self> {
        let settings = serde_json::from_str(&settings).map_err(|error| invalid(error.to_string()))?;
        let config = TierConfig { codec: Codec { id: codec as u8, instance }, ..TierConfig::from_value(&settings).map_err(raise)? };
        let opened = undercroft::open_tier(&config, &undercroft_native::env(), &options()).map_err(raise)?;
        Ok(Self { max_ttl: opened.max_ttl, on_error: opened.on_error, ..Self::of(Kind::Far(opened.store), config.codec) })
    }

    /// Makes a tier of a store that the user wrote, which is an object on JavaScript's list.
    #[napi(factory)]
    pub fn host(bridge: &Bridge, slot: u32, label: String, keeps_entries: bool) -> Self {
        Self::of(Kind::Far(Arc::new(HostStore::new(&bridge.0, slot, label, keeps_entries))), Codec::RAW)
    }

    /// Returns this tier with a limit on how long it keeps entries, as a duration in JSON; the tighter one holds.
    #[napi]
    pub fn capped(&self, max_ttl: String) -> napi::Result<Self> {
        let limit = duration(max_ttl)?;
        let limit = limit.is_finite().then_some(limit as Millis);
        let max_ttl = match (limit, self.max_ttl) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        Ok(Self { max_ttl, ..self.clone() })
    }

    /// Returns this tier under another name.
    #[napi]
    pub fn named(&self, name: String) -> Self {
        Self { name: Some(name), ..self.clone() }
    }
}

impl Tier {
    fn of(kind: Kind, codec: Codec) -> Self {
        Self { kind, name: None, max_ttl: None, on_error: OnError::Miss, codec }
    }

    pub(crate) fn near(&self, at: usize) -> Option<NearTier> {
        match &self.kind {
            Kind::Near(near) => Some(NearTier { name: self.name_at(at), near: near.clone(), max_ttl: self.max_ttl }),
            Kind::Far(_) => None,
        }
    }

    pub(crate) fn far(&self, at: usize) -> engine::Tier {
        let store = match &self.kind {
            Kind::Near(near) => Arc::new(Memory::new(near.clone(), undercroft_native::env())),
            Kind::Far(store) => store.clone(),
        };
        engine::Tier { max_ttl: self.max_ttl, on_error: self.on_error, ..engine::Tier::new(self.name_at(at), store, self.codec) }
    }

    fn name_at(&self, at: usize) -> Arc<str> {
        self.name.as_deref().map_or_else(|| format!("l{}", at + 1).into(), Into::into)
    }
}
