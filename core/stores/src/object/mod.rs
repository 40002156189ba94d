//! Object stores: a bucket of any service as a store of entries that describe themselves.
//!
//! The value is the body, the rest is metadata ([`notes`]), so that a reader with any tool sees plain content. Metadata
//! arrives before the body: of an entry that may not be served the body is not transferred.

mod again;
#[cfg(any(feature = "s3", feature = "gcs"))]
pub(crate) mod base64;
mod bucket;
mod copies;
mod legacy;
mod name;
mod notes;
#[cfg(any(feature = "s3", feature = "gcs"))]
mod refusal;
mod room;
#[cfg(any(feature = "s3", feature = "gcs"))]
mod turn;
mod unique;
mod wire;

pub use bucket::{Attributes, Bucket, Coming, Condition, Content, Fetched, Known, Sums};
pub use legacy::PICKLED_ENTRY;
pub use room::spread;
pub use wire::{Wire, WireOptions};

#[cfg(any(feature = "s3", feature = "gcs"))]
pub(crate) use again::{again, pause};
#[cfg(any(feature = "s3", feature = "gcs"))]
pub(crate) use name::{encode_part, encode_path};
#[cfg(any(feature = "s3", feature = "gcs"))]
pub(crate) use unique::mark;
#[cfg(any(feature = "s3", feature = "gcs"))]
pub(crate) use wire::{Answer, header_value, retry_after};
#[cfg(any(feature = "s3", feature = "gcs"))]
pub(crate) use {refusal::Refusal, turn::Turn};

use std::ops::Range;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use flate2::read::GzDecoder;
use futures_util::{StreamExt, TryStreamExt, future::try_join, stream};
use md5::{Digest, Md5};
use undercroft_engine::{
    Body, Code, Encoding, Env, Error, Key, Life, Meta, Object, Page, Put, PutMode, Result, Store, StoreInfo, Usage, Version, Want, time::Millis,
};

use copies::Copies;

/// Bodies above this length are read in parts, several at a time.
const LARGE: u64 = 16 * 1024 * 1024;
/// The length of such a part.
const PART: u64 = 8 * 1024 * 1024;
/// How many parts of one object are under way at a time.
const PARTS: usize = 8;
/// An object without a description is read to see whether it is an entry of the known implementation, up to this length.
const LONGEST_LEGACY: u64 = 64 * 1024 * 1024;

/// A bucket as a store.
#[derive(Debug)]
pub struct Objects<B> {
    bucket: B,
    copies: Copies,
    env: Env,
}

impl<B: Bucket> Objects<B> {
    /// Makes a store of `bucket` that keeps up to `revalidate` bytes of bodies to have them confirmed instead of sent.
    pub fn new(bucket: B, revalidate: u64, env: Env) -> Self {
        Self { bucket, copies: Copies::new(revalidate), env }
    }

    async fn fetch(&self, name: &str, want: &Want) -> Result<Option<Object>> {
        // A copy that is over by its own deadlines tells nothing of those that the object has by now.
        let copy = self.copies.get(name).filter(|copy| is_wanted(copy.life(), want));
        match self.bucket.get(name, copy.as_ref().map(|copy| copy.known())).await? {
            Fetched::Missing => {
                self.copies.remove(name);
                Ok(None)
            }
            Fetched::Current => Ok(Some(wanted(copy.expect("only what is known is current").object(), want))),
            Fetched::SameBody(attributes) => {
                let object = copy.expect("only what is known is the same").object();
                let Body::Bytes(body) = object.body else { unreachable!("copies are bytes") };
                let Some(meta) = notes::read(&attributes)? else { return Err(undescribed()) };
                let meta = Meta { encoding: object.meta.encoding, ..meta };
                self.copies.keep(name, &meta, &body);
                Ok(Some(wanted(Object { meta, body: Body::Bytes(body) }, want)))
            }
            Fetched::Found(attributes, content) => self.read(name, attributes, content, want).await,
        }
    }

