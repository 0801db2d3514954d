//! The undo journal: what was changed in which file, so that it can be changed back.
//!
//! One file per change, `<state>/journal/<number>.jsonl`, readable by its owner only, since it holds what was in the
//! configuration. The first line is a [`Header`]; each further line is one [`FileEdit`], synced before the file itself
//! is replaced, or a note on what became of the change. Only the places that changed are kept, not the file: a
//! configuration may be large.
//!
//! A line that was cut off (the process was killed, the disk was full) is skipped and counted. A file written by a newer
//! minor version is read as far as we know it and never rewritten; an unknown major version is refused by name.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{clock, dirs, sys};

mod edit;
mod path_text;
mod undo;

pub use edit::{FileEdit, Origin, SpliceRecord, hash};
pub use undo::{UndoOutcome, undo_text};

/// Format of the files written by this version.
pub const SCHEMA: &str = "mcp.journal/1";

/// First line of a record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// [`SCHEMA`], or that of another version.
    pub schema: String,
    /// The record's number, which is also its file's name.
    pub id: u64,
    /// When the change was made.
    pub time_unix_ms: u64,
    /// The command that made it, as a person would type it (without secrets).
    pub command: String,
    /// Whatever else the caller wants to remember.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub details: serde_json::Value,
}

/// A further line of a record.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Edit(Box<FileEdit>),
    Status(Status),
}

/// What became of a change.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Status {
    /// The record that undid this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    undone_by: Option<u64>,
    /// The undoing was itself undone: the record stands again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    stands_again: bool,
    /// Edits (by position) that were noted and then not made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    abandoned: Vec<usize>,
}

/// One change, as read.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// What and when.
    pub header: Header,
    /// The edits in the order they were made. Those that were [abandoned](RecordWriter::abandon) are here too.
    pub edits: Vec<FileEdit>,
    /// Positions in `edits` of those that were not made.
    pub abandoned: Vec<usize>,
    /// The record that undid this one.
    pub undone_by: Option<u64>,
    /// Lines that could not be read: one at the end means the process was killed while it wrote it.
    pub damaged_lines: usize,
}

impl Record {
    /// The edits that were made, as far as the journal knows, last first: the order in which to undo them.
    pub fn edits_to_undo(&self) -> impl Iterator<Item = &FileEdit> {
        self.edits.iter().enumerate().rev().filter(|(i, _)| !self.abandoned.contains(i)).map(|(_, edit)| edit)
    }
}

/// Why the journal could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// A journal file or directory could not be read or written.
    #[error("{action} the undo journal {}", path.display())]
    Io {
        /// What we did: "read", "write", "create".
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is no such record.
    #[error("find change {id} in the undo journal: there is no such change")]
    Unknown {
        /// Its number.
        id: u64,
    },
    /// The record was written by a version that changed the format.
    #[error("read {}: it has the format `{schema}`, which this version does not know; a newer `mcp` wrote it", path.display())]
    Schema {
        /// The file.
        path: PathBuf,
        /// The format it names.
        schema: String,
    },
    /// The file does not begin with a header.
    #[error("read {}: it does not begin with a header of the undo journal", path.display())]
    NoHeader {
        /// The file.
        path: PathBuf,
    },
}

impl JournalError {
    /// The same once more, for each of several files one error kept from being changed: what the system said cannot be
    /// cloned.
    #[must_use]
    pub fn again(&self) -> Self {
        match self {
            Self::Io { action, path, source } => {
                let source = match source.raw_os_error() {
                    Some(code) => io::Error::from_raw_os_error(code),
                    None => io::Error::new(source.kind(), source.to_string()),
                };
                Self::Io { action, path: path.clone(), source }
            }
            Self::Unknown { id } => Self::Unknown { id: *id },
            Self::Schema { path, schema } => Self::Schema { path: path.clone(), schema: schema.clone() },
            Self::NoHeader { path } => Self::NoHeader { path: path.clone() },
        }
    }
}

/// The journal of one state directory.
#[derive(Clone, Debug)]
pub struct Journal {
    dir: PathBuf,
}

/// A record being written.
#[derive(Debug)]
pub struct RecordWriter {
    id: u64,
    path: PathBuf,
    file: File,
    edits: usize,
}

impl Journal {
    /// The journal below `state_dir`. Nothing is created until something is written.
    pub fn open(state_dir: &Path) -> Self {
        Self { dir: state_dir.join("journal") }
    }

