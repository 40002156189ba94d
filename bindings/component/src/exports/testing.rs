//! `undercroft:cache/testing`.

use undercroft::engine::{
    Code, Error, Result,
    layers::{Fault as Planned, Faults},
};

use super::{
    Answer, Component,
    cache::{CacheOf, open_config},
};
use crate::{
    bindings::exports::undercroft::cache::{
        cache::{Cache, CacheBorrow},
        testing::{Fault, Guest},
    },
    records::core_code,
};

/// The operations of a store that can be made to fail.
const OPERATIONS: &[&str] = &["*", "get", "head", "put", "delete", "renew", "list", "clear"];

fn faults<'a>(cache: &'a CacheOf, tier: &str) -> Result<&'a Faults> {
    let found = cache.faults.iter().find(|(name, _)| &**name == tier);
    found.map(|(_, faults)| faults).ok_or_else(|| Error::new(Code::ConfigInvalid, format!("no far tier `{tier}` that was opened for tests")))
}

impl Guest for Component {
    fn open(config: String) -> Answer<Cache> {
        Ok(Cache::new(open_config(&config, true)?))
    }

    fn inject(cache: CacheBorrow<'_>, tier: String, operation: String, fault: Fault, times: Option<u32>) -> Answer<()> {
        let faults = faults(cache.get::<CacheOf>(), &tier)?;
        if !OPERATIONS.contains(&operation.as_str()) {
            return Err(Error::new(Code::ConfigInvalid, format!("a store has no operation `{operation}`; use one of {}", OPERATIONS.join(", "))).into());
        }
        let fault = match fault {
            Fault::Fail(code) => Planned::Fail(core_code(code)),
            Fault::Corrupt => Planned::Corrupt,
        };
        match times {
            Some(times) => faults.next(&operation, fault, times as usize),
            None => faults.always(&operation, fault),
        }
        Ok(())
    }

    fn heal(cache: CacheBorrow<'_>, tier: String) -> Answer<()> {
        faults(cache.get::<CacheOf>(), &tier)?.heal();
        Ok(())
    }
}
