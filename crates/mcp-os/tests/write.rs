//! Reading and replacing files of every awkward kind.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a failed unwrap is a failed test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mcp_os::file::{self, Found, ReadError};
use mcp_os::lock::FileLock;
use mcp_os::write::{self, Method, Options, WriteError};

struct Place {
    dir: tempfile::TempDir,
    recovery: PathBuf,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { recovery: dir.path().join("state/recovery"), dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        dunce::canonicalize(self.dir.path()).unwrap().join(name)
    }

    fn options(&self) -> Options<'_> {
        Options { mode_if_new: 0o600, private: true, recovery: &self.recovery }
    }

    fn replace(&self, path: &Path, after: &[u8]) -> Result<write::Written, WriteError> {
        let found = file::read(path).unwrap();
        write::replace(found.target(), found.bytes(), after, &self.options())
    }

    /// Temporary files of ours in the place's top directory.
    fn left_behind(&self) -> Vec<PathBuf> {
        let ours = |p: &PathBuf| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with(write::TEMP_PREFIX));
        fs::read_dir(self.dir.path()).unwrap().map(|e| e.unwrap().path()).filter(ours).collect()
    }
}

#[test]
fn missing_directories_are_made_reported_and_removable() {
    let place = Place::new();
    let path = place.path("a/b/c.json");
    let written = place.replace(&path, b"{}").unwrap();
    assert_eq!(written.method, Method::Created);
    assert_eq!(written.created_dirs, [place.path("a"), place.path("a/b")]);
    assert!(written.durable);
    let Found::File(loaded) = file::read(&path).unwrap() else { panic!("the file is there") };
    assert_eq!((loaded.bytes.as_slice(), loaded.read_only, loaded.hard_links), (&b"{}"[..], false, 1));
    assert!(write::remove(&loaded.target, b"{}").unwrap());
    assert_eq!(write::remove_dirs(&written.created_dirs), [place.path("a/b"), place.path("a")]);
    assert!(!place.path("a").exists());
}

#[test]
fn a_prepared_write_that_is_dropped_leaves_no_trace() {
    let place = Place::new();
    let Found::Absent(target) = file::read(&place.path("x/y")).unwrap() else { panic!("nothing is there") };
    let prepared = write::prepare(&target, None, b"new", &place.options()).unwrap();
    assert_eq!(prepared.created_dirs(), [place.path("x")]);
    drop(prepared);
    assert!(!place.path("x").exists());
}

#[test]
fn another_programs_change_is_never_overwritten() {
    let place = Place::new();
    let path = place.path("f");
    fs::write(&path, "one").unwrap();
    let target = file::resolve(&path).unwrap();
    let changed = |result: Result<write::Written, WriteError>| match result {
        Err(WriteError::Changed { now, .. }) => now,
        other => panic!("expected a refusal: {other:?}"),
    };
    assert_eq!(changed(write::replace(&target, Some(b"else"), b"two", &place.options())), Some(b"one".to_vec()));
    assert_eq!(changed(write::replace(&target, None, b"two", &place.options())), Some(b"one".to_vec()));
    // Between the two steps: in place with the same length, by rename, by removal.
    let prepared = || write::prepare(&target, Some(b"one"), b"two", &place.options()).unwrap();
    let in_place = prepared();
    fs::write(&path, "ONE").unwrap();
    assert_eq!(changed(in_place.commit()), Some(b"ONE".to_vec()));
    fs::write(&path, "one").unwrap();
    let renamed = prepared();
    fs::write(place.path("g"), "new file").unwrap();
    fs::rename(place.path("g"), &path).unwrap();
    assert_eq!(changed(renamed.commit()), Some(b"new file".to_vec()));
    fs::write(&path, "one").unwrap();
    let removed = prepared();
    fs::remove_file(&path).unwrap();
    assert_eq!(changed(removed.commit()), None);
    let created = write::prepare(&target, None, b"two", &place.options()).unwrap();
    fs::write(&path, "theirs").unwrap();
    assert_eq!(changed(created.commit()), Some(b"theirs".to_vec()));
    assert_eq!(place.left_behind(), Vec::<PathBuf>::new());
}