    /// Begins a record under the next free number. Nothing is on disk yet that would survive a power cut: that is so
    /// once [`RecordWriter::append`] returns.
    pub fn begin(&self, command: &str, details: serde_json::Value) -> Result<RecordWriter, JournalError> {
        let fail = |path: &Path, source| JournalError::Io { action: "create", path: path.to_owned(), source };
        dirs::create_private(&self.dir).map_err(|e| fail(&self.dir, e))?;
        let mut id = self.ids()?.last().copied().unwrap_or(0) + 1;
        loop {
            let path = self.path(id);
            let mut options = OpenOptions::new();
            options.read(true).append(true).create_new(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            match options.open(&path) {
                Ok(file) => {
                    let schema = SCHEMA.to_owned();
                    let header = Header { schema, id, time_unix_ms: clock::now_ms(), command: command.to_owned(), details };
                    let mut writer = RecordWriter { id, path, file, edits: 0 };
                    return match writer.write(&[header], false) {
                        Ok(()) => Ok(writer),
                        Err(error) => {
                            let _ = writer.discard();
                            Err(error)
                        }
                    };
                }
                // Another process was faster.
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => id += 1,
                Err(e) => return Err(fail(&path, e)),
            }
        }
    }

    /// All records that can be read, newest first. Unreadable ones are the second list: they stop nobody from undoing
    /// another change.
    pub fn list(&self) -> Result<(Vec<Record>, Vec<JournalError>), JournalError> {
        let (mut records, mut errors) = (Vec::new(), Vec::new());
        for id in self.ids()?.into_iter().rev() {
            match self.get(id) {
                Ok(record) => records.push(record),
                // Pruned by another process this moment, or being begun by it.
                Err(JournalError::Unknown { .. }) => {}
                Err(error) => errors.push(error),
            }
        }
        Ok((records, errors))
    }

    /// The newest record, if it can be read.
    pub fn newest(&self) -> Option<Record> {
        self.get(*self.ids().ok()?.last()?).ok()
    }

    /// One record.
    pub fn get(&self, id: u64) -> Result<Record, JournalError> {
        let path = self.path(id);
        match std::fs::read(&path) {
            // Killed before even the first line was whole: nothing can have come of it.
            Ok(bytes) if !bytes.contains(&b'\n') => Err(JournalError::Unknown { id }),
            Ok(bytes) => parse(&bytes, &path),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Err(JournalError::Unknown { id }),
            Err(source) => Err(JournalError::Io { action: "read", path, source }),
        }
    }

    /// Notes that record `id` was undone by record `by`.
    pub fn mark_undone(&self, id: u64, by: u64) -> Result<(), JournalError> {
        self.add_status(id, Status { undone_by: Some(by), ..Status::default() })
    }

    /// Notes that the undoing of record `id` was itself undone.
    pub fn mark_standing(&self, id: u64) -> Result<(), JournalError> {
        self.add_status(id, Status { stands_again: true, ..Status::default() })
    }

    fn add_status(&self, id: u64, status: Status) -> Result<(), JournalError> {
        let path = self.path(id);
        let file = match OpenOptions::new().read(true).append(true).open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(JournalError::Unknown { id }),
            Err(source) => return Err(JournalError::Io { action: "write", path, source }),
        };
        let mut writer = RecordWriter { id, path, file, edits: 0 };
        writer.write(&[Line::Status(status)], true)
    }

    /// Deletes records beyond the newest `keep` and those older than `max_age`. The newest always stays, since numbers
    /// are counted on from it. Returns the numbers deleted.
    pub fn prune(&self, keep: usize, max_age: Duration) -> Result<Vec<u64>, JournalError> {
        let oldest = clock::now_ms().saturating_sub(u64::try_from(max_age.as_millis()).unwrap_or(u64::MAX));
        let mut deleted = Vec::new();
        for (nth, id) in self.ids()?.into_iter().rev().enumerate().skip(1) {
            let is_old = || self.get(id).is_ok_and(|record| record.header.time_unix_ms < oldest);
            if (nth >= keep || is_old()) && std::fs::remove_file(self.path(id)).is_ok() {
                deleted.push(id);
            }
        }
        Ok(deleted)
    }

    /// The file of a record.
    pub fn path(&self, id: u64) -> PathBuf {
        self.dir.join(format!("{id:06}.jsonl"))
    }

