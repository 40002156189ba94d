//! Templates against signatures: checked when decorating, rendered when calling.

use pyo3::{
    exceptions::PyTypeError,
    prelude::*,
    sync::PyOnceLock,
    types::{PyBool, PyDict, PyFloat, PyInt, PyString, PyTuple},
};
use undercroft::engine::key::{Conversion, Field, Part, Root, Signature, Template};

use super::key::{Parameters, Unbound};
use crate::errors::raise;

/// Checks that calls of a function can fill every placeholder of a template.
///
/// # Errors
/// `ConfigInvalid`, naming the placeholder and what the function takes.
#[pyfunction]
pub fn check_template(
    py: Python<'_>,
    template: &str,
    function: &str,
    names: Vec<String>,
    positions: usize,
    any_position: bool,
    any_name: bool,
) -> PyResult<()> {
    let template = raise(py, Template::parse(template))?;
    raise(py, template.check(function, &Signature { names, positions, any_position, any_name }))
}

/// Renders `template` for a call.
pub(super) fn write(
    py: Python<'_>,
    template: &Template,
    parameters: &Parameters,
    method: usize,
    args: &Bound<'_, PyTuple>,
    kwargs: Option<&Bound<'_, PyDict>>,
    key: &mut String,
) -> Result<(), Unbound> {
    for part in template.parts() {
        let (root, path, conversion, spec) = match part {
            Part::Literal(text) => {
                key.push_str(text);
                continue;
            }
            Part::Placeholder { root, path, conversion, spec } => (root, path, conversion, spec),
        };
        let mut value = match root {
            Root::Position(at) => parameters.position(py, *at, method, args, kwargs)?,
            Root::Name(name) => parameters.named(py, name, args, kwargs)?,
        };
        for field in path {
            value = match field {
                Field::Attribute(name) => value.getattr(name.as_str()),
                Field::Item(item) => value.get_item(item.as_str()),
                Field::Index(at) => value.get_item(*at),
            }
            .map_err(Unbound::Raised)?;
        }
        format(&value, *conversion, spec, key).map_err(Unbound::Raised)?;
    }
    Ok(())
}

fn format(value: &Bound<'_, PyAny>, conversion: Option<Conversion>, spec: &str, key: &mut String) -> PyResult<()> {
    if conversion.is_none() && spec.is_empty() && write_plain(value, key)? {
        return Ok(());
    }
    let value = match conversion {
        None => value.clone(),
        Some(Conversion::Str) => value.str()?.into_any(),
        Some(Conversion::Repr) => value.repr()?.into_any(),
        Some(Conversion::Ascii) => value.py().import("builtins")?.getattr("ascii")?.call1((value,))?,
    };
    refuse_address(&value)?;
    let text = value.call_method1("__format__", (spec,))?;
    key.push_str(text.cast::<PyString>()?.to_str()?);
    Ok(())
}

/// Writes what `format(value, "")` gives for exact str, int, bool, float and None. Returns whether it was one.
pub(super) fn write_plain(value: &Bound<'_, PyAny>, key: &mut String) -> PyResult<bool> {
    if let Ok(text) = value.cast_exact::<PyString>() {
        key.push_str(text.to_str()?);
    } else if let Ok(number) = value.cast_exact::<PyInt>() {
        match number.extract::<i64>() {
            Ok(number) => write_int(number, key),
            Err(_) => key.push_str(number.str()?.to_str()?),
        }
    } else if let Ok(flag) = value.cast_exact::<PyBool>() {
        key.push_str(if flag.is_true() { "True" } else { "False" });
    } else if value.is_none() {
        key.push_str("None");
    } else if value.is_exact_instance_of::<PyFloat>() {
        key.push_str(value.str()?.to_str()?);
    } else {
        return Ok(false);
    }
    Ok(true)
}

fn write_int(number: i64, key: &mut String) {
    use std::fmt::Write;
    write!(key, "{number}").expect("writing to memory does not fail");
}

/// Refuses an object whose text is its address: addresses are reused, and two objects would share a key.
fn refuse_address(value: &Bound<'_, PyAny>) -> PyResult<()> {
    static PLAIN: PyOnceLock<(Py<PyAny>, Py<PyAny>, Py<PyAny>)> = PyOnceLock::new();
    let py = value.py();
    let (format, str, repr) = PLAIN.get_or_try_init(py, || -> PyResult<_> {
        let object = py.import("builtins")?.getattr("object")?;
        Ok((object.getattr("__format__")?.unbind(), object.getattr("__str__")?.unbind(), object.getattr("__repr__")?.unbind()))
    })?;
    let class = value.get_type();
    if class.getattr("__repr__")?.is(repr) && class.getattr("__str__")?.is(str) && class.getattr("__format__")?.is(format) {
        return Err(PyTypeError::new_err(format!(
            "an argument of type `{}` has no text of its own to make a key of; name an attribute of it in the template, or give a callable as key",
            class.name()?
        )));
    }
    Ok(())
}
