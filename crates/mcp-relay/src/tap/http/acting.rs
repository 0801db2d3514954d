//! Acting on what passes a tap before an address: whole bodies and single events are asked about.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};
use hyper::header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue};
use hyper::http::uri::PathAndQuery;
use hyper::{Response, StatusCode};
use mcp_capture::event::Flags;
use mcp_capture::{Direction, Limits};
use mcp_wire::sse::{self, Parser};
use mcp_wire::{Frame, Kind as Is, NotAFrame, author, methods};
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedReceiver;

use super::lane::{Lane, Of, Seat, Verdict};
use super::tee::Kind;
use super::{Body, Proxy, body_of, ours};
use crate::acting::rules::{Act, Message, Rules};
use crate::acting::wire::{Report, Request, What};
use crate::acting::{self, About, Altered, Door, Meeting, Sending, Word};
use crate::transport::http_client::mirror;

const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");

/// What a client said last: a viewer says things in its place.
struct Known {
    path: Option<PathAndQuery>,
    headers: HeaderMap,
}

/// What tells one client's session from another's.
const OF_SESSION: [&str; 3] = ["mcp-session-id", "mcp-protocol-version", "authorization"];

/// What somebody wants of this tap.
#[derive(Default)]
pub(super) struct Acting {
    is_armed: Cell<bool>,
    rules: RefCell<Rules<Seat>>,
    /// Something waits for its time.
    timed: Notify,
    known: RefCell<Option<Known>>,
    /// Streams that a client listens to.
    listening: RefCell<Vec<Weak<Lane>>>,
}

/// Whether it can be asked about: a message or a batch of them.
pub(super) fn is_message(bytes: &[u8]) -> bool {
    matches!(Frame::parse(Bytes::copy_from_slice(bytes)), Ok(_) | Err(NotAFrame::Batch))
}

/// As long as a body is waited for. Dropping it is a client that left.
struct Waiting<'a>(&'a Proxy, Rc<Lane>);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.left(&self.1);
    }
}

/// What becomes of a request.
pub(super) enum Asked {
    /// Pass it on; its number in the capture, and more of the kind that are to be asked as well.
    Pass(Bytes, u64, Vec<Bytes>),
    /// It is answered without the server.
    Answered(Response<Body>),
}

impl Proxy {
    #[inline]
    pub(super) fn is_armed(&self) -> bool {
        self.acting.is_armed.get()
    }

    /// Lets viewers in.
    pub(super) fn open_door(self: &Rc<Self>, meeting: Meeting) -> std::io::Result<Door> {
        let (post, words) = acting::post();
        let door = acting::serve(Arc::new(post), meeting, &self.session)?;
        tokio::task::spawn_local(attend(Rc::clone(self), words));
        Ok(door)
    }

    /// The tap ends, and takes along what is held.
    pub(super) fn end_acting(self: &Rc<Self>) {
        self.with_rules(|rules, acts| rules.client_left(1, acts));
    }

    fn with_rules<T>(self: &Rc<Self>, change: impl FnOnce(&mut Rules<Seat>, &mut Vec<Act<Seat>>) -> T) -> T {
        let (answer, acts) = self.asking(change);
        for act in acts {
            if let Act::Record { message, flags, altered } = act {
                self.carry_out(message, flags, altered);
            }
        }
        answer
    }

    fn asking<T>(&self, change: impl FnOnce(&mut Rules<Seat>, &mut Vec<Act<Seat>>) -> T) -> (T, Vec<Act<Seat>>) {
        let mut acts = Vec::new();
        let mut rules = self.acting.rules.borrow_mut();
        let answer = change(&mut rules, &mut acts);
        self.acting.is_armed.set(rules.is_armed());
        if rules.wake().is_some() {
            self.acting.timed.notify_one();
        }
        (answer, acts)
    }

    /// Asks the rules about a message.
    pub(super) fn judge(self: &Rc<Self>, direction: Direction, place: Seat, bytes: Bytes) {
        self.with_rules(|rules, acts| rules.judge(Message { place, direction, bytes }, &self.client_name, acts));
    }

    /// Whether something is held of this lane.
    pub(super) fn holds(&self, lane: &Rc<Lane>) -> bool {
        self.acting.rules.borrow().held_at(|seat| Rc::ptr_eq(&seat.lane, lane)) > 0
    }

