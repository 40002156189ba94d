//! Chains: near, then the far tiers, nearest first.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use crate::{
    cache::Ask,
    entry::{Entry, State},
    error::{Code, Error, Result},
    event::{Event, Events, Kind},
    key::Key,
    near::Near,
    store::{Body, Capability, Meta, Object, Put, PutMode, Store, Want},
    time::Millis,
    usage::Usage,
    value::{Codec, Value},
};

/// What a failing far tier means for the caller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnError {
    /// A miss there, and an event (law 6).
    #[default]
    Miss,
    /// An error of the call.
    Raise,
}

/// The near tier's place in a chain.
#[derive(Clone, Debug)]
pub struct NearTier {
    /// Its name.
    pub name: Arc<str>,
    /// The tier itself; several chains may share it.
    pub near: Arc<Near>,
    /// The longest it may keep an entry, whatever the entry's own deadline.
    pub max_ttl: Option<Millis>,
}

/// A store's place in a chain.
#[derive(Clone, Debug)]
pub struct Tier {
    /// Its name.
    pub name: Arc<str>,
    /// The store, with its layers around it.
    pub store: Arc<dyn Store>,
    /// The longest it may keep an entry, whatever the entry's own deadline.
    pub max_ttl: Option<Millis>,
    /// What its failures mean.
    pub on_error: OnError,
    /// How values become bytes here.
    pub codec: Codec,
    /// What the store can keep.
    pub can: Capability,
}

impl Tier {
    /// Makes a tier of `store` without limits.
    pub fn new(name: impl Into<Arc<str>>, store: Arc<dyn Store>, codec: Codec) -> Self {
        let can = store.info().can;
        Self { name: name.into(), store, max_ttl: None, on_error: OnError::Miss, codec, can }
    }
}

/// How often a tier answered.
#[derive(Debug, Default)]
pub struct TierCounts {
    /// Reads it answered with a servable value.
    pub hits: AtomicU64,
    /// Reads and writes that failed.
    pub errors: AtomicU64,
    /// Values written to it.
    pub writes: AtomicU64,
}

/// Stores in the order they are asked, nearest first.
#[derive(Debug)]
pub struct Chain {
    near: Option<NearTier>,
    far: Vec<Tier>,
    near_counts: TierCounts,
    far_counts: Vec<TierCounts>,
}

/// What a look through the far tiers found.
pub(crate) struct Found {
    pub(crate) entry: Entry,
    pub(crate) state: State,
    /// Which far tier answered.
    pub(crate) index: usize,
    pub(crate) body: Object,
}

impl Chain {
    /// Makes a chain.
    ///
    /// # Errors
    /// `config_invalid` when it is empty or two tiers have the same name.
    pub fn new(near: Option<NearTier>, far: Vec<Tier>) -> Result<Self> {
        let names: Vec<&str> = near.iter().map(|tier| &*tier.name).chain(far.iter().map(|tier| &*tier.name)).collect();
        if names.is_empty() {
            return Err(Error::new(Code::ConfigInvalid, "a chain needs at least one tier"));
        }
        if let Some(twice) = names.iter().enumerate().find(|(at, name)| names[..*at].contains(name)) {
            return Err(Error::new(Code::ConfigInvalid, format!("two tiers are called `{}`", twice.1)));
        }
        let far_counts = far.iter().map(|_| TierCounts::default()).collect();
        Ok(Self { near, far, near_counts: TierCounts::default(), far_counts })
    }

    /// Returns the near tier.
    pub fn near(&self) -> Option<&NearTier> {
        self.near.as_ref()
    }

    /// Returns the far tiers, nearest first.
    pub fn far(&self) -> &[Tier] {
        &self.far
    }

    /// Returns each tier's name and how often it answered, nearest first.
    pub fn counts(&self) -> impl Iterator<Item = (&Arc<str>, &TierCounts)> {
        let near = self.near.iter().map(|tier| (&tier.name, &self.near_counts));
        near.chain(self.far.iter().map(|tier| &tier.name).zip(&self.far_counts))
    }

    /// Returns what the far tier of this name was asked so far, if it counts that.
    pub fn usage(&self, name: &str) -> Option<Usage> {
        self.far.iter().find(|tier| &*tier.name == name)?.store.usage()
    }

