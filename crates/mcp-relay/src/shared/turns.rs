//! Who may go on while a legacy server may turn to a client: standard input and output carry no link from such a request to
//! the call that caused it, so it has to be the only call that can have.
//!
//! A *unit* is what a question is attributed to: a legacy client, or a single call of a modern one. A call is *active* from
//! being sent until its answer, and *blocked* while its client has a question to answer. As long as a server never asked
//! anything all calls go through at once. From its first question on, units take turns: calls of one unit are active at a
//! time, and a unit that only waits for its client lets others go on after a grace in which a second question may come.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;
use mcp_wire::object;

use super::Shared;
use super::call::Purpose;
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
#[derive(Clone, Debug, Default)]
struct Load {
    /// Calls sent and not answered.
    calls: u32,
    /// Questions its client has not answered, each surely about one of these calls.
    questions: BTreeSet<u64>,
    /// It counts as active until then, though all its calls are blocked.
    grace: Option<Instant>,
}

impl Load {
    /// Whether a call may be running in the server. All open questions may be about one and the same call.
    fn is_active(&self) -> bool {
        self.calls > u32::from(!self.questions.is_empty())
    }
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
    /// Cancelled calls that count as active until the server has answered this request, or until this time: a question they
    /// asked may be on its way, and must not be taken for another call's.
    pub(super) lingering: Vec<(u64, Unit, Instant)>,
    /// Calls that wait for their turn.
    pub(super) queue: VecDeque<(Unit, u64, Instant)>,
    /// Answers of clients that wait for their turn, with the number of the question.
    pub(super) answers: VecDeque<(Unit, u64, Bytes)>,
}

impl Turns {
    pub(super) fn new(is_interactive: bool) -> Self {
        Self { is_interactive, ..Self::default() }
    }

    fn is_others(&self, unit: Unit, now: Instant) -> bool {
        self.loads.iter().any(|(other, load)| {
            *other != unit
                && (load.is_active() || load.grace.is_some_and(|until| until > now) || self.is_strict && load.calls > 0)
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
        !self.is_interactive || !self.is_others(unit, now)
    }

    pub(super) fn began(&mut self, unit: Unit) {
        let load = self.loads.entry(unit).or_default();
        load.calls += 1;
        load.grace = None;
    }

    /// A call is over. If the unit has others, nobody knows any more which of them its open questions are about.
    pub(super) fn ended(&mut self, unit: Unit) {
        let Some(load) = self.loads.get_mut(&unit) else { return };
        load.calls = load.calls.saturating_sub(1);
        load.questions.clear();
        if load.calls == 0 {
            self.loads.remove(&unit);
        }
    }

    /// Its client has this question to answer.
    pub(super) fn asked(&mut self, unit: Unit, question: u64, now: Instant) {
        if let Some(load) = self.loads.get_mut(&unit) {
            load.questions.insert(question);
            load.grace = (!load.is_active()).then(|| now + GRACE);
        }
    }

    /// The server has got the answer to this question, or needs none any more.
    pub(super) fn answered(&mut self, unit: Unit, question: u64) {
        if let Some(load) = self.loads.get_mut(&unit) {
            load.questions.remove(&question);
            load.grace = load.grace.filter(|_| !load.is_active());
        }
    }

    /// The unit a question must belong to, if there is only one it can.
    pub(super) fn only_one(&self, now: Instant) -> Only {
        let mut active = self.loads.iter().filter(|(_, load)| load.is_active()).map(|(unit, _)| *unit);
        match (active.next(), active.next()) {
            (Some(unit), None) => return Only::One(unit),
            (Some(_), Some(_)) => return Only::Several,
            _ => {}
        }
        // Of those that wait for their clients, the one that was just asked may be asked more.
        let mut fresh = self.loads.iter().filter(|(_, load)| load.grace.is_some_and(|until| until > now)).map(|(unit, _)| *unit);
        if let (Some(unit), None) = (fresh.next(), fresh.next()) {
            return Only::One(unit);
        }
        let mut blocked = self.loads.keys().copied();
        match (blocked.next(), blocked.next()) {
            (Some(unit), None) => Only::One(unit),
            (Some(_), Some(_)) => Only::Several,
            _ => Only::Nobody,
        }
    }

    pub(super) fn clear(&mut self) {
        self.loads.clear();
        self.queue.clear();
        self.answers.clear();
        self.lingering.clear();
        self.is_holding = false;
    }

    pub(super) fn units(&self) -> usize {
        self.loads.len()
    }

    /// When a grace or somebody's patience ends.
    pub(super) fn wake(&self) -> Option<Instant> {
        let lingering = self.lingering.iter().map(|(.., until)| *until).min();
        if self.queue.is_empty() && self.answers.is_empty() {
            return lingering;
        }
        self.loads.values().filter_map(|load| load.grace).chain(lingering).min()
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

/// A server that does not answer a `ping` is waited for no longer.
const LINGER: Duration = Duration::from_secs(2);

impl Shared {
    /// A call of this unit was cancelled. What the server asks before it has heard of that is still about it.
    pub(super) fn linger(&mut self, unit: Unit) {
        let can_ask = object::members(&self.up.told).next().is_some() && self.config.attribution != Attribution::Reject;
        if !can_ask || !self.up.is_ready() {
            self.turns.ended(unit);
            return;
        }
        self.taint_held();
        let barrier = self.ask_server("ping", None, Purpose::Barrier(unit));
        self.turns.lingering.push((barrier, unit, self.now + LINGER));
    }

    pub(super) fn tick_turns(&mut self) {
        let now = self.now;
        let due: Vec<(u64, Unit)> =
            self.turns.lingering.iter().filter(|(.., until)| *until <= now).map(|(barrier, unit, _)| (*barrier, *unit)).collect();
        self.turns.lingering.retain(|(.., until)| *until > now);
        for (barrier, unit) in due {
            self.finish_call(barrier);
            self.turns.ended(unit);
        }
    }

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

    /// Sends a client's answer to the server: a call of the unit goes on.
    pub(super) fn resume(&mut self, unit: Unit, question: u64, message: Bytes) {
        self.upstream(message);
        self.turns.answered(unit, question);
    }
}
