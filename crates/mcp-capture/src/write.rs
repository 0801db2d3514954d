//! Writing a capture and its index, and going on when the disk does not.

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::event::{Event, Flags, Footer, Gap, Header, Hop, HttpPhase, Record, Stamp};
use crate::file::{self, Type, beginning, push_head, push_record, stamp_bytes};
use crate::index::{Entry, Operation, SidecarWriter, Symbols, entries};
use crate::redact::Redactor;
use crate::ring::{Item, What};
use crate::scan::{Class, Link, Scan, scan, scan_beginning};
use crate::store::names;

/// Why recording cannot begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The file could not be made.
    #[error("make the capture {}", path.display())]
    Create {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The first bytes could not be written.
    #[error("begin the capture")]
    Begin {
        /// What the system said.
        source: io::Error,
    },
    /// The thread could not be started.
    #[error("start the thread that records")]
    Thread {
        /// What the system said.
        source: io::Error,
    },
}

/// Where a recorder writes to.
pub trait Output: Send {
    /// Appends to the capture.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Takes back what was appended behind this length.
    fn cut(&mut self, length: u64) -> io::Result<()>;
    /// Appends to the index. A failure costs a later reader a second, and nothing is told of it.
    fn index(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Turns to a new part.
    fn next_part(&mut self, part: u32) -> io::Result<()>;
}

/// The files of a session.
pub(crate) struct Files {
    path: PathBuf,
    capture: File,
    index: Option<File>,
    /// Held for life: the lock says that the session is live.
    _live: Live,
}

struct Live {
    path: PathBuf,
    _file: File,
}

impl Drop for Live {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Files {
    pub(crate) fn create(path: &Path, _header: &Header) -> Result<Self, WriteError> {
        let failed = |source| WriteError::Create { path: path.to_owned(), source };
        let capture = mcp_os::private::create_new(path).map_err(failed)?;
        let live = names::live(path);
        let file = mcp_os::private::lockable(&live).map_err(failed)?;
        // Whoever looks whether it is taken holds it for an instant.
        file.lock().map_err(failed)?;
        let index = mcp_os::private::create_new(&names::index(path)).ok();
        Ok(Self { path: path.to_owned(), capture, index, _live: Live { path: live, _file: file } })
    }
}

impl Output for Files {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.capture.write_all(bytes)
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.capture.set_len(length)?;
        self.capture.seek(SeekFrom::Start(length)).map(|_| ())
    }

    fn index(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(index) = &mut self.index else { return Ok(()) };
        let done = index.write_all(bytes);
        if done.is_err() {
            // Half a cell may be there now; what comes after it would not be understood.
            self.index = None;
        }
        done
    }

    fn next_part(&mut self, part: u32) -> io::Result<()> {
        let path = names::part(&self.path, part);
        self.capture = mcp_os::private::create_new(&path)?;
        self.index = mcp_os::private::create_new(&names::index(&path)).ok();
        Ok(())
    }
}

/// What a session came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Messages that were recorded.
    pub frames: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Records that were lost.
    pub lost: u64,
    /// Parts that were written.
    pub parts: u32,
    /// What the last failure to write said, if it was not over at the end.
    pub trouble: Option<String>,
}

/// A batch goes out at this size.
const BATCH: usize = 256 * 1024;

pub(crate) struct Writer {
    output: Box<dyn Output>,
    header: Header,
    part_limit: u64,
    /// Records that wait for one write.
    out: Vec<u8>,
    /// Length of the capture as far as it is whole.
    written: u64,
    sidecar: SidecarWriter,
    symbols: Symbols,
    /// Operations the index does not have for sure.
    new_symbols: Vec<Operation>,
    scratch: Vec<Entry>,
    waiting: Counts,
    in_part: Counts,
    total: Counts,
    lost: Option<(Stamp, Gap)>,
    /// The gap is part of what waits.
    has_gap: bool,
    /// A torn record could not be taken back yet.
    is_torn: bool,
    trouble: Option<String>,
    /// Number and time of the last record.
    last: (u64, u64),
}

