//! A modern client on a legacy server. A question of the server during a call *parks* the call: the client is answered
//! `input_required` with a handle, comes back with the answers, and the same call goes on. It is never sent twice.

use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use mcp_wire::author::{self, code};
use mcp_wire::methods::{self, meta};
use mcp_wire::splice::Edits;
use mcp_wire::version;
use mcp_wire::{Frame, Kind, object};
use serde_json::{Value, json};

use super::call::{Call, Purpose};
use super::requests::Circumstances;
use super::turns::Unit;
use super::{Attribution, Shared};
use crate::route::{Action, Class, PeerId, StreamId, Via};

/// Questions that come within so short a time go to the client together.
const COLLECTING: Duration = Duration::from_millis(10);

/// What is kept of a call until its answer.
pub(super) struct Bridged {
    frame: Frame,
    capabilities: Rc<str>,
    questions: Vec<Question>,
    asked_so_far: u64,
    /// When its questions go to the client.
    collect_at: Option<Instant>,
    /// The client was answered `input_required` and has not come back: the handle it has.
    handle: Option<String>,
}

struct Question {
    number: u64,
    key: String,
    /// The server's id, as spelt.
    id: Box<str>,
    method: String,
    params: String,
}

/// A handle a client may come back with, once.
pub(super) struct Parked {
    what: What,
    method: String,
    /// Its parameters without what a retry adds: it has to be the same request.
    params: Value,
    expires: Instant,
    /// A stdio client that leaves takes its parked calls along.
    owner: Option<PeerId>,
}

enum What {
    /// This call waits in the server.
    Call(u64),
    /// It was answered meanwhile.
    Answered(Box<Call>, Frame),
    /// The server refused until the user has been to an address: the call is sent anew.
    Again,
}

impl Shared {
    pub(super) fn modern_on_legacy(&mut self, peer: PeerId, stream: StreamId, frame: &Frame) {
        let id = frame.id().unwrap_or("null");
        match frame.method() {
            "server/discover" => {
                let result = self.discovery_from_initialize();
                self.answer(peer, stream, author::result(id, &result));
            }
            "subscriptions/listen" => self.open_listen(peer, stream, frame),
            "tasks/get" | "tasks/update" | "tasks/cancel" => {
                self.answer_error(peer, stream, id, code::METHOD_NOT_FOUND, "tasks cannot be carried between protocol eras");
            }
            method if methods::may_need_input(method) && frame.get(&["params", "requestState"]).is_some() => {
                self.come_back(peer, stream, frame);
            }
            _ => self.start_bridged(peer, stream, frame),
        }
    }

    fn start_bridged(&mut self, peer: PeerId, stream: StreamId, frame: &Frame) {
        self.say_initialized();
        let found = Circumstances::of(frame).unwrap_or_default();
        if let Some(rank) = found.log_level {
            self.raise_level_for(rank);
        }
        let id = self.next_id();
        let bridged = Bridged {
            frame: frame.clone(),
            capabilities: Rc::from(found.capabilities),
            questions: Vec::new(),
            asked_so_far: 0,
            collect_at: None,
            handle: None,
        };
        let mut call = Call::new(self.now, peer, stream, frame, Purpose::ToLegacy(Box::new(bridged)));
        call.log_level = found.log_level;
        if methods::is_nestable(frame.method()) && self.config.attribution != Attribution::Reject {
            call.unit = Some(Unit::Call(id));
        }
        self.start_call(id, call, legacy_message(frame, id));
    }

    fn discovery_from_initialize(&self) -> String {
        let all = self.up.said(&["capabilities"]).unwrap_or("{}");
        let mut edits = Edits::new();
        edits.remove_members(all, 0..all.len(), |key| key == "tasks");
        let capabilities = edits.text(all);
        let instructions = self.up.said(&["instructions"]).map(|i| format!(",\"instructions\":{i}")).unwrap_or_default();
        let versions = json!(version::MODERN);
        let info = self.server_info();
        format!(
            "{{\"resultType\":\"complete\",\"supportedVersions\":{versions},\"capabilities\":{capabilities}{instructions},\
             \"ttlMs\":0,\"cacheScope\":\"private\",\"_meta\":{{{info}}}}}"
        )
    }

