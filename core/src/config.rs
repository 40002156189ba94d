//! Configuration: one document in every language.

use std::fmt;

use serde_json::{Map, Value};
use undercroft_engine::{
    Codec, OnError, Policy, Result, key,
    layers::{Guard, Squeeze},
    time::Millis,
};

use crate::{
    object::ObjectConfig,
    settings::{self, POLICY, TIER, TOP, invalid, unknown},
};

/// Looks a variable of the environment up.
pub type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The syntax of a configuration text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// JSON.
    Json,
    /// YAML.
    Yaml,
    /// TOML.
    Toml,
}

impl Format {
    /// Tells the syntax by the end of a file's name.
    ///
    /// # Errors
    /// `config_invalid` when the ending is none of `.json`, `.yaml`, `.yml`, `.toml`.
    pub fn of(path: &str) -> Result<Self> {
        match path.rsplit('.').next() {
            Some("json") => Ok(Format::Json),
            Some("yaml" | "yml") => Ok(Format::Yaml),
            Some("toml") => Ok(Format::Toml),
            _ => Err(invalid(format!("cannot tell the format of `{path}`; use .json, .yaml or .toml"))),
        }
    }
}

/// What a cache is made of.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Stands before every key in every far tier.
    pub namespace: Option<String>,
    /// The tiers, nearest first.
    pub tiers: Vec<TierConfig>,
    /// The default policy.
    pub policy: Policy,
}

/// What a tier is made of.
#[derive(Clone, PartialEq)]
pub struct TierConfig {
    /// `memory`, `file`, …
    pub scheme: String,
    /// What follows `scheme://`, without the query.
    pub target: String,
    /// Its name; `l1`, `l2`, … by default.
    pub name: String,
    /// The longest it may keep an entry.
    pub max_ttl: Option<Millis>,
    /// What its failures mean.
    pub on_error: OnError,
    /// How values become bytes.
    pub codec: Codec,
    /// How it is guarded.
    pub guard: Guard,
    /// How bodies are compressed, if they are.
    pub compress: Option<Squeeze>,
    /// The largest body it takes, in bytes.
    pub max_value: Option<u64>,
    /// How many entries it may hold.
    pub max_entries: Option<u64>,
    /// How many bytes it may hold.
    pub max_bytes: Option<u64>,
    /// Whether a put is synced before it is answered.
    pub durable: bool,
    /// What belongs to object storage alone.
    pub object: ObjectConfig,
}

impl fmt::Debug for TierConfig {
    /// Leaves the target out: it may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TierConfig").field("scheme", &self.scheme).field("name", &self.name).field("codec", &self.codec.name()).finish_non_exhaustive()
    }
}

impl Config {
    /// Reads a configuration text.
    ///
    /// # Errors
    /// `config_invalid`, naming what is wrong and where.
    pub fn parse(text: &str, format: Format, variables: Variables<'_>) -> Result<Self> {
        let value = match format {
            Format::Json => serde_json::from_str(text).map_err(|error| invalid(format!("not valid JSON: {error}")))?,
            #[cfg(feature = "yaml")]
            Format::Yaml => serde_yaml_ng::from_str(text).map_err(|error| invalid(format!("not valid YAML: {error}")))?,
            #[cfg(feature = "toml")]
            Format::Toml => toml::from_str(text).map_err(|error| invalid(format!("not valid TOML: {}", error.message())))?,
            #[cfg(not(all(feature = "yaml", feature = "toml")))]
            _ => return Err(invalid("this build reads JSON only")),
        };
        Self::from_value(value, variables)
    }

