//! A hash table that one writer at a time changes and that may be read meanwhile without a lock.
//!
//! Open addressing with linear probing; a removed entry is filled from behind. A reader without the lock may miss what
//! a writer is just moving, and asks again with it; what it finds is always a whole entry, because a bucket is one
//! pointer and nothing is freed while somebody may look (see [`super::Remains`]).

use std::{
    ptr::{self, NonNull},
    sync::{
        Arc,
        atomic::{AtomicPtr, AtomicU32, Ordering},
    },
};

use super::node::Node;

pub(super) struct Table {
    current: AtomicPtr<Buckets>,
    changes: Arc<Changes>,
}

/// How often an entry has left its table, counted apart for parts of the hashes. As long as an entry's count stands still,
/// the entry is where it was.
pub(super) struct Changes(Box<[AtomicU32]>);

impl Changes {
    /// Makes counts for tables of so many entries in all.
    pub(super) fn new(entries: u64) -> Arc<Self> {
        let len = entries.clamp(16, 1024).next_power_of_two();
        Arc::new(Self((0..len).map(|_| AtomicU32::new(0)).collect()))
    }

    #[inline]
    pub(super) fn of(&self, hash: u32) -> &AtomicU32 {
        &self.0[hash as usize & (self.0.len() - 1)]
    }
}

/// Some bits of each hash stand in the upper bits of the pointer, which user space does not use: most entries that are
/// not the right one are passed by without a look at them.
pub(super) struct Buckets {
    slots: Box<[AtomicPtr<Node>]>,
    used: usize,
}

#[cfg(target_pointer_width = "64")]
const ADDRESS: usize = (1 << 48) - 1;
#[cfg(not(target_pointer_width = "64"))]
const ADDRESS: usize = usize::MAX;

/// Tables of fewer buckets than this are at most two fifths full, so that mostly the first look is the right one: there, a
/// processor that guessed wrong loses more time than memory counts.
const ROOMY: usize = 1 << 16;

/// Returns how many of so many buckets may be used.
fn most_used(len: usize) -> usize {
    if len < ROOMY { len / 5 * 2 } else { len / 5 * 4 }
}

/// Returns how many buckets come after so many, in a table that will never hold more than `most` entries.
fn grown(len: usize, most: usize) -> usize {
    if len * 4 < ROOMY {
        return len * 4;
    }
    let enough = (most / 4 + 2).saturating_mul(5);
    (len + len / 2).min(enough).max(ROOMY).max(len + 1)
}

#[inline]
fn tag(hash: u64) -> usize {
    hash as usize & !ADDRESS
}

#[inline]
fn untagged(tagged: *mut Node) -> *mut Node {
    tagged.map_addr(|address| address & ADDRESS)
}

/// Compares short texts without a call: most keys are.
#[inline]
fn same(a: &[u8], b: &[u8]) -> bool {
    let len = a.len();
    if len != b.len() {
        return false;
    }
    match len {
        4..8 => part::<4>(a, b, 0) && part::<4>(a, b, len - 4),
        8..=16 => part::<8>(a, b, 0) && part::<8>(a, b, len - 8),
        _ => a == b,
    }
}

/// Compares `N` bytes. Those at the end may be among those at the start.
#[inline]
fn part<const N: usize>(a: &[u8], b: &[u8], at: usize) -> bool {
    a[at..at + N] == b[at..at + N]
}

impl Buckets {
    fn new(len: usize) -> Box<Self> {
        Box::new(Self { slots: (0..len).map(|_| AtomicPtr::new(ptr::null_mut())).collect(), used: 0 })
    }

    #[inline]
    fn home(&self, hash: u32) -> usize {
        ((u64::from(hash) * self.slots.len() as u64) >> 32) as usize
    }

    #[inline]
    fn next(&self, at: usize) -> usize {
        if at + 1 == self.slots.len() { 0 } else { at + 1 }
    }

    #[inline]
    fn find(&self, hash: u64, key: &[u8]) -> Option<(usize, NonNull<Node>)> {
        let mut at = self.home(hash as u32);
        for _ in 0..self.slots.len() {
            let tagged = self.slots[at].load(Ordering::Acquire);
            let node = NonNull::new(untagged(tagged))?;
            // SAFETY: what a bucket points to is alive: the caller holds the lock, or nothing is freed meanwhile.
            if tagged.addr() & !ADDRESS == tag(hash) && same(unsafe { node.as_ref() }.key().as_bytes(), key) {
                return Some((at, node));
            }
            at = self.next(at);
        }
        None
    }

