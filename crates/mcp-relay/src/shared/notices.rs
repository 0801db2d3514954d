//! Notifications, both ways.

use mcp_wire::Frame;
use mcp_wire::methods::{self, meta, needle};
use mcp_wire::version::Era;

use super::Shared;
use super::call::Purpose;
use super::lifecycle::State;
use super::responses::with_subscription;
use super::turns::Only;
use crate::route::{Action, Class, PeerId, StreamId};

impl Shared {
    /// A client's notification.
    pub(super) fn on_client_notification(&mut self, peer: PeerId, frame: &Frame) {
        let server_is_modern = self.server_era() == Some(Era::Modern);
        match frame.method() {
            "notifications/cancelled" => self.on_client_cancels(peer, frame),
            "notifications/initialized" => self.on_client_initialized(peer, frame),
            "notifications/roots/list_changed" => self.on_roots_changed(peer),
            "notifications/tasks/status" if self.up.is_ready() && !server_is_modern => {
                self.upstream(Self::as_clients_task(peer, frame, None));
            }
            _ if server_is_modern => self.count("notifications of clients that a modern server has no use for"),
            _ if self.up.is_ready() => self.upstream(frame.line()),
            _ => self.count("notifications of clients while the server was not there"),
        }
    }

    /// The first one is the server's; it must not hear it twice.
    fn on_client_initialized(&mut self, peer: PeerId, frame: &Frame) {
        if matches!(self.up.state, State::Opening(_)) {
            // A client that says all at once: what it says next comes after it.
            self.waiting.push_back((peer, StreamId(0), frame.clone()));
            return;
        }
        if self.server_era() == Some(Era::Modern) {
            self.tell_wishes(peer);
        } else if self.up.is_ready() && !std::mem::replace(&mut self.up.has_heard_initialized, true) {
            self.upstream(frame.line());
        }
        self.look_for_other_roots();
    }

    /// The server's notification.
    pub(super) fn on_server_notification(&mut self, frame: &Frame, on: Option<u64>) {
        match frame.method() {
            "notifications/progress" => self.on_progress(frame),
            "notifications/cancelled" => self.on_server_cancels(frame),
            _ if frame.contains(&needle::SUBSCRIPTION_ID) => self.on_subscribed(frame),
            "notifications/message" => self.on_log_message(frame, on),
            "notifications/resources/updated" => self.on_updated(frame),
            "notifications/tools/list_changed"
            | "notifications/prompts/list_changed"
            | "notifications/resources/list_changed" => self.on_list_changed(frame),
            "notifications/elicitation/complete" => {
                let id = frame.get_string(&["params", "elicitationId"]).unwrap_or_default();
                match self.elicitations.remove(&id) {
                    Some(peer) => self.send(peer, None, Class::Notification, frame.line()),
                    None => self.count("notices of elicitations nobody was asked for"),
                }
            }
            _ => self.on_other_notification(frame, on),
        }
    }

    fn on_progress(&mut self, frame: &Frame) {
        let Some(span) = frame.find(&["params", "progressToken"]) else { return };
        let Ok(id) = frame.text()[span.clone()].parse::<u64>() else {
            self.count("progress with a token that is not ours");
            return;
        };
        if let Some(call) = self.calls.get_mut(&id) {
            let Some(token) = call.token.clone() else { return };
            if let Purpose::ToModern(bridged) = &mut call.purpose
                && !bridged.is_growing(frame.get(&["params", "progress"]))
            {
                return;
            }
            let (peer, stream) = (call.peer, call.stream);
            self.send(peer, Some(stream), Class::Progress(id), frame.spliced(&[(span, &token)]));
        } else if let Some((peer, token)) = self.tasks.token(id) {
            self.send(peer, None, Class::Progress(id), frame.spliced(&[(span, &token)]));
        } else {
            self.count("late progress dropped");
        }
    }

    /// The server takes a question back that it asked a client.
    fn on_server_cancels(&mut self, frame: &Frame) {
        let Some(span) = frame.find(&["params", "requestId"]) else { return };
        let id = &frame.text()[span.clone()];
        // A modern server may end a subscription of ours that way.
        if let Ok(ours) = id.parse::<u64>()
            && let Some(call) = self.calls.get(&ours)
            && matches!(call.purpose, Purpose::Listen | Purpose::Wishes(_))
        {
            let Some(call) = self.finish_call(ours) else { return };
            if let Purpose::Wishes(peer) = call.purpose {
                self.wishes_lost(peer, ours);
            } else {
                self.send(call.peer, Some(call.stream), Class::Notification, frame.spliced(&[(span, &call.id)]));
                self.out.push(Action::EndStream(call.peer, call.stream));
            }
            return;
        }
        self.question_taken_back(id, frame, span);
    }