    /// Counts a hit in the near tier.
    pub fn count_near_hit(&self) {
        self.near_counts.hits.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the codecs under which the far tiers want values, each once.
    pub fn codecs(&self) -> Vec<Codec> {
        let mut codecs = Vec::new();
        for tier in self.far.iter().filter(|tier| !tier.can.live) {
            if !codecs.contains(&tier.codec) {
                codecs.push(tier.codec);
            }
        }
        codecs
    }

    /// Asks the far tiers in order for a value that may be served; keeps the first spare one it passes.
    pub(crate) async fn look(&self, key: &Key, now: Millis, window: Millis, ask: &Ask, events: &Events) -> Result<Option<Found>> {
        let mut spare = None;
        for (index, tier) in self.far.iter().enumerate().filter(|(_, tier)| ask.reads(&tier.name)) {
            let object = match tier.store.get(key, Want::ServableAt(now)).await {
                Ok(Some(object)) => object,
                Ok(None) => continue,
                Err(error) => {
                    self.read_failed(index, key, error, events)?;
                    continue;
                }
            };
            let state = object.meta.life.state(now, window);
            let Some(entry) = entry_of(&object, tier).filter(|_| state != State::Gone) else { continue };
            let found = Found { entry, state, index, body: object };
            if state == State::Spare {
                spare.get_or_insert(found);
                continue;
            }
            self.far_counts[index].hits.fetch_add(1, Ordering::Relaxed);
            return Ok(Some(found));
        }
        Ok(spare)
    }

    pub(crate) fn read_failed(&self, index: usize, key: &Key, error: Error, events: &Events) -> Result<()> {
        let tier = &self.far[index];
        let kind = if error.code() == Code::Corrupt { Kind::Corrupt } else { Kind::ReadFailed };
        self.failed(index, kind, Some(key), &error, events);
        // Bad bytes are always a miss (law 12).
        if tier.on_error == OnError::Raise && kind != Kind::Corrupt { Err(error.at(&tier.name)) } else { Ok(()) }
    }

    pub(crate) fn failed(&self, index: usize, kind: Kind, key: Option<&Key>, error: &Error, events: &Events) {
        self.far_counts[index].errors.fetch_add(1, Ordering::Relaxed);
        events.note(&Event { kind, key: key.map(Key::as_str), tier: Some(&self.far[index].name), error: Some(error) });
    }

    /// Copies what was found into the far tiers before the one that answered.
    ///
    /// Bytes keep the codec they have: an object says itself how it is read. Only custom codecs, which nothing can
    /// tell apart once stored, stay in tiers that share them; what a store found in a form of its own stays there.
    pub(crate) async fn promote(&self, key: &Key, found: &Found, now: Millis, ask: &Ask, events: &Events) -> Vec<usize> {
        let mut written = Vec::new();
        for (index, tier) in self.far[..found.index].iter().enumerate().filter(|(_, tier)| ask.writes(&tier.name)) {
            let origin = &self.far[found.index];
            let codec = found.body.meta.codec;
            let foreign = codec.instance != 0 || (codec.is_custom() && tier.codec != origin.codec);
            let fits = if matches!(found.body.body, Body::Live(_)) { tier.can.live } else { tier.can.bytes };
            if foreign || !fits {
                continue;
            }
            let mut object = found.body.clone();
            object.meta.life = object.meta.life.capped(tier.max_ttl, now);
            match tier.store.put(key, object, PutMode::Always).await {
                Ok(_) => written.push(index),
                Err(error) => self.failed(index, Kind::WriteFailed, Some(key), &error, events),
            }
        }
        written
    }

    /// Writes `entry` to the far tiers, the furthest first. A failure is an event, or the error of a tier that raises.
    pub(crate) async fn write(&self, key: &Key, entry: &Entry, now: Millis, ask: &Ask, events: &Events) -> Result<()> {
        let mut raised = None;
        for (index, tier) in self.far.iter().enumerate().rev().filter(|(_, tier)| ask.writes(&tier.name)) {
            if let Err((kind, error)) = self.write_one(index, key, entry, now, PutMode::Always).await {
                self.failed(index, kind, Some(key), &error, events);
                if tier.on_error == OnError::Raise {
                    raised.get_or_insert(error.at(&tier.name));
                }
            }
        }
        raised.map_or(Ok(()), Err)
    }

    pub(crate) async fn write_one(&self, index: usize, key: &Key, entry: &Entry, now: Millis, mode: PutMode) -> std::result::Result<Put, (Kind, Error)> {
        let tier = &self.far[index];
        let object = object_for(entry, tier, now).map_err(|error| (Kind::EncodeFailed, error))?;
        let put = tier.store.put(key, object, mode).await.map_err(|error| (Kind::WriteFailed, error))?;
        if put == Put::Stored {
            self.far_counts[index].writes.fetch_add(1, Ordering::Relaxed);
        }
        Ok(put)
    }

    /// Deletes `keys` from the far tiers, the furthest first, and returns the first failure.
    pub(crate) async fn delete_many(&self, keys: &[Key], events: &Events) -> Result<()> {
        let mut failed = None;
        for (index, tier) in self.far.iter().enumerate().rev() {
            let deleted = match keys {
                [key] => tier.store.delete(key).await,
                keys => tier.store.delete_many(keys).await,
            };
            if let Err(error) = deleted {
                self.failed(index, Kind::WriteFailed, keys.first(), &error, events);
                failed.get_or_insert(error.at(&tier.name));
            }
        }
        failed.map_or(Ok(()), Err)
    }
}

fn entry_of(object: &Object, tier: &Tier) -> Option<Entry> {
    let value = match &object.body {
        Body::Live(live) => Value::live(live.clone(), object.meta.size),
        // The stored number says which codec; the tier says which of several custom ones.
        Body::Bytes(bytes) if object.meta.codec.instance == 0 && object.meta.codec.id == tier.codec.id => Value::bytes(tier.codec, bytes.clone()),
        Body::Bytes(bytes) => Value::bytes(object.meta.codec, bytes.clone()),
        Body::Absent => return None,
    };
    Some(Entry { value, life: object.meta.life, tier: tier.name.clone() })
}

fn object_for(entry: &Entry, tier: &Tier, now: Millis) -> Result<Object> {
    let value = &entry.value;
    let (body, codec, size) = match (value.object(), value.form(tier.codec), value.encoded()) {
        (Some(live), ..) if tier.can.live => (Body::Live(live.clone()), tier.codec, value.size()),
        (_, Some(form), _) => {
            let bytes = form.bytes.clone().map_err(|why| Error::new(Code::Unsupported, why))?;
            let size = bytes.len() as u64;
            (Body::Bytes(bytes), tier.codec, size)
        }
        // Bytes that came under another codec keep it: an object says itself how it is read.
        (_, None, Some((codec, bytes))) => (Body::Bytes(bytes.clone()), codec, bytes.len() as u64),
        (_, None, None) => return Err(Error::new(Code::Unsupported, format!("no bytes under the codec `{}`", tier.codec.name()))),
    };
    let life = entry.life.capped(tier.max_ttl, now);
    Ok(Object { meta: Meta::new(life, codec, size), body })
}
