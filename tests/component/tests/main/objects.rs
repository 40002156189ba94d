//! S3 and Google Cloud Storage over `wasi:http`.

use std::time::Instant;

use undercroft_component_tests::{
    Build,
    server::{Hung, S3, nobody},
};
use undercroft_host::{Cache, Error, ErrorCode, Host, Instance, Settings, Value};

fn host() -> &'static Host {
    Build::Full.host()
}

fn instance() -> Instance {
    host().instantiate(&Settings::default().allow("127.0.0.1")).unwrap()
}

fn open(instance: &Instance, tier: &str) -> Cache {
    instance.open(&format!(r#"{{"tiers": ["{tier}"], "policy": {{"ttl": "60s", "stale": "30s"}}}}"#)).unwrap()
}

fn code<T: std::fmt::Debug>(result: undercroft_host::Result<T>) -> (ErrorCode, String) {
    match result {
        Err(Error::Cache(error)) => {
            assert_eq!(error.tier.as_deref(), Some("l1"), "the error names the tier");
            (error.code, error.message)
        }
        other => panic!("expected an error of the cache, found {other:?}"),
    }
}

#[test]
fn what_one_instance_puts_another_one_gets() {
    let server = S3::start();
    let tier = server.tier("");
    let cache = open(&instance(), &tier);

    cache.put("a/é +?", &Value::json(r#"{"n":1}"#), None).unwrap();

    let other = open(&instance(), &tier);
    let (first, second) = (cache.get("a/é +?").unwrap().unwrap(), other.get("a/é +?").unwrap().unwrap());
    assert_eq!((first.value.bytes.as_slice(), first.fresh_until), (br#"{"n":1}"#.as_slice(), second.fresh_until));
    assert_eq!(second.stale_until.unwrap() - second.fresh_until.unwrap(), 30_000);
    assert!(other.exists("a/é +?").unwrap());
    assert_eq!(other.tier("l1").unwrap().unwrap().list("a/", None).unwrap().keys, ["a/é +?"]);
    other.delete("a/é +?").unwrap();
    assert!(cache.get("a/é +?").unwrap().is_none());
    let usage = other.tiers().unwrap()[0].usage.clone().unwrap();
    assert!(usage.requests.contains(&("delete".to_owned(), 1)), "{usage:?}");
}

#[test]
fn many_and_large() {
    let server = S3::start();
    let cache = open(&instance(), &server.tier("codec=raw&compress=false"));
    let values: Vec<_> = (0..200).map(|n| (format!("k{n}"), Value::raw(vec![n as u8; 4096]))).collect();
    let keys: Vec<_> = values.iter().map(|(key, _)| key.clone()).collect();
    // Above the size of one part.
    let large: Vec<u8> = (0..24 << 20).map(|at: usize| ((at * 31) >> 7) as u8).collect();

    cache.put_many(&values, None).unwrap();
    cache.put("large", &Value::raw(large.clone()), None).unwrap();

    let found = cache.get_many(&keys).unwrap();
    assert!(found.iter().zip(&values).all(|(found, (_, value))| found.as_ref().is_some_and(|entry| entry.value.bytes == value.bytes)));
    assert!(cache.get("large").unwrap().unwrap().value.bytes == large);
    assert_eq!(cache.clear("k").unwrap(), 200);
    cache.delete_many(&["large".to_owned()]).unwrap();
    assert!(cache.get("large").unwrap().is_none());
}

#[test]
fn compressed_and_deduplicated() {
    let server = S3::start();
    let tier = server.tier("dedupe=true");
    let cache = open(&instance(), &tier);
    let text = Value { bytes: "many words ".repeat(4096).into_bytes(), codec: undercroft_host::Codec::Utf8 };

    cache.put("k", &text, None).unwrap();
    cache.put("k", &text, None).unwrap();

    assert_eq!(open(&instance(), &tier).get("k").unwrap().unwrap().value.bytes, text.bytes);
    let usage = cache.tiers().unwrap()[0].usage.clone().unwrap();
    let asked = |kind: &str| usage.requests.iter().find(|(name, _)| name == kind).unwrap().1;
    assert_eq!((asked("put"), asked("copy")), (1, 1), "the second time its deadlines were renewed");
    assert!(usage.sent < 4096, "{usage:?}");
}

#[test]
fn claims_are_decided_by_the_store() {
    let server = S3::start();
    let (one, two) = (open(&instance(), &server.tier("")), open(&instance(), &server.tier("")));

    assert!(one.put_if_absent("k", &Value::json("1"), None).unwrap());
    assert!(!two.put_if_absent("k", &Value::json("2"), None).unwrap());

    assert_eq!(two.get("k").unwrap().unwrap().value.bytes, b"1");
}

#[test]
fn a_host_that_denies_the_address_is_named() {
    let server = S3::start();
    let denied = host().instantiate(&Settings::default().allow("s3.amazonaws.com").allow("*.example.org")).unwrap();
    let cache = open(&denied, &server.tier("on_error=raise"));

    let (code, message) = code(cache.get("k"));

    assert_eq!(code, ErrorCode::Denied);
    assert!(message.contains("does not let requests out"), "{message}");
    // Without `raise` it is a miss, and counted.
    let cache = open(&denied, &server.tier(""));
    assert!(cache.get("k").unwrap().is_none());
    assert_eq!(cache.tiers().unwrap()[0].errors, 1);
}

#[test]
fn a_host_is_allowed_with_its_port_or_by_its_domain() {
    let server = S3::start();
    let authority = server.url.trim_start_matches("http://").to_owned();

    for allowed in [authority.as_str(), "*", "127.0.0.1"] {
        let instance = host().instantiate(&Settings::default().allow(allowed)).unwrap();
        open(&instance, &server.tier("on_error=raise")).put("k", &Value::json("1"), None).unwrap();
    }
    let instance = host().instantiate(&Settings::default().allow("127.0.0.1:1").allow("*.0.0.1")).unwrap();
    // The second one is a domain, and numbers are below it too.
    open(&instance, &server.tier("on_error=raise")).put("k", &Value::json("1"), None).unwrap();
}

#[test]
fn nobody_there_and_no_such_name() {
    let allowed = host().instantiate(&Settings::default().allow("*")).unwrap();
    let fixed = "region=us-east-1&anonymous=true&retries=0&on_error=raise&path_style=true";

    let refused = code(open(&allowed, &format!("s3://bucket?endpoint_url={}&{fixed}", nobody())).get("k"));
    let unknown = code(open(&allowed, &format!("s3://bucket?endpoint_url=http://no-such-host.invalid&{fixed}")).get("k"));

    assert_eq!(refused, (ErrorCode::Unavailable, "connection refused".to_owned()));
    assert_eq!(unknown.0, ErrorCode::Unavailable);
    assert!(unknown.1.contains("name of the service is unknown"), "{}", unknown.1);
}

#[test]
fn a_hung_server_is_a_timeout_on_the_hosts_clock() {
    let server = Hung::start();
    let tier = format!("s3://bucket?endpoint_url={}&region=us-east-1&anonymous=true&retries=0&timeout=300ms&on_error=raise", server.url);
    let cache = open(&instance(), &tier);
    let start = Instant::now();

    let (code, message) = code(cache.get("k"));

    assert_eq!(code, ErrorCode::Timeout, "{message}");
    assert!(start.elapsed().as_millis() >= 300, "not before its time");
    assert!(cache.put("k", &Value::json("1"), None).is_err(), "the instance goes on");
}

#[test]
fn a_lost_tier_keeps_nothing_from_being_computed() {
    let config =
        format!(r#"{{"tiers": ["memory://", "s3://bucket?endpoint_url={}&region=us-east-1&anonymous=true&retries=0"], "policy": {{"ttl": "60s"}}}}"#, nobody());
    let cache = instance().open(&config).unwrap();

    cache.put("k", &Value::json("1"), None).unwrap();

    assert_eq!(cache.get("k").unwrap().unwrap().tier, "l1");
    assert_eq!(cache.tiers().unwrap()[1].errors, 1);
}

#[test]
fn credentials_come_from_variables() {
    let server = S3::start();
    let tier = format!("s3://bucket?endpoint_url={}&region=us-east-1&on_error=raise", server.url);
    let settings = Settings::default().allow("127.0.0.1");
    let anonymous = host().instantiate(&settings).unwrap();
    let named = host().instantiate(&settings.variable("AWS_ACCESS_KEY_ID", "test").variable("AWS_SECRET_ACCESS_KEY", "testing-secret")).unwrap();

    let (code, message) = code(open(&anonymous, &tier).get("k"));

    assert_eq!(code, ErrorCode::Denied);
    assert!(message.contains("AWS_ACCESS_KEY_ID"), "{message}");
    open(&named, &tier).put("k", &Value::json("1"), None).unwrap();
}

#[test]
fn google_needs_a_token() {
    let allowed = host().instantiate(&Settings::default().allow("*")).unwrap();

    let refused = allowed.open(r#"{"tiers": ["gs://bucket"]}"#).map(|_| ());

    assert!(refused.unwrap_err().to_string().contains("CLOUDSDK_AUTH_ACCESS_TOKEN"));
    let cache = open(&allowed, &format!("gs://bucket?endpoint_url={}&token=t&retries=0&on_error=raise", nobody()));
    assert_eq!(code(cache.get("k")).0, ErrorCode::Unavailable);
}
