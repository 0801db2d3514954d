//! What the tests of the transports share: a route that changes nothing, and ways to wait.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use mcp_relay::hub::{Hub, Limits};
use mcp_relay::outlet::{Delivery, Outlet, Overflow};
use mcp_relay::route::{Action, Arrival, Class, Event, Note, PeerId, Route, StreamId, Via};
use mcp_relay::status::{ClientStatus, Status};
use mcp_relay::transport::child::{ChildConnector, Patience, Spec};
use mcp_relay::upstream::{Connector, Fate, Upstream};
use mcp_wire::{Frame, Kind};

/// How long anything may take.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// What the route saw.
#[derive(Default)]
pub(crate) struct Record {
    pub(crate) from_server: RefCell<Vec<String>>,
    pub(crate) noise: Cell<usize>,
    pub(crate) too_long: RefCell<Vec<(u64, Option<u64>)>>,
    pub(crate) fates: RefCell<Vec<Fate>>,
    pub(crate) from_clients: RefCell<Vec<(PeerId, String)>>,
    pub(crate) closed: RefCell<Vec<PeerId>>,
    /// What `status` says of every client's revision.
    pub(crate) revision: RefCell<Option<String>>,
    /// Do not keep what passes.
    pub(crate) is_quiet: Cell<bool>,
    pub(crate) answers: Cell<usize>,
}

impl Record {
    pub(crate) fn fate(&self) -> Option<Fate> {
        self.fates.borrow().first().cloned()
    }
}

/// Everything a client says goes to the server as it is, answers come back to who asked, and the rest to all.
pub(crate) struct Plain {
    record: Rc<Record>,
    peers: Vec<PeerId>,
    asked: HashMap<String, PeerId>,
}

impl Plain {
    pub(crate) fn new(record: &Rc<Record>) -> Self {
        Self { record: Rc::clone(record), peers: Vec::new(), asked: HashMap::new() }
    }
}

impl Route for Plain {
    fn on(&mut self, _now: Instant, event: Event, actions: &mut Vec<Action>) {
        match event {
            Event::Opened(peer, _) => self.peers.push(peer),
            Event::Frame(peer, _, frame) => {
                if !self.record.is_quiet.get() {
                    self.record.from_clients.borrow_mut().push((peer, frame.text().to_owned()));
                }
                if frame.kind() == Kind::Request {
                    self.asked.insert(frame.id().unwrap().to_owned(), peer);
                }
                // `{"method":"end"}` is for the route itself.
                if frame.method() == "end" {
                    actions.push(Action::End(peer, "asked to".to_owned()));
                } else {
                    actions.push(Action::Upstream(frame.line()));
                }
            }
            Event::Closed(peer) => {
                self.peers.retain(|p| *p != peer);
                self.asked.retain(|_, p| *p != peer);
                self.record.closed.borrow_mut().push(peer);
            }
            Event::Upstream(frame, _) => {
                self.record.answers.set(self.record.answers.get() + 1);
                if !self.record.is_quiet.get() {
                    self.record.from_server.borrow_mut().push(frame.text().to_owned());
                }
                let owner = frame.id().and_then(|id| self.asked.remove(id));
                let line = frame.line();
                match owner {
                    Some(peer) => actions.push(Action::Send(peer, Some(StreamId(0)), Class::Response, line)),
                    None => self.peers.iter().for_each(|peer| {
                        actions.push(Action::Send(*peer, None, Class::Notification, line.clone()));
                    }),
                }
            }
            Event::Noise => self.record.noise.set(self.record.noise.get() + 1),
            Event::TooLong(size, id) => self.record.too_long.borrow_mut().push((size, id)),
            Event::UpstreamClosed(fate) => self.record.fates.borrow_mut().push(fate),
            Event::Drain => actions.push(Action::Close),
            Event::Start => actions.push(Action::Open),
            Event::Abandoned(..) | Event::Resumed(..) | Event::Tick | Event::Passed(_) => {}
        }
    }

    fn wake(&self) -> Option<Instant> {
        None
    }

    fn status(&self, _now: Instant) -> Status {
        let protocol_version = self.record.revision.borrow().clone();
        let client =
            |peer: &PeerId| ClientStatus { id: peer.0, protocol_version: protocol_version.clone(), ..ClientStatus::default() };
        Status { clients: self.peers.iter().map(client).collect(), ..Status::default() }
    }

    fn in_flight(&self, peer: PeerId) -> usize {
        self.asked.values().filter(|p| **p == peer).count()
    }
}

/// Runs a test as the daemon runs a server: one thread, one local set.
pub(crate) fn local<F: Future>(test: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, test)
}