#[derive(Clone, Copy, Default)]
struct Counts {
    frames: u64,
    bytes: u64,
    lost: u64,
    records: u64,
    first: Option<Stamp>,
    last: u64,
}

impl Counts {
    fn add(&mut self, other: &Self) {
        self.frames += other.frames;
        self.bytes += other.bytes;
        self.lost += other.lost;
    }
}

impl Writer {
    pub(crate) fn begin(output: Box<dyn Output>, header: Header, part_limit: u64) -> Result<Self, WriteError> {
        let mut writer = Self {
            output,
            part_limit,
            out: Vec::new(),
            written: 0,
            sidecar: SidecarWriter::default(),
            symbols: Symbols::default(),
            new_symbols: Vec::new(),
            scratch: Vec::new(),
            waiting: Counts::default(),
            in_part: Counts::default(),
            total: Counts::default(),
            lost: None,
            has_gap: false,
            is_torn: false,
            trouble: None,
            last: (0, 0),
            header,
        };
        writer.write_beginning().map_err(|source| WriteError::Begin { source })?;
        Ok(writer)
    }

    fn write_beginning(&mut self) -> io::Result<()> {
        let mut out = beginning().to_vec();
        push_record(&mut out, Type::Header, None, &[&file::json(&self.header)]);
        self.output.append(&out)?;
        self.written = out.len() as u64;
        self.sidecar = SidecarWriter::new(&self.header);
        self.symbols = Symbols::default();
        self.new_symbols.clear();
        self.write_index();
        Ok(())
    }

    fn write_index(&mut self) {
        let mut cells = Vec::new();
        if self.sidecar.write_to(&mut cells).is_ok() {
            let _ = self.output.index(&cells);
        }
    }

