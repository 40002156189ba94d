//! The near tier: in this process, bounded, never waiting, never failing.
//!
//! Eviction is `quick_cache`'s (a relative of CLOCK-Pro that resists scans): in `make bench` its hit ratios are on average
//! within half a point of the best peer's.

use std::{fmt, sync::Arc};

use parking_lot::Mutex;
use quick_cache::{DefaultHashBuilder, Lifecycle, OptionsBuilder, Weighter, sync::Cache as Map};

use crate::{
    entry::{Entry, Life},
    env::Clock,
    key::Key,
    policy::Policy,
    time::{FOREVER, Millis},
    value::Value,
};

/// How much a near tier may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many entries.
    pub max_entries: u64,
    /// How many bytes of keys and values; values of unknown size count as nothing.
    pub max_bytes: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_entries: 100_000, max_bytes: None }
    }
}

/// What the near tier holds under a key. Deadlines in `*_at` are on the monotonic clock (law 13).
#[derive(Debug)]
pub struct Held {
    /// The value: the host's object alone where there is one.
    pub value: Value,
    /// The deadlines that travel with the entry.
    pub life: Life,
    /// When a refresh ahead of time is due.
    refresh_at: Millis,
    /// When it stops being fresh.
    fresh_at: Millis,
    /// When it must not be served any more.
    gone_at: Millis,
}

impl Held {
    /// Says whether the value is fresh and no refresh is due: it can be returned without another thought.
    pub fn is_plain(&self, now: Millis) -> bool {
        now < self.refresh_at
    }

    /// Says whether the value may be served at all.
    pub fn is_servable(&self, now: Millis) -> bool {
        now < self.gone_at
    }

    /// Says whether the value is fresh.
    pub fn is_fresh(&self, now: Millis) -> bool {
        now < self.fresh_at
    }

    /// Returns the remaining life as deadlines on the wall clock of this moment.
    ///
    /// A step of the wall clock since the entry came does not lengthen what remains.
    pub fn life_now(&self, clock: &dyn Clock) -> Life {
        let (wall, now) = (clock.wall(), clock.monotonic());
        let on_wall = |at: Millis, stated: Millis| match at {
            FOREVER => FOREVER,
            at if at > now => wall.saturating_add(at - now),
            // Already over: as stated, unless the wall clock was set back behind it.
            _ => stated.min(wall),
        };
        let marked = self.life.fresh_until <= self.life.created_at;
        Life {
            created_at: self.life.created_at,
            fresh_until: if marked { self.life.fresh_until } else { on_wall(self.fresh_at, self.life.fresh_until) },
            stale_until: on_wall(self.gone_at, self.life.stale_until),
        }
    }
}

/// Proof of when a read began: an insertion with it is void if the key was written or deleted since.
#[derive(Clone, Copy, Debug)]
pub struct Ticket {
    generation: u64,
}

/// The in-process tier.
pub struct Near {
    map: Map<Arc<str>, Arc<Held>, Weigh, DefaultHashBuilder, Evict>,
    limits: Limits,
    generations: Box<[Mutex<u64>]>,
}

const STRIPES: usize = 256;

#[derive(Clone)]
struct Weigh {
    /// The least weight: with both bounds, an entry weighs at least its share of the bytes, so that one sum keeps both.
    floor: u64,
    by_bytes: bool,
}

impl Weighter<Arc<str>, Arc<Held>> for Weigh {
    fn weight(&self, key: &Arc<str>, held: &Arc<Held>) -> u64 {
        if self.by_bytes { (key.len() as u64 + held.value.size()).max(self.floor) } else { 1 }
    }
}

/// Each shard has its share of the limits to itself: few of them for small limits, so that nothing is refused that fits.
fn shards(limits: &Limits) -> usize {
    let by_entries = limits.max_entries / 4096;
    let by_bytes = limits.max_bytes.map_or(u64::MAX, |bytes| bytes / (64 << 20));
    by_entries.min(by_bytes).clamp(1, 16) as usize
}

