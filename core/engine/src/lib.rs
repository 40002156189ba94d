//! The decisions of Undercroft: freshness, tiers, single flight, retries and errors.
//!
//! Nothing here does I/O, owns a runtime or reads a clock of its own: an [`Env`] is handed in.
//! Stores live in `undercroft-stores`, configuration in `undercroft`, runtimes in the bindings.

pub mod cache;
pub mod chain;
pub mod entry;
pub mod env;
pub mod envelope;
pub mod error;
pub mod event;
pub mod flight;
pub mod http;
pub mod key;
pub mod layers;
pub mod manual;
pub mod near;
pub mod policy;
pub mod store;
pub mod time;
pub mod usage;
pub mod value;

pub use cache::{Ask, Cache, Outcome, Overdue, Resumed, WeakCache};
pub use chain::{Chain, NearTier, OnError, Tier};
pub use entry::{Entry, Life, State};
pub use env::{Clock, Env, Random, Spawn};
pub use error::{Code, Error, Result};
pub use event::{Event, Events, Kind, Sink};
pub use flight::Lease;
pub use http::Http;
pub use key::Key;
pub use layers::Layer;
pub use near::Near;
pub use policy::Policy;
pub use store::{Body, Capability, Encoding, Hash, Meta, Object, Page, Put, PutMode, Store, StoreExt, StoreInfo, Version, Want};
pub use usage::Usage;
pub use value::{Codec, Form, Live, Value};
