//! The roots of several clients: what a server is told that asks for them outside any call.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use mcp_wire::author;
use mcp_wire::{Frame, Kind, object};

use super::Shared;
use super::call::NestedKind;
use crate::route::{Class, PeerId};

/// How long clients may take to say what their roots are.
const PATIENCE: Duration = Duration::from_secs(5);

/// Clients are being asked for their roots.
pub(super) struct Gathering {
    /// The server's id, as spelt; none when only we want to know whether they changed.
    asked_by: Option<Box<str>>,
    waiting_for: BTreeSet<PeerId>,
    pub(super) deadline: Instant,
}

impl Shared {
    fn clients_with_roots(&self) -> Vec<PeerId> {
        self.legacy_clients().into_iter().filter(|p| self.clients.get(p).is_some_and(|c| c.can(&["roots"]))).collect()
    }

    /// The server asks for roots, and no call tells whose.
    pub(super) fn gather_roots(&mut self, frame: &Frame) {
        let id: Box<str> = frame.id().unwrap_or("null").into();
        self.gather(Some(id));
    }

    fn gather(&mut self, asked_by: Option<Box<str>>) {
        let missing: BTreeSet<PeerId> = self
            .clients_with_roots()
            .into_iter()
            .filter(|peer| self.clients.get(peer).is_some_and(|c| c.roots.is_none()))
            .collect();
        for peer in &missing {
            let is_asked = self.nested.values().any(|n| n.peer == *peer && matches!(n.kind, NestedKind::Roots));
            if !is_asked {
                let id = self.ask_client(*peer, None, NestedKind::Roots, None);
                self.send(*peer, None, Class::Request, author::request(&id.to_string(), "roots/list", None));
            }
        }
        self.gatherings.push(Gathering { asked_by, waiting_for: missing, deadline: self.now + PATIENCE });
        self.finish_gatherings();
    }

    /// A client said what its roots are.
    pub(super) fn on_roots(&mut self, peer: PeerId, frame: &Frame) {
        let roots = if frame.kind() == Kind::Result { Self::roots_in(frame) } else { None };
        if let Some(client) = self.clients.get_mut(&peer) {
            client.roots = Some(roots.unwrap_or("[]").into());
        }
        self.roots_failed(peer);
    }

    /// There is nothing more to wait for from this client.
    pub(super) fn roots_failed(&mut self, peer: PeerId) {
        for gathering in &mut self.gatherings {
            gathering.waiting_for.remove(&peer);
        }
        self.finish_gatherings();
    }

    fn finish_gatherings(&mut self) {
        let now = self.now;
        let is_done = |g: &Gathering| g.waiting_for.is_empty() || g.deadline <= now;
        while let Some(at) = self.gatherings.iter().position(is_done) {
            let gathering = self.gatherings.remove(at);
            let union = self.union_of_roots();
            let is_new = self.roots_given.as_deref() != Some(&union);
            match gathering.asked_by {
                Some(id) => {
                    self.upstream(author::result(&id, &format!("{{\"roots\":{union}}}")));
                    self.roots_given = Some(union);
                }
                None if is_new && object::find_path(&self.up.told, &["roots", "listChanged"]).is_some() => {
                    self.upstream(author::notification("notifications/roots/list_changed", None));
                }
                None => {}
            }
        }
    }

    /// The roots of all clients, each address once.
    fn union_of_roots(&self) -> String {
        let mut seen = BTreeSet::new();
        let mut items = Vec::new();
        for client in self.clients.values() {
            let Some(roots) = client.roots.as_deref() else { continue };
            for span in object::elements(roots) {
                let item = &roots[span];
                if seen.insert(object::get_string(item, "uri").unwrap_or_else(|| item.to_owned())) {
                    items.push(item);
                }
            }
        }
        format!("[{}]", items.join(","))
    }

    /// A client's roots changed. The server hears of it when that changes what it would be told.
    pub(super) fn on_roots_changed(&mut self, peer: PeerId) {
        if let Some(client) = self.clients.get_mut(&peer) {
            client.roots = None;
        }
        if self.roots_given.is_some() {
            self.look_for_other_roots();
        } else if self.has_asked_for_roots
            && self.up.is_ready()
            && object::find_path(&self.up.told, &["roots", "listChanged"]).is_some()
        {
            // It was told this client's roots during a call.
            self.upstream(author::notification("notifications/roots/list_changed", None));
        }
    }

    /// The set of clients changed: if the server knows the roots of all, it may have to hear of it.
    pub(super) fn look_for_other_roots(&mut self) {
        if self.up.is_ready() && self.roots_given.is_some() {
            self.gather(None);
        }
    }

    pub(super) fn tick_gatherings(&mut self) {
        let late: Vec<PeerId> =
            self.gatherings.iter().filter(|g| g.deadline <= self.now).flat_map(|g| g.waiting_for.clone()).collect();
        for peer in late {
            let asked = self.nested.iter().find(|(_, n)| n.peer == peer && matches!(n.kind, NestedKind::Roots));
            if let Some(id) = asked.map(|(id, _)| *id) {
                self.nested.remove(&id);
                if let Some(client) = self.clients.get_mut(&peer) {
                    client.asked.remove(&id);
                }
            }
        }
        self.finish_gatherings();
    }
}
