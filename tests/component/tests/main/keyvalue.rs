//! `wasi:keyvalue`, both ways: the cache as such a store, and over one.

use std::sync::Arc;

use undercroft_component_tests::{Build, clock::ManualClock, consumer::Consumer, server::S3};
use undercroft_host::{Error, ErrorCode, KeyValue, KeyValueError, Keys, MemoryKeyValue, Settings, Value};

fn plugged(variables: &[(&str, &str)]) -> Consumer {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("plugged.wasm");
    Consumer::plug(Build::Full, &file);
    Consumer::run(&file, variables, &[])
}

#[test]
fn a_component_that_knows_no_caches_is_served() {
    let mut consumer = plugged(&[]);

    consumer.call::<_, ()>("set", ("pages", "k", b"v".as_slice())).unwrap();

    assert_eq!(consumer.call::<_, Option<Vec<u8>>>("get", ("pages", "k")), Ok(Some(b"v".to_vec())));
    assert_eq!(consumer.call::<_, Option<Vec<u8>>>("get", ("others", "k")), Ok(None), "an identifier keeps its keys apart");
    assert_eq!(consumer.call::<_, Option<Vec<u8>>>("get", ("", "pages:k")), Ok(Some(b"v".to_vec())), "the empty one is the whole cache");
    assert_eq!(consumer.call::<_, bool>("exists", ("pages", "k")), Ok(true));
    consumer.call::<_, ()>("delete", ("pages", "k")).unwrap();
    consumer.call::<_, ()>("delete", ("pages", "k")).unwrap();
    assert_eq!(consumer.call::<_, bool>("exists", ("pages", "k")), Ok(false));
    let refused = consumer.call::<_, ()>("set", ("pages", "", b"v".as_slice())).unwrap_err();
    assert!(refused.contains("key_invalid: the key is empty"), "{refused}");
    assert_eq!(consumer.call::<_, Option<Vec<u8>>>("get", ("a:b", "c")), Ok(None));
    consumer.call::<_, ()>("set", ("a", "b:c", b"v".as_slice())).unwrap();
    assert_eq!(consumer.call::<_, Option<Vec<u8>>>("get", ("a:b", "c")), Ok(None), "no key is another bucket's");
}

#[test]
fn keys_are_listed_page_by_page() {
    let mut consumer = plugged(&[]);
    for n in 0..2_500 {
        consumer.call::<_, ()>("set", ("pages", format!("k{n:04}").as_str(), b"v".as_slice())).unwrap();
    }
    consumer.call::<_, ()>("set", ("others", "k", b"v".as_slice())).unwrap();

    let keys = consumer.call::<_, Vec<String>>("keys", ("pages",)).unwrap();

    assert_eq!(keys, (0..2_500).map(|n| format!("k{n:04}")).collect::<Vec<_>>());
    assert!(consumer.call::<_, Vec<String>>("wrong-page", ("pages",)).unwrap_err().contains("no cursor 77"));
}

#[test]
fn many_at_once() {
    let mut consumer = plugged(&[]);
    let values: Vec<(String, Vec<u8>)> = (0..50).map(|n| (format!("k{n}"), vec![n; 10])).collect();

    let found = consumer.call::<_, Vec<Option<(String, Vec<u8>)>>>("many", ("pages", values.as_slice())).unwrap();

    assert_eq!(found, values.into_iter().map(Some).chain([None]).collect::<Vec<_>>());
    assert_eq!(consumer.call::<_, bool>("exists", ("pages", "k7")), Ok(false));
}

