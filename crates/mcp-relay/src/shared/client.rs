//! Who is there.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::{Duration, Instant};

use foldhash::HashMap;
use mcp_wire::object;
use mcp_wire::version::Era;

use super::Shared;
use super::to_modern::Wishes;
use crate::route::{Action, Arrival, Note, PeerId, StreamId, Via};
use crate::status::Party;

/// A client.
pub(super) struct Client {
    pub(super) via: Via,
    pub(super) pid: Option<u32>,
    /// What it speaks, as soon as that is known.
    pub(super) era: Option<Era>,
    /// The revision it was told or told us.
    pub(super) version: Option<Box<str>>,
    /// The text of its `clientInfo`.
    pub(super) info: Option<Rc<str>>,
    /// The text of its capabilities.
    pub(super) capabilities: Rc<str>,
    /// It has got its answer to `initialize`.
    pub(super) is_initialized: bool,
    /// Requests of it that are open, by its id as spelt.
    pub(super) open: HashMap<Box<str>, u64>,
    /// Requests it has been sent and not answered.
    pub(super) asked: BTreeSet<u64>,
    /// The text of the list of its roots, as far as known.
    pub(super) roots: Option<Rc<str>>,
    /// On a modern server: what it wants to be told.
    pub(super) wishes: Wishes,
    pub(super) calls: u64,
}

impl Client {
    fn new(arrival: &Arrival) -> Self {
        Self {
            via: arrival.via,
            pid: arrival.pid,
            era: arrival.era,
            version: None,
            info: None,
            capabilities: Rc::from("{}"),
            is_initialized: false,
            open: HashMap::default(),
            asked: BTreeSet::new(),
            roots: None,
            wishes: Wishes::default(),
            calls: 0,
        }
    }

    /// It can do this, by its own word.
    pub(super) fn can(&self, path: &[&str]) -> bool {
        object::find_path(&self.capabilities, path).is_some()
    }

    pub(super) fn is_legacy(&self) -> bool {
        self.era != Some(Era::Modern)
    }
}

/// The name and version in the text of a `clientInfo` or `serverInfo`.
pub(super) fn party(info: &str) -> Party {
    let text = |key| object::get_string(info, key).unwrap_or_default();
    Party { name: text("name"), version: text("version") }
}

/// Modern clients over HTTP are there only while a request lasts. These were there lately.
#[derive(Default)]
pub(super) struct Seen(HashMap<Rc<str>, (u64, Instant)>);

impl Seen {
    /// So many are remembered, and for so long.
    const MOST: usize = 64;
    const AGE: Duration = Duration::from_mins(5);

    pub(super) fn note(&mut self, info: &str, now: Instant) {
        if let Some((calls, last)) = self.0.get_mut(info) {
            (*calls, *last) = (*calls + 1, now);
        } else {
            if self.0.len() >= Self::MOST {
                self.0.retain(|_, (_, last)| now.duration_since(*last) < Self::AGE);
            }
            if self.0.len() < Self::MOST {
                self.0.insert(Rc::from(info), (1, now));
            }
        }
    }

    pub(super) fn recent(&self, now: Instant) -> impl Iterator<Item = (Party, u64)> {
        let fresh = self.0.iter().filter(move |(_, (_, last))| now.duration_since(*last) < Self::AGE);
        fresh.map(|(info, (calls, _))| (party(info), *calls))
    }
}

impl Shared {
    pub(super) fn on_opened(&mut self, peer: PeerId, arrival: Arrival) {
        self.clients.insert(peer, Client::new(&arrival));
        if self.clients.len() == 1 {
            self.out.push(Action::Note(Note::Busy));
        }
    }

    /// A client left: nothing of it stays, here or in the server.
    pub(super) fn on_closed(&mut self, peer: PeerId) {
        let Some(client) = self.clients.remove(&peer) else { return };
        self.waiting.retain(|(p, ..)| *p != peer);
        self.resuming.retain(|(p, _)| *p != peer);
        let mut open: Vec<u64> = client.open.values().copied().collect();
        open.sort_unstable();
        for id in open {
            self.cancel_call(id, Some("client disconnected"));
        }
        for id in &client.asked {
            self.nested_failed(*id, "client disconnected");
        }
        self.end_wishes(&client.wishes);
        self.forget_parked_of(peer);
        self.drop_listens_of(peer);
        self.release_subscriptions_of(peer);
        self.release_level_of(peer);
        self.elicitations.retain(|_, p| *p != peer);
        self.tasks.client_left(peer, self.now);
        if client.is_legacy() && client.is_initialized {
            self.look_for_other_roots();
        }
        if self.clients.is_empty() {
            self.out.push(Action::Note(Note::Idle));
        }
        self.settle();
    }

    /// A client dropped an HTTP answer. In the modern era that is how a call is cancelled; in the legacy era it means nothing
    /// (basic/transports/streamable-http).
    pub(super) fn on_abandoned(&mut self, peer: PeerId, stream: StreamId) {
        let Some(client) = self.clients.get(&peer) else { return };
        if client.is_legacy() {
            return;
        }
        let mut open: Vec<u64> = client.open.values().copied().collect();
        open.sort_unstable();
        for id in open {
            if self.calls.get(&id).is_some_and(|c| c.stream == stream) {
                self.cancel_call(id, Some("the client closed the stream"));
            } else if self.listens.get(&id).is_some_and(|l| l.stream == stream) {
                self.close_listen(id);
            }
        }
        self.settle();
    }
}
