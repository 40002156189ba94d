//! Usage: what a far tier was asked, what it carried, and about what that cost.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
};

macro_rules! operations {
    ($( $(#[doc = $doc:literal])+ $name:ident $text:literal $price:literal; )+) => {
        /// A kind of request that a store is billed for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Operation { $( $(#[doc = $doc])+ $name, )+ }

        impl Operation {
            /// Every operation, in the order of the table.
            pub const ALL: &'static [Operation] = &[ $( Operation::$name, )+ ];

            /// Returns the name that every language uses.
            pub const fn as_str(self) -> &'static str { match self { $( Operation::$name => $text, )+ } }

            /// Returns the price of one request in US dollars: S3 Standard in us-east-1, from AWS's price list of 2026.
            pub const fn default_price(self) -> f64 { match self { $( Operation::$name => $price, )+ } }
        }
    };
}

operations! {
    /// A body was asked for, or a part of one.
    Get "get" 0.4e-6;
    /// What is known of an object was asked for.
    Head "head" 0.4e-6;
    /// A body was sent, or a part of one; a multipart upload was begun, completed or aborted.
    Put "put" 5e-6;
    /// The metadata of an object was replaced in place.
    Copy "copy" 5e-6;
    /// Objects were deleted.
    Delete "delete" 0.0;
    /// Keys were listed.
    List "list" 5e-6;
}

/// What requests and bytes cost, in US dollars.
#[derive(Clone, Debug, PartialEq)]
pub struct Prices {
    requests: [f64; Operation::ALL.len()],
    /// The price of a byte that is received. Zero by default, as it is inside one region.
    pub received: f64,
    /// The price of a byte that is sent.
    pub sent: f64,
}

impl Default for Prices {
    fn default() -> Self {
        Self { requests: std::array::from_fn(|at| Operation::ALL[at].default_price()), received: 0.0, sent: 0.0 }
    }
}

impl Prices {
    /// Sets one price by its name: an operation's for a request, `received` or `sent` for a byte. Returns whether there
    /// is such a name.
    pub fn set(&mut self, name: &str, price: f64) -> bool {
        match (name, Operation::ALL.iter().position(|operation| operation.as_str() == name)) {
            (_, Some(at)) => self.requests[at] = price,
            ("received", _) => self.received = price,
            ("sent", _) => self.sent = price,
            _ => return false,
        }
        true
    }

    /// Returns the names that have a price.
    pub fn names() -> impl Iterator<Item = &'static str> {
        Operation::ALL.iter().map(|operation| operation.as_str()).chain(["received", "sent"])
    }
}

/// Counts requests and bytes as they happen.
#[derive(Debug, Default)]
pub struct Meter {
    requests: [AtomicU64; Operation::ALL.len()],
    sent: AtomicU64,
    received: AtomicU64,
    prices: Prices,
}

impl Meter {
    /// Makes a meter that counts in these prices.
    pub fn new(prices: Prices) -> Self {
        Self { prices, ..Self::default() }
    }

    /// Counts one request with `sent` bytes of body.
    pub fn request(&self, operation: Operation, sent: u64) {
        self.requests[operation as usize].fetch_add(1, Ordering::Relaxed);
        self.sent.fetch_add(sent, Ordering::Relaxed);
    }

    /// Counts bytes of bodies that arrived.
    pub fn received(&self, bytes: u64) {
        self.received.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Returns what was counted so far.
    pub fn usage(&self) -> Usage {
        let requests: BTreeMap<&'static str, u64> =
            Operation::ALL.iter().map(|operation| (operation.as_str(), self.requests[*operation as usize].load(Ordering::Relaxed))).collect();
        let (sent, received) = (self.sent.load(Ordering::Relaxed), self.received.load(Ordering::Relaxed));
        let asked: f64 = Operation::ALL.iter().map(|operation| requests[operation.as_str()] as f64 * self.prices.requests[*operation as usize]).sum();
        let cost = asked + sent as f64 * self.prices.sent + received as f64 * self.prices.received;
        Usage { requests, sent, received, cost, ..Usage::default() }
    }
}

/// What a far tier was asked so far, and how it was guarded.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Usage {
    /// Requests, by the name of the operation.
    pub requests: BTreeMap<&'static str, u64>,
    /// Bytes of bodies that were sent.
    pub sent: u64,
    /// Bytes of bodies that were received.
    pub received: u64,
    /// About what that cost, in US dollars.
    pub cost: f64,
    /// Attempts that were made again.
    pub retries: u64,
    /// Attempts that took too long.
    pub timeouts: u64,
    /// Calls that were refused because the tier was left alone.
    pub refused: u64,
    /// How often the tier was left alone.
    pub opened: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_bytes_are_counted_and_priced() {
        let mut prices = Prices::default();
        assert!(prices.set("get", 2.0) && prices.set("received", 0.5) && !prices.set("gets", 1.0));
        let meter = Meter::new(prices);

        meter.request(Operation::Get, 0);
        meter.request(Operation::Delete, 7);
        meter.received(10);

        let usage = meter.usage();
        assert_eq!((usage.requests["get"], usage.requests["delete"], usage.sent, usage.received), (1, 1, 7, 10));
        assert!((usage.cost - 7.0).abs() < 1e-9);
    }
}
