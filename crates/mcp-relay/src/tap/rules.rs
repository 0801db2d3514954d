//! What is to be done with single messages while somebody watches: breakpoints, faults, and messages of ours.
//!
//! Values in, values out: nothing is written here.

use std::collections::HashMap;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use bytes::Bytes;
use mcp_capture::Direction;
use mcp_capture::event::Flags;
use mcp_capture::filter::{Context, Facts, Filter};
use mcp_wire::{Frame, Kind, author};

use super::control::wire::{FaultKind, HeldMessage, Payload, Report, Way};

/// What ids of ours begin with.
pub(super) const OURS: &str = "mcp-inspect-";
/// So many requests are remembered for what their answers answer.
const REMEMBERED: usize = 16 * 1024;

/// What a message was before it was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Altered {
    pub(super) what: &'static str,
    pub(super) by: String,
    pub(super) original: Bytes,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// Record a message, and pass it on unless its flags say that it was dropped.
    Record { direction: Direction, message: Bytes, flags: Flags, altered: Option<Altered> },
    /// The new server has answered `initialize`.
    Initialized,
}

struct Breakpoint {
    id: String,
    viewer: u64,
    filter: Filter,
    way: Option<Direction>,
}

struct Fault {
    id: String,
    viewer: u64,
    filter: Filter,
    way: Option<Direction>,
    kind: FaultKind,
    /// Of a thousand messages that fit, it hits so many.
    per_mille: u32,
    left: Option<u32>,
}

struct Held {
    number: u64,
    viewer: u64,
    by: String,
    direction: Direction,
    message: Bytes,
    until: Until,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    Released,
    /// Then.
    Time(Instant),
    /// So many others have passed in this direction.
    Passed(u32),
}

/// See the module.
#[derive(Default)]
pub(super) struct Rules {
    viewers: HashMap<u64, SyncSender<Report>>,
    breakpoints: Vec<Breakpoint>,
    faults: Vec<Fault>,
    held: Vec<Held>,
    last_held: u64,
    /// Requests of ours without an answer, with who sent them.
    asked: HashMap<String, u64>,
    last_asked: u64,
    /// What was asked, for filters on answers; by who asked and the id as it was spelt.
    requests: HashMap<(Direction, String), (String, String)>,
    seed: u64,
}

impl Rules {
    /// Whether messages have to be asked about.
    pub(super) fn is_armed(&self) -> bool {
        !(self.breakpoints.is_empty() && self.faults.is_empty() && self.held.is_empty() && self.asked.is_empty())
    }

    pub(super) fn viewer_came(&mut self, viewer: u64, reports: SyncSender<Report>) {
        self.viewers.insert(viewer, reports);
    }

    /// What a viewer wanted ends with it, and what it held goes on.
    pub(super) fn viewer_left(&mut self, viewer: u64, acts: &mut Vec<Act>) {
        self.viewers.remove(&viewer);
        self.breakpoints.retain(|b| b.viewer != viewer);
        self.faults.retain(|f| f.viewer != viewer);
        self.release_all(None, Some(viewer), acts);
    }

    fn tell(&self, viewer: u64, report: Report) {
        if let Some(reports) = self.viewers.get(&viewer) {
            // A viewer that does not read misses it; what is held it finds in the status.
            let _ = reports.try_send(report);
        }
    }

    pub(super) fn add_breakpoint(&mut self, viewer: u64, id: String, filter: Filter, way: Option<Direction>) {
        self.breakpoints.retain(|b| b.id != id);
        self.breakpoints.push(Breakpoint { id, viewer, filter, way });
    }

    #[expect(clippy::too_many_arguments, reason = "each is a member of the request")]
    pub(super) fn add_fault(
        &mut self,
        viewer: u64,
        id: String,
        filter: Filter,
        way: Option<Direction>,
        kind: FaultKind,
        per_mille: u32,
        left: Option<u32>,
    ) {
        self.faults.retain(|f| f.id != id);
        self.faults.push(Fault { id, viewer, filter, way, kind, per_mille, left });
    }

