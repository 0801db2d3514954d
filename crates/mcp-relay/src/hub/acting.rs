//! Acting on the clients of a hub: the rules stand on each client's own connection, so that what is held or altered is what
//! that client says or is told, with its own ids. What a viewer sends is said by a client of its own: the route gives it ids
//! and answers like everybody's, and its answers reach nobody else.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use foldhash::HashMap;
use mcp_capture::event::Flags;
use mcp_wire::author::{self, code};
use mcp_wire::{Frame, Kind};
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedReceiver;

use super::{Hub, WeakHub};
use crate::acting::rules::{Act, Message, Place, Rules};
use crate::acting::wire::{Report, Request, What};
use crate::acting::{self, About, Altered, Door, Meeting, Sending, Word};
use crate::observe::{Direction, Hop};
use crate::outlet::{Delivery, Outlet, Overflow};
use crate::route::{Arrival, Class, Event, PeerId, StreamId, Via};

/// Whom a message is from or for, and where it, or its answer, is delivered.
#[derive(Clone, Copy, Debug)]
struct Seat {
    peer: PeerId,
    stream: Option<StreamId>,
    class: Class,
}

impl Place for Seat {
    fn client(&self) -> u64 {
        self.peer.0
    }
}

/// What somebody wants of this hub.
#[derive(Default)]
pub(super) struct Acting {
    is_armed: Cell<bool>,
    /// Nothing is held any more from here on.
    is_over: Cell<bool>,
    /// Counts doors that were opened or closed: a late word from an earlier one is not for the next.
    door: Cell<u64>,
    rules: RefCell<Rules<Seat>>,
    /// The clients that viewers are, once they said something.
    viewers: RefCell<HashMap<u64, PeerId>>,
    /// Something waits for its time.
    timed: Rc<Notify>,
}

impl Acting {
    #[inline]
    pub(super) fn is_armed(&self) -> bool {
        self.is_armed.get()
    }
}

/// What is delivered to a viewer, it has heard already.
struct Heard;

impl Outlet for Heard {
    fn deliver(&self, _delivery: Delivery) -> Result<(), Overflow> {
        Ok(())
    }

    fn end_stream(&self, _stream: StreamId) {}

    fn end(&self, _reason: &str) {}
}

/// What tells a session of this hub from others.
struct Session {
    door: u64,
    id: String,
    server: String,
}

impl Hub {
    /// Lets viewers act on this hub, until [`Self::close_door`]. They find it by the capture's session.
    pub fn open_door(&self, meeting: Meeting, session: &str, server: &str) -> io::Result<Door> {
        let (post, words) = acting::post();
        let door = acting::serve(Arc::new(post), meeting, session)?;
        let session = Session { door: self.next_door(), id: session.to_owned(), server: server.to_owned() };
        tokio::task::spawn_local(attend(self.downgrade(), words, session, Rc::clone(&self.0.acting.timed)));
        Ok(door)
    }

    fn next_door(&self) -> u64 {
        let door = &self.0.acting.door;
        door.set(door.get() + 1);
        door.get()
    }

    /// Lets nobody act any more; everything goes on.
    pub fn close_door(&self, door: Door) {
        drop(door);
        self.next_door();
        self.with_rules(Rules::end);
        let viewers = self.0.acting.viewers.take();
        self.with_rules(|rules, _| *rules = Rules::default());
        for peer in viewers.into_values() {
            self.close(peer);
        }
    }

    /// Lets go of everything, and holds nothing from here on.
    pub fn stop_acting(&self) {
        self.0.acting.is_over.set(true);
        self.with_rules(Rules::end);
    }

    /// Changes or asks the rules, then does what they say.
    fn with_rules<T>(&self, change: impl FnOnce(&mut Rules<Seat>, &mut Vec<Act<Seat>>) -> T) -> T {
        let acting = &self.0.acting;
        let mut acts = Vec::new();
        let mut rules = acting.rules.borrow_mut();
        let answer = change(&mut rules, &mut acts);
        acting.is_armed.set(rules.is_armed());
        let is_timed = rules.wake().is_some();
        drop(rules);
        if is_timed {
            acting.timed.notify_one();
        }
        for act in acts {
            if let Act::Record { message, flags, altered } = act {
                self.carry_out(message, flags, altered);
            }
        }
        // Outside of a turn nobody would get to what was found out on the way.
        self.drive_pending();
        answer
    }