    /// Reads a configuration that is a document already.
    ///
    /// # Errors
    /// `config_invalid`, naming what is wrong and where.
    pub fn from_value(mut value: Value, variables: Variables<'_>) -> Result<Self> {
        substitute(&mut value, variables)?;
        let Value::Object(top) = value else { return Err(invalid("a configuration is an object with `tiers`")) };
        if let Some(name) = top.keys().find(|name| !TOP.contains(&name.as_str())) {
            return Err(unknown(name, "the configuration", TOP.iter().copied()));
        }
        let namespace = match top.get("namespace") {
            None | Some(Value::Null) => None,
            Some(value) => {
                let namespace = settings::text(value, "namespace", "the configuration")?;
                key::check(namespace).map_err(|error| invalid(format!("`namespace`: {error}")))?;
                Some(namespace.to_owned())
            }
        };
        let Some(Value::Array(tiers)) = top.get("tiers") else { return Err(invalid("`tiers` must be a list of URLs or objects")) };
        let tiers = tiers.iter().enumerate().map(|(at, tier)| read_tier(tier, at)).collect::<Result<Vec<_>>>()?;
        if tiers.is_empty() {
            return Err(invalid("`tiers` is empty; a cache needs at least one"));
        }
        let policy = match top.get("policy") {
            None | Some(Value::Null) => Policy::default(),
            Some(Value::Object(policy)) => read_policy(policy)?,
            Some(_) => return Err(invalid("`policy` must be an object")),
        };
        Ok(Self { namespace, tiers, policy })
    }
}

/// Reads a policy from its settings.
///
/// # Errors
/// `config_invalid`, naming the setting.
pub fn read_policy(values: &Map<String, Value>) -> Result<Policy> {
    let place = "`policy`";
    let mut policy = Policy::default();
    for (name, value) in values {
        match name.as_str() {
            "ttl" => policy.ttl = settings::duration(value, name, place)?,
            "stale" => policy.stale = settings::duration(value, name, place)?,
            "stale_if_error" => policy.stale_if_error = settings::duration(value, name, place)?,
            "jitter" => policy.jitter = settings::share(value, name, place)?,
            "refresh_ahead" => policy.refresh_ahead = Some(settings::share(value, name, place)?),
            "soft_timeout" => policy.soft_timeout = settings::duration(value, name, place)?,
            "hard_timeout" => policy.hard_timeout = settings::duration(value, name, place)?,
            "lock_timeout" => policy.lock_timeout = settings::duration(value, name, place)?,
            _ => return Err(unknown(name, place, POLICY.iter().map(|setting| setting.name))),
        }
    }
    policy.check()?;
    Ok(policy)
}

fn read_tier(value: &Value, at: usize) -> Result<TierConfig> {
    let default_name = format!("l{}", at + 1);
    let (url, given) = match value {
        Value::String(url) => (url.as_str(), Map::new()),
        Value::Object(given) => {
            let url = given.get("url").ok_or_else(|| invalid(format!("tier {} has no `url`", at + 1)))?;
            (settings::text(url, "url", &format!("tier {}", at + 1))?, given.clone())
        }
        _ => return Err(invalid(format!("tier {} must be a URL or an object", at + 1))),
    };
    let (address, query) = url.split_once('?').unwrap_or((url, ""));
    let (scheme, target) =
        address.split_once("://").ok_or_else(|| invalid(format!("the `url` of tier {} is no URL such as `memory://` or `file:///folder`", at + 1)))?;
    // The query first, so that what is given beside it wins.
    let mut merged = Map::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, "true"));
        merged.insert(name.to_owned(), Value::String(decode(value)));
    }
    merged.extend(given);
    let name = match merged.get("name") {
        Some(name) => settings::text(name, "name", &format!("tier {}", at + 1))?.to_owned(),
        None => default_name,
    };
    let is_object = settings::is_object(scheme);
    let mut tier = TierConfig {
        scheme: scheme.to_owned(),
        target: decode(target),
        max_ttl: None,
        on_error: OnError::Miss,
        codec: Codec::JSON,
        guard: if is_object { Guard::remote() } else { Guard::default() },
        compress: is_object.then_some(Squeeze::Gzip(settings::GZIP)),
        max_value: None,
        max_entries: None,
        max_bytes: None,
        durable: false,
        object: ObjectConfig::default(),
        name,
    };
    let place = format!("tier `{}`", tier.name);
    for (name, value) in &merged {
        tier.set(name, value, &place)?;
    }
    #[cfg(feature = "object")]
    tier.object.check(&place)?;
    Ok(tier)
}