#[test]
fn several_files_are_written_together_and_one_refusal_stops_no_other() {
    let place = Place::new();
    let paths: Vec<PathBuf> = (0..12).map(|n| place.path(&format!("{n}"))).collect();
    for path in &paths {
        fs::write(path, "one").unwrap();
    }
    let targets: Vec<_> = paths.iter().map(|path| file::resolve(path).unwrap()).collect();
    fs::write(&paths[3], "theirs").unwrap();
    let request = |target| write::Request { target, before: Some(b"one"), after: b"two", options: place.options() };
    let requests: Vec<_> = targets.iter().map(request).collect();
    let prepared = write::prepare_all(&requests);
    let refused: Vec<usize> = prepared.iter().enumerate().filter(|(_, p)| p.is_err()).map(|(n, _)| n).collect();
    assert_eq!(refused, [3]);
    let written = write::commit_all(prepared.into_iter().filter_map(Result::ok).collect());
    assert!(written.iter().all(|w| w.as_ref().is_ok_and(|w| w.method == Method::Renamed)));
    for (n, path) in paths.iter().enumerate() {
        assert_eq!(fs::read_to_string(path).unwrap(), if n == 3 { "theirs" } else { "two" });
    }
}

#[test]
fn deleting_compares_too() {
    let place = Place::new();
    let path = place.path("f");
    fs::write(&path, "theirs").unwrap();
    let target = file::resolve(&path).unwrap();
    assert!(matches!(write::remove(&target, b"ours"), Err(WriteError::Changed { .. })));
    assert_eq!(fs::read(&path).unwrap(), b"theirs");
}

#[test]
fn sixteen_threads_lose_no_line() {
    let place = Place::new();
    let path = place.path("f");
    let (threads, rounds) = (16, 12);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (place, path) = (&place, &path);
            scope.spawn(move || {
                for round in 0..rounds {
                    let target = file::resolve(path).unwrap();
                    let key = target.path.to_str().unwrap();
                    let _lock = FileLock::acquire(&place.path("locks"), key, Duration::from_mins(1)).unwrap();
                    let found = file::read(path).unwrap();
                    let mut text = found.bytes().unwrap_or_default().to_vec();
                    text.extend(format!("{thread}-{round}\n").bytes());
                    write::replace(found.target(), found.bytes(), &text, &place.options()).unwrap();
                }
            });
        }
    });
    let text = fs::read_to_string(&path).unwrap();
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines.dedup();
    assert_eq!(lines.len(), threads * rounds);
}

/// Another program replaces the file at any moment, asking nobody. What it wrote must be there in the end, alone or with
/// our line after it, and never what it had replaced.
#[test]
#[cfg(any(target_os = "linux", target_vendor = "apple"))]
fn a_program_that_knows_no_lock_loses_nothing_either() {
    let place = Place::new();
    let path = place.path("f");
    let mut outcomes = [0, 0];
    for round in 0..300_u64 {
        fs::write(&path, "before").unwrap();
        let target = file::resolve(&path).unwrap();
        let prepared = write::prepare(&target, Some(b"before"), b"before, and ours", &place.options()).unwrap();
        fs::write(place.path("theirs"), "theirs").unwrap();
        let start = std::sync::Barrier::new(2);
        let result = std::thread::scope(|scope| {
            let ours = scope.spawn(|| {
                start.wait();
                prepared.commit()
            });
            start.wait();
            // Sleeping is too coarse to meet the few microseconds that count.
            let started = std::time::Instant::now();
            while started.elapsed() < Duration::from_nanos(round * 300) {
                std::hint::spin_loop();
            }
            fs::rename(place.path("theirs"), &path).unwrap();
            ours.join().unwrap()
        });
        assert_eq!(fs::read_to_string(&path).unwrap(), "theirs", "round {round}: {result:?}");
        match result {
            // Ours came first, and then theirs.
            Ok(_) => outcomes[0] += 1,
            Err(WriteError::Changed { .. }) => outcomes[1] += 1,
            Err(other) => panic!("{other}"),
        }
    }
    println!("written {}, refused {}", outcomes[0], outcomes[1]);
    assert_eq!(place.left_behind(), Vec::<PathBuf>::new());
}

