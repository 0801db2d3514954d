//! Reading a file that belongs to another program: which file it really is, and everything a later write needs to know.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::sys::{self, Stamp};

/// The largest file we read. Far above any real configuration; below what would hurt the machine.
pub const LIMIT: u64 = 64 * 1024 * 1024;

/// A path as it was named, and the file it means once every link is followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The path a client would use; clients that lock beside their file lock beside this one.
    pub named: PathBuf,
    /// The file behind all links: what is read and written.
    pub path: PathBuf,
}

/// What is at a path.
#[derive(Clone, Debug)]
pub enum Found {
    /// Nothing, and perhaps not even its directory.
    Absent(Target),
    /// A regular file.
    File(Loaded),
}

impl Found {
    /// The place, whether something is there or not.
    pub fn target(&self) -> &Target {
        match self {
            Self::Absent(target) => target,
            Self::File(loaded) => &loaded.target,
        }
    }

    /// The content; `None` when nothing is there. Just what [`write::prepare`](crate::write::prepare) compares with.
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Absent(_) => None,
            Self::File(loaded) => Some(&loaded.bytes),
        }
    }
}

/// A file that was read.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// Which file.
    pub target: Target,
    /// Its content.
    pub bytes: Vec<u8>,
    /// Permission bits, where the platform has them.
    pub mode: Option<u32>,
    /// Nobody may write it, or we may not.
    pub read_only: bool,
    /// How many names the file has; above 1 it is written in place.
    pub hard_links: u64,
    /// When it was last written, if the platform says.
    pub modified: Option<SystemTime>,
}

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// A directory, named pipe, socket or device stands in its place.
    #[error("read {}: it is {kind}, not a file", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
        /// What it is, with its article.
        kind: &'static str,
    },
    /// Part of the path that should be a directory is a file.
    #[error("read {}: a part of this path is not a directory", path.display())]
    ParentNotDirectory {
        /// The path.
        path: PathBuf,
    },
    /// A symbolic link to nothing. Writing there would create a file its owner may not expect.
    #[error("read {}: {} is a symbolic link to {}, which does not exist", path.display(), link.display(), target.display())]
    DanglingLink {
        /// The path we were asked for.
        path: PathBuf,
        /// The link.
        link: PathBuf,
        /// Where it points.
        target: PathBuf,
    },
    /// Symbolic links in a circle.
    #[error("read {}: its symbolic links lead in a circle", path.display())]
    LinkLoop {
        /// The path.
        path: PathBuf,
    },
    /// Above [`LIMIT`].
    #[error("read {}: it has {len} bytes, more than the {} MiB we read", path.display(), LIMIT / (1024 * 1024))]
    TooLarge {
        /// The path.
        path: PathBuf,
        /// Its size.
        len: u64,
    },
    /// The system does not let us.
    #[error("read {}: permission denied", path.display())]
    Denied {
        /// The path.
        path: PathBuf,
    },
    /// Anything else.
    #[error("read {}", path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl ReadError {
    fn from_io(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        if sys::is_loop(&source) {
            return Self::LinkLoop { path };
        }
        match source.kind() {
            io::ErrorKind::PermissionDenied => Self::Denied { path },
            io::ErrorKind::NotADirectory => Self::ParentNotDirectory { path },
            _ => Self::Io { path, source },
        }
    }

    /// The path it is about.
    pub fn path(&self) -> &Path {
        match self {
            Self::NotAFile { path, .. }
            | Self::ParentNotDirectory { path }
            | Self::DanglingLink { path, .. }
            | Self::LinkLoop { path }
            | Self::TooLarge { path, .. }
            | Self::Denied { path }
            | Self::Io { path, .. } => path,
        }
    }
}

/// Reads the file behind `path`. Never waits on a pipe, never reads a device.
pub fn read(path: &Path) -> Result<Found, ReadError> {
    let target = resolve(path)?;
    Ok(match open(&target.path)? {
        None => Found::Absent(target),
        Some(Opened { meta, bytes, hard_links, .. }) => Found::File(Loaded {
            mode: sys::mode(&meta),
            read_only: sys::is_read_only(&target.path, &meta),
            hard_links,
            modified: meta.modified().ok(),
            target,
            bytes,
        }),
    })
}

