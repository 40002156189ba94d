//! The near tier against a model, and under threads.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

use std::{
    collections::HashMap,
    ptr::NonNull,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    thread,
};

use proptest::prelude::*;
use undercroft_engine::{
    Clock, Codec, Entry, Key, Life, Live, Near, Policy, Value,
    manual::ManualClock,
    near::{Limits, Remains, Seen},
    value::{Object, Raw},
};

/// An object of a host: it knows its key, and says so wrongly once it is gone.
struct Thing {
    key: AtomicI64,
}

fn thing(key: i64) -> Raw {
    let thing = Box::into_raw(Box::new(Thing { key: AtomicI64::new(key) }));
    // SAFETY: it came from a box, which `release` frees, and the box is aligned.
    unsafe { Raw::new(NonNull::new_unchecked(thing.cast()), release) }
}

unsafe fn release(pointer: NonNull<()>) {
    // SAFETY: it came from `thing`.
    let thing = unsafe { Box::from_raw(pointer.as_ptr().cast::<Thing>()) };
    // Once only: what was released before says -1.
    assert_ne!(thing.key.swap(-1, Ordering::SeqCst), -1);
}

/// What the host hands to the core.
struct Handle(Mutex<Option<Raw>>);

impl Object for Handle {
    fn raw(&self) -> Option<Raw> {
        self.0.lock().unwrap().take()
    }
}

fn entry(key: i64, clock: &Arc<ManualClock>, ttl: u64) -> Entry {
    let live: Live = Arc::new(Handle(Mutex::new(Some(thing(key)))));
    let now = clock.wall();
    Entry { value: Value::live(live, 0), life: Life { created_at: now, fresh_until: now + ttl, stale_until: now + ttl }, tier: "test".into() }
}

fn key(of: i64) -> Key {
    Key::new(format!("key:{of}")).unwrap()
}

#[derive(Clone, Debug)]
enum Verb {
    Put(i64, u64),
    Remove(i64),
    Advance(u64),
    Sweep,
    Clear(i64),
}

