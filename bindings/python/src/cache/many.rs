//! Many keys in one call.

use pyo3::{
    prelude::*,
    types::{PyDict, PyMapping, PyTuple},
};
use undercroft::engine::{self, Entry, Key, Value};

use super::{Cache, Shared, verbs::storage_ask};
use crate::{
    bridge::{awaitable, wait_on_runtime},
    found::decode_and_attach,
};

impl Cache {
    fn fresh(&self) -> engine::Ask {
        let policy = engine::Policy { stale: Some(0), ..*self.shared.cache.policy() };
        engine::Ask { policy, ..engine::Ask::default() }
    }

    fn items(&self, py: Python<'_>, mapping: &Bound<'_, PyMapping>) -> PyResult<Vec<(Key, Value)>> {
        let mut items = Vec::with_capacity(mapping.len()?);
        for item in mapping.items()?.iter() {
            let pair = item.cast_into::<PyTuple>()?;
            let key: String = pair.get_item(0)?.extract()?;
            items.push((super::key(py, &key)?, self.shared.value(&pair.get_item(1)?)?));
        }
        Ok(items)
    }
}

fn keys(given: &Bound<'_, PyAny>) -> PyResult<Vec<Key>> {
    given.try_iter()?.map(|key| super::key(given.py(), &key?.extract::<String>()?)).collect()
}

/// Returns a dict of what was found; the keys whose copy cannot be decoded are returned beside it.
fn decoded<'py>(py: Python<'py>, shared: &Shared, keys: &[Key], found: Vec<Option<Entry>>) -> PyResult<(Bound<'py, PyDict>, Vec<String>)> {
    let (values, mut bad) = (PyDict::new(py), Vec::new());
    for (key, entry) in keys.iter().zip(found) {
        let Some(entry) = entry else { continue };
        match decode_and_attach(py, &entry, shared, key) {
            Ok(value) => values.set_item(key.as_str(), value)?,
            Err(raised) if raised.is_instance_of::<pyo3::exceptions::PyException>(py) => bad.push(key.to_string()),
            Err(raised) => return Err(raised),
        }
    }
    Ok((values, bad))
}

#[pymethods]
impl Cache {
    /// Returns the fresh values among these keys as a dict; the requests run beside each other.
    fn get_many<'py>(slf: &Bound<'py, Self>, keys: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
        let (py, this) = (slf.py(), slf.get());
        let (cache, ask, keys) = (this.cache(), this.fresh(), self::keys(keys)?);
        let (keys, found) = wait_on_runtime(py, async move {
            let found = cache.get_many(&keys, &ask).await?;
            Ok((keys, found))
        })?;
        let (values, bad) = decoded(py, &this.shared, &keys, found)?;
        let missing = py.get_type::<Cache>().into_any();
        for key in bad {
            // One by one: a bad copy is a miss there, and the next tier is asked.
            let value = slf.call_method1("get", (&key, &missing))?;
            if !value.is(&missing) {
                values.set_item(key, value)?;
            }
        }
        Ok(values)
    }

    /// Like `get_many`, as an awaitable of a dict and the keys whose copy cannot be decoded.
    fn get_many_async(&self, py: Python<'_>, keys: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let (cache, ask, keys, shared) = (self.cache(), self.fresh(), self::keys(keys)?, self.shared.clone());
        let work = async move {
            let found = cache.get_many(&keys, &ask).await?;
            Ok((keys, found))
        };
        awaitable(py, work, move |py, (keys, found)| Ok(decoded(py, &shared, &keys, found)?.into_pyobject(py)?.into_any().unbind()))
    }

    /// Puts several values for `ttl` seconds; zero, less and `None` mean for ever. The requests run beside each other.
    #[pyo3(signature = (mapping, ttl = None))]
    fn set_many(&self, py: Python<'_>, mapping: &Bound<'_, PyMapping>, ttl: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let (cache, items, policy) = (self.cache(), self.items(py, mapping)?, storage_ask(ttl)?);
        wait_on_runtime(py, async move { cache.put_many(items, Some(&policy)).await })
    }

    /// Like `set_many`, as an awaitable.
    #[pyo3(signature = (mapping, ttl = None))]
    fn set_many_async(&self, py: Python<'_>, mapping: &Bound<'_, PyMapping>, ttl: Option<&Bound<'_, PyAny>>) -> PyResult<Py<PyAny>> {
        let (cache, items, policy) = (self.cache(), self.items(py, mapping)?, storage_ask(ttl)?);
        awaitable(py, async move { cache.put_many(items, Some(&policy)).await }, |py, ()| Ok(py.None()))
    }

    /// Deletes several keys from every tier.
    fn delete_many(&self, py: Python<'_>, keys: &Bound<'_, PyAny>) -> PyResult<()> {
        let (cache, keys) = (self.cache(), self::keys(keys)?);
        wait_on_runtime(py, async move { cache.delete_many(&keys).await })
    }

    /// Like `delete_many`, as an awaitable. The work begins at once.
    fn delete_many_async(&self, py: Python<'_>, keys: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let (cache, keys) = (self.cache(), self::keys(keys)?);
        awaitable(py, async move { cache.delete_many(&keys).await }, |py, ()| Ok(py.None()))
    }
}
