//! Errors cross as one text, and become a `CacheError` in JavaScript.

use undercroft::engine::{Code, Error};

/// Stands between the code, the tier and the message.
const UNIT: char = '\u{1f}';

/// Writes an error as `code`, `tier` (empty for none) and `message`.
pub(crate) fn record(error: &Error) -> String {
    format!("{}{UNIT}{}{UNIT}{}", error.code(), error.tier().unwrap_or_default(), error.message())
}

/// Throws an error.
pub(crate) fn raise(error: Error) -> napi::Error {
    napi::Error::from_reason(record(&error))
}

/// Throws what is the caller's mistake.
pub(crate) fn invalid(message: impl Into<std::sync::Arc<str>>) -> napi::Error {
    raise(Error::new(Code::ConfigInvalid, message))
}
