//! Streamable HTTP of the revisions 2025-03-26 to 2025-11-25: sessions, and answers that outlive their connection
//! (specification 2025-11-25, basic/transports).

use std::future::poll_fn;
use std::rc::Rc;

use bytes::Bytes;
use hyper::header::HeaderValue;
use hyper::{Response, StatusCode};
use mcp_wire::author::code;
use mcp_wire::{Frame, Kind, NotAFrame, version};

use super::connection::{Connection, Phase};
use super::heads::Heads;
use super::lane::{Opening, Style};
use super::reader::{Reader, SessionReader};
use super::reply::{self, Answer};
use super::session::Session;
use super::{Server, not_a_frame};
use crate::route::{Arrival, PeerId, StreamId, Via};

/// The stream number of what expects no answer.
const NOWHERE: StreamId = StreamId(0);

/// The revision that has batches, and the one a client without the header speaks.
const WITH_BATCHES: &str = "2025-03-26";
/// The revision whose streams begin with an event that only carries an id.
const WITH_PRIMING: &str = version::NEWEST_LEGACY;

fn bad(status: StatusCode, reason: &str) -> Response<Answer> {
    reply::refusal(status, None, code::INVALID_REQUEST, reason)
}

/// Why a request belongs to no session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stray {
    /// It names none.
    Nameless,
    /// There is none of that name.
    Unknown,
    /// It names a revision that is not spoken here.
    Foreign,
}

impl Stray {
    fn response(self) -> Response<Answer> {
        match self {
            Self::Nameless => bad(StatusCode::BAD_REQUEST, "the header Mcp-Session-Id is missing: begin with initialize"),
            Self::Unknown => gone(),
            Self::Foreign => {
                let spoken = version::LEGACY.join(", ");
                let reason =
                    format!("the header MCP-Protocol-Version names none of the revisions spoken here, which are {spoken}");
                bad(StatusCode::BAD_REQUEST, &reason)
            }
        }
    }
}

/// The session a request names, if the request fits it.
fn session(server: &Rc<Server>, heads: &Heads<'_>) -> Result<(Rc<Session>, PeerId), Stray> {
    let id = heads.session.ok_or(Stray::Nameless)?;
    let found = id.to_str().ok().and_then(|id| server.sessions.borrow().get(id).cloned());
    let session = found.filter(|session| session.via == Via::Http).ok_or(Stray::Unknown)?;
    let peer = session.peer().ok_or(Stray::Unknown)?;
    if let Some(version) = heads.version
        && !version.to_str().is_ok_and(|v| version::era(v).is_some() || session.speaks(v))
    {
        return Err(Stray::Foreign);
    }
    session.touch();
    Ok((session, peer))
}

/// The answer that makes a client begin anew.
fn gone() -> Response<Answer> {
    bad(StatusCode::NOT_FOUND, "there is no such session, or it has ended: begin anew with initialize")
}

/// Takes a POST whose body has been read; `read` is what it was read as.
pub(super) async fn post(
    server: &Rc<Server>,
    connection: &Rc<Connection>,
    heads: &Heads<'_>,
    body: Bytes,
    read: Result<Frame, NotAFrame>,
) -> Response<Answer> {
    if let Ok(frame) = &read
        && frame.kind() == Kind::Request
        && frame.method() == "initialize"
    {
        let frame = frame.clone();
        return match heads.session {
            None => initialize(server, connection, frame).await,
            Some(_) => match session(server, heads) {
                Ok(_) => {
                    reply::refusal(StatusCode::BAD_REQUEST, frame.id(), code::INVALID_REQUEST, "the session is open already")
                }
                Err(stray) => stray.response(),
            },
        };
    }
    let (session, peer) = match (session(server, heads), &read) {
        (Ok(found), _) => found,
        (Err(Stray::Nameless), Err(reason)) => return not_a_frame(reason),
        (Err(stray), _) => return stray.response(),
    };
    match read {
        Ok(frame) => one(server, connection, session, peer, frame).await,
        Err(NotAFrame::Batch) if session.speaks(WITH_BATCHES) => batch(server, connection, session, peer, &body).await,
        Err(NotAFrame::Batch) => bad(StatusCode::BAD_REQUEST, "only revision 2025-03-26 has batches of messages"),
        Err(reason) => not_a_frame(&reason),
    }
}

async fn one(
    server: &Rc<Server>,
    connection: &Rc<Connection>,
    session: Rc<Session>,
    peer: PeerId,
    frame: Frame,
) -> Response<Answer> {
    server.hub.room().await;
    if session.is_ended() {
        return gone();
    }
    if frame.kind() != Kind::Request {
        server.hub.frame(peer, NOWHERE, frame);
        return reply::bare(StatusCode::ACCEPTED);
    }
    let reader = SessionReader::new(Rc::clone(&session), session.new_lane(1));
    connection.enter(Phase::Answering);
    server.hub.frame(peer, StreamId(reader.lane.number()), frame);
    begin(connection, reader).await
}

