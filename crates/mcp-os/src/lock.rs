//! Waiting for one another: our own locks, and those of clients that have one.
//!
//! [`FileLock`] keeps our own processes apart. [`DirLock`] and [`Flock`] are for a client's own lock, taken inside ours and
//! released before it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use xxhash_rust::xxh3::xxh3_64;

use crate::dirs;
use crate::sys::Stamp;

mod dir;

pub use dir::DirLock;

/// Why a lock was not got.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// Somebody else kept it too long.
    #[error("wait for the lock {} (waited {:.1} s; {holder} may hold it)", path.display(), waited.as_secs_f32())]
    TimedOut {
        /// The lock file or directory.
        path: PathBuf,
        /// How long we waited.
        waited: Duration,
        /// Who may hold it, in words.
        holder: String,
    },
    /// The lock could not be made.
    #[error("take the lock {}", path.display())]
    Io {
        /// The lock file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A lock among our own processes, one per key. The system releases it when the process ends, however it ends; the file
/// stays, since deleting it would let two processes lock two files of one name.
#[derive(Debug)]
pub struct FileLock {
    _file: File,
}

impl FileLock {
    /// Waits for the lock of `key` (such as a resolved path) in `lock_dir`, which is made if need be.
    pub fn acquire(lock_dir: &Path, key: &str, timeout: Duration) -> Result<Self, LockError> {
        let path = lock_dir.join(format!("{:016x}.lock", xxh3_64(key.as_bytes())));
        let io = |source| LockError::Io { path: path.clone(), source };
        let open = || OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = match open() {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                dirs::create_private(lock_dir).map_err(io)?;
                open().map_err(io)?
            }
            other => other.map_err(io)?,
        };
        lock_until(&mut file, &path, timeout, |file| {
            let mut holder = String::new();
            // Windows does not let us read what another has locked.
            match file.rewind().and_then(|()| file.take(200).read_to_string(&mut holder)) {
                Ok(_) if !holder.trim().is_empty() => format!("`mcp`, process {}", holder.trim()),
                _ => "another `mcp`".to_owned(),
            }
        })?;
        // A courtesy to whoever waits; not needed for the lock to work. Always as long, so that nothing is cut off: ext4
        // hurries a file to the disk that was emptied and written anew.
        let _ = file.rewind().and_then(|()| writeln!(file, "{:>10}", std::process::id()));
        Ok(Self { _file: file })
    }

    /// Several locks, taken in one order by everybody, so that two processes never wait for each other.
    pub fn acquire_all(lock_dir: &Path, keys: &[&str], timeout: Duration) -> Result<Vec<Self>, LockError> {
        let mut keys = keys.to_vec();
        keys.sort_unstable();
        // Two keys of one hash are one file, which a process must not lock twice.
        keys.dedup_by_key(|k| xxh3_64(k.as_bytes()));
        let deadline = Instant::now() + timeout;
        keys.into_iter().map(|key| Self::acquire(lock_dir, key, deadline.saturating_duration_since(Instant::now()))).collect()
    }
}

/// `flock` on a lock file that belongs to a client. The file is made if it is missing, and stays.
#[derive(Debug)]
pub struct Flock {
    _file: File,
}

impl Flock {
    /// Waits for the lock on `path`.
    pub fn acquire(path: &Path, timeout: Duration) -> Result<Self, LockError> {
        let io = |source| LockError::Io { path: path.to_owned(), source };
        let deadline = Instant::now() + timeout;
        loop {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            let mut file = options.open(path).map_err(io)?;
            let left = deadline.saturating_duration_since(Instant::now());
            lock_until(&mut file, path, left, |_| "the client".to_owned())?;
            // Its owner may have replaced the file while we waited: then we hold the lock of a file nobody looks at.
            let ours = Stamp::of(&file.metadata().map_err(io)?);
            if std::fs::metadata(path).is_ok_and(|there| Stamp::of(&there).is_same_file(&ours)) {
                return Ok(Self { _file: file });
            }
        }
    }
}

/// Tries until the deadline, at first often. Locks are held for milliseconds, so waiting in the kernel without a
/// deadline would buy little.
fn lock_until(
    file: &mut File,
    path: &Path,
    timeout: Duration,
    holder: impl FnOnce(&mut File) -> String,
) -> Result<(), LockError> {
    let start = Instant::now();
    let mut wait = Duration::from_micros(200);
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if start.elapsed() >= timeout => {
                let holder = holder(file);
                return Err(LockError::TimedOut { path: path.to_owned(), waited: start.elapsed(), holder });
            }
            Err(TryLockError::WouldBlock) => {
                std::thread::sleep(wait.min(timeout.saturating_sub(start.elapsed())));
                wait = (wait * 2).min(Duration::from_millis(10));
            }
            Err(TryLockError::Error(source)) => return Err(LockError::Io { path: path.to_owned(), source }),
        }
    }
}
