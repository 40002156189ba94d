//! Codecs: how Python objects become bytes. JSON and MessagePack here in Rust, pickle and custom ones in Python.

mod read;
mod write;

pub(crate) use write::type_name;

use std::mem::MaybeUninit;

use bytes::Bytes;
use pyo3::{
    exceptions::PyTypeError,
    prelude::*,
    pybacked::PyBackedBytes,
    sync::PyOnceLock,
    types::{PyBytes, PyString},
};
use undercroft::{engine::Codec, stores::object::PICKLED_ENTRY};

/// A codec and, for custom ones, the object with its `dumps` and `loads`.
#[derive(Debug)]
pub(crate) struct Serializer {
    pub(crate) codec: Codec,
    pub(crate) custom: Option<Py<PyAny>>,
}

/// Encodes `object` under a codec.
///
/// # Errors
/// `TypeError`, `ValueError` or what the serializer raises.
pub(crate) fn dumps(object: &Bound<'_, PyAny>, serializer: &Serializer) -> PyResult<Bytes> {
    let py = object.py();
    match serializer.codec.id {
        id if id == Codec::JSON.id => write::json(object),
        id if id == Codec::MSGPACK.id => write::msgpack(object),
        id if id == Codec::RAW.id => match object.cast::<PyBytes>() {
            Ok(bytes) => Ok(borrowed(bytes)),
            Err(_) => Err(PyTypeError::new_err("only bytes can be stored raw")),
        },
        id if id == Codec::UTF8.id => match object.cast::<PyString>() {
            Ok(text) => Ok(Bytes::copy_from_slice(text.to_str()?.as_bytes())),
            Err(_) => Err(PyTypeError::new_err("only str can be stored as text")),
        },
        id if id == Codec::PICKLE.id => bytes_of(&pickle(py, "dumps")?.call1((object, 5))?),
        _ => match &serializer.custom {
            Some(custom) => bytes_of(&custom.bind(py).call_method1("dumps", (object,))?),
            None => Err(PyTypeError::new_err(format!("Python has no codec `{}`", serializer.codec.name()))),
        },
    }
}

/// Decodes `bytes` under a codec.
///
/// # Errors
/// `ValueError`, `TypeError` or what the serializer raises.
pub(crate) fn loads<'py>(py: Python<'py>, bytes: &Bytes, serializer: &Serializer) -> PyResult<Bound<'py, PyAny>> {
    match serializer.codec.id {
        id if id == Codec::JSON.id => read::json(py, bytes),
        id if id == Codec::MSGPACK.id => read::msgpack(py, bytes),
        id if id == Codec::RAW.id => copied(py, bytes),
        id if id == Codec::UTF8.id => Ok(PyString::from_bytes(py, bytes)?.into_any()),
        id if id == Codec::PICKLE.id => {
            let loaded = pickle(py, "loads")?.call1((PyBytes::new(py, bytes),))?;
            if serializer.codec == PICKLED_ENTRY { loaded.get_item("v") } else { Ok(loaded) }
        }
        _ => match &serializer.custom {
            Some(custom) => custom.bind(py).call_method1("loads", (PyBytes::new(py, bytes),)),
            None => Err(PyTypeError::new_err(format!("Python has no codec `{}`", serializer.codec.name()))),
        },
    }
}

fn pickle<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    static DUMPS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    static LOADS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let slot = if name == "dumps" { &DUMPS } else { &LOADS };
    Ok(slot.get_or_try_init(py, || py.import("pickle")?.getattr(name).map(Bound::unbind))?.bind(py).clone())
}

fn bytes_of(object: &Bound<'_, PyAny>) -> PyResult<Bytes> {
    match object.cast::<PyBytes>() {
        Ok(bytes) => Ok(borrowed(bytes)),
        Err(_) => Err(PyTypeError::new_err(format!("`dumps` must return bytes, not `{}`", object.get_type().name()?))),
    }
}

/// Returns the bytes of a Python object: a copy where they are few, else the object's own, which it stays alive for.
fn borrowed(bytes: &Bound<'_, PyBytes>) -> Bytes {
    const FEW: usize = 64 * 1024;
    let plain = bytes.as_bytes();
    if plain.len() <= FEW { Bytes::copy_from_slice(plain) } else { Bytes::from_owner(PyBackedBytes::from(bytes.clone())) }
}

/// Returns a copy of `bytes` as a Python object. A long one is filled in huge pages: page by page that takes longer than
/// the copying.
fn copied<'py>(py: Python<'py>, bytes: &Bytes) -> PyResult<Bound<'py, PyAny>> {
    const LONG: usize = 4 * 1024 * 1024;
    if bytes.len() < LONG {
        return Ok(PyBytes::new(py, bytes).into_any());
    }
    // SAFETY: the object is new, nobody else has seen it, and all of its bytes are written before anybody does.
    unsafe {
        let made = Bound::from_owned_ptr_or_err(py, pyo3::ffi::PyBytes_FromStringAndSize(std::ptr::null(), bytes.len() as isize))?;
        let place = std::slice::from_raw_parts_mut(pyo3::ffi::PyBytes_AsString(made.as_ptr()).cast::<MaybeUninit<u8>>(), bytes.len());
        undercroft::stores::object::spread(place);
        place.write_copy_of_slice(bytes);
        Ok(made)
    }
}
