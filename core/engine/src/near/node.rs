//! What the near tier holds under a key: one allocation for the value, its deadlines and the key.
//!
//! A million entries are a million of these, so the layout counts: 32 bytes that every hit needs, the key right behind
//! them, so that mostly one line of the processor's cache has it all, and behind that 24 bytes for the rest. Lives that do
//! not fit into 32 bits of milliseconds (49 days), and sizes where they are known, come last.

use std::{
    alloc::{Layout, alloc, dealloc, handle_alloc_error},
    mem,
    ptr::{self, NonNull},
    sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering},
};

use super::held::Term;
use crate::{
    entry::Life,
    time::{FOREVER, Millis},
    value::Value,
};

#[repr(C)]
pub(super) struct Node {
    pub(super) refs: AtomicU32,
    /// The low half of the key's hash.
    pub(super) hash: u32,
    /// Where it stands in its queue; the queue itself is the highest bit. Only the shard's lock holder touches it.
    pub(super) place: AtomicU32,
    /// The length of the key, and above [`KEY_LENGTH`] what stands behind the [`Cold`].
    key: u16,
    /// How often it was used lately, up to [`MOST_USES`].
    pub(super) uses: AtomicU8,
    /// When it was lent because a caller refreshes it, in [`TERM`]s and above zero: the others are served meanwhile.
    lent: AtomicU8,
    /// Until when it may be returned without another thought, on the monotonic clock.
    pub(super) plain_until: AtomicU64,
    /// A [`Raw`], or, with the lowest bit set, a `Box<Value>`.
    object: *mut (),
}

/// What a hit does not need.
#[repr(C)]
struct Cold {
    created_at: Millis,
    /// The monotonic clock less the wall clock, at the time it came.
    offset: i64,
    fresh_for: u32,
    kept_for: u32,
}

const KEY_LENGTH: u16 = 0x0fff;
const IS_LONG: u16 = 0x8000;
const IS_SIZED: u16 = 0x4000;
pub(super) const BOXED: usize = 1;
const ENDLESS: u32 = u32::MAX;
const MOST_USES: u8 = 3;
/// How long a loan lasts at least, as a power of two, in milliseconds. Then somebody asks whether the refresh is still under
/// way: who does it may be gone, with its event loop or in a fork.
const TERM: u32 = 10;

/// Numbers the terms, over and over again, from 1 on.
#[inline]
fn term(now: Millis) -> u8 {
    ((now >> TERM) % 255) as u8 + 1
}

impl Node {
    #[cfg(test)]
    pub(super) const SIZES: (usize, usize) = (mem::size_of::<Node>(), mem::size_of::<Cold>());

    /// Makes one, with one reference.
    pub(super) fn make(key: &str, hash: u64, object: *mut (), size: u64, term: Term) -> NonNull<Self> {
        let Term { life, wall, now, refresh_at } = term;
        let offset = now as i64 - wall as i64;
        let due = refresh_at.min(life.fresh_until);
        let plain_until = match due {
            FOREVER => FOREVER,
            // Over already: zero, so that a coarse clock that lags sees it too.
            due if due <= wall => 0,
            due => due.saturating_add_signed(offset),
        };
        let (mut flags, (fresh_for, kept_for)) = match short(&life) {
            Some(short) => (0, short),
            None => (IS_LONG, (0, 0)),
        };
        if size > 0 {
            flags |= IS_SIZED;
        }
        let flagged = u16::try_from(key.len()).expect("a key has at most 1024 bytes") | flags;
        let node = Node {
            refs: AtomicU32::new(1),
            hash: hash as u32,
            place: AtomicU32::new(0),
            key: flagged,
            uses: AtomicU8::new(0),
            lent: AtomicU8::new(0),
            plain_until: AtomicU64::new(plain_until),
            object,
        };
        let cold = Cold { created_at: life.created_at, offset, fresh_for, kept_for };
        let layout = layout(flagged);
        // SAFETY: the layout is not empty, and has room for the node, the key and what the flags say stands behind it.
        unsafe {
            let memory = NonNull::new(alloc(layout).cast::<Node>()).unwrap_or_else(|| handle_alloc_error(layout));
            memory.write(node);
            ptr::copy_nonoverlapping(key.as_ptr(), memory.add(1).cast::<u8>().as_ptr(), key.len());
            let behind = memory.byte_add(cold_at(flagged)).cast::<Cold>();
            behind.write(cold);
            let mut tail = behind.add(1).cast::<u64>();
            if flags & IS_LONG != 0 {
                tail.write(life.fresh_until);
                tail.add(1).write(life.stale_until);
                tail = tail.add(2);
            }
            if flags & IS_SIZED != 0 {
                tail.write(size);
            }
            memory
        }
    }

    /// Frees one, and returns the object.
    ///
    /// # Safety
    /// Nobody has a reference to it.
    pub(super) unsafe fn free(node: NonNull<Self>) -> *mut () {
        // SAFETY: the caller's promise; it was made with this layout.
        unsafe {
            let (layout, object) = (layout(node.as_ref().key), node.as_ref().object);
            dealloc(node.as_ptr().cast(), layout);
            object
        }
    }

