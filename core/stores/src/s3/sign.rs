//! Signatures of single requests (AWS Signature Version 4; IAM User Guide, "Create a signed AWS API request").
//!
//! The four verbs that a cache lives on are signed here and sent as they are: through the operations of the SDK a
//! request of 4 KiB costs more than twice the CPU. The keys and the signature are those of `aws-sigv4`; its canonical
//! request took a quarter of the CPU of a small put, so that is written here, straight from the headers, and a test
//! compares the two. The signing key is derived once a day, not for every request.

use std::{
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use aws_smithy_types::date_time::{DateTime, Format};
use http::header;
use sha2::{Digest, Sha256};
use undercroft_engine::{Result, http::Request, time::Millis};

use super::account::Key;
use crate::object::header_value;

/// Whether the signature covers the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Payload {
    /// It covers the body's SHA-256.
    Signed,
    /// It does not: the connection is encrypted, and a CRC-32C goes with the body.
    Unsigned,
}

/// A key that signs one day's requests to one region.
#[derive(Clone)]
pub(super) struct DayKey {
    day: String,
    region: String,
    key: Arc<[u8]>,
}

/// Signs `request`, which has no query, for S3 in `region`, at the time `now`.
///
/// # Errors
/// `config_invalid`, when a credential or a region cannot stand in a header.
pub(super) fn sign_request(request: &mut Request, key: &Key, region: &str, now: Millis, payload: Payload) -> Result<()> {
    let stamp = stamp(now);
    let day = &stamp[..8];
    let payload = match payload {
        Payload::Unsigned => "UNSIGNED-PAYLOAD".to_owned(),
        Payload::Signed => hex(&Sha256::digest(request.body())),
    };
    let host = host(request);
    let headers = request.headers_mut();
    headers.insert("x-amz-date", header_value("x-amz-date", &stamp)?);
    headers.insert("x-amz-content-sha256", header_value("x-amz-content-sha256", &payload)?);
    if let Some(token) = key.credentials.session_token() {
        let mut token = header_value("x-amz-security-token", token)?;
        token.set_sensitive(true);
        headers.insert("x-amz-security-token", token);
    }
    let (canonical, signed) = canonical(request, &host, &payload);
    let scope = format!("{day}/{region}/s3/aws4_request");
    let text = format!("AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{}", hex(&Sha256::digest(canonical)));
    let signature = calculate_signature(&key.on(day, region, now).key, text.as_bytes());
    let id = key.credentials.access_key_id();
    let authorization = format!("AWS4-HMAC-SHA256 Credential={id}/{scope}, SignedHeaders={signed}, Signature={signature}");
    let mut authorization = header_value("authorization", &authorization)?;
    authorization.set_sensitive(true);
    request.headers_mut().insert(header::AUTHORIZATION, authorization);
    Ok(())
}

/// Returns the canonical request and the names of the headers in it.
fn canonical(request: &Request, host: &str, payload: &str) -> (String, String) {
    let headers = request.headers().iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
    let mut headers: Vec<(&str, &str)> = headers.chain([("host", host)]).collect();
    headers.sort_unstable();
    let length: usize = headers.iter().map(|(name, value)| 2 * name.len() + value.len() + 3).sum();
    let path = request.uri().path();
    let mut text = String::with_capacity(length + path.len() + payload.len() + 16);
    text.push_str(request.method().as_str());
    text.push('\n');
    text.push_str(path);
    text.push_str("\n\n");
    let mut signed = String::with_capacity(length);
    for (name, value) in headers {
        text.push_str(name);
        text.push(':');
        push_trimmed(&mut text, value);
        text.push('\n');
        if !signed.is_empty() {
            signed.push(';');
        }
        signed.push_str(name);
    }
    for piece in ["\n", &signed, "\n", payload] {
        text.push_str(piece);
    }
    (text, signed)
}

/// Appends a value without spaces at its ends, and with one where there were several in a row.
fn push_trimmed(text: &mut String, value: &str) {
    let value = value.trim();
    if !value.contains("  ") {
        text.push_str(value);
        return;
    }
    let mut last = ' ';
    for letter in value.chars().filter(|letter| {
        let keep = *letter != ' ' || last != ' ';
        last = *letter;
        keep
    }) {
        text.push(letter);
    }
}

