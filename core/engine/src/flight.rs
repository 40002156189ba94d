//! Flights: the one production of a key now under way, and the leases that end it.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
};

use futures_channel::oneshot;
use parking_lot::Mutex;

use crate::{
    entry::Entry,
    error::{Code, Error, Result},
    key::Key,
    near::Held,
    time::Millis,
};

/// What became of the right that a lease gives; known also after the lease ended.
#[derive(Debug, Default)]
pub(crate) struct Revocation {
    state: AtomicU8,
    /// What was put in the meantime, where that is why.
    newer: Mutex<Option<Entry>>,
}

const VALID: u8 = 0;
const DELETED: u8 = 1;
const SUPERSEDED: u8 = 2;

impl Revocation {
    pub(crate) fn is_revoked(&self) -> bool {
        self.state.load(Ordering::SeqCst) != VALID
    }

    pub(crate) fn is_deleted(&self) -> bool {
        self.state.load(Ordering::SeqCst) == DELETED
    }

    /// Returns what was put in the meantime.
    pub(crate) fn newer(&self) -> Option<Entry> {
        self.newer.lock().clone()
    }

    fn supersede(&self, entry: &Entry) {
        *self.newer.lock() = Some(entry.clone());
        self.state.store(SUPERSEDED, Ordering::SeqCst);
    }
}

/// Names one flight in this process. A caller inside a loader passes the flights it is part of.
pub type FlightId = u64;

static NEXT: AtomicU64 = AtomicU64::new(1);

/// Which flight the callers inside a flight wait for: a circle in it is a deadlock.
///
/// A loader may wait for several at once, and several of its callers for the same.
static WAITS: Mutex<Option<HashMap<FlightId, Vec<FlightId>>>> = Mutex::new(None);

/// The flights of one cache.
#[derive(Debug, Default)]
pub struct Flights {
    slots: Mutex<HashMap<Key, Slot>>,
}

#[derive(Debug)]
struct Slot {
    id: FlightId,
    /// What was found that may be served if the load fails or takes too long.
    spare: Option<Entry>,
    revoked: Arc<Revocation>,
    waiters: VecDeque<oneshot::Sender<Settled>>,
}

/// How a flight ended for one waiter.
#[derive(Debug)]
pub(crate) enum Settled {
    /// With this entry.
    Entry(Entry),
    /// Without one, and it is this waiter's turn.
    Turn(Lease),
}

/// What became of joining a flight.
pub(crate) enum Joined {
    /// There was none, and this caller holds the lease.
    Holder(Lease),
    /// There is one: wait for it.
    Waiter(Waiting),
}

/// A place in the queue of a flight.
pub(crate) struct Waiting {
    pub(crate) settled: oneshot::Receiver<Settled>,
    lineage: Vec<FlightId>,
    holder: FlightId,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let (false, Some(waits)) = (self.lineage.is_empty(), WAITS.lock().as_mut()) {
            for id in &self.lineage {
                if let Some(holders) = waits.get_mut(id) {
                    if let Some(at) = holders.iter().position(|holder| *holder == self.holder) {
                        holders.swap_remove(at);
                    }
                    if holders.is_empty() {
                        waits.remove(id);
                    }
                }
            }
        }
    }
}

impl Flights {
    /// Takes the lease on `key`, unless another caller has it.
    pub fn claim(self: &Arc<Self>, key: &Key) -> Option<Lease> {
        let mut slots = self.slots.lock();
        if slots.contains_key(key) {
            return None;
        }
        Some(self.open(&mut slots, key))
    }

    fn open(self: &Arc<Self>, slots: &mut HashMap<Key, Slot>, key: &Key) -> Lease {
        let slot = Slot { id: NEXT.fetch_add(1, Ordering::Relaxed), spare: None, revoked: Arc::default(), waiters: VecDeque::new() };
        let lease = self.lease(key, &slot);
        slots.insert(key.clone(), slot);
        lease
    }

    fn lease(self: &Arc<Self>, key: &Key, slot: &Slot) -> Lease {
        Lease { flights: self.clone(), key: key.clone(), id: slot.id, revoked: slot.revoked.clone(), spare: None, lent: None, ended: false }
    }

