//! Notes: how an entry describes itself in the metadata of its object.
//!
//! `ac-v` (1), `ac-codec`, `ac-created-at`, `ac-fresh-until`, `ac-stale-until` (milliseconds since the epoch, `never`
//! for none), `ac-encoding` (`gzip`, `zstd`) where the body is compressed, `ac-hash` (SHA-256 of the plain value,
//! hexadecimal) where a hash was asked for. `Content-Type` and `Content-Encoding` say the same to other tools; the note
//! is for services that lose the latter.

use undercroft_engine::{
    Code, Codec, Encoding, Error, Hash, Life, Meta, Result,
    time::{FOREVER, Millis},
};

use super::bucket::Attributes;

const VERSION: &str = "1";
const NEVER: &str = "never";

/// Writes what is known of an object into attributes.
pub(crate) fn write(meta: &Meta) -> Attributes {
    let mut notes = vec![
        ("ac-v".to_owned(), VERSION.to_owned()),
        ("ac-codec".to_owned(), meta.codec.name().to_owned()),
        ("ac-created-at".to_owned(), moment(meta.life.created_at)),
        ("ac-fresh-until".to_owned(), moment(meta.life.fresh_until)),
        ("ac-stale-until".to_owned(), moment(meta.life.stale_until)),
    ];
    if let Some(hash) = &meta.hash {
        notes.push(("ac-hash".to_owned(), hash.iter().map(|byte| format!("{byte:02x}")).collect()));
    }
    let encoding = match meta.encoding {
        Encoding::Identity => None,
        Encoding::Gzip => Some("gzip".to_owned()),
        Encoding::Zstd => Some("zstd".to_owned()),
    };
    if let Some(encoding) = &encoding {
        notes.push(("ac-encoding".to_owned(), encoding.clone()));
    }
    Attributes { content_type: Some(meta.codec.content_type().to_owned()), encoding, notes, size: meta.size, version: None }
}

/// Reads what attributes say of an object; `None` when they say nothing, as on objects that others wrote.
///
/// # Errors
/// `corrupt` when they say something that is no valid description.
pub(crate) fn read(attributes: &Attributes) -> Result<Option<Meta>> {
    let corrupt = |what: &str| Error::new(Code::Corrupt, format!("metadata: {what}"));
    match attributes.note("ac-v") {
        None if attributes.note("ac-fresh-until").is_none() => return Ok(None),
        Some(VERSION) => {}
        _ => return Err(corrupt("unknown `ac-v`")),
    }
    let moment = |name: &str| attributes.note(name).and_then(read_moment).ok_or_else(|| corrupt(&format!("no valid `{name}`")));
    let life = Life { created_at: moment("ac-created-at")?, fresh_until: moment("ac-fresh-until")?, stale_until: moment("ac-stale-until")? };
    let codec = attributes.note("ac-codec").and_then(Codec::parse).ok_or_else(|| corrupt("no valid `ac-codec`"))?;
    // Servers that unpack aws-chunked uploads may leave its name behind.
    let header = attributes.encoding.as_deref().map(|names| names.split(',').map(str::trim).filter(|name| *name != "aws-chunked").collect::<String>());
    let encoding = match header.as_deref().or(attributes.note("ac-encoding")) {
        None | Some("" | "identity") => Encoding::Identity,
        Some("gzip") => Encoding::Gzip,
        Some("zstd") => Encoding::Zstd,
        Some(_) => return Err(corrupt("unknown `Content-Encoding`")),
    };
    Ok(Some(Meta {
        encoding,
        version: attributes.version.clone(),
        hash: attributes.note("ac-hash").and_then(read_hash),
        ..Meta::new(life, codec, attributes.size)
    }))
}

fn moment(moment: Millis) -> String {
    if moment == FOREVER { NEVER.to_owned() } else { moment.to_string() }
}

fn read_moment(text: &str) -> Option<Millis> {
    if text == NEVER { Some(FOREVER) } else { text.parse().ok() }
}

fn read_hash(text: &str) -> Option<Hash> {
    let mut hash = Hash::default();
    if text.len() != 2 * hash.len() || !text.is_ascii() {
        return None;
    }
    for (at, byte) in hash.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(hash)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn meta() -> Meta {
        let life = Life { created_at: 1, fresh_until: 20, stale_until: FOREVER };
        Meta { encoding: Encoding::Gzip, hash: Some([7; 32]), ..Meta::new(life, Codec::MSGPACK, 5) }
    }

    #[test]
    fn what_was_written_is_read() {
        let attributes = write(&meta());

        let read = read(&attributes).unwrap().unwrap();

        assert_eq!((read.life, read.codec, read.encoding, read.hash), (meta().life, Codec::MSGPACK, Encoding::Gzip, Some([7; 32])));
        assert_eq!(attributes.content_type.as_deref(), Some("application/vnd.msgpack"));
    }

    #[test]
    fn nothing_is_no_description_and_nonsense_is_corrupt() {
        assert!(read(&Attributes::default()).unwrap().is_none());
        for (name, value) in [("ac-v", "2"), ("ac-fresh-until", "soon"), ("ac-codec", "cobol"), ("ac-stale-until", "")] {
            let mut attributes = write(&meta());
            attributes.notes.iter_mut().find(|(own, _)| own == name).unwrap().1 = value.to_owned();
            assert_eq!(read(&attributes).unwrap_err().code(), Code::Corrupt, "{name}");
        }
        let strange = Attributes { encoding: Some("br".to_owned()), ..write(&meta()) };
        assert_eq!(read(&strange).unwrap_err().code(), Code::Corrupt);
    }
}
