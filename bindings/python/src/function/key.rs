//! Keys of calls: fixed, from a template, from all arguments, or from a callable.

use pyo3::{
    ffi,
    prelude::*,
    types::{PyBytes, PyDict, PyString, PyTuple},
};
use undercroft::engine::key::Template;

use super::{quick::Call, template};
use crate::errors::raise;

/// Why a call has no key.
pub(crate) enum Unbound {
    /// An argument is missing.
    Missing,
    /// Python code raised.
    Raised(PyErr),
}

impl From<PyErr> for Unbound {
    fn from(raised: PyErr) -> Self {
        Unbound::Raised(raised)
    }
}

/// The parameters of a function.
pub(crate) struct Parameters {
    /// Those that have a name, in order.
    names: Vec<Py<PyString>>,
    texts: Vec<String>,
    defaults: Vec<Option<Py<PyAny>>>,
    /// How many of them can be given by position.
    positional: usize,
    /// How many of them can be given by position alone.
    positional_only: usize,
    /// How many of the first ones take in all that have no default.
    required: usize,
    any_position: bool,
    any_name: bool,
}

/// How the key of a call is made.
pub(crate) enum KeyPlan {
    /// The same for every call.
    Fixed(String),
    /// From a template.
    Template(Template),
    /// From all arguments, after this prefix; objects become text by a Python function.
    All { prefix: String, token: Py<PyAny> },
    /// By a callable, which gets the call's exact arguments.
    Callable(Py<PyAny>),
}

/// Makes the keys of one function.
pub(crate) struct Keys {
    pub(crate) plan: KeyPlan,
    pub(super) parameters: Parameters,
    pub(super) suffix: String,
}

/// How many parameters an easy call has at most.
pub(super) const MOST_BOUND: usize = 6;
/// Longer keys made of all arguments end in a digest.
pub(super) const LONGEST: usize = 200;

impl Keys {
    /// Reads a plan: `names`, `defaults` (missing ones absent), `positional` and `positional_only`, `any_position` and
    /// `any_name`, `checked` (whether calls must fit all that), `suffix`, and one of `fixed`, `template`, `callable`, or
    /// `prefix` with `token`.
    pub(crate) fn new(given: &Bound<'_, PyDict>) -> PyResult<Self> {
        let py = given.py();
        let item = |name: &str| given.get_item(name);
        let need = |name: &str| item(name)?.ok_or_else(|| pyo3::exceptions::PyKeyError::new_err(name.to_owned()));
        let texts: Vec<String> = need("names")?.extract()?;
        let defaults = need("defaults")?.cast_into::<PyDict>()?;
        let defaults: Vec<Option<Py<PyAny>>> = texts.iter().map(|name| Ok(defaults.get_item(name)?.map(Bound::unbind))).collect::<PyResult<_>>()?;
        // A function that wraps another says what that takes, and may itself take something else.
        let is_checked: bool = need("checked")?.extract()?;
        let parameters = Parameters {
            names: texts.iter().map(|name| PyString::intern(py, name).unbind()).collect(),
            required: if is_checked { defaults.iter().rposition(Option::is_none).map_or(0, |last| last + 1) } else { 0 },
            defaults,
            positional: need("positional")?.extract()?,
            positional_only: need("positional_only")?.extract()?,
            any_position: need("any_position")?.extract::<bool>()? || !is_checked,
            any_name: need("any_name")?.extract::<bool>()? || !is_checked,
            texts,
        };
        let suffix: String = need("suffix")?.extract()?;
        let plan = if let Some(fixed) = item("fixed")? {
            KeyPlan::Fixed(format!("{}{suffix}", fixed.extract::<String>()?))
        } else if let Some(source) = item("template")? {
            KeyPlan::Template(raise(py, Template::parse(&source.extract::<String>()?))?)
        } else if let Some(callable) = item("callable")? {
            KeyPlan::Callable(callable.unbind())
        } else {
            KeyPlan::All { prefix: need("prefix")?.extract()?, token: need("token")?.unbind() }
        };
        Ok(Self { plan, parameters, suffix })
    }

    /// Returns the key that every call has, if they all have the same.
    pub(super) fn fixed(&self) -> Option<&str> {
        if let KeyPlan::Fixed(key) = &self.plan { Some(key) } else { None }
    }

