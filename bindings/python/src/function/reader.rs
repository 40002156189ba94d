//! A reader of one key: what `BGCache.get_reader` returns.

use pyo3::{
    PyTraverseError, PyVisit, ffi,
    prelude::*,
    types::{PyDict, PyTuple},
};

use super::{
    CachedFunction,
    call::{self, hit},
    quick::Call,
};

/// A callable without arguments that returns what a cached function has in memory, and else what `otherwise` returns.
#[pyclass(frozen, dict, weakref, module = "undercroft._native")]
pub struct Reader {
    vectorcall: ffi::vectorcallfunc,
    function: Py<CachedFunction>,
    otherwise: Py<PyAny>,
}

#[pymethods]
impl Reader {
    /// Makes one of a cached function without parameters.
    #[staticmethod]
    fn make<'py>(py: Python<'py>, function: Py<CachedFunction>, otherwise: Py<PyAny>) -> PyResult<Bound<'py, Self>> {
        call::callable!(py, 0, Self { vectorcall: call::as_vectorcall(read), function, otherwise })
    }

    /// What `function.__call__` is; a call goes through the slot of the type.
    #[pyo3(signature = (*args, **kwargs))]
    fn __call__<'py>(slf: &Bound<'py, Self>, args: &Bound<'py, PyTuple>, kwargs: Option<&Bound<'py, PyDict>>) -> PyResult<Bound<'py, PyAny>> {
        call::through_slot(slf.as_any(), args, kwargs)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.function)?;
        visit.call(&self.otherwise)
    }
}

/// Calls a reader.
///
/// # Safety
/// As PEP 590 says; `callable` is a [`Reader`].
unsafe extern "C-unwind" fn read(
    callable: *mut ffi::PyObject,
    args: *const *mut ffi::PyObject,
    nargsf: usize,
    kwnames: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: the caller's promise.
    unsafe {
        let py = Python::assume_attached();
        let reader = Bound::ref_from_ptr(py, &callable).cast_unchecked::<Reader>().get();
        let call = Call::new(args, ffi::PyVectorcall_NARGS(nargsf) as usize, kwnames);
        match hit(py, reader.function.get(), &call) {
            Some(result) => result,
            None => call::vectorcall(reader.otherwise.as_ptr(), args, nargsf, kwnames),
        }
    }
}
