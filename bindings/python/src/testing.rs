//! What `undercroft.testing` is made of.

use std::sync::Arc;

use pyo3::{exceptions::PyValueError, prelude::*};
use undercroft::engine::{
    Body, Clock, Code, Encoding, Key, Meta, Object, PutMode,
    envelope::Header,
    layers, manual,
    time::{FOREVER, from_seconds},
};

use crate::{bridge::wait, cache::Cache, errors::raise, remains};

/// A clock that stands still until it is advanced.
#[pyclass(frozen, module = "undercroft._native")]
pub struct ManualClock(pub(crate) Arc<manual::ManualClock>);

#[pymethods]
impl ManualClock {
    #[new]
    fn new() -> Self {
        Self(Arc::default())
    }

    /// Lets seconds pass on both clocks.
    fn advance(&self, seconds: f64) -> PyResult<()> {
        let millis = from_seconds(seconds).ok_or_else(|| PyValueError::new_err("time does not run backwards"))?;
        self.0.advance(millis);
        Ok(())
    }

    /// Steps the wall clock alone.
    fn step_wall(&self, seconds: f64) {
        self.0.step_wall((seconds * 1000.0) as i64);
    }

    /// The wall-clock time in seconds since the epoch.
    fn wall(&self) -> f64 {
        self.0.wall() as f64 / 1000.0
    }
}

/// The failures that are planned for a far tier.
#[pyclass(frozen, module = "undercroft._native")]
pub struct Faults(pub(crate) layers::Faults);

#[pymethods]
impl Faults {
    /// Plans a fault: an error code, `hang` or `corrupt`; for some calls, or for ever.
    #[pyo3(signature = (fault, operation = "*", times = None))]
    fn plan(&self, fault: &str, operation: &str, times: Option<usize>) -> PyResult<()> {
        let fault = match fault {
            "hang" => layers::Fault::Hang,
            "corrupt" => layers::Fault::Corrupt,
            code => layers::Fault::Fail(Code::parse(code).ok_or_else(|| PyValueError::new_err(format!("unknown fault `{code}`")))?),
        };
        match times {
            Some(times) => self.0.next(operation, fault, times),
            None => self.0.always(operation, fault),
        }
        Ok(())
    }

    /// Ends all planned faults.
    fn heal(&self) {
        self.0.heal();
    }

    /// Lets hanging calls go on.
    fn release(&self) {
        self.0.release();
    }

    /// The operations called so far.
    fn calls(&self) -> Vec<String> {
        self.0.calls()
    }
}

/// Removes a key from the near tier alone, as eviction does.
#[pyfunction]
pub fn forget_near(py: Python<'_>, cache: &Cache, key: &str) -> bool {
    let forgotten = cache.shared.cache.chain().near().is_some_and(|tier| tier.near.remove(key));
    remains::release(py);
    forgotten
}

/// Puts a value into one far tier alone, as another process may.
#[pyfunction]
pub fn put_far(py: Python<'_>, cache: &Cache, tier: &str, key: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
    let engine = &cache.shared.cache;
    let far = engine.chain().far().iter().find(|far| &*far.name == tier).ok_or_else(|| PyValueError::new_err(format!("no far tier is called `{tier}`")))?;
    let bytes = crate::codec::dumps(value, cache.shared.serializer(far.codec)?)?;
    let life = engine.policy().life(engine.env()).ok_or_else(|| PyValueError::new_err("a ttl of zero does not store"))?;
    let meta = Meta::new(life, far.codec, bytes.len() as u64);
    let (store, key) = (far.store.clone(), raise(py, Key::new(key))?);
    wait(py, async { store.put(&key, Object { meta, body: Body::Bytes(bytes) }, PutMode::Always).await }).map(|_| ())
}

/// What an envelope says: `(codec, compressed, signed, created_at, fresh_until, stale_until)`.
type Envelope = (u8, bool, bool, u64, Option<u64>, Option<u64>);

/// Reads an envelope: `(codec, compressed, signed, created_at, fresh_until, stale_until)`, times in ms, `None` for never.
#[pyfunction]
pub fn read_envelope(py: Python<'_>, header: &[u8], payload: &[u8]) -> PyResult<Envelope> {
    let header = raise(py, Header::open(header, payload))?;
    let until = |at: u64| (at != FOREVER).then_some(at);
    Ok((header.codec, header.encoding == Encoding::Gzip, header.signed, header.life.created_at, until(header.life.fresh_until), until(header.life.stale_until)))
}
