//! The route by which many clients use one server, each as though it were alone.
//!
//! What it changes on a message is the id, the progress token, the id in a cancellation and the subscription id; between
//! clients and a server of different eras also what [`to_modern`] and [`to_legacy`] say. All else passes as it came.
//!
//! | Part | Is about |
//! | --- | --- |
//! | [`config`] | what can be chosen |
//! | `client`, `call` | the tables: who is there, what is on its way |
//! | `lifecycle` | opening the server in one era or the other, its end, its restart |
//! | `requests`, `responses` | from client to server and back |
//! | `notices` | notifications, both ways |
//! | `nested`, `turns` | requests of the server: whose call they belong to, and who may go on meanwhile |
//! | `levels`, `subscriptions`, `roots`, `tasks` | what several clients want of one setting |
//! | `handover` | from one daemon to the next |
//! | `to_modern` | a legacy client on a modern server |
//! | `to_legacy`, `listens` | a modern client on a legacy server |

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use foldhash::HashMap;
use mcp_wire::version::Era;
use mcp_wire::{Frame, Kind, author};

use crate::route::{Action, Class, Event, Mirrored, Note, Passage, PeerId, Route, StreamId};
use crate::status::Status;

mod call;
mod client;
mod config;
mod handover;
mod histogram;
mod levels;
mod lifecycle;
mod listens;
mod mirror;
mod nested;
mod notices;
mod report;
mod requests;
mod responses;
mod roots;
mod subscriptions;
mod tasks;
mod to_legacy;
mod to_modern;
mod turns;

use call::{Call, Nested};
use client::Client;
pub use config::{Attribution, ClientCapabilities, Config, Restart, UpstreamEra};
use histogram::Histogram;
use lifecycle::Up;
use listens::Listen;

/// The route.
pub struct Shared {
    config: Config,
    now: Instant,
    out: Vec<Action>,
    /// The one counter for ids we give, to the server and to clients: from 1, never reused.
    last_id: u64,
    clients: BTreeMap<PeerId, Client>,
    /// Requests sent to the server, or waiting to be, by the id the server sees.
    calls: HashMap<u64, Call>,
    /// Requests sent to clients, by the id the client sees.
    nested: HashMap<u64, Nested>,
    /// What came before the server was open.
    waiting: VecDeque<(PeerId, StreamId, Frame)>,
    turns: turns::Turns,
    up: Up,
    /// Open subscriptions of modern clients on a legacy server.
    listens: BTreeMap<u64, Listen>,
    /// Calls that wait for their modern client to come back, by the handle it was given.
    parked: HashMap<String, to_legacy::Parked>,
    gatherings: Vec<roots::Gathering>,
    tasks: tasks::Tasks,
    /// Who is told that an elicitation is complete.
    elicitations: HashMap<String, PeerId>,
    mirrored: HashMap<String, Rc<[Mirrored]>>,
    seen: client::Seen,
    levels: levels::Levels,
    subscribers: subscriptions::Subscribers,
    roots_given: Option<String>,
    has_asked_for_roots: bool,
    /// Calls whose server wants to be called again without having asked anything.
    rounds_due: Vec<(Instant, u64)>,
    /// Calls whose questions go to their client soon.
    collecting: Vec<(Instant, u64)>,
    /// Clients of another daemon, until the server is open.
    resuming: Vec<(PeerId, handover::Ticket)>,
    is_draining: bool,
    /// Draining is done, the server is being ended.
    is_closing: bool,
    latency: Histogram,
    answered: u64,
    errors: u64,
    noise: u64,
    counts: BTreeMap<&'static str, u64>,
}

impl Shared {
    /// Nobody there yet.
    pub fn new(config: Config) -> Self {
        let up = Up::new(&config);
        let turns = turns::Turns::new(config.is_interactive);
        Self {
            config,
            now: Instant::now(),
            out: Vec::new(),
            last_id: 0,
            clients: BTreeMap::new(),
            calls: HashMap::default(),
            nested: HashMap::default(),
            waiting: VecDeque::new(),
            turns,
            up,
            listens: BTreeMap::new(),
            parked: HashMap::default(),
            gatherings: Vec::new(),
            tasks: tasks::Tasks::default(),
            elicitations: HashMap::default(),
            mirrored: HashMap::default(),
            seen: client::Seen::default(),
            levels: levels::Levels::default(),
            subscribers: subscriptions::Subscribers::default(),
            roots_given: None,
            has_asked_for_roots: false,
            rounds_due: Vec::new(),
            collecting: Vec::new(),
            resuming: Vec::new(),
            is_draining: false,
            is_closing: false,
            latency: Histogram::default(),
            answered: 0,
            errors: 0,
            noise: 0,
            counts: BTreeMap::new(),
        }
    }

    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    fn send(&mut self, peer: PeerId, stream: Option<StreamId>, class: Class, frame: Bytes) {
        self.out.push(Action::Send(peer, stream, class, frame));
    }

