//! Calling a cached function: PEP 590's vectorcall, with the arguments where the caller has them.
//!
//! A hit ends in [`hit`]: the key is written to the stack, a glance finds the entry, a reference to its value is
//! returned. Everything else prepares the long way and then calls Python.
//!
//! While Python runs the user's loader, the frame that called it holds nothing with a destructor: on Python 3.11 a
//! daemon thread that comes back to an interpreter which is shutting down is unwound by force, through this frame.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    ptr,
};

use pyo3::{
    ffi,
    prelude::*,
    types::{PyDict, PyString, PyTuple},
};

use undercroft::engine::{Code, Error};

use super::{
    CachedFunction,
    key::MOST_BOUND,
    memo::Asked,
    quick::{Call, Text},
};
use crate::{done::done, errors::exception};

// As PyO3 declares them, but such that an unwinding thread may pass.
unsafe extern "C-unwind" {
    #[cfg(Py_3_11)]
    fn PyObject_Vectorcall(callable: *mut ffi::PyObject, args: *const *mut ffi::PyObject, nargsf: usize, kwnames: *mut ffi::PyObject) -> *mut ffi::PyObject;
    #[cfg(not(Py_3_11))]
    fn PyObject_VectorcallDict(callable: *mut ffi::PyObject, args: *const *mut ffi::PyObject, nargsf: usize, kwargs: *mut ffi::PyObject) -> *mut ffi::PyObject;
    pub(super) fn PyMethod_New(function: *mut ffi::PyObject, instance: *mut ffi::PyObject) -> *mut ffi::PyObject;
}

/// Calls any object.
///
/// # Safety
/// As PEP 590 says.
#[cfg(Py_3_11)]
pub(super) unsafe fn vectorcall(
    callable: *mut ffi::PyObject,
    args: *const *mut ffi::PyObject,
    nargsf: usize,
    kwnames: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: the caller's promise.
    unsafe { PyObject_Vectorcall(callable, args, nargsf, kwnames) }
}

/// Calls any object. Python 3.10 has the function for it in its headers alone.
///
/// # Safety
/// As PEP 590 says.
#[cfg(not(Py_3_11))]
pub(super) unsafe fn vectorcall(
    callable: *mut ffi::PyObject,
    args: *const *mut ffi::PyObject,
    nargsf: usize,
    kwnames: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: the caller's promise; the values of keywords lie behind the other arguments.
    unsafe {
        if kwnames.is_null() {
            return PyObject_VectorcallDict(callable, args, nargsf, ptr::null_mut());
        }
        let kwargs = ffi::PyDict_New();
        for at in 0..ffi::PyTuple_GET_SIZE(kwnames) {
            let value = *args.add(ffi::PyVectorcall_NARGS(nargsf) as usize + at as usize);
            if kwargs.is_null() || ffi::PyDict_SetItem(kwargs, ffi::PyTuple_GET_ITEM(kwnames, at), value) != 0 {
                ffi::Py_XDECREF(kwargs);
                return ptr::null_mut();
            }
        }
        let result = PyObject_VectorcallDict(callable, args, nargsf, kwargs);
        ffi::Py_XDECREF(kwargs);
        result
    }
}

/// The type of a vectorcall that threads may be unwound through.
type Vectorcall = unsafe extern "C-unwind" fn(*mut ffi::PyObject, *const *mut ffi::PyObject, usize, *mut ffi::PyObject) -> *mut ffi::PyObject;

/// Makes an object of one of our classes that keep a `vectorcall`, and has the class called through that.
macro_rules! callable {
    ($py:expr, $flags:expr, $value:expr) => {{
        static QUICKENED: std::sync::Once = std::sync::Once::new();
        let made = Bound::new($py, $value)?;
        let offset = (&raw const made.get().vectorcall).addr() - made.as_ptr().addr();
        // SAFETY: this is the first object of the class, and it shows where all of them keep the function.
        QUICKENED.call_once(|| unsafe { $crate::function::call::quicken(<Self as pyo3::PyTypeInfo>::type_object_raw($py), offset, $flags) });
        Ok(made)
    }};
}
pub(super) use callable;

/// Has a type's objects called through `vectorcall`, which they keep at `offset`.
///
/// # Safety
/// The type is ready and PyO3's, none of its objects has been called yet, and each keeps a [`ffi::vectorcallfunc`] there.
pub(super) unsafe fn quicken(class: *mut ffi::PyTypeObject, offset: usize, flags: std::ffi::c_ulong) {
    // SAFETY: the caller's promise.
    unsafe {
        (*class).tp_vectorcall_offset = offset as ffi::Py_ssize_t;
        (*class).tp_call = Some(ffi::PyVectorcall_Call);
        (*class).tp_flags |= ffi::Py_TPFLAGS_HAVE_VECTORCALL | flags;
        ffi::PyType_Modified(class);
    }
}

