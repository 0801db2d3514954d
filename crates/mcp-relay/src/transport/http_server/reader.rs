//! Whoever waits for an answer or writes it out. Dropping it is what hyper does when the client is gone, so what that means is
//! here: for a request of the modern era it is the cancel, for a session it is not.

use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;

use super::lane::{Account, Counters, Lane, Opening, Piece, Style, Torn};
use super::session::Session;
use crate::hub::Hub;
use crate::outlet::{Delivery, Outlet, Overflow, Part};
use crate::route::{PeerId, StreamId};

/// The reader of one answer.
pub(super) enum Reader {
    /// One answer of a session.
    Session(SessionReader),
    /// The answer to a request that stands alone.
    Exchange(Exchange),
}

impl Reader {
    /// See [`Lane::poll_opening`].
    pub(super) fn poll_opening(&self, cx: &Context<'_>, begin_now: bool) -> Poll<Opening> {
        match self {
            Self::Session(reader) => reader.lane.poll_opening(cx, &reader.session.account, begin_now),
            Self::Exchange(exchange) => exchange.single.lane.poll_opening(cx, &exchange.single.account, begin_now),
        }
    }

    /// See [`Lane::poll_events`].
    pub(super) fn poll_events(&self, cx: &Context<'_>, style: Style) -> Poll<Option<Piece>> {
        match self {
            Self::Session(reader) => reader.session.poll_events(cx, &reader.lane, reader.number, style),
            Self::Exchange(Exchange { single, .. }) => {
                single.lane.poll_events(cx, single.reader, &single.account, style, |_, _| false)
            }
        }
    }
}

impl Reader {
    /// See [`Lane::poll_parts`].
    pub(super) fn poll_parts(&self, cx: &Context<'_>) -> Poll<Option<Result<Bytes, Torn>>> {
        match self {
            Self::Session(reader) => reader.lane.poll_parts(cx, reader.number, &reader.session.account),
            Self::Exchange(Exchange { single, .. }) => single.lane.poll_parts(cx, single.reader, &single.account),
        }
    }

    /// See [`Lane::is_within_message`].
    pub(super) fn is_within_message(&self) -> bool {
        match self {
            Self::Session(reader) => reader.lane.is_within_message(),
            Self::Exchange(exchange) => exchange.single.lane.is_within_message(),
        }
    }
}

fn one_more(counters: &Counters) {
    counters.streams.set(counters.streams.get() + 1);
}

fn one_less(counters: &Counters) {
    counters.streams.set(counters.streams.get() - 1);
}

/// Reads one answer of a session.
pub(super) struct SessionReader {
    pub(super) session: Rc<Session>,
    pub(super) lane: Rc<Lane>,
    number: u64,
}

impl SessionReader {
    pub(super) fn new(session: Rc<Session>, lane: Rc<Lane>) -> Self {
        one_more(session.account.counters());
        let number = lane.attach();
        Self { session, lane, number }
    }
}

impl Drop for SessionReader {
    fn drop(&mut self) {
        one_less(self.session.account.counters());
        self.session.left(&self.lane, self.number);
    }
}

/// The way to the client of a request that stands alone.
#[derive(Debug)]
pub(super) struct Single {
    account: Account,
    lane: Lane,
    reader: u64,
}

/// The stream such a request has.
const ONLY: StreamId = StreamId(1);

impl Outlet for Single {
    fn deliver(&self, delivery: Delivery) -> Result<(), Overflow> {
        self.lane.push(&self.account, delivery.class, delivery.frame)
    }

    fn takes_parts(&self, _stream: StreamId) -> bool {
        self.lane.takes_parts()
    }

    fn deliver_part(&self, part: Part) -> Result<(), Overflow> {
        self.lane.push_part(&self.account, part.place, part.bytes)
    }

    fn tear(&self, _stream: StreamId) {
        self.lane.tear(&self.account);
    }

    fn end_stream(&self, _stream: StreamId) {
        self.lane.excuse();
    }

    fn end(&self, _reason: &str) {
        self.lane.cut(&self.account, false);
    }
}

/// A request that stands alone, from its arrival to the end of its answer.
pub(super) struct Exchange {
    hub: Hub,
    peer: PeerId,
    single: Rc<Single>,
}

impl Exchange {
    /// Hands a message over and waits for its answer, if it is to have one.
    pub(super) fn open(hub: &Hub, counters: Rc<Counters>, frame: mcp_wire::Frame) -> Self {
        one_more(&counters);
        let lane = Lane::new(ONLY.0, Some(1));
        let reader = lane.attach();
        let single = Rc::new(Single { account: Account::new(hub.limits().client_queue, counters), lane, reader });
        let arrival =
            crate::route::Arrival { via: crate::route::Via::Http, era: Some(mcp_wire::version::Era::Modern), pid: None };
        let peer = hub.open(arrival, Rc::<Single>::clone(&single));
        let exchange = Self { hub: hub.clone(), peer, single };
        hub.frame(peer, ONLY, frame);
        exchange
    }

    /// The message was none that is answered.
    pub(super) fn let_go(self) {
        self.single.lane.finish();
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        one_less(self.single.account.counters());
        if !self.single.lane.is_over() && !self.single.lane.is_cut() {
            // The client left before the end: that is how the modern era cancels over HTTP.
            self.hub.abandon(self.peer, ONLY);
        }
        self.hub.close(self.peer);
    }
}

/// Bytes of an id, for an answer that is ours to give after the frame has been handed over.
pub(super) fn id_of(frame: &mcp_wire::Frame) -> Option<Bytes> {
    frame.id_span().map(|span| frame.bytes().slice(span))
}