    fn answer(&mut self, peer: PeerId, stream: StreamId, frame: Bytes) {
        self.send(peer, Some(stream), Class::Response, frame);
    }

    /// An error answer of the route's own making.
    fn answer_error(&mut self, peer: PeerId, stream: StreamId, id: &str, code: i64, message: &str) {
        self.answer(peer, stream, author::error(Some(id), code, message, None));
    }

    fn upstream(&mut self, frame: Bytes) {
        self.out.push(Action::Upstream(frame));
    }

    fn log(&mut self, text: impl Into<String>) {
        self.out.push(Action::Note(Note::Log(text.into())));
    }

    /// Something that was dropped or refused: counted, and shown in the status.
    fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    /// The same, and logged the first time.
    fn count_and_log(&mut self, what: &'static str) {
        let count = self.counts.entry(what).or_default();
        *count += 1;
        if *count == 1 {
            self.log(what);
        }
    }

    fn server_era(&self) -> Option<Era> {
        self.up.era
    }

    fn on_upstream(&mut self, frame: Frame, on: Option<u64>) {
        match frame.kind() {
            Kind::Result | Kind::Error => self.on_response(frame),
            Kind::Request => self.on_server_request(frame, on),
            Kind::Notification => self.on_server_notification(&frame, on),
        }
    }

    fn on_tick(&mut self) {
        self.tick_lifecycle();
        self.tick_turns();
        self.tick_nested();
        self.tick_parked();
        self.tick_rounds();
        self.tick_gatherings();
        self.settle();
    }
}

/// How long an unanswered question to a client may last, in a bridged call.
const ENTRY_TIMEOUT: Duration = Duration::from_mins(10);

impl Route for Shared {
    fn on(&mut self, now: Instant, event: Event, actions: &mut Vec<Action>) {
        self.now = now;
        match event {
            Event::Opened(peer, arrival) => self.on_opened(peer, arrival),
            Event::Frame(peer, stream, frame) => self.on_client_frame(peer, stream, frame),
            Event::Abandoned(peer, stream) => self.on_abandoned(peer, stream),
            Event::Closed(peer) => self.on_closed(peer),
            Event::Upstream(frame, on) => self.on_upstream(frame, on),
            Event::Noise => self.noise += 1,
            Event::TooLong(size, id) => self.on_too_long(size, id),
            Event::Passed(id) => self.on_passed(id),
            Event::UpstreamClosed(fate) => self.on_upstream_closed(&fate),
            Event::Tick => self.on_tick(),
            Event::Drain => self.on_drain(),
            Event::Start => self.on_start(),
            Event::Resumed(peer, ticket) => self.on_resumed(peer, &ticket),
        }
        if self.is_draining {
            self.close_when_done();
        }
        actions.append(&mut self.out);
    }

    fn wake(&self) -> Option<Instant> {
        let times = [
            self.wake_lifecycle(),
            self.turns.wake(),
            self.wake_nested(),
            self.wake_parked(),
            self.wake_rounds(),
            self.gatherings.iter().map(|g| g.deadline).min(),
        ];
        times.into_iter().flatten().min()
    }

    fn status(&self, now: Instant) -> Status {
        self.report(now)
    }

    fn passage(&self, id: u64, beginning: &[u8]) -> Option<Passage> {
        self.passage_of(id, beginning)
    }

    fn in_flight(&self, peer: PeerId) -> usize {
        let open = self.clients.get(&peer).map_or(0, |client| client.open.len());
        open + self.waiting.iter().filter(|(p, _, f)| *p == peer && f.kind() == Kind::Request).count()
    }

    fn ticket(&self, peer: PeerId) -> Option<String> {
        self.ticket_for(peer)
    }

    fn name(&self, peer: PeerId) -> Option<String> {
        self.clients.get(&peer)?.info.as_deref().map(|info| client::party(info).name)
    }

    fn mirrored(&self, tool: &str) -> Option<Rc<[Mirrored]>> {
        self.mirrored.get(tool).cloned()
    }
}