/// Calls an object as the interpreter does.
pub(super) fn through_slot<'py>(object: &Bound<'py, PyAny>, args: &Bound<'py, PyTuple>, kwargs: Option<&Bound<'py, PyDict>>) -> PyResult<Bound<'py, PyAny>> {
    let kwargs = kwargs.map_or(ptr::null_mut(), |kwargs| kwargs.as_ptr());
    // SAFETY: all three are alive, and the type has a vectorcall since its first object was made.
    unsafe { Bound::from_owned_ptr_or_err(object.py(), ffi::PyVectorcall_Call(object.as_ptr(), args.as_ptr(), kwargs)) }
}

/// Gives a function the type that Python's headers know.
pub(super) const fn as_vectorcall(function: Vectorcall) -> ffi::vectorcallfunc {
    // SAFETY: the two differ only in what may happen when a thread is unwound.
    unsafe { std::mem::transmute::<Vectorcall, ffi::vectorcallfunc>(function) }
}

/// Calls a cached function.
///
/// # Safety
/// As PEP 590 says; `callable` is a [`CachedFunction`].
pub(super) unsafe extern "C-unwind" fn call(
    callable: *mut ffi::PyObject,
    args: *const *mut ffi::PyObject,
    nargsf: usize,
    kwnames: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: the caller's promise: the interpreter is attached, and what it passes is alive until this returns.
    unsafe {
        let py = Python::assume_attached();
        let function = Bound::ref_from_ptr(py, &callable).cast_unchecked::<CachedFunction>().get();
        let call = Call::new(args, ffi::PyVectorcall_NARGS(nargsf) as usize, kwnames);
        if let Some(result) = hit(py, function, &call) {
            return result;
        }
        match prepare(py, function, &call) {
            Next::Return(result) => result,
            Next::PassOn => vectorcall(function.wrapped.as_ptr(), args, nargsf, kwnames),
            Next::Load([key, args, kwargs]) => {
                // The first place is for the callee to use.
                let stack = [ptr::null_mut(), key, args, kwargs];
                let result = vectorcall(function.slow.as_ptr(), stack.as_ptr().add(1), 3 | ffi::PY_VECTORCALL_ARGUMENTS_OFFSET, ptr::null_mut());
                for object in [key, args, kwargs] {
                    ffi::Py_DECREF(object);
                }
                result
            }
        }
    }
}

/// Calls a cached function that has no parameters, one key, and nobody to tell of hits: what is left is the glance.
///
/// # Safety
/// As [`call`].
pub(super) unsafe extern "C-unwind" fn call_fixed(
    callable: *mut ffi::PyObject,
    args: *const *mut ffi::PyObject,
    nargsf: usize,
    kwnames: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: the caller's promise.
    unsafe {
        let py = Python::assume_attached();
        let function = Bound::ref_from_ptr(py, &callable).cast_unchecked::<CachedFunction>().get();
        if ffi::PyVectorcall_NARGS(nargsf) == 0
            && kwnames.is_null()
            && let Some((hash, key)) = &function.fixed
            && let Some(value) = function.shared.glance_at(py, *hash, key.as_bytes(), function.window, Some(&function.hits))
        {
            return value.into_ptr();
        }
        call(callable, args, nargsf, kwnames)
    }
}

/// Calls a cached function whose keys are made of one or two arguments: those that are plain find their entry.
///
/// # Safety
/// As [`call`].
pub(super) unsafe extern "C-unwind" fn call_few(
    callable: *mut ffi::PyObject,
    args: *const *mut ffi::PyObject,
    nargsf: usize,
    kwnames: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: the caller's promise.
    unsafe {
        let py = Python::assume_attached();
        let function = Bound::ref_from_ptr(py, &callable).cast_unchecked::<CachedFunction>().get();
        let call = Call::new(args, ffi::PyVectorcall_NARGS(nargsf) as usize, kwnames);
        let mut bound = [ptr::null_mut(); MOST_BOUND];
        if let (Some(few), Some(near)) = (&function.few, &function.shared.near)
            && function.keys.parameters.bind(&call, &mut bound)
            && let Some(asked) = Asked::of(few, function.method(), &bound)
            && let Some(glance) = function.memo.find(near, &asked)
            && let Some(value) = function.shared.taken(py, &glance, function.window, Some(&function.hits))
        {
            return function.returned(py, glance.key().as_bytes(), value);
        }
        self::call(callable, args, nargsf, kwnames)
    }
}

