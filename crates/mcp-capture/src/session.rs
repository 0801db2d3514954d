//! A session as a viewer has it: its parts, its index, and the rows made from them. It may still be growing.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::event::{Flags, Header, Hop, Mark, Record, Stamp};
use crate::exchange::Rows;
use crate::file::{STAMP, Type, parse, parse_stamp};
use crate::index::{Entry, Index, Operation, SidecarWriter, entries, load};
use crate::reader::{Part, ReadError};
use crate::scan::{Class, Link, Scan, scan, scan_beginning};
use crate::store::names;

/// A session that was opened.
#[derive(Debug)]
pub struct Session {
    first: PathBuf,
    parts: Vec<Opened>,
    index: Index,
    rows: Rows,
    peers: Vec<PeerInfo>,
    is_ended: bool,
}

#[derive(Debug)]
struct Opened {
    part: Part,
    /// The first entry of this part.
    first: u32,
    /// So much of the file is in the index.
    indexed: u64,
}

/// What is known of a client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerInfo {
    /// Its number.
    pub peer: u32,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its process.
    pub pid: Option<u32>,
    /// `legacy` or `modern`.
    pub era: String,
}

/// What [`Session::refresh`] found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// So many records are new.
    pub records: u32,
    /// Rows that were there before may look otherwise now.
    pub rows_changed: bool,
}

