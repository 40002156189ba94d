//! What the native bindings share: the environment on tokio, one runtime per process, and forks.

mod bridge;
mod clock;
pub mod gate;
mod runtime;

pub use bridge::{Ready, attempt, run_detached, wait};
pub use runtime::env;
