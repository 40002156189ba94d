//! Entries: a value and its deadlines.

use std::sync::Arc;

use crate::{
    time::{FOREVER, Millis},
    value::Value,
};

/// The deadlines of an entry, in milliseconds since the Unix epoch. [`FOREVER`] means none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    /// When the value was made.
    pub created_at: Millis,
    /// Until when it is fresh.
    pub fresh_until: Millis,
    /// Until when it may be served at all.
    pub stale_until: Millis,
}

/// What a moment in a life means for a reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Serve it.
    Fresh,
    /// Serve it at once, and have one caller refresh it.
    Stale,
    /// Load; serve it only if the load fails or takes too long.
    Spare,
    /// It does not exist any more.
    Gone,
}

impl Life {
    /// A life without an end, from `now` on.
    pub const fn forever(now: Millis) -> Self {
        Self { created_at: now, fresh_until: FOREVER, stale_until: FOREVER }
    }

    /// A life that a store keeps to itself: the value is fresh as long as the store has it, and is never copied.
    pub const UNKNOWN: Life = Life { created_at: 0, fresh_until: FOREVER, stale_until: FOREVER };

    /// Says whether only the store that holds the entry knows its deadlines.
    pub fn is_unknown(&self) -> bool {
        *self == Life::UNKNOWN
    }

    /// Says what this life means at `now` to a reader that serves stale values for `window` after freshness.
    ///
    /// An entry that was expired by hand ([`Life::expired`]) is stale for as long as it may be served, whatever
    /// the window: that is what "mark stale, keep serving" asks for.
    pub fn state(&self, now: Millis, window: Millis) -> State {
        if now < self.fresh_until {
            State::Fresh
        } else if now >= self.stale_until {
            State::Gone
        } else if now < self.fresh_until.saturating_add(window) || self.fresh_until <= self.created_at {
            State::Stale
        } else {
            State::Spare
        }
    }

    /// Says whether a reader may get the value at all.
    pub fn is_servable(&self, now: Millis) -> bool {
        now < self.stale_until
    }

    /// Returns the life of a copy in a tier that keeps nothing longer than `max_ttl` (law 1: only shorter).
    ///
    /// When the limit cuts into the fresh time, the copy has no stale window of its own: a further tier still
    /// holds the fresh entry.
    #[must_use]
    pub fn capped(self, max_ttl: Option<Millis>, now: Millis) -> Self {
        let limit = max_ttl.map_or(FOREVER, |max| now.saturating_add(max));
        if self.fresh_until <= limit {
            return self;
        }
        Self { fresh_until: limit, stale_until: limit, ..self }
    }

    /// Returns the life of an entry that was marked stale by hand: fresh at no time that a clock which lags could show,
    /// served until it ends.
    #[must_use]
    pub fn expired(self) -> Self {
        Self { fresh_until: 0, ..self }
    }
}

/// A value with its deadlines, and the tier that answered.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The value.
    pub value: Value,
    /// Its deadlines.
    pub life: Life,
    /// The name of the tier that answered; `loader` for a value that was just made.
    pub tier: Arc<str>,
}
