//! Google Cloud Storage.
//!
//! Objects are written, described, listed and deleted through the JSON API. They are read through the XML API, at the
//! same address with the same tokens: its answer to a GET carries the user metadata, which that of the JSON API does
//! not, so that a read is one request.

mod fault;
mod long;
mod resource;
mod tokens;

use std::{ops::Range, sync::Arc};

use async_trait::async_trait;
use bytes::{BufMut, Bytes, BytesMut};
use futures_util::{StreamExt, stream};
use http::{HeaderMap, Method, StatusCode, header};
use undercroft_engine::{Capability, Code, Env, Error, Page, Put, Result, StoreInfo, Usage, Version, http::Request, usage::Operation};

pub use tokens::{Fixed, Token, Tokens};

use crate::object::{Answer, Attributes, Bucket, Coming, Condition, Content, Fetched, Known, Sums, Wire, WireOptions, encode_part, header_value, mark};
use resource::Resource;
use tokens::Purse;

const ADDRESS: &str = "https://storage.googleapis.com";
/// Above this length an object is sent in pieces, so that a fault does not cost all of it.
const RESUMABLE: usize = 8 * 1024 * 1024;
const PAGE: usize = 1000;
const NOTE: &str = "x-goog-meta-";

/// Where a bucket is, and how objects are written into it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GcsOptions {
    /// The bucket.
    pub bucket: String,
    /// The address of an emulator, or of a private endpoint.
    pub endpoint_url: Option<String>,
    /// `NEARLINE`, `COLDLINE`, …
    pub storage_class: Option<String>,
    /// The name of a key of Cloud KMS.
    pub kms_key: Option<String>,
    /// The project that pays for requests.
    pub user_project: Option<String>,
}

/// A bucket of Google Cloud Storage.
#[derive(Debug)]
pub struct Gcs {
    options: GcsOptions,
    address: String,
    wire: Arc<Wire>,
    purse: Purse,
}

/// An answer that is no failure.
enum Said {
    Done(Answer),
    Missing,
    Unmet(Answer),
}

/// One request, without what every request has.
struct Ask {
    operation: Operation,
    method: Method,
    uri: String,
    headers: HeaderMap,
    body: Bytes,
}

impl Ask {
    fn new(operation: Operation, method: Method, uri: String) -> Self {
        Self { operation, method, uri, headers: HeaderMap::new(), body: Bytes::new() }
    }

    fn with(mut self, name: header::HeaderName, value: &str) -> Result<Self> {
        let value = header_value(name.as_str(), value)?;
        self.headers.insert(name, value);
        Ok(self)
    }

    fn body(mut self, content_type: &str, body: impl Into<Bytes>) -> Result<Self> {
        self.body = body.into();
        self.with(header::CONTENT_TYPE, content_type)
    }
}

impl Gcs {
    /// Makes a bucket of `options`. Nothing is sent before the first call.
    ///
    /// # Errors
    /// `config_invalid`, naming the option.
    pub fn new(options: GcsOptions, wire: WireOptions, tokens: Arc<dyn Tokens>, env: Env) -> Result<Self> {
        if options.bucket.is_empty() {
            return Err(Error::new(Code::ConfigInvalid, "the bucket has no name"));
        }
        let address = options.endpoint_url.as_deref().unwrap_or(ADDRESS).trim_end_matches('/');
        let address = if address.contains("://") { address.to_owned() } else { format!("http://{address}") };
        Ok(Self { options, address, wire: Arc::new(Wire::new(wire, env)), purse: Purse::new(tokens) })
    }

    /// Returns the URI of an object in the JSON API.
    fn object(&self, name: &str, query: &str) -> String {
        format!("{}/storage/v1/b/{}/o/{}{query}", self.address, encode_part(&self.options.bucket), encode_part(name))
    }

    /// Returns the URI of an object in the XML API.
    fn media(&self, name: &str) -> String {
        format!("{}/{}/{}", self.address, encode_part(&self.options.bucket), encode_part(name))
    }

