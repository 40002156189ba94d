//! `undercroft:cache/stats`.

use std::sync::atomic::Ordering;

use undercroft::engine::{self, Kind};

use super::{Component, cache::CacheOf};
use crate::bindings::exports::undercroft::cache::{
    cache::CacheBorrow,
    stats::{Count, Guest, TierStats, Usage},
};

impl Guest for Component {
    fn events(cache: CacheBorrow<'_>) -> Vec<Count> {
        let events = cache.get::<CacheOf>().cache.events();
        Kind::ALL.iter().map(|kind| Count { event: kind.as_str().to_owned(), times: events.count(*kind) }).collect()
    }

    fn tiers(cache: CacheBorrow<'_>) -> Vec<TierStats> {
        let chain = cache.get::<CacheOf>().cache.chain();
        let stats = chain.counts().map(|(name, counts)| TierStats {
            name: name.as_ref().to_owned(),
            hits: counts.hits.load(Ordering::Relaxed),
            errors: counts.errors.load(Ordering::Relaxed),
            writes: counts.writes.load(Ordering::Relaxed),
            usage: chain.usage(name).map(usage),
        });
        stats.collect()
    }
}

fn usage(usage: engine::Usage) -> Usage {
    Usage {
        requests: usage.requests.into_iter().map(|(name, times)| (name.to_owned(), times)).collect(),
        sent: usage.sent,
        received: usage.received,
        retries: usage.retries,
        timeouts: usage.timeouts,
        refused: usage.refused,
        cost: usage.cost,
    }
}
