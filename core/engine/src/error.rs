//! Errors: one closed table, the same in every language.

use std::{fmt, sync::Arc};

use crate::time::Millis;

/// The result of every operation that can fail.
pub type Result<T> = std::result::Result<T, Error>;

macro_rules! codes {
    ($( $(#[doc = $doc:literal])+ $name:ident $text:literal retryable: $retryable:literal; )+) => {
        /// What went wrong, as a closed list. A missing key is not an error.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code { $( $(#[doc = $doc])+ $name, )+ }

        impl Code {
            /// Every code, in the order of the table.
            pub const ALL: &'static [Code] = &[ $( Code::$name, )+ ];

            /// Returns the name that every language uses.
            pub const fn as_str(self) -> &'static str { match self { $( Code::$name => $text, )+ } }

            /// Says whether the same call may succeed if it is made again.
            pub const fn retryable(self) -> bool { match self { $( Code::$name => $retryable, )+ } }

            /// Returns the meaning in one sentence.
            pub const fn meaning(self) -> &'static str { match self { $( Code::$name => concat!($($doc),+), )+ } }
        }
    };
}

codes! {
    /// The configuration is not valid.
    ConfigInvalid "config_invalid" retryable: false;
    /// The key is empty, too long, or holds a control character.
    KeyInvalid "key_invalid" retryable: false;
    /// The tier cannot do this operation, or cannot read or write this codec.
    Unsupported "unsupported" retryable: false;
    /// The credentials or permissions are missing, expired or too weak.
    Denied "denied" retryable: false;
    /// A conditional write lost to another writer, or a load waits for itself.
    Conflict "conflict" retryable: false;
    /// The value is larger than the tier accepts.
    TooLarge "too_large" retryable: false;
    /// The tier cannot be reached, or answered with a server error.
    Unavailable "unavailable" retryable: true;
    /// The tier or the loader did not answer in time.
    Timeout "timeout" retryable: true;
    /// The tier asked the caller to slow down.
    Throttled "throttled" retryable: true;
    /// The stored bytes are not a valid entry.
    Corrupt "corrupt" retryable: false;
    /// The lease was superseded before it was fulfilled.
    LeaseLost "lease_lost" retryable: false;
    /// The cache was closed.
    Closed "closed" retryable: false;
    /// A defect in this library.
    Internal "internal" retryable: false;
}

impl Code {
    /// Finds the code with this name.
    pub fn parse(name: &str) -> Option<Code> {
        Code::ALL.iter().copied().find(|code| code.as_str() == name)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A host's own error object, kept so that the host can chain it.
pub type Source = Arc<dyn std::error::Error + Send + Sync>;

/// An error with enough context to act on it.
///
/// Messages are lower-case, name the thing in backticks and hold no secret.
#[derive(Clone, Debug)]
pub struct Error {
    code: Code,
    message: Arc<str>,
    tier: Option<Arc<str>>,
    source: Option<Source>,
    retry_after: Option<Millis>,
}

impl Error {
    /// Makes an error from what went wrong and a sentence about it.
    pub fn new(code: Code, message: impl Into<Arc<str>>) -> Self {
        Self { code, message: message.into(), tier: None, source: None, retry_after: None }
    }

    /// Names the tier where it happened; the first name stays.
    #[must_use]
    pub fn at(mut self, tier: &Arc<str>) -> Self {
        self.tier.get_or_insert_with(|| tier.clone());
        self
    }

    /// Keeps the error that caused this one.
    #[must_use]
    pub fn because(mut self, source: Source) -> Self {
        self.source = Some(source);
        self
    }

    /// Says how long the tier asked to be left alone (RFC 9110, section 10.2.3).
    #[must_use]
    pub fn retry_after(mut self, wait: Option<Millis>) -> Self {
        self.retry_after = wait;
        self
    }

    /// Returns what went wrong.
    pub fn code(&self) -> Code {
        self.code
    }

    /// Returns the sentence about it.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Returns the name of the tier that failed, if one did.
    pub fn tier(&self) -> Option<&str> {
        self.tier.as_deref()
    }

    /// Says whether the same call may succeed if it is made again.
    pub fn retryable(&self) -> bool {
        self.code.retryable()
    }

    /// Returns how long the tier asked to be left alone.
    pub fn wait_asked(&self) -> Option<Millis> {
        self.retry_after
    }

    /// Returns the host's error that caused this one.
    pub fn cause(&self) -> Option<&Source> {
        self.source.as_ref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.tier {
            Some(tier) => write!(f, "{} (tier `{tier}`)", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for Error {}
