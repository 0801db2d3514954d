//! A client that opened a session: by `initialize` over streamable HTTP, or by the stream of the older HTTP+SSE transport.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use base64::Engine as _;
use foldhash::HashMap;

use super::Server;
use super::lane::{Account, Lane, Piece, Style};
use crate::outlet::{Delivery, Outlet, Overflow, Part};
use crate::route::{Class, PeerId, StreamId, Via};

/// The number of the answer that belongs to no request: the stand-alone stream.
const STANDING: u64 = 0;

/// One event that is kept for a client that comes back.
#[derive(Clone, Copy, Debug)]
struct Kept {
    lane: u64,
    sequence: u64,
    size: usize,
}

/// The events that are kept, oldest first over all streams of a session.
#[derive(Debug, Default)]
struct Keeper {
    all: RefCell<VecDeque<Kept>>,
    bytes: Cell<usize>,
}

impl Keeper {
    fn add(&self, kept: Kept) {
        self.bytes.set(self.bytes.get() + kept.size);
        self.all.borrow_mut().push_back(kept);
    }

    /// Forgets those of a stream from this place on.
    fn remove(&self, lane: u64, after: u64) {
        self.all.borrow_mut().retain(|kept| {
            let stays = kept.lane != lane || kept.sequence <= after;
            if !stays {
                self.bytes.set(self.bytes.get() - kept.size);
            }
            stays
        });
    }

    fn oldest_over(&self, events: usize, bytes: usize) -> Option<Kept> {
        let all = &mut *self.all.borrow_mut();
        if all.len() <= events && self.bytes.get() <= bytes {
            return None;
        }
        let oldest = all.pop_front()?;
        self.bytes.set(self.bytes.get() - oldest.size);
        Some(oldest)
    }
}

/// One session.
#[derive(Debug)]
pub(super) struct Session {
    /// Its name, which only its client knows.
    pub(super) id: String,
    pub(super) via: Via,
    pub(super) account: Account,
    /// The stream for what belongs to no request.
    pub(super) standing: Rc<Lane>,
    server: Weak<Server>,
    peer: Cell<Option<PeerId>>,
    version: RefCell<String>,
    lanes: RefCell<HashMap<u64, Rc<Lane>>>,
    last_lane: Cell<u64>,
    keeper: Keeper,
    used: Cell<Instant>,
    /// `initialize` has been answered.
    is_established: Cell<bool>,
    is_ended: Cell<bool>,
    has_overflown: Cell<bool>,
}

impl Session {
    /// A session that nobody knows of yet. None if the system has no random numbers.
    pub(super) fn new(server: &Rc<Server>, via: Via) -> Option<Rc<Self>> {
        let mut secret = [0; 24];
        getrandom::fill(&mut secret).ok()?;
        let account = Account::new(server.hub.limits().client_queue, Rc::clone(&server.counters));
        Some(Rc::new(Self {
            id: base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(secret),
            via,
            account,
            standing: Rc::new(Lane::new(STANDING, None)),
            server: Rc::downgrade(server),
            peer: Cell::new(None),
            version: RefCell::default(),
            lanes: RefCell::default(),
            last_lane: Cell::new(STANDING),
            keeper: Keeper::default(),
            used: Cell::new(Instant::now()),
            is_established: Cell::new(via == Via::Sse),
            is_ended: Cell::new(false),
            has_overflown: Cell::new(false),
        }))
    }

    pub(super) fn is_for(&self, peer: PeerId) {
        self.peer.set(Some(peer));
    }

    pub(super) fn peer(&self) -> Option<PeerId> {
        self.peer.get().filter(|_| !self.is_ended.get())
    }

    /// The opening is over: the client and the server agreed on this revision.
    pub(super) fn establish(&self, version: String) {
        *self.version.borrow_mut() = version;
        self.is_established.set(true);
        self.touch();
    }

    pub(super) fn speaks(&self, version: &str) -> bool {
        *self.version.borrow() == version
    }

    pub(super) fn is_ended(&self) -> bool {
        self.is_ended.get()
    }

    pub(super) fn touch(&self) {
        self.used.set(Instant::now());
    }

    pub(super) fn last_used(&self) -> Instant {
        self.used.get()
    }

    /// Whether the client waits for something or listens. A call whose connection was lost does not count: without a client
    /// that comes back, a server that never answers would keep the session for ever.
    pub(super) fn is_read(&self) -> bool {
        self.standing.is_read() || self.lanes.borrow().values().any(|lane| lane.is_read())
    }

    /// Answers of which something is left to give.
    pub(super) fn lanes(&self) -> usize {
        self.lanes.borrow().len()
    }

    /// A new answer, complete after so many responses.
    pub(super) fn new_lane(&self, due: u32) -> Rc<Lane> {
        let number = self.last_lane.get() + 1;
        self.last_lane.set(number);
        let lane = Rc::new(Lane::new(number, Some(due)));
        self.lanes.borrow_mut().insert(number, Rc::clone(&lane));
        lane
    }

    /// The answer an event id names, set back to behind that event. None if nothing is known of it.
    pub(super) fn resume(&self, event_id: &str) -> Option<Rc<Lane>> {
        let (lane, sequence) = event_id.split_once('-')?;
        let (lane, sequence) = (lane.parse::<u64>().ok()?, sequence.parse::<u64>().ok()?);
        let lane = if lane == STANDING { Rc::clone(&self.standing) } else { Rc::clone(self.lanes.borrow().get(&lane)?) };
        lane.rewind(&self.account, sequence);
        self.keeper.remove(lane.number(), sequence);
        Some(lane)
    }

