//! Squeezing: bodies compressed and made plain again.

#[cfg(feature = "gzip")]
use std::io::{Read, Write};

use bytes::Bytes;
#[cfg(feature = "gzip")]
use flate2::{Compression, read::GzDecoder, write::GzEncoder};

use crate::{
    error::{Code, Error, Result},
    store::Encoding,
};

/// How bodies are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Squeeze {
    /// With gzip, at a level from 1 to 9.
    Gzip(u32),
    /// With Zstandard, at a level from 1 to 19.
    Zstd(i32),
}

impl Squeeze {
    /// Returns what marks the bodies.
    pub fn encoding(self) -> Encoding {
        match self {
            Squeeze::Gzip(_) => Encoding::Gzip,
            Squeeze::Zstd(_) => Encoding::Zstd,
        }
    }
}

/// Compressing less than this saves nothing worth a byte of CPU.
const WORTH_COMPRESSING: usize = 128;
/// From this length on a sample says first whether it is worth it.
const SAMPLED: usize = 1024 * 1024;
const SAMPLE: usize = 32 * 1024;

/// Compresses `bytes`; `None` when they do not become smaller.
///
/// Of a large body a few samples are compressed first: images and archives cost neither the time nor the memory.
///
/// # Errors
/// `unsupported` for a way that the build has not.
pub(crate) fn squeeze(bytes: &[u8], how: Squeeze) -> Result<Option<Vec<u8>>> {
    if bytes.len() < WORTH_COMPRESSING || (bytes.len() >= SAMPLED && !shrinks(bytes)?) {
        return Ok(None);
    }
    let packed = match how {
        Squeeze::Gzip(level) => gzip(bytes, level)?,
        Squeeze::Zstd(level) => zstd(bytes, level)?,
    };
    Ok(Some(packed).filter(|packed| packed.len() < bytes.len()))
}

/// Says whether any of three samples loses a thirtieth of its length.
fn shrinks(bytes: &[u8]) -> Result<bool> {
    for start in [0, bytes.len() / 2, bytes.len() - SAMPLE] {
        if gzip(&bytes[start..start + SAMPLE], 1)?.len() < SAMPLE - SAMPLE / 30 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Makes a body plain again.
///
/// # Errors
/// `corrupt` when it is not what `encoding` says; `unsupported` for a way that the build has not.
pub(crate) fn unsqueeze(bytes: Bytes, encoding: Encoding) -> Result<Bytes> {
    match encoding {
        Encoding::Identity => Ok(bytes),
        Encoding::Gzip => gunzip(&bytes).map(Bytes::from),
        Encoding::Zstd => unzstd(&bytes).map(Bytes::from),
    }
}

#[cfg(feature = "gzip")]
fn gzip(bytes: &[u8], level: u32) -> Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 2), Compression::new(level));
    encoder.write_all(bytes).and_then(|()| encoder.finish()).map_err(|error| Error::new(Code::Internal, format!("gzip: {error}")))
}

#[cfg(feature = "gzip")]
fn gunzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut plain = Vec::new();
    let mut decoder = GzDecoder::new(bytes);
    loop {
        // What grows beyond all memory is an error here: a process, or an instance with a limit, would end.
        let so_far = plain.len();
        let more = so_far.max(bytes.len() * 3).max(1024);
        let too_large = |_| Error::new(Code::TooLarge, format!("a gzip body of {} bytes has more than {so_far} when it is plain", bytes.len()));
        plain.try_reserve(more).map_err(too_large)?;
        let read = decoder.by_ref().take(more as u64).read_to_end(&mut plain).map_err(|error| Error::new(Code::Corrupt, format!("gzip body: {error}")))?;
        if read < more {
            return Ok(plain);
        }
    }
}

#[cfg(not(feature = "gzip"))]
fn gzip(_bytes: &[u8], _level: u32) -> Result<Vec<u8>> {
    Err(Error::new(Code::Unsupported, "this build writes no gzip"))
}

#[cfg(not(feature = "gzip"))]
fn gunzip(_bytes: &[u8]) -> Result<Vec<u8>> {
    Err(Error::new(Code::Unsupported, "this build reads no gzip"))
}

#[cfg(feature = "zstd")]
fn zstd(bytes: &[u8], level: i32) -> Result<Vec<u8>> {
    zstd::bulk::compress(bytes, level).map_err(|error| Error::new(Code::Internal, format!("zstd: {error}")))
}

#[cfg(feature = "zstd")]
fn unzstd(bytes: &[u8]) -> Result<Vec<u8>> {
    zstd::decode_all(bytes).map_err(|error| Error::new(Code::Corrupt, format!("zstd body: {error}")))
}

#[cfg(not(feature = "zstd"))]
fn zstd(_bytes: &[u8], _level: i32) -> Result<Vec<u8>> {
    Err(Error::new(Code::Unsupported, "this build writes no zstd"))
}

#[cfg(not(feature = "zstd"))]
fn unzstd(_bytes: &[u8]) -> Result<Vec<u8>> {
    Err(Error::new(Code::Unsupported, "this build reads no zstd"))
}

#[cfg(all(test, feature = "gzip"))]
mod tests {
    use super::*;

    fn noise(length: usize) -> Vec<u8> {
        let mut state = 1u64;
        (0..length).map(|_| (state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1), (state >> 33) as u8).1).collect()
    }

    #[test]
    fn what_shrinks_comes_back_as_it_was() {
        let plain = b"abcdefgh".repeat(200_000);
        let ways: &[Squeeze] = if cfg!(feature = "zstd") { &[Squeeze::Gzip(6), Squeeze::Zstd(1)] } else { &[Squeeze::Gzip(6)] };

        for way in ways {
            let packed = squeeze(&plain, *way).expect("it can").expect("it shrinks");

            assert!(packed.len() * 10 < plain.len());
            assert_eq!(unsqueeze(packed.into(), way.encoding()).expect("it is valid"), plain);
        }
    }

    #[test]
    fn what_does_not_shrink_is_left_as_it_is() {
        assert_eq!(squeeze(&noise(2 * SAMPLED), Squeeze::Gzip(6)).expect("it can"), None);
        assert_eq!(squeeze(&noise(4096), Squeeze::Gzip(6)).expect("it can"), None);
        assert_eq!(squeeze(b"short", Squeeze::Gzip(6)).expect("it can"), None);
    }

    #[test]
    fn bad_bytes_are_corrupt() {
        let error = unsqueeze(Bytes::from_static(b"\x1f\x8bnonsense"), Encoding::Gzip).expect_err("no gzip");

        assert_eq!(error.code(), Code::Corrupt);
    }
}