#[test]
fn temporary_files_of_killed_processes_are_cleaned_up() {
    let place = Place::new();
    let path = place.path("f");
    fs::write(&path, "one").unwrap();
    let target = file::resolve(&path).unwrap();
    let prepared = write::prepare(&target, Some(b"one"), b"two", &place.options()).unwrap();
    let [temp] = &place.left_behind()[..] else { panic!("one temporary file") };
    // As if the process had been killed: the file stays under the name it had.
    let name = temp.file_name().unwrap().to_string_lossy().into_owned();
    drop(prepared);
    let (dead, foreign) = (place.path(&name), place.path(".mcp-0123456789abcdef-foreign.tmp"));
    for path in [&dead, &foreign] {
        fs::write(path, "left").unwrap();
    }
    assert!(write::has_leftovers(&target.path));
    place.replace(&path, b"two").unwrap();
    assert_eq!((dead.exists(), foreign.exists()), (false, true));
    assert!(!write::has_leftovers(&target.path));
    fs::write(&dead, "left").unwrap();
    write::remove(&target, b"two").unwrap();
    assert!(!dead.exists());
}

#[test]
fn a_directory_in_place_of_the_file_is_refused() {
    let place = Place::new();
    fs::create_dir(place.path("d")).unwrap();
    let error = file::read(&place.path("d")).unwrap_err();
    assert!(error.to_string().ends_with("it is a directory, not a file"), "{error}");
    fs::write(place.path("f"), "").unwrap();
    assert!(matches!(file::read(&place.path("f/x")), Err(ReadError::ParentNotDirectory { .. } | ReadError::Io { .. })));
}

#[test]
fn a_file_over_the_limit_is_refused_unread() {
    let place = Place::new();
    fs::File::create(place.path("big")).unwrap().set_len(file::LIMIT + 1).unwrap();
    assert!(matches!(file::read(&place.path("big")), Err(ReadError::TooLarge { len, .. }) if len == file::LIMIT + 1));
}

#[cfg(unix)]
mod unix {
    use super::*;
    use mcp_os::file::Target;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    #[test]
    fn a_chain_of_links_stays_and_its_end_is_replaced() {
        let place = Place::new();
        fs::create_dir(place.path("dotfiles")).unwrap();
        fs::write(place.path("dotfiles/real"), "one").unwrap();
        symlink("dotfiles", place.path("dir")).unwrap();
        symlink("dir/real", place.path("two")).unwrap();
        symlink(place.path("two"), place.path("one")).unwrap();
        let target = file::resolve(&place.path("one")).unwrap();
        assert_eq!(target, Target { named: place.path("one"), path: place.path("dotfiles/real") });
        place.replace(&place.path("one"), b"new").unwrap();
        assert_eq!(fs::read(place.path("dotfiles/real")).unwrap(), b"new");
        assert!(place.path("one").is_symlink() && place.path("two").is_symlink());
        assert_eq!(file::resolve(&place.path("dir/not/yet")).unwrap().path, place.path("dotfiles/not/yet"));
    }