    /// Takes the lease on `key`, or a place in the queue for it.
    ///
    /// # Errors
    /// `conflict` when the caller is itself part of what it would wait for.
    pub(crate) fn join(self: &Arc<Self>, key: &Key, lineage: &[FlightId]) -> Result<Joined> {
        let mut slots = self.slots.lock();
        let Some(slot) = slots.get_mut(key) else {
            return Ok(Joined::Holder(self.open(&mut slots, key)));
        };
        if !lineage.is_empty() {
            note_wait(key, lineage, slot.id)?;
        }
        let (sender, settled) = oneshot::channel();
        slot.waiters.retain(|waiter| !waiter.is_canceled());
        slot.waiters.push_back(sender);
        Ok(Joined::Waiter(Waiting { settled, lineage: lineage.to_vec(), holder: slot.id }))
    }

    /// Returns what the flight of `key` could serve if its load takes too long.
    pub(crate) fn spare(&self, key: &Key) -> Option<Entry> {
        self.slots.lock().get(key).and_then(|slot| slot.spare.clone())
    }

    /// Revokes the lease out on `key`: fulfilling it stores nothing, and the next waiter starts anew.
    ///
    /// Returns whether there was one.
    pub(crate) fn revoke(self: &Arc<Self>, key: &Key) -> bool {
        let id = match self.slots.lock().get(key) {
            Some(slot) => {
                slot.revoked.state.store(DELETED, Ordering::SeqCst);
                slot.id
            }
            None => return false,
        };
        self.turn(key, id);
        true
    }

    /// Revokes every lease on a key that begins with `prefix`.
    pub(crate) fn revoke_prefix(self: &Arc<Self>, prefix: &str) -> u64 {
        let keys: Vec<Key> = self.slots.lock().keys().filter(|key| key.starts_with(prefix)).cloned().collect();
        keys.iter().filter(|key| self.revoke(key)).count() as u64
    }

    /// Ends the flight of `key`, whoever holds its lease, because `entry` is put. Who waits is told by [`Ended::tell`].
    pub(crate) fn end(&self, key: &Key, entry: &Entry) -> Option<Ended> {
        let slot = self.slots.lock().remove(key)?;
        slot.revoked.supersede(entry);
        Some(Ended(slot))
    }

    /// Takes the lease on `key` from whoever holds it, with all who wait, because `entry` is put.
    pub(crate) fn take_over(self: &Arc<Self>, key: &Key, entry: &Entry) -> Lease {
        let (lease, superseded) = {
            let mut slots = self.slots.lock();
            let mut superseded = slots.remove(key);
            let lease = self.open(&mut slots, key);
            if let (Some(old), Some(new)) = (&mut superseded, slots.get_mut(key)) {
                new.waiters = std::mem::take(&mut old.waiters);
            }
            (lease, superseded)
        };
        if let Some(slot) = superseded {
            slot.revoked.supersede(entry);
        }
        lease
    }

    /// Forgets every flight, because the threads that flew them do not exist in this process (after a fork).
    pub fn forget(&self) {
        // The slots are leaked with their waiters: waking those would run code of the parent's threads.
        std::mem::forget(std::mem::take(&mut *self.slots.lock()));
    }

    /// Returns how many flights are under way.
    pub fn len(&self) -> usize {
        self.slots.lock().len()
    }

    /// Says whether no flight is under way.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Gives the lease on `key` to the first waiter that is still there, or ends the flight.
    ///
    /// Nothing is sent with the slots locked: a message whose receiver goes away is dropped by its sender, and a
    /// dropped lease locks the slots itself.
    fn turn(self: &Arc<Self>, key: &Key, ended: FlightId) {
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let revoked = Arc::<Revocation>::default();
        let spare = match self.slots.lock().get_mut(key) {
            Some(slot) if slot.id == ended => {
                slot.id = id;
                slot.revoked = revoked.clone();
                slot.spare.take()
            }
            _ => return,
        };
        drop(spare);
        while let Some(waiter) = self.next_waiter(key, id) {
            let lease = Lease { flights: self.clone(), key: key.clone(), id, revoked: revoked.clone(), spare: None, lent: None, ended: false };
            match waiter.send(Settled::Turn(lease)) {
                Err(Settled::Turn(mut lease)) => lease.ended = true,
                _ => return,
            }
        }
    }

