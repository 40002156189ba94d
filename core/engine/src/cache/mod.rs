//! Caches: a chain, the flights over it, and a default policy. This is what users hold.

mod many;
mod read;
mod write;

use std::sync::{
    Arc, Weak,
    atomic::{AtomicBool, Ordering},
};

use crate::{
    chain::Chain,
    entry::Entry,
    env::Env,
    error::{Code, Error, Result},
    event::Events,
    flight::{FlightId, Flights, Lease},
    key::Key,
    near::Held,
    policy::Policy,
    store::StoreExt,
    time::Millis,
};

/// What one call asks for beside its key.
#[derive(Clone, Debug, Default)]
pub struct Ask {
    /// The policy of this call.
    pub policy: Policy,
    /// Names of tiers that this call neither reads nor writes.
    pub skip: Vec<Arc<str>>,
    /// Names of tiers whose copy of this key was found to be bad: not read again, but written.
    pub distrust: Vec<Arc<str>>,
    /// The flights whose loaders the caller is part of, so that no loader waits for itself.
    pub lineage: Vec<FlightId>,
}

impl Ask {
    pub(crate) fn reads(&self, tier: &Arc<str>) -> bool {
        !self.skip.contains(tier) && !self.distrust.contains(tier)
    }

    pub(crate) fn writes(&self, tier: &Arc<str>) -> bool {
        !self.skip.contains(tier)
    }
}

/// What [`Cache::begin`] found, and what the caller must do next.
#[derive(Debug)]
pub enum Outcome {
    /// The entry is fresh. A lease comes with it when a refresh ahead of time is due.
    Hit(Entry, Option<Lease>),
    /// The entry may be served now; whoever holds the lease refreshes it.
    Stale(Entry, Option<Lease>),
    /// There is no entry to serve, and this caller must produce it.
    Miss(Lease),
}

/// What [`Cache::resume`] found.
#[derive(Debug)]
pub enum Resumed {
    /// Another process has refreshed the entry: nothing to do.
    Fresh(Entry),
    /// Load.
    Load(Lease),
}

/// What a caller does whose load takes too long.
#[derive(Debug)]
pub enum Overdue {
    /// Serve this; the load goes on.
    Serve(Entry),
    /// Wait this much longer, if at all.
    Wait(Option<Millis>),
    /// Give up with this error; the load goes on.
    Fail(Error),
}

/// One cache. Cheap to clone; clones are the same cache.
#[derive(Clone, Debug)]
pub struct Cache {
    inner: Arc<Inner>,
}

/// A cache that is not kept alive by being known here.
#[derive(Clone, Debug)]
pub struct WeakCache(Weak<Inner>);

impl WeakCache {
    /// Returns the cache, if it still exists.
    pub fn upgrade(&self) -> Option<Cache> {
        self.0.upgrade().map(|inner| Cache { inner })
    }
}

#[derive(Debug)]
struct Inner {
    chain: Chain,
    flights: Arc<Flights>,
    policy: Policy,
    env: Env,
    events: Events,
    loader: Arc<str>,
    closed: AtomicBool,
}