/// Keys that share a stripe share a generation: a false match voids a promotion, which costs a read and harms nothing.
fn stripe(key: &str) -> usize {
    crc32c::crc32c(key.as_bytes()) as usize % STRIPES
}

/// Keeps what is evicted until every lock is released: dropping a host's object may run the host's code.
#[derive(Clone)]
struct Evict;

impl Lifecycle<Arc<str>, Arc<Held>> for Evict {
    type RequestState = Vec<(Arc<str>, Arc<Held>)>;

    fn on_evict(&self, state: &mut Self::RequestState, key: Arc<str>, held: Arc<Held>) {
        state.push((key, held));
    }
}

impl Near {
    /// Makes an empty tier within `limits`.
    pub fn new(limits: Limits) -> Self {
        let entries = limits.max_entries.max(1);
        let capacity = limits.max_bytes.unwrap_or(entries).max(1);
        let weigh = Weigh { floor: (capacity / entries).max(1), by_bytes: limits.max_bytes.is_some() };
        let options = OptionsBuilder::new()
            .estimated_items_capacity(usize::try_from(entries).unwrap_or(usize::MAX))
            .weight_capacity(capacity)
            .shards(shards(&limits))
            .build()
            .expect("both capacities are given");
        Self {
            map: Map::with_options(options, weigh, DefaultHashBuilder::default(), Evict),
            limits,
            generations: (0..STRIPES).map(|_| Mutex::new(0)).collect(),
        }
    }

    /// Returns what is held under `key`, expired or not, and marks it as used.
    pub fn peek(&self, key: &str) -> Option<Arc<Held>> {
        self.map.get(key)
    }

    /// Says whether `key` was not written or deleted since the ticket was taken.
    pub fn is_valid(&self, key: &str, ticket: Ticket) -> bool {
        *self.generations[stripe(key)].lock() == ticket.generation
    }

    /// Takes a ticket before reading `key` elsewhere.
    pub fn ticket(&self, key: &str) -> Ticket {
        Ticket { generation: *self.generations[stripe(key)].lock() }
    }

    /// Holds a copy of `entry`, unless the key was written or deleted since `ticket` was taken.
    ///
    /// Returns whether it is held.
    pub fn promote(&self, key: &Key, entry: &Entry, policy: &Policy, max_ttl: Option<Millis>, clock: &dyn Clock, ticket: Ticket) -> bool {
        self.hold(key, entry, policy, max_ttl, clock, |generation| *generation == ticket.generation)
    }

    /// Holds `entry`, and voids every promotion of the key that is under way.
    pub fn put(&self, key: &Key, entry: &Entry, policy: &Policy, max_ttl: Option<Millis>, clock: &dyn Clock) {
        self.put_unless(key, entry, policy, max_ttl, clock, || false);
    }

    /// Like [`Near::put`], unless `revoked` says, with the key locked, that the writer has lost its right.
    pub fn put_unless(&self, key: &Key, entry: &Entry, policy: &Policy, max_ttl: Option<Millis>, clock: &dyn Clock, revoked: impl FnOnce() -> bool) -> bool {
        self.hold(key, entry, policy, max_ttl, clock, |generation| {
            *generation += 1;
            !revoked()
        })
    }

    fn hold(&self, key: &Key, entry: &Entry, policy: &Policy, max_ttl: Option<Millis>, clock: &dyn Clock, admit: impl FnOnce(&mut u64) -> bool) -> bool {
        let (wall, now) = (clock.wall(), clock.monotonic());
        let life = entry.life.capped(max_ttl, wall);
        let at = |deadline: Millis| match deadline {
            FOREVER => FOREVER,
            // Over already: zero, so that a coarse clock that lags sees it too.
            deadline if deadline <= wall => 0,
            deadline => now.saturating_add(deadline - wall),
        };
        let held = Held {
            value: entry.value.for_memory(),
            life,
            refresh_at: at(policy.refresh_at(&entry.life).min(life.fresh_until)),
            fresh_at: at(life.fresh_until),
            gone_at: at(life.stale_until),
        };
        self.replace(key, held, admit)
    }