impl Session {
    /// Opens the session whose first part this is, and reads it as far as it goes.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        let part = Part::open(path)?;
        let start = part.start();
        let mut session = Self {
            first: path.to_owned(),
            parts: vec![Opened { part, first: 0, indexed: start }],
            index: Index::default(),
            rows: Rows::default(),
            peers: Vec::new(),
            is_ended: false,
        };
        session.load_sidecar();
        session.refresh()?;
        Ok(session)
    }

    /// What the first part says of the session.
    pub fn header(&self) -> &Header {
        self.parts[0].part.header()
    }

    /// The file of the first part.
    pub fn path(&self) -> &Path {
        &self.first
    }

    /// A footer was read: nothing more will come.
    pub fn is_ended(&self) -> bool {
        self.is_ended
    }

    /// All records.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// The operations.
    pub fn rows(&self) -> &Rows {
        &self.rows
    }

    /// The clients that came.
    pub fn peers(&self) -> &[PeerInfo] {
        &self.peers
    }

    /// What a client is called: its name, else the header's, else `client N`.
    pub fn peer_name(&self, hop: Hop) -> String {
        let Hop::Client(peer) = hop else { return self.header().server.clone() };
        match self.peers.iter().find(|known| known.peer == peer && !known.name.is_empty()) {
            Some(known) => known.name.clone(),
            None if peer <= 1 && !self.header().client.is_empty() => self.header().client.clone(),
            None => format!("client {peer}"),
        }
    }

    /// Reads what has come since, and the parts that were begun. Cheap if nothing has.
    pub fn refresh(&mut self) -> Result<Changes, ReadError> {
        let before = self.index.len();
        loop {
            self.scan_part().map_err(|source| ReadError::Io { path: self.last().part.path().to_owned(), source })?;
            let next = names::part(&self.first, u32::try_from(self.parts.len()).unwrap_or(u32::MAX) + 1);
            match Part::open(&next) {
                Ok(part) if part.header().session == self.header().session => {
                    let first = u32::try_from(self.index.len()).unwrap_or(u32::MAX);
                    let indexed = part.start();
                    self.parts.push(Opened { part, first, indexed });
                    self.load_sidecar();
                }
                // Not there, or still being begun.
                _ => break,
            }
        }
        let rows_changed = self.rows.extend(&self.index);
        let records = u32::try_from(self.index.len() - before).unwrap_or(u32::MAX);
        Ok(Changes { records, rows_changed })
    }

    fn last(&self) -> &Opened {
        self.parts.last().expect("a session has its first part from the start")
    }

    /// Takes the entries of the last part from its sidecar, if there is a good one.
    fn load_sidecar(&mut self) {
        let Some(last) = self.parts.last_mut() else { return };
        let Ok(mut file) = File::open(names::index(last.part.path())) else { return };
        let length = file.metadata().map_or(0, |meta| meta.len());
        let (entries, symbols) = (self.index.len(), self.index.symbols.clone());
        if !matches!(load(&mut file, length, last.part.header(), &mut self.index), Ok(Some(_))) {
            return;
        }
        let Some(entry) = self.index.last_from(last.first) else { return };
        // The last entry tells whether all of them are of this file.
        let found = last.part.record(entry.offset).ok().flatten();
        let is_same = |body: &Bytes| parse_stamp(body).is_some_and(|stamp| stamp.sequence == entry.stamp.sequence);
        match found.filter(|found| is_same(&found.body)) {
            Some(found) => {
                last.indexed = found.next;
                let peers: Vec<Entry> = self
                    .index
                    .iter_from(last.first)
                    .map(|(_, entry)| entry)
                    .filter(|entry| matches!(entry.kind, Type::Peer | Type::Footer))
                    .collect();
                for entry in peers {
                    if let Ok(Some(found)) = self.last().part.record(entry.offset) {
                        let body = found.body;
                        self.notice(entry.kind, &body);
                    }
                }
            }
            None => {
                self.index.truncate(entries);
                self.index.symbols = symbols;
            }
        }
    }

    /// Reads the records of the last part that are not in the index.
    fn scan_part(&mut self) -> io::Result<()> {
        let Some(last) = self.parts.last_mut() else { return Ok(()) };
        if last.part.length()? <= last.indexed {
            return Ok(());
        }
        let mut scratch = Vec::new();
        let mut new = Vec::new();
        let mut noticed = Vec::new();
        let index = &mut self.index;
        last.indexed = last.part.each(last.indexed, |offset, kind, body| {
            scratch.clear();
            index_record(offset, kind, body, index, &mut new, &mut scratch);
            for entry in &scratch {
                index.push(entry);
            }
            if matches!(kind, Type::Peer | Type::Footer) {
                noticed.push((kind, body.clone()));
            }
            true
        })?;
        for (kind, body) in noticed {
            self.notice(kind, &body);
        }
        Ok(())
    }

    fn notice(&mut self, kind: Type, body: &Bytes) {
        match parse(kind, body) {
            Some((_, Record::Event(crate::event::Event::Peer(peer)))) => {
                let at = self.peers.iter().position(|known| known.peer == peer.peer).unwrap_or_else(|| {
                    self.peers.push(PeerInfo { peer: peer.peer, ..PeerInfo::default() });
                    self.peers.len() - 1
                });
                let known = &mut self.peers[at];
                // A record that says less takes nothing back.
                for (have, said) in
                    [(&mut known.name, peer.name), (&mut known.version, peer.version), (&mut known.era, peer.era)]
                {
                    if !said.is_empty() {
                        *have = said;
                    }
                }
                known.pid = peer.pid.or(known.pid);
            }
            Some((_, Record::Footer(footer))) => self.is_ended = !footer.continues,
            _ => {}
        }
    }

    fn part_of(&self, at: u32) -> &Part {
        let after = self.parts.partition_point(|opened| opened.first <= at);
        &self.parts[after.saturating_sub(1)].part
    }

    /// Reads a record whole and checked. `None`: there is no such entry, or the file was changed.
    pub fn record(&self, at: u32) -> io::Result<Option<(Stamp, Record)>> {
        let Some(entry) = self.index.get(at) else { return Ok(None) };
        let found = self.part_of(at).record(entry.offset)?;
        Ok(found.and_then(|found| parse(found.kind, &found.body)))
    }

    /// The exact bytes of a message or a piece of stderr; of other records their JSON.
    pub fn payload(&self, at: u32) -> io::Result<Option<Bytes>> {
        let Some(entry) = self.index.get(at) else { return Ok(None) };
        let found = self.part_of(at).record(entry.offset)?;
        let skip = STAMP + if entry.stamp.flags.has(Flags::TRUNCATED) { 8 } else { 0 };
        Ok(found.filter(|found| found.body.len() >= skip).map(|found| found.body.slice(skip..)))
    }

    /// The first bytes of the same, in a time that does not depend on its length.
    pub fn payload_start(&self, at: u32, length: usize) -> io::Result<Vec<u8>> {
        match self.index.get(at) {
            Some(entry) => self.part_of(at).payload_start(entry.offset, length),
            None => Ok(Vec::new()),
        }
    }

    /// The entry of the record with this number.
    pub fn find(&self, sequence: u64) -> Option<u32> {
        self.index.find(sequence)
    }

    /// Searches the payloads of all records from an entry on, in the order of the file. `each` is given the entries in which
    /// it was found and says whether to go on. Reads blocks in order, never a record by itself.
    pub fn search(&self, needle: &Needle, from: u32, mut each: impl FnMut(u32) -> bool) -> io::Result<()> {
        let mut at = from;
        for (number, opened) in self.parts.iter().enumerate() {
            let end = self.parts.get(number + 1).map_or(u32::try_from(self.index.len()).unwrap_or(u32::MAX), |next| next.first);
            if end <= at {
                continue;
            }
            let Some(entry) = self.index.get(at) else { return Ok(()) };
            let mut goes_on = true;
            opened.part.each(entry.offset, |offset, kind, body| {
                // Records of a later version have no entry.
                while at < end && self.index.get(at).is_some_and(|e| e.offset < offset) {
                    at += 1;
                }
                if at >= end {
                    return false;
                }
                if kind != Type::Footer && body.get(STAMP..).is_some_and(|payload| needle.is_in(payload)) {
                    goes_on = each(at);
                }
                goes_on
            })?;
            if !goes_on {
                return Ok(());
            }
            at = at.max(end);
        }
        Ok(())
    }

    /// Writes the index of each part that has none that is complete, so that the next one who opens it need not make it. Only
    /// for sessions that have ended.
    pub fn write_sidecars(&self) -> io::Result<()> {
        if !self.is_ended {
            return Ok(());
        }
        for (number, opened) in self.parts.iter().enumerate() {
            let end = self.parts.get(number + 1).map_or(u32::try_from(self.index.len()).unwrap_or(u32::MAX), |next| next.first);
            let mut sidecar = SidecarWriter::new(opened.part.header());
            let mut numbers = std::collections::HashMap::new();
            let mut local = crate::index::Symbols::default();
            for (_, mut entry) in self.index.iter_from(opened.first).take((end - opened.first) as usize) {
                if entry.operation != Operation(0) {
                    entry.operation = *numbers.entry(entry.operation).or_insert_with(|| {
                        let (method, name) = self.index.symbols.get(entry.operation);
                        let (operation, is_new) = local.intern(method, name);
                        if is_new {
                            sidecar.symbol(&local, operation);
                        }
                        operation
                    });
                }
                sidecar.entry(&entry);
            }
            let mut bytes = Vec::new();
            sidecar.write_to(&mut bytes)?;
            mcp_os::private::write(&names::index(opened.part.path()), &bytes)?;
        }
        Ok(())
    }

    /// Marks and comments, the last word on each frame.
    pub fn marks(&self) -> Vec<Mark> {
        crate::store::marks::read(&self.first)
    }
}

