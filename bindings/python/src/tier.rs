//! Tiers: stores with their place in a chain, as Python builds them.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use bytes::Bytes;
use pyo3::{
    exceptions::{PyTypeError, PyValueError},
    prelude::*,
    types::{PyBytes, PyString},
};
use undercroft::{
    Options, TierConfig,
    engine::{
        self, Codec, Near, NearTier, OnError, Store,
        layers::{Layer, Shape, Squeeze},
        near::Limits,
    },
    stores::{Local, LocalOptions, Memory},
};

use crate::{
    arguments::seconds,
    codec::{self, Serializer},
    errors::raise,
    host_bucket::HostBucket,
    host_store::HostStore,
    lent::{Lent, LentIdentities},
    remains::remains,
};

static INSTANCES: AtomicU32 = AtomicU32::new(1);

#[derive(Clone)]
enum Kind {
    Near(Arc<Near>),
    Far(Arc<dyn Store>),
}

/// A store with its limits and its serializer. Tiers are immutable; a changed copy is another tier of the same store.
#[pyclass(frozen, from_py_object, module = "undercroft._native")]
#[derive(Clone)]
pub struct Tier {
    kind: Kind,
    name: Option<String>,
    max_ttl: Option<u64>,
    on_error: OnError,
    serializer: Arc<Serializer>,
}

#[pymethods]
impl Tier {
    /// Makes a tier of memory.
    #[staticmethod]
    #[pyo3(signature = (max_entries, max_bytes = None))]
    fn memory(max_entries: u64, max_bytes: Option<u64>) -> PyResult<Self> {
        if max_entries == 0 || max_bytes == Some(0) {
            return Err(PyValueError::new_err("`max_entries` and `max_bytes` must be at least 1"));
        }
        Ok(Self::of(Kind::Near(Arc::new(Near::with_remains(Limits { max_entries, max_bytes }, remains()))), Serializer { codec: Codec::RAW, custom: None }))
    }

    /// Makes a tier of a directory.
    #[staticmethod]
    #[pyo3(signature = (root, *, serializer, compress = None, prefix = String::new(), max_bytes = None, durable = false))]
    fn local(
        py: Python<'_>,
        root: std::path::PathBuf,
        serializer: &Bound<'_, PyAny>,
        compress: Option<u32>,
        prefix: String,
        max_bytes: Option<u64>,
        durable: bool,
    ) -> PyResult<Self> {
        let serializer = self::serializer(serializer)?;
        let env = undercroft_native::env();
        let local = py.detach(|| Local::open(root, LocalOptions { max_bytes, durable }, env.clone()));
        // Always shaped: what others have compressed is read by those who compress nothing.
        let store = Shape { prefix, compress: compress.map(Squeeze::Gzip), max_value: None }.wrap(Arc::new(raise(py, local)?), &env);
        Ok(Self::of(Kind::Far(store), serializer))
    }

    /// Makes a tier on object storage from its settings, as JSON: a URL, or an object with `url`.
    ///
    /// `lender` lends credentials; `bucket` does all the work in Python.
    #[staticmethod]
    #[pyo3(signature = (settings, *, serializer, lender = None, bucket = None))]
    fn object(
        py: Python<'_>,
        settings: &str,
        serializer: &Bound<'_, PyAny>,
        lender: Option<&Bound<'_, PyAny>>,
        bucket: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let serializer = self::serializer(serializer)?;
        let settings = serde_json::from_str(settings).map_err(|error| PyValueError::new_err(error.to_string()))?;
        let config = TierConfig { codec: serializer.codec, ..raise(py, TierConfig::from_value(&settings))? };
        let env = undercroft_native::env();
        let opened = match bucket {
            Some(bucket) => undercroft::open_bucket(&config, HostBucket::new(bucket, &config.scheme)?, &env),
            None => {
                let options = match lender {
                    // The client has looked at the environment when it was made.
                    Some(lender) => Options { identities: Some(Arc::new(LentIdentities(Arc::new(Lent::new(lender))))), ..Options::default() },
                    None => crate::process::options(),
                };
                raise(py, py.detach(|| undercroft::open_tier(&config, &env, &options)))?
            }
        };
        Ok(Self { max_ttl: opened.max_ttl, on_error: opened.on_error, ..Self::of(Kind::Far(opened.store), serializer) })
    }

