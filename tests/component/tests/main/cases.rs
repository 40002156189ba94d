//! Every case of `tests/cases` through the component. What it cannot do is named here, counted and printed.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use serde_json::{Value as Json, json};
use undercroft_component_tests::{
    Build,
    case::{Excluded, Runner, code, policy, read},
    clock::{ManualClock, START},
};
use undercroft_host::{Codec, KeyValue, MemoryKeyValue, Settings, Value};

/// What a component cannot do, by case and from which step on: an export cannot be suspended, so nobody waits for another
/// caller.
const WAITING: &[(&str, usize, &str)] = &[
    ("freshness/a ttl of zero still answers the caller and all who wait", 4, "nobody waits"),
    ("flight/a failed load with a spare value answers all who wait", 6, "nobody waits"),
    ("flight/who waits gives up after the lock timeout", 4, "nobody waits"),
    ("flight/who waits is served the spare value after the soft timeout", 6, "nobody waits"),
    ("flight/a spare value that ended while the load ran is not served", 6, "nobody waits"),
    ("flight/two loaders cannot wait for each other", 4, "nobody waits"),
    ("jitter/shortens and never lengthens", 2, "chance is the host's"),
];

fn run(file: &str) {
    let cases = read(file);
    let (mut ran, mut failed, mut excluded) = (0, Vec::new(), Vec::new());
    for case in cases.as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let mut at = 0usize;
        if case["cache"].to_string().contains("file://") {
            excluded.push(format!("{name}: there are no folders"));
            continue;
        }
        let outcome = catch_unwind(AssertUnwindSafe(|| -> Result<(), Excluded> {
            let mut runner = Runner::new(Build::Full.host(), &case["cache"]);
            for step in case["steps"].as_array().unwrap() {
                at += 1;
                if let Some((.., why)) = WAITING.iter().find(|(waiting, from, _)| *waiting == name && at >= *from) {
                    return Err(Excluded(why));
                }
                runner.step(step)?;
            }
            Ok(())
        }));
        match outcome {
            Ok(Ok(())) => ran += 1,
            Ok(Err(Excluded(why))) => excluded.push(format!("{name}, from step {at}: {why}")),
            Err(_) => failed.push(format!("{name}, step {at}: {}", case["steps"][at.saturating_sub(1)])),
        }
    }
    println!("{file}: {ran} cases ran, {} could not:\n  {}", excluded.len(), excluded.join("\n  "));
    assert!(failed.is_empty(), "{} cases failed:\n{}", failed.len(), failed.join("\n"));
    assert!(ran > 0);
}

#[test]
fn freshness() {
    run("freshness.json");
}

#[test]
fn flight() {
    run("flight.json");
}

#[test]
fn chain() {
    run("chain.json");
}

#[test]
fn faults() {
    run("faults.json");
}

