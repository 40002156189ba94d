//! Legacy: entries that the known implementation wrote, without metadata.
//!
//! Their body, perhaps in gzip, is a pickle or JSON of `{"__ac_type": "entry", "v": value, "f": fresh_until, "c":
//! created_at}`, the times in seconds since the epoch. The deadlines are read here; a pickle is taken apart by Python,
//! which is told by the codec [`PICKLED_ENTRY`].

use bytes::Bytes;
use serde_json::{Map, Value};
use undercroft_engine::{
    Body, Codec, Encoding, Life, Meta, Object,
    time::{FOREVER, Millis, from_seconds},
};

/// A pickle of the whole entry, of which the value is the item `v`.
pub const PICKLED_ENTRY: Codec = Codec { id: Codec::PICKLE.id, instance: u32::MAX };

const MARK: &str = "__ac_type";

/// Says whether a body begins as gzip does (RFC 1952, section 2.3.1).
pub(crate) fn is_gzip(body: &[u8]) -> bool {
    body.starts_with(b"\x1f\x8b")
}

/// Reads an entry of the known implementation; `None` when the plain `body` is none.
pub(crate) fn read(body: &Bytes) -> Option<Object> {
    if body.first() == Some(&b'{') { from_json(body) } else { from_pickle(body) }
}

fn object(fresh_until: f64, created_at: f64, codec: Codec, body: Bytes) -> Object {
    let fresh_until = millis(fresh_until);
    // It knows no stale window: when it is not fresh it is gone.
    let life = Life { created_at: millis(created_at), fresh_until, stale_until: fresh_until };
    Object { meta: Meta { encoding: Encoding::Identity, ..Meta::new(life, codec, body.len() as u64) }, body: Body::Bytes(body) }
}

fn millis(seconds: f64) -> Millis {
    if seconds.is_infinite() { FOREVER } else { from_seconds(seconds.max(0.0)).unwrap_or(0) }
}

fn from_json(body: &[u8]) -> Option<Object> {
    let mut entry: Map<String, Value> = serde_json::from_slice(body).ok()?;
    if entry.get(MARK)?.as_str()? != "entry" {
        return None;
    }
    // JSON has no infinity: what never ends was written as null.
    let time = |name: &str| entry.get(name).and_then(|time| if time.is_null() { Some(f64::INFINITY) } else { time.as_f64() });
    let (fresh_until, created_at) = (time("f")?, time("c")?);
    let value = serde_json::to_vec(&entry.remove("v")?).expect("what was read can be written");
    Some(object(fresh_until, created_at, Codec::JSON, value.into()))
}

/// Reads the times from the end of a pickle of protocol 4 or 5, which needs no unpickling: the dict ends with the items
/// `f` and `c`, each a key (a short text, perhaps memoized, or one from the memo) and a float (`BINFLOAT`, big-endian),
/// then `SETITEMS` and `STOP`.
fn from_pickle(body: &Bytes) -> Option<Object> {
    if body.first() != Some(&0x80) || !body.windows(MARK.len()).take(64).any(|window| window == MARK.as_bytes()) {
        return None;
    }
    let rest = body.strip_suffix(b"u.")?;
    let (rest, created_at) = item(rest, b'c')?;
    let (_, fresh_until) = item(rest, b'f')?;
    Some(object(fresh_until, created_at, PICKLED_ENTRY, body.clone()))
}

fn item(pickle: &[u8], name: u8) -> Option<(&[u8], f64)> {
    let (rest, float) = pickle.split_last_chunk::<9>()?;
    let (b'G', digits) = float.split_first()? else { return None };
    let number = f64::from_be_bytes(digits.try_into().ok()?);
    let text = [0x8c, 1, name];
    let rest = match rest {
        [rest @ .., 0x94] if rest.ends_with(&text) => &rest[..rest.len() - 3],
        rest if rest.ends_with(&text) => &rest[..rest.len() - 3],
        // BINGET: the same text was in the value, and is in the memo.
        [rest @ .., b'h', _] => rest,
        [rest @ .., b'j', _, _, _, _] => rest,
        _ => return None,
    };
    Some((rest, number))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_json_entry_gives_its_value_and_times() {
        let body = Bytes::from_static(br#"{"__ac_type":"entry","v":{"id":7},"f":1700000060.5,"c":1700000000.0}"#);

        let object = read(&body).unwrap();

        assert_eq!(object.meta.life, Life { created_at: 1_700_000_000_000, fresh_until: 1_700_000_060_500, stale_until: 1_700_000_060_500 });
        let Body::Bytes(value) = object.body else { panic!("bytes") };
        assert_eq!(&value[..], br#"{"id":7}"#);
    }

    #[test]
    fn what_is_no_entry_is_none() {
        for body in [&b"{}"[..], b"{\"a\":1}", b"plain", b"", b"\x80\x04K\x01.", b"{\"__ac_type\":\"value\",\"v\":1,\"f\":1,\"c\":1}"] {
            assert!(read(&Bytes::from_static(body)).is_none());
        }
    }

    #[test]
    fn the_times_of_a_pickle_are_read_from_its_end() {
        // pickle.dumps({"__ac_type": "entry", "v": 1, "f": 2.0, "c": 1.0}, protocol=5)
        let body = b"\x80\x05\x95\x38\x00\x00\x00\x00\x00\x00\x00}\x94(\x8c\x09__ac_type\x94\x8c\x05entry\x94\x8c\x01v\x94K\x01\
            \x8c\x01f\x94G@\x00\x00\x00\x00\x00\x00\x00\x8c\x01c\x94G?\xf0\x00\x00\x00\x00\x00\x00u.";

        let object = read(&Bytes::from_static(body)).unwrap();

        assert_eq!((object.meta.life.fresh_until, object.meta.life.created_at, object.meta.codec), (2000, 1000, PICKLED_ENTRY));
    }
}
