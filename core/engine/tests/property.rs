//! Properties: any sequence of verbs against a model, and the envelope's round trip.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

use std::{collections::BTreeMap, sync::Arc};

use proptest::prelude::*;
use undercroft_engine::{
    Cache, Chain, Clock, Codec, Encoding, Key, Life, Near, NearTier, Outcome, Policy, Value,
    envelope::{HEADER, Header},
    layers::{Layer, Shape, Squeeze},
    manual::{ManualClock, block_on, env},
    near::Limits,
};

mod map_store;
use map_store::MapStore;

#[derive(Clone, Debug)]
enum Verb {
    Put(u8, u8),
    Get(u8),
    Delete(u8),
    Clear,
    Load(u8, u8),
    Fail(u8),
    Advance(u16),
    Forget(u8),
}

fn verb() -> impl Strategy<Value = Verb> {
    let key = 0..6u8;
    prop_oneof![
        3 => (key.clone(), any::<u8>()).prop_map(|(k, v)| Verb::Put(k, v)),
        3 => key.clone().prop_map(Verb::Get),
        1 => key.clone().prop_map(Verb::Delete),
        1 => Just(Verb::Clear),
        3 => (key.clone(), any::<u8>()).prop_map(|(k, v)| Verb::Load(k, v)),
        1 => key.clone().prop_map(Verb::Fail),
        2 => (1..60u16).prop_map(Verb::Advance),
        2 => key.prop_map(Verb::Forget),
    ]
}

const TTL: u64 = 100;
const STALE: u64 = 30;

fn bytes(entry: &undercroft_engine::Entry) -> u8 {
    entry.value.encoded().unwrap().1[0]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Two tiers behave as one map whose values have a time to live.
    #[test]
    fn a_chain_is_a_map_with_deadlines(verbs in proptest::collection::vec(verb(), 1..80)) {
        let clock = Arc::new(ManualClock::default());
        let env = env(&clock);
        let near = Arc::new(Near::new(Limits::default()));
        let shape = Shape { prefix: "ns:".into(), compress: Some(Squeeze::Gzip(6)), max_value: None };
        let far = undercroft_engine::Tier::new("far", shape.wrap(Arc::new(MapStore::default()), &env), Codec::RAW);
        let chain = Chain::new(Some(NearTier { name: "near".into(), near: near.clone(), max_ttl: Some(40) }), vec![far]).unwrap();
        let policy = Policy { ttl: Some(TTL), stale: Some(STALE), ..Policy::default() };
        let cache = Cache::new(chain, policy, env).unwrap();
        let key = |k: u8| Key::new(format!("key/{k}")).unwrap();
        let mut model: BTreeMap<u8, (u8, u64)> = BTreeMap::new();

        for verb in verbs {
            let now = clock.monotonic();
            let age = |model: &BTreeMap<u8, (u8, u64)>, k: &u8| model.get(k).map(|(v, at)| (*v, now - at));
            match verb {
                Verb::Put(k, v) => {
                    block_on(cache.put(&key(k), Value::bytes(Codec::RAW, vec![v; 200]), None)).unwrap();
                    model.insert(k, (v, now));
                }
                Verb::Get(k) => {
                    let expected = age(&model, &k).filter(|(_, age)| *age < TTL + STALE).map(|(v, _)| v);
                    let found = block_on(cache.get(&key(k))).unwrap();
                    prop_assert_eq!(found.as_ref().map(bytes), expected);
                }
                Verb::Delete(k) => {
                    block_on(cache.delete(&key(k))).unwrap();
                    model.remove(&k);
                }
                Verb::Clear => {
                    block_on(cache.clear("key/")).unwrap();
                    model.clear();
                }
                Verb::Load(k, v) => {
                    let ask = cache.ask();
                    let lease = match (block_on(cache.begin(&key(k), &ask)).unwrap(), age(&model, &k)) {
                        (Outcome::Hit(entry, None), Some((expected, age))) => {
                            prop_assert!(age < TTL);
                            prop_assert_eq!(bytes(&entry), expected);
                            None
                        }
                        (Outcome::Stale(entry, lease), Some((expected, age))) => {
                            prop_assert!((TTL..TTL + STALE).contains(&age));
                            prop_assert_eq!(bytes(&entry), expected);
                            Some(lease.expect("nobody else refreshes"))
                        }
                        (Outcome::Miss(lease), found) => {
                            prop_assert!(found.is_none_or(|(_, age)| age >= TTL + STALE));
                            Some(lease)
                        }
                        (outcome, found) => return Err(TestCaseError::fail(format!("{outcome:?} where the model has {found:?}"))),
                    };
                    if let Some(lease) = lease {
                        block_on(cache.fulfil(lease, Value::bytes(Codec::RAW, vec![v; 200]), None)).unwrap();
                        model.insert(k, (v, now));
                    }
                }
                Verb::Fail(k) => {
                    let lease = cache.claim(&key(k)).expect("nobody else loads");
                    prop_assert!(cache.fail(lease).is_none(), "a claimed lease has no spare");
                }
                Verb::Advance(millis) => clock.advance(u64::from(millis)),
                Verb::Forget(k) => drop(near.remove(&key(k))),
            }
            prop_assert_eq!(cache.flights().len(), 0, "every flight has ended");
        }
    }

    #[test]
    fn an_envelope_opens_as_it_was_sealed(codec in any::<u8>(), encoding in prop::sample::select(vec![Encoding::Identity, Encoding::Gzip, Encoding::Zstd]), signed in any::<bool>(), times in any::<[u64; 3]>(), payload in proptest::collection::vec(any::<u8>(), 0..300)) {
        let life = Life { created_at: times[0], fresh_until: times[1], stale_until: times[2] };
        let header = Header { codec, encoding, signed, life };

        let sealed = header.seal(&payload);

        prop_assert_eq!(Header::open(&sealed, &payload).unwrap(), header);
    }

    #[test]
    fn a_changed_byte_is_noticed(payload in proptest::collection::vec(any::<u8>(), 1..100), at in any::<usize>(), bit in 0..8u8) {
        let header = Header { codec: 3, encoding: Encoding::Identity, signed: false, life: Life { created_at: 1, fresh_until: 2, stale_until: 3 } };
        let mut whole = [header.seal(&payload).to_vec(), payload].concat();
        let at = at % whole.len();
        whole[at] ^= 1 << bit;

        prop_assert!(Header::open(&whole[..HEADER], &whole[HEADER..]).is_err());
    }

    #[test]
    fn bytes_from_anywhere_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
        let at = bytes.len().min(HEADER);
        let _any = Header::open(&bytes[..at], &bytes[at..]);
    }

    #[test]
    fn the_near_tier_keeps_its_limits(sizes in proptest::collection::vec((any::<u8>(), 1..400u64), 1..300)) {
        let clock = Arc::new(ManualClock::default());
        let near = Near::new(Limits { max_entries: 20, max_bytes: Some(2000) });
        for (k, size) in sizes {
            let entry = undercroft_engine::Entry { value: Value::bytes(Codec::RAW, vec![0; size as usize]), life: Life::forever(0), tier: "t".into() };
            near.put(&Key::new(format!("{k}")).unwrap(), &entry, &Policy::default(), None, &clock);
            prop_assert!(near.len() <= 20);
            prop_assert!(near.bytes() <= 2000);
        }
    }
}
