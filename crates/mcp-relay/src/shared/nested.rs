//! Requests of a legacy server: whose call they belong to. What cannot be known is not guessed.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Instant;

use bytes::Bytes;
use mcp_wire::author::{self, code};
use mcp_wire::methods::meta;
use mcp_wire::version::Era;
use mcp_wire::{Frame, Kind, object};

use super::call::{Nested, NestedKind, Purpose, cancellation};
use super::tasks::Tasks;
use super::turns::{Only, Unit};
use super::{Attribution, ENTRY_TIMEOUT, Shared};
use crate::route::{Action, Class, Note, PeerId, StreamId};

/// Questions that cannot be attributed yet.
#[derive(Default)]
pub(super) struct Held(VecDeque<HeldQuestion>);

struct HeldQuestion {
    frame: Frame,
    deadline: Instant,
    /// A call that was cancelled could have asked it: the one that is left at the end need not be the right one.
    is_tainted: bool,
}

impl Held {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// To whom a question goes.
#[derive(Clone, Copy)]
enum Whose {
    Call(u64),
    Client(PeerId),
    Nobody,
    Unclear,
}

impl Shared {
    /// The server asks something.
    pub(super) fn on_server_request(&mut self, frame: Frame, on: Option<u64>) {
        let id = frame.id().unwrap_or("null");
        if frame.method() == "ping" {
            self.upstream(author::result(id, "{}"));
            return;
        }
        self.has_asked_for_roots |= frame.method() == "roots/list";
        if self.server_era() == Some(Era::Modern) {
            // A modern server must not (basic/transports/stdio); telling it is all that can be done.
            self.refuse_question(id, code::METHOD_NOT_FOUND, "a server sends no requests in this protocol version");
            return;
        }
        if self.config.attribution == Attribution::Reject && frame.method() != "roots/list" {
            self.refuse_question(id, code::METHOD_NOT_FOUND, "requests of the server are switched off (--attribution reject)");
            return;
        }
        match self.whose(&frame, on) {
            Whose::Unclear => {
                let deadline = self.now + self.config.attribution_timeout;
                let is_tainted = !self.turns.lingering.is_empty();
                self.turns.held.0.push_back(HeldQuestion { frame, deadline, is_tainted });
                self.turns.is_holding = true;
                self.becomes_interactive();
            }
            whose => self.ask_whom(whose, &frame, on.is_some()),
        }
    }

    fn refuse_question(&mut self, id: &str, code: i64, message: &str) {
        self.upstream(author::error(Some(id), code, message, None));
    }

    fn becomes_interactive(&mut self) {
        if !std::mem::replace(&mut self.turns.is_interactive, true) {
            self.out.push(Action::Note(Note::Interactive));
            self.log("the server asks its clients: calls of several clients take turns from now on");
        }
    }

    fn whose(&self, frame: &Frame, on: Option<u64>) -> Whose {
        if let Some(task) = frame.get_string(&["params", "_meta", meta::RELATED_TASK, "taskId"])
            && let Some(owner) = self.tasks.owner(&task)
        {
            return Whose::Client(owner);
        }
        if frame.method().starts_with("tasks/")
            && let Some((owner, _)) = frame.get_string(&["params", "taskId"]).as_deref().and_then(Tasks::asked)
        {
            return Whose::Client(owner);
        }
        if let Some(call) = on.filter(|id| self.calls.contains_key(id)) {
            return Whose::Call(call);
        }
        match self.turns.only_one(self.now) {
            Only::One(Unit::Call(id)) if !self.calls.contains_key(&id) => Whose::Nobody,
            Only::One(Unit::Client(peer)) if !self.clients.contains_key(&peer) => Whose::Nobody,
            Only::One(Unit::Call(id)) => Whose::Call(id),
            Only::One(Unit::Client(peer)) => self.latest_call_of(peer).map_or(Whose::Client(peer), Whose::Call),
            Only::Several => Whose::Unclear,
            Only::Nobody => match self.legacy_clients().as_slice() {
                [peer] => Whose::Client(*peer),
                _ => Whose::Nobody,
            },
        }
    }

