//! What one entry does to the rows.

use super::keys::{Key, Meaning, who};
use super::{EndedBy, NONE, Open, OpenState, Role, RowFlags, Rows, Slot, Status};
use crate::event::{Direction, Flags, Hop};
use crate::file::Type;
use crate::index::{Entry, Index, Operation};
use crate::scan::{Class, Link, NO_STATE};

/// So many answered requests are remembered, to know a second answer by.
const REMEMBERED: usize = 1024;

impl Rows {
    pub(super) fn apply(&mut self, index: &Index, at: u32, entry: &Entry, more: Link) {
        match entry.kind {
            Type::Frame => match entry.class {
                Class::Request => self.request(at, entry, more),
                Class::Notification => self.notification(index, at, entry),
                Class::Result | Class::Error => self.answer(index, at, entry),
                Class::None => {
                    self.new_row(at, entry, Status::None);
                    self.flag_the_call(entry, RowFlags::STRAY);
                }
                // Its messages follow as entries of their own.
                Class::Batch => {}
            },
            Type::Stderr => {
                self.new_row(at, entry, Status::None);
                self.flag_all_calls(RowFlags::STDERR);
            }
            Type::Gap => {
                self.has_gap = true;
                self.new_row(at, entry, Status::None);
                let open: Vec<u32> = self.open.values().filter(|o| o.state == OpenState::Waiting).map(|o| o.row).collect();
                for row in open {
                    self.flag(row, RowFlags::GAP);
                }
            }
            Type::Http => self.http(index, at, entry),
            Type::Altered => match index.find(entry.id).and_then(|frame| self.of_entry(frame)) {
                Some(row) if entry.id != 0 => {
                    self.attach(row, at, None);
                    self.flag(row, RowFlags::ALTERED);
                }
                _ => {
                    let row = self.new_row(at, entry, Status::None);
                    self.flag(row, RowFlags::ALTERED);
                }
            },
            Type::Peer => {
                self.new_row(at, entry, Status::None);
                if entry.class == Class::Result {
                    let whose = who(entry.stamp.hop);
                    self.close(at, EndedBy::Left, |hop| who(hop) == whose, index);
                }
            }
            Type::Process => {
                self.new_row(at, entry, Status::None);
                if entry.class == Class::Result {
                    self.close(at, EndedBy::Process, |_| true, index);
                }
            }
            Type::Header | Type::Footer => {}
            Type::Note | Type::Mark | Type::Unknown(_) => {
                self.new_row(at, entry, Status::None);
            }
        }
    }

    fn new_row(&mut self, at: u32, entry: &Entry, status: Status) -> u32 {
        let number = u32::try_from(self.slots.len()).unwrap_or(NONE);
        let mut flags = RowFlags::default();
        flags.add(row_flags(entry.stamp.flags));
        self.slots.push(Slot {
            first: at,
            end: NONE,
            head: NONE,
            tail: NONE,
            sent: entry.length,
            received: 0,
            flags,
            status,
            ended_by: EndedBy::Answer,
        });
        self.own(at, number);
        number
    }

    fn own(&mut self, at: u32, row: u32) {
        if let Some(owner) = self.owner.get_mut(at as usize) {
            *owner = row;
        }
    }

    fn slot(&mut self, row: u32) -> &mut Slot {
        self.touched = self.touched.min(row);
        &mut self.slots[row as usize]
    }

    fn flag(&mut self, row: u32, flags: RowFlags) {
        self.slot(row).flags.add(flags);
    }

    /// Adds an entry to a row. With the direction the row began with, its bytes count.
    fn attach(&mut self, row: u32, at: u32, counted: Option<(&Entry, Direction)>) {
        let link = u32::try_from(self.links.len()).unwrap_or(NONE);
        self.links.push((at, NONE));
        let slot = &mut self.slots[row as usize];
        let tail = std::mem::replace(&mut slot.tail, link);
        if slot.head == NONE {
            slot.head = link;
        }
        if let Some(before) = self.links.get_mut(tail as usize) {
            before.1 = link;
        }
        self.own(at, row);
        match counted {
            Some((entry, began)) => self.count(row, entry, began),
            None => self.touched = self.touched.min(row),
        }
    }

    fn count(&mut self, row: u32, entry: &Entry, began: Direction) {
        let slot = self.slot(row);
        let side = if entry.stamp.direction == began { &mut slot.sent } else { &mut slot.received };
        *side = side.saturating_add(entry.length);
        slot.flags.add(row_flags(entry.stamp.flags));
    }

    /// Which way a row began.
    fn began(&self, index: &Index, row: u32) -> Direction {
        index.get(self.slots[row as usize].first).map_or(Direction::ToServer, |entry| entry.stamp.direction)
    }