    /// A client said something, and the rules are asked first.
    pub(super) fn judge_said(&self, peer: PeerId, stream: StreamId, bytes: Bytes) {
        // Its answer would be the response on this stream.
        let place = Seat { peer, stream: Some(stream), class: Class::Response };
        self.judge(Message { place, direction: mcp_capture::Direction::ToServer, bytes });
    }

    /// A client is to be told something, and the rules are asked first.
    pub(super) fn judge_told(&self, peer: PeerId, stream: Option<StreamId>, class: Class, bytes: Bytes) {
        if self.knows(peer) {
            let place = Seat { peer, stream, class };
            self.judge(Message { place, direction: mcp_capture::Direction::ToClient, bytes });
        }
    }

    fn judge(&self, message: Message<Seat>) {
        let client = self.0.route.borrow().name(message.place.peer).unwrap_or_default();
        self.with_rules(|rules, acts| rules.judge(message, &client, acts));
    }

    fn carry_out(&self, message: Message<Seat>, flags: Flags, altered: Option<Altered>) {
        let Message { place: Seat { peer, stream, class }, direction, bytes } = message;
        let way = match direction {
            mcp_capture::Direction::ToServer => Direction::ToServer,
            mcp_capture::Direction::ToClient => Direction::ToClient,
        };
        self.0.observers.marked(Hop::Client(peer), way, bytes.clone(), flags, altered);
        if flags.has(Flags::DROPPED) {
            return;
        }
        if way == Direction::ToServer {
            match Frame::parse(bytes) {
                Ok(frame) => self.0.pending.borrow_mut().push_back(Event::Frame(peer, stream.unwrap_or(StreamId(0)), frame)),
                // As its transport would have answered.
                Err(problem) => {
                    let refusal = author::error(None, code::PARSE, &problem.to_string(), None);
                    self.carry_out(
                        Message {
                            place: Seat { peer, stream, class: Class::Refusal },
                            direction: direction.reversed(),
                            bytes: refusal,
                        },
                        Flags::NONE,
                        None,
                    );
                }
            }
            return;
        }
        if class == Class::Request && self.0.acting.viewers.borrow().values().any(|viewer| *viewer == peer) {
            return self.decline(peer, bytes);
        }
        let outlet = self.0.outlets.borrow().get(&peer).cloned();
        if let Some(outlet) = outlet {
            self.deliver(peer, &*outlet, Delivery { stream, class, frame: bytes });
        }
    }

    /// The server asks a viewer: it must not wait for good.
    fn decline(&self, peer: PeerId, question: Bytes) {
        let Ok(question) = Frame::parse(question) else { return };
        let message = format!("whoever watches does not answer `{}`", question.method());
        let answer = author::error(question.id(), code::METHOD_NOT_FOUND, &message, None);
        self.0.observers.marked(Hop::Client(peer), Direction::ToServer, answer.clone(), Flags::INJECTED, None);
        if let Ok(answer) = Frame::parse(answer) {
            self.0.pending.borrow_mut().push_back(Event::Frame(peer, StreamId(0), answer));
        }
    }

    /// What a client that is gone leaves behind: nothing that is held.
    pub(super) fn closed(&self, peer: PeerId) -> Event {
        if self.0.acting.is_armed() {
            self.with_rules(|rules, acts| rules.client_left(peer.0, acts));
        }
        Event::Closed(peer)
    }

    /// How many messages of a client are held.
    pub(super) fn held_of(&self, peer: PeerId) -> usize {
        if self.0.acting.is_armed() { self.0.acting.rules.borrow().held_at(|seat| seat.peer == peer) } else { 0 }
    }