    /// Nobody is at the other end of a lane any more.
    pub(super) fn left(&self, lane: &Rc<Lane>) {
        if !self.is_armed() {
            return;
        }
        let ((), acts) = self.asking(|rules, acts| rules.place_left(acts, |seat| Rc::ptr_eq(&seat.lane, lane)));
        for act in acts {
            if let Act::Record { message, flags, altered } = act {
                self.record(message.direction, message.bytes, flags, altered);
            }
        }
    }

    fn record(&self, direction: Direction, bytes: Bytes, flags: Flags, altered: Option<Altered>) -> u64 {
        let flags = flags.with_if(!bytes.ends_with(b"\n"), Flags::NO_NEWLINE);
        self.tape.marked(direction, bytes, flags, altered)
    }

    fn carry_out(self: &Rc<Self>, message: Message<Seat>, flags: Flags, altered: Option<Altered>) {
        let Message { place: Seat { lane, event }, direction, mut bytes } = message;
        if flags.has(Flags::ALTERED) && bytes.ends_with(b"\n") {
            // Lines end so; bodies and events do not.
            bytes.truncate(bytes.len() - 1);
        }
        let is_dropped = flags.has(Flags::DROPPED);
        let goes_nowhere = match (lane.of, direction) {
            // What a stream that a viewer opened says besides the answer, nobody waits for.
            (Of::Viewer, Direction::ToClient) => true,
            (Of::Answer, Direction::ToClient) => !is_dropped && !lane.takes_more(),
            _ => false,
        };
        let flags = flags.with_if(goes_nowhere, Flags::INJECTED.with(Flags::DROPPED));
        let number = self.record(direction, bytes.clone(), flags, altered);
        match (lane.of, direction) {
            (Of::Request, Direction::ToServer) | (Of::Answer | Of::Events, Direction::ToClient) if is_dropped || goes_nowhere => {
                lane.push(Verdict::Dropped);
            }
            (Of::Request, Direction::ToServer) | (Of::Answer, Direction::ToClient) => lane.push(Verdict::Pass(bytes, number)),
            (Of::Request, Direction::ToClient) => lane.push(Verdict::Answer(bytes)),
            (Of::Events, Direction::ToClient) => {
                let is_as_it_came = |event: &(Bytes, sse::Event)| event.1.data.as_bytes() == bytes.trim_ascii_end();
                let raw = match event.as_deref() {
                    Some(event) if is_as_it_came(event) => event.0.clone(),
                    Some((_, event)) => sse::encode(event.id.as_deref(), event.event.as_deref(), &bytes),
                    None => sse::encode(None, None, &bytes),
                };
                lane.push(Verdict::Pass(raw, number));
            }
            // Said by a viewer, or in the name of a client that is not to hear a question.
            (Of::Viewer | Of::Answer | Of::Events, Direction::ToServer) if !is_dropped => {
                let proxy = Rc::clone(self);
                tokio::task::spawn_local(async move { proxy.say(bytes).await });
            }
            (Of::Viewer, Direction::ToClient) | (_, Direction::ToServer) => {}
        }
    }

    /// Remembers from where a client talks, where that is not known.
    pub(super) fn note_client(&self, path: Option<&PathAndQuery>, headers: &HeaderMap) {
        let is_known = self.acting.known.borrow().as_ref().is_some_and(|known| {
            known.path.as_ref() == path && OF_SESSION.iter().all(|name| known.headers.get(*name) == headers.get(*name))
        });
        if !is_known {
            let mut headers = headers.clone();
            headers.remove(CONTENT_LENGTH);
            *self.acting.known.borrow_mut() = Some(Known { path: path.cloned(), headers });
        }
    }

    /// A client ended its session.
    pub(super) fn forget_client(&self) {
        self.acting.known.take();
    }

    /// A client listens to a stream.
    pub(super) fn listens(&self, lane: &Rc<Lane>) {
        let mut listening = self.acting.listening.borrow_mut();
        listening.retain(|lane| lane.strong_count() > 0);
        listening.push(Rc::downgrade(lane));
    }

