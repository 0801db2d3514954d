//! Copies of what passes, for whoever watches: a capture file, the inspector, a log. The traffic never waits for them.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Instant;

use bytes::Bytes;
use mcp_capture::event::Flags;

use crate::acting::Altered;
use crate::route::{Note, PeerId};

/// Which connection a message was seen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hop {
    /// The one to this client.
    Client(PeerId),
    /// The one to the server.
    Server,
}

/// Which way a message went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From a client, or to the server.
    ToServer,
    /// From the server, or to a client.
    ToClient,
}

/// Something that was seen. The number is given before the message is written on, so that an answer never comes before its
/// question.
#[derive(Clone, Debug)]
pub enum Seen {
    /// A message.
    Frame {
        /// Counts all that is seen, from 1.
        sequence: u64,
        /// When.
        at: Instant,
        /// Where.
        hop: Hop,
        /// Which way.
        direction: Direction,
        /// The exact bytes; a line end may follow.
        bytes: Bytes,
        /// Whether somebody held, changed, sent or dropped it.
        flags: Flags,
        /// What it was before, and why.
        altered: Option<Altered>,
    },
    /// From here on, this client is somebody who watches and has something to say.
    Viewer(PeerId),
    /// Something the route had to say.
    Note {
        /// Counts all that is seen, from 1.
        sequence: u64,
        /// When.
        at: Instant,
        /// What.
        note: Note,
    },
}

/// Somebody who watches. Must return at once: queue it, or drop and count it.
pub trait Observer {
    /// Takes a copy.
    fn saw(&self, seen: &Seen);
}

/// All who watch one hub.
#[derive(Default)]
pub struct Observers {
    all: RefCell<Vec<Rc<dyn Observer>>>,
    sequence: Cell<u64>,
    watched: Cell<bool>,
}

impl Observers {
    /// One more.
    pub fn add(&self, observer: Rc<dyn Observer>) {
        self.all.borrow_mut().push(observer);
        self.watched.set(true);
    }

    /// Whether anybody watches.
    pub fn is_watched(&self) -> bool {
        self.watched.get()
    }

    /// One less.
    pub fn remove(&self, observer: &Rc<dyn Observer>) {
        let mut all = self.all.borrow_mut();
        all.retain(|other| !Rc::ptr_eq(other, observer));
        self.watched.set(!all.is_empty());
    }

    fn number(&self) -> u64 {
        self.sequence.set(self.sequence.get() + 1);
        self.sequence.get()
    }

    /// Tells of a message.
    #[inline]
    pub fn frame(&self, hop: Hop, direction: Direction, bytes: &Bytes) {
        if self.watched.get() {
            self.marked(hop, direction, bytes.clone(), Flags::NONE, None);
        }
    }

    /// Tells of a message that somebody acted on.
    pub(crate) fn marked(&self, hop: Hop, direction: Direction, bytes: Bytes, flags: Flags, altered: Option<Altered>) {
        if self.watched.get() {
            let seen = Seen::Frame { sequence: self.number(), at: Instant::now(), hop, direction, bytes, flags, altered };
            self.all.borrow().iter().for_each(|o| o.saw(&seen));
        }
    }

    /// Tells of a client that is one who watches.
    pub(crate) fn viewer(&self, peer: PeerId) {
        self.all.borrow().iter().for_each(|o| o.saw(&Seen::Viewer(peer)));
    }

    /// Tells of a note.
    pub fn note(&self, note: &Note) {
        if self.watched.get() {
            let seen = Seen::Note { sequence: self.number(), at: Instant::now(), note: note.clone() };
            self.all.borrow().iter().for_each(|o| o.saw(&seen));
        }
    }
}
