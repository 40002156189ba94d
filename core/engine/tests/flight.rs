//! Flights under threads: one lease for a key, whatever becomes of its holders.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

use std::{
    sync::{
        Arc, Barrier,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use undercroft_engine::{
    Cache, Chain, Codec, Key, Near, NearTier, Outcome, Policy, Value,
    manual::{ManualClock, block_on, env},
    near::Limits,
};

fn cache() -> Cache {
    let near = NearTier { name: "near".into(), near: Arc::new(Near::new(Limits::default())), max_ttl: None };
    let env = env(&Arc::new(ManualClock::default()));
    Cache::new(Chain::new(Some(near), Vec::new()).unwrap(), Policy::default(), env).unwrap()
}

fn value() -> Value {
    Value::bytes(Codec::RAW, b"v".as_slice())
}

/// Runs `caller` in many threads at once, for several keys in turn.
fn stampede(caller: impl Fn(&Cache, &Key, usize) + Send + Sync + 'static) -> Cache {
    const THREADS: usize = 8;
    let cache = cache();
    let caller = Arc::new(caller);
    for round in 0..100 {
        let barrier = Arc::new(Barrier::new(THREADS));
        let threads: Vec<_> = (0..THREADS)
            .map(|number| {
                let (cache, caller, barrier) = (cache.clone(), caller.clone(), barrier.clone());
                thread::spawn(move || {
                    barrier.wait();
                    caller(&cache, &Key::new(format!("k{round}")).unwrap(), number);
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }
    assert_eq!(cache.flights().len(), 0);
    cache
}

#[test]
fn many_threads_on_a_cold_key_load_once() {
    let loads = Arc::new(AtomicUsize::new(0));
    let counted = loads.clone();

    stampede(move |cache, key, _| {
        if let Outcome::Miss(lease) = block_on(cache.begin(key, &cache.ask())).unwrap() {
            counted.fetch_add(1, Ordering::SeqCst);
            thread::yield_now();
            block_on(cache.fulfil(lease, value(), None)).unwrap();
        }
    });

    assert_eq!(loads.load(Ordering::SeqCst), 100);
}

#[test]
fn at_most_one_lease_is_out_while_holders_fail() {
    let out = Arc::new(AtomicUsize::new(0));
    let counted = out.clone();

    stampede(move |cache, key, number| {
        if let Outcome::Miss(lease) = block_on(cache.begin(key, &cache.ask())).unwrap() {
            assert_eq!(counted.fetch_add(1, Ordering::SeqCst), 0, "another lease is out");
            thread::yield_now();
            counted.fetch_sub(1, Ordering::SeqCst);
            match number % 3 {
                0 => drop(lease),
                1 => drop(cache.fail(lease)),
                _ => drop(block_on(cache.fulfil(lease, value(), None)).unwrap()),
            }
        }
    });

    assert_eq!(out.load(Ordering::SeqCst), 0);
}

#[test]
fn deletes_among_loads_lose_no_waiter() {
    stampede(|cache, key, number| {
        if number == 0 {
            block_on(cache.delete(key)).unwrap();
            return;
        }
        if let Outcome::Miss(lease) = block_on(cache.begin(key, &cache.ask())).unwrap() {
            thread::yield_now();
            block_on(cache.fulfil(lease, value(), None)).unwrap();
        }
    });
}
