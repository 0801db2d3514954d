//! A legacy client on a modern server. What the client said once, each request says again; what the server asks in its
//! answer (`input_required`) becomes requests to the client, and their answers another try of the same call.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use mcp_wire::author::{self, code};
use mcp_wire::methods::{self, LOG_LEVELS, meta, needle};
use mcp_wire::splice::Edits;
use mcp_wire::version::{self, Era};
use mcp_wire::{Frame, Kind, object};
use serde_json::{Value, json};

use super::call::{Call, NestedKind, Purpose, cancellation};
use super::requests::with_our_id;
use super::{ENTRY_TIMEOUT, Shared};
use crate::route::{Class, PeerId, StreamId};

/// So often a server may ask for more about one call.
const MOST_ROUNDS: u32 = 8;
/// A server that asks nothing and wants to be called again gets so much time.
const PAUSE: Duration = Duration::from_millis(250);

/// What is kept of a call until its last round.
pub(super) struct Bridged {
    frame: Frame,
    rounds: u32,
    entries: Vec<(String, Option<String>)>,
    /// The text of the server's `requestState`.
    state: Option<String>,
    last_progress: Option<f64>,
    is_collecting: bool,
}

impl Bridged {
    /// Nothing of the call is with the server.
    pub(super) fn is_between_rounds(&self) -> bool {
        self.is_collecting
    }

    /// Each round may count from the start again; a legacy client sees progress grow (basic/utilities/progress).
    pub(super) fn is_growing(&mut self, progress: Option<&str>) -> bool {
        let Some(progress) = progress.and_then(|p| p.parse::<f64>().ok()) else { return true };
        if self.last_progress.is_some_and(|last| progress <= last) {
            return false;
        }
        self.last_progress = Some(progress);
        true
    }
}

/// What a legacy client wants to be told by a modern server: one subscription for each client.
#[derive(Default)]
pub(super) struct Wishes {
    /// The client's circumstances, as members of `_meta`.
    circumstances: Option<Rc<str>>,
    uris: BTreeSet<String>,
    current: Option<u64>,
    pending: Option<u64>,
    /// They changed while a subscription was being opened.
    is_dirty: bool,
    /// Requests for a resource that the subscription has not confirmed yet.
    asked: Vec<(StreamId, Box<str>, String)>,
}

impl Wishes {
    pub(super) fn uris(&self) -> Vec<String> {
        self.uris.iter().cloned().collect()
    }

    pub(super) fn add(&mut self, uris: Vec<String>) {
        self.uris.extend(uris);
    }
}

impl Shared {
    pub(super) fn legacy_on_modern(&mut self, peer: PeerId, stream: StreamId, frame: &Frame) {
        let id = frame.id().unwrap_or("null");
        match frame.method() {
            "initialize" => self.answer_initialize_from_discovery(peer, stream, frame),
            "ping" => self.answer(peer, stream, author::result(id, "{}")),
            "logging/setLevel" => self.remember_level(peer, stream, frame),
            "resources/subscribe" => self.wish(peer, stream, frame),
            "resources/unsubscribe" => {
                let uri = frame.get_string(&["params", "uri"]).unwrap_or_default();
                let was_there = self.clients.get_mut(&peer).is_some_and(|c| c.wishes.uris.remove(&uri));
                self.answer(peer, stream, author::result(id, "{}"));
                if was_there {
                    self.tell_wishes(peer);
                }
            }
            method if method.starts_with("tasks/") => {
                // Two designs of the same name.
                self.answer_error(peer, stream, id, code::METHOD_NOT_FOUND, "tasks cannot be carried between protocol eras");
            }
            _ => {
                let ours = self.next_id();
                let bridged = Bridged {
                    frame: frame.clone(),
                    rounds: 0,
                    entries: Vec::new(),
                    state: None,
                    last_progress: None,
                    is_collecting: false,
                };
                let mut call = Call::new(self.now, peer, stream, frame, Purpose::ToModern(Box::new(bridged)));
                call.log_level = self.level_of(peer);
                let message = self.modern_message(peer, frame, ours, None);
                self.start_call(ours, call, message);
            }
        }
    }

