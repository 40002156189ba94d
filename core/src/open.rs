//! Opening: from a configuration to a cache.

use std::sync::Arc;

use undercroft_engine::{
    Cache, Chain, Env, Near, NearTier, Result, Store, Tier,
    layers::{Faults, Guard, Layer, Shape},
    near::{Limits, Remains},
};
use undercroft_stores::Memory;

use crate::{
    config::{Config, TierConfig},
    settings::invalid,
};

/// The schemes this build opens.
pub const SCHEMES: &[&str] = &[
    "memory",
    #[cfg(feature = "local")]
    "file",
];

/// How to open, beside the configuration.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Whether every far tier can be made to fail, for tests.
    pub faults: bool,
    /// Where the near tier leaves what it removes, for a host that glances at it.
    pub remains: Option<Arc<Remains>>,
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
        let mut store = open_store(tier, env).map_err(|error| error.at(&name))?;
        if options.faults {
            let plan = Faults::default();
            store = plan.wrap(store, env);
            faults.push((name.clone(), plan));
        }
        let prefix = config.namespace.as_ref().map_or_else(String::new, |namespace| format!("{namespace}:"));
        store = layered(store, tier, Shape { prefix, compress: tier.compress, max_value: tier.max_value }, env);
        far.push(Tier { max_ttl: tier.max_ttl, on_error: tier.on_error, ..Tier::new(name, store, tier.codec) });
    }
    Ok(Opened { cache: Cache::new(Chain::new(near, far)?, config.policy, env.clone())?, faults })
}

fn layered(store: Arc<dyn Store>, tier: &TierConfig, shape: Shape, env: &Env) -> Arc<dyn Store> {
    // Always: what others have compressed is read by those who compress nothing.
    let shaped = shape.wrap(store, env);
    if tier.guard == Guard::default() { shaped } else { tier.guard.wrap(shaped, env) }
}

fn limits(tier: &TierConfig) -> Limits {
    let default = Limits::default();
    Limits { max_entries: tier.max_entries.unwrap_or(default.max_entries), max_bytes: tier.max_bytes }
}

fn open_store(tier: &TierConfig, env: &Env) -> Result<Arc<dyn Store>> {
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
        other => Err(invalid(format!("tier `{}` has the scheme `{other}`; this build opens {}", tier.name, SCHEMES.join(", ")))),
    }
}