    /// Why nothing can be written at the moment.
    pub(crate) fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.out.len() >= BATCH
    }

    /// Adds a record to the batch.
    pub(crate) fn item(&mut self, item: Item, redactor: Option<&Redactor>) {
        if self.out.is_empty() {
            self.begin_with_gap();
        }
        let Item { mut stamp, what } = item;
        match what {
            What::Frame(bytes, length) => {
                let bytes = self.redacted(&mut stamp, bytes, redactor);
                stamp.flags = stamp.flags.with_if(!bytes.ends_with(b"\n"), Flags::NO_NEWLINE);
                // What a reader of the file alone would say, too.
                let length = if stamp.flags.has(Flags::TRUNCATED) { length } else { bytes.len() as u64 };
                self.frame(stamp, &bytes, length);
            }
            What::Stderr(bytes) => {
                let bytes = self.redacted(&mut stamp, bytes, redactor);
                self.plain(Type::Stderr, stamp, &bytes, bytes.len(), &Scan::default());
            }
            What::Event(event) => self.event(stamp, *event, redactor),
            What::Gap(gap) => {
                self.waiting.lost += gap.records;
                self.gap(stamp, &gap);
            }
        }
    }

    #[expect(clippy::unused_self, reason = "reads as the step it is")]
    fn redacted(&self, stamp: &mut Stamp, bytes: Bytes, redactor: Option<&Redactor>) -> Bytes {
        let Some(redactor) = redactor else { return bytes };
        match redactor.replace(&bytes) {
            Some(replaced) => {
                stamp.flags = stamp.flags.with(Flags::REDACTED);
                replaced
            }
            None => bytes,
        }
    }

    fn frame(&mut self, mut stamp: Stamp, bytes: &Bytes, length: u64) {
        self.waiting.frames += 1;
        self.waiting.bytes += length;
        let shown = u32::try_from(length).unwrap_or(u32::MAX) as usize;
        if stamp.flags.has(Flags::TRUNCATED) {
            let scan = scan_beginning(bytes);
            let body = [&length.to_le_bytes()[..], bytes].concat();
            self.plain(Type::Frame, stamp, &body, shown, &scan);
            return;
        }
        let scan = scan(bytes);
        stamp.flags = stamp.flags.with(Flags(scan.flags.in_file()));
        self.plain(Type::Frame, stamp, bytes, shown, &scan);
    }

    fn event(&mut self, mut stamp: Stamp, mut event: Event, redactor: Option<&Redactor>) {
        if let Some(redactor) = redactor {
            redactor.event(&mut event);
        }
        let record = Record::Event(event);
        let (scan, _) = scan_event(&record, &mut stamp, 0);
        let Record::Event(event) = record else { unreachable!("it was made one line up") };
        let (kind, body) = file::event_body(&event);
        self.plain(kind, stamp, &body, body.len(), &scan);
    }

    fn gap(&mut self, stamp: Stamp, gap: &Gap) {
        let body = file::json(gap);
        let mut stamp = stamp;
        let (scan, length) = scan_event(&Record::Gap(gap.clone()), &mut stamp, body.len());
        self.plain(Type::Gap, stamp, &body, length, &scan);
    }

    fn plain(&mut self, kind: Type, stamp: Stamp, body: &[u8], shown: usize, scan: &Scan) {
        self.waiting.records += 1;
        self.waiting.first.get_or_insert(stamp);
        self.waiting.last = stamp.sequence;
        if kind != Type::Gap {
            self.last = (stamp.sequence, stamp.at);
        }
        let is_long = body.len() >= BATCH;
        let offset = self.written + self.out.len() as u64;
        let stamped = stamp_bytes(&stamp);
        push_head(&mut self.out, kind, &[&stamped, body]);
        self.out.extend_from_slice(&stamped);
        if !is_long {
            self.out.extend_from_slice(body);
        }
        let entry = Entry::of(offset, shown, stamp, kind);
        let mut new = Vec::new();
        self.scratch.clear();
        entries(entry, scan, &mut self.symbols, &mut new, &mut self.scratch);
        for operation in new {
            self.sidecar.symbol(&self.symbols, operation);
            self.new_symbols.push(operation);
        }
        for entry in &self.scratch {
            self.sidecar.entry(entry);
        }
        if is_long {
            self.commit(Some(body));
        }
    }

    /// What was lost is told before anything that comes after it.
    fn begin_with_gap(&mut self) {
        if let Some((stamp, gap)) = self.lost.clone() {
            // The gap itself is no record that could be lost in turn.
            let before = self.waiting;
            self.gap(stamp, &gap);
            self.waiting = before;
            self.has_gap = true;
        }
    }

    /// Writes the batch, and turns to the next part if this one is large enough.
    pub(crate) fn flush(&mut self) {
        if self.out.is_empty() {
            if self.lost.is_none() {
                return;
            }
            self.begin_with_gap();
        }
        self.commit(None);
        if self.written > self.part_limit && self.trouble.is_none() {
            self.turn();
        }
    }

    fn commit(&mut self, behind: Option<&[u8]>) {
        let waiting = std::mem::take(&mut self.waiting);
        let mended = if self.is_torn { self.output.cut(self.written) } else { Ok(()) };
        let written = mended.and_then(|()| {
            self.is_torn = true;
            self.output.append(&self.out)?;
            behind.map_or(Ok(()), |bytes| self.output.append(bytes))
        });
        let length = self.out.len() as u64 + behind.map_or(0, |bytes| bytes.len() as u64);
        self.out.clear();
        self.out.shrink_to(2 * BATCH);
        match written {
            Ok(()) => {
                self.is_torn = false;
                self.written += length;
                self.trouble = None;
                self.in_part.add(&waiting);
                if std::mem::take(&mut self.has_gap)
                    && let Some((_, gap)) = self.lost.take()
                {
                    self.in_part.lost += gap.records;
                }
                self.new_symbols.clear();
                self.write_index();
            }
            Err(error) => {
                self.trouble = Some(error.to_string());
                self.is_torn = self.output.cut(self.written).is_err();
                self.has_gap = false;
                self.sidecar.forget();
                for operation in &self.new_symbols {
                    self.sidecar.symbol(&self.symbols, *operation);
                }
                self.lose(&waiting);
            }
        }
    }

    fn lose(&mut self, counts: &Counts) {
        let Some(first) = counts.first else { return };
        let first = Stamp { flags: Flags::NONE, ..first };
        let (_, gap) = self.lost.get_or_insert_with(|| (first, Gap { cause: "write".to_owned(), ..Gap::default() }));
        gap.records += counts.records + counts.lost;
        gap.bytes += counts.bytes;
        gap.last = gap.last.max(counts.last);
    }

    fn turn(&mut self) {
        self.footer(true, "");
        let next = Header { part: self.header.part + 1, first_sequence: self.last.0 + 1, ..self.header.clone() };
        match self.output.next_part(next.part) {
            Ok(()) => {
                self.header = next;
                self.total.add(&self.in_part);
                self.in_part = Counts::default();
                if let Err(error) = self.write_beginning() {
                    // Nothing can be appended behind half a beginning, so each batch tries to begin again.
                    self.trouble = Some(error.to_string());
                    self.written = 0;
                    self.is_torn = true;
                }
            }
            // This part goes on behind its footer, which a reader takes for what it is: not the end.
            Err(error) => self.trouble = Some(error.to_string()),
        }
    }

    fn footer(&mut self, continues: bool, reason: &str) {
        let footer = Footer {
            frames: self.in_part.frames,
            bytes: self.in_part.bytes,
            lost: self.in_part.lost,
            ended_ms: mcp_os::clock::now_ms(),
            continues,
            reason: reason.to_owned(),
        };
        let body = file::json(&footer);
        let stamp = Stamp {
            sequence: self.last.0,
            at: self.last.1,
            hop: Hop::Server,
            direction: crate::event::Direction::ToServer,
            flags: Flags::NONE,
        };
        self.plain(Type::Footer, stamp, &body, body.len(), &Scan::default());
        self.waiting = Counts::default();
        self.commit(None);
    }

    /// Writes what waits and the footer.
    pub(crate) fn finish(mut self) -> Summary {
        if !self.out.is_empty() || self.lost.is_some() {
            self.flush();
        }
        self.total.lost += self.lost.as_ref().map_or(0, |(_, gap)| gap.records);
        self.footer(false, "");
        self.total.add(&self.in_part);
        Summary {
            frames: self.total.frames,
            bytes: self.total.bytes,
            lost: self.total.lost,
            parts: self.header.part,
            trouble: self.trouble,
        }
    }
}