fn verb() -> impl Strategy<Value = Verb> {
    prop_oneof![
        8 => (0i64..400, 1u64..50).prop_map(|(key, ttl)| Verb::Put(key, ttl)),
        4 => (0i64..400).prop_map(Verb::Remove),
        1 => (1u64..20).prop_map(Verb::Advance),
        1 => Just(Verb::Sweep),
        1 => (0i64..40).prop_map(Verb::Clear),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_was_put_is_found_until_it_goes(verbs in prop::collection::vec(verb(), 1..800)) {
        let clock = Arc::new(ManualClock::default());
        let near = Near::new(Limits { max_entries: 1000, max_bytes: None });
        let mut model: HashMap<i64, u64> = HashMap::new();
        for verb in verbs {
            match verb {
                Verb::Put(of, ttl) => {
                    let value = Value::bytes(Codec::RAW, of.to_string());
                    let now = clock.wall();
                    let life = Life { created_at: now, fresh_until: now + ttl, stale_until: now + ttl };
                    near.put(&key(of), &Entry { value, life, tier: "test".into() }, &Policy::default(), None, &clock);
                    model.insert(of, clock.monotonic() + ttl);
                }
                Verb::Remove(of) => prop_assert_eq!(near.remove(&key(of)), model.remove(&of).is_some()),
                Verb::Advance(millis) => clock.advance(millis),
                Verb::Sweep => {
                    let now = clock.monotonic();
                    let before = model.len();
                    model.retain(|_, until| *until > now);
                    prop_assert_eq!(near.sweep(now), (before - model.len()) as u64);
                }
                Verb::Clear(of) => {
                    let prefix = key(of).to_string();
                    let before = model.len();
                    model.retain(|known, _| !key(*known).starts_with(&prefix));
                    prop_assert_eq!(near.clear(&prefix), (before - model.len()) as u64);
                }
            }
            prop_assert_eq!(near.len(), model.len());
        }
        for of in 0..400 {
            let held = near.peek(&key(of));
            prop_assert_eq!(held.as_ref().map(|held| held.gone_at()), model.get(&of).copied());
            if let Some(held) = held {
                let (value, text) = (held.value(), of.to_string());
                prop_assert_eq!(value.encoded().map(|(_, bytes)| &bytes[..]), Some(text.as_bytes()));
            }
        }
    }
}

#[test]
fn scans_leave_what_is_used() {
    let clock = Arc::new(ManualClock::default());
    let near = Near::new(Limits { max_entries: 100, max_bytes: None });
    let put = |of| near.put(&key(of), &entry(of, &clock, 1_000), &Policy::default(), None, &clock);
    (0..100).for_each(put);

    for scan in 0..50 {
        (0..50).for_each(|of| drop(near.peek(&key(of))));
        (0..50).for_each(|of| put(1_000 + scan * 50 + of));
    }

    let left = (0..50).filter(|of| near.peek(&key(*of)).is_some()).count();
    assert!(left >= 45, "{left} of 50 are left");
    assert_eq!(near.len(), 100);
}

#[test]
fn an_entry_that_was_removed_can_be_looked_at_until_it_is_released() {
    let clock = Arc::new(ManualClock::default());
    let remains = Arc::<Remains>::default();
    let near = Near::with_remains(Limits::default(), Some(remains.clone()));
    near.put(&key(7), &entry(7, &clock, 1_000), &Policy::default(), None, &clock);

    let name = key(7);
    // SAFETY: released below, after the last look.
    let glance = unsafe { near.glance(near.hash(name.as_bytes()), name.as_bytes()) }.unwrap();
    assert!(near.remove(&name));

    assert_eq!(glance.judge(clock.monotonic(), 0), Seen::Fresh);
    // SAFETY: it is alive, as is said above.
    assert_eq!(unsafe { glance.raw().unwrap().cast::<Thing>().as_ref() }.key.load(Ordering::SeqCst), 7);
    assert!(remains.is_waiting());
    // SAFETY: nobody looks any more.
    unsafe { remains.release() };
    assert!(!remains.is_waiting());
}

/// A lock stands for the interpreter's: readers glance and release with it, writers come without.
#[test]
fn glances_beside_writers_see_whole_entries() {
    const KEYS: i64 = 500;
    let clock = Arc::new(ManualClock::default());
    let remains = Arc::<Remains>::default();
    let near = Near::with_remains(Limits { max_entries: 300, max_bytes: None }, Some(remains.clone()));
    let interpreter = Mutex::new(());
    let over = AtomicBool::new(false);

    let seen = thread::scope(|scope| {
        for writer in 0..2i64 {
            let (near, clock, over) = (&near, &clock, &over);
            scope.spawn(move || {
                for at in 0..60_000i64 {
                    let of = (at * 7 + writer * 131 + at / 500) % KEYS;
                    match at % 16 {
                        0..12 => near.put(&key(of), &entry(of, clock, 1_000_000), &Policy::default(), None, clock),
                        12 => drop(near.remove(&key(of))),
                        13 => near.expire(&key(of), clock),
                        14 => drop(near.peek(&key(of))),
                        _ if at % 4096 == 15 => drop(near.clear("key:1")),
                        _ => drop(near.sweep(clock.monotonic())),
                    }
                }
                over.store(true, Ordering::SeqCst);
            });
        }
        let readers: Vec<_> = (0..2i64)
            .map(|reader| {
                let (near, clock, over, interpreter, remains) = (&near, &clock, &over, &interpreter, &remains);
                scope.spawn(move || {
                    let (mut seen, mut at) = (0u64, reader);
                    while !over.load(Ordering::SeqCst) {
                        let _interpreter = interpreter.lock().unwrap();
                        for _ in 0..50 {
                            at += 1;
                            let name = key(at % KEYS);
                            // SAFETY: whoever releases has the lock, which this thread holds.
                            let Some(glance) = (unsafe { near.glance(near.hash(name.as_bytes()), name.as_bytes()) }) else { continue };
                            if glance.judge(clock.coarse(), 0) != Seen::Fresh {
                                continue;
                            }
                            let pointer = glance.raw().expect("what is fresh was put as it is").cast::<Thing>();
                            // SAFETY: as above.
                            assert_eq!(unsafe { pointer.as_ref() }.key.load(Ordering::SeqCst), at % KEYS);
                            seen += 1;
                        }
                        // SAFETY: this thread has the lock, and is not looking.
                        unsafe { remains.release() };
                    }
                    seen
                })
            })
            .collect();
        readers.into_iter().map(|reader| reader.join().unwrap()).sum::<u64>()
    });

    assert!(seen > 0, "the readers saw something");
    assert!(near.len() <= 300);
}

/// An object that its host serves by itself.
struct Served(AtomicBool);

impl Object for Served {
    fn take_use(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}

#[test]
fn what_the_host_serves_by_itself_counts_as_used() {
    let (near, clock) = (Near::new(Limits { max_entries: 100, max_bytes: None }), Arc::new(ManualClock::default()));
    let put = |at: i64| {
        let served = Arc::new(Served(AtomicBool::new(false)));
        let entry = Entry { value: Value::live(served.clone(), 0), life: Life::forever(clock.wall()), tier: "test".into() };
        near.put(&key(at), &entry, &Policy::default(), None, &clock);
        served
    };
    let used: Vec<_> = (0..50).map(put).collect();

    // They come again and again, so that the hand of the clock goes round.
    for at in (50..130).cycle().take(4_000) {
        put(at);
        used.iter().for_each(|object| object.0.store(true, Ordering::Relaxed));
    }

    let kept = near.entries("").iter().filter(|held| held.key()["key:".len()..].parse::<i64>().unwrap() < 50).count();
    assert!(kept >= 45, "{kept} of 50 are kept");
}
