//! What is to be done with single messages while somebody watches.
//!
//! Values in, values out: nothing is written here.

use std::collections::HashMap;
use std::sync::mpsc::SyncSender;
use std::time::Instant;

use bytes::Bytes;
use mcp_capture::Direction;
use mcp_capture::event::Flags;
use mcp_capture::filter::{Context, Facts, Filter};
use mcp_wire::{Frame, Kind};

use super::faults::Fault;
use super::wire::{HeldMessage, Payload, Report, Way};

/// What ids of ours begin with.
const OURS: &str = "mcp-inspect-";
/// So many requests are remembered for what their answers answer.
const REMEMBERED: usize = 16 * 1024;
/// The viewer that is none: for what we ask ourselves.
const NOBODY: u64 = 0;

/// Where a message came from or goes to: what whoever passes it on needs to know.
pub(crate) trait Place: Clone {
    /// The client's number in the capture.
    fn client(&self) -> u64;
}

/// The one client of a wrapper.
impl Place for () {
    fn client(&self) -> u64 {
        1
    }
}

/// A message on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message<P> {
    pub(crate) place: P,
    pub(crate) direction: Direction,
    pub(crate) bytes: Bytes,
}

/// What a message was before it was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Altered {
    /// `edit`, `drop`, `delay`, …
    pub what: &'static str,
    /// The breakpoint or fault, or `viewer`.
    pub by: String,
    /// The bytes as they came.
    pub original: Bytes,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Act<P> {
    /// Record a message, and pass it on unless its flags say that it was dropped.
    Record { message: Message<P>, flags: Flags, altered: Option<Altered> },
    /// The new server has answered `initialize`.
    Initialized,
}

pub(super) struct Breakpoint {
    pub(super) id: String,
    pub(super) viewer: u64,
    pub(super) filter: Filter,
    pub(super) way: Option<Direction>,
}

struct Held<P> {
    number: u64,
    viewer: u64,
    by: String,
    message: Message<P>,
    until: Until,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    Released,
    /// Then.
    Time(Instant),
    /// So many others have passed in this direction.
    Passed(u32),
}

/// A request of ours without an answer.
struct Asked {
    viewer: u64,
    direction: Direction,
}

/// See the module.
pub(crate) struct Rules<P> {
    viewers: HashMap<u64, SyncSender<Report>>,
    pub(super) breakpoints: Vec<Breakpoint>,
    pub(super) faults: Vec<Fault>,
    held: Vec<Held<P>>,
    last_held: u64,
    asked: HashMap<String, Asked>,
    last_asked: u64,
    /// What was asked, for filters on answers; by the client, the way and the id as it was spelt.
    requests: HashMap<(u64, Direction, String), (String, String)>,
    seed: u64,
}

impl<P> Default for Rules<P> {
    fn default() -> Self {
        Self {
            viewers: HashMap::new(),
            breakpoints: Vec::new(),
            faults: Vec::new(),
            held: Vec::new(),
            last_held: 0,
            asked: HashMap::new(),
            last_asked: 0,
            requests: HashMap::new(),
            seed: 0,
        }
    }
}

impl<P: Place> Rules<P> {
    /// Whether messages have to be asked about.
    pub(crate) fn is_armed(&self) -> bool {
        !(self.breakpoints.is_empty() && self.faults.is_empty() && self.held.is_empty() && self.asked.is_empty())
    }

    pub(crate) fn viewer_came(&mut self, viewer: u64, reports: SyncSender<Report>) {
        self.viewers.insert(viewer, reports);
    }

    /// What a viewer wanted ends with it, and what it held goes on. Answers to what it asked are still kept from the client.
    pub(crate) fn viewer_left(&mut self, viewer: u64, acts: &mut Vec<Act<P>>) {
        self.viewers.remove(&viewer);
        self.breakpoints.retain(|b| b.viewer != viewer);
        self.faults.retain(|f| f.viewer != viewer);
        self.release(acts, |held| held.viewer == viewer);
    }

    /// All rules end, and everything goes on.
    pub(crate) fn end(&mut self, acts: &mut Vec<Act<P>>) {
        self.clear(None);
        self.release_all(acts);
    }

    /// A client left, and takes along what is held of it.
    pub(crate) fn client_left(&mut self, client: u64, acts: &mut Vec<Act<P>>) {
        self.requests.retain(|(of, ..), _| *of != client);
        self.place_left(acts, |place| place.client() == client);
    }

    /// There is no way any more from or to some places, and what is held of them goes nowhere.
    pub(crate) fn place_left(&mut self, acts: &mut Vec<Act<P>>, is_gone: impl Fn(&P) -> bool) {
        for number in self.numbers(|held| is_gone(&held.message.place)) {
            self.discard(number, "left", acts);
        }
    }

    /// Nobody waits for answers to what this viewer asked: its requests were cancelled.
    pub(crate) fn forget_asked(&mut self, viewer: u64) {
        self.asked.retain(|_, asked| asked.viewer != viewer);
    }

