//! The stores of Undercroft: I/O, and no decisions. One feature and one file or folder per store.

#[cfg(feature = "gcs")]
pub mod gcs;
#[cfg(feature = "local")]
pub mod local;
pub mod memory;
#[cfg(feature = "object")]
pub mod object;
#[cfg(feature = "s3")]
pub mod s3;

#[cfg(feature = "gcs")]
pub use gcs::{Gcs, GcsOptions};
#[cfg(feature = "local")]
pub use local::{Local, LocalOptions};
pub use memory::Memory;
#[cfg(feature = "object")]
pub use object::{Objects, WireOptions};
#[cfg(feature = "s3")]
pub use s3::{S3, S3Options};
