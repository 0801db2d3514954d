//! A front end on a thread of its own, and the route it serves.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use mcp_relay::hub::{Hub, Limits};
use mcp_relay::route::{Action, Arrival, Class, Event, Mirrored, PeerId, Route, StreamId, Via};
use mcp_relay::status::Status;
use mcp_relay::transport::http_server::{HttpOptions, HttpServer, HttpStatus};
use mcp_relay::upstream::{Connector, Fate, Upstream};
use mcp_wire::version::Era;
use mcp_wire::{Frame, Kind, author};
use tokio::sync::{mpsc as channel, oneshot};

/// What the route has seen and is to do.
#[derive(Default)]
pub(crate) struct Script {
    pub(crate) opened: Vec<(PeerId, Arrival)>,
    pub(crate) closed: Vec<PeerId>,
    pub(crate) abandoned: Vec<(PeerId, StreamId)>,
    pub(crate) seen: Vec<(PeerId, StreamId, String)>,
    pub(crate) calls: Vec<(PeerId, StreamId, String)>,
    pub(crate) todo: Vec<Action>,
}

struct Scripted(Rc<RefCell<Script>>);

pub(crate) fn line(text: impl Into<String>) -> Bytes {
    Bytes::from(text.into() + "\n")
}

pub(crate) fn progress(n: u32) -> Bytes {
    author::notification("notifications/progress", Some(&format!(r#"{{"progressToken":1,"progress":{n}}}"#)))
}

impl Scripted {
    fn frame(&self, peer: PeerId, stream: StreamId, frame: &Frame, actions: &mut Vec<Action>) {
        let mut script = self.0.borrow_mut();
        script.seen.push((peer, stream, frame.text().to_owned()));
        if frame.kind() != Kind::Request {
            return;
        }
        let id = frame.id().unwrap().to_owned();
        let mut send = |class, bytes| actions.push(Action::Send(peer, Some(stream), class, bytes));
        let argument = |key: &str| frame.get(&["params", "arguments", key]).map(str::to_owned);
        let number = |key: &str| argument(key).and_then(|n| n.parse::<usize>().ok()).unwrap_or(0);
        match (frame.method(), frame.get_string(&["params", "name"]).as_deref()) {
            ("initialize", _) => {
                let version = frame.get(&["params", "protocolVersion"]).unwrap_or("\"2025-11-25\"");
                match frame.get_string(&["params", "clientInfo", "name"]).as_deref() {
                    Some("unwelcome") => send(Class::Response, author::error(Some(&id), -32602, "no", None)),
                    Some("hanging") => script.calls.push((peer, stream, id)),
                    _ => send(
                        Class::Response,
                        author::result(&id, &format!(r#"{{"protocolVersion":{version},"capabilities":{{}}}}"#)),
                    ),
                }
            }
            ("tools/call", Some("hang")) => script.calls.push((peer, stream, id)),
            ("tools/call", Some("progress")) => {
                (1..=3).for_each(|n| send(Class::Progress(7), progress(n)));
                send(Class::Response, author::result(&id, "{}"));
            }
            ("tools/call", Some("progress-and-hang")) => {
                send(Class::Progress(7), progress(1));
                script.calls.push((peer, stream, id));
            }
            ("tools/call", Some("error")) => {
                let code = argument("code").unwrap().parse().unwrap();
                send(Class::Response, author::error(Some(&id), code, "as asked", None));
            }
            ("tools/call", Some("refuse")) => send(Class::Refusal, author::error(Some(&id), -32602, "as asked", None)),
            ("tools/call", Some("end")) => actions.push(Action::EndStream(peer, stream)),
            ("tools/call", Some("leave")) => actions.push(Action::End(peer, "as asked".to_owned())),
            ("tools/call", Some("big")) => {
                send(Class::Response, author::result(&id, &format!("{{\"text\":\"{}\"}}", "x".repeat(number("size")))));
            }
            ("tools/call", Some("flood")) => {
                let text = "x".repeat(number("size"));
                for n in 0..number("count") {
                    let params = format!(r#"{{"n":{n},"text":"{text}"}}"#);
                    send(Class::Notification, author::notification("notifications/flood", Some(&params)));
                }
                send(Class::Response, author::result(&id, "{}"));
            }
            ("tools/call", Some("whisper")) => {
                actions.push(Action::Send(
                    peer,
                    None,
                    Class::Notification,
                    line(r#"{"jsonrpc":"2.0","method":"notifications/whisper"}"#),
                ));
                actions.push(Action::Send(peer, Some(stream), Class::Response, author::result(&id, "{}")));
            }
            _ => {
                let echo = frame.get(&["params", "arguments"]).unwrap_or("{}");
                send(Class::Response, author::result(&id, &format!("{{\"echo\":{echo}}}")));
            }
        }
    }
}

impl Route for Scripted {
    fn on(&mut self, _now: Instant, event: Event, actions: &mut Vec<Action>) {
        match event {
            Event::Opened(peer, arrival) => self.0.borrow_mut().opened.push((peer, arrival)),
            Event::Frame(peer, stream, frame) => self.frame(peer, stream, &frame, actions),
            Event::Abandoned(peer, stream) => self.0.borrow_mut().abandoned.push((peer, stream)),
            Event::Closed(peer) => self.0.borrow_mut().closed.push(peer),
            Event::Start => actions.append(&mut self.0.borrow_mut().todo),
            _ => {}
        }
    }

    fn wake(&self) -> Option<Instant> {
        None
    }

    fn status(&self, _now: Instant) -> Status {
        Status::default()
    }

    fn mirrored(&self, tool: &str) -> Option<Rc<[Mirrored]>> {
        let one = |header: &str, path: &[&str], is_integer| Mirrored {
            header: header.to_owned(),
            path: path.iter().map(|p| (*p).to_owned()).collect(),
            is_integer,
        };
        (tool == "weather")
            .then(|| Rc::from([one("Mcp-Param-Region", &["region"], false), one("Mcp-Param-Days", &["days"], true)]))
    }
}

struct Nowhere;

impl Connector for Nowhere {
    fn connect(&self, _hub: &Hub, _generation: u64) -> Result<Rc<dyn Upstream>, Fate> {
        Err(Fate::default())
    }
}

/// What a test can look at, on the thread of the front end.
pub(crate) struct Inside {
    pub(crate) hub: Hub,
    pub(crate) http: HttpServer,
    pub(crate) script: Rc<RefCell<Script>>,
}

impl Inside {
    /// Has the route do something.
    pub(crate) fn act(&self, action: Action) {
        self.script.borrow_mut().todo.push(action);
        self.hub.start();
    }

    /// Answers the oldest call that hangs.
    pub(crate) fn answer(&self, result: &str) {
        let (peer, stream, id) = self.script.borrow_mut().calls.remove(0);
        self.act(Action::Send(peer, Some(stream), Class::Response, author::result(&id, result)));
    }
}

type Visit = Box<dyn FnOnce(&Inside) + Send>;

/// A front end, ended when this is dropped.
pub(crate) struct Harness {
    pub(crate) address: SocketAddr,
    visits: channel::UnboundedSender<Visit>,
    shutdown: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// How long a test waits for what should come at once.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

impl Harness {
    pub(crate) fn new() -> Self {
        Self::with(HttpOptions::default(), Limits::default())
    }

    pub(crate) fn with(options: HttpOptions, limits: Limits) -> Self {
        Self::serving(options, limits, |script| (Box::new(Scripted(script)), Box::new(Nowhere)))
    }

    /// With a route and a server of the test's own.
    pub(crate) fn serving(
        options: HttpOptions,
        limits: Limits,
        parts: impl FnOnce(Rc<RefCell<Script>>) -> (Box<dyn Route>, Box<dyn Connector>) + Send + 'static,
    ) -> Self {
        let (visits, mut visitors) = channel::unbounded_channel::<Visit>();
        let (shutdown, ended) = oneshot::channel::<()>();
        let (tell, told) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            tokio::task::LocalSet::new().block_on(&runtime, async move {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                tell.send(listener.local_addr().unwrap()).unwrap();
                let script = Rc::new(RefCell::new(Script::default()));
                let (route, connector) = parts(Rc::clone(&script));
                let hub = Hub::new(route, connector, limits);
                let inside = Inside { http: HttpServer::new(hub.clone(), options), hub, script };
                let http = inside.http.clone();
                tokio::task::spawn_local(async move {
                    while let Some(visit) = visitors.recv().await {
                        visit(&inside);
                    }
                });
                http.serve(listener, async { drop(ended.await) }).await;
            });
        });
        Self { address: told.recv().unwrap(), visits, shutdown: Some(shutdown), thread: Some(thread) }
    }

    /// Looks or does something inside.
    pub(crate) fn inside<T: Send + 'static>(&self, visit: impl FnOnce(&Inside) -> T + Send + 'static) -> T {
        let (tell, told) = mpsc::channel();
        self.visits.send(Box::new(move |inside| drop(tell.send(visit(inside))))).ok().unwrap();
        told.recv_timeout(DEADLINE).unwrap()
    }

    /// Waits until something holds inside.
    pub(crate) fn until(&self, what: &str, holds: impl Fn(&Inside) -> bool + Send + Clone + 'static) {
        let end = Instant::now() + DEADLINE;
        while !self.inside(holds.clone()) {
            assert!(Instant::now() < end, "{what}; {:?}", self.status());
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    pub(crate) fn status(&self) -> HttpStatus {
        self.inside(|inside| inside.http.status())
    }

    /// Waits until nothing is open any more, the peers of the hub included.
    pub(crate) fn until_empty(&self) {
        self.until("nothing is left", |inside| {
            let status = inside.http.status();
            let script = inside.script.borrow();
            (status.connections, status.sessions, status.streams, status.answers) == (0, 0, 0, 0)
                && script.opened.iter().all(|(peer, _)| script.closed.contains(peer) && !inside.hub.knows(*peer))
        });
    }

    pub(crate) fn end(&mut self) {
        drop(self.shutdown.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl Drop for Harness {
    fn drop(&mut self) {
        drop(self.shutdown.take());
        if let Some(thread) = self.thread.take()
            && !std::thread::panicking()
        {
            thread.join().unwrap();
        }
    }
}

/// How the last peer came.
pub(crate) fn last_arrival(harness: &Harness) -> (Via, Option<Era>) {
    harness.inside(|inside| inside.script.borrow().opened.last().map(|(_, a)| (a.via, a.era)).unwrap())
}
