//! Where a route meets the world: the hub owns it, feeds it events and does what it says. One thread, no locks.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::ops::Range;
use std::rc::{Rc, Weak};
use std::time::Instant;

use bytes::Bytes;
use foldhash::HashMap;
use mcp_wire::Frame;
use mcp_wire::lines::{Line, Piece};
use tokio::sync::Notify;

use crate::observe::{Direction, Hop, Observers};
use crate::outlet::{Delivery, Outlet, Overflow, Part, Place};
use crate::route::{Action, Arrival, Event, Mirrored, Note, Passage, PeerId, Route, StreamId};
use crate::status::Status;
use crate::upstream::{Connector, Fate, Upstream};

mod acting;

use acting::Acting;

/// Sizes and numbers that keep one participant from using up what all need.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The largest message, in bytes.
    pub message: usize,
    /// How much may wait to be read by one client, in bytes.
    pub client_queue: usize,
    /// How much may wait to be read by the server before clients are read no further, in bytes.
    pub server_queue: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { message: 64 << 20, client_queue: 64 << 20, server_queue: 4 << 20 }
    }
}

/// Who is told what the route has to say.
pub type Listener = Rc<dyn Fn(&Note)>;

/// An answer that is passed on while it still arrives.
struct Passing {
    generation: u64,
    /// The id it came with, and where that lies in the piece that is to come first.
    id: u64,
    edit: Option<Range<usize>>,
    to: Passage,
    size: u64,
}

struct Inner {
    route: RefCell<Box<dyn Route>>,
    connector: Box<dyn Connector>,
    upstream: RefCell<Option<(u64, Rc<dyn Upstream>)>>,
    generation: Cell<u64>,
    outlets: RefCell<HashMap<PeerId, Rc<dyn Outlet>>>,
    last_peer: Cell<u64>,
    pending: RefCell<VecDeque<Event>>,
    is_driving: Cell<bool>,
    timer: Rc<Notify>,
    /// When the route wants its next tick.
    wake: Cell<Option<Instant>>,
    room: Notify,
    observers: Observers,
    acting: Acting,
    on_note: RefCell<Option<Listener>>,
    /// There is at most one: the server's messages come one after another.
    passing: RefCell<Option<Passing>>,
    limits: Limits,
}

/// A route at work. Clones are the same hub. Lives on a `LocalSet`.
#[derive(Clone)]
pub struct Hub(Rc<Inner>);

/// A hub that does not stay because of us.
#[derive(Clone)]
pub struct WeakHub(Weak<Inner>);

impl WeakHub {
    /// The hub, if it is still there.
    pub fn get(&self) -> Option<Hub> {
        self.0.upgrade().map(Hub)
    }
}

impl Hub {
    /// Puts a route to work. Must be called on a `LocalSet`, since it starts the timer's task.
    pub fn new(route: Box<dyn Route>, connector: Box<dyn Connector>, limits: Limits) -> Self {
        let hub = Self(Rc::new(Inner {
            route: RefCell::new(route),
            connector,
            upstream: RefCell::new(None),
            generation: Cell::new(0),
            outlets: RefCell::new(HashMap::default()),
            last_peer: Cell::new(0),
            pending: RefCell::new(VecDeque::new()),
            is_driving: Cell::new(false),
            timer: Rc::new(Notify::new()),
            wake: Cell::new(None),
            room: Notify::new(),
            observers: Observers::default(),
            acting: Acting::default(),
            on_note: RefCell::new(None),
            passing: RefCell::new(None),
            limits,
        }));
        tokio::task::spawn_local(keep_time(hub.downgrade()));
        hub
    }

    /// The same hub, without keeping it.
    pub fn downgrade(&self) -> WeakHub {
        WeakHub(Rc::downgrade(&self.0))
    }

    /// The limits.
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// Those who watch.
    pub fn observers(&self) -> &Observers {
        &self.0.observers
    }

    /// Who is told what the route has to say.
    pub fn on_note(&self, listener: Listener) {
        *self.0.on_note.borrow_mut() = Some(listener);
    }

    /// A client came.
    pub fn open(&self, arrival: Arrival, outlet: Rc<dyn Outlet>) -> PeerId {
        let peer = self.admit(arrival, outlet);
        self.drive_pending();
        peer
    }

