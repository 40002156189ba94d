//! Requests of the component: which hosts they may go to, and one client with kept connections for all instances.

use std::{error::Error as _, sync::OnceLock, time::Duration};

use futures_util::TryStreamExt;
use http_body::Frame;
use http_body_util::{BodyExt, BodyStream, StreamBody};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

/// Connections that nobody has used for this long are closed: services close theirs after 20 seconds or more.
const IDLE: Duration = Duration::from_secs(18);
const CONNECT: Duration = Duration::from_secs(3);

/// The hosts that requests may go to, and the client that sends them: for linkers of one's own, as hooks of `wasi:http`.
#[derive(Clone, Debug, Default)]
pub struct Hosts(Vec<String>);

impl Hosts {
    /// Lets requests out to a host, as [`Settings::allow`](crate::Settings::allow) does.
    pub fn allow(&mut self, host: impl Into<String>) {
        self.0.push(host.into().to_ascii_lowercase());
    }

    fn allows(&self, uri: &http::Uri) -> bool {
        let Some(host) = uri.host().map(str::to_ascii_lowercase) else { return false };
        let port = uri.port_u16().unwrap_or(if uri.scheme() == Some(&http::uri::Scheme::HTTP) { 80 } else { 443 });
        let (with_port, address) = (format!("{host}:{port}"), host.trim_matches(['[', ']']));
        self.0.iter().any(|allowed| match allowed.strip_prefix("*.") {
            Some(domain) => host.strip_suffix(domain).is_some_and(|below| below.ends_with('.')),
            None => allowed == "*" || *allowed == host || allowed == address || *allowed == with_port,
        })
    }
}

impl WasiHttpHooks for Hosts {
    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        _options: Option<RequestOptions>,
        _processed: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Sent {
        let allowed = self.allows(request.uri());
        Box::new(async move { if allowed { send(request).await } else { Err(Error::HttpRequestDenied) } })
    }
}

/// What becomes of a connection after its answer.
type Aftermath = Box<dyn Future<Output = Result<(), Error>> + Send>;
type Sent = Box<dyn Future<Output = Result<(http::Response<WasiBody>, Aftermath), Error>> + Send>;

async fn send(request: http::Request<WasiBody>) -> Result<(http::Response<WasiBody>, Aftermath), Error> {
    let (mut head, body) = request.into_parts();
    // reqwest writes it from the URI.
    head.headers.remove(http::header::HOST);
    let body = if head.headers.contains_key(http::header::CONTENT_LENGTH) {
        reqwest::Body::wrap_stream(BodyStream::new(body).try_filter_map(|frame| async { Ok(frame.into_data().ok()) }))
    } else {
        reqwest::Body::from(body.collect().await?.to_bytes())
    };
    let request = reqwest::Request::try_from(http::Request::from_parts(head, body)).map_err(|_| Error::HttpRequestUriInvalid)?;
    let mut response = client()?.execute(request).await.map_err(failed)?;
    let mut answer = http::Response::builder().status(response.status());
    if let Some(headers) = answer.headers_mut() {
        *headers = std::mem::take(response.headers_mut());
    }
    let chunks = response.bytes_stream().map_ok(Frame::data).map_err(failed);
    let answer = answer.body(BodyExt::boxed_unsync(StreamBody::new(chunks))).map_err(|_| Error::HttpProtocolError)?;
    Ok((answer, Box::new(std::future::ready(Ok(())))))
}

/// Returns the client of this process: connections are shared by all instances.
fn client() -> Result<&'static reqwest::Client, Error> {
    static CLIENT: OnceLock<Option<reqwest::Client>> = OnceLock::new();
    let client = CLIENT.get_or_init(|| {
        // Whoever else in the process has chosen a provider may keep it.
        let _chosen = rustls::crypto::ring::default_provider().install_default();
        let builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).referer(false).retry(reqwest::retry::never()).http1_only();
        builder.tcp_nodelay(true).connect_timeout(CONNECT).pool_idle_timeout(IDLE).build().ok()
    });
    client.as_ref().ok_or(Error::ConfigurationError)
}

/// Says what WASI calls this failure.
fn failed(error: reqwest::Error) -> Error {
    let refused = || {
        let mut cause = error.source();
        while let Some(inner) = cause {
            if let Some(io) = inner.downcast_ref::<std::io::Error>() {
                return io.kind() == std::io::ErrorKind::ConnectionRefused;
            }
            cause = inner.source();
        }
        false
    };
    match &error {
        error if error.is_dns() => Error::DnsError { rcode: None, info_code: None },
        error if error.is_connect() && error.is_timeout() => Error::ConnectionTimeout,
        error if error.is_timeout() => Error::HttpResponseTimeout,
        error if error.is_connect() && refused() => Error::ConnectionRefused,
        error if error.is_connect() => Error::DestinationUnavailable,
        error if error.is_body() || error.is_decode() => Error::HttpResponseIncomplete,
        _ => Error::ConnectionTerminated,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_allowed_by_name_port_and_domain() {
        for (allowed, uri, expected) in [
            ("example.org", "https://example.org/x", true),
            ("Example.org", "http://EXAMPLE.org:8080/", true),
            ("example.org", "https://a.example.org/", false),
            ("example.org", "https://example.org.evil.net/", false),
            ("example.org", "https://example.org@evil.net/", false),
            ("example.org:443", "https://example.org/", true),
            ("example.org:443", "http://example.org/", false),
            ("example.org:80", "http://example.org/", true),
            ("example.org:8080", "http://example.org:8080/", true),
            ("*.example.org", "https://a.b.example.org/", true),
            ("*.example.org", "https://example.org/", false),
            ("*.example.org", "https://badexample.org/", false),
            ("::1", "http://[::1]:9000/", true),
            ("[::1]:9000", "http://[::1]:9000/", true),
            ("*", "http://anything:1/", true),
        ] {
            let mut hosts = Hosts::default();
            hosts.allow(allowed);
            assert_eq!(hosts.allows(&uri.parse().expect("a URI")), expected, "{allowed}: {uri}");
        }
        assert!(!Hosts::default().allows(&"https://example.org/".parse().expect("a URI")));
    }
}
