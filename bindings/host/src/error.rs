//! What can go wrong: the cache says so, a limit is reached, or the component ends.

use std::fmt;

use crate::{CacheError, ErrorCode};

/// The result of every call.
pub type Result<T> = std::result::Result<T, Error>;

/// Which limit an instance ran into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Its memory ([`Settings::memory`](crate::Settings::memory)).
    Memory,
    /// The fuel of one call ([`Settings::fuel`](crate::Settings::fuel)).
    Fuel,
    /// The computing time of one call ([`Settings::deadline`](crate::Settings::deadline)).
    Deadline,
}

/// What went wrong.
#[derive(Debug)]
pub enum Error {
    /// The cache refused or failed. The instance goes on.
    Cache(CacheError),
    /// The instance ran into a limit. It is over, with all that was in its memory; another one starts empty.
    Limit(Limit),
    /// The instance ended by a trap, now or before.
    Trap(String),
    /// The component could not be loaded, linked or instantiated.
    Load(String),
}

impl Error {
    /// Returns the cache's code, if the cache failed.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Error::Cache(error) => Some(error.code),
            _ => None,
        }
    }

    pub(crate) fn load(what: &str, error: &wasmtime::Error) -> Self {
        Error::Load(format!("{what}: {error:#}"))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Cache(CacheError { message, tier: Some(tier), .. }) => write!(f, "{message} (tier `{tier}`)"),
            Error::Cache(error) => f.write_str(&error.message),
            Error::Limit(Limit::Memory) => f.write_str("the instance needs more memory than it may have"),
            Error::Limit(Limit::Fuel) => f.write_str("the call needs more fuel than it may have"),
            Error::Limit(Limit::Deadline) => f.write_str("the call takes longer than it may"),
            Error::Trap(why) => write!(f, "the instance has ended: {why}"),
            Error::Load(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for Error {}

impl From<CacheError> for Error {
    fn from(error: CacheError) -> Self {
        Error::Cache(error)
    }
}
