//! The envelope: 40 bytes before the payload, for stores that keep nothing but bytes.
//!
//! | offset | bytes | content |
//! |---|---|---|
//! | 0 | 3 | `UC\x01`: magic and version |
//! | 3 | 1 | codec |
//! | 4 | 1 | flags: 1 compressed with gzip, 2 signed, 4 compressed with Zstandard |
//! | 5 | 1 | header length, 40 |
//! | 6 | 6 | zero |
//! | 12 | 8 | `created_at`, ms since the epoch, little-endian |
//! | 20 | 8 | `fresh_until`, all ones: never |
//! | 28 | 8 | `stale_until`, all ones: never |
//! | 36 | 4 | CRC-32C of the first 36 bytes and the payload, little-endian |

use crate::{
    entry::Life,
    error::{Code, Error, Result},
    store::Encoding,
    time::Millis,
};

/// The length of the header in bytes.
pub const HEADER: usize = 40;

const MAGIC: [u8; 3] = *b"UC\x01";
const GZIP: u8 = 1;
const SIGNED: u8 = 2;
const ZSTD: u8 = 4;

/// What the header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The number of the codec.
    pub codec: u8,
    /// How the payload is compressed.
    pub encoding: Encoding,
    /// Whether a signature stands in front of the payload.
    pub signed: bool,
    /// The deadlines.
    pub life: Life,
}

impl Header {
    /// Writes the header for `payload`.
    pub fn seal(&self, payload: &[u8]) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..3].copy_from_slice(&MAGIC);
        bytes[3] = self.codec;
        let compressed = match self.encoding {
            Encoding::Identity => 0,
            Encoding::Gzip => GZIP,
            Encoding::Zstd => ZSTD,
        };
        bytes[4] = compressed + u8::from(self.signed) * SIGNED;
        bytes[5] = HEADER as u8;
        bytes[12..20].copy_from_slice(&self.life.created_at.to_le_bytes());
        bytes[20..28].copy_from_slice(&self.life.fresh_until.to_le_bytes());
        bytes[28..36].copy_from_slice(&self.life.stale_until.to_le_bytes());
        let sum = crc32c::crc32c_append(crc32c::crc32c(&bytes[..36]), payload);
        bytes[36..].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// Reads a header without its payload, whose checksum is not looked at.
    ///
    /// # Errors
    /// `corrupt` when the bytes are no header.
    pub fn read(bytes: &[u8]) -> Result<Self> {
        let corrupt = |what: &str| Err(Error::new(Code::Corrupt, format!("envelope: {what}")));
        if bytes.len() < HEADER {
            return corrupt("shorter than its header");
        }
        if bytes[..3] != MAGIC {
            return corrupt("unknown magic or version");
        }
        let encoding = match bytes[4] & !SIGNED {
            0 => Encoding::Identity,
            GZIP => Encoding::Gzip,
            ZSTD => Encoding::Zstd,
            _ => return corrupt("unknown flags or header length"),
        };
        if bytes[5] as usize != HEADER {
            return corrupt("unknown flags or header length");
        }
        let number = |at: usize| -> Millis { Millis::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes")) };
        let life = Life { created_at: number(12), fresh_until: number(20), stale_until: number(28) };
        Ok(Self { codec: bytes[3], encoding, signed: bytes[4] & SIGNED != 0, life })
    }

    /// Reads a header and checks it against its payload.
    ///
    /// # Errors
    /// `corrupt` when the bytes are no header, or the checksum does not match.
    pub fn open(bytes: &[u8], payload: &[u8]) -> Result<Self> {
        let header = Self::read(bytes)?;
        let sum = crc32c::crc32c_append(crc32c::crc32c(&bytes[..36]), payload);
        if bytes[36..HEADER] != sum.to_le_bytes() {
            return Err(Error::new(Code::Corrupt, "envelope: the checksum does not match"));
        }
        Ok(header)
    }
}
