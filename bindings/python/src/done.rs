//! An awaitable that is already complete: what an async hit returns.
//!
//! It has the methods of a coroutine, so that tasks accept it. Awaiting it takes two steps of the interpreter, which go
//! through slots of the type; those are functions of our own instead of PyO3's, which cost more than the hit.

use parking_lot::Mutex;
use pyo3::{PyTypeInfo, exceptions::PyStopIteration, ffi, prelude::*, types::PyTuple};

/// An awaitable that is already complete. It has the methods of a coroutine, so that tasks accept it.
#[pyclass(frozen, module = "undercroft._native")]
pub struct Done {
    result: Mutex<Option<PyResult<Py<PyAny>>>>,
}

impl Done {
    pub(crate) fn of(py: Python<'_>, result: PyResult<Py<PyAny>>) -> PyResult<Py<PyAny>> {
        Ok(Py::new(py, Self { result: Mutex::new(Some(result)) })?.into_any())
    }

    fn take(&self) -> PyResult<Py<PyAny>> {
        let taken = self.result.lock().take();
        taken.unwrap_or_else(|| Err(pyo3::exceptions::PyRuntimeError::new_err("cannot reuse already awaited coroutine")))
    }

    /// Returns the value as the exception that ends an iteration.
    fn finish(&self, py: Python<'_>) -> PyErr {
        match self.take() {
            // A tuple around it: an exception unpacks a bare tuple into several arguments.
            Ok(value) => match PyTuple::new(py, [value]) {
                Ok(arguments) => PyStopIteration::new_err(arguments.unbind()),
                Err(error) => error,
            },
            Err(error) => error,
        }
    }
}

#[pymethods]
impl Done {
    fn __await__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Err(self.finish(py))
    }

    /// Ends at once with the value, as a coroutine that has nothing to wait for.
    fn send(&self, py: Python<'_>, _value: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        Err(self.finish(py))
    }

    /// Raises what is thrown in.
    #[pyo3(signature = (kind, value = None, _traceback = None))]
    fn throw(&self, kind: &Bound<'_, PyAny>, value: Option<&Bound<'_, PyAny>>, _traceback: Option<&Bound<'_, PyAny>>) -> PyResult<Py<PyAny>> {
        drop(self.result.lock().take());
        Err(match value {
            Some(value) => PyErr::from_value(value.clone()),
            None => PyErr::from_value(kind.clone()),
        })
    }

    /// Drops the value.
    fn close(&self) {
        drop(self.result.lock().take());
    }
}

/// Puts our own functions into the slots that an `await` goes through.
pub(crate) fn quicken(py: Python<'_>) {
    let class = Done::type_object_raw(py);
    // SAFETY: the type is ready, it is ours, nobody has made an object of it yet, and each function does what the slot
    // says. PyO3 has filled the table of async slots because of `__await__`.
    unsafe {
        (*class).tp_iternext = Some(next);
        (*class).tp_iter = Some(itself);
        let waiting = (*class).tp_as_async;
        (*waiting).am_await = Some(itself);
        (*waiting).am_send = Some(send);
    }
}

unsafe extern "C" fn itself(object: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: the interpreter passes a live object.
    unsafe { ffi::Py_NewRef(object) }
}

/// Takes the value out. Returns null with an exception set when there is none.
unsafe fn take(object: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: the interpreter calls slots attached, with an object of their type.
    let (py, done) = unsafe {
        let py = Python::assume_attached();
        (py, Bound::ref_from_ptr(py, &object).cast_unchecked::<Done>())
    };
    match done.get().take() {
        Ok(value) => value.into_ptr(),
        Err(error) => {
            error.restore(py);
            std::ptr::null_mut()
        }
    }
}

/// From Python 3.10 to 3.11 an `await` sends: the value comes back without an exception around it.
unsafe extern "C" fn send(object: *mut ffi::PyObject, _value: *mut ffi::PyObject, result: *mut *mut ffi::PyObject) -> ffi::PySendResult {
    // SAFETY: as the slot promises.
    unsafe {
        *result = take(object);
        if (*result).is_null() { ffi::PySendResult::PYGEN_ERROR } else { ffi::PySendResult::PYGEN_RETURN }
    }
}

/// From Python 3.12 on an `await` iterates: the value comes back in the exception that ends it.
unsafe extern "C" fn next(object: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: as the slot promises.
    unsafe {
        let value = take(object);
        if value.is_null() {
            return value;
        }
        // An exception unpacks a tuple into several arguments, and an exception would be raised itself.
        if ffi::PyTuple_Check(value) != 0 || ffi::PyExceptionInstance_Check(value) != 0 {
            let arguments = ffi::PyTuple_Pack(1, value);
            if !arguments.is_null() {
                ffi::PyErr_SetObject(ffi::PyExc_StopIteration, arguments);
                ffi::Py_DECREF(arguments);
            }
        } else {
            ffi::PyErr_SetObject(ffi::PyExc_StopIteration, value);
        }
        ffi::Py_DECREF(value);
        std::ptr::null_mut()
    }
}
