//! Figures of the component in the wasmtime host, as one object in JSON: `undercroft-component-bench`, or with a configuration and
//! a key for the time of a get, in nanoseconds: `undercroft-component-bench CONFIG KEY`.
#![allow(clippy::unwrap_used, reason = "a bench that is not what it should be ends")]

use std::time::{Duration, Instant};

use serde_json::{Map, json};
use undercroft_component_tests::{Build, consumer::Consumer, file};
use undercroft_host::{Cache, Host, Settings, Value};

const CONFIG: &str = r#"{ "tiers": ["memory://?max_entries=10000"], "policy": { "ttl": "5m" } }"#;
const ROUNDS: usize = 25;

/// Returns the median time of one of `times` calls, in nanoseconds.
fn median(times: u32, mut call: impl FnMut()) -> f64 {
    let mut rounds: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..times {
                call();
            }
            start.elapsed() / times
        })
        .collect();
    rounds.sort_unstable();
    rounds[ROUNDS / 2].as_nanos() as f64
}

fn hits(cache: &Cache, figures: &mut Map<String, serde_json::Value>) {
    for (name, size, times) in [("16 B", 16, 20_000), ("1 KiB", 1 << 10, 20_000), ("64 KiB", 64 << 10, 5_000), ("1 MiB", 1 << 20, 200)] {
        cache.put(name, &Value::raw(vec![7; size]), None).unwrap();
        figures.insert(format!("hit {name}"), json!(median(times, || assert!(cache.get(name).unwrap().is_some()))));
    }
    figures.insert("miss".to_owned(), json!(median(20_000, || assert!(cache.get("missing").unwrap().is_none()))));
    let value = Value::raw(vec![7; 1 << 10]);
    figures.insert("put 1 KiB".to_owned(), json!(median(20_000, || cache.put("put", &value, None).unwrap())));
}

fn keyvalue(figures: &mut Map<String, serde_json::Value>) {
    const TIMES: u32 = 10_000;
    let folder = tempfile::tempdir().unwrap();
    let plugged = folder.path().join("plugged.wasm");
    Consumer::plug(Build::Full, &plugged);
    let value = [7; 16];
    let mut ours = Consumer::run(&plugged, &[], &[]);
    ours.call::<_, ()>("set", ("", "k", value.as_slice())).unwrap();
    let mut theirs = Consumer::run(&file("consumer.wasm"), &[], &[("k", &value)]);
    for (name, consumer) in [("keyvalue, ours", &mut ours), ("keyvalue, the host's", &mut theirs)] {
        let each = median(1, || assert_eq!(consumer.call::<_, u64>("get-often", ("", "k", TIMES)), Ok(16 * u64::from(TIMES))));
        figures.insert(name.to_owned(), json!(each / f64::from(TIMES)));
    }
}

fn figures() -> Map<String, serde_json::Value> {
    let mut figures = Map::new();
    let folder = tempfile::tempdir().unwrap();
    let compiled = folder.path().join("undercroft.cwasm");
    Build::Full.host().save(&compiled).unwrap();
    let cold = || {
        // SAFETY: written by `save`, just now.
        let host = unsafe { Host::builder().load_compiled(&compiled) }.unwrap();
        let cache = host.instantiate(&Settings::default()).unwrap().open(CONFIG).unwrap();
        cache.put("k", &Value::raw("v"), None).unwrap();
        assert!(cache.get("k").unwrap().is_some());
        cache
    };
    figures.insert("cold start".to_owned(), json!(median(1, || drop(cold()))));
    hits(&cold(), &mut figures);
    let host = Build::Full.host();
    figures.insert("instantiate".to_owned(), json!(median(200, || drop(host.instantiate(&Settings::default()).unwrap()))));
    let instance = host.instantiate(&Settings::default()).unwrap();
    figures.insert("open".to_owned(), json!(median(200, || drop(instance.open(CONFIG).unwrap()))));
    keyvalue(&mut figures);
    figures
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [config, key] = arguments.as_slice() else {
        println!("{}", serde_json::Value::Object(figures()));
        return;
    };
    let cache = Build::Full.host().instantiate(&Settings::default().allow("127.0.0.1")).unwrap().open(config).unwrap();
    println!("{}", median(100, || assert!(cache.get(key).unwrap().is_some())));
}
