//! Reading the body of an answer: one message, or a stream of events.

use std::rc::Rc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use mcp_wire::sse::{Event, Parser};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Response, StatusCode};

use super::client;
use super::session::Session;

/// A stream that has brought the answer it is about should end. One that does not is ended.
const AFTER_ANSWER: Duration = Duration::from_secs(10);

/// How far a stream of events was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// The id of the last event that had one.
    pub(super) last_id: Option<String>,
    /// How long the server wants us to wait before we come back.
    pub(super) retry: Option<Duration>,
}

/// What was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// The answer.
    Answered,
    /// Nothing, with this status.
    None(StatusCode),
    /// More than a message may have.
    TooLong(usize),
    /// Not the answer.
    Broken { place: Place, why: String },
}

/// Why a body was not read to its end.
#[derive(Debug)]
pub(super) enum Unread {
    TooLong,
    Broken(String),
}

/// Reads a whole body of up to `limit` bytes.
pub(super) async fn collect(mut response: Response, limit: usize) -> Result<Bytes, Unread> {
    if response.content_length().is_some_and(|length| length > limit as u64) {
        return Err(Unread::TooLong);
    }
    let mut all = BytesMut::new();
    loop {
        match response.chunk().await {
            Ok(None) => return Ok(all.freeze()),
            Ok(Some(chunk)) if all.len() + chunk.len() > limit => return Err(Unread::TooLong),
            // One chunk is the usual case: it need not be copied.
            Ok(Some(chunk)) if all.is_empty() => all = chunk.into(),
            Ok(Some(chunk)) => all.extend_from_slice(&chunk),
            Err(error) => return Err(Unread::Broken(client::why(&error))),
        }
    }
}

/// Whether an answer is a stream of events.
pub(super) fn is_stream(response: &Response) -> bool {
    let kind = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    kind.is_some_and(|kind| kind.trim_start().to_ascii_lowercase().starts_with("text/event-stream"))
}

/// Reads the answer to a request (`on`), or a stream that belongs to none, and brings to the route what is in it.
pub(super) async fn read(session: &Rc<Session>, response: Response, on: Option<&str>) -> Body {
    if is_stream(&response) {
        return Stream::new(session.limit).read(session, response, on).await;
    }
    let status = response.status();
    match collect(response, session.limit).await {
        Err(Unread::TooLong) => Body::TooLong(session.limit),
        Err(Unread::Broken(why)) => Body::Broken { place: Place::default(), why },
        Ok(body) if body.iter().all(u8::is_ascii_whitespace) => Body::None(status),
        Ok(body) => match session.heard(body, on) {
            Some(frame) if frame.kind().is_response() && frame.id() == on => {
                session.pass(frame, on);
                Body::Answered
            }
            other => {
                if let Some(frame) = other {
                    session.pass(frame, on);
                }
                Body::Broken { place: Place::default(), why: "what came is no answer to the request".to_owned() }
            }
        },
    }
}

/// The last message on a stream of events that was read as a whole: the answer, after which nothing comes.
pub(super) fn last_message(body: &[u8]) -> Option<Bytes> {
    let events = Parser::new(body.len()).push(body).ok()?;
    events.into_iter().rev().map(|event| event.data).find(|data| !data.is_empty()).map(Bytes::from)
}

/// A stream of events being read.
pub(super) struct Stream {
    parser: Parser,
    place: Place,
    /// Whether anything new came.
    has_moved: bool,
}

impl Stream {
    pub(super) fn new(limit: usize) -> Self {
        Self { parser: Parser::new(limit), place: Place::default(), has_moved: false }
    }

    /// Begins where another one broke.
    pub(super) fn after(limit: usize, place: Place) -> Self {
        Self { place, ..Self::new(limit) }
    }

    /// Goes on with one that was begun elsewhere.
    pub(super) fn going_on(parser: Parser) -> Self {
        Self { parser, place: Place::default(), has_moved: false }
    }

    /// Whether anything came that had not come before.
    pub(super) fn has_moved(&self) -> bool {
        self.has_moved
    }

    /// How far it was read.
    pub(super) fn place(&self) -> Place {
        self.place.clone()
    }

    /// Reads until the answer is there and the stream has ended.
    pub(super) async fn read(&mut self, session: &Rc<Session>, mut response: Response, on: Option<&str>) -> Body {
        let mut is_answered = false;
        let why = loop {
            let next = response.chunk();
            let next = if is_answered {
                match tokio::time::timeout(AFTER_ANSWER, next).await {
                    Ok(next) => next,
                    Err(_) => return Body::Answered,
                }
            } else {
                next.await
            };
            match next {
                Ok(None) => break "the stream ended".to_owned(),
                Err(error) => break client::why(&error),
                Ok(Some(chunk)) => match self.parser.push(&chunk) {
                    Ok(events) => {
                        for event in events {
                            is_answered |= self.take(session, event, on);
                        }
                    }
                    Err(_) if is_answered => return Body::Answered,
                    Err(_) => return Body::TooLong(session.limit),
                },
            }
        };
        if is_answered { Body::Answered } else { Body::Broken { place: self.place(), why } }
    }

    /// Takes one event in; whether it is the answer.
    pub(super) fn take(&mut self, session: &Session, event: Event, on: Option<&str>) -> bool {
        if let Some(retry) = event.retry {
            self.place.retry = Some(Duration::from_millis(retry));
        }
        if let Some(id) = event.id {
            // An empty id takes the last one back (HTML standard, section 9.2.6).
            let id = Some(id).filter(|id| !id.is_empty());
            self.has_moved |= id != self.place.last_id;
            self.place.last_id = id;
        }
        if event.data.is_empty() || event.event.is_some_and(|kind| kind != "message" && !kind.is_empty()) {
            return false;
        }
        self.has_moved = true;
        let Some(frame) = session.heard(Bytes::from(event.data), on) else { return false };
        let is_answer = on.is_some() && frame.kind().is_response() && frame.id() == on;
        session.pass(frame, on);
        is_answer
    }
}