    /// Returns the URI that takes a new object.
    fn upload(&self, kind: &str, name: &str, condition: Condition<'_>) -> String {
        let mut uri = format!("{}/upload/storage/v1/b/{}/o?uploadType={kind}&name={}", self.address, encode_part(&self.options.bucket), encode_part(name));
        match condition {
            Condition::Always => {}
            Condition::Absent => uri.push_str("&ifGenerationMatch=0"),
            Condition::Matches(version) => {
                uri.push_str(&format!("&ifGenerationMatch={}&ifMetagenerationMatch={}", generation(version), metageneration(version)));
            }
        }
        if let Some(key) = &self.options.kms_key {
            uri.push_str(&format!("&kmsKeyName={}", encode_part(key)));
        }
        uri
    }

    /// Sends one request: with a token, and with another one where the first was not taken.
    async fn ask(&self, ask: Ask) -> Result<Said> {
        let mut has_renewed = false;
        loop {
            let now = self.wire.env().clock.wall();
            let token = self.wire.patiently(self.purse.token(now, has_renewed)).await?;
            let answer = self.wire.send(ask.operation, self.request(&ask, token.as_deref())?).await?;
            let status = answer.status;
            // 308 is how an upload in pieces says that it wants more.
            if status.is_success() || status == StatusCode::PERMANENT_REDIRECT {
                return Ok(Said::Done(answer));
            }
            if matches!(status, StatusCode::NOT_MODIFIED | StatusCode::PRECONDITION_FAILED) {
                return Ok(Said::Unmet(answer));
            }
            let headers = answer.headers.clone();
            let body = answer.bytes().await?;
            if status == StatusCode::UNAUTHORIZED && token.is_some() && !has_renewed {
                has_renewed = true;
                continue;
            }
            if matches!(status, StatusCode::NOT_FOUND | StatusCode::GONE) && !fault::names_bucket(&body) {
                return Ok(Said::Missing);
            }
            return Err(fault::error(status, &headers, &body, &self.options.bucket));
        }
    }

    fn request(&self, ask: &Ask, token: Option<&str>) -> Result<Request> {
        let invalid = |error: http::Error| Error::new(Code::ConfigInvalid, format!("no request for the bucket `{}`: {error}", self.options.bucket));
        let mut request = http::Request::builder().method(&ask.method).uri(&ask.uri).body(ask.body.clone()).map_err(invalid)?;
        *request.headers_mut() = ask.headers.clone();
        if let Some(token) = token {
            let mut value = header_value("authorization", &format!("Bearer {token}"))?;
            value.set_sensitive(true);
            request.headers_mut().insert(header::AUTHORIZATION, value);
        }
        if let Some(project) = &self.options.user_project {
            request.headers_mut().insert("x-goog-user-project", header_value("x-goog-user-project", project)?);
        }
        Ok(request)
    }

    async fn get_once(&self, name: &str, known: Option<&Version>) -> Result<Said> {
        // Without this, bodies in gzip are made plain on their way (documentation of Cloud Storage, "Transcoding").
        let mut ask = Ask::new(Operation::Get, Method::GET, self.media(name)).with(header::ACCEPT_ENCODING, "gzip")?;
        if let Some(tag) = known.and_then(|version| version.split('\n').nth(2)).filter(|tag| !tag.is_empty()) {
            ask = ask.with(header::IF_NONE_MATCH, tag)?;
        }
        self.ask(ask).await
    }

    fn resource(&self, name: &str, attributes: &Attributes, body: &Bytes) -> Resource {
        Resource::new(name, attributes, self.options.storage_class.as_deref(), body)
    }