    /// Numbers in use, ascending.
    fn ids(&self) -> Result<Vec<u64>, JournalError> {
        let entries = match std::fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(JournalError::Io { action: "read", path: self.dir.clone(), source }),
        };
        let id = |name: &str| name.strip_suffix(".jsonl")?.parse().ok();
        let mut ids: Vec<u64> = entries.flatten().filter_map(|e| id(e.file_name().to_str()?)).collect();
        ids.sort_unstable();
        Ok(ids)
    }
}

impl RecordWriter {
    /// The record's number.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Notes edits that are about to be made, and returns once they would survive a power cut. Returns the position of
    /// the first. Several edits together cost one sync.
    pub fn append(&mut self, edits: Vec<FileEdit>) -> Result<usize, JournalError> {
        let first = self.edits;
        self.edits += edits.len();
        let lines: Vec<Line> = edits.into_iter().map(|edit| Line::Edit(Box::new(edit))).collect();
        let dir = self.path.parent().filter(|_| first == 0).map(Path::to_owned);
        let Some(dir) = dir else { return self.write(&lines, true).map(|()| first) };
        // The file is new: its name must last, too. Asked for both at once, a disk takes the time of one.
        std::thread::scope(|scope| {
            let synced = scope.spawn(|| sys::sync_dir(&dir));
            self.write(&lines, true)?;
            let failed = |source| JournalError::Io { action: "write", path: dir.clone(), source };
            synced.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)).map_err(failed)
        })?;
        Ok(first)
    }

    /// Notes that edits (by position) were not made after all. Not synced: an edit that was not made is recognised by
    /// the file's content, too.
    pub fn abandon(&mut self, edits: &[usize]) -> Result<(), JournalError> {
        self.write(&[Line::Status(Status { abandoned: edits.to_vec(), ..Status::default() })], false)
    }

    /// Deletes the record, because nothing came of it.
    pub fn discard(self) -> Result<(), JournalError> {
        let Self { path, file, .. } = self;
        // Windows deletes no open file.
        drop(file);
        std::fs::remove_file(&path).map_err(|source| JournalError::Io { action: "delete", path, source })
    }

    /// Writes whole lines with one call.
    fn write<T: Serialize>(&mut self, lines: &[T], sync: bool) -> Result<(), JournalError> {
        let mut text = Vec::new();
        let result = (|| {
            if !ends_with_newline(&mut self.file)? {
                text.push(b'\n');
            }
            for line in lines {
                serde_json::to_writer(&mut text, line)?;
                text.push(b'\n');
            }
            self.file.write_all(&text)?;
            if sync { self.file.sync_data() } else { Ok(()) }
        })();
        result.map_err(|source| JournalError::Io { action: "write", path: self.path.clone(), source })
    }
}

/// A line cut off by a killed process must not swallow the next one.
fn ends_with_newline(file: &mut File) -> io::Result<bool> {
    use std::io::{Read as _, Seek as _, SeekFrom};
    if file.metadata()?.len() == 0 {
        return Ok(true);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

/// Reads a record, skipping lines that are damaged and those of a kind we do not know.
fn parse(bytes: &[u8], path: &Path) -> Result<Record, JournalError> {
    #[derive(Deserialize)]
    struct SchemaOnly {
        schema: String,
    }
    let mut lines = bytes.split(|b| *b == b'\n').filter(|line| !line.is_empty());
    let no_header = || JournalError::NoHeader { path: path.to_owned() };
    let first = lines.next().ok_or_else(no_header)?;
    let SchemaOnly { schema } = serde_json::from_slice(first).map_err(|_| no_header())?;
    // `mcp.journal/1` and `mcp.journal/1.4` are ours; a minor version only adds.
    let major = schema.split('.').take(2).collect::<Vec<_>>().join(".");
    if major != SCHEMA {
        return Err(JournalError::Schema { path: path.to_owned(), schema });
    }
    let header = serde_json::from_slice(first).map_err(|_| no_header())?;
    let mut record = Record { header, edits: Vec::new(), abandoned: Vec::new(), undone_by: None, damaged_lines: 0 };
    for line in lines {
        match serde_json::from_slice(line) {
            Ok(Line::Edit(edit)) => record.edits.push(*edit),
            Ok(Line::Status(status)) => {
                record.undone_by = status.undone_by.or(record.undone_by).filter(|_| !status.stands_again);
                record.abandoned.extend(status.abandoned);
            }
            // Legal JSON of an unknown kind comes from a newer version.
            Err(e) if e.is_data() => {}
            Err(_) => record.damaged_lines += 1,
        }
    }
    Ok(record)
}
