//! Where captures live: names, finding, listing, marks, pruning.

use std::fs::{self, File, TryLockError};
use std::hash::{BuildHasher as _, Hasher as _};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use mcp_os::dirs::Dirs;

use crate::event::{Footer, Header, Record};
use crate::file::{HEAD, Head, Type, parse};
use crate::index::CELL;
use crate::reader::{Part, ReadError};

pub mod marks;
pub mod names;
mod prune;

pub use prune::{Policy, Pruned, remove};

/// The directory of captures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    root: PathBuf,
}

/// Why a session was not found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FindError {
    /// Nothing is called so.
    #[error("find the capture `{name}`: there is none in {}", root.display())]
    None {
        /// What was asked for.
        name: String,
        /// Where it was looked for.
        root: PathBuf,
    },
    /// Several are called so.
    #[error("find the capture `{name}`: it could be {}", all.join(", "))]
    Several {
        /// What was asked for.
        name: String,
        /// What there is, the newest first.
        all: Vec<String>,
    },
    /// The directory could not be read.
    #[error("list the captures in {}", root.display())]
    List {
        /// The directory.
        root: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A session as a list shows it, without its records being read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The name: of the first part's file, without its ending.
    pub name: String,
    /// The first part.
    pub path: PathBuf,
    /// What it says of itself.
    pub header: Header,
    /// It is being recorded.
    pub is_live: bool,
    /// It was ended in order.
    pub is_ended: bool,
    /// Messages, as far as footers and indexes tell.
    pub frames: u64,
    /// Records that were lost.
    pub lost: u64,
    /// Bytes on disk, of all parts and what is beside them.
    pub size: u64,
    /// Parts.
    pub parts: u32,
    /// Milliseconds since 1970 of the last sign of life.
    pub last_ms: u64,
}

impl Store {
    /// Where this user's captures are.
    pub fn of(dirs: &Dirs) -> Self {
        Self { root: dirs.captures.clone() }
    }

    /// Captures in another directory.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where a new session is to be recorded; the directory is made, for nobody else to enter.
    pub fn path_for(&self, header: &Header) -> Result<PathBuf, mcp_os::private::PrivateError> {
        mcp_os::private::directory(&self.root)?;
        let started = if header.started_ms == 0 { mcp_os::clock::now_ms() } else { header.started_ms };
        let pid = if header.pid == 0 { std::process::id() } else { header.pid };
        let client = if header.client.is_empty() { "any" } else { &header.client };
        let stem = format!("{}-{}-{}-{pid}", timestamp(started), word(&header.server), word(client));
        let mut path = self.root.join(format!("{stem}.{}", names::CAPTURE));
        // One process may record two sessions in one second.
        let mut number = 1;
        while path.exists() {
            number += 1;
            path = self.root.join(format!("{stem}-{number}.{}", names::CAPTURE));
        }
        Ok(path)
    }

    /// All sessions, the newest first. A file that cannot be read is left out.
    pub fn list(&self) -> Result<Vec<Summary>, FindError> {
        let failed = |source| FindError::List { root: self.root.clone(), source };
        let entries = match fs::read_dir(&self.root) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(failed)?,
        };
        let mut all = Vec::new();
        for entry in entries {
            let path = entry.map_err(failed)?.path();
            let is_first = path.extension().is_some_and(|e| e == names::CAPTURE) && !names::is_later_part(&path);
            if is_first && let Ok(summary) = summary(&path) {
                all.push(summary);
            }
        }
        all.sort_by(|a, b| (b.header.started_ms, &b.name).cmp(&(a.header.started_ms, &a.name)));
        Ok(all)
    }

    /// The first part of a session by its path, `latest`, its name, the beginning of its name or id, or its server's name (the
    /// latest of that server).
    pub fn find(&self, name: &str) -> Result<PathBuf, FindError> {
        let path = Path::new(name);
        if path.is_file() {
            return Ok(path.to_owned());
        }
        let all = self.list()?;
        let none = || FindError::None { name: name.to_owned(), root: self.root.clone() };
        if name == "latest" {
            return all.first().map(|summary| summary.path.clone()).ok_or_else(none);
        }
        let name_of = name.strip_suffix(&format!(".{}", names::CAPTURE)).unwrap_or(name);
        let exact = |s: &&Summary| s.name == name_of || s.header.session == name_of;
        if let Some(found) = all.iter().find(exact) {
            return Ok(found.path.clone());
        }
        if let Some(found) = all.iter().find(|s| s.header.server == name_of) {
            return Ok(found.path.clone());
        }
        let found: Vec<&Summary> = all
            .iter()
            .filter(|s| !name_of.is_empty() && (s.name.starts_with(name_of) || s.header.session.starts_with(name_of)))
            .collect();
        match found.as_slice() {
            [] => Err(none()),
            [one] => Ok(one.path.clone()),
            several => Err(FindError::Several { name: name.to_owned(), all: several.iter().map(|s| s.name.clone()).collect() }),
        }
    }
}

