//! One conversation with a remote server: what is known of it, and the single way in which requests go out.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use bytes::Bytes;
use mcp_wire::author::{self, code};
use mcp_wire::lines::Line;
use mcp_wire::version::Era;
use mcp_wire::{Frame, Kind};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, LOCATION, WWW_AUTHENTICATE};
use reqwest::{Method, Response, StatusCode, Url};
use serde_json::json;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::access::Access;
use super::client::{self, Outgoing};
use super::mirror::Schemas;
use crate::hub::{Hub, WeakHub};
use crate::upstream::Fate;

/// So often a request is sent on to another place of the same server.
const MOST_REDIRECTS: usize = 5;

/// A request that waits for its answer.
pub(super) struct Open {
    /// Its method.
    pub(super) method: String,
    /// Its era.
    pub(super) era: Era,
    /// Whether it has been written.
    pub(super) sent: Rc<Sent>,
    /// Ends the work on it.
    pub(super) abort: AbortHandle,
}

/// Bytes that wait to be written; counted until they are.
pub(super) struct Sent {
    session: std::rc::Weak<Session>,
    size: Cell<usize>,
    is_done: Notify,
}

impl Sent {
    /// So many bytes, which were counted when they came.
    pub(super) fn new(session: &Rc<Session>, size: usize) -> Rc<Self> {
        Rc::new(Self { session: Rc::downgrade(session), size: Cell::new(size), is_done: Notify::new() })
    }

    /// They are written, or never will be.
    pub(super) fn done(&self) {
        let size = self.size.take();
        if size > 0
            && let Some(session) = self.session.upgrade()
        {
            session.queued.set(session.queued.get() - size);
            if let Some(hub) = session.hub.get() {
                hub.upstream_drained();
            }
        }
        self.is_done.notify_waiters();
    }

    /// Waits until they are.
    pub(super) async fn wait(&self) {
        while self.size.get() > 0 {
            let done = self.is_done.notified();
            if self.size.get() > 0 {
                done.await;
            }
        }
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        self.done();
    }
}

/// What the conversation has come to.
pub(super) struct State {
    /// Where requests go.
    pub(super) url: Url,
    /// The session of the legacy era.
    pub(super) session_id: Option<HeaderValue>,
    /// The revision agreed on in the legacy era.
    pub(super) legacy_version: Option<HeaderValue>,
    /// The revision of the last modern request.
    pub(super) modern_version: Option<HeaderValue>,
    /// Where messages go in the transport of 2024-11-05, when that is what the server speaks.
    pub(super) old_endpoint: Option<Url>,
    /// Requests without an answer, by id.
    pub(super) open: HashMap<String, Open>,
    /// The tools that went by.
    pub(super) schemas: Schemas,
}

/// The server, over all conversations with it.
pub(super) struct Target {
    /// Its address as it was given.
    pub(super) url: Url,
    /// The user's headers.
    pub(super) headers: HeaderMap,
    pub(super) access: Access,
    pub(super) client: reqwest::Client,
    /// How often in a row it could not be reached.
    pub(super) failures: Cell<u32>,
}

/// One conversation.
pub(super) struct Session {
    target: Rc<Target>,
    hub: WeakHub,
    generation: u64,
    /// The largest message.
    pub(super) limit: usize,
    pub(super) state: RefCell<State>,
    /// Bytes that were given to us and are not written yet.
    pub(super) queued: Cell<usize>,
    over: Notify,
    is_over: Cell<bool>,
    has_answered: Cell<bool>,
}

/// Something to ask for.
pub(super) struct Ask {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<(Bytes, Rc<Sent>)>,
}

/// Why there is no answer to speak of.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    #[error("{url} could not be reached: {why}")]
    Unreachable { url: String, why: String },
    #[error("{url} redirects to {to}, which is another server: give that address if you trust it")]
    Elsewhere { url: String, to: String },
    #[error("{url} has moved to {to}: give that address")]
    Moved { url: String, to: String },
    #[error("{url} redirects again and again")]
    Circle { url: String },
    #[error("{url} refuses the `Authorization` header it was given (HTTP 401)")]
    Header { url: String },
    #[error("{url} needs a login: run `mcp login {url}`{}", .why.as_ref().map(|w| format!(" ({w})")).unwrap_or_default())]
    Login { url: String, why: Option<String> },
    #[error("{url} asks for more rights than the login has: run `mcp login {url} --scope '{scope}'`")]
    Scope { url: String, scope: String },
}