    /// Waits for what becomes of a request's body. An error is an answer of ours.
    pub(super) async fn ask_about_request(
        self: &Rc<Self>,
        headers: &mut HeaderMap,
        body: hyper::body::Incoming,
    ) -> Result<Asked, Response<Body>> {
        let all = whole(body).await.map_err(|error| ours(StatusCode::BAD_REQUEST, error))?;
        if !is_message(&all) {
            let number = self.record(Direction::ToServer, all.clone(), Flags::NONE, None);
            return Ok(Asked::Pass(all, number, Vec::new()));
        }
        let kind = Frame::parse(all.clone()).map(|frame| frame.kind()).ok();
        let lane = Lane::new(Of::Request);
        let waiting = Waiting(self, Rc::clone(&lane));
        self.judge(Direction::ToServer, Seat::at(&lane), all.clone());
        let verdict = lane.next().await;
        let mut more = Vec::new();
        while let Some(next) = lane.pop() {
            match next {
                Verdict::Pass(bytes, _) => more.push(bytes),
                Verdict::Answer(answer) => return Ok(Asked::Answered(json(answer))),
                Verdict::Dropped => {}
            }
        }
        match verdict {
            Verdict::Pass(bytes, number) => {
                if bytes != all {
                    headers.remove(CONTENT_LENGTH);
                    mirror_again(headers, &bytes);
                }
                drop(waiting);
                Ok(Asked::Pass(bytes, number, more))
            }
            Verdict::Answer(answer) => Ok(Asked::Answered(json(answer))),
            // Who asked waits for an answer, as though the request had got lost.
            Verdict::Dropped if kind == Some(Is::Request) => std::future::pending().await,
            Verdict::Dropped => Ok(Asked::Answered(empty(StatusCode::ACCEPTED))),
        }
    }

    /// Waits for what becomes of an answer that is one message.
    pub(super) async fn ask_about_answer(self: &Rc<Self>, body: reqwest::Body) -> Result<Bytes, Response<Body>> {
        let all = whole(body).await.map_err(|error| ours(StatusCode::BAD_GATEWAY, error))?;
        if !is_message(&all) {
            if !all.is_empty() {
                self.record(Direction::ToClient, all.clone(), Flags::NONE, None);
            }
            return Ok(all);
        }
        let lane = Lane::new(Of::Answer);
        let _waiting = Waiting(self, Rc::clone(&lane));
        self.judge(Direction::ToClient, Seat::at(&lane), all);
        match lane.next().await {
            Verdict::Pass(bytes, _) | Verdict::Answer(bytes) => Ok(bytes),
            // As though it had got lost.
            Verdict::Dropped => std::future::pending().await,
        }
    }

    /// Says something in the place of the client that was heard last, and tells what comes back to whoever asked.
    async fn say(self: Rc<Self>, message: Bytes) {
        let frame = Frame::parse(message.clone()).ok();
        let id = frame.as_ref().and_then(Frame::id).map(ToOwned::to_owned);
        let lane = Lane::new(Of::Viewer);
        let failed = |reason: String| {
            self.tape.note(format!("what a viewer said could not be sent: {reason}"));
            let awaits = id.as_deref().filter(|_| frame.as_ref().is_some_and(|frame| frame.kind() == Is::Request));
            if let Some(id) = awaits {
                self.judge(Direction::ToClient, Seat::at(&lane), author::our_error(Some(id), "not-answered", &reason));
            }
        };
        let call = {
            let known = self.acting.known.borrow();
            let Some(known) = &*known else { return failed("no client has a session any more".to_owned()) };
            let mut headers = known.headers.clone();
            mirror_again(&mut headers, &message);
            let mut url = self.upstream.clone();
            url.set_path(known.path.as_ref().map_or("/", PathAndQuery::path));
            url.set_query(known.path.as_ref().and_then(PathAndQuery::query));
            self.client.post(url).headers(headers).body(message)
        };
        let answer = match call.send().await {
            Ok(answer) => answer,
            Err(error) => return failed(mcp_os::causes::on_one_line(&error.without_url())),
        };
        let status = answer.status();
        let told = |data: Bytes| {
            if is_message(&data) {
                self.judge(Direction::ToClient, Seat::at(&lane), data);
                true
            } else {
                false
            }
        };
        let kind = Kind::of(answer.headers());
        let mut body = reqwest::Body::from(answer);
        if kind == Kind::Events {
            let mut parser = Parser::new(Limits::default().bytes);
            while let Some(Ok(frame)) = body.frame().await {
                let Ok(events) = parser.push(frame.data_ref().map_or(&[], |piece| &piece[..])) else { return };
                for event in events {
                    told(Bytes::from(event.data));
                }
            }
            return;
        }
        let was_told = whole(body).await.is_ok_and(told);
        if !was_told && !status.is_success() {
            failed(format!("the server answered with HTTP {}", status.as_u16()));
        }
    }