    async fn read(&self, name: &str, attributes: Attributes, content: Content, want: &Want) -> Result<Option<Object>> {
        let meta = match notes::read(&attributes) {
            Ok(Some(meta)) => meta,
            Ok(None) => return Box::pin(self.read_legacy(&attributes, content, want)).await.map(Some),
            Err(error) => {
                discard(content).await;
                return Err(error);
            }
        };
        if !is_wanted(&meta.life, want) {
            discard(content).await;
            return Ok(Some(Object { meta, body: Body::Absent }));
        }
        let (body, sums) = match content {
            Content::Coming(Coming(answer, sums)) if attributes.size > LARGE && attributes.version.is_some() => {
                (checked(Box::pin(self.read_parts(name, &attributes, *answer)).await?, sums)?, Some(sums))
            }
            content => whole(content).await?,
        };
        let mut meta = meta;
        // Who makes a body plain on its way takes `Content-Encoding` off, and leaves our note.
        if meta.encoding == Encoding::Gzip && attributes.encoding.is_none() && !legacy::is_gzip(&body) {
            meta.encoding = Encoding::Identity;
        }
        // A body that was damaged on its way must not be confirmed for ever after.
        if self.copies.would_keep(&body) && sums.is_none_or(|sums| sums.prove(&body)) {
            self.copies.keep(name, &meta, &body);
        }
        Ok(Some(Object { meta, body: Body::Bytes(body) }))
    }

    /// Reads a large body: its start from the answer that is there, the rest in parts beside it. All of them write to
    /// their places in one buffer.
    async fn read_parts(&self, name: &str, attributes: &Attributes, mut answer: wire::Answer) -> Result<Bytes> {
        let version = attributes.version.as_ref().expect("parts are of one version");
        let mut start = room::room(attributes.size as usize)?;
        let mut places = Vec::new();
        let mut rest = start.split_off(PART as usize);
        let mut at = PART;
        while at < attributes.size {
            let length = PART.min(attributes.size - at);
            let next = rest.split_off(length as usize);
            places.push((at..at + length, std::mem::replace(&mut rest, next)));
            at += length;
        }
        let parts = stream::iter(places).map(|(range, place)| self.read_part(name, version, range, place)).buffered(PARTS.min(self.bucket.concurrency()));
        let first = async {
            answer.read_into(&mut start, PART).await?;
            // The rest of this answer is read elsewhere.
            drop(answer);
            Ok(start)
        };
        let (mut body, parts) = match try_join(first, parts.try_collect::<Vec<_>>()).await {
            // A service that does not serve parts sends all of it once more.
            Err(error) if error.code() == Code::Unsupported => return self.read_whole(name).await,
            read => read?,
        };
        for part in parts {
            body.unsplit(part);
        }
        if body.len() as u64 != attributes.size {
            return Err(Error::new(Code::Unavailable, format!("the parts have {} bytes, and should have {}", body.len(), attributes.size)));
        }
        Ok(body.freeze())
    }

    async fn read_whole(&self, name: &str) -> Result<Bytes> {
        match self.bucket.get(name, None).await? {
            Fetched::Found(_, content) => Ok(whole(content).await?.0),
            _ => Err(Error::new(Code::Unavailable, "the object was deleted while it was read")),
        }
    }

    /// Reads one part into its place; a fault costs no more than this part.
    async fn read_part(&self, name: &str, version: &Version, range: Range<u64>, mut place: BytesMut) -> Result<BytesMut> {
        let length = range.end - range.start;
        let mut tries = 0;
        loop {
            place.clear();
            let read = async {
                match self.bucket.part(name, version, range.clone()).await? {
                    Content::Whole(bytes) => place.extend_from_slice(&bytes),
                    Content::Coming(Coming(mut answer, _)) => answer.read_into(&mut place, length).await?,
                }
                let missing = || Error::new(Code::Unavailable, format!("a part has {} bytes, and should have {length}", place.len()));
                if place.len() as u64 == length { Ok(()) } else { Err(missing()) }
            };
            match read.await {
                Ok(()) => return Ok(place),
                Err(error) => again::pause(&self.env, error, &mut tries).await?,
            }
        }
    }

