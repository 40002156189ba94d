//! The Python face of Undercroft: extract, build the future, bridge. Nothing is decided here.

mod arguments;
mod bridge;
mod cache;
mod codec;
mod done;
mod errors;
mod found;
mod function;
mod glance;
mod host_bucket;
mod host_store;
mod lent;
mod object;
mod process;
mod remains;
mod testing;
mod tier;
mod visits;

use pyo3::prelude::*;

/// The native half of the `undercroft` package.
#[pymodule(gil_used = false)]
mod _native {
    use pyo3::prelude::*;

    #[pymodule_export]
    use super::{
        arguments::{Ask, Policy},
        cache::Cache,
        found::{Found, Lease},
        function::{BoundFunction, CachedFunction, Reader, check_template},
        process::{after_in_child, after_in_parent, before_fork, flush_all},
        testing::{Faults, ManualClock, forget_near, put_far, read_envelope},
        tier::{Tier, codec_dumps, codec_loads},
    };

    #[pymodule_export]
    use super::contract;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        super::done::add_to(module)
    }
}

/// Returns the contract of the core as JSON.
#[pyfunction]
fn contract() -> String {
    undercroft::contract::contract().to_string()
}
