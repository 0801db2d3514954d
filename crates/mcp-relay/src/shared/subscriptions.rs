//! One subscription of the server for all clients that want a resource.

use std::collections::{BTreeMap, BTreeSet};

use mcp_wire::author;
use mcp_wire::{Frame, object};
use serde_json::json;

use super::Shared;
use super::call::{Call, Purpose};
use super::requests::with_our_id;
use crate::route::{Class, PeerId, StreamId};

/// Who has subscribed to what: legacy clients, and open `subscriptions/listen` requests of modern ones.
#[derive(Default)]
pub(super) struct Subscribers(BTreeMap<String, BTreeSet<Subscriber>>);

/// Somebody who wants to hear of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Subscriber {
    Client(PeerId),
    Listen(u64),
}

impl Subscribers {
    /// True when nobody had subscribed before.
    pub(super) fn add(&mut self, uri: &str, who: Subscriber) -> bool {
        let all = self.0.entry(uri.to_owned()).or_default();
        all.insert(who) && all.len() == 1
    }

    /// True when nobody is left.
    pub(super) fn remove(&mut self, uri: &str, who: Subscriber) -> bool {
        let Some(all) = self.0.get_mut(uri) else { return false };
        let was_there = all.remove(&who);
        let is_empty = all.is_empty();
        if is_empty {
            self.0.remove(uri);
        }
        was_there && is_empty
    }

    pub(super) fn of(&self, who: Subscriber) -> Vec<String> {
        self.0.iter().filter(|(_, all)| all.contains(&who)).map(|(uri, _)| uri.clone()).collect()
    }

    /// All resources somebody wants to hear of.
    pub(super) fn uris(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }

    /// Who wants to hear of a change of `uri`: those who subscribed to it or to something it is part of; if there is nobody
    /// such, everybody who subscribed to anything.
    pub(super) fn of_change(&self, uri: &str) -> BTreeSet<Subscriber> {
        let is_part = |of: &str| {
            uri.strip_prefix(of).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?', '#']) || of.ends_with('/'))
        };
        let named: BTreeSet<Subscriber> = self.0.iter().filter(|(of, _)| is_part(of)).flat_map(|(_, all)| all).copied().collect();
        if named.is_empty() { self.0.values().flatten().copied().collect() } else { named }
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

impl Shared {
    pub(super) fn subscribe(&mut self, peer: PeerId, stream: StreamId, frame: &Frame) {
        let Some(uri) = frame.get_string(&["params", "uri"]) else {
            self.forward(peer, stream, frame, None);
            return;
        };
        if self.subscribers.add(&uri, Subscriber::Client(peer)) {
            self.start_on_behalf(peer, stream, frame);
        } else {
            self.answer(peer, stream, author::result(frame.id().unwrap_or("null"), "{}"));
        }
    }

    pub(super) fn unsubscribe(&mut self, peer: PeerId, stream: StreamId, frame: &Frame) {
        let Some(uri) = frame.get_string(&["params", "uri"]) else {
            self.forward(peer, stream, frame, None);
            return;
        };
        if self.subscribers.remove(&uri, Subscriber::Client(peer)) {
            self.start_on_behalf(peer, stream, frame);
        } else {
            self.answer(peer, stream, author::result(frame.id().unwrap_or("null"), "{}"));
        }
    }

    fn start_on_behalf(&mut self, peer: PeerId, stream: StreamId, frame: &Frame) {
        let id = self.next_id();
        let mut call = Call::new(self.now, peer, stream, frame, Purpose::OnBehalf);
        if frame.method() == "resources/subscribe" {
            // Should the server refuse, it was no subscription: the resource is remembered where the method is.
            call.method = format!("resources/subscribe {}", frame.get_string(&["params", "uri"]).unwrap_or_default()).into();
        }
        self.start_call(id, call, with_our_id(frame, id));
    }

    /// The server refused what was asked in a client's name.
    pub(super) fn subscription_failed(&mut self, call: &Call) {
        if let Some(uri) = call.method.strip_prefix("resources/subscribe ") {
            self.subscribers.remove(uri, Subscriber::Client(call.peer));
        }
    }

    /// Nobody is left who wants to hear of it.
    pub(super) fn tell_unsubscribed(&mut self, uri: &str) {
        if self.up.is_ready() {
            let params = json!({"uri": uri}).to_string();
            self.ask_server("resources/unsubscribe", Some(&params), Purpose::Unheard);
        }
    }

    pub(super) fn release_subscriptions_of(&mut self, peer: PeerId) {
        for uri in self.subscribers.of(Subscriber::Client(peer)) {
            if self.subscribers.remove(&uri, Subscriber::Client(peer)) {
                self.tell_unsubscribed(&uri);
            }
        }
    }

    /// `notifications/resources/updated` of a legacy server.
    pub(super) fn on_updated(&mut self, frame: &Frame) {
        let uri = frame.params().and_then(|p| object::get_string(p, "uri")).unwrap_or_default();
        for who in self.subscribers.of_change(&uri) {
            match who {
                Subscriber::Client(peer) => self.send(peer, None, Class::Notification, frame.line()),
                Subscriber::Listen(id) => self.tell_listen(id, frame),
            }
        }
    }
}
