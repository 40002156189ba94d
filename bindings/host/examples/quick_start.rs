//! The README's quick start.

use undercroft_host::{Host, Outcome, Settings, Value};

fn main() -> undercroft_host::Result<()> {
    let host = Host::load("undercroft.wasm")?;
    let settings = Settings::default().memory(256 << 20).allow("*.s3.eu-west-1.amazonaws.com");
    let cache = host.instantiate(&settings)?.open(r#"{ "tiers": ["memory://"], "policy": { "ttl": "5m", "stale": "1m" } }"#)?;

    if let Outcome::Miss(lease) = cache.begin("user:42")? {
        lease.fulfil(Value::json(r#"{"name":"Ada"}"#), None)?;
    }

    let entry = cache.get("user:42")?.expect("it was just put");
    assert_eq!(entry.value.bytes, br#"{"name":"Ada"}"#);
    Ok(())
}