    /// Says whether the wrapped function could be called like this. A callable that makes keys sees for itself.
    #[inline]
    pub(super) fn fits(&self, call: &Call<'_>) -> bool {
        matches!(self.plan, KeyPlan::Callable(_)) || self.parameters.fits(call)
    }

    /// Appends the key of a call to `key`. `method` is 1 where the first argument is the instance.
    pub(crate) fn write(
        &self,
        py: Python<'_>,
        method: usize,
        args: &Bound<'_, PyTuple>,
        kwargs: Option<&Bound<'_, PyDict>>,
        key: &mut String,
    ) -> Result<(), Unbound> {
        match &self.plan {
            KeyPlan::Fixed(fixed) => {
                key.push_str(fixed);
                return Ok(());
            }
            KeyPlan::Template(source) => template::write(py, source, &self.parameters, method, args, kwargs, key)?,
            KeyPlan::Callable(callable) => {
                let made = callable.bind(py).call(args, kwargs)?;
                key.push_str(made.str()?.to_str()?);
            }
            KeyPlan::All { prefix, token } => {
                key.push_str(prefix);
                self.parameters.write_all(py, token.bind(py), args, kwargs, key)?;
                if key.len() > LONGEST {
                    let text = std::mem::take(key);
                    let digest: String =
                        py.import("hashlib")?.call_method1("sha256", (PyBytes::new(py, text.as_bytes()),))?.call_method0("hexdigest")?.extract()?;
                    *key = format!("{prefix}(#{digest})");
                }
            }
        }
        key.push_str(&self.suffix);
        Ok(())
    }
}

impl Parameters {
    pub(super) fn texts(&self) -> &[String] {
        &self.texts
    }

    /// Says whether calls may give arguments that no parameter names.
    pub(super) fn takes_any(&self) -> bool {
        self.any_position || self.any_name
    }

    pub(super) fn position_of(&self, name: &str) -> Option<usize> {
        self.texts.iter().position(|text| text == name)
    }

    #[inline]
    fn fits(&self, call: &Call<'_>) -> bool {
        let fits = call.args.len() <= self.positional || self.any_position;
        fits && if call.names.is_empty() { call.args.len() >= self.required } else { self.fits_names(call) }
    }

    fn fits_names(&self, call: &Call<'_>) -> bool {
        let given = call.args.len().min(self.positional);
        let known = call.names.iter().all(|name| match self.index_of(*name) {
            // A name of its own, where the parameter is given by position alone.
            Some(at) if at < self.positional_only => self.any_name,
            // Not twice.
            Some(at) => at >= given,
            None => self.any_name,
        });
        known && (given..self.required).all(|at| self.find(at, call).is_some())
    }

    /// Finds the argument for each parameter, its default included, borrowed from the call or from here. Returns whether
    /// the call is an easy one: it fits, there are few parameters, and its keywords are names in source code.
    #[inline(always)]
    pub(super) fn bind(&self, call: &Call<'_>, bound: &mut [*mut ffi::PyObject; MOST_BOUND]) -> bool {
        let (given, count) = (call.args.len(), self.names.len());
        if given > self.positional || count > MOST_BOUND {
            return false;
        }
        // One by one: there are few, and a call that copies them costs more.
        for (place, value) in bound.iter_mut().zip(call.args) {
            *place = *value;
        }
        for (name, value) in call.names.iter().zip(call.values) {
            match self.names.iter().position(|known| known.as_ptr() == *name) {
                Some(at) if at >= given && at >= self.positional_only => bound[at] = *value,
                _ => return false,
            }
        }
        for (place, default) in bound.iter_mut().zip(&self.defaults).skip(given) {
            if place.is_null() {
                let Some(default) = default else { return false };
                *place = default.as_ptr();
            }
        }
        true
    }

    #[inline]
    fn index_of(&self, name: *mut ffi::PyObject) -> Option<usize> {
        // Names in source code are interned, as ours are; names that were put together are compared.
        let same = self.names.iter().position(|known| known.as_ptr() == name);
        // SAFETY: names of keywords are `str`, and alive for as long as the call lasts.
        same.or_else(|| self.names.iter().position(|known| unsafe { ffi::PyUnicode_Compare(known.as_ptr(), name) } == 0))
    }