/// The entries of a record that is read rather than written.
fn index_record(offset: u64, kind: Type, body: &Bytes, index: &mut Index, new: &mut Vec<Operation>, out: &mut Vec<Entry>) {
    if matches!(kind, Type::Header | Type::Unknown(_)) {
        return;
    }
    let Some(mut stamp) = parse_stamp(body) else { return };
    let payload = body.slice(STAMP..);
    let (scan, length) = match kind {
        Type::Frame if stamp.flags.has(Flags::TRUNCATED) => {
            let Some((_, Record::Frame(kept, length))) = parse(kind, body) else { return };
            (scan_beginning(&kept), usize::try_from(length).unwrap_or(usize::MAX))
        }
        Type::Frame => (scan(&payload), payload.len()),
        Type::Stderr => (Scan::default(), payload.len()),
        _ => match parse(kind, body) {
            Some((_, record)) => crate::write::scan_event(&record, &mut stamp, payload.len()),
            None => (Scan::default(), payload.len()),
        },
    };
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    let entry =
        Entry { offset, length, stamp, kind, is_element: false, class: Class::None, operation: Operation(0), id: 0, link: Link::None };
    new.clear();
    entries(entry, &scan, &mut index.symbols, new, out);
}

/// What is searched for in payloads.
#[derive(Clone, Debug)]
pub enum Needle {
    /// These bytes.
    Exact(Vec<u8>),
    /// An expression over bytes.
    Regex(regex::bytes::Regex),
}

impl Needle {
    /// Text, in any case of its letters if it is all lower case.
    pub fn text(text: &str) -> Self {
        let has_case = text.chars().any(|c| c.to_lowercase().next() != Some(c) || c.to_uppercase().next() != Some(c));
        if !has_case || text.chars().any(char::is_uppercase) {
            return Self::Exact(text.as_bytes().to_vec());
        }
        let pattern = format!("(?i){}", regex::escape(text));
        regex::bytes::Regex::new(&pattern).map_or_else(|_| Self::Exact(text.as_bytes().to_vec()), Self::Regex)
    }

    /// Whether it occurs.
    pub fn is_in(&self, bytes: &[u8]) -> bool {
        match self {
            Self::Exact(needle) => memchr::memmem::find(bytes, needle).is_some(),
            Self::Regex(regex) => regex.is_match(bytes),
        }
    }
}
