//! S3, and whatever speaks its protocol.
//!
//! GET, HEAD, PUT and DELETE are signed here ([`sign`]) and sent over the environment's HTTP; everything else goes
//! through the AWS SDK on the same wire ([`sdk`]). Where requests go is decided by the SDK's rules for endpoints; a
//! bucket that turns out to lie in another region is followed there.

mod account;
mod ask;
mod fault;
mod long;
mod place;
mod sdk;
mod sign;

use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use aws_sdk_s3::{
    Client,
    types::{Delete, MetadataDirective, ObjectIdentifier, RequestPayer, ServerSideEncryption, StorageClass},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use parking_lot::Mutex;
use undercroft_engine::{Capability, Code, Env, Error, Page, Put, Result, StoreInfo, Usage, Version, time::Millis, usage::Operation};

pub use account::{Account, Fixed};
pub use aws_credential_types::Credentials;
pub use sdk::http_client;

use crate::object::{Answer, Attributes, Bucket, Coming, Condition, Content, Fetched, Known, Sums, Wire, WireOptions, base64, encode_path, header_value};
use account::Keyring;
use ask::{NOTE, Said};
use fault::http_date;
use place::Place;

/// Above this length an object is sent in parts.
const MULTIPART: usize = 8 * 1024 * 1024;
/// How many keys one delete may name (S3 API, DeleteObjects).
const DELETES: usize = 1000;
/// From this length on a body is worth two requests without one.
const WORTH_TWO: u64 = 256 * 1024;

/// Where a bucket is, and how objects are written into it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct S3Options {
    /// The bucket.
    pub bucket: String,
    /// The region; the account's own, else `us-east-1`, where it is not given.
    pub region: Option<String>,
    /// The address of a service that is not AWS.
    pub endpoint_url: Option<String>,
    /// Whether the bucket's name stands in the path and not in the host; by default where an `endpoint_url` is given.
    pub path_style: Option<bool>,
    /// Whether to use endpoints with FIPS 140 cryptography.
    pub use_fips: bool,
    /// Whether to use endpoints that answer over IPv6 too.
    pub use_dual_stack: bool,
    /// `STANDARD_IA`, `INTELLIGENT_TIERING`, …
    pub storage_class: Option<String>,
    /// Encryption at rest: `AES256` or `aws:kms`.
    pub sse: Option<String>,
    /// The key of `aws:kms`.
    pub sse_kms_key_id: Option<String>,
    /// Whether the caller pays for requests to a bucket of another account.
    pub request_payer: bool,
    /// Tags of every object: names and values.
    pub tags: Vec<(String, String)>,
}

/// A bucket of S3.
#[derive(Debug)]
pub struct S3 {
    options: S3Options,
    wire: Arc<Wire>,
    account: Arc<dyn Account>,
    keyring: Arc<Keyring>,
    place: Mutex<Option<Arc<Place>>>,
    /// Whether this service does not say with a 304 when the object changed.
    needs_head: AtomicBool,
}

impl S3 {
    /// Makes a bucket of `options` for an account. Nothing is sent before the first call.
    ///
    /// # Errors
    /// `config_invalid`, naming the option.
    pub fn new(options: S3Options, wire: WireOptions, account: Arc<dyn Account>, env: Env) -> Result<Self> {
        if options.bucket.is_empty() {
            return Err(Error::new(Code::ConfigInvalid, "the bucket has no name"));
        }
        if let Some(url) = &options.endpoint_url
            && !(url.starts_with("http://") || url.starts_with("https://"))
        {
            return Err(Error::new(Code::ConfigInvalid, format!("`endpoint_url` must begin with http:// or https://, unlike `{url}`")));
        }
        let keyring = Arc::new(Keyring::new(account.clone()));
        Ok(Self { options, wire: Arc::new(Wire::new(wire, env)), account, keyring, place: Mutex::default(), needs_head: AtomicBool::new(false) })
    }

