//! The cache as JavaScript holds it: every method extracts, builds the future and bridges.

mod flight;
mod hot;
mod many;
mod numbers;
mod verbs;

use std::sync::Arc;

use bytes::Bytes;
use napi::bindgen_prelude::{ClassInstance, Either, Uint8Array};
use napi_derive::napi;
use undercroft::{
    Config, Format,
    engine::{self, Chain, Codec, Form, Key, Result, Value, layers, near::Held},
};

use crate::{
    ask::{Ask, policy},
    bridge::{self, Bridge, Inside},
    clock,
    errors::raise,
    live::{live, slot},
    reply::{Out, Reply},
    testing::{Faults, ManualClock},
    tier::{Tier, options},
};

/// What the handles of one cache share.
pub(crate) struct Shared {
    pub(crate) cache: engine::Cache,
    pub(crate) bridge: Arc<bridge::Shared>,
    /// How much earlier JavaScript stops to serve by itself, in milliseconds.
    margin: u64,
    names: Vec<Arc<str>>,
}

impl Shared {
    /// Returns the place of a tier; -1 for the loader.
    pub(crate) fn place(&self, tier: &str) -> f64 {
        self.names.iter().position(|name| &**name == tier).map_or(-1.0, |at| at as f64)
    }

    /// Returns until when JavaScript may serve an object by itself, on the monotonic clock: not at all, unless memory holds that object.
    pub(crate) fn plain_until(&self, key: &Key, number: u32) -> f64 {
        let held = self.cache.chain().near().and_then(|tier| tier.near.peek(key));
        match held.filter(|held| held.object().and_then(slot) == Some(number)).as_ref().map(Held::plain_until) {
            Some(engine::time::FOREVER) => f64::INFINITY,
            Some(until) => until.saturating_sub(self.margin) as f64,
            None => 0.0,
        }
    }
}

/// One form of a value: its bytes, its text, or why there are none.
#[napi(object)]
pub struct Encoded {
    /// Number of the codec.
    pub codec: u32,
    /// Which of several custom codecs.
    pub instance: u32,
    /// The bytes.
    pub data: Option<Either<Uint8Array, String>>,
    /// Why there are none.
    pub error: Option<String>,
}

/// A value with its forms: number, estimated size, what far tiers keep.
fn value(shared: &Arc<bridge::Shared>, slot: u32, size: f64, forms: Option<Vec<Encoded>>) -> Value {
    let forms = forms.unwrap_or_default().into_iter().map(form).collect();
    Value::live(live(shared, slot), size.max(0.0) as u64).with_forms(forms)
}

pub(crate) fn form(encoded: Encoded) -> Form {
    let bytes = match (encoded.data, encoded.error) {
        (Some(Either::A(bytes)), None) => Ok(Bytes::copy_from_slice(&bytes)),
        (Some(Either::B(text)), None) => Ok(Bytes::from(text)),
        (_, error) => Err(error.unwrap_or_else(|| "no bytes".to_owned()).into()),
    };
    Form { codec: Codec { id: encoded.codec as u8, instance: encoded.instance }, bytes }
}

/// A chain, the flights over it, and a default policy.
#[napi]
pub struct Core {
    pub(crate) shared: Arc<Shared>,
    blocks: bool,
    faults: Vec<(String, layers::Faults)>,
}

impl Core {
    fn over(cache: engine::Cache, bridge: &Bridge, margin: u64, faults: Vec<(String, layers::Faults)>) -> Self {
        let names = cache.chain().counts().map(|(name, _)| name.clone()).collect();
        Self { shared: Arc::new(Shared { cache, bridge: bridge.0.clone(), margin, names }), blocks: false, faults }
    }

    fn cache(&self) -> engine::Cache {
        self.shared.cache.clone()
    }

