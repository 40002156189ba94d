//! A build that reads no documents: memory keeps what it is given.

use undercroft::engine::{Code, Codec, Error, Result};

/// Takes `bytes` for what they are said to be: nobody else reads them.
///
/// # Errors
/// None here.
pub(crate) fn check(_codec: Codec, _bytes: &[u8]) -> Result<()> {
    Ok(())
}

/// Writes `bytes` under another codec.
///
/// # Errors
/// `unsupported` for all but the same codec, and text as bytes.
pub(crate) fn transcode(from: Codec, bytes: &[u8], to: Codec) -> Result<Vec<u8>> {
    match (from, to) {
        _ if from == to => Ok(bytes.to_vec()),
        (Codec::UTF8, Codec::RAW) => Ok(bytes.to_vec()),
        _ => Err(Error::new(Code::Unsupported, format!("this build does not write {} as {}", from.name(), to.name()))),
    }
}
