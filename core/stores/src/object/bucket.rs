//! Buckets: what a service that keeps objects offers, whichever service it is.

use std::{fmt, ops::Range};

use async_trait::async_trait;
use bytes::Bytes;
use undercroft_engine::{Page, Put, Result, StoreInfo, Usage, Version};

use super::wire::Answer;

/// What a service keeps beside a body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// `Content-Encoding`.
    pub encoding: Option<String>,
    /// The user metadata: names in lower case, without the service's prefix.
    pub notes: Vec<(String, String)>,
    /// The length of the body in bytes.
    pub size: u64,
    /// The state of the object: it changes with the body and with the metadata.
    pub version: Option<Version>,
}

impl Attributes {
    /// Returns the note of this name.
    pub fn note(&self, name: &str) -> Option<&str> {
        self.notes.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }
}

/// A body: whole, or still on its way.
pub enum Content {
    /// All of it.
    Whole(Bytes),
    /// As it arrives.
    Coming(Coming),
}

/// A body on its way, and the checksums that it should have. Dropping it gives up the rest.
pub struct Coming(pub(crate) Box<Answer>, pub(crate) Sums);

/// Checksums of a body, as far as the service gives them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sums {
    /// Its CRC-32C.
    pub crc32c: Option<u32>,
    /// What may be its MD5: not every entity tag is one.
    pub md5: Option<[u8; 16]>,
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Content::Whole(bytes) => write!(f, "Whole({} bytes)", bytes.len()),
            Content::Coming(_) => f.write_str("Coming"),
        }
    }
}

/// What a look for an object found.
#[derive(Debug)]
pub enum Fetched {
    /// There is none.
    Missing,
    /// The version that the caller has is the current one.
    Current,
    /// The body that the caller has is the current one, with this beside it.
    SameBody(Attributes),
    /// This one.
    Found(Attributes, Content),
}

/// A body that the caller has read before.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// The version it had.
    pub version: &'a Version,
    /// Its length in bytes.
    pub size: u64,
}

/// When to write.
#[derive(Clone, Copy, Debug)]
pub enum Condition<'a> {
    /// Whatever is there.
    Always,
    /// If there is nothing.
    Absent,
    /// If the object is still this one.
    Matches(&'a Version),
}

/// One bucket of a service. Keys are escaped by the caller; a bucket takes them as they are.
#[async_trait]
pub trait Bucket: fmt::Debug + Send + Sync + 'static {
    /// Describes the bucket.
    fn info(&self) -> StoreInfo;

    /// Returns what is known of an object, without its body.
    async fn head(&self, key: &str) -> Result<Option<Attributes>>;

    /// Asks for an object, unless `known` is still current.
    async fn get(&self, key: &str, known: Option<Known<'_>>) -> Result<Fetched>;

    /// Returns a part of the object that has this version.
    ///
    /// # Errors
    /// `unsupported` where the service sends something else than that part.
    async fn part(&self, key: &str, version: &Version, range: Range<u64>) -> Result<Content>;

    /// Writes an object.
    async fn put(&self, key: &str, attributes: &Attributes, body: Bytes, condition: Condition<'_>) -> Result<Put>;

    /// Replaces what is kept beside the body, if the object still has this version, and says whether it had.
    async fn renew(&self, key: &str, attributes: &Attributes, version: &Version) -> Result<bool>;

    /// Deletes an object. A missing one is no error.
    async fn delete(&self, key: &str) -> Result<()>;

    /// Deletes objects. Missing ones are no error; the first failure is returned after all were tried.
    async fn delete_many(&self, keys: &[String]) -> Result<()>;

    /// Lists a page of the keys that begin with `prefix`, sorted, from `after` on (exclusive).
    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Page>;

    /// Returns what was sent and received so far.
    fn usage(&self) -> Option<Usage>;

    /// How many requests one call may have under way.
    fn concurrency(&self) -> usize;

    /// Forgets what belongs to threads that do not exist in a forked child.
    fn after_fork(&self) {}
}