/// What the index has of a record that is no message, and the length it shows.
pub(crate) fn scan_event(record: &Record, stamp: &mut Stamp, length: usize) -> (Scan, usize) {
    let mut scan = Scan::default();
    let mut shown = length;
    match record {
        Record::Event(Event::Http(http)) => {
            scan.id = http.frame;
            let is_dropped = http.phase == HttpPhase::Dropped;
            scan.flags = Flags::NONE.with_if(http.status >= 400, Flags::IS_ERROR).with_if(is_dropped, Flags::DROPPED);
            scan.link = Link::Token(u32::from(http.status));
        }
        Record::Event(Event::Peer(peer)) => {
            stamp.hop = Hop::Client(peer.peer);
            scan.class = if peer.open { Class::Request } else { Class::Result };
        }
        Record::Event(Event::Process(process)) => {
            scan.class = if process.started { Class::Request } else { Class::Result };
            let is_bad = process.signal.is_some() || process.code.is_some_and(|code| code != 0);
            scan.flags = Flags::NONE.with_if(is_bad, Flags::IS_ERROR);
        }
        Record::Event(Event::Altered(altered, _)) => scan.id = altered.frame,
        Record::Gap(gap) => {
            scan.id = gap.records;
            shown = usize::try_from(gap.bytes).unwrap_or(usize::MAX);
        }
        _ => {}
    }
    (scan, shown)
}
