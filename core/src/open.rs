//! Opening: from a configuration to a cache.

use std::{fmt, sync::Arc};

#[cfg(feature = "far")]
use undercroft_engine::layers::{Dedupe, Guard};
use undercroft_engine::{
    Cache, Chain, Env, Near, NearTier, Result, Store, Tier,
    layers::{Faults, Layer, Shape},
    near::{Limits, Remains},
};
use undercroft_stores::Memory;
#[cfg(feature = "object")]
use undercroft_stores::{Objects, object::Bucket};

#[cfg(any(feature = "s3", feature = "gcs"))]
use crate::services::{self, Identities};
use crate::{
    config::{Config, TierConfig},
    settings::{invalid, is_object},
};

/// The schemes this build opens.
pub const SCHEMES: &[&str] = &[
    "memory",
    #[cfg(feature = "local")]
    "file",
    #[cfg(feature = "s3")]
    "s3",
    #[cfg(feature = "gcs")]
    "gs",
];

/// How to open, beside the configuration.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Whether every far tier can be made to fail, for tests.
    pub faults: bool,
    /// Where the near tier leaves what it removes, for a host that glances at it.
    pub remains: Option<Arc<Remains>>,
    /// Who we are to the services of far tiers.
    #[cfg(any(feature = "s3", feature = "gcs"))]
    pub identities: Option<Arc<dyn Identities>>,
    /// The variables of the environment that stores look at; none by default.
    pub variables: Option<fn(&str) -> Option<String>>,
    /// Stores that are not made here.
    pub host: Option<Arc<dyn HostStores>>,
}

/// Opens tiers on stores that the host has.
pub trait HostStores: fmt::Debug + Send + Sync {
    /// Opens the store of a tier, if its scheme is one of the host's.
    ///
    /// # Errors
    /// What the store says when it cannot be opened.
    fn open(&self, tier: &TierConfig, env: &Env) -> Result<Option<Arc<dyn Store>>>;
}

impl Options {
    /// Looks up a variable that is not empty.
    #[cfg(any(feature = "s3", feature = "gcs"))]
    pub(crate) fn variable(&self, name: &str) -> Option<String> {
        self.variables.and_then(|variables| variables(name)).filter(|value| !value.is_empty())
    }
}

/// An open cache, and what tests need beside it.
#[derive(Debug)]
pub struct Opened {
    /// The cache.
    pub cache: Cache,
    /// The faults of each far tier, by its name; empty unless asked for.
    pub faults: Vec<(Arc<str>, Faults)>,
}

/// Opens `config`.
///
/// A memory tier in front is the near tier; memory further back is a far tier like any other.
///
/// # Errors
/// `config_invalid` for an unknown scheme or a missing folder; what a store says when it cannot be opened.
pub fn open(config: &Config, env: &Env, options: &Options) -> Result<Opened> {
    let mut near = None;
    let mut far = Vec::new();
    let mut faults = Vec::new();
    for (at, tier) in config.tiers.iter().enumerate() {
        let name: Arc<str> = tier.name.as_str().into();
        if at == 0 && tier.scheme == "memory" {
            near = Some(NearTier { name, near: Arc::new(Near::with_remains(limits(tier), options.remains.clone())), max_ttl: tier.max_ttl });
            continue;
        }
        let store = open_store(tier, env, options).map_err(|error| error.at(&name))?;
        let store = if options.faults { with_faults(store, &name, env, &mut faults) } else { store };
        let namespace = config.namespace.as_ref().map_or_else(String::new, |namespace| format!("{namespace}:"));
        far.push(placed(tier, layered(store, tier, &namespace, env)));
    }
    Ok(Opened { cache: Cache::new(Chain::new(near, far)?, config.policy, env.clone())?, faults })
}

/// Lets a tier be made to fail.
#[cfg(feature = "far")]
fn with_faults(store: Arc<dyn Store>, name: &Arc<str>, env: &Env, faults: &mut Vec<(Arc<str>, Faults)>) -> Arc<dyn Store> {
    let plan = Faults::default();
    faults.push((name.clone(), plan.clone()));
    plan.wrap(store, env)
}

