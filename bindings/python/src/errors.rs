//! Errors: records of the core become the exceptions of `undercroft.errors`.

use pyo3::{prelude::*, sync::PyOnceLock, types::PyDict};
use undercroft::engine::{Code, Error};

/// A Python exception as the cause of an error of the core.
#[derive(Debug)]
pub(crate) struct Raised(pub(crate) PyErr);

impl std::fmt::Display for Raised {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Raised {}

/// Turns an error of the core into an exception.
pub(crate) fn exception(py: Python<'_>, error: &Error) -> PyErr {
    static CLASSES: PyOnceLock<Py<PyDict>> = PyOnceLock::new();
    let build = || -> PyResult<PyErr> {
        let classes = CLASSES.get_or_try_init(py, || py.import("undercroft.errors")?.getattr("BY_CODE")?.extract::<Py<PyDict>>().map_err(PyErr::from))?;
        let class = classes.bind(py).as_any().get_item(error.code().as_str())?;
        let exception = PyErr::from_value(class.call1((error.message(), error.tier()))?);
        if let Some(raised) = error.cause().and_then(|cause| cause.downcast_ref::<Raised>()) {
            exception.set_cause(py, Some(raised.0.clone_ref(py)));
        }
        Ok(exception)
    };
    build().unwrap_or_else(|broken| broken)
}

/// Turns a result of the core into one of Python.
pub(crate) fn raise<T>(py: Python<'_>, result: Result<T, Error>) -> PyResult<T> {
    result.map_err(|error| exception(py, &error))
}

/// Makes an error of the core from an exception that a user's store or serializer raised.
pub(crate) fn from_raised(py: Python<'_>, raised: PyErr, what: &str) -> Error {
    let name = raised.get_type(py).name().map_or_else(|_| "an exception".into(), |name| name.to_string());
    Error::new(Code::Unavailable, format!("{what} raised `{name}`: {}", raised.value(py))).because(std::sync::Arc::new(Raised(raised)))
}