    /// How many messages from or for some places are held.
    pub(crate) fn held_at(&self, concerned: impl Fn(&P) -> bool) -> usize {
        self.held.iter().filter(|held| concerned(&held.message.place)).count()
    }

    fn tell(&self, viewer: u64, report: Report) {
        if let Some(reports) = self.viewers.get(&viewer) {
            // A viewer that does not read misses it; what is held it finds in the status.
            let _ = reports.try_send(report);
        }
    }

    /// Takes back a breakpoint or a fault, or all. What was held by it stays held, as it is somebody's to decide.
    pub(super) fn clear(&mut self, id: Option<&str>) -> bool {
        let before = self.breakpoints.len() + self.faults.len();
        self.breakpoints.retain(|b| id.is_some_and(|id| b.id != id));
        self.faults.retain(|f| id.is_some_and(|id| f.id != id));
        id.is_none() || before != self.breakpoints.len() + self.faults.len()
    }

    /// A message came and was not passed on yet. `client` is the name of who it is from or for.
    pub(crate) fn judge(&mut self, message: Message<P>, client: &str, acts: &mut Vec<Act<P>>) {
        let frame = Frame::parse(message.bytes.clone()).ok();
        if self.is_for_us(frame.as_ref(), &message, acts) {
            return;
        }
        let direction = message.direction;
        let (method, name) = self.asked_for(&message, frame.as_ref());
        let facts = Facts::of_message(&message.bytes);
        let mut facts = facts.facts();
        (facts.direction, facts.client) = (direction, client);
        if frame.as_ref().is_some_and(|frame| frame.kind().is_response()) {
            (facts.method, facts.name) = (&method, &name);
        }
        let fits = |filter: &Filter, way: Option<Direction>| {
            way.is_none_or(|way| way == direction) && filter.matches(&facts, &Context::default(), &[&message.bytes])
        };
        let breakpoint = self.breakpoints.iter().find(|b| fits(&b.filter, b.way)).map(|b| (b.id.clone(), b.viewer));
        let fault = self.faults.iter().position(|f| f.left != Some(0) && fits(&f.filter, f.way));
        self.one_more_passes(direction, acts);
        if let Some((id, viewer)) = breakpoint {
            self.hold(viewer, id, message, Until::Released);
            return;
        }
        if let Some(at) = fault
            && self.draw() < self.faults[at].per_mille
        {
            self.spoil(at, message, frame.as_ref(), acts);
            return;
        }
        acts.push(Act::Record { message, flags: Flags::NONE, altered: None });
    }

    /// Whether it answers a request of ours, or tells its progress: then its peer must not see it.
    fn is_for_us(&mut self, frame: Option<&Frame>, message: &Message<P>, acts: &mut Vec<Act<P>>) -> bool {
        let Some(frame) = frame.filter(|_| !self.asked.is_empty()) else { return false };
        let id = match frame.kind() {
            Kind::Result | Kind::Error => frame.id().and_then(|id| serde_json::from_str::<String>(id).ok()),
            Kind::Notification if frame.method() == "notifications/progress" => frame.get_string(&["params", "progressToken"]),
            _ => None,
        };
        let Some(id) = id else { return false };
        let Some(asked) = self.asked.get(&id).filter(|asked| asked.direction == message.direction.reversed()) else {
            return false;
        };
        let viewer = asked.viewer;
        // It was never passed on: to the peer it does not exist.
        let flags = Flags::INJECTED.with(Flags::DROPPED);
        acts.push(Act::Record { message: message.clone(), flags, altered: None });
        if frame.kind().is_response() {
            self.asked.remove(&id);
            if viewer == NOBODY {
                acts.push(Act::Initialized);
            }
        }
        self.tell(viewer, Report::Answer { id, message: Payload::of(&message.bytes) });
        true
    }

    /// What an answer answers; and remembers what a request asks.
    fn asked_for(&mut self, message: &Message<P>, frame: Option<&Frame>) -> (String, String) {
        let (client, direction) = (message.place.client(), message.direction);
        let Some((frame, id)) = frame.and_then(|frame| Some((frame, frame.id()?))) else { return Default::default() };
        if frame.kind().is_response() {
            return self.requests.remove(&(client, direction.reversed(), id.to_owned())).unwrap_or_default();
        }
        if self.requests.len() >= REMEMBERED {
            self.requests.clear();
        }
        let name = ["name", "uri"].iter().find_map(|key| frame.get_string(&["params", key])).unwrap_or_default();
        self.requests.insert((client, direction, id.to_owned()), (frame.method().to_owned(), name));
        Default::default()
    }

    pub(super) fn hold(&mut self, viewer: u64, by: String, message: Message<P>, until: Until) {
        self.last_held += 1;
        let held = Held { number: self.last_held, viewer, by, message, until };
        if until == Until::Released {
            self.tell(viewer, Report::Held(shown(&held)));
        }
        self.held.push(held);
    }

