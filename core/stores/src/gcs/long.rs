//! Long objects: sent in pieces over a resumable upload (JSON API, "Resumable uploads").
//!
//! The pieces go one after the other, that is how the protocol is. After a fault the service is asked how much it has.

use bytes::Bytes;
use http::{Method, StatusCode, header};
use undercroft_engine::{Code, Error, Result, usage::Operation};

use super::{Ask, Gcs, Said};
use crate::object::{Answer, Attributes, Condition, again, pause};

/// The length of a piece: a multiple of 256 KiB, as the protocol wants it.
const PIECE: usize = 16 * 1024 * 1024;

impl Gcs {
    /// Writes an object with a resumable upload.
    pub(super) async fn put_in_pieces(&self, name: &str, attributes: &Attributes, body: Bytes, condition: Condition<'_>) -> Result<Said> {
        let resource = self.resource(name, attributes, &body).to_json();
        let begin = Ask::new(Operation::Put, Method::POST, self.upload("resumable", name, condition)).body("application/json; charset=UTF-8", resource)?;
        let session = match self.ask(begin).await? {
            Said::Done(answer) => {
                let session = answer.header(header::LOCATION).map(str::to_owned);
                answer.discard().await;
                session.ok_or_else(|| Error::new(Code::Unavailable, "the service began an upload without an address"))?
            }
            said => return Ok(said),
        };
        let sent = self.send_pieces(&session, &body).await;
        if sent.is_err() {
            // A session that cannot be given up now ends by itself after a week; the caller hears why the put failed.
            let _left = self.ask(Ask::new(Operation::Put, Method::DELETE, session)).await;
        }
        sent
    }

    async fn send_pieces(&self, session: &str, body: &Bytes) -> Result<Said> {
        let (mut start, mut tries) = (0, 0);
        let question = format!("bytes */{}", body.len());
        loop {
            let end = (start + PIECE).min(body.len());
            let range = format!("bytes {start}-{}/{}", end - 1, body.len());
            let said = match self.piece(session, &range, body.slice(start..end)).await {
                Err(error) if error.retryable() => {
                    pause(self.wire.env(), error, &mut tries).await?;
                    again(self.wire.env(), || self.piece(session, &question, Bytes::new())).await?
                }
                said => said?,
            };
            match said {
                Said::Done(answer) if answer.status == StatusCode::PERMANENT_REDIRECT => {
                    let has = persisted(&answer);
                    answer.discard().await;
                    if has > start {
                        tries = 0;
                    } else {
                        pause(self.wire.env(), Error::new(Code::Unavailable, "the upload makes no progress"), &mut tries).await?;
                    }
                    start = has;
                }
                Said::Missing => return Err(Error::new(Code::Unavailable, "the service has forgotten the upload")),
                said => return Ok(said),
            }
        }
    }

    async fn piece(&self, session: &str, range: &str, piece: Bytes) -> Result<Said> {
        let ask = Ask::new(Operation::Put, Method::PUT, session.to_owned()).body("application/octet-stream", piece)?;
        self.ask(ask.with(header::CONTENT_RANGE, range)?).await
    }
}

/// Returns how many bytes the service has: it names them in `Range`, and leaves that out while it has none.
fn persisted(answer: &Answer) -> usize {
    answer.header(header::RANGE).and_then(|range| range.rsplit('-').next()?.parse().ok()).map_or(0, |last: usize| last + 1)
}