/// Makes a symbolic link to a file. Windows may ask for a privilege.
pub fn link(target: &Path, link: &Path) -> io::Result<()> {
    #[cfg(unix)]
    return std::os::unix::fs::symlink(target, link);
    #[cfg(windows)]
    return std::os::windows::fs::symlink_file(target, link);
    #[cfg(not(any(unix, windows)))]
    Err(io::ErrorKind::Unsupported.into())
}

/// Follows every link of `path`, also those of its directories. What is not there yet stays as named below the part that is.
pub fn resolve(path: &Path) -> Result<Target, ReadError> {
    let named = std::path::absolute(path).map_err(|e| ReadError::from_io(path, e))?;
    for ancestor in named.ancestors() {
        match dunce::canonicalize(ancestor) {
            Ok(real) => {
                let rest = named.strip_prefix(ancestor).unwrap_or(Path::new(""));
                // `join("")` would add a slash at the end, which makes a file a directory.
                let path = if rest.as_os_str().is_empty() { real } else { real.join(rest) };
                return Ok(Target { named, path });
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                if let Ok(first) = std::fs::read_link(ancestor) {
                    let (link, target) = last_link(ancestor, first);
                    return Err(ReadError::DanglingLink { path: named, link, target });
                }
            }
            Err(e) => return Err(ReadError::from_io(&named, e)),
        }
    }
    Ok(Target { path: named.clone(), named })
}

/// The link at the end of a dangling chain, and where it points.
fn last_link(start: &Path, first: PathBuf) -> (PathBuf, PathBuf) {
    let (mut link, mut to) = (start.to_owned(), first);
    // A chain longer than this is a circle, and would have been reported as one.
    for _ in 0..64 {
        to = link.parent().map_or_else(|| to.clone(), |dir| dir.join(&to));
        match std::fs::read_link(&to) {
            Ok(next) => (link, to) = (to, next),
            Err(_) => break,
        }
    }
    (link, to)
}

/// A file that is open, with its content.
pub(crate) struct Opened {
    pub(crate) file: File,
    pub(crate) meta: Metadata,
    pub(crate) stamp: Stamp,
    pub(crate) hard_links: u64,
    pub(crate) bytes: Vec<u8>,
}

/// Reads a path that is resolved already; `None` when nothing is there.
pub(crate) fn open(path: &Path) -> Result<Option<Opened>, ReadError> {
    let fail = |e: io::Error| ReadError::from_io(path, e);
    let check = |meta: &Metadata| match sys::special_kind(meta) {
        Some(kind) => Err(ReadError::NotAFile { path: path.to_owned(), kind }),
        None if meta.len() > LIMIT => Err(ReadError::TooLarge { path: path.to_owned(), len: meta.len() }),
        None => Ok(()),
    };
    // Looked at before it is opened: merely opening a device can do something.
    match std::fs::symlink_metadata(path) {
        Ok(meta) => check(&meta)?,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(fail(e)),
    }
    let mut file = match retrying(sys::is_shared_badly, || sys::open_to_read(path)) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(fail(e)),
    };
    let meta = file.metadata().map_err(fail)?;
    check(&meta)?;
    let mut bytes = Vec::with_capacity(usize::try_from(meta.len()).unwrap_or(0) + 1);
    (&mut file).take(LIMIT + 1).read_to_end(&mut bytes).map_err(fail)?;
    if bytes.len() as u64 > LIMIT {
        return Err(ReadError::TooLarge { path: path.to_owned(), len: bytes.len() as u64 });
    }
    Ok(Some(Opened { hard_links: sys::hard_links(&file, &meta), stamp: Stamp::of(&meta), file, meta, bytes }))
}

/// Tries again for up to two seconds while another program (on Windows a virus scanner) holds the file.
pub(crate) fn retrying<T>(is_passing: fn(&io::Error) -> bool, mut attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let mut wait = std::time::Duration::from_millis(5);
    loop {
        match attempt() {
            Err(e) if is_passing(&e) && wait.as_millis() < 1_000 => {
                std::thread::sleep(wait);
                wait *= 2;
            }
            other => return other,
        }
    }
}
