//! A session as a viewer has it: its parts, its index, and the rows made from them. It may still be growing.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use crate::event::{Flags, Header, Hop, Mark, Record, Stamp};
use crate::exchange::{Row, Rows};
use crate::file::{STAMP, Type, parse, parse_stamp};
use crate::filter::{Context, Facts, Filter, Verdict, Vocabulary};
use crate::index::{Entry, Index, Operation, SidecarWriter, entries, load};
use crate::reader::{Part, ReadError};
use crate::scan::{Scan, scan, scan_beginning};
use crate::store::names;

/// A session that was opened. A clone shares what is large until one of the two grows: of a million records, sixty megabytes.
#[derive(Clone, Debug)]
pub struct Session {
    first: PathBuf,
    parts: Vec<Opened>,
    index: Arc<Index>,
    rows: Arc<Rows>,
    peers: Vec<PeerInfo>,
    is_ended: bool,
}

#[derive(Clone, Debug)]
struct Opened {
    part: Arc<Part>,
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
            parts: vec![Opened { part: Arc::new(part), first: 0, indexed: start }],
            index: Arc::default(),
            rows: Arc::default(),
            peers: Vec::new(),
            is_ended: false,
        };
        session.load_sidecar();
        session.refresh()?;
        if session.is_ended {
            // A million records leave ten megabytes of room that nothing will come to fill.
            Arc::make_mut(&mut session.index).shrink();
            Arc::make_mut(&mut session.rows).shrink();
        }
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

    /// Marks a row as breaking a rule, as checks of payloads find out.
    pub fn set_lint(&mut self, row: u32) {
        Arc::make_mut(&mut self.rows).set_lint(row);
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
                    self.parts.push(Opened { part: Arc::new(part), first, indexed });
                    self.load_sidecar();
                }
                // Not there, or still being begun.
                _ => break,
            }
        }
        // Not touched if there is nothing new, so that what is shared stays so.
        let rows_changed = self.rows.entries_seen() < self.index.len() && Arc::make_mut(&mut self.rows).extend(&self.index);
        let records = u32::try_from(self.index.len() - before).unwrap_or(u32::MAX);
        Ok(Changes { records, rows_changed })
    }

    fn last(&self) -> &Opened {
        self.parts.last().expect("a session has its first part from the start")
    }

    /// Takes the entries of the last part from its sidecar, if there is a good one.
    fn load_sidecar(&mut self) {
        let Some(last) = self.parts.last_mut() else { return };
        let Ok(file) = File::open(names::index(last.part.path())) else { return };
        let (entries, symbols) = (self.index.len(), self.index.symbols.clone());
        if !matches!(load(&file, last.part.header(), Arc::make_mut(&mut self.index)), Ok(Some(_))) {
            return;
        }
        let Some(entry) = self.index.last_from(last.first) else { return };
        // The last entry tells whether all of them are of this file.
        let found = last.part.record(entry.offset).ok().flatten();
        let is_same = |body: &Bytes| parse_stamp(body).is_some_and(|stamp| stamp.sequence == entry.stamp.sequence);
        let Some(found) = found.filter(|found| is_same(&found.body)) else {
            let index = Arc::make_mut(&mut self.index);
            index.truncate(entries);
            index.symbols = symbols;
            return;
        };
        last.indexed = found.next;
        let first = last.first;
        let told = |entry: &Entry| matches!(entry.kind, Type::Peer | Type::Footer);
        let offsets: Vec<(Type, u64)> =
            self.index.iter_from(first).map(|(_, e)| e).filter(told).map(|e| (e.kind, e.offset)).collect();
        for (kind, offset) in offsets {
            if let Ok(Some(found)) = self.last().part.record(offset) {
                self.notice(kind, &found.body);
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
        let index = Arc::make_mut(&mut self.index);
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
                for (have, said) in [(&mut known.name, peer.name), (&mut known.version, peer.version), (&mut known.era, peer.era)]
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

    /// What a filter is told of this session.
    pub fn context(&self) -> Context<'_> {
        let last = u32::try_from(self.index.len()).ok().and_then(|len| self.index.get(len.checked_sub(1)?));
        Context {
            session: &self.header().session,
            server: &self.header().server,
            now: last.map_or(0, |entry| entry.stamp.at),
            started_ms: self.header().started_ms,
            utc_offset: 0,
        }
    }

    /// What a filter is told of a row.
    #[inline]
    pub fn facts(&self, row: &Row, now: u64) -> Facts<'_> {
        let (method, name) = self.index.symbols.get(row.operation);
        let client = match row.hop {
            Hop::Server => "",
            Hop::Client(peer) => match self.peers.iter().find(|known| known.peer == peer) {
                Some(known) if !known.name.is_empty() => &known.name,
                _ => &self.header().client,
            },
        };
        Facts {
            kind: row.kind,
            method,
            name,
            id: row.id,
            client,
            hop: row.hop,
            direction: row.direction,
            status: row.status,
            flags: row.flags,
            duration: row.duration.unwrap_or_else(|| now.saturating_sub(row.at)),
            size: u64::from(row.sent) + u64::from(row.received),
            received: u64::from(row.received),
            at: row.at,
        }
    }

    /// Whether a row fits; its messages are read if that is needed.
    pub fn matches(&self, filter: &Filter, row: &Row) -> io::Result<bool> {
        let context = self.context();
        let facts = self.facts(row, context.now);
        match filter.verdict(&facts, &context) {
            Verdict::Yes => Ok(true),
            Verdict::No => Ok(false),
            Verdict::NeedsPayload => {
                let mut payloads = Vec::new();
                for at in self.rows.entries(row.number) {
                    payloads.extend(self.payload(at)?);
                }
                let payloads: Vec<&[u8]> = payloads.iter().map(|payload| &**payload).collect();
                Ok(filter.matches(&facts, &context, &payloads))
            }
        }
    }

    /// The rows that fit. Texts are searched for in the file first, so that only rows which can fit are decoded.
    pub fn filtered(&self, filter: &Filter) -> io::Result<Vec<u32>> {
        let mut found = Vec::new();
        self.filter_from(filter, 0, |row| found.push(row))?;
        Ok(found)
    }

    /// The rows from one on that fit, in order, as they are found.
    pub fn filter_from(&self, filter: &Filter, from: u32, mut each: impl FnMut(u32)) -> io::Result<()> {
        let context = self.context();
        let has_text = if filter.needs_payload() { self.rows_with(filter, from)? } else { None };
        for number in from..u32::try_from(self.rows.len()).unwrap_or(u32::MAX) {
            let Some(row) = self.rows.get(&self.index, number) else { break };
            let fits = match filter.verdict(&self.facts(&row, context.now), &context) {
                Verdict::Yes => true,
                Verdict::No => false,
                Verdict::NeedsPayload => {
                    has_text.as_ref().is_none_or(|rows| rows.get(number as usize) == Some(&true)) && self.matches(filter, &row)?
                }
            };
            if fits {
                each(number);
            }
        }
        Ok(())
    }

    /// Which rows hold a text that the filter cannot do without.
    fn rows_with(&self, filter: &Filter, from: u32) -> io::Result<Option<Vec<bool>>> {
        let Some(needles) = filter.needles() else { return Ok(None) };
        let mut has = vec![false; self.rows.len()];
        let start = self.rows.get(&self.index, from).map_or(0, |row| row.first);
        for needle in &needles {
            self.search(needle, start, |at| {
                let elements = self.index.iter_from(at + 1).take_while(|(_, entry)| entry.is_element).map(|(at, _)| at);
                // What is in a batch may be in any of its messages.
                for at in std::iter::once(at).chain(elements) {
                    if let Some(row) = self.rows.of_entry(at).and_then(|row| has.get_mut(row as usize)) {
                        *row = true;
                    }
                }
                true
            })?;
        }
        Ok(Some(has))
    }

    /// Names to complete filters with.
    pub fn vocabulary(&self) -> Vocabulary {
        let mut words = Vocabulary::default();
        for (_, method, name) in self.index.symbols.iter().skip(1) {
            if method == "tools/call" && !name.is_empty() {
                words.tools.push(name.to_owned());
            }
            words.methods.push(method.to_owned());
        }
        words.clients.extend(self.peers.iter().map(|peer| peer.name.clone()));
        words.clients.push(self.header().client.clone());
        words.servers.push(self.header().server.clone());
        words.sessions.push(self.header().session.clone());
        for list in [&mut words.tools, &mut words.methods, &mut words.clients, &mut words.servers] {
            list.retain(|word| !word.is_empty());
            list.sort();
            list.dedup();
        }
        words
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
    let entry = Entry::of(offset, length, stamp, kind);
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

    /// How long it is; of an expression, how long it is spelt.
    pub(crate) fn length(&self) -> usize {
        match self {
            Self::Exact(needle) => needle.len(),
            Self::Regex(regex) => regex.as_str().trim_start_matches("(?i)").len(),
        }
    }

    /// Whether it occurs.
    pub fn is_in(&self, bytes: &[u8]) -> bool {
        match self {
            Self::Exact(needle) => memchr::memmem::find(bytes, needle).is_some(),
            Self::Regex(regex) => regex.is_match(bytes),
        }
    }
}
