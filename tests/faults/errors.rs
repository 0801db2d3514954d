//! Every error a disk or its owner can come up with, at every system call from the first that changes something.

use std::cell::Cell;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use libtest_mimic::{Failed, Trial};
use mcp_testkit::fault::{self, Call, End};

use crate::kills::is_change;
use crate::place::{Client, JSON, Place, TOML, YAML, install, told, uninstall};

const THREE: [Client; 3] = [JSON, TOML, YAML];

pub(crate) fn trials() -> Vec<Trial> {
    let trial = |name: &str, test: fn(&str) -> Result<(), Failed>| {
        let name = format!("failing_anywhere::{name}");
        Trial::test(name.clone(), move || test(&name))
    };
    vec![
        trial("install", |name| sweep(name, &[TOML], false, false)),
        trial("install_into_three", |name| sweep(name, &THREE, false, false)),
        trial("install_into_a_new_file", |name| sweep(name, &[JSON], true, false)),
        trial("uninstall", |name| sweep(name, &[YAML], false, true)),
        trial("uninstall_deletes_a_new_file", |name| sweep(name, &[JSON], true, true)),
        trial("a_full_disk_of_the_client", |_| full_disk(".cursor")),
        trial("a_full_disk_of_the_journal", |_| full_disk("mcp")),
        trial("a_state_directory_that_cannot_be_made", |_| no_state()),
        trial("a_state_directory_that_may_not_be_written", |_| closed_state()),
    ]
}

/// What the system says, as people read it.
fn reasons(errno: &str) -> &'static [&'static str] {
    match errno {
        "EIO" => &["Input/output error"],
        "EACCES" => &["Permission denied", "permission denied", "it is read-only"],
        "EXDEV" => &["Invalid cross-device link", "cross-device"],
        "ENOENT" => &["No such file or directory", "another program"],
        "ENOSPC" => &["No space left on device"],
        _ => &["Read-only file system", "it is read-only"],
    }
}

fn sweep(name: &str, clients: &[Client], absent: bool, take_away: bool) -> Result<(), Failed> {
    let prepare = || -> Result<Place, Failed> {
        let place = if absent { Place::new() } else { Place::with(clients) };
        if take_away {
            place.done(&install("ours", clients))?;
        }
        Ok(place)
    };
    let command = if take_away { uninstall(clients) } else { install("ours", clients) };
    let place = prepare()?;
    let old = place.files(clients);
    place.done(&command)?;
    let new = place.files(clients);
    let (mut refused, mut partly, mut done) = (0, 0, 0);
    // Several files take the same ways as one, at the same time.
    let mut errors = if clients.len() == 1 { fault::ERRORS.to_vec() } else { vec![("ENOSPC", 28)] };
    // As if the file or its folder had vanished this moment.
    errors.push(("ENOENT", 2));
    for (errno_name, errno) in errors {
        for nth in 0.. {
            let place = prepare()?;
            let root = place.root().canonicalize()?;
            let begun = Cell::new(false);
            // Closing cannot fail, to std's mind; and what cannot be printed is nobody's loss.
            let matches = |call: &Call| {
                begun.set(begun.get() || is_change(call, &root));
                begun.get() && call.name != "close" && call.path.as_deref().is_some_and(|p| p.starts_with(&root))
            };
            let outcome = fault::run_failing(place.command(command.split(' ')), place.root(), &matches, nth, errno)?;
            let Some(struck) = outcome.struck else { break };
            let call = &outcome.calls[struck];
            let said = String::from_utf8_lossy(&outcome.stderr);
            let at = || format!("{errno_name} at {nth}, {call:?}, ended {:?}: {said}", outcome.end);
            let state = place.files(clients);
            let changed = clients.iter().filter(|c| state[c.file] == new[c.file]).count();
            let untouched: Vec<&Client> = clients.iter().filter(|c| state[c.file] == old[c.file]).collect();
            assert_eq!(changed + untouched.len(), clients.len(), "{}: bytes that are neither old nor new", at());
            match outcome.end {
                End::Exited(0) => {
                    assert_eq!(changed, clients.len(), "{}: said to be done", at());
                    done += 1;
                }
                End::Exited(3) => {
                    assert!(!untouched.is_empty(), "{}: done, and said not to be", at());
                    let names = |c: &&&Client| said.contains(c.file.rsplit('/').next().unwrap());
                    let place_named = untouched.iter().any(|c| names(&c)) || said.contains("mcp/state");
                    assert!(place_named, "{}: the message names no file", at());
                    assert!(reasons(errno_name).iter().any(|r| said.contains(r)), "{}: the message gives no reason", at());
                    if changed == 0 { refused += 1 } else { partly += 1 }
                }
                _ => return Err(at().into()),
            }
            // Nobody can clean up when cleaning up is what fails.
            if !call.name.starts_with("unlink") {
                assert_eq!(place.left_behind(), Vec::<std::path::PathBuf>::new(), "{}", at());
            }
            if changed < clients.len() || !take_away {
                place.done(&command)?;
                assert_eq!(place.files(clients), new, "{}: and the same again", at());
            } else if !place.left_behind().is_empty() {
                // There is nothing to take away any more; the next change of the file tidies up.
                place.done(&install("ours", clients))?;
            }
            assert_eq!(place.left_behind(), Vec::<std::path::PathBuf>::new(), "{}: and the same again", at());
        }
    }
    eprintln!("{name}: {} injections; refused {refused}, partly done {partly}, done {done}", refused + partly + done);
    assert!(refused > 20 && done > 4, "refused {refused} times, done {done} times");
    Ok(())
}

