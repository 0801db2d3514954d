//! Clients over HTTP: one shared server, on one address, for every revision of the protocol.
//!
//! What a request is follows from the request alone. `initialize`, or a session's id, makes it one of the legacy era
//! ([`legacy`]); a header or a body that brings its own modern revision makes it one that stands alone ([`modern`]); a path
//! makes it one of the oldest transport ([`old_sse`]). [`gate`] decides before that whether the request is let in at all.
//!
//! Everything runs on the thread of the [`Hub`], one task for each connection and none for a request. Answers are
//! [lanes](lane): the hub puts messages in and wakes the connection, which writes as fast as its client reads. So a client that
//! does not read fills its own lane and nothing else. An answer that is one message is sent as `application/json`, in one
//! write; as soon as something else comes first, or nothing for [`HttpOptions::keep_alive`], it becomes a stream of events.
//!
//! Time is kept by one task for all connections and sessions ([`sweep`]), not by a timer for each request: those would cost
//! more than the rest of a small call. Limits of time are therefore kept to a quarter of their length.
//!
//! Decisions the specification leaves open:
//! - A session's answer can be resumed once the client has been told an event id. A connection that is lost before that loses
//!   the answer: the client could not name what it wants.
//! - A second stand-alone stream is refused (409), except when it resumes the first: then that one is known to be dead, though
//!   nobody noticed.
//! - The answers to a batch are events of one stream.
//! - With the sessions used up, the one that was silent the longest makes room, if it is not waiting for anything. Most clients
//!   never end their sessions.
//! - A legacy JSON-RPC error has the status 200, since the official clients of that era treat others as a broken transport.
//! - No `Accept` header means that anything is accepted, as HTTP has it.

mod body;
mod connection;
mod gate;
mod heads;
mod lane;
mod legacy;
mod mirror;
mod modern;
mod old_sse;
mod reader;
mod reply;
mod session;
mod sweep;

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use foldhash::HashMap;
use hyper::body::{Body as _, Incoming};
use hyper::{Method, Request, Response, StatusCode};
use mcp_wire::author::code;
use mcp_wire::{Frame, NotAFrame};
use tokio::net::TcpListener;
use tokio::sync::Notify;

use self::body::Unread;
use self::connection::{Connection, Phase};
use self::gate::Place;
use self::heads::Heads;
use self::lane::Counters;
use self::reply::Answer;
use self::session::Session;
use crate::hub::Hub;

/// How clients are served. The largest message is the hub's limit.
#[derive(Clone, Debug)]
pub struct HttpOptions {
    /// Where streamable HTTP is; `/sse` is beside it.
    pub path: String,
    /// What a client has to show: as `Authorization: Bearer …`, or before the path. None for whoever comes.
    pub token: Option<String>,
    /// Origins of web pages that may talk to us besides our own; `*` for all.
    pub origins: Vec<String>,
    /// Names in `Host` besides those of this machine; `*` for all.
    pub hosts: Vec<String>,
    /// Sessions at a time.
    pub max_sessions: usize,
    /// Connections at a time.
    pub max_connections: usize,
    /// Header lines of a request.
    pub max_headers: usize,
    /// Bytes of a request's headers.
    pub max_header_bytes: usize,
    /// How long a session stays without a stream or a request.
    pub session_idle: Duration,
    /// How long a connection stays without a request.
    pub connection_idle: Duration,
    /// How long a request may take to arrive, from one piece to the next.
    pub read_timeout: Duration,
    /// How long a client may take nothing of what it is sent.
    pub write_timeout: Duration,
    /// How long an answer is quiet before a comment is sent.
    pub keep_alive: Duration,
    /// How long a complete answer is kept for a client that lost its connection.
    pub keep_answer: Duration,
    /// Events a session keeps for a client that comes back.
    pub replay_events: usize,
    /// Bytes of such events.
    pub replay_bytes: usize,
    /// How long answers may take to be completed after the end was asked for.
    pub grace: Duration,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            path: "/mcp".to_owned(),
            token: None,
            origins: Vec::new(),
            hosts: Vec::new(),
            max_sessions: 1024,
            max_connections: 4096,
            max_headers: 100,
            max_header_bytes: 64 << 10,
            session_idle: Duration::from_mins(30),
            connection_idle: Duration::from_mins(5),
            read_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_mins(1),
            keep_alive: Duration::from_secs(15),
            keep_answer: Duration::from_mins(1),
            replay_events: 256,
            replay_bytes: 512 << 10,
            grace: Duration::from_secs(2),
        }
    }
}

