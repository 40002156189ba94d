//! Undercroft as a WASI 0.2 component: a thin face on the core, with `wasi:http`, `wasi:clocks` and `wasi:random` as its
//! environment. `wit/` says what it offers.
//!
//! An instance has one thread, and an export cannot be suspended: a call that waits for I/O blocks in `wasi:io/poll`, and what
//! would wait for another call is answered at once (`busy`). Between calls nothing runs.
#![cfg_attr(not(target_family = "wasm"), allow(dead_code, reason = "built for other targets by linters only"))]

mod codec;
mod env;
mod exports;
mod records;

#[allow(missing_docs, unsafe_op_in_unsafe_fn, clippy::all, reason = "generated")]
mod bindings {
    #[cfg(not(feature = "middleware"))]
    wit_bindgen::generate!({ path: "../../wit", world: "component", generate_all, pub_export_macro: true });
    #[cfg(feature = "middleware")]
    wit_bindgen::generate!({ path: "../../wit", world: "middleware", generate_all, pub_export_macro: true });
}

use exports::Component;

bindings::export!(Component with_types_in bindings);