    /// The same, without a turn for the route.
    fn admit(&self, arrival: Arrival, outlet: Rc<dyn Outlet>) -> PeerId {
        let peer = PeerId(self.0.last_peer.get() + 1);
        self.0.last_peer.set(peer.0);
        self.0.outlets.borrow_mut().insert(peer, outlet);
        self.0.pending.borrow_mut().push_back(Event::Opened(peer, arrival));
        peer
    }

    /// A client said something.
    pub fn frame(&self, peer: PeerId, stream: StreamId, frame: Frame) {
        if self.0.acting.is_armed() {
            return self.judge_said(peer, stream, frame.bytes().clone());
        }
        self.0.observers.frame(Hop::Client(peer), Direction::ToServer, frame.bytes());
        self.drive(Event::Frame(peer, stream, frame));
    }

    /// A client dropped an HTTP answer.
    pub fn abandon(&self, peer: PeerId, stream: StreamId) {
        self.drive(Event::Abandoned(peer, stream));
    }

    /// A client left.
    pub fn close(&self, peer: PeerId) {
        if self.0.outlets.borrow_mut().remove(&peer).is_some() {
            self.drive(self.closed(peer));
        }
    }

    /// Whether a client is known.
    pub fn knows(&self, peer: PeerId) -> bool {
        self.0.outlets.borrow().contains_key(&peer)
    }

    /// The server said something.
    pub fn upstream_line(&self, generation: u64, line: Line) {
        if self.0.generation.get() != generation {
            return;
        }
        match line {
            Line::Text(bytes) => {
                self.0.observers.frame(Hop::Server, Direction::ToClient, &bytes);
                if let Ok(frame) = Frame::parse(bytes.clone()) {
                    // The route may change a frame where it lies if nobody else holds it.
                    drop(bytes);
                    self.drive(Event::Upstream(frame, None));
                } else {
                    self.note(&Note::Log(format!("stdout: {}", shortened(&bytes))));
                    self.drive(Event::Noise);
                }
            }
            Line::TooLong { size, head, tail } => self.drive(Event::TooLong(size, id_in(&head).or_else(|| id_in(&tail)))),
        }
    }

    /// A large message of the server has begun. Whether it is passed on as it comes; then its pieces are to be told by
    /// [`Self::upstream_piece`] from the first byte on. Whoever watches gets whole messages, so then it is not.
    pub fn upstream_begin(&self, generation: u64, beginning: &[u8]) -> bool {
        if self.0.generation.get() != generation || self.0.observers.is_watched() {
            return false;
        }
        let Some(edit) = mcp_wire::beginning(beginning).map(|found| found.id) else { return false };
        let Some(id) = std::str::from_utf8(&beginning[edit.clone()]).ok().and_then(|id| id.parse().ok()) else { return false };
        let Some(to) = self.0.route.borrow().passage(id, beginning) else { return false };
        if !self.0.outlets.borrow().get(&to.peer).is_some_and(|outlet| outlet.takes_parts(to.stream)) {
            return false;
        }
        *self.0.passing.borrow_mut() = Some(Passing { generation, id, edit: Some(edit), to, size: 0 });
        true
    }

    /// More of the message that is passed on as it comes.
    pub fn upstream_piece(&self, generation: u64, Piece { bytes, is_last }: Piece) {
        let mut passing = self.0.passing.borrow_mut();
        let Some(now) = passing.as_mut().filter(|now| now.generation == generation) else { return };
        now.size += bytes.len() as u64;
        let is_too_long = now.size > self.0.limits.message as u64 + u64::from(is_last);
        let outlet = self.0.outlets.borrow().get(&now.to.peer).cloned();
        let mut sent = Ok(());
        if let Some(outlet) = outlet.as_ref().filter(|_| !is_too_long) {
            sent = now.deliver(&**outlet, bytes, is_last);
        }
        let (id, size, peer, stream) = (now.id, now.size, now.to.peer, now.to.stream);
        if is_last {
            *passing = None;
        }
        drop(passing);
        if let (Err(Overflow), Some(outlet)) = (sent, &outlet) {
            self.let_go(peer, &**outlet);
            self.drive(self.closed(peer));
        }
        if is_last && is_too_long {
            if let Some(outlet) = &outlet {
                outlet.tear(stream);
            }
            self.drive(Event::TooLong(size - 1, Some(id)));
        } else if is_last {
            self.drive(Event::Passed(id));
        }
    }

