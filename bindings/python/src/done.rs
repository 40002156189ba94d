//! An awaitable that is already complete: what an async hit returns.
//!
//! It has the methods of a coroutine, so that tasks accept it. Making one and awaiting it must cost less than the hit, so
//! the type is made by hand: an object of three words, and slots that the interpreter calls without anything between.

use std::{
    ffi::{CStr, c_int, c_void},
    mem, ptr,
    sync::atomic::{AtomicPtr, Ordering},
};

use pyo3::{ffi, prelude::*, sync::PyOnceLock, types::PyType};

/// One object. The result is there until it is taken.
#[repr(C)]
struct Done {
    base: ffi::PyObject,
    /// A value, or an exception to raise; null when it was taken.
    result: AtomicPtr<ffi::PyObject>,
    raises: bool,
}

const NAME: &CStr = c"undercroft._native.Done";
const DOC: &CStr = c"An awaitable that is already complete. It has the methods of a coroutine, so that tasks accept it.";
const REUSED: &CStr = c"cannot reuse already awaited coroutine";

/// Returns an awaitable of `result`.
///
/// # Errors
/// When there is no memory for it.
#[inline]
pub(crate) fn done(py: Python<'_>, result: PyResult<Py<PyAny>>) -> PyResult<Py<PyAny>> {
    let (result, raises) = match result {
        Ok(value) => (value, false),
        Err(error) => (error.into_value(py).into_any(), true),
    };
    let class = class(py)?;
    // SAFETY: the type is ours and its objects are laid out as `Done`.
    unsafe {
        let object = ffi::PyObject_New::<ffi::PyObject>(class);
        if object.is_null() {
            return Err(PyErr::fetch(py));
        }
        let done = object.cast::<Done>();
        (&raw mut (*done).result).write(AtomicPtr::new(result.into_ptr()));
        (&raw mut (*done).raises).write(raises);
        Ok(Bound::from_owned_ptr(py, object).unbind())
    }
}

/// Adds the type to a module.
pub(crate) fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    // SAFETY: a type is an object, and this one lives for ever.
    let class = unsafe { Bound::from_borrowed_ptr(py, class(py)?.cast()) };
    module.add("Done", class)
}

#[inline]
fn class(py: Python<'_>) -> PyResult<*mut ffi::PyTypeObject> {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    Ok(CLASS.get_or_try_init(py, || make(py))?.as_ptr().cast())
}

fn make(py: Python<'_>) -> PyResult<Py<PyType>> {
    let method = |name: &'static CStr, meth: ffi::PyCFunction, flags, doc: &'static CStr| ffi::PyMethodDef {
        ml_name: name.as_ptr(),
        ml_meth: ffi::PyMethodDefPointer { PyCFunction: meth },
        ml_flags: flags,
        ml_doc: doc.as_ptr(),
    };
    // For ever: the type keeps the address.
    let methods = Box::leak(Box::new([
        method(c"send", send, ffi::METH_O, c"send($self, value, /)\n--\n\nEnds at once with the value."),
        method(c"throw", throw, ffi::METH_VARARGS, c"Raises what is thrown in."),
        method(c"close", close, ffi::METH_NOARGS, c"close($self, /)\n--\n\nDrops the value."),
        ffi::PyMethodDef::zeroed(),
    ]));
    let slot = |slot: c_int, function: *const c_void| ffi::PyType_Slot { slot, pfunc: function.cast_mut() };
    let mut slots = [
        slot(ffi::Py_tp_dealloc, dealloc as *const c_void),
        slot(ffi::Py_tp_iter, itself as *const c_void),
        slot(ffi::Py_tp_iternext, next as *const c_void),
        slot(ffi::Py_am_await, itself as *const c_void),
        slot(ffi::Py_am_send, resume as *const c_void),
        slot(ffi::Py_tp_methods, methods.as_ptr().cast()),
        slot(ffi::Py_tp_doc, DOC.as_ptr().cast()),
        slot(0, ptr::null()),
    ];
    let mut spec = ffi::PyType_Spec {
        name: NAME.as_ptr(),
        basicsize: mem::size_of::<Done>() as c_int,
        itemsize: 0,
        flags: (ffi::Py_TPFLAGS_DEFAULT | ffi::Py_TPFLAGS_IMMUTABLETYPE | ffi::Py_TPFLAGS_DISALLOW_INSTANTIATION) as u32,
        slots: slots.as_mut_ptr(),
    };
    // SAFETY: the table ends with a zero, and every function does what its slot says.
    let made = unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyType_FromSpec(&raw mut spec)) }?;
    Ok(made.cast_into::<PyType>()?.unbind())
}

// SAFETY of all below: the interpreter calls slots and methods attached, with an object of the type.

unsafe extern "C" fn dealloc(object: *mut ffi::PyObject) {
    unsafe {
        let class = ffi::Py_TYPE(object);
        ffi::Py_XDECREF(taken(object));
        ffi::PyObject_Free(object.cast());
        // Objects of types made at run time keep their type alive.
        ffi::Py_DECREF(class.cast());
    }
}

unsafe extern "C" fn itself(object: *mut ffi::PyObject) -> *mut ffi::PyObject {
    unsafe { ffi::Py_NewRef(object) }
}

