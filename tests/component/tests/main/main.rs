//! The component in the wasmtime host. One program, so that each build is compiled once.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod bad_input;
mod cases;
mod keyvalue;
mod limits;
mod objects;
mod readme;
mod wit;