    #[test]
    fn links_to_nothing_and_in_circles_are_refused() {
        let place = Place::new();
        symlink("gone", place.path("end")).unwrap();
        symlink("end", place.path("start")).unwrap();
        symlink("nowhere", place.path("dir")).unwrap();
        symlink("b", place.path("a")).unwrap();
        symlink("a", place.path("b")).unwrap();
        match file::read(&place.path("start")) {
            Err(ReadError::DanglingLink { link, target, .. }) => {
                assert_eq!((link, target), (place.path("end"), place.path("gone")));
            }
            other => panic!("{other:?}"),
        }
        assert!(
            matches!(file::read(&place.path("dir/x")), Err(ReadError::DanglingLink { link, .. }) if link == place.path("dir"))
        );
        assert!(matches!(file::read(&place.path("a")), Err(ReadError::LinkLoop { .. })));
    }

    #[test]
    fn pipes_sockets_and_devices_are_named_and_never_opened() {
        let place = Place::new();
        let fifo = place.path("fifo");
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        let _socket = std::os::unix::net::UnixListener::bind(place.path("socket")).unwrap();
        let kind = |path: &Path| match file::read(path) {
            Err(ReadError::NotAFile { kind, .. }) => kind,
            other => panic!("{other:?}"),
        };
        assert_eq!(kind(&fifo), "a named pipe");
        assert_eq!(kind(&place.path("socket")), "a socket");
        assert_eq!(kind(Path::new("/dev/null")), "a device");
    }

    #[test]
    fn mode_and_attributes_are_kept_and_new_files_are_private() {
        let place = Place::new();
        let path = place.path("f");
        for bits in [0o600, 0o644, 0o664, 0o755, 0o640] {
            fs::write(&path, "one").unwrap();
            set_mode(&path, bits);
            place.replace(&path, b"two").unwrap();
            assert_eq!(mode(&path), bits, "{bits:o}");
        }
        #[cfg(target_os = "linux")]
        if rustix::fs::setxattr(&path, "user.mine", b"kept", rustix::fs::XattrFlags::empty()).is_ok() {
            place.replace(&path, b"three").unwrap();
            let mut value = [0; 16];
            let len = rustix::fs::getxattr(&path, "user.mine", &mut value[..]).unwrap();
            assert_eq!(&value[..len], b"kept");
        }
        place.replace(&place.path("d/new"), b"secret").unwrap();
        assert_eq!((mode(&place.path("d/new")), mode(&place.path("d"))), (0o600, 0o700));
    }

    #[test]
    fn a_read_only_file_stays() {
        let place = Place::new();
        let path = place.path("f");
        fs::write(&path, "one").unwrap();
        set_mode(&path, 0o444);
        assert!(matches!(place.replace(&path, b"two"), Err(WriteError::ReadOnly { .. })));
        assert!(matches!(file::read(&path).unwrap(), Found::File(loaded) if loaded.read_only && loaded.bytes == b"one"));
    }

    #[test]
    fn hard_links_stay_linked() {
        let place = Place::new();
        let (path, other) = (place.path("f"), place.path("g"));
        fs::write(&path, "one").unwrap();
        fs::hard_link(&path, &other).unwrap();
        for after in ["longer than before", "short", ""] {
            assert_eq!(place.replace(&path, after.as_bytes()).unwrap().method, Method::InPlace);
            assert_eq!(fs::read_to_string(&other).unwrap(), after);
        }
        let copies = fs::read_dir(&place.recovery).unwrap().count();
        assert_eq!(copies, 0, "no copy outlives its write");
    }

    #[test]
    fn a_foreign_owner_is_kept() {
        let place = Place::new();
        let path = place.path("f");
        fs::write(&path, "one").unwrap();
        // Only root can make such a file.
        if std::os::unix::fs::chown(&path, Some(12_345), Some(23_456)).is_err() {
            return;
        }
        place.replace(&path, b"two").unwrap();
        let meta = fs::metadata(&path).unwrap();
        assert_eq!((meta.uid(), meta.gid(), fs::read(&path).unwrap()), (12_345, 23_456, b"two".to_vec()));
    }
}