    async fn put_whole(&self, name: &str, attributes: &Attributes, body: Bytes, condition: Condition<'_>) -> Result<Said> {
        // The parts are told apart by a line that cannot be in them: 128 bits of chance.
        let boundary = mark(&*self.wire.env().random);
        let head = format!("--{boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n");
        let resource = self.resource(name, attributes, &body).to_json();
        let content_type = attributes.content_type.as_deref().unwrap_or("application/octet-stream");
        let between = format!("\r\n--{boundary}\r\nContent-Type: {content_type}\r\n\r\n");
        let end = format!("\r\n--{boundary}--\r\n");
        let mut related = BytesMut::with_capacity(head.len() + resource.len() + between.len() + body.len() + end.len());
        for piece in [head.as_bytes(), &resource, between.as_bytes(), &body, end.as_bytes()] {
            related.put_slice(piece);
        }
        let uri = self.upload("multipart", name, condition);
        self.ask(Ask::new(Operation::Put, Method::POST, uri).body(&format!("multipart/related; boundary={boundary}"), related)?).await
    }
}

/// A version is the generation of the body, that of the metadata, and the entity tag of the XML API.
fn version(generation: &str, metageneration: &str, tag: &str) -> Version {
    format!("{generation}\n{metageneration}\n{tag}").into()
}

fn generation(version: &Version) -> &str {
    version.split('\n').next().unwrap_or_default()
}

fn metageneration(version: &Version) -> &str {
    version.split('\n').nth(1).unwrap_or_default()
}

fn attributes(answer: &Answer) -> Attributes {
    let numbers = answer.header("x-goog-generation").zip(answer.header("x-goog-metageneration"));
    let version = numbers.map(|(generation, metageneration)| version(generation, metageneration, answer.header(header::ETAG).unwrap_or_default()));
    Attributes { version, ..answer.attributes(NOTE) }
}

/// Returns the CRC-32C that a body should have, where it arrives as it is stored.
fn checksum(answer: &Answer) -> Option<u32> {
    let hashes = answer.headers.get_all("x-goog-hash").iter().filter_map(|hash| hash.to_str().ok()).flat_map(|hashes| hashes.split(','));
    let sum = hashes.filter_map(|hash| hash.trim().strip_prefix("crc32c=")).next()?;
    resource::read_sum(sum)
}

#[async_trait]
impl Bucket for Gcs {
    fn info(&self) -> StoreInfo {
        let can = Capability { list: true, put_if_absent: true, live: false, bytes: true, paced: true };
        StoreInfo { scheme: "gs", label: self.options.bucket.clone(), can }
    }

    async fn head(&self, name: &str) -> Result<Option<Attributes>> {
        match self.ask(Ask::new(Operation::Head, Method::GET, self.object(name, ""))).await? {
            Said::Done(answer) => Resource::read(&answer.bytes().await?).map(|resource| Some(resource.attributes())),
            Said::Missing | Said::Unmet(_) => Ok(None),
        }
    }

    async fn get(&self, name: &str, known: Option<Known<'_>>) -> Result<Fetched> {
        let known = known.map(|known| known.version);
        let said = match (self.get_once(name, known).await?, known) {
            (Said::Unmet(answer), Some(known)) => {
                let now = attributes(&answer).version;
                if now.is_some_and(|now| generation(&now) == generation(known) && metageneration(&now) == metageneration(known)) {
                    answer.discard().await;
                    return Ok(Fetched::Current);
                }
                // Its place among the requests under way is needed for the next.
                answer.discard().await;
                match self.head(name).await? {
                    Some(mut attributes) if attributes.version.as_ref().is_some_and(|now| generation(now) == generation(known)) => {
                        // The resource has another entity tag than the body.
                        let tag = known.split('\n').nth(2).unwrap_or_default();
                        attributes.version = attributes.version.map(|now| version(generation(&now), metageneration(&now), tag));
                        return Ok(Fetched::SameBody(attributes));
                    }
                    _ => self.get_once(name, None).await?,
                }
            }
            (said, _) => said,
        };
        match said {
            Said::Done(answer) => {
                let (attributes, sums) = (attributes(&answer), Sums { crc32c: checksum(&answer), md5: None });
                Ok(Fetched::Found(attributes, Content::Coming(Coming(Box::new(answer), sums))))
            }
            Said::Missing | Said::Unmet(_) => Ok(Fetched::Missing),
        }
    }