/// Memory alone does not fail.
#[cfg(not(feature = "far"))]
fn with_faults(store: Arc<dyn Store>, _name: &Arc<str>, _env: &Env, _faults: &mut Vec<(Arc<str>, Faults)>) -> Arc<dyn Store> {
    store
}

/// Opens one far tier by itself.
///
/// # Errors
/// As [`open`].
pub fn open_tier(tier: &TierConfig, env: &Env, options: &Options) -> Result<Tier> {
    let store = open_store(tier, env, options).map_err(|error| error.at(&tier.name.as_str().into()))?;
    Ok(placed(tier, layered(store, tier, "", env)))
}

/// Opens one far tier on a bucket that the host has, as if it had been opened here.
#[cfg(feature = "object")]
pub fn open_bucket(tier: &TierConfig, bucket: impl Bucket, env: &Env) -> Tier {
    let store = Arc::new(Objects::new(bucket, tier.object.revalidate(), env.clone()));
    placed(tier, layered(store, tier, "", env))
}

fn placed(tier: &TierConfig, store: Arc<dyn Store>) -> Tier {
    Tier { max_ttl: tier.max_ttl, on_error: tier.on_error, ..Tier::new(tier.name.as_str(), store, tier.codec) }
}

/// Puts the layers around a store: what is nearest to it is tried again most cheaply.
fn layered(store: Arc<dyn Store>, tier: &TierConfig, namespace: &str, env: &Env) -> Arc<dyn Store> {
    #[cfg(feature = "far")]
    let store = if tier.guard == Guard::default() { store } else { tier.guard.wrap(store, env) };
    let prefix = format!("{}{namespace}", folder(tier));
    // Always: what others have compressed is read by those who compress nothing.
    let store = Shape { prefix, compress: tier.compress, max_value: tier.max_value }.wrap(store, env);
    #[cfg(feature = "far")]
    let store = if tier.object.dedupe { Dedupe.wrap(store, env) } else { store };
    store
}

/// Returns what stands before keys in a bucket: the `prefix` as it is, or the path of the URL as a folder.
fn folder(tier: &TierConfig) -> String {
    match (&tier.object.prefix, tier.target.split_once('/')) {
        (Some(prefix), _) => prefix.clone(),
        (None, Some((_, path))) if is_object(&tier.scheme) && !path.trim_matches('/').is_empty() => format!("{}/", path.trim_end_matches('/')),
        _ => String::new(),
    }
}

fn limits(tier: &TierConfig) -> Limits {
    let default = Limits::default();
    Limits { max_entries: tier.max_entries.unwrap_or(default.max_entries), max_bytes: tier.max_bytes }
}

fn open_store(tier: &TierConfig, env: &Env, options: &Options) -> Result<Arc<dyn Store>> {
    if let Some(host) = &options.host
        && let Some(store) = host.open(tier, env)?
    {
        return Ok(store);
    }
    match tier.scheme.as_str() {
        "memory" => Ok(Arc::new(Memory::new(Arc::new(Near::new(limits(tier))), env.clone()))),
        #[cfg(feature = "local")]
        "file" => {
            if tier.target.is_empty() {
                return Err(invalid(format!("tier `{}` names no folder: use `file:///folder`", tier.name)));
            }
            let default = undercroft_stores::LocalOptions::default();
            let options = undercroft_stores::LocalOptions { max_bytes: tier.max_bytes.or(default.max_bytes), durable: tier.durable };
            Ok(Arc::new(undercroft_stores::Local::open(&tier.target, options, env.clone())?))
        }
        #[cfg(feature = "s3")]
        "s3" => services::open_s3(tier, env, options),
        #[cfg(feature = "gcs")]
        "gs" => services::open_gcs(tier, env, options),
        other => Err(invalid(format!("tier `{}` has the scheme `{other}`; this build opens {}", tier.name, SCHEMES.join(", ")))),
    }
}
