//! Opening: from a configuration to a cache.

use std::sync::Arc;

use undercroft_engine::{
    Cache, Chain, Env, Error, Near, NearTier, Result, Store, Tier,
    layers::{Dedupe, Faults, Guard, Layer, Shape},
    near::{Limits, Remains},
};
use undercroft_stores::{
    Memory, Objects,
    gcs::{self, Gcs, GcsOptions, Tokens},
    object::Bucket,
    s3::{Account, Credentials, Fixed, S3, S3Options},
};

use crate::{
    config::{Config, TierConfig},
    object::Identities,
    settings::{invalid, is_object},
};

/// The schemes this build opens.
pub const SCHEMES: &[&str] = &[
    "memory",
    #[cfg(feature = "local")]
    "file",
    "s3",
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
    pub identities: Option<Arc<dyn Identities>>,
    /// The variables of the environment that stores look at; none by default.
    pub variables: Option<fn(&str) -> Option<String>>,
}

impl Options {
    fn variable(&self, name: &str) -> Option<String> {
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
        let mut store = open_store(tier, env, options).map_err(|error| error.at(&name))?;
        if options.faults {
            let plan = Faults::default();
            store = plan.wrap(store, env);
            faults.push((name.clone(), plan));
        }
        let namespace = config.namespace.as_ref().map_or_else(String::new, |namespace| format!("{namespace}:"));
        far.push(placed(tier, layered(store, tier, &namespace, env)));
    }
    Ok(Opened { cache: Cache::new(Chain::new(near, far)?, config.policy, env.clone())?, faults })
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
pub fn open_bucket(tier: &TierConfig, bucket: impl Bucket, env: &Env) -> Tier {
    let store = Arc::new(Objects::new(bucket, tier.object.revalidate(), env.clone()));
    placed(tier, layered(store, tier, "", env))
}

fn placed(tier: &TierConfig, store: Arc<dyn Store>) -> Tier {
    Tier { max_ttl: tier.max_ttl, on_error: tier.on_error, ..Tier::new(tier.name.as_str(), store, tier.codec) }
}

/// Puts the layers around a store: what is nearest to it is tried again most cheaply.
fn layered(store: Arc<dyn Store>, tier: &TierConfig, namespace: &str, env: &Env) -> Arc<dyn Store> {
    let guarded = if tier.guard == Guard::default() { store } else { tier.guard.wrap(store, env) };
    let prefix = format!("{}{namespace}", folder(tier));
    // Always: what others have compressed is read by those who compress nothing.
    let shaped = Shape { prefix, compress: tier.compress, max_value: tier.max_value }.wrap(guarded, env);
    if tier.object.dedupe { Dedupe.wrap(shaped, env) } else { shaped }
}

/// Returns what stands before keys in a bucket: the `prefix` as it is, or the path of the URL as a folder.
fn folder(tier: &TierConfig) -> String {
    match (&tier.object.prefix, tier.target.split_once('/')) {
        (Some(prefix), _) => prefix.clone(),
        (None, Some((_, path))) if is_object(&tier.scheme) && !path.trim_matches('/').is_empty() => format!("{}/", path.trim_end_matches('/')),
        _ => String::new(),
    }
}

/// Returns the bucket of a URL.
fn bucket(tier: &TierConfig) -> Result<&str> {
    let bucket = tier.target.split('/').next().unwrap_or_default();
    if bucket.is_empty() {
        return Err(invalid(format!("tier `{}` names no bucket: use `{}://bucket/folder`", tier.name, tier.scheme)));
    }
    Ok(bucket)
}

fn limits(tier: &TierConfig) -> Limits {
    let default = Limits::default();
    Limits { max_entries: tier.max_entries.unwrap_or(default.max_entries), max_bytes: tier.max_bytes }
}

fn open_store(tier: &TierConfig, env: &Env, options: &Options) -> Result<Arc<dyn Store>> {
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
        "s3" => open_s3(tier, env, options),
        "gs" => open_gcs(tier, env, options),
        other => Err(invalid(format!("tier `{}` has the scheme `{other}`; this build opens {}", tier.name, SCHEMES.join(", ")))),
    }
}

fn no_credentials(tier: &TierConfig) -> Error {
    invalid(format!("tier `{}` needs credentials: this environment has none of its own", tier.name))
}

fn open_s3(tier: &TierConfig, env: &Env, options: &Options) -> Result<Arc<dyn Store>> {
    let given = tier.object.clone();
    let wire = given.wire(tier.guard.timeout);
    let account: Arc<dyn Account> = match (given.access_key_id, given.secret_access_key) {
        _ if given.anonymous => Arc::new(Fixed { region: None, credentials: None }),
        (Some(id), Some(secret)) => {
            let credentials = Credentials::new(id, secret, given.session_token, None, "undercroft");
            Arc::new(Fixed { region: None, credentials: Some(credentials) })
        }
        _ => options.identities.as_ref().ok_or_else(|| no_credentials(tier))?.aws(given.profile.as_deref()),
    };
    let s3 = S3Options {
        bucket: bucket(tier)?.to_owned(),
        // As AWS's own tools do, also where the credentials were given.
        region: given.region.or_else(|| options.variable("AWS_REGION")).or_else(|| options.variable("AWS_DEFAULT_REGION")),
        endpoint_url: given.endpoint_url.or_else(|| options.variable("AWS_ENDPOINT_URL_S3")).or_else(|| options.variable("AWS_ENDPOINT_URL")),
        path_style: given.path_style,
        use_fips: given.use_fips,
        use_dual_stack: given.use_dual_stack,
        storage_class: given.storage_class,
        sse: given.sse,
        sse_kms_key_id: given.kms_key,
        request_payer: given.request_payer,
        tags: given.tags,
    };
    Ok(Arc::new(Objects::new(S3::new(s3, wire, account, env.clone())?, tier.object.revalidate(), env.clone())))
}

fn open_gcs(tier: &TierConfig, env: &Env, options: &Options) -> Result<Arc<dyn Store>> {
    let given = tier.object.clone();
    let wire = given.wire(tier.guard.timeout);
    let emulator = options.variable("STORAGE_EMULATOR_HOST").filter(|_| given.endpoint_url.is_none());
    let is_emulated = emulator.is_some() && given.token.is_none() && given.credentials.is_none();
    let tokens: Arc<dyn Tokens> = match given.token {
        _ if given.anonymous || is_emulated => Arc::new(gcs::Fixed(None)),
        Some(token) => Arc::new(gcs::Fixed(Some(token))),
        None => options.identities.as_ref().ok_or_else(|| no_credentials(tier))?.google(given.credentials.as_deref())?,
    };
    let gcs = GcsOptions {
        bucket: bucket(tier)?.to_owned(),
        endpoint_url: given.endpoint_url.or(emulator),
        storage_class: given.storage_class,
        kms_key: given.kms_key,
        user_project: given.user_project,
    };
    Ok(Arc::new(Objects::new(Gcs::new(gcs, wire, tokens, env.clone())?, tier.object.revalidate(), env.clone())))
}
