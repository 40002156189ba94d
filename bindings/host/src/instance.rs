//! Instances: sandboxes of their own, and how they are called.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rustix::time::{ClockId, clock_gettime};
use wasmtime::{Store, Trap, UpdateDeadline, component::ResourceAny};

use crate::{
    Value,
    bindings::{Component, ComponentPre, exports::undercroft::cache::codecs::Codec},
    cache::Cache,
    error::{Error, Limit, Result},
    host::{Metering, TICK, Ticker},
    settings::Settings,
    state::State,
    store::Store as CacheStore,
};

/// One instance of the component. Cheap to clone; clones are the same instance, which one thread is in at a time.
#[derive(Clone)]
pub struct Instance(Arc<Mutex<Inner>>);

struct Inner {
    store: Store<State>,
    exports: Component,
    fuel: Option<u64>,
    deadline: Option<Duration>,
    /// Why the instance is over.
    ended: Option<String>,
    /// Time goes on for instances that outlive their host.
    _ticker: Option<Arc<Ticker>>,
}

impl std::fmt::Debug for Instance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Instance").finish_non_exhaustive()
    }
}

impl Instance {
    pub(crate) fn new(pre: &ComponentPre<State>, settings: &Settings, metering: Metering, ticker: Option<Arc<Ticker>>) -> Result<Self> {
        let mut store = Store::new(pre.engine(), State::new(settings));
        store.limiter(|state| state);
        let fuel = (metering == Metering::Fuel).then(|| settings.fuel.unwrap_or(u64::MAX));
        let deadline = (metering == Metering::Time).then(|| settings.deadline.unwrap_or(Duration::MAX));
        if let Some(deadline) = deadline {
            // Ticks go on while a call waits for the network. What counts is what its thread has computed.
            store.epoch_deadline_callback(move |context| {
                let left = deadline.saturating_sub(computed().saturating_sub(context.data().started));
                Ok(if left.is_zero() { UpdateDeadline::Interrupt } else { UpdateDeadline::Continue(ticks(left)) })
            });
        }
        arm(&mut store, fuel, deadline);
        let exports = match pre.instantiate(&mut store) {
            Ok(exports) => exports,
            Err(error) => return Err(ended(&store, &error).unwrap_or_else(|| Error::load("no instance", &error))),
        };
        Ok(Self(Arc::new(Mutex::new(Inner { store, exports, fuel, deadline, ended: None, _ticker: ticker }))))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls the component: `work` is given its store and its exports, as `bindgen!` makes them.
    ///
    /// Nobody else is in the instance meanwhile, `work` itself included: it must not use, or drop, a [`Cache`], [`Lease`](crate::Lease) or
    /// [`Store`](CacheStore) of this instance.
    ///
    /// # Errors
    /// [`Error::Limit`] or [`Error::Trap`] when the instance ends.
    pub fn call<T>(&self, work: impl FnOnce(&mut Store<State>, &Component) -> wasmtime::Result<T>) -> Result<T> {
        let mut inner = self.inner();
        let Inner { store, exports, fuel, deadline, ended: over, .. } = &mut *inner;
        if let Some(why) = over {
            return Err(Error::Trap(why.clone()));
        }
        arm(store, *fuel, *deadline);
        work(store, exports).map_err(|error| {
            let why = format!("{error:#}");
            let what = ended(store, &error);
            *over = Some(what.as_ref().map_or_else(|| why.clone(), ToString::to_string));
            what.unwrap_or(Error::Trap(why))
        })
    }

    /// Lets go of a handle. Nothing is said of an instance that is over.
    pub(crate) fn release(&self, handle: ResourceAny) {
        drop(self.call(|store, _| handle.resource_drop(store)));
    }

    /// Opens the cache that `config` describes, in JSON.
    ///
    /// # Errors
    /// `config-invalid`, naming what is wrong and where.
    pub fn open(&self, config: &str) -> Result<Cache> {
        let handle = self.call(|store, exports| exports.undercroft_cache_cache().cache().call_open(store, config))??;
        Ok(Cache::new(self.clone(), handle))
    }

    /// Opens a cache whose far tiers can be made to fail ([`Cache::inject`]).
    ///
    /// # Errors
    /// As [`Instance::open`].
    pub fn open_for_tests(&self, config: &str) -> Result<Cache> {
        let handle = self.call(|store, exports| exports.undercroft_cache_testing().call_open(store, config))??;
        Ok(Cache::new(self.clone(), handle))
    }

    /// Opens one store by itself: a URL, or a tier of a configuration in JSON.
    ///
    /// # Errors
    /// As [`Instance::open`].
    pub fn open_store(&self, tier: &str) -> Result<CacheStore> {
        let handle = self.call(|store, exports| exports.undercroft_cache_stores().store().call_open(store, tier))??;
        Ok(CacheStore::new(self.clone(), handle))
    }

    /// Writes a value under another codec.
    ///
    /// # Errors
    /// `unsupported` where something would be lost; `corrupt` when the bytes are not what they are said to be.
    pub fn transcode(&self, value: &Value, to: Codec) -> Result<Value> {
        Ok(self.call(|store, exports| exports.undercroft_cache_codecs().call_transcode(store, value, to))??)
    }

    /// Says whether the instance has ended, by a limit or a trap.
    pub fn is_over(&self) -> bool {
        self.inner().ended.is_some()
    }
}

/// Sets what the next call may use.
fn arm(store: &mut Store<State>, fuel: Option<u64>, deadline: Option<Duration>) {
    store.data_mut().is_out_of_memory = false;
    if let Some(fuel) = fuel {
        store.set_fuel(fuel).expect("fuel is metered by this engine");
    }
    if let Some(deadline) = deadline {
        store.data_mut().started = computed();
        store.set_epoch_deadline(ticks(deadline));
    }
}

/// Returns how many ticks a time takes: one more, for the one that is under way.
fn ticks(time: Duration) -> u64 {
    // Not so many that the sum with those that were could overflow.
    u64::try_from(time.as_nanos() / TICK.as_nanos()).unwrap_or(u64::MAX).min(u64::MAX / 4) + 1
}

/// Returns how long this thread has computed so far.
fn computed() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.cast_unsigned(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Says which limit has ended the instance, if one has.
fn ended(store: &Store<State>, error: &wasmtime::Error) -> Option<Error> {
    match error.downcast_ref::<Trap>() {
        Some(Trap::OutOfFuel) => Some(Error::Limit(Limit::Fuel)),
        Some(Trap::Interrupt) => Some(Error::Limit(Limit::Deadline)),
        _ if store.data().is_out_of_memory => Some(Error::Limit(Limit::Memory)),
        _ => None,
    }
}