    /// Returns the argument for a parameter, or its default, borrowed from the call or from here.
    #[inline]
    pub(super) fn find(&self, at: usize, call: &Call<'_>) -> Option<*mut ffi::PyObject> {
        if at < call.args.len() && at < self.positional {
            return Some(call.args[at]);
        }
        if at >= self.positional_only
            && let Some(named) = call.names.iter().position(|name| self.index_of(*name) == Some(at))
        {
            return Some(call.values[named]);
        }
        self.defaults.get(at)?.as_ref().map(Py::as_ptr)
    }

    /// Returns the n-th argument that is not the instance: by position, by its parameter's name, its default, or, where
    /// the function takes any keywords, the first of them.
    pub(super) fn position<'py>(
        &self,
        py: Python<'py>,
        at: usize,
        method: usize,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> Result<Bound<'py, PyAny>, Unbound> {
        let index = at + method;
        if index < args.len() {
            return Ok(args.get_item(index)?);
        }
        if index < self.names.len() {
            return self.bound(py, index, args, kwargs);
        }
        match kwargs.and_then(|kwargs| kwargs.iter().next()) {
            Some((_, first)) if at == 0 => Ok(first),
            _ => Err(Unbound::Missing),
        }
    }

    /// Returns the argument of this name, bound by the signature.
    pub(super) fn named<'py>(
        &self,
        py: Python<'py>,
        name: &str,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> Result<Bound<'py, PyAny>, Unbound> {
        if let Some(index) = self.texts.iter().position(|text| text == name) {
            return self.bound(py, index, args, kwargs);
        }
        match kwargs {
            Some(kwargs) => kwargs.get_item(name)?.ok_or(Unbound::Missing),
            None => Err(Unbound::Missing),
        }
    }

    fn bound<'py>(&self, py: Python<'py>, index: usize, args: &Bound<'py, PyTuple>, kwargs: Option<&Bound<'py, PyDict>>) -> Result<Bound<'py, PyAny>, Unbound> {
        if index < self.positional && index < args.len() {
            return Ok(args.get_item(index)?);
        }
        if let Some(kwargs) = kwargs
            && index >= self.positional_only
            && let Some(value) = kwargs.get_item(self.names[index].bind(py))?
        {
            return Ok(value);
        }
        self.defaults[index].as_ref().map(|default| default.bind(py).clone()).ok_or(Unbound::Missing)
    }

    /// Writes every argument with its parameter's name, defaults filled in, so that equal calls have equal keys.
    fn write_all<'py>(
        &self,
        py: Python<'py>,
        token: &Bound<'py, PyAny>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
        key: &mut String,
    ) -> Result<(), Unbound> {
        key.push('(');
        for index in 0..self.names.len() {
            let value = self.bound(py, index, args, kwargs)?;
            write_argument(&self.texts[index], &value, token, key)?;
        }
        for value in args.iter().skip(self.positional) {
            write_argument("*", &value, token, key)?;
        }
        if let Some(kwargs) = kwargs {
            let mut rest: Vec<(String, Bound<'py, PyAny>)> = Vec::new();
            for (name, value) in kwargs.iter() {
                let name: String = name.extract()?;
                if !self.texts[self.positional_only..].contains(&name) {
                    rest.push((name, value));
                }
            }
            rest.sort_by(|a, b| a.0.cmp(&b.0));
            for (name, value) in rest {
                // Quoted: any text can be such a name.
                write_argument(&format!("{name:?}"), &value, token, key)?;
            }
        }
        key.push(')');
        Ok(())
    }
}

fn write_argument(name: &str, value: &Bound<'_, PyAny>, token: &Bound<'_, PyAny>, key: &mut String) -> PyResult<()> {
    if !key.ends_with('(') {
        key.push(',');
    }
    key.push_str(name);
    key.push('=');
    // The text of a value says its type too: 1, True, 1.0 and "1" are four keys. Text is quoted by Python, which
    // also escapes what a key must not hold.
    if !value.is_exact_instance_of::<PyString>() && template::write_plain(value, key)? {
        return Ok(());
    }
    key.push_str(token.call1((value,))?.cast::<PyString>()?.to_str()?);
    Ok(())
}
