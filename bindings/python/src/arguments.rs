//! Arguments: policies and questions as Python gives them.

use pyo3::{
    exceptions::PyTypeError,
    prelude::*,
    types::{PyBool, PyFloat},
};
use undercroft::engine::{self, time::Millis};

use crate::errors::exception;

/// Reads a duration in seconds. `None` stays `None`; zero and less are zero; infinity is `None`.
///
/// # Errors
/// `TypeError` when it is no number; `ConfigInvalid` when it is NaN.
pub(crate) fn seconds(value: &Bound<'_, PyAny>, name: &str) -> PyResult<Option<Millis>> {
    if value.is_none() {
        return Ok(None);
    }
    let number = match value.cast_exact::<PyFloat>() {
        Ok(number) => Some(number.value()),
        Err(_) if value.is_instance_of::<PyBool>() => None,
        Err(_) => number_of(value),
    };
    let Some(number) = number else {
        return Err(PyTypeError::new_err(format!("`{name}` must be a number of seconds, a timedelta or None, not `{}`", value.get_type().name()?)));
    };
    if number == f64::INFINITY {
        return Ok(None);
    }
    match engine::time::from_seconds(number.max(0.0)) {
        Some(millis) if !number.is_nan() => Ok(Some(millis)),
        _ => Err(exception(value.py(), &engine::Error::new(engine::Code::ConfigInvalid, format!("`{name}` is not a number (NaN)")))),
    }
}

fn number_of(value: &Bound<'_, PyAny>) -> Option<f64> {
    if value.is_instance_of::<pyo3::types::PyString>() {
        return None;
    }
    value.extract::<f64>().ok().or_else(|| value.call_method0("total_seconds").ok()?.extract().ok())
}

/// How long values live, and how long callers wait. Durations are seconds.
#[pyclass(frozen, from_py_object, module = "undercroft._native")]
#[derive(Clone)]
pub struct Policy(pub(crate) engine::Policy);

#[pymethods]
impl Policy {
    #[new]
    #[pyo3(signature = (ttl = None, *, stale = None, stale_if_error = None, jitter = 0.0, refresh_ahead = None, soft_timeout = None, hard_timeout = None, lock_timeout = None))]
    #[expect(clippy::too_many_arguments, reason = "keywords in Python")]
    fn new(
        ttl: Option<&Bound<'_, PyAny>>,
        stale: Option<&Bound<'_, PyAny>>,
        stale_if_error: Option<&Bound<'_, PyAny>>,
        jitter: f64,
        refresh_ahead: Option<f64>,
        soft_timeout: Option<&Bound<'_, PyAny>>,
        hard_timeout: Option<&Bound<'_, PyAny>>,
        lock_timeout: Option<&Bound<'_, PyAny>>,
        py: Python<'_>,
    ) -> PyResult<Self> {
        let read = |value: Option<&Bound<'_, PyAny>>, name| value.map_or(Ok(None), |value| seconds(value, name));
        let policy = engine::Policy {
            ttl: read(ttl, "ttl")?,
            stale: read(stale, "stale")?,
            stale_if_error: read(stale_if_error, "stale_if_error")?,
            jitter,
            refresh_ahead,
            soft_timeout: read(soft_timeout, "soft_timeout")?,
            hard_timeout: read(hard_timeout, "hard_timeout")?,
            lock_timeout: read(lock_timeout, "lock_timeout")?,
        };
        policy.check().map_err(|error| exception(py, &error))?;
        Ok(Self(policy))
    }

    /// Returns this policy with another ttl.
    fn with_ttl(&self, ttl: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Self(engine::Policy { ttl: seconds(ttl, "ttl")?, ..self.0 }))
    }

    #[getter]
    fn ttl(&self) -> Option<f64> {
        self.0.ttl.map(|millis| millis as f64 / 1000.0)
    }
}

/// What a call asks for beside its key: a policy, tiers to skip, and the flights it is part of.
#[pyclass(frozen, from_py_object, module = "undercroft._native")]
#[derive(Clone)]
pub struct Ask(pub(crate) engine::Ask);

#[pymethods]
impl Ask {
    #[new]
    #[pyo3(signature = (policy, *, skip = Vec::new(), distrust = Vec::new()))]
    fn new(policy: Policy, skip: Vec<String>, distrust: Vec<String>) -> Self {
        let names = |names: Vec<String>| names.into_iter().map(Into::into).collect();
        Self(engine::Ask { policy: policy.0, skip: names(skip), distrust: names(distrust), lineage: Vec::new() })
    }

    /// Returns this question without the copies of one more tier.
    fn distrusting(&self, tier: &str) -> Self {
        let mut ask = self.0.clone();
        ask.distrust.push(tier.into());
        Self(ask)
    }

    /// Returns this question with other tiers to skip.
    fn skipping(&self, tiers: Vec<String>) -> Self {
        Self(engine::Ask { skip: tiers.into_iter().map(Into::into).collect(), ..self.0.clone() })
    }

    /// Returns this question with another ttl.
    fn with_ttl(&self, ttl: &Bound<'_, PyAny>) -> PyResult<Self> {
        let policy = engine::Policy { ttl: seconds(ttl, "ttl")?, ..self.0.policy };
        Ok(Self(engine::Ask { policy, ..self.0.clone() }))
    }

    #[getter]
    fn skip(&self) -> Vec<String> {
        self.0.skip.iter().map(|name| name.to_string()).collect()
    }
}

impl Ask {
    pub(crate) fn with_lineage(&self, lineage: Vec<u64>) -> engine::Ask {
        engine::Ask { lineage, ..self.0.clone() }
    }
}