/// Several messages in one body. Their answers come as events, since they come one after another.
async fn batch(
    server: &Rc<Server>,
    connection: &Rc<Connection>,
    session: Rc<Session>,
    peer: PeerId,
    body: &Bytes,
) -> Response<Answer> {
    let mut frames = Vec::new();
    for frame in Frame::split_batch(body) {
        match frame {
            Ok(frame) if frame.method() == "initialize" => {
                return bad(StatusCode::BAD_REQUEST, "initialize has to come alone");
            }
            Ok(frame) => frames.push(frame),
            Err(reason) => return not_a_frame(&reason),
        }
    }
    if frames.is_empty() {
        return bad(StatusCode::BAD_REQUEST, "the batch is empty");
    }
    let requests = frames.iter().filter(|frame| frame.kind() == Kind::Request).count();
    let reader =
        u32::try_from(requests).ok().filter(|n| *n > 0).map(|n| SessionReader::new(Rc::clone(&session), session.new_lane(n)));
    connection.enter(Phase::Answering);
    for frame in frames {
        server.hub.room().await;
        if session.is_ended() {
            return gone();
        }
        let stream = match &reader {
            Some(reader) if frame.kind() == Kind::Request => StreamId(reader.lane.number()),
            _ => NOWHERE,
        };
        server.hub.frame(peer, stream, frame);
    }
    match reader {
        None => reply::bare(StatusCode::ACCEPTED),
        Some(reader) => stream(connection, reader),
    }
}

/// Waits until it is known how the answer begins, and begins it.
async fn begin(connection: &Rc<Connection>, reader: SessionReader) -> Response<Answer> {
    let reader = Reader::Session(reader);
    let opening = poll_fn(|cx| reader.poll_opening(cx, connection.takes_comment())).await;
    let Reader::Session(reader) = reader else { return gone() };
    match opening {
        Opening::Json(_, frame) => reply::json(StatusCode::OK, frame),
        Opening::Parts => reply::parts(connection, Reader::Session(reader)),
        Opening::Events => stream(connection, reader),
        Opening::Nothing => reply::no_events(),
        Opening::Cut => gone(),
    }
}

fn stream(connection: &Rc<Connection>, reader: SessionReader) -> Response<Answer> {
    let first = reader.session.speaks(WITH_PRIMING).then(|| reader.lane.priming());
    reply::events(connection, Reader::Session(reader), Style::Numbered, first)
}

/// A session that is being opened. It is gone with the request that opens it, unless that succeeds.
struct Attempt {
    server: Rc<Server>,
    session: Rc<Session>,
}

impl Attempt {
    fn new(server: &Rc<Server>, session: Rc<Session>) -> Self {
        server.opening.set(server.opening.get() + 1);
        let arrival = Arrival { via: Via::Http, era: Some(version::Era::Legacy), pid: None };
        let peer = server.hub.open(arrival, Rc::<Session>::clone(&session));
        session.is_for(peer);
        Self { server: Rc::clone(server), session }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.server.opening.set(self.server.opening.get() - 1);
        if !self.server.sessions.borrow().contains_key(&self.session.id) {
            self.session.close("the session was not opened");
        }
    }
}

async fn initialize(server: &Rc<Server>, connection: &Rc<Connection>, frame: Frame) -> Response<Answer> {
    let id = super::reader::id_of(&frame);
    let id = id.as_ref().and_then(|id| std::str::from_utf8(id).ok());
    server.hub.room().await;
    let Some(session) = server.make_room().then(|| Session::new(server, Via::Http)).flatten() else {
        return reply::full(id, "there are too many sessions; end one with DELETE");
    };
    let attempt = Attempt::new(server, Rc::clone(&session));
    let reader = SessionReader::new(Rc::clone(&session), session.new_lane(1));
    connection.enter(Phase::Answering);
    let Some(peer) = session.peer() else {
        return reply::refusal(StatusCode::SERVICE_UNAVAILABLE, id, code::INTERNAL, "the server takes no clients now");
    };
    server.hub.frame(peer, StreamId(reader.lane.number()), frame);
    // Nothing is begun before the response is there: only then is it known whether there is a session to be named.
    let response = poll_fn(|cx| reader.lane.poll_response(cx)).await;
    let answer = response.and_then(|response| Frame::parse(response).ok());
    let Some(version) = answer.as_ref().and_then(|a| a.result().is_some().then(|| a.get_string(&["result", "protocolVersion"])))
    else {
        return match answer {
            Some(answer) => reply::json(StatusCode::OK, answer.bytes().clone()),
            None => reply::refusal(StatusCode::SERVICE_UNAVAILABLE, id, code::INTERNAL, "the server ended before it answered"),
        };
    };
    session.establish(version.unwrap_or_default());
    if !session.is_ended() {
        server.sessions.borrow_mut().insert(session.id.clone(), Rc::clone(&session));
    }
    drop(attempt);
    let mut response = begin(connection, reader).await;
    if response.status().is_success()
        && let Ok(id) = HeaderValue::from_str(&session.id)
    {
        response.headers_mut().insert(reply::SESSION, id);
    }
    response
}

/// Opens the stand-alone stream, or goes on with an answer whose connection was lost.
pub(super) fn get(server: &Rc<Server>, connection: &Rc<Connection>, heads: &Heads<'_>) -> Response<Answer> {
    if !heads.accepts_events() {
        return bad(StatusCode::NOT_ACCEPTABLE, "the header Accept has to allow text/event-stream");
    }
    let session = match session(server, heads) {
        Ok((session, _)) => session,
        Err(stray) => return stray.response(),
    };
    let lane = match heads.last_event {
        None if session.standing.is_read() => {
            return bad(StatusCode::CONFLICT, "the session has its stream already");
        }
        None => Rc::clone(&session.standing),
        Some(id) => match id.to_str().ok().and_then(|id| session.resume(id)) {
            Some(lane) => lane,
            None => return bad(StatusCode::BAD_REQUEST, "nothing is kept of the stream that Last-Event-ID names"),
        },
    };
    stream(connection, SessionReader::new(session, lane))
}

/// Ends a session.
pub(super) fn delete(server: &Rc<Server>, heads: &Heads<'_>) -> Response<Answer> {
    match session(server, heads) {
        Err(stray) => stray.response(),
        Ok((session, _)) => {
            session.close("the client ended its session");
            reply::bare(StatusCode::NO_CONTENT)
        }
    }
}
