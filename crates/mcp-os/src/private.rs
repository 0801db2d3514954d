//! Files for nobody but this user: a directory others cannot enter, and files in it that are replaced in one step.
//!
//! Unlike [`write`](crate::write) these are our own files: nobody else edits them, so nothing is compared or journaled.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::dirs;

/// Why a directory cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrivateError {
    /// It belongs to someone else, who could put there what we would trust.
    #[error("use {}: it belongs to another user (number {owner}), not to the one this runs as ({user})", path.display())]
    Foreign {
        /// The directory.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who we are.
        user: u32,
    },
    /// It could not be made or read.
    #[error("make the directory {}", path.display())]
    Io {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Makes a directory if need be, checks that it is ours, and keeps others out.
pub fn directory(path: &Path) -> Result<(), PrivateError> {
    let io = |source| PrivateError::Io { path: path.to_owned(), source };
    if !path.is_dir() {
        dirs::create_private(path).map_err(io)?;
    }
    check(path)
}

#[cfg(unix)]
fn check(path: &Path) -> Result<(), PrivateError> {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    let io = |source| PrivateError::Io { path: path.to_owned(), source };
    let meta = std::fs::metadata(path).map_err(io)?;
    let user = user();
    if meta.uid() != user {
        return Err(PrivateError::Foreign { path: path.to_owned(), owner: meta.uid(), user });
    }
    if meta.mode() & 0o077 != 0 {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700)).map_err(io)?;
    }
    Ok(())
}

/// The profile of a user is closed to others already.
#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "the other platforms can fail")]
fn check(_path: &Path) -> Result<(), PrivateError> {
    Ok(())
}

/// The number of the user this runs as.
#[cfg(unix)]
pub fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Users have no numbers here.
#[cfg(not(unix))]
pub fn user() -> u32 {
    0
}

fn options() -> OpenOptions {
    #[cfg_attr(not(unix), expect(unused_mut, reason = "there are no modes to set"))]
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Gives a file this content in one step: a reader sees the old or the new.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // One writer per file is the caller's business, so the name may be fixed and a leftover is overwritten.
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let mut file = options().write(true).create(true).truncate(true).open(&beside)?;
    file.write_all(bytes)?;
    drop(file);
    std::fs::rename(&beside, path)
}

/// Opens a file for adding to its end, and makes it.
pub fn append(path: &Path) -> io::Result<File> {
    options().append(true).create(true).open(path)
}

/// Makes a file that must not be there yet, for writing and reading.
pub fn create_new(path: &Path) -> io::Result<File> {
    options().read(true).write(true).create_new(true).open(path)
}

/// Opens a file whose content does not matter, to be locked.
pub fn lockable(path: &Path) -> io::Result<File> {
    options().read(true).write(true).create(true).truncate(false).open(path)
}

/// A file another process may be the first to make with this content: returns what it has then.
pub fn write_once(path: &Path, bytes: &[u8]) -> io::Result<Vec<u8>> {
    match std::fs::read(path) {
        Ok(found) if found.len() >= bytes.len() => return Ok(found),
        Ok(_) => {}
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => return Err(e),
    }
    write(path, bytes)?;
    std::fs::read(path)
}

/// Closes an existing file of ours, such as a socket, to others.
#[cfg(unix)]
pub fn close_to_others(path: &Path) -> io::Result<()> {
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600))
}

#[cfg(all(test, unix))]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn what_is_made_is_closed_to_others() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("a/b");
        directory(&dir).unwrap();
        assert_eq!(mode(&dir), 0o700);
        std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o755)).unwrap();
        directory(&dir).unwrap();
        assert_eq!(mode(&dir), 0o700, "an open directory of ours is closed");
        let file = dir.join("f");
        write(&file, b"one").unwrap();
        write(&file, b"2").unwrap();
        assert_eq!((mode(&file), std::fs::read(&file).unwrap()), (0o600, b"2".to_vec()));
        append(&file).unwrap().write_all(b"3").unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"23");
    }

    #[test]
    fn first_content_stays() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("salt");
        assert_eq!(write_once(&file, b"abc").unwrap(), b"abc");
        assert_eq!(write_once(&file, b"xyz").unwrap(), b"abc");
    }

    #[test]
    fn directory_of_another_user_is_refused_by_name() {
        if user() != 0 {
            eprintln!("skipped: only root can give a directory away");
            return;
        }
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("theirs");
        directory(&dir).unwrap();
        std::os::unix::fs::chown(&dir, Some(12345), None).unwrap();
        let error = directory(&dir).unwrap_err().to_string();
        assert!(error.contains("theirs: it belongs to another user (number 12345)"), "{error}");
    }
}