/// Judges where a request comes from, as [`serve`] does with these options; says why it is not let in.
pub(crate) fn admit_source(
    options: &HttpOptions,
    headers: &hyper::HeaderMap,
    uri: &hyper::Uri,
    local: std::net::IpAddr,
) -> Result<(), (StatusCode, String)> {
    gate::admit_source(options, &Heads::read(headers), uri, local).map_err(|refused| (refused.status, refused.reason))
}

/// What is open, for a status page and for tests that look for leaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HttpStatus {
    /// Connections.
    pub connections: usize,
    /// Sessions, those that are being opened included.
    pub sessions: usize,
    /// Answers that a client reads or waits for.
    pub streams: usize,
    /// Answers of sessions that are not complete, or are kept for a client that comes back.
    pub answers: usize,
    /// Log lines that were dropped because a client read too slowly or had no stream.
    pub dropped_logs: u64,
    /// Other messages that later ones took the place of.
    pub merged: u64,
}

struct Server {
    hub: Hub,
    options: HttpOptions,
    counters: Rc<Counters>,
    sessions: RefCell<HashMap<String, Rc<Session>>>,
    opening: Cell<usize>,
    connections: RefCell<HashMap<u64, Rc<Connection>>>,
    last_connection: Cell<u64>,
    /// There is something to look after again, or one thing less.
    changed: Notify,
}

/// The HTTP side of one hub. Clones are the same. Lives on the hub's `LocalSet`.
#[derive(Clone)]
pub struct HttpServer(Rc<Server>);

impl HttpServer {
    /// Nobody there yet.
    pub fn new(hub: Hub, options: HttpOptions) -> Self {
        Self(Rc::new(Server {
            hub,
            options,
            counters: Rc::default(),
            sessions: RefCell::default(),
            opening: Cell::new(0),
            connections: RefCell::default(),
            last_connection: Cell::new(0),
            changed: Notify::new(),
        }))
    }

    /// What is open.
    pub fn status(&self) -> HttpStatus {
        let server = &self.0;
        let sessions = server.sessions.borrow();
        HttpStatus {
            connections: server.connections.borrow().len(),
            sessions: sessions.len() + server.opening.get(),
            streams: server.counters.streams.get(),
            answers: sessions.values().map(|session| session.lanes()).sum(),
            dropped_logs: server.counters.dropped_logs.get(),
            merged: server.counters.merged.get(),
        }
    }

    /// Serves clients until `shutdown` is over, and then until their answers are complete, though not for long.
    pub async fn serve(&self, listener: TcpListener, shutdown: impl Future<Output = ()>) {
        let server = &self.0;
        let _sweeper = Sweeper(tokio::task::spawn_local(sweep::sweep(Rc::downgrade(server))));
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = &mut shutdown => break,
            };
            match accepted {
                Ok((stream, _)) => server.take(stream),
                // The client is gone already, or there are no file descriptors left: the latter passes, if not at once.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
        drop(listener);
        server.end().await;
    }
}

/// The sweep goes on as long as somebody serves, however that ends.
struct Sweeper(tokio::task::JoinHandle<()>);

