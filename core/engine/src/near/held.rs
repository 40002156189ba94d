//! What the near tier holds under a key: one allocation for the value, its deadlines and the key.
//!
//! A million entries are a million of these, so the layout counts: 32 bytes that every hit needs, the key right behind
//! them, so that mostly one line of the processor's cache has it all, and behind that 24 bytes for the rest. Lives that do
//! not fit into 32 bits of milliseconds (49 days), and sizes where they are known, come last.

use std::{
    alloc::{Layout, alloc, dealloc, handle_alloc_error},
    fmt, mem,
    ptr::{self, NonNull},
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering, fence},
    },
};

use crate::{
    entry::Life,
    env::Clock,
    time::{FOREVER, Millis},
    value::{Object, Raw, Value},
};

/// An entry of a near tier. Cheap to clone; clones are the same entry.
pub struct Held(NonNull<Node>);

#[repr(C)]
pub(super) struct Node {
    refs: AtomicU32,
    /// The low half of the key's hash.
    pub(super) hash: u32,
    /// Where it stands in its queue; the queue itself is the highest bit. Only the shard's lock holder touches it.
    pub(super) place: AtomicU32,
    /// The length of the key, and above [`KEY_LENGTH`] what stands behind the [`Cold`].
    key: u16,
    /// How often it was used lately, up to [`MOST_USES`].
    uses: AtomicU8,
    /// When it was lent because a caller refreshes it, in [`TERM`]s and above zero: the others are served meanwhile.
    lent: AtomicU8,
    /// Until when it may be returned without another thought, on the monotonic clock.
    plain_until: AtomicU64,
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
const BOXED: usize = 1;
const ENDLESS: u32 = u32::MAX;
const MOST_USES: u8 = 3;
/// How long a loan lasts at least, as a power of two, in milliseconds. Then somebody asks whether the refresh is still under
/// way: who does it may be gone, with its event loop or in a fork.
const TERM: u32 = 10;

// SAFETY: everything inside is either immutable, atomic, or `Send + Sync` itself (`Raw`, `Value`).
unsafe impl Send for Held {}
// SAFETY: as above.
unsafe impl Sync for Held {}

/// How long an entry lives, and when it came.
#[derive(Clone, Copy)]
pub(crate) struct Term {
    pub(crate) life: Life,
    /// When it came, on both clocks.
    pub(crate) wall: Millis,
    pub(crate) now: Millis,
    /// When a refresh is due, on the wall clock.
    pub(crate) refresh_at: Millis,
}

/// A value as memory keeps it.
pub(super) enum Kept {
    /// The host's object alone, of about so many bytes (0: not known).
    Raw(Raw, u64),
    /// Everything else.
    Value(Box<Value>),
}

impl Kept {
    /// Keeps the host's own object where there is one, else the bytes.
    pub(super) fn of(value: &Value) -> Self {
        match value.object().map(|live| (live, live.raw())) {
            Some((_, Some(raw))) => Kept::Raw(raw, value.size()),
            Some((live, None)) => Kept::Value(Box::new(Value::live(live.clone(), value.size()))),
            None => Kept::Value(Box::new(value.clone())),
        }
    }
}

impl Held {
    pub(super) fn new(key: &str, hash: u64, kept: Kept, term: Term) -> Self {
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
        let (object, size) = match kept {
            Kept::Raw(raw, size) => (raw.into_pointer().as_ptr(), size),
            Kept::Value(value) => (Box::into_raw(value).cast::<()>().map_addr(|address| address | BOXED), 0),
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
            Self(memory)
        }
    }

    /// Takes over a count of `node`.
    pub(super) fn of(node: NonNull<Node>) -> Self {
        Self(node)
    }

    /// Makes a handle of a node that is alive.
    pub(super) fn share(node: NonNull<Node>) -> Self {
        let borrowed = mem::ManuallyDrop::new(Self(node));
        Self::clone(&borrowed)
    }

    /// Returns the low half of the key's hash.
    pub(super) fn hash(&self) -> u32 {
        self.node().hash
    }

    fn node(&self) -> &Node {
        // SAFETY: a handle keeps its node alive.
        unsafe { self.0.as_ref() }
    }

    pub(super) fn pointer(&self) -> NonNull<Node> {
        self.0
    }

