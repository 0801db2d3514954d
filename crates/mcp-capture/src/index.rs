//! One entry of 40 bytes per record: all that a list, a filter or a pairing needs, so that no payload is read for them.
//!
//! The same cells make the sidecar file `*.mcpidx`, which the recorder writes and a reader may do without.

use std::collections::HashMap;

use crate::event::{Direction, Flags, Hop, Stamp};
use crate::file::Type;
use crate::scan::{Class, Link, Scan};

mod sidecar;

pub use sidecar::{SidecarWriter, load};

/// Bytes of an entry.
pub const CELL: usize = 40;
/// Numbers of kinds of cells that are no record of the capture.
const ELEMENT: u8 = 14;
const SYMBOL: u8 = 15;
const WIDEST: u32 = (1 << 24) - 1;

/// A method and what it is about (tool, prompt, URI, task), as a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Operation(pub u32);

/// What is known of one record, or of one message in a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where the record's head begins in its part. 40 bits of it are kept, and 32 of the number, 56 of the time.
    pub offset: u64,
    /// Length of the payload in bytes as it went over the wire; 0 for a message in a batch.
    pub length: u32,
    /// When, where, which way.
    pub stamp: Stamp,
    /// What it is.
    pub kind: Type,
    /// It is one message of the batch before it.
    pub is_element: bool,
    /// What the message is.
    pub class: Class,
    /// What it asks for.
    pub operation: Operation,
    /// [`key`](crate::scan::key) of the id: its own, the cancelled request's, the subscription's. For HTTP the number of the frame.
    pub id: u64,
    /// What else it belongs to.
    pub link: Link,
}

impl Entry {
    /// Of a record of which nothing more is known.
    pub(crate) fn of(offset: u64, length: usize, stamp: Stamp, kind: Type) -> Self {
        Self {
            offset,
            length: u32::try_from(length).unwrap_or(u32::MAX),
            stamp,
            kind,
            is_element: false,
            class: Class::None,
            operation: Operation(0),
            id: 0,
            link: Link::None,
        }
    }

    pub(crate) fn pack(&self) -> [u8; CELL] {
        let mut cell = [0; CELL];
        let stamp = &self.stamp;
        cell[..5].copy_from_slice(&self.offset.to_le_bytes()[..5]);
        cell[5..12].copy_from_slice(&stamp.at.to_le_bytes()[..7]);
        cell[12..16].copy_from_slice(&self.length.to_le_bytes());
        let sequence = u32::try_from(stamp.sequence).unwrap_or(u32::MAX);
        cell[16..20].copy_from_slice(&sequence.to_le_bytes());
        cell[20..23].copy_from_slice(&stamp.hop.peer().min(WIDEST).to_le_bytes()[..3]);
        cell[23..26].copy_from_slice(&self.operation.0.to_le_bytes()[..3]);
        let (link, value) = match self.link {
            Link::None => (0, 0),
            Link::Token(value) => (1, value),
            Link::State(value) => (2, value),
            Link::Task(value) => (3, value),
        };
        let flags = (stamp.flags.0 & 0x0fff)
            | link << 12
            | u16::from(stamp.hop != Hop::Server) << 14
            | u16::from(stamp.direction == Direction::ToClient) << 15;
        cell[26..28].copy_from_slice(&flags.to_le_bytes());
        let number = if self.is_element { ELEMENT } else { self.kind.number() };
        cell[28] = number | self.class.number() << 4;
        cell[29..36].copy_from_slice(&self.id.to_le_bytes()[..7]);
        cell[36..].copy_from_slice(&value.to_le_bytes());
        cell
    }

    #[inline]
    pub(crate) fn unpack(cell: &[u8; CELL]) -> Self {
        // Whole words at fixed places, then masked: each is one load, which copying five or seven bytes would not be.
        let word = |at: usize| {
            let c = &cell[at..at + 8];
            u64::from_le_bytes([c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7]])
        };
        let half = |at: usize| u32::from_le_bytes([cell[at], cell[at + 1], cell[at + 2], cell[at + 3]]);
        let flags = u16::from_le_bytes([cell[26], cell[27]]);
        let value = half(36);
        let peer = half(20) & WIDEST;
        let number = cell[28] & 15;
        Self {
            offset: word(0) & ((1 << 40) - 1),
            length: half(12),
            stamp: Stamp {
                sequence: u64::from(half(16)),
                at: word(5) & ((1 << 56) - 1),
                hop: if flags & 1 << 14 == 0 { Hop::Server } else { Hop::Client(peer) },
                direction: if flags & 1 << 15 == 0 { Direction::ToServer } else { Direction::ToClient },
                flags: Flags(flags & 0x0fff),
            },
            kind: if number == ELEMENT { Type::Frame } else { Type::from_number(number) },
            is_element: number == ELEMENT,
            class: Class::from_number(cell[28] >> 4),
            operation: Operation(half(23) & WIDEST),
            id: word(29) & ((1 << 56) - 1),
            link: match flags >> 12 & 3 {
                1 => Link::Token(value),
                2 => Link::State(value),
                3 => Link::Task(value),
                _ => Link::None,
            },
        }
    }
}

