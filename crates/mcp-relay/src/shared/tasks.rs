//! Whose a task is (2025-11-25, basic/utilities/tasks; experimental there). A task outlives the request that made it, so its
//! owner is remembered until it is over or its time is up.

use std::time::{Duration, Instant};

use foldhash::HashMap;
use mcp_wire::splice::Edits;
use mcp_wire::{Frame, object};

use super::Shared;
use super::call::Call;
use crate::route::PeerId;

/// A task without a time to live is forgotten so long after its owner left.
const KEPT: Duration = Duration::from_hours(1);
/// So many are remembered.
const MOST: usize = 4096;

/// A task the server works on.
struct Task {
    owner: PeerId,
    /// Our id for the call's progress token, and the client's token.
    token: Option<(u64, Box<str>)>,
    ttl: Option<Duration>,
    until: Option<Instant>,
}

/// Who made which task.
#[derive(Default)]
pub(super) struct Tasks {
    made: HashMap<String, Task>,
}

fn is_over(status: &str) -> bool {
    matches!(status, "completed" | "failed" | "cancelled")
}

impl Tasks {
    /// An answer may have made a task, or tell that one is over.
    pub(super) fn learn(&mut self, call: &Call, frame: &Frame, now: Instant) {
        self.made.retain(|_, task| task.until.is_none_or(|until| until > now));
        if let Some(made) = frame.get(&["result", "task"]) {
            let Some(id) = object::get_string(made, "taskId") else { return };
            let ttl = object::get(made, "ttl").and_then(|t| t.parse().ok()).map(Duration::from_millis);
            let ours = frame.id().and_then(|id| id.parse().ok());
            let token = ours.zip(call.token.clone());
            if self.made.len() < MOST {
                self.made.insert(id, Task { owner: call.peer, token, ttl, until: None });
            }
        } else if let Some(id) = frame.get_string(&["result", "taskId"])
            && frame.get_string(&["result", "status"]).is_some_and(|s| is_over(&s))
            && let Some(task) = self.made.get_mut(&id)
        {
            task.token = None;
        }
    }

    pub(super) fn owner(&self, task: &str) -> Option<PeerId> {
        self.made.get(task).map(|t| t.owner)
    }

    /// The owner of a task there is news of; progress ends with it.
    pub(super) fn owner_of_news(&mut self, task: &str, frame: &Frame) -> Option<PeerId> {
        let found = self.made.get_mut(task)?;
        if frame.get_string(&["params", "status"]).is_some_and(|s| is_over(&s)) {
            found.token = None;
        }
        Some(found.owner)
    }

    /// Whose progress it is that comes with this id of ours, after the call itself was answered.
    pub(super) fn token(&self, id: u64) -> Option<(PeerId, Box<str>)> {
        let found = self.made.values().find(|t| t.token.as_ref().is_some_and(|(ours, _)| *ours == id))?;
        found.token.as_ref().map(|(_, token)| (found.owner, token.clone()))
    }

    pub(super) fn client_left(&mut self, peer: PeerId, now: Instant) {
        for task in self.made.values_mut().filter(|t| t.owner == peer) {
            task.until = Some(now + task.ttl.unwrap_or(KEPT).min(KEPT));
        }
    }

    /// The client that works on a task for the server. Its id says which: see [`Shared::as_clients_task`].
    pub(super) fn asked(task: &str) -> Option<(PeerId, &str)> {
        let (peer, own) = task.strip_prefix("client-")?.split_once(':')?;
        Some((PeerId(peer.parse().ok()?), own))
    }

    pub(super) fn len(&self) -> usize {
        self.made.len()
    }
}

impl Shared {
    /// A list of tasks without those of other clients.
    pub(super) fn only_tasks_of(&self, peer: PeerId, frame: &Frame, id: &str) -> bytes::Bytes {
        let mut edits = Edits::new();
        if let Some(span) = frame.id_span() {
            edits.replace(span, id);
        }
        if let Some(span) = frame.find(&["result", "tasks"]) {
            let list = &frame.text()[span.clone()];
            let is_own = |item: &&str| object::get_string(item, "taskId").is_none_or(|t| self.tasks.owner(&t) == Some(peer));
            let kept: Vec<&str> = object::elements(list).map(|s| &list[s]).filter(is_own).collect();
            edits.replace(span, format!("[{}]", kept.join(",")));
        }
        edits.apply(frame.bytes())
    }

    /// A client's message about a task it works on for the server. Two clients may give two tasks the same id, so the server
    /// is told ids that name the client.
    pub(super) fn as_clients_task(peer: PeerId, frame: &Frame, id: Option<&str>) -> bytes::Bytes {
        let mut edits = Edits::new();
        if let (Some(span), Some(id)) = (frame.id_span(), id) {
            edits.replace(span, id);
        }
        let places: [&[&str]; 3] = [&["result", "task", "taskId"], &["result", "taskId"], &["params", "taskId"]];
        for place in places {
            if let (Some(span), Some(task)) = (frame.find(place), frame.get_string(place)) {
                edits.replace(span, serde_json::Value::from(format!("client-{}:{task}", peer.0)).to_string());
            }
        }
        edits.apply(frame.bytes())
    }
}
