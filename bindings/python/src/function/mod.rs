//! The callable of a decorated function: one Rust object per function.
//!
//! | file | idea |
//! |---|---|
//! | `call` | the call: a hit, or the way to the slow path, which is Python's (`undercroft._flight`) and runs the loader |
//! | `memo` | from the plain arguments of a call to its entry |
//! | `quick` | the key of a plain call, on the stack |
//! | `plain` | looking into plain arguments |
//! | `key`, `template` | the key of any call |
//! | `bound`, `reader` | the other callables: a method, and a reader of one key |

mod bound;
mod call;
mod key;
mod memo;
mod plain;
mod quick;
mod reader;
mod template;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use pyo3::{
    PyTraverseError, PyVisit,
    exceptions::PyAttributeError,
    ffi,
    prelude::*,
    types::{PyDict, PyString, PyTuple},
};

pub use bound::BoundFunction;
pub use reader::Reader;
pub use template::check_template;
use undercroft::engine::time::Millis;

use crate::{
    arguments::Ask,
    cache::{Cache, Shared},
    glance::Glances,
};
use key::Keys;
use memo::Memo;
use quick::{Few, Quick};

/// A function with a cache in front of it.
#[pyclass(frozen, dict, weakref, module = "undercroft._native")]
pub struct CachedFunction {
    vectorcall: ffi::vectorcallfunc,
    wrapped: Py<PyAny>,
    shared: Arc<Shared>,
    keys: Keys,
    /// The key that every call has, if they all have the same, after its hash.
    fixed: Option<(u64, String)>,
    quick: Option<Quick>,
    few: Option<Few>,
    memo: Memo,
    slow: Py<PyAny>,
    /// For how long after freshness stale values are taken.
    window: Millis,
    is_async: bool,
    passes: bool,
    on_hit: Option<Py<PyAny>>,
    hits: Glances,
    is_method: AtomicBool,
}

#[pymethods]
impl CachedFunction {
    /// Makes one. `plan` says how keys are made (see `undercroft._keys`); `slow(key, args, kwargs)` is called where the near
    /// tier has nothing to return at once; with `passes` nothing is cached at all; `on_hit(key)` is told of hits.
    #[staticmethod]
    #[pyo3(signature = (wrapped, cache, ask, plan, slow, *, is_async, is_method, passes = false, on_hit = None))]
    #[expect(clippy::too_many_arguments, reason = "keywords in Python")]
    fn make<'py>(
        py: Python<'py>,
        wrapped: Py<PyAny>,
        cache: &Cache,
        ask: &Ask,
        plan: &Bound<'_, PyDict>,
        slow: Py<PyAny>,
        is_async: bool,
        is_method: bool,
        passes: bool,
        on_hit: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, Self>> {
        let keys = Keys::new(plan)?;
        let quick = Quick::of(&keys);
        let is_bare = keys.fixed().is_some() && keys.parameters.texts().is_empty() && !is_async && !passes && on_hit.is_none();
        let has_few = quick.as_ref().is_some_and(|quick| quick.few().is_some()) && !passes;
        let vectorcall = match (is_bare, has_few) {
            (true, _) => call::call_fixed,
            (_, true) => call::call_few,
            _ => call::call,
        };
        // A descriptor of methods: `__get__` binds the first argument.
        call::callable!(
            py,
            ffi::Py_TPFLAGS_METHOD_DESCRIPTOR,
            Self {
                vectorcall: call::as_vectorcall(vectorcall),
                wrapped,
                shared: cache.shared.clone(),
                fixed: keys.fixed().map(|key| (cache.shared.near.as_ref().map_or(0, |near| near.hash(key.as_bytes())), key.to_owned())),
                few: quick.as_ref().and_then(Quick::few),
                quick,
                memo: Memo::default(),
                keys,
                slow,
                window: ask.0.policy.window(),
                is_async,
                passes,
                on_hit,
                hits: Glances::default(),
                is_method: AtomicBool::new(is_method),
            }
        )
    }

    /// What `function.__call__` is; a call goes through the slot of the type.
    #[pyo3(signature = (*args, **kwargs))]
    fn __call__<'py>(slf: &Bound<'py, Self>, args: &Bound<'py, PyTuple>, kwargs: Option<&Bound<'py, PyDict>>) -> PyResult<Bound<'py, PyAny>> {
        call::through_slot(slf.as_any(), args, kwargs)
    }

    /// Returns the key of a call.
    #[pyo3(signature = (*args, **kwargs))]
    fn key_for(&self, py: Python<'_>, args: &Bound<'_, PyTuple>, kwargs: Option<&Bound<'_, PyDict>>) -> PyResult<String> {
        self.key(py, args, kwargs)
    }

    /// How often the near tier answered by itself: `(fresh, stale)`.
    #[getter]
    fn near_hits(&self) -> (u64, u64) {
        (self.hits.fresh(), self.hits.stale())
    }

    fn __get__<'py>(slf: &Bound<'py, Self>, instance: Option<&Bound<'py, PyAny>>, _owner: Option<&Bound<'py, PyAny>>) -> PyResult<Bound<'py, PyAny>> {
        match instance.filter(|instance| !instance.is_none()) {
            None => Ok(slf.clone().into_any()),
            Some(instance) => Ok(BoundFunction::make(slf.py(), slf.clone().unbind(), instance.clone().unbind())?.into_any()),
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
        match self.keys.write(py, self.method(), args, kwargs, key) {
            Err(key::Unbound::Missing) => {
                // The call itself says best what is missing.
                self.wrapped.bind(py).call(args, kwargs)?;
                Err(pyo3::exceptions::PyTypeError::new_err("the arguments do not fill the key"))
            }
            Err(key::Unbound::Raised(raised)) => Err(raised),
            Ok(()) => Ok(()),
        }
    }

    fn method(&self) -> usize {
        usize::from(self.is_method.load(Ordering::Relaxed))
    }
}