    async fn read_legacy(&self, attributes: &Attributes, content: Content, want: &Want) -> Result<Object> {
        if attributes.size > LONGEST_LEGACY {
            discard(content).await;
            return Err(undescribed());
        }
        let (mut body, _) = whole(content).await?;
        if legacy::is_gzip(&body) {
            let mut plain = Vec::new();
            std::io::Read::read_to_end(&mut GzDecoder::new(&*body), &mut plain).map_err(|error| Error::new(Code::Corrupt, format!("gzip body: {error}")))?;
            body = plain.into();
        }
        legacy::read(&body).map(|object| wanted(object, want)).ok_or_else(undescribed)
    }

    /// Marks what is there as stale, also when it is replaced meanwhile.
    async fn renew_until_done(&self, key: &Key, mut known: Meta) -> Result<()> {
        for _ in 0..3 {
            if self.renew(key, &known, known.life.expired()).await? {
                return Ok(());
            }
            match self.head(key).await? {
                Some(now) => known = now,
                None => return Ok(()),
            }
        }
        Err(Error::new(Code::Conflict, "the object is replaced all the time"))
    }

    /// Puts an object where there is none that is fresh at `now`, by conditional writes alone: what is replaced is exactly
    /// the object that was looked at. The body is made unlike any other ([`unique`]), because the version of an object may
    /// be no more than a hash of its body.
    async fn put_if_absent(&self, name: &str, meta: &Meta, body: Bytes, now: Millis) -> Result<Put> {
        let mark = unique::mark(&*self.env.random);
        let (meta, body) = unique::marked(meta, body, &mark);
        let mut attributes = notes::write(&meta);
        attributes.notes.push((unique::NOTE.to_owned(), mark.clone()));
        for _ in 0..2 {
            if self.put_once(name, &attributes, body.clone(), Condition::Absent, &mark).await? == Put::Stored {
                return Ok(Put::Stored);
            }
            let Some(held) = self.bucket.head(name).await? else { continue };
            let life = match notes::read(&held) {
                Ok(Some(meta)) => Some(meta.life),
                // An entry of the known implementation keeps its deadlines in the body. What is no entry holds nothing.
                Ok(None) => match self.fetch(name, &Want::Any).await {
                    Err(error) if error.code() != Code::Corrupt => return Err(error),
                    found => found.ok().flatten().map(|object| object.meta.life),
                },
                Err(_) => None,
            };
            if life.is_some_and(|life| now < life.fresh_until) {
                return Ok(Put::Present);
            }
            let Some(version) = &held.version else { return Err(unversioned(self.bucket.info().scheme)) };
            if self.put_once(name, &attributes, body.clone(), Condition::Matches(version), &mark).await? == Put::Stored {
                return Ok(Put::Stored);
            }
        }
        Ok(Put::Present)
    }

    /// Puts under a condition. Where the answer was lost the object itself tells whether it is ours.
    async fn put_once(&self, name: &str, attributes: &Attributes, body: Bytes, condition: Condition<'_>, mark: &str) -> Result<Put> {
        match self.bucket.put(name, attributes, body, condition).await {
            Err(error) if error.retryable() => match self.bucket.head(name).await {
                Ok(Some(held)) if held.note(unique::NOTE) == Some(mark) => Ok(Put::Stored),
                _ => Err(error),
            },
            put => put,
        }
    }
}

fn unversioned(scheme: &str) -> Error {
    Error::new(Code::Unsupported, format!("this `{scheme}` gives objects no versions, so nothing can be replaced conditionally"))
}

fn undescribed() -> Error {
    Error::new(Code::Corrupt, "an object without a description, which nobody we know wrote")
}

fn is_wanted(life: &Life, want: &Want) -> bool {
    match want {
        Want::Any => true,
        Want::ServableAt(now) => life.is_servable(*now),
    }
}

fn wanted(object: Object, want: &Want) -> Object {
    if is_wanted(&object.meta.life, want) { object } else { Object { body: Body::Absent, ..object } }
}

/// Returns the body, and what it should add up to where it came over a wire.
async fn whole(content: Content) -> Result<(Bytes, Option<Sums>)> {
    match content {
        Content::Whole(bytes) => Ok((bytes, None)),
        Content::Coming(Coming(answer, sums)) => Ok((checked(answer.bytes().await?, sums)?, Some(sums))),
    }
}