    async fn part(&self, name: &str, version: &Version, range: Range<u64>) -> Result<Content> {
        let ask = Ask::new(Operation::Get, Method::GET, format!("{}?generation={}", self.media(name), generation(version)))
            .with(header::ACCEPT_ENCODING, "gzip")?
            .with(header::RANGE, &format!("bytes={}-{}", range.start, range.end - 1))?;
        match self.ask(ask).await? {
            Said::Done(answer) if answer.is_part(&range) => Ok(Content::Coming(Coming(Box::new(answer), Sums::default()))),
            Said::Done(_) => Err(Error::new(Code::Unsupported, "the service does not send parts of objects")),
            Said::Missing | Said::Unmet(_) => Err(Error::new(Code::Unavailable, "the object was replaced while it was read")),
        }
    }

    async fn put(&self, name: &str, attributes: &Attributes, body: Bytes, condition: Condition<'_>) -> Result<Put> {
        let said = if body.len() > RESUMABLE {
            Box::pin(self.put_in_pieces(name, attributes, body, condition)).await?
        } else {
            self.put_whole(name, attributes, body, condition).await?
        };
        match said {
            Said::Done(answer) => {
                answer.discard().await;
                Ok(Put::Stored)
            }
            Said::Unmet(_) => Ok(Put::Present),
            Said::Missing => Err(Error::new(Code::ConfigInvalid, format!("there is no bucket `{}`", self.options.bucket))),
        }
    }

    async fn renew(&self, name: &str, attributes: &Attributes, version: &Version) -> Result<bool> {
        let query = format!("?ifGenerationMatch={}&ifMetagenerationMatch={}", generation(version), metageneration(version));
        let patch = resource::patch(attributes);
        let ask = Ask::new(Operation::Copy, Method::PATCH, self.object(name, &query)).body("application/json", patch)?;
        match self.ask(ask).await? {
            Said::Done(answer) => {
                answer.discard().await;
                Ok(true)
            }
            Said::Missing | Said::Unmet(_) => Ok(false),
        }
    }

    async fn delete(&self, name: &str) -> Result<()> {
        if let Said::Done(answer) = self.ask(Ask::new(Operation::Delete, Method::DELETE, self.object(name, ""))).await? {
            answer.discard().await;
        }
        Ok(())
    }

    async fn delete_many(&self, names: &[String]) -> Result<()> {
        let deletes = stream::iter(names.to_vec()).map(|name| async move { self.delete(&name).await });
        deletes.buffer_unordered(self.concurrency()).fold(Ok(()), |first: Result<()>, deleted| std::future::ready(first.and(deleted))).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Page> {
        // The offset is inclusive: what it names is left out of the page.
        let offset = after.map(|after| format!("&startOffset={}", encode_part(after))).unwrap_or_default();
        let uri = format!(
            "{}/storage/v1/b/{}/o?prefix={}{offset}&maxResults={PAGE}&fields=items(name),nextPageToken",
            self.address,
            encode_part(&self.options.bucket),
            encode_part(prefix)
        );
        let mut token = String::new();
        loop {
            let asked = if token.is_empty() { uri.clone() } else { format!("{uri}&pageToken={}", encode_part(&token)) };
            let Said::Done(answer) = self.ask(Ask::new(Operation::List, Method::GET, asked)).await? else {
                return Err(Error::new(Code::ConfigInvalid, format!("there is no bucket `{}`", self.options.bucket)));
            };
            let (keys, next) = resource::read_page(&answer.bytes().await?, after)?;
            match next {
                // A page may be empty and not the last.
                Some(next) if keys.is_empty() => token = next,
                next => return Ok(Page { next: next.and(keys.last().cloned()), keys }),
            }
        }
    }

    fn usage(&self) -> Option<Usage> {
        Some(self.wire.usage())
    }

    fn concurrency(&self) -> usize {
        self.wire.concurrency()
    }

    fn after_fork(&self) {
        self.wire.after_fork();
        self.purse.after_fork();
    }
}
