//! Python objects to JSON and MessagePack, without a copy in between.

use bytes::Bytes;
use pyo3::{
    exceptions::PyTypeError,
    prelude::*,
    types::{PyBool, PyByteArray, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple},
};
use serde::{
    Serialize, Serializer,
    ser::{Error, SerializeMap, SerializeSeq},
};

/// Deeper nesting is refused: a circle has no end, and readers follow 128 levels at most.
const DEPTH: usize = 120;

#[derive(Clone, Copy, PartialEq)]
enum Target {
    Json,
    Msgpack,
}

struct Node<'a, 'py> {
    object: &'a Bound<'py, PyAny>,
    target: Target,
    depth: usize,
}

/// Encodes `object` as JSON (RFC 8259).
///
/// # Errors
/// `TypeError`, naming what has no place in JSON.
pub(crate) fn json(object: &Bound<'_, PyAny>) -> PyResult<Bytes> {
    let node = Node { object, target: Target::Json, depth: DEPTH };
    serde_json::to_vec(&node).map(Bytes::from).map_err(|error| PyTypeError::new_err(error.to_string()))
}

/// Encodes `object` as MessagePack.
///
/// # Errors
/// `TypeError`, naming what has no place in MessagePack.
pub(crate) fn msgpack(object: &Bound<'_, PyAny>) -> PyResult<Bytes> {
    let node = Node { object, target: Target::Msgpack, depth: DEPTH };
    rmp_serde::to_vec(&node).map(Bytes::from).map_err(|error| PyTypeError::new_err(error.to_string()))
}

impl Node<'_, '_> {
    fn below<'b, 'py>(&self, object: &'b Bound<'py, PyAny>) -> Node<'b, 'py> {
        Node { object, target: self.target, depth: self.depth - 1 }
    }

    fn sequence<'py, S: Serializer>(&self, serializer: S, length: usize, items: impl Iterator<Item = Bound<'py, PyAny>>) -> Result<S::Ok, S::Error> {
        let mut sequence = serializer.serialize_seq(Some(length))?;
        for item in items {
            sequence.serialize_element(&self.below(&item))?;
        }
        sequence.end()
    }
}

impl Serialize for Node<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let object = self.object;
        if self.depth == 0 {
            return Err(S::Error::custom(format!("nested more than {DEPTH} deep, or in a circle")));
        }
        if object.is_none() {
            return serializer.serialize_unit();
        }
        if let Ok(text) = object.cast::<PyString>() {
            return serializer.serialize_str(text.to_str().map_err(S::Error::custom)?);
        }
        if let Ok(flag) = object.cast::<PyBool>() {
            return serializer.serialize_bool(flag.is_true());
        }
        if object.cast::<PyInt>().is_ok() {
            if let Ok(number) = object.extract::<i64>() {
                return serializer.serialize_i64(number);
            }
            return match object.extract::<u64>() {
                Ok(number) => serializer.serialize_u64(number),
                Err(_) => Err(S::Error::custom("an int beyond 64 bits")),
            };
        }
        if let Ok(number) = object.cast::<PyFloat>() {
            let number = number.value();
            if self.target == Target::Json && !number.is_finite() {
                return Err(S::Error::custom("a float that is not finite"));
            }
            return serializer.serialize_f64(number);
        }
        if let Ok(dict) = object.cast::<PyDict>() {
            let mut map = serializer.serialize_map(Some(dict.len()))?;
            for (key, value) in dict.iter() {
                if self.target == Target::Json && key.cast::<PyString>().is_err() {
                    return Err(S::Error::custom(format!("a dict key of type `{}`", type_name(&key))));
                }
                if key.cast::<PyList>().is_ok() || key.cast::<PyTuple>().is_ok() || key.cast::<PyDict>().is_ok() {
                    return Err(S::Error::custom(format!("a dict key of type `{}`", type_name(&key))));
                }
                map.serialize_entry(&self.below(&key), &self.below(&value))?;
            }
            return map.end();
        }
        if let Ok(list) = object.cast::<PyList>() {
            return self.sequence(serializer, list.len(), list.iter());
        }
        if let Ok(tuple) = object.cast::<PyTuple>() {
            return self.sequence(serializer, tuple.len(), tuple.iter());
        }
        if self.target == Target::Msgpack {
            if let Ok(bytes) = object.cast::<PyBytes>() {
                return serializer.serialize_bytes(bytes.as_bytes());
            }
            if let Ok(bytes) = object.cast::<PyByteArray>() {
                return serializer.serialize_bytes(&bytes.to_vec());
            }
        }
        Err(S::Error::custom(format!("an object of type `{}`", type_name(object))))
    }
}

pub(crate) fn type_name(object: &Bound<'_, PyAny>) -> String {
    object.get_type().fully_qualified_name().map_or_else(|_| "?".into(), |name| name.to_string())
}
