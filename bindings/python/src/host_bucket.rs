//! A bucket that a Python client serves: for clients that we do not know, or whose requests somebody intercepts.
//!
//! The Python object has `head get part put renew delete delete_many list`, and says what it found in plain values; what
//! they mean is decided where it is for every bucket.

use std::{ops::Range, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use pyo3::{
    prelude::*,
    pybacked::PyBackedBytes,
    types::{PyBytes, PyDict},
};
use undercroft::{
    engine::{Capability, Env, Page, Put, Result, StoreInfo, Usage, Version},
    stores::object::{Attributes, Bucket, Condition, Content, Fetched, Known},
};

use crate::{errors::from_raised, visits::visit_python};

const CONCURRENCY: usize = 32;

pub(crate) struct HostBucket {
    bucket: Arc<Py<PyAny>>,
    label: String,
    scheme: &'static str,
    env: Env,
}

impl std::fmt::Debug for HostBucket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HostBucket").field("label", &self.label).finish_non_exhaustive()
    }
}

impl HostBucket {
    pub(crate) fn new(bucket: &Bound<'_, PyAny>, scheme: &str) -> PyResult<Self> {
        let label = bucket.getattr("label")?.extract()?;
        let scheme = if scheme == "gs" { "gs" } else { "s3" };
        Ok(Self { bucket: Arc::new(bucket.clone().unbind()), label, scheme, env: undercroft_native::env() })
    }

    /// Runs `work` in Python where blocking harms nobody, outside the fork gate.
    async fn call<T: Send + 'static>(&self, method: &'static str, work: impl FnOnce(&Bound<'_, PyAny>) -> PyResult<T> + Send + 'static) -> Result<T> {
        let (bucket, label) = (self.bucket.clone(), self.label.clone());
        let work = move |py: Python<'_>| work(bucket.bind(py)).map_err(|raised| from_raised(py, raised, &format!("`{label}`, {method}")));
        self.env.blocking(|| visit_python(work)).await?
    }
}

/// Reads `(content_type, encoding, notes, size, version)`.
fn attributes(given: &Bound<'_, PyAny>) -> PyResult<Attributes> {
    type Given = (Option<String>, Option<String>, Vec<(String, String)>, u64, Option<String>);
    let (content_type, encoding, notes, size, version): Given = given.extract()?;
    Ok(Attributes { content_type, encoding: encoding.filter(|encoding| !encoding.is_empty()), notes, size, version: version.map(Into::into) })
}

fn notes<'py>(py: Python<'py>, attributes: &Attributes) -> PyResult<Bound<'py, PyDict>> {
    let notes = PyDict::new(py);
    for (name, value) in &attributes.notes {
        notes.set_item(name, value)?;
    }
    Ok(notes)
}

fn bytes(given: &Bound<'_, PyAny>) -> PyResult<Bytes> {
    Ok(Bytes::from_owner(PyBackedBytes::from(given.cast::<PyBytes>()?.clone())))
}

#[async_trait]
impl Bucket for HostBucket {
    fn info(&self) -> StoreInfo {
        let can = Capability { list: true, put_if_absent: true, live: false, bytes: true, paced: false };
        StoreInfo { scheme: self.scheme, label: self.label.clone(), can }
    }

    async fn head(&self, name: &str) -> Result<Option<Attributes>> {
        let name = name.to_owned();
        self.call("head", move |bucket| {
            let found = bucket.call_method1("head", (name,))?;
            if found.is_none() { Ok(None) } else { attributes(&found).map(Some) }
        })
        .await
    }

    async fn get(&self, name: &str, known: Option<Known<'_>>) -> Result<Fetched> {
        let (name, known) = (name.to_owned(), known.map(|known| known.version.to_string()));
        self.call("get", move |bucket| {
            let found = bucket.call_method1("get", (name, known))?;
            if found.is_none() {
                return Ok(Fetched::Missing);
            }
            if found.is_truthy()? && found.is_instance_of::<pyo3::types::PyBool>() {
                return Ok(Fetched::Current);
            }
            let (found, body): (Bound<'_, PyAny>, Bound<'_, PyAny>) = found.extract()?;
            Ok(Fetched::Found(attributes(&found)?, Content::Whole(bytes(&body)?)))
        })
        .await
    }

    async fn part(&self, name: &str, version: &Version, range: Range<u64>) -> Result<Content> {
        let (name, version) = (name.to_owned(), version.to_string());
        self.call("part", move |bucket| bytes(&bucket.call_method1("part", (name, version, range.start, range.end))?).map(Content::Whole)).await
    }

    async fn put(&self, name: &str, attributes: &Attributes, body: Bytes, condition: Condition<'_>) -> Result<Put> {
        let (name, attributes) = (name.to_owned(), attributes.clone());
        let (absent, matches) = match condition {
            Condition::Always => (false, None),
            Condition::Absent => (true, None),
            Condition::Matches(version) => (false, Some(version.to_string())),
        };
        self.call("put", move |bucket| {
            let py = bucket.py();
            let about = (attributes.content_type.clone(), attributes.encoding.clone(), notes(py, &attributes)?);
            let stored = bucket.call_method1("put", (name, about, PyBytes::new(py, &body), absent, matches))?.is_truthy()?;
            Ok(if stored { Put::Stored } else { Put::Present })
        })
        .await
    }

    async fn renew(&self, name: &str, attributes: &Attributes, version: &Version) -> Result<bool> {
        let (name, attributes, version) = (name.to_owned(), attributes.clone(), version.to_string());
        self.call("renew", move |bucket| {
            let about = (attributes.content_type.clone(), attributes.encoding.clone(), notes(bucket.py(), &attributes)?);
            bucket.call_method1("renew", (name, about, version))?.is_truthy()
        })
        .await
    }

    async fn delete(&self, name: &str) -> Result<()> {
        let name = name.to_owned();
        self.call("delete", move |bucket| bucket.call_method1("delete", (name,)).map(|_| ())).await
    }

    async fn delete_many(&self, names: &[String]) -> Result<()> {
        let names = names.to_vec();
        self.call("delete_many", move |bucket| bucket.call_method1("delete_many", (names,)).map(|_| ())).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Page> {
        let (prefix, after) = (prefix.to_owned(), after.map(str::to_owned));
        let (keys, next) = self.call("list", move |bucket| bucket.call_method1("list", (prefix, after))?.extract()).await?;
        Ok(Page { keys, next })
    }

    fn usage(&self) -> Option<Usage> {
        None
    }

    fn concurrency(&self) -> usize {
        CONCURRENCY
    }
}
