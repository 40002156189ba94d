//! Layers: a store around a store.

mod breaker;
pub mod dedupe;
pub mod fault;
pub mod guard;
pub mod shape;
mod squeeze;

use std::sync::Arc;

pub use dedupe::Dedupe;
pub use fault::{Fault, Faults};
pub use guard::Guard;
pub use shape::Shape;
pub use squeeze::Squeeze;

use crate::{env::Env, store::Store};

/// Wraps a store in a store.
pub trait Layer {
    /// Puts this layer around `inner`.
    fn wrap(&self, inner: Arc<dyn Store>, env: &Env) -> Arc<dyn Store>;
}