    fn one_more_passes(&mut self, direction: Direction, acts: &mut Vec<Act<P>>) {
        let mut due = Vec::new();
        for held in self.held.iter_mut().filter(|held| held.message.direction == direction) {
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
    pub(crate) fn due(&mut self, acts: &mut Vec<Act<P>>) {
        let now = Instant::now();
        for number in self.numbers(|held| matches!(held.until, Until::Time(at) if at <= now)) {
            self.let_go(number, None, "delay", acts);
        }
    }

    /// When [`Self::due`] is wanted next.
    pub(crate) fn wake(&self) -> Option<Instant> {
        let time = |held: &Held<P>| if let Until::Time(at) = held.until { Some(at) } else { None };
        self.held.iter().filter_map(time).min()
    }

    /// Whether messages are, or will be, held for a time.
    pub(crate) fn needs_time(&self) -> bool {
        self.faults.iter().any(Fault::is_delay) || self.wake().is_some()
    }

    /// What is held, for a list.
    pub(super) fn list(&self) -> Vec<HeldMessage> {
        self.held.iter().map(shown).collect()
    }

    /// Passes a held message on, as it came or as somebody made it. `false`: it is not held.
    pub(crate) fn let_go(&mut self, number: u64, edited: Option<Bytes>, what: &'static str, acts: &mut Vec<Act<P>>) -> bool {
        let Some(held) = self.take(number) else { return false };
        let mut message = held.message;
        // Whether a line end follows is a matter of transport.
        let is_changed = |edited: &Bytes| edited.trim_ascii_end() != message.bytes.trim_ascii_end();
        let (flags, altered) = match edited.filter(is_changed) {
            Some(edited) => {
                let original = std::mem::replace(&mut message.bytes, edited);
                (Flags::HELD.with(Flags::ALTERED), Some(Altered { what: "edit", by: held.by, original }))
            }
            None if what == "release" => (Flags::HELD, None),
            None => (Flags::HELD, Some(Altered { what, by: held.by, original: message.bytes.clone() })),
        };
        acts.push(Act::Record { message, flags, altered });
        true
    }

    /// A held message is never passed on. `false`: it is not held.
    pub(super) fn discard(&mut self, number: u64, what: &'static str, acts: &mut Vec<Act<P>>) -> bool {
        let Some(held) = self.take(number) else { return false };
        let altered = Some(Altered { what, by: held.by, original: held.message.bytes.clone() });
        acts.push(Act::Record { message: held.message, flags: Flags::HELD.with(Flags::DROPPED), altered });
        true
    }

    fn take(&mut self, number: u64) -> Option<Held<P>> {
        let at = self.held.iter().position(|held| held.number == number)?;
        // Whoever watches may have seen it in the status, whoever holds it.
        self.viewers.keys().for_each(|viewer| self.tell(*viewer, Report::Gone { held: number }));
        Some(self.held.remove(at))
    }

    fn numbers(&self, concerned: impl Fn(&Held<P>) -> bool) -> Vec<u64> {
        self.held.iter().filter(|held| concerned(held)).map(|held| held.number).collect()
    }

    fn release(&mut self, acts: &mut Vec<Act<P>>, concerned: impl Fn(&Held<P>) -> bool) {
        for number in self.numbers(concerned) {
            self.let_go(number, None, "release", acts);
        }
    }

    /// Passes on all that is held.
    pub(crate) fn release_all(&mut self, acts: &mut Vec<Act<P>>) {
        self.release(acts, |_| true);
    }

    /// Passes on what is held in one direction.
    pub(crate) fn release_way(&mut self, direction: Direction, acts: &mut Vec<Act<P>>) {
        self.release(acts, |held| held.message.direction == direction);
    }

    /// A message of a viewer's. A request gets an id of ours, which is returned.
    pub(super) fn send(
        &mut self,
        viewer: u64,
        direction: Direction,
        frame: &Frame,
        place: P,
        acts: &mut Vec<Act<P>>,
    ) -> Option<String> {
        let (bytes, id) = if frame.kind() == Kind::Request {
            self.last_asked += 1;
            let id = format!("{OURS}{}-{}", std::process::id(), self.last_asked);
            self.asked.insert(id.clone(), Asked { viewer, direction });
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
        acts.push(Act::Record { message: Message { place, direction, bytes }, flags: Flags::INJECTED, altered });
        id
    }

    /// An id for the opening of a restarted server; its answer is nobody's.
    pub(crate) fn opening_id(&mut self) -> String {
        self.last_asked += 1;
        let id = format!("{OURS}restart-{}", self.last_asked);
        self.asked.insert(id.clone(), Asked { viewer: NOBODY, direction: Direction::ToServer });
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

fn shown<P: Place>(held: &Held<P>) -> HeldMessage {
    HeldMessage {
        held: held.number,
        by: held.by.clone(),
        client: u32::try_from(held.message.place.client()).unwrap_or(u32::MAX),
        direction: Way::of(held.message.direction),
        message: Payload::of(&held.message.bytes),
    }
}

#[cfg(test)]
mod tests;
