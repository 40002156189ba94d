//! The local store against files, crashes and other processes.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use undercroft_engine::{
    Body, Code, Codec, Env, Key, Life, Meta, Object, Put, PutMode, Store, StoreExt, Want,
    manual::{ManualClock, START, block_on, env},
};
use undercroft_stores::{Local, LocalOptions, local::index::Listed};

fn test_env() -> (Arc<ManualClock>, Env) {
    let clock = Arc::new(ManualClock::default());
    let env = env(&clock);
    (clock, env)
}

fn open(folder: &Path) -> Local {
    Local::open(folder, LocalOptions::default(), test_env().1).unwrap()
}

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

fn object(body: &[u8], stale_until: u64) -> Object {
    let life = Life { created_at: START, fresh_until: stale_until, stale_until };
    Object { meta: Meta::new(life, Codec::RAW, body.len() as u64), body: Body::Bytes(Bytes::copy_from_slice(body)) }
}

const LATER: u64 = START + 60_000;

fn put(store: &Local, text: &str, body: &[u8]) {
    assert_eq!(block_on(store.put(&key(text), object(body, LATER), PutMode::Always)).unwrap(), Put::Stored);
}

fn get(store: &Local, text: &str) -> Option<Vec<u8>> {
    block_on(store.get(&key(text), Want::Any)).unwrap().map(|object| match object.body {
        Body::Bytes(bytes) => bytes.to_vec(),
        other => panic!("{other:?}"),
    })
}

fn keys(store: &Local, prefix: &str) -> Vec<String> {
    let (mut keys, mut after) = (Vec::new(), None);
    loop {
        let page = block_on(store.list(prefix, after.as_deref())).unwrap();
        keys.extend(page.keys);
        after = page.next;
        if after.is_none() {
            return keys;
        }
    }
}

fn file_of(folder: &Path, name: &str) -> PathBuf {
    let folders = fs::read_dir(folder.join("objects")).unwrap();
    let mut files = folders.flat_map(|folder| fs::read_dir(folder.unwrap().path()).unwrap()).map(|file| file.unwrap().path());
    files.find(|file| file.file_name().unwrap() == name).unwrap_or_else(|| panic!("no file `{name}`"))
}

#[test]
fn the_file_holds_the_plain_value() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());

    put(&store, "report-7", b"plain content");

    assert_eq!(fs::read(file_of(folder.path(), "report-7")).unwrap(), b"plain content");
    let beside = fs::read_dir(file_of(folder.path(), "report-7").parent().unwrap()).unwrap().count();
    assert_eq!(beside, 1, "no temporary file stays");
}

#[test]
fn no_key_leaves_the_folder_and_all_differ() {
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("inside");
    let store = open(&inside);
    let long = "x/".repeat(512);
    let longer_twin = format!("{}y/", "x/".repeat(511));
    let names = ["../x", "/etc/passwd", "a/b", "a_b", "a", "..", ".", "a//b", "a%2fb", "A", "日本語", "index.sqlite", &long, &longer_twin];

    for (at, name) in names.iter().enumerate() {
        put(&store, name, &[at as u8]);
    }

    for (at, name) in names.iter().enumerate() {
        assert_eq!(get(&store, name), Some(vec![at as u8]), "{name}");
    }
    let mut sorted: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    sorted.sort();
    assert_eq!(keys(&store, ""), sorted);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing beside the folder");
}

#[test]
fn another_opening_sees_writes_and_deletes_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (open(folder.path()), open(folder.path()));
    put(&one, "k", b"1");
    assert_eq!(get(&two, "k"), Some(b"1".to_vec()));

    put(&one, "k", b"2");
    assert_eq!(get(&two, "k"), Some(b"2".to_vec()));

    block_on(one.delete(&key("k"))).unwrap();
    assert_eq!(get(&two, "k"), None);
}

/// A clock that tells the real time: a copy in memory is trusted only when its file is old enough.
fn real_env() -> Env {
    let clock = Arc::new(ManualClock::default());
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64;
    clock.step_wall(now - START as i64 + 3_600_000);
    env(&clock)
}

#[test]
fn a_copy_in_memory_is_served_only_while_the_file_is_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let store = Local::open(folder.path(), LocalOptions { max_bytes: None, durable: false }, real_env()).unwrap();
    let forever = object(b"old", u64::MAX);
    block_on(store.put(&key("k"), forever, PutMode::Always)).unwrap();
    assert_eq!(get(&store, "k"), Some(b"old".to_vec()), "from the file");
    assert_eq!(get(&store, "k"), Some(b"old".to_vec()));

    let other = object(b"new", u64::MAX);
    block_on(open(folder.path()).put(&key("k"), other, PutMode::Always)).unwrap();
    assert_eq!(get(&store, "k"), Some(b"new".to_vec()));

    fs::write(file_of(folder.path(), "k"), b"tampered").unwrap();
    let error = block_on(store.get(&key("k"), Want::Any)).unwrap_err();
    assert_eq!(error.code(), Code::Corrupt);

    assert_eq!(get(&store, "k"), None, "what was corrupt is gone");
}

