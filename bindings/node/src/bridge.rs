//! The bridge between the core's threads and one JavaScript environment: a main thread's or a worker's.
//!
//! What is done on other threads waits here in one queue. JavaScript is woken once for all of it and takes it piece by piece
//! ([`Bridge::next`]); promises are JavaScript's own. The process stays alive while something is under way, and when the
//! environment ends nobody is woken any more: the work ends, and its leases go on.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, atomic::AtomicU8},
};

use futures_channel::oneshot;
use napi::{
    JsValue,
    bindgen_prelude::{Float64Array, Function, Uint8Array},
    sys,
};
use napi_derive::napi;
use parking_lot::Mutex;
use tokio::task::AbortHandle;
use undercroft::engine::{Code, Error, Result};

use crate::{
    ask::millis,
    clock,
    errors::invalid,
    live::{CHUNK, Marks, live},
    pin::pin,
    reply::{ANSWERS, Out, Reply},
    wake::Wake,
};

/// How often who releases a value asks for the lock. In vain it only means that JavaScript lets go of it with its next call.
const PATIENCE: u32 = 100;

/// What both sides share.
pub(crate) struct Shared {
    state: Mutex<State>,
    /// The numbers of objects that nobody here holds any more.
    released: Mutex<Vec<u32>>,
    marks: Mutex<Vec<Marks>>,
    /// Where answers are written; only the JavaScript thread touches it.
    answers: Box<[AtomicF64; ANSWERS]>,
    thread: std::thread::ThreadId,
}

/// A number that both languages see; written and read by one thread.
#[repr(transparent)]
pub(crate) struct AtomicF64(std::sync::atomic::AtomicU64);

impl AtomicF64 {
    fn new() -> Self {
        Self(std::sync::atomic::AtomicU64::new(0))
    }

    pub(crate) fn set(&self, number: f64) {
        self.0.store(number.to_bits(), std::sync::atomic::Ordering::Relaxed);
    }
}

struct State {
    /// How to wake JavaScript; `None` once the environment has ended.
    wake: Option<Wake>,
    /// Whether it was woken and has not come yet.
    woken: bool,
    /// What is under way, by its ticket.
    under_way: HashMap<u32, Option<AbortHandle>>,
    done: VecDeque<Done>,
    /// Calls of users' stores that wait for JavaScript.
    asked: HashMap<u32, oneshot::Sender<Answer>>,
    next: u32,
}

enum Done {
    /// The work with this ticket has ended.
    Work(u32, Result<Out>),
    /// JavaScript is to call a store of its own.
    Ask(u32, Question),
}

/// A call of a store that the user wrote.
pub(crate) struct Question {
    /// Number of the store in JavaScript's list.
    pub(crate) store: u32,
    pub(crate) verb: &'static str,
    pub(crate) key: String,
    /// Number of the value.
    pub(crate) slot: Option<u32>,
    /// Seconds; zero for no end.
    pub(crate) ttl: f64,
    /// When it was made, until when it is fresh, until when it may be served; milliseconds since the epoch.
    pub(crate) life: [f64; 3],
    /// Keeps the value, or the store, alive until JavaScript has read the question.
    pub(crate) _value: Option<undercroft::engine::Live>,
}

/// What the store said.
pub(crate) struct Answer {
    pub(crate) flag: bool,
    pub(crate) value: Option<undercroft::engine::Live>,
    pub(crate) life: Option<[f64; 3]>,
    pub(crate) number: f64,
    pub(crate) failed: Option<String>,
}

impl Shared {
    /// Gives out a ticket for work that begins now. The JavaScript thread calls this.
    pub(crate) fn begin(&self, env: sys::napi_env) -> u32 {
        let mut state = self.state.lock();
        let ticket = state.number();
        if state.under_way.is_empty()
            && let Some(wake) = &state.wake
        {
            wake.hold(env);
        }
        state.under_way.insert(ticket, None);
        ticket
    }

    /// Takes note of what stops the work.
    pub(crate) fn began(&self, ticket: u32, stop: AbortHandle) {
        if let Some(under_way) = self.state.lock().under_way.get_mut(&ticket) {
            *under_way = Some(stop);
        }
    }

    /// Hands over what came of the work. Any thread calls this.
    pub(crate) fn end(&self, ticket: u32, out: Result<Out>) {
        let mut state = self.state.lock();
        // Nobody waits for what was cancelled, or for anything once the environment has ended; what is in `out` is dropped unlocked.
        if state.wake.is_none() || !state.under_way.contains_key(&ticket) {
            drop(state);
            return;
        }
        state.done.push_back(Done::Work(ticket, out));
        state.wake();
    }