    /// The server said something on the answer to this request of ours.
    pub fn upstream_frame(&self, generation: u64, frame: Frame, on: Option<u64>) {
        if self.0.generation.get() == generation {
            self.0.observers.frame(Hop::Server, Direction::ToClient, frame.bytes());
            self.drive(Event::Upstream(frame, on));
        }
    }

    /// The server ended.
    pub fn upstream_closed(&self, generation: u64, fate: Fate) {
        if self.0.generation.get() == generation {
            self.0.upstream.borrow_mut().take();
            self.0.room.notify_waiters();
            if let Some(Passing { to, .. }) = self.0.passing.take()
                && let Some(outlet) = self.0.outlets.borrow().get(&to.peer)
            {
                outlet.tear(to.stream);
            }
            self.drive(Event::UpstreamClosed(fate));
        }
    }

    /// Some of what was queued for the server has been sent.
    pub fn upstream_drained(&self) {
        self.0.room.notify_waiters();
    }

    /// Waits until the server has read enough for more to be sent to it.
    pub async fn room(&self) {
        loop {
            let room = self.0.room.notified();
            let is_full = self.0.upstream.borrow().as_ref().is_some_and(|(_, u)| u.queued() > self.0.limits.server_queue);
            if !is_full {
                return;
            }
            room.await;
        }
    }

    /// Starts the server though nobody is there yet.
    pub fn start(&self) {
        self.drive(Event::Start);
    }

    /// Ends the server when the last call is done.
    pub fn drain(&self) {
        self.stop_acting();
        self.drive(Event::Drain);
    }

    /// How things stand.
    pub fn status(&self) -> Status {
        self.0.route.borrow().status(Instant::now())
    }

    /// The process of the server.
    pub fn pid(&self) -> Option<u32> {
        self.0.upstream.borrow().as_ref().and_then(|(_, u)| u.pid())
    }

    /// See [`Route::ticket`].
    pub fn ticket(&self, peer: PeerId) -> Option<String> {
        if self.held_of(peer) > 0 {
            return None;
        }
        self.0.route.borrow().ticket(peer)
    }

    /// A client goes on where it was elsewhere.
    pub fn resume(&self, peer: PeerId, ticket: String) {
        self.drive(Event::Resumed(peer, ticket));
    }

    /// See [`Route::in_flight`]; what somebody holds of it included.
    pub fn in_flight(&self, peer: PeerId) -> usize {
        self.0.route.borrow().in_flight(peer) + self.held_of(peer)
    }

    /// See [`Route::mirrored`].
    pub fn mirrored(&self, tool: &str) -> Option<Rc<[Mirrored]>> {
        self.0.route.borrow().mirrored(tool)
    }

    /// A line for the server's log, from a transport.
    pub fn log(&self, text: String) {
        self.note(&Note::Log(text));
    }

    fn note(&self, note: &Note) {
        self.0.observers.note(note);
        let listener = self.0.on_note.borrow().clone();
        if let Some(listener) = listener {
            listener(note);
        }
    }

    fn drive(&self, event: Event) {
        self.0.pending.borrow_mut().push_back(event);
        self.drive_pending();
    }

    fn drive_pending(&self) {
        if self.0.is_driving.replace(true) {
            // Whoever drives already gets to it.
            return;
        }
        let mut actions = Vec::new();
        loop {
            let Some(event) = self.0.pending.borrow_mut().pop_front() else { break };
            self.0.route.borrow_mut().on(Instant::now(), event, &mut actions);
            for action in actions.drain(..) {
                self.perform(action);
            }
        }
        self.0.is_driving.set(false);
        let wake = self.0.route.borrow().wake();
        if self.0.wake.replace(wake) != wake && wake.is_some() {
            self.0.timer.notify_one();
        }
    }

    /// Ends a client that does not read.
    fn let_go(&self, peer: PeerId, outlet: &dyn Outlet) {
        self.note(&Note::Log(format!("client {} does not read what it is sent: let go", peer.0)));
        self.0.outlets.borrow_mut().remove(&peer);
        outlet.end("mcp: this client did not read what it was sent");
    }

