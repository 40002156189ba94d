//! HTTP, as far as stores need it: one request, one answer whose body arrives in chunks.

use std::{fmt, pin::Pin};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::Stream;

use crate::error::{Code, Error, Result};

/// A request. Its URI is absolute, its path percent-encoded; it has no segments that are dots, which clients resolve.
pub type Request = http::Request<Bytes>;

/// The body of an answer as it arrives. Dropping it gives up the rest.
pub type Chunks = Pin<Box<dyn Stream<Item = Result<Bytes>> + Send>>;

/// An answer: its head, and a body that is still to come.
pub type Response = http::Response<Chunks>;

/// Sends requests. It follows no redirect, decompresses nothing, tries nothing again and sets no deadline: stores do.
#[async_trait]
pub trait Http: fmt::Debug + Send + Sync + 'static {
    /// Sends `request` and returns when the head of the answer is there, whatever its status.
    ///
    /// # Errors
    /// `unavailable` when there is no answer.
    async fn send(&self, request: Request) -> Result<Response>;
}

/// Sends nothing: for an environment without a network.
#[derive(Debug, Default)]
pub struct NoHttp;

#[async_trait]
impl Http for NoHttp {
    async fn send(&self, _request: Request) -> Result<Response> {
        Err(Error::new(Code::Unsupported, "this environment has no HTTP client"))
    }
}
