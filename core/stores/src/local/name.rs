//! File names of keys: readable, safe, reversible, and never outside their folder.
//!
//! Letters, digits, `-`, `_` and inner dots stand for themselves; every other byte becomes `%XX`. A name that would be
//! too long is cut and ends in `%~` and the SHA-256 of the key; the key itself is then kept with the metadata.
//! Names are spread over 256 folders by a checksum of the key.

use sha2::{Digest, Sha256};

/// Longer names are cut: file systems allow 255 bytes, and temporary and side files add to it.
const LONGEST: usize = 200;
const KEPT: usize = 120;

/// Where an object lies below the folder of objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// `ab/name`.
    pub path: String,
    /// Whether the name does not say the whole key.
    pub cut: bool,
}

/// Returns where the object of `key` lies.
pub fn place(key: &str) -> Place {
    let folder = crc32c::crc32c(key.as_bytes()) as u8;
    let mut path = String::with_capacity(key.len() + 16);
    path.push_str(HEX[(folder >> 4) as usize]);
    path.push_str(HEX[(folder & 15) as usize]);
    path.push('/');
    let start = path.len();
    for (at, byte) in key.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => path.push(byte as char),
            b'.' if at > 0 => path.push('.'),
            _ => {
                path.push('%');
                path.push_str(HEX[(byte >> 4) as usize]);
                path.push_str(HEX[(byte & 15) as usize]);
            }
        }
    }
    let cut = path.len() - start > LONGEST;
    if cut {
        let mut end = start + KEPT;
        // Not in the middle of `%XX`.
        if let Some(percent) = path[end - 2..end].find('%') {
            end = end - 2 + percent;
        }
        path.truncate(end);
        path.push_str("%~");
        for byte in Sha256::digest(key.as_bytes()) {
            path.push_str(HEX[(byte >> 4) as usize]);
            path.push_str(HEX[(byte & 15) as usize]);
        }
    }
    Place { path, cut }
}

/// Returns the key that a file name says, or `None` when it was cut or is none of ours.
pub fn key_of(name: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        if byte != b'%' {
            bytes.push(byte);
            rest = tail;
            continue;
        }
        let digits = tail.get(..2)?;
        bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
        rest = &tail[2..];
    }
    String::from_utf8(bytes).ok()
}

/// Says whether a file name was cut, so that its key is kept with the metadata.
pub fn is_cut(name: &str) -> bool {
    name.contains("%~")
}

const HEX: [&str; 16] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "a", "b", "c", "d", "e", "f"];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_readable_and_differ() {
        assert_eq!(&place("user_1").path[3..], "user_1");
        assert_eq!(&place("a/b").path[3..], "a%2fb");
        assert_ne!(place("a/b"), place("a_b"));
        assert_eq!(&place("../x").path[3..], "%2e.%2fx");
    }

    proptest! {
        #[test]
        fn every_key_has_a_safe_name_of_its_own(key in "\\PC{1,300}") {
            let place = place(&key);
            let (folder, name) = place.path.split_once('/').expect("a folder");

            prop_assert_eq!(folder.len(), 2);
            prop_assert!(name.len() <= 255 && !name.starts_with('.') && !name.contains(['/', '\\', '\0']));
            prop_assert_eq!(place.cut, is_cut(name));
            if !place.cut {
                prop_assert_eq!(key_of(name), Some(key));
            }
        }
    }
}
