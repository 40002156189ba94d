//! What the native bindings share: the environment on tokio, one runtime per process, and forks.

mod aws;
mod bridge;
mod clock;
pub mod gate;
mod http;
mod identities;
mod runtime;

pub use bridge::{Ready, attempt, run_detached, wait, wait_on_runtime};
pub use identities::identities;
pub use runtime::env;
