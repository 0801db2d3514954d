//! kill -9 at every system call of a command.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, SystemTime};

use libtest_mimic::{Failed, Trial};
use mcp_os::journal::{Journal, hash};
use mcp_testkit::fault::{self, Call, End};

use crate::place::{CLAUDE, COPILOT, Client, Files, JSON, Place, TOML, YAML, install, uninstall};

/// Of the calls before the first that changes anything, and after the last, only every so manyth is a point to be killed
/// at.
const SAMPLED: usize = 16;

const THREE: [Client; 3] = [JSON, TOML, YAML];

/// A command, and what comes before it.
struct Case {
    clients: &'static [Client],
    /// Clients whose file is not there at the beginning.
    absent: bool,
    /// Whether the server is installed before.
    installed: bool,
    command: String,
    /// What takes a finished command back; `None` for a command that is itself the taking back.
    undo: Option<&'static str>,
}

pub(crate) fn trials() -> Vec<Trial> {
    fn case(clients: &'static [Client]) -> Case {
        Case { clients, absent: false, installed: false, command: install("ours", clients), undo: Some("undo --yes") }
    }
    fn uninstalling(clients: &'static [Client]) -> Case {
        Case { command: uninstall(clients), installed: true, ..case(clients) }
    }
    fn undoing(clients: &'static [Client]) -> Case {
        Case { command: "undo --yes".to_owned(), undo: None, ..uninstalling(clients) }
    }
    let cases = [
        ("install_json", case(&[JSON])),
        ("install_toml", case(&[TOML])),
        ("install_yaml", case(&[YAML])),
        ("install_under_a_lock_directory", case(&[CLAUDE])),
        ("install_under_a_flock", case(&[COPILOT])),
        ("install_into_three", case(&THREE)),
        ("install_into_a_new_file", Case { absent: true, ..case(&[JSON]) }),
        ("install_into_three_new_files", Case { absent: true, ..case(&THREE) }),
        ("uninstall", uninstalling(&[TOML])),
        ("uninstall_from_three", uninstalling(&THREE)),
        ("uninstall_deletes_a_new_file", Case { absent: true, ..uninstalling(&[JSON]) }),
        ("undo", undoing(&[JSON])),
        ("undo_of_three", undoing(&THREE)),
        ("undo_deletes_a_new_file", Case { absent: true, ..undoing(&[YAML]) }),
    ];
    let trial = |(name, case): (&str, Case)| {
        let name = format!("killed_anywhere::{name}");
        Trial::test(name.clone(), move || case.sweep(&name))
    };
    let in_place = Trial::test("killed_anywhere::install_in_place", || in_place("killed_anywhere::install_in_place"));
    cases.into_iter().map(trial).chain([in_place]).collect()
}

/// Whether a call can change something in the place.
pub(crate) fn is_change(call: &Call, place: &Path) -> bool {
    let changing = ["mkdir", "rename", "unlink", "flock", "write", "pwrite64", "ftruncate", "fchmod", "fchown", "rmdir"];
    changing.iter().any(|name| call.name.starts_with(name)) && call.path.as_deref().is_some_and(|p| p.starts_with(place))
}

impl Case {
    fn place(&self) -> Result<Place, Failed> {
        let place = if self.absent { Place::new() } else { Place::with(self.clients) };
        if self.installed {
            place.done(&install("ours", self.clients))?;
        }
        Ok(place)
    }

    fn sweep(&self, name: &str) -> Result<(), Failed> {
        let place = self.place()?;
        let old = place.files(self.clients);
        let undisturbed = fault::trace(place.command(self.command.split(' ')), place.root())?;
        assert_eq!(undisturbed.end, End::Exited(0), "{}", String::from_utf8_lossy(&undisturbed.stderr));
        let new = place.files(self.clients);
        let calls = undisturbed.calls;
        let first = calls.iter().position(|call| is_change(call, place.root())).ok_or("nothing was changed")?;
        let last = calls.iter().rposition(|call| is_change(call, place.root())).ok_or("nothing was changed")? + 8;
        let (mut killed, mut seen_old, mut seen_new) = (0, 0, 0);
        // Threads take turns as they like: a run may have a few calls more than the one that was watched.
        let positions = (0..first).step_by(SAMPLED).chain(first..last).chain((last..calls.len()).step_by(SAMPLED));
        // With several files the threads' own calls make up half: what they wait for is seen at the calls about files.
        let counts = |position: &usize| self.clients.len() == 1 || calls.get(*position).is_some_and(|c| !c.name.starts_with('#'));
        for position in positions.filter(counts) {
            // What comes after the kill: the same command again, or taking back what was done.
            for undo_first in [false, true] {
                let place = self.place()?;
                let outcome = fault::run_killing_at(place.command(self.command.split(' ')), place.root(), position)?;
                let at = || format!("killed at {position}: {:?}", outcome.calls.get(position));
                if outcome.struck.is_none() {
                    break;
                }
                assert_eq!(outcome.end, End::Signalled(9), "{}", at());
                killed += 1;
                let state = place.files(self.clients);
                let changed = self.changed(&state, &old, &new).map_err(|e| format!("{}: {e}", at()))?;
                self.is_journalled(&place, &changed).map_err(|e| format!("{}: {e}", at()))?;
                (seen_old, seen_new) = if changed.is_empty() { (seen_old + 1, seen_new) } else { (seen_old, seen_new + 1) };
                age_locks(&place);
                if let (true, false, Some(undo)) = (undo_first, changed.is_empty(), self.undo) {
                    place.done(undo).map_err(|e| format!("{}: {}", at(), e.message().unwrap_or_default()))?;
                    assert_eq!(place.files(self.clients), old, "{}: taken back", at());
                }
                let again = place.mcp(&self.command);
                // Taking away what is gone already is answered with 1.
                let is_gone = self.installed && again.status.code() == Some(1);
                assert!(again.status.success() || is_gone, "{}: the same again: {}", at(), crate::place::told(&again));
                let state = place.files(self.clients);
                assert!(state == new || self.is_emptied(&place), "{}: the same again: {state:?}", at());
                if is_gone {
                    // There was nothing to be done; the next change of the file tidies up.
                    place.done(&install("ours", self.clients))?;
                }
                assert_eq!(place.left_behind(), Vec::<std::path::PathBuf>::new(), "{}: left behind", at());
                if changed.is_empty() {
                    break;
                }
            }
        }
        eprintln!(
            "{name}: {} system calls, first change at {first}; killed {killed} times, old {seen_old}, new {seen_new}",
            calls.len()
        );
        // Both must have been seen, or the kills were all on one side of the rename.
        assert!(seen_old > 20 && seen_new > 10, "old {seen_old} times, new {seen_new} times");
        Ok(())
    }

