//! `subscriptions/listen` of a modern client on a legacy server.

use std::collections::BTreeSet;

use bytes::Bytes;
use mcp_wire::methods::meta;
use mcp_wire::{Frame, Kind, author, object};
use serde_json::{Value, json};

use super::Shared;
use super::call::Purpose;
use super::subscriptions::Subscriber;
use crate::route::{Action, PeerId, StreamId};

/// An open subscription.
pub(super) struct Listen {
    peer: PeerId,
    pub(super) stream: StreamId,
    /// The client's id, as spelt: the mark of all that comes on it.
    id: Box<str>,
    /// Notification methods that were accepted.
    methods: Vec<&'static str>,
    uris: BTreeSet<String>,
    /// Resources the server has not confirmed yet.
    unconfirmed: BTreeSet<String>,
    /// What comes before the acknowledgement, which has to be first.
    early: Vec<Bytes>,
    is_acknowledged: bool,
}

/// A member of the filter, the capability it needs, the notification it brings.
const KINDS: [(&str, &str, &str); 3] = [
    ("toolsListChanged", "tools", "notifications/tools/list_changed"),
    ("promptsListChanged", "prompts", "notifications/prompts/list_changed"),
    ("resourcesListChanged", "resources", "notifications/resources/list_changed"),
];

impl Shared {
    pub(super) fn open_listen(&mut self, peer: PeerId, stream: StreamId, frame: &Frame) {
        self.say_initialized();
        let filter = frame.get(&["params", "notifications"]).unwrap_or("{}");
        let is_asked = |member| object::get(filter, member) == Some("true");
        let methods = KINDS
            .iter()
            .filter(|(member, kind, _)| is_asked(member) && self.up.can(&[kind, "listChanged"]))
            .map(|k| k.2)
            .collect();
        let wanted: Vec<String> =
            object::get(filter, "resourceSubscriptions").and_then(|t| serde_json::from_str(t).ok()).unwrap_or_default();
        let uris: BTreeSet<String> =
            if self.up.can(&["resources", "subscribe"]) { wanted.into_iter().collect() } else { BTreeSet::new() };
        let id = self.next_id();
        let own: Box<str> = frame.id().unwrap_or("null").into();
        if let Some(client) = self.clients.get_mut(&peer) {
            client.open.insert(own.clone(), id);
        }
        let mut unconfirmed = BTreeSet::new();
        for uri in &uris {
            if self.subscribers.add(uri, Subscriber::Listen(id)) {
                unconfirmed.insert(uri.clone());
            }
        }
        let asked = unconfirmed.clone();
        let listen = Listen { peer, stream, id: own, methods, uris, unconfirmed, early: Vec::new(), is_acknowledged: false };
        self.listens.insert(id, listen);
        for uri in asked {
            let params = json!({"uri": uri}).to_string();
            self.ask_server("resources/subscribe", Some(&params), Purpose::ListenTo(id, uri));
        }
        self.acknowledge(id);
    }

    /// Says what was accepted, as soon as that is known.
    fn acknowledge(&mut self, id: u64) {
        let Some(listen) = self.listens.get_mut(&id) else { return };
        if listen.is_acknowledged || !listen.unconfirmed.is_empty() {
            return;
        }
        listen.is_acknowledged = true;
        let mut accepted = serde_json::Map::new();
        for (member, _, method) in KINDS {
            if listen.methods.contains(&method) {
                accepted.insert(member.to_owned(), Value::Bool(true));
            }
        }
        if !listen.uris.is_empty() {
            accepted.insert("resourceSubscriptions".to_owned(), listen.uris.iter().cloned().collect());
        }
        let params = format!(
            "{{\"_meta\":{{\"{}\":{}}},\"notifications\":{}}}",
            meta::SUBSCRIPTION_ID,
            listen.id,
            Value::Object(accepted)
        );
        let (peer, stream, early) = (listen.peer, listen.stream, std::mem::take(&mut listen.early));
        self.tell_on_stream(peer, stream, author::notification("notifications/subscriptions/acknowledged", Some(&params)));
        for message in early {
            self.tell_on_stream(peer, stream, message);
        }
    }

    /// The server confirmed a resource, or refused it.
    pub(super) fn on_listened_to(&mut self, call: u64, frame: &Frame) {
        let Some(call) = self.finish_call(call) else { return };
        let Purpose::ListenTo(id, uri) = call.purpose else { return };
        if frame.kind() == Kind::Error {
            self.listening_failed(id, &uri);
            return;
        }
        if let Some(listen) = self.listens.get_mut(&id) {
            listen.unconfirmed.remove(&uri);
        }
        self.acknowledge(id);
    }

    /// A resource that cannot be listened to is missing in the acknowledgement.
    pub(super) fn listening_failed(&mut self, id: u64, uri: &str) {
        self.subscribers.remove(uri, Subscriber::Listen(id));
        if let Some(listen) = self.listens.get_mut(&id) {
            listen.unconfirmed.remove(uri);
            listen.uris.remove(uri);
        }
        self.acknowledge(id);
    }

    /// A change of a list, for all who asked for it.
    pub(super) fn tell_listens(&mut self, frame: &Frame) {
        let concerned = |l: &Listen| l.methods.contains(&frame.method());
        let ids: Vec<u64> = self.listens.iter().filter(|(_, l)| concerned(l)).map(|(id, _)| *id).collect();
        for id in ids {
            self.tell_listen(id, frame);
        }
    }

    pub(super) fn tell_listen(&mut self, id: u64, frame: &Frame) {
        let Some(listen) = self.listens.get_mut(&id) else { return };
        let message = Self::marked(frame, &listen.id);
        if listen.is_acknowledged {
            let (peer, stream) = (listen.peer, listen.stream);
            self.tell_on_stream(peer, stream, message);
        } else if listen.early.len() < 64 {
            listen.early.push(message);
        }
    }

    /// Its client does not want it any more.
    pub(super) fn close_listen(&mut self, id: u64) {
        let Some(listen) = self.listens.remove(&id) else { return };
        if let Some(client) = self.clients.get_mut(&listen.peer) {
            client.open.remove(&listen.id);
        }
        for uri in &listen.uris {
            if self.subscribers.remove(uri, Subscriber::Listen(id)) {
                self.tell_unsubscribed(uri);
            }
        }
        self.out.push(Action::EndStream(listen.peer, listen.stream));
    }

    pub(super) fn drop_listens_of(&mut self, peer: PeerId) {
        let ids: Vec<u64> = self.listens.iter().filter(|(_, l)| l.peer == peer).map(|(id, _)| *id).collect();
        for id in ids {
            self.close_listen(id);
        }
    }
}
