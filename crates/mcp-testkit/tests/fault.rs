//! Every system call of a journalled write, killed and failed: the file has the old bytes or the new ones.
//!
//! The test is its own victim: run with `MCP_FAULT_FILE` set, it makes one write instead of running tests.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a failed unwrap is a failed test, and its output is the report")]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use libtest_mimic::{Arguments, Failed, Trial};
use mcp_os::file;
use mcp_os::journal::{FileEdit, Journal, Origin, UndoOutcome, undo_text};
use mcp_os::lock::FileLock;
use mcp_os::write::{self, Options};
use mcp_testkit::fault::{self, Call, End, Outcome};

const OLD: &str = "{\n  // theirs\n  \"mcpServers\": {\n  }\n}\n";
const ADDED: &str = "    \"new\": { \"command\": \"n\" }\n";

fn new() -> String {
    OLD.replace("  }\n}", &format!("{ADDED}  }}\n}}"))
}

fn main() -> ExitCode {
    if let Some(path) = std::env::var_os("MCP_FAULT_FILE") {
        return match victim(Path::new(&path)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                let mut cause: Option<&dyn Error> = Some(&*error);
                while let Some(error) = cause {
                    eprintln!("error: {error}");
                    cause = error.source();
                }
                ExitCode::from(3)
            }
        };
    }
    let skip = fault::unavailable();
    if let Some(reason) = &skip {
        eprintln!("skipped: {reason}");
    }
    let trial = |name: &str, test: fn() -> Result<(), Failed>| Trial::test(name, test).with_ignored_flag(skip.is_some());
    let trials = vec![
        trial("a_writer_that_truncates_first_is_caught", naive),
        trial("killed_at_any_call_the_file_is_old_or_new", || killed(Kind::Replace)),
        trial("killed_at_any_call_a_new_file_is_absent_or_whole", || killed(Kind::Create)),
        trial("any_error_at_any_call_leaves_old_bytes_or_new_ones", || failed(Kind::Replace)),
        trial("any_error_at_any_call_leaves_no_file_or_a_whole_one", || failed(Kind::Create)),
        trial("killed_at_any_call_a_file_is_whole_or_deleted", || killed(Kind::Delete)),
        trial("any_error_at_any_call_leaves_a_file_whole_or_deleted", || failed(Kind::Delete)),
        trial("any_error_in_place_leaves_old_bytes_or_new_ones", || failed(Kind::Linked)),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// What the program does for one file: lock, read, prepare, journal, commit.
fn victim(path: &Path) -> Result<(), Box<dyn Error>> {
    let state = path.parent().and_then(Path::parent).ok_or("a file two levels deep")?.join("state");
    let target = file::resolve(path)?;
    let _lock = FileLock::acquire(&state.join("locks"), &target.path.to_string_lossy(), Duration::from_secs(5))?;
    let found = file::read(path)?;
    if std::env::var_os("MCP_FAULT_NAIVE").is_some() {
        return Ok(std::fs::write(path, new())?);
    }
    if std::env::var_os("MCP_FAULT_DELETE").is_some() {
        write::remove(found.target(), OLD.as_bytes())?;
        return Ok(());
    }
    let before = found.bytes().map(std::str::from_utf8).transpose()?;
    let (after, splice) = match before {
        Some(before) => (new(), before.find("  }\n}").ok_or("the expected text")?),
        None => (ADDED.to_owned(), 0),
    };
    let options = Options { mode_if_new: 0o600, private: true, recovery: &state.join("recovery") };
    let prepared = write::prepare(found.target(), found.bytes(), after.as_bytes(), &options)?;
    let mut edit = FileEdit::new(Origin::default(), found.target(), before, &after, [(splice..splice, ADDED)]);
    edit.created_dirs = prepared.created_dirs().to_vec();
    let mut record = Journal::open(&state).begin("test", serde_json::Value::Null)?;
    record.append(vec![edit])?;
    prepared.commit()?;
    Ok(())
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Replace,
    Create,
    Linked,
    Delete,
}

/// A file in a directory of its own, and the program's state beside that.
struct Place {
    dir: tempfile::TempDir,
    kind: Kind,
}

impl Place {
    fn new(kind: Kind) -> Self {
        // In memory, syncing costs nothing, and this makes some 1,700 runs of several syncs each.
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let place = Self { dir, kind };
        if kind != Kind::Create {
            std::fs::create_dir(place.path().parent().unwrap()).unwrap();
            std::fs::write(place.path(), OLD).unwrap();
        }
        if kind == Kind::Linked {
            std::fs::hard_link(place.path(), place.dir.path().join("link")).unwrap();
        }
        place
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("client/config.json")
    }

    fn command(&self) -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.env("MCP_FAULT_FILE", self.path());
        if self.kind == Kind::Delete {
            command.env("MCP_FAULT_DELETE", "1");
        }
        command
    }

    fn journal(&self) -> Journal {
        Journal::open(&self.dir.path().join("state"))
    }

    /// `Some(true)`: the new bytes, or none if that was the order; `Some(false)`: the old ones, or none where there were none.
    fn is_new(&self) -> Option<bool> {
        if self.kind == Kind::Delete {
            return match std::fs::read_to_string(self.path()) {
                Ok(text) if text == OLD => Some(false),
                Ok(_) => None,
                Err(_) => Some(true),
            };
        }
        let new = if self.kind == Kind::Create { ADDED.to_owned() } else { new() };
        match std::fs::read_to_string(self.path()) {
            Ok(text) if text == new => Some(true),
            Ok(text) if text == OLD && self.kind != Kind::Create => Some(false),
            Err(_) if self.kind == Kind::Create => Some(false),
            _ => None,
        }
    }

    /// The journal knows how to take back a change that was made.
    fn check_undo(&self) -> Result<(), String> {
        let (records, unreadable) = self.journal().list().map_err(|e| e.to_string())?;
        // A record whose header was cut off is all that may be unreadable.
        if self.is_new() != Some(true) || self.kind == Kind::Delete {
            return Ok(());
        }
        let text = std::fs::read_to_string(self.path()).map_err(|e| e.to_string())?;
        let edit = records.first().and_then(|r| r.edits_to_undo().next());
        let edit = edit.ok_or_else(|| format!("the file changed and the journal does not know: {unreadable:?}"))?;
        match undo_text(edit, &text) {
            UndoOutcome::Restored { text, exact: true } if text == OLD => Ok(()),
            UndoOutcome::Delete if self.kind == Kind::Create => Ok(()),
            other => Err(format!("cannot be undone: {other:?}")),
        }
    }
}

