//! Unique bodies: what claims a key must be told from every other claim.
//!
//! An entity tag of S3 is a hash of the body. Were two claims with one value equal in every byte, a write on the condition
//! that an expired claim is still there would also replace the fresh one that has just taken its place. So the body of a
//! claim carries a mark that readers skip: in gzip a field of the header (RFC 1952, section 2.3.1.1) or another, empty
//! member at the end, in Zstandard a skippable frame (RFC 8878, section 3.1.2).

use std::io::Write;

use bytes::{BufMut, Bytes, BytesMut};
use flate2::{Compression, GzBuilder};
use undercroft_engine::{Encoding, Meta, Random};

/// The note that repeats the mark.
pub(crate) const NOTE: &str = "ac-claim";

/// Draws a mark: 128 bits of chance.
pub(crate) fn mark(random: &dyn Random) -> String {
    (0..4).map(|_| format!("{:08x}", (random.unit() * f64::from(u32::MAX)) as u32)).collect()
}

/// Returns the body with a mark in it, and its description.
pub(crate) fn marked(meta: &Meta, body: Bytes, mark: &str) -> (Meta, Bytes) {
    let (body, encoding) = match meta.encoding {
        Encoding::Identity => (gzip(&body, mark), Encoding::Gzip),
        Encoding::Gzip => (joined(&body, &gzip(&[], mark)), Encoding::Gzip),
        Encoding::Zstd => (joined(&body, &frame(mark)), Encoding::Zstd),
    };
    (Meta { encoding, size: body.len() as u64, ..meta.clone() }, body)
}

fn gzip(plain: &[u8], mark: &str) -> Bytes {
    let mut encoder = GzBuilder::new().comment(mark).write(Vec::with_capacity(plain.len() / 2 + 64), Compression::fast());
    encoder.write_all(plain).and_then(|()| encoder.finish()).expect("writing to memory does not fail").into()
}

fn frame(mark: &str) -> Bytes {
    let mut frame = BytesMut::with_capacity(8 + mark.len());
    frame.put_u32_le(0x184D_2A50);
    frame.put_u32_le(mark.len() as u32);
    frame.put_slice(mark.as_bytes());
    frame.freeze()
}

fn joined(body: &[u8], end: &[u8]) -> Bytes {
    let mut all = BytesMut::with_capacity(body.len() + end.len());
    all.put_slice(body);
    all.put_slice(end);
    all.freeze()
}