    fn meaning(&self, operation: Operation) -> Meaning {
        self.meanings.get(operation.0 as usize).copied().unwrap_or(Meaning::Plain)
    }

    fn request(&mut self, at: u32, entry: &Entry, more: Link) {
        let stamp = &entry.stamp;
        let key = Key::request(stamp.hop, stamp.direction, entry.id);
        let meaning = self.meaning(entry.operation);
        let (row, role) = self.place(at, entry, meaning);
        let open = Open { row, state: OpenState::Waiting, role, entry: at };
        if let Some(before) = self.open.insert(key, open)
            && before.state == OpenState::Waiting
        {
            // Two of one id at once: which of them is answered cannot be known.
            self.flag(before.row, RowFlags::LINT);
            self.flag(row, RowFlags::LINT);
            self.fold(stamp.hop, before);
        }
        if role == Role::Main && is_call(meaning) && stamp.direction == Direction::ToServer {
            let calls = self.calls.entry(who(stamp.hop)).or_default();
            calls.count += 1;
            calls.folded ^= row;
        }
        for link in [entry.link, more] {
            if let Link::Token(token) = link {
                self.tokens.insert(Key::request(stamp.hop, stamp.direction, u64::from(token)), row);
            }
        }
    }

    /// The row of a request: its own, or one it belongs to.
    fn place(&mut self, at: u32, entry: &Entry, meaning: Meaning) -> (u32, Role) {
        let stamp = &entry.stamp;
        if let Link::State(state) = entry.link
            && let Some(row) = self.states.remove(&state_key(stamp.hop, state, entry.operation))
        {
            self.attach(row, at, Some((entry, stamp.direction)));
            let slot = self.slot(row);
            slot.status = Status::Pending;
            slot.end = NONE;
            slot.flags.add(RowFlags::RETRIED);
            return (row, Role::Main);
        }
        if let Link::Task(task) = entry.link
            && let Some(row) = self.tasks.get(&Key::lasting(stamp.hop, u64::from(task))).copied()
        {
            self.attach(row, at, Some((entry, stamp.direction)));
            let role = if meaning == Meaning::Plain { Role::Child } else { Role::Poll(meaning) };
            return (row, role);
        }
        if stamp.direction == Direction::ToClient {
            if let Some(row) = self.the_call(stamp.hop) {
                self.attach(row, at, Some((entry, Direction::ToServer)));
                self.flag(row, RowFlags::NESTED);
                return (row, Role::Child);
            }
            let row = self.new_row(at, entry, Status::Pending);
            self.flag(row, RowFlags::NESTED);
            return (row, Role::Main);
        }
        (self.new_row(at, entry, Status::Pending), Role::Main)
    }

    /// The one call of a client that is open, if it is one.
    fn the_call(&self, hop: Hop) -> Option<u32> {
        self.calls.get(&who(hop)).filter(|calls| calls.count == 1).map(|calls| calls.folded)
    }

    fn flag_the_call(&mut self, entry: &Entry, flags: RowFlags) {
        if let Some(row) = self.the_call(entry.stamp.hop) {
            self.flag(row, flags);
        }
    }

    /// Standard error has no client: a call is flagged if it is the only one of all.
    fn flag_all_calls(&mut self, flags: RowFlags) {
        let mut open = self.calls.values();
        if let (Some(calls), None) = (open.next(), open.next())
            && calls.count == 1
        {
            let row = calls.folded;
            self.flag(row, flags);
        }
    }

    /// A call is not open any more.
    fn fold(&mut self, hop: Hop, open: Open) {
        // Only what was counted is taken off: a call of a client, which its row is about.
        if open.role != Role::Main || open.state != OpenState::Waiting {
            return;
        }
        if let Some(calls) = self.calls.get_mut(&who(hop)).filter(|calls| calls.count > 0) {
            calls.count -= 1;
            calls.folded ^= open.row;
            if calls.count == 0 {
                self.calls.remove(&who(hop));
            }
        }
    }

    fn fold_if_call(&mut self, index: &Index, hop: Hop, open: Open) {
        let is_counted = index
            .get(open.entry)
            .is_some_and(|request| is_call(self.meaning(request.operation)) && request.stamp.direction == Direction::ToServer);
        if is_counted {
            self.fold(hop, open);
        }
    }