impl Cache {
    /// Makes a cache over `chain`.
    ///
    /// # Errors
    /// `config_invalid` when the policy makes no sense.
    pub fn new(chain: Chain, policy: Policy, env: Env) -> Result<Self> {
        policy.check()?;
        let inner = Inner { chain, flights: Arc::default(), policy, env, events: Events::default(), loader: "loader".into(), closed: AtomicBool::new(false) };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Returns a handle that does not keep the cache alive.
    pub fn downgrade(&self) -> WeakCache {
        WeakCache(Arc::downgrade(&self.inner))
    }

    /// Returns the chain.
    pub fn chain(&self) -> &Chain {
        &self.inner.chain
    }

    /// Returns the default policy.
    pub fn policy(&self) -> &Policy {
        &self.inner.policy
    }

    /// Returns what the cache asks of the world.
    pub fn env(&self) -> &Env {
        &self.inner.env
    }

    /// Returns the counts of what happened, and where to listen.
    pub fn events(&self) -> &Events {
        &self.inner.events
    }

    /// Returns the flights under way.
    pub fn flights(&self) -> &Arc<Flights> {
        &self.inner.flights
    }

    /// Makes a call's question from the default policy.
    pub fn ask(&self) -> Ask {
        Ask { policy: self.inner.policy, ..Ask::default() }
    }

    /// Returns the near copy under `key` if it is fresh and nothing is due: the whole of a hit.
    ///
    /// Never waits, never touches a runtime, reads a coarse clock.
    pub fn peek(&self, key: &str) -> Option<Held> {
        let tier = self.inner.chain.near()?;
        let held = tier.near.peek(key)?;
        if !held.is_plain(self.inner.env.clock.coarse()) || self.is_closed() {
            return None;
        }
        self.inner.chain.count_near_hit();
        self.inner.events.on(crate::event::Kind::Hit, key);
        Some(held)
    }

    /// Says whether a fresh entry is under `key` in some tier, without transferring it.
    ///
    /// # Errors
    /// As [`Cache::get`].
    pub async fn exists(&self, key: &Key) -> Result<bool> {
        self.check_open()?;
        let inner = &self.inner;
        if let Some(tier) = inner.chain.near()
            && tier.near.peek(key).is_some_and(|held| held.is_fresh(inner.env.clock.monotonic()))
        {
            return Ok(true);
        }
        let now = inner.env.clock.wall();
        for (index, tier) in inner.chain.far().iter().enumerate() {
            match tier.store.exists(key, now).await {
                Ok(true) => return Ok(true),
                Ok(false) => {}
                Err(error) => inner.chain.read_failed(index, key, error, &inner.events)?,
            }
        }
        Ok(false)
    }

    /// Takes the lease on `key` whatever the chain holds, unless another caller has it.
    ///
    /// This is how a caller refreshes ahead of time.
    pub fn claim(&self, key: &Key) -> Option<Lease> {
        if self.is_closed() { None } else { self.inner.flights.claim(key) }
    }

    /// Removes what can never be served again from every tier, and says how many there were.
    ///
    /// # Errors
    /// The first failure of a far tier, after all were asked.
    pub async fn sweep(&self) -> Result<u64> {
        self.check_open()?;
        let (clock, chain) = (&self.inner.env.clock, &self.inner.chain);
        let mut count = chain.near().map_or(0, |tier| tier.near.sweep(clock.monotonic()));
        let mut failed = None;
        for tier in chain.far() {
            match tier.store.sweep(clock.wall()).await {
                Ok(swept) => count += swept,
                Err(error) => failed = failed.or(Some(error.at(&tier.name))),
            }
        }
        failed.map_or(Ok(count), Err)
    }

    /// Has the near tier swept when the first of its entries ends.
    fn sweep_in_time(&self, now: Millis) {
        if let Some(tier) = self.inner.chain.near() {
            tier.near.sweep_in_time(&self.inner.env, now);
        }
    }

    /// Closes the cache and its far stores. Later calls fail with `closed`.
    ///
    /// # Errors
    /// The first failure of a far tier, after all were closed.
    pub async fn close(&self) -> Result<()> {
        if self.inner.closed.swap(true, Ordering::SeqCst) { Ok(()) } else { self.flush().await }
    }

    /// Has every far store write what is still in memory, and let go of files and connections until it is next used.
    ///
    /// # Errors
    /// The first failure of a far tier, after all were asked.
    pub async fn flush(&self) -> Result<()> {
        let mut failed = None;
        for tier in self.inner.chain.far() {
            if let Err(error) = tier.store.close().await {
                failed = failed.or(Some(error.at(&tier.name)));
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// Says whether the cache was closed.
    #[inline]
    pub fn is_closed(&self) -> bool {
        self.inner.closed.load(Ordering::Relaxed)
    }

    /// Makes the cache usable in the child of a fork, where the threads that flew its flights do not exist.
    pub fn after_fork(&self) {
        self.inner.flights.forget();
        for tier in self.inner.chain.far() {
            tier.store.after_fork();
        }
        if let Some(tier) = self.inner.chain.near() {
            tier.near.forget_sweep();
        }
    }

    fn check_open(&self) -> Result<()> {
        if self.is_closed() { Err(Error::new(Code::Closed, "the cache is closed")) } else { Ok(()) }
    }
}
