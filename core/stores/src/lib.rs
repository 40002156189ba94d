//! The stores of Undercroft: I/O, and no decisions. One feature and one file or folder per store.

#[cfg(feature = "local")]
pub mod local;
pub mod memory;

#[cfg(feature = "local")]
pub use local::{Local, LocalOptions};
pub use memory::Memory;
