//! Asking: single requests for an object, signed, and sent again where the region or the credentials were the wrong ones.

use std::sync::Arc;

use aws_sdk_s3::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use undercroft_engine::{Code, Error, Result, http::Request, usage::Operation};

use super::{
    S3,
    account::Key,
    fault::Fault,
    place::Place,
    sdk::Refused,
    sign::{Payload, sign_request},
    tag_of,
};
use crate::object::{Answer, Attributes, Condition, base64, encode_part, header_value};

/// What user metadata is called in a header.
pub(super) const NOTE: &str = "x-amz-meta-";

/// An answer that is no failure.
pub(super) enum Said {
    /// It worked.
    Done(Answer),
    /// There is no such object.
    Missing,
    /// A condition did not hold.
    Unmet(Answer),
}

/// What was tried to have a request taken after all.
#[derive(Default)]
struct Mended {
    has_moved: bool,
    has_renewed: bool,
}

impl S3 {
    /// Sends one request for an object: signed, and again where the region or the credentials were the wrong ones.
    pub(super) async fn ask(&self, operation: Operation, method: Method, name: &str, headers: HeaderMap, body: Bytes) -> Result<Said> {
        let mut mended = Mended::default();
        loop {
            let (place, key) = (self.place().await?, self.key().await?);
            let request = self.request(&place, key.as_deref(), &method, name, &headers, &body)?;
            let answer = self.wire.send(operation, request).await?;
            let status = answer.status;
            if status.is_success() {
                return Ok(Said::Done(answer));
            }
            if matches!(status, StatusCode::NOT_MODIFIED | StatusCode::PRECONDITION_FAILED) {
                return Ok(Said::Unmet(answer));
            }
            let answer_headers = answer.headers.clone();
            let fault = Fault::read(&answer.bytes().await?, &answer_headers);
            if status == StatusCode::NOT_FOUND && fault.code != "NoSuchBucket" {
                return Ok(Said::Missing);
            }
            if !Box::pin(self.mend(&fault, &place, key.as_ref(), &mut mended)).await? {
                return Err(fault.error(status, &answer_headers, &self.options.bucket, self.wire.env().clock.wall()));
            }
        }
    }

    /// Sends one request through the SDK, with the same second tries.
    pub(super) async fn through<T, E, F>(&self, send: impl Fn(&Client) -> F) -> std::result::Result<T, Refused>
    where
        F: Future<Output = std::result::Result<T, SdkError<E, HttpResponse>>>,
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let mut mended = Mended::default();
        loop {
            let (place, key) = (self.place().await?, self.key().await?);
            let refused = match send(&place.sdk).await {
                Ok(answer) => return Ok(answer),
                Err(error) => Refused::of(&error, &self.options.bucket, &*self.wire.env().clock),
            };
            match &refused.fault {
                Some(fault) if Box::pin(self.mend(fault, &place, key.as_ref(), &mut mended)).await? => {}
                _ => return Err(refused),
            }
        }
    }

    async fn key(&self) -> Result<Option<Arc<Key>>> {
        let now = self.wire.env().clock.wall();
        match self.keyring.held(now) {
            Some(held) => Ok(held),
            None => self.wire.patiently(Box::pin(self.keyring.key(now))).await,
        }
    }

    /// Moves to the region that a fault names, or renews credentials that it calls expired; each once. Returns whether
    /// another try may help.
    async fn mend(&self, fault: &Fault, place: &Place, key: Option<&Arc<Key>>, mended: &mut Mended) -> Result<bool> {
        if let Some(region) = fault.region.as_ref().filter(|region| **region != place.region && !mended.has_moved) {
            mended.has_moved = true;
            self.wire.patiently(self.settle_in(region)).await?;
            return Ok(true);
        }
        if let Some(key) = key.filter(|_| fault.is_expired() && !mended.has_renewed) {
            mended.has_renewed = true;
            self.wire.patiently(self.keyring.renewed(key, self.wire.env().clock.wall())).await?;
            return Ok(true);
        }
        Ok(false)
    }

    fn request(&self, place: &Place, key: Option<&Key>, method: &Method, name: &str, headers: &HeaderMap, body: &Bytes) -> Result<Request> {
        let invalid = |error: http::Error| Error::new(Code::ConfigInvalid, format!("no request for the bucket `{}`: {error}", self.options.bucket));
        let mut request = http::Request::builder().method(method).uri(place.uri(name)).body(body.clone()).map_err(invalid)?;
        *request.headers_mut() = headers.clone();
        if self.options.request_payer {
            request.headers_mut().insert("x-amz-request-payer", HeaderValue::from_static("requester"));
        }
        let payload = if place.is_private { Payload::Unsigned } else { Payload::Signed };
        if *method == Method::PUT && place.is_private {
            let sum = crc32c::crc32c(body).to_be_bytes();
            request.headers_mut().insert("x-amz-checksum-crc32c", header_value("x-amz-checksum-crc32c", &base64::encode(&sum))?);
        }
        if let Some(key) = key {
            sign_request(&mut request, key, &place.region, self.wire.env().clock.wall(), payload)?;
        }
        Ok(request)
    }

    /// Returns the headers under which an object is written.
    pub(super) fn written(&self, attributes: &Attributes, condition: Condition<'_>) -> Result<HeaderMap> {
        let mut headers = HeaderMap::new();
        let mut set = |name: &'static str, text: Option<&str>| -> Result<()> {
            if let Some(text) = text {
                headers.insert(name, header_value(name, text)?);
            }
            Ok(())
        };
        set("content-type", attributes.content_type.as_deref())?;
        set("content-encoding", attributes.encoding.as_deref())?;
        set("x-amz-storage-class", self.options.storage_class.as_deref())?;
        set("x-amz-server-side-encryption", self.options.sse.as_deref())?;
        set("x-amz-server-side-encryption-aws-kms-key-id", self.options.sse_kms_key_id.as_deref())?;
        set("x-amz-tagging", self.tagging().as_deref())?;
        match condition {
            Condition::Always => {}
            Condition::Absent => set("if-none-match", Some("*"))?,
            Condition::Matches(version) => set("if-match", Some(tag_of(version)))?,
        }
        for (name, text) in &attributes.notes {
            let name = HeaderName::try_from(format!("{NOTE}{name}")).map_err(|_| Error::new(Code::Internal, format!("`{name}` is no name of a header")))?;
            let value = header_value(name.as_str(), text)?;
            headers.insert(name, value);
        }
        Ok(headers)
    }

    /// Returns the tags as a query string, which is how S3 takes them in a header.
    pub(super) fn tagging(&self) -> Option<String> {
        let pairs = self.options.tags.iter().map(|(name, value)| format!("{}={}", encode_part(name), encode_part(value)));
        (!self.options.tags.is_empty()).then(|| pairs.collect::<Vec<_>>().join("&"))
    }
}
