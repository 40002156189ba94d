//! Faults: what S3 says when it refuses, in our words.

use http::{HeaderMap, StatusCode, header};
use undercroft_engine::{Code, Error, time::Millis};

use crate::object::retry_after;

/// The error document of S3 (API reference, "Error responses"), as far as anything depends on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) code: String,
    message: String,
    pub(super) region: Option<String>,
    server_time: Option<String>,
}

impl Fault {
    /// Reads an error document; what is missing stays empty, as after a HEAD.
    pub(super) fn read(body: &[u8], headers: &HeaderMap) -> Self {
        let text = String::from_utf8_lossy(body);
        let element = |name: &str| {
            let start = text.find(&format!("<{name}>"))? + name.len() + 2;
            let length = text[start..].find("</")?;
            Some(text[start..start + length].to_owned())
        };
        let region = headers.get("x-amz-bucket-region").and_then(|region| region.to_str().ok().map(str::to_owned));
        Self {
            code: element("Code").unwrap_or_default(),
            message: element("Message").unwrap_or_default(),
            region: region.or_else(|| element("Region")),
            server_time: element("ServerTime"),
        }
    }

    /// Takes what the SDK has read where there was no document to read.
    pub(super) fn or_of(self, code: Option<&str>, message: Option<&str>) -> Self {
        let or = |own: String, read: Option<&str>| if own.is_empty() { read.unwrap_or_default().to_owned() } else { own };
        Self { code: or(self.code, code), message: or(self.message, message), ..self }
    }

    /// Says whether other credentials may help.
    pub(super) fn is_expired(&self) -> bool {
        matches!(self.code.as_str(), "ExpiredToken" | "ExpiredTokenException" | "RequestExpired" | "TokenRefreshRequired")
    }

    /// Makes an error of it. `now` is this machine's time, for clocks that differ.
    pub(super) fn error(&self, status: StatusCode, headers: &HeaderMap, bucket: &str, now: Millis) -> Error {
        let wait = retry_after(headers);
        let (code, what) = match (status.as_u16(), self.code.as_str()) {
            (_, "NoSuchBucket") => (Code::ConfigInvalid, format!("there is no bucket `{bucket}`")),
            (_, "InvalidBucketName") => (Code::ConfigInvalid, format!("`{bucket}` is no valid bucket name")),
            (_, "RequestTimeTooSkewed") => (Code::Denied, self.skew(headers, now)),
            (_, "SlowDown" | "Throttling" | "ThrottlingException" | "RequestLimitExceeded" | "SlowDownRead" | "SlowDownWrite") | (429, _) => {
                (Code::Throttled, "asked to slow down".to_owned())
            }
            (_, "EntityTooLarge") | (413, _) => (Code::TooLarge, "the object is too large".to_owned()),
            (_, "RequestTimeout") | (408, _) => (Code::Timeout, "the request arrived too slowly".to_owned()),
            (_, "KeyTooLongError") => (Code::KeyInvalid, "the key is too long".to_owned()),
            (_, "BadDigest" | "XAmzContentSHA256Mismatch" | "XAmzContentChecksumMismatch") => (Code::Unavailable, "the body was damaged on its way".to_owned()),
            // Copies and completions may fail after they have answered (S3 API, CopyObject).
            (200..=299, _) => (Code::Unavailable, "the service failed in the middle of its answer".to_owned()),
            (409 | 412, _) => (Code::Conflict, "another writer was faster".to_owned()),
            (301 | 307 | 308, _) => (Code::ConfigInvalid, self.moved(headers, bucket)),
            (401 | 403, _) => (Code::Denied, "the credentials or permissions do not allow it".to_owned()),
            (400, _) if self.is_expired() => (Code::Denied, "the credentials have expired".to_owned()),
            (501, _) => (Code::Unsupported, "the service cannot do this".to_owned()),
            (500..=599, _) => (Code::Unavailable, "the service failed".to_owned()),
            _ => (Code::ConfigInvalid, format!("the service refused the request to the bucket `{bucket}`")),
        };
        let said = match (self.code.is_empty(), self.message.is_empty()) {
            (true, _) => String::new(),
            (_, true) => format!(", `{}`", self.code),
            _ => format!(", `{}`: {}", self.code, self.message),
        };
        Error::new(code, format!("{what} (HTTP {}{said})", status.as_u16())).retry_after(wait)
    }

    fn moved(&self, headers: &HeaderMap, bucket: &str) -> String {
        match (&self.region, headers.get(header::LOCATION).and_then(|location| location.to_str().ok())) {
            (Some(region), _) => format!("the bucket `{bucket}` is in the region `{region}`"),
            (None, Some(location)) => format!("the bucket `{bucket}` is at `{location}`"),
            _ => format!("the bucket `{bucket}` is in another region"),
        }
    }

    fn skew(&self, headers: &HeaderMap, now: Millis) -> String {
        let server = self.server_time.as_deref().and_then(iso).or_else(|| headers.get(header::DATE)?.to_str().ok().and_then(http_date));
        match server {
            Some(server) => {
                let minutes = now.abs_diff(server).div_ceil(60_000);
                format!("the clock of this machine is {minutes} minutes {} the service's", if now < server { "behind" } else { "ahead of" })
            }
            None => "the clock of this machine is too far from the service's".to_owned(),
        }
    }
}

fn iso(text: &str) -> Option<Millis> {
    use aws_smithy_types::date_time::{DateTime, Format};
    DateTime::from_str(text, Format::DateTime).ok()?.to_millis().ok()?.try_into().ok()
}

/// Reads an HTTP date (RFC 9110, section 5.6.7).
pub(super) fn http_date(text: &str) -> Option<Millis> {
    use aws_smithy_types::date_time::{DateTime, Format};
    DateTime::from_str(text, Format::HttpDate).ok()?.to_millis().ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_document_is_read() {
        let body = b"<?xml version=\"1.0\"?><Error><Code>AuthorizationHeaderMalformed</Code><Message>wrong region</Message><Region>eu-west-1</Region></Error>";

        let fault = Fault::read(body, &HeaderMap::new());

        assert_eq!((fault.code.as_str(), fault.region.as_deref()), ("AuthorizationHeaderMalformed", Some("eu-west-1")));
    }

    #[test]
    fn a_skewed_clock_is_named_with_its_skew() {
        let body = b"<Error><Code>RequestTimeTooSkewed</Code><Message>far</Message><ServerTime>2026-01-01T00:20:00Z</ServerTime></Error>";

        let error = Fault::read(body, &HeaderMap::new()).error(StatusCode::FORBIDDEN, &HeaderMap::new(), "b", 1_767_225_600_000);

        assert_eq!(error.code(), Code::Denied);
        assert!(error.message().contains("20 minutes behind"), "{}", error.message());
    }

    #[test]
    fn a_503_says_how_long_to_wait() {
        let mut headers = HeaderMap::new();
        headers.insert(header::RETRY_AFTER, "2".parse().expect("a number"));

        let error = Fault::default().or_of(Some("SlowDown"), None).error(StatusCode::SERVICE_UNAVAILABLE, &headers, "b", 0);

        assert_eq!((error.code(), error.wait_asked()), (Code::Throttled, Some(2000)));
    }
}
