//! Answers as HTTP has them.

use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame as BodyFrame, SizeHint};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::{Response, StatusCode};
use mcp_wire::author;

use super::connection::{Connection, Phase};
use super::lane::{Piece, Style, Torn};
use super::reader::Reader;

/// The header that names a session.
pub(super) const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");

/// The body of an answer.
pub(super) enum Answer {
    /// Nothing, or nothing any more.
    Nothing,
    /// All at once.
    Whole(Bytes),
    /// Events as they come.
    Events(Box<Events>),
    /// One message, of which more comes.
    Parts(Box<Parts>),
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Torn;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<BodyFrame<Bytes>, Torn>>> {
        let answer = self.get_mut();
        let bytes = match answer {
            Self::Nothing => None,
            Self::Events(events) => match events.poll(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(bytes) => bytes,
            },
            Self::Parts(parts) => return parts.poll(cx).map(|part| part.map(|part| part.map(BodyFrame::data))),
            Self::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                *answer = Self::Nothing;
                Some(bytes)
            }
        };
        Poll::Ready(bytes.map(|bytes| Ok(BodyFrame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Nothing)
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Nothing => SizeHint::with_exact(0),
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Events(_) | Self::Parts(_) => SizeHint::default(),
        }
    }
}

/// A stream of events.
pub(super) struct Events {
    /// What is written before anything else is looked at.
    parts: VecDeque<Bytes>,
    style: Style,
    reader: Reader,
    connection: Rc<Connection>,
}

impl Events {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if let Some(part) = self.parts.pop_front() {
            return Poll::Ready(Some(part));
        }
        match self.reader.poll_events(cx, self.style) {
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Ready(Some(piece)) => {
                self.connection.moved();
                match piece {
                    Piece::Events(bytes) => Poll::Ready(Some(bytes)),
                    Piece::Part(head, part, end) => {
                        self.parts.extend([head, part, end].into_iter().filter(|bytes| !bytes.is_empty()));
                        Poll::Ready(self.parts.pop_front())
                    }
                    Piece::Large(head, frame) => {
                        let end: &[u8] = if frame.ends_with(b"\n") { b"\n" } else { b"\n\n" };
                        self.parts.extend([frame, Bytes::from_static(end)]);
                        Poll::Ready(Some(head))
                    }
                }
            }
            Poll::Pending if !self.reader.is_within_message() && self.connection.takes_comment() => {
                self.connection.moved();
                Poll::Ready(Some(Bytes::from_static(b": still here\n\n")))
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.connection.enter(Phase::Idle);
    }
}

/// One message as it arrives.
pub(super) struct Parts {
    reader: Reader,
    connection: Rc<Connection>,
}

impl Parts {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Torn>>> {
        let part = self.reader.poll_parts(cx);
        if part.is_ready() {
            self.connection.moved();
        }
        part
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        self.connection.enter(Phase::Idle);
    }
}

fn response(status: StatusCode, body: Answer) -> Response<Answer> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}

/// A message as the whole answer.
pub(super) fn json(status: StatusCode, mut message: Bytes) -> Response<Answer> {
    if message.ends_with(b"\n") {
        message.truncate(message.len() - 1);
    }
    let mut response = response(status, Answer::Whole(message));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A message as the whole answer, while it still arrives. It is a result, so the status is known.
pub(super) fn parts(connection: &Rc<Connection>, reader: Reader) -> Response<Answer> {
    connection.enter(Phase::Answering);
    let parts = Parts { reader, connection: Rc::clone(connection) };
    let mut response = response(StatusCode::OK, Answer::Parts(Box::new(parts)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Events as they come, after these bytes.
pub(super) fn events(connection: &Rc<Connection>, reader: Reader, style: Style, first: Option<Bytes>) -> Response<Answer> {
    connection.enter(Phase::Answering);
    let events = Events { parts: first.into_iter().collect(), style, reader, connection: Rc::clone(connection) };
    stream(Answer::Events(Box::new(events)))
}

/// A stream of events without any, for a request that gets no response.
pub(super) fn no_events() -> Response<Answer> {
    stream(Answer::Nothing)
}

fn stream(body: Answer) -> Response<Answer> {
    let mut response = response(StatusCode::OK, body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform"));
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response
}

/// A status and no body.
pub(super) fn bare(status: StatusCode) -> Response<Answer> {
    response(status, Answer::Nothing)
}

/// A refusal, as a JSON-RPC error that answers this request if its id could be read.
pub(super) fn refusal(status: StatusCode, id: Option<&str>, code: i64, reason: &str) -> Response<Answer> {
    let mut response = json(status, author::error(id, code, reason, None));
    if status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"mcp\""));
    }
    response
}

/// Another method has to be used here.
pub(super) fn wrong_method(allowed: &'static str) -> Response<Answer> {
    let reason = format!("the methods here are {allowed}");
    let mut response = refusal(StatusCode::METHOD_NOT_ALLOWED, None, author::code::INVALID_REQUEST, &reason);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    response
}

/// There is no room; later there may be.
pub(super) fn full(id: Option<&str>, reason: &str) -> Response<Answer> {
    let mut response = json(StatusCode::SERVICE_UNAVAILABLE, author::our_error(id, "full", reason));
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("5"));
    response
}
