//! A route that passes everything on, so that a test sees what the transport does.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Instant;

use mcp_relay::hub::{Hub, Limits};
use mcp_relay::outlet::{Delivery, Outlet, Overflow};
use mcp_relay::route::{Action, Arrival, Event, Note, PeerId, Route, StreamId, Via};
use mcp_relay::status::Status;
use mcp_relay::transport::http_client::{RemoteConnector, RemoteOptions};
use mcp_relay::upstream::Fate;
use mcp_wire::Frame;
use serde_json::Value;
use tokio::sync::Notify;

use crate::server::DEADLINE;

/// What came of the transport.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Heard {
    Frame(String, Option<u64>),
    Noise,
    Closed(Fate),
}

#[derive(Default)]
struct Record {
    heard: RefCell<VecDeque<Heard>>,
    logged: RefCell<Vec<String>>,
    changed: Notify,
}

struct Pipe(Rc<Record>);

impl Route for Pipe {
    fn on(&mut self, _now: Instant, event: Event, actions: &mut Vec<Action>) {
        let heard = match event {
            Event::Start => return actions.push(Action::Open),
            Event::Drain => return actions.push(Action::Close),
            Event::Frame(_, _, frame) => return actions.push(Action::Upstream(frame.line())),
            Event::Upstream(frame, on) => Heard::Frame(frame.text().to_owned(), on),
            Event::Noise => Heard::Noise,
            Event::UpstreamClosed(fate) => Heard::Closed(fate),
            _ => return,
        };
        self.0.heard.borrow_mut().push_back(heard);
        self.0.changed.notify_one();
    }

    fn wake(&self) -> Option<Instant> {
        None
    }

    fn status(&self, _now: Instant) -> Status {
        Status::default()
    }
}

struct Nobody;

impl Outlet for Nobody {
    fn deliver(&self, _delivery: Delivery) -> Result<(), Overflow> {
        Ok(())
    }
    fn end_stream(&self, _stream: StreamId) {}
    fn end(&self, _reason: &str) {}
}

pub(crate) struct Client {
    pub(crate) hub: Hub,
    peer: PeerId,
    record: Rc<Record>,
}

impl Client {
    pub(crate) fn to(url: String) -> Self {
        Self::with(RemoteOptions::new(url))
    }

    pub(crate) fn with(options: RemoteOptions) -> Self {
        Self::limited(options, Limits::default())
    }

    pub(crate) fn limited(options: RemoteOptions, limits: Limits) -> Self {
        let record = Rc::new(Record::default());
        let connector = RemoteConnector::new(options).unwrap();
        let hub = Hub::new(Box::new(Pipe(Rc::clone(&record))), Box::new(connector), limits);
        let there = Rc::clone(&record);
        hub.on_note(Rc::new(move |note| {
            if let Note::Log(text) = note {
                there.logged.borrow_mut().push(text.clone());
                there.changed.notify_one();
            }
        }));
        let peer = hub.open(Arrival { via: Via::Stdio, era: None, pid: None }, Rc::new(Nobody));
        hub.start();
        Self { hub, peer, record }
    }

    /// Connects once more.
    pub(crate) fn again(&self) {
        self.hub.start();
    }

    pub(crate) fn send(&self, text: &str) {
        self.hub.frame(self.peer, StreamId(0), Frame::parse(text.to_owned().into()).unwrap());
    }

    pub(crate) async fn next(&self) -> Heard {
        let waiting = async {
            loop {
                let heard = self.record.heard.borrow_mut().pop_front();
                match heard {
                    Some(heard) => return heard,
                    None => self.record.changed.notified().await,
                }
            }
        };
        tokio::time::timeout(DEADLINE, waiting).await.expect("something is heard in time")
    }

    /// The next message: its text and the request it came on.
    pub(crate) async fn frame(&self) -> (String, Option<u64>) {
        match self.next().await {
            Heard::Frame(text, on) => (text, on),
            other => panic!("no message: {other:?}"),
        }
    }

    /// The next message, which has to be an error of ours: its `reason`, and its text.
    pub(crate) async fn refusal(&self, id: u64) -> (String, String) {
        let (text, on) = self.frame().await;
        let frame: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&frame["id"], on), (&id.into(), Some(id)), "{text}");
        assert_eq!((&frame["error"]["code"], &frame["error"]["data"]["source"]), (&(-32603).into(), &"mcp".into()), "{text}");
        let word = |value: &Value| value.as_str().unwrap().to_owned();
        (word(&frame["error"]["data"]["reason"]), word(&frame["error"]["message"]))
    }

    pub(crate) async fn fate(&self) -> Fate {
        match self.next().await {
            Heard::Closed(fate) => fate,
            other => panic!("not closed: {other:?}"),
        }
    }

    /// Waits for a line in the log.
    pub(crate) async fn logged(&self, part: &str) -> String {
        let waiting = async {
            loop {
                let found = self.record.logged.borrow().iter().find(|l| l.contains(part)).cloned();
                match found {
                    Some(line) => return line,
                    None => self.record.changed.notified().await,
                }
            }
        };
        tokio::time::timeout(DEADLINE, waiting).await.unwrap_or_else(|_| panic!("{part:?} is not in {:?}", self.record.logged))
    }

    pub(crate) fn has_heard(&self) -> Vec<Heard> {
        self.record.heard.borrow().iter().cloned().collect()
    }
}

/// Runs a test where hubs live.
pub(crate) fn run<F: Future>(test: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, test)
}

pub(crate) fn initialize(id: u64) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"initialize","params":{{"protocolVersion":"2025-11-25","capabilities":{{}},"clientInfo":{{"name":"t","version":"1"}}}}}}"#
    )
}

pub(crate) const INITIALIZED: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
pub(crate) const INITIALIZE_RESULT: &str =
    r#"{"protocolVersion":"2025-06-18","capabilities":{},"serverInfo":{"name":"s","version":"1"}}"#;

pub(crate) fn legacy(id: u64, method: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{}}}}"#)
}

/// A request of the modern era; `members` are put into its `params`.
pub(crate) fn modern(id: u64, method: &str, members: &str) -> String {
    let comma = if members.is_empty() { "" } else { "," };
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{{members}{comma}"_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{{}}}}}}}}"#
    )
}