impl Refused {
    /// One word for programs, and the status where there was one.
    pub(super) fn reason(&self) -> (&'static str, Option<u16>) {
        match self {
            Self::Unreachable { .. } => ("unreachable", None),
            Self::Elsewhere { .. } | Self::Moved { .. } | Self::Circle { .. } => ("redirect", None),
            Self::Header { .. } => ("authorization-refused", Some(401)),
            Self::Login { .. } => ("login-needed", Some(401)),
            Self::Scope { .. } => ("insufficient-scope", Some(403)),
        }
    }
}

impl Session {
    pub(super) fn new(target: Rc<Target>, hub: &Hub, generation: u64) -> Rc<Self> {
        let state = State {
            url: target.url.clone(),
            session_id: None,
            legacy_version: None,
            modern_version: None,
            old_endpoint: None,
            open: HashMap::new(),
            schemas: Schemas::default(),
        };
        Rc::new(Self {
            target,
            hub: hub.downgrade(),
            generation,
            limit: hub.limits().message,
            state: RefCell::new(state),
            queued: Cell::new(0),
            over: Notify::new(),
            is_over: Cell::new(false),
            has_answered: Cell::new(false),
        })
    }

    /// The address for people.
    pub(super) fn name(&self) -> String {
        client::shown(&self.target.url)
    }

    /// It has ended.
    pub(super) fn is_over(&self) -> bool {
        self.is_over.get()
    }

    /// Waits until it has ended.
    pub(super) async fn ended(&self) {
        loop {
            let ended = self.over.notified();
            if self.is_over.get() {
                return;
            }
            ended.await;
        }
    }

    /// Ends it, and says why, once.
    pub(super) fn end(&self, fate: Fate) {
        if !self.is_over.replace(true) {
            self.over.notify_waiters();
            if let Some(hub) = self.hub.get() {
                hub.upstream_closed(self.generation, fate);
            }
        }
    }

    /// A line for the log.
    pub(super) fn log(&self, text: String) {
        if let Some(hub) = self.hub.get() {
            hub.log(text);
        }
    }

    /// Something the server said, on the answer to a request of ours or not.
    pub(super) fn heard(&self, text: Bytes, on: Option<&str>) -> Option<Frame> {
        match Frame::parse(text.clone()) {
            Ok(frame) => Some(self.seen(frame)),
            Err(mcp_wire::NotAFrame::Batch) => {
                let mut answer = None;
                for frame in Frame::split_batch(&text).into_iter().flatten() {
                    if frame.kind().is_response() && frame.id() == on {
                        answer = Some(self.seen(frame));
                    } else {
                        let frame = self.seen(frame);
                        self.pass(frame, on);
                    }
                }
                answer
            }
            Err(_) => {
                if let Some(hub) = self.hub.get() {
                    hub.upstream_line(self.generation, Line::Text(text));
                }
                None
            }
        }
    }

    /// Notes what has to be known later of a message that came.
    fn seen(&self, frame: Frame) -> Frame {
        if frame.kind() != Kind::Result {
            return frame;
        }
        let mut state = self.state.borrow_mut();
        let Some((method, era)) = frame.id().and_then(|id| state.open.get(id)).map(|o| (o.method.clone(), o.era)) else {
            return frame;
        };
        match (&*method, era) {
            ("initialize", _) => {
                let version = frame.get_string(&["result", "protocolVersion"]);
                state.legacy_version = version.and_then(|v| HeaderValue::try_from(v).ok());
            }
            ("tools/list", Era::Modern) => {
                if let Some((without, bad)) = state.schemas.note(&frame) {
                    drop(state);
                    for (tool, error) in bad {
                        self.log(format!("the tool `{tool}` is left out: {error}"));
                    }
                    return without;
                }
            }
            _ => {}
        }
        frame
    }

    /// Gives a message to the route.
    pub(super) fn pass(&self, frame: Frame, on: Option<&str>) {
        if frame.kind().is_response()
            && let Some(id) = frame.id()
        {
            self.state.borrow_mut().open.remove(id);
        }
        if !self.is_over()
            && let Some(hub) = self.hub.get()
        {
            hub.upstream_frame(self.generation, frame, on.and_then(|id| id.parse().ok()));
        }
    }

    /// Answers a request with an error of ours, if it is still open.
    pub(super) fn refuse(&self, id: &str, message: &str, reason: &str, status: Option<u16>) {
        if self.state.borrow_mut().open.remove(id).is_none() {
            return;
        }
        let mut data = json!({"source": "mcp", "reason": reason});
        if let Some(status) = status {
            data["status"] = status.into();
        }
        let line = author::error(Some(id), code::INTERNAL, message, Some(&data));
        let frame = Frame::parse(line.slice(..line.len() - 1)).expect("an error of our making is a message");
        self.pass(frame, Some(id));
    }