fn killed(kind: Kind) -> Result<(), Failed> {
    let place = Place::new(kind);
    let count = fault::count_syscalls(place.command(), place.dir.path())?;
    eprintln!("{count} system calls");
    if count < 20 {
        return Err(format!("only {count} system calls were seen").into());
    }
    let mut seen = [0, 0];
    for position in 0.. {
        let place = Place::new(kind);
        let outcome = fault::run_killing_at(place.command(), place.dir.path(), position)?;
        let at = || format!("killed at {position}, {:?}", outcome.calls.get(position));
        let Some(is_new) = place.is_new() else {
            return Err(format!("{}: {:?}", at(), std::fs::read_to_string(place.path())).into());
        };
        seen[usize::from(is_new)] += 1;
        place.check_undo().map_err(|e| format!("{}: {e}", at()))?;
        if outcome.struck.is_none() {
            assert_eq!(outcome.end, End::Exited(0), "{}", text(&outcome));
            break;
        }
        assert_eq!(outcome.end, End::Signalled(9), "{}", at());
        // What the dead process left behind hinders nobody.
        if !is_new {
            let retry = fault::trace(place.command(), place.dir.path())?;
            assert_eq!((retry.end, place.is_new()), (End::Exited(0), Some(true)), "{}: {}", at(), text(&retry));
        }
    }
    // Both must have been seen, or the kills were all on one side of the rename.
    assert!(seen[0] > 10 && seen[1] > 1, "old {} times, new {} times", seen[0], seen[1]);
    Ok(())
}

/// The harness itself: a plain `std::fs::write` must be seen to lose bytes, both killed and failed.
fn naive() -> Result<(), Failed> {
    let command = |place: &Place| {
        let mut command = place.command();
        command.env("MCP_FAULT_NAIVE", "1");
        command
    };
    let place = Place::new(Kind::Replace);
    let calls = fault::trace(command(&place), place.dir.path())?.calls;
    let is_write = |call: &Call| call.name == "write" && call.path.as_deref().is_some_and(|p| p.ends_with("config.json"));
    let write = calls.iter().position(is_write).ok_or("the write was not seen")?;
    let place = Place::new(Kind::Replace);
    assert_eq!(fault::run_killing_at(command(&place), place.dir.path(), write)?.end, End::Signalled(9));
    assert_eq!((place.is_new(), std::fs::read(place.path()).unwrap()), (None, Vec::new()));
    let place = Place::new(Kind::Replace);
    let outcome = fault::run_failing(command(&place), place.dir.path(), &is_write, 0, 28)?;
    assert_eq!((outcome.end, place.is_new()), (End::Exited(3), None));
    assert!(text(&outcome).contains("No space left"), "{}", text(&outcome));
    Ok(())
}

fn text(outcome: &Outcome) -> String {
    String::from_utf8_lossy(&outcome.stderr).into_owned()
}

fn failed(kind: Kind) -> Result<(), Failed> {
    // Memory, threads and clocks do not fail for a disk's reasons; std holds that closing cannot fail.
    let is_about_files = |call: &Call| !call.name.starts_with('#') && call.name != "close";
    let (mut refused, mut done) = (0, 0);
    for (name, errno) in fault::ERRORS {
        for nth in 0.. {
            let place = Place::new(kind);
            let outcome = fault::run_failing(place.command(), place.dir.path(), &is_about_files, nth, errno)?;
            let Some(struck) = outcome.struck else { break };
            let call = &outcome.calls[struck];
            let at = || format!("{name} at {nth}, {call:?}, ended {:?}: {}", outcome.end, text(&outcome));
            match (outcome.end, place.is_new()) {
                (End::Exited(0), Some(true)) => done += 1,
                (End::Exited(3), Some(false)) => refused += 1,
                (_, state) => return Err(format!("{}: new: {state:?}", at()).into()),
            }
            // A message that failed to be printed is the one thing that may fail unsaid.
            assert!(outcome.end == End::Exited(0) || text(&outcome).contains("error: "), "{}", at());
            place.check_undo().map_err(|e| format!("{}: {e}", at()))?;
            // Nobody can clean up when cleaning up is what fails.
            if call.name != "unlink" && call.name != "unlinkat" {
                assert_eq!(left_behind(&place), Vec::<PathBuf>::new(), "{}", at());
            }
        }
    }
    eprintln!("refused {refused} times, done {done} times");
    assert!(refused > 20 && done > 4, "refused {refused} times, done {done} times");
    Ok(())
}

fn left_behind(place: &Place) -> Vec<PathBuf> {
    let Some(entries) = place.path().parent().and_then(|dir| std::fs::read_dir(dir).ok()) else { return Vec::new() };
    let is_temp = |p: &PathBuf| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with(write::TEMP_PREFIX));
    entries.map(|e| e.unwrap().path()).filter(is_temp).collect()
}
