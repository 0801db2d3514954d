//! Replacing one file so that at every moment, and after a power cut at any moment, it has either the old content or the
//! new one; and only if it still has the content the caller planned against.
//!
//! Two steps, so that the undo journal can be written between them: [`prepare`] compares, and writes and syncs a new file
//! beside the old one; [`Prepared::commit`] compares once more and renames. Dropping a [`Prepared`] leaves no trace.
//!
//! Kept: owner, group, mode, and (on Linux and macOS, as far as the system allows) extended attributes, which include
//! ACLs on Linux. Not kept: the inode number, and on Windows an access list set on the file itself.
//!
//! Some files cannot be replaced without breaking something: those with several hard links, those whose directory we may
//! not write, those of another owner. They are written in place, after a copy of the old bytes was put safely into the
//! recovery directory; a power cut can then leave a mix, which the next [`prepare`] recognises and reports together with
//! the copy.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;
use xxhash_rust::xxh3::xxh3_64;

use crate::file::{self, Opened, ReadError, Target};
use crate::sys::{self, Stamp};

mod in_place;
mod many;
mod swap;

pub use many::{Request, commit_all, prepare_all};

/// How every temporary file of ours begins.
pub const TEMP_PREFIX: &str = ".mcp-";

/// Choices for one write.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// Permission bits of a file that is created, before the umask: 0o600 if it may hold secrets, else 0o644.
    pub mode_if_new: u32,
    /// Directories that are created get 0700.
    pub private: bool,
    /// Where a copy of the old bytes goes while a file is written in place ([`Dirs::recovery`](crate::dirs::Dirs::recovery)).
    pub recovery: &'a Path,
}

/// How a file came to its new content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// It was new.
    Created,
    /// A new file took the old one's name.
    Renamed,
    /// The old file was overwritten, because replacing it would have broken a hard link or changed its owner, or its
    /// directory is closed to us.
    InPlace,
}

/// What a write did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// How.
    pub method: Method,
    /// Directories that had to be made, outermost first.
    pub created_dirs: Vec<PathBuf>,
    /// The system confirmed that the change survives a power cut.
    pub durable: bool,
}