    async fn place(&self) -> Result<Arc<Place>> {
        if let Some(place) = self.place.lock().clone() {
            return Ok(place);
        }
        let settling = async {
            let region = match &self.options.region {
                Some(region) => region.clone(),
                None => self.account.region().await?.unwrap_or_else(|| "us-east-1".to_owned()),
            };
            self.settle_in(&region).await
        };
        self.wire.patiently(Box::pin(settling)).await
    }

    async fn settle_in(&self, region: &str) -> Result<Arc<Place>> {
        let endpoint_url = match &self.options.endpoint_url {
            Some(url) => Some(url.clone()),
            None => self.account.endpoint_url().await?,
        };
        let is_anonymous = self.keyring.key(self.wire.env().clock.wall()).await?.is_none();
        let config = sdk::config(&self.wire, (!is_anonymous).then_some(&self.keyring));
        let place = Arc::new(Place::resolve(&self.options, endpoint_url, region, config).await?);
        *self.place.lock() = Some(place.clone());
        Ok(place)
    }

    fn storage_class(&self) -> Option<StorageClass> {
        self.options.storage_class.as_deref().map(StorageClass::from)
    }

    fn encryption(&self) -> Option<ServerSideEncryption> {
        self.options.sse.as_deref().map(ServerSideEncryption::from)
    }

    fn payer(&self) -> Option<RequestPayer> {
        self.options.request_payer.then_some(RequestPayer::Requester)
    }

    async fn get_once(&self, name: &str, known: Option<&Version>) -> Result<Said> {
        let mut headers = HeaderMap::new();
        if let Some(version) = known {
            headers.insert(header::IF_NONE_MATCH, header_value("if-none-match", tag_of(version))?);
        }
        headers.insert("x-amz-checksum-mode", HeaderValue::from_static("ENABLED"));
        self.ask(Operation::Get, Method::GET, name, headers, Bytes::new()).await
    }
}

/// After this long a change of an object cannot have the same time as the one before: times have whole seconds.
const SETTLED: Millis = 2_000;

/// A version is the entity tag and, since a copy onto itself changes metadata and keeps the tag, the time of the change;
/// and the time of the answer, which tells whether that was long enough ago for it to tell the next change.
fn version(headers: &HeaderMap) -> Option<Version> {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let (changed, now) = (text(header::LAST_MODIFIED).unwrap_or_default(), text(header::DATE).unwrap_or_default());
    Some(format!("{}\n{changed}\n{now}", text(header::ETAG)?).into())
}

fn tag_of(version: &Version) -> &str {
    version.split('\n').next().unwrap_or_default()
}

/// Returns the tag and the time of a version.
fn state_of(version: &Version) -> &str {
    version.rsplit_once('\n').map_or("", |(state, _)| state)
}

fn is_settled(version: &Version) -> bool {
    let mut times = version.split('\n').skip(1).map(http_date);
    let (changed, now) = (times.next().flatten(), times.next().flatten());
    now.zip(changed).is_some_and(|(now, changed)| now.saturating_sub(changed) >= SETTLED)
}

fn attributes(answer: &Answer) -> Attributes {
    Attributes { version: version(&answer.headers), ..answer.attributes(NOTE) }
}

/// Returns what the body should add up to. The CRC-32C of a multipart object is one of checksums, and tells nothing here.
fn sums(answer: &Answer) -> Sums {
    let sum = answer.header("x-amz-checksum-crc32c").filter(|_| answer.header("x-amz-checksum-type") != Some("COMPOSITE"));
    let crc32c = sum.filter(|sum| !sum.contains('-')).and_then(base64::decode).and_then(|bytes| Some(u32::from_be_bytes(bytes.try_into().ok()?)));
    let tag = answer.header(header::ETAG).map(|tag| tag.trim_matches('"')).filter(|tag| tag.len() == 32 && tag.is_ascii());
    let digit = |tag: &str, at: usize| u8::from_str_radix(&tag[2 * at..2 * at + 2], 16).ok();
    let md5 = tag.and_then(|tag| (0..16).map(|at| digit(tag, at)).collect::<Option<Vec<u8>>>()?.try_into().ok());
    Sums { crc32c, md5 }
}

