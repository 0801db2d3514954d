//! The transport of 2024-11-05, for clients that have no other: one stream on which everything comes, and an address to post
//! to, which the stream's first event names.

use std::rc::Rc;

use bytes::Bytes;
use hyper::{Response, StatusCode};
use mcp_wire::author::code;
use mcp_wire::version::Era;
use mcp_wire::{Frame, NotAFrame};

use super::connection::Connection;
use super::heads::Heads;
use super::lane::Style;
use super::reader::{Reader, SessionReader};
use super::reply::{self, Answer};
use super::session::Session;
use super::{Server, not_a_frame};
use crate::route::{Arrival, StreamId, Via};

/// Opens the stream.
pub(super) fn open(
    server: &Rc<Server>,
    connection: &Rc<Connection>,
    heads: &Heads<'_>,
    prefix: Option<&str>,
) -> Response<Answer> {
    if !heads.accepts_events() {
        let reason = "the header Accept has to allow text/event-stream";
        return reply::refusal(StatusCode::NOT_ACCEPTABLE, None, code::INVALID_REQUEST, reason);
    }
    let Some(session) = server.make_room().then(|| Session::new(server, Via::Sse)).flatten() else {
        return reply::full(None, "there are too many sessions");
    };
    let arrival = Arrival { via: Via::Sse, era: Some(Era::Legacy), pid: None };
    server.sessions.borrow_mut().insert(session.id.clone(), Rc::clone(&session));
    session.is_for(server.hub.open(arrival, Rc::<Session>::clone(&session)));
    let prefix = prefix.map(|token| format!("/{token}")).unwrap_or_default();
    let first = format!("event: endpoint\ndata: {prefix}/message?sessionId={}\n\n", session.id);
    let reader = SessionReader::new(Rc::clone(&session), Rc::clone(&session.standing));
    reply::events(connection, Reader::Session(reader), Style::Named, Some(Bytes::from(first)))
}

/// Takes a message; what it is answered comes on the stream.
pub(super) async fn post(server: &Rc<Server>, query: Option<&str>, read: Result<Frame, NotAFrame>) -> Response<Answer> {
    let id = query.and_then(|q| q.split('&').find_map(|pair| pair.strip_prefix("sessionId=")));
    let session = id.and_then(|id| server.sessions.borrow().get(id).cloned()).filter(|session| session.via == Via::Sse);
    let Some(session) = session else {
        let reason = "there is no such session, or its stream was closed";
        return reply::refusal(StatusCode::NOT_FOUND, None, code::INVALID_REQUEST, reason);
    };
    let frame = match read {
        Ok(frame) => frame,
        Err(reason) => return not_a_frame(&reason),
    };
    session.touch();
    server.hub.room().await;
    match session.peer() {
        Some(peer) => {
            server.hub.frame(peer, StreamId(0), frame);
            reply::bare(StatusCode::ACCEPTED)
        }
        None => reply::refusal(StatusCode::NOT_FOUND, None, code::INVALID_REQUEST, "the session has ended"),
    }
}