fn checked(body: Bytes, sums: Sums) -> Result<Bytes> {
    if sums.crc32c.is_some_and(|sum| crc32c::crc32c(&body) != sum) {
        return Err(Error::new(Code::Corrupt, "the checksum of the body does not match"));
    }
    Ok(body)
}

impl Sums {
    /// Says whether the body, whose CRC-32C is right where it is known, was proved to be what is stored.
    fn prove(&self, body: &[u8]) -> bool {
        self.crc32c.is_some() || self.md5.is_some_and(|sum| Md5::digest(body)[..] == sum)
    }
}

async fn discard(content: Content) {
    if let Content::Coming(Coming(answer, _)) = content {
        answer.discard().await;
    }
}

#[async_trait]
impl<B: Bucket> Store for Objects<B> {
    fn info(&self) -> StoreInfo {
        self.bucket.info()
    }

    async fn head(&self, key: &Key) -> Result<Option<Meta>> {
        let name = name::escape(key);
        let Some(attributes) = self.bucket.head(&name).await? else { return Ok(None) };
        if let Some(meta) = notes::read(&attributes)? {
            return Ok(Some(meta));
        }
        // An entry of the known implementation keeps its deadlines in the body.
        let meta = self.fetch(&name, &Want::Any).await?.map(|object| object.meta);
        Ok(meta.map(|meta| Meta { version: attributes.version, ..meta }))
    }

    async fn get(&self, key: &Key, want: Want) -> Result<Option<Object>> {
        self.fetch(&name::escape(key), &want).await
    }

    async fn put(&self, key: &Key, object: Object, mode: PutMode) -> Result<Put> {
        let Body::Bytes(body) = object.body else {
            return Err(Error::new(Code::Unsupported, format!("`{}` keeps bytes, not objects", self.bucket.info().scheme)));
        };
        let name = name::escape(key);
        let meta = Meta { size: body.len() as u64, ..object.meta };
        self.copies.remove(&name);
        match mode {
            PutMode::Always => self.bucket.put(&name, &notes::write(&meta), body, Condition::Always).await,
            PutMode::IfAbsent(now) => Box::pin(self.put_if_absent(&name, &meta, body, now)).await,
        }
    }

    async fn delete(&self, key: &Key) -> Result<()> {
        let name = name::escape(key);
        self.copies.remove(&name);
        self.bucket.delete(&name).await
    }

    async fn delete_many(&self, keys: &[Key]) -> Result<()> {
        let names: Vec<String> = keys.iter().map(|key| name::escape(key).into_owned()).collect();
        for name in &names {
            self.copies.remove(name);
        }
        self.bucket.delete_many(&names).await
    }

    async fn renew(&self, key: &Key, known: &Meta, life: Life) -> Result<bool> {
        let name = name::escape(key);
        let Some(version) = &known.version else { return Ok(false) };
        self.copies.remove(&name);
        self.bucket.renew(&name, &notes::write(&Meta { life, ..known.clone() }), version).await
    }

    async fn expire(&self, key: &Key) -> Result<()> {
        let name = name::escape(key);
        let Some(attributes) = self.bucket.head(&name).await? else { return Ok(()) };
        match notes::read(&attributes)? {
            Some(known) if known.version.is_some() => self.renew_until_done(key, known).await,
            Some(_) => {
                // Without versions the whole object is written again.
                let Some(Object { mut meta, body }) = self.get(key, Want::Any).await? else { return Ok(()) };
                meta.life = meta.life.expired();
                self.put(key, Object { meta, body }, PutMode::Always).await.map(|_| ())
            }
            // An entry of the known implementation keeps its deadlines in the body, and knows no stale window.
            None => self.delete(key).await,
        }
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Page> {
        let after = after.map(|after| name::escape(after));
        let page = self.bucket.list(&name::listed(prefix), after.as_deref()).await?;
        let keys = page.keys.iter().map(|name| name::unescape(name).into_owned()).filter(|key| key.starts_with(prefix)).collect();
        Ok(Page { keys, next: page.next.map(|name| name::unescape(&name).into_owned()) })
    }

    fn usage(&self) -> Option<Usage> {
        self.bucket.usage()
    }

    fn after_fork(&self) {
        self.bucket.after_fork();
    }
}
