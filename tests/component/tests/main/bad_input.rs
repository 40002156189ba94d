//! Bad input is an error that names the thing, never a trap: the instance goes on.

use undercroft_component_tests::Build;
use undercroft_host::{Ask, Codec, Error, ErrorCode, Fault, Instance, Outcome, Policy, Result, Settings, Value};

const MEMORY: &str = r#"{"tiers": ["memory://"]}"#;

fn instance() -> Instance {
    Build::Full.host().instantiate(&Settings::default()).unwrap()
}

fn policy() -> Policy {
    Policy { ttl: Some(60_000), stale: None, stale_if_error: None, jitter: None, refresh_ahead: None }
}

fn said<T: std::fmt::Debug>(result: Result<T>) -> (ErrorCode, String) {
    match result {
        Err(Error::Cache(error)) => (error.code, error.message),
        other => panic!("expected an error of the cache, found {other:?}"),
    }
}

#[test]
fn a_bad_configuration_is_named() {
    let instance = instance();
    for (config, why) in [
        ("", "not valid JSON"),
        ("[]", "an object with `tiers`"),
        (r#"{"tiers": []}"#, "at least one"),
        (r#"{"tiers": ["memory://"], "polcy": {}}"#, "did you mean `policy`?"),
        (r#"{"tiers": ["file:///tmp/x"]}"#, "this build opens memory, s3, gs"),
        (r#"{"tiers": ["keyvalue://x"]}"#, "this build opens memory, s3, gs"),
        (r#"{"tiers": ["memory://", {"url": "s3://bucket", "tll": 5}]}"#, "did you mean `ttl`?"),
        (r#"{"tiers": ["memory://"], "policy": {"ttl": "${MISSING}"}}"#, "MISSING"),
    ] {
        let (code, message) = said(instance.open(config));
        assert_eq!(code, ErrorCode::ConfigInvalid, "{config}");
        let why = if why.contains("`ttl`") { "unknown key `tll`" } else { why };
        assert!(message.contains(why), "{config}: {message}");
    }
    assert!(instance.open(MEMORY).is_ok(), "the instance goes on");
}

#[test]
fn a_lease_is_used_once() {
    let cache = instance().open(MEMORY).unwrap();
    let Outcome::Miss(lease) = cache.begin("k").unwrap() else { panic!("nothing is there") };
    lease.fulfil(Value::raw("v"), None).unwrap();

    assert_eq!(said(lease.fulfil(Value::raw("w"), None)).0, ErrorCode::LeaseLost);
    assert_eq!(said(lease.fail()).0, ErrorCode::LeaseLost);
    assert_eq!(said(lease.resume()).0, ErrorCode::LeaseLost);
    assert_eq!(cache.get("k").unwrap().unwrap().value.bytes, b"v");
    assert_eq!(lease.key().unwrap(), "k");
}

#[test]
fn a_value_that_is_refused_leaves_the_lease() {
    let cache = instance().open(r#"{"tiers": ["memory://", "memory://"]}"#).unwrap();
    let Outcome::Miss(lease) = cache.begin("k").unwrap() else { panic!("nothing is there") };

    let (code, message) = said(lease.fulfil(Value::json("{"), None));

    assert_eq!(code, ErrorCode::Corrupt);
    assert!(message.contains("no json"), "{message}");
    lease.fulfil(Value::json("{}"), None).unwrap();
}

#[test]
fn a_dropped_lease_goes_to_the_next_caller() {
    let cache = instance().open(MEMORY).unwrap();
    let Outcome::Miss(lease) = cache.begin("k").unwrap() else { panic!("nothing is there") };
    assert!(matches!(cache.begin("k").unwrap(), Outcome::Busy));

    drop(lease);

    assert!(matches!(cache.begin("k").unwrap(), Outcome::Miss(_)));
}

#[test]
fn a_lease_outlives_the_handle_of_its_cache() {
    let instance = instance();
    let cache = instance.open(MEMORY).unwrap();
    let Outcome::Miss(lease) = cache.begin("k").unwrap() else { panic!("nothing is there") };
    let near = cache.tier("l1").unwrap().unwrap();
    drop(cache);

    lease.fulfil(Value::raw("v"), None).unwrap();

    assert_eq!(near.get("k").unwrap().unwrap().value.bytes, b"v");
    drop((lease, near));
    assert!(instance.open(MEMORY).is_ok());
}

#[test]
fn a_closed_cache_says_so() {
    let cache = instance().open(MEMORY).unwrap();
    cache.close().unwrap();

    assert_eq!(said(cache.get("k")).0, ErrorCode::Closed);
    assert_eq!(said(cache.begin("k").map(drop)).0, ErrorCode::Closed);
    assert_eq!(said(cache.put("k", &Value::raw("v"), None)).0, ErrorCode::Closed);
}

#[test]
fn a_policy_that_makes_no_sense_is_refused() {
    let cache = instance().open(MEMORY).unwrap();

    for wrong in [Policy { jitter: Some(1.5), ..policy() }, Policy { jitter: Some(f64::NAN), ..policy() }, Policy { refresh_ahead: Some(1.0), ..policy() }] {
        assert_eq!(said(cache.put("k", &Value::raw("v"), Some(&wrong))).0, ErrorCode::ConfigInvalid);
        let ask = Ask { policy: Some(wrong), skip: Vec::new(), inside: Vec::new() };
        assert_eq!(said(cache.begin_with("k", &ask).map(drop)).0, ErrorCode::ConfigInvalid);
    }
}

#[test]
fn nothing_is_a_value() {
    let cache = instance().open(r#"{"tiers": ["memory://", "memory://"]}"#).unwrap();

    cache.put("empty", &Value::raw(""), None).unwrap();
    cache.put("null", &Value::json("null"), None).unwrap();

    assert_eq!(cache.get("empty").unwrap().unwrap().value.bytes, b"");
    assert_eq!(cache.get("null").unwrap().unwrap().value.bytes, b"null");
}

#[test]
fn json_and_messagepack_become_each_other_where_nothing_is_lost() {
    let instance = instance();
    let json = Value::json(r#"{"b":[1,-2,2.5,"x",null,true],"a":{}}"#);

    let packed = instance.transcode(&json, Codec::Msgpack).unwrap();
    let back = instance.transcode(&packed, Codec::Json).unwrap();

    assert_eq!(packed.bytes[0], 0x82);
    assert_eq!(String::from_utf8(back.bytes).unwrap(), r#"{"b":[1,-2,2.5,"x",null,true],"a":{}}"#);
    let msgpack = |bytes: &[u8]| Value { bytes: bytes.to_vec(), codec: Codec::Msgpack };
    // Bytes, a key that is no text, a number that is none.
    for lost in [&[0xc4, 1, 7][..], &[0x81, 1, 2], &[0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0]] {
        assert_eq!(said(instance.transcode(&msgpack(lost), Codec::Json)).0, ErrorCode::Unsupported, "{lost:?}");
    }
    for lost in ["[123456789012345678901234567890]", r#"{"a":1,"a":2}"#] {
        assert_eq!(said(instance.transcode(&Value::json(lost), Codec::Msgpack)).0, ErrorCode::Unsupported, "{lost}");
    }
    let kept = r#"["12345678901234567890123 \\\" 99999999999999999999999",18446744073709551615,-9223372036854775808,1e30]"#;
    assert!(instance.transcode(&Value::json(kept), Codec::Msgpack).is_ok());
    for broken in [&[][..], &[0xc1], &[0x92, 1], &[1, 2]] {
        assert_eq!(said(instance.transcode(&msgpack(broken), Codec::Json)).0, ErrorCode::Corrupt, "{broken:?}");
    }
    assert_eq!(said(instance.transcode(&Value::json("nul"), Codec::Msgpack)).0, ErrorCode::Corrupt);
    assert_eq!(said(instance.transcode(&Value::raw("x"), Codec::Json)).0, ErrorCode::Unsupported);
    assert_eq!(said(instance.transcode(&Value { bytes: vec![0xff], codec: Codec::Utf8 }, Codec::Raw)).0, ErrorCode::Corrupt);
}

#[test]
fn deep_documents_are_refused_and_do_not_end_the_instance() {
    let instance = instance();
    for (open, codec) in [(b'[', Codec::Json), (0x91, Codec::Msgpack)] {
        let deep = Value { bytes: vec![open; 1 << 20], codec };

        assert_eq!(said(instance.transcode(&deep, Codec::Json)).0, ErrorCode::Corrupt, "{codec:?}");
    }
    assert!(instance.open(MEMORY).is_ok(), "the instance goes on");
}

#[test]
fn faults_are_for_caches_that_were_opened_for_tests() {
    let instance = instance();
    let two = r#"{"tiers": ["memory://", "memory://"]}"#;
    let (plain, tested) = (instance.open(two).unwrap(), instance.open_for_tests(two).unwrap());

    assert_eq!(said(plain.inject("l2", "get", Fault::Corrupt, None)).0, ErrorCode::ConfigInvalid);
    assert_eq!(said(tested.inject("l1", "get", Fault::Corrupt, None)).0, ErrorCode::ConfigInvalid);
    assert_eq!(said(tested.inject("l2", "got", Fault::Corrupt, None)).0, ErrorCode::ConfigInvalid);
    tested.inject("l2", "get", Fault::Corrupt, None).unwrap();
}

#[test]
fn a_chain_made_by_hand_is_a_chain() {
    use undercroft_host::bindings::exports::undercroft::cache::chain::{OnError, Tier};
    let instance = instance();

    let (found, twice, empty) = instance
        .call(|store, exports| {
            let (chains, caches, stores) = (exports.undercroft_cache_chain(), exports.undercroft_cache_cache(), exports.undercroft_cache_stores());
            let tier = |name: &str| Tier { name: name.to_owned(), max_ttl: None, on_error: OnError::Miss };
            let chain = chains.chain().call_constructor(&mut *store)?;
            let empty = caches.cache().call_over(&mut *store, chain, policy())?;
            let near = stores.store().call_open(&mut *store, "memory://")?.unwrap();
            let far = stores.store().call_open(&mut *store, r#"{"url": "memory://", "name": "far"}"#)?.unwrap();
            chains.chain().call_push(&mut *store, chain, &tier("near"), near)?.unwrap();
            chains.chain().call_push(&mut *store, chain, &tier("far"), far)?.unwrap();
            let twice = chains.chain().call_push(&mut *store, chain, &tier("far"), far)?;
            let cache = caches.cache().call_over(&mut *store, chain, policy())?.unwrap();
            // What a chain was made of may go: the cache has it.
            chain.resource_drop(&mut *store)?;
            stores.store().call_put(&mut *store, far, "k", &Value::raw("v"), None)?.unwrap();
            far.resource_drop(&mut *store)?;
            near.resource_drop(&mut *store)?;
            let first = caches.cache().call_get(&mut *store, cache, "k")?.unwrap().unwrap();
            let second = caches.cache().call_get(&mut *store, cache, "k")?.unwrap().unwrap();
            Ok(([first, second], twice, empty))
        })
        .unwrap();

    assert_eq!(found.map(|entry| entry.tier), ["far", "near"], "the second time it was promoted");
    assert!(twice.unwrap_err().message.contains("two tiers are called `far`"));
    assert!(empty.unwrap_err().message.contains("at least one tier"));
}

#[test]
fn memory_is_swept_by_calls_that_put() {
    use std::sync::Arc;
    use undercroft_component_tests::clock::ManualClock;
    let clock = Arc::new(ManualClock::default());
    let cache = Build::Memory.host().instantiate(&Settings::default().clock(clock.clone())).unwrap().open(MEMORY).unwrap();
    for n in 0..100 {
        cache.put(&format!("old:{n}"), &Value::raw("v"), Some(&Policy { ttl: Some(1_000), ..policy() })).unwrap();
    }
    clock.advance(10_000);

    cache.put("new", &Value::raw("v"), None).unwrap();

    assert_eq!(cache.sweep().unwrap(), 0, "nothing is left to sweep");
}