    /// Answers with what comes of a verb on a key.
    fn reply<F>(&self, key: &str, verb: impl FnOnce(engine::Cache, Key) -> F) -> Reply
    where
        F: Future<Output = Result<Out>> + Send + 'static,
    {
        match Key::new(key) {
            Ok(key) => self.reply_with(verb(self.cache(), key)),
            Err(error) => Reply::now(&self.shared.bridge, Err(error)),
        }
    }

    /// Answers with what comes of `future`: at once, or later; a handle that blocks always at once.
    fn reply_with<F: Future<Output = Result<Out>> + Send + 'static>(&self, future: F) -> Reply {
        let _inside = Inside::enter();
        if self.blocks {
            return Reply::now(&self.shared.bridge, undercroft_native::wait(future));
        }
        Reply::of(&self.shared.bridge, future)
    }
}

#[napi]
impl Core {
    /// Makes a cache over tiers, nearest first. Memory in front is the near tier.
    #[napi(constructor)]
    pub fn new(bridge: &Bridge, tiers: Vec<ClassInstance<'_, Tier>>, policy: String) -> napi::Result<Self> {
        let near = tiers.first().and_then(|tier| tier.near(0));
        let skip = usize::from(near.is_some());
        let far = tiers.iter().enumerate().skip(skip).map(|(at, tier)| tier.far(at)).collect();
        let chain = Chain::new(near, far).map_err(raise)?;
        let cache = engine::Cache::new(chain, self::policy(&policy)?, undercroft_native::env()).map_err(raise)?;
        Ok(Self::over(cache, bridge, clock::MARGIN, Vec::new()))
    }

    /// Opens a configuration, given as text in a `syntax` (`json`, `yaml` or `toml`).
    #[napi(factory)]
    pub fn open(bridge: &Bridge, text: String, syntax: String, clock: Option<&ManualClock>, faults: bool) -> napi::Result<Self> {
        let format = Format::of(&format!(".{syntax}")).map_err(raise)?;
        let config = Config::parse(&text, format, &|name| std::env::var(name).ok()).map_err(raise)?;
        let (env, margin) = match clock {
            Some(clock) => (clock.env(), 0),
            None => (undercroft_native::env(), clock::MARGIN),
        };
        let opened = undercroft::open(&config, &env, &undercroft::Options { faults, ..options() }).map_err(raise)?;
        let faults = opened.faults.into_iter().map(|(name, faults)| (name.to_string(), faults)).collect();
        Ok(Self::over(opened.cache, bridge, margin, faults))
    }

    /// Returns a handle of the same cache whose verbs end before they return.
    #[napi]
    pub fn blocking(&self) -> Self {
        Self { shared: self.shared.clone(), blocks: true, faults: Vec::new() }
    }

    /// The names of the tiers, nearest first.
    #[napi(getter)]
    pub fn tier_names(&self) -> Vec<String> {
        self.shared.names.iter().map(|name| name.to_string()).collect()
    }

    /// The schemes of the tiers behind memory, nearest first.
    #[napi(getter)]
    pub fn far_schemes(&self) -> Vec<String> {
        self.shared.cache.chain().far().iter().map(|tier| tier.store.info().scheme.to_owned()).collect()
    }

    /// The codecs under which tiers want values: number and instance of each.
    #[napi(getter)]
    pub fn codecs(&self) -> Vec<Vec<u32>> {
        self.shared.cache.chain().codecs().into_iter().map(|codec| vec![u32::from(codec.id), codec.instance]).collect()
    }

    /// Whether the near tier counts bytes.
    #[napi(getter)]
    pub fn is_sized(&self) -> bool {
        self.shared.cache.chain().near().is_some_and(|tier| tier.near.limits().max_bytes.is_some())
    }

    /// A question from the default policy.
    #[napi(getter)]
    pub fn ask(&self) -> Ask {
        Ask::of(self.shared.cache.ask())
    }

    /// The faults of a far tier, for tests.
    #[napi]
    pub fn faults(&self, tier: String) -> Option<Faults> {
        self.faults.iter().find(|(name, _)| *name == tier).map(|(_, faults)| Faults(faults.clone()))
    }
}
