//! A lock directory such as `.claude.json.lock`, as Claude Code and other programs with the npm package `proper-lockfile` use it:
//! making the directory takes the lock, its modification time says the holder is alive, and a time too old lets others
//! take it away.

use std::ffi::OsString;
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use super::LockError;
use crate::sys::{self, Stamp};

/// A held lock directory. A thread keeps its time fresh; dropping it removes the directory.
#[derive(Debug)]
pub struct DirLock {
    path: PathBuf,
    held: Arc<Mutex<Held>>,
    /// Dropped first, which ends the thread.
    stop: Option<Sender<()>>,
    refresher: Option<JoinHandle<()>>,
}

/// How we know the directory for ours. Its time counts, since a new directory may get the number of a removed one.
#[derive(Debug)]
struct Held {
    identity: Stamp,
    /// As we set it last; `None` once the lock is lost.
    modified: Option<SystemTime>,
}

impl Held {
    /// Whether the directory is still ours. Once lost is lost for good.
    fn check(&mut self, path: &Path) -> bool {
        let now = std::fs::symlink_metadata(path).ok();
        let is_ours = now.is_some_and(|now| {
            Stamp::of(&now).is_same_file(&self.identity) && self.modified.is_some() && now.modified().ok() == self.modified
        });
        if !is_ours {
            self.modified = None;
        }
        is_ours
    }

    fn refresh(&mut self, path: &Path) -> bool {
        if !self.check(path) {
            return false;
        }
        let touched = open_dir(path).and_then(|dir| dir.set_modified(SystemTime::now()));
        // Read back, since file systems round.
        self.modified = touched.and_then(|()| std::fs::symlink_metadata(path)?.modified()).ok();
        self.modified.is_some()
    }
}

impl DirLock {
    /// Waits until it can make the directory `lock`. One whose time is older than `stale_after` is taken away from its
    /// holder.
    pub fn acquire(lock: &Path, stale_after: Duration, timeout: Duration) -> Result<Self, LockError> {
        let io = |source| LockError::Io { path: lock.to_owned(), source };
        let start = Instant::now();
        let mut wait = Duration::from_millis(1);
        loop {
            match sys::create_dir(lock, false) {
                Ok(()) => return Self::hold(lock.to_owned(), stale_after).map_err(io),
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(io(e)),
            }
            if steal_if_stale(lock, stale_after).map_err(io)? {
                continue;
            }
            if start.elapsed() >= timeout {
                let holder = "the program the file belongs to".to_owned();
                return Err(LockError::TimedOut { path: lock.to_owned(), waited: start.elapsed(), holder });
            }
            std::thread::sleep(wait.min(timeout.saturating_sub(start.elapsed())));
            wait = (wait * 2).min(Duration::from_millis(50));
        }
    }

    fn hold(path: PathBuf, stale_after: Duration) -> io::Result<Self> {
        let meta = std::fs::symlink_metadata(&path)?;
        let held = Arc::new(Mutex::new(Held { identity: Stamp::of(&meta), modified: Some(meta.modified()?) }));
        let (stop, stopped) = mpsc::channel();
        let refresher = {
            let (path, held) = (path.clone(), Arc::clone(&held));
            std::thread::Builder::new().name("lock".into()).spawn(move || {
                // A third leaves room for one refresh that comes late.
                while stopped.recv_timeout(stale_after / 3) == Err(RecvTimeoutError::Timeout) {
                    if !locked(&held).refresh(&path) {
                        return;
                    }
                }
            })?
        };
        Ok(Self { path, held, stop: Some(stop), refresher: Some(refresher) })
    }

    /// False when somebody took the lock away (the machine slept, say): then nothing may be written any more.
    pub fn is_held(&self) -> bool {
        locked(&self.held).check(&self.path)
    }

    /// The lock directory.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for DirLock {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(refresher) = self.refresher.take() {
            let _ = refresher.join();
        }
        // Holding the directory itself keeps it from being stolen between the look and the removal.
        let guard = open_dir(&self.path);
        let _ = guard.as_ref().map(File::lock);
        if self.is_held() {
            let _ = std::fs::remove_dir(&self.path);
        }
    }
}

fn locked(held: &Mutex<Held>) -> MutexGuard<'_, Held> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(unix)]
fn open_dir(path: &Path) -> io::Result<File> {
    File::open(path)
}

/// `FILE_FLAG_BACKUP_SEMANTICS` is what opens a directory, `FILE_WRITE_ATTRIBUTES` what lets its time be set.
#[cfg(windows)]
fn open_dir(path: &Path) -> io::Result<File> {
    use std::os::windows::fs::OpenOptionsExt as _;
    std::fs::OpenOptions::new().access_mode(0x0100).custom_flags(0x0200_0000).open(path)
}

/// Takes a stale lock out of the way; true when the way is free.
///
/// Looking at the time and removing the directory are two steps, and between them another process may have done both and
/// taken the lock anew: a plain removal would take it from under that one. Our own processes are kept apart by a lock on
/// the very directory (where the system locks directories; not on Windows). Others know nothing of that, so the directory
/// is renamed before it is removed, and looked at again: if it is not the stale one, it goes back.
fn steal_if_stale(lock: &Path, stale_after: Duration) -> io::Result<bool> {
    let stamp = |path: &Path| std::fs::symlink_metadata(path).map(|m| (Stamp::of(&m), m.modified().ok()));
    let guard = match open_dir(lock) {
        Ok(dir) => dir,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(true),
        Err(e) => return Err(e),
    };
    if matches!(guard.try_lock(), Err(TryLockError::WouldBlock)) {
        return Ok(false);
    }
    let (seen, modified) = match stamp(lock) {
        Ok(found) => found,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(true),
        Err(e) => return Err(e),
    };
    if !seen.is_same_file(&Stamp::of(&guard.metadata()?)) {
        return Ok(false);
    }
    let is_stale = modified.and_then(|m| SystemTime::now().duration_since(m).ok()).is_some_and(|age| age > stale_after);
    if !is_stale {
        return Ok(false);
    }
    let mut aside: OsString = lock.as_os_str().to_owned();
    aside.push(format!(".{}-{}", std::process::id(), next_number()));
    let aside = PathBuf::from(aside);
    match std::fs::rename(lock, &aside) {
        Ok(()) => {}
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(true),
        Err(e) => return Err(e),
    }
    let taken = stamp(&aside)?;
    if taken.0.is_same_file(&seen) && taken.1 == modified {
        std::fs::remove_dir(&aside)?;
        return Ok(true);
    }
    // A living holder's, after all. If a third process has the name by now, its lock stands and the living holder
    // notices at its next refresh that it has lost.
    if sys::rename_exclusive(&aside, lock).is_err() {
        let _ = std::fs::remove_dir(&aside);
    }
    Ok(false)
}

fn next_number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
