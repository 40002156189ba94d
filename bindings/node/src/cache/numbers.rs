//! What a cache holds, and what happened in it.

use std::sync::atomic::Ordering;

use napi_derive::napi;
use serde_json::{Map, Value, json};
use undercroft::engine::Kind;

use super::Core;

#[napi]
impl Core {
    /// The near tier as JSON: `entries`, `bytes`, `max_entries`, `max_bytes`; `null` without one.
    #[napi]
    pub fn near_usage(&self) -> String {
        let Some(tier) = self.shared.cache.chain().near() else { return Value::Null.to_string() };
        let limits = tier.near.limits();
        json!({ "entries": tier.near.len(), "bytes": tier.near.bytes(), "max_entries": limits.max_entries, "max_bytes": limits.max_bytes }).to_string()
    }

    /// How often each kind of event happened, and what each tier was asked, as JSON.
    #[napi]
    pub fn stats(&self) -> String {
        let cache = &self.shared.cache;
        let mut stats: Map<String, Value> = Kind::ALL.iter().map(|kind| (kind.as_str().to_owned(), cache.events().count(*kind).into())).collect();
        let tiers: Map<String, Value> = cache
            .chain()
            .counts()
            .map(|(name, counts)| {
                let mut tier = json!({
                    "hits": counts.hits.load(Ordering::Relaxed),
                    "errors": counts.errors.load(Ordering::Relaxed),
                    "writes": counts.writes.load(Ordering::Relaxed),
                });
                if let (Some(usage), Some(tier)) = (cache.chain().usage(name), tier.as_object_mut()) {
                    tier.insert(
                        "requests".into(),
                        usage
                            .requests
                            .iter()
                            .filter(|(_, count)| **count > 0)
                            .map(|(name, count)| ((*name).to_owned(), Value::from(*count)))
                            .collect::<Map<_, _>>()
                            .into(),
                    );
                    for (name, count) in [
                        ("bytes_sent", usage.sent),
                        ("bytes_received", usage.received),
                        ("retries", usage.retries),
                        ("timeouts", usage.timeouts),
                        ("refused", usage.refused),
                        ("opened", usage.opened),
                    ] {
                        tier.insert(name.into(), count.into());
                    }
                    tier.insert("cost".into(), usage.cost.into());
                }
                (name.to_string(), tier)
            })
            .collect();
        stats.insert("tiers".into(), tiers.into());
        stats.insert("flights".into(), cache.flights().len().into());
        Value::from(stats).to_string()
    }
}