    /// A request could not even be sent. While the server has not answered in this conversation, the second time ends it.
    pub(super) fn failed(&self, id: Option<&str>, refused: &Refused) {
        if let Refused::Unreachable { why, .. } = refused
            && !self.has_answered.get()
        {
            let failures = &self.target.failures;
            failures.set(failures.get().saturating_add(1));
            if failures.get() > 1 {
                let text = format!("could not be reached: {why}");
                self.end(Fate { text, ..Fate::default() });
                return;
            }
        }
        let (reason, status) = refused.reason();
        match id {
            Some(id) => self.refuse(id, &refused.to_string(), reason, status),
            None => self.log(refused.to_string()),
        }
    }

    /// Sends a request: with the user's headers and a token, a second time with a better token if the first is refused,
    /// and on to another place of the same server.
    pub(super) async fn fetch(&self, ask: Ask) -> Result<Response, Refused> {
        let Ask { method, mut url, headers, body } = ask;
        let mut redirects = 0;
        let mut has_renewed = false;
        loop {
            let token = self.target.access.token().await;
            let mut request = self
                .target
                .client
                .request(method.clone(), url.clone())
                .headers(self.target.headers.clone())
                .headers(headers.clone());
            if let Some(value) = token.as_ref().and_then(|t| HeaderValue::try_from(format!("Bearer {t}")).ok()) {
                let mut value = value;
                value.set_sensitive(true);
                request = request.header(AUTHORIZATION, value);
            }
            let sending = async {
                let Some((bytes, sent)) = &body else { return request.send().await };
                let (body, is_taken) = Outgoing::new(bytes.clone());
                let response = request.body(reqwest::Body::wrap(body)).send();
                tokio::pin!(response);
                tokio::select! {
                    response = &mut response => { sent.done(); response }
                    _ = is_taken => { sent.done(); response.await }
                }
            };
            let response = sending.await.map_err(|e| Refused::Unreachable { url: self.name(), why: client::why(&e) })?;
            self.has_answered.set(true);
            self.target.failures.set(0);
            match response.status() {
                StatusCode::UNAUTHORIZED if self.target.headers.contains_key(AUTHORIZATION) => {
                    return Err(Refused::Header { url: self.name() });
                }
                StatusCode::UNAUTHORIZED if !has_renewed => {
                    has_renewed = true;
                    let renewed = self.target.access.renew(token.as_deref()).await;
                    renewed.map_err(|why| Refused::Login { url: self.name(), why })?;
                }
                StatusCode::UNAUTHORIZED => {
                    let why = Some("it refuses the token of the last login".to_owned());
                    return Err(Refused::Login { url: self.name(), why });
                }
                StatusCode::FORBIDDEN => match wanted_scope(response.headers(), &url) {
                    Some(scope) => return Err(Refused::Scope { url: self.name(), scope }),
                    None => return Ok(response),
                },
                status if status.is_redirection() && response.headers().contains_key(LOCATION) => {
                    let to = self.redirect(&method, &url, &response)?;
                    redirects += 1;
                    if redirects > MOST_REDIRECTS {
                        return Err(Refused::Circle { url: self.name() });
                    }
                    url = to;
                }
                _ => return Ok(response),
            }
        }
    }

    /// Where a redirect leads, if the same request may be sent there.
    fn redirect(&self, method: &Method, from: &Url, response: &Response) -> Result<Url, Refused> {
        let to = response.headers().get(LOCATION).and_then(|to| from.join(to.to_str().ok()?).ok());
        let url = self.name();
        let Some(to) = to.filter(|to| client::is_same_origin(to, from)) else {
            let to = response.headers().get(LOCATION).and_then(|to| from.join(to.to_str().ok()?).ok());
            return Err(Refused::Elsewhere { url, to: to.map_or_else(|| "nowhere".to_owned(), |to| client::shown(&to)) });
        };
        // The older kinds turn a POST into a GET, which asks for something else.
        let is_kept = matches!(response.status(), StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT);
        if !is_kept && *method != Method::GET {
            return Err(Refused::Moved { url, to: client::shown(&to) });
        }
        let mut state = self.state.borrow_mut();
        if state.url == *from {
            state.url = to.clone();
        }
        Ok(to)
    }
}

/// The rights a refused request would have needed (RFC 6750, section 3.1).
fn wanted_scope(headers: &HeaderMap, url: &Url) -> Option<String> {
    let challenges = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
    let mut parsed = challenges.map(|value| rmcp::transport::auth::WWWAuthenticateParams::parse(value, url));
    parsed.find(rmcp::transport::auth::WWWAuthenticateParams::is_insufficient_scope).map(|p| p.scope.unwrap_or_default())
}
