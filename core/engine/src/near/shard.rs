//! One part of a near tier: what it holds, and who has to go.
//!
//! Eviction is a clock of used entries and a short queue of those that are to go, as in 2Q and CLOCK-Pro. What is new
//! waits in the short queue (`cold`, 2 % of the room) unless there is room; what was used there, or comes again soon
//! after it went (a ghost), joins the clock (`hot`); what the clock's hand finds unused falls back into the short queue.
//! Scans pass through the short queue and leave the clock alone.

use std::ptr::NonNull;

use super::{
    held::Held,
    node::Node,
    queue::{QUEUE, Queue},
    remains::Removed,
    table::Table,
};
use crate::time::Millis;

/// The share of the room that the clock takes, in per cent.
const HOT: u64 = 98;
/// Keys that share a stripe share a generation: a false match voids a promotion, which costs a read and harms nothing.
const STRIPES: usize = 32;

pub(super) struct Shard {
    /// How much the entries may weigh, and how many they may be.
    capacity: u64,
    most: usize,
    weigh: Weigh,
    cold: Queue,
    hot: Queue,
    ghosts: Ghosts,
    generations: [u64; STRIPES],
}

/// What an entry weighs.
#[derive(Clone, Copy)]
pub(super) enum Weigh {
    /// One.
    Entries,
    /// The bytes of key and value.
    Bytes,
}

impl Weigh {
    pub(super) fn weight(self, held: &Held) -> u64 {
        match self {
            Weigh::Entries => 1,
            Weigh::Bytes => held.key().len() as u64 + held.size(),
        }
    }
}

impl Shard {
    pub(super) fn new(capacity: u64, most: u64, weigh: Weigh) -> Self {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        Self { capacity, most, weigh, cold: Queue::new(0), hot: Queue::new(QUEUE), ghosts: Ghosts::default(), generations: [0; STRIPES] }
    }

    pub(super) fn len(&self) -> usize {
        self.cold.len() + self.hot.len()
    }

    pub(super) fn generation(&mut self, hash: u64) -> &mut u64 {
        &mut self.generations[(hash >> 40) as usize % STRIPES]
    }

    /// Voids every promotion under way.
    pub(super) fn move_on(&mut self) {
        for generation in &mut self.generations {
            *generation += 1;
        }
    }

    /// Holds `new` in place of what its key had. What has to go for it comes back in `removed`.
    ///
    /// # Safety
    /// `table` is this shard's, and its lock is held.
    pub(super) unsafe fn insert(&mut self, table: &Table, hash: u64, new: Held, now: Millis, removed: &mut Removed) {
        // SAFETY: the caller's promise, here and below.
        let known = unsafe { table.find(hash, new.key().as_bytes()) };
        let weight = self.weigh.weight(&new);
        if weight > self.capacity {
            if let Some(known) = known {
                // SAFETY: as above.
                removed.add(unsafe { self.take(table, known) });
            }
            removed.add(new);
            return;
        }
        if let Some(known) = known {
            // SAFETY: as above; the queue keeps `known` alive until it is in `removed`.
            unsafe { self.replace(table, hash, known, new, weight, removed) };
        } else {
            while self.weight() + weight > self.capacity || self.len() >= self.most {
                // SAFETY: as above.
                unsafe { self.evict(table, now, removed) };
            }
            let pointer = new.pointer();
            if self.ghosts.take(new.hash()) {
                self.warm(new, weight);
            } else if self.ghosts.is_empty() && self.hot_has_room(weight, 1) {
                self.hot.push(new, weight);
            } else {
                self.cold.push(new, weight);
            }
            // SAFETY: as above; the queue keeps the node alive.
            removed.table(unsafe { table.insert(hash, pointer, self.most) });
        }
        while self.weight() > self.capacity {
            // SAFETY: as above.
            unsafe { self.evict(table, now, removed) };
        }
    }

    unsafe fn replace(&mut self, table: &Table, hash: u64, known: NonNull<Node>, new: Held, weight: u64, removed: &mut Removed) {
        // SAFETY: the caller's promise.
        unsafe { table.replace(hash, known, new.pointer()) };
        let old = borrowed(known);
        new.set_uses(old.uses());
        let before = self.weigh.weight(&old);
        let queue = self.queue_of(&old);
        queue.weight = queue.weight + weight - before;
        removed.add(queue.replace(&old, new));
    }

    /// Takes an entry out.
    ///
    /// # Safety
    /// `table` is this shard's, its lock is held, and `known` is in it.
    pub(super) unsafe fn take(&mut self, table: &Table, known: NonNull<Node>) -> Held {
        // SAFETY: the caller's promise.
        unsafe { table.remove(known) };
        let old = borrowed(known);
        let weight = self.weigh.weight(&old);
        self.queue_of(&old).take(&old, weight)
    }

