//! Python objects as values of the core.

use std::{
    any::Any,
    ptr::NonNull,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
};

use pyo3::{
    ffi,
    prelude::*,
    sync::PyOnceLock,
    types::{PyBytes, PyDict, PyFrozenSet, PyList, PySet, PyString, PyTuple},
};
use undercroft::engine::{
    Live, Value,
    near::{Glance, Held},
    value::{Object, Raw},
};

/// A Python object on its way to memory. It has references to spare: taking one needs no word with the interpreter,
/// which the thread that does so has let go of.
struct PyLive {
    object: Py<PyAny>,
    spare: AtomicU8,
}

/// One for each tier of memory in most chains. Without one, memory keeps the whole `PyLive`.
const SPARE: u8 = 2;

/// Hands an object to the core.
pub(crate) fn live(object: &Bound<'_, PyAny>) -> Live {
    for _ in 0..SPARE {
        std::mem::forget(object.clone());
    }
    Arc::new(PyLive { object: object.clone().unbind(), spare: AtomicU8::new(SPARE) })
}

impl Object for PyLive {
    fn raw(&self) -> Option<Raw> {
        self.spare.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).ok()?;
        // SAFETY: objects are aligned, the reference is one that was to spare, and all of this process say `release`.
        Some(unsafe { Raw::new(NonNull::new_unchecked(self.object.as_ptr().cast()), release) })
    }
}

impl Drop for PyLive {
    fn drop(&mut self) {
        for _ in 0..*self.spare.get_mut() {
            // SAFETY: a reference that nobody took.
            unsafe { release(NonNull::new_unchecked(self.object.as_ptr().cast())) };
        }
    }
}

/// Hands a reference to an object to memory.
pub(crate) fn raw(object: &Bound<'_, PyAny>) -> Raw {
    let pointer = object.clone().into_ptr().cast::<()>();
    // SAFETY: objects are aligned and not null, the reference is the clone's, and all of this process say `release`.
    unsafe { Raw::new(NonNull::new_unchecked(pointer), release) }
}

/// Gives a reference back; where the thread is not attached, PyO3 keeps it until one is.
unsafe fn release(pointer: NonNull<()>) {
    // SAFETY: the token is used for nothing but to name the reference, which the caller gives away.
    drop(unsafe { Bound::from_owned_ptr(Python::assume_attached(), pointer.as_ptr().cast::<ffi::PyObject>()) }.unbind());
}

/// Makes a value of an object, without its bytes.
pub(crate) fn value(object: &Bound<'_, PyAny>, size: u64) -> Value {
    Value::live(live(object), size)
}

/// Returns the Python object that the core kept.
pub(crate) fn of(py: Python<'_>, live: &Live) -> Option<Py<PyAny>> {
    let any: &dyn Any = &**live;
    if let Some(live) = any.downcast_ref::<PyLive>() {
        return Some(live.object.clone_ref(py));
    }
    let held = any.downcast_ref::<Held>()?;
    match held.raw() {
        // SAFETY: every pointer that memory keeps in this process is to a Python object, and `held` keeps it alive.
        Some(pointer) => Some(unsafe { Bound::from_borrowed_ptr(py, pointer.as_ptr().cast()) }.unbind()),
        None => of(py, held.value().object()?),
    }
}

/// Returns the object that a glance shows.
#[inline(always)]
pub(crate) fn seen(py: Python<'_>, glance: &Glance<'_>) -> Option<Py<PyAny>> {
    match glance.raw() {
        // SAFETY: as above, and the glance is not over.
        Some(pointer) => Some(unsafe { Bound::from_borrowed_ptr(py, pointer.as_ptr().cast()) }.unbind()),
        None => boxed(py, glance),
    }
}

#[cold]
fn boxed(py: Python<'_>, glance: &Glance<'_>) -> Option<Py<PyAny>> {
    of(py, glance.value()?.object()?)
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