/// Returns the result of a call that a glance can answer; null with an exception set when telling of the hit failed.
#[inline]
pub(super) fn hit(py: Python<'_>, function: &CachedFunction, call: &Call<'_>) -> Option<*mut ffi::PyObject> {
    if function.passes || !function.keys.fits(call) {
        return None;
    }
    let (shared, window, hits) = (&*function.shared, function.window, Some(&function.hits));
    if let Some((hash, key)) = &function.fixed {
        let value = shared.glance_at(py, *hash, key.as_bytes(), window, hits)?;
        return Some(function.returned(py, key.as_bytes(), value));
    }
    let mut text = Text::new();
    function.quick.as_ref()?.write(&function.keys, function.method(), call, &mut text)?;
    let mut bound = [ptr::null_mut(); MOST_BOUND];
    let asked = match &function.few {
        Some(few) if function.keys.parameters.bind(call, &mut bound) => Asked::of(few, function.method(), &bound),
        _ => None,
    };
    let (Some(asked), Some(near)) = (asked, &shared.near) else {
        let value = shared.glance(py, text.as_bytes(), window, hits)?;
        return Some(function.returned(py, text.as_bytes(), value));
    };
    // SAFETY: the interpreter's lock is held; see `Shared::glance_at`.
    let (glance, recall) = unsafe { near.glance_to_recall(near.hash(text.as_bytes()), text.as_bytes()) }?;
    let value = shared.taken(py, &glance, window, hits)?;
    // SAFETY: as above.
    unsafe { function.memo.keep(near, &asked, recall) };
    Some(function.returned(py, text.as_bytes(), value))
}

/// What remains to be done when a glance was not enough.
enum Next {
    /// Return this, or null for an exception that is set.
    Return(*mut ffi::PyObject),
    /// Call the wrapped function as it is.
    PassOn,
    /// Call the slow path with a key, the arguments, and the keyword arguments; these are references to give back.
    Load([*mut ffi::PyObject; 3]),
}

fn prepare(py: Python<'_>, function: &CachedFunction, call: &Call<'_>) -> Next {
    if function.passes || !function.keys.fits(call) {
        // What does not fit the signature raises, and the wrapped function says best why.
        return Next::PassOn;
    }
    match catch_unwind(AssertUnwindSafe(|| by_key(py, function, call))) {
        Ok(Ok(next)) => next,
        Ok(Err(error)) => Next::Return(restored(py, Err(error))),
        Err(_) => Next::Return(restored(py, Err(exception(py, &Error::new(Code::Internal, "panic while a key was made"))))),
    }
}

/// Makes the key with whatever Python code that takes, and looks again: this is the hit of calls that are not plain.
fn by_key(py: Python<'_>, function: &CachedFunction, call: &Call<'_>) -> PyResult<Next> {
    let object = |pointer: &*mut ffi::PyObject| {
        // SAFETY: the arguments of the call are alive.
        unsafe { Bound::from_borrowed_ptr(py, *pointer) }
    };
    let args = PyTuple::new(py, call.args.iter().map(object))?;
    let kwargs = PyDict::new(py);
    for (name, value) in call.names.iter().zip(call.values) {
        kwargs.set_item(object(name), object(value))?;
    }
    let mut key = String::new();
    function.write_key(py, &args, Some(&kwargs), &mut key)?;
    if let Some(value) = function.shared.glance(py, key.as_bytes(), function.window, Some(&function.hits)) {
        return Ok(Next::Return(function.answer(py, PyString::new(py, &key), value)?.into_ptr()));
    }
    Ok(Next::Load([PyString::new(py, &key).into_ptr(), args.into_ptr(), kwargs.into_ptr()]))
}

impl CachedFunction {
    #[inline(always)]
    fn returned(&self, py: Python<'_>, key: &[u8], value: Py<PyAny>) -> *mut ffi::PyObject {
        if self.on_hit.is_none() && !self.is_async { value.into_ptr() } else { self.answered(py, key, value) }
    }

    fn answered(&self, py: Python<'_>, key: &[u8], value: Py<PyAny>) -> *mut ffi::PyObject {
        if self.on_hit.is_none() {
            return restored(py, done(py, Ok(value)));
        }
        let key = std::str::from_utf8(key).expect("keys are made of text");
        restored(py, self.answer(py, PyString::new(py, key), value))
    }

    /// Makes the answer of a hit, and tells whoever wants to know.
    fn answer(&self, py: Python<'_>, key: Bound<'_, PyString>, value: Py<PyAny>) -> PyResult<Py<PyAny>> {
        if let Some(on_hit) = &self.on_hit {
            on_hit.call1(py, (key,))?;
        }
        if self.is_async { done(py, Ok(value)) } else { Ok(value) }
    }
}

fn restored(py: Python<'_>, result: PyResult<Py<PyAny>>) -> *mut ffi::PyObject {
    match result {
        Ok(value) => value.into_ptr(),
        Err(error) => {
            error.restore(py);
            ptr::null_mut()
        }
    }
}
