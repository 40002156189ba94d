//! The cache as Python holds it: every method extracts, builds the future and bridges.

mod flight;
mod many;
mod numbers;
mod verbs;

use std::sync::Arc;

use pyo3::{
    exceptions::{PyException, PyTypeError},
    prelude::*,
};
use undercroft::{
    Config, Format, Options,
    engine::{self, Chain, Clock, Codec, Form, Key, Near, Value},
    stores::object::PICKLED_ENTRY,
};

use crate::{
    arguments::Policy,
    codec::{self, Serializer},
    errors::raise,
    glance::Glances,
    object, process,
    remains::{release, remains},
    testing::{Faults, ManualClock},
    tier::Tier,
};

/// What the objects of one cache share.
pub(crate) struct Shared {
    pub(crate) cache: engine::Cache,
    /// Hits that no other counter saw, because they needed no more than a glance.
    pub(crate) glances: Glances,
    /// The near tier, if it can be glanced at, and the clock: again, a step nearer than in the cache.
    pub(crate) near: Option<Arc<Near>>,
    pub(crate) clock: Arc<dyn Clock>,
    serializers: Vec<Arc<Serializer>>,
    sized: bool,
}

impl Shared {
    /// Returns the serializer for a codec: the tier's own where it is custom.
    pub(crate) fn serializer(&self, codec: Codec) -> PyResult<&Serializer> {
        static PLAIN: std::sync::OnceLock<Vec<Serializer>> = std::sync::OnceLock::new();
        let plain = PLAIN.get_or_init(|| Codec::ALL.iter().chain([&PICKLED_ENTRY]).map(|codec| Serializer { codec: *codec, custom: None }).collect());
        let own = self.serializers.iter().map(|serializer| &**serializer).find(|serializer| serializer.codec == codec);
        own.or_else(|| plain.iter().find(|serializer| serializer.codec == codec)).ok_or_else(|| PyTypeError::new_err(format!("unknown codec {}", codec.id)))
    }

    /// Estimates the size of an object where the near tier counts bytes.
    pub(crate) fn size(&self, object: &Bound<'_, PyAny>) -> u64 {
        if self.sized { object::size(object) } else { 0 }
    }

    /// Makes a value of an object, with its bytes for the far tiers; what cannot be encoded says so there.
    ///
    /// # Errors
    /// What a serializer raises that is no `Exception`: an interrupt is not swallowed.
    fn value(&self, object: &Bound<'_, PyAny>) -> PyResult<Value> {
        let py = object.py();
        let mut forms = Vec::new();
        for codec in self.cache.chain().codecs() {
            let bytes = match self.serializer(codec).and_then(|serializer| codec::dumps(object, serializer)) {
                Ok(bytes) => Ok(bytes),
                Err(raised) if raised.is_instance_of::<PyException>(py) => {
                    Err(format!("a value of type `{}` cannot be encoded as `{}`: {}", codec::type_name(object), codec.name(), raised.value(py)).into())
                }
                Err(raised) => return Err(raised),
            };
            forms.push(Form { codec, bytes });
        }
        Ok(object::value(object, self.size(object)).with_forms(forms))
    }
}

/// A chain, the flights over it, and a default policy.
#[pyclass(frozen, subclass, weakref, module = "undercroft._native")]
pub struct Cache {
    pub(crate) shared: Arc<Shared>,
    tiers: Vec<Tier>,
    faults: Vec<(String, undercroft::engine::layers::Faults)>,
}

fn key(py: Python<'_>, text: &str) -> PyResult<Key> {
    raise(py, Key::new(text))
}

impl Cache {
    fn from_opened(cache: engine::Cache, serializers: Vec<Arc<Serializer>>, tiers: Vec<Tier>, faults: Vec<(String, engine::layers::Faults)>) -> Self {
        process::register(&cache);
        let sized = cache.chain().near().is_some_and(|tier| tier.near.limits().max_bytes.is_some());
        let near = cache.chain().near().map(|tier| tier.near.clone()).filter(|near| near.can_glance());
        let clock = cache.env().clock.clone();
        Self { shared: Arc::new(Shared { cache, glances: Glances::default(), near, clock, serializers, sized }), tiers, faults }
    }

    fn cache(&self) -> engine::Cache {
        self.shared.cache.clone()
    }

    fn or_distrust<T>(&self, py: Python<'_>, key: &Key, tier: &str, decoded: PyResult<T>) -> PyResult<Option<T>> {
        match decoded {
            Ok(value) => Ok(Some(value)),
            Err(raised) if raised.is_instance_of::<PyException>(py) => {
                let error = engine::Error::new(engine::Code::Corrupt, raised.value(py).to_string());
                self.shared.cache.distrust(key, tier, &error);
                release(py);
                Ok(None)
            }
            Err(raised) => Err(raised),
        }
    }
}

#[pymethods]
impl Cache {
    /// Makes a cache over tiers, nearest first. Memory in front is the near tier.
    #[new]
    #[pyo3(signature = (tiers, policy = None))]
    fn new(py: Python<'_>, tiers: Vec<Tier>, policy: Option<Policy>) -> PyResult<Self> {
        let near = tiers.first().and_then(|tier| tier.near(0));
        let skip = usize::from(near.is_some());
        let far = tiers.iter().enumerate().skip(skip).map(|(at, tier)| tier.far(at)).collect();
        let chain = raise(py, Chain::new(near, far))?;
        let policy = policy.map(|policy| policy.0).unwrap_or_default();
        let cache = raise(py, engine::Cache::new(chain, policy, undercroft_native::env()))?;
        let serializers = tiers.iter().map(|tier| tier.serializer().clone()).collect();
        Ok(Self::from_opened(cache, serializers, tiers, Vec::new()))
    }

    /// Opens a configuration, given as text in a `syntax` (`json`, `yaml` or `toml`).
    #[staticmethod]
    #[pyo3(signature = (text, syntax = "json", *, clock = None, faults = false))]
    fn open(py: Python<'_>, text: &str, syntax: &str, clock: Option<&ManualClock>, faults: bool) -> PyResult<Self> {
        let format = raise(py, Format::of(&format!(".{syntax}")))?;
        let config = raise(py, Config::parse(text, format, &|name| std::env::var(name).ok()))?;
        let env = match clock {
            Some(clock) => engine::Env { clock: Arc::new(clock.0.clone()), random: Arc::new(engine::manual::Middle), ..undercroft_native::env() },
            None => undercroft_native::env(),
        };
        let opened = py.detach(|| undercroft::open(&config, &env, &Options { faults, remains: remains(), ..process::options() }));
        let opened = raise(py, opened)?;
        let faults = opened.faults.into_iter().map(|(name, faults)| (name.to_string(), faults)).collect();
        Ok(Self::from_opened(opened.cache, Vec::new(), Vec::new(), faults))
    }

    /// The tiers it was made of.
    #[getter]
    fn tiers(&self) -> Vec<Tier> {
        self.tiers.clone()
    }

    /// The names of the tiers, nearest first.
    #[getter]
    fn tier_names(&self) -> Vec<String> {
        self.shared.cache.chain().counts().map(|(name, _)| name.to_string()).collect()
    }

    /// The default policy.
    #[getter]
    fn policy(&self) -> Policy {
        Policy(*self.shared.cache.policy())
    }

    /// The faults of a far tier, for tests.
    fn faults(&self, tier: &str) -> Option<Faults> {
        self.faults.iter().find(|(name, _)| name == tier).map(|(_, faults)| Faults(faults.clone()))
    }
}