    pub(super) fn place(&self) -> u32 {
        self.node().place.load(Ordering::Relaxed)
    }

    pub(super) fn set_place(&self, place: u32) {
        self.node().place.store(place, Ordering::Relaxed);
    }

    /// Returns how often it was used lately.
    pub(super) fn uses(&self) -> u8 {
        self.node().uses.load(Ordering::Relaxed)
    }

    pub(super) fn set_uses(&self, uses: u8) {
        self.node().uses.store(uses, Ordering::Relaxed);
    }

    /// Returns the key.
    pub fn key(&self) -> &str {
        self.node().key()
    }

    /// Says whether the value is fresh and no refresh is due: it can be returned without another thought.
    pub fn is_plain(&self, now: Millis) -> bool {
        self.node().is_plain(now)
    }

    /// Says whether the value is fresh.
    pub fn is_fresh(&self, now: Millis) -> bool {
        now < self.node().fresh_at()
    }

    /// Says whether the value may be served at all.
    pub fn is_servable(&self, now: Millis) -> bool {
        now < self.gone_at()
    }

    /// Returns when the value must not be served any more, on the monotonic clock.
    pub fn gone_at(&self) -> Millis {
        self.node().on_monotonic(self.node().stale_until())
    }

    /// Returns the deadlines that travel with the entry.
    pub fn life(&self) -> Life {
        let node = self.node();
        Life { created_at: node.cold().created_at, fresh_until: node.fresh_until(), stale_until: node.stale_until() }
    }

    /// Returns the remaining life as deadlines on the wall clock of this moment.
    ///
    /// A step of the wall clock since the entry came does not lengthen what remains.
    pub fn life_now(&self, clock: &dyn Clock) -> Life {
        self.life_on(clock.wall(), clock.monotonic())
    }

    /// Returns when a refresh is due, on the wall clock.
    pub(super) fn refresh_on(&self, wall: Millis, now: Millis) -> Millis {
        match self.node().plain_until.load(Ordering::Relaxed) {
            0 => 0,
            FOREVER => FOREVER,
            at => wall.saturating_add_signed(at as i64 - now as i64),
        }
    }

    pub(super) fn life_on(&self, wall: Millis, now: Millis) -> Life {
        let on_wall = |stated: Millis| match stated {
            FOREVER => FOREVER,
            _ => match self.node().on_monotonic(stated) {
                at if at > now => wall.saturating_add(at - now),
                // Already over: as stated, unless the wall clock was set back behind it.
                _ => stated.min(wall),
            },
        };
        let life = self.life();
        let marked = life.fresh_until <= life.created_at;
        Life {
            created_at: life.created_at,
            fresh_until: if marked { life.fresh_until } else { on_wall(life.fresh_until) },
            stale_until: on_wall(life.stale_until),
        }
    }

    /// Returns the value. Where memory keeps the host's object alone, the entry itself stands for it.
    pub fn value(&self) -> Value {
        match self.node().boxed() {
            Some(value) => value.clone(),
            None => Value::live(Arc::new(self.clone()), self.size()),
        }
    }

    /// Says whether the host's own object is kept, and not its bytes.
    pub fn has_object(&self) -> bool {
        self.node().boxed().is_none_or(|value| value.object().is_some())
    }

    /// Returns about how many bytes of memory the value takes; 0 when it is not known.
    pub fn size(&self) -> u64 {
        let node = self.node();
        match node.boxed() {
            Some(value) => value.size(),
            None if node.key & IS_SIZED != 0 => node.tail(if node.key & IS_LONG != 0 { 2 } else { 0 }),
            None => 0,
        }
    }

    /// Returns the pointer to the host's object, where memory keeps that alone.
    pub fn raw(&self) -> Option<NonNull<()>> {
        self.node().raw()
    }

    /// Lets callers be served while one of them, who holds the lease, refreshes the value.
    pub(crate) fn lend(&self, now: Millis) {
        self.node().lent.store(term(now), Ordering::Relaxed);
    }