    fn answer(&mut self, index: &Index, at: u32, entry: &Entry) {
        let stamp = &entry.stamp;
        let key = Key::request(stamp.hop, stamp.direction.reversed(), entry.id);
        let Some(open) = self.open.get(&key).copied() else {
            let row = self.new_row(at, entry, Status::None);
            // After a gap its question may simply be missing.
            if !self.has_gap {
                self.flag(row, RowFlags::LINT);
            }
            return;
        };
        let began = self.began(index, open.row);
        match open.state {
            OpenState::Answered => {
                self.attach(open.row, at, Some((entry, began)));
                self.flag(open.row, RowFlags::DUPLICATE);
                self.flag(open.row, RowFlags::LINT);
                return;
            }
            // It was given up on our side of the table only.
            OpenState::Cancelled if self.slots[open.row as usize].status == Status::Closed => {
                self.answered_as(index, at, entry, open, began);
            }
            OpenState::Cancelled => {
                self.attach(open.row, at, Some((entry, began)));
                self.flag(open.row, RowFlags::LATE);
            }
            OpenState::Waiting => {
                self.fold_if_call(index, stamp.hop, open);
                self.answered_as(index, at, entry, open, began);
            }
        }
        if let Some(request) = index.get(open.entry) {
            for link in [request.link, second_link(index, open.entry)] {
                if let Link::Token(token) = link {
                    self.tokens.remove(&Key::request(stamp.hop, request.stamp.direction, u64::from(token)));
                }
            }
        }
        if let Some(open) = self.open.get_mut(&key) {
            open.state = OpenState::Answered;
        }
        self.answered.push_back(key);
        if self.answered.len() > REMEMBERED
            && let Some(oldest) = self.answered.pop_front()
            && self.open.get(&oldest).is_some_and(|open| open.state == OpenState::Answered)
        {
            // Its id may have been answered a second time since, then it is forgotten early, which costs nothing.
            self.open.remove(&oldest);
        }
    }

    fn answered_as(&mut self, index: &Index, at: u32, entry: &Entry, open: Open, began: Direction) {
        let row = open.row;
        let flags = entry.stamp.flags;
        let outcome = match entry.class {
            Class::Error => Status::Error,
            _ if flags.has(Flags::IS_ERROR) => Status::Failed,
            _ => Status::Ok,
        };
        match open.role {
            Role::Child => self.attach(row, at, Some((entry, began))),
            Role::Poll(meaning) => {
                self.attach(row, at, Some((entry, began)));
                let is_over = match meaning {
                    Meaning::TaskResult => true,
                    Meaning::TaskGet => !flags.has(Flags::TASK) && entry.class == Class::Result,
                    Meaning::TaskCancel => entry.class == Class::Result && !flags.has(Flags::TASK),
                    _ => false,
                };
                if is_over {
                    let status = if meaning == Meaning::TaskCancel { Status::Cancelled } else { outcome };
                    let slot = self.slot(row);
                    if slot.status == Status::Task {
                        (slot.status, slot.end) = (status, at);
                        if status == Status::Cancelled {
                            slot.ended_by = EndedBy::Client;
                        }
                    }
                }
            }
            Role::Main => {
                let is_input = flags.has(Flags::INPUT_REQUIRED);
                let is_task = flags.has(Flags::TASK);
                if is_input || is_task {
                    self.attach(row, at, Some((entry, began)));
                } else {
                    self.own(at, row);
                    self.count(row, entry, began);
                }
                if let Link::Task(task) = entry.link {
                    self.tasks.insert(Key::lasting(entry.stamp.hop, u64::from(task)), row);
                }
                if is_input && let Link::State(state) = entry.link {
                    let asked = index.get(open.entry).map_or(Operation(0), |request| request.operation);
                    self.states.insert(state_key(entry.stamp.hop, state, asked), row);
                }
                let slot = self.slot(row);
                slot.ended_by = EndedBy::Answer;
                (slot.status, slot.end) = match () {
                    () if is_input => (Status::Input, NONE),
                    () if is_task => (Status::Task, NONE),
                    () => (outcome, at),
                };
            }
        }
    }

    fn notification(&mut self, index: &Index, at: u32, entry: &Entry) {
        let stamp = &entry.stamp;
        let meaning = self.meaning(entry.operation);
        let row = match (meaning, entry.link) {
            (Meaning::Cancelled, _) => {
                self.cancelled(index, at, entry);
                return;
            }
            (Meaning::Progress, Link::Token(token)) => {
                self.tokens.get(&Key::request(stamp.hop, stamp.direction.reversed(), u64::from(token))).copied()
            }
            (Meaning::Log, _) if entry.id == 0 => self.the_call(stamp.hop),
            (_, Link::Task(task)) => self.tasks.get(&Key::lasting(stamp.hop, u64::from(task))).copied(),
            _ if entry.id != 0 => {
                self.open.get(&Key::request(stamp.hop, stamp.direction.reversed(), entry.id)).map(|open| open.row)
            }
            _ => None,
        };
        let Some(row) = row else {
            self.new_row(at, entry, Status::None);
            return;
        };
        let began = self.began(index, row);
        self.attach(row, at, Some((entry, began)));
        if meaning == Meaning::TaskStatus && !stamp.flags.has(Flags::TASK) {
            let slot = self.slot(row);
            if slot.status == Status::Task {
                slot.status = if stamp.flags.has(Flags::IS_ERROR) { Status::Failed } else { Status::Ok };
                slot.end = at;
            }
        }
    }