    /// Takes back a breakpoint or a fault, or all. What was held by it stays held, as it is somebody's to decide.
    pub(super) fn clear(&mut self, id: Option<&str>) -> bool {
        let before = self.breakpoints.len() + self.faults.len();
        self.breakpoints.retain(|b| id.is_some_and(|id| b.id != id));
        self.faults.retain(|f| id.is_some_and(|id| f.id != id));
        id.is_none() || before != self.breakpoints.len() + self.faults.len()
    }

    /// A message came and was not passed on yet.
    pub(super) fn judge(&mut self, direction: Direction, message: Bytes, acts: &mut Vec<Act>) {
        let frame = Frame::parse(message.clone()).ok();
        if direction == Direction::ToClient && self.is_for_us(frame.as_ref(), &message, acts) {
            return;
        }
        let (method, name) = self.asked_for(direction, frame.as_ref());
        let facts = Facts::of_message(&message);
        let mut facts = facts.facts();
        facts.direction = direction;
        if frame.as_ref().is_some_and(|frame| frame.kind().is_response()) {
            (facts.method, facts.name) = (&method, &name);
        }
        let fits = |filter: &Filter, way: Option<Direction>| {
            way.is_none_or(|way| way == direction) && filter.matches(&facts, &Context::default(), &[&message])
        };
        let breakpoint = self.breakpoints.iter().find(|b| fits(&b.filter, b.way)).map(|b| (b.id.clone(), b.viewer));
        let fault = self.faults.iter().position(|f| f.left != Some(0) && fits(&f.filter, f.way));
        self.one_more_passes(direction, acts);
        if let Some((id, viewer)) = breakpoint {
            self.hold(viewer, id, direction, message, Until::Released);
            return;
        }
        if let Some(at) = fault
            && self.draw() < self.faults[at].per_mille
        {
            let fault = &mut self.faults[at];
            fault.left = fault.left.map(|left| left - 1);
            let (kind, by, viewer) = (fault.kind.clone(), fault.id.clone(), fault.viewer);
            self.spoil(viewer, kind, by, direction, message, frame.as_ref(), acts);
            return;
        }
        acts.push(Act::Record { direction, message, flags: Flags::NONE, altered: None });
    }

    #[expect(clippy::too_many_arguments, reason = "a message and what is to be done with it")]
    fn spoil(
        &mut self,
        viewer: u64,
        kind: FaultKind,
        by: String,
        direction: Direction,
        message: Bytes,
        frame: Option<&Frame>,
        acts: &mut Vec<Act>,
    ) {
        let altered = |what, original: &Bytes| Some(Altered { what, by: by.clone(), original: original.clone() });
        let mut record = |message: Bytes, flags, altered| acts.push(Act::Record { direction, message, flags, altered });
        match kind {
            FaultKind::Delay { ms } => {
                let until = Instant::now() + Duration::from_millis(ms);
                self.hold(viewer, by, direction, message, Until::Time(until));
            }
            FaultKind::Reorder { after } => self.hold(viewer, by, direction, message, Until::Passed(after.max(1))),
            FaultKind::Drop => record(message.clone(), Flags::DROPPED, altered("drop", &message)),
            FaultKind::Duplicate => {
                record(message.clone(), Flags::NONE, None);
                record(message.clone(), Flags::INJECTED, altered("duplicate", &message));
            }
            FaultKind::Truncate { length } => {
                let end = usize::try_from(length).unwrap_or(usize::MAX).min(message.len().saturating_sub(1));
                let mut short = message[..end].to_vec();
                short.push(b'\n');
                record(Bytes::from(short), Flags::ALTERED, altered("truncate", &message));
            }
            FaultKind::Error { code, message: text } => {
                let Some(frame) = frame else { return record(message.clone(), Flags::DROPPED, altered("drop", &message)) };
                let answer = frame.id().map(|id| author::error(Some(id), code, &text, None));
                match (frame.kind(), answer) {
                    (Kind::Request, Some(answer)) => {
                        record(message.clone(), Flags::DROPPED, altered("error", &message));
                        acts.push(Act::Record {
                            direction: direction.reversed(),
                            message: answer,
                            flags: Flags::INJECTED,
                            altered: None,
                        });
                    }
                    (Kind::Result | Kind::Error, Some(answer)) => record(answer, Flags::ALTERED, altered("error", &message)),
                    _ => record(message.clone(), Flags::DROPPED, altered("drop", &message)),
                }
            }
        }
    }

