//! Events: what happened, counted always and told to whoever asks.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use parking_lot::RwLock;

use crate::error::Error;

macro_rules! kinds {
    ($( $(#[doc = $doc:literal])+ $name:ident $text:literal; )+) => {
        /// What happened.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Kind { $( $(#[doc = $doc])+ $name, )+ }

        impl Kind {
            /// Every kind, in the order of the table.
            pub const ALL: &'static [Kind] = &[ $( Kind::$name, )+ ];

            /// Returns the name that every language uses.
            pub const fn as_str(self) -> &'static str { match self { $( Kind::$name => $text, )+ } }
        }
    };
}

kinds! {
    /// A fresh value was served.
    Hit "hit";
    /// A stale value was served.
    Stale "stale";
    /// No servable value was found.
    Miss "miss";
    /// A load ended with a value.
    Load "load";
    /// A load failed.
    LoadFailed "load_failed";
    /// A stale value was served because a load failed or took too long.
    Rescue "rescue";
    /// A value was written to the chain.
    Put "put";
    /// A key was deleted.
    Delete "delete";
    /// A far tier failed on a read: the read went on as a miss there.
    ReadFailed "read_failed";
    /// A far tier failed on a write: the value was kept elsewhere.
    WriteFailed "write_failed";
    /// A value could not be encoded for a tier.
    EncodeFailed "encode_failed";
    /// Stored bytes were no valid entry: the read went on as a miss there.
    Corrupt "corrupt";
    /// A lease was revoked by a delete or a put before it was fulfilled.
    Revoked "revoked";
}

/// One thing that happened.
#[derive(Debug)]
pub struct Event<'a> {
    /// What happened.
    pub kind: Kind,
    /// The key, where there is one.
    pub key: Option<&'a str>,
    /// The tier, where there is one.
    pub tier: Option<&'a str>,
    /// The error, where there is one.
    pub error: Option<&'a Error>,
}

/// Is told of events. It must be quick, and must not call the cache.
pub trait Sink: fmt::Debug + Send + Sync {
    /// Takes note of `event`.
    fn note(&self, event: &Event<'_>);
}

/// Counts events, and passes them on.
#[derive(Debug)]
pub struct Events {
    counts: [AtomicU64; Kind::ALL.len()],
    listening: AtomicBool,
    sinks: RwLock<Vec<Arc<dyn Sink>>>,
}

impl Default for Events {
    fn default() -> Self {
        Self { counts: std::array::from_fn(|_| AtomicU64::new(0)), listening: AtomicBool::new(false), sinks: RwLock::default() }
    }
}

impl Events {
    /// Counts one event, and tells whoever listens.
    pub fn note(&self, event: &Event<'_>) {
        self.counts[event.kind as usize].fetch_add(1, Ordering::Relaxed);
        if self.listening.load(Ordering::Relaxed) {
            for sink in &*self.sinks.read() {
                sink.note(event);
            }
        }
    }

    /// Counts one event on `key`.
    pub fn on(&self, kind: Kind, key: &str) {
        self.note(&Event { kind, key: Some(key), tier: None, error: None });
    }

    /// Adds a listener.
    pub fn listen(&self, sink: Arc<dyn Sink>) {
        self.sinks.write().push(sink);
        self.listening.store(true, Ordering::Relaxed);
    }

    /// Returns how often `kind` happened.
    pub fn count(&self, kind: Kind) -> u64 {
        self.counts[kind as usize].load(Ordering::Relaxed)
    }
}