    fn cancelled(&mut self, index: &Index, at: u32, entry: &Entry) {
        let stamp = &entry.stamp;
        let mut key = Key::request(stamp.hop, stamp.direction, entry.id);
        if !self.open.contains_key(&key) {
            // A modern server ends a subscription with the client's id.
            key = Key::request(stamp.hop, stamp.direction.reversed(), entry.id);
        }
        let Some(open) = self.open.get(&key).copied() else {
            self.new_row(at, entry, Status::None);
            return;
        };
        let began = self.began(index, open.row);
        self.attach(open.row, at, Some((entry, began)));
        if open.state != OpenState::Waiting {
            return;
        }
        self.fold_if_call(index, stamp.hop, open);
        if let Some(open) = self.open.get_mut(&key) {
            open.state = OpenState::Cancelled;
        }
        if open.role == Role::Main {
            let by = if stamp.direction == Direction::ToServer { EndedBy::Client } else { EndedBy::Server };
            let status = if stamp.flags.has(Flags::TIMEOUT) { Status::TimedOut } else { Status::Cancelled };
            let slot = self.slot(open.row);
            (slot.status, slot.ended_by, slot.end) = (status, by, at);
        }
    }

    fn http(&mut self, index: &Index, at: u32, entry: &Entry) {
        let frame = if entry.id == 0 { None } else { index.find(entry.id) };
        let Some(row) = frame.and_then(|frame| self.of_entry(frame)) else {
            self.new_row(at, entry, Status::None);
            return;
        };
        self.attach(row, at, None);
        if !entry.stamp.flags.has(Flags::DROPPED) {
            return;
        }
        let Some(request) = frame.and_then(|frame| index.get(frame)) else { return };
        let key = Key::request(request.stamp.hop, request.stamp.direction, request.id);
        let Some(open) = self.open.get(&key).copied().filter(|open| open.state == OpenState::Waiting) else { return };
        self.fold_if_call(index, request.stamp.hop, open);
        if let Some(open) = self.open.get_mut(&key) {
            open.state = OpenState::Cancelled;
        }
        let slot = self.slot(row);
        (slot.status, slot.ended_by, slot.end) = (Status::Cancelled, EndedBy::Stream, at);
    }

    /// Everything open of these clients will hardly be answered any more. If it is, that counts.
    fn close(&mut self, at: u32, by: EndedBy, is_concerned: impl Fn(Hop) -> bool, index: &Index) {
        let concerned: Vec<(Key, Open, Hop)> = self
            .open
            .iter()
            .filter(|(_, open)| open.state == OpenState::Waiting && open.role == Role::Main)
            .filter_map(|(key, open)| Some((*key, *open, index.get(open.entry)?.stamp.hop)))
            .filter(|(_, _, hop)| is_concerned(*hop))
            .collect();
        for (key, open, hop) in concerned {
            self.fold_if_call(index, hop, open);
            if let Some(open) = self.open.get_mut(&key) {
                open.state = OpenState::Cancelled;
            }
            let slot = self.slot(open.row);
            if slot.status.is_open() {
                (slot.status, slot.ended_by, slot.end) = (Status::Closed, by, at);
            }
        }
    }
}

fn is_call(meaning: Meaning) -> bool {
    matches!(meaning, Meaning::Call | Meaning::TaskResult)
}

/// What a retry is found by: its state, or without one what it asks for.
fn state_key(hop: Hop, state: u32, operation: Operation) -> Key {
    // States have 32 bits; what has none is told apart from them by the bit above.
    let what = if state == NO_STATE { 1 << 32 | u64::from(operation.0) } else { u64::from(state) };
    Key::lasting(hop, what)
}

/// The second link of a request, which is behind it.
fn second_link(index: &Index, at: u32) -> Link {
    index.get(at + 1).filter(|next| next.is_element && next.class == Class::None).map_or(Link::None, |next| next.link)
}

fn row_flags(flags: Flags) -> RowFlags {
    let mut found = RowFlags::default();
    for (flag, row) in [
        (Flags::HELD, RowFlags::HELD),
        (Flags::ALTERED, RowFlags::ALTERED),
        (Flags::INJECTED, RowFlags::ALTERED),
        (Flags::DROPPED, RowFlags::DROPPED),
    ] {
        if flags.has(flag) {
            found.add(row);
        }
    }
    found
}
