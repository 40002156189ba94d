//! Long objects: sent in parts, several at a time, and taken back when one of them fails for good.

use aws_sdk_s3::{
    primitives::ByteStream,
    types::{CompletedMultipartUpload, CompletedPart},
};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use http::StatusCode;
use undercroft_engine::{Code, Error, Put, Result};

use super::{S3, tag_of};
use crate::object::{Attributes, Condition, again};

/// The length of a part; longer for objects that would have more than S3 allows.
const PART: usize = 8 * 1024 * 1024;
const MOST_PARTS: usize = 10_000;
/// How many parts of one object are under way at a time: that fills a connection, and bounds what they take of memory.
const PARTS: usize = 8;

impl S3 {
    /// Writes an object with a multipart upload.
    pub(super) async fn put_in_parts(&self, name: &str, attributes: &Attributes, body: Bytes, condition: Condition<'_>) -> Result<Put> {
        let sdk = self.sdk().await?;
        let mut create = sdk
            .create_multipart_upload()
            .bucket(&self.options.bucket)
            .key(name)
            .set_content_type(attributes.content_type.clone())
            .set_content_encoding(attributes.encoding.clone())
            .set_storage_class(self.storage_class())
            .set_server_side_encryption(self.encryption())
            .set_ssekms_key_id(self.options.sse_kms_key_id.clone())
            .set_tagging(self.tagging())
            .set_request_payer(self.payer());
        for (name, text) in &attributes.notes {
            create = create.metadata(name, text);
        }
        let created = create.send().await.map_err(|error| self.failed(&error).0)?;
        let upload = created.upload_id().ok_or_else(|| Error::new(Code::Unavailable, "the service began an upload without an id"))?;
        let done = match self.send_parts(name, upload, &body).await {
            Ok(parts) => self.complete(name, upload, parts, condition).await,
            Err(error) => Err(error),
        };
        if !matches!(done, Ok(Put::Stored)) {
            let abort = || async {
                let abort = sdk.abort_multipart_upload().bucket(&self.options.bucket).key(name).upload_id(upload).set_request_payer(self.payer());
                abort.send().await.map_err(|error| self.failed(&error).0)
            };
            // What cannot be taken back now is left to the bucket's lifecycle; the caller hears why the put failed.
            let _left = again(self.wire.env(), abort).await;
        }
        done
    }

    async fn send_parts(&self, name: &str, upload: &str, body: &Bytes) -> Result<Vec<CompletedPart>> {
        let sdk = self.sdk().await?;
        let length = PART.max(body.len().div_ceil(MOST_PARTS));
        let starts = (0..body.len()).step_by(length).enumerate();
        let send = |(at, start): (usize, usize)| {
            let (sdk, part) = (&sdk, body.slice(start..(start + length).min(body.len())));
            let number = at as i32 + 1;
            again(self.wire.env(), move || {
                let body = ByteStream::from(part.clone());
                let send =
                    sdk.upload_part().bucket(&self.options.bucket).key(name).upload_id(upload).part_number(number).body(body).set_request_payer(self.payer());
                async move {
                    let sent = send.send().await.map_err(|error| self.failed(&error).0)?;
                    Ok(CompletedPart::builder().set_e_tag(sent.e_tag().map(str::to_owned)).part_number(number).build())
                }
            })
        };
        stream::iter(starts).map(send).buffered(PARTS.min(self.wire.concurrency())).try_collect().await
    }

    async fn complete(&self, name: &str, upload: &str, parts: Vec<CompletedPart>, condition: Condition<'_>) -> Result<Put> {
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let complete = self.sdk().await?.complete_multipart_upload().bucket(&self.options.bucket).key(name).upload_id(upload);
        let complete = match condition {
            Condition::Always => complete,
            Condition::Absent => complete.if_none_match("*"),
            Condition::Matches(version) => complete.if_match(tag_of(version)),
        };
        match complete.multipart_upload(parts).set_request_payer(self.payer()).send().await {
            Ok(_) => Ok(Put::Stored),
            Err(error) => match self.failed(&error) {
                (_, Some(StatusCode::PRECONDITION_FAILED)) => Ok(Put::Present),
                (error, _) => Err(error),
            },
        }
    }
}
