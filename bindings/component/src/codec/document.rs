//! JSON and MessagePack from one another, and values that are what they are said to be.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{self, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value as Document};
use undercroft::engine::{Code, Codec, Error, Result};

/// Checks that `bytes` are what they are said to be: other languages trust it.
///
/// # Errors
/// `corrupt`, naming the codec and the place.
pub(crate) fn check(codec: Codec, bytes: &[u8]) -> Result<()> {
    let wrong = |why: &dyn fmt::Display| Error::new(Code::Corrupt, format!("the value is no {}: {why}", codec.name()));
    match codec {
        Codec::JSON => serde_json::from_slice::<IgnoredAny>(bytes).map(drop).map_err(|error| wrong(&error)),
        Codec::UTF8 => std::str::from_utf8(bytes).map(drop).map_err(|error| wrong(&error)),
        Codec::MSGPACK => {
            let mut rest = bytes;
            IgnoredAny::deserialize(&mut rmp_serde::Deserializer::new(&mut rest)).map_err(|error| wrong(&error))?;
            if rest.is_empty() { Ok(()) } else { Err(wrong(&format!("{} bytes follow it", rest.len()))) }
        }
        _ => Ok(()),
    }
}

/// Writes `bytes` under another codec.
///
/// # Errors
/// `corrupt` when they are not what they are said to be; `unsupported` where something would be lost.
pub(crate) fn transcode(from: Codec, bytes: &[u8], to: Codec) -> Result<Vec<u8>> {
    check(from, bytes)?;
    let lossy = |why: &dyn fmt::Display| Error::new(Code::Unsupported, format!("this {} has no {}: {why}", from.name(), to.name()));
    match (from, to) {
        _ if from == to => Ok(bytes.to_vec()),
        (Codec::UTF8, Codec::RAW) => Ok(bytes.to_vec()),
        (Codec::JSON, Codec::MSGPACK) => {
            if let Some(number) = long_integer(bytes) {
                return Err(lossy(&format!("{number} has more than 64 bits")));
            }
            let Plain(document) = serde_json::from_slice(bytes).map_err(|error| lossy(&error))?;
            rmp_serde::to_vec(&document).map_err(|error| lossy(&error))
        }
        (Codec::MSGPACK, Codec::JSON) => {
            let Plain(document) = rmp_serde::from_slice(bytes).map_err(|error| lossy(&error))?;
            serde_json::to_vec(&document).map_err(|error| lossy(&error))
        }
        _ => Err(lossy(&"only `json` and `msgpack` become each other, and `utf8` becomes `raw`")),
    }
}

/// Finds an integer of a JSON text that would be rounded.
fn long_integer(json: &[u8]) -> Option<&str> {
    let mut at = 0;
    while let Some(byte) = json.get(at) {
        match byte {
            b'"' => {
                // To the end of the text; what is escaped does not end it.
                at += 1;
                while json.get(at).is_some_and(|byte| *byte != b'"') {
                    at += if json[at] == b'\\' { 2 } else { 1 };
                }
                at += 1;
            }
            b'-' | b'0'..=b'9' => {
                let length = json[at..].iter().take_while(|byte| matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9')).count();
                let number = std::str::from_utf8(&json[at..at + length]).ok()?;
                let is_integer = !number.contains(['.', 'e', 'E']);
                if is_integer && number.parse::<i64>().is_err() && number.parse::<u64>().is_err() {
                    return Some(number);
                }
                at += length;
            }
            _ => at += 1,
        }
    }
    None
}

/// A document that JSON can say: no bytes, no extensions, no keys but texts, none of them twice, no numbers that
/// are none.
struct Plain(Document);

impl<'de> Deserialize<'de> for Plain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_any(AnyPlain).map(Plain)
    }
}

struct AnyPlain;

impl<'de> Visitor<'de> for AnyPlain {
    type Value = Document;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("what JSON can say")
    }

    fn visit_bool<E>(self, value: bool) -> std::result::Result<Document, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> std::result::Result<Document, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> std::result::Result<Document, E> {
        Ok(value.into())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> std::result::Result<Document, E> {
        Number::from_f64(value).map(Document::Number).ok_or_else(|| E::custom(format!("{value} is no number there")))
    }

    fn visit_str<E>(self, value: &str) -> std::result::Result<Document, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> std::result::Result<Document, E> {
        Ok(Document::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> std::result::Result<Document, A::Error> {
        let mut list = Vec::new();
        while let Some(Plain(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(Document::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut items: A) -> std::result::Result<Document, A::Error> {
        let mut map = Map::new();
        while let Some((name, Plain(value))) = items.next_entry::<String, Plain>()? {
            if map.contains_key(&name) {
                return Err(de::Error::custom(format!("the name `{name}` is there twice")));
            }
            map.insert(name, value);
        }
        Ok(Document::Object(map))
    }
}