    fn answer_initialize_from_discovery(&mut self, peer: PeerId, stream: StreamId, frame: &Frame) {
        let asked = frame.get_string(&["params", "protocolVersion"]).unwrap_or_default();
        let version = if version::LEGACY.contains(&asked.as_str()) { &asked } else { version::NEWEST_LEGACY };
        let mut capabilities = self.up.said(&["capabilities"]).unwrap_or("{}").to_owned();
        if let Some(span) = object::find(&capabilities, "extensions") {
            let mut edits = Edits::new();
            edits.remove_members(&capabilities, span, |key| key == "io.modelcontextprotocol/tasks");
            capabilities = edits.text(&capabilities);
        }
        let unknown = r#"{"name":"unknown","version":""}"#;
        let info = self.up.said(&["_meta", meta::SERVER_INFO]).unwrap_or(unknown);
        let instructions = self.up.said(&["instructions"]).map(|i| format!(",\"instructions\":{i}")).unwrap_or_default();
        let result =
            format!("{{\"protocolVersion\":\"{version}\",\"capabilities\":{capabilities},\"serverInfo\":{info}{instructions}}}");
        let answer = author::result(frame.id().unwrap_or("null"), &result);
        let version = version.to_owned();
        self.told_initialized(peer, &version);
        if let Some(client) = self.clients.get_mut(&peer) {
            client.wishes.circumstances = None;
        }
        self.answer(peer, stream, answer);
    }

    /// What each request has to say for its client, as members of `_meta`.
    fn circumstances(&mut self, peer: PeerId) -> String {
        let level =
            self.level_of(peer).map(|rank| format!(",\"{}\":\"{}\"", meta::LOG_LEVEL, LOG_LEVELS[rank])).unwrap_or_default();
        let Some(client) = self.clients.get_mut(&peer) else { return String::new() };
        let known = client.wishes.circumstances.get_or_insert_with(|| {
            let mut edits = Edits::new();
            let text = &client.capabilities;
            edits.remove_members(text, 0..text.len(), |key| key == "tasks");
            if let Some(roots) = object::find(text, "roots") {
                edits.remove_members(text, roots, |key| key == "listChanged");
            }
            let capabilities = edits.text(text);
            let (version, own, info) = (meta::PROTOCOL_VERSION, meta::CLIENT_CAPABILITIES, meta::CLIENT_INFO);
            let who = client.info.as_deref().map(|i| format!(",\"{info}\":{i}")).unwrap_or_default();
            Rc::from(format!("\"{version}\":\"{}\",\"{own}\":{capabilities}{who}", version::NEWEST))
        });
        format!("{known}{level}")
    }

    /// A legacy request as a modern one; `extra` are further members of `params`.
    fn modern_message(&mut self, peer: PeerId, frame: &Frame, id: u64, extra: Option<&str>) -> Bytes {
        let circumstances = self.circumstances(peer);
        let text = frame.text();
        let mut edits = Edits::new();
        let digits = id.to_string();
        if let Some(span) = frame.id_span() {
            edits.replace(span, digits.clone());
        }
        let extra = extra.map(|e| format!(",{e}")).unwrap_or_default();
        match frame.params_span() {
            None => {
                let members = format!("\"params\":{{\"_meta\":{{{circumstances}}}{extra}}}");
                edits.add_members(text, 0..text.len(), &members);
            }
            Some(params) if !text[params.clone()].starts_with('{') => return with_our_id(frame, id),
            Some(params) => {
                if let Some(span) = frame.progress_token_span() {
                    edits.replace(span, digits);
                }
                // Without its name a call is no call, so something is left to stand before what is added.
                if object::find(&text[params.clone()], "name").is_some() {
                    edits.remove_members(text, params.clone(), |key| key == "task");
                }
                match frame.find(&["params", "_meta"]) {
                    Some(own) if text[own.clone()].starts_with('{') => {
                        edits.add_members(text, own, &circumstances);
                        edits.add_members(text, params, extra.trim_start_matches(','));
                    }
                    _ => edits.add_members(text, params, &format!("\"_meta\":{{{circumstances}}}{extra}")),
                }
            }
        }
        edits.apply(frame.bytes())
    }

    /// A modern server answers a legacy client's request.
    pub(super) fn on_answer_for_legacy(&mut self, id: u64, frame: &Frame) {
        if frame.kind() == Kind::Result && frame.contains(&needle::INPUT_REQUIRED) {
            let kind = frame.get_string(&["result", "resultType"]);
            if kind.as_deref() == Some("input_required") {
                self.begin_round(id, frame);
                return;
            }
        }
        let Some(call) = self.finish_call(id) else { return };
        self.look_into(&call, frame);
        let answer = legacy_answer(&call, frame);
        self.deliver(&call, answer, frame.kind() == Kind::Error);
    }

