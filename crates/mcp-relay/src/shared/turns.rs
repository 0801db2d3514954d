//! Who may go on while a legacy server may turn to a client: standard input and output carry no link from such a request to
//! the call that caused it, so it has to be the only call that can have.
//!
//! A *unit* is what a question is attributed to: a legacy client, or a single call of a modern one. A call is *active* from
//! being sent until its answer, and *blocked* while its client has a question to answer. As long as a server never asked
//! anything all calls go through at once. From its first question on, units take turns: calls of one unit are active at a
//! time, and a unit that only waits for its client lets others go on after a grace in which a second question may come.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::Shared;
use super::config::Attribution;
use super::nested::Held;
use crate::route::PeerId;

/// Whom a question is attributed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Unit {
    /// A legacy client.
    Client(PeerId),
    /// A call of a modern client.
    Call(u64),
}

/// What a unit has on its way.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Load {
    pub(super) active: u32,
    pub(super) blocked: u32,
    /// It counts as active until then, though all its calls are blocked.
    grace: Option<Instant>,
}

/// Questions of one call may follow each other at this distance.
const GRACE: Duration = Duration::from_millis(50);
/// A unit whose turn it is may start further calls for so long while others wait: they may depend on each other.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whose turn it is.
#[derive(Default)]
pub(super) struct Turns {
    pub(super) is_interactive: bool,
    pub(super) is_strict: bool,
    /// A question is held because it cannot be attributed: nothing new may start.
    pub(super) is_holding: bool,
    pub(super) held: Held,
    loads: BTreeMap<Unit, Load>,
    /// Calls that wait for their turn.
    pub(super) queue: VecDeque<(Unit, u64, Instant)>,
    /// Answers of clients that wait for their turn: the question, and what is sent.
    pub(super) answers: VecDeque<(Unit, u64, Bytes)>,
}

impl Turns {
    pub(super) fn new(is_interactive: bool) -> Self {
        Self { is_interactive, ..Self::default() }
    }

    fn is_others(&self, unit: Unit, now: Instant) -> bool {
        self.loads.iter().any(|(other, load)| {
            *other != unit
                && (load.active > 0 || load.grace.is_some_and(|until| until > now) || self.is_strict && load.blocked > 0)
        })
    }

    /// Whether a call of this unit may be sent now.
    pub(super) fn may_start(&self, unit: Unit, now: Instant) -> bool {
        if self.is_holding {
            return false;
        }
        if !self.is_interactive {
            return true;
        }
        if self.is_others(unit, now) {
            return false;
        }
        // Nobody else's turn. Those who wait come first, unless it is this unit's turn already.
        match self.queue.front() {
            None => true,
            Some((first, _, since)) => *first == unit || self.loads.contains_key(&unit) && now.duration_since(*since) < PATIENCE,
        }
    }

    /// Whether an answer for this unit's call may be sent now.
    pub(super) fn may_resume(&self, unit: Unit, now: Instant) -> bool {
        !self.is_others(unit, now)
    }

    pub(super) fn began(&mut self, unit: Unit) {
        let load = self.loads.entry(unit).or_default();
        load.active += 1;
        load.grace = None;
    }

    pub(super) fn ended(&mut self, unit: Unit, was_blocked: bool) {
        let Some(load) = self.loads.get_mut(&unit) else { return };
        if was_blocked {
            load.blocked = load.blocked.saturating_sub(1);
        } else {
            load.active = load.active.saturating_sub(1);
        }
        if load.active == 0 && load.blocked == 0 {
            self.loads.remove(&unit);
        }
    }

    pub(super) fn blocked(&mut self, unit: Unit, now: Instant) {
        if let Some(load) = self.loads.get_mut(&unit) {
            load.active = load.active.saturating_sub(1);
            load.blocked += 1;
            load.grace = (load.active == 0).then(|| now + GRACE);
        }
    }

    pub(super) fn resumed(&mut self, unit: Unit) {
        if let Some(load) = self.loads.get_mut(&unit) {
            load.blocked = load.blocked.saturating_sub(1);
            load.active += 1;
            load.grace = None;
        }
    }

    /// The unit a question must belong to, if there is only one it can.
    pub(super) fn only_one(&self) -> Only {
        let mut active = self.loads.iter().filter(|(_, load)| load.active > 0).map(|(unit, _)| *unit);
        match (active.next(), active.next()) {
            (Some(unit), None) => return Only::One(unit),
            (Some(_), Some(_)) => return Only::Several,
            _ => {}
        }
        let mut blocked = self.loads.keys().copied();
        match (blocked.next(), blocked.next()) {
            (Some(unit), None) => Only::One(unit),
            (Some(_), Some(_)) => Only::Several,
            _ => Only::Nobody,
        }
    }

    pub(super) fn forget(&mut self, unit: Unit) {
        self.loads.remove(&unit);
        self.queue.retain(|(queued, ..)| *queued != unit);
        self.answers.retain(|(waiting, ..)| *waiting != unit);
    }

    pub(super) fn clear(&mut self) {
        self.loads.clear();
        self.queue.clear();
        self.answers.clear();
        self.is_holding = false;
    }

    pub(super) fn units(&self) -> usize {
        self.loads.len()
    }

    /// When a grace or somebody's patience ends.
    pub(super) fn wake(&self) -> Option<Instant> {
        if self.queue.is_empty() && self.answers.is_empty() {
            return None;
        }
        self.loads.values().filter_map(|load| load.grace).min()
    }

    fn end_graces(&mut self, now: Instant) {
        for load in self.loads.values_mut() {
            load.grace = load.grace.filter(|until| *until > now);
        }
    }
}

/// How many units a question can belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Only {
    Nobody,
    One(Unit),
    Several,
}

impl Shared {
    /// Lets everything go on that may go on now.
    pub(super) fn settle(&mut self) {
        if self.turns.queue.is_empty() && self.turns.answers.is_empty() && !self.turns.is_holding {
            return;
        }
        self.turns.is_strict = self.config.attribution == Attribution::Strict;
        self.turns.end_graces(self.now);
        loop {
            if self.retry_held() {
                continue;
            }
            // A call that waits for nothing but its client's answer comes before a new one.
            let ready = self.turns.answers.iter().position(|(unit, ..)| self.turns.may_resume(*unit, self.now));
            if let Some((unit, question, message)) = ready.and_then(|at| self.turns.answers.remove(at)) {
                self.resume(unit, question, message);
                continue;
            }
            let Some((unit, id, _)) = self.turns.queue.front().copied() else { break };
            if !self.turns.may_start(unit, self.now) {
                break;
            }
            self.turns.queue.pop_front();
            if let Some(message) = self.calls.get_mut(&id).and_then(|call| call.held.take()) {
                self.turns.began(unit);
                self.upstream(message);
            }
        }
    }

    /// Sends a client's answer to the server: the call it belongs to goes on.
    pub(super) fn resume(&mut self, unit: Unit, call: u64, message: Bytes) {
        self.upstream(message);
        if let Some(call) = self.calls.get_mut(&call) {
            call.blocked_on = call.blocked_on.saturating_sub(1);
            if call.blocked_on == 0 {
                self.turns.resumed(unit);
            }
        }
    }
}
