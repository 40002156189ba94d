//! HTTP on reqwest: one client for all stores of the process, and another in a forked child.

use std::{
    error::Error as _,
    path::Path,
    pin::Pin,
    ptr,
    sync::atomic::{AtomicPtr, Ordering},
    task::{Context, Poll},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use reqwest::{Certificate, Client, redirect::Policy};
use undercroft::engine::{
    Code, Error, Result,
    http::{Chunks, Http, Request, Response},
};

use crate::runtime;

/// Connections that nobody has used for this long are closed: services close theirs after 20 seconds or more.
const IDLE: Duration = Duration::from_secs(18);
const CONNECT: Duration = Duration::from_secs(3);

/// Sends requests with reqwest, over HTTP/1.1.
#[derive(Debug)]
pub(crate) struct SystemHttp;

struct Owned {
    process: u32,
    client: Client,
}

/// A pointer and not a lock, as with the runtime: connections of the parent are leaked in the child, never used.
static CLIENT: AtomicPtr<Owned> = AtomicPtr::new(ptr::null_mut());

fn client() -> Result<Client> {
    let known = CLIENT.load(Ordering::Acquire);
    let process = std::process::id();
    // SAFETY: the pointer is null or came from `Box::into_raw` below, and what it points to is never freed.
    if let Some(owned) = unsafe { known.as_ref() }
        && owned.process == process
    {
        return Ok(owned.client.clone());
    }
    let made = Box::into_raw(Box::new(Owned { process, client: build()? }));
    if CLIENT.compare_exchange(known, made, Ordering::AcqRel, Ordering::Acquire).is_err() {
        // SAFETY: nobody else has seen this pointer.
        drop(unsafe { Box::from_raw(made) });
    }
    client()
}

fn build() -> Result<Client> {
    // Whoever else in the process has chosen a provider may keep it.
    let _chosen = rustls::crypto::ring::default_provider().install_default();
    let mut builder = Client::builder()
        .user_agent(concat!("undercroft/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::none())
        .referer(false)
        .retry(reqwest::retry::never())
        .http1_only()
        .tcp_nodelay(true)
        .connect_timeout(CONNECT)
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(256);
    let invalid = |what: &str, error: &dyn std::fmt::Display| Error::new(Code::ConfigInvalid, format!("{what}: {error}"));
    // The certificates of a company's proxy, where AWS's other tools look for them too.
    for name in ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"] {
        let Some(path) = std::env::var_os(name).filter(|path| !path.is_empty() && Path::new(path).is_file()) else { continue };
        let pem = std::fs::read(&path).map_err(|error| invalid(&format!("`{name}` cannot be read"), &error))?;
        let certificates = Certificate::from_pem_bundle(&pem).map_err(|error| invalid(&format!("`{name}` holds no certificates"), &error))?;
        builder = builder.tls_certs_merge(certificates);
    }
    builder.build().map_err(|error| invalid("no HTTP client can be made", &error))
}

#[async_trait]
impl Http for SystemHttp {
    async fn send(&self, request: Request) -> Result<Response> {
        let request = reqwest::Request::try_from(request).map_err(|error| Error::new(Code::ConfigInvalid, format!("no valid request: {error}")))?;
        let mut response = Entered(client()?.execute(request)).await.map_err(unavailable)?;
        let mut answer = http::Response::builder().status(response.status());
        if let Some(headers) = answer.headers_mut() {
            *headers = std::mem::take(response.headers_mut());
        }
        let chunks: Chunks = Box::pin(Entered(response.bytes_stream().map(|chunk| chunk.map_err(unavailable))));
        answer.body(chunks).map_err(|error| Error::new(Code::Unavailable, format!("no valid answer: {error}")))
    }
}

fn unavailable(error: reqwest::Error) -> Error {
    let code = if error.is_timeout() { Code::Timeout } else { Code::Unavailable };
    let error = error.without_url();
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        message.push_str(&format!(": {inner}"));
        cause = inner.source();
    }
    Error::new(code, message)
}

/// Polls what needs tokio's context: the thread that polls may be any thread of the host's.
struct Entered<T>(T);

impl<F: Future + Unpin> Future for Entered<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let handle = runtime::handle();
        let _entered = handle.enter();
        Pin::new(&mut self.0).poll(cx)
    }
}

impl<S: Stream<Item = Result<Bytes>> + Unpin> Stream for Entered<S> {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let handle = runtime::handle();
        let _entered = handle.enter();
        self.0.poll_next_unpin(cx)
    }
}
