//! The last step: the new file takes the old one's name, or the old one goes.
//!
//! Between the last comparison and a plain rename another program may slip in, and its change would be gone. Where the
//! system can swap two names in one step we do that instead and look at what came out: if it is not what we compared with,
//! the names are swapped back, and nothing is lost.

use std::io;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::WriteError;
use crate::file;
use crate::sys::{self, Stamp};

/// Puts `temp` in the place of `path`, which has the content `before`.
pub(super) fn replace(temp: NamedTempFile, path: &Path, before: &[u8], stamp: Option<Stamp>) -> Result<(), WriteError> {
    let failed = |source| WriteError::Rename { path: path.to_owned(), source };
    let changed = || match file::open(path) {
        Ok(now) => WriteError::Changed { path: path.to_owned(), now: now.map(|o| o.bytes) },
        Err(error) => error.into(),
    };
    let ours = temp.as_file().metadata().map(|m| Stamp::of(&m)).map_err(failed)?;
    match sys::exchange(temp.path(), path) {
        None => return rename(temp, path).map_err(failed),
        Some(Err(e)) if e.kind() == io::ErrorKind::NotFound => return Err(changed()),
        Some(other) => other.map_err(failed)?,
    }
    // From here on the temporary name leads to what was there before.
    let displaced = is_as_compared(temp.path(), before, stamp);
    if matches!(displaced, Ok(true)) {
        return Ok(());
    }
    let swapped_back = sys::exchange(temp.path(), path).unwrap_or_else(|| Err(io::ErrorKind::Unsupported.into()));
    match (swapped_back, displaced) {
        (Ok(()), displaced) => {
            // A third writer may have come in between. It meant to replace what we have just put back: so it shall.
            if !std::fs::symlink_metadata(temp.path()).is_ok_and(|m| Stamp::of(&m).is_same_file(&ours)) {
                let _ = sys::exchange(temp.path(), path);
            }
            Err(displaced.err().map_or_else(changed, failed))
        }
        // What came out could not be read, and cannot be put back: all we know is that the file has its new content.
        (Err(_), Err(_)) => Ok(()),
        (Err(source), Ok(_)) => match temp.keep() {
            Ok((_, copy)) => Err(displaced_to(path, copy, source)),
            Err(e) => Err(failed(e.error)),
        },
    }
}

/// Deletes `path`, which has the content `before`: it is moved aside first and looked at there.
pub(super) fn remove(path: &Path, before: &[u8], prefix: &str) -> Result<(), WriteError> {
    let failed = |source| WriteError::Delete { path: path.to_owned(), source };
    let changed = |now| WriteError::Changed { path: path.to_owned(), now };
    let aside = path.with_file_name(format!("{prefix}{}.tmp", std::process::id()));
    match file::retrying(sys::is_held_by_another, || sys::rename_exclusive(path, &aside)) {
        Ok(()) => {}
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(changed(None)),
        // Left by a process of the same number, or a file system that cannot do it in one step.
        Err(_) => return file::retrying(sys::is_held_by_another, || std::fs::remove_file(path)).map_err(failed),
    }
    if matches!(is_as_compared(&aside, before, None), Ok(true)) {
        return match std::fs::remove_file(&aside) {
            Ok(()) => Ok(()),
            Err(source) => {
                // Deleted for whoever looks for it, if this fails too; the rest is cleaned up later.
                let _ = sys::rename_exclusive(&aside, path);
                if path.exists() { Err(failed(source)) } else { Ok(()) }
            }
        };
    }
    match sys::rename_exclusive(&aside, path) {
        Ok(()) => Err(changed(file::open(path)?.map(|o| o.bytes))),
        Err(source) => Err(displaced_to(path, aside, source)),
    }
}

/// Gives what another program wrote a name by which nobody takes it for a leftover.
fn displaced_to(path: &Path, temp: PathBuf, source: io::Error) -> WriteError {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".displaced-{}", std::process::id()));
    let kept = PathBuf::from(name);
    let copy = if sys::rename_exclusive(&temp, &kept).is_ok() { kept } else { temp };
    WriteError::Displaced { path: path.to_owned(), copy, source }
}

fn is_as_compared(displaced: &Path, before: &[u8], stamp: Option<Stamp>) -> io::Result<bool> {
    let now = std::fs::symlink_metadata(displaced)?;
    if sys::special_kind(&now).is_some() || now.is_symlink() || now.len() != before.len() as u64 {
        return Ok(false);
    }
    if stamp.is_some_and(|stamp| Stamp::of(&now).is_unwritten_since(&stamp)) {
        return Ok(true);
    }
    match file::open(displaced).map_err(io::Error::other)? {
        Some(now) => Ok(now.bytes == before),
        None => Err(io::Error::new(io::ErrorKind::NotFound, "another program took its folder away")),
    }
}

/// Renames over the old file, waiting for a scanner that holds it.
fn rename(temp: NamedTempFile, path: &Path) -> io::Result<()> {
    let mut temp = Some(temp);
    file::retrying(sys::is_held_by_another, || {
        let Some(again) = temp.take() else { return Err(io::ErrorKind::NotFound.into()) };
        again.persist(path).map(drop).map_err(|e| {
            temp = Some(e.file);
            e.error
        })
    })
}

#[cfg(all(test, any(target_os = "linux", target_vendor = "apple")))]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;
    use std::io::Write as _;

    #[test]
    fn a_file_that_changed_in_the_last_instant_is_not_deleted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        std::fs::write(&path, "theirs").unwrap();
        let refused = remove(&path, b"ours", ".mcp-x-");
        assert!(matches!(&refused, Err(WriteError::Changed { now: Some(now), .. }) if now == b"theirs"), "{refused:?}");
        assert_eq!(std::fs::read(&path).unwrap(), b"theirs");
        remove(&path, b"theirs", ".mcp-x-").unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_file_that_changed_in_the_last_instant_gets_its_name_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        // As if it had been "one" when it was compared last.
        std::fs::write(&path, "theirs").unwrap();
        for (compared, is_refused) in [("one", true), ("THEIRS", true), ("theirs", false)] {
            let mut temp = NamedTempFile::new_in(dir.path()).unwrap();
            temp.write_all(b"ours").unwrap();
            match replace(temp, &path, compared.as_bytes(), None) {
                Err(WriteError::Changed { now, .. }) if is_refused => assert_eq!(now.as_deref(), Some(&b"theirs"[..])),
                Ok(()) if !is_refused => {}
                other => panic!("{compared}: {other:?}"),
            }
            assert_eq!(std::fs::read(&path).unwrap(), if is_refused { &b"theirs"[..] } else { b"ours" });
            assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "something is left beside it");
        }
    }
}
