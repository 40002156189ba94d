//! A host for Undercroft's WebAssembly component, for programs in Rust: wasmtime, limits and typed calls.
//!
//! ```no_run
//! use undercroft_host::{Host, Outcome, Settings, Value};
//!
//! let host = Host::load("undercroft.wasm")?;
//! let instance = host.instantiate(&Settings::default().allow("*.s3.eu-west-1.amazonaws.com"))?;
//! let cache = instance.open(r#"{ "tiers": ["memory://", "s3://bucket/cache?region=eu-west-1"], "policy": { "ttl": "5m" } }"#)?;
//! match cache.begin("user:42")? {
//!     Outcome::Hit(found) | Outcome::Stale(found) => println!("{:?}", found.entry.value),
//!     Outcome::Miss(lease) => drop(lease.fulfil(Value::json(r#"{"name":"Ada"}"#), None)?),
//!     Outcome::Busy => println!("somebody else loads it"),
//! }
//! # Ok::<(), undercroft_host::Error>(())
//! ```
//!
//! A [`Host`] is one compiled component, an [`Instance`] a sandbox of its own: its memory, its caches, its limits. Calls are
//! synchronous and one at a time; a call that needs the network blocks its thread. In an asynchronous program such calls belong on a
//! thread that may block (`tokio::task::spawn_blocking`).

mod cache;
mod clock;
mod error;
mod host;
mod instance;
mod keyvalue;
mod network;
mod settings;
mod state;
mod store;

#[allow(missing_docs, clippy::all, reason = "generated")]
pub mod bindings {
    //! The component's exports, as `bindgen!` makes them: for what the types of this crate do not cover.
    wasmtime::component::bindgen!({ path: "../../wit", world: "component", with: {
        "wasi:io": wasmtime_wasi::p2::bindings::sync::io,
        "wasi:clocks": wasmtime_wasi::p2::bindings::sync::clocks,
        "wasi:random": wasmtime_wasi::p2::bindings::sync::random,
        "wasi:cli": wasmtime_wasi::p2::bindings::sync::cli,
        "wasi:http": wasmtime_wasi_http::p2::bindings::sync::http,
    } });
}

pub use bindings::exports::undercroft::cache::{
    stats::{Count, TierStats, Usage},
    stores::Page,
    testing::Fault,
    types::{Ask, Codec, Entry, Error as CacheError, ErrorCode, Policy, Value},
};
pub use cache::{Cache, Found, Lease, Outcome};
pub use clock::{Clock, SystemClock};
pub use error::{Error, Limit, Result};
pub use host::{Builder, Host, Metering};
pub use instance::Instance;
pub use keyvalue::{KeyValue, KeyValueError, Keys, MemoryKeyValue};
pub use network::Hosts;
pub use settings::Settings;
pub use store::Store;
