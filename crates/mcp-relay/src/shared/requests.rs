//! From clients to the server.

use std::borrow::Cow;
use std::rc::Rc;

use mcp_wire::author::{self, code};
use mcp_wire::methods::{self, meta, needle};
use mcp_wire::version::{self, Era};
use mcp_wire::{Frame, Kind, object};
use serde_json::json;

use super::call::{Call, Purpose};
use super::lifecycle::State;
use super::turns::Unit;
use super::{Attribution, Shared};
use crate::route::{Action, Class, PeerId, StreamId, Via};

/// What a modern request brings along, as text (basic/index, general fields).
#[derive(Clone, Debug, Default)]
pub(super) struct Circumstances<'a> {
    pub(super) version: Cow<'a, str>,
    pub(super) capabilities: &'a str,
    pub(super) info: Option<&'a str>,
    pub(super) log_level: Option<usize>,
}

impl<'a> Circumstances<'a> {
    pub(super) fn of(frame: &'a Frame) -> Option<Self> {
        let own = frame.get(&["params", "_meta"])?;
        let mut found = Self::default();
        let mut is_complete = 0;
        for member in object::members(own) {
            let text = &own[member.value_span];
            match &*member.key {
                meta::PROTOCOL_VERSION => {
                    found.version = match text.strip_prefix('"').and_then(|t| t.strip_suffix('"')) {
                        Some(plain) if !plain.contains('\\') => Cow::Borrowed(plain),
                        _ => Cow::Owned(serde_json::from_str(text).ok()?),
                    };
                    is_complete |= 1;
                }
                meta::CLIENT_CAPABILITIES if text.starts_with('{') => {
                    found.capabilities = text;
                    is_complete |= 2;
                }
                meta::CLIENT_INFO if text.starts_with('{') => found.info = Some(text),
                meta::LOG_LEVEL => {
                    found.log_level = serde_json::from_str::<String>(text).ok().and_then(|l| methods::log_rank(&l));
                }
                _ => {}
            }
        }
        (is_complete == 3).then_some(found)
    }
}

impl Shared {
    pub(super) fn on_client_frame(&mut self, peer: PeerId, stream: StreamId, frame: Frame) {
        if !self.clients.contains_key(&peer) {
            return;
        }
        match frame.kind() {
            Kind::Request => self.on_request(peer, stream, frame),
            Kind::Notification => self.on_client_notification(peer, &frame),
            Kind::Result | Kind::Error => self.on_client_response(peer, &frame),
        }
    }

    /// The era of a request: what the transport knows, what was agreed on, or what the request shows.
    fn era_of(&self, peer: PeerId, frame: &Frame) -> Era {
        let Some(client) = self.clients.get(&peer) else { return Era::Legacy };
        match (client.era, frame.method()) {
            (_, "initialize") => Era::Legacy,
            (Some(Era::Legacy), method) if client.is_initialized && method != "server/discover" => Era::Legacy,
            (_, "server/discover") | (Some(Era::Modern), _) => Era::Modern,
            _ if frame.contains(&needle::PROTOCOL_VERSION) => Era::Modern,
            _ => Era::Legacy,
        }
    }

    fn on_request(&mut self, peer: PeerId, stream: StreamId, frame: Frame) {
        let id: Box<str> = frame.id().unwrap_or("null").into();
        let Some(client) = self.clients.get(&peer) else { return };
        if client.open.contains_key(&id) || self.waiting.iter().any(|(p, _, f)| *p == peer && f.id() == Some(&id)) {
            let message = format!("the id {id} is in use by a request that is still open");
            self.answer_error(peer, stream, &id, code::INVALID_REQUEST, &message);
            return;
        }
        if client.open.len() >= self.config.max_in_flight {
            let message = format!("{} requests of this client are open, which is the limit", client.open.len());
            self.answer(peer, stream, author::our_error(Some(&id), "too-many-requests", &message));
            return;
        }
        if self.is_draining {
            self.answer(peer, stream, author::our_error(Some(&id), "server-stopping", "the server is being stopped"));
            return;
        }
        let era = self.era_of(peer, &frame);
        if era == Era::Modern {
            if !self.is_acceptable_modern(peer, stream, &frame, &id) {
                return;
            }
        } else if frame.method() == "initialize" {
            self.on_initialize(peer, &frame);
        }
        match &self.up.state {
            State::Ready => self.dispatch(peer, stream, &frame, era),
            State::Closed | State::Spawned if era == Era::Legacy && frame.method() != "initialize" => {
                if frame.method() == "ping" {
                    self.answer(peer, stream, author::result(&id, "{}"));
                } else {
                    let message = "send `initialize` first";
                    self.answer_error(peer, stream, &id, code::INVALID_REQUEST, message);
                }
            }
            State::Closed | State::Spawned => {
                self.open_for(&frame, era);
                self.waiting.push_back((peer, stream, frame));
            }
            State::Opening(_) => self.waiting.push_back((peer, stream, frame)),
            State::Waiting { .. } | State::Failed { .. } => self.refuse_without_server(peer, stream, &id, &frame, era),
        }
    }

