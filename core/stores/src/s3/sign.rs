//! Signatures of single requests (AWS Signature Version 4).
//!
//! The four verbs that a cache lives on are signed here and sent as they are: through the operations of the SDK a
//! request of 4 KiB costs more than twice the CPU.

use std::time::{Duration, UNIX_EPOCH};

use aws_sigv4::{
    http_request::{PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode, sign},
    sign::v4,
};
use http::{HeaderName, HeaderValue};
use sha2::{Digest, Sha256};
use undercroft_engine::{Code, Error, Result, http::Request, time::Millis};

use super::account::Key;

/// Whether the signature covers the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Payload {
    /// It covers the body's SHA-256.
    Signed,
    /// It does not: the connection is encrypted, and a CRC-32C goes with the body.
    Unsigned,
}

/// Signs `request` for S3 in `region`, at the time `now`.
///
/// # Errors
/// `internal`, when the request is not what a signature can cover.
pub(super) fn sign_request(request: &mut Request, key: &Key, region: &str, now: Millis, payload: Payload) -> Result<()> {
    let body = match payload {
        Payload::Unsigned => SignableBody::UnsignedPayload,
        Payload::Signed => SignableBody::Precomputed(hex(&Sha256::digest(request.body()))),
    };
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    let failed = |error: &dyn std::fmt::Display| Error::new(Code::Internal, format!("a request cannot be signed: {error}"));
    let params = v4::SigningParams::builder()
        .identity(&key.identity)
        .region(region)
        .name("s3")
        .time(UNIX_EPOCH + Duration::from_millis(now))
        .settings(settings)
        .build()
        .map_err(|error| failed(&error))?
        .into();
    let headers = request.headers().iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
    let signable = SignableRequest::new(request.method().as_str(), request.uri().to_string(), headers, body).map_err(|error| failed(&error))?;
    let (instructions, _signature) = sign(signable, &params).map_err(|error| failed(&error))?.into_parts();
    let (headers, _) = instructions.into_parts();
    for header in headers {
        let mut value = HeaderValue::from_str(header.value()).map_err(|error| failed(&error))?;
        value.set_sensitive(header.sensitive());
        request.headers_mut().insert(HeaderName::from_static(header.name()), value);
    }
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|byte| [DIGITS[usize::from(byte >> 4)] as char, DIGITS[usize::from(byte & 15)] as char]).collect()
}
