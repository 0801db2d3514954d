//! The HTTP client underneath: how it is set up, what is sent with it, and how its failures read.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Once;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use reqwest::Url;
use tokio::sync::oneshot;

/// Node's HTTP server closes a connection that was quiet for five seconds, without a word. A request written just then is
/// lost, and nobody knows whether it was done; so a connection is not used again after four.
const IDLE: Duration = Duration::from_secs(4);

/// Sets up a client for this address. Redirects are followed by [`Session::fetch`](super::session::Session::fetch), which
/// knows where secrets may go.
pub(super) fn build(url: &Url, connect_timeout: Duration) -> Result<reqwest::Client, reqwest::Error> {
    install_ring();
    let mut builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(connect_timeout)
        .pool_idle_timeout(IDLE)
        // There is no limit on how long an answer may take, so a peer that is gone has to be found out otherwise.
        .tcp_keepalive(Duration::from_secs(30))
        .tcp_nodelay(true)
        .user_agent(concat!("mcp/", env!("CARGO_PKG_VERSION")));
    if is_loopback(url) {
        builder = builder.no_proxy();
    }
    builder.build()
}

/// Sets up a client that adds nothing of its own to what it is given, for passing on what others say.
pub(super) fn build_bare(url: &Url) -> Result<reqwest::Client, reqwest::Error> {
    install_ring();
    let mut builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .pool_idle_timeout(IDLE)
        .tcp_keepalive(Duration::from_secs(30))
        .tcp_nodelay(true);
    if is_loopback(url) {
        builder = builder.no_proxy();
    }
    builder.build()
}

/// rustls asks for a provider of cryptography to be named once for the whole process.
pub(super) fn install_ring() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // An error says that another one was named already, which will do as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

/// The address is on this machine.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host_str().map(|h| h.trim_matches(['[', ']'])) {
        Some("localhost") => true,
        Some(host) => host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback()),
        None => false,
    }
}

/// Scheme, host and port are the same.
pub(super) fn is_same_origin(a: &Url, b: &Url) -> bool {
    a.scheme() == b.scheme() && a.host() == b.host() && a.port_or_known_default() == b.port_or_known_default()
}

/// An address for people and logs: user, password and query, where secrets are kept, are left out.
pub(super) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    // These fail only for addresses that have no host, which have no user either.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    if url.query().is_some() {
        url.set_query(Some("…"));
    }
    url.set_fragment(None);
    url.as_str().replace("?%E2%80%A6", "?…")
}

/// Why a request failed, without its address: the innermost reason says most.
pub(super) fn why(error: &reqwest::Error) -> String {
    if error.is_timeout() && error.is_connect() {
        return "no connection in time".to_owned();
    }
    let mut inner: &dyn std::error::Error = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    let text = inner.to_string();
    // Only the outermost text has the address in it.
    if inner.source().is_none() && std::error::Error::source(error).is_none() {
        return text.split(" for url").next().unwrap_or_default().to_owned();
    }
    text
}

/// The body of a request, which tells when it has been taken to be written.
#[derive(Debug)]
pub(super) struct Outgoing {
    data: Option<Bytes>,
    taken: Option<oneshot::Sender<()>>,
}

impl Outgoing {
    /// A body, and what ends when it is taken, or dropped without.
    pub(super) fn new(data: Bytes) -> (Self, oneshot::Receiver<()>) {
        let (taken, is_taken) = oneshot::channel();
        (Self { data: Some(data), taken: Some(taken) }, is_taken)
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.taken.take();
        Poll::Ready(self.data.take().map(|data| Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.data.as_ref().map_or(0, |data| data.len() as u64))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_secrets() {
        let shown = |text: &str| shown(&Url::parse(text).unwrap());
        assert_eq!(shown("https://user:word@example.com/mcp?key=abc#x"), "https://example.com/mcp?…");
        assert_eq!(shown("http://127.0.0.1:8080/mcp"), "http://127.0.0.1:8080/mcp");
    }

    #[test]
    fn only_scheme_host_and_port_make_an_origin() {
        let same = |a: &str, b: &str| is_same_origin(&Url::parse(a).unwrap(), &Url::parse(b).unwrap());
        assert!(same("https://a.example/x", "https://a.example:443/y?z"));
        assert!(!same("https://a.example/x", "http://a.example/x"));
        assert!(!same("https://a.example/x", "https://b.example/x"));
        assert!(!same("https://a.example/x", "https://a.example:8443/x"));
    }

    #[test]
    fn this_machine_is_recognized() {
        for (text, is_it) in [
            ("http://localhost:1/", true),
            ("http://127.0.0.9/", true),
            ("http://[::1]:7/", true),
            ("http://localhost.example/", false),
            ("https://10.0.0.1/", false),
        ] {
            assert_eq!(is_loopback(&Url::parse(text).unwrap()), is_it, "{text}");
        }
    }
}
