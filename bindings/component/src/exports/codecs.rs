//! `undercroft:cache/codecs`.

use super::{Answer, Component};
use crate::{
    bindings::exports::undercroft::cache::{
        codecs::Guest,
        types::{Codec, Value},
    },
    codec::transcode,
    records::core_codec,
};

impl Guest for Component {
    fn transcode(value: Value, to: Codec) -> Answer<Value> {
        Ok(Value { bytes: transcode(core_codec(value.codec), &value.bytes, core_codec(to))?, codec: to })
    }
}
