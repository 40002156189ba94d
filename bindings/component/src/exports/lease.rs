//! Leases: `undercroft:cache/cache.lease`.

use std::cell::RefCell;

use undercroft::engine::{Cache, Code, Error, Lease, Result, Resumed};

use super::Answer;
use crate::{
    bindings::exports::undercroft::cache::{
        cache::{self as wit, GuestLease},
        types::{Ask, Entry, Value},
    },
    codec,
    env::block_on,
    records,
};

/// A lease that is used once. Its key and number stay.
pub(crate) struct LeaseOf {
    cache: Cache,
    key: String,
    id: u64,
    lease: RefCell<Option<Lease>>,
}

impl LeaseOf {
    pub(crate) fn handle(cache: &Cache, lease: Lease) -> wit::Lease {
        wit::Lease::new(Self { cache: cache.clone(), key: lease.key().to_string(), id: lease.flight(), lease: RefCell::new(Some(lease)) })
    }

    fn take(&self) -> Result<Lease> {
        self.lease.take().ok_or_else(|| Error::new(Code::LeaseLost, format!("the lease on `{}` has been used", self.key)))
    }
}

impl GuestLease for LeaseOf {
    fn key(&self) -> String {
        self.key.clone()
    }

    fn id(&self) -> u64 {
        self.id
    }

    fn fulfil(&self, value: Value, ask: Option<Ask>) -> Answer<Entry> {
        // What is refused leaves the lease as it is.
        let ask = ask.map_or_else(|| Ok(self.cache.ask()), |ask| records::ask(&self.cache, ask))?;
        let value = codec::value(&self.cache, records::core_codec(value.codec), value.bytes)?;
        let lease = self.take()?;
        Ok(records::entry(&block_on(self.cache.fulfil_with(lease, value, &ask))?)?)
    }

    fn fail(&self) -> Answer<Option<Entry>> {
        let lease = self.take()?;
        Ok(records::maybe_entry(self.cache.fail(lease).as_ref())?)
    }

    fn resume(&self) -> Answer<Option<Entry>> {
        let lease = self.take()?;
        match block_on(self.cache.resume(lease, &self.cache.ask()))? {
            Resumed::Fresh(entry) => Ok(Some(records::entry(&entry)?)),
            Resumed::Load(lease) => {
                self.lease.replace(Some(lease));
                Ok(None)
            }
        }
    }
}
