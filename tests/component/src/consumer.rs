//! A component that knows only `wasi:keyvalue`: with the cache plugged in, or over a store of wasmtime's.

use std::path::Path;

use undercroft_host::Hosts;
use wac_graph::{CompositionGraph, EncodeOptions, types::Package};
use wasmtime::{
    Engine, Store,
    component::{Component, ComponentNamedList, Instance, Lift, Linker, Lower, ResourceTable},
};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};
use wasmtime_wasi_keyvalue::{WasiKeyValue, WasiKeyValueCtx, WasiKeyValueCtxBuilder};

use crate::{Build, file};

/// What belongs to a consumer on the host's side.
struct State {
    table: ResourceTable,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    hosts: Hosts,
    store: WasiKeyValueCtx,
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

/// A consumer that runs.
pub struct Consumer {
    store: Store<State>,
    instance: Instance,
}

impl Consumer {
    /// Plugs a build of the cache into the consumer, and writes both as one component.
    pub fn plug(build: Build, out: &Path) {
        let mut graph = CompositionGraph::new();
        let socket = Package::from_file("consumer", None, file("consumer.wasm"), graph.types_mut()).unwrap();
        let cache = Package::from_file("undercroft", None, build.file(), graph.types_mut()).unwrap();
        let (socket, cache) = (graph.register_package(socket).unwrap(), graph.register_package(cache).unwrap());
        wac_graph::plug(&mut graph, vec![cache], socket).unwrap();
        std::fs::write(out, graph.encode(EncodeOptions::default()).unwrap()).unwrap();
    }

    /// Runs the component in a file. `known` is what wasmtime's own key-value store holds, for imports that nothing was plugged into.
    pub fn run(path: &Path, variables: &[(&str, &str)], known: &[(&str, &[u8])]) -> Self {
        let engine = Engine::default();
        let component = Component::from_file(&engine, path).unwrap();
        let mut linker = Linker::<State>::new(&engine);
        wasmtime_wasi::p2::add_to_linker_sync(&mut linker).unwrap();
        wasmtime_wasi_http::p2::add_only_http_to_linker_sync(&mut linker).unwrap();
        wasmtime_wasi_keyvalue::add_to_linker(&mut linker, |state: &mut State| WasiKeyValue::new(&state.store, &mut state.table)).unwrap();
        let mut wasi = WasiCtx::builder();
        wasi.inherit_stderr().envs(variables);
        let mut hosts = Hosts::default();
        hosts.allow("127.0.0.1");
        let known = known.iter().map(|(key, value)| (*key, value.to_vec()));
        let state = State {
            table: ResourceTable::new(),
            wasi: wasi.build(),
            http: WasiHttpCtx::new(),
            hosts,
            store: WasiKeyValueCtxBuilder::new().in_memory_data(known).build(),
        };
        let mut store = Store::new(&engine, state);
        let instance = linker.instantiate(&mut store, &component).unwrap();
        Self { store, instance }
    }

    /// Calls one of its exports.
    pub fn call<P, T>(&mut self, name: &str, arguments: P) -> Result<T, String>
    where
        P: ComponentNamedList + Lower,
        T: Lift + Send + Sync + 'static,
        (Result<T, String>,): ComponentNamedList + Lift,
    {
        let function = self.instance.get_typed_func::<P, (Result<T, String>,)>(&mut self.store, name).unwrap();
        function.call(&mut self.store, arguments).unwrap().0
    }
}
