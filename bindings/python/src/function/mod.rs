//! The callable of a decorated function: one Rust object per function.
//!
//! A call builds the key, peeks the near tier and returns a fresh value: no runtime, no Python frame. Everything else
//! goes to the slow path, which is Python's (`undercroft._flight`): it runs the loader.

mod bound;
mod key;
mod template;

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use pyo3::{
    PyTraverseError, PyVisit,
    exceptions::PyAttributeError,
    prelude::*,
    types::{PyDict, PyString, PyTuple},
};

pub use bound::BoundFunction;
pub use template::check_template;

use crate::{
    bridge::Done,
    cache::{Cache, Shared},
    object,
};
use key::{KeyPlan, Keys};

/// A function with a cache in front of it.
#[pyclass(frozen, dict, weakref, module = "undercroft._native")]
pub struct CachedFunction {
    wrapped: Py<PyAny>,
    shared: Arc<Shared>,
    keys: Keys,
    slow: Py<PyAny>,
    is_async: bool,
    passes: bool,
    on_hit: Option<Py<PyAny>>,
    hits: AtomicU64,
    is_method: AtomicBool,
}

#[pymethods]
impl CachedFunction {
    /// `plan` says how keys are made (see `undercroft._keys`); `slow(key, args, kwargs)` is called where the near tier
    /// has no fresh value; with `passes` nothing is cached at all; `on_hit(key)` is told of hits.
    #[new]
    #[pyo3(signature = (wrapped, cache, plan, slow, *, is_async, is_method, passes = false, on_hit = None))]
    #[expect(clippy::too_many_arguments, reason = "keywords in Python")]
    fn new(
        wrapped: Py<PyAny>,
        cache: &Cache,
        plan: &Bound<'_, PyDict>,
        slow: Py<PyAny>,
        is_async: bool,
        is_method: bool,
        passes: bool,
        on_hit: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        Ok(Self {
            wrapped,
            shared: cache.shared.clone(),
            keys: Keys::new(plan)?,
            slow,
            is_async,
            passes,
            on_hit,
            hits: AtomicU64::new(0),
            is_method: AtomicBool::new(is_method),
        })
    }

    #[pyo3(signature = (*args, **kwargs))]
    fn __call__<'py>(&self, py: Python<'py>, args: &Bound<'py, PyTuple>, kwargs: Option<&Bound<'py, PyDict>>) -> PyResult<Bound<'py, PyAny>> {
        self.call(py, args, kwargs)
    }

    /// Returns the key of a call.
    #[pyo3(signature = (*args, **kwargs))]
    fn key_for(&self, py: Python<'_>, args: &Bound<'_, PyTuple>, kwargs: Option<&Bound<'_, PyDict>>) -> PyResult<String> {
        self.key(py, args, kwargs)
    }

    /// How often the near tier answered.
    #[getter]
    fn near_hits(&self) -> u64 {
        self.hits.load(Ordering::Relaxed)
    }

    fn __get__<'py>(slf: &Bound<'py, Self>, instance: Option<&Bound<'py, PyAny>>, _owner: Option<&Bound<'py, PyAny>>) -> PyResult<Bound<'py, PyAny>> {
        match instance.filter(|instance| !instance.is_none()) {
            None => Ok(slf.clone().into_any()),
            Some(instance) => Ok(Bound::new(slf.py(), BoundFunction::new(slf.clone().unbind(), instance.clone().unbind()))?.into_any()),
        }
    }

    /// Called when the function is found in a class body. Where it was defined there, its first parameter is the
    /// instance, whatever its name; a function from elsewhere that got another name there stays what it was.
    fn __set_name__(&self, py: Python<'_>, owner: &Bound<'_, PyAny>, name: &str) -> PyResult<()> {
        let defined: String = self.wrapped.bind(py).getattr("__qualname__")?.extract()?;
        let here = format!("{}.{name}", owner.getattr("__qualname__")?.extract::<String>()?);
        if defined == here {
            self.is_method.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    /// What a function has and this object has not is the wrapped function's: `__code__`, `__defaults__`, …
    fn __getattr__<'py>(&self, py: Python<'py>, name: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyAny>> {
        // A copy in the making asks for attributes before there is a function.
        if name.to_str()? == "__wrapped__" {
            return Ok(self.wrapped.bind(py).clone());
        }
        self.wrapped.bind(py).getattr(name).map_err(|_| PyAttributeError::new_err(format!("the cached function has no attribute `{name}`")))
    }

    fn __reduce__(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        // Pickled by reference, as functions are.
        Ok(slf.getattr("__qualname__")?.unbind())
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!("<cached {}>", self.wrapped.bind(py).repr()?))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.wrapped)?;
        visit.call(&self.slow)?;
        self.on_hit.iter().try_for_each(|on_hit| visit.call(on_hit))
    }
}

impl CachedFunction {
    fn key(&self, py: Python<'_>, args: &Bound<'_, PyTuple>, kwargs: Option<&Bound<'_, PyDict>>) -> PyResult<String> {
        let mut key = String::new();
        self.write_key(py, args, kwargs, &mut key)?;
        Ok(key)
    }

    fn write_key(&self, py: Python<'_>, args: &Bound<'_, PyTuple>, kwargs: Option<&Bound<'_, PyDict>>, key: &mut String) -> PyResult<()> {
        let method = usize::from(self.is_method.load(Ordering::Relaxed));
        match self.keys.write(py, method, args, kwargs, key) {
            Err(key::Unbound::Missing) => {
                // The call itself says best what is missing.
                self.wrapped.bind(py).call(args, kwargs)?;
                Err(pyo3::exceptions::PyTypeError::new_err("the arguments do not fill the key"))
            }
            Err(key::Unbound::Raised(raised)) => Err(raised),
            Ok(()) => Ok(()),
        }
    }

    pub(crate) fn call<'py>(&self, py: Python<'py>, args: &Bound<'py, PyTuple>, kwargs: Option<&Bound<'py, PyDict>>) -> PyResult<Bound<'py, PyAny>> {
        if self.passes {
            return self.wrapped.bind(py).call(args, kwargs);
        }
        let fixed = match &self.keys.plan {
            KeyPlan::Fixed(key) => Some(key),
            _ => None,
        };
        let mut made = String::new();
        let key: &str = match fixed {
            Some(key) => key,
            None => {
                made.reserve(48);
                self.write_key(py, args, kwargs, &mut made)?;
                &made
            }
        };
        if let Some(held) = self.shared.cache.peek(key)
            && let Some(value) = held.value.object().and_then(|live| object::of(py, live))
        {
            self.hits.fetch_add(1, Ordering::Relaxed);
            if let Some(on_hit) = &self.on_hit {
                on_hit.call1(py, (key,))?;
            }
            return if self.is_async { Ok(Bound::new(py, Done::of(value))?.into_any()) } else { Ok(value.into_bound(py)) };
        }
        let kwargs = match kwargs {
            Some(kwargs) => kwargs.clone(),
            None => PyDict::new(py),
        };
        self.slow.bind(py).call1((key, args, kwargs))
    }
}