    fn begin_round(&mut self, id: u64, frame: &Frame) {
        let Some(mut call) = self.calls.remove(&id) else { return };
        let next = self.next_id();
        if let Some(client) = self.clients.get_mut(&call.peer) {
            client.open.insert(call.id.clone(), next);
        }
        let (peer, stream) = (call.peer, call.stream);
        let may_ask = methods::may_need_input(&call.method);
        let requests = frame.get(&["result", "inputRequests"]).unwrap_or("{}");
        let entries: Vec<(String, String, String)> = object::members(requests)
            .filter_map(|m| {
                let entry = &requests[m.value_span];
                let params = object::get(entry, "params").unwrap_or("{}").to_owned();
                Some((m.key.into_owned(), object::get_string(entry, "method")?, params))
            })
            .collect();
        let Purpose::ToModern(bridged) = &mut call.purpose else { return };
        bridged.rounds += 1;
        bridged.is_collecting = true;
        bridged.state = frame.get(&["result", "requestState"]).map(str::to_owned);
        bridged.entries = entries.iter().map(|(key, ..)| (key.clone(), None)).collect();
        let is_over = bridged.rounds > MOST_ROUNDS;
        self.calls.insert(next, call);
        let capabilities = self.clients.get(&peer).map_or_else(|| Rc::from("{}"), |c| Rc::clone(&c.capabilities));
        let unable = entries.iter().find(|(_, method, params)| !Self::is_declared(&capabilities, method, params));
        if let Some((_, method, _)) = unable {
            let why = format!("the server needs `{method}`, which this client does not support");
            self.round_failed(Some(next), &why);
        } else if !may_ask {
            self.round_failed(Some(next), "the server asked for input where the protocol has none");
        } else if is_over {
            self.round_failed(Some(next), &format!("the server asked for input more than {MOST_ROUNDS} times"));
        } else if entries.is_empty() {
            self.rounds_due.push((self.now + PAUSE, next));
        } else {
            for (key, method, params) in entries {
                let deadline = Some(self.now + ENTRY_TIMEOUT);
                let ours = self.ask_client(peer, Some(next), NestedKind::Round(key), deadline);
                let params = with_elicitation_id(&method, params, ours);
                let request = author::request(&ours.to_string(), &method, Some(&params));
                self.send(peer, Some(stream), Class::Request, request);
            }
        }
    }

    pub(super) fn on_round_answer(&mut self, call: Option<u64>, key: &str, frame: &Frame) {
        let Some(id) = call else { return };
        let Some(result) = frame.result() else {
            let said = frame.error().and_then(|e| object::get_string(e, "message")).unwrap_or_default();
            self.round_failed(call, &format!("the client did not answer the server's question: {said}"));
            return;
        };
        let Some(Call { purpose: Purpose::ToModern(bridged), .. }) = self.calls.get_mut(&id) else { return };
        if let Some((_, answer)) = bridged.entries.iter_mut().find(|(k, _)| k == key) {
            *answer = Some(result.to_owned());
        }
        if bridged.entries.iter().all(|(_, answer)| answer.is_some()) {
            self.send_round(id);
        }
    }

