//! What is on its way.

use std::borrow::Cow;
use std::time::Instant;

use bytes::Bytes;
use mcp_wire::{Frame, author};

use super::turns::Unit;
use super::{Shared, to_legacy, to_modern};
use crate::route::{Action, PeerId, StreamId};

/// A request sent to the server, or waiting to be.
pub(super) struct Call {
    pub(super) peer: PeerId,
    pub(super) stream: StreamId,
    /// The client's id, as spelt.
    pub(super) id: Box<str>,
    pub(super) method: Cow<'static, str>,
    /// The client's progress token, as spelt.
    pub(super) token: Option<Box<str>>,
    pub(super) started: Instant,
    /// Whose turn it takes, where the server may ask something meanwhile.
    pub(super) unit: Option<Unit>,
    /// It waits for its turn: what will be sent then.
    pub(super) held: Option<Bytes>,
    pub(super) purpose: Purpose,
    /// The place of the log level it asked for, in the modern era.
    pub(super) log_level: Option<usize>,
}

/// Why a request was sent.
pub(super) enum Purpose {
    /// A client's, between peers of one era.
    Client,
    /// A legacy client's, on a modern server.
    ToModern(Box<to_modern::Bridged>),
    /// A modern client's, on a legacy server.
    ToLegacy(Box<to_legacy::Bridged>),
    /// A client's subscription.
    Listen,
    /// Ours: `initialize` or `server/discover`.
    Opening,
    /// Ours, and a client waits for the outcome: what it is told then.
    OnBehalf,
    /// Ours: whatever is answered.
    Unheard,
    /// Ours: when it is answered, a cancelled call of this unit can have asked nothing more.
    Barrier(Unit),
    /// Ours: the subscription of a legacy client on a modern server.
    Wishes(PeerId),
    /// Ours: a resource that a modern client listens to.
    ListenTo(u64, String),
}

/// A request sent to a client.
pub(super) struct Nested {
    pub(super) peer: PeerId,
    /// The call it is about, or, on a legacy server, the one on whose stream it was put.
    pub(super) call: Option<u64>,
    /// Whose turn it is about.
    pub(super) unit: Option<Unit>,
    pub(super) kind: NestedKind,
    pub(super) deadline: Option<Instant>,
}

/// Where an answer of a client goes.
pub(super) enum NestedKind {
    /// To the server, with the server's id as spelt.
    Server(Box<str>),
    /// Into the next round of a bridged call, under this key.
    Round(String),
    /// Into the list of all roots.
    Roots,
}

/// Methods are few; most need no allocation.
pub(super) fn method_name(method: &str) -> Cow<'static, str> {
    const KNOWN: [&str; 9] = [
        "tools/call",
        "tools/list",
        "resources/read",
        "resources/list",
        "resources/templates/list",
        "prompts/get",
        "prompts/list",
        "completion/complete",
        "ping",
    ];
    match KNOWN.iter().find(|known| **known == method) {
        Some(known) => Cow::Borrowed(known),
        None => Cow::Owned(method.to_owned()),
    }
}

impl Call {
    pub(super) fn new(now: Instant, peer: PeerId, stream: StreamId, frame: &Frame, purpose: Purpose) -> Self {
        let token = frame.progress_token_span().map(|span| frame.text()[span].into());
        Self {
            peer,
            stream,
            id: frame.id().unwrap_or("null").into(),
            method: method_name(frame.method()),
            token,
            started: now,
            unit: None,
            held: None,
            purpose,
            log_level: None,
        }
    }

    /// A request of our own.
    pub(super) fn own(now: Instant, method: &'static str, purpose: Purpose) -> Self {
        Self {
            peer: PeerId(0),
            stream: StreamId(0),
            id: "null".into(),
            method: Cow::Borrowed(method),
            token: None,
            started: now,
            unit: None,
            held: None,
            purpose,
            log_level: None,
        }
    }
}

impl Shared {
    /// Sends a request of our own.
    pub(super) fn ask_server(&mut self, method: &'static str, params: Option<&str>, purpose: Purpose) -> u64 {
        let id = self.next_id();
        self.calls.insert(id, Call::own(self.now, method, purpose));
        self.upstream(author::request(&id.to_string(), method, params));
        id
    }

    /// Sends a client's request, now or when its turn has come.
    pub(super) fn start_call(&mut self, id: u64, mut call: Call, message: Bytes) {
        if let Some(client) = self.clients.get_mut(&call.peer) {
            client.open.insert(call.id.clone(), id);
        }
        match call.unit {
            Some(unit) if !self.turns.may_start(unit, self.now) => {
                call.held = Some(message);
                self.turns.queue.push_back((unit, id, self.now));
                self.calls.insert(id, call);
            }
            unit => {
                if let Some(unit) = unit {
                    self.turns.began(unit);
                }
                self.calls.insert(id, call);
                self.upstream(message);
            }
        }
    }

    /// Takes a call off the tables, and its turn is over.
    pub(super) fn finish_call(&mut self, id: u64) -> Option<Call> {
        let call = self.take_call(id)?;
        if let Some(unit) = call.unit.filter(|_| call.held.is_none()) {
            self.turns.ended(unit);
        }
        Some(call)
    }

    fn take_call(&mut self, id: u64) -> Option<Call> {
        let call = self.calls.remove(&id)?;
        if let Some(client) = self.clients.get_mut(&call.peer)
            && client.open.get(&call.id) == Some(&id)
        {
            client.open.remove(&call.id);
        }
        if call.held.is_some() {
            self.turns.queue.retain(|(_, queued, _)| *queued != id);
        }
        Some(call)
    }

    /// Ends a call its client does not want any more, and says so to the server.
    pub(super) fn cancel_call(&mut self, id: u64, reason: Option<&str>) {
        if self.listens.contains_key(&id) {
            self.close_listen(id);
            return;
        }
        if matches!(self.calls.get(&id), Some(call) if matches!(call.purpose, Purpose::Opening)) {
            // `initialize` cannot be cancelled, and the next client wants its outcome.
            return;
        }
        let Some(call) = self.take_call(id) else { return };
        // Of a legacy client's calls nobody can tell which a question is about; when the last is gone it is about none.
        let is_last = !self.calls.values().any(|other| other.unit == call.unit && other.held.is_none());
        let concerns = |n: &Nested| n.call == Some(id) && n.unit.is_none() || is_last && n.unit.is_some() && n.unit == call.unit;
        let mut asked: Vec<u64> = self.nested.iter().filter(|(_, n)| concerns(n)).map(|(i, _)| *i).collect();
        asked.sort_unstable();
        for nested in asked {
            self.withdraw_question(nested, "the call was cancelled");
        }
        let was_sent = call.held.is_none()
            && match &call.purpose {
                Purpose::ToModern(bridged) => !bridged.is_between_rounds(),
                _ => true,
            };
        self.leave_unanswered(&call, "the call was cancelled");
        if was_sent {
            self.upstream(cancellation(&id.to_string(), reason));
        }
        if let Some(unit) = call.unit.filter(|_| call.held.is_none()) {
            self.linger(unit);
        }
        self.out.push(Action::EndStream(call.peer, call.stream));
    }
}

/// `notifications/cancelled` for a request with this id as spelt.
pub(super) fn cancellation(id: &str, reason: Option<&str>) -> Bytes {
    let reason = reason.map(|r| format!(",\"reason\":{}", serde_json::Value::from(r))).unwrap_or_default();
    author::notification("notifications/cancelled", Some(&format!("{{\"requestId\":{id}{reason}}}")))
}