    /// What was to wait until the server is open.
    pub(super) fn dispatch_waiting(&mut self) {
        for (peer, stream, frame) in std::mem::take(&mut self.waiting) {
            if self.clients.contains_key(&peer) {
                if frame.kind() == Kind::Notification {
                    self.on_client_notification(peer, &frame);
                    continue;
                }
                let era = self.era_of(peer, &frame);
                self.dispatch(peer, stream, &frame, era);
            }
        }
    }

    fn dispatch(&mut self, peer: PeerId, stream: StreamId, frame: &Frame, era: Era) {
        match (era, self.server_era().unwrap_or(Era::Legacy)) {
            (Era::Legacy, Era::Legacy) => self.legacy_request(peer, stream, frame),
            (Era::Modern, Era::Modern) => self.modern_request(peer, stream, frame),
            (Era::Legacy, Era::Modern) => self.legacy_on_modern(peer, stream, frame),
            (Era::Modern, Era::Legacy) => self.modern_on_legacy(peer, stream, frame),
        }
    }

    /// Checks what each modern request must have, and remembers who it is from.
    fn is_acceptable_modern(&mut self, peer: PeerId, stream: StreamId, frame: &Frame, id: &str) -> bool {
        let refuse = |shared: &mut Self, code, message: &str, data: Option<serde_json::Value>| {
            let error = author::error(Some(id), code, message, data.as_ref());
            shared.send(peer, Some(stream), Class::Refusal, error);
        };
        let Some(found) = Circumstances::of(frame) else {
            // A client that only asks whether this is a modern server may not know yet what to bring.
            let message =
                "`_meta` needs `io.modelcontextprotocol/protocolVersion` and `io.modelcontextprotocol/clientCapabilities`";
            refuse(self, code::INVALID_PARAMS, message, None);
            return false;
        };
        if !version::MODERN.contains(&&*found.version) {
            let data = json!({"supported": version::MODERN, "requested": found.version});
            refuse(self, code::UNSUPPORTED_VERSION, "this protocol version is not supported", Some(data));
            return false;
        }
        if methods::is_removed_in_modern(frame.method()) {
            let message = format!("`{}` is not a method of {}", frame.method(), found.version);
            self.answer_error(peer, stream, id, code::METHOD_NOT_FOUND, &message);
            return false;
        }
        if let Some(client) = self.clients.get_mut(&peer) {
            client.era = Some(Era::Modern);
            if client.version.as_deref() != Some(&found.version) {
                client.version = Some(found.version.into());
            }
            if client.via == Via::Http {
                // There for this request only; its name is kept beside.
                self.seen.note(found.info.unwrap_or("{}"), self.now);
            } else if client.info.as_deref() != found.info {
                client.info = found.info.map(Rc::from);
            }
        }
        true
    }

    fn on_initialize(&mut self, peer: PeerId, frame: &Frame) {
        let Some(client) = self.clients.get_mut(&peer) else { return };
        client.era = Some(Era::Legacy);
        client.info = frame.get(&["params", "clientInfo"]).map(Rc::from);
        client.capabilities = Rc::from(frame.get(&["params", "capabilities"]).unwrap_or("{}"));
        client.is_initialized = false;
    }