impl TierConfig {
    /// Reads one tier: a URL, or an object with `url` and settings.
    ///
    /// # Errors
    /// `config_invalid`, naming what is wrong.
    pub fn from_value(value: &Value) -> Result<Self> {
        read_tier(value, 0)
    }

    fn set(&mut self, name: &str, value: &Value, place: &str) -> Result<()> {
        let known = || TIER.iter().filter(|setting| setting.schemes.is_empty() || setting.schemes.contains(&self.scheme.as_str()));
        if !known().any(|setting| setting.name == name) {
            return Err(unknown(name, place, known().map(|setting| setting.name)));
        }
        match name {
            "max_ttl" => self.max_ttl = settings::duration(value, name, place)?,
            "timeout" => self.guard.timeout = settings::duration(value, name, place)?,
            "retries" => self.guard.retries = settings::count(value, name, place)?.min(100) as u32,
            "backoff" => self.guard.backoff = settings::duration(value, name, place)?.unwrap_or(0),
            "breaker" => self.guard.breaker = settings::count(value, name, place)?.min(u64::from(u32::MAX)) as u32,
            "cooldown" => self.guard.cooldown = settings::duration(value, name, place)?.unwrap_or(0),
            "max_value" => self.max_value = Some(settings::bytes(value, name, place)?),
            "max_entries" => self.max_entries = Some(settings::count(value, name, place)?),
            "max_bytes" => self.max_bytes = Some(settings::bytes(value, name, place)?),
            "durable" => self.durable = settings::flag(value, name, place)?,
            "compress" => self.compress = settings::compression(value, name, place)?,
            "codec" => {
                let codec = settings::text(value, name, place)?;
                let portable = || Codec::ALL.iter().filter(|codec| !codec.is_custom()).map(|codec| codec.name());
                self.codec = Codec::parse(codec)
                    .ok_or_else(|| invalid(format!("unknown codec `{codec}` in {place}; use one of {}", portable().collect::<Vec<_>>().join(", "))))?;
            }
            "on_error" => {
                self.on_error = match settings::text(value, name, place)? {
                    "miss" => OnError::Miss,
                    "raise" => OnError::Raise,
                    other => return Err(invalid(format!("`on_error` in {place} is `{other}`; use `miss` or `raise`"))),
                }
            }
            #[cfg(feature = "object")]
            _ => self.object.set(name, value, place)?,
            #[cfg(not(feature = "object"))]
            _ => {}
        }
        Ok(())
    }
}

/// Replaces `${VAR}` and `${VAR:default}` in every text of `value`.
fn substitute(value: &mut Value, variables: Variables<'_>) -> Result<()> {
    match value {
        Value::String(text) => {
            let mut done = String::new();
            let mut rest = text.as_str();
            while let Some(start) = rest.find("${") {
                let Some(end) = rest[start..].find('}') else { return Err(invalid("a `${` that is never closed")) };
                let inside = &rest[start + 2..start + end];
                let (name, default) = inside.split_once(':').map_or((inside, None), |(name, default)| (name, Some(default)));
                let found = variables(name).filter(|found| !found.is_empty() || default.is_none()).or(default.map(str::to_owned));
                done.push_str(&rest[..start]);
                done.push_str(&found.ok_or_else(|| invalid(format!("the environment has no `{name}`, and `${{{name}}}` no default")))?);
                rest = &rest[start + end + 1..];
            }
            done.push_str(rest);
            *text = done;
            Ok(())
        }
        Value::Array(items) => items.iter_mut().try_for_each(|item| substitute(item, variables)),
        Value::Object(items) => items.values_mut().try_for_each(|item| substitute(item, variables)),
        _ => Ok(()),
    }
}

/// Decodes `%XX` (RFC 3986, section 2.1).
fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digits = text.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                plain.push(byte);
                at += 3;
            }
            None => {
                plain.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8(plain).unwrap_or_else(|_| text.to_owned())
}
