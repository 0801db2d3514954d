//! Windows.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::windows::fs::MetadataExt;
use std::path::Path;

/// What tells one state of a file from another without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    len: u64,
    created: u64,
    modified: u64,
}

impl Stamp {
    pub(crate) fn of(meta: &Metadata) -> Self {
        Self { len: meta.file_size(), created: meta.creation_time(), modified: meta.last_write_time() }
    }

    /// Never: the time of the last write may be set late, when the writer closes the file.
    #[expect(clippy::unused_self, reason = "the other platforms ask the stamp")]
    pub(crate) fn is_settled(&self) -> bool {
        false
    }

    /// Never known, for the same reason.
    #[expect(clippy::unused_self, reason = "the other platforms ask the stamp")]
    pub(crate) fn is_unwritten_since(&self, _before: &Self) -> bool {
        false
    }

    /// The same file, whatever its content. Directories keep their creation time, which is all we ask it of.
    pub(crate) fn is_same_file(&self, other: &Self) -> bool {
        self.created == other.created
    }
}

pub(crate) fn open_to_read(path: &Path) -> io::Result<File> {
    File::open(path)
}

pub(crate) fn open_to_write(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open(path)
}

pub(crate) fn special_kind(meta: &Metadata) -> Option<&'static str> {
    if meta.is_dir() {
        Some("a directory")
    } else if meta.is_file() || meta.is_symlink() {
        None
    } else {
        Some("no regular file")
    }
}

/// `ERROR_CANT_RESOLVE_FILENAME`.
pub(crate) fn is_loop(error: &io::Error) -> bool {
    error.raw_os_error() == Some(1921)
}

/// `ERROR_ACCESS_DENIED`.
pub(crate) fn is_refused(error: &io::Error) -> bool {
    error.raw_os_error() == Some(5)
}

pub(crate) fn is_mount_point(_error: &io::Error) -> bool {
    false
}

/// `ERROR_SHARING_VIOLATION`, `ERROR_LOCK_VIOLATION`: another program has the file open and shares it with nobody.
pub(crate) fn is_shared_badly(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(32 | 33))
}

/// The same or `ERROR_ACCESS_DENIED`: what a virus scanner or an indexer that looks at the file this moment makes of a
/// rename.
pub(crate) fn is_held_by_another(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(5 | 32 | 33))
}

pub(crate) fn hard_links(file: &File, _meta: &Metadata) -> u64 {
    winapi_util::file::information(file).map_or(1, |i| i.number_of_links())
}

pub(crate) fn mode(_meta: &Metadata) -> Option<u32> {
    None
}

pub(crate) fn is_read_only(_path: &Path, meta: &Metadata) -> bool {
    meta.permissions().readonly()
}

pub(crate) fn permissions(_mode: u32) -> Option<std::fs::Permissions> {
    None
}

/// Access lists are inherited from the parent, which for everything of ours lies in the user's profile.
pub(crate) fn create_dir(path: &Path, _private: bool) -> io::Result<()> {
    std::fs::create_dir(path)
}

/// The file system's own log orders renames here; a directory cannot be flushed without special rights.
#[expect(clippy::unnecessary_wraps, reason = "the other platforms can fail")]
pub(crate) fn sync_dir(_dir: &Path) -> io::Result<()> {
    Ok(())
}

/// A new file inherits its access list from the directory, as the old one did.
#[expect(clippy::unnecessary_wraps, reason = "the other platforms can fail")]
pub(crate) fn take_after(_new: &File, _old: &File, _old_meta: &Metadata) -> io::Result<bool> {
    Ok(true)
}

/// Swaps two names in one step: not here.
pub(crate) fn exchange(_a: &Path, _b: &Path) -> Option<io::Result<()>> {
    None
}

/// Renames, failing when `to` exists (asked before: Windows has no call that does both in one step for files).
pub(crate) fn rename_exclusive(from: &Path, to: &Path) -> io::Result<()> {
    if to.symlink_metadata().is_ok() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    std::fs::rename(from, to)
}

/// There is no call for it that needs no `unsafe`.
pub(crate) fn is_there(_pid: u32) -> Option<bool> {
    None
}

/// How a process ended, to be put after its name.
pub(crate) fn ending(status: std::process::ExitStatus) -> String {
    match status.code() {
        // What the system itself ends a process with is looked up in this spelling.
        Some(code) if code < 0 => format!("exited with status {code:#010x}"),
        Some(code) => format!("exited with status {code}"),
        None => "ended".to_owned(),
    }
}
