//! HTTP over `wasi:http`.

use std::pin::pin;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{
    future::{Either, select},
    stream,
};
use http::{HeaderName, HeaderValue, header};
use undercroft::engine::{
    Code, Error, Result,
    http::{Chunks, Http, Request, Response},
};

use super::happens::Happens;
use crate::bindings::wasi::{
    http::{
        outgoing_handler,
        types::{ErrorCode, Fields, FutureIncomingResponse, IncomingBody, IncomingResponse, Method, OutgoingBody, OutgoingRequest, Scheme},
    },
    io::streams::{InputStream, OutputStream, StreamError},
};

/// How much of a body is read at a time, in bytes.
const CHUNK: u64 = 256 * 1024;

/// Sends requests with the host's client.
#[derive(Debug)]
pub(super) struct WasiHttp;

#[async_trait]
impl Http for WasiHttp {
    async fn send(&self, request: Request) -> Result<Response> {
        let (head, body) = request.into_parts();
        let outgoing = outgoing(&head, body.len())?;
        let content = outgoing.body().map_err(|()| defect("a request has one body"))?;
        let coming = outgoing_handler::handle(outgoing, None).map_err(failed)?;
        // Beside each other: an answer may come before the body was taken, and a body that is not taken is no failure yet.
        match select(pin!(write(content, body)), pin!(arrival(&coming))).await {
            Either::Left((_taken, answer)) => answer.await,
            Either::Right((answer, _)) => answer,
        }
    }
}

/// Waits for the head of the answer.
async fn arrival(coming: &FutureIncomingResponse) -> Result<Response> {
    loop {
        match coming.get() {
            Some(Ok(Ok(response))) => return answer(response),
            Some(Ok(Err(error))) => return Err(failed(error)),
            Some(Err(())) => return Err(defect("an answer is taken once")),
            None => Happens::when(coming.subscribe()).await,
        }
    }
}

fn outgoing(head: &http::request::Parts, length: usize) -> Result<OutgoingRequest> {
    let invalid = |what: &str| Error::new(Code::ConfigInvalid, format!("the host takes no request with this {what}"));
    let fields = Fields::new();
    for (name, value) in &head.headers {
        // The host writes this one, from the authority.
        if name != header::HOST {
            fields.append(name.as_str(), value.as_bytes()).map_err(|_| invalid(&format!("header `{name}`")))?;
        }
    }
    if length > 0 && !head.headers.contains_key(header::CONTENT_LENGTH) {
        fields.append(header::CONTENT_LENGTH.as_str(), length.to_string().as_bytes()).map_err(|_| invalid("header `content-length`"))?;
    }
    let request = OutgoingRequest::new(fields);
    let method = match head.method {
        http::Method::GET => Method::Get,
        http::Method::HEAD => Method::Head,
        http::Method::PUT => Method::Put,
        http::Method::POST => Method::Post,
        http::Method::DELETE => Method::Delete,
        http::Method::PATCH => Method::Patch,
        ref other => Method::Other(other.to_string()),
    };
    let scheme = match head.uri.scheme_str() {
        Some("http") => Scheme::Http,
        _ => Scheme::Https,
    };
    request.set_method(&method).map_err(|()| invalid("method"))?;
    request.set_scheme(Some(&scheme)).map_err(|()| invalid("scheme"))?;
    request.set_authority(head.uri.authority().map(http::uri::Authority::as_str)).map_err(|()| invalid("authority"))?;
    request.set_path_with_query(head.uri.path_and_query().map(http::uri::PathAndQuery::as_str)).map_err(|()| invalid("path"))?;
    Ok(request)
}

/// Writes the body, as far as it is taken.
async fn write(content: OutgoingBody, body: Bytes) -> std::result::Result<(), Cut> {
    if !body.is_empty() {
        let stream = content.write().map_err(|()| Cut)?;
        write_all(&stream, &body).await?;
    }
    OutgoingBody::finish(content, None).map_err(|_| Cut)
}

/// The body was not taken to its end.
struct Cut;

async fn write_all(stream: &OutputStream, mut rest: &[u8]) -> std::result::Result<(), Cut> {
    while !rest.is_empty() {
        match stream.check_write().map_err(|_| Cut)? {
            0 => Happens::when(stream.subscribe()).await,
            room => {
                let (now, later) = rest.split_at(rest.len().min(usize::try_from(room).unwrap_or(usize::MAX)));
                stream.write(now).map_err(|_| Cut)?;
                rest = later;
            }
        }
    }
    // Whoever knows the length closes the stream when they have it all.
    if stream.flush().is_ok() {
        while matches!(stream.check_write(), Ok(0)) {
            Happens::when(stream.subscribe()).await;
        }
    }
    Ok(())
}

fn answer(response: IncomingResponse) -> Result<Response> {
    let invalid = |what: &dyn std::fmt::Display| Error::new(Code::Unavailable, format!("no valid answer: {what}"));
    let mut answer = http::Response::builder().status(response.status());
    for (name, value) in response.headers().entries() {
        let name = HeaderName::try_from(name).map_err(|error| invalid(&error))?;
        answer = answer.header(name, HeaderValue::try_from(value).map_err(|error| invalid(&error))?);
    }
    let body = response.consume().map_err(|()| defect("an answer has one body"))?;
    let stream = body.stream().map_err(|()| defect("a body has one stream"))?;
    let chunks: Chunks = Box::pin(stream::try_unfold(Arriving { stream, _body: body, _response: response }, Arriving::next));
    answer.body(chunks).map_err(|error| invalid(&error))
}

/// A body as it arrives. What is a child of another thing of the host's is dropped before it: fields go in this order.
struct Arriving {
    stream: InputStream,
    _body: IncomingBody,
    _response: IncomingResponse,
}

impl Arriving {
    async fn next(self) -> Result<Option<(Bytes, Self)>> {
        loop {
            match self.stream.read(CHUNK) {
                Ok(chunk) if chunk.is_empty() => Happens::when(self.stream.subscribe()).await,
                Ok(chunk) => return Ok(Some((chunk.into(), self))),
                Err(StreamError::Closed) => return Ok(None),
                Err(error) => return Err(Error::new(Code::Unavailable, format!("the answer broke off: {}", reason(&error)))),
            }
        }
    }
}

fn reason(error: &StreamError) -> String {
    match error {
        StreamError::Closed => "the connection was closed".to_owned(),
        StreamError::LastOperationFailed(error) => error.to_debug_string(),
    }
}

fn defect(what: &str) -> Error {
    Error::new(Code::Internal, format!("wasi:http: {what}"))
}

fn failed(error: ErrorCode) -> Error {
    let code = match error {
        ErrorCode::HttpRequestDenied | ErrorCode::DestinationIpProhibited => Code::Denied,
        ErrorCode::DnsTimeout | ErrorCode::ConnectionTimeout | ErrorCode::ConnectionReadTimeout | ErrorCode::ConnectionWriteTimeout => Code::Timeout,
        ErrorCode::HttpResponseTimeout => Code::Timeout,
        ErrorCode::HttpRequestUriInvalid | ErrorCode::HttpRequestMethodInvalid => Code::ConfigInvalid,
        _ => Code::Unavailable,
    };
    let message = match &error {
        ErrorCode::HttpRequestDenied => "the host does not let requests out to this address".to_owned(),
        ErrorCode::DnsError(_) => "the name of the service is unknown".to_owned(),
        ErrorCode::ConnectionRefused => "connection refused".to_owned(),
        other => format!("{other:?}"),
    };
    Error::new(code, message)
}
