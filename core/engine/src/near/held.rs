//! What the near tier holds under a key, as others see it: a counted handle of a [`Node`].

use std::{
    fmt, mem,
    ptr::NonNull,
    sync::{
        Arc,
        atomic::{Ordering, fence},
    },
};

use bytes::Bytes;

use super::node::{BOXED, Node};
use crate::{
    entry::Life,
    env::Clock,
    time::{FOREVER, Millis},
    value::{Codec, Live, Object, Raw, Value},
};

/// An entry of a near tier. Cheap to clone; clones are the same entry.
pub struct Held(NonNull<Node>);

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
        let (object, size) = match kept {
            Kept::Raw(raw, size) => (raw.into_pointer().as_ptr(), size),
            Kept::Value(value) => (Box::into_raw(value).cast::<()>().map_addr(|address| address | BOXED), 0),
        };
        Self(Node::make(key, hash, object, size, term))
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

    /// Returns how often it was used lately, by the host as well.
    pub(super) fn uses(&self) -> u8 {
        if self.node().boxed().and_then(Value::object).is_some_and(|object| object.take_use()) {
            self.node().mark();
        }
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

    /// Returns until when it can be returned without another thought, on the monotonic clock; [`FOREVER`] for always.
    pub fn plain_until(&self) -> Millis {
        self.node().plain_until.load(Ordering::Relaxed)
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
        Life { created_at: node.created_at(), fresh_until: node.fresh_until(), stale_until: node.stale_until() }
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

    /// Looks at the host's object, where memory keeps it in a value.
    pub fn object(&self) -> Option<&Live> {
        self.node().boxed()?.object()
    }

    /// Returns the first form of the value that has bytes, where it stays.
    pub fn encoded(&self) -> Option<(Codec, &Bytes)> {
        self.node().boxed()?.encoded()
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
            None => node.size(),
        }
    }

    /// Returns the pointer to the host's object, where memory keeps that alone.
    pub fn raw(&self) -> Option<NonNull<()>> {
        self.node().raw()
    }

    /// Lets callers be served while one of them, who holds the lease, refreshes the value.
    pub(crate) fn lend(&self, now: Millis) {
        self.node().lend(now);
    }

    /// Ends the loan.
    pub(crate) fn take_back(&self) {
        self.node().take_back();
    }
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
        // SAFETY: this was the last handle; the object is what `Held::new` took apart, and nobody looks at it again.
        unsafe {
            let object = Node::free(self.0);
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
        assert_eq!(Node::SIZES, (32, 24));
    }
}