/// Returns what the client will send as `Host`: without the port that its scheme implies.
fn host(request: &Request) -> String {
    let uri = request.uri();
    let authority = uri.authority().map_or("", http::uri::Authority::as_str);
    let implied = if uri.scheme_str() == Some("https") { ":443" } else { ":80" };
    authority.strip_suffix(implied).unwrap_or(authority).to_owned()
}

/// Returns a time as `20260101T000000Z`.
fn stamp(now: Millis) -> String {
    let text = DateTime::from_secs((now / 1000) as i64).fmt(Format::DateTime).unwrap_or_default();
    text.chars().filter(|letter| !matches!(letter, '-' | ':')).collect()
}

impl Key {
    /// Returns the key of a day and a region.
    fn on(&self, day: &str, region: &str, now: Millis) -> DayKey {
        let mut held = self.day_key.lock();
        if let Some(held) = held.as_ref().filter(|held| held.day == day && held.region == region) {
            return held.clone();
        }
        let key = generate_signing_key(self.credentials.secret_access_key(), UNIX_EPOCH + Duration::from_millis(now), region, "s3");
        let made = DayKey { day: day.to_owned(), region: region.to_owned(), key: key.as_ref().into() };
        *held = Some(made.clone());
        made
    }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|byte| [DIGITS[usize::from(byte >> 4)] as char, DIGITS[usize::from(byte & 15)] as char]).collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use aws_credential_types::Credentials;
    use aws_sigv4::{
        http_request::{PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode, sign},
        sign::v4::SigningParams,
    };
    use bytes::Bytes;

    use super::*;

    const NOW: Millis = 1_767_225_600_000;

    /// Signs as `aws-sigv4` does all by itself.
    fn reference(request: &mut Request, credentials: &Credentials, payload: Payload) {
        let body = match payload {
            Payload::Unsigned => SignableBody::UnsignedPayload,
            Payload::Signed => SignableBody::Bytes(request.body()),
        };
        let mut settings = SigningSettings::default();
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        let identity = credentials.clone().into();
        let time = UNIX_EPOCH + Duration::from_millis(NOW);
        let params = SigningParams::builder().identity(&identity).region("eu-west-1").name("s3").time(time).settings(settings).build().unwrap().into();
        let headers: Vec<(String, String)> = request.headers().iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
        let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let signable = SignableRequest::new(request.method().as_str(), request.uri().to_string(), headers, body).unwrap();
        let (instructions, _) = sign(signable, &params).unwrap().into_parts();
        instructions.apply_to_request_http1x(request);
    }

    #[test]
    fn signatures_are_those_of_the_reference() {
        let uris = [
            "http://127.0.0.1:9000/bucket/a%20b/%2B%25%C3%BC//x",
            "https://bucket.s3.eu-west-1.amazonaws.com/cache/key~-._",
            "http://host:80/b/%2E%2E/k",
            "https://host:443/b/",
        ];
        let headers =
            [vec![], vec![("x-amz-meta-ac-v", "1"), ("content-type", "text/plain; charset=utf-8"), ("x-amz-meta-spaces", "a  b   c"), ("if-none-match", "*")]];
        for token in [None, Some("token".to_owned())] {
            let credentials = Credentials::new("AKIA", "secret", token, None, "test");
            let key = Key::new(credentials.clone());
            for (uri, headers) in uris.iter().flat_map(|uri| headers.iter().map(move |headers| (uri, headers))) {
                for (method, body, payload) in [("GET", "", Payload::Signed), ("PUT", "body", Payload::Signed), ("PUT", "body", Payload::Unsigned)] {
                    let mut request = http::Request::builder().method(method).uri(*uri);
                    for (name, value) in headers {
                        request = request.header(*name, *value);
                    }
                    let mut ours = request.body(Bytes::from(body)).unwrap();
                    let mut theirs = ours.clone();

                    sign_request(&mut ours, &key, "eu-west-1", NOW, payload).unwrap();
                    reference(&mut theirs, &credentials, payload);

                    assert_eq!(ours.headers(), theirs.headers(), "{method} {uri}");
                }
            }
        }
    }

    #[test]
    fn another_day_or_region_has_another_key() {
        let key = Key::new(Credentials::new("AKIA", "secret", None, None, "test"));

        let first = key.on("20260101", "a", NOW).key;

        assert_eq!(key.on("20260101", "a", NOW).key, first);
        assert_ne!(key.on("20260102", "a", NOW + 86_400_000).key, first);
        assert_ne!(key.on("20260101", "b", NOW).key, first);
    }
}