    /// Makes a tier of a store that the user wrote.
    #[staticmethod]
    fn host(store: &Bound<'_, PyAny>) -> PyResult<Self> {
        let store = HostStore::new(store)?;
        Ok(Self::of(Kind::Far(Arc::new(store)), Serializer { codec: Codec::RAW, custom: None }))
    }

    /// Returns this tier with a limit on how long it keeps entries, in seconds; the tighter one holds.
    fn capped(&self, max_ttl: &Bound<'_, PyAny>) -> PyResult<Self> {
        let max_ttl = match (seconds(max_ttl, "ttl")?, self.max_ttl) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        Ok(Self { max_ttl, ..self.clone() })
    }

    /// Returns this tier under another name.
    fn named(&self, name: String) -> Self {
        Self { name: Some(name), ..self.clone() }
    }
}

impl Tier {
    fn of(kind: Kind, serializer: Serializer) -> Self {
        Self { kind, name: None, max_ttl: None, on_error: OnError::Miss, serializer: Arc::new(serializer) }
    }

    pub(crate) fn near(&self, at: usize) -> Option<NearTier> {
        match &self.kind {
            Kind::Near(near) => Some(NearTier { name: self.name_at(at), near: near.clone(), max_ttl: self.max_ttl }),
            Kind::Far(_) => None,
        }
    }

    pub(crate) fn far(&self, at: usize) -> engine::Tier {
        let store = match &self.kind {
            Kind::Near(near) => Arc::new(Memory::new(near.clone(), undercroft_native::env())),
            Kind::Far(store) => store.clone(),
        };
        engine::Tier { max_ttl: self.max_ttl, on_error: self.on_error, ..engine::Tier::new(self.name_at(at), store, self.serializer.codec) }
    }

    pub(crate) fn serializer(&self) -> &Arc<Serializer> {
        &self.serializer
    }

    fn name_at(&self, at: usize) -> Arc<str> {
        self.name.as_deref().map_or_else(|| format!("l{}", at + 1).into(), Into::into)
    }
}

/// Reads a serializer: a name, or an object with `dumps` and `loads`.
pub(crate) fn serializer(given: &Bound<'_, PyAny>) -> PyResult<Serializer> {
    if let Ok(name) = given.cast::<PyString>() {
        let name = name.to_str()?.to_lowercase();
        return match Codec::parse(&name).filter(|codec| codec.id < 32 && *codec != Codec::PYTHON) {
            Some(codec) => Ok(Serializer { codec, custom: None }),
            None => Err(PyValueError::new_err(format!(
                "unknown serializer `{name}`; use `pickle`, `json`, `msgpack`, `raw`, `utf8`, or an object with `dumps` and `loads`"
            ))),
        };
    }
    // The serializers of the package say which codec they are.
    if let Some(codec) = given.getattr_opt("__undercroft_codec__")? {
        return serializer(&codec);
    }
    if !given.hasattr("dumps")? || !given.hasattr("loads")? {
        return Err(PyTypeError::new_err(format!("a serializer is a name or has `dumps` and `loads`; `{}` does not", given.get_type().name()?)));
    }
    let codec = Codec { id: Codec::PYTHON.id, instance: INSTANCES.fetch_add(1, Ordering::Relaxed) };
    Ok(Serializer { codec, custom: Some(given.clone().unbind()) })
}

/// Encodes an object with a serializer, by name.
#[pyfunction]
pub fn codec_dumps<'py>(name: &Bound<'py, PyAny>, value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    Ok(PyBytes::new(value.py(), &codec::dumps(value, &serializer(name)?)?))
}

/// Decodes bytes with a serializer, by name.
#[pyfunction]
pub fn codec_loads<'py>(name: &Bound<'py, PyAny>, data: Vec<u8>) -> PyResult<Bound<'py, PyAny>> {
    codec::loads(name.py(), &Bytes::from(data), &serializer(name)?)
}
