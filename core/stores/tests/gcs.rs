//! What Google's emulator does not do, against answers as the service's documentation has them.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod script;

use std::sync::Arc;

use script::Script;
use undercroft_engine::{Body, Code, Codec, Key, Life, Meta, Object, Put, PutMode, Store, Want, manual::block_on};
use undercroft_stores::{Gcs, GcsOptions, Objects, WireOptions, gcs::Fixed};

const NOTES: [(&str, &str); 5] = [
    ("x-goog-meta-ac-v", "1"),
    ("x-goog-meta-ac-codec", "raw"),
    ("x-goog-meta-ac-created-at", "1"),
    ("x-goog-meta-ac-fresh-until", "never"),
    ("x-goog-meta-ac-stale-until", "never"),
];

fn open(options: GcsOptions) -> (Arc<Script>, Objects<Gcs>) {
    let (script, env) = Script::env();
    let gcs = Gcs::new(GcsOptions { bucket: "b".into(), ..options }, WireOptions::default(), Arc::new(Fixed(Some("token".into()))), env.clone()).unwrap();
    (script, Objects::new(gcs, 1 << 20, env))
}

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

fn object(body: &str) -> Object {
    let meta = Meta::new(Life::forever(1), Codec::RAW, body.len() as u64);
    Object { meta, body: Body::Bytes(body.to_owned().into()) }
}