    /// A legacy client's `initialize`, when the server is open: from what it said to the first client.
    fn answer_initialize(&mut self, peer: PeerId, stream: StreamId, frame: &Frame) {
        let Some(result) = self.up.result.clone() else { return };
        let asked = frame.get_string(&["params", "protocolVersion"]).unwrap_or_default();
        let served = self.up.version.clone();
        // Legacy revisions differ by additions only, so an older client is served with its own. Revisions are dates.
        let version = if version::LEGACY.contains(&asked.as_str()) && *asked <= *served { asked } else { served.to_string() };
        let id = frame.id().unwrap_or("null");
        let answer = match object::find(&result, "protocolVersion") {
            Some(span) if *version != *served => {
                let (head, tail) = (&result[..span.start], &result[span.end..]);
                author::result(id, &format!("{head}\"{version}\"{tail}"))
            }
            _ => author::result(id, &result),
        };
        self.told_initialized(peer, &version);
        self.answer(peer, stream, answer);
    }

    pub(super) fn told_initialized(&mut self, peer: PeerId, version: &str) {
        if let Some(client) = self.clients.get_mut(&peer) {
            client.version = Some(version.into());
            client.is_initialized = true;
        }
        self.warn_about_capabilities(peer);
    }

    /// A legacy client's request on a legacy server.
    fn legacy_request(&mut self, peer: PeerId, stream: StreamId, frame: &Frame) {
        match frame.method() {
            "initialize" => self.answer_initialize(peer, stream, frame),
            "logging/setLevel" => self.set_level(peer, stream, frame),
            "resources/subscribe" => self.subscribe(peer, stream, frame),
            "resources/unsubscribe" => self.unsubscribe(peer, stream, frame),
            method => {
                let unit = (methods::is_nestable(method) && self.config.attribution != Attribution::Reject)
                    .then_some(Unit::Client(peer));
                self.forward(peer, stream, frame, unit);
            }
        }
    }

    /// A request that is changed in its id and progress token only.
    pub(super) fn forward(&mut self, peer: PeerId, stream: StreamId, frame: &Frame, unit: Option<Unit>) {
        let id = self.next_id();
        let mut call = Call::new(self.now, peer, stream, frame, Purpose::Client);
        call.unit = unit;
        let message = with_our_id(frame, id);
        self.start_call(id, call, message);
    }

    /// A modern client's request on a modern server.
    fn modern_request(&mut self, peer: PeerId, stream: StreamId, frame: &Frame) {
        let id = self.next_id();
        let purpose = if frame.method() == "subscriptions/listen" { Purpose::Listen } else { Purpose::Client };
        let mut call = Call::new(self.now, peer, stream, frame, purpose);
        if frame.contains(&needle::LOG_LEVEL) {
            call.log_level = Circumstances::of(frame).and_then(|c| c.log_level);
        }
        self.start_call(id, call, with_our_id(frame, id));
    }

    /// `notifications/cancelled` of a client.
    pub(super) fn on_client_cancels(&mut self, peer: PeerId, frame: &Frame) {
        let Some(id) = frame.get(&["params", "requestId"]) else { return };
        if let Some(at) = self.waiting.iter().position(|(p, _, f)| *p == peer && f.id() == Some(id)) {
            let (_, stream, waiting) = &self.waiting[at];
            // `initialize` cannot be cancelled.
            if waiting.method() != "initialize" {
                self.out.push(Action::EndStream(peer, *stream));
                self.waiting.remove(at);
            }
            return;
        }
        let Some(ours) = self.clients.get(&peer).and_then(|c| c.open.get(id)).copied() else { return };
        let reason = frame.get_string(&["params", "reason"]);
        self.cancel_call(ours, reason.as_deref());
        self.settle();
    }
}

/// The request with our id, and our id for its progress token, which makes both unique.
pub(super) fn with_our_id(frame: &Frame, id: u64) -> bytes::Bytes {
    let mut digits = itoa::Buffer::new();
    let digits = digits.format(id);
    let span = frame.id_span().unwrap_or(0..0);
    match frame.progress_token_span() {
        None => frame.spliced(&[(span, digits)]),
        Some(token) if token.start < span.start => frame.spliced(&[(token, digits), (span, digits)]),
        Some(token) => frame.spliced(&[(span, digits), (token, digits)]),
    }
}