    fn hear(&self, word: Word, session: &Session) {
        match word {
            Word::Came(viewer, reports) => self.with_rules(|rules, _| rules.viewer_came(viewer, reports)),
            Word::Asked(viewer, request, reply) => {
                // Whoever asked may be gone.
                let _ = reply.send(self.answer(viewer, request, session));
            }
            Word::Left(viewer) => {
                self.with_rules(|rules, acts| {
                    rules.viewer_left(viewer, acts);
                    rules.forget_asked(viewer);
                });
                let peer = self.0.acting.viewers.borrow_mut().remove(&viewer);
                if let Some(peer) = peer {
                    self.close(peer);
                }
            }
        }
    }

    fn answer(&self, viewer: u64, request: Request, session: &Session) -> Report {
        let number = request.number;
        let failed = |reason: &str| Report::Failed { number, reason: reason.to_owned() };
        if matches!(request.what, What::Restart) {
            return failed("a shared server is not restarted under its clients: `mcp daemon stop` and `start` do it");
        }
        if self.0.acting.is_over.get() && matches!(request.what, What::Breakpoint { .. } | What::Fault { .. } | What::Send { .. })
        {
            return failed("the server is being stopped, or handed to another daemon");
        }
        let about = About { session: &session.id, server: &session.server, pid: self.pid().unwrap_or(0) };
        self.with_rules(|rules, acts| rules.answer(viewer, request, &about, |sending| self.seat(sending), acts))
    }

    /// From or to where a viewer can send something.
    fn seat(&self, sending: &Sending) -> Result<Seat, String> {
        if sending.direction == mcp_capture::Direction::ToClient {
            return self.seat_of(sending.client).map(|peer| Seat { peer, stream: None, class: Class::Notification });
        }
        if matches!(sending.kind, Kind::Result | Kind::Error) {
            return Err("a shared server takes answers from the client that it asked".to_owned());
        }
        let state = self.status().state;
        if !matches!(&*state, "ready" | "starting") {
            return Err(format!("the server is {state}: a client has to open it first"));
        }
        let known = self.0.acting.viewers.borrow().get(&sending.viewer).copied();
        let peer = known.unwrap_or_else(|| {
            let peer = self.admit(Arrival { via: Via::Stdio, era: None, pid: None }, Rc::new(Heard));
            self.0.acting.viewers.borrow_mut().insert(sending.viewer, peer);
            self.0.observers.viewer(peer);
            peer
        });
        Ok(Seat { peer, stream: Some(StreamId(0)), class: Class::Response })
    }

    /// The client that is meant.
    fn seat_of(&self, client: Option<u32>) -> Result<PeerId, String> {
        let viewers: Vec<PeerId> = self.0.acting.viewers.borrow().values().copied().collect();
        let mut all: Vec<PeerId> = self.0.outlets.borrow().keys().filter(|peer| !viewers.contains(peer)).copied().collect();
        all.sort_unstable();
        match (client, all.as_slice()) {
            (Some(client), all) => {
                let found = all.iter().find(|peer| peer.0 == u64::from(client)).copied();
                found.ok_or_else(|| format!("there is no client {client}"))
            }
            (None, [only]) => Ok(*only),
            (None, []) => Err("there is no client".to_owned()),
            (None, all) => {
                let numbers: Vec<String> = all.iter().map(|peer| peer.0.to_string()).collect();
                Err(format!("say to which client: {}", numbers.join(", ")))
            }
        }
    }
}

/// Does what viewers want, and lets go of what waits for its time, until the door is closed or the hub is gone.
async fn attend(hub: WeakHub, mut words: UnboundedReceiver<Word>, session: Session, timed: Rc<Notify>) {
    let ours = || hub.get().filter(|hub| hub.0.acting.door.get() == session.door);
    while let Some(hub) = ours() {
        let wake = hub.0.acting.rules.borrow().wake();
        drop(hub);
        let due = async {
            match wake {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            word = words.recv() => match (word, ours()) {
                (Some(word), Some(hub)) => hub.hear(word, &session),
                _ => return,
            },
            () = due => if let Some(hub) = ours() {
                hub.with_rules(Rules::due);
            },
            () = timed.notified() => {}
        }
    }
}
