//! A cached function bound to an instance: a method.

use pyo3::{
    PyTraverseError, PyVisit,
    basic::CompareOp,
    ffi,
    prelude::*,
    types::{PyCFunction, PyDict, PyString, PyTuple},
};

use super::{CachedFunction, call};

/// What the function offers beside being called; each takes the instance first.
const WITH_INSTANCE: &[&str] = &["invalidate", "refresh", "expire", "key_for"];

/// A cached function with its first argument.
#[pyclass(frozen, weakref, module = "undercroft._native")]
pub struct BoundFunction {
    vectorcall: ffi::vectorcallfunc,
    function: Py<CachedFunction>,
    instance: Py<PyAny>,
}

impl BoundFunction {
    pub(super) fn make<'py>(py: Python<'py>, function: Py<CachedFunction>, instance: Py<PyAny>) -> PyResult<Bound<'py, Self>> {
        call::callable!(py, 0, Self { vectorcall: call::as_vectorcall(call_bound), function, instance })
    }
}

/// How many arguments a call of a method may have without memory of its own.
const FEW: usize = 7;

/// Calls the function with the instance in front.
///
/// # Safety
/// As PEP 590 says; `callable` is a [`BoundFunction`].
unsafe extern "C-unwind" fn call_bound(
    callable: *mut ffi::PyObject,
    args: *const *mut ffi::PyObject,
    nargsf: usize,
    kwnames: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: the caller's promise; the stack has room for what is copied, and the tuple is let go of by whoever made it.
    unsafe {
        let bound = Bound::ref_from_ptr(Python::assume_attached(), &callable).cast_unchecked::<BoundFunction>().get();
        let count = ffi::PyVectorcall_NARGS(nargsf) as usize;
        let named = if kwnames.is_null() { 0 } else { ffi::PyTuple_GET_SIZE(kwnames) as usize };
        let mut stack = [bound.instance.as_ptr(); FEW + 1];
        if count + named <= FEW {
            std::ptr::copy_nonoverlapping(args, stack.as_mut_ptr().add(1), count + named);
            return call::call(bound.function.as_ptr(), stack.as_ptr(), count + 1, kwnames);
        }
        // Python's own way to put one in front: nothing here has to be freed when the thread is unwound.
        let method = call::PyMethod_New(bound.function.as_ptr(), bound.instance.as_ptr());
        if method.is_null() {
            return method;
        }
        let result = call::vectorcall(method, args, nargsf, kwnames);
        ffi::Py_DECREF(method);
        result
    }
}

#[pymethods]
impl BoundFunction {
    /// What `function.__call__` is; a call goes through the slot of the type.
    #[pyo3(signature = (*args, **kwargs))]
    fn __call__<'py>(slf: &Bound<'py, Self>, args: &Bound<'py, PyTuple>, kwargs: Option<&Bound<'py, PyDict>>) -> PyResult<Bound<'py, PyAny>> {
        call::through_slot(slf.as_any(), args, kwargs)
    }

    #[getter]
    fn __self__(&self, py: Python<'_>) -> Py<PyAny> {
        self.instance.clone_ref(py)
    }

    #[getter]
    fn __func__(&self, py: Python<'_>) -> Py<CachedFunction> {
        self.function.clone_ref(py)
    }

    #[getter]
    fn __wrapped__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        // The wrapped function as a method, so that its signature leaves the instance out.
        self.function.bind(py).getattr("__wrapped__")?.call_method1("__get__", (&self.instance,))
    }

    #[getter]
    fn __doc__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.function.bind(py).getattr("__doc__")
    }

    #[getter]
    fn __module__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.function.bind(py).getattr("__module__")
    }

    fn __getattr__<'py>(&self, py: Python<'py>, name: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyAny>> {
        let found = self.function.bind(py).getattr(name)?;
        if name.to_str()? == "skip" {
            // `skip(*names)` gives a callable, and that takes the instance.
            let (skip, instance) = (found.unbind(), self.instance.clone_ref(py));
            let bound = move |names: &Bound<'_, PyTuple>, _: Option<&Bound<'_, PyDict>>| -> PyResult<Py<PyAny>> {
                let py = names.py();
                let skipping = skip.bind(py).call1(names)?;
                Ok(py.import("functools")?.getattr("partial")?.call1((skipping, &instance))?.unbind())
            };
            return Ok(PyCFunction::new_closure(py, None, None, bound)?.into_any());
        }
        if !WITH_INSTANCE.contains(&name.to_str()?) {
            return Ok(found);
        }
        py.import("functools")?.getattr("partial")?.call1((found, &self.instance))
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        (py.import("builtins")?.getattr("getattr")?, (&self.instance, self.function.bind(py).getattr("__name__")?)).into_pyobject(py)
    }

    fn __richcmp__(&self, other: &Bound<'_, PyAny>, operation: CompareOp, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let same = other.cast::<Self>().is_ok_and(|other| self.function.is(&other.get().function) && self.instance.is(&other.get().instance));
        Ok(match operation {
            CompareOp::Eq => same.into_pyobject(py)?.to_owned().into_any().unbind(),
            CompareOp::Ne => (!same).into_pyobject(py)?.to_owned().into_any().unbind(),
            _ => py.NotImplemented(),
        })
    }

    fn __hash__(&self) -> isize {
        (self.function.as_ptr() as isize) ^ (self.instance.as_ptr() as isize).rotate_left(7)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!("<bound {} of {}>", self.function.bind(py).repr()?, self.instance.bind(py).repr()?))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.function)?;
        visit.call(&self.instance)
    }
}
