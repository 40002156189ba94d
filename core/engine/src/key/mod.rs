//! Keys, and the templates that make them.

mod template;

use std::{borrow::Borrow, fmt, ops::Deref, sync::Arc};

pub use template::{Conversion, Field, Part, Root, Signature, Template};

use crate::error::{Code, Error, Result};

/// The longest key, in bytes of UTF-8.
pub const MAX_KEY_BYTES: usize = 1024;

/// A key that every store can hold: 1 to 1024 bytes of UTF-8 without control characters (law 10).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(Arc<str>);

impl Key {
    /// Checks `text` and makes a key of it.
    ///
    /// # Errors
    /// `key_invalid`, naming what is wrong and the start of the key.
    pub fn new(text: impl Into<Arc<str>> + AsRef<str>) -> Result<Self> {
        check(text.as_ref())?;
        Ok(Self(text.into()))
    }

    /// Returns the text of the key.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the shared text of the key.
    pub fn shared(&self) -> &Arc<str> {
        &self.0
    }
}

/// Checks that `text` may be a key.
///
/// # Errors
/// `key_invalid`, naming what is wrong and the start of the key.
pub fn check(text: &str) -> Result<()> {
    if text.is_empty() {
        return Err(Error::new(Code::KeyInvalid, "the key is empty"));
    }
    if text.len() > MAX_KEY_BYTES {
        let message = format!("the key `{}…` is {} bytes long; at most {MAX_KEY_BYTES} are allowed", start(text), text.len());
        return Err(Error::new(Code::KeyInvalid, message));
    }
    if let Some(control) = find_control(text) {
        let message = format!("the key `{}` holds the control character U+{:04X}", start(text), control as u32);
        return Err(Error::new(Code::KeyInvalid, message));
    }
    Ok(())
}

fn find_control(text: &str) -> Option<char> {
    // Bytes first: C0 and DEL are single bytes, and C1 (U+0080 to U+009F) begins with 0xC2.
    if text.bytes().all(|byte| byte >= 0x20 && byte != 0x7f && byte != 0xc2) {
        return None;
    }
    text.chars().find(|c| c.is_control())
}

fn start(text: &str) -> String {
    text.chars().take(40).flat_map(char::escape_default).collect()
}

/// Returns the smallest text that sorts after every text that begins with `prefix`, if there is one.
pub fn after_prefix(prefix: &str) -> Option<String> {
    let mut chars: Vec<char> = prefix.chars().collect();
    while let Some(last) = chars.pop() {
        let next = match last {
            '\u{d7ff}' => Some('\u{e000}'),
            c => char::from_u32(c as u32 + 1),
        };
        if let Some(next) = next {
            chars.push(next);
            return Some(chars.into_iter().collect());
        }
    }
    None
}

impl Deref for Key {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
