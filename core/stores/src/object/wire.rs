//! The wire: requests of one store, counted, limited in number and in time.

use std::{
    ops::Range,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use async_lock::{Semaphore, SemaphoreGuardArc};
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use parking_lot::Mutex;
use undercroft_engine::{
    Code, Env, Error, Result, Usage,
    env::BoxFuture,
    http::{Chunks, Request},
    time::Millis,
    usage::{Meter, Operation, Prices},
};

use super::bucket::Attributes;

/// A body that is read may take a second longer for each so many bytes of it: a deadline alone would cut off large ones.
/// It may never stand still for as long as an answer may take.
const READ_PACE: u64 = 128 * 1024;
/// The same for one that is sent, whose progress nobody sees.
const SEND_PACE: u64 = 1024 * 1024;
/// Room for a body that arrives in pieces, before it has arrived.
const TRUSTED: usize = 64 * 1024 * 1024;
/// The rest of a body that nobody wants is read when it is at most this long: that is cheaper than a new connection.
const DRAINED: u64 = 64 * 1024;

/// How a store uses its wire.
#[derive(Clone, Debug, PartialEq)]
pub struct WireOptions {
    /// How long an answer may take, to which the pace of the body is added.
    pub timeout: Option<Millis>,
    /// How many requests are under way at a time, in all calls together.
    pub concurrency: usize,
    /// What requests and bytes cost.
    pub prices: Prices,
}

impl Default for WireOptions {
    fn default() -> Self {
        Self { timeout: Some(5_000), concurrency: 32, prices: Prices::default() }
    }
}

/// Sends the requests of one store.
#[derive(Debug)]
pub struct Wire {
    env: Env,
    timeout: Option<Millis>,
    concurrency: usize,
    permits: Mutex<Arc<Semaphore>>,
    meter: Arc<Meter>,
}

impl Wire {
    /// Makes a wire of its own: nothing is shared with other stores but the environment's connections.
    pub fn new(options: WireOptions, env: Env) -> Self {
        let concurrency = options.concurrency.max(1);
        let permits = Mutex::new(Arc::new(Semaphore::new(concurrency)));
        Self { env, timeout: options.timeout, concurrency, permits, meter: Arc::new(Meter::new(options.prices)) }
    }

    pub(crate) fn env(&self) -> &Env {
        &self.env
    }

    pub(crate) fn concurrency(&self) -> usize {
        self.concurrency
    }

    pub(crate) fn usage(&self) -> Usage {
        self.meter.usage()
    }

    /// Forgets the requests of threads that do not exist in this process.
    pub(crate) fn after_fork(&self) {
        *self.permits.lock() = Arc::new(Semaphore::new(self.concurrency));
    }

    /// Sends `request` and returns the answer, whatever its status.
    ///
    /// # Errors
    /// `unavailable` when there is no answer, `timeout` when it takes too long.
    pub(crate) async fn send(&self, operation: Operation, request: Request) -> Result<Answer> {
        let length = request.body().len() as u64;
        let is_head = request.method() == Method::HEAD;
        let sending = async {
            // Waiting for one's turn is part of waiting for an answer.
            let permits = self.permits.lock().clone();
            let permit = permits.acquire_arc().await;
            self.meter.request(operation, length);
            Ok((permit, self.env.http.send(request).await?))
        };
        let (permit, response) = within(&self.env, self.timeout, length, SEND_PACE, sending).await?;
        let (head, chunks) = response.into_parts();
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            chunks: Some(chunks),
            env: self.env.clone(),
            // What the head of an answer says of its body is not always there (RFC 9110, section 6.4.1).
            has_body: !is_head && head.status != StatusCode::NOT_MODIFIED && head.status != StatusCode::NO_CONTENT,
            timeout: self.timeout,
            meter: self.meter.clone(),
            _permit: permit,
        })
    }

    /// Waits for what a request needs, no longer than for an answer.
    ///
    /// # Errors
    /// As `work`; `timeout`.
    pub(crate) async fn patiently<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        within(&self.env, self.timeout, 0, SEND_PACE, work).await
    }
}

async fn within<T>(env: &Env, timeout: Option<Millis>, length: u64, pace: u64, work: impl Future<Output = Result<T>>) -> Result<T> {
    let limit = timeout.map(|timeout| timeout.saturating_add(length.saturating_mul(1000) / pace));
    let late = || Error::new(Code::Timeout, format!("no answer within {} ms", limit.unwrap_or(0)));
    env.within(limit, work).await.unwrap_or_else(|| Err(late()))
}

/// The head of an answer, and its body as it arrives. Dropping it gives up the rest of the body, and the connection.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    chunks: Option<Chunks>,
    has_body: bool,
    env: Env,
    timeout: Option<Millis>,
    meter: Arc<Meter>,
    _permit: SemaphoreGuardArc,
}

