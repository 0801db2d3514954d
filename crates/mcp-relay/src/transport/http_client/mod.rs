//! A server somewhere else, over streamable HTTP of either era, or HTTP+SSE where the server knows nothing newer.
//!
//! To the route it is a server like any other: messages in, messages out. What HTTP wants beyond that is done here: headers
//! that repeat parts of a modern message, the session of the legacy era with its streams, what a status means, and the
//! token of a [login](login).

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use tokio::sync::mpsc;

use self::access::Access;
use self::session::{Session, Target};
use self::tokens::Vault;
use crate::hub::Hub;
use crate::upstream::{Connector, Fate, Upstream};

mod access;
mod answer;
mod client;
mod listen;
pub mod login;
pub mod mirror;
mod old_sse;
mod post;
mod pump;
mod relist;
mod session;
pub mod tokens;

/// A client for a proxy: see [`client::build_bare`].
pub(crate) fn outgoing(url: &reqwest::Url) -> Result<reqwest::Client, reqwest::Error> {
    client::build_bare(url)
}

/// Which server, and what to send along.
#[derive(Clone)]
pub struct RemoteOptions {
    /// Its address.
    pub url: String,
    /// Headers for every request to it: name and value.
    pub headers: Vec<(String, String)>,
    /// The logins of the user. An `Authorization` header is used instead of any.
    pub vault: Option<Arc<Vault>>,
    /// How long a connection may take to come about.
    pub connect_timeout: Duration,
}

impl RemoteOptions {
    /// A server by its address alone.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), headers: Vec::new(), vault: None, connect_timeout: Duration::from_secs(15) }
    }
}

impl std::fmt::Debug for RemoteOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let url = Url::parse(&self.url).map_or_else(|_| "unreadable".to_owned(), |url| client::shown(&url));
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("RemoteOptions").field("url", &url).field("headers", &names).finish_non_exhaustive()
    }
}

/// Options that no request can be made of.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RemoteError {
    /// The address is none.
    #[error("`{url}` is no URL: {why}")]
    Url {
        /// As given.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// The name or value of a header breaks the rules.
    #[error("the header `{name}` cannot be sent: {why}")]
    Header {
        /// Its name.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The HTTP client could not be set up.
    #[error("set up the HTTP client")]
    Client(#[source] reqwest::Error),
}

/// Headers that are ours: with other values the server would be told something untrue.
const OURS: [&str; 10] = [
    "accept",
    "connection",
    "content-length",
    "content-type",
    "host",
    "last-event-id",
    "mcp-method",
    "mcp-name",
    "mcp-protocol-version",
    "mcp-session-id",
];

/// Reads an address: `http` or `https`, with a host.
fn parse_url(text: &str) -> Result<Url, RemoteError> {
    let bad = |why: String| RemoteError::Url { url: text.split('?').next().unwrap_or_default().to_owned(), why };
    let url = Url::parse(text.trim()).map_err(|error| bad(error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(bad("it begins neither with `https://` nor with `http://`".to_owned()));
    }
    Ok(url)
}

/// The name by which a server's login is kept.
pub fn resource_of(url: &str) -> Result<String, RemoteError> {
    parse_url(url).map(|url| resource(&url))
}

fn resource(url: &Url) -> String {
    let mut url = url.clone();
    url.set_fragment(None);
    // These fail only for addresses without a host.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.into()
}

/// Connects to one remote server.
pub struct RemoteConnector {
    target: Rc<Target>,
}

impl std::fmt::Debug for RemoteConnector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RemoteConnector").field("url", &client::shown(&self.target.url)).finish_non_exhaustive()
    }
}

impl RemoteConnector {
    /// Checks the options; sends nothing yet.
    pub fn new(options: RemoteOptions) -> Result<Self, RemoteError> {
        let url = parse_url(&options.url)?;
        let mut headers = HeaderMap::new();
        for (name, value) in options.headers {
            let bad = |why| RemoteError::Header { name: name.clone(), why };
            let key = HeaderName::try_from(&name).map_err(|_| bad("its name has characters that a header may not have"))?;
            if OURS.contains(&key.as_str()) || key.as_str().starts_with("mcp-param-") {
                return Err(bad("it is set by the protocol"));
            }
            let mut value =
                HeaderValue::try_from(value).map_err(|_| bad("its value has characters that a header may not have"))?;
            value.set_sensitive(true);
            headers.append(key, value);
        }
        let vault = options.vault.filter(|_| !headers.contains_key(AUTHORIZATION));
        let client = client::build(&url, options.connect_timeout).map_err(RemoteError::Client)?;
        let access = Access::new(vault, resource(&url));
        Ok(Self { target: Rc::new(Target { url, headers, access, client, failures: Cell::new(0) }) })
    }
}

impl Connector for RemoteConnector {
    fn connect(&self, hub: &Hub, generation: u64) -> Result<Rc<dyn Upstream>, Fate> {
        let session = Session::new(Rc::clone(&self.target), hub, generation);
        let (sender, frames) = mpsc::unbounded_channel();
        tokio::task::spawn_local(pump::run(Rc::clone(&session), frames));
        Ok(Rc::new(Remote { session, sender: RefCell::new(Some(sender)) }))
    }
}

/// The way to the server. Without it, the conversation ends.
struct Remote {
    session: Rc<Session>,
    sender: RefCell<Option<mpsc::UnboundedSender<Bytes>>>,
}

impl Upstream for Remote {
    fn send(&self, frame: Bytes) {
        let size = frame.len();
        let is_taken = self.sender.borrow().as_ref().is_some_and(|sender| sender.send(frame).is_ok());
        if is_taken {
            self.session.queued.set(self.session.queued.get() + size);
        }
    }

    fn queued(&self) -> usize {
        self.session.queued.get()
    }

    fn close(&self) {
        self.sender.borrow_mut().take();
    }
}
