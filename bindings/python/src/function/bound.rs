//! A cached function bound to an instance: a method.

use pyo3::{
    PyTraverseError, PyVisit,
    basic::CompareOp,
    prelude::*,
    types::{PyCFunction, PyDict, PyString, PyTuple},
};

use super::CachedFunction;

/// What the function offers beside being called; each takes the instance first.
const WITH_INSTANCE: &[&str] = &["invalidate", "refresh", "expire", "key_for"];

/// A cached function with its first argument.
#[pyclass(frozen, weakref, module = "undercroft._native")]
pub struct BoundFunction {
    function: Py<CachedFunction>,
    instance: Py<PyAny>,
}

impl BoundFunction {
    pub(crate) fn new(function: Py<CachedFunction>, instance: Py<PyAny>) -> Self {
        Self { function, instance }
    }

    fn with_instance<'py>(&self, py: Python<'py>, args: &Bound<'py, PyTuple>) -> PyResult<Bound<'py, PyTuple>> {
        let mut all = Vec::with_capacity(args.len() + 1);
        all.push(self.instance.bind(py).clone());
        all.extend(args.iter());
        PyTuple::new(py, all)
    }
}

#[pymethods]
impl BoundFunction {
    #[pyo3(signature = (*args, **kwargs))]
    fn __call__<'py>(&self, py: Python<'py>, args: &Bound<'py, PyTuple>, kwargs: Option<&Bound<'py, PyDict>>) -> PyResult<Bound<'py, PyAny>> {
        self.function.get().call(py, &self.with_instance(py, args)?, kwargs)
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
