//! Names: how a key lies in a bucket.
//!
//! The name is the key, but for one thing: servers, proxies and HTTP clients resolve path segments that are `.` or `..`
//! (RFC 3986, section 5.2.4), and several services refuse them. Such a segment is written with `%2E` for each dot; a
//! segment that looks like an escaped one gets another `%25` in front, so that every key has a name of its own.

use std::borrow::Cow;

const DOTS: [&str; 2] = [".", ".."];

/// Returns the name of `key`.
pub(crate) fn escape(key: &str) -> Cow<'_, str> {
    each_segment(key, |segment| match segment {
        "." => Some("%2E".to_owned()),
        ".." => Some("%2E%2E".to_owned()),
        segment if is_escaped(segment) => Some(format!("%25{segment}")),
        _ => None,
    })
}

/// Returns the key of `name`.
pub(crate) fn unescape(name: &str) -> Cow<'_, str> {
    each_segment(name, |segment| match segment {
        "%2E" => Some(".".to_owned()),
        "%2E%2E" => Some("..".to_owned()),
        segment if is_escaped(segment) => segment.strip_prefix("%25").map(str::to_owned),
        _ => None,
    })
}

/// Returns what to ask a service for, so that every key that begins with `prefix` is among what it lists.
pub(crate) fn listed(prefix: &str) -> Cow<'_, str> {
    let (folder, last) = prefix.rsplit_once('/').map_or(("", prefix), |(folder, last)| (&prefix[..=folder.len()], last));
    // The last segment may go on: what it is escaped to is not known yet.
    if DOTS.contains(&last) || "%25".starts_with(last) || "%2E%2E".starts_with(last) || last.starts_with("%25") { escape(folder) } else { escape(prefix) }
}

fn is_escaped(segment: &str) -> bool {
    let mut rest = segment;
    while let Some(inner) = rest.strip_prefix("%25") {
        rest = inner;
    }
    rest == "%2E" || rest == "%2E%2E"
}

fn each_segment(text: &str, replace: impl Fn(&str) -> Option<String>) -> Cow<'_, str> {
    // Most keys hold neither.
    if !text.contains('.') && !text.contains("%2E") {
        return text.into();
    }
    let segments: Vec<Cow<'_, str>> = text.split('/').map(|segment| replace(segment).map_or(segment.into(), Cow::Owned)).collect();
    segments.join("/").into()
}

/// Percent-encodes a name for the path of a URI: all but unreserved characters (RFC 3986, section 2.3) and `/`.
pub(crate) fn encode_path(name: &str) -> String {
    encode(name, |byte| byte == b'/')
}

/// Percent-encodes one part of a query, or one segment of a path.
pub(crate) fn encode_part(text: &str) -> String {
    encode(text, |_| false)
}

fn encode(text: &str, keep: impl Fn(u8) -> bool) -> String {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut encoded = String::with_capacity(text.len() + 8);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') || keep(byte) {
            encoded.push(byte as char);
        } else {
            encoded.extend(['%', DIGITS[usize::from(byte >> 4)] as char, DIGITS[usize::from(byte & 15)] as char]);
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_gives_its_key_back_and_holds_no_dot_segments() {
        for key in ["a", "a/b", ".", "..", "../x", "a/../b", "a/./b", "%2E", "a/%2E%2E", "%25%2E", "%252E", "a.b", "...", "a//b", "/", "%2e", "%25"] {
            let name = escape(key);

            assert_eq!(unescape(&name), key);
            assert!(!name.split('/').any(|segment| DOTS.contains(&segment)), "{name}");
        }
    }

    #[test]
    fn different_keys_have_different_names() {
        let keys = [".", "%2E", "%25%2E", "%25%25%2E", "..", "%2E%2E"];

        let mut names: Vec<_> = keys.iter().map(|key| escape(key).into_owned()).collect();
        names.sort();
        names.dedup();

        assert_eq!(names.len(), keys.len());
    }

    #[test]
    fn what_is_asked_for_holds_every_key_of_a_prefix() {
        for (prefix, key) in [("a/.", "a/.."), ("a/.", "a/./b"), ("a/..", "a/../b"), ("a/%2", "a/%2E"), ("a/%2E", "a/%2E"), ("a", "a/../b"), ("", "..")] {
            assert!(escape(key).starts_with(&*listed(prefix)), "{prefix} {key}");
        }
    }

    #[test]
    fn paths_are_percent_encoded() {
        assert_eq!(encode_path("a b/+%ü?#~"), "a%20b/%2B%25%C3%BC%3F%23~");
        assert_eq!(encode_part("a/b"), "a%2Fb");
    }
}
