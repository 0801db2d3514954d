//! Where messages that were asked about go on: one for each body that is kept back, and for each stream of events.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use mcp_wire::sse::Event;

use crate::acting::rules::Place;

/// What kind of body it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of {
    /// A request's.
    Request,
    /// An answer's that is one message.
    Answer,
    /// An answer's that is a stream of events.
    Events,
    /// None: a viewer says something in a client's place.
    Viewer,
}

/// What was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Pass this on; it has this number in the capture.
    Pass(Bytes, u64),
    /// Answer with this instead.
    Answer(Bytes),
    /// It is never passed on.
    Dropped,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) of: Of,
    verdicts: RefCell<VecDeque<Verdict>>,
    waker: RefCell<Option<Waker>>,
    /// An answer that is one message was given.
    is_full: Cell<bool>,
}

impl Lane {
    pub(super) fn new(of: Of) -> Rc<Self> {
        Rc::new(Self { of, verdicts: RefCell::default(), waker: RefCell::default(), is_full: Cell::new(false) })
    }

    /// Whether one more message can be passed on here. An answer that is one message takes one.
    pub(super) fn takes_more(&self) -> bool {
        self.of != Of::Answer || !self.is_full.replace(true)
    }

    pub(super) fn push(&self, verdict: Verdict) {
        self.verdicts.borrow_mut().push_back(verdict);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    pub(super) fn pop(&self) -> Option<Verdict> {
        self.verdicts.borrow_mut().pop_front()
    }

    pub(super) fn poll(&self, cx: &Context<'_>) -> Poll<Verdict> {
        if let Some(verdict) = self.pop() {
            return Poll::Ready(verdict);
        }
        *self.waker.borrow_mut() = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Waits for the next verdict.
    pub(super) async fn next(&self) -> Verdict {
        poll_fn(|cx| self.poll(cx)).await
    }
}

/// Where a message is.
#[derive(Clone, Debug)]
pub(super) struct Seat {
    pub(super) lane: Rc<Lane>,
    /// The event that it came in, as it came and as it was read.
    pub(super) event: Option<Rc<(Bytes, Event)>>,
}

impl Seat {
    pub(super) fn at(lane: &Rc<Lane>) -> Self {
        Self { lane: Rc::clone(lane), event: None }
    }
}

impl Place for Seat {
    /// Who is behind a connection is not known: to the capture all of them are one.
    fn client(&self) -> u64 {
        1
    }
}
