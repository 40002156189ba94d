//! Python objects as values of the core.

use std::{any::Any, sync::Arc};

use pyo3::{
    prelude::*,
    sync::PyOnceLock,
    types::{PyBytes, PyDict, PyFrozenSet, PyList, PySet, PyString, PyTuple},
};
use undercroft::engine::Live;

/// A Python object that the core keeps without looking inside.
pub(crate) struct PyLive(pub(crate) Py<PyAny>);

/// Hands an object to the core.
pub(crate) fn live(object: &Bound<'_, PyAny>) -> Live {
    Arc::new(PyLive(object.clone().unbind()))
}

/// Returns the Python object that the core kept.
pub(crate) fn of(py: Python<'_>, live: &Live) -> Option<Py<PyAny>> {
    (&**live as &dyn Any).downcast_ref::<PyLive>().map(|live| live.0.clone_ref(py))
}

/// Containers are looked into this deep, and this far; the rest is reckoned from the part that was seen.
const DEPTH: usize = 8;
const ITEMS: usize = 512;

/// Estimates how many bytes an object takes, with what the built-in containers in it hold.
pub(crate) fn size(object: &Bound<'_, PyAny>) -> u64 {
    reckon(object, DEPTH).max(1)
}

fn own_size(object: &Bound<'_, PyAny>) -> u64 {
    static GETSIZEOF: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = object.py();
    if let Ok(bytes) = object.cast_exact::<PyBytes>() {
        return bytes.as_bytes().len() as u64 + 33;
    }
    let size = GETSIZEOF
        .get_or_try_init(py, || py.import("sys")?.getattr("getsizeof").map(Bound::unbind))
        .and_then(|getsizeof| getsizeof.bind(py).call1((object, 64))?.extract());
    // An object whose own `__sizeof__` fails counts as a small one.
    size.unwrap_or(64)
}

fn reckon(object: &Bound<'_, PyAny>, depth: usize) -> u64 {
    let own = own_size(object);
    if depth == 0 || object.is_exact_instance_of::<PyString>() || object.is_exact_instance_of::<PyBytes>() {
        return own;
    }
    let is_container = object.is_instance_of::<PyDict>()
        || object.is_instance_of::<PyList>()
        || object.is_instance_of::<PyTuple>()
        || object.is_instance_of::<PySet>()
        || object.is_instance_of::<PyFrozenSet>();
    if !is_container {
        // The attributes of an ordinary object.
        return object.getattr_opt("__dict__").ok().flatten().map_or(own, |attributes| own + reckon(&attributes, depth - 1));
    }
    let (Ok(length), Ok(items)) = (object.len(), object.try_iter()) else { return own };
    let (mut seen, mut sum) = (0u64, 0u64);
    for item in items.take(ITEMS).flatten() {
        sum += reckon(&item, depth - 1);
        if let Ok(value) = object.cast::<PyDict>().map_err(|_| ()).and_then(|dict| dict.get_item(&item).map_err(|_| ())) {
            sum += value.map_or(0, |value| reckon(&value, depth - 1));
        }
        seen += 1;
    }
    own + (sum * length as u64).checked_div(seen).unwrap_or(0)
}
