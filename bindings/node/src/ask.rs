//! What a call asks for beside its key.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
};

use napi_derive::napi;
use serde_json::{Map, Value};
use undercroft::{
    config::read_policy,
    engine::{self, Policy, Result, time::Millis},
};

use crate::errors::{invalid, raise};

/// Reads a policy from JSON.
pub(crate) fn policy(settings: &str) -> napi::Result<Policy> {
    let settings: Map<String, Value> = serde_json::from_str(settings).map_err(|error| invalid(format!("not a policy: {error}")))?;
    read_policy(&settings).map_err(raise)
}

/// Reads a moment in milliseconds since the epoch; infinity is never.
pub(crate) fn millis(number: f64) -> Millis {
    if number.is_finite() { number.max(0.0) as Millis } else { engine::time::FOREVER }
}

/// Says how many milliseconds a duration takes, as a number or text in JSON; infinity for no end.
#[napi]
pub fn duration(value: String) -> napi::Result<f64> {
    let policy = policy(&format!("{{\"ttl\":{value}}}"))?;
    Ok(policy.ttl.map_or(f64::INFINITY, |millis| millis as f64))
}

thread_local! {
    /// The questions of this environment by number: taking an object apart takes longer than the look that it is for.
    static ASKS: RefCell<HashMap<u32, engine::Ask>> = RefCell::default();
    static NEXT: Cell<u32> = const { Cell::new(0) };
}

/// Returns the question with this number.
///
/// # Errors
/// `internal` when there is none: JavaScript keeps the object for as long as it uses the number.
pub(crate) fn numbered(number: u32, lineage: Vec<u64>) -> Result<engine::Ask> {
    let asks = ASKS.with_borrow(|asks| asks.get(&number).cloned());
    let ask = asks.ok_or_else(|| engine::Error::new(engine::Code::Internal, format!("no question has the number {number}")))?;
    Ok(engine::Ask { lineage, ..ask })
}

/// A policy, tiers to skip, and copies that were found to be bad.
#[napi]
pub struct Ask {
    pub(crate) ask: engine::Ask,
    number: u32,
}

impl Ask {
    pub(crate) fn of(ask: engine::Ask) -> Self {
        let number = ASKS.with_borrow_mut(|asks| {
            let mut number = NEXT.get();
            while asks.contains_key(&number) {
                number = number.wrapping_add(1);
            }
            NEXT.set(number.wrapping_add(1));
            asks.insert(number, ask.clone());
            number
        });
        Self { ask, number }
    }
}

impl Drop for Ask {
    fn drop(&mut self) {
        // While the thread ends, its questions may be gone already.
        let _gone = ASKS.try_with(|asks| asks.borrow_mut().remove(&self.number));
    }
}

#[napi]
impl Ask {
    /// Makes one from a policy in JSON.
    #[napi(constructor)]
    pub fn new(policy: String, skip: Vec<String>) -> napi::Result<Self> {
        let policy = self::policy(&policy)?;
        Ok(Self::of(engine::Ask { policy, skip: skip.into_iter().map(Into::into).collect(), ..engine::Ask::default() }))
    }

    /// The number by which verbs take it.
    #[napi(getter)]
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Returns this question without the copies of one more tier.
    #[napi]
    pub fn distrusting(&self, tier: String) -> Self {
        let mut ask = self.ask.clone();
        ask.distrust.push(tier.into());
        Self::of(ask)
    }

    /// Returns this question with other tiers to skip.
    #[napi]
    pub fn skipping(&self, tiers: Vec<String>) -> Self {
        Self::of(engine::Ask { skip: tiers.into_iter().map(Into::into).collect(), ..self.ask.clone() })
    }

    /// Returns this question with another ttl, as JSON.
    #[napi]
    pub fn with_ttl(&self, ttl: String) -> napi::Result<Self> {
        let ttl = policy(&format!("{{\"ttl\":{ttl}}}"))?.ttl;
        Ok(Self::of(engine::Ask { policy: Policy { ttl, ..self.ask.policy }, ..self.ask.clone() }))
    }
}