    fn send_round(&mut self, id: u64) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        let peer = call.peer;
        let Purpose::ToModern(bridged) = &mut call.purpose else { return };
        bridged.is_collecting = false;
        // The answers of this round only; the server keeps what it needs of earlier ones in its state.
        let entry = |(key, answer): (String, Option<String>)| Some(format!("{}:{}", Value::from(key), answer?));
        let answers: Vec<String> = bridged.entries.drain(..).filter_map(entry).collect();
        let mut extra = Vec::new();
        if !answers.is_empty() {
            extra.push(format!("\"inputResponses\":{{{}}}", answers.join(",")));
        }
        extra.extend(bridged.state.take().map(|state| format!("\"requestState\":{state}")));
        let frame = bridged.frame.clone();
        let message = self.modern_message(peer, &frame, id, Some(&extra.join(",")));
        self.upstream(message);
    }

    /// A bridged call cannot go on.
    pub(super) fn round_failed(&mut self, call: Option<u64>, why: &str) {
        let Some(id) = call else { return };
        let mut asked: Vec<u64> = self.nested.iter().filter(|(_, n)| n.call == Some(id)).map(|(i, _)| *i).collect();
        asked.sort_unstable();
        for question in asked {
            self.withdraw_question(question, why);
        }
        let Some(call) = self.finish_call(id) else { return };
        let answer = if &*call.method == "tools/call" {
            let result = json!({"content": [{"type": "text", "text": why}], "isError": true});
            author::result(&call.id, &result.to_string())
        } else {
            author::our_error(Some(&call.id), "input-required", why)
        };
        self.deliver(&call, answer, true);
    }

    pub(super) fn tick_rounds(&mut self) {
        let now = self.now;
        let due: Vec<u64> = self.rounds_due.iter().filter(|(at, _)| *at <= now).map(|(_, id)| *id).collect();
        self.rounds_due.retain(|(at, _)| *at > now);
        for id in due {
            self.send_round(id);
        }
    }

    pub(super) fn wake_rounds(&self) -> Option<Instant> {
        self.rounds_due.iter().map(|(at, _)| *at).min()
    }

    /// `resources/subscribe`: a further wish.
    fn wish(&mut self, peer: PeerId, stream: StreamId, frame: &Frame) {
        let id = frame.id().unwrap_or("null");
        let Some(uri) = frame.get_string(&["params", "uri"]) else {
            self.answer_error(peer, stream, id, code::INVALID_PARAMS, "`uri` is missing");
            return;
        };
        let Some(client) = self.clients.get_mut(&peer) else { return };
        let wishes = &mut client.wishes;
        if !wishes.uris.insert(uri.clone()) && wishes.pending.is_none() {
            self.answer(peer, stream, author::result(id, "{}"));
            return;
        }
        wishes.asked.push((stream, id.into(), uri));
        self.tell_wishes(peer);
    }

    /// Opens the subscription that says what a legacy client wants to hear now.
    pub(super) fn tell_wishes(&mut self, peer: PeerId) {
        let kinds = [("tools", "toolsListChanged"), ("prompts", "promptsListChanged"), ("resources", "resourcesListChanged")];
        let mut filter = serde_json::Map::new();
        for (kind, member) in kinds {
            if self.up.can(&[kind, "listChanged"]) {
                filter.insert(member.to_owned(), Value::Bool(true));
            }
        }
        let Some(client) = self.clients.get_mut(&peer) else { return };
        if client.wishes.pending.is_some() {
            client.wishes.is_dirty = true;
            return;
        }
        if !client.wishes.uris.is_empty() {
            filter.insert("resourceSubscriptions".to_owned(), client.wishes.uris.iter().cloned().collect());
        }
        if filter.is_empty() {
            if let Some(old) = client.wishes.current.take() {
                self.end_wish(old);
            }
            return;
        }
        let params = format!("{{\"_meta\":{{{}}},\"notifications\":{}}}", self.circumstances(peer), Value::Object(filter));
        let id = self.ask_server("subscriptions/listen", Some(&params), Purpose::Wishes(peer));
        if let Some(client) = self.clients.get_mut(&peer) {
            client.wishes.pending = Some(id);
        }
    }

    /// Something came on the subscription of a legacy client.
    pub(super) fn on_wish_granted(&mut self, peer: PeerId, id: u64, frame: &Frame) {
        let Some(client) = self.clients.get_mut(&peer) else { return };
        if frame.method() != "notifications/subscriptions/acknowledged" {
            // An old subscription stays open until the new one is: what both tell is told once.
            if client.wishes.current == Some(id) {
                self.send(peer, None, Class::Notification, without_subscription(frame));
            }
            return;
        }
        if client.wishes.pending != Some(id) {
            return;
        }
        client.wishes.pending = None;
        let old = client.wishes.current.replace(id);
        let granted: Vec<String> = frame
            .get(&["params", "notifications", "resourceSubscriptions"])
            .and_then(|text| serde_json::from_str(text).ok())
            .unwrap_or_default();
        let is_dirty = std::mem::take(&mut client.wishes.is_dirty);
        for (stream, asked, uri) in std::mem::take(&mut client.wishes.asked) {
            if granted.contains(&uri) {
                self.answer(peer, stream, author::result(&asked, "{}"));
            } else if let Some(client) = self.clients.get_mut(&peer) {
                if is_dirty {
                    client.wishes.asked.push((stream, asked, uri));
                } else {
                    client.wishes.uris.remove(&uri);
                    let message = "the server does not offer to tell of changes of this resource";
                    self.answer_error(peer, stream, &asked, code::INVALID_PARAMS, message);
                }
            }
        }
        if let Some(old) = old {
            self.end_wish(old);
        }
        if is_dirty {
            self.tell_wishes(peer);
        }
    }

    fn end_wish(&mut self, id: u64) {
        if self.finish_call(id).is_some() {
            self.upstream(cancellation(&id.to_string(), None));
        }
    }

    /// The server refused the subscription of a legacy client, or ended it.
    pub(super) fn wishes_ended(&mut self, peer: PeerId, id: u64, frame: &Frame) {
        let error = frame.error().map(str::to_owned);
        self.wishes_lost(peer, id);
        let Some(client) = self.clients.get_mut(&peer) else { return };
        for (stream, asked, uri) in std::mem::take(&mut client.wishes.asked) {
            if let Some(client) = self.clients.get_mut(&peer) {
                client.wishes.uris.remove(&uri);
            }
            let said = error.as_deref().and_then(|e| object::get_string(e, "message")).unwrap_or_default();
            let message = format!("the server does not tell of changes: {said}");
            self.answer_error(peer, stream, &asked, code::INTERNAL, &message);
        }
    }

    pub(super) fn wishes_lost(&mut self, peer: PeerId, id: u64) {
        let Some(client) = self.clients.get_mut(&peer) else { return };
        for place in [&mut client.wishes.pending, &mut client.wishes.current] {
            if *place == Some(id) {
                *place = None;
            }
        }
    }

    /// A legacy client left: its subscription goes too.
    pub(super) fn end_wishes(&mut self, wishes: &Wishes) {
        if self.server_era() == Some(Era::Modern) {
            for id in [wishes.current, wishes.pending].into_iter().flatten() {
                self.end_wish(id);
            }
        }
    }
}

