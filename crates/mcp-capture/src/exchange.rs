//! Operations as rows: a request with its answer and all that belongs to it, made from the index alone in one pass, and
//! continued as entries come.
//!
//! A request is known by its hop, its client, its direction and its id as it is spelt. What belongs to no operation is a row
//! of its own.

use std::collections::VecDeque;

use crate::event::{Direction, Flags, Hop};
use crate::file::Type;
use crate::index::{Entry, Index, Operation};
use crate::scan::{Class, Link};

mod apply;
mod keys;

use keys::{Key, Map, Meaning, Who};

/// What a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RowKind {
    /// A request and what belongs to it.
    Operation,
    /// A notification that belongs to no request.
    Notification,
    /// An answer to a request that was not seen.
    Answer,
    /// Bytes that are no message.
    Stray,
    /// A line of standard error.
    Stderr,
    /// Records are missing.
    Gap,
    /// Anything else: see the entry's type.
    Other(Type),
}

/// How an operation stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Status {
    /// It is no operation.
    #[default]
    None,
    /// It has no answer yet.
    Pending,
    /// It was done.
    Ok,
    /// The answer is an error of the protocol.
    Error,
    /// The answer is a result that says it failed (`isError`), or a task that failed.
    Failed,
    /// Who asked took it back.
    Cancelled,
    /// Who asked took it back because it took too long.
    TimedOut,
    /// The server asks for input, and has not got it yet.
    Input,
    /// It is a task that has not ended.
    Task,
    /// A side of the connection went away before there was an answer.
    Closed,
}

impl Status {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Pending => "pending",
            Self::Ok => "ok",
            Self::Error => "error",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::TimedOut => "timed out",
            Self::Input => "asks",
            Self::Task => "task",
            Self::Closed => "closed",
        }
    }

    /// An answer is still to come.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Pending | Self::Input | Self::Task)
    }

    /// It did not go well.
    pub fn is_bad(self) -> bool {
        matches!(self, Self::Error | Self::Failed | Self::TimedOut | Self::Closed)
    }
}

/// Who ended an operation without an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum EndedBy {
    /// It was answered, or has not ended.
    #[default]
    Answer,
    /// The client, by `notifications/cancelled`.
    Client,
    /// The server, by `notifications/cancelled`.
    Server,
    /// The HTTP stream was dropped by the one who asked.
    Stream,
    /// The client left.
    Left,
    /// The server's process ended.
    Process,
}

/// What else is to be known of a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct RowFlags(pub u16);

impl RowFlags {
    /// An answer came after the request was cancelled.
    pub const LATE: Self = Self(1);
    /// There is more than one answer.
    pub const DUPLICATE: Self = Self(1 << 1);
    /// A request of the server.
    pub const NESTED: Self = Self(1 << 2);
    /// The server wrote to standard error meanwhile.
    pub const STDERR: Self = Self(1 << 3);
    /// The server wrote something that is no message meanwhile.
    pub const STRAY: Self = Self(1 << 4);
    /// Something is against the rules: an id used twice, an answer without a question. Checks of payloads add to it.
    pub const LINT: Self = Self(1 << 5);
    /// A message was held.
    pub const HELD: Self = Self(1 << 6);
    /// A message was not left alone, or was sent by hand.
    pub const ALTERED: Self = Self(1 << 7);
    /// It was asked again with the input that was wanted.
    pub const RETRIED: Self = Self(1 << 8);
    /// Records were lost while it was open, so that its end may be missing.
    pub const GAP: Self = Self(1 << 9);
    /// A message was recorded and never passed on.
    pub const DROPPED: Self = Self(1 << 10);

    /// Whether all bits of `other` are set.
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// One line of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its place in the list, from 0.
    pub number: u32,
    /// The entry it began with.
    pub first: u32,
    /// The entry it ended with.
    pub end: Option<u32>,
    /// The number of the record it began with.
    pub sequence: u64,
    /// Nanoseconds since the session's zero.
    pub at: u64,
    /// Where.
    pub hop: Hop,
    /// Which way it began.
    pub direction: Direction,
    /// What it is.
    pub kind: RowKind,
    /// What was asked for.
    pub operation: Operation,
    /// [`key`](crate::scan::key) of the id.
    pub id: u64,
    /// How it stands.
    pub status: Status,
    /// Who ended it.
    pub ended_by: EndedBy,
    /// Nanoseconds from its beginning to its end.
    pub duration: Option<u64>,
    /// Bytes of its messages that went the way of the request.
    pub sent: u32,
    /// Bytes of its messages that went the other way.
    pub received: u32,
    /// What else.
    pub flags: RowFlags,
    /// Whether entries other than the first and the last belong to it.
    pub has_children: bool,
}

const NONE: u32 = u32::MAX;

/// A row as it is kept.
#[derive(Clone, Copy, Debug)]
struct Slot {
    first: u32,
    end: u32,
    /// Its chain of children in [`Rows::links`].
    head: u32,
    tail: u32,
    sent: u32,
    received: u32,
    flags: RowFlags,
    status: Status,
    ended_by: EndedBy,
}

/// A request that has an answer to come, or had one just now.
#[derive(Clone, Copy, Debug)]
struct Open {
    row: u32,
    state: OpenState,
    role: Role,
    /// The entry of the request.
    entry: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OpenState {
    Waiting,
    Cancelled,
    Answered,
}

/// What a request is to its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// The row is about it.
    Main,
    /// It belongs to the row, which has an answer of its own.
    Child,
    /// A poll of the row's task.
    Poll(Meaning),
}