/// A real file system without room, where we may mount one.
fn full_disk(folder: &str) -> Result<(), Failed> {
    let place = Place::with(&[JSON]);
    let folder = place.home().join(folder);
    std::fs::create_dir_all(&folder)?;
    let script = r#"
        set -eu
        cp -r "$1" "$3/kept"
        mount -t tmpfs -o size=32k none "$1" || exit 42
        cp -r "$3/kept/." "$1"
        # Locks and folders have their room; what is left is taken in ever smaller pieces.
        mkdir -p "$2/mcp/state/locks" "$2/mcp/state/journal"
        for size in 4096 1024 256 64 16 1; do dd if=/dev/zero of="$1/filler$size" bs=$size 2>/dev/null || true; done
        code=0
        shift 3
        "$@" || code=$?
        cat "$HOME/.cursor/mcp.json" > "$HOME/seen"
        ls -A "$HOME/.cursor" > "$HOME/beside"
        exit $code
    "#;
    let mcp = place.command(install("ours", &[JSON]).split(' ').collect::<Vec<_>>());
    let mut command = Command::new("unshare");
    command.args(["-m", "--", "sh", "-c", script, "sh"]).arg(&folder).arg(place.home()).arg(place.root());
    command.arg(mcp.get_program()).args(mcp.get_args()).current_dir(mcp.get_current_dir().unwrap());
    command.env("HOME", place.home()).env("MCP_HOME", place.home().join("mcp"));
    let output = command.output();
    let said = output.as_ref().map_or_else(ToString::to_string, told);
    if !output.is_ok_and(|o| o.status.code() == Some(3)) {
        if said.contains("Operation not permitted") || said.contains("No such file") || said.contains("exit status: 42") {
            eprintln!("skipped: no file system can be mounted here: {said}");
            return Ok(());
        }
        return Err(said.into());
    }
    assert!(said.contains("No space left on device"), "{said}");
    assert_eq!(std::fs::read_to_string(place.home().join("seen"))?, JSON.text, "{said}");
    let beside = std::fs::read_to_string(place.home().join("beside"))?;
    assert!(!beside.contains(".mcp-"), "{beside}");
    Ok(())
}

/// Refused, with the folder in question and the reason named, and the client's file as it was.
fn is_refused_for_state(place: &Place, mut command: Command) -> Result<(), Failed> {
    let output = command.output()?;
    let said = told(&output);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("mcp/state"), "{said}");
    assert_eq!(place.read(JSON).as_deref(), Some(JSON.text.as_bytes()), "{said}");
    assert_eq!(place.left_behind(), Vec::<std::path::PathBuf>::new());
    Ok(())
}

fn no_state() -> Result<(), Failed> {
    for blocked in ["mcp", "mcp/state", "mcp/state/locks", "mcp/state/journal"] {
        let place = Place::with(&[JSON]);
        let path = place.home().join(blocked);
        std::fs::create_dir_all(path.parent().unwrap())?;
        std::fs::write(path, "a file is in the way")?;
        is_refused_for_state(&place, place.command(install("ours", &[JSON]).split(' ').collect::<Vec<_>>()))?;
    }
    Ok(())
}

fn closed_state() -> Result<(), Failed> {
    for closed in ["mcp", "mcp/state/journal", "mcp/state/locks"] {
        let place = Place::with(&[JSON]);
        let path = place.home().join(closed);
        std::fs::create_dir_all(&path)?;
        let mut command = place.command(install("ours", &[JSON]).split(' ').collect::<Vec<_>>());
        if rights_bind_us() {
            std::fs::set_permissions(&path, PermissionsExt::from_mode(0o500))?;
        } else {
            // Root may write anywhere: so it is somebody else who runs it.
            give_away(place.root())?;
            std::fs::set_permissions(&path, PermissionsExt::from_mode(0o500))?;
            command.uid(NOBODY).gid(NOBODY);
        }
        is_refused_for_state(&place, command)?;
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o700))?;
    }
    Ok(())
}

/// A user who owns nothing.
pub(crate) const NOBODY: u32 = 65534;

/// Whether permission bits keep us from anything.
pub(crate) fn rights_bind_us() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().metadata().unwrap().uid() != 0
}

/// Gives everything below a folder to [`NOBODY`].
fn give_away(path: &Path) -> std::io::Result<()> {
    std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY))?;
    if path.is_dir() {
        for entry in std::fs::read_dir(path)? {
            give_away(&entry?.path())?;
        }
    }
    Ok(())
}
