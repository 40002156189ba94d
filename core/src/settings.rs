//! The table of settings: what each is called, what it takes, and what it says when it is wrong.

use serde_json::Value;
use undercroft_engine::{
    Code, Error, Result,
    layers::Squeeze,
    time::{FOREVER, Millis, parse_duration},
};

/// What a setting takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// A duration: seconds as a number, or text such as `250ms`, `5m`; `null` for none.
    Duration,
    /// A whole number.
    Count,
    /// A number of bytes, or text such as `64MB`, `1GiB`.
    Bytes,
    /// A number from 0 to 1.
    Share,
    /// `true` or `false`.
    Flag,
    /// Text.
    Text,
    /// `true`, `false`, a gzip level from 0 to 9, `zstd`, or `zstd:` and a level from 1 to 19.
    Compression,
    /// An object of names and values.
    Table,
}

impl Takes {
    /// Returns the name in the contract.
    pub const fn as_str(self) -> &'static str {
        match self {
            Takes::Duration => "duration",
            Takes::Count => "count",
            Takes::Bytes => "bytes",
            Takes::Share => "share",
            Takes::Flag => "flag",
            Takes::Text => "text",
            Takes::Compression => "compression",
            Takes::Table => "table",
        }
    }
}

/// One setting.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Its name.
    pub name: &'static str,
    /// What it takes.
    pub takes: Takes,
    /// The schemes that know it; empty for all.
    pub schemes: &'static [&'static str],
}

const fn setting(name: &'static str, takes: Takes, schemes: &'static [&'static str]) -> Setting {
    Setting { name, takes, schemes }
}

/// The settings of a policy.
pub const POLICY: &[Setting] = &[
    setting("ttl", Takes::Duration, &[]),
    setting("stale", Takes::Duration, &[]),
    setting("stale_if_error", Takes::Duration, &[]),
    setting("jitter", Takes::Share, &[]),
    setting("refresh_ahead", Takes::Share, &[]),
    setting("soft_timeout", Takes::Duration, &[]),
    setting("hard_timeout", Takes::Duration, &[]),
    setting("lock_timeout", Takes::Duration, &[]),
];

/// Stores that keep bytes, and may fail.
const FAR: &[&str] = &["file", "s3", "gs", "keyvalue"];
/// Stores on object storage.
const OBJECT: &[&str] = &["s3", "gs"];
const S3: &[&str] = &["s3"];
const GS: &[&str] = &["gs"];

/// The settings of a tier.
pub const TIER: &[Setting] = &[
    setting("url", Takes::Text, &[]),
    setting("name", Takes::Text, &[]),
    setting("max_ttl", Takes::Duration, &[]),
    setting("on_error", Takes::Text, FAR),
    setting("codec", Takes::Text, FAR),
    setting("timeout", Takes::Duration, FAR),
    setting("retries", Takes::Count, FAR),
    setting("backoff", Takes::Duration, FAR),
    setting("breaker", Takes::Count, FAR),
    setting("cooldown", Takes::Duration, FAR),
    setting("compress", Takes::Compression, FAR),
    setting("max_value", Takes::Bytes, FAR),
    setting("max_entries", Takes::Count, &["memory"]),
    setting("max_bytes", Takes::Bytes, &["memory", "file"]),
    setting("durable", Takes::Flag, &["file"]),
    setting("prefix", Takes::Text, OBJECT),
    setting("endpoint_url", Takes::Text, OBJECT),
    setting("anonymous", Takes::Flag, OBJECT),
    setting("storage_class", Takes::Text, OBJECT),
    setting("kms_key", Takes::Text, OBJECT),
    setting("concurrency", Takes::Count, OBJECT),
    setting("revalidate", Takes::Bytes, OBJECT),
    setting("dedupe", Takes::Flag, OBJECT),
    setting("prices", Takes::Table, OBJECT),
    setting("region", Takes::Text, S3),
    setting("access_key_id", Takes::Text, S3),
    setting("secret_access_key", Takes::Text, S3),
    setting("session_token", Takes::Text, S3),
    setting("profile", Takes::Text, S3),
    setting("path_style", Takes::Flag, S3),
    setting("use_fips", Takes::Flag, S3),
    setting("use_dual_stack", Takes::Flag, S3),
    setting("sse", Takes::Text, S3),
    setting("request_payer", Takes::Flag, S3),
    setting("tags", Takes::Table, S3),
    setting("credentials", Takes::Text, GS),
    setting("token", Takes::Text, GS),
    setting("user_project", Takes::Text, GS),
];

/// Says whether a scheme is one of object storage.
pub(crate) fn is_object(scheme: &str) -> bool {
    OBJECT.contains(&scheme)
}

/// The gzip level where only compression is asked for.
pub(crate) const GZIP: u32 = 6;

/// The settings at the top of a configuration.
pub const TOP: &[&str] = &["namespace", "tiers", "policy"];

pub(crate) fn invalid(message: impl Into<String>) -> Error {
    Error::new(Code::ConfigInvalid, message.into())
}

/// Refuses a setting that nobody knows, and says which known one comes closest.
pub(crate) fn unknown<'a>(name: &str, place: &str, known: impl Iterator<Item = &'a str>) -> Error {
    let hint = closest(name, known).map_or_else(String::new, |known| format!("; did you mean `{known}`?"));
    invalid(format!("unknown key `{name}` in {place}{hint}"))
}