#[test]
fn an_expired_body_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    put(&store, "k", b"v");

    let found = block_on(store.get(&key("k"), Want::ServableAt(LATER))).unwrap().unwrap();

    assert!(matches!(found.body, Body::Absent));
    assert!(block_on(store.exists(&key("k"), LATER - 1)).unwrap());
    assert!(!block_on(store.exists(&key("k"), LATER)).unwrap());
}

#[test]
fn put_if_absent_takes_the_place_of_an_expired_object_only() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let absent = |body: &[u8], now| block_on(store.put(&key("k"), object(body, now + 10), PutMode::IfAbsent(now))).unwrap();

    assert_eq!(absent(b"1", START), Put::Stored);
    assert_eq!(absent(b"2", START + 9), Put::Present);
    assert_eq!(get(&store, "k"), Some(b"1".to_vec()));
    assert_eq!(absent(b"3", START + 10), Put::Stored);
    assert_eq!(get(&store, "k"), Some(b"3".to_vec()));
}

#[test]
fn one_of_many_wins_a_put_if_absent() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(open(folder.path()));
    for round in 0..20 {
        let text = format!("k{round}");
        put(&store, &text, b"expired");
        let threads: Vec<_> = (0..8u8)
            .map(|number| {
                let (store, text) = (store.clone(), text.clone());
                std::thread::spawn(move || block_on(store.put(&key(&text), object(&[number], LATER * 2), PutMode::IfAbsent(LATER))).unwrap())
            })
            .collect();

        let stored = threads.into_iter().map(|thread| thread.join().unwrap()).filter(|put| *put == Put::Stored).count();

        assert_eq!(stored, 1);
    }
}

#[test]
fn the_least_recently_used_make_room() {
    let folder = tempfile::tempdir().unwrap();
    let (clock, env) = test_env();
    let store = Local::open(folder.path(), LocalOptions { max_bytes: Some(100_000), durable: false }, env).unwrap();
    let put = |text: &str| assert_eq!(block_on(store.put(&key(text), object(&[0; 1000], u64::MAX), PutMode::Always)).unwrap(), Put::Stored);
    put("used");
    for number in 0..300 {
        clock.advance(5000);
        put(&format!("k{number:03}"));
        assert!(get(&store, "used").is_some(), "after {number}");
        if number % 50 == 0 {
            block_on(store.stats()).unwrap();
        }
    }

    let stats = block_on(store.stats()).unwrap();

    assert!(stats.bytes <= 100_000, "{stats:?}");
    assert!(stats.objects > 50, "{stats:?}");
    assert!(get(&store, "k299").is_some());
    assert_eq!(get(&store, "k000"), None);
}

#[test]
fn a_sweep_removes_what_ended_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for number in 0..1200u64 {
        block_on(store.put(&key(&format!("k{number}")), object(b"v", START + 1 + number % 2 * 100), PutMode::Always)).unwrap();
    }

    assert_eq!(block_on(store.sweep(START + 50)).unwrap(), 600);

    assert_eq!(keys(&store, "").len(), 600);
    assert_eq!(get(&store, "k0"), None);
    assert!(get(&store, "k1").is_some());
}

#[test]
fn clear_stays_inside_its_prefix() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for text in ["a/1", "a/2", "a_1", "b", "a%", "A/1"] {
        put(&store, text, b"v");
    }

    assert_eq!(block_on(store.clear("a/")).unwrap(), 2);

    assert_eq!(keys(&store, ""), ["A/1", "a%", "a_1", "b"]);
}

#[test]
fn clear_sees_what_another_process_has_just_written() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (open(folder.path()), open(folder.path()));
    put(&one, "k", b"v");

    assert_eq!(block_on(two.clear("")).unwrap(), 1);

    assert_eq!(get(&one, "k"), None);
}

