//! Long objects: sent in parts, several at a time, and taken back when one of them fails for good.

use aws_sdk_s3::{
    Client,
    operation::abort_multipart_upload::builders::AbortMultipartUploadFluentBuilder,
    primitives::ByteStream,
    types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart},
};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use http::StatusCode;
use undercroft_engine::{Code, Env, Error, Put, Result};

use super::{S3, tag_of};
use crate::object::{Attributes, Condition, again, base64};

/// The length of a part; longer for objects that would have more than S3 allows.
const PART: usize = 8 * 1024 * 1024;
const MOST_PARTS: usize = 10_000;
/// How many parts of one object are under way at a time.
const PARTS: usize = 8;

/// An upload under way. Dropped before it is complete, as when its caller is cancelled, it is taken back.
struct Upload {
    id: String,
    abort: Option<AbortMultipartUploadFluentBuilder>,
    env: Env,
}

impl Drop for Upload {
    fn drop(&mut self) {
        if let Some(abort) = self.abort.take() {
            // What cannot be taken back now is left to the bucket's lifecycle; there is nobody left to tell.
            self.env.spawn.spawn(Box::pin(async move { drop(abort.send().await) }));
        }
    }
}

impl S3 {
    /// Writes an object with a multipart upload.
    pub(super) async fn put_in_parts(&self, name: &str, attributes: &Attributes, body: Bytes, condition: Condition<'_>) -> Result<Put> {
        let mut upload = self.begin(name, attributes).await?;
        let done = match self.send_parts(name, &upload.id, &body).await {
            Ok(parts) => self.complete(name, &upload.id, parts, condition).await,
            Err(error) => Err(error),
        };
        let abort = upload.abort.take();
        if let (false, Some(abort)) = (matches!(done, Ok(Put::Stored)), abort) {
            // As above; the caller hears why the put failed.
            let _left = again(self.wire.env(), || async { self.through(|_| abort.clone().send()).await.map_err(Error::from) }).await;
        }
        done
    }

    async fn begin(&self, name: &str, attributes: &Attributes) -> Result<Upload> {
        let is_private = self.place().await?.is_private;
        let begin = |sdk: &Client| {
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
                .set_checksum_algorithm(is_private.then_some(ChecksumAlgorithm::Crc32C))
                .set_request_payer(self.payer());
            for (name, text) in &attributes.notes {
                create = create.metadata(name, text);
            }
            create.send()
        };
        let created = self.through(begin).await?;
        let id = created.upload_id().ok_or_else(|| Error::new(Code::Unavailable, "the service began an upload without an id"))?;
        let sdk = self.place().await?.sdk.clone();
        let abort = sdk.abort_multipart_upload().bucket(&self.options.bucket).key(name).upload_id(id).set_request_payer(self.payer());
        Ok(Upload { id: id.to_owned(), abort: Some(abort), env: self.wire.env().clone() })
    }

    async fn send_parts(&self, name: &str, upload: &str, body: &Bytes) -> Result<Vec<CompletedPart>> {
        let length = PART.max(body.len().div_ceil(MOST_PARTS));
        let starts = (0..body.len()).step_by(length).enumerate();
        let send = |(at, start): (usize, usize)| {
            let part = body.slice(start..(start + length).min(body.len()));
            let number = at as i32 + 1;
            again(self.wire.env(), move || self.send_part(name, upload, number, part.clone()))
        };
        stream::iter(starts).map(send).buffered(PARTS.min(self.wire.concurrency())).try_collect().await
    }

    async fn send_part(&self, name: &str, upload: &str, number: i32, part: Bytes) -> Result<CompletedPart> {
        let is_private = self.place().await?.is_private;
        let sum = is_private.then(|| base64::encode(&crc32c::crc32c(&part).to_be_bytes()));
        let send = |sdk: &Client| {
            let send = sdk.upload_part().bucket(&self.options.bucket).key(name).upload_id(upload).part_number(number);
            let send = send.set_checksum_crc32_c(sum.clone()).body(ByteStream::from(part.clone())).set_request_payer(self.payer()).customize();
            // As with whole objects: over an encrypted connection the checksum covers the body, not the signature.
            let send = if is_private { send.disable_payload_signing() } else { send };
            send.send()
        };
        let sent = self.through(send).await?;
        Ok(CompletedPart::builder().set_e_tag(sent.e_tag().map(str::to_owned)).set_checksum_crc32_c(sum).part_number(number).build())
    }

    async fn complete(&self, name: &str, upload: &str, parts: Vec<CompletedPart>, condition: Condition<'_>) -> Result<Put> {
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let complete = |sdk: &Client| {
            let complete = sdk.complete_multipart_upload().bucket(&self.options.bucket).key(name).upload_id(upload);
            let complete = match condition {
                Condition::Always => complete,
                Condition::Absent => complete.if_none_match("*"),
                Condition::Matches(version) => complete.if_match(tag_of(version)),
            };
            complete.multipart_upload(parts.clone()).set_request_payer(self.payer()).send()
        };
        match self.through(complete).await {
            Ok(_) => Ok(Put::Stored),
            Err(refused) => match (refused.status, condition) {
                (Some(StatusCode::PRECONDITION_FAILED | StatusCode::NOT_FOUND), Condition::Absent | Condition::Matches(_)) => Ok(Put::Present),
                (Some(StatusCode::NOT_FOUND | StatusCode::CONFLICT), _) => Err(Error::new(Code::Unavailable, refused.error.message())),
                _ => Err(refused.error),
            },
        }
    }
}