    /// Whether it answers a request of ours, or tells its progress: then its client must not see it.
    fn is_for_us(&mut self, frame: Option<&Frame>, message: &Bytes, acts: &mut Vec<Act>) -> bool {
        let Some(frame) = frame else { return false };
        let id = match frame.kind() {
            Kind::Result | Kind::Error => frame.id().and_then(|id| serde_json::from_str::<String>(id).ok()),
            Kind::Notification if frame.method() == "notifications/progress" => {
                frame.get_string(&["params", "progressToken"]).filter(|token| self.asked.contains_key(token))
            }
            _ => None,
        };
        let Some((id, viewer)) = id.and_then(|id| self.asked.get(&id).map(|viewer| (id.clone(), *viewer))) else { return false };
        // It was never passed on: to the client it does not exist.
        let flags = Flags::INJECTED.with(Flags::DROPPED);
        acts.push(Act::Record { direction: Direction::ToClient, message: message.clone(), flags, altered: None });
        if frame.kind().is_response() {
            self.asked.remove(&id);
            if viewer == 0 {
                acts.push(Act::Initialized);
            }
        }
        self.tell(viewer, Report::Answer { id, message: Payload::of(message) });
        true
    }

    /// What an answer answers; and remembers what a request asks.
    fn asked_for(&mut self, direction: Direction, frame: Option<&Frame>) -> (String, String) {
        let Some((frame, id)) = frame.and_then(|frame| Some((frame, frame.id()?))) else { return Default::default() };
        if frame.kind().is_response() {
            return self.requests.remove(&(direction.reversed(), id.to_owned())).unwrap_or_default();
        }
        if self.requests.len() >= REMEMBERED {
            self.requests.clear();
        }
        let name = ["name", "uri"].iter().find_map(|key| frame.get_string(&["params", key])).unwrap_or_default();
        self.requests.insert((direction, id.to_owned()), (frame.method().to_owned(), name));
        Default::default()
    }

    fn hold(&mut self, viewer: u64, by: String, direction: Direction, message: Bytes, until: Until) {
        self.last_held += 1;
        let number = self.last_held;
        let report = HeldMessage {
            held: number,
            by: by.clone(),
            client: 1,
            direction: Way::of(direction),
            message: Payload::of(&message),
        };
        self.held.push(Held { number, viewer, by, direction, message, until });
        if until == Until::Released {
            self.tell(viewer, Report::Held(report));
        }
    }

    fn one_more_passes(&mut self, direction: Direction, acts: &mut Vec<Act>) {
        let mut due = Vec::new();
        for held in self.held.iter_mut().filter(|held| held.direction == direction) {
            if let Until::Passed(left) = &mut held.until {
                if *left == 0 {
                    due.push(held.number);
                }
                *left = left.saturating_sub(1);
            }
        }
        for number in due {
            self.let_go(number, None, "reorder", acts);
        }
    }

    /// Lets go of messages whose time has come.
    pub(super) fn due(&mut self, acts: &mut Vec<Act>) {
        let now = Instant::now();
        let is_due = |held: &&Held| matches!(held.until, Until::Time(at) if at <= now);
        let due: Vec<u64> = self.held.iter().filter(is_due).map(|held| held.number).collect();
        for number in due {
            self.let_go(number, None, "delay", acts);
        }
    }

    /// Whether messages are, or will be, held for a time.
    pub(super) fn needs_time(&self) -> bool {
        self.faults.iter().any(|fault| matches!(fault.kind, FaultKind::Delay { .. }))
            || self.held.iter().any(|held| matches!(held.until, Until::Time(_)))
    }

    /// What is held, for a list.
    pub(super) fn list(&self) -> Vec<HeldMessage> {
        let one = |held: &Held| HeldMessage {
            held: held.number,
            by: held.by.clone(),
            client: 1,
            direction: Way::of(held.direction),
            message: Payload::of(&held.message),
        };
        self.held.iter().map(one).collect()
    }

