//! The records of `wit/types.wit`, and what they are in the core.

use bytes::Bytes;
use undercroft::engine::{Ask, Cache, Code, Codec, Entry, Error, Life, Policy, Result, key::Key, near::Held, time::FOREVER};

use crate::bindings::exports::undercroft::cache::types as wit;

macro_rules! code {
    ($($name:ident),+) => {
        /// Returns the code of an error.
        fn code(code: Code) -> wit::ErrorCode {
            match code { $( Code::$name => wit::ErrorCode::$name, )+ }
        }

        /// Returns the core's code.
        pub(crate) fn core_code(code: wit::ErrorCode) -> Code {
            match code { $( wit::ErrorCode::$name => Code::$name, )+ }
        }
    };
}

code!(ConfigInvalid, KeyInvalid, Unsupported, Denied, Conflict, TooLarge, Unavailable, Timeout, Throttled, Corrupt, LeaseLost, Closed, Internal);

impl From<Error> for wit::Error {
    fn from(error: Error) -> Self {
        Self { code: code(error.code()), message: error.message().to_owned(), tier: error.tier().map(str::to_owned), retryable: error.retryable() }
    }
}

/// Checks a key.
pub(crate) fn key(text: String) -> Result<Key> {
    Key::new(text)
}

/// Checks keys.
pub(crate) fn keys(texts: Vec<String>) -> Result<Vec<Key>> {
    texts.into_iter().map(Key::new).collect()
}

/// Returns the core's codec.
pub(crate) fn core_codec(codec: wit::Codec) -> Codec {
    match codec {
        wit::Codec::Raw => Codec::RAW,
        wit::Codec::Utf8 => Codec::UTF8,
        wit::Codec::Json => Codec::JSON,
        wit::Codec::Msgpack => Codec::MSGPACK,
    }
}

fn codec(codec: Codec, tier: &str) -> Result<wit::Codec> {
    match codec {
        Codec::RAW => Ok(wit::Codec::Raw),
        Codec::UTF8 => Ok(wit::Codec::Utf8),
        Codec::JSON => Ok(wit::Codec::Json),
        Codec::MSGPACK => Ok(wit::Codec::Msgpack),
        other => {
            let message = format!("the entry is written with the codec `{}` (number {}), which belongs to one language", other.name(), other.id);
            Err(Error::new(Code::Unsupported, message).at(&tier.into()))
        }
    }
}

/// Makes an entry's record of a value of the core.
///
/// # Errors
/// `unsupported` when only another language can read the bytes.
pub(crate) fn entry(entry: &Entry) -> Result<wit::Entry> {
    record(entry.value.encoded(), entry.life, &entry.tier)
}

/// Makes the record of a hit: as the deadlines travel, so that no clock is asked again.
///
/// # Errors
/// As [`entry`].
pub(crate) fn hit(held: &Held, tier: &str) -> Result<wit::Entry> {
    record(held.encoded(), held.life(), tier)
}

fn record(value: Option<(Codec, &Bytes)>, life: Life, tier: &str) -> Result<wit::Entry> {
    let (written, bytes) = value.ok_or_else(|| Error::new(Code::Internal, "an entry without bytes"))?;
    let until = |deadline| (deadline != FOREVER).then_some(deadline);
    Ok(wit::Entry {
        value: wit::Value { bytes: bytes.to_vec(), codec: codec(written, tier)? },
        created_at: life.created_at,
        fresh_until: until(life.fresh_until),
        stale_until: until(life.stale_until),
        tier: tier.to_owned(),
    })
}

/// Makes a record of an entry that may not be there.
///
/// # Errors
/// As [`entry`].
pub(crate) fn maybe_entry(found: Option<&Entry>) -> Result<Option<wit::Entry>> {
    found.map(entry).transpose()
}

/// Returns the core's policy.
///
/// # Errors
/// `config_invalid` when it makes no sense.
pub(crate) fn policy(given: wit::Policy) -> Result<Policy> {
    let policy = Policy {
        ttl: given.ttl,
        stale: given.stale,
        stale_if_error: given.stale_if_error,
        jitter: given.jitter.unwrap_or(0.0),
        refresh_ahead: given.refresh_ahead,
        ..Policy::default()
    };
    policy.check()?;
    Ok(policy)
}

/// Returns what a call asks for.
///
/// # Errors
/// As [`policy`].
pub(crate) fn ask(cache: &Cache, given: wit::Ask) -> Result<Ask> {
    let default = cache.ask();
    Ok(Ask {
        policy: given.policy.map(policy).transpose()?.unwrap_or(default.policy),
        skip: given.skip.into_iter().map(Into::into).collect(),
        lineage: given.inside,
        ..default
    })
}