/// Returns the known name that comes closest to `name`, if one is close enough to be what was meant.
pub fn closest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let (distance, known) = known.map(|known| (distance(name, known), known)).min()?;
    (distance <= 1 + name.chars().count() / 3).then_some(known)
}

/// The edit distance of two names; swapping neighbours counts as one edit (Damerau-Levenshtein, restricted).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let change = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                let best = change.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
                let swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
                if swapped { best.min(rows[i - 2][j - 2] + 1) } else { best }
            };
        }
    }
    rows[a.len()][b.len()]
}

fn wrong(name: &str, place: &str, takes: &str) -> Error {
    invalid(format!("`{name}` in {place} must be {takes}"))
}

pub(crate) fn duration(value: &Value, name: &str, place: &str) -> Result<Option<Millis>> {
    let millis = match value {
        Value::Null => return Ok(None),
        Value::Number(seconds) => seconds.as_f64().and_then(undercroft_engine::time::from_seconds),
        Value::String(text) => parse_duration(text),
        _ => None,
    };
    let millis = millis.ok_or_else(|| wrong(name, place, "a duration such as 30, `250ms` or `5m`"))?;
    Ok((millis != FOREVER).then_some(millis))
}

pub(crate) fn count(value: &Value, name: &str, place: &str) -> Result<u64> {
    let count = match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    count.ok_or_else(|| wrong(name, place, "a whole number"))
}

pub(crate) fn bytes(value: &Value, name: &str, place: &str) -> Result<u64> {
    let wrong = || wrong(name, place, "a number of bytes such as 65536, `64MB` or `1GiB`");
    let Value::String(text) = value else { return count(value, name, place).map_err(|_| wrong()) };
    let split = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let factor = match unit {
        "" | "B" => 1.0,
        "KB" | "kB" => 1e3,
        "MB" => 1e6,
        "GB" => 1e9,
        "KiB" => 1024.0,
        "MiB" => 1024.0 * 1024.0,
        "GiB" => 1024.0 * 1024.0 * 1024.0,
        _ => return Err(wrong()),
    };
    let number: f64 = number.trim().parse().map_err(|_| wrong())?;
    if number.is_finite() && number >= 0.0 { Ok((number * factor) as u64) } else { Err(wrong()) }
}

pub(crate) fn share(value: &Value, name: &str, place: &str) -> Result<f64> {
    let share = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    share.filter(|share| (0.0..=1.0).contains(share)).ok_or_else(|| wrong(name, place, "a number from 0 to 1"))
}

pub(crate) fn flag(value: &Value, name: &str, place: &str) -> Result<bool> {
    match value {
        Value::Bool(flag) => Ok(*flag),
        Value::String(text) if text == "true" || text == "false" => Ok(text == "true"),
        _ => Err(wrong(name, place, "true or false")),
    }
}

pub(crate) fn compression(value: &Value, name: &str, place: &str) -> Result<Option<Squeeze>> {
    let wrong = || wrong(name, place, "true, false, a gzip level from 1 to 9, 0 for none, `zstd`, or `zstd:` and a level from 1 to 19");
    let gzip = |level: u64| if level > 9 { Err(wrong()) } else { Ok((level > 0).then_some(Squeeze::Gzip(level as u32))) };
    match value {
        Value::Null => Ok(None),
        Value::Bool(on) => Ok(on.then_some(Squeeze::Gzip(GZIP))),
        Value::String(text) if text == "true" || text == "gzip" => Ok(Some(Squeeze::Gzip(GZIP))),
        Value::String(text) if text == "false" => Ok(None),
        Value::String(text) if text == "zstd" => Ok(Some(Squeeze::Zstd(1))),
        Value::String(text) => match text.strip_prefix("zstd:") {
            Some(level) => match level.parse() {
                Ok(level @ 1..=19) => Ok(Some(Squeeze::Zstd(level))),
                _ => Err(wrong()),
            },
            None => gzip(text.parse().map_err(|_| wrong())?),
        },
        value => gzip(value.as_u64().ok_or_else(wrong)?),
    }
}

pub(crate) fn text<'a>(value: &'a Value, name: &str, place: &str) -> Result<&'a str> {
    value.as_str().ok_or_else(|| wrong(name, place, "text"))
}