impl Drop for Sweeper {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Serves the clients of a hub until `shutdown` is over.
pub async fn serve(listener: TcpListener, hub: Hub, options: HttpOptions, shutdown: impl Future<Output = ()>) {
    HttpServer::new(hub, options).serve(listener, shutdown).await;
}

impl Server {
    fn take(self: &Rc<Self>, stream: tokio::net::TcpStream) {
        if self.connections.borrow().len() >= self.options.max_connections {
            // A new socket has room for this; if not, the client sees the end alone.
            let _ = stream.try_write(b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
            return;
        }
        let Ok(local) = stream.local_addr() else { return };
        let number = self.last_connection.get() + 1;
        self.last_connection.set(number);
        let connection = Rc::new(Connection::new(local.ip()));
        self.connections.borrow_mut().insert(number, Rc::clone(&connection));
        self.changed.notify_waiters();
        let listed = Listed { server: Rc::clone(self), number };
        tokio::task::spawn_local(async move {
            connection::serve(Rc::clone(&listed.server), connection, stream).await;
            drop(listed);
        });
    }

    /// Whether one more session may be opened; the one that was silent the longest may have to go for it.
    fn make_room(&self) -> bool {
        if self.sessions.borrow().len() + self.opening.get() < self.options.max_sessions {
            return true;
        }
        let silent = self.sessions.borrow().values().filter(|s| !s.is_read()).min_by_key(|s| s.last_used()).cloned();
        match silent {
            None => false,
            Some(session) => {
                session.close("another session took its place");
                true
            }
        }
    }

    async fn end(&self) {
        let sessions: Vec<Rc<Session>> = self.sessions.borrow().values().cloned().collect();
        for session in &sessions {
            session.standing.finish();
        }
        self.connections.borrow().values().for_each(|connection| connection.drain());
        let _ = tokio::time::timeout(self.options.grace, self.all_connections_gone()).await;
        for session in sessions {
            session.close("the endpoint was closed");
        }
        self.connections.borrow().values().for_each(|connection| connection.close());
        let _ = tokio::time::timeout(self.options.grace, self.all_connections_gone()).await;
    }

    async fn all_connections_gone(&self) {
        loop {
            let changed = self.changed.notified();
            if self.connections.borrow().is_empty() {
                return;
            }
            changed.await;
        }
    }
}

/// A connection's place in the list, until its task is over, however that comes.
struct Listed {
    server: Rc<Server>,
    number: u64,
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.server.connections.borrow_mut().remove(&self.number);
        self.server.changed.notify_waiters();
    }
}

/// Answers a request that could not be read as a message.
fn not_a_frame(reason: &NotAFrame) -> Response<Answer> {
    let code = match reason {
        NotAFrame::Syntax(_) => code::PARSE,
        NotAFrame::Batch | NotAFrame::Shape => code::INVALID_REQUEST,
    };
    reply::refusal(StatusCode::BAD_REQUEST, None, code, &format!("the body is no message: {reason}"))
}

/// Answers a request. Dropped when the client is gone.
async fn handle(server: Rc<Server>, connection: Rc<Connection>, request: Request<Incoming>) -> Response<Answer> {
    connection.enter(Phase::Answering);
    let response = answer(&server, &connection, request).await;
    if !matches!(response.body(), Answer::Events(_)) {
        connection.enter(Phase::Idle);
    }
    response
}

async fn answer(server: &Rc<Server>, connection: &Rc<Connection>, request: Request<Incoming>) -> Response<Answer> {
    let (parts, body) = request.into_parts();
    let heads = Heads::read(&parts.headers);
    let refuse = |response: Response<Answer>| {
        if !body.is_end_stream() {
            connection.linger();
        }
        response
    };
    let target = match gate::admit(&server.options, &heads, &parts.uri, connection.local) {
        Ok(target) => target,
        Err(refused) => return refuse(reply::refusal(refused.status, None, code::INVALID_REQUEST, &refused.reason)),
    };
    match (target.place, &parts.method) {
        (Place::Mcp | Place::OldMessage, &Method::POST) => {}
        (Place::OldStream, &Method::GET) => return refuse(old_sse::open(server, connection, &heads, target.prefix)),
        (Place::OldStream, _) => return refuse(reply::wrong_method("GET")),
        (Place::OldMessage, _) => return refuse(reply::wrong_method("POST")),
        (Place::Mcp, _) if modern::is_claimed(heads.version) => return refuse(reply::wrong_method("POST")),
        (Place::Mcp, &Method::GET) => return refuse(legacy::get(server, connection, &heads)),
        (Place::Mcp, &Method::DELETE) => return refuse(legacy::delete(server, &heads)),
        (Place::Mcp, _) => return refuse(reply::wrong_method("GET, POST, DELETE")),
    }
    let wrong = |status, reason| reply::refusal(status, None, code::INVALID_REQUEST, reason);
    if !heads.is_json {
        return refuse(wrong(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the body has to be application/json, not compressed"));
    }
    if target.place == Place::Mcp && !heads.accepts_both() {
        let reason = "the header Accept has to allow application/json and text/event-stream";
        return refuse(wrong(StatusCode::NOT_ACCEPTABLE, reason));
    }
    let limit = server.hub.limits().message;
    let body = match body::read(connection, body, limit).await {
        Ok(body) => body,
        Err(Unread::Torn) => return wrong(StatusCode::BAD_REQUEST, "the body broke off"),
        Err(Unread::TooLarge) => {
            let reason = format!("the body is larger than a message may be, which is {limit} bytes");
            return wrong(StatusCode::PAYLOAD_TOO_LARGE, &reason);
        }
    };
    connection.enter(Phase::Answering);
    let read = Frame::parse(body.clone());
    if target.place == Place::OldMessage {
        return old_sse::post(server, parts.uri.query(), read).await;
    }
    let is_modern = modern::is_claimed(heads.version) || (heads.session.is_none() && read.as_ref().is_ok_and(modern::is_in_body));
    if is_modern {
        return modern::post(server, connection, &heads, &parts.headers, read).await;
    }
    if let Some(name) = heads.twice {
        return wrong(StatusCode::BAD_REQUEST, &format!("the header {name} appears twice"));
    }
    legacy::post(server, connection, &heads, body, read).await
}
