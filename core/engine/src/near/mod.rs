//! The near tier: in this process, bounded, never waiting, never failing.
//!
//! | file | idea |
//! |---|---|
//! | `node`, `held` | an entry: one allocation, and what can be asked of it |
//! | `glance` | looking without a lock |
//! | `table` | from a key to its entry; read without a lock |
//! | `queue`, `shard` | who has to go: in `make bench` the hit ratios are on average within half a point of the best peer's |
//! | `remains` | when what was taken out may be dropped |
//! | `sweep` | what has ended leaves by itself |
//!
//! Everyone reads under a shard's lock, except a host that can say when nobody is reading: it glances
//! ([`Near::glance`]) without any, which is the whole of a hit in Python.

mod glance;
mod held;
mod limits;
mod node;
mod queue;
mod remains;
mod shard;
mod sweep;
mod table;

use std::{
    fmt,
    hash::{BuildHasher, Hasher},
    ptr::NonNull,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use foldhash::fast::RandomState;
use parking_lot::Mutex;

pub use glance::{Glance, Recall, Seen};
pub use held::Held;
pub(crate) use held::Term;
pub use limits::Limits;
pub use remains::{Remains, Removed};

use crate::{
    entry::{Entry, Life},
    env::Clock,
    key::Key,
    policy::Policy,
    time::{FOREVER, Millis},
    value::{Raw, Value},
};
use held::Kept;
use limits::shards;
use node::Node;
use shard::{Shard, Weigh};
use table::{Changes, Table};

/// Proof of when a read began: an insertion with it is void if the key was written or deleted since.
#[derive(Clone, Copy, Debug)]
pub struct Ticket {
    generation: u64,
}

/// The in-process tier.
pub struct Near {
    parts: Box<[Part]>,
    changes: Arc<Changes>,
    limits: Limits,
    hasher: RandomState,
    remains: Option<Arc<Remains>>,
    /// When the first of the entries ends, as far as is known.
    ends_at: AtomicU64,
    plan: sweep::Plan,
}

/// A shard and its table: on lines of the cache of their own, so that neighbours do not slow each other down.
#[repr(align(128))]
struct Part {
    table: Table,
    shard: Mutex<Shard>,
}

/// How many entries a sweep looks at under one lock. What is added or removed between two slices may be passed over, and
/// is seen by the next sweep.
const SLICE: usize = 1024;

impl Near {
    /// Makes an empty tier within `limits`.
    pub fn new(limits: Limits) -> Self {
        Self::with_remains(limits, None)
    }

    /// Makes an empty tier whose entries wait in `remains` after they were taken out: one that can be glanced at.
    pub fn with_remains(limits: Limits, remains: Option<Arc<Remains>>) -> Self {
        let most = limits.max_entries.max(1);
        let (capacity, weigh) = match limits.max_bytes {
            Some(bytes) => (bytes.max(1), Weigh::Bytes),
            None => (most, Weigh::Entries),
        };
        let (count, changes) = (shards(&limits), Changes::new(most));
        let part = |at: u64| {
            // What does not divide goes to the first ones.
            let share = |of: u64| of / count + u64::from(at < of % count);
            Part { table: Table::new(changes.clone()), shard: Mutex::new(Shard::new(share(capacity), share(most), weigh)) }
        };
        Self {
            parts: (0..count).map(part).collect(),
            changes,
            limits,
            hasher: RandomState::default(),
            remains,
            ends_at: AtomicU64::new(FOREVER),
            plan: sweep::Plan::default(),
        }
    }

    /// Returns the hash of a key, for [`Near::glance`].
    #[inline]
    pub fn hash(&self, key: &[u8]) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(key);
        hasher.finish()
    }

    #[inline]
    fn part(&self, hash: u64) -> &Part {
        // The low half places an entry in its table, the upper bits tell entries apart.
        &self.parts[(hash >> 32) as usize & (self.parts.len() - 1)]
    }

    /// Returns what is held under `key`, expired or not, and marks it as used.
    pub fn peek(&self, key: &str) -> Option<Held> {
        let hash = self.hash(key.as_bytes());
        let part = self.part(hash);
        let _shard = part.shard.lock();
        // SAFETY: the lock is held.
        let node = unsafe { part.table.find(hash, key.as_bytes()) }?;
        // SAFETY: what is in the table is alive.
        unsafe { node.as_ref() }.mark();
        Some(Held::share(node))
    }

    /// Says whether `key` was not written or deleted since the ticket was taken.
    pub fn is_valid(&self, key: &str, ticket: Ticket) -> bool {
        self.ticket(key).generation == ticket.generation
    }

    /// Takes a ticket before reading `key` elsewhere.
    pub fn ticket(&self, key: &str) -> Ticket {
        let hash = self.hash(key.as_bytes());
        Ticket { generation: *self.part(hash).shard.lock().generation(hash) }
    }

    /// Holds a copy of `entry`, unless the key was written or deleted since `ticket` was taken.
    ///
    /// Returns whether it is held.
    pub fn promote(&self, key: &Key, entry: &Entry, policy: &Policy, max_ttl: Option<Millis>, clock: &dyn Clock, ticket: Ticket) -> bool {
        self.hold(key, entry, policy, max_ttl, clock, |generation, _| *generation == ticket.generation)
    }

    /// Holds `entry`, and voids every promotion of the key that is under way.
    pub fn put(&self, key: &Key, entry: &Entry, policy: &Policy, max_ttl: Option<Millis>, clock: &dyn Clock) {
        self.put_unless(key, entry, policy, max_ttl, clock, |_| false);
    }

    /// Like [`Near::put`], unless `revoked`, which is told what is held and is called with the key locked, says that the
    /// writer has lost its right.
    pub fn put_unless(
        &self,
        key: &Key,
        entry: &Entry,
        policy: &Policy,
        max_ttl: Option<Millis>,
        clock: &dyn Clock,
        revoked: impl FnOnce(Option<&Held>) -> bool,
    ) -> bool {
        self.hold(key, entry, policy, max_ttl, clock, |generation, held| {
            *generation += 1;
            !revoked(held)
        })
    }

    fn hold(
        &self,
        key: &Key,
        entry: &Entry,
        policy: &Policy,
        max_ttl: Option<Millis>,
        clock: &dyn Clock,
        admit: impl FnOnce(&mut u64, Option<&Held>) -> bool,
    ) -> bool {
        let (wall, now) = (clock.wall(), clock.monotonic());
        let life = entry.life.capped(max_ttl, wall);
        let hash = self.hash(key.as_bytes());
        let new = Held::new(key, hash, Kept::of(&entry.value), Term { life, wall, now, refresh_at: policy.refresh_at(&entry.life) });
        let gone_at = new.gone_at();
        let held = self.change(hash, |shard, table, removed| {
            // SAFETY: the lock is held, and what is in the table is alive.
            let known = unsafe { table.find(hash, new.key().as_bytes()) }.map(shard::borrowed);
            if !admit(shard.generation(hash), known.as_deref()) {
                removed.add(new);
                return false;
            }
            // SAFETY: the lock is held.
            unsafe { shard.insert(table, hash, new, now, removed) };
            true
        });
        // Now that it is there: a sweep that has passed by before has forgotten what it did not see.
        self.expect_end(gone_at);
        held
    }

    /// Changes a shard; what that takes out is dropped, or laid aside, when its lock is released.
    fn change<T>(&self, hash: u64, change: impl FnOnce(&mut Shard, &Table, &mut Removed) -> T) -> T {
        let (result, removed) = self.change_only(hash, change);
        self.lay_aside(removed);
        result
    }

    /// Changes a shard, and returns what that takes out beside the result.
    fn change_only<T>(&self, hash: u64, change: impl FnOnce(&mut Shard, &Table, &mut Removed) -> T) -> (T, Removed) {
        let mut removed = Removed::default();
        let part = self.part(hash);
        let result = change(&mut part.shard.lock(), &part.table, &mut removed);
        (result, removed)
    }

    /// Holds the host's object under `key`, which is a valid one, and voids every promotion of it that is under way;
    /// unless `admit`, which is called with the key locked, says no. Returns whether it is held, and what had to go.
    ///
    /// # Safety
    /// Dropping what is returned is as releasing it ([`Remains::release`]).
    pub(crate) unsafe fn put_raw(&self, key: &str, (raw, size): (Raw, u64), term: Term, admit: impl FnOnce() -> bool) -> (bool, Removed) {
        let hash = self.hash(key.as_bytes());
        let new = Held::new(key, hash, Kept::Raw(raw, size), term);
        let gone_at = new.gone_at();
        let changed = self.change_only(hash, |shard, table, removed| {
            *shard.generation(hash) += 1;
            if !admit() {
                removed.add(new);
                return false;
            }
            // SAFETY: the lock is held.
            unsafe { shard.insert(table, hash, new, term.now, removed) };
            true
        });
        self.expect_end(gone_at);
        changed
    }

    fn lay_aside(&self, removed: Removed) {
        match &self.remains {
            Some(remains) => remains.take(removed),
            None => drop(removed),
        }
    }

    /// Puts an entry in the place of that under `key`, if `change` makes one of it.
    fn rewrite(&self, key: &str, now: Millis, change: impl FnOnce(&Held, &mut u64) -> Option<(Kept, Term)>) {
        let hash = self.hash(key.as_bytes());
        self.change(hash, |shard, table, removed| {
            // SAFETY: the lock is held, and what is in the table is alive.
            let Some(known) = unsafe { table.find(hash, key.as_bytes()) }.map(shard::borrowed) else { return };
            // Looked at under the lock: what is deleted meanwhile stays deleted.
            let Some((kept, term)) = change(&known, shard.generation(hash)) else { return };
            // SAFETY: the lock is held.
            unsafe { shard.insert(table, hash, Held::new(key, hash, kept, term), now, removed) };
        });
    }

    /// Gives the copy under `key` the host's object, decoded from the bytes it was promoted with.
    pub fn attach(&self, key: &Key, life: &Life, value: &Value, clock: &dyn Clock) {
        let (wall, now) = (clock.wall(), clock.monotonic());
        self.rewrite(key, now, |held, _| {
            let same = held.life().created_at == life.created_at && !held.has_object();
            same.then(|| (Kept::of(value), Term { life: held.life_on(wall, now), wall, now, refresh_at: held.refresh_on(wall, now) }))
        });
    }

    /// Marks the copy under `key` as stale; it is served until it ends.
    pub fn expire(&self, key: &Key, clock: &dyn Clock) {
        let (wall, now) = (clock.wall(), clock.monotonic());
        self.rewrite(key, now, |held, generation| {
            *generation += 1;
            Some((Kept::of(&held.value()), Term { life: held.life_on(wall, now).expired(), wall, now, refresh_at: 0 }))
        });
    }

    /// Removes `key`, and voids every promotion of it that is under way. Returns whether it was held.
    pub fn remove(&self, key: &str) -> bool {
        let hash = self.hash(key.as_bytes());
        self.change(hash, |shard, table, removed| {
            *shard.generation(hash) += 1;
            // SAFETY: the lock is held, here and below.
            let Some(known) = (unsafe { table.find(hash, key.as_bytes()) }) else { return false };
            // SAFETY: as above.
            removed.add(unsafe { shard.take(table, known) });
            true
        })
    }

    /// Removes every key that begins with `prefix`, and says how many there were.
    pub fn clear(&self, prefix: &str) -> u64 {
        for part in &self.parts {
            part.shard.lock().move_on();
        }
        self.remove_where(usize::MAX, |held| held.key().starts_with(prefix))
    }

    /// Removes what can never be served again, and says how many there were.
    pub fn sweep(&self, now: Millis) -> u64 {
        self.ends_at.store(FOREVER, Ordering::Relaxed);
        let swept = self.remove_where(SLICE, |held| {
            let gone_at = held.gone_at();
            if now < gone_at {
                self.expect_end(gone_at);
            }
            now >= gone_at
        });
        if let Some(remains) = &self.remains {
            remains.ask();
        }
        swept
    }

    /// Returns when the first of the entries ends, as far as is known: on the monotonic clock, and [`FOREVER`] for never.
    pub fn ends_at(&self) -> Millis {
        self.ends_at.load(Ordering::Relaxed)
    }

    fn expect_end(&self, gone_at: Millis) {
        if gone_at < self.ends_at.load(Ordering::Relaxed) {
            self.ends_at.fetch_min(gone_at, Ordering::Relaxed);
        }
    }

    /// Looks at every entry, `most` of them under one lock, and calls `visit` with their shard locked.
    fn visit(&self, most: usize, mut visit: impl FnMut(&mut Shard, &Table, &[NonNull<Node>], &mut Removed)) {
        for part in &self.parts {
            let mut from = 0;
            loop {
                let mut removed = Removed::default();
                {
                    let mut shard = part.shard.lock();
                    let Some(slice) = shard.some(from, most).map(|some| some.map(Held::pointer).collect::<Vec<_>>()) else { break };
                    visit(&mut shard, &part.table, &slice, &mut removed);
                }
                self.lay_aside(removed);
                from = from.saturating_add(most);
            }
        }
    }

    fn remove_where(&self, most: usize, test: impl Fn(&Held) -> bool) -> u64 {
        let mut count = 0;
        self.visit(most, |shard, table, slice, removed| {
            for node in slice.iter().filter(|node| test(&shard::borrowed(**node))) {
                // SAFETY: the lock is held, and the node is in a queue of this shard, so it is in the table.
                removed.add(unsafe { shard.take(table, *node) });
                count += 1;
            }
        });
        count
    }

    /// Returns the entries whose keys begin with `prefix`, in no order.
    pub fn entries(&self, prefix: &str) -> Vec<Held> {
        let mut found = Vec::new();
        self.visit(usize::MAX, |_, _, slice, _| found.extend(slice.iter().map(|node| Held::share(*node)).filter(|held| held.key().starts_with(prefix))));
        found
    }

    /// Returns how many entries are held, expired ones included.
    pub fn len(&self) -> usize {
        self.parts.iter().map(|part| part.shard.lock().len()).sum()
    }

    /// Says whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the limits.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Returns how many bytes the keys and values take, as far as their sizes are known.
    pub fn bytes(&self) -> u64 {
        self.entries("").iter().map(|held| held.key().len() as u64 + held.size()).sum()
    }
}

impl fmt::Debug for Near {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Near").field("len", &self.len()).field("limits", &self.limits).finish()
    }
}
