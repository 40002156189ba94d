//! Credentials that a Python client lends: asked for where they are refreshed, in Python.

use std::{
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use async_trait::async_trait;
use pyo3::prelude::*;
use undercroft::{
    Identities,
    engine::{Code, Env, Error, Result},
    stores::{
        gcs::{Token, Tokens},
        s3::{Account, Credentials},
    },
};

use crate::{errors::from_raised, visits::visit_python};

/// A Python object with `region()`, `credentials(forced)` and `token(forced)`.
pub(crate) struct Lent {
    client: Arc<Py<PyAny>>,
    env: Env,
}

impl std::fmt::Debug for Lent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lent").finish_non_exhaustive()
    }
}

impl Lent {
    pub(crate) fn new(client: &Bound<'_, PyAny>) -> Self {
        Self { client: Arc::new(client.clone().unbind()), env: undercroft_native::env() }
    }

    /// Runs `work` in Python where blocking harms nobody, outside the fork gate: it may well send requests of its own.
    async fn call<T: Send + 'static>(&self, work: impl FnOnce(&Bound<'_, PyAny>) -> PyResult<T> + Send + 'static) -> Result<T> {
        let client = self.client.clone();
        let work = move |py: Python<'_>| {
            work(client.bind(py)).map_err(|raised| {
                let error = from_raised(py, raised, "the client that was lent");
                Error::new(Code::Denied, format!("no credentials: {}", error.message()))
            })
        };
        // Not on this thread, even where that may block: what takes too long is not waited for.
        self.env.elsewhere(|| visit_python(work)).await?
    }
}

/// Gives out one client whatever it is asked for.
#[derive(Debug)]
pub(crate) struct LentIdentities(pub(crate) Arc<Lent>);

impl Identities for LentIdentities {
    fn aws(&self, _profile: Option<&str>) -> Arc<dyn Account> {
        self.0.clone()
    }

    fn google(&self, _file: Option<&str>) -> Result<Arc<dyn Tokens>> {
        Ok(self.0.clone())
    }
}

#[async_trait]
impl Account for Lent {
    async fn region(&self) -> Result<Option<String>> {
        self.call(|client| client.call_method0("region")?.extract()).await
    }

    async fn credentials(&self, forced: bool) -> Result<Option<Credentials>> {
        type Given = Option<(String, String, Option<String>, Option<f64>)>;
        let given: Given = self.call(move |client| client.call_method1("credentials", (forced,))?.extract()).await?;
        Ok(given.map(|(id, secret, token, expires_at)| {
            let expires_at = expires_at.map(|seconds| UNIX_EPOCH + Duration::from_secs_f64(seconds.max(0.0)));
            Credentials::new(id, secret, token, expires_at, "undercroft")
        }))
    }
}

#[async_trait]
impl Tokens for Lent {
    async fn token(&self, forced: bool) -> Result<Option<Token>> {
        let given: Option<(String, Option<f64>)> = self.call(move |client| client.call_method1("token", (forced,))?.extract()).await?;
        Ok(given.map(|(text, expires_at)| Token { text: text.into(), expires_at: expires_at.map(|seconds| (seconds.max(0.0) * 1000.0) as u64) }))
    }
}
