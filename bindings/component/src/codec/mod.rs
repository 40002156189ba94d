//! Codecs: in which forms a value is put.

#[cfg(feature = "msgpack")]
mod document;
#[cfg(not(feature = "msgpack"))]
mod plain;

#[cfg(feature = "msgpack")]
pub(crate) use document::{check, transcode};
#[cfg(not(feature = "msgpack"))]
pub(crate) use plain::{check, transcode};
use undercroft::engine::{Cache, Codec, Form, Result, Value};

/// Makes the value of `bytes` in every form that the far tiers of `cache` keep.
///
/// # Errors
/// As [`check`], where somebody else may read it.
pub(crate) fn value(cache: &Cache, codec: Codec, bytes: Vec<u8>) -> Result<Value> {
    let value = Value::bytes(codec, bytes);
    if cache.chain().far().is_empty() {
        return Ok(value);
    }
    in_forms(value, &cache.chain().codecs())
}

/// Adds the forms under `wanted` codecs that a value can be written in.
///
/// # Errors
/// As [`check`].
pub(crate) fn in_forms(value: Value, wanted: &[Codec]) -> Result<Value> {
    let Some((codec, bytes)) = value.encoded().map(|(codec, bytes)| (codec, bytes.clone())) else { return Ok(value) };
    check(codec, &bytes)?;
    let mut forms = vec![Form { codec, bytes: Ok(bytes.clone()) }];
    for other in wanted.iter().filter(|other| is_document(codec) && is_document(**other) && **other != codec) {
        // What has no JSON stays MessagePack: an object says itself how it is read.
        if let Ok(written) = transcode(codec, &bytes, *other) {
            forms.push(Form { codec: *other, bytes: Ok(written.into()) });
        }
    }
    Ok(value.with_forms(forms))
}

fn is_document(codec: Codec) -> bool {
    codec == Codec::JSON || codec == Codec::MSGPACK
}
