//! What an instance is given, and what it may do.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use crate::{clock::Clock, keyvalue::KeyValue, network::Hosts};

/// What an instance is given, and what it may do: by default no network, no variables, and as much memory as it likes.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    pub(crate) variables: Vec<(String, String)>,
    pub(crate) hosts: Hosts,
    pub(crate) memory: Option<usize>,
    pub(crate) fuel: Option<u64>,
    pub(crate) deadline: Option<Duration>,
    pub(crate) clock: Option<Arc<dyn Clock>>,
    pub(crate) stores: BTreeMap<String, Arc<dyn KeyValue>>,
}

impl Settings {
    /// Sets a variable of the environment: AWS's credentials, `UNDERCROFT_CONFIG`, or what a configuration refers to.
    #[must_use]
    pub fn variable(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// Lets requests out to `host`: a name or address, the same with a port, `*.name` for all names below it, or `*` for any host.
    ///
    /// S3 puts the name of the bucket before that of the host: `*.s3.eu-west-1.amazonaws.com`.
    #[must_use]
    pub fn allow(mut self, host: impl Into<String>) -> Self {
        self.hosts.allow(host);
        self
    }

    /// Limits the memory of the instance, in bytes. One that needs more ends with [`Limit::Memory`](crate::Limit::Memory).
    #[must_use]
    pub fn memory(mut self, bytes: usize) -> Self {
        self.memory = Some(bytes);
        self
    }

    /// Limits the fuel of each call. The host must meter it ([`Metering::Fuel`](crate::Metering::Fuel)).
    #[must_use]
    pub fn fuel(mut self, units: u64) -> Self {
        self.fuel = Some(units);
        self
    }

    /// Limits how long each call may compute. The host must meter it ([`Metering::Time`](crate::Metering::Time)).
    ///
    /// While a call waits for the network its tiers' own timeouts count.
    #[must_use]
    pub fn deadline(mut self, limit: Duration) -> Self {
        self.deadline = Some(limit);
        self
    }

    /// Shows the instance another clock than the system's.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Gives the component built with `--features middleware` a key-value store: `keyvalue://identifier`.
    #[must_use]
    pub fn store(mut self, identifier: impl Into<String>, store: Arc<dyn KeyValue>) -> Self {
        self.stores.insert(identifier.into(), store);
        self
    }
}
