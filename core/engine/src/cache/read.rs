//! Reading: look near, claim, look far.

use super::{Ask, Cache, Outcome, Resumed};
use crate::{
    entry::{Entry, State},
    error::{Code, Error, Result},
    event::Kind,
    flight::{Joined, Lease, Settled, Waiting},
    key::Key,
    near::Held,
    time::{FOREVER, Millis},
};

/// What a look at the near tier says.
struct Near {
    held: Held,
    entry: Entry,
    state: State,
    refresh_is_due: bool,
}

/// How far a read came without waiting.
enum Entered {
    Near(Outcome),
    Flight(Joined),
}

impl Cache {
    /// Gets the entry under `key` if it may be served at all. Never waits for a loader.
    ///
    /// # Errors
    /// `closed`, or the error of a far tier with `on_error = "raise"`.
    pub async fn get(&self, key: &Key) -> Result<Option<Entry>> {
        self.get_with(key, &self.ask()).await
    }

    /// Like [`Cache::get`], with the tiers to skip.
    ///
    /// # Errors
    /// As [`Cache::get`].
    pub async fn get_with(&self, key: &Key, ask: &Ask) -> Result<Option<Entry>> {
        self.check_open()?;
        if let Some(near) = self.look_near(key, FOREVER, ask) {
            return Ok(Some(self.served(key, near.entry, near.state)));
        }
        match self.look_far(key, FOREVER, ask).await? {
            Some((entry, state)) => Ok(Some(self.served(key, entry, state))),
            None => {
                self.inner.events.on(Kind::Miss, key);
                Ok(None)
            }
        }
    }

    /// Like [`Cache::get_with`], for what is fresh alone: a stale copy does not hide a fresh one further back.
    ///
    /// # Errors
    /// As [`Cache::get`].
    pub async fn get_fresh(&self, key: &Key, ask: &Ask) -> Result<Option<Entry>> {
        self.check_open()?;
        if let Some(near) = self.look_near(key, 0, ask).filter(|near| near.state == State::Fresh) {
            return Ok(Some(self.served(key, near.entry, State::Fresh)));
        }
        match self.look_far(key, 0, ask).await? {
            Some((entry, State::Fresh)) => Ok(Some(self.served(key, entry, State::Fresh))),
            _ => {
                self.inner.events.on(Kind::Miss, key);
                Ok(None)
            }
        }
    }

    /// Starts a read that ends in a value: from the chain, from another caller's flight, or from this caller.
    ///
    /// # Laws
    /// Near first, then the flight, and only its holder asks the far tiers (laws 2 to 4).
    ///
    /// # Errors
    /// `closed`; `conflict` when a loader waits for itself; `timeout` when another caller's load takes too long;
    /// the error of a far tier with `on_error = "raise"`.
    pub async fn begin(&self, key: &Key, ask: &Ask) -> Result<Outcome> {
        match self.enter(key, ask)? {
            Entered::Near(outcome) => Ok(outcome),
            Entered::Flight(Joined::Holder(lease)) => self.explore(lease, ask).await,
            Entered::Flight(Joined::Waiter(waiting)) => self.wait(key, waiting, ask).await,
        }
    }

    /// Like [`Cache::begin`], for a caller that cannot wait for another one: `None` when another caller is loading.
    ///
    /// # Errors
    /// As [`Cache::begin`], but for `timeout`.
    pub async fn begin_or_busy(&self, key: &Key, ask: &Ask) -> Result<Option<Outcome>> {
        match self.enter(key, ask)? {
            Entered::Near(outcome) => Ok(Some(outcome)),
            Entered::Flight(Joined::Holder(lease)) => self.explore(lease, ask).await.map(Some),
            Entered::Flight(Joined::Waiter(_)) => Ok(None),
        }
    }

    /// Looks near, and joins the flight of `key` when that is not enough.
    fn enter(&self, key: &Key, ask: &Ask) -> Result<Entered> {
        self.check_open()?;
        // In a forked child nothing is planned yet.
        self.sweep_in_time(self.inner.env.clock.coarse());
        let window = ask.policy.window();
        if let Some(near) = self.look_near(key, window, ask).filter(|near| near.state != State::Spare) {
            return Ok(Entered::Near(self.outcome(key, near)));
        }
        self.inner.flights.join(key, &ask.lineage).map(Entered::Flight)
    }

