//! Runs the cases of `tests/cases` on the manual clock. A case is data; this says what its verbs do.
#![allow(clippy::unwrap_used, reason = "a case that is not what it should be ends the test")]

use std::{
    collections::HashMap,
    future::Future,
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
};

use serde_json::{Map, Value as Json, json};
use undercroft::{
    Config, Options,
    engine::{
        Ask, Body, Cache, Code, Codec, Entry, Env, Error, Key, Kind, Lease, Meta, Object, Outcome, Policy, PutMode, Resumed, Value,
        layers::{Fault, Faults},
        manual::{ManualClock, env, poll_once},
        time::parse_duration,
    },
    open,
};

type Pending<T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send>>;

/// Returns the folder of the cases.
pub fn cases_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../cases")
}

/// Reads a file of cases.
pub fn read(name: &str) -> Vec<Json> {
    let text = std::fs::read_to_string(cases_folder().join(name)).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// One case under way.
pub struct Runner {
    cache: Cache,
    clock: Arc<ManualClock>,
    env: Env,
    faults: HashMap<String, Faults>,
    leases: HashMap<String, Lease>,
    flights: HashMap<String, u64>,
    begins: HashMap<String, Pending<Outcome>>,
    fulfils: HashMap<String, Pending<Entry>>,
    _folder: tempfile::TempDir,
}

/// Replaces the shorthands of a case's cache: `near` and `far` are memory, `{tmp}` is a fresh folder.
pub fn expand(cache: &Json, folder: &Path) -> Json {
    let mut cache = cache.clone();
    for tier in cache.get_mut("tiers").and_then(Json::as_array_mut).into_iter().flatten() {
        if let Some(name) = tier.as_str().filter(|name| !name.contains("://")).map(str::to_owned)
            && name.chars().all(char::is_alphabetic)
            && ["near", "far", "deep"].contains(&name.as_str())
        {
            *tier = json!({ "url": "memory://", "name": name });
        }
    }
    let text = cache.to_string().replace("{tmp}", &folder.display().to_string());
    serde_json::from_str(&text).unwrap()
}

fn decoded(entry: &Entry) -> Json {
    let (codec, bytes) = entry.value.encoded().expect("the runner stores bytes");
    assert_eq!(codec, Codec::JSON);
    serde_json::from_slice(bytes).unwrap()
}

fn value(json: &Json) -> Value {
    Value::bytes(Codec::JSON, serde_json::to_vec(json).unwrap())
}

impl Runner {
    /// Opens the cache of a case.
    pub fn new(cache: &Json) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::default());
        let env = env(&clock);
        let config = Config::from_value(expand(cache, folder.path()), &|_| None).unwrap();
        let opened = open(&config, &env, &Options { faults: true, ..Options::default() }).unwrap();
        let faults = opened.faults.into_iter().map(|(name, faults)| (name.to_string(), faults)).collect();
        Self {
            cache: opened.cache,
            clock,
            env,
            faults,
            leases: HashMap::new(),
            flights: HashMap::new(),
            begins: HashMap::new(),
            fulfils: HashMap::new(),
            _folder: folder,
        }
    }

    /// Takes one step.
    pub fn step(&mut self, step: &Json) {
        let text = |name: &str| step[name].as_str().unwrap_or_else(|| panic!("`{name}` is missing"));
        let key = || Key::new(text("key")).unwrap();
        let expect = &step["expect"];
        match text("do") {
            "advance" => {
                self.clock.advance(parse_duration(text("by")).unwrap());
                // What the clock woke goes on.
                for begin in self.begins.values_mut() {
                    let waiting: Pending<Outcome> = Box::pin(std::future::pending());
                    *begin = match poll_once(std::mem::replace(begin, waiting)) {
                        Ok(outcome) => Box::pin(std::future::ready(outcome)),
                        Err(waiting) => waiting,
                    };
                }
            }
            "step_wall" => {
                let by = text("by");
                let millis = parse_duration(by.trim_start_matches('-')).unwrap() as i64;
                self.clock.step_wall(if by.starts_with('-') { -millis } else { millis });
            }
            "put" => now(self.cache_future(move |cache| async move { cache.put(&key(), value(&step["value"]), None).await })).unwrap(),
            "put_if_absent" => {
                let stored = now(self.cache_future(|cache| async move { cache.put_if_absent(&key(), value(&step["value"]), None).await })).unwrap();
                assert_eq!(json!(stored), *expect);
            }
            "put_far" => self.put_far(text("tier"), &key(), &step["value"]),
            "forget_near" => assert!(self.cache.chain().near().unwrap().near.remove(text("key"))),
            "get" => self.get(&key(), step),
            "exists" => assert_eq!(json!(now(self.cache_future(|cache| async move { cache.exists(&key()).await })).unwrap()), *expect),
            "begin" => self.begin(key(), step),
            "join" => self.join(text("begin"), step),
            "settle" => drop(undercroft::engine::manual::block_on(self.begins.remove(text("begin")).unwrap()).unwrap()),
            "cancel" => drop(self.begins.remove(text("begin")).unwrap()),
            "claim" => {
                let lease = self.cache.claim(&key());
                assert_eq!(json!(lease.is_some()), *expect);
                if let (Some(lease), Some(name)) = (lease, step["as"].as_str()) {
                    self.leases.insert(name.to_owned(), lease);
                }
            }
            "fulfil" => {
                let (lease, ask) = (self.leases.remove(text("lease")).unwrap(), self.ask(step));
                let cache = self.cache.clone();
                let entry = now(Box::pin(async move { cache.fulfil_with(lease, value(&step["value"]), &ask).await })).unwrap();
                assert_eq!(decoded(&entry), step["value"], "who fulfils gets its value back");
            }
            "start_fulfil" => {
                let (lease, value) = (self.leases.remove(text("lease")).unwrap(), value(&step["value"]));
                let cache = self.cache.clone();
                let Err(pending) = poll_once(Box::pin(async move { cache.fulfil(lease, value, None).await }) as Pending<Entry>) else {
                    panic!("it should wait")
                };
                self.fulfils.insert(text("as").to_owned(), pending);
            }
            "join_fulfil" => drop(now(self.fulfils.remove(text("fulfil")).unwrap()).unwrap()),
            "fail" => {
                let served = self.cache.fail(self.leases.remove(text("lease")).unwrap());
                match expect["stale"] {
                    Json::Null if expect["nothing"] == json!(true) => assert!(served.is_none()),
                    ref value => assert_eq!(decoded(&served.expect("a spare value")), *value),
                }
            }
            "drop" => drop(self.leases.remove(text("lease")).unwrap()),
            "resume" => {
                let (lease, ask) = (self.leases.remove(text("lease")).unwrap(), self.cache.ask());
                let cache = self.cache.clone();
                match now(Box::pin(async move { cache.resume(lease, &ask).await })).unwrap() {
                    Resumed::Fresh(entry) => assert_eq!(json!({ "hit": decoded(&entry) }), *expect),
                    Resumed::Load(lease) => {
                        assert_eq!(json!({ "load": true }), *expect);
                        self.leases.insert(text("as").to_owned(), lease);
                    }
                }
            }
            "delete" => {
                let deleted = now(self.cache_future(|cache| async move { cache.delete(&key()).await }));
                match expect["error"].as_str() {
                    Some(code) => assert_eq!(deleted.unwrap_err().code().as_str(), code),
                    None => deleted.unwrap(),
                }
            }
            "expire" => now(self.cache_future(|cache| async move { cache.expire(&key()).await })).unwrap(),
            "clear" => assert_eq!(json!(now(self.cache_future(|cache| async move { cache.clear(text("prefix")).await })).unwrap()), *expect),
            "fault" => self.fault(step),
            "heal" => self.faults[text("tier")].heal(),
            "release" => self.faults[text("tier")].release(),
            "stats" => {
                for (name, count) in expect.as_object().unwrap() {
                    let kind = Kind::ALL.iter().find(|kind| kind.as_str() == name).unwrap();
                    assert_eq!(json!(self.cache.events().count(*kind)), *count, "{name}");
                }
            }
            other => panic!("unknown verb `{other}`"),
        }
    }

    fn cache_future<'a, T, F: Future<Output = Result<T, Error>> + Send + 'a>(
        &self,
        make: impl FnOnce(Cache) -> F,
    ) -> Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>> {
        Box::pin(make(self.cache.clone()))
    }

    fn ask(&self, step: &Json) -> Ask {
        let names = |name: &str| step[name].as_array().into_iter().flatten().map(|name| name.as_str().unwrap().to_owned()).collect::<Vec<_>>();
        let lineage = names("inside").iter().map(|lease| self.flights[lease]).collect();
        Ask { skip: names("skip").into_iter().map(Into::into).collect(), lineage, ..self.cache.ask() }
    }

    fn get(&self, key: &Key, step: &Json) {
        let (cache, key, ask) = (self.cache.clone(), key.clone(), self.ask(step));
        let found = now(Box::pin(async move { cache.get_with(&key, &ask).await })).unwrap();
        match &step["expect"] {
            expect if expect["miss"] == json!(true) => assert!(found.is_none(), "found {:?}", found.map(|entry| decoded(&entry))),
            expect => assert_eq!(decoded(&found.expect("a value")), expect["value"]),
        }
    }

    fn begin(&mut self, key: Key, step: &Json) {
        let (cache, ask) = (self.cache.clone(), self.ask(step));
        let name = step["as"].as_str().map(str::to_owned);
        match poll_once(Box::pin(async move { cache.begin(&key, &ask).await }) as Pending<Outcome>) {
            Ok(outcome) => self.check(outcome, name, &step["expect"]),
            Err(pending) => {
                assert_eq!(step["expect"], json!({ "waits": true }), "it waits");
                self.begins.insert(name.expect("a name to join by"), pending);
            }
        }
    }

    fn join(&mut self, name: &str, step: &Json) {
        let outcome = now(self.begins.remove(name).unwrap());
        self.check(outcome, Some(name.to_owned()), &step["expect"]);
    }

    fn check(&mut self, outcome: Result<Outcome, Error>, name: Option<String>, expect: &Json) {
        if let Some(code) = expect["error"].as_str() {
            assert_eq!(outcome.expect_err("an error").code().as_str(), code);
            return;
        }
        let (state, entry, lease) = match outcome.unwrap() {
            Outcome::Hit(entry, lease) => ("hit", Some(entry), lease),
            Outcome::Stale(entry, lease) => ("stale", Some(entry), lease),
            Outcome::Miss(lease) => ("miss", None, Some(lease)),
        };
        let Some(expected) = expect.get(state) else { panic!("expected {expect}, found {state} {:?}", entry.map(|entry| decoded(&entry))) };
        if let Some(entry) = entry {
            assert_eq!(decoded(&entry), *expected);
            if let Some(tier) = expect["tier"].as_str() {
                assert_eq!(&*entry.tier, tier);
            }
        }
        if let Some(wanted) = expect["lease"].as_bool() {
            assert_eq!(lease.is_some(), wanted, "the lease");
        }
        if let (Some(lease), Some(name)) = (lease, name) {
            self.flights.insert(name.clone(), lease.flight());
            self.leases.insert(name, lease);
        }
    }

    fn put_far(&self, tier: &str, key: &Key, json: &Json) {
        let life = Policy::life(self.cache.policy(), &self.env).unwrap();
        let bytes = serde_json::to_vec(json).unwrap();
        let meta = Meta::new(life, Codec::JSON, bytes.len() as u64);
        let store = self.cache.chain().far().iter().find(|far| &*far.name == tier).unwrap().store.clone();
        let key = key.clone();
        now(Box::pin(async move { store.put(&key, Object { meta, body: Body::Bytes(bytes.into()) }, PutMode::Always).await })).unwrap();
    }

    fn fault(&self, step: &Json) {
        let fault = match step["fault"].as_str().unwrap() {
            "hang" => Fault::Hang,
            "corrupt" => Fault::Corrupt,
            code => Fault::Fail(Code::parse(code).unwrap()),
        };
        let (faults, on) = (&self.faults[step["tier"].as_str().unwrap()], step["on"].as_str().unwrap());
        match step["times"].as_u64() {
            Some(times) => faults.next(on, fault, times as usize),
            None => faults.always(on, fault),
        }
    }
}

/// Returns the output of a future that must be ready by now.
fn now<T>(future: Pin<Box<dyn Future<Output = Result<T, Error>> + Send + '_>>) -> Result<T, Error> {
    let mut future = future;
    match future.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
        std::task::Poll::Ready(output) => output,
        std::task::Poll::Pending => panic!("it waits, and should not"),
    }
}

/// Reads the members of an object.
pub fn members(json: &Json) -> &Map<String, Json> {
    json.as_object().unwrap()
}
