//! The environment of the core on WASI.

mod clock;
#[cfg(feature = "object")]
mod happens;
#[cfg(feature = "object")]
mod http;
#[cfg(feature = "object")]
mod identities;
#[cfg(feature = "middleware")]
mod keyvalue;
mod reactor;

use std::sync::{Arc, OnceLock};

use undercroft::{Options, engine::Env};

pub(crate) use reactor::block_on;

/// Returns the environment of this instance.
pub(crate) fn env() -> &'static Env {
    static ENV: OnceLock<Env> = OnceLock::new();
    ENV.get_or_init(|| Env {
        clock: Arc::new(clock::WasiClock),
        #[cfg(feature = "object")]
        http: Arc::new(http::WasiHttp),
        #[cfg(not(feature = "object"))]
        http: Arc::new(undercroft::engine::http::NoHttp),
        spawn: Arc::new(reactor::Tasks),
        random: Arc::new(clock::WasiRandom),
    })
}

/// Returns how caches and stores are opened here.
pub(crate) fn options() -> Options {
    Options {
        #[cfg(feature = "object")]
        identities: Some(Arc::new(identities::FromVariables)),
        #[cfg(feature = "middleware")]
        host: Some(Arc::new(keyvalue::HostKeyValue)),
        variables: Some(variable),
        ..Options::default()
    }
}

/// Looks a variable of the environment up (`wasi:cli/environment`).
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