    pub(super) fn names(&self) -> (Vec<String>, Vec<String>) {
        (self.breakpoints.iter().map(|b| b.id.clone()).collect(), self.faults.iter().map(|f| f.id.clone()).collect())
    }

    /// Passes a held message on, as it came or as somebody made it. `false`: it is not held.
    pub(super) fn let_go(&mut self, number: u64, edited: Option<Bytes>, what: &'static str, acts: &mut Vec<Act>) -> bool {
        let Some(held) = self.take(number) else { return false };
        let (message, flags, altered) = match edited.filter(|edited| *edited != held.message) {
            Some(edited) => {
                let altered = Altered { what: "edit", by: held.by, original: held.message };
                (edited, Flags::HELD.with(Flags::ALTERED), Some(altered))
            }
            None if what == "release" => (held.message, Flags::HELD, None),
            None => (held.message.clone(), Flags::HELD, Some(Altered { what, by: held.by, original: held.message })),
        };
        acts.push(Act::Record { direction: held.direction, message, flags, altered });
        true
    }

    /// A held message is never passed on. `false`: it is not held.
    pub(super) fn discard(&mut self, number: u64, acts: &mut Vec<Act>) -> bool {
        let Some(held) = self.take(number) else { return false };
        let altered = Some(Altered { what: "drop", by: held.by, original: held.message.clone() });
        let flags = Flags::HELD.with(Flags::DROPPED);
        acts.push(Act::Record { direction: held.direction, message: held.message, flags, altered });
        true
    }

    fn take(&mut self, number: u64) -> Option<Held> {
        let at = self.held.iter().position(|held| held.number == number)?;
        // Whoever watches may have seen it in the status, whoever holds it.
        self.viewers.keys().for_each(|viewer| self.tell(*viewer, Report::Gone { held: number }));
        Some(self.held.remove(at))
    }

    /// Passes on what is held: in one direction, for one viewer, or all of it.
    pub(super) fn release_all(&mut self, direction: Option<Direction>, viewer: Option<u64>, acts: &mut Vec<Act>) {
        let concerned = |held: &&Held| {
            direction.is_none_or(|direction| held.direction == direction) && viewer.is_none_or(|viewer| held.viewer == viewer)
        };
        let all: Vec<u64> = self.held.iter().filter(concerned).map(|held| held.number).collect();
        for number in all {
            self.let_go(number, None, "release", acts);
        }
    }

    /// A message of a viewer's. A request towards the server gets an id of ours, which is returned.
    pub(super) fn send(
        &mut self,
        viewer: u64,
        direction: Direction,
        message: &Bytes,
        acts: &mut Vec<Act>,
    ) -> Result<Option<String>, String> {
        let frame = Frame::parse(message.clone()).map_err(|error| error.to_string())?;
        let (message, id) = if frame.kind() == Kind::Request && direction == Direction::ToServer {
            self.last_asked += 1;
            let id = format!("{OURS}{}-{}", std::process::id(), self.last_asked);
            self.asked.insert(id.clone(), viewer);
            let spelt = format!("\"{id}\"");
            let mut edits = vec![(frame.id_span().unwrap_or_default(), spelt.as_str())];
            // A token is ours as well, so that what it says about progress finds the viewer.
            edits.extend(frame.progress_token_span().map(|span| (span, spelt.as_str())));
            edits.sort_by_key(|(span, _)| span.start);
            (frame.spliced(&edits), Some(id))
        } else {
            (frame.line(), None)
        };
        let altered = Some(Altered { what: "send", by: "viewer".to_owned(), original: Bytes::new() });
        acts.push(Act::Record { direction, message, flags: Flags::INJECTED, altered });
        Ok(id)
    }

    /// An id for the opening of a restarted server; its answer is nobody's.
    pub(super) fn opening_id(&mut self) -> String {
        self.last_asked += 1;
        let id = format!("{OURS}restart-{}", self.last_asked);
        self.asked.insert(id.clone(), 0);
        id
    }

    /// A number below a thousand. It decides which messages are spoilt, and need not be better than this (`SplitMix64`).
    fn draw(&mut self) -> u32 {
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.seed;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        u32::try_from((z ^ (z >> 31)) % 1000).unwrap_or(0)
    }
}
