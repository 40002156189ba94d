//! The Node face of Undercroft: extract, build the future, bridge. Nothing is decided here.
//!
//! Every verb answers at once or with a ticket (`reply`); what has a ticket is answered later on the JavaScript thread, in the
//! order in which it was done (`bridge`). JavaScript keeps its own objects; the core knows them by number (`live`).

#![cfg_attr(test, allow(dead_code, reason = "only Node calls what is here, and no Node loads a test"))]

mod ask;
mod bridge;
mod cache;
mod clock;
mod errors;
mod host_store;
mod lease;
mod live;
mod pin;
mod reply;
mod template;
mod testing;
mod tier;
mod wake;

use napi_derive::napi;

/// Returns the contract of the core as JSON.
#[napi]
pub fn contract() -> String {
    undercroft::contract::contract().to_string()
}

/// Returns the `contender` that comes closest to `name`, if one is close.
#[napi]
pub fn closest(name: String, contenders: Vec<String>) -> Option<String> {
    undercroft::closest(&name, contenders.iter().map(String::as_str)).map(str::to_owned)
}
