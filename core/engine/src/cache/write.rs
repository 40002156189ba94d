//! Writing: far first, near last; and how flights end.

use super::{Ask, Cache, Overdue};
use crate::{
    entry::{Entry, Life},
    error::{Code, Error, Result},
    event::{Event, Kind},
    flight::{Lease, Revocation},
    key::{self, Key},
    near::{Held, Removed, Term},
    policy::Policy,
    store::{Put, PutMode},
    time::Millis,
    value::{Raw, Value},
};

/// Lives shorter than this, in milliseconds, are measured with exact clocks.
const SHORT: Millis = 100;

impl Cache {
    /// Puts the value a lease stands for, ends the flight, and gives the entry to all who wait.
    ///
    /// # Laws
    /// A failed far write is an event and the value is kept elsewhere (law 6). A revoked lease returns the value and
    /// stores nothing (law 7). A ttl of zero stores nothing (law 9).
    ///
    /// # Errors
    /// The error of a far tier with `on_error = "raise"`; the flight is over all the same.
    pub async fn fulfil(&self, lease: Lease, value: Value, policy: Option<&Policy>) -> Result<Entry> {
        let ask = Ask { policy: policy.copied().unwrap_or(self.inner.policy), ..Ask::default() };
        self.fulfil_with(lease, value, &ask).await
    }

    /// Like [`Cache::fulfil`], with the tiers to skip.
    ///
    /// # Errors
    /// As [`Cache::fulfil`].
    pub async fn fulfil_with(&self, lease: Lease, value: Value, ask: &Ask) -> Result<Entry> {
        let inner = &self.inner;
        let key = lease.key().clone();
        inner.events.on(Kind::Load, &key);
        let life = if self.is_closed() { None } else { ask.policy.life(&inner.env) };
        let now = inner.env.clock.wall();
        let entry = Entry { value, life: life.unwrap_or(Life { created_at: now, fresh_until: now, stale_until: now }), tier: inner.loader.clone() };
        if life.is_none() {
            lease.settle(&entry);
            return Ok(entry);
        }
        if lease.is_revoked() {
            inner.events.on(Kind::Revoked, &key);
            return Ok(entry);
        }
        let revoked = lease.revocation();
        let written = inner.chain.write(&key, &entry, now, ask, &inner.events).await;
        let held = self.hold(&key, &entry, ask, |_| revoked.is_revoked());
        if !held {
            inner.events.on(Kind::Revoked, &key);
            self.mend(&key, &revoked, ask).await;
            return Ok(entry);
        }
        inner.events.on(Kind::Put, &key);
        lease.settle(&entry);
        written.map(|()| entry)
    }

    /// Ends a lease whose load failed, and returns what to serve instead, if there is something (law 5).
    ///
    /// With a spare entry everyone who waits gets that; without one the next waiter gets the lease.
    pub fn fail(&self, lease: Lease) -> Option<Entry> {
        let inner = &self.inner;
        inner.events.on(Kind::LoadFailed, lease.key());
        let now = inner.env.clock.wall();
        let spare = lease.spare().filter(|spare| spare.life.is_servable(now)).cloned()?;
        inner.events.on(Kind::Rescue, lease.key());
        lease.settle(&spare);
        Some(spare)
    }

    /// Says how long the caller that loads waits before it asks [`Cache::overdue`].
    pub fn patience(&self, lease: &Lease, policy: &Policy) -> Option<Millis> {
        match (lease.spare(), policy.soft_timeout) {
            (Some(_), Some(soft)) => Some(policy.hard_timeout.map_or(soft, |hard| hard.min(soft))),
            _ => policy.hard_timeout,
        }
    }

    /// Says what a caller does whose load of `key` has taken `waited` so far. `spare` is what the lease had.
    pub fn overdue(&self, key: &Key, spare: Option<&Entry>, policy: &Policy, waited: Millis) -> Overdue {
        let now = self.inner.env.clock.wall();
        let limit = policy.soft_timeout.into_iter().chain(policy.hard_timeout).min();
        if let Some(spare) = spare.filter(|spare| spare.life.is_servable(now) && limit.is_some_and(|limit| waited >= limit)) {
            self.inner.events.on(Kind::Rescue, key);
            return Overdue::Serve(spare.clone());
        }
        match policy.hard_timeout {
            Some(hard) if waited >= hard => Overdue::Fail(Error::new(Code::Timeout, format!("the load of `{key}` took longer than {hard} ms"))),
            Some(hard) => Overdue::Wait(Some(hard - waited)),
            None => Overdue::Wait(None),
        }
    }

    /// Puts `value` into every tier, the furthest first, and supersedes a load that is under way.
    ///
    /// # Errors
    /// `closed`, or the error of a far tier with `on_error = "raise"`.
    pub async fn put(&self, key: &Key, value: Value, policy: Option<&Policy>) -> Result<()> {
        let ask = Ask { policy: policy.copied().unwrap_or(self.inner.policy), ..Ask::default() };
        let Some(life) = ask.policy.life(&self.inner.env) else {
            return self.check_open();
        };
        self.put_with(key, value, life, &ask).await
    }

