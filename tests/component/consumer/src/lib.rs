//! A component that knows only `wasi:keyvalue`.

#[allow(missing_docs, unsafe_op_in_unsafe_fn, clippy::all, reason = "generated")]
mod bindings {
    wit_bindgen::generate!({ path: ["../../../wit/deps/keyvalue", "consumer.wit"], world: "undercroft:consumer/consumer", generate_all });
}

use bindings::{
    Guest,
    wasi::keyvalue::{
        batch,
        store::{self, Bucket, Error},
    },
};

struct Consumer;

bindings::export!(Consumer with_types_in bindings);

fn said(error: Error) -> String {
    match error {
        Error::NoSuchStore => "no-such-store".to_owned(),
        Error::AccessDenied => "access-denied".to_owned(),
        Error::Other(why) => why,
    }
}

fn open(identifier: &str) -> Result<Bucket, String> {
    store::open(identifier).map_err(said)
}

impl Guest for Consumer {
    fn set(identifier: String, key: String, value: Vec<u8>) -> Result<(), String> {
        open(&identifier)?.set(&key, &value).map_err(said)
    }

    fn get(identifier: String, key: String) -> Result<Option<Vec<u8>>, String> {
        open(&identifier)?.get(&key).map_err(said)
    }

    fn delete(identifier: String, key: String) -> Result<(), String> {
        open(&identifier)?.delete(&key).map_err(said)
    }

    fn exists(identifier: String, key: String) -> Result<bool, String> {
        open(&identifier)?.exists(&key).map_err(said)
    }

    fn keys(identifier: String) -> Result<Vec<String>, String> {
        let bucket = open(&identifier)?;
        let (mut keys, mut cursor) = (Vec::new(), None);
        loop {
            let mut page = bucket.list_keys(cursor).map_err(said)?;
            keys.append(&mut page.keys);
            cursor = page.cursor;
            if cursor.is_none() {
                return Ok(keys);
            }
        }
    }

    fn wrong_page(identifier: String) -> Result<Vec<String>, String> {
        Ok(open(&identifier)?.list_keys(Some(77)).map_err(said)?.keys)
    }

    fn many(identifier: String, values: Vec<(String, Vec<u8>)>) -> Result<Vec<Option<(String, Vec<u8>)>>, String> {
        let bucket = open(&identifier)?;
        let keys: Vec<String> = values.iter().map(|(key, _)| key.clone()).chain(["missing".to_owned()]).collect();
        batch::set_many(&bucket, &values).map_err(said)?;
        let found = batch::get_many(&bucket, &keys).map_err(said)?;
        batch::delete_many(&bucket, &keys).map_err(said)?;
        Ok(found)
    }

    fn get_often(identifier: String, key: String, times: u32) -> Result<u64, String> {
        let bucket = open(&identifier)?;
        let mut bytes = 0;
        for _ in 0..times {
            bytes += bucket.get(&key).map_err(said)?.map_or(0, |value| value.len() as u64);
        }
        Ok(bytes)
    }
}
