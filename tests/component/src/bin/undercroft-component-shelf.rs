//! Puts and gets through the component, for tests across languages: `undercroft-component-shelf CONFIG`, where the configuration is
//! in JSON. Each line of the input is a request, each line of the output its answer (`tests/languages`).
#![allow(clippy::unwrap_used, reason = "a test that is not what it should be ends")]

use std::io::{BufRead, Write};

use serde_json::{Value as Json, json};
use undercroft_component_tests::{Build, case::code};
use undercroft_host::{Cache, Codec, Policy, Settings, Value};

const CODECS: [(&str, Codec); 4] = [("raw", Codec::Raw), ("utf8", Codec::Utf8), ("json", Codec::Json), ("msgpack", Codec::Msgpack)];

fn answer(cache: &Cache, request: &Json) -> Json {
    let key = request["key"].as_str().unwrap();
    if request["do"] == "put" {
        let (_, codec) = CODECS.into_iter().find(|(name, _)| request["codec"] == *name).unwrap();
        let policy = Policy { ttl: request["ttl"].as_u64(), stale: request["stale"].as_u64(), stale_if_error: None, jitter: None, refresh_ahead: None };
        let value = Value { bytes: serde_json::from_value(request["bytes"].clone()).unwrap(), codec };
        cache.put(key, &value, Some(&policy)).unwrap();
        return json!(null);
    }
    let entry = match cache.get(key) {
        Ok(Some(entry)) => entry,
        Ok(None) => return json!(null),
        Err(error) => return json!({ "error": code(error.code().expect("the cache's own error")) }),
    };
    let (codec, _) = CODECS.into_iter().find(|(_, codec)| *codec == entry.value.codec).unwrap();
    json!({
        "bytes": entry.value.bytes, "codec": codec,
        "created_at": entry.created_at, "fresh_until": entry.fresh_until, "stale_until": entry.stale_until,
    })
}

fn main() {
    let config = std::env::args().nth(1).expect("a configuration in JSON");
    let cache = Build::Full.host().instantiate(&Settings::default().allow("127.0.0.1")).unwrap().open(&config).unwrap();
    for line in std::io::stdin().lock().lines() {
        let mut out = std::io::stdout().lock();
        writeln!(out, "{}", answer(&cache, &serde_json::from_str(&line.unwrap()).unwrap())).unwrap();
        out.flush().unwrap();
    }
}