    fn next_waiter(&self, key: &Key, id: FlightId) -> Option<oneshot::Sender<Settled>> {
        let mut slots = self.slots.lock();
        let slot = slots.get_mut(key).filter(|slot| slot.id == id)?;
        let waiter = slot.waiters.pop_front();
        if waiter.is_none() {
            slots.remove(key);
        }
        waiter
    }
}

fn note_wait(key: &Key, lineage: &[FlightId], holder: FlightId) -> Result<()> {
    let mut waits = WAITS.lock();
    let waits = waits.get_or_insert_default();
    let (mut next, mut seen) = (vec![holder], HashSet::new());
    while let Some(id) = next.pop() {
        if lineage.contains(&id) {
            return Err(Error::new(Code::Conflict, format!("the loader of `{key}` waits for `{key}` itself")));
        }
        if seen.insert(id) {
            next.extend(waits.get(&id).into_iter().flatten());
        }
    }
    for id in lineage {
        waits.entry(*id).or_default().push(holder);
    }
    Ok(())
}

/// A flight that a put has ended.
pub(crate) struct Ended(Slot);

impl Ended {
    /// Gives all who waited `entry`.
    pub(crate) fn tell(self, entry: &Entry) {
        tell(self.0, entry);
    }
}

fn tell(slot: Slot, entry: &Entry) {
    for waiter in slot.waiters {
        let _gone = waiter.send(Settled::Entry(entry.clone()));
    }
}

/// The right, and duty, to end a flight with a value.
///
/// # Laws
/// Per key and process at most one is out (law 2). Dropping it hands it to the next waiter (law 3).
#[must_use = "a lease that is dropped goes to the next waiter"]
pub struct Lease {
    flights: Arc<Flights>,
    key: Key,
    id: FlightId,
    revoked: Arc<Revocation>,
    spare: Option<Entry>,
    /// The near copy that others are served while this lease is out.
    lent: Option<Held>,
    ended: bool,
}

impl Lease {
    /// Returns the key to produce.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// Names the flight, for callers inside the loader.
    pub fn flight(&self) -> FlightId {
        self.id
    }

    /// Returns the old entry, if one was found: a loader may take it, and it is served if the load fails.
    pub fn spare(&self) -> Option<&Entry> {
        self.spare.as_ref()
    }

    /// Says whether the lease was superseded by a delete or a put.
    pub fn is_revoked(&self) -> bool {
        self.revoked.is_revoked()
    }

    pub(crate) fn revocation(&self) -> Arc<Revocation> {
        self.revoked.clone()
    }

    pub(crate) fn set_spare(&mut self, entry: Entry) {
        let replaced = match self.flights.slots.lock().get_mut(&self.key) {
            Some(slot) if slot.id == self.id => slot.spare.replace(entry.clone()),
            _ => None,
        };
        drop(replaced);
        self.spare = Some(entry);
    }

    /// Has others served `held`, which is stale or due, without a question while the lease is out.
    pub(crate) fn lend(&mut self, held: Held, now: Millis) {
        held.lend(now);
        self.lent = Some(held);
    }

    /// Gives every waiter `entry` while the lease stays out.
    pub(crate) fn share(&self, entry: &Entry) {
        let waiters = match self.flights.slots.lock().get_mut(&self.key) {
            Some(slot) if slot.id == self.id => std::mem::take(&mut slot.waiters),
            _ => return,
        };
        for waiter in waiters {
            let _gone = waiter.send(Settled::Entry(entry.clone()));
        }
    }

    /// Ends the flight with `entry`.
    pub(crate) fn settle(mut self, entry: &Entry) {
        self.ended = true;
        let slot = {
            let mut slots = self.flights.slots.lock();
            match slots.get(&self.key) {
                Some(slot) if slot.id == self.id => slots.remove(&self.key),
                _ => None,
            }
        };
        if let Some(slot) = slot {
            tell(slot, entry);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(held) = &self.lent {
            held.take_back();
        }
        if !self.ended {
            self.flights.turn(&self.key, self.id);
        }
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").field("key", &self.key).field("flight", &self.id).field("revoked", &self.is_revoked()).finish()
    }
}
