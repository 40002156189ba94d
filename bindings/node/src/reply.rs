//! Answers, as JavaScript takes them: numbers in one piece of memory, and beside them what has to be a value of its own.
//!
//! Making an object with ten properties takes longer than the read it tells of; writing ten numbers does not.

use std::{future::Future, ptr, sync::Arc};

use napi::{
    bindgen_prelude::{Float64Array, ToNapiValue},
    sys,
};
use undercroft::engine::{self, Code, Codec, Entry, Error, Key, Live, Result, time::FOREVER};
use undercroft_native::{Ready, attempt, run_detached};

use crate::{
    bridge::{Inside, Question, Shared},
    cache,
    errors::record,
    lease::Lease,
    live::{slot, slot_in},
};

/// How many numbers an answer has room for.
pub(crate) const ANSWERS: usize = 16;

/// Where each number stands; `node/src/bridge.ts` has the same list.
#[derive(Clone, Copy)]
enum Field {
    Kind,
    Ticket,
    State,
    Slot,
    CreatedAt,
    FreshUntil,
    StaleUntil,
    PlainUntil,
    Tier,
    Codec,
    Instance,
    Lease,
    Released,
    Number,
    /// The number of one that was released.
    First,
}

/// What kind of answer it is.
#[derive(Clone, Copy)]
enum Kind {
    Nothing,
    Pending,
    Failed,
    Found,
    Number,
    Many,
    Question,
    Idle,
}

/// What a look found.
#[derive(Clone, Copy)]
pub(crate) enum State {
    Miss,
    Hit,
    Stale,
    Busy,
}

/// What came of a verb.
pub(crate) enum Out {
    Nothing,
    Number(f64),
    Found(Box<Found>),
    Many(Arc<cache::Shared>, Vec<Key>, Vec<Option<Entry>>),
    /// This object was put under this key. It is held until JavaScript is told: its number is nobody else's so long.
    Put(Arc<cache::Shared>, Key, Live),
    Texts(Vec<String>),
    Question(Question),
    Idle,
}

/// A look's outcome.
pub(crate) struct Found {
    state: State,
    entry: Option<Entry>,
    lease: Option<engine::Lease>,
    core: Arc<cache::Shared>,
    key: Key,
}

impl Out {
    pub(crate) fn found(state: State, entry: Entry, lease: Option<engine::Lease>, core: &Arc<cache::Shared>, key: &Key) -> Self {
        Self::Found(Box::new(Found { state, entry: Some(entry), lease, core: core.clone(), key: key.clone() }))
    }

    pub(crate) fn missed(state: State, lease: Option<engine::Lease>, core: &Arc<cache::Shared>, key: &Key) -> Self {
        Self::Found(Box::new(Found { state, entry: None, lease, core: core.clone(), key: key.clone() }))
    }

    pub(crate) fn of(outcome: engine::Outcome, core: &Arc<cache::Shared>, key: &Key) -> Self {
        match outcome {
            engine::Outcome::Hit(entry, lease) => Self::found(State::Hit, entry, lease, core, key),
            engine::Outcome::Stale(entry, lease) => Self::found(State::Stale, entry, lease, core, key),
            engine::Outcome::Miss(lease) => Self::missed(State::Miss, Some(lease), core, key),
        }
    }

    pub(crate) fn put(core: Arc<cache::Shared>, key: Key, object: Option<Live>) -> Self {
        object.map_or(Self::Nothing, |object| Self::Put(core, key, object))
    }

    pub(crate) fn flag(flag: bool) -> Self {
        Self::Number(f64::from(u8::from(flag)))
    }
}

/// An answer on its way to JavaScript.
pub struct Reply {
    shared: Arc<Shared>,
    work: Work,
    ticket: u32,
}

enum Work {
    Done(Result<Out>),
    Pending(std::pin::Pin<Box<dyn Future<Output = Result<Out>> + Send>>),
}

impl Reply {
    /// Answers with what is there.
    pub(crate) fn now(shared: &Arc<Shared>, out: Result<Out>) -> Self {
        Self { shared: shared.clone(), work: Work::Done(out), ticket: 0 }
    }

    /// Answers with what comes of `future`: at once where it is ready, else later, under a ticket.
    pub(crate) fn of<F: Future<Output = Result<Out>> + Send + 'static>(shared: &Arc<Shared>, future: F) -> Self {
        let work = match attempt(future) {
            Ready::Now(out) => Work::Done(out),
            Ready::Later(rest) => Work::Pending(rest),
        };
        Self { shared: shared.clone(), work, ticket: 0 }
    }

    pub(crate) fn with_ticket(self, ticket: u32) -> Self {
        Self { ticket, ..self }
    }
}