    /// Who the server is, as a member of `_meta`.
    fn server_info(&self) -> String {
        self.up.said(&["serverInfo"]).map(|info| format!("\"{}\":{info}", meta::SERVER_INFO)).unwrap_or_default()
    }

    /// A legacy server answers a modern client's request.
    pub(super) fn on_answer_for_modern(&mut self, id: u64, frame: &Frame) {
        let Some(mut call) = self.finish_call(id) else { return };
        let Purpose::ToLegacy(bridged) = &mut call.purpose else { return };
        if let Some(handle) = bridged.handle.take() {
            // The server went on without the answers; the client hears of it when it comes back.
            if let Some(parked) = self.parked.get_mut(&handle) {
                parked.what = What::Answered(Box::new(call), frame.clone());
            }
            return;
        }
        if frame.error_code() == Some(code::URL_ELICITATION_REQUIRED) && self.ask_to_open(&call, frame) {
            return;
        }
        self.look_into(&call, frame);
        let answer = self.modern_answer(&call, frame);
        self.deliver(&call, answer, frame.kind() == Kind::Error);
    }

    /// A legacy answer as a modern client knows it.
    fn modern_answer(&self, call: &Call, frame: &Frame) -> Bytes {
        let mut edits = Edits::new();
        let text = frame.text();
        if let Some(span) = frame.id_span() {
            edits.replace(span, &*call.id);
        }
        if frame.error_code() == Some(code::RESOURCE_NOT_FOUND)
            && let Some(span) = frame.find(&["error", "code"])
        {
            edits.replace(span, code::INVALID_PARAMS.to_string());
        }
        if let Some(result) = frame.result_span().filter(|span| text[span.clone()].starts_with('{')) {
            let own = &text[result.clone()];
            let has = |key| object::find(own, key).is_some();
            let mut members = Vec::new();
            if !has("resultType") {
                members.push("\"resultType\":\"complete\"".to_owned());
            }
            if methods::is_cacheable(&call.method) && !has("ttlMs") {
                members.push("\"ttlMs\":0,\"cacheScope\":\"private\"".to_owned());
            }
            match frame.find(&["result", "_meta"]).filter(|span| text[span.clone()].starts_with('{')) {
                Some(span) if object::find(&text[span.clone()], meta::SERVER_INFO).is_none() => {
                    edits.add_members(text, span, &self.server_info());
                }
                Some(_) => {}
                None => members.push(format!("\"_meta\":{{{}}}", self.server_info())),
            }
            edits.add_members(text, result, &members.join(","));
        }
        edits.apply(frame.bytes())
    }

    /// The server asks something about a modern client's call.
    pub(super) fn park_question(&mut self, id: u64, frame: &Frame) {
        let theirs = frame.id().unwrap_or("null");
        let params = frame.params().unwrap_or("{}");
        let number = self.next_id();
        let Some(call) = self.calls.get_mut(&id) else { return };
        let method = call.method.clone();
        let Purpose::ToLegacy(bridged) = &mut call.purpose else { return };
        if !methods::may_need_input(&method) {
            let message = format!("a client cannot be asked anything during `{method}` in its protocol version");
            self.upstream(author::error(Some(theirs), code::INTERNAL, &message, None));
            return;
        }
        if !Self::is_declared(&bridged.capabilities, frame.method(), params) {
            let message = format!("the client does not support `{}`", frame.method());
            self.upstream(author::error(Some(theirs), code::METHOD_NOT_FOUND, &message, None));
            return;
        }
        bridged.asked_so_far += 1;
        bridged.questions.push(Question {
            number,
            key: format!("q{}", bridged.asked_so_far),
            id: theirs.into(),
            method: frame.method().to_owned(),
            params: without_elicitation_id(params),
        });
        if bridged.handle.is_none() && bridged.collect_at.is_none() {
            let at = self.now + COLLECTING;
            bridged.collect_at = Some(at);
            self.collecting.push((at, id));
        }
        if let Some(unit) = call.unit {
            self.turns.asked(unit, number, self.now);
        }
    }