    /// Asks a store of the user's, and returns what to wait for.
    pub(crate) fn ask(&self, question: Question) -> oneshot::Receiver<Answer> {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.state.lock();
        if state.wake.is_some() {
            let number = state.number();
            state.asked.insert(number, sender);
            state.done.push_back(Done::Ask(number, question));
            state.wake();
        }
        receiver
    }

    /// Takes note that nobody here holds an object any more. Any thread calls this.
    pub(crate) fn release(&self, slot: u32) {
        self.released.lock().push(slot);
        // On the JavaScript thread the answer under way says so. Only what comes from elsewhere, or from its garbage collector, wakes it.
        if !(std::thread::current().id() == self.thread && INSIDE.get()) {
            // Not `lock`: the value may be dropped by somebody who has it. Others have it for moments.
            for _ in 0..PATIENCE {
                if let Some(mut state) = self.state.try_lock() {
                    return state.wake();
                }
                std::thread::yield_now();
            }
        }
    }

    /// Takes one of the numbers that were released, and says how many are left.
    pub(crate) fn take_one(&self) -> (Option<u32>, usize) {
        let mut released = self.released.lock();
        (released.pop(), released.len())
    }

    /// Returns the marks of a chunk of objects.
    pub(crate) fn marks(&self, chunk: usize) -> Marks {
        let mut marks = self.marks.lock();
        while marks.len() <= chunk {
            marks.push((0..CHUNK).map(|_| AtomicU8::new(0)).collect());
        }
        marks[chunk].clone()
    }

    pub(crate) fn answers(&self) -> &[AtomicF64; ANSWERS] {
        &self.answers
    }
}

