//! What the tests of the component share: the builds under test, a clock that is set by hand, and the cases.
#![allow(clippy::unwrap_used, reason = "a test that is not what it should be ends")]

pub mod case;
pub mod clock;
pub mod consumer;
pub mod server;

use std::{path::PathBuf, sync::OnceLock};

use undercroft_host::{Host, Metering};

/// Which build of the component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Build {
    /// With every store.
    Full,
    /// With memory alone.
    Memory,
    /// Over a key-value store of the host's.
    Middleware,
}

/// Returns the file of a build. `make component` writes them all.
///
/// # Panics
/// When `UNDERCROFT_COMPONENTS` does not name their folder.
pub fn file(name: &str) -> PathBuf {
    let folder = std::env::var_os("UNDERCROFT_COMPONENTS").expect("UNDERCROFT_COMPONENTS names the folder of the components: run `make test-component`");
    let file = PathBuf::from(folder).join(name);
    assert!(file.is_file(), "{} is missing: run `make component`", file.display());
    file
}

impl Build {
    /// Returns the file.
    pub fn file(self) -> PathBuf {
        file(match self {
            Build::Full => "undercroft.wasm",
            Build::Memory => "undercroft-memory.wasm",
            Build::Middleware => "undercroft-middleware.wasm",
        })
    }

    /// Returns a host of this build, compiled once for all tests of the process.
    pub fn host(self) -> &'static Host {
        static HOSTS: [OnceLock<Host>; 3] = [const { OnceLock::new() }; 3];
        HOSTS[self as usize].get_or_init(|| Host::load(self.file()).unwrap())
    }

    /// Returns a host that meters calls.
    pub fn metered(self, metering: Metering) -> Host {
        Host::builder().metering(metering).load(self.file()).unwrap()
    }
}