/// A name for a new session: sixteen hexadecimal digits nobody else has.
pub fn new_session() -> String {
    let mut hasher = std::hash::RandomState::new().build_hasher();
    hasher.write_u64(mcp_os::clock::now_ms());
    hasher.write_u32(std::process::id());
    format!("{:016x}", hasher.finish())
}

/// Whether the session of this first part is being recorded: somebody holds its lock.
pub fn is_live(first: &Path) -> bool {
    match File::open(names::live(first)) {
        Ok(file) => matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)),
        Err(_) => false,
    }
}

/// What a list shows of a session.
pub fn summary(first: &Path) -> Result<Summary, ReadError> {
    let part = Part::open(first)?;
    let mut summary = Summary {
        name: first.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
        path: first.to_owned(),
        header: part.header().clone(),
        is_live: is_live(first),
        is_ended: false,
        frames: 0,
        lost: 0,
        size: 0,
        parts: 0,
        last_ms: part.header().started_ms,
    };
    let mut part = Some(part);
    while let Some(this) = part.take() {
        summary.parts += 1;
        let length = this.length().unwrap_or(0);
        let beside = fs::metadata(names::index(this.path())).map_or(0, |meta| meta.len());
        summary.size += length + beside;
        if let Some(footer) = footer(&this, length) {
            summary.frames += footer.frames;
            summary.lost += footer.lost;
            summary.last_ms = footer.ended_ms;
            summary.is_ended = !footer.continues;
        } else {
            // The index has one entry for each record and few others.
            summary.frames += (beside / CELL as u64).saturating_sub(1);
            let modified = fs::metadata(this.path()).and_then(|meta| meta.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
            let age = modified.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            summary.last_ms = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        }
        part = Part::open(&names::part(first, summary.parts + 1))
            .ok()
            .filter(|next| next.header().session == summary.header.session);
    }
    summary.size += fs::metadata(names::marks(first)).map_or(0, |meta| meta.len());
    Ok(summary)
}

/// The footer of a part, found from the file's end.
fn footer(part: &Part, length: u64) -> Option<Footer> {
    const TAIL: u64 = 1024;
    let from = length.saturating_sub(TAIL).max(part.start());
    let file = File::open(part.path()).ok()?;
    let mut tail = vec![0; usize::try_from(length - from.min(length)).ok()?];
    let count = mcp_os::extent::read_at(&file, &mut tail, from).ok()?;
    tail.truncate(count);
    let tail = bytes::Bytes::from(tail);
    // A footer ends where the file does, and its check proves that it is none by accident.
    for start in (0..tail.len().saturating_sub(HEAD)).rev() {
        let Some(head) = Head::parse(&tail[start..]).filter(|head| head.kind == Type::Footer) else { continue };
        if start + HEAD + head.length as usize != tail.len() {
            continue;
        }
        let body = tail.slice(start + HEAD..);
        if head.fits(&tail[start..start + HEAD], &body)
            && let Some((_, Record::Footer(footer))) = parse(Type::Footer, &body)
        {
            return Some(footer);
        }
    }
    None
}

/// `20261124T103316Z`.
fn timestamp(ms: u64) -> String {
    let text = mcp_os::clock::rfc3339(ms);
    let seconds: String = text.split('.').next().unwrap_or_default().chars().filter(|c| !matches!(c, '-' | ':')).collect();
    seconds + "Z"
}

/// A name that can be part of a file's name everywhere.
fn word(name: &str) -> String {
    let word: String = name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).take(40).collect();
    if word.is_empty() { "unnamed".to_owned() } else { word }
}

/// How long ago something was.
fn age(now_ms: u64, then_ms: u64) -> Duration {
    Duration::from_millis(now_ms.saturating_sub(then_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sortable_and_safe() {
        assert_eq!(timestamp(0), "19700101T000000Z");
        assert_eq!(timestamp(951_827_696_000), "20000229T123456Z");
        assert_eq!(timestamp(1_795_516_396_000), "20261124T103316Z");
        assert_eq!(word("../a b/ü.x"), "___a_b___x");
        assert!(names::is_later_part(Path::new("/x/a-b.2.mcpcap")));
        assert!(!names::is_later_part(Path::new("/x/a-b.mcpcap")));
        assert_eq!(names::part(Path::new("/x/a.mcpcap"), 3), Path::new("/x/a.3.mcpcap"));
        assert_ne!(new_session(), new_session());
    }
}
