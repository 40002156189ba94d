//! How much a near tier may hold, and among how many shards that is divided.

/// How much a near tier may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many entries.
    pub max_entries: u64,
    /// How many bytes of keys and values; values of unknown size count as nothing.
    pub max_bytes: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_entries: 100_000, max_bytes: None }
    }
}

/// Each shard has its share of the limits to itself: few of them for small limits, so that nothing is refused that fits.
/// A power of two: a remainder would take as long as all the rest of a hit.
pub(super) fn shards(limits: &Limits) -> u64 {
    let by_entries = limits.max_entries / 4096;
    let by_bytes = limits.max_bytes.map_or(u64::MAX, |bytes| bytes / (64 << 20));
    1 << by_entries.min(by_bytes).clamp(1, 16).ilog2()
}
