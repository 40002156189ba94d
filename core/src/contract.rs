//! The contract: what every binding mirrors, as data. `tests/contract.json` holds it; a test keeps it up to date.

use serde_json::{Value, json};
use undercroft_engine::{Code, Codec, Kind, key::MAX_KEY_BYTES};

use crate::{
    open::SCHEMES,
    settings::{POLICY, Setting, TIER, TOP},
};

/// Returns the contract.
pub fn contract() -> Value {
    let settings = |settings: &[Setting]| -> Value {
        settings.iter().map(|setting| json!({ "name": setting.name, "takes": setting.takes.as_str(), "schemes": setting.schemes })).collect()
    };
    json!({
        "errors": Code::ALL.iter().map(|code| json!({ "code": code.as_str(), "retryable": code.retryable(), "meaning": code.meaning().trim() })).collect::<Vec<_>>(),
        "codecs": Codec::ALL.iter().map(|codec| json!({ "name": codec.name(), "id": codec.id, "content_type": codec.content_type() })).collect::<Vec<_>>(),
        "events": Kind::ALL.iter().map(|kind| kind.as_str()).collect::<Vec<_>>(),
        "config": { "top": TOP, "policy": settings(POLICY), "tier": settings(TIER) },
        "schemes": SCHEMES,
        "key": { "min_bytes": 1, "max_bytes": MAX_KEY_BYTES },
    })
}