    /// See [`Lane::poll_events`].
    pub(super) fn poll_events(&self, cx: &Context<'_>, lane: &Lane, reader: u64, style: Style) -> Poll<Option<Piece>> {
        let Some(server) = self.server.upgrade() else { return Poll::Ready(None) };
        let (events, bytes) = (server.options.replay_events, server.options.replay_bytes);
        let piece = lane.poll_events(cx, reader, &self.account, style, |sequence, size| {
            if size > bytes || events == 0 {
                self.keeper.remove(lane.number(), 0);
                return false;
            }
            self.keeper.add(Kept { lane: lane.number(), sequence, size });
            true
        });
        while let Some(oldest) = self.keeper.oldest_over(events, bytes) {
            let of = if oldest.lane == STANDING {
                Some(Rc::clone(&self.standing))
            } else {
                self.lanes.borrow().get(&oldest.lane).cloned()
            };
            if let Some(of) = of {
                of.forget_oldest();
                if of.number() != STANDING && of.is_spent() && !of.is_read() {
                    self.remove(&of);
                }
            }
        }
        piece
    }

    fn remove(&self, lane: &Lane) {
        lane.clear(&self.account);
        self.keeper.remove(lane.number(), 0);
        self.lanes.borrow_mut().remove(&lane.number());
    }

    /// Somebody reads this answer no more. Not a cancel: what comes is kept for a client that knows what to ask for.
    pub(super) fn left(&self, lane: &Lane, reader: u64) {
        if !lane.detach(&self.account, reader) {
            return;
        }
        self.touch();
        if lane.number() == STANDING {
            if self.via == Via::Sse {
                self.close("the client closed its stream");
            }
        } else if lane.is_spent() || !lane.has_begun() {
            self.remove(lane);
        }
    }

    /// Drops the answers nobody came back for.
    pub(super) fn sweep(&self, now: Instant, keep_answer: Duration) {
        let stale: Vec<Rc<Lane>> = self.lanes.borrow().values().filter(|lane| lane.is_stale(now, keep_answer)).cloned().collect();
        for lane in stale {
            self.remove(&lane);
        }
    }

    /// Ends it on our side. Must not be called from within the hub.
    pub(super) fn close(&self, reason: &str) {
        let peer = self.peer();
        self.end(reason);
        if let (Some(peer), Some(server)) = (peer, self.server.upgrade()) {
            server.hub.close(peer);
        }
    }

    /// The only answer that is waited for, if it is the only one.
    fn only_open(&self) -> Option<Rc<Lane>> {
        let lanes = self.lanes.borrow();
        let mut open = lanes.values().filter(|lane| lane.is_open());
        let only = open.next()?;
        open.next().is_none().then(|| Rc::clone(only))
    }

    /// The answer of this number.
    fn lane(&self, stream: StreamId) -> Option<Rc<Lane>> {
        self.lanes.borrow().get(&stream.0).cloned()
    }

    fn place(&self, delivery: Delivery) -> Result<(), Overflow> {
        let Delivery { stream, class, frame } = delivery;
        if self.via == Via::Sse {
            return self.standing.push(&self.account, class, frame);
        }
        if let Some(StreamId(number)) = stream.filter(|s| s.0 != STANDING) {
            if let Some(lane) = self.lane(StreamId(number)) {
                return lane.push(&self.account, class, frame);
            }
            // The client cannot come back to that stream. What is not about the call alone can still reach it.
            if !matches!(class, Class::Request | Class::Notification) {
                return Ok(());
            }
        }
        if !self.is_established.get() {
            return self.standing.push_pending(&self.account, class, frame);
        }
        if self.standing.is_open() {
            return self.standing.push(&self.account, class, frame);
        }
        match self.only_open() {
            Some(lane) => lane.push(&self.account, class, frame),
            None => self.standing.push_pending(&self.account, class, frame),
        }
    }
}

impl Outlet for Session {
    fn deliver(&self, delivery: Delivery) -> Result<(), Overflow> {
        let placed = self.place(delivery);
        if placed.is_err() {
            self.has_overflown.set(true);
        }
        placed
    }

    fn takes_parts(&self, stream: StreamId) -> bool {
        self.lane(stream).is_some_and(|lane| lane.takes_parts())
    }

    fn deliver_part(&self, part: Part) -> Result<(), Overflow> {
        let Some(lane) = self.lane(part.stream) else { return Ok(()) };
        let placed = lane.push_part(&self.account, part.place, part.bytes);
        if placed.is_err() {
            self.has_overflown.set(true);
        }
        placed
    }

    fn tear(&self, stream: StreamId) {
        if let Some(lane) = self.lane(stream) {
            lane.tear(&self.account);
        }
    }

    fn end_stream(&self, stream: StreamId) {
        if let Some(lane) = self.lane(stream) {
            lane.excuse();
        }
    }

    fn end(&self, _reason: &str) {
        self.is_ended.set(true);
        if let Some(server) = self.server.upgrade() {
            server.sessions.borrow_mut().remove(&self.id);
        }
        let throw_away = self.has_overflown.get();
        self.standing.cut(&self.account, throw_away);
        self.lanes.borrow().values().for_each(|lane| lane.cut(&self.account, throw_away));
    }
}
