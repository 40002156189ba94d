//! The AWS SDK on our environment: its requests go over the store's [`Wire`], its time is our clock.
//!
//! It has what is not asked for on every hit: multipart uploads, copies, deletes by the page, listing. Its own retries
//! and timeouts are off: the layers around the store, and the wire, have them.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use aws_credential_types::provider::{ProvideCredentials, error::CredentialsError, future};
use aws_sdk_s3::{
    config::{
        BehaviorVersion, Builder, IdentityCache, RequestChecksumCalculation, ResponseChecksumValidation, StalledStreamProtectionConfig, retry::RetryConfig,
        timeout::TimeoutConfig,
    },
    error::{ProvideErrorMetadata, SdkError},
};
use aws_smithy_async::time::TimeSource;
use aws_smithy_runtime_api::{
    client::{
        http::{HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector},
        orchestrator::{HttpRequest, HttpResponse},
        result::ConnectorError,
        runtime_components::RuntimeComponents,
    },
    http::Response,
};
use aws_smithy_types::body::SdkBody;
use http::{HeaderMap, Method, StatusCode};
use http_body_util::BodyExt;
use undercroft_engine::{Clock, Code, Error, http::Request, usage::Operation};

use super::{account::Keyring, fault::Fault};
use crate::object::Wire;

/// Returns a configuration of the SDK on `wire` and `keyring`; without one its requests are not signed.
pub(super) fn config(wire: &Arc<Wire>, keyring: Option<&Arc<Keyring>>) -> Builder {
    let builder = match keyring {
        Some(keyring) => Builder::new().credentials_provider(OurKeys(keyring.clone(), wire.clone())),
        None => Builder::new().allow_no_auth(),
    };
    builder
        .behavior_version(BehaviorVersion::latest())
        .http_client(OurHttp(wire.clone()))
        .time_source(Ticks(wire.env().clock.clone()))
        .identity_cache(IdentityCache::no_cache())
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::disabled())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        // Older servers do not know aws-chunked trailers; what has to have a checksum has one.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
}

/// Why a request through the SDK failed.
pub(super) struct Refused {
    pub(super) error: Error,
    /// The status, and what the service said, where it answered.
    pub(super) status: Option<StatusCode>,
    pub(super) fault: Option<Fault>,
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self { error, status: None, fault: None }
    }
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        refused.error
    }
}

impl Refused {
    pub(super) fn of<E>(error: &SdkError<E, HttpResponse>, bucket: &str, clock: &dyn Clock) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        if let (Some(raw), Some(said)) = (error.raw_response(), error.as_service_error()) {
            let status = StatusCode::from_u16(raw.status().as_u16()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let headers: HeaderMap = raw.headers().iter().filter_map(|(name, value)| Some((name.parse().ok()?, value.parse().ok()?))).collect();
            let fault = Fault::read(raw.body().bytes().unwrap_or_default(), &headers).or_of(said.code(), said.message());
            return Self { error: fault.error(status, &headers, bucket, clock.wall()), status: Some(status), fault: Some(fault) };
        }
        // Our own errors came in through the connector or the credentials, and are somewhere inside.
        let (mut message, mut inner): (String, Option<&(dyn std::error::Error + 'static)>) = ("the request failed".to_owned(), Some(error));
        while let Some(cause) = inner {
            if let Some(own) = cause.downcast_ref::<Error>() {
                return own.clone().into();
            }
            message.push_str(&format!(": {cause}"));
            inner = cause.source();
        }
        Error::new(Code::Unavailable, message).into()
    }
}

/// Returns an HTTP client for crates of the AWS SDK that sends over `wire`.
pub fn http_client(wire: Arc<Wire>) -> impl HttpClient + 'static {
    OurHttp(wire)
}

#[derive(Clone, Debug)]
struct OurHttp(Arc<Wire>);

impl HttpClient for OurHttp {
    fn http_connector(&self, _settings: &HttpConnectorSettings, _components: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for OurHttp {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let wire = self.0.clone();
        HttpConnectorFuture::new(async move {
            let request = plain(request).await?;
            let answer = wire.send(operation(&request), request).await.map_err(failed)?;
            let (status, headers) = (answer.status, answer.headers.clone());
            let body = answer.bytes().await.map_err(failed)?;
            let mut response =
                Response::new(status.as_u16().try_into().map_err(|_| failed(Error::new(Code::Unavailable, "a status that is none")))?, SdkBody::from(body));
            for (name, value) in &headers {
                if let Ok(value) = value.to_str() {
                    response.headers_mut().append(name.as_str().to_owned(), value.to_owned());
                }
            }
            Ok(response)
        })
    }
}

fn failed(error: Error) -> ConnectorError {
    ConnectorError::other(Box::new(error), None)
}

async fn plain(request: HttpRequest) -> Result<Request, ConnectorError> {
    let (parts, body) = request.try_into_http1x().map_err(|error| ConnectorError::user(Box::new(error)))?.into_parts();
    // A body that is one piece of bytes, as ours are, is not copied here.
    let body = body.collect().await.map_err(ConnectorError::user)?.to_bytes();
    Ok(Request::from_parts(parts, body))
}

/// Tells what a request is billed as.
fn operation(request: &Request) -> Operation {
    let query = request.uri().query().unwrap_or_default();
    let has = |name: &str| query.split('&').any(|pair| pair.split('=').next() == Some(name));
    match *request.method() {
        Method::PUT if request.headers().contains_key("x-amz-copy-source") => Operation::Copy,
        Method::GET if has("list-type") => Operation::List,
        Method::GET => Operation::Get,
        Method::HEAD => Operation::Head,
        Method::POST if has("delete") => Operation::Delete,
        Method::DELETE if !has("uploadId") => Operation::Delete,
        _ => Operation::Put,
    }
}

#[derive(Clone, Debug)]
struct Ticks(Arc<dyn Clock>);

impl TimeSource for Ticks {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.0.wall())
    }
}

#[derive(Debug)]
struct OurKeys(Arc<Keyring>, Arc<Wire>);

impl ProvideCredentials for OurKeys {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async move {
            let key = self.1.patiently(self.0.key(self.1.env().clock.wall())).await.map_err(CredentialsError::provider_error)?;
            key.map(|key| key.credentials.clone()).ok_or_else(|| CredentialsError::not_loaded("requests are anonymous"))
        })
    }
}
