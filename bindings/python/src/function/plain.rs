//! Looking into plain objects where they lie: small integers and ASCII texts, without a call into Python.
//!
//! Such a call costs more than what it does, and on some processors much more: from one library into another, branches
//! are predicted badly when the loader has put the two at unlucky addresses.

use std::slice;

use pyo3::ffi;

/// The start of an `int`, as in CPython's `longintrepr.h` from 3.10 to 3.14.
#[repr(C)]
struct Long {
    base: ffi::PyObject,
    /// Up to 3.11 the number of digits, with the sign of the number; from 3.12 on flags, too.
    tag: isize,
    digit: u32,
}

/// Returns the value of an exact `int` of one digit (30 bits).
#[inline(always)]
unsafe fn one_digit(value: *mut ffi::PyObject) -> Option<i64> {
    if cfg!(any(PyPy, GraalPy, Py_3_15)) {
        return None;
    }
    // SAFETY: the caller says that it is an `int`; every one has room for a digit.
    let long = unsafe { &*value.cast::<Long>() };
    let digit = i64::from(long.digit);
    if cfg!(Py_3_12) {
        // The lowest two bits are one less the sign; the number of digits stands above three.
        return if long.tag < 2 << 3 { Some((1 - (long.tag as i64 & 3)) * digit) } else { None };
    }
    match long.tag {
        0 => Some(0),
        1 => Some(digit),
        -1 => Some(-digit),
        _ => None,
    }
}

/// Returns the value of an exact `int`, if 64 bits hold it.
///
/// # Safety
/// It is one, and alive.
#[inline(always)]
pub(super) unsafe fn number(value: *mut ffi::PyObject) -> Option<i64> {
    // SAFETY: the caller's promise.
    unsafe {
        if let Some(number) = one_digit(value) {
            return Some(number);
        }
        let mut overflow = 0;
        let number = ffi::PyLong_AsLongLongAndOverflow(value, &raw mut overflow);
        if overflow == 0 { Some(number) } else { None }
    }
}

/// Returns the text of an exact `str` as UTF-8; `None` for lone surrogates, which no key can have.
///
/// # Safety
/// It is one, and stays alive for `'a`.
#[inline(always)]
pub(super) unsafe fn utf8<'a>(value: *mut ffi::PyObject) -> Option<&'a [u8]> {
    // SAFETY: the caller's promise; a compact ASCII text lies right behind its header.
    unsafe {
        if ffi::PyUnicode_IS_COMPACT_ASCII(value) != 0 {
            let header = value.cast::<ffi::PyASCIIObject>();
            return Some(slice::from_raw_parts(header.add(1).cast::<u8>(), (*header).length as usize));
        }
        let mut len = 0;
        let start = ffi::PyUnicode_AsUTF8AndSize(value, &raw mut len);
        if start.is_null() {
            ffi::PyErr_Clear();
            return None;
        }
        Some(slice::from_raw_parts(start.cast::<u8>(), len as usize))
    }
}

/// Returns the hash of an exact `str`, which it keeps once it was asked for it.
///
/// # Safety
/// It is one, and alive.
#[inline(always)]
pub(super) unsafe fn hash(value: *mut ffi::PyObject) -> ffi::Py_hash_t {
    // SAFETY: the caller's promise.
    match unsafe { (*value.cast::<ffi::PyASCIIObject>()).hash } {
        -1 => unsafe { ffi::PyObject_Hash(value) },
        hash => hash,
    }
}