    /// Of a client's calls any stream would do: the latest is the likeliest.
    fn latest_call_of(&self, peer: PeerId) -> Option<u64> {
        let unit = Some(Unit::Client(peer));
        self.calls.iter().filter(|(_, c)| c.unit == unit && c.held.is_none()).map(|(id, _)| *id).max()
    }

    pub(super) fn stream_of(&self, unit: Unit) -> Option<(PeerId, Option<StreamId>)> {
        match unit {
            Unit::Client(peer) => {
                let stream = self.latest_call_of(peer).and_then(|id| self.calls.get(&id)).map(|c| c.stream);
                Some((peer, stream))
            }
            Unit::Call(id) => self.calls.get(&id).map(|c| (c.peer, Some(c.stream))),
        }
    }

    /// `is_named`: the transport said which call it is about, so nobody has to take turns because of it.
    fn ask_whom(&mut self, whose: Whose, frame: &Frame, is_named: bool) {
        let id = frame.id().unwrap_or("null");
        let (peer, call) = match whose {
            Whose::Call(call) => {
                let Some(found) = self.calls.get(&call) else { return };
                if matches!(found.purpose, Purpose::ToLegacy(_)) {
                    if !is_named {
                        self.becomes_interactive();
                    }
                    self.park_question(call, frame);
                    return;
                }
                (found.peer, Some(call))
            }
            Whose::Client(peer) => (peer, None),
            Whose::Nobody if frame.method() == "roots/list" => {
                self.gather_roots(frame);
                return;
            }
            _ => {
                self.count("questions of the server outside any call, refused");
                self.refuse_question(id, code::INTERNAL, "no client can be told to be the one this is for");
                return;
            }
        };
        if call.is_some() && !is_named {
            self.becomes_interactive();
        }
        let Some(client) = self.clients.get(&peer) else { return };
        let is_able = match frame.method() {
            "roots/list" => client.can(&["roots"]),
            "sampling/createMessage" => client.can(&["sampling"]),
            "elicitation/create" => client.can(&["elicitation"]),
            _ => true,
        };
        if !is_able {
            // As the client would answer, had the server been told what it can do.
            self.count("questions refused in the name of a client that cannot answer such");
            let message = format!("the client does not support `{}`", frame.method());
            self.refuse_question(id, code::METHOD_NOT_FOUND, &message);
            return;
        }
        if let Some(elicitation) = frame.get_string(&["params", "elicitationId"]) {
            self.elicitations.insert(elicitation, peer);
        }
        let ours = self.ask_client(peer, call, NestedKind::Server(id.into()), None);
        let found = call.and_then(|id| self.calls.get(&id));
        let (stream, unit) = (found.map(|c| c.stream), found.and_then(|c| c.unit));
        if let (Some(unit), Some(nested)) = (unit, self.nested.get_mut(&ours)) {
            nested.unit = Some(unit);
            self.turns.asked(unit, ours, self.now);
        }
        self.send(peer, stream, Class::Request, as_asked(frame, &ours.to_string()));
    }

    /// Notes down a request to a client; gives the id the client will see.
    pub(super) fn ask_client(&mut self, peer: PeerId, call: Option<u64>, kind: NestedKind, deadline: Option<Instant>) -> u64 {
        let id = self.next_id();
        self.nested.insert(id, Nested { peer, call, unit: None, kind, deadline });
        if let Some(client) = self.clients.get_mut(&peer) {
            client.asked.insert(id);
        }
        id
    }

    /// Sends an answer to a question, now or when it is the unit's turn again.
    pub(super) fn answer_question(&mut self, unit: Option<Unit>, question: u64, message: Bytes) {
        match unit {
            Some(unit) if self.turns.may_resume(unit, self.now) => self.resume(unit, question, message),
            Some(unit) => self.turns.answers.push_back((unit, question, message)),
            None => self.upstream(message),
        }
    }

