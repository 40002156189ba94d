//! Runs a case through the component. A case is data; this says what its verbs do, and what a component cannot do.

use std::{collections::HashMap, path::Path, sync::Arc};

use serde_json::{Value as Json, json};
use undercroft::{config::read_policy, engine::time::parse_duration};
use undercroft_host::{Ask, Cache, Codec, Entry, Error, ErrorCode, Fault, Found, Host, Lease, Outcome, Policy, Settings, Value};

use crate::clock::ManualClock;

/// Reads a file of cases.
pub fn read(name: &str) -> Json {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cases").join(name);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Why a component cannot run what comes in a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excluded(pub &'static str);

/// Replaces the shorthands of a case's cache: `near` and `far` are memory.
pub fn expand(cache: &Json) -> Json {
    let mut cache = cache.clone();
    for tier in cache.get_mut("tiers").and_then(Json::as_array_mut).into_iter().flatten() {
        if let Some(name) = tier.as_str().filter(|name| ["near", "far", "deep"].contains(name)).map(str::to_owned) {
            *tier = json!({ "url": "memory://", "name": name });
        }
    }
    cache
}

/// Returns the value of a policy's settings.
pub fn policy(settings: &Json) -> Policy {
    let policy = settings.as_object().map(|settings| read_policy(settings).unwrap()).unwrap_or_default();
    Policy { ttl: policy.ttl, stale: policy.stale, stale_if_error: policy.stale_if_error, jitter: Some(policy.jitter), refresh_ahead: policy.refresh_ahead }
}

/// Returns the name that every language gives to a code.
pub fn code(code: ErrorCode) -> String {
    format!("{code:?}").trim_start_matches("ErrorCode::").chars().fold(String::new(), |mut name, c| {
        if c.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.extend(c.to_lowercase());
        name
    })
}

const CODES: [ErrorCode; 13] = [
    ErrorCode::ConfigInvalid,
    ErrorCode::KeyInvalid,
    ErrorCode::Unsupported,
    ErrorCode::Denied,
    ErrorCode::Conflict,
    ErrorCode::TooLarge,
    ErrorCode::Unavailable,
    ErrorCode::Timeout,
    ErrorCode::Throttled,
    ErrorCode::Corrupt,
    ErrorCode::LeaseLost,
    ErrorCode::Closed,
    ErrorCode::Internal,
];

fn decoded(entry: &Entry) -> Json {
    assert_eq!(entry.value.codec, Codec::Json);
    serde_json::from_slice(&entry.value.bytes).unwrap()
}

fn value(json: &Json) -> Value {
    Value::json(serde_json::to_vec(json).unwrap())
}

/// One case under way.
pub struct Runner {
    cache: Cache,
    clock: Arc<ManualClock>,
    policy: Policy,
    leases: HashMap<String, Lease>,
    ids: HashMap<String, u64>,
    /// Callers that were told `busy`, by name.
    busy: HashMap<String, (String, Ask)>,
}

impl Runner {
    /// Opens the cache of a case.
    pub fn new(host: &Host, cache: &Json) -> Self {
        let clock = Arc::<ManualClock>::default();
        let instance = host.instantiate(&Settings::default().clock(clock.clone())).unwrap();
        let config = expand(cache);
        let opened = instance.open_for_tests(&config.to_string()).unwrap();
        Self { cache: opened, clock, policy: policy(&config["policy"]), leases: HashMap::new(), ids: HashMap::new(), busy: HashMap::new() }
    }

    /// Takes one step.
    ///
    /// # Errors
    /// Why a component cannot.
    pub fn step(&mut self, step: &Json) -> Result<(), Excluded> {
        let text = |name: &str| step[name].as_str().unwrap_or_else(|| panic!("`{name}` is missing"));
        let expect = &step["expect"];
        match text("do") {
            "advance" => self.clock.advance(parse_duration(text("by")).unwrap()),
            "step_wall" => {
                let by = text("by");
                let millis = parse_duration(by.trim_start_matches('-')).unwrap() as i64;
                self.clock.step_wall(if by.starts_with('-') { -millis } else { millis });
            }
            "put" => self.cache.put(text("key"), &value(&step["value"]), None).unwrap(),
            "put_if_absent" => assert_eq!(json!(self.cache.put_if_absent(text("key"), &value(&step["value"]), None).unwrap()), *expect),
            "put_far" => {
                let tier = self.cache.tier(text("tier")).unwrap().unwrap();
                tier.put(text("key"), &value(&step["value"]), Some(&self.policy)).unwrap();
            }
            "forget_near" => {
                let near = self.cache.tier("near").unwrap().unwrap();
                assert!(near.get(text("key")).unwrap().is_some(), "it is there");
                near.delete(text("key")).unwrap();
            }
            "get" => {
                let found = self.cache.get_with(text("key"), &self.ask(step)).unwrap();
                match expect["miss"] == json!(true) {
                    true => assert!(found.is_none(), "found {:?}", found.as_ref().map(decoded)),
                    false => assert_eq!(decoded(&found.expect("a value")), expect["value"]),
                }
            }
            "exists" => assert_eq!(json!(self.cache.exists(text("key")).unwrap()), *expect),
            "begin" => self.begin(text("key").to_owned(), self.ask(step), step["as"].as_str(), expect),
            "join" => {
                let (key, ask) = self.busy.remove(text("begin")).unwrap();
                self.begin(key, ask, step["begin"].as_str(), expect);
            }
            "cancel" => drop(self.busy.remove(text("begin")).unwrap()),
            "claim" => {
                let lease = self.cache.claim(text("key")).unwrap();
                assert_eq!(json!(lease.is_some()), *expect);
                self.keep(lease, step["as"].as_str());
            }
            "fulfil" => {
                let entry = self.leases.remove(text("lease")).unwrap().fulfil(value(&step["value"]), Some(&self.ask(step))).unwrap();
                assert_eq!(decoded(&entry), step["value"], "who fulfils gets its value back");
            }
            "fail" => {
                let served = self.leases.remove(text("lease")).unwrap().fail().unwrap();
                match expect["stale"] {
                    Json::Null if expect["nothing"] == json!(true) => assert!(served.is_none()),
                    ref value => assert_eq!(decoded(&served.expect("a spare value")), *value),
                }
            }
            "drop" => drop(self.leases.remove(text("lease")).unwrap()),
            "resume" => {
                let lease = self.leases.remove(text("lease")).unwrap();
                match lease.resume().unwrap() {
                    Some(entry) => assert_eq!(json!({ "hit": decoded(&entry) }), *expect),
                    None => {
                        assert_eq!(json!({ "load": true }), *expect);
                        self.leases.insert(text("as").to_owned(), lease);
                    }
                }
            }
            "delete" => self.check(self.cache.delete(text("key")), expect),
            "expire" => self.cache.expire(text("key")).unwrap(),
            "clear" => assert_eq!(json!(self.cache.clear(text("prefix")).unwrap()), *expect),
            "fault" => self.fault(step)?,
            "heal" => self.cache.heal(text("tier")).unwrap(),
            "stats" => {
                let events = self.cache.events().unwrap();
                for (name, count) in expect.as_object().unwrap() {
                    let times = events.iter().find(|event| event.event == *name).unwrap().times;
                    assert_eq!(json!(times), *count, "{name}");
                }
            }
            "start_fulfil" | "join_fulfil" | "release" | "settle" => return Err(Excluded("a call cannot be left in the middle")),
            other => panic!("unknown verb `{other}`"),
        }
        Ok(())
    }

    fn check(&self, result: Result<(), Error>, expect: &Json) {
        match expect["error"].as_str() {
            Some(name) => assert_eq!(code(result.unwrap_err().code().expect("the cache's own error")), name),
            None => result.unwrap(),
        }
    }

    fn ask(&self, step: &Json) -> Ask {
        let names = |name: &str| step[name].as_array().into_iter().flatten().map(|name| name.as_str().unwrap().to_owned()).collect::<Vec<_>>();
        Ask { policy: None, skip: names("skip"), inside: names("inside").iter().map(|lease| self.ids[lease]).collect() }
    }

    fn begin(&mut self, key: String, ask: Ask, name: Option<&str>, expect: &Json) {
        let outcome = match self.cache.begin_with(&key, &ask) {
            Ok(outcome) => outcome,
            Err(error) => {
                assert_eq!(expect["error"], json!(code(error.code().expect("the cache's own error"))), "{error}");
                return;
            }
        };
        let (state, entry, lease) = match outcome {
            Outcome::Hit(Found { entry, lease }) => ("hit", Some(entry), lease),
            Outcome::Stale(Found { entry, lease }) => ("stale", Some(entry), lease),
            Outcome::Miss(lease) => ("miss", None, Some(lease)),
            Outcome::Busy => {
                assert_eq!(*expect, json!({ "waits": true }), "it is busy");
                self.busy.insert(name.expect("a name to join by").to_owned(), (key, ask));
                return;
            }
        };
        let Some(expected) = expect.get(state) else { panic!("expected {expect}, found {state} {:?}", entry.as_ref().map(decoded)) };
        if let Some(entry) = entry {
            assert_eq!(decoded(&entry), *expected);
            if let Some(tier) = expect["tier"].as_str() {
                assert_eq!(entry.tier, tier);
            }
        }
        if let Some(wanted) = expect["lease"].as_bool() {
            assert_eq!(lease.is_some(), wanted, "the lease");
        }
        self.keep(lease, name);
    }

    fn keep(&mut self, lease: Option<Lease>, name: Option<&str>) {
        if let (Some(lease), Some(name)) = (lease, name) {
            self.ids.insert(name.to_owned(), lease.id().unwrap());
            self.leases.insert(name.to_owned(), lease);
        }
    }

    fn fault(&self, step: &Json) -> Result<(), Excluded> {
        let fault = match step["fault"].as_str().unwrap() {
            "hang" => return Err(Excluded("a call cannot be left hanging; a hung server has a test of its own")),
            "corrupt" => Fault::Corrupt,
            name => Fault::Fail(CODES.into_iter().find(|known| code(*known) == name).unwrap()),
        };
        let times = step["times"].as_u64().map(|times| times as u32);
        self.cache.inject(step["tier"].as_str().unwrap(), step["on"].as_str().unwrap(), fault, times).unwrap();
        Ok(())
    }
}