/// Why a file was not written. Unless a variant says otherwise, the old file is untouched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// Another program changed the file since it was read. Nothing was done: plan again from `now`.
    #[error("write {}: another program changed it in the meantime; it is left as that program wrote it", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
        /// Its present content; `None` when it is gone.
        now: Option<Vec<u8>>,
    },
    /// The file is marked read-only, or not ours to write.
    #[error("write {}: it is read-only; it is untouched", path.display())]
    ReadOnly {
        /// The file.
        path: PathBuf,
    },
    /// The file could not be read again.
    #[error("compare the file with what was planned; it is untouched")]
    Read(#[from] ReadError),
    /// A directory on the way could not be made.
    #[error("create directory {} for {}; nothing was written", dir.display(), path.display())]
    CreateDir {
        /// The file.
        path: PathBuf,
        /// The directory.
        dir: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The new content could not be put beside the old file.
    #[error("write a new file beside {}, which is untouched", path.display())]
    Beside {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The new file could not take the old one's name.
    #[error("rename the new file to {}, which is untouched", path.display())]
    Rename {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another program replaced the file in the same instant, and giving it its name back failed.
    #[error("write {}: what another program wrote there in the same instant is now in {}", path.display(), copy.display())]
    Displaced {
        /// The file, which was written or deleted.
        path: PathBuf,
        /// The other program's content.
        copy: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// No copy of the old bytes could be kept, so a file that can only be written in place was not.
    #[error("save a copy of {} to {} before writing it in place; the file is untouched", path.display(), copy.display())]
    SaveCopy {
        /// The file.
        path: PathBuf,
        /// The copy.
        copy: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Writing in place failed; the old bytes were put back.
    #[error("write {} in place; its old content was put back", path.display())]
    InPlace {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Writing in place failed, and so did putting the old bytes back.
    #[error("write {} in place, and putting its old content back failed too: that is kept in {}", path.display(), copy.display())]
    Torn {
        /// The file.
        path: PathBuf,
        /// The copy of the old bytes.
        copy: PathBuf,
        /// What the system said first.
        source: io::Error,
    },
    /// An earlier write in place was cut off.
    #[error(
        "write {}: an earlier write was interrupted and its content is incomplete; what it was before is kept in {}",
        path.display(),
        copy.display()
    )]
    Interrupted {
        /// The file.
        path: PathBuf,
        /// The copy of the old bytes.
        copy: PathBuf,
    },
    /// The file could not be deleted.
    #[error("delete {}, which is untouched", path.display())]
    Delete {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A write of which everything is done but the last step.
#[derive(Debug)]
pub struct Prepared<'a> {
    path: PathBuf,
    before: Option<&'a [u8]>,
    after: &'a [u8],
    step: Step,
    /// The old file as it was compared; `None` if there is none.
    stamp: Option<Stamp>,
    /// After `step`: a directory is empty once the temporary file in it is gone.
    dirs: CreatedDirs,
    recovery: PathBuf,
}

#[derive(Debug)]
enum Step {
    Rename(NamedTempFile),
    InPlace,
}

/// Removes the directories it names when dropped, unless they are kept.
#[derive(Debug, Default)]
struct CreatedDirs(Vec<PathBuf>);

impl Drop for CreatedDirs {
    fn drop(&mut self) {
        remove_dirs(&self.0);
    }
}

/// [`prepare`] and [`commit`](Prepared::commit) in one, for files nobody wants undone.
pub fn replace(target: &Target, before: Option<&[u8]>, after: &[u8], options: &Options<'_>) -> Result<Written, WriteError> {
    prepare(target, before, after, options)?.commit()
}

/// Compares the file with `before` (`None`: it must not exist) and readies `after` beside it. The caller holds the lock of
/// the target: temporary files found beside it are those of killed processes.
pub fn prepare<'a>(
    target: &Target,
    before: Option<&'a [u8]>,
    after: &'a [u8],
    options: &Options<'_>,
) -> Result<Prepared<'a>, WriteError> {
    let path = target.path.clone();
    let beside = |source| WriteError::Beside { path: path.clone(), source };
    let dir = path.parent().ok_or_else(|| beside(io::ErrorKind::IsADirectory.into()))?;
    let old = file::open(&path)?;
    in_place::check_interrupted(&path, old.as_ref().map(|o| &o.bytes[..]), options.recovery)?;
    if old.as_ref().map(|o| &o.bytes[..]) != before {
        return Err(WriteError::Changed { path, now: old.map(|o| o.bytes) });
    }
    let mut dirs = CreatedDirs::default();
    match &old {
        Some(old) if sys::is_read_only(&path, &old.meta) => return Err(WriteError::ReadOnly { path }),
        Some(_) => {}
        None => create_dirs(&path, dir, options.private, &mut dirs)?,
    }
    let step = match write_beside(&path, dir, old.as_ref(), after, options).map_err(beside)? {
        Some(temp) => Step::Rename(temp),
        None => Step::InPlace,
    };
    Ok(Prepared { before, after, step, stamp: old.map(|o| o.stamp), dirs, recovery: options.recovery.to_owned(), path })
}

/// The synced new file; `None` when the old one has to be written in place.
fn write_beside(
    path: &Path,
    dir: &Path,
    old: Option<&Opened>,
    after: &[u8],
    options: &Options<'_>,
) -> io::Result<Option<NamedTempFile>> {
    if old.is_some_and(|o| o.hard_links > 1) {
        return Ok(None);
    }
    let prefix = temp_prefix(path);
    clean_up(path);
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix).suffix(".tmp").rand_bytes(12);
    // The old file may be closed to others: so is the new one until it has the old one's mode.
    if let Some(permissions) = sys::permissions(if old.is_some() { 0o600 } else { options.mode_if_new }) {
        builder.permissions(permissions);
    }
    let mut temp = match builder.tempfile_in(dir) {
        Ok(temp) => temp,
        Err(e) if old.is_some() && sys::is_refused(&e) => return Ok(None),
        Err(e) => return Err(e),
    };
    if let Some(old) = old
        && !sys::take_after(temp.as_file(), &old.file, &old.meta)?
    {
        return Ok(None);
    }
    temp.as_file_mut().write_all(after)?;
    temp.as_file().sync_all()?;
    Ok(Some(temp))
}

impl Prepared<'_> {
    /// The directories that were made for the file, outermost first.
    pub fn created_dirs(&self) -> &[PathBuf] {
        &self.dirs.0
    }

    /// True when the file is going to be overwritten rather than replaced.
    pub fn is_in_place(&self) -> bool {
        matches!(self.step, Step::InPlace)
    }

    /// Compares once more and makes the change.
    pub fn commit(mut self) -> Result<Written, WriteError> {
        self.compare_again()?;
        let method = match self.step {
            Step::InPlace => in_place::write(&self.path, self.before.unwrap_or_default(), self.after, &self.recovery)?,
            Step::Rename(temp) if self.before.is_none() => match temp.persist_noclobber(&self.path) {
                Ok(_) => Method::Created,
                Err(e) if e.error.kind() == io::ErrorKind::AlreadyExists => {
                    let now = file::open(&self.path)?.map(|o| o.bytes);
                    return Err(WriteError::Changed { path: self.path, now });
                }
                Err(e) => return Err(WriteError::Rename { path: self.path, source: e.error }),
            },
            Step::Rename(temp) => match swap::replace(temp, &self.path, self.before.unwrap_or_default(), self.stamp) {
                Ok(()) => Method::Renamed,
                Err(WriteError::Rename { source, .. }) if sys::is_mount_point(&source) => {
                    in_place::write(&self.path, self.before.unwrap_or_default(), self.after, &self.recovery)?
                }
                Err(error) => return Err(error),
            },
        };
        let created_dirs = std::mem::take(&mut self.dirs.0);
        let mut durable = true;
        if method != Method::InPlace {
            // From here on the new content is what every reader sees, so a failure is no longer a reason to report one.
            let parents = created_dirs.iter().chain([&self.path]).filter_map(|p| p.parent());
            durable = parents.map(sys::sync_dir).filter(Result::is_err).count() == 0;
        }
        Ok(Written { method, created_dirs, durable })
    }

    /// Reads the file again unless its stamp proves that nothing happened.
    fn compare_again(&self) -> Result<(), WriteError> {
        if let Some(stamp) = self.stamp
            && stamp.is_settled()
            && std::fs::symlink_metadata(&self.path).is_ok_and(|meta| Stamp::of(&meta) == stamp)
        {
            return Ok(());
        }
        let now = file::open(&self.path)?.map(|o| o.bytes);
        if now.as_deref() == self.before { Ok(()) } else { Err(WriteError::Changed { path: self.path.clone(), now }) }
    }
}

/// Deletes the file if it still has the content `before`. Returns whether the deletion survives a power cut. The caller
/// holds the lock of the target.
pub fn remove(target: &Target, before: &[u8]) -> Result<bool, WriteError> {
    let path = target.path.clone();
    clean_up(&path);
    let now = file::open(&path)?;
    match now {
        Some(old) if old.bytes == before => {}
        other => return Err(WriteError::Changed { path, now: other.map(|o| o.bytes) }),
    }
    swap::remove(&path, before, &temp_prefix(&path))?;
    Ok(path.parent().is_some_and(|dir| sys::sync_dir(dir).is_ok()))
}

/// Removes directories we made (outermost first), as far as they are empty. Returns those removed.
pub fn remove_dirs(created: &[PathBuf]) -> Vec<PathBuf> {
    created.iter().rev().take_while(|dir| std::fs::remove_dir(dir).is_ok()).cloned().collect()
}

/// Makes the missing directories of `path`, outermost first.
fn create_dirs(path: &Path, dir: &Path, private: bool, made: &mut CreatedDirs) -> Result<(), WriteError> {
    if dir.is_dir() {
        return Ok(());
    }
    let missing: Vec<&Path> = dir.ancestors().take_while(|d| !d.is_dir()).collect();
    for dir in missing.into_iter().rev() {
        match sys::create_dir(dir, private) {
            Ok(()) => made.0.push(dir.to_owned()),
            // Another process was faster, so it is not ours to remove.
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => {}
            Err(source) => return Err(WriteError::CreateDir { path: path.to_owned(), dir: dir.to_owned(), source }),
        }
    }
    Ok(())
}

/// Distinct for each target, so that cleaning up for one never meets a temporary file of another.
fn temp_prefix(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    format!("{TEMP_PREFIX}{:016x}-", xxh3_64(name))
}

/// Whether a killed process left something beside this file (a resolved path), or a living one is about to replace it.
pub fn has_leftovers(path: &Path) -> bool {
    leftovers(path).next().is_some()
}

/// Deletes what killed processes left beside a file (a resolved path) whose lock the caller holds.
pub fn clean_up(path: &Path) {
    for leftover in leftovers(path) {
        let _ = std::fs::remove_file(leftover);
    }
}

/// The temporary files of a target.
fn leftovers(path: &Path) -> impl Iterator<Item = PathBuf> {
    let prefix = temp_prefix(path);
    let entries = path.parent().and_then(|dir| std::fs::read_dir(dir).ok()).into_iter().flatten().flatten();
    entries.filter(move |e| e.file_name().as_encoded_bytes().starts_with(prefix.as_bytes())).map(|e| e.path())
}
