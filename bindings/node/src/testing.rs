//! What `undercroft/testing` is made of.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use napi::bindgen_prelude::{Float64Array, Uint8Array};
use napi_derive::napi;
use undercroft::engine::{
    Body, Clock, Code, Encoding, Env, Key, Meta, Object, PutMode,
    envelope::Header,
    layers, manual,
    time::{FOREVER, from_seconds},
};

use crate::{
    bridge::Inside,
    cache::{Core, Encoded, form},
    errors::{invalid, raise},
    reply::{Out, Reply},
};

/// A clock that stands still until it is advanced.
#[napi]
pub struct ManualClock {
    clock: Arc<manual::ManualClock>,
    /// The monotonic time, as the clock of hits shows it.
    cell: Arc<[AtomicU64; 2]>,
}

#[napi]
impl ManualClock {
    /// Makes one.
    #[napi(constructor)]
    pub fn new() -> Self {
        let made = Self { clock: Arc::default(), cell: Arc::default() };
        made.show();
        made
    }

    /// Where the monotonic time is written.
    #[napi(getter)]
    pub fn cell(&self) -> Float64Array {
        let cell = self.cell.clone();
        // SAFETY: the memory lives as long as `cell`, which the notice holds.
        unsafe { Float64Array::with_external_data(cell.as_ptr().cast::<f64>().cast_mut(), 2, move |_, _| drop(cell)) }
    }

    /// Lets seconds pass on both clocks.
    #[napi]
    pub fn advance(&self, seconds: f64) -> napi::Result<()> {
        let millis = from_seconds(seconds).ok_or_else(|| invalid("time does not run backwards"))?;
        self.clock.advance(millis);
        self.show();
        Ok(())
    }

    /// Steps the wall clock alone.
    #[napi]
    pub fn step_wall(&self, seconds: f64) {
        self.clock.step_wall((seconds * 1000.0) as i64);
    }

    /// The wall-clock time in seconds since the epoch.
    #[napi]
    pub fn wall(&self) -> f64 {
        self.clock.wall() as f64 / 1000.0
    }
}

impl ManualClock {
    fn show(&self) {
        self.cell[0].store((self.clock.monotonic() as f64).to_bits(), Ordering::Relaxed);
    }

    /// Returns an environment with this clock, and without chance.
    pub(crate) fn env(&self) -> Env {
        Env { clock: Arc::new(self.clock.clone()), random: Arc::new(manual::Middle), ..undercroft_native::env() }
    }
}

/// The failures that are planned for a far tier.
#[napi]
pub struct Faults(pub(crate) layers::Faults);

#[napi]
impl Faults {
    /// Plans a fault: an error code, `hang` or `corrupt`; for some calls, or for ever.
    #[napi]
    pub fn plan(&self, fault: String, operation: Option<String>, times: Option<u32>) -> napi::Result<()> {
        let fault = match fault.as_str() {
            "hang" => layers::Fault::Hang,
            "corrupt" => layers::Fault::Corrupt,
            code => layers::Fault::Fail(Code::parse(code).ok_or_else(|| invalid(format!("unknown fault `{code}`")))?),
        };
        let operation = operation.as_deref().unwrap_or("*");
        match times {
            Some(times) => self.0.next(operation, fault, times as usize),
            None => self.0.always(operation, fault),
        }
        Ok(())
    }

    /// Ends all planned faults.
    #[napi]
    pub fn heal(&self) {
        self.0.heal();
    }

    /// Lets hanging calls go on.
    #[napi]
    pub fn release(&self) {
        self.0.release();
    }

    /// The operations called so far.
    #[napi]
    pub fn calls(&self) -> Vec<String> {
        self.0.calls()
    }
}

/// Removes a key from the near tier alone, as eviction does.
#[napi]
pub fn forget_near(core: &Core, key: String) -> bool {
    let _inside = Inside::enter();
    core.shared.cache.chain().near().is_some_and(|tier| tier.near.remove(&key))
}

/// Puts a value into one far tier alone, as another process may.
#[napi]
pub fn put_far(core: &Core, tier: String, key: String, encoded: Encoded) -> napi::Result<Reply> {
    let engine = &core.shared.cache;
    let far = engine.chain().far().iter().find(|far| *far.name == *tier).ok_or_else(|| invalid(format!("no far tier is called `{tier}`")))?;
    let form = form(encoded);
    let bytes = form.bytes.map_err(invalid)?;
    let life = engine.policy().life(engine.env()).ok_or_else(|| invalid("a ttl of zero does not store"))?;
    let meta = Meta::new(life, form.codec, bytes.len() as u64);
    let (store, key) = (far.store.clone(), Key::new(key).map_err(raise)?);
    Ok(Reply::of(&core.shared.bridge, async move {
        store.put(&key, Object { meta, body: Body::Bytes(bytes) }, PutMode::Always).await?;
        Ok(Out::Nothing)
    }))
}

/// What an envelope says; times in milliseconds since the epoch, and none for never.
#[napi(object)]
pub struct Envelope {
    /// Number of the codec.
    pub codec: u32,
    /// Whether the payload is compressed.
    pub compressed: bool,
    /// Whether it is signed.
    pub signed: bool,
    /// When the value was made.
    pub created_at: f64,
    /// Until when it is fresh.
    pub fresh_until: Option<f64>,
    /// Until when it may be served.
    pub stale_until: Option<f64>,
}

/// Reads an envelope.
#[napi]
pub fn read_envelope(header: Uint8Array, payload: Uint8Array) -> napi::Result<Envelope> {
    let header = Header::open(&header, &payload).map_err(raise)?;
    let until = |at: u64| (at != FOREVER).then_some(at as f64);
    Ok(Envelope {
        codec: u32::from(header.codec),
        compressed: header.encoding == Encoding::Gzip,
        signed: header.signed,
        created_at: header.life.created_at as f64,
        fresh_until: until(header.life.fresh_until),
        stale_until: until(header.life.stale_until),
    })
}
