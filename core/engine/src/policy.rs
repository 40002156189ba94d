//! Policy: how long values live, and how long callers wait.

use crate::{
    entry::Life,
    env::Env,
    error::{Code, Error, Result},
    time::{FOREVER, Millis},
};

/// How long a value may be served, and how long callers wait for one.
///
/// `ttl` as a function of the value and `cache_if` are evaluated by the host, which knows the value; what
/// they mean is decided here: a `ttl` of zero does not store (law 9).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Policy {
    /// How long a value is fresh. `None`: for ever. Zero: it is not stored.
    pub ttl: Option<Millis>,
    /// For how long after that it is served at once while one caller refreshes it. `None`: as long as the entry says.
    pub stale: Option<Millis>,
    /// For how long after freshness a value is kept to be served when a load fails or takes too long.
    pub stale_if_error: Option<Millis>,
    /// The largest share of `ttl` by which a life is shortened at random, `0.0..=1.0`.
    pub jitter: f64,
    /// The share of a fresh life after which one caller refreshes ahead of time, above 0 and below 1.
    pub refresh_ahead: Option<f64>,
    /// How long a caller waits for a load when a servable stale value is at hand.
    pub soft_timeout: Option<Millis>,
    /// How long a caller waits for a load at all.
    pub hard_timeout: Option<Millis>,
    /// How long a caller waits for another caller's load.
    pub lock_timeout: Option<Millis>,
}

impl Policy {
    /// Checks the shares and makes sure that they mean something.
    ///
    /// # Errors
    /// `config_invalid`, naming the setting.
    pub fn check(&self) -> Result<()> {
        if !(0.0..=1.0).contains(&self.jitter) {
            return Err(Error::new(Code::ConfigInvalid, format!("`jitter` is {}; it must be from 0 to 1", self.jitter)));
        }
        if let Some(share) = self.refresh_ahead
            && !(share > 0.0 && share < 1.0)
        {
            return Err(Error::new(Code::ConfigInvalid, format!("`refresh_ahead` is {share}; it must be above 0 and below 1")));
        }
        Ok(())
    }

    /// Returns the life of a value that is made now, or `None` when it must not be stored.
    pub fn life(&self, env: &Env) -> Option<Life> {
        self.life_from(env.clock.wall(), env)
    }

    /// Returns the life of a value that is made at `now`, on the wall clock.
    pub(crate) fn life_from(&self, now: Millis, env: &Env) -> Option<Life> {
        let Some(ttl) = self.ttl.filter(|ttl| *ttl != FOREVER) else {
            return Some(Life::forever(now));
        };
        if ttl == 0 {
            return None;
        }
        let cut = if self.jitter > 0.0 { (ttl as f64 * self.jitter * env.random.unit()) as Millis } else { 0 };
        let fresh_until = now.saturating_add((ttl - cut).max(1));
        let kept = self.stale.unwrap_or(0).max(self.stale_if_error.unwrap_or(0));
        Some(Life { created_at: now, fresh_until, stale_until: fresh_until.saturating_add(kept) })
    }

    /// Returns for how long after freshness a reader with this policy is served stale values at once.
    pub fn window(&self) -> Millis {
        match (self.stale, self.stale_if_error) {
            (Some(stale), _) => stale,
            (None, Some(_)) => 0,
            (None, None) => FOREVER,
        }
    }

    /// Returns until when a reader with this policy takes the value of `life` for a load that fails or takes too long.
    pub fn kept_until(&self, life: &Life) -> Millis {
        match (self.stale, self.stale_if_error) {
            (None, None) => life.stale_until,
            (stale, on_error) => life.stale_until.min(life.fresh_until.saturating_add(stale.unwrap_or(0).max(on_error.unwrap_or(0)))),
        }
    }

    /// Returns when a refresh ahead of time is due in `life`, or [`FOREVER`].
    pub fn refresh_at(&self, life: &Life) -> Millis {
        match self.refresh_ahead {
            Some(share) if life.fresh_until != FOREVER => {
                life.created_at.saturating_add((life.fresh_until.saturating_sub(life.created_at) as f64 * share) as Millis)
            }
            _ => FOREVER,
        }
    }
}
