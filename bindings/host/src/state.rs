//! What belongs to one instance on the host's side.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use wasmtime::{ResourceLimiter, component::ResourceTable};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::{
    clock::Shown,
    keyvalue::{KeyValue, Stores},
    network::Hosts,
    settings::Settings,
};

/// What belongs to one instance: its environment and its limits.
pub struct State {
    table: ResourceTable,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    hosts: Hosts,
    stores: BTreeMap<String, Arc<dyn KeyValue>>,
    memory: usize,
    /// Whether the call has asked for memory that the instance may not have.
    pub(crate) is_out_of_memory: bool,
    /// How long this thread had computed when the call began.
    pub(crate) started: Duration,
}

impl State {
    pub(crate) fn new(settings: &Settings) -> Self {
        let mut wasi = WasiCtx::builder();
        // What the component says when it panics.
        wasi.inherit_stderr();
        wasi.envs(&settings.variables);
        if let Some(clock) = &settings.clock {
            wasi.wall_clock(Shown(clock.clone())).monotonic_clock(Shown(clock.clone()));
        }
        Self {
            table: ResourceTable::new(),
            wasi: wasi.build(),
            http: WasiHttpCtx::new(),
            hosts: settings.hosts.clone(),
            stores: settings.stores.clone(),
            memory: settings.memory.unwrap_or(usize::MAX),
            is_out_of_memory: false,
            started: Duration::ZERO,
        }
    }

    pub(crate) fn stores(&mut self) -> Stores<'_> {
        Stores { known: &self.stores, table: &mut self.table }
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { ctx: &mut self.http, table: &mut self.table, hooks: &mut self.hosts }
    }
}

impl ResourceLimiter for State {
    fn memory_growing(&mut self, _current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let fits = desired <= self.memory.min(maximum.unwrap_or(usize::MAX));
        self.is_out_of_memory |= !fits;
        Ok(fits)
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        // The pool has no more for one instance.
        self.is_out_of_memory = true;
        Ok(())
    }

    fn table_growing(&mut self, _current: usize, _desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(true)
    }
}
