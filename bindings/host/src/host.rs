//! Hosts: one compiled component, and the pool its instances come from.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use wasmtime::{
    Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig,
    component::{Component, Linker},
};

use crate::{
    bindings::ComponentPre,
    error::{Error, Result},
    instance::Instance,
    keyvalue::{self, HasStores},
    settings::Settings,
    state::State,
};

/// How often time is looked at under [`Metering::Time`].
pub(crate) const TICK: Duration = Duration::from_millis(1);

/// What is measured of calls, so that it can be limited. Calls are slower by it, by fuel more than by time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Metering {
    /// Nothing.
    #[default]
    Nothing,
    /// How long they compute ([`Settings::deadline`]).
    Time,
    /// How much they compute, the same on every machine ([`Settings::fuel`]).
    Fuel,
}

/// Makes a [`Host`].
#[derive(Clone, Debug)]
pub struct Builder {
    metering: Metering,
    instances: u32,
    memory: usize,
}

impl Default for Builder {
    fn default() -> Self {
        Self { metering: Metering::Nothing, instances: 100, memory: 1 << 32 }
    }
}

impl Builder {
    /// Chooses what is measured.
    #[must_use]
    pub fn metering(mut self, metering: Metering) -> Self {
        self.metering = metering;
        self
    }

    /// Sets how many instances there may be at a time; 100 by default. Each takes `memory` of the address space.
    #[must_use]
    pub fn instances(mut self, instances: u32) -> Self {
        self.instances = instances;
        self
    }

    /// Sets the most memory that any instance may have, in bytes; 4 GiB by default.
    #[must_use]
    pub fn memory(mut self, bytes: usize) -> Self {
        self.memory = bytes;
        self
    }

    fn engine(&self) -> Result<Engine> {
        // A component is made of one large module and a few small ones that stand between it and the host.
        let modules = self.instances.saturating_mul(8);
        let mut pool = PoolingAllocationConfig::new();
        pool.total_component_instances(self.instances)
            .total_core_instances(modules)
            .total_memories(self.instances)
            .total_tables(modules)
            .total_stacks(0)
            .max_memory_size(self.memory)
            .linear_memory_keep_resident(1 << 16)
            .table_keep_resident(1 << 16);
        let mut config = Config::new();
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
        config.memory_reservation(self.memory as u64);
        config.epoch_interruption(self.metering == Metering::Time);
        config.consume_fuel(self.metering == Metering::Fuel);
        Engine::new(&config).map_err(|error| Error::load("no engine", &error))
    }

    /// Compiles the component in a file.
    ///
    /// # Errors
    /// [`Error::Load`] when there is none, or when it is not Undercroft's.
    pub fn load(&self, path: impl AsRef<Path>) -> Result<Host> {
        let engine = self.engine()?;
        let path = path.as_ref();
        let component = Component::from_file(&engine, path).map_err(|error| Error::load(&format!("`{}`", path.display()), &error))?;
        Host::link(engine, component, self.metering)
    }

    /// Takes a component that [`Host::save`] has written: this takes a millisecond, where compiling takes seconds.
    ///
    /// # Errors
    /// [`Error::Load`] when it was compiled by another version of wasmtime, or for other settings.
    ///
    /// # Safety
    /// The file is machine code and runs as such: it must be one that nobody but [`Host::save`] has written.
    pub unsafe fn load_compiled(&self, path: impl AsRef<Path>) -> Result<Host> {
        let engine = self.engine()?;
        let path = path.as_ref();
        // SAFETY: the caller's promise.
        let component = unsafe { Component::deserialize_file(&engine, path) };
        let component = component.map_err(|error| Error::load(&format!("`{}`", path.display()), &error))?;
        Host::link(engine, component, self.metering)
    }
}

/// One compiled component. Cheap to clone; clones share the pool.
#[derive(Clone)]
pub struct Host {
    component: Component,
    pre: ComponentPre<State>,
    metering: Metering,
    ticker: Option<Arc<Ticker>>,
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host").field("metering", &self.metering).finish_non_exhaustive()
    }
}

impl Host {
    /// Returns what makes a host.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Compiles the component in a file, with the defaults.
    ///
    /// # Errors
    /// As [`Builder::load`].
    pub fn load(path: impl AsRef<Path>) -> Result<Host> {
        Self::builder().load(path)
    }

    fn link(engine: Engine, component: Component, metering: Metering) -> Result<Host> {
        let failed = |error: wasmtime::Error| Error::load("the component does not fit this host", &error);
        let mut linker = Linker::<State>::new(&engine);
        wasmtime_wasi::p2::add_to_linker_sync(&mut linker).map_err(failed)?;
        wasmtime_wasi_http::p2::add_only_http_to_linker_sync(&mut linker).map_err(failed)?;
        keyvalue::add_to_linker::<State, HasStores>(&mut linker, State::stores).map_err(failed)?;
        let pre = linker.instantiate_pre(&component).and_then(ComponentPre::new).map_err(failed)?;
        let ticker = (metering == Metering::Time).then(|| Arc::new(Ticker::start(&engine)));
        Ok(Self { component, pre, metering, ticker })
    }

    /// Writes the compiled component for [`Builder::load_compiled`].
    ///
    /// # Errors
    /// [`Error::Load`] when the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let bytes = self.component.serialize().map_err(|error| Error::load("the component cannot be written", &error))?;
        std::fs::write(path, bytes).map_err(|error| Error::Load(format!("`{}`: {error}", path.display())))
    }

    /// Makes an instance.
    ///
    /// # Errors
    /// [`Error::Load`] when a limit is set that this host does not meter, or when all instances are in use.
    pub fn instantiate(&self, settings: &Settings) -> Result<Instance> {
        if settings.fuel.is_some() && self.metering != Metering::Fuel {
            return Err(Error::Load("fuel is limited, but this host does not meter it: use `Metering::Fuel`".to_owned()));
        }
        if settings.deadline.is_some() && self.metering != Metering::Time {
            return Err(Error::Load("time is limited, but this host does not meter it: use `Metering::Time`".to_owned()));
        }
        Instance::new(&self.pre, settings, self.metering, self.ticker.clone())
    }
}

/// Moves time on for the calls that are limited by it, as long as a host or an instance has it.
pub(crate) struct Ticker(Arc<AtomicBool>);

impl Ticker {
    fn start(engine: &Engine) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let (engine, ended) = (engine.weak(), over.clone());
        std::thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                std::thread::sleep(TICK);
                let Some(engine) = engine.upgrade() else { return };
                engine.increment_epoch();
            }
        });
        Self(over)
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
