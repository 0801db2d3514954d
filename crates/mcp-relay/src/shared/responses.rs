//! From the server to clients: answers.

use mcp_wire::author::{self, code};
use mcp_wire::methods::needle;
use mcp_wire::{Frame, Kind, object};

use super::call::{Call, Purpose};
use super::{Shared, mirror};
use crate::route::{Class, Passage, PeerId};

impl Shared {
    pub(super) fn on_response(&mut self, frame: Frame) {
        let Some(id) = frame.id().and_then(|id| id.parse::<u64>().ok()) else {
            self.count_and_log("an answer of the server without an id of ours");
            return;
        };
        let Some(call) = self.calls.get(&id) else {
            self.count("late answers dropped (the call was cancelled, or its client left)");
            return;
        };
        match &call.purpose {
            Purpose::Opening => self.on_opening_answer(id, &frame),
            Purpose::Client => {
                let Some(call) = self.finish_call(id) else { return };
                self.look_into(&call, &frame);
                let is_error = frame.kind() == Kind::Error;
                let answer = if &*call.method == "tasks/list" {
                    self.only_tasks_of(call.peer, &frame, &call.id)
                } else {
                    frame.into_with_id(&call.id)
                };
                self.deliver(&call, answer, is_error);
            }
            Purpose::Listen => {
                let Some(call) = self.finish_call(id) else { return };
                let answer = with_subscription(&frame, &call.id, Some(&call.id));
                self.answer(call.peer, call.stream, answer);
            }
            Purpose::ToModern(_) => self.on_answer_for_legacy(id, &frame),
            Purpose::ToLegacy(_) => self.on_answer_for_modern(id, &frame),
            Purpose::OnBehalf => self.on_answer_on_behalf(id, &frame),
            Purpose::Unheard => {
                self.finish_call(id);
            }
            Purpose::Barrier(unit) => {
                let unit = *unit;
                self.finish_call(id);
                self.turns.lingering.retain(|(barrier, ..)| *barrier != id);
                self.turns.ended(unit);
            }
            Purpose::Wishes(peer) => {
                let peer = *peer;
                self.finish_call(id);
                self.wishes_ended(peer, id, &frame);
            }
            Purpose::ListenTo(..) => self.on_listened_to(id, &frame),
        }
        self.settle();
    }

    /// Where an answer goes that is not looked into. The id of a task stands at the beginning of the answer it is in.
    pub(super) fn passage_of(&self, id: u64, beginning: &[u8]) -> Option<Passage> {
        let call = self.calls.get(&id)?;
        let is_plain = matches!(call.purpose, Purpose::Client)
            && matches!(&*call.method, "tools/call" | "resources/read" | "prompts/get")
            && self.clients.contains_key(&call.peer)
            && !needle::TASK_ID.is_in(beginning);
        is_plain.then(|| Passage { peer: call.peer, stream: call.stream, id: call.id.clone() })
    }

    /// An answer was passed on while it arrived, and has come to its end. Its client may have lost interest meanwhile.
    pub(super) fn on_passed(&mut self, id: u64) {
        if let Some(call) = self.finish_call(id) {
            self.count_answer(&call, false);
            self.settle();
        }
    }

    /// Gives a call its answer and counts it.
    pub(super) fn deliver(&mut self, call: &Call, message: bytes::Bytes, is_error: bool) {
        self.count_answer(call, is_error);
        self.send(call.peer, Some(call.stream), Class::Response, message);
    }

    fn count_answer(&mut self, call: &Call, is_error: bool) {
        self.answered += 1;
        self.errors += u64::from(is_error);
        self.latency.add(self.now.saturating_duration_since(call.started));
        if let Some(client) = self.clients.get_mut(&call.peer) {
            client.calls += 1;
        }
    }

    /// What has to be known of an answer that passes as it is.
    pub(super) fn look_into(&mut self, call: &Call, frame: &Frame) {
        match frame.kind() {
            Kind::Result => {
                if &*call.method == "tools/list" && frame.contains(&needle::HEADER) {
                    mirror::learn(frame.result().unwrap_or_default(), &mut self.mirrored);
                }
                if frame.contains(&needle::TASK_ID) {
                    self.tasks.learn(call, frame, self.now);
                }
            }
            _ if frame.error_code() == Some(code::URL_ELICITATION_REQUIRED) => {
                let elicitations = frame.get(&["error", "data", "elicitations"]).unwrap_or("[]");
                for span in object::elements(elicitations) {
                    if let Some(id) = object::get_string(&elicitations[span], "elicitationId") {
                        self.elicitations.insert(id, call.peer);
                    }
                }
            }
            _ => {}
        }
    }

    /// The server's answer was too long to be passed on.
    pub(super) fn on_too_long(&mut self, size: u64, id: Option<u64>) {
        self.log(format!("dropped a message of {size} bytes from the server: it is over the limit"));
        self.count("messages of the server over the size limit");
        let Some(call) = id.and_then(|id| self.finish_call(id)) else { return };
        let message = format!("the server's answer of {size} bytes is over the limit");
        let answer = author::our_error(Some(&call.id), "too-large", &message);
        self.deliver(&call, answer, true);
        self.settle();
    }

    /// Ends every call with an error, because the server is gone.
    pub(super) fn fail_all_calls(&mut self, why: &str) {
        let mut ids: Vec<u64> = self.calls.keys().copied().collect();
        ids.sort_unstable();
        for id in ids {
            let Some(call) = self.finish_call(id) else { continue };
            match call.purpose {
                Purpose::Client | Purpose::ToModern(_) | Purpose::ToLegacy(_) | Purpose::Listen | Purpose::OnBehalf
                    if call.peer != PeerId(0) =>
                {
                    let answer = author::our_error(Some(&call.id), "server-ended", why);
                    self.deliver(&call, answer, true);
                }
                Purpose::ListenTo(listen, uri) => self.listening_failed(listen, &uri),
                _ => {}
            }
        }
    }

    /// A client waits for the outcome of something we asked.
    fn on_answer_on_behalf(&mut self, id: u64, frame: &Frame) {
        let Some(call) = self.finish_call(id) else { return };
        if frame.kind() == Kind::Error {
            self.subscription_failed(&call);
        }
        self.deliver(&call, frame.with_id(&call.id), frame.kind() == Kind::Error);
    }
}

/// A message of a subscription with the client's id in the place of ours: as its own id, and in `_meta`.
pub(super) fn with_subscription(frame: &Frame, token: &str, id: Option<&str>) -> bytes::Bytes {
    let top = if frame.method().is_empty() { "result" } else { "params" };
    let mut edits = Vec::new();
    if let (Some(span), Some(id)) = (frame.id_span(), id) {
        edits.push((span, id));
    }
    if let Some(span) = frame.find(&[top, "_meta", mcp_wire::methods::meta::SUBSCRIPTION_ID]) {
        edits.push((span, token));
    }
    edits.sort_by_key(|(span, _)| span.start);
    frame.spliced(&edits)
}