    #[inline]
    pub(super) fn key(&self) -> &str {
        // SAFETY: the key was copied from a `str` to behind the node when it was made.
        unsafe {
            let start = ptr::from_ref(self).add(1).cast::<u8>();
            std::str::from_utf8_unchecked(std::slice::from_raw_parts(start, usize::from(self.key & KEY_LENGTH)))
        }
    }

    /// Returns about how many bytes of memory the host's object takes; 0 when it is not known.
    pub(super) fn size(&self) -> u64 {
        if self.key & IS_SIZED != 0 { self.tail(if self.key & IS_LONG != 0 { 2 } else { 0 }) } else { 0 }
    }

    pub(super) fn created_at(&self) -> Millis {
        self.cold().created_at
    }

    pub(super) fn lend(&self, now: Millis) {
        self.lent.store(term(now), Ordering::Relaxed);
    }

    pub(super) fn take_back(&self) {
        self.lent.store(0, Ordering::Relaxed);
    }

    #[inline]
    fn cold(&self) -> &Cold {
        // SAFETY: it was written there when the node was made.
        unsafe { &*ptr::from_ref(self).byte_add(cold_at(self.key)).cast::<Cold>() }
    }

    fn tail(&self, at: usize) -> u64 {
        // SAFETY: who calls has read in the flags that so many words stand behind the rest.
        unsafe { ptr::from_ref(self.cold()).add(1).cast::<u64>().add(at).read() }
    }

    #[inline]
    pub(super) fn is_plain(&self, now: Millis) -> bool {
        now < self.plain_until.load(Ordering::Relaxed)
    }

    /// Says whether it can be served because another caller is refreshing it, to a reader with this window, and if so
    /// whether it is fresh.
    #[inline]
    pub(super) fn lent(&self, now: Millis, window: Millis) -> Option<bool> {
        let lent = self.lent.load(Ordering::Relaxed);
        if lent == 0 || (lent != term(now) && lent != term(now.saturating_sub(1 << TERM))) {
            return None;
        }
        let fresh_at = self.fresh_at();
        if now < fresh_at {
            return Some(true);
        }
        (now < fresh_at.saturating_add(window) && now < self.on_monotonic(self.stale_until())).then_some(false)
    }

    #[inline]
    pub(super) fn fresh_at(&self) -> Millis {
        self.on_monotonic(self.fresh_until())
    }

    /// Takes note of a use: a load, and at most one store, that readers without a lock may lose to one another.
    #[inline]
    pub(super) fn mark(&self) {
        let uses = self.uses.load(Ordering::Relaxed);
        if uses < MOST_USES {
            self.uses.store(uses + 1, Ordering::Relaxed);
        }
    }

    #[inline]
    pub(super) fn raw(&self) -> Option<NonNull<()>> {
        if self.object.addr() & BOXED == 0 { NonNull::new(self.object) } else { None }
    }

    #[inline]
    pub(super) fn boxed(&self) -> Option<&Value> {
        let value = self.object.map_addr(|address| address & !BOXED).cast::<Value>();
        // SAFETY: the bit says that it came from a box, which the node owns.
        if self.object.addr() & BOXED == 0 { None } else { Some(unsafe { &*value }) }
    }

    #[inline]
    pub(super) fn fresh_until(&self) -> Millis {
        match self.cold().fresh_for {
            _ if self.key & IS_LONG != 0 => self.tail(0),
            ENDLESS => FOREVER,
            millis => self.cold().created_at + Millis::from(millis),
        }
    }

    #[inline]
    pub(super) fn stale_until(&self) -> Millis {
        match self.cold().kept_for {
            _ if self.key & IS_LONG != 0 => self.tail(1),
            ENDLESS => FOREVER,
            millis => self.fresh_until() + Millis::from(millis),
        }
    }

    #[inline]
    pub(super) fn on_monotonic(&self, wall: Millis) -> Millis {
        if wall == FOREVER { FOREVER } else { wall.saturating_add_signed(self.cold().offset) }
    }
}

/// Returns the spans of a life, if they fit.
fn short(life: &Life) -> Option<(u32, u32)> {
    let span = |from: Millis, to: Millis| u32::try_from(to.checked_sub(from)?).ok().filter(|millis| *millis != ENDLESS);
    Some(match (life.fresh_until, life.stale_until) {
        (FOREVER, FOREVER) => (ENDLESS, ENDLESS),
        (fresh, FOREVER) => (span(life.created_at, fresh)?, ENDLESS),
        (fresh, stale) => (span(life.created_at, fresh)?, span(fresh, stale)?),
    })
}

/// Returns where the [`Cold`] stands.
#[inline]
fn cold_at(flagged: u16) -> usize {
    mem::size_of::<Node>() + usize::from(flagged & KEY_LENGTH).next_multiple_of(mem::align_of::<Cold>())
}

fn layout(flagged: u16) -> Layout {
    let words = 2 * usize::from(flagged & IS_LONG != 0) + usize::from(flagged & IS_SIZED != 0);
    let size = cold_at(flagged) + mem::size_of::<Cold>() + words * mem::size_of::<u64>();
    Layout::from_size_align(size, mem::align_of::<Node>()).expect("a key has at most 1024 bytes")
}