#[async_trait]
impl Bucket for S3 {
    fn info(&self) -> StoreInfo {
        let can = Capability { list: true, put_if_absent: true, live: false, bytes: true, paced: true };
        StoreInfo { scheme: "s3", label: self.options.bucket.clone(), can }
    }

    async fn head(&self, name: &str) -> Result<Option<Attributes>> {
        match self.ask(Operation::Head, Method::HEAD, name, HeaderMap::new(), Bytes::new()).await? {
            Said::Done(answer) => Ok(Some(attributes(&answer))),
            Said::Missing | Said::Unmet(_) => Ok(None),
        }
    }

    async fn get(&self, name: &str, known: Option<Known<'_>>) -> Result<Fetched> {
        let known = known.filter(|known| known.size >= WORTH_TWO || !self.needs_head.load(Ordering::Relaxed)).map(|known| known.version);
        // What may have changed within the second that its version names is asked for as if it were not known.
        let known = known.filter(|version| is_settled(version) || self.needs_head.load(Ordering::Relaxed));
        let said = match self.get_once(name, known).await? {
            Said::Unmet(answer) => {
                let known = known.expect("only a condition can be unmet");
                // The tag is the body's. Where nothing else changed the deadlines are what they were.
                if is_settled(known) && version(&answer.headers).is_some_and(|version| state_of(&version) == state_of(known)) {
                    answer.discard().await;
                    return Ok(Fetched::Current);
                }
                // Some services leave out when it changed: there it takes a second request to know.
                self.needs_head.store(!answer.headers.contains_key(header::LAST_MODIFIED), Ordering::Relaxed);
                answer.discard().await;
                match self.head(name).await? {
                    Some(attributes) if attributes.version.as_ref().is_some_and(|version| tag_of(version) == tag_of(known)) => {
                        return Ok(Fetched::SameBody(attributes));
                    }
                    _ => Box::pin(self.get_once(name, None)).await?,
                }
            }
            said => said,
        };
        match said {
            Said::Done(answer) => {
                let (attributes, sums) = (attributes(&answer), sums(&answer));
                Ok(Fetched::Found(attributes, Content::Coming(Coming(Box::new(answer), sums))))
            }
            Said::Missing | Said::Unmet(_) => Ok(Fetched::Missing),
        }
    }

