//! The verbs of a load.

use napi_derive::napi;
use undercroft::engine::{self, Overdue, Resumed};

use super::{Core, Encoded, value};
use crate::{
    ask::Ask,
    bridge::Inside,
    clock,
    lease::Lease,
    reply::{Out, Reply, State},
};

#[napi]
impl Core {
    /// Looks far before a stale entry is loaded again. Answers with a hit, or a miss with the lease.
    #[napi]
    pub fn resume(&self, lease: &Lease, ask: &Ask) -> Reply {
        let (taken, cache, ask, core) = (lease.take(), self.cache(), ask.ask.clone(), self.shared.clone());
        let key = lease.key_of().clone();
        self.reply_with(async move {
            Ok(match cache.resume(taken?, &ask).await? {
                Resumed::Fresh(entry) => Out::found(State::Hit, entry, None, &core, &key),
                Resumed::Load(lease) => Out::missed(State::Miss, Some(lease), &core, &key),
            })
        })
    }

    /// Takes the lease on a key, unless another caller has it.
    #[napi]
    pub fn claim(&self, key: String) -> Reply {
        let core = self.shared.clone();
        self.reply(&key, move |cache, key| async move { Ok(Out::missed(State::Miss, cache.claim(&key), &core, &key)) })
    }

    /// Puts the value a lease stands for, and ends the flight. Answers as `put` does.
    #[napi]
    pub fn fulfil(&self, lease: &Lease, slot: u32, size: f64, forms: Option<Vec<Encoded>>, ask: &Ask) -> Reply {
        let value = value(&self.shared.bridge, slot, size, forms);
        let (taken, cache, ask, core) = (lease.take(), self.cache(), ask.ask.clone(), self.shared.clone());
        let (key, object) = (lease.key_of().clone(), value.object().cloned());
        self.reply_with(async move {
            cache.fulfil_with(taken?, value, &ask).await?;
            Ok(Out::put(core, key, object))
        })
    }

    /// Ends a lease whose load failed. Answers with what to serve instead, if there is something.
    #[napi]
    pub fn fail(&self, lease: &Lease) -> Reply {
        let _inside = Inside::enter();
        let key = lease.key_of();
        let served = lease.take().map(|lease| self.shared.cache.fail(lease));
        let out = served.map(|served| match served {
            Some(entry) => Out::found(State::Stale, entry, None, &self.shared, key),
            None => Out::missed(State::Miss, None, &self.shared, key),
        });
        Reply::now(&self.shared.bridge, out)
    }

    /// Says how many milliseconds the caller that loads waits before it asks `overdue`.
    #[napi]
    pub fn patience(&self, lease: &Lease, ask: &Ask) -> Option<f64> {
        lease.with(|lease| self.shared.cache.patience(lease, &ask.ask.policy)).flatten().map(|millis| millis as f64)
    }

    /// Says what to do whose load has taken `waited` milliseconds: a value to serve, or a number of milliseconds to wait on
    /// (infinity for ever); it fails when the caller is to give up.
    #[napi]
    pub fn overdue(&self, lease: &Lease, ask: &Ask, waited: f64) -> Reply {
        let key = lease.key_of();
        let waited = waited.max(0.0) as u64;
        let out = match self.shared.cache.overdue(key, lease.spare_entry(), &ask.ask.policy, waited) {
            Overdue::Serve(entry) => Ok(Out::found(State::Stale, entry, None, &self.shared, key)),
            Overdue::Wait(millis) => Ok(Out::Number(millis.map_or(f64::INFINITY, |millis| millis as f64))),
            Overdue::Fail(error) => Err::<_, engine::Error>(error),
        };
        Reply::now(&self.shared.bridge, out)
    }
}

impl Core {
    /// Starts a read that ends in a value. A handle that blocks does not wait for another caller's load: that is `busy`.
    pub(super) fn begin_with(&self, key: &str, ask: engine::Ask) -> Reply {
        clock::wake();
        let (core, blocks) = (self.shared.clone(), self.blocks);
        self.reply(key, move |cache, key| async move {
            if !blocks {
                return Ok(Out::of(cache.begin(&key, &ask).await?, &core, &key));
            }
            let outcome = cache.begin_or_busy(&key, &ask).await?;
            Ok(outcome.map_or_else(|| Out::missed(State::Busy, None, &core, &key), |outcome| Out::of(outcome, &core, &key)))
        })
    }
}
