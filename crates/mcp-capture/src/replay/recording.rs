//! What was asked and what was said in answer, made from a session.

use std::collections::{HashMap, HashSet};
use std::io;
use std::time::Duration;

use bytes::Bytes;
use mcp_wire::{Frame, Kind};

use super::told_hop;
use crate::event::{Direction, Flags, Stamp};
use crate::file::Type;
use crate::scan::Class;
use crate::session::Session;
use crate::tree::Tree;

/// A request of a client, and all that the server said because of it.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// The number of the request's record.
    pub number: u64,
    /// The method.
    pub method: String,
    /// The tool, prompt, URI or task.
    pub name: String,
    /// The request as it was.
    pub request: Frame,
    /// Its parameters without `_meta`.
    pub params: Tree,
    /// The same, so that equal ones are spelt equally.
    pub key: String,
    /// What the server said, in order.
    pub steps: Vec<Step>,
    /// The client took it back before it was answered.
    pub is_cancelled: bool,
}

impl Exchange {
    /// The recorded answer.
    pub fn answer(&self) -> Option<&Frame> {
        self.steps.iter().find_map(|step| match &step.said {
            Said::Answer(frame) => Some(frame),
            _ => None,
        })
    }
}

/// One message of the server.
#[derive(Clone, Debug)]
pub struct Step {
    /// How long it took since the one before, or since the request.
    pub after: Duration,
    /// The client had told that it is ready (`notifications/initialized`) before the server said this.
    pub is_after_ready: bool,
    /// The message.
    pub said: Said,
}

/// What a server can say.
#[derive(Clone, Debug)]
pub enum Said {
    /// A notification.
    Notification(Frame),
    /// A question to the client, and what that answered.
    Question(Frame, Option<Frame>),
    /// The answer.
    Answer(Frame),
}

/// What a client did, in order.
#[derive(Clone, Debug)]
pub enum Act {
    /// It asked: the number of an exchange.
    Call(usize),
    /// It told something.
    Notification(Frame),
}

/// All of it.
#[derive(Clone, Debug, Default)]
pub struct Recording {
    /// The server's name.
    pub server: String,
    /// Requests, in order.
    pub exchanges: Vec<Exchange>,
    /// What clients did, in order.
    pub acts: Vec<Act>,
    /// Messages of which only the beginning was kept, and which cannot be said again.
    pub unusable: u64,
}

/// What is known while records are read.
#[derive(Default)]
struct Reader {
    recording: Recording,
    /// Requests by client and id, with the time of the last message about them.
    open: HashMap<(u32, String), usize>,
    questions: HashMap<(u32, String), (usize, usize)>,
    /// The exchange that was begun last in a row of the session, and by a client.
    of_row: HashMap<u32, usize>,
    of_peer: HashMap<u32, usize>,
    /// Clients that have told that they are ready.
    ready: HashSet<u32>,
    last: Vec<u64>,
}

impl Recording {
    /// Reads a session.
    pub fn of(session: &Session) -> io::Result<Self> {
        let told = told_hop(session);
        let mut reader = Reader::default();
        reader.recording.server.clone_from(&session.header().server);
        for (at, entry) in session.index().iter_from(0) {
            if entry.kind != Type::Frame || entry.is_element || !told.is(entry.stamp.hop) || entry.stamp.flags.has(Flags::DROPPED)
            {
                continue;
            }
            if entry.stamp.flags.has(Flags::TRUNCATED) {
                reader.recording.unusable += 1;
                continue;
            }
            if entry.class == Class::None {
                continue;
            }
            let Some(bytes) = session.payload(at)? else { continue };
            let row = |at| session.rows().of_entry(at);
            if entry.class == Class::Batch {
                for (frame, at) in Frame::split_batch(&bytes).into_iter().zip(at + 1..) {
                    if let Ok(frame) = frame {
                        let name = session.index().get(at).map(|entry| session.index().symbols.get(entry.operation).1);
                        reader.frame(frame, &entry.stamp, row(at), name.unwrap_or_default());
                    }
                }
            } else if let Ok(frame) = Frame::parse(bytes) {
                reader.frame(frame, &entry.stamp, row(at), session.index().symbols.get(entry.operation).1);
            }
        }
        Ok(reader.recording)
    }
}

impl Reader {
    fn frame(&mut self, frame: Frame, stamp: &Stamp, row: Option<u32>, name: &str) {
        let peer = stamp.hop.peer();
        let id = frame.id().map(|id| (peer, id.to_owned()));
        match (stamp.direction, frame.kind()) {
            (Direction::ToServer, Kind::Request) => {
                let number = self.recording.exchanges.len();
                let params = frame.params().and_then(Tree::parse).unwrap_or(Tree::Object(Vec::new())).without(&["_meta"]);
                self.recording.acts.push(Act::Call(number));
                self.last.push(stamp.at);
                self.open.extend(id.map(|id| (id, number)));
                self.of_row.extend(row.map(|row| (row, number)));
                self.of_peer.insert(peer, number);
                self.recording.exchanges.push(Exchange {
                    number: stamp.sequence,
                    method: frame.method().to_owned(),
                    name: name.to_owned(),
                    key: params.canonical(),
                    params,
                    request: frame,
                    steps: Vec::new(),
                    is_cancelled: false,
                });
            }
            (Direction::ToServer, Kind::Notification) => {
                if frame.method() == "notifications/cancelled" {
                    let id = frame.get(&["params", "requestId"]).map(|id| (peer, id.to_owned()));
                    if let Some(number) = id.and_then(|id| self.open.get(&id)) {
                        self.recording.exchanges[*number].is_cancelled = true;
                    }
                }
                if frame.method() == "notifications/initialized" {
                    self.ready.insert(peer);
                }
                self.recording.acts.push(Act::Notification(frame));
            }
            (Direction::ToServer, Kind::Result | Kind::Error) => {
                if let Some((exchange, step)) = id.and_then(|id| self.questions.remove(&id))
                    && let Said::Question(_, answer) = &mut self.recording.exchanges[exchange].steps[step].said
                {
                    *answer = Some(frame);
                    // What the client needed for its answer is not the server's time.
                    self.last[exchange] = stamp.at;
                }
            }
            (Direction::ToClient, Kind::Result | Kind::Error) => {
                if let Some(number) = id.and_then(|id| self.open.remove(&id)) {
                    self.step(number, stamp, Said::Answer(frame));
                }
            }
            (Direction::ToClient, Kind::Notification | Kind::Request) => {
                // What belongs to no call is said after the one that was begun last.
                let owner = row.and_then(|row| self.of_row.get(&row)).or_else(|| self.of_peer.get(&peer)).copied();
                let Some(number) = owner else { return };
                if frame.kind() == Kind::Request {
                    self.questions.extend(id.map(|id| (id, (number, self.recording.exchanges[number].steps.len()))));
                    self.step(number, stamp, Said::Question(frame, None));
                } else {
                    self.step(number, stamp, Said::Notification(frame));
                }
            }
        }
    }

    fn step(&mut self, exchange: usize, stamp: &Stamp, said: Said) {
        let after = Duration::from_nanos(stamp.at.saturating_sub(self.last[exchange]));
        self.last[exchange] = stamp.at;
        let is_after_ready = self.ready.contains(&stamp.hop.peer());
        self.recording.exchanges[exchange].steps.push(Step { after, is_after_ready, said });
    }
}

/// A frame made of bytes that are known to be one.
pub(super) fn frame(bytes: Bytes, before: &Frame) -> Frame {
    Frame::parse(bytes).unwrap_or_else(|_| before.clone())
}