/// Takes the result out; null when it was taken before.
#[inline(always)]
unsafe fn taken(object: *mut ffi::PyObject) -> *mut ffi::PyObject {
    let result = unsafe { &(*object.cast::<Done>()).result };
    if cfg!(Py_GIL_DISABLED) {
        return result.swap(ptr::null_mut(), Ordering::AcqRel);
    }
    // With the interpreter's lock held nobody comes between the two.
    let taken = result.load(Ordering::Relaxed);
    result.store(ptr::null_mut(), Ordering::Relaxed);
    taken
}

/// Takes the value out. Returns null with an exception set when there is none.
#[inline(always)]
unsafe fn take(object: *mut ffi::PyObject) -> *mut ffi::PyObject {
    unsafe {
        let result = taken(object);
        if result.is_null() {
            ffi::PyErr_SetString(ffi::PyExc_RuntimeError, REUSED.as_ptr());
        } else if (*object.cast::<Done>()).raises {
            ffi::PyErr_SetObject(ffi::Py_TYPE(result).cast(), result);
            ffi::Py_DECREF(result);
            return ptr::null_mut();
        }
        result
    }
}

/// From Python 3.10 to 3.11 an `await` sends, and so do tasks: the value comes back as it is.
unsafe extern "C" fn resume(object: *mut ffi::PyObject, _value: *mut ffi::PyObject, result: *mut *mut ffi::PyObject) -> ffi::PySendResult {
    unsafe {
        *result = take(object);
        if (*result).is_null() { ffi::PySendResult::PYGEN_ERROR } else { ffi::PySendResult::PYGEN_RETURN }
    }
}

/// From Python 3.12 on an `await` iterates: the value comes back in the exception that ends it.
unsafe extern "C" fn next(object: *mut ffi::PyObject) -> *mut ffi::PyObject {
    unsafe {
        let value = take(object);
        if !value.is_null() {
            stop(value);
        }
        ptr::null_mut()
    }
}

/// Raises `StopIteration` with a value, which is given away, as Python code would.
unsafe fn stop_as_usual(value: *mut ffi::PyObject) {
    unsafe {
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
    }
}

/// Raises `StopIteration` with a value, which is given away.
///
/// The exception is made without a call of its type: that would build a tuple of arguments and take it apart again, for
/// an exception that the interpreter throws away a moment later.
#[cfg(all(Py_3_12, not(PyPy), not(GraalPy)))]
#[inline(always)]
unsafe fn stop(value: *mut ffi::PyObject) {
    unsafe {
        let class = ffi::PyExc_StopIteration.cast::<ffi::PyTypeObject>();
        let none = ffi::PyTuple_New(0);
        let exception = match (*class).tp_new {
            Some(new) if !none.is_null() => new(class, none, ptr::null_mut()),
            _ => ptr::null_mut(),
        };
        ffi::Py_XDECREF(none);
        if exception.is_null() {
            ffi::Py_DECREF(value);
            return;
        }
        let place = &raw mut (*exception.cast::<ffi::PyStopIterationObject>()).value;
        let before = place.replace(value);
        ffi::Py_XDECREF(before);
        ffi::PyErr_SetRaisedException(exception);
    }
}

#[cfg(not(all(Py_3_12, not(PyPy), not(GraalPy))))]
unsafe fn stop(value: *mut ffi::PyObject) {
    unsafe { stop_as_usual(value) }
}

unsafe extern "C" fn send(object: *mut ffi::PyObject, _value: *mut ffi::PyObject) -> *mut ffi::PyObject {
    unsafe {
        let value = take(object);
        if !value.is_null() {
            stop_as_usual(value);
        }
        ptr::null_mut()
    }
}

unsafe extern "C" fn throw(object: *mut ffi::PyObject, args: *mut ffi::PyObject) -> *mut ffi::PyObject {
    unsafe {
        let (mut kind, mut value, mut traceback) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut::<ffi::PyObject>());
        if ffi::PyArg_ParseTuple(args, c"O|OO:throw".as_ptr(), &raw mut kind, &raw mut value, &raw mut traceback) == 0 {
            return ptr::null_mut();
        }
        drop_result(object);
        if ffi::PyExceptionInstance_Check(kind) == 0 && ffi::PyExceptionClass_Check(kind) == 0 {
            ffi::PyErr_SetString(ffi::PyExc_TypeError, c"exceptions must be classes or instances deriving from BaseException".as_ptr());
            return ptr::null_mut();
        }
        let value = if ffi::Py_IsNone(value) != 0 { ptr::null_mut() } else { value };
        if ffi::PyExceptionInstance_Check(kind) != 0 && value.is_null() {
            ffi::PyErr_SetObject(ffi::Py_TYPE(kind).cast(), kind);
        } else {
            ffi::PyErr_SetObject(kind, value);
        }
        ptr::null_mut()
    }
}

unsafe extern "C" fn close(object: *mut ffi::PyObject, _nothing: *mut ffi::PyObject) -> *mut ffi::PyObject {
    unsafe {
        drop_result(object);
        ffi::Py_NewRef(ffi::Py_None())
    }
}

unsafe fn drop_result(object: *mut ffi::PyObject) {
    unsafe {
        ffi::Py_XDECREF(taken(object));
    }
}