/// Waits until something holds.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < DEADLINE, "waited in vain for: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// A client that came over lines.
pub(crate) fn arrival() -> Arrival {
    Arrival { via: Via::Stdio, era: None, pid: None }
}

/// Times that no test has to sit out.
pub(crate) fn hasty() -> Patience {
    let short = Duration::from_millis(100);
    Patience { closed: short, terminated: short, silent: short, dead: short }
}

/// A shell script as a server.
pub(crate) fn shell(script: &str) -> Spec {
    Spec {
        program: "/bin/sh".into(),
        args: vec!["-c".into(), script.into()],
        env: vec![("PATH".into(), "/usr/bin:/bin".into())],
        cwd: None,
    }
}

/// A hub with a server.
pub(crate) struct Started {
    pub(crate) hub: Hub,
    pub(crate) record: Rc<Record>,
    /// What it wrote to stderr.
    pub(crate) stderr: Rc<RefCell<Vec<String>>>,
    /// What the hub had to say.
    pub(crate) log: Rc<RefCell<Vec<String>>>,
}

/// Starts a server.
pub(crate) fn start(spec: Spec, patience: Patience) -> Started {
    start_with(spec, patience, Limits::default(), |connector| connector)
}

/// Starts a server in a way of one's own.
pub(crate) fn start_with(
    spec: Spec,
    patience: Patience,
    limits: Limits,
    change: impl FnOnce(ChildConnector) -> ChildConnector,
) -> Started {
    let stderr = Rc::new(RefCell::new(Vec::new()));
    let sink = {
        let stderr = Rc::clone(&stderr);
        Rc::new(move |line: &str| {
            let mut lines = stderr.borrow_mut();
            if lines.len() < 1000 {
                lines.push(line.to_owned());
            }
        })
    };
    let connector = change(ChildConnector::new(spec, sink).with_patience(patience));
    let record = Rc::new(Record::default());
    let hub = Hub::new(Box::new(Plain::new(&record)), Box::new(connector), limits);
    let log = Rc::new(RefCell::new(Vec::new()));
    {
        let log = Rc::clone(&log);
        hub.on_note(Rc::new(move |note| {
            if let Note::Log(line) = note {
                log.borrow_mut().push(line.clone());
            }
        }));
    }
    hub.start();
    Started { hub, record, stderr, log }
}

impl Started {
    pub(crate) fn pid(&self) -> u32 {
        self.hub.pid().expect("a server that was started")
    }

    pub(crate) async fn fate(&self) -> Fate {
        until("the server's end", || self.record.fate().is_some()).await;
        self.record.fate().unwrap()
    }

    /// The first line the server writes, as a number in a notification: `{"method":"7"}`.
    pub(crate) async fn told_number(&self) -> u32 {
        until("a number from the server", || !self.record.from_server.borrow().is_empty()).await;
        let text = self.record.from_server.borrow()[0].clone();
        mcp_wire::object::get(&text, "method").unwrap().trim_matches('"').parse().unwrap()
    }
}

/// A process is there, be it a zombie.
pub(crate) fn exists(pid: u32) -> bool {
    std::path::Path::new(&format!("/proc/{pid}")).exists()
}

/// A process runs.
pub(crate) fn runs(pid: u32) -> bool {
    mcp_os::proc::is_running(pid).unwrap()
}

/// A server in memory that the test itself plays.
#[derive(Default)]
pub(crate) struct Fake {
    pub(crate) sent: RefCell<Vec<Bytes>>,
    pub(crate) queued: Cell<usize>,
}

pub(crate) struct FakeConnector(pub(crate) Rc<Fake>);

impl Connector for FakeConnector {
    fn connect(&self, _hub: &Hub, _generation: u64) -> Result<Rc<dyn Upstream>, Fate> {
        Ok(Rc::new(FakeUpstream(Rc::clone(&self.0))))
    }
}

struct FakeUpstream(Rc<Fake>);

impl Upstream for FakeUpstream {
    fn send(&self, frame: Bytes) {
        self.0.sent.borrow_mut().push(frame);
    }

    fn queued(&self) -> usize {
        self.0.queued.get()
    }

    fn close(&self) {}
}

/// A client that takes everything.
struct Sink;

impl Outlet for Sink {
    fn deliver(&self, _: Delivery) -> Result<(), Overflow> {
        Ok(())
    }
    fn end_stream(&self, _: StreamId) {}
    fn end(&self, _: &str) {}
}

/// A client comes.
pub(crate) fn join(server: &Started) -> PeerId {
    server.hub.open(arrival(), Rc::new(Sink))
}

/// A client says something.
pub(crate) fn say(server: &Started, peer: PeerId, text: &str) {
    server.hub.frame(peer, StreamId(0), Frame::parse(Bytes::copy_from_slice(text.as_bytes())).unwrap());
}