    async fn part(&self, name: &str, version: &Version, range: Range<u64>) -> Result<Content> {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, header_value("range", &format!("bytes={}-{}", range.start, range.end - 1))?);
        headers.insert(header::IF_MATCH, header_value("if-match", tag_of(version))?);
        match self.ask(Operation::Get, Method::GET, name, headers, Bytes::new()).await? {
            Said::Done(answer) if answer.is_part(&range) => Ok(Content::Coming(Coming(Box::new(answer), Sums::default()))),
            Said::Done(_) => Err(Error::new(Code::Unsupported, "the service does not send parts of objects")),
            Said::Missing | Said::Unmet(_) => Err(Error::new(Code::Unavailable, "the object was replaced while it was read")),
        }
    }

    async fn put(&self, name: &str, attributes: &Attributes, body: Bytes, condition: Condition<'_>) -> Result<Put> {
        if body.len() > MULTIPART {
            // Boxed, here and below: what is rare would make the future of every put as large as its own.
            return Box::pin(self.put_in_parts(name, attributes, body, condition)).await;
        }
        match self.ask(Operation::Put, Method::PUT, name, self.written(attributes, condition)?, body).await {
            Ok(Said::Done(answer)) => {
                answer.discard().await;
                Ok(Put::Stored)
            }
            // A condition on an object that is gone is not met either.
            Ok(Said::Unmet(_) | Said::Missing) if !matches!(condition, Condition::Always) => Ok(Put::Present),
            Ok(_) => Err(Error::new(Code::Unavailable, "the service knows no such object, which was to be written")),
            // Another conditional write was under way (S3 API, ConditionalRequestConflict): whoever asks again will see.
            Err(error) if error.code() == Code::Conflict => Err(Error::new(Code::Unavailable, error.message())),
            Err(error) => Err(error),
        }
    }

    async fn renew(&self, name: &str, attributes: &Attributes, version: &Version) -> Result<bool> {
        let copied = self
            .through(|sdk| {
                let mut copy = sdk
                    .copy_object()
                    .bucket(&self.options.bucket)
                    .key(name)
                    .copy_source(format!("{}/{}", self.options.bucket, encode_path(name)))
                    .copy_source_if_match(tag_of(version))
                    .metadata_directive(MetadataDirective::Replace)
                    .set_content_type(attributes.content_type.clone())
                    .set_content_encoding(attributes.encoding.clone())
                    .set_storage_class(self.storage_class())
                    .set_server_side_encryption(self.encryption())
                    .set_ssekms_key_id(self.options.sse_kms_key_id.clone())
                    .set_request_payer(self.payer());
                for (name, text) in &attributes.notes {
                    copy = copy.metadata(name, text);
                }
                copy.send()
            })
            .await;
        match copied {
            Ok(_) => Ok(true),
            Err(refused) if matches!(refused.status, Some(StatusCode::NOT_FOUND | StatusCode::PRECONDITION_FAILED)) => Ok(false),
            Err(refused) => Err(refused.error),
        }
    }

    async fn delete(&self, name: &str) -> Result<()> {
        match self.ask(Operation::Delete, Method::DELETE, name, HeaderMap::new(), Bytes::new()).await? {
            Said::Done(answer) => {
                answer.discard().await;
                Ok(())
            }
            Said::Missing | Said::Unmet(_) => Ok(()),
        }
    }

    async fn delete_many(&self, names: &[String]) -> Result<()> {
        let mut failed = None;
        for page in names.chunks(DELETES) {
            if let Err(error) = self.delete_page(page).await {
                failed.get_or_insert(error);
            }
        }
        failed.map_or(Ok(()), Err)
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Page> {
        let listed = self
            .through(|sdk| {
                let list = sdk.list_objects_v2().bucket(&self.options.bucket).prefix(prefix).set_start_after(after.map(str::to_owned));
                list.set_request_payer(self.payer()).send()
            })
            .await?;
        let keys: Vec<String> = listed.contents().iter().filter_map(|object| object.key().map(str::to_owned)).collect();
        let next = if listed.is_truncated() == Some(true) { keys.last().cloned() } else { None };
        Ok(Page { keys, next })
    }

    fn usage(&self) -> Option<Usage> {
        Some(self.wire.usage())
    }

    fn concurrency(&self) -> usize {
        self.wire.concurrency()
    }

    fn after_fork(&self) {
        self.wire.after_fork();
        self.keyring.after_fork();
    }
}

impl S3 {
    async fn delete_page(&self, names: &[String]) -> Result<()> {
        let invalid = |error: aws_sdk_s3::error::BuildError| Error::new(Code::Internal, error.to_string());
        let objects = names.iter().map(|name| ObjectIdentifier::builder().key(name).build()).collect::<std::result::Result<Vec<_>, _>>().map_err(invalid)?;
        let page = Delete::builder().set_objects(Some(objects)).quiet(true).build().map_err(invalid)?;
        let delete = |sdk: &Client| sdk.delete_objects().bucket(&self.options.bucket).delete(page.clone()).set_request_payer(self.payer()).send();
        let done = self.through(delete).await?;
        match done.errors().iter().find(|error| error.code() != Some("NoSuchKey")) {
            Some(error) => {
                let code = if error.code() == Some("AccessDenied") { Code::Denied } else { Code::Unavailable };
                let (key, why) = (error.key().unwrap_or_default(), error.code().unwrap_or("an error without a code"));
                Err(Error::new(code, format!("`{key}` was not deleted: {why}")))
            }
            None => Ok(()),
        }
    }
}
