//! Faults: what Cloud Storage says when it refuses, in our words.

use http::{HeaderMap, StatusCode};
use serde_json::Value;
use undercroft_engine::{Code, Error};

use crate::object::retry_after;

/// Says whether it is the bucket that is missing, and not an object.
pub(super) fn names_bucket(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(body);
    text.contains("NoSuchBucket") || text.contains("The specified bucket does not exist")
}

/// Makes an error of an answer: JSON (API reference, "Status and error codes"), or XML after a read.
pub(super) fn error(status: StatusCode, headers: &HeaderMap, body: &[u8], bucket: &str) -> Error {
    let (code, what) = match status.as_u16() {
        404 => (Code::ConfigInvalid, format!("there is no bucket `{bucket}`")),
        401 | 403 => (Code::Denied, "the credentials or permissions do not allow it".to_owned()),
        408 => (Code::Timeout, "the request arrived too slowly".to_owned()),
        409 => (Code::Conflict, "another writer was faster".to_owned()),
        413 => (Code::TooLarge, "the object is too large".to_owned()),
        429 => (Code::Throttled, "asked to slow down".to_owned()),
        501 => (Code::Unsupported, "the service cannot do this".to_owned()),
        500..=599 => (Code::Unavailable, "the service failed".to_owned()),
        _ => (Code::ConfigInvalid, format!("the service refused the request to the bucket `{bucket}`")),
    };
    let said = message(body).map(|message| format!(", {message}")).unwrap_or_default();
    Error::new(code, format!("{what} (HTTP {}{said})", status.as_u16())).retry_after(retry_after(headers))
}

fn message(body: &[u8]) -> Option<String> {
    if let Ok(json) = serde_json::from_slice::<Value>(body) {
        return json["error"]["message"].as_str().or_else(|| json["error_description"].as_str()).map(str::to_owned);
    }
    let text = String::from_utf8_lossy(body);
    let start = text.find("<Message>")? + "<Message>".len();
    let length = text[start..].find('<')?;
    Some(text[start..start + length].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_service_says_is_in_the_error() {
        let json = error(StatusCode::FORBIDDEN, &HeaderMap::new(), br#"{"error":{"code":403,"message":"no access"}}"#, "b");
        let xml = error(StatusCode::TOO_MANY_REQUESTS, &HeaderMap::new(), b"<Error><Message>slower</Message></Error>", "b");

        assert_eq!((json.code(), json.message().contains("no access")), (Code::Denied, true));
        assert_eq!((xml.code(), xml.message().contains("slower")), (Code::Throttled, true));
    }
}