    /// A client answers.
    pub(super) fn on_client_response(&mut self, peer: PeerId, frame: &Frame) {
        let id = frame.id().and_then(|id| id.parse::<u64>().ok());
        let Some(id) = id.filter(|id| self.nested.get(id).is_some_and(|n| n.peer == peer)) else {
            self.count("answers of clients to questions that are not theirs or no longer open");
            return;
        };
        let Some(nested) = self.forget_question(id) else { return };
        match nested.kind {
            NestedKind::Server(theirs) => {
                let is_task = frame.kind() == Kind::Result && frame.contains(&mcp_wire::methods::needle::TASK_ID);
                let answer = if is_task { Self::as_clients_task(peer, frame, Some(&theirs)) } else { frame.with_id(&theirs) };
                self.answer_question(nested.unit, id, answer);
            }
            NestedKind::Round(key) => self.on_round_answer(nested.call, &key, frame),
            NestedKind::Roots => self.on_roots(peer, frame),
        }
        self.settle();
    }

    fn forget_question(&mut self, id: u64) -> Option<Nested> {
        let nested = self.nested.remove(&id)?;
        if let Some(client) = self.clients.get_mut(&nested.peer) {
            client.asked.remove(&id);
        }
        Some(nested)
    }

    /// A question will not be answered: the server, or the bridged call, is told.
    pub(super) fn nested_failed(&mut self, id: u64, why: &str) {
        let Some(nested) = self.forget_question(id) else { return };
        match nested.kind {
            NestedKind::Server(theirs) => {
                let message = author::our_error(Some(&theirs), "not-answered", why);
                self.answer_question(nested.unit, id, message);
            }
            NestedKind::Round(_) => self.round_failed(nested.call, why),
            NestedKind::Roots => self.roots_failed(nested.peer),
        }
    }

    /// A question need not be answered any more: the client is told, and the server that it gets no answer.
    pub(super) fn withdraw_question(&mut self, id: u64, why: &str) {
        let Some(nested) = self.nested.get(&id) else { return };
        let peer = nested.peer;
        let stream = nested.call.and_then(|id| self.calls.get(&id)).map(|c| c.stream);
        if self.clients.contains_key(&peer) {
            self.send(peer, stream, Class::Notification, cancellation(&id.to_string(), Some(why)));
        }
        if let Some(Nested { kind: NestedKind::Server(theirs), unit, .. }) = self.forget_question(id)
            && self.up.is_ready()
        {
            self.answer_question(unit, id, author::our_error(Some(&theirs), "not-answered", why));
        }
    }

    /// The server that asked is gone.
    pub(super) fn withdraw_all_questions(&mut self, why: &str) {
        self.turns.held = Held::default();
        let mut ids: Vec<u64> = self.nested.keys().copied().collect();
        ids.sort_unstable();
        for id in ids {
            let Some(nested) = self.forget_question(id) else { continue };
            self.send(nested.peer, None, Class::Notification, cancellation(&id.to_string(), Some(why)));
        }
    }

    /// `notifications/cancelled` of the server for a question of its own.
    pub(super) fn question_taken_back(&mut self, theirs: &str, frame: &Frame, span: Range<usize>) {
        let before = self.turns.held.0.len();
        self.turns.held.0.retain(|held| held.frame.id() != Some(theirs));
        if self.turns.held.0.len() < before {
            self.turns.is_holding = !self.turns.held.0.is_empty();
            self.settle();
            return;
        }
        let is_it = |n: &Nested| matches!(&n.kind, NestedKind::Server(id) if **id == *theirs);
        let Some(id) = self.nested.iter().find(|(_, n)| is_it(n)).map(|(id, _)| *id) else {
            self.parked_question_taken_back(theirs);
            return;
        };
        let Some(nested) = self.forget_question(id) else { return };
        let stream = nested.call.and_then(|id| self.calls.get(&id)).map(|c| c.stream);
        if let Some(unit) = nested.unit {
            self.turns.answered(unit, id);
        }
        self.send(nested.peer, stream, Class::Notification, frame.spliced(&[(span, &id.to_string())]));
    }

