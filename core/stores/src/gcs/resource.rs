//! Resources: how the JSON API describes an object.

use bytes::Bytes;
use serde_json::{Map, Value, json};
use undercroft_engine::{Code, Error, Result};

use super::version;
use crate::object::{Attributes, base64};

/// A description of an object (JSON API, "Objects").
pub(super) struct Resource(Map<String, Value>);

impl Resource {
    /// Describes a new object; the service compares the checksum with what arrives.
    pub(super) fn new(name: &str, attributes: &Attributes, storage_class: Option<&str>, body: &Bytes) -> Self {
        let mut resource = Map::new();
        resource.insert("name".to_owned(), json!(name));
        resource.insert("metadata".to_owned(), notes(attributes));
        resource.insert("crc32c".to_owned(), json!(base64::encode(&crc32c::crc32c(body).to_be_bytes())));
        let texts = [("contentType", attributes.content_type.as_deref()), ("contentEncoding", attributes.encoding.as_deref()), ("storageClass", storage_class)];
        for (name, text) in texts {
            if let Some(text) = text {
                resource.insert(name.to_owned(), json!(text));
            }
        }
        Self(resource)
    }

    pub(super) fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(&self.0).expect("texts can be written")
    }

    /// Reads what the service says.
    pub(super) fn read(body: &[u8]) -> Result<Self> {
        serde_json::from_slice(body).map(Self).map_err(|error| no_resource(&error))
    }

    pub(super) fn attributes(&self) -> Attributes {
        let text = |name: &str| self.0.get(name).and_then(Value::as_str);
        // Numbers of 64 bits are texts in JSON; emulators write numbers.
        let number = |name: &str| self.0.get(name).map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        let notes = self.0.get("metadata").and_then(Value::as_object).into_iter().flatten();
        Attributes {
            content_type: text("contentType").map(str::to_owned),
            encoding: text("contentEncoding").filter(|encoding| !encoding.is_empty()).map(str::to_owned),
            notes: notes.filter_map(|(name, value)| Some((name.to_lowercase(), value.as_str()?.to_owned()))).collect(),
            size: number("size").and_then(|size| size.parse().ok()).unwrap_or(0),
            version: number("generation").map(|generation| version(&generation, &number("metageneration").unwrap_or_default(), "")),
        }
    }
}

fn notes(attributes: &Attributes) -> Value {
    attributes.notes.iter().map(|(name, value)| (name.clone(), json!(value))).collect::<Map<_, _>>().into()
}

/// Returns the change that replaces the notes.
pub(super) fn patch(attributes: &Attributes) -> Vec<u8> {
    serde_json::to_vec(&json!({ "metadata": notes(attributes) })).expect("texts can be written")
}

/// Reads a page of a list, without the key after which it begins: its keys, and the token of the next page.
pub(super) fn read_page(body: &[u8], after: Option<&str>) -> Result<(Vec<String>, Option<String>)> {
    let page: Value = serde_json::from_slice(body).map_err(|error| no_resource(&error))?;
    let names = page["items"].as_array().into_iter().flatten().filter_map(|item| item["name"].as_str());
    let keys = names.filter(|name| after.is_none_or(|after| *name > after)).map(str::to_owned).collect();
    Ok((keys, page["nextPageToken"].as_str().map(str::to_owned)))
}

fn no_resource(error: &serde_json::Error) -> Error {
    Error::new(Code::Unavailable, format!("the service's answer is no valid JSON: {error}"))
}

/// Reads a CRC-32C as Google writes it: base64 of the big-endian number.
pub(super) fn read_sum(text: &str) -> Option<u32> {
    Some(u32::from_be_bytes(base64::decode(text)?.try_into().ok()?))
}