#[test]
fn listing_pages_and_folds_at_a_delimiter() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for text in ["a", "a/b", "a/c/d", "b/1", "b/2", "b%2f3", "c", "ä/1", "b_1"] {
        put(&store, text, b"v");
    }
    let list = |prefix: &str, after: Option<&str>, limit| block_on(store.list_delimited(prefix, Some("/"), after, limit)).unwrap();
    let keyed = |text: &str| Listed::Key(text.into());
    let common = |text: &str| Listed::Prefix(text.into());

    assert_eq!(list("", None, 100), (vec![keyed("a"), common("a/"), keyed("b%2f3"), common("b/"), keyed("b_1"), keyed("c"), common("ä/")], false));
    assert_eq!(list("a/", None, 100), (vec![keyed("a/b"), common("a/c/")], false));
    assert_eq!(list("", None, 2), (vec![keyed("a"), common("a/")], true));
    assert_eq!(list("", Some("a/"), 2), (vec![keyed("b%2f3"), common("b/")], true));
    assert_eq!(list("", Some("b/"), 2), (vec![keyed("b_1"), keyed("c")], true));
    assert_eq!(list("b_", None, 10), (vec![keyed("b_1")], false), "`_` is no wildcard");
}

#[test]
fn listing_goes_on_page_after_page() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let mut expected: Vec<_> = (0..2500).map(|number| format!("p/{number}")).collect();
    expected.iter().for_each(|text| put(&store, text, b"v"));
    expected.sort();

    assert_eq!(keys(&store, "p/"), expected);
}

#[test]
fn a_corrupt_index_is_rebuilt_from_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let long = "long/".repeat(200);
    for text in ["a", "b/c", &long] {
        put(&store, text, b"value");
    }
    block_on(store.close()).unwrap();
    drop(store);
    fs::write(folder.path().join("index.sqlite"), b"this is no database, and it is longer than a header of one, by far, is it not?").unwrap();

    let store = open(folder.path());

    assert_eq!(keys(&store, ""), ["a".to_owned(), "b/c".to_owned(), long.clone()]);
    let stats = block_on(store.stats()).unwrap();
    assert_eq!((stats.objects, stats.bytes, stats.ledger.rebuilt), (3, 15, 1));
    assert_eq!(get(&store, &long), Some(b"value".to_vec()));
}

#[test]
fn a_missing_index_is_made_again_while_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    put(&store, "a", b"1");
    assert_eq!(keys(&store, ""), ["a"]);

    for suffix in ["", "-wal", "-shm"] {
        let _absent = fs::remove_file(folder.path().join(format!("index.sqlite{suffix}")));
    }

    assert_eq!(keys(&store, ""), ["a"]);
}

#[test]
fn what_a_killed_process_wrote_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    put(&store, "k", b"v");
    // As a kill does: nothing more is written, and the lock on the marker goes with the process.
    std::mem::forget(store);
    let marker = fs::read_dir(folder.path().join("live")).unwrap().next().unwrap().unwrap().path();
    fs::remove_file(&marker).unwrap();
    fs::write(&marker, b"").unwrap();
    let owner = marker.file_name().unwrap().to_str().unwrap().split('-').next().unwrap().to_owned();
    let half = file_of(folder.path(), "k").with_file_name(format!(".{owner}-99"));
    fs::write(&half, b"half").unwrap();

    let store = open(folder.path());

    assert_eq!(keys(&store, ""), ["k"]);
    assert!(!half.exists());
}

#[test]
fn a_folder_that_vanishes_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    put(&store, "k", b"v");
    assert_eq!(keys(&store, ""), ["k"]);

    fs::remove_dir_all(file_of(folder.path(), "k").parent().unwrap()).unwrap();
    put(&store, "k", b"w");

    assert_eq!(get(&store, "k"), Some(b"w".to_vec()));
}

#[test]
fn a_folder_that_is_a_file_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, b"").unwrap();

    let error = Local::open(&path, LocalOptions::default(), test_env().1).unwrap_err();

    assert!(error.message().contains(&path.display().to_string()), "{error}");
}

#[test]
fn metadata_survive_where_attributes_do_not() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    put(&store, "k", b"v");
    let file = file_of(folder.path(), "k");
    // As on a file system without extended attributes: the same bytes in a side file.
    let mut attribute = [0u8; 64];
    let length = rustix::fs::getxattr(&file, "user.undercroft", &mut attribute).unwrap();
    fs::write(file.with_file_name("k%m"), &attribute[..length]).unwrap();
    rustix::fs::removexattr(&file, "user.undercroft").unwrap();

    assert_eq!(get(&open(folder.path()), "k"), Some(b"v".to_vec()));
}

#[test]
fn durable_puts_are_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = Local::open(folder.path(), LocalOptions { max_bytes: None, durable: true }, test_env().1).unwrap();

    put(&store, "k", b"v");

    assert_eq!(get(&store, "k"), Some(b"v".to_vec()));
    assert_eq!(keys(&store, ""), ["k"]);
}