thread_local! {
    static INSIDE: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// While this lives, JavaScript waits for an answer, which says what was released.
pub(crate) struct Inside(bool);

impl Inside {
    pub(crate) fn enter() -> Self {
        Self(INSIDE.replace(true))
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        INSIDE.set(self.0);
    }
}

impl State {
    fn number(&mut self) -> u32 {
        loop {
            self.next = self.next.wrapping_add(1);
            if self.next != 0 && !self.under_way.contains_key(&self.next) && !self.asked.contains_key(&self.next) {
                return self.next;
            }
        }
    }

    fn wake(&mut self) {
        if let Some(wake) = &self.wake
            && !std::mem::replace(&mut self.woken, true)
        {
            // It has not ended: that takes the lock, which the caller has.
            wake.call();
        }
    }
}

/// The JavaScript side's end of the bridge: one in each environment.
#[napi]
pub struct Bridge(pub(crate) Arc<Shared>);

#[napi]
impl Bridge {
    /// Connects an environment, whose `drain` is called when there is something to take.
    #[napi(constructor)]
    pub fn new(env: napi::Env, drain: Function<'_, (), ()>) -> napi::Result<Self> {
        pin();
        let shared = Arc::new(Shared {
            state: Mutex::new(State { wake: None, woken: false, under_way: HashMap::new(), done: VecDeque::new(), asked: HashMap::new(), next: 0 }),
            released: Mutex::default(),
            marks: Mutex::default(),
            answers: Box::new(std::array::from_fn(|_| AtomicF64::new())),
            thread: std::thread::current().id(),
        });
        shared.state.lock().wake = Some(Wake::new(env.raw(), drain.value().value)?);
        // Runs before the function's own hook, which was added earlier: nobody wakes an environment that has ended.
        let hook = Arc::into_raw(shared.clone());
        // SAFETY: the hook is called once, with the pointer, which is a counted one.
        let status = unsafe { sys::napi_add_env_cleanup_hook(env.raw(), Some(disconnect), hook.cast_mut().cast()) };
        if status != sys::Status::napi_ok {
            return Err(invalid("the environment takes no hook for its end"));
        }
        Ok(Self(shared))
    }

    /// Where answers are written.
    #[napi(getter)]
    pub fn answers(&self) -> Float64Array {
        let shared = self.0.clone();
        // SAFETY: the memory lives as long as `shared`, which the notice holds; only this thread writes it.
        unsafe { Float64Array::with_external_data(shared.answers.as_ptr().cast::<f64>().cast_mut(), ANSWERS, move |_, _| drop(shared)) }
    }

    /// Where the monotonic time is written, and where to say that it was read.
    #[napi(getter)]
    pub fn clock(&self) -> Float64Array {
        // SAFETY: the memory is never freed. Torn reads do not exist: eight aligned bytes are read and written at once.
        unsafe { Float64Array::with_external_data(clock::cell(), 2, |_, _| ()) }
    }

    /// Where JavaScript marks the objects of a chunk as used.
    #[napi]
    pub fn marks(&self, chunk: u32) -> Uint8Array {
        let marks = self.0.marks(chunk as usize);
        // SAFETY: the memory lives as long as `marks`, which the notice holds; bytes are read and written at once.
        unsafe { Uint8Array::with_external_data(marks.as_ptr().cast::<u8>().cast_mut(), CHUNK, move |_, _| drop(marks)) }
    }

    /// Answers with the next piece of work that is done, a question to a store, or `idle`.
    #[napi]
    pub fn next(&self, env: napi::Env) -> Reply {
        let _inside = Inside::enter();
        let done = {
            let mut state = self.0.state.lock();
            let done = state.done.pop_front();
            match &done {
                Some(Done::Work(ticket, _)) => state.forget(env.raw(), *ticket),
                Some(Done::Ask(..)) => {}
                None => state.woken = false,
            }
            done
        };
        match done {
            Some(Done::Work(ticket, out)) => Reply::now(&self.0, out).with_ticket(ticket),
            Some(Done::Ask(number, question)) => Reply::now(&self.0, Ok(Out::Question(question))).with_ticket(number),
            None => Reply::now(&self.0, Ok(Out::Idle)),
        }
    }

    /// Takes the numbers of the objects that nobody holds any more.
    #[napi]
    pub fn released(&self) -> Vec<u32> {
        std::mem::take(&mut *self.0.released.lock())
    }

    /// Stops work whose answer nobody waits for.
    #[napi]
    pub fn cancel(&self, env: napi::Env, ticket: u32) {
        let _inside = Inside::enter();
        let dropped = {
            let mut state = self.0.state.lock();
            if let Some(Some(stop)) = state.under_way.get(&ticket) {
                stop.abort();
            }
            state.forget(env.raw(), ticket);
            let at = state.done.iter().position(|done| matches!(done, Done::Work(other, _) if *other == ticket));
            at.and_then(|at| state.done.remove(at))
        };
        // A lease in it goes on to the next waiter, unlocked.
        drop(dropped);
    }

    /// Answers a question to a store: whether, a value by its number, its deadlines.
    #[napi]
    pub fn answer(&self, number: u32, flag: bool, slot: Option<u32>, life: Option<Vec<f64>>, count: Option<f64>) {
        let _inside = Inside::enter();
        let value = slot.map(|slot| live(&self.0, slot));
        let life = life.and_then(|life| <[f64; 3]>::try_from(life).ok());
        self.settle(number, Answer { flag, value, life, number: count.unwrap_or(0.0), failed: None });
    }

    /// Says that a store threw.
    #[napi]
    pub fn refuse(&self, number: u32, message: String) {
        self.settle(number, Answer { flag: false, value: None, life: None, number: 0.0, failed: Some(message) });
    }

    fn settle(&self, number: u32, answer: Answer) {
        let waiting = self.0.state.lock().asked.remove(&number);
        if let Some(waiting) = waiting {
            let _nobody_waits = waiting.send(answer);
        }
    }
}

impl State {
    /// Takes a ticket back. The JavaScript thread calls this.
    fn forget(&mut self, env: sys::napi_env, ticket: u32) {
        if self.under_way.remove(&ticket).is_some()
            && self.under_way.is_empty()
            && let Some(wake) = &self.wake
        {
            wake.let_go(env);
        }
    }
}

/// Ends the bridge with its environment: nobody is woken from here on, and nobody waits for an answer.
unsafe extern "C" fn disconnect(shared: *mut std::ffi::c_void) {
    // SAFETY: the pointer is the counted one that the hook was given.
    let shared = unsafe { Arc::from_raw(shared.cast::<Shared>().cast_const()) };
    let (done, asked) = {
        let mut state = shared.state.lock();
        state.wake = None;
        for stop in state.under_way.drain().filter_map(|(_, stop)| stop) {
            stop.abort();
        }
        (std::mem::take(&mut state.done), std::mem::take(&mut state.asked))
    };
    drop((done, asked));
}

/// Says that the environment has ended before a store answered.
pub(crate) fn ended() -> Error {
    Error::new(Code::Closed, "the JavaScript environment has ended")
}

/// Reads the deadlines that a store gave.
pub(crate) fn life(of: [f64; 3]) -> undercroft::engine::Life {
    let [created_at, fresh_until, stale_until] = of.map(millis);
    undercroft::engine::Life { created_at, fresh_until, stale_until: stale_until.max(fresh_until) }
}