    /// Tries the first held question again. True when something came of it.
    pub(super) fn retry_held(&mut self) -> bool {
        let Some(held) = self.turns.held.0.front() else {
            self.turns.is_holding = false;
            return false;
        };
        let whose = self.whose(&held.frame, None);
        if matches!(whose, Whose::Unclear) {
            return false;
        }
        let Some(held) = self.turns.held.0.pop_front() else { return false };
        self.turns.is_holding = !self.turns.held.0.is_empty();
        if held.is_tainted {
            self.refuse_unclear(&held.frame);
        } else {
            self.ask_whom(whose, &held.frame, false);
        }
        true
    }

    /// Any of the questions that are held may be about a call that is being cancelled.
    pub(super) fn taint_held(&mut self) {
        self.turns.held.0.iter_mut().for_each(|held| held.is_tainted = true);
    }

    fn refuse_unclear(&mut self, frame: &Frame) {
        self.count_and_log("questions of the server refused because several clients' calls could have caused them");
        let message = "calls of several clients are on their way; it cannot be told whose this belongs to";
        self.refuse_question(frame.id().unwrap_or("null"), code::INTERNAL, message);
    }

    pub(super) fn tick_nested(&mut self) {
        while self.turns.held.0.front().is_some_and(|held| held.deadline <= self.now)
            && let Some(held) = self.turns.held.0.pop_front()
        {
            self.turns.is_holding = !self.turns.held.0.is_empty();
            self.refuse_unclear(&held.frame);
        }
        let late = |(id, n): (&u64, &Nested)| n.deadline.is_some_and(|d| d <= self.now).then_some(*id);
        let mut expired: Vec<u64> = self.nested.iter().filter_map(late).collect();
        expired.sort_unstable();
        for id in expired {
            if let Some(nested) = self.nested.get(&id) {
                let peer = nested.peer;
                let stream = nested.call.and_then(|id| self.calls.get(&id)).map(|c| c.stream);
                self.send(peer, stream, Class::Notification, cancellation(&id.to_string(), Some("no answer in time")));
            }
            self.nested_failed(id, &format!("the client did not answer within {} s", ENTRY_TIMEOUT.as_secs()));
        }
    }

    pub(super) fn wake_nested(&self) -> Option<Instant> {
        let held = self.turns.held.0.front().map(|held| held.deadline);
        let nested = self.nested.values().filter_map(|n| n.deadline).min();
        held.into_iter().chain(nested).min()
    }

    /// What the server's request means to a modern client: its mode and whether the client declared it.
    pub(super) fn is_declared(capabilities: &str, method: &str, params: &str) -> bool {
        match method {
            "roots/list" => object::find(capabilities, "roots").is_some(),
            "sampling/createMessage" => {
                object::find(capabilities, "sampling").is_some()
                    && (object::find(params, "tools").is_none()
                        || object::find_path(capabilities, &["sampling", "tools"]).is_some())
            }
            "elicitation/create" => match object::get_string(params, "mode").as_deref() {
                Some("url") => object::find_path(capabilities, &["elicitation", "url"]).is_some(),
                // An empty object means forms.
                _ => object::get(capabilities, "elicitation")
                    .is_some_and(|e| object::find(e, "form").is_some() || object::find(e, "url").is_none()),
            },
            _ => false,
        }
    }
}

/// The server's question with our id, and a task's id as its client knows it.
fn as_asked(frame: &Frame, id: &str) -> Bytes {
    let task = frame.get_string(&["params", "taskId"]).filter(|_| frame.method().starts_with("tasks/"));
    let own = task.as_deref().and_then(Tasks::asked).map(|(_, own)| serde_json::Value::from(own).to_string());
    match (own, frame.find(&["params", "taskId"]), frame.id_span()) {
        (Some(own), Some(span), Some(at)) => {
            let mut edits = [(at, id), (span, own.as_str())];
            edits.sort_by_key(|(span, _)| span.start);
            frame.spliced(&edits)
        }
        _ => frame.with_id(id),
    }
}