fn until(at: u64) -> f64 {
    if at == FOREVER { f64::INFINITY } else { at as f64 }
}

/// Writes one answer.
struct Writer<'a> {
    env: sys::napi_env,
    shared: &'a Arc<Shared>,
}

impl Writer<'_> {
    fn set(&self, at: Field, number: f64) {
        self.shared.answers()[at as usize].set(number);
    }

    fn kind(&self, kind: Kind) {
        self.set(Field::Kind, f64::from(kind as u8));
    }

    fn undefined(&self) -> sys::napi_value {
        let mut value = ptr::null_mut();
        // SAFETY: this is the JavaScript thread, inside a call.
        unsafe { sys::napi_get_undefined(self.env, &raw mut value) };
        value
    }

    fn text(&self, text: &str) -> napi::Result<sys::napi_value> {
        let mut value = ptr::null_mut();
        // SAFETY: as above; the text is copied.
        check(unsafe { sys::napi_create_string_utf8(self.env, text.as_ptr().cast(), text.len() as isize, &raw mut value) })?;
        Ok(value)
    }

    fn bytes(&self, bytes: &[u8]) -> napi::Result<sys::napi_value> {
        let mut value = ptr::null_mut();
        // SAFETY: as above; the bytes are copied, because users may change what they are given.
        check(unsafe { sys::napi_create_buffer_copy(self.env, bytes.len(), bytes.as_ptr().cast(), ptr::null_mut(), &raw mut value) })?;
        Ok(value)
    }

    /// Writes the numbers of an entry, and returns its bytes where it has no object: text where the codec is one of texts.
    fn entry(&self, core: &cache::Shared, key: &Key, entry: &Entry, mut put: impl FnMut(Field, f64)) -> napi::Result<sys::napi_value> {
        put(Field::CreatedAt, until(entry.life.created_at));
        put(Field::FreshUntil, until(entry.life.fresh_until));
        put(Field::StaleUntil, until(entry.life.stale_until));
        put(Field::Tier, core.place(&entry.tier));
        if let Some(slot) = slot_in(entry) {
            put(Field::Slot, f64::from(slot));
            put(Field::PlainUntil, core.plain_until(key, slot));
            return Ok(self.undefined());
        }
        put(Field::Slot, -1.0);
        put(Field::PlainUntil, 0.0);
        let Some((codec, bytes)) = entry.value.encoded() else { return Ok(self.undefined()) };
        put(Field::Codec, f64::from(codec.id));
        put(Field::Instance, f64::from(codec.instance));
        match std::str::from_utf8(bytes) {
            Ok(text) if [Codec::JSON.id, Codec::UTF8.id].contains(&codec.id) => self.text(text),
            _ => self.bytes(bytes),
        }
    }

    fn found(&self, found: Found) -> napi::Result<sys::napi_value> {
        self.kind(Kind::Found);
        self.set(Field::State, f64::from(found.state as u8));
        self.set(Field::Lease, f64::from(u8::from(found.lease.is_some())));
        let value = match &found.entry {
            Some(entry) => Some(self.entry(&found.core, &found.key, entry, |at, number| self.set(at, number))?),
            None => None,
        };
        let lease = match found.lease {
            // SAFETY: this is the JavaScript thread, inside a call.
            Some(lease) => Some(unsafe { ToNapiValue::to_napi_value(self.env, Lease::new(lease, &found.core)) }?),
            None => None,
        };
        match (value, lease) {
            (Some(value), Some(lease)) => self.list(&[value, lease]),
            (Some(only), None) | (None, Some(only)) => Ok(only),
            (None, None) => Ok(self.undefined()),
        }
    }

    fn list(&self, values: &[sys::napi_value]) -> napi::Result<sys::napi_value> {
        let mut list = ptr::null_mut();
        // SAFETY: this is the JavaScript thread, inside a call, and the values are of this environment.
        unsafe {
            check(sys::napi_create_array_with_length(self.env, values.len(), &raw mut list))?;
            for (at, value) in (0..).zip(values) {
                check(sys::napi_set_element(self.env, list, at, *value))?;
            }
        }
        Ok(list)
    }

    /// Writes many entries: a list of their bytes, and one of their numbers, [`ANSWERS`] for each.
    fn many(&self, core: &cache::Shared, keys: &[Key], entries: &[Option<Entry>]) -> napi::Result<sys::napi_value> {
        self.kind(Kind::Many);
        let mut numbers = vec![0.0; entries.len() * ANSWERS];
        let mut values = Vec::with_capacity(entries.len());
        for ((key, entry), numbers) in keys.iter().zip(entries).zip(numbers.chunks_mut(ANSWERS)) {
            let state = if entry.is_some() { State::Hit } else { State::Miss };
            numbers[Field::State as usize] = f64::from(state as u8);
            values.push(match entry {
                Some(entry) => self.entry(core, key, entry, |at, number| numbers[at as usize] = number)?,
                None => self.undefined(),
            });
        }
        // SAFETY: this is the JavaScript thread, inside a call.
        let numbers = unsafe { ToNapiValue::to_napi_value(self.env, Float64Array::new(numbers)) }?;
        self.list(&[self.list(&values)?, numbers])
    }

    fn question(&self, question: &Question) -> napi::Result<sys::napi_value> {
        self.kind(Kind::Question);
        self.set(Field::Slot, question.slot.map_or(-1.0, f64::from));
        self.set(Field::Number, question.ttl);
        self.set(Field::State, f64::from(question.store));
        for (at, moment) in [Field::CreatedAt, Field::FreshUntil, Field::StaleUntil].into_iter().zip(question.life) {
            self.set(at, moment);
        }
        self.list(&[self.text(question.verb)?, self.text(&question.key)?])
    }

    /// Writes an answer; one that JavaScript cannot hold is a failure, and never an exception in whoever takes it.
    fn write_or_fail(&self, out: Result<Out>) -> napi::Result<sys::napi_value> {
        self.write(out).or_else(|_| {
            let mut thrown = ptr::null_mut();
            // SAFETY: this is the JavaScript thread, inside a call.
            unsafe { sys::napi_get_and_clear_last_exception(self.env, &raw mut thrown) };
            self.write(Err(Error::new(Code::TooLarge, "JavaScript cannot hold the value: it is too long, or memory is short")))
        })
    }

    fn write(&self, out: Result<Out>) -> napi::Result<sys::napi_value> {
        match out {
            Ok(Out::Found(found)) => self.found(*found),
            Ok(Out::Many(core, keys, entries)) => self.many(&core, &keys, &entries),
            Ok(Out::Texts(texts)) => {
                self.kind(Kind::Many);
                let texts = texts.iter().map(|text| self.text(text)).collect::<napi::Result<Vec<_>>>()?;
                self.list(&texts)
            }
            Ok(Out::Question(question)) => self.question(&question),
            Ok(Out::Number(number)) => {
                self.kind(Kind::Number);
                self.set(Field::Number, number);
                Ok(self.undefined())
            }
            Ok(Out::Put(core, key, object)) => {
                self.kind(Kind::Number);
                // Now, on JavaScript's thread: it may have been deleted since it was put.
                self.set(Field::Number, slot(&object).map_or(0.0, |number| core.plain_until(&key, number)));
                Ok(self.undefined())
            }
            Ok(Out::Nothing) => {
                self.kind(Kind::Nothing);
                Ok(self.undefined())
            }
            Ok(Out::Idle) => {
                self.kind(Kind::Idle);
                Ok(self.undefined())
            }
            Err(error) => {
                self.kind(Kind::Failed);
                self.text(&record(&error))
            }
        }
    }
}

fn check(status: sys::napi_status) -> napi::Result<()> {
    if status == sys::Status::napi_ok { Ok(()) } else { Err(napi::Error::from_reason("JavaScript takes no more values: it may be out of memory")) }
}

impl ToNapiValue for Reply {
    unsafe fn to_napi_value(env: sys::napi_env, reply: Self) -> napi::Result<sys::napi_value> {
        let _inside = Inside::enter();
        let writer = Writer { env, shared: &reply.shared };
        let value = match reply.work {
            Work::Done(out) => {
                writer.set(Field::Ticket, f64::from(reply.ticket));
                writer.write_or_fail(out)?
            }
            Work::Pending(rest) => {
                let ticket = reply.shared.begin(env);
                let shared = reply.shared.clone();
                let stop = run_detached(async move { shared.end(ticket, rest.await) });
                reply.shared.began(ticket, stop);
                writer.kind(Kind::Pending);
                writer.set(Field::Ticket, f64::from(ticket));
                writer.undefined()
            }
        };
        // Most often it is one, which a put has replaced: it goes with the answer.
        let (first, more) = reply.shared.take_one();
        writer.set(Field::First, first.map_or(-1.0, f64::from));
        writer.set(Field::Released, more as f64);
        Ok(value)
    }
}