    /// Answers the client with the questions that are open, and parks the call.
    fn ask_back(&mut self, id: u64) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        let (peer, stream, own) = (call.peer, call.stream, call.id.clone());
        let Purpose::ToLegacy(bridged) = &mut call.purpose else { return };
        bridged.collect_at = None;
        if bridged.questions.is_empty() || bridged.handle.is_some() {
            return;
        }
        let entry = |q: &Question| format!("{}:{{\"method\":\"{}\",\"params\":{}}}", Value::from(&*q.key), q.method, q.params);
        let entries: Vec<String> = bridged.questions.iter().map(entry).collect();
        let handle = random_handle();
        bridged.handle = Some(handle.clone());
        let frame = bridged.frame.clone();
        call.peer = PeerId(0);
        if let Some(client) = self.clients.get_mut(&peer) {
            client.open.remove(&own);
        }
        self.park(handle.clone(), What::Call(id), &frame, peer);
        self.answer(peer, stream, input_required(&own, &entries, &handle));
    }

    fn park(&mut self, handle: String, what: What, frame: &Frame, peer: PeerId) {
        let owner = self.clients.get(&peer).is_some_and(|c| c.via != Via::Http).then_some(peer);
        let expires = self.now + self.config.parking_timeout;
        let parked = Parked { what, method: frame.method().to_owned(), params: substance(frame), expires, owner };
        self.parked.insert(handle, parked);
    }

    /// `-32042`: the user has to open addresses first. True when the client can be asked to.
    fn ask_to_open(&mut self, call: &Call, frame: &Frame) -> bool {
        let Purpose::ToLegacy(bridged) = &call.purpose else { return false };
        let list = frame.get(&["error", "data", "elicitations"]).unwrap_or("[]");
        let entries: Vec<String> = object::elements(list)
            .enumerate()
            .map(|(n, span)| {
                let params = without_elicitation_id(&list[span]);
                format!("\"q{}\":{{\"method\":\"elicitation/create\",\"params\":{params}}}", n + 1)
            })
            .collect();
        let is_able = object::find_path(&bridged.capabilities, &["elicitation", "url"]).is_some();
        if entries.is_empty() || !is_able || !methods::may_need_input(&call.method) {
            return false;
        }
        let handle = random_handle();
        self.park(handle.clone(), What::Again, &bridged.frame.clone(), call.peer);
        self.answer(call.peer, call.stream, input_required(&call.id, &entries, &handle));
        true
    }

    /// A client comes back with answers.
    fn come_back(&mut self, peer: PeerId, stream: StreamId, frame: &Frame) {
        let id = frame.id().unwrap_or("null");
        let handle = frame.get_string(&["params", "requestState"]).unwrap_or_default();
        let is_same = |p: &Parked| p.method == frame.method() && p.params == substance(frame);
        let parked = match self.parked.remove(&handle) {
            Some(parked) if is_same(&parked) => parked,
            other => {
                // Somebody who tries handles must not be able to end another's call.
                if let Some(other) = other {
                    self.parked.insert(handle, other);
                }
                let message = "`requestState` is not one that is open for this request: unknown, used already, or expired";
                self.answer_error(peer, stream, id, code::INVALID_PARAMS, message);
                return;
            }
        };
        match parked.what {
            What::Again => self.start_bridged(peer, stream, frame),
            What::Answered(mut call, answer) => {
                (call.peer, call.stream, call.id) = (peer, stream, id.into());
                let message = self.modern_answer(&call, &answer);
                self.deliver(&call, message, answer.kind() == Kind::Error);
            }
            What::Call(ours) => self.go_on(ours, peer, stream, frame),
        }
    }

    fn go_on(&mut self, ours: u64, peer: PeerId, stream: StreamId, frame: &Frame) {
        let answers = frame.get(&["params", "inputResponses"]).unwrap_or("{}");
        let found = Circumstances::of(frame).unwrap_or_default();
        let Some(call) = self.calls.get_mut(&ours) else { return };
        (call.peer, call.stream, call.id) = (peer, stream, frame.id().unwrap_or("null").into());
        call.token = frame.progress_token_span().map(|span| frame.text()[span].into());
        let Purpose::ToLegacy(bridged) = &mut call.purpose else { return };
        bridged.handle = None;
        bridged.capabilities = Rc::from(found.capabilities);
        let (answered, open): (Vec<Question>, Vec<Question>) =
            std::mem::take(&mut bridged.questions).into_iter().partition(|q| object::find(answers, &q.key).is_some());
        let is_complete = open.is_empty();
        bridged.questions = open;
        let (own, unit) = (call.id.clone(), call.unit);
        if let Some(client) = self.clients.get_mut(&peer) {
            client.open.insert(own, ours);
        }
        for question in answered {
            let result = object::get(answers, &question.key).unwrap_or("{}");
            self.answer_question(unit, question.number, author::result(&question.id, result));
        }
        if !is_complete {
            self.ask_back(ours);
        }
        self.settle();
    }

    /// The server takes a question back that its client has not answered.
    pub(super) fn parked_question_taken_back(&mut self, theirs: &str) {
        let holds = |call: &Call| matches!(&call.purpose, Purpose::ToLegacy(b) if b.questions.iter().any(|q| *q.id == *theirs));
        let Some(id) = self.calls.iter().find(|(_, c)| holds(c)).map(|(id, _)| *id) else { return };
        let Some(call) = self.calls.get_mut(&id) else { return };
        let Purpose::ToLegacy(bridged) = &mut call.purpose else { return };
        let gone = bridged.questions.iter().position(|q| *q.id == *theirs).map(|at| bridged.questions.remove(at));
        if let (Some(unit), Some(question)) = (call.unit, gone) {
            self.turns.answered(unit, question.number);
        }
    }

    /// Tells the server that what it asked about a call gets no answer.
    pub(super) fn leave_unanswered(&mut self, call: &Call, why: &str) {
        if let Purpose::ToLegacy(bridged) = &call.purpose {
            for question in &bridged.questions {
                self.out.push(Action::Upstream(author::our_error(Some(&question.id), "not-answered", why)));
                if let Some(unit) = call.unit {
                    self.turns.answered(unit, question.number);
                }
            }
        }
    }

    fn forget_parked(&mut self, handles: &[String], why: &str) {
        let gone = handles.iter().filter_map(|handle| self.parked.remove(handle));
        let mut calls: Vec<u64> = gone.filter_map(|p| if let What::Call(id) = p.what { Some(id) } else { None }).collect();
        calls.sort_unstable();
        for id in calls {
            self.cancel_call(id, Some(why));
        }
    }

    pub(super) fn has_parked(&self, peer: PeerId) -> bool {
        self.parked.values().any(|p| p.owner == Some(peer))
    }

    pub(super) fn forget_parked_of(&mut self, peer: PeerId) {
        let handles: Vec<String> = self.parked.iter().filter(|(_, p)| p.owner == Some(peer)).map(|(h, _)| h.clone()).collect();
        self.forget_parked(&handles, "client disconnected");
    }

    /// The server is gone, and with it what was parked in it.
    pub(super) fn forget_all_parked(&mut self) {
        self.parked.retain(|_, p| !matches!(p.what, What::Call(_)));
        self.collecting.clear();
    }

    pub(super) fn tick_parked(&mut self) {
        let now = self.now;
        let due: Vec<u64> = self.collecting.iter().filter(|(at, _)| *at <= now).map(|(_, id)| *id).collect();
        self.collecting.retain(|(at, _)| *at > now);
        for id in due {
            self.ask_back(id);
        }
        let expired: Vec<String> = self.parked.iter().filter(|(_, p)| p.expires <= now).map(|(h, _)| h.clone()).collect();
        self.forget_parked(&expired, "the client did not come back with its answers");
    }

    pub(super) fn wake_parked(&self) -> Option<Instant> {
        let collecting = self.collecting.iter().map(|(at, _)| *at);
        collecting.chain(self.parked.values().map(|p| p.expires)).min()
    }

    /// Something for a modern client on its stream, with the mark of the subscription.
    pub(super) fn marked(frame: &Frame, token: &str) -> Bytes {
        let mut edits = Edits::new();
        let text = frame.text();
        let mark = format!("\"{}\":{token}", meta::SUBSCRIPTION_ID);
        match (frame.params_span(), frame.find(&["params", "_meta"])) {
            (_, Some(own)) => edits.add_members(text, own, &mark),
            (Some(params), None) => edits.add_members(text, params, &format!("\"_meta\":{{{mark}}}")),
            (None, None) => edits.add_members(text, 0..text.len(), &format!("\"params\":{{\"_meta\":{{{mark}}}}}")),
        }
        edits.apply(frame.bytes())
    }

    pub(super) fn tell_on_stream(&mut self, peer: PeerId, stream: StreamId, frame: Bytes) {
        self.send(peer, Some(stream), Class::Notification, frame);
    }
}