    /// Looks far before a stale entry is loaded again: another process may have refreshed it.
    ///
    /// # Errors
    /// The error of a far tier with `on_error = "raise"`.
    pub async fn resume(&self, mut lease: Lease, ask: &Ask) -> Result<Resumed> {
        let key = lease.key().clone();
        let known = self.look_near(&key, FOREVER, ask);
        if self.inner.chain.far().is_empty() {
            if let Some(near) = known {
                lease.set_spare(near.entry);
            }
            return Ok(Resumed::Load(lease));
        }
        let created_at = known.as_ref().map_or(0, |near| near.entry.life.created_at);
        match self.look_far(&key, 0, ask).await? {
            // The same entry again is no news, however fresh: it is what is to be refreshed.
            Some((entry, State::Fresh)) if entry.life.created_at > created_at => {
                lease.settle(&entry);
                Ok(Resumed::Fresh(entry))
            }
            found => {
                if let Some(entry) = known.map(|near| near.entry).or(found.map(|(entry, _)| entry)) {
                    lease.set_spare(entry);
                }
                Ok(Resumed::Load(lease))
            }
        }
    }

    /// Looks everywhere on behalf of the holder of `lease`.
    async fn explore(&self, mut lease: Lease, ask: &Ask) -> Result<Outcome> {
        let key = lease.key().clone();
        let window = ask.policy.window();
        // Once more: the flight that was just settled may have put it there.
        let near = self.look_near(&key, window, ask);
        let mut spare = None;
        match near {
            Some(near) if near.state != State::Spare => {
                if near.state == State::Fresh && !near.refresh_is_due {
                    lease.settle(&near.entry);
                    return Ok(Outcome::Hit(self.served(&key, near.entry, State::Fresh), None));
                }
                lease.lend(near.held, self.inner.env.clock.monotonic());
                return Ok(self.shared(lease, near.entry, near.state));
            }
            Some(near) => spare = Some(near.entry),
            None => {}
        }
        match self.look_far(&key, window, ask).await? {
            Some((entry, State::Fresh)) => {
                let due = ask.policy.refresh_at(&entry.life) <= self.inner.env.clock.wall();
                if due {
                    return Ok(self.shared(lease, entry, State::Fresh));
                }
                lease.settle(&entry);
                return Ok(Outcome::Hit(self.served(&key, entry, State::Fresh), None));
            }
            Some((entry, State::Stale)) => return Ok(self.shared(lease, entry, State::Stale)),
            Some((entry, _)) => spare = spare.or(Some(entry)),
            None => {}
        }
        self.inner.events.on(Kind::Miss, &key);
        // What a store keeps longer than this reader's policy keeps things is no spare of his.
        let now = self.inner.env.clock.wall();
        if let Some(entry) = spare.filter(|entry| now < ask.policy.kept_until(&entry.life)) {
            lease.set_spare(entry);
        }
        Ok(Outcome::Miss(lease))
    }

    /// Serves `entry` to this caller and all who wait, and keeps the lease for the refresh.
    fn shared(&self, mut lease: Lease, entry: Entry, state: State) -> Outcome {
        lease.share(&entry);
        lease.set_spare(entry.clone());
        let key = lease.key().clone();
        let entry = self.served(&key, entry, state);
        if state == State::Fresh { Outcome::Hit(entry, Some(lease)) } else { Outcome::Stale(entry, Some(lease)) }
    }

    fn outcome(&self, key: &Key, near: Near) -> Outcome {
        let wants_lease = near.state == State::Stale || near.refresh_is_due;
        let lease = if wants_lease { self.claim_for(key, &near) } else { None };
        let entry = self.served(key, near.entry, near.state);
        if near.state == State::Fresh { Outcome::Hit(entry, lease) } else { Outcome::Stale(entry, lease) }
    }

    fn claim_for(&self, key: &Key, near: &Near) -> Option<Lease> {
        let now = self.inner.env.clock.monotonic();
        let Some(mut lease) = self.inner.flights.claim(key) else {
            // Still under way: for another term nobody else needs to ask.
            near.held.lend(now);
            return None;
        };
        lease.set_spare(near.entry.clone());
        lease.lend(near.held.clone(), now);
        Some(lease)
    }

