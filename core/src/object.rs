//! Object storage in a configuration: the settings of `s3://` and `gs://` tiers.

use std::fmt;

#[cfg(feature = "object")]
use serde_json::{Map, Value};
use undercroft_engine::usage::Prices;
#[cfg(feature = "object")]
use undercroft_engine::{Error, Result};
#[cfg(any(feature = "s3", feature = "gcs"))]
use undercroft_stores::WireOptions;

#[cfg(feature = "object")]
use crate::settings::{self, invalid, unknown};

/// How many bytes of bodies a tier keeps to have them confirmed instead of sent.
#[cfg(feature = "object")]
const REVALIDATE: u64 = 16 * 1024 * 1024;

/// What a tier on object storage is made of.
#[derive(Clone, Default, PartialEq)]
pub struct ObjectConfig {
    /// Stands before every key, exactly as it is.
    pub prefix: Option<String>,
    /// The region of the bucket.
    pub region: Option<String>,
    /// The address of a service that is neither AWS nor Google.
    pub endpoint_url: Option<String>,
    /// The id of an access key.
    pub access_key_id: Option<String>,
    /// Its secret.
    pub secret_access_key: Option<String>,
    /// The session token of temporary credentials.
    pub session_token: Option<String>,
    /// A profile of AWS's configuration files.
    pub profile: Option<String>,
    /// The file of a Google service account.
    pub credentials: Option<String>,
    /// A Google access token.
    pub token: Option<String>,
    /// The Google project that pays for requests.
    pub user_project: Option<String>,
    /// Whether requests carry no credentials.
    pub anonymous: bool,
    /// Whether the bucket's name stands in the path of a URL.
    pub path_style: Option<bool>,
    /// Whether endpoints with FIPS 140 cryptography are used.
    pub use_fips: bool,
    /// Whether endpoints that answer over IPv6 too are used.
    pub use_dual_stack: bool,
    /// The storage class of new objects.
    pub storage_class: Option<String>,
    /// Encryption at rest: `AES256` or `aws:kms`.
    pub sse: Option<String>,
    /// The key of `aws:kms`; of Google's KMS for `gs`.
    pub kms_key: Option<String>,
    /// Whether the caller pays for requests.
    pub request_payer: bool,
    /// Tags of new objects.
    pub tags: Vec<(String, String)>,
    /// How many requests are under way at a time.
    pub concurrency: Option<u64>,
    /// How many bytes of bodies are kept to have them confirmed instead of sent.
    pub revalidate: Option<u64>,
    /// Whether a value that is there already is not sent again.
    pub dedupe: bool,
    /// What requests and bytes cost.
    pub prices: Prices,
}

impl fmt::Debug for ObjectConfig {
    /// Shows no secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectConfig").field("region", &self.region).field("endpoint_url", &self.endpoint_url).finish_non_exhaustive()
    }
}

impl ObjectConfig {
    #[cfg(feature = "object")]
    pub(crate) fn set(&mut self, name: &str, value: &Value, place: &str) -> Result<()> {
        let text = || settings::text(value, name, place).map(str::to_owned).map(Some);
        match name {
            "prefix" => self.prefix = text()?,
            "region" => self.region = text()?,
            "endpoint_url" => self.endpoint_url = text()?,
            "access_key_id" => self.access_key_id = text()?,
            "secret_access_key" => self.secret_access_key = text()?,
            "session_token" => self.session_token = text()?,
            "profile" => self.profile = text()?,
            "credentials" => self.credentials = text()?,
            "token" => self.token = text()?,
            "user_project" => self.user_project = text()?,
            "anonymous" => self.anonymous = settings::flag(value, name, place)?,
            "path_style" => self.path_style = Some(settings::flag(value, name, place)?),
            "use_fips" => self.use_fips = settings::flag(value, name, place)?,
            "use_dual_stack" => self.use_dual_stack = settings::flag(value, name, place)?,
            "storage_class" => self.storage_class = text()?,
            "sse" => self.sse = text()?,
            "kms_key" => self.kms_key = text()?,
            "request_payer" => self.request_payer = settings::flag(value, name, place)?,
            "tags" => self.tags = pairs(value, name, place)?,
            "concurrency" => self.concurrency = Some(settings::count(value, name, place)?),
            "revalidate" => self.revalidate = Some(settings::bytes(value, name, place)?),
            "dedupe" => self.dedupe = settings::flag(value, name, place)?,
            "prices" => self.prices = prices(value, place)?,
            _ => {}
        }
        Ok(())
    }

    /// Checks what belongs together.
    #[cfg(feature = "object")]
    pub(crate) fn check(&self, place: &str) -> Result<()> {
        if self.access_key_id.is_some() != self.secret_access_key.is_some() {
            return Err(invalid(format!("`access_key_id` and `secret_access_key` in {place} belong together")));
        }
        if self.session_token.is_some() && self.access_key_id.is_none() {
            return Err(invalid(format!("`session_token` in {place} needs `access_key_id` and `secret_access_key`")));
        }
        if let Some(sse) = self.sse.as_deref().filter(|sse| !["AES256", "aws:kms", "aws:kms:dsse"].contains(sse)) {
            return Err(invalid(format!("`sse` in {place} is `{sse}`; use `AES256` or `aws:kms`")));
        }
        if self.concurrency == Some(0) {
            return Err(invalid(format!("`concurrency` in {place} must be at least 1")));
        }
        Ok(())
    }

    #[cfg(any(feature = "s3", feature = "gcs"))]
    pub(crate) fn wire(&self, timeout: Option<u64>) -> WireOptions {
        let default = WireOptions::default();
        let concurrency = self.concurrency.map_or(default.concurrency, |limit| limit as usize);
        WireOptions { timeout, concurrency, prices: self.prices.clone() }
    }

    #[cfg(feature = "object")]
    pub(crate) fn revalidate(&self) -> u64 {
        self.revalidate.unwrap_or(REVALIDATE)
    }
}

#[cfg(feature = "object")]
/// Reads pairs: an object of texts, or text such as `team=web&kind=cache`.
fn pairs(value: &Value, name: &str, place: &str) -> Result<Vec<(String, String)>> {
    let wrong = || invalid(format!("`{name}` in {place} must be an object of texts, or text such as `team=web&kind=cache`"));
    match value {
        Value::Object(pairs) => pairs.iter().map(|(name, value)| Ok((name.clone(), value.as_str().ok_or_else(wrong)?.to_owned()))).collect(),
        Value::String(text) => text
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| pair.split_once('=').map(|(a, b)| (a.to_owned(), b.to_owned())).ok_or_else(wrong))
            .collect(),
        _ => Err(wrong()),
    }
}

#[cfg(feature = "object")]
fn prices(value: &Value, place: &str) -> Result<Prices> {
    let wrong = || -> Error { invalid(format!("`prices` in {place} must be an object of US dollars per request or byte")) };
    let given: &Map<String, Value> = value.as_object().ok_or_else(wrong)?;
    let mut prices = Prices::default();
    for (name, price) in given {
        let price = price.as_f64().filter(|price| *price >= 0.0).ok_or_else(wrong)?;
        if !prices.set(name, price) {
            return Err(unknown(name, &format!("`prices` of {place}"), Prices::names()));
        }
    }
    Ok(prices)
}
