//! What `undercroft.testing` is made of.

use std::sync::Arc;

use pyo3::{exceptions::PyValueError, prelude::*};
use undercroft::engine::{Clock, Code, layers, manual, time::from_seconds};

/// A clock that stands still until it is advanced.
#[pyclass(frozen, module = "undercroft._native")]
pub struct ManualClock(pub(crate) Arc<manual::ManualClock>);

#[pymethods]
impl ManualClock {
    #[new]
    fn new() -> Self {
        Self(Arc::default())
    }

    /// Lets seconds pass on both clocks.
    fn advance(&self, seconds: f64) -> PyResult<()> {
        let millis = from_seconds(seconds).ok_or_else(|| PyValueError::new_err("time does not run backwards"))?;
        self.0.advance(millis);
        Ok(())
    }

    /// Steps the wall clock alone.
    fn step_wall(&self, seconds: f64) {
        self.0.step_wall((seconds * 1000.0) as i64);
    }

    /// The wall-clock time in seconds since the epoch.
    fn wall(&self) -> f64 {
        self.0.wall() as f64 / 1000.0
    }
}

/// The failures that are planned for a far tier.
#[pyclass(frozen, module = "undercroft._native")]
pub struct Faults(pub(crate) layers::Faults);

#[pymethods]
impl Faults {
    /// Plans a fault: an error code, `hang` or `corrupt`; for some calls, or for ever.
    #[pyo3(signature = (fault, operation = "*", times = None))]
    fn plan(&self, fault: &str, operation: &str, times: Option<usize>) -> PyResult<()> {
        let fault = match fault {
            "hang" => layers::Fault::Hang,
            "corrupt" => layers::Fault::Corrupt,
            code => layers::Fault::Fail(Code::parse(code).ok_or_else(|| PyValueError::new_err(format!("unknown fault `{code}`")))?),
        };
        match times {
            Some(times) => self.0.next(operation, fault, times),
            None => self.0.always(operation, fault),
        }
        Ok(())
    }

    /// Ends all planned faults.
    fn heal(&self) {
        self.0.heal();
    }

    /// Lets hanging calls go on.
    fn release(&self) {
        self.0.release();
    }

    /// The operations called so far.
    fn calls(&self) -> Vec<String> {
        self.0.calls()
    }
}