    /// Waits for another caller's flight.
    async fn wait(&self, key: &Key, mut waiting: Waiting, ask: &Ask) -> Result<Outcome> {
        let policy = &ask.policy;
        let started = self.inner.env.clock.monotonic();
        let patience = [policy.lock_timeout, policy.hard_timeout].into_iter().flatten().min();
        // With something to serve instead, a caller waits no longer than the soft timeout.
        if let Some(soft) = policy.soft_timeout.filter(|soft| patience.is_none_or(|longest| *soft < longest)) {
            if let Some(settled) = self.settled(&mut waiting, Some(soft)).await {
                return self.settle_waiter(key, settled, ask).await;
            }
            if let Some(spare) = self.rescue(key) {
                return Ok(spare);
            }
        }
        let waited = self.inner.env.clock.monotonic().saturating_sub(started);
        if let Some(settled) = self.settled(&mut waiting, patience.map(|limit| limit.saturating_sub(waited))).await {
            return self.settle_waiter(key, settled, ask).await;
        }
        let too_long = || Error::new(Code::Timeout, format!("another caller's load of `{key}` took longer than {} ms", patience.unwrap_or(0)));
        self.rescue(key).ok_or_else(too_long)
    }

    /// Returns what the flight of `key` could serve while its load goes on.
    fn rescue(&self, key: &Key) -> Option<Outcome> {
        let now = self.inner.env.clock.wall();
        let spare = self.inner.flights.spare(key).filter(|spare| spare.life.is_servable(now))?;
        self.inner.events.on(Kind::Rescue, key);
        Some(Outcome::Stale(spare, None))
    }

    async fn settled(&self, waiting: &mut Waiting, limit: Option<Millis>) -> Option<Settled> {
        self.inner.env.within(limit, &mut waiting.settled).await?.ok()
    }

    async fn settle_waiter(&self, key: &Key, settled: Settled, ask: &Ask) -> Result<Outcome> {
        match settled {
            Settled::Turn(lease) => self.explore(lease, ask).await,
            Settled::Entry(entry) => {
                // A value that was not stored has no life, and is this caller's answer all the same.
                let stale = entry.life.state(self.inner.env.clock.wall(), FOREVER) == State::Stale;
                let entry = self.served(key, entry, if stale { State::Stale } else { State::Fresh });
                Ok(if stale { Outcome::Stale(entry, None) } else { Outcome::Hit(entry, None) })
            }
        }
    }

    /// Counts what is served.
    fn served(&self, key: &Key, entry: Entry, state: State) -> Entry {
        self.inner.events.on(if state == State::Fresh { Kind::Hit } else { Kind::Stale }, key);
        entry
    }

    fn look_near(&self, key: &Key, window: Millis, ask: &Ask) -> Option<Near> {
        let tier = self.inner.chain.near().filter(|tier| ask.reads(&tier.name))?;
        let held = tier.near.peek(key)?;
        let clock = &*self.inner.env.clock;
        let now = clock.monotonic();
        let life = held.life_now(clock);
        // The monotonic deadlines decide (law 13).
        let state = match (held.is_fresh(now), held.is_servable(now)) {
            (true, _) => State::Fresh,
            (_, false) => State::Gone,
            _ => life.state(clock.wall(), window),
        };
        if state == State::Gone {
            return None;
        }
        if state != State::Spare {
            self.inner.chain.count_near_hit();
        }
        let entry = Entry { value: held.value(), life, tier: tier.name.clone() };
        Some(Near { refresh_is_due: state == State::Fresh && !held.is_plain(now), held, entry, state })
    }

    async fn look_far(&self, key: &Key, window: Millis, ask: &Ask) -> Result<Option<(Entry, State)>> {
        let inner = &self.inner;
        let near = inner.chain.near().filter(|tier| ask.writes(&tier.name));
        let ticket = near.map(|tier| tier.near.ticket(key));
        let now = inner.env.clock.wall();
        let Some(found) = inner.chain.look(key, now, window, ask, &inner.events).await? else { return Ok(None) };
        if found.state != State::Spare && !found.entry.life.is_unknown() {
            let written = inner.chain.promote(key, &found, now, ask, &inner.events).await;
            let void =
                near.zip(ticket).is_some_and(|(tier, ticket)| !tier.near.promote(key, &found.entry, &ask.policy, tier.max_ttl, &*inner.env.clock, ticket));
            self.sweep_in_time(inner.env.clock.coarse());
            if void {
                // A delete or a put overtook this read (law 7): take back what was copied, it may be older.
                for index in written {
                    let tier = &inner.chain.far()[index];
                    if let Err(error) = tier.store.delete(key).await {
                        inner.chain.failed(index, Kind::WriteFailed, Some(key), &error, &inner.events);
                    }
                }
            }
        }
        Ok(Some((found.entry, found.state)))
    }
}
