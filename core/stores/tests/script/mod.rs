//! An HTTP client that answers from a script, for what no server in the tests does.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::{collections::VecDeque, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream;
use parking_lot::Mutex;
use undercroft_engine::{
    Env, Random, Result,
    http::{Http, Request, Response},
    manual::{self, ManualClock},
};

/// Status, headers and body.
type Planned = (u16, Vec<(&'static str, String)>, Bytes);

/// Answers in their order, and keeps the requests.
#[derive(Debug, Default)]
pub struct Script {
    answers: Mutex<VecDeque<Planned>>,
    requests: Mutex<Vec<Request>>,
}

impl Script {
    /// Returns a script, and an environment on a manual clock that it answers in.
    pub fn env() -> (Arc<Self>, Env) {
        let script = Arc::new(Self::default());
        // Chance draws nothing: so nobody waits between two attempts.
        let env = Env { http: Arc::new(Sender(script.clone())), random: Arc::new(Least), ..manual::env(&Arc::new(ManualClock::default())) };
        (script, env)
    }

    /// Plans an answer.
    pub fn answer(&self, status: u16, headers: &[(&'static str, &str)], body: impl Into<Bytes>) {
        let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        self.answers.lock().push_back((status, headers, body.into()));
    }

    /// Returns the requests since the last look: method, URI and body.
    pub fn asked(&self) -> Vec<(String, String, String)> {
        let requests = std::mem::take(&mut *self.requests.lock());
        requests
            .into_iter()
            .map(|request| (request.method().to_string(), request.uri().to_string(), String::from_utf8_lossy(request.body()).into_owned()))
            .collect()
    }

    /// Returns one header of the last request.
    pub fn header(&self, name: &str) -> Option<String> {
        self.requests.lock().last()?.headers().get(name).map(|value| value.to_str().unwrap().to_owned())
    }
}

#[derive(Debug)]
struct Least;

impl Random for Least {
    fn unit(&self) -> f64 {
        0.0
    }
}

#[derive(Debug)]
struct Sender(Arc<Script>);

#[async_trait]
impl Http for Sender {
    async fn send(&self, request: Request) -> Result<Response> {
        self.0.requests.lock().push(request);
        let (status, headers, body) = self.0.answers.lock().pop_front().expect("an answer was planned");
        let mut response = http::Response::builder().status(status).header("content-length", body.len());
        for (name, value) in headers {
            response = response.header(name, value);
        }
        Ok(response.body(Box::pin(stream::iter([Ok(body)])) as _).unwrap())
    }
}