    fn deliver(&self, peer: PeerId, outlet: &dyn Outlet, delivery: Delivery) {
        if outlet.deliver(delivery).is_err() {
            self.let_go(peer, outlet);
            let closed = self.closed(peer);
            self.0.pending.borrow_mut().push_back(closed);
        }
    }

    fn perform(&self, action: Action) {
        match action {
            Action::Send(peer, stream, class, frame) if self.0.acting.is_armed() => self.judge_told(peer, stream, class, frame),
            Action::Send(peer, stream, class, frame) => {
                let outlet = self.0.outlets.borrow().get(&peer).cloned();
                let Some(outlet) = outlet else { return };
                self.0.observers.frame(Hop::Client(peer), Direction::ToClient, &frame);
                self.deliver(peer, &*outlet, Delivery { stream, class, frame });
            }
            Action::EndStream(peer, stream) => {
                let outlet = self.0.outlets.borrow().get(&peer).cloned();
                if let Some(outlet) = outlet {
                    outlet.end_stream(stream);
                }
            }
            Action::End(peer, reason) => {
                let outlet = self.0.outlets.borrow_mut().remove(&peer);
                if let Some(outlet) = outlet {
                    outlet.end(&reason);
                    let closed = self.closed(peer);
                    self.0.pending.borrow_mut().push_back(closed);
                }
            }
            Action::Upstream(frame) => {
                let upstream = self.0.upstream.borrow().as_ref().map(|(_, u)| Rc::clone(u));
                if let Some(upstream) = upstream {
                    self.0.observers.frame(Hop::Server, Direction::ToServer, &frame);
                    upstream.send(frame);
                }
            }
            Action::Open => {
                let generation = self.0.generation.get() + 1;
                self.0.generation.set(generation);
                match self.0.connector.connect(self, generation) {
                    Ok(upstream) => *self.0.upstream.borrow_mut() = Some((generation, upstream)),
                    Err(fate) => self.0.pending.borrow_mut().push_back(Event::UpstreamClosed(fate)),
                }
            }
            Action::Close => {
                let upstream = self.0.upstream.borrow().as_ref().map(|(_, u)| Rc::clone(u));
                if let Some(upstream) = upstream {
                    upstream.close();
                }
            }
            Action::Note(note) => self.note(&note),
        }
    }
}

impl Passing {
    /// Gives the client what has come. The first piece begins with the message and holds its id, which is another one there.
    fn deliver(&mut self, outlet: &dyn Outlet, mut bytes: Bytes, is_last: bool) -> Result<(), Overflow> {
        let stream = self.to.stream;
        if let Some(id) = self.edit.take() {
            let head = [&bytes[..id.start], self.to.id.as_bytes()].concat();
            bytes = bytes.slice(id.end..);
            outlet.deliver_part(Part { stream, place: Place::First, bytes: head.into() })?;
        }
        outlet.deliver_part(Part { stream, place: if is_last { Place::Last } else { Place::Middle }, bytes })
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Lets the timer's task see that there is nothing to keep time for.
        self.timer.notify_one();
    }
}

/// Gives the route its ticks, until the hub is gone.
async fn keep_time(weak: WeakHub) {
    let Some(timer) = weak.get().map(|hub| Rc::clone(&hub.0.timer)) else { return };
    while let Some(hub) = weak.get() {
        let wake = hub.0.wake.get();
        drop(hub);
        match wake {
            None => timer.notified().await,
            Some(at) => tokio::select! {
                () = tokio::time::sleep_until(at.into()) => {
                    if let Some(hub) = weak.get() {
                        hub.drive(Event::Tick);
                    }
                }
                () = timer.notified() => {}
            },
        }
    }
}

/// Text for a log line.
fn shortened(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(400)]);
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if bytes.len() > 400 { format!("{clean}… ({} bytes)", bytes.len()) } else { clean }
}

/// An id of ours in a piece of a message that was too long to be kept: `"id":7` with a number.
fn id_in(piece: &[u8]) -> Option<u64> {
    let at = memchr::memmem::find(piece, b"\"id\"")?;
    let rest = std::str::from_utf8(piece.get(at + 4..(at + 30).min(piece.len()))?).ok()?;
    let rest = rest.trim_start().strip_prefix(':')?.trim_start();
    let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    rest[..digits].parse().ok()
}
