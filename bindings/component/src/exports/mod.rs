//! What the component exports: one file for each interface. A function extracts, waits, and makes records.

mod cache;
mod chain;
mod codecs;
mod keyvalue;
mod lease;
mod stats;
mod stores;
mod testing;

use crate::bindings::exports::undercroft::cache::types as wit;

/// The component.
pub(crate) struct Component;

/// The result of an export.
type Answer<T> = Result<T, wit::Error>;
