//! The locks of the clients' own programs.

use std::fs::File;
use std::process::Output;
use std::time::{Duration, Instant, SystemTime};

use libtest_mimic::{Failed, Trial};

use crate::place::{CLAUDE, COPILOT, Client, Place, install, told};

/// How long the client keeps its lock.
const HELD: Duration = Duration::from_secs(2);

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::test("locks::a_held_lock_directory_is_waited_for", held_directory),
        Trial::test("locks::a_stale_lock_directory_is_taken", stale_directory),
        Trial::test("locks::a_held_flock_is_waited_for", held_flock),
    ]
}

/// What the client writes just before it lets go.
fn changed(client: Client) -> String {
    client.text.replace("\"theirs\":", "\"late\": {\"command\": \"l\"},\n\t\t\"theirs\":")
}

/// Runs `mcp` while the client holds its lock, writes, and calls `release`.
fn against(place: &Place, client: Client, release: impl FnOnce() -> std::io::Result<()>) -> Result<Output, Failed> {
    let begin = Instant::now();
    let words = install("ours", &[client]);
    let mut command = place.command(words.split(' '));
    let child = command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn()?;
    std::thread::sleep(HELD);
    assert_eq!(place.read(client).as_deref(), Some(client.text.as_bytes()), "written under the client's lock");
    std::fs::write(place.path(client), changed(client))?;
    release()?;
    let output = child.wait_with_output()?;
    assert!(output.status.success() && begin.elapsed() >= HELD, "{:?}: {}", begin.elapsed(), told(&output));
    let mut servers = place.servers(client)?;
    servers.sort();
    assert_eq!(servers, ["late", "ours", "theirs"]);
    place.done("undo --yes")?;
    assert_eq!(place.read(client).as_deref(), Some(changed(client).as_bytes()));
    Ok(output)
}

fn held_directory() -> Result<(), Failed> {
    let place = Place::with(&[CLAUDE]);
    let lock = place.home().join(".claude.json.lock");
    std::fs::create_dir(&lock)?;
    against(&place, CLAUDE, || std::fs::remove_dir(&lock))?;
    assert!(!lock.exists());
    Ok(())
}

fn stale_directory() -> Result<(), Failed> {
    let place = Place::with(&[CLAUDE]);
    let lock = place.home().join(".claude.json.lock");
    std::fs::create_dir(&lock)?;
    #[cfg(unix)]
    File::open(&lock)?.set_modified(SystemTime::now() - Duration::from_mins(1))?;
    let begin = Instant::now();
    place.done(&install("ours", &[CLAUDE]))?;
    assert!(!cfg!(unix) || begin.elapsed() < Duration::from_secs(5), "took {:?}", begin.elapsed());
    assert!(!lock.exists(), "our own lock was left");
    assert_eq!(place.servers(CLAUDE)?.len(), 2);
    Ok(())
}

fn held_flock() -> Result<(), Failed> {
    let place = Place::with(&[COPILOT]);
    let lock = File::create(place.path(COPILOT).with_file_name(".mcp-writer.lock"))?;
    lock.lock()?;
    against(&place, COPILOT, || lock.unlock())?;
    Ok(())
}