fn resource(metageneration: u32) -> String {
    let notes: Vec<String> = NOTES.iter().map(|(name, value)| format!(r#""{}":"{value}""#, name.trim_start_matches("x-goog-meta-"))).collect();
    format!(r#"{{"name":"k","generation":"7","metageneration":"{metageneration}","size":"600","metadata":{{{}}}}}"#, notes.join(","))
}

fn found(metageneration: &'static str) -> Vec<(&'static str, &'static str)> {
    [("x-goog-generation", "7"), ("x-goog-metageneration", metageneration), ("etag", "\"tag\"")].into_iter().chain(NOTES).collect()
}

/// Returns a checksum as Google writes it.
fn base64(sum: u32) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits = u64::from(sum) << 4;
    let text: String = (0..6).map(|at| DIGITS[(bits >> (30 - 6 * at) & 63) as usize] as char).collect();
    text + "=="
}

#[test]
fn a_read_is_one_get_with_a_token() {
    let (script, store) = open(GcsOptions { user_project: Some("payer".into()), ..GcsOptions::default() });
    script.answer(200, &found("1"), "value");

    let read = block_on(store.get(&key("a b/c"), Want::Any)).unwrap().unwrap();

    assert_eq!((script.header("authorization").unwrap(), script.header("x-goog-user-project").unwrap()), ("Bearer token".into(), "payer".into()));
    assert_eq!(script.header("accept-encoding").unwrap(), "gzip");
    assert_eq!(script.asked(), [("GET".into(), "https://storage.googleapis.com/b/a%20b%2Fc".into(), String::new())]);
    assert!(matches!(read.body, Body::Bytes(body) if body == "value"));
}

#[test]
fn put_if_absent_is_decided_by_generations() {
    let (script, store) = open(GcsOptions::default());
    script.answer(200, &[], "{}");
    assert_eq!(block_on(store.put(&key("k"), object("v"), PutMode::IfAbsent(5))).unwrap(), Put::Stored);
    assert!(script.asked()[0].1.ends_with("&ifGenerationMatch=0"));

    // Somebody's entry that is fresh.
    script.answer(412, &[], "");
    script.answer(200, &[], resource(1));
    assert_eq!(block_on(store.put(&key("k"), object("v"), PutMode::IfAbsent(5))).unwrap(), Put::Present);

    // One that is over, which exactly this write may replace.
    script.answer(412, &[], "");
    let expired = resource(1).replace("\"never\"", "\"4\"");
    script.answer(200, &[], expired);
    script.answer(200, &[], "{}");
    script.asked();
    assert_eq!(block_on(store.put(&key("k"), object("v"), PutMode::IfAbsent(5))).unwrap(), Put::Stored);
    assert!(script.asked().last().unwrap().1.ends_with("&ifGenerationMatch=7&ifMetagenerationMatch=1"));
}

#[test]
fn a_renewal_is_a_patch_of_exactly_what_was_seen() {
    let (script, store) = open(GcsOptions::default());
    script.answer(200, &[], resource(3));
    let known = block_on(store.head(&key("k"))).unwrap().unwrap();
    script.asked();
    script.answer(200, &[], "{}");
    script.answer(412, &[], "");

    let life = Life { created_at: 1, fresh_until: 50, stale_until: 60 };
    assert!(block_on(store.renew(&key("k"), &known, life)).unwrap());
    assert!(!block_on(store.renew(&key("k"), &known, life)).unwrap());

    let (method, uri, body) = &script.asked()[0];
    assert_eq!((method.as_str(), uri.as_str()), ("PATCH", "https://storage.googleapis.com/storage/v1/b/b/o/k?ifGenerationMatch=7&ifMetagenerationMatch=3"));
    assert!(body.contains(r#""ac-fresh-until":"50""#), "{body}");
}

#[test]
fn a_copy_is_confirmed_by_its_entity_tag() {
    let (script, store) = open(GcsOptions::default());
    let body = "v".repeat(600);
    let get = || block_on(store.get(&key("k"), Want::Any)).unwrap().unwrap();
    let sum = format!("crc32c={}", base64(crc32c::crc32c(body.as_bytes())));
    let headers: Vec<_> = found("1").into_iter().chain([("x-goog-hash", sum.as_str())]).collect();
    script.answer(200, &headers, body.clone());
    get();

    script.answer(304, &[("x-goog-generation", "7"), ("x-goog-metageneration", "1")], "");
    assert!(matches!(get().body, Body::Bytes(same) if same == body));
    assert_eq!(script.header("if-none-match").unwrap(), "\"tag\"");

    // The metadata has changed, the body has not.
    script.answer(304, &[], "");
    script.answer(200, &[], resource(2).replace("\"ac-fresh-until\":\"never\"", "\"ac-fresh-until\":\"90\""));
    let renewed = get();
    assert_eq!(renewed.meta.life.fresh_until, 90);
    assert!(matches!(renewed.body, Body::Bytes(same) if same == body));
}

#[test]
fn a_list_goes_on_where_it_ended() {
    let (script, store) = open(GcsOptions::default());
    script.answer(200, &[], r#"{"items":[{"name":"p/a"},{"name":"p/b"}],"nextPageToken":"t"}"#);
    script.answer(200, &[], r#"{"items":[{"name":"p/b"},{"name":"p/c"}]}"#);

    let first = block_on(store.list("p/", None)).unwrap();
    let second = block_on(store.list("p/", first.next.as_deref())).unwrap();

    assert_eq!((first.keys, second.keys, second.next), (vec!["p/a".into(), "p/b".into()], vec!["p/c".to_owned()], None));
    assert!(script.asked()[1].1.contains("startOffset=p%2Fb"));
}

#[test]
fn a_long_object_goes_on_where_the_service_stopped() {
    let (script, store) = open(GcsOptions { storage_class: Some("NEARLINE".into()), kms_key: Some("k/1".into()), ..GcsOptions::default() });
    let body = "x".repeat(20 * 1024 * 1024);
    script.answer(200, &[("location", "https://storage.googleapis.com/session/1")], "");
    script.answer(503, &[], "");
    script.answer(308, &[("range", "bytes=0-1048575")], "");
    script.answer(308, &[("range", "bytes=0-17825791")], "");
    script.answer(200, &[], "{}");

    assert_eq!(block_on(store.put(&key("k"), object(&body), PutMode::Always)).unwrap(), Put::Stored);

    let asked = script.asked();
    assert!(asked[0].1.contains("uploadType=resumable") && asked[0].1.contains("kmsKeyName=k%2F1") && asked[0].2.contains("NEARLINE"));
    assert_eq!(asked.iter().map(|(_, _, body)| body.len()).skip(1).collect::<Vec<_>>(), [16 << 20, 0, 16 << 20, (3 << 20)]);
}

#[test]
fn a_body_that_was_made_plain_on_its_way_is_read() {
    let (script, store) = open(GcsOptions::default());
    let headers: Vec<_> = found("1").into_iter().chain([("x-goog-meta-ac-encoding", "gzip")]).collect();
    script.answer(200, &headers, "plain");

    let read = block_on(store.get(&key("k"), Want::Any)).unwrap().unwrap();

    assert_eq!(read.meta.encoding, undercroft_engine::Encoding::Identity);
}

#[test]
fn a_damaged_body_is_corrupt_and_a_missing_bucket_is_named() {
    let (script, store) = open(GcsOptions::default());
    let headers: Vec<_> = found("1").into_iter().chain([("x-goog-hash", "crc32c=AAAAAA==")]).collect();
    script.answer(200, &headers, "damaged");
    script.answer(404, &[], "<Error><Code>NoSuchBucket</Code></Error>");
    script.answer(404, &[], "<Error><Code>NoSuchKey</Code></Error>");

    let get = || block_on(store.get(&key("k"), Want::Any));
    assert_eq!(get().unwrap_err().code(), Code::Corrupt);
    let missing = get().unwrap_err();
    assert_eq!(missing.code(), Code::ConfigInvalid);
    assert!(missing.message().contains("`b`"));
    assert!(get().unwrap().is_none());
}