#[test]
fn keys() {
    let cases = read("keys.json");
    let instance = Build::Memory.host().instantiate(&Settings::default()).unwrap();
    let cache = instance.open(r#"{"tiers": ["memory://"]}"#).unwrap();
    for case in cases["keys"].as_array().unwrap() {
        let found = cache.get(case["key"].as_str().unwrap());
        match case["valid"] == json!(true) {
            true => assert!(found.unwrap().is_none(), "{}", case["name"]),
            false => assert_eq!(code(found.unwrap_err().code().unwrap()), "key_invalid", "{}", case["name"]),
        }
    }
    println!("keys.json: {} templates could not run: a component has no functions to make keys from", cases["templates"].as_array().unwrap().len());
}

#[test]
fn config() {
    let (mut ran, mut excluded) = (0, 0);
    for case in read("config.json").as_array().unwrap() {
        if case["config"].to_string().contains("file://") {
            excluded += 1;
            continue;
        }
        let mut settings = Settings::default();
        for (name, value) in case["env"].as_object().into_iter().flatten() {
            settings = settings.variable(name, value.as_str().unwrap());
        }
        let instance = Build::Full.host().instantiate(&settings).unwrap();
        let opened = instance.open(&undercroft_component_tests::case::expand(&case["config"]).to_string());
        match case["error"].as_str() {
            Some(why) => {
                let error = opened.map(|_| ()).expect_err(case["name"].as_str().unwrap());
                assert_eq!(code(error.code().unwrap()), "config_invalid", "{}", case["name"]);
                assert!(error.to_string().contains(why), "{}: {error}", case["name"]);
            }
            None => {
                let cache = opened.unwrap_or_else(|error| panic!("{}: {error}", case["name"]));
                if let Some(names) = case["names"].as_array() {
                    assert_eq!(cache.tiers().unwrap().iter().map(|tier| json!(tier.name)).collect::<Vec<_>>(), *names);
                }
            }
        }
        ran += 1;
    }
    println!("config.json: {ran} cases ran, {excluded} could not: there are no folders");
    assert!(ran > 0);
}

fn bytes(case: &Json, name: &str) -> Vec<u8> {
    let text = case[name].as_str().unwrap();
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// Entries lie in a host's key-value store in the envelope: what the vectors say is read, and what is put is the vector.
#[test]
fn envelope() {
    const CODECS: [(u64, Codec); 4] = [(1, Codec::Raw), (2, Codec::Utf8), (3, Codec::Json), (4, Codec::Msgpack)];
    for case in read("envelope.json").as_array().unwrap() {
        let name = &case["name"];
        let number = |field: &str| case[field].as_u64();
        let clock = Arc::new(ManualClock::default());
        clock.step_wall(number("created_at").map_or(0, |at| at as i64 - START as i64));
        let shelf = Arc::new(MemoryKeyValue::default());
        let stored = [bytes(case, "header"), bytes(case, "payload")].concat();
        shelf.set("k", stored.clone()).unwrap();
        let settings = Settings::default().clock(clock).store("shelf", shelf.clone());
        let tier = Build::Middleware.host().instantiate(&settings).unwrap().open_store("keyvalue://shelf").unwrap();

        let found = tier.get("k");

        let known = CODECS.iter().find(|(id, _)| number("codec") == Some(*id));
        if case["corrupt"].is_string() {
            assert_eq!(code(found.unwrap_err().code().unwrap()), "corrupt", "{name}");
        } else if case["signed"] == json!(true) || known.is_none() {
            assert_eq!(code(found.unwrap_err().code().unwrap()), "unsupported", "{name}");
        } else if case["compressed"] == json!(true) {
            // These payloads are only said to be compressed.
            let refused = code(found.unwrap_err().code().unwrap());
            assert!(["corrupt", "unsupported"].contains(&refused.as_str()), "{name}: {refused}");
        } else {
            if number("stale_until").is_some_and(|until| until <= number("created_at").unwrap()) {
                assert!(found.unwrap().is_none(), "{name}");
                continue;
            }
            let entry = found.unwrap().unwrap();
            assert_eq!(
                (Some(entry.created_at), entry.fresh_until, entry.stale_until),
                (number("created_at"), number("fresh_until"), number("stale_until")),
                "{name}"
            );
            assert_eq!(entry.value.bytes, bytes(case, "payload"), "{name}");
            let ttl = entry.fresh_until.map(|until| until - entry.created_at);
            let stale = entry.stale_until.zip(entry.fresh_until).map(|(stale, fresh)| stale - fresh);
            let (Some((_, codec)), false) = (known, entry.fresh_until.is_some() && entry.stale_until.is_none()) else { continue };
            let mut life = policy(&json!({}));
            (life.ttl, life.stale) = (ttl, stale);
            shelf.delete("k").unwrap();
            tier.put("k", &Value { bytes: bytes(case, "payload"), codec: *codec }, Some(&life)).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(shelf.get("k").unwrap().unwrap(), stored, "{name}");
        }
    }
}