#[test]
fn a_consumer_gets_the_tiers_of_the_configuration() {
    let server = S3::start();
    let config = format!(r#"{{"tiers": ["memory://", "{}"], "policy": {{"ttl": "1h"}}}}"#, server.tier("on_error=raise"));
    let variables = [("UNDERCROFT_CONFIG", config.as_str())];
    plugged(&variables).call::<_, ()>("set", ("pages", "k", b"\xff\0".as_slice())).unwrap();

    let mut other = plugged(&variables);

    assert_eq!(other.call::<_, Option<Vec<u8>>>("get", ("pages", "k")), Ok(Some(vec![0xff, 0])));
    assert_eq!(other.call::<_, Vec<String>>("keys", ("pages",)), Ok(vec!["k".to_owned()]));
}

#[test]
fn a_bad_configuration_is_told_to_the_consumer() {
    let mut consumer = plugged(&[("UNDERCROFT_CONFIG", r#"{"tiers": ["memory://?max_entires=5"]}"#)]);

    let refused = consumer.call::<_, bool>("exists", ("pages", "k")).unwrap_err();

    assert!(refused.contains("config_invalid") && refused.contains("did you mean `max_entries`?"), "{refused}");
}

/// Denies, fails and breaks.
#[derive(Debug)]
struct Broken;

impl KeyValue for Broken {
    fn get(&self, _key: &str) -> Result<Option<Vec<u8>>, KeyValueError> {
        Err("the disk is full of water".to_owned())
    }

    fn set(&self, _key: &str, _value: Vec<u8>) -> Result<(), KeyValueError> {
        Err("the disk is full of water".to_owned())
    }

    fn delete(&self, _key: &str) -> Result<(), KeyValueError> {
        Err("the disk is full of water".to_owned())
    }

    fn keys(&self, _cursor: Option<u64>) -> Result<Keys, KeyValueError> {
        Err("the disk is full of water".to_owned())
    }
}

#[test]
fn a_hosts_store_is_a_tier() {
    let (shelf, clock) = (Arc::new(MemoryKeyValue::default()), Arc::new(ManualClock::default()));
    let settings = Settings::default().clock(clock.clone()).store("shelf", shelf.clone());
    let config = r#"{"namespace": "shop", "tiers": ["memory://", "keyvalue://shelf?compress=true"], "policy": {"ttl": "60s", "stale": "30s"}}"#;
    let open = || Build::Middleware.host().instantiate(&settings).unwrap().open(config).unwrap();
    let (one, two) = (open(), open());
    let text = format!(r#""{}""#, "word ".repeat(1000));

    one.put("k", &Value::json(text.clone()), None).unwrap();

    let stored = shelf.get("shop:k").unwrap().unwrap();
    assert!(stored.starts_with(b"UC\x01") && stored.len() < 500, "{} bytes", stored.len());
    clock.advance(20_000);
    let (found, known) = (two.get("k").unwrap().unwrap(), one.get("k").unwrap().unwrap());
    assert_eq!((found.value.bytes, found.tier.as_str()), (text.into_bytes(), "l2"));
    assert_eq!((found.created_at, found.fresh_until, found.stale_until), (known.created_at, known.fresh_until, known.stale_until));
    two.delete("k").unwrap();
    assert!(shelf.get("shop:k").unwrap().is_none());
    clock.advance(100_000);
    assert_eq!(two.clear("").unwrap(), 0);
}

#[test]
fn a_hosts_store_that_fails_is_a_tier_that_fails() {
    let settings = Settings::default().store("shelf", Arc::new(Broken));
    let instance = Build::Middleware.host().instantiate(&settings).unwrap();
    let open = |tier: &str| instance.open(&format!(r#"{{"tiers": ["memory://", "{tier}"]}}"#));
    let cache = open("keyvalue://shelf").unwrap();

    cache.put("k", &Value::json("1"), None).unwrap();

    assert_eq!(cache.get("k").unwrap().unwrap().tier, "l1", "what was computed is kept elsewhere");
    assert!(cache.get("other").unwrap().is_none());
    assert_eq!(cache.tiers().unwrap()[1].errors, 2);
    let Err(Error::Cache(error)) = open("keyvalue://shelf?on_error=raise").unwrap().get("k") else { panic!("it raises") };
    assert_eq!((error.code, error.message.as_str(), error.tier.as_deref()), (ErrorCode::Unavailable, "the disk is full of water", Some("l2")));
    let Err(Error::Cache(error)) = open("keyvalue://sehlf").map(drop) else { panic!("there is no such store") };
    assert_eq!(error.code, ErrorCode::ConfigInvalid);
    assert!(error.message.contains("no key-value store `sehlf`"), "{}", error.message);
}
