//! Puts and gets natively, for tests across languages: `undercroft-shelf CONFIG`, where the configuration is in JSON. Each line of
//! the input is a request, each line of the output its answer (`tests/languages`).
#![allow(clippy::unwrap_used, reason = "a test that is not what it should be ends")]

use std::io::{BufRead, Write};

use serde_json::{Value as Json, json};
use undercroft::{
    Config, Format, Options,
    engine::{Cache, Codec, Key, Policy, Value, time::FOREVER},
    open,
};
use undercroft_native::wait;

fn answer(cache: &Cache, request: &Json) -> Json {
    let key = Key::new(request["key"].as_str().unwrap()).unwrap();
    if request["do"] == "put" {
        let codec = Codec::parse(request["codec"].as_str().unwrap()).unwrap();
        let policy = Policy { ttl: request["ttl"].as_u64(), stale: request["stale"].as_u64(), ..Policy::default() };
        let bytes: Vec<u8> = serde_json::from_value(request["bytes"].clone()).unwrap();
        wait(cache.put(&key, Value::bytes(codec, bytes), Some(&policy))).unwrap();
        return json!(null);
    }
    let Some(entry) = wait(cache.get(&key)).unwrap() else { return json!(null) };
    let (codec, bytes) = entry.value.encoded().unwrap();
    let until = |deadline| (deadline != FOREVER).then_some(deadline);
    json!({
        "bytes": bytes.to_vec(), "codec": codec.name(),
        "created_at": entry.life.created_at, "fresh_until": until(entry.life.fresh_until), "stale_until": until(entry.life.stale_until),
    })
}

fn main() {
    let config = std::env::args().nth(1).expect("a configuration in JSON");
    let config = Config::parse(&config, Format::Json, &|_| None).unwrap();
    let cache = open(&config, &undercroft_native::env(), &Options::default()).unwrap().cache;
    for line in std::io::stdin().lock().lines() {
        let mut out = std::io::stdout().lock();
        writeln!(out, "{}", answer(&cache, &serde_json::from_str(&line.unwrap()).unwrap())).unwrap();
        out.flush().unwrap();
    }
}
