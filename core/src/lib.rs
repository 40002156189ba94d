//! Undercroft: one cache, from memory to object storage. This crate opens a configuration into a cache.
//!
//! ```
//! use undercroft::{Config, Format, Options, open};
//! use undercroft::engine::manual;
//!
//! let config = Config::parse(r#"{ "tiers": ["memory://?max_entries=1000"], "policy": { "ttl": "5m" } }"#, Format::Json, &|_| None)?;
//! let cache = open(&config, &manual::env(&Default::default()), &Options::default())?.cache;
//! assert_eq!(cache.policy().ttl, Some(300_000));
//! # Ok::<(), undercroft::engine::Error>(())
//! ```

pub mod config;
pub mod contract;
pub mod object;
pub mod open;
#[cfg(any(feature = "s3", feature = "gcs"))]
pub mod services;
mod settings;

pub use config::{Config, Format, TierConfig};
pub use object::ObjectConfig;
#[cfg(feature = "object")]
pub use open::open_bucket;
pub use open::{HostStores, Opened, Options, open, open_tier};
#[cfg(any(feature = "s3", feature = "gcs"))]
pub use services::Identities;
pub use settings::closest;
pub use undercroft_engine as engine;
pub use undercroft_stores as stores;
