//! Breaker: leaves a store alone that keeps failing, and lets one call try it again.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::{
    error::{Code, Error, Result},
    time::Millis,
};

/// A circuit breaker: closed, open, and half open while one call tries.
#[derive(Debug)]
pub(super) struct Breaker {
    limit: u32,
    cooldown: Millis,
    state: Mutex<State>,
    opened: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    failures: u32,
    answered_at: Option<Millis>,
    open_until: Option<Millis>,
    /// Whether a call is trying the store again.
    trying: bool,
}

/// Clears the mark of a trying call, also of one that was cancelled before it ended.
pub(super) struct Trying<'a>(Option<&'a Mutex<State>>);

impl Drop for Trying<'_> {
    fn drop(&mut self) {
        if let Some(state) = self.0 {
            state.lock().trying = false;
        }
    }
}

impl Breaker {
    /// Makes a breaker that opens after `limit` failures in a row (0: never), for `cooldown`.
    pub(super) fn new(limit: u32, cooldown: Millis) -> Self {
        Self { limit, cooldown, state: Mutex::default(), opened: AtomicU64::new(0) }
    }

    /// Lets a call through, or not.
    ///
    /// # Errors
    /// `unavailable` while the store is left alone.
    pub(super) fn admit(&self, now: Millis) -> Result<Trying<'_>> {
        if self.limit == 0 {
            return Ok(Trying(None));
        }
        let mut state = self.state.lock();
        match state.open_until {
            None => Ok(Trying(None)),
            Some(until) if now >= until && !state.trying => {
                state.trying = true;
                Ok(Trying(Some(&self.state)))
            }
            Some(_) => Err(Error::new(Code::Unavailable, format!("left alone after {} failures in a row", state.failures))),
        }
    }

    /// Takes note of an answer.
    pub(super) fn answered(&self, now: Millis) {
        if self.limit > 0 {
            *self.state.lock() = State { answered_at: Some(now), ..State::default() };
        }
    }

    /// Takes note of a failure. A call that waited in vain since `hung_since`, in which time nobody else had an answer
    /// either, is proof enough by itself: the next callers need not wait as long to learn the same.
    pub(super) fn failed(&self, now: Millis, hung_since: Option<Millis>) {
        if self.limit == 0 {
            return;
        }
        let mut state = self.state.lock();
        state.failures += 1;
        let hangs = hung_since.is_some_and(|since| state.answered_at.is_none_or(|answered| answered <= since));
        if state.failures >= self.limit || hangs {
            if state.open_until.is_none_or(|until| now >= until) {
                self.opened.fetch_add(1, Ordering::Relaxed);
            }
            state.open_until = Some(now.saturating_add(self.cooldown));
        }
    }

    /// Forgets the call that was trying in the parent.
    pub(super) fn after_fork(&self) {
        self.state.lock().trying = false;
    }

    /// Returns how often it opened.
    pub(super) fn opened(&self) -> u64 {
        self.opened.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_after_failures_in_a_row_and_lets_one_call_try() {
        let breaker = Breaker::new(2, 100);
        breaker.failed(0, None);
        drop(breaker.admit(0).expect("one failure is none in a row"));
        breaker.failed(0, None);

        assert!(breaker.admit(99).is_err());
        let trying = breaker.admit(100).expect("one may try");
        assert!(breaker.admit(100).is_err(), "only one");

        drop(trying);
        breaker.answered(101);
        drop(breaker.admit(101).expect("an answer closes it"));
        assert_eq!(breaker.opened(), 1);
    }

    #[test]
    fn a_call_that_hung_while_nobody_was_answered_opens_it() {
        let breaker = Breaker::new(10, 100);
        breaker.answered(50);
        breaker.failed(60, Some(40));
        drop(breaker.admit(60).expect("somebody was answered meanwhile"));

        breaker.failed(90, Some(60));

        assert!(breaker.admit(90).is_err());
    }
}