    /// A notification of a modern server on one of our subscriptions.
    fn on_subscribed(&mut self, frame: &Frame) {
        let id = frame.get(&["params", "_meta", meta::SUBSCRIPTION_ID]).and_then(|id| id.parse::<u64>().ok());
        let Some((id, call)) = id.and_then(|id| Some((id, self.calls.get(&id)?))) else {
            self.count("notifications for a subscription that is over");
            return;
        };
        match &call.purpose {
            Purpose::Wishes(peer) => {
                let peer = *peer;
                self.on_wish_granted(peer, id, frame);
            }
            Purpose::Listen => {
                let message = with_subscription(frame, &call.id, None);
                let (peer, stream) = (call.peer, call.stream);
                self.send(peer, Some(stream), Class::Notification, message);
            }
            _ => self.count("notifications for a subscription that is over"),
        }
    }

    /// `…/list_changed` of a legacy server: for everyone.
    pub(super) fn on_list_changed(&mut self, frame: &Frame) {
        let message = frame.line();
        for peer in self.legacy_clients() {
            self.send(peer, None, Class::Notification, message.clone());
        }
        self.tell_listens(frame);
    }

    /// Legacy clients that have been told they are connected.
    pub(super) fn legacy_clients(&self) -> Vec<PeerId> {
        self.clients.iter().filter(|(_, c)| c.is_legacy() && c.is_initialized).map(|(peer, _)| *peer).collect()
    }

    /// Something the protocol did not have when this was written.
    fn on_other_notification(&mut self, frame: &Frame, on: Option<u64>) {
        let task = frame.get_string(&["params", "_meta", meta::RELATED_TASK, "taskId"]);
        let task = task
            .or_else(|| frame.get_string(&["params", "taskId"]).filter(|_| frame.method().starts_with("notifications/tasks")));
        if let Some(peer) = task.and_then(|task| self.tasks.owner_of_news(&task, frame)) {
            self.send(peer, None, Class::Notification, frame.line());
            return;
        }
        if let Some((peer, stream)) = self.belongs_to(on) {
            self.send(peer, stream, Class::Notification, frame.line());
            return;
        }
        for peer in self.legacy_clients() {
            self.send(peer, None, Class::Notification, frame.line());
        }
    }

    /// The one call something of the server can belong to: named by the transport, or the only one that is active.
    pub(super) fn belongs_to(&self, on: Option<u64>) -> Option<(PeerId, Option<StreamId>)> {
        if let Some(call) = on.and_then(|id| self.calls.get(&id)).filter(|c| self.clients.contains_key(&c.peer)) {
            return Some((call.peer, Some(call.stream)));
        }
        match self.turns.only_one(self.now) {
            Only::One(unit) => self.stream_of(unit),
            _ => None,
        }
    }

    /// `notifications/message`: nothing on the wire says which request it belongs to.
    fn on_log_message(&mut self, frame: &Frame, on: Option<u64>) {
        let rank = frame.get_string(&["params", "level"]).and_then(|l| methods::log_rank(&l)).unwrap_or(0);
        if self.server_era() == Some(Era::Modern) {
            self.modern_log_message(frame, rank, on);
            return;
        }
        let target = self.belongs_to(on);
        if let Some((peer, stream)) = target {
            let is_wanted = match self.clients.get(&peer) {
                Some(client) if client.is_legacy() => self.levels.lets_through(peer, rank),
                // A modern client is told only what it asked for, and only when it is sure that it is its own.
                Some(_) => self.calls.values().any(|c| c.peer == peer && c.log_level.is_some_and(|wanted| rank >= wanted)),
                None => false,
            };
            if is_wanted {
                self.send(peer, stream, Class::Log, frame.line());
            }
            return;
        }
        let message = frame.line();
        let peers = self.legacy_clients();
        if peers.is_empty() {
            self.count("log lines dropped that could not be told apart");
        }
        for peer in peers {
            if self.levels.lets_through(peer, rank) {
                self.send(peer, None, Class::Log, message.clone());
            }
        }
    }

    /// A log line of a modern server: for the one request that asked for such, if there is only one client it can be.
    fn modern_log_message(&mut self, frame: &Frame, rank: usize, on: Option<u64>) {
        let wants = |call: &super::Call| call.log_level.is_some_and(|wanted| rank >= wanted);
        let named = on.and_then(|id| self.calls.get(&id));
        let mut found: Vec<(PeerId, StreamId)> = match named {
            Some(call) => wants(call).then_some((call.peer, call.stream)).into_iter().collect(),
            None => self.calls.values().filter(|c| wants(c)).map(|c| (c.peer, c.stream)).collect(),
        };
        found.sort_unstable();
        found.dedup();
        match found.as_slice() {
            [(peer, stream)] => self.send(*peer, Some(*stream), Class::Log, frame.line()),
            [(peer, stream), rest @ ..] if rest.iter().all(|(p, _)| p == peer) => {
                self.send(*peer, Some(*stream), Class::Log, frame.line());
            }
            _ => self.count("log lines dropped that could not be told apart"),
        }
    }
}
