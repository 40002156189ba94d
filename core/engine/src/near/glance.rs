//! Looking without a lock, a count or a wait: for hosts that know when nobody is looking.

use std::{ptr::NonNull, sync::atomic::Ordering};

use super::{Near, node::Node};
use crate::{time::Millis, value::Value};

impl Near {
    /// Says whether the tier can be glanced at.
    #[inline]
    pub fn can_glance(&self) -> bool {
        self.remains.is_some()
    }

    /// Finds what is held under `key`, without a lock, a count or a wait. It may miss what is being moved.
    ///
    /// # Safety
    /// Nobody calls [`Remains::release`](super::Remains::release) before the caller is done with the answer; and the tier has remains
    /// ([`Near::can_glance`]).
    #[inline]
    pub unsafe fn glance(&self, hash: u64, key: &[u8]) -> Option<Glance<'_>> {
        debug_assert!(self.can_glance(), "without remains, entries are dropped at once");
        // SAFETY: what is removed waits in the remains, which nobody releases meanwhile.
        let node = unsafe { self.part(hash).table.find(hash, key) }?;
        // SAFETY: as above.
        Some(Glance(unsafe { node.as_ref() }))
    }

    /// Finds what is held under `key` as [`Near::glance`] does, and how to find it again without the key.
    ///
    /// # Safety
    /// As [`Near::glance`].
    #[inline]
    pub unsafe fn glance_to_recall(&self, hash: u64, key: &[u8]) -> Option<(Glance<'_>, Recall)> {
        // Read first: what leaves from here on is noticed.
        let changes = self.changes.of(hash as u32).load(Ordering::Acquire);
        // SAFETY: the caller's promise.
        let glance = unsafe { self.glance(hash, key) }?;
        let recall = Recall { node: NonNull::from(glance.0), hash: hash as u32, changes };
        Some((glance, recall))
    }

    /// Finds an entry of this tier again, unless it has left, or another may have in its stead.
    ///
    /// # Safety
    /// As [`Near::glance`]; `recall` is from this tier.
    #[inline(always)]
    pub unsafe fn recall(&self, recall: &Recall) -> Option<Glance<'_>> {
        if self.changes.of(recall.hash).load(Ordering::Acquire) != recall.changes {
            return None;
        }
        // SAFETY: the entry has not left the table before this look, so it is alive, and stays so while the caller looks.
        Some(Glance(unsafe { recall.node.as_ref() }))
    }
}

/// Where an entry was seen. It keeps nothing alive, and is worth nothing once the entry has left.
#[derive(Clone, Copy, Debug)]
pub struct Recall {
    node: NonNull<Node>,
    hash: u32,
    changes: u32,
}

// SAFETY: the pointer is followed only by `Near::recall`, whose caller promises what that takes.
unsafe impl Send for Recall {}
// SAFETY: as above.
unsafe impl Sync for Recall {}

/// What a host sees that looks without a lock.
pub struct Glance<'a>(&'a Node);

/// What a glance says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Return it: it is fresh, and nothing is due.
    Fresh,
    /// Return it: it is stale, and another caller is refreshing it.
    Stale,
    /// Ask.
    Unsure,
}

impl Glance<'_> {
    /// Says whether the value can be returned at once to a reader that takes stale values for `window` after freshness,
    /// and marks it as used if so.
    #[inline]
    pub fn judge(&self, now: Millis, window: Millis) -> Seen {
        if self.0.is_plain(now) {
            self.0.mark();
            return Seen::Fresh;
        }
        let Some(is_fresh) = self.0.lent(now, window) else { return Seen::Unsure };
        self.0.mark();
        if is_fresh { Seen::Fresh } else { Seen::Stale }
    }

    /// Returns the key.
    #[inline]
    pub fn key(&self) -> &str {
        self.0.key()
    }

    /// Returns the pointer to the host's object, where that alone is kept.
    #[inline]
    pub fn raw(&self) -> Option<NonNull<()>> {
        self.0.raw()
    }

    /// Returns the value that is kept instead.
    pub fn value(&self) -> Option<&Value> {
        self.0.boxed()
    }
}
