//! Reads a key through the component, and loads it when that is due:
//! `cache undercroft.wasm KEY [CONFIG]`.
//!
//! With a configuration such as `{ "tiers": ["memory://", "s3://bucket/cache"] }` it is read from there the next time.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use undercroft_host::{Found, Host, Lease, Outcome, Result, Settings, Value};

const CONFIG: &str = r#"{ "tiers": ["memory://"], "policy": { "ttl": "5m", "stale": "1m" } }"#;

/// What a program would compute, or ask somebody for.
fn load(lease: &Lease) -> Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let entry = lease.fulfil(Value::json(format!(r#"{{"key":"{}","made_at":{now}}}"#, lease.key()?)), None)?;
    println!("loaded {}", String::from_utf8_lossy(&entry.value.bytes));
    Ok(())
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(component), Some(key)) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: cache undercroft.wasm KEY [CONFIG]");
        std::process::exit(2);
    };
    let config = arguments.next().unwrap_or_else(|| CONFIG.to_owned());

    let host = Host::load(component)?;
    let mut settings = Settings::default().allow("*").memory(256 << 20);
    for (name, value) in std::env::vars().filter(|(name, _)| name.starts_with("AWS_")) {
        settings = settings.variable(name, value);
    }
    let cache = host.instantiate(&settings)?.open(&config)?;

    for _ in 0..2 {
        let start = Instant::now();
        match cache.begin(&key)? {
            Outcome::Hit(Found { entry, lease }) | Outcome::Stale(Found { entry, lease }) => {
                println!("{} from `{}`, in {:?}", String::from_utf8_lossy(&entry.value.bytes), entry.tier, start.elapsed());
                if let Some(lease) = lease {
                    load(&lease)?;
                }
            }
            Outcome::Miss(lease) => load(&lease)?,
            Outcome::Busy => println!("somebody else loads it"),
        }
    }
    Ok(())
}
