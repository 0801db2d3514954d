//! Overwriting a file that cannot be replaced, with the old bytes kept elsewhere until that is done.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::{Method, WriteError};
use crate::{dirs, sys};

/// First line of a recovery copy; the old bytes follow it, then the new ones.
#[derive(Debug, Serialize, Deserialize)]
struct Header {
    schema: String,
    /// For people; the file's name is made from it.
    target: String,
    before_len: usize,
    after_len: usize,
}

const SCHEMA: &str = "mcp.recovery/1";

/// Where the copy for a target goes: one per target, since the caller holds the target's lock.
fn copy_path(recovery: &Path, path: &Path) -> PathBuf {
    recovery.join(format!("{:016x}.old", xxh3_64(path.as_os_str().as_encoded_bytes())))
}

/// Overwrites `path`. The order is chosen so that what can fail for lack of space fails first and is easiest to take back.
pub(super) fn write(path: &Path, before: &[u8], after: &[u8], recovery: &Path) -> Result<Method, WriteError> {
    let copy = copy_path(recovery, path);
    save_copy(&copy, path, before, after, recovery).map_err(|source| WriteError::SaveCopy {
        path: path.to_owned(),
        copy: copy.clone(),
        source,
    })?;
    let drop_copy = || {
        let _ = std::fs::remove_file(&copy);
    };
    let mut file = match sys::open_to_write(path) {
        Ok(file) => file,
        Err(source) => {
            drop_copy();
            return Err(WriteError::InPlace { path: path.to_owned(), source });
        }
    };
    match overwrite(&mut file, before.len(), after) {
        Ok(()) => {
            drop_copy();
            Ok(Method::InPlace)
        }
        // Needs no space the file did not have before.
        Err(source) => match overwrite(&mut file, 0, before) {
            Ok(()) => {
                drop_copy();
                Err(WriteError::InPlace { path: path.to_owned(), source })
            }
            Err(_) => Err(WriteError::Torn { path: path.to_owned(), copy, source }),
        },
    }
}

/// Writes what lies beyond the old end first, then the rest, then cuts off what is too much.
fn overwrite(file: &mut File, old_len: usize, new: &[u8]) -> io::Result<()> {
    let kept = old_len.min(new.len());
    if kept < new.len() {
        file.seek(SeekFrom::Start(kept as u64))?;
        file.write_all(&new[kept..])?;
    }
    if kept > 0 {
        file.seek(SeekFrom::Start(0))?;
        file.write_all(&new[..kept])?;
    }
    file.set_len(new.len() as u64)?;
    file.sync_all()
}

fn save_copy(copy: &Path, path: &Path, before: &[u8], after: &[u8], recovery: &Path) -> io::Result<()> {
    dirs::create_private(recovery)?;
    let header = Header {
        schema: SCHEMA.to_owned(),
        target: path.to_string_lossy().into_owned(),
        before_len: before.len(),
        after_len: after.len(),
    };
    super::clean_up(copy);
    let prefix = super::temp_prefix(copy);
    let mut temp = tempfile::Builder::new().prefix(&prefix).tempfile_in(recovery)?;
    serde_json::to_writer(&mut temp, &header)?;
    temp.write_all(b"\n")?;
    temp.write_all(before)?;
    temp.write_all(after)?;
    temp.as_file().sync_all()?;
    temp.persist(copy).map_err(|e| e.error)?;
    sys::sync_dir(recovery)
}

/// Refuses if an earlier write of this file was cut off. A copy that is no longer needed (the write had not begun, or
/// was complete, or somebody wrote the file since) is deleted.
pub(super) fn check_interrupted(path: &Path, now: Option<&[u8]>, recovery: &Path) -> Result<(), WriteError> {
    let copy = copy_path(recovery, path);
    let Ok(mut file) = File::open(&copy) else { return Ok(()) };
    let mut content = Vec::new();
    if file.read_to_end(&mut content).is_err() {
        return Ok(());
    }
    let end = memchr::memchr(b'\n', &content).map_or(content.len(), |i| i + 1);
    let (header, texts) = content.split_at(end);
    let Ok(header) = serde_json::from_slice::<Header>(header) else { return Ok(()) };
    let Some((before, after)) = texts.split_at_checked(header.before_len) else { return Ok(()) };
    match now {
        Some(now) if now != before && now != after && is_mix(now, before, after) => {
            Err(WriteError::Interrupted { path: path.to_owned(), copy })
        }
        _ => {
            let _ = std::fs::remove_file(&copy);
            Ok(())
        }
    }
}

/// What a write that was cut off can leave: at each place a byte of one text or the other, or a zero where the system had
/// lengthened the file and written nothing yet. What another program wrote since is no such thing.
fn is_mix(now: &[u8], before: &[u8], after: &[u8]) -> bool {
    now.len() <= before.len().max(after.len())
        && now.len() >= before.len().min(after.len())
        && now
            .iter()
            .enumerate()
            .all(|(i, b)| before.get(i) == Some(b) || after.get(i) == Some(b) || (*b == 0 && i >= before.len()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn a_cut_off_write_is_recognised_and_its_copy_kept() {
        let dir = tempfile::tempdir().unwrap();
        let (path, recovery) = (dir.path().join("f"), dir.path().join("recovery"));
        let copy = copy_path(&recovery, &path);
        save_copy(&copy, &path, b"old text", b"the new text", &recovery).unwrap();
        let torn = b"the texttext";
        let error = check_interrupted(&path, Some(torn), &recovery).unwrap_err();
        assert!(matches!(&error, WriteError::Interrupted { copy: c, .. } if *c == copy), "{error}");
        assert!(copy.exists());
        check_interrupted(&path, Some(b"the new text"), &recovery).unwrap();
        assert!(!copy.exists(), "a complete write needs no copy");
    }

    #[test]
    fn what_somebody_wrote_since_is_not_an_interrupted_write() {
        let dir = tempfile::tempdir().unwrap();
        let (path, recovery) = (dir.path().join("f"), dir.path().join("recovery"));
        save_copy(&copy_path(&recovery, &path), &path, b"old text", b"new text!", &recovery).unwrap();
        check_interrupted(&path, Some(b"something entirely of their own"), &recovery).unwrap();
    }
}
