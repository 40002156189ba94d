//! A reader of one key: what `BGCache.get_reader` returns.

use std::sync::Once;

use pyo3::{
    PyTraverseError, PyTypeInfo, PyVisit, ffi,
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
        static QUICKENED: Once = Once::new();
        let made = Bound::new(py, Self { vectorcall: call::as_vectorcall(read), function, otherwise })?;
        let offset = (&raw const made.get().vectorcall).addr() - made.as_ptr().addr();
        // SAFETY: this is the first object of the type, and it shows where all of them keep the function.
        QUICKENED.call_once(|| unsafe { call::quicken(Self::type_object_raw(py), offset, 0) });
        Ok(made)
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