    /// The same for a request that is said twice: its second answer is nobody's.
    pub(super) fn say_again(self: &Rc<Self>, call: reqwest::RequestBuilder) {
        let proxy = Rc::clone(self);
        tokio::task::spawn_local(async move {
            let Ok(answer) = call.send().await else { return };
            let kind = Kind::of(answer.headers());
            let flags = Flags::INJECTED.with(Flags::DROPPED);
            let Ok(body) = whole(reqwest::Body::from(answer)).await else { return };
            match kind {
                Kind::Events => {
                    let events = Parser::new(Limits::default().bytes).push(&body).unwrap_or_default();
                    for event in events.into_iter().filter(|event| is_message(event.data.as_bytes())) {
                        proxy.record(Direction::ToClient, Bytes::from(event.data), flags, None);
                    }
                }
                Kind::Whole if is_message(&body) => _ = proxy.record(Direction::ToClient, body, flags, None),
                Kind::Whole | Kind::Opaque => {}
            }
        });
    }

    fn answer(self: &Rc<Self>, viewer: u64, request: Request) -> Report {
        if matches!(request.what, What::Restart) {
            let reason = "the server is reached by its address: it cannot be restarted from here".to_owned();
            return Report::Failed { number: request.number, reason };
        }
        let about = About { session: &self.session, server: &self.server_name, pid: 0 };
        self.with_rules(|rules, acts| rules.answer(viewer, request, &about, |sending| self.seat(sending), acts))
    }

    /// From or to where a viewer can send something.
    fn seat(&self, sending: &Sending) -> Result<Seat, String> {
        if sending.direction == Direction::ToServer {
            let is_known = self.acting.known.borrow().is_some();
            let reason = "no client has a session in which something could be said";
            return if is_known { Ok(Seat::at(&Lane::new(Of::Viewer))) } else { Err(reason.to_owned()) };
        }
        let listening = self.acting.listening.borrow().iter().rev().find_map(Weak::upgrade);
        let reason = "no client listens to a stream of events, and without one nothing can be sent to it unasked";
        listening.map(|lane| Seat::at(&lane)).ok_or_else(|| reason.to_owned())
    }
}

/// A body as a whole.
async fn whole<B>(body: B) -> Result<Bytes, String>
where
    B: hyper::body::Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let all = Limited::new(body, Limits::default().bytes).collect().await;
    all.map(http_body_util::Collected::to_bytes).map_err(|error| format!("a body could not be kept back: {error}"))
}

/// Headers that repeat what the body says, for another body; of arguments that were repeated nothing is known.
fn mirror_again(headers: &mut HeaderMap, body: &Bytes) {
    let params: Vec<HeaderName> = headers.keys().filter(|name| name.as_str().starts_with("mcp-param-")).cloned().collect();
    let Some(frame) = headers.contains_key(METHOD).then(|| Frame::parse(body.clone()).ok()).flatten() else { return };
    let name = methods::name_member(frame.method()).and_then(|member| frame.get_string(&["params", member]));
    let had_name = headers.get(NAME).cloned();
    let mut set = |header: HeaderName, text: Option<&str>| {
        headers.remove(&header);
        if let Some(value) = text.and_then(|text| HeaderValue::try_from(&*mirror::sentinel(text)).ok()) {
            headers.insert(header, value);
        }
    };
    set(METHOD, Some(frame.method()));
    set(NAME, name.as_deref());
    if headers.get(NAME) != had_name.as_ref() {
        for param in params {
            headers.remove(param);
        }
    }
}

fn json(message: Bytes) -> Response<Body> {
    let mut response = Response::new(body_of(message));
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/json"));
    response
}

fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(body_of(Bytes::new()));
    *response.status_mut() = status;
    response
}

/// Does what viewers want, and lets go of what waits for its time.
async fn attend(proxy: Rc<Proxy>, mut words: UnboundedReceiver<Word>) {
    loop {
        let wake = proxy.acting.rules.borrow().wake();
        let due = async {
            match wake {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            word = words.recv() => match word {
                Some(Word::Came(viewer, reports)) => proxy.with_rules(|rules, _| rules.viewer_came(viewer, reports)),
                Some(Word::Asked(viewer, request, reply)) => {
                    // Whoever asked may be gone.
                    let _ = reply.send(proxy.answer(viewer, request));
                }
                Some(Word::Left(viewer)) => proxy.with_rules(|rules, acts| rules.viewer_left(viewer, acts)),
                None => return,
            },
            () = due => proxy.with_rules(Rules::due),
            () = proxy.acting.timed.notified() => {}
        }
    }
}