    /// Puts the host's object, of about `size` bytes, into a cache that has no tier but the near one. Returns whether that
    /// was possible, and what had to go. Where the cache has other tiers, or a load is under way, [`Cache::put`] puts it.
    ///
    /// Waits for nothing, and reads clocks that may lag by a scheduler tick: an entry may end so much earlier.
    ///
    /// # Errors
    /// As [`Cache::put`]; `key_invalid`.
    ///
    /// # Safety
    /// Dropping what is returned is as releasing it ([`Remains::release`](crate::near::Remains::release)).
    pub unsafe fn put_raw(&self, key: &str, raw: impl FnOnce() -> (Raw, u64), policy: &Policy) -> Result<(bool, Removed)> {
        self.check_open()?;
        let inner = &self.inner;
        let Some(tier) = inner.chain.near().filter(|_| inner.chain.far().is_empty()) else { return Ok((false, Removed::default())) };
        key::check(key)?;
        let clock = &*inner.env.clock;
        let is_short = policy.ttl.is_some_and(|ttl| ttl < SHORT);
        let (wall, now) = if is_short { (clock.wall(), clock.monotonic()) } else { (clock.coarse_wall(), clock.coarse()) };
        let Some(life) = policy.life_from(wall, &inner.env) else { return Ok((true, Removed::default())) };
        let term = Term { life: life.capped(tier.max_ttl, wall), wall, now, refresh_at: policy.refresh_at(&life) };
        // A load that begins after this look finds the value: it looks near once more when it has the lease.
        // SAFETY: the caller's promise.
        let (held, removed) = unsafe { tier.near.put_raw(key, raw(), term, || inner.flights.is_empty()) };
        if held {
            inner.events.on(Kind::Put, key);
            self.sweep_in_time(now);
        }
        Ok((held, removed))
    }

    /// Puts `value` with deadlines that were decided elsewhere.
    ///
    /// # Errors
    /// As [`Cache::put`].
    pub async fn put_with(&self, key: &Key, value: Value, life: Life, ask: &Ask) -> Result<()> {
        self.check_open()?;
        let inner = &self.inner;
        let entry = Entry { value, life, tier: inner.loader.clone() };
        if inner.chain.far().is_empty() {
            // A load under way loses its right and the value is held in one step: it is the newer one.
            let mut ended = None;
            self.hold(key, &entry, ask, |_| {
                ended = inner.flights.end(key, &entry);
                false
            });
            if let Some(ended) = ended {
                ended.tell(&entry);
            }
            inner.events.on(Kind::Put, key);
            return Ok(());
        }
        // The flight is taken over for as long as the far tiers are written: no load begins that would miss the value.
        let lease = inner.flights.take_over(key, &entry);
        let revoked = lease.revocation();
        let written = inner.chain.write(key, &entry, inner.env.clock.wall(), ask, &inner.events).await;
        if self.hold(key, &entry, ask, |_| revoked.is_revoked()) {
            lease.settle(&entry);
        } else {
            self.mend(key, &revoked, ask).await;
        }
        inner.events.on(Kind::Put, key);
        written
    }

    /// Puts `value` only if no fresh entry is under `key`; the furthest tier decides.
    ///
    /// # Errors
    /// `closed`; `unsupported` when the furthest tier cannot decide by itself; whatever kept it from deciding.
    pub async fn put_if_absent(&self, key: &Key, value: Value, policy: Option<&Policy>) -> Result<bool> {
        self.check_open()?;
        let inner = &self.inner;
        let ask = Ask { policy: policy.copied().unwrap_or(inner.policy), ..Ask::default() };
        let Some(life) = ask.policy.life(&inner.env) else { return Ok(false) };
        let entry = Entry { value, life, tier: inner.loader.clone() };
        let now = inner.env.clock.wall();
        let Some(last) = inner.chain.far().len().checked_sub(1) else {
            return Ok(self.hold_if_absent(key, &entry, &ask));
        };
        let furthest = inner.chain.write_one(last, key, &entry, now, PutMode::IfAbsent(now)).await;
        if let Err((kind, error)) = &furthest {
            inner.chain.failed(last, *kind, Some(key), error, &inner.events);
        }
        if furthest.map_err(|(_, error)| error.at(&inner.chain.far()[last].name))? == Put::Present {
            return Ok(false);
        }
        for index in (0..last).rev() {
            if let Err((kind, error)) = inner.chain.write_one(index, key, &entry, now, PutMode::Always).await {
                inner.chain.failed(index, kind, Some(key), &error, &inner.events);
            }
        }
        self.hold(key, &entry, &ask, |_| false);
        inner.events.on(Kind::Put, key);
        Ok(true)
    }

    /// Gives the near copy under `key` the host's object that was decoded from `entry`'s bytes.
    pub fn attach(&self, key: &Key, life: &Life, value: &Value) {
        if let Some(tier) = self.inner.chain.near() {
            tier.near.attach(key, life, value, &*self.inner.env.clock);
        }
    }