    fn place(&mut self, tagged: *mut Node) {
        // SAFETY: as above.
        let mut at = self.home(unsafe { (*untagged(tagged)).hash });
        while !self.slots[at].load(Ordering::Relaxed).is_null() {
            at = self.next(at);
        }
        self.slots[at].store(tagged, Ordering::Release);
        self.used += 1;
    }
}

impl Table {
    pub(super) fn new(changes: Arc<Changes>) -> Self {
        Self { current: AtomicPtr::new(Box::into_raw(Buckets::new(10))), changes }
    }

    /// Finds an entry.
    ///
    /// # Safety
    /// The caller holds the shard's lock, or nothing that was removed is freed before it is done with the answer.
    #[inline]
    pub(super) unsafe fn find(&self, hash: u64, key: &[u8]) -> Option<NonNull<Node>> {
        // SAFETY: the buckets are alive for the same reason.
        unsafe { &*self.current.load(Ordering::Acquire) }.find(hash, key).map(|(_, node)| node)
    }

    /// Returns the buckets.
    ///
    /// # Safety
    /// The caller holds the shard's lock, and lets go of what it got before it asks again.
    #[expect(clippy::mut_from_ref, reason = "the lock makes it the only writer; readers read atomics")]
    unsafe fn buckets(&self) -> &mut Buckets {
        // SAFETY: the pointer came from a box and is replaced only by the lock's holder.
        unsafe { &mut *self.current.load(Ordering::Relaxed) }
    }

    /// Adds an entry whose key is not there, and returns the buckets that became too small, if they did. The table will
    /// never hold more than `most` entries.
    ///
    /// # Safety
    /// The caller holds the shard's lock, and keeps the node alive until it is removed and nobody can be looking.
    pub(super) unsafe fn insert(&self, hash: u64, node: NonNull<Node>, most: usize) -> Option<Box<Buckets>> {
        // SAFETY: the lock is held.
        let buckets = unsafe { self.buckets() };
        let tagged = node.as_ptr().map_addr(|address| address | tag(hash));
        let len = buckets.slots.len();
        if buckets.used < most_used(len) {
            buckets.place(tagged);
            return None;
        }
        let mut larger = Buckets::new(grown(len, most));
        for slot in &*buckets.slots {
            let known = slot.load(Ordering::Relaxed);
            if !known.is_null() {
                larger.place(known);
            }
        }
        larger.place(tagged);
        let outgrown = self.current.swap(Box::into_raw(larger), Ordering::AcqRel);
        // SAFETY: it came from a box, and no reader who comes now sees it.
        Some(unsafe { Box::from_raw(outgrown) })
    }

    /// Puts one entry in the place of another with the same key.
    ///
    /// # Safety
    /// As [`Table::insert`]; `old` is in the table.
    pub(super) unsafe fn replace(&self, hash: u64, old: NonNull<Node>, new: NonNull<Node>) {
        // SAFETY: the lock is held, and with it both nodes are alive.
        unsafe {
            let buckets = self.buckets();
            let (at, _) = buckets.find(hash, old.as_ref().key().as_bytes()).expect("what is replaced is there");
            buckets.slots[at].store(new.as_ptr().map_addr(|address| address | tag(hash)), Ordering::Release);
            self.changes.of(hash as u32).fetch_add(1, Ordering::Release);
        }
    }

    /// Removes an entry.
    ///
    /// # Safety
    /// The caller holds the shard's lock; `node` is in the table.
    pub(super) unsafe fn remove(&self, node: NonNull<Node>) {
        // SAFETY: the lock is held, and everything in the table is alive.
        unsafe {
            let buckets = self.buckets();
            let mut hole = buckets.home(node.as_ref().hash);
            while untagged(buckets.slots[hole].load(Ordering::Relaxed)) != node.as_ptr() {
                hole = buckets.next(hole);
            }
            let len = buckets.slots.len();
            let mut at = buckets.next(hole);
            loop {
                let tagged = buckets.slots[at].load(Ordering::Relaxed);
                if tagged.is_null() {
                    break;
                }
                // Whoever lies at or before the hole from home moves up into it.
                let home = buckets.home((*untagged(tagged)).hash);
                if (at + len - home) % len >= (at + len - hole) % len {
                    buckets.slots[hole].store(tagged, Ordering::Release);
                    hole = at;
                }
                at = buckets.next(at);
            }
            buckets.slots[hole].store(ptr::null_mut(), Ordering::Release);
            buckets.used -= 1;
            self.changes.of(node.as_ref().hash).fetch_add(1, Ordering::Release);
        }
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        // SAFETY: it came from a box; the entries belong to the queues.
        drop(unsafe { Box::from_raw(*self.current.get_mut()) });
    }
}