    /// Returns some entries: `most` slots from `from` on; `None` behind the last.
    pub(super) fn some(&self, from: usize, most: usize) -> Option<impl Iterator<Item = &Held>> {
        let hot = self.hot.slots();
        if from >= hot + self.cold.slots() {
            return None;
        }
        let (in_hot, in_cold) = (from.min(hot), from.saturating_sub(hot));
        let left = most.saturating_sub(hot - in_hot);
        Some(self.hot.some(in_hot, most).chain(self.cold.some(in_cold, left)))
    }

    fn queue_of(&mut self, held: &Held) -> &mut Queue {
        if held.place() & QUEUE == 0 { &mut self.cold } else { &mut self.hot }
    }

    fn weight(&self) -> u64 {
        self.cold.weight + self.hot.weight
    }

    /// Says whether so many more, which weigh so much, still fit into the clock.
    fn hot_has_room(&self, weight: u64, more: usize) -> bool {
        // Divided first: a limit may be the largest number there is.
        let share = |limit: u64| limit / 100 * HOT + limit % 100 * HOT / 100;
        self.hot.weight + weight <= share(self.capacity) && (self.hot.len() + more) as u64 <= share(self.most as u64)
    }

    /// Adds an entry to the clock; what the hand finds unused makes room.
    fn warm(&mut self, held: Held, weight: u64) {
        self.hot.push(held, weight);
        while !self.hot_has_room(0, 0) && self.turn() {}
    }

    /// Moves the hand on by one: a used entry stays, an unused one falls into the short queue.
    fn turn(&mut self) -> bool {
        let weigh = self.weigh;
        let Some(held) = self.hot.pop(|held| weigh.weight(held)) else { return false };
        let weight = weigh.weight(&held);
        match held.uses() {
            0 => self.cold.push(held, weight),
            uses => {
                held.set_uses(uses - 1);
                self.hot.push(held, weight);
            }
        }
        true
    }

    /// Takes one step towards room for more.
    unsafe fn evict(&mut self, table: &Table, now: Millis, removed: &mut Removed) {
        let weigh = self.weigh;
        let Some(held) = self.cold.pop(|held| weigh.weight(held)) else {
            self.turn();
            return;
        };
        let is_gone = !held.is_servable(now);
        if !is_gone && held.uses() > 0 {
            held.set_uses(held.uses() - 1);
            let weight = weigh.weight(&held);
            self.warm(held, weight);
            return;
        }
        // SAFETY: the caller's promise; it left its queue a moment ago and is still in the table.
        unsafe { table.remove(held.pointer()) };
        if !is_gone {
            let len = self.len() + 1;
            self.ghosts.add(held.hash(), len);
        }
        removed.add(held);
    }
}

/// Looks at a node as at an entry, without a count of its own.
pub(super) fn borrowed(node: NonNull<Node>) -> std::mem::ManuallyDrop<Held> {
    std::mem::ManuallyDrop::new(Held::of(node))
}

/// Which keys went lately: about as many as there are entries.
///
/// Each mark is a part of the hash and the age in which the key went, at a place that the hash says: a newer one takes the
/// place of an older. What went too long ago does not count, and that is a sharp end: in a loop that is longer than the
/// cache, one that fades out lets in so many that none stay.
#[derive(Default)]
struct Ghosts {
    marks: Vec<u32>,
    age: u16,
    /// How many have gone in this age.
    gone: usize,
    /// How many have gone since there is room for so many marks.
    since: usize,
}

/// How many ages a ghost lasts.
const AGES: u16 = 64;
/// How many places there are for each ghost, and for all of them at first.
const PLACES: usize = 2;
const FIRST_PLACES: usize = 512;

impl Ghosts {
    fn is_empty(&self) -> bool {
        self.marks.is_empty()
    }

    fn at(&self, hash: u32) -> usize {
        hash as usize % self.marks.len()
    }

    /// Remembers a key that went from among so many entries.
    fn add(&mut self, hash: u32, entries: usize) {
        // A cache that hardly evicts needs no room for ghosts.
        if self.since >= self.marks.len() && self.marks.len() < entries * PLACES {
            let places = (self.marks.len() * 4).clamp(FIRST_PLACES, entries.max(FIRST_PLACES) * PLACES);
            // An empty mark is older than any that counts.
            *self = Self { marks: vec![0; places], age: AGES, gone: 0, since: 0 };
        }
        self.since += 1;
        self.gone += 1;
        if self.gone > entries / usize::from(AGES) {
            (self.age, self.gone) = (self.age.wrapping_add(1), 0);
        }
        let at = self.at(hash);
        self.marks[at] = (hash & 0xffff_0000) | u32::from(self.age);
    }

    /// Forgets a key, and says whether it went lately.
    fn take(&mut self, hash: u32) -> bool {
        if self.is_empty() {
            return false;
        }
        let at = self.at(hash);
        let mark = self.marks[at];
        let known = mark >> 16 == hash >> 16 && self.age.wrapping_sub(mark as u16) < AGES;
        if known {
            self.marks[at] = 0;
        }
        known
    }
}