    fn replace(&self, key: &Key, held: Held, admit: impl FnOnce(&mut u64) -> bool) -> bool {
        let (mut evicted, replaced);
        {
            let mut generation = self.generations[stripe(key)].lock();
            if !admit(&mut generation) {
                return false;
            }
            evicted = Vec::new();
            replaced = self.map.peek(&**key);
            self.map.insert_with_lifecycle(key.shared().clone(), Arc::new(held), &mut evicted);
        }
        drop((evicted, replaced));
        true
    }

    /// Gives the copy under `key` the host's object, decoded from the bytes it was promoted with.
    pub fn attach(&self, key: &Key, life: &Life, value: Value) {
        let generation = self.generations[stripe(key)].lock();
        let Some(held) = self.map.peek(&**key).filter(|held| held.life.created_at == life.created_at && held.value.object().is_none()) else {
            return;
        };
        let attached = Held { value: value.for_memory(), life: held.life, refresh_at: held.refresh_at, fresh_at: held.fresh_at, gone_at: held.gone_at };
        let mut evicted = Vec::new();
        self.map.insert_with_lifecycle(key.shared().clone(), Arc::new(attached), &mut evicted);
        drop(generation);
        drop((evicted, held));
    }

    /// Marks the copy under `key` as stale; it is served until it ends.
    pub fn expire(&self, key: &Key, now: Millis) {
        let (current, mut evicted);
        {
            // Looked at under the lock: what is deleted meanwhile stays deleted.
            let mut generation = self.generations[stripe(key)].lock();
            current = self.map.peek(&**key);
            let Some(held) = &current else { return };
            *generation += 1;
            let life = held.life.expired();
            let expired = Held { value: held.value.clone(), life, refresh_at: 0, fresh_at: now.min(held.fresh_at), gone_at: held.gone_at };
            evicted = Vec::new();
            self.map.insert_with_lifecycle(key.shared().clone(), Arc::new(expired), &mut evicted);
        }
        drop((current, evicted));
    }

    /// Removes `key`, and voids every promotion of it that is under way. Returns whether it was held.
    pub fn remove(&self, key: &str) -> bool {
        let removed = {
            let mut generation = self.generations[stripe(key)].lock();
            *generation += 1;
            self.map.remove(key)
        };
        removed.is_some()
    }

    /// Removes every key that begins with `prefix`, and says how many there were.
    pub fn clear(&self, prefix: &str) -> u64 {
        for generation in &*self.generations {
            *generation.lock() += 1;
        }
        self.remove_where(|key, _| key.starts_with(prefix))
    }

    /// Removes what can never be served again, and says how many there were.
    pub fn sweep(&self, now: Millis) -> u64 {
        self.remove_where(|_, held| now >= held.gone_at)
    }

    fn remove_where(&self, test: impl Fn(&str, &Held) -> bool) -> u64 {
        // Collected first: removing drops objects, which must not happen under the map's locks.
        let keys: Vec<_> = self.map.iter().filter(|(key, held)| test(key, held)).collect();
        keys.iter().filter(|(key, held)| self.map.remove_if(&**key, |current| Arc::ptr_eq(current, held)).is_some()).count() as u64
    }

    /// Returns the keys that begin with `prefix`, in no order, with what they hold.
    pub fn entries(&self, prefix: &str) -> Vec<(Arc<str>, Arc<Held>)> {
        self.map.iter().filter(|(key, _)| key.starts_with(prefix)).collect()
    }

    /// Returns how many entries are held, expired ones included.
    pub fn len(&self) -> usize {
        self.map.len()
    }

    /// Says whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// Returns the limits.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Returns how many bytes the keys and values take, as far as their sizes are known.
    pub fn bytes(&self) -> u64 {
        self.map.iter().map(|(key, held)| key.len() as u64 + held.value.size()).sum()
    }
}

impl fmt::Debug for Near {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Near").field("len", &self.len()).field("limits", &self.limits).finish()
    }
}