/// URL elicitations of 2025-11-25 carry an id of their own.
fn with_elicitation_id(method: &str, params: String, id: u64) -> String {
    let is_url = method == "elicitation/create" && object::get_string(&params, "mode").as_deref() == Some("url");
    if !is_url || object::find(&params, "elicitationId").is_some() {
        return params;
    }
    let mut edits = Edits::new();
    edits.add_members(&params, 0..params.len(), &format!("\"elicitationId\":\"mcp-{id}\""));
    edits.text(&params)
}

/// A modern answer as a legacy client knows it.
fn legacy_answer(call: &Call, frame: &Frame) -> Bytes {
    let mut edits = Edits::new();
    if let Some(span) = frame.id_span() {
        edits.replace(span, &*call.id);
    }
    let Some(result) = frame.result_span() else { return edits.apply(frame.bytes()) };
    let text = frame.text();
    let structured = object::get(&text[result.clone()], "structuredContent");
    let is_odd = &*call.method == "tools/call" && structured.is_some_and(|s| !s.starts_with('{'));
    edits.remove_members(text, result, |key| match key {
        "resultType" | "ttlMs" | "cacheScope" => true,
        // The text block says the same; a legacy client takes objects only.
        "structuredContent" => is_odd,
        _ => false,
    });
    if &*call.method == "tools/list"
        && frame.contains(&needle::OUTPUT_SCHEMA)
        && let Some(list) = frame.find(&["result", "tools"])
    {
        for span in object::elements(&text[list.clone()]) {
            let tool = list.start + span.start..list.start + span.end;
            let kind = object::get_path(&text[tool.clone()], &["outputSchema", "type"]);
            if object::find(&text[tool.clone()], "outputSchema").is_some() && kind != Some("\"object\"") {
                edits.remove_members(text, tool, |key| key == "outputSchema");
            }
        }
    }
    edits.apply(frame.bytes())
}

/// A notification without the mark of the subscription it came on.
fn without_subscription(frame: &Frame) -> Bytes {
    let mut edits = Edits::new();
    if let (Some(params), Some(own)) = (frame.params_span(), frame.find(&["params", "_meta"])) {
        if object::members(&frame.text()[own.clone()]).count() == 1 {
            edits.remove_members(frame.text(), params, |key| key == "_meta");
        } else {
            edits.remove_members(frame.text(), own, |key| key == meta::SUBSCRIPTION_ID);
        }
    }
    edits.apply(frame.bytes())
}