fn input_required(id: &str, entries: &[String], handle: &str) -> Bytes {
    let entries = entries.join(",");
    author::result(
        id,
        &format!("{{\"resultType\":\"input_required\",\"inputRequests\":{{{entries}}},\"requestState\":\"{handle}\"}}"),
    )
}

/// What cannot be guessed.
fn random_handle() -> String {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).expect("the system gives random bytes; without them nothing here is safe");
    bytes.iter().fold("mcp-".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

/// A request's parameters without what belongs to one try of it.
fn substance(frame: &Frame) -> Value {
    let mut params: Value = frame.params().and_then(|p| serde_json::from_str(p).ok()).unwrap_or_default();
    if let Some(members) = params.as_object_mut() {
        members.retain(|key, _| !matches!(key.as_str(), "_meta" | "inputResponses" | "requestState"));
    }
    params
}

/// Modern URL elicitations have no id of their own.
fn without_elicitation_id(params: &str) -> String {
    let mut edits = Edits::new();
    edits.remove_members(params, 0..params.len(), |key| key == "elicitationId");
    edits.text(params)
}

/// A modern request as a legacy one.
fn legacy_message(frame: &Frame, id: u64) -> Bytes {
    let own = |key: &str| matches!(key, meta::PROTOCOL_VERSION | meta::CLIENT_CAPABILITIES | meta::CLIENT_INFO | meta::LOG_LEVEL);
    let text = frame.text();
    let digits = id.to_string();
    let mut edits = Edits::new();
    if let Some(span) = frame.id_span() {
        edits.replace(span, digits.clone());
    }
    if let (Some(params), Some(span)) = (frame.params_span(), frame.find(&["params", "_meta"])) {
        let is_emptied = object::members(&text[span.clone()]).all(|m| own(&m.key));
        edits
            .remove_members(text, params, |key| matches!(key, "inputResponses" | "requestState") || is_emptied && key == "_meta");
        if !is_emptied {
            edits.remove_members(text, span, own);
            if let Some(token) = frame.progress_token_span() {
                edits.replace(token, digits);
            }
        }
    }
    edits.apply(frame.bytes())
}
