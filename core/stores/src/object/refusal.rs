//! Refusals: credentials that could not be had are not asked for again at once.
//!
//! Looking for them may take seconds, on a machine that has none for every call.

use parking_lot::Mutex;
use undercroft_engine::{Error, Result, time::Millis};

/// For how long a failure stands.
const STANDS: Millis = 5_000;

/// The last failure, while it stands.
#[derive(Debug, Default)]
pub(crate) struct Refusal(Mutex<Option<(Millis, Error)>>);

impl Refusal {
    /// Fails as the last look did, if that was a moment ago.
    ///
    /// # Errors
    /// The same error again.
    pub(crate) fn check(&self, now: Millis) -> Result<()> {
        match &*self.0.lock() {
            Some((at, error)) if now.abs_diff(*at) < STANDS => Err(error.clone()),
            _ => Ok(()),
        }
    }

    /// Takes note of how a look ended.
    pub(crate) fn note<T>(&self, now: Millis, looked: Result<T>) -> Result<T> {
        *self.0.lock() = looked.as_ref().err().map(|error| (now, error.clone()));
        looked
    }
}