/// The operations that occur, each once.
#[derive(Clone, Debug)]
pub struct Symbols {
    all: Vec<(Box<str>, Box<str>)>,
    numbers: HashMap<(Box<str>, Box<str>), u32>,
}

impl Default for Symbols {
    fn default() -> Self {
        Self { all: vec![(Box::default(), Box::default())], numbers: HashMap::new() }
    }
}

impl Symbols {
    /// The method and the name of an operation; two empty texts for none.
    pub fn get(&self, operation: Operation) -> (&str, &str) {
        self.all.get(operation.0 as usize).map_or(("", ""), |(method, name)| (method, name))
    }

    /// How many there are, none included.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Never: none is one.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (Operation, &str, &str)> {
        self.all.iter().zip(0..).map(|((method, name), at)| (Operation(at), &**method, &**name))
    }

    /// The number of an operation, and whether it is new.
    pub(crate) fn intern(&mut self, method: &str, name: &str) -> (Operation, bool) {
        if method.is_empty() {
            return (Operation(0), false);
        }
        let pair = (Box::from(method), Box::from(name));
        if let Some(number) = self.numbers.get(&pair) {
            return (Operation(*number), false);
        }
        let number = u32::try_from(self.all.len()).unwrap_or(u32::MAX);
        if number >= WIDEST {
            return (Operation(0), false);
        }
        self.all.push(pair.clone());
        self.numbers.insert(pair, number);
        (Operation(number), true)
    }
}

/// The entries of a message, as one or several.
pub(crate) fn entries(base: Entry, scan: &Scan, symbols: &mut Symbols, new: &mut Vec<Operation>, out: &mut Vec<Entry>) {
    one(base, scan, symbols, new, out);
    for element in &scan.elements {
        let mut entry = Entry { is_element: true, length: 0, ..base };
        // What holds for the batch was said of the batch.
        entry.stamp.flags = Flags::NONE;
        one(entry, element, symbols, new, out);
    }
}

fn one(mut entry: Entry, scan: &Scan, symbols: &mut Symbols, new: &mut Vec<Operation>, out: &mut Vec<Entry>) {
    entry.stamp.flags = entry.stamp.flags.with(scan.flags);
    entry.class = scan.class;
    entry.id = scan.id;
    entry.link = scan.link;
    let (operation, is_new) = symbols.intern(&scan.method, &scan.name);
    if is_new {
        new.push(operation);
    }
    entry.operation = operation;
    out.push(entry);
    if scan.more != Link::None {
        // A second link is an element of class none, which says only: the entry before has this one as well.
        out.push(Entry { is_element: true, length: 0, class: Class::None, link: scan.more, ..entry });
    }
}

/// All entries of a session.
#[derive(Clone, Debug, Default)]
pub struct Index {
    cells: Vec<u8>,
    /// What the operations are called.
    pub symbols: Symbols,
}

impl Index {
    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.cells.len() / CELL
    }

    /// None yet.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// An entry, if there is one of this number.
    #[inline]
    pub fn get(&self, at: u32) -> Option<Entry> {
        let start = at as usize * CELL;
        let cell = self.cells.get(start..start + CELL)?;
        Some(Entry::unpack(cell.try_into().ok()?))
    }

    /// All entries from one on.
    pub fn iter_from(&self, at: u32) -> impl Iterator<Item = (u32, Entry)> {
        let start = (at as usize * CELL).min(self.cells.len());
        let (cells, _) = self.cells[start..].as_chunks::<CELL>();
        cells.iter().zip(at..).map(|(cell, at)| (at, Entry::unpack(cell)))
    }

    /// The entry of the record with this number.
    pub fn find(&self, sequence: u64) -> Option<u32> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = usize::midpoint(low, high);
            let at = u32::try_from(middle).ok()?;
            if self.get(at)?.stamp.sequence < sequence { low = middle + 1 } else { high = middle }
        }
        let at = u32::try_from(low).ok()?;
        self.get(at).filter(|entry| entry.stamp.sequence == sequence).map(|_| at)
    }

    pub(crate) fn push(&mut self, entry: &Entry) {
        self.cells.extend_from_slice(&entry.pack());
    }

    /// Gives back the room a capture read to its end has no use for.
    pub(crate) fn shrink(&mut self) {
        self.cells.shrink_to_fit();
    }

    pub(crate) fn truncate(&mut self, entries: usize) {
        self.cells.truncate(entries * CELL);
    }

    /// The last entry, if it is not before `first`.
    pub(crate) fn last_from(&self, first: u32) -> Option<Entry> {
        let last = u32::try_from(self.len()).ok()?.checked_sub(1)?;
        if last < first { None } else { self.get(last) }
    }
}