    /// Marks `key` as stale in every tier: it is served on until its end, and refreshed by the next caller.
    ///
    /// # Errors
    /// `closed`, or the first failure of a far tier, after all were asked.
    pub async fn expire(&self, key: &Key) -> Result<()> {
        self.check_open()?;
        let inner = &self.inner;
        let ticket = inner.chain.near().map(|tier| tier.near.ticket(key));
        let mut failed = None;
        for tier in inner.chain.far().iter().rev() {
            if let Err(error) = tier.store.expire(key).await {
                failed = failed.or(Some(error.at(&tier.name)));
            }
        }
        if let (Some(tier), Some(ticket)) = (inner.chain.near(), ticket) {
            if !inner.chain.far().is_empty() && !tier.near.is_valid(key, ticket) {
                // A delete or a put overtook this: what was written again in the far tiers may be older.
                return self.delete(key).await;
            }
            tier.near.expire(key, &*inner.env.clock);
        }
        failed.map_or(Ok(()), Err)
    }

    /// Deletes `key` from every tier.
    ///
    /// Far tiers first, near last: the other order lets a reader promote what is about to go. It revokes the lease out
    /// on the key, and promotions begun before it are void (law 7).
    ///
    /// # Errors
    /// `closed`, or the first failure of a far tier, after all were asked.
    pub async fn delete(&self, key: &Key) -> Result<()> {
        self.check_open()?;
        let inner = &self.inner;
        // Before as well as after: what was loaded before this moment must not be written behind our back.
        inner.flights.revoke(key);
        let deleted = inner.chain.delete_many(std::slice::from_ref(key), &inner.events).await;
        if let Some(tier) = inner.chain.near() {
            tier.near.remove(key);
        }
        if !inner.chain.far().is_empty() {
            inner.flights.revoke(key);
        }
        inner.events.on(Kind::Delete, key);
        deleted
    }

    /// Deletes every key that begins with `prefix` from every tier, and says how many the fullest tier held.
    ///
    /// # Errors
    /// `closed`, or the first failure of a far tier, after all were asked.
    pub async fn clear(&self, prefix: &str) -> Result<u64> {
        self.check_open()?;
        let inner = &self.inner;
        inner.flights.revoke_prefix(prefix);
        let (mut count, mut failed) = (0, None);
        for (index, tier) in inner.chain.far().iter().enumerate().rev() {
            match tier.store.clear(prefix).await {
                Ok(cleared) => count = count.max(cleared),
                Err(error) => {
                    inner.events.note(&Event { kind: Kind::WriteFailed, key: None, tier: Some(&inner.chain.far()[index].name), error: Some(&error) });
                    failed = failed.or(Some(error.at(&tier.name)));
                }
            }
        }
        if let Some(tier) = inner.chain.near() {
            count = count.max(tier.near.clear(prefix));
        }
        if !inner.chain.far().is_empty() {
            inner.flights.revoke_prefix(prefix);
        }
        failed.map_or(Ok(count), Err)
    }

    /// Undoes a write to the far tiers by a writer who had lost his right before he was done.
    async fn mend(&self, key: &Key, revoked: &Revocation, ask: &Ask) {
        let inner = &self.inner;
        // Failures are counted, and there is nobody left to tell.
        if revoked.is_deleted() {
            // What the delete removed may be there again.
            let _counted = inner.chain.delete_many(std::slice::from_ref(key), &inner.events).await;
        } else if let Some(newer) = revoked.newer() {
            // What was put may have been overwritten.
            let _counted = inner.chain.write(key, &newer, inner.env.clock.wall(), ask, &inner.events).await;
        }
    }

    /// Keeps a copy in the near tier unless the writer has lost its right. Returns whether it still had it.
    fn hold(&self, key: &Key, entry: &Entry, ask: &Ask, revoked: impl FnOnce(Option<&Held>) -> bool) -> bool {
        match self.inner.chain.near().filter(|tier| ask.writes(&tier.name)) {
            Some(tier) => {
                let held = tier.near.put_unless(key, entry, &ask.policy, tier.max_ttl, &*self.inner.env.clock, revoked);
                self.sweep_in_time(self.inner.env.clock.coarse());
                held
            }
            None => !revoked(None),
        }
    }

    fn hold_if_absent(&self, key: &Key, entry: &Entry, ask: &Ask) -> bool {
        let clock = &*self.inner.env.clock;
        let Some(tier) = self.inner.chain.near() else { return false };
        let stored = tier.near.put_unless(key, entry, &ask.policy, tier.max_ttl, clock, |held| held.is_some_and(|held| held.is_fresh(clock.monotonic())));
        self.sweep_in_time(self.inner.env.clock.coarse());
        if stored {
            self.inner.events.on(Kind::Put, key);
        }
        stored
    }

    /// Takes note that the host could not decode the entry under `key` that `tier` gave: bad bytes are a miss (law 12).
    ///
    /// The caller asks again with the tier in [`Ask::distrust`].
    pub fn distrust(&self, key: &Key, tier: &str, error: &Error) {
        if let Some(near) = self.inner.chain.near() {
            near.near.remove(key);
        }
        self.inner.events.note(&Event { kind: Kind::Corrupt, key: Some(key), tier: Some(tier), error: Some(error) });
    }
}
