//! Who waits for whom, and for how long.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::fs;
#[cfg(unix)]
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
#[cfg(unix)]
use std::time::{Instant, SystemTime};

use mcp_os::lock::{DirLock, FileLock, Flock, LockError};

const SOON: Duration = Duration::from_millis(60);
const LONG: Duration = Duration::from_secs(20);

fn is_timeout<T>(result: &Result<T, LockError>) -> bool {
    matches!(result, Err(LockError::TimedOut { .. }))
}

#[cfg(unix)]
fn make_old(dir: &Path, age: Duration) {
    fs::File::open(dir).unwrap().set_modified(SystemTime::now() - age).unwrap();
}

/// Runs `section` in many threads and returns the most that were in it at once.
fn most_at_once(threads: usize, rounds: usize, section: impl Fn(&dyn Fn()) + Sync) -> usize {
    let (inside, most, entered) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    let critical = || {
        let now = inside.fetch_add(1, Ordering::SeqCst) + 1;
        most.fetch_max(now, Ordering::SeqCst);
        entered.fetch_add(1, Ordering::SeqCst);
        std::thread::yield_now();
        inside.fetch_sub(1, Ordering::SeqCst);
    };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| (0..rounds).for_each(|_| section(&critical)));
        }
    });
    assert_eq!(entered.load(Ordering::SeqCst), threads * rounds);
    most.load(Ordering::SeqCst)
}

#[test]
fn a_file_lock_lets_one_in_and_names_who_is() {
    let dir = tempfile::tempdir().unwrap();
    let locks = dir.path().join("state/locks");
    let held = FileLock::acquire(&locks, "a", SOON).unwrap();
    let refused = FileLock::acquire(&locks, "a", SOON);
    assert!(is_timeout(&refused), "{refused:?}");
    let text = refused.unwrap_err().to_string();
    assert!(text.contains("`mcp`"), "{text}");
    #[cfg(unix)]
    assert!(text.contains(&format!("process {}", std::process::id())), "{text}");
    FileLock::acquire(&locks, "b", SOON).expect("another key is another lock");
    drop(held);
    FileLock::acquire(&locks, "a", SOON).expect("a dropped lock is free");
    assert_eq!(most_at_once(8, 50, |f| FileLock::acquire(&locks, "c", LONG).map(|_lock| f()).unwrap()), 1);
}

#[test]
fn several_locks_taken_in_any_order_never_wait_for_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let take = |keys: &[&str]| drop(FileLock::acquire_all(dir.path(), keys, LONG).unwrap());
    std::thread::scope(|scope| {
        scope.spawn(|| (0..200).for_each(|_| take(&["a", "b", "c"])));
        scope.spawn(|| (0..200).for_each(|_| take(&["c", "a", "b", "a"])));
    });
}

#[test]
fn a_lock_directory_is_the_one_named_and_goes_with_its_holder() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f.json.lock");
    let lock = DirLock::acquire(&path, LONG, SOON).unwrap();
    assert_eq!(lock.path(), path);
    assert!(lock.path().is_dir() && lock.is_held());
    assert!(is_timeout(&DirLock::acquire(&path, LONG, SOON)));
    drop(lock);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    assert_eq!(most_at_once(8, 30, |f| DirLock::acquire(&path, LONG, LONG).map(|_lock| f()).unwrap()), 1);
}

#[test]
#[cfg(unix)]
fn a_held_lock_directory_stays_fresh() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    let lock = DirLock::acquire(&path, Duration::from_millis(300), SOON).unwrap();
    let first = fs::metadata(lock.path()).unwrap().modified().unwrap();
    let start = Instant::now();
    while fs::metadata(lock.path()).unwrap().modified().unwrap() <= first {
        assert!(start.elapsed() < LONG, "nobody refreshed it");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(lock.is_held());
}

#[test]
#[cfg(unix)]
fn a_stale_lock_directory_is_taken_by_exactly_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f.lock");
    for _ in 0..40 {
        fs::create_dir(&path).unwrap();
        make_old(&path, Duration::from_secs(11));
        let most = most_at_once(6, 3, |f| {
            let lock = DirLock::acquire(&path, Duration::from_secs(10), LONG).unwrap();
            f();
            assert!(lock.is_held(), "taken from under a living holder");
        });
        assert_eq!(most, 1);
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is left aside");
}

#[test]
fn a_holder_learns_that_its_lock_was_taken_away_and_leaves_the_new_one_alone() {
    let dir = tempfile::tempdir().unwrap();
    let lock = DirLock::acquire(&dir.path().join("f"), LONG, SOON).unwrap();
    let path = lock.path().to_owned();
    // The new one may well get the old one's inode number.
    fs::remove_dir(&path).unwrap();
    std::thread::sleep(Duration::from_millis(20));
    fs::create_dir(&path).unwrap();
    assert!(!lock.is_held());
    drop(lock);
    assert!(path.is_dir(), "another's lock was removed");
}

#[test]
fn a_clients_lock_file_is_locked_and_stays() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(".mcp-writer.lock");
    let held = Flock::acquire(&path, SOON).unwrap();
    let client = fs::File::options().read(true).write(true).open(&path).unwrap();
    assert!(client.try_lock().is_err(), "the client would come in");
    assert!(is_timeout(&Flock::acquire(&path, SOON)));
    drop(held);
    client.try_lock().unwrap();
    assert!(is_timeout(&Flock::acquire(&path, SOON)), "we would come in");
    drop(client);
    assert!(path.exists());
    assert_eq!(most_at_once(8, 30, |f| Flock::acquire(&path, LONG).map(|_lock| f()).unwrap()), 1);
}

#[test]
#[cfg(unix)]
fn a_lock_file_replaced_while_we_waited_is_locked_anew() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lock");
    let client = fs::File::create(&path).unwrap();
    client.lock().unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| Flock::acquire(&path, LONG).unwrap());
        std::thread::sleep(SOON);
        fs::rename(&path, dir.path().join("gone")).unwrap();
        fs::write(&path, "").unwrap();
        drop(client);
        let _held = waiting.join().unwrap();
        let there = fs::File::options().write(true).open(&path).unwrap();
        assert!(there.try_lock().is_err(), "the lock held is not the one that is there");
    });
}