    /// Ends the loan.
    pub(crate) fn take_back(&self) {
        self.node().lent.store(0, Ordering::Relaxed);
    }
}

/// Numbers the terms, over and over again, from 1 on.
#[inline]
fn term(now: Millis) -> u8 {
    ((now >> TERM) % 255) as u8 + 1
}

impl Node {
    #[inline]
    pub(super) fn key(&self) -> &str {
        // SAFETY: the key was copied from a `str` to behind the node when it was made.
        unsafe {
            let start = ptr::from_ref(self).add(1).cast::<u8>();
            std::str::from_utf8_unchecked(std::slice::from_raw_parts(start, usize::from(self.key & KEY_LENGTH)))
        }
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
    fn fresh_until(&self) -> Millis {
        match self.cold().fresh_for {
            _ if self.key & IS_LONG != 0 => self.tail(0),
            ENDLESS => FOREVER,
            millis => self.cold().created_at + Millis::from(millis),
        }
    }

    #[inline]
    fn stale_until(&self) -> Millis {
        match self.cold().kept_for {
            _ if self.key & IS_LONG != 0 => self.tail(1),
            ENDLESS => FOREVER,
            millis => self.fresh_until() + Millis::from(millis),
        }
    }

    #[inline]
    fn on_monotonic(&self, wall: Millis) -> Millis {
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

impl Clone for Held {
    fn clone(&self) -> Self {
        // As `Arc` does: no other access depends on the order, and a count that wraps round would free what is in use.
        if self.node().refs.fetch_add(1, Ordering::Relaxed) > u32::MAX / 2 {
            std::process::abort();
        }
        Self(self.0)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let node = self.node();
        if node.refs.fetch_sub(1, Ordering::Release) != 1 {
            return;
        }
        fence(Ordering::Acquire);
        let (layout, object) = (layout(node.key), node.object);
        // SAFETY: this was the last handle; the object is what `Held::new` took apart, and nobody looks at it again.
        unsafe {
            dealloc(self.0.as_ptr().cast(), layout);
            if object.addr() & BOXED == 0 {
                drop(Raw::from_pointer(NonNull::new_unchecked(object)));
            } else {
                drop(Box::from_raw(object.map_addr(|address| address & !BOXED).cast::<Value>()));
            }
        }
    }
}

/// An entry can stand for the object in it, so that reading needs no word with the host.
impl Object for Held {}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").field("key", &self.key()).field("life", &self.life()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(life: Life, wall: Millis, now: Millis) -> Held {
        let kept = Kept::of(&Value::bytes(crate::value::Codec::RAW, "value"));
        Held::new("user:4217", 7, kept, Term { life, wall, now, refresh_at: FOREVER })
    }

    #[test]
    fn every_life_comes_back_as_it_was_given() {
        let day = 86_400_000;
        for (created_at, fresh_until, stale_until) in [
            (0, 0, 0),
            (5, FOREVER, FOREVER),
            (1_000, 61_000, 61_000),
            (1_000, 61_000, FOREVER),
            (1_000, 500, 61_000),
            (1_000, 1_000 + 400 * day, 1_000 + 500 * day),
            (1_000, 1_000 + u64::from(u32::MAX), 1_000 + u64::from(u32::MAX)),
            (0, 1_767_225_600_000, 1_767_225_600_001),
        ] {
            let life = Life { created_at, fresh_until, stale_until };

            assert_eq!(held(life, 2_000, 50).life(), life);
        }
    }

    #[test]
    fn deadlines_are_on_the_monotonic_clock() {
        let held = held(Life { created_at: 900, fresh_until: 1_060, stale_until: 1_100 }, 1_000, 50);

        assert!(held.is_plain(109) && !held.is_plain(110));
        assert!(held.is_fresh(109) && !held.is_fresh(110));
        assert!(held.is_servable(149) && !held.is_servable(150));
    }

    #[test]
    fn a_loan_ends_when_nobody_renews_it() {
        let held = held(Life { created_at: 900, fresh_until: 1_000, stale_until: FOREVER }, 1_000, 50_000);
        let lent = |now| held.node().lent(now, FOREVER);

        assert_eq!(lent(50_000), None);
        held.lend(50_000);
        assert_eq!(lent(50_000), Some(false));
        assert_eq!(lent(50_900), Some(false));
        assert_eq!(lent(53_000), None);
        held.lend(53_000);
        assert_eq!(lent(53_000), Some(false));
        held.take_back();
        assert_eq!(lent(53_000), None);
    }

    #[test]
    fn a_node_is_as_small_as_it_is_said_to_be() {
        assert_eq!((mem::size_of::<Node>(), mem::size_of::<Cold>()), (32, 24));
    }
}