/// The calls of one client during which a server may say things that belong to them.
#[derive(Clone, Copy, Debug, Default)]
struct Calls {
    count: u32,
    /// All their rows folded into one: the row itself when there is one.
    folded: u32,
}

/// All rows.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    slots: Vec<Slot>,
    /// The row of each entry.
    owner: Vec<u32>,
    /// Children: an entry and the next child.
    links: Vec<(u32, u32)>,
    open: Map<Key, Open>,
    /// Answered requests that are still in `open`, the oldest first.
    answered: VecDeque<Key>,
    tokens: Map<Key, u32>,
    /// Operations that wait for input, by their state, or by what they ask for.
    states: Map<Key, u32>,
    tasks: Map<Key, u32>,
    calls: Map<Who, Calls>,
    meanings: Vec<Meaning>,
    has_gap: bool,
    /// The lowest row that changed in this pass.
    touched: u32,
}

impl Rows {
    /// So many entries of the index are in the rows.
    pub(crate) fn entries_seen(&self) -> usize {
        self.owner.len()
    }

    /// Takes in the entries that are new in the index. `true`: rows that were there before have changed.
    pub fn extend(&mut self, index: &Index) -> bool {
        let before = u32::try_from(self.slots.len()).unwrap_or(NONE);
        self.touched = NONE;
        for operation in self.meanings.len()..index.symbols.len() {
            let (method, _) = index.symbols.get(Operation(u32::try_from(operation).unwrap_or(0)));
            self.meanings.push(Meaning::of(method));
        }
        let start = u32::try_from(self.owner.len()).unwrap_or(NONE);
        let mut entries = index.iter_from(start).peekable();
        while let Some((at, entry)) = entries.next() {
            self.owner.push(NONE);
            let mut more = Link::None;
            // A second link stands behind its entry. So does an element of a batch that is no message, which has no link.
            if let Some((_, next)) = entries.peek()
                && next.is_element
                && next.link != Link::None
                && next.class == Class::None
            {
                more = next.link;
                self.owner.push(NONE);
                entries.next();
            }
            self.apply(index, at, &entry, more);
        }
        self.touched < before
    }

    /// Gives back the room for more.
    pub(crate) fn shrink(&mut self) {
        self.slots.shrink_to_fit();
        self.owner.shrink_to_fit();
        self.links.shrink_to_fit();
        for map in [&mut self.tokens, &mut self.states, &mut self.tasks] {
            map.shrink_to_fit();
        }
        self.open.shrink_to_fit();
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// None yet.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// A row.
    #[inline]
    pub fn get(&self, index: &Index, number: u32) -> Option<Row> {
        let slot = self.slots.get(number as usize)?;
        let entry = index.get(slot.first)?;
        let end = (slot.end != NONE).then_some(slot.end);
        let duration = end.and_then(|end| index.get(end)).map(|end| end.stamp.at.saturating_sub(entry.stamp.at));
        Some(Row {
            number,
            first: slot.first,
            end,
            sequence: entry.stamp.sequence,
            at: entry.stamp.at,
            hop: entry.stamp.hop,
            direction: entry.stamp.direction,
            kind: kind_of(&entry),
            operation: entry.operation,
            id: entry.id,
            status: slot.status,
            ended_by: slot.ended_by,
            duration,
            sent: slot.sent,
            received: slot.received,
            flags: slot.flags,
            has_children: slot.head != NONE,
        })
    }

    /// All rows, in order.
    pub fn iter<'a>(&'a self, index: &'a Index) -> impl Iterator<Item = Row> + 'a {
        (0..u32::try_from(self.slots.len()).unwrap_or(NONE)).filter_map(|number| self.get(index, number))
    }

    /// The row an entry belongs to.
    pub fn of_entry(&self, at: u32) -> Option<u32> {
        self.owner.get(at as usize).copied().filter(|row| *row != NONE)
    }

    /// All entries of a row, in order.
    pub fn entries(&self, number: u32) -> Vec<u32> {
        let Some(slot) = self.slots.get(number as usize) else { return Vec::new() };
        let mut all = vec![slot.first];
        let mut at = slot.head;
        while let Some((entry, next)) = self.links.get(at as usize) {
            all.push(*entry);
            at = *next;
        }
        if slot.end != NONE {
            all.push(slot.end);
        }
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Marks a row as breaking a rule, as checks of payloads find out.
    pub fn set_lint(&mut self, number: u32) {
        if let Some(slot) = self.slots.get_mut(number as usize) {
            slot.flags.add(RowFlags::LINT);
        }
    }
}

fn kind_of(entry: &Entry) -> RowKind {
    match (entry.kind, entry.class) {
        (Type::Frame, Class::Request) => RowKind::Operation,
        (Type::Frame, Class::Notification) => RowKind::Notification,
        (Type::Frame, Class::Result | Class::Error) => RowKind::Answer,
        (Type::Frame, _) if entry.stamp.flags.has(Flags::NOT_A_MESSAGE) => RowKind::Stray,
        (Type::Stderr, _) => RowKind::Stderr,
        (Type::Gap, _) => RowKind::Gap,
        (kind, _) => RowKind::Other(kind),
    }
}