    /// A file we made is not deleted by an uninstallation that was cut off and done again, but emptied.
    fn is_emptied(&self, place: &Place) -> bool {
        self.absent && self.installed && self.clients.iter().all(|c| place.servers(*c).is_ok_and(|s| s.is_empty()))
    }

    /// The files that have the new bytes already; an error if one has neither the old ones nor the new ones.
    fn changed(&self, state: &Files, old: &Files, new: &Files) -> Result<Vec<Client>, String> {
        let mut changed = Vec::new();
        for client in self.clients {
            let now = &state[client.file];
            if *now == new[client.file] {
                changed.push(*client);
            } else if *now != old[client.file] {
                let text = now.as_deref().map(String::from_utf8_lossy);
                return Err(format!("{} has neither the old bytes nor the new ones: {text:?}", client.file));
            }
        }
        Ok(changed)
    }

    /// The newest record that has edits knows of every change that was made.
    fn is_journalled(&self, place: &Place, changed: &[Client]) -> Result<(), String> {
        let (records, unreadable) = Journal::open(&place.state()).list().map_err(|e| e.to_string())?;
        if !unreadable.is_empty() {
            return Err(format!("the journal cannot be read: {unreadable:?}"));
        }
        let count = usize::from(self.installed);
        for client in changed {
            let now = place.read(*client).map_or_else(String::new, |bytes| String::from_utf8_lossy(&bytes).into_owned());
            let known = records.len() > count
                && records[0].edits_to_undo().any(|e| e.target == place.path(*client) && e.after_hash == hash(&now));
            if !known {
                return Err(format!("{} was changed and the journal does not know: {records:?}", client.file));
            }
        }
        Ok(())
    }
}

/// A lock directory of a killed process is taken away once it is old: as if that time had passed.
fn age_locks(place: &Place) {
    if let Ok(dir) = File::open(place.home().join(".claude.json.lock")) {
        dir.set_modified(SystemTime::now() - Duration::from_mins(1)).unwrap();
    }
}

/// A file of several names is overwritten, and a kill can leave a mix. The next run refuses it, and the old bytes are kept.
fn in_place(name: &str) -> Result<(), Failed> {
    let prepare = || {
        let place = Place::with(&[YAML]);
        std::fs::hard_link(place.path(YAML), place.home().join("other name")).unwrap();
        place
    };
    let place = prepare();
    let words = install("ours", &[YAML]);
    let calls = fault::trace(place.command(words.split(' ')), place.root())?.calls;
    let new = place.read(YAML).unwrap();
    let (old, copies) = (YAML.text.as_bytes(), |place: &Place| place.state().join("recovery"));
    let first = calls.iter().position(|call| is_change(call, place.root())).ok_or("nothing was changed")?;
    let (mut killed, mut mixed) = (0, 0);
    for position in first..calls.len() {
        let place = prepare();
        let outcome = fault::run_killing_at(place.command(words.split(' ')), place.root(), position)?;
        let at = || format!("killed at {position}: {:?}", outcome.calls.get(position));
        killed += usize::from(outcome.struck.is_some());
        let now = place.read(YAML).ok_or_else(at)?;
        if now != old && now != new {
            mixed += 1;
            let refused = place.mcp(&words);
            let copy = std::fs::read_dir(copies(&place))?.next().ok_or_else(at)??.path();
            assert_eq!(refused.status.code(), Some(3), "{}: {}", at(), crate::place::told(&refused));
            let kept = std::fs::read(copy)?;
            assert!(kept.windows(old.len()).any(|part| part == old), "{}: the copy lacks the old bytes", at());
            assert_eq!(place.read(YAML), Some(now), "{}: a mix was written to", at());
            std::fs::write(place.path(YAML), old)?;
        }
        place.done(&words).map_err(|e| format!("{}: {}", at(), e.message().unwrap_or_default()))?;
        assert_eq!(place.read(YAML).as_ref(), Some(&new), "{}", at());
    }
    eprintln!("{name}: {} system calls, first change at {first}; killed {killed} times, mixed {mixed}", calls.len());
    assert!(mixed > 0, "the moment that counts was not met");
    Ok(())
}
