//! Limits: an instance that reaches one ends cleanly, says which, and takes nothing of others with it.

use std::time::Duration;

use undercroft_component_tests::Build;
use undercroft_host::{Error, Host, Limit, Metering, Outcome, Settings, Value};

const MEMORY: &str = r#"{"tiers": ["memory://"]}"#;
const MIB: usize = 1 << 20;

#[test]
fn a_value_of_64_mib_comes_back() {
    let cache = Build::Full.host().instantiate(&Settings::default()).unwrap().open(MEMORY).unwrap();
    let bytes: Vec<u8> = (0..64 * MIB).map(|at| ((at * 31) >> 7) as u8).collect();

    cache.put("large", &Value::raw(bytes.clone()), None).unwrap();

    assert!(cache.get("large").unwrap().unwrap().value.bytes == bytes);
}

#[test]
fn an_instance_without_memory_ends_and_others_go_on() {
    let host = Build::Memory.host();
    let other = host.instantiate(&Settings::default()).unwrap().open(MEMORY).unwrap();
    other.put("k", &Value::raw("v"), None).unwrap();
    let instance = host.instantiate(&Settings::default().memory(8 * MIB)).unwrap();
    let cache = instance.open(MEMORY).unwrap();
    cache.put("small", &Value::raw("v"), None).unwrap();

    let refused = cache.put("large", &Value::raw(vec![7; 16 * MIB]), None);

    assert!(matches!(refused, Err(Error::Limit(Limit::Memory))), "{refused:?}");
    assert!(instance.is_over());
    assert!(matches!(cache.get("small"), Err(Error::Trap(why)) if why.contains("more memory")), "it says so again");
    assert_eq!(other.get("k").unwrap().unwrap().value.bytes, b"v");
}

#[test]
fn a_bounded_cache_stays_within_its_memory() {
    let config = r#"{"tiers": ["memory://?max_bytes=8MiB"]}"#;
    let cache = Build::Memory.host().instantiate(&Settings::default().memory(32 * MIB)).unwrap().open(config).unwrap();

    for n in 0..4_000 {
        cache.put(&format!("k{n}"), &Value::raw(vec![7; 64 << 10]), None).unwrap();
    }

    assert!(cache.get("k3999").unwrap().is_some());
}

#[test]
fn fuel_ends_a_call() {
    let host = Build::Memory.metered(Metering::Fuel);
    let rich = host.instantiate(&Settings::default()).unwrap().open(MEMORY).unwrap();
    let instance = host.instantiate(&Settings::default().fuel(2_000_000)).unwrap();
    let cache = instance.open(MEMORY).unwrap();
    for n in 0..100 {
        // Each call has its own.
        cache.put(&format!("k{n}"), &Value::raw("v"), None).unwrap();
    }

    let values: Vec<_> = (0..100_000).map(|n| (format!("k{n}"), Value::raw("v"))).collect();
    let refused = cache.put_many(&values, None);

    assert!(matches!(refused, Err(Error::Limit(Limit::Fuel))), "{refused:?}");
    assert!(instance.is_over());
    rich.put_many(&values, None).unwrap();
}

#[test]
fn time_ends_a_call() {
    let host = Build::Memory.metered(Metering::Time);
    let patient = host.instantiate(&Settings::default()).unwrap().open(MEMORY).unwrap();
    let forever = host.instantiate(&Settings::default().deadline(Duration::MAX)).unwrap().open(MEMORY).unwrap();
    let cache = host.instantiate(&Settings::default().deadline(Duration::from_millis(20))).unwrap().open(MEMORY).unwrap();
    cache.put("k", &Value::raw("v"), None).unwrap();
    let values: Vec<_> = (0..1_000_000).map(|n| (format!("k{n}"), Value::raw("v"))).collect();

    // Time goes on without the host.
    drop(host);
    let refused = cache.put_many(&values, None);

    assert!(matches!(refused, Err(Error::Limit(Limit::Deadline))), "{refused:?}");
    patient.put("k", &Value::raw("v"), None).unwrap();
    forever.put("k", &Value::raw("v"), None).unwrap();
}

#[test]
fn waiting_is_not_computing() {
    let server = undercroft_component_tests::server::Hung::start();
    let host = Build::Full.metered(Metering::Time);
    let instance = host.instantiate(&Settings::default().deadline(Duration::from_millis(200)).allow("127.0.0.1")).unwrap();
    let tier = format!("s3://bucket?endpoint_url={}&region=us-east-1&anonymous=true&retries=0&timeout=1s&on_error=raise", server.url);
    let cache = instance.open(&format!(r#"{{"tiers": ["{tier}"]}}"#)).unwrap();

    let refused = cache.get("k").map(|_| ());

    assert!(refused.is_err_and(|error| error.code() == Some(undercroft_host::ErrorCode::Timeout)), "the tier's time ran out, not the call's");
    assert!(!instance.is_over());
}

#[test]
fn the_pool_is_a_limit_too() {
    let host = Host::builder().memory(16 * MIB).instances(2).load(Build::Memory.file()).unwrap();
    let cache = host.instantiate(&Settings::default()).unwrap().open(MEMORY).unwrap();

    let refused = cache.put("large", &Value::raw(vec![7; 32 * MIB]), None);

    assert!(matches!(refused, Err(Error::Limit(Limit::Memory))), "{refused:?}");
}

#[test]
fn a_limit_that_is_not_metered_is_refused() {
    let host = Build::Memory.host();

    for (settings, metering) in [(Settings::default().fuel(1), "Metering::Fuel"), (Settings::default().deadline(Duration::from_secs(1)), "Metering::Time")] {
        let refused = host.instantiate(&settings).map(|_| ()).unwrap_err();
        assert!(refused.to_string().contains(metering), "{refused}");
    }
}

#[test]
fn instances_share_nothing() {
    let host = Build::Memory.host();
    let caches: Vec<_> = (0..20).map(|_| host.instantiate(&Settings::default()).unwrap().open(MEMORY).unwrap()).collect();

    for (n, cache) in caches.iter().enumerate() {
        assert!(matches!(cache.begin("k").unwrap(), Outcome::Miss(_)));
        cache.put("k", &Value::raw(n.to_string()), None).unwrap();
    }

    for (n, cache) in caches.iter().enumerate() {
        assert_eq!(cache.get("k").unwrap().unwrap().value.bytes, n.to_string().into_bytes());
    }
}

#[test]
fn what_was_compiled_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("undercroft.cwasm");
    Build::Memory.host().save(&file).unwrap();

    // SAFETY: the file was written by `save`, just now.
    let host = unsafe { Host::builder().load_compiled(&file) }.unwrap();
    // SAFETY: as above; it is refused.
    let other = unsafe { Host::builder().metering(Metering::Fuel).load_compiled(&file) };

    let cache = host.instantiate(&Settings::default()).unwrap().open(MEMORY).unwrap();
    assert!(cache.get("k").unwrap().is_none());
    assert!(matches!(other, Err(Error::Load(_))), "it was compiled for other settings");
    assert!(matches!(Host::load(folder.path().join("missing.wasm")), Err(Error::Load(why)) if why.contains("missing.wasm")));
}