impl Answer {
    pub(crate) fn header(&self, name: impl header::AsHeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Returns the length of the body, where the answer says it.
    pub(crate) fn length(&self) -> Option<u64> {
        self.header(header::CONTENT_LENGTH)?.parse().ok()
    }

    /// Returns what the headers say of an object whose user metadata begins with `prefix`; versions are each service's own.
    pub(crate) fn attributes(&self, prefix: &str) -> Attributes {
        let notes = self.headers.iter().filter_map(|(name, value)| Some((name.as_str().strip_prefix(prefix)?.to_owned(), value.to_str().ok()?.to_owned())));
        Attributes {
            content_type: self.header(header::CONTENT_TYPE).map(str::to_owned),
            encoding: self.header(header::CONTENT_ENCODING).map(str::to_owned),
            notes: notes.collect(),
            size: self.length().unwrap_or(0),
            version: None,
        }
    }

    /// Says whether the body is this part of an object, and nothing else (RFC 9110, section 14.4).
    pub(crate) fn is_part(&self, range: &Range<u64>) -> bool {
        let wanted = format!("bytes {}-{}/", range.start, range.end - 1);
        self.status == StatusCode::PARTIAL_CONTENT && self.header(header::CONTENT_RANGE).is_some_and(|own| own.starts_with(&wanted))
    }

    /// Reads the whole body.
    ///
    /// # Errors
    /// `unavailable` when it ends before its length or the connection breaks, `timeout` when it stands still or takes too
    /// long.
    pub(crate) async fn bytes(mut self) -> Result<Bytes> {
        let length = if self.has_body { self.length() } else { Some(0) };
        let body = self.collect(length.unwrap_or(0)).await?;
        match length {
            Some(length) if length != body.len() as u64 => {
                Err(Error::new(Code::Unavailable, format!("the body has {} bytes, and should have {length}", body.len())))
            }
            _ => Ok(body),
        }
    }

    async fn collect(&mut self, length: u64) -> Result<Bytes> {
        let mut chunks = self.steady(length);
        let Some(first) = chunks.next().await.transpose()? else { return Ok(Bytes::new()) };
        // Most bodies arrive in one piece, which needs no copy.
        if first.len() as u64 == length {
            return Ok(first);
        }
        let mut body = BytesMut::with_capacity((length as usize).min(TRUSTED).max(first.len()));
        body.extend_from_slice(&first);
        while let Some(chunk) = chunks.next().await {
            body.extend_from_slice(&chunk?);
        }
        Ok(body.freeze())
    }

    /// Reads up to `length` bytes of the body into `place`, behind what is there.
    ///
    /// # Errors
    /// As [`Answer::bytes`].
    pub(crate) async fn read_into(&mut self, place: &mut BytesMut, length: u64) -> Result<()> {
        let mut chunks = self.steady(length);
        let mut left = length as usize;
        while left > 0 {
            let Some(chunk) = chunks.next().await.transpose()? else { break };
            let wanted = left.min(chunk.len());
            place.extend_from_slice(&chunk[..wanted]);
            left -= wanted;
        }
        Ok(())
    }

    /// Returns the body as it arrives, which ends with an error where it stands still or takes too long.
    fn steady(&mut self, length: u64) -> Steady {
        let chunks = self.chunks.take().expect("a body is read once");
        let now = self.env.clock.monotonic();
        let end = self.timeout.map(|timeout| now.saturating_add(timeout).saturating_add(length.saturating_mul(1000) / READ_PACE));
        Steady { chunks, env: self.env.clone(), meter: self.meter.clone(), timeout: self.timeout, end, timer: None, has_moved: false }
    }

    /// Lets go of a body that nobody wants: reads it to its end where that is cheaper than another connection.
    pub(crate) async fn discard(self) {
        if !self.has_body || self.length().is_some_and(|length| length <= DRAINED) {
            // What fails here fails nobody: the next request makes a connection of its own.
            let _gone = self.bytes().await;
        }
    }
}

/// A body that is watched while it arrives. One timer serves for many chunks.
struct Steady {
    chunks: Chunks,
    env: Env,
    meter: Arc<Meter>,
    timeout: Option<Millis>,
    end: Option<Millis>,
    timer: Option<BoxFuture<()>>,
    /// Whether anything has arrived since the timer was set.
    has_moved: bool,
}

impl Stream for Steady {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Poll::Ready(next) = self.chunks.poll_next_unpin(cx) {
            self.has_moved = true;
            if let Some(Ok(chunk)) = &next {
                self.meter.received(chunk.len() as u64);
            }
            return Poll::Ready(next);
        }
        let Some(timeout) = self.timeout else { return Poll::Pending };
        loop {
            let now = self.env.clock.monotonic();
            if self.end.is_some_and(|end| now >= end) {
                return Poll::Ready(Some(Err(Error::new(Code::Timeout, "the body arrived too slowly"))));
            }
            let left = self.end.map_or(timeout, |end| timeout.min(end - now));
            if self.timer.is_none() {
                self.has_moved = false;
                self.timer = Some(self.env.clock.sleep(left));
            }
            let timer = self.timer.as_mut().expect("it was just set");
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.timer = None;
            if !self.has_moved {
                return Poll::Ready(Some(Err(Error::new(Code::Timeout, format!("nothing of the body arrived within {timeout} ms")))));
            }
        }
    }
}

/// Returns the value of a header.
///
/// # Errors
/// `config_invalid`, naming the header and not the value, which may be a secret.
pub(crate) fn header_value(name: &str, text: &str) -> Result<HeaderValue> {
    HeaderValue::from_str(text).map_err(|_| Error::new(Code::ConfigInvalid, format!("the value of `{name}` cannot stand in a header")))
}

/// Reads `Retry-After` (RFC 9110, section 10.2.3) where it is a number of seconds.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Millis> {
    let seconds: f64 = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    (seconds.is_finite() && seconds >= 0.0).then_some((seconds * 1000.0) as Millis)
}
