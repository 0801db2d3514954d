//! Nothing an owner started outlives it for long, however it ends. This program is also the owner and the guard, in two tests
//! that are ignored unless they are asked for.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::ffi::OsString;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use mcp_os::guard::Guard;
use mcp_os::proc;
use rustix::process::{Pid, Signal};

/// The arguments with which this program is something else.
fn role(name: &str) -> Vec<OsString> {
    ["--exact", name, "--ignored", "--nocapture", "--test-threads=1"].map(OsString::from).to_vec()
}

fn guard() -> Guard {
    Guard::start_with(&std::env::current_exe().unwrap(), &role("as_the_guard")).unwrap()
}

#[test]
#[ignore = "a part that other tests start"]
fn as_the_guard() {
    mcp_os::guard::run(std::io::stdin());
}

/// Starts servers of several kinds, writes the ids of all processes into a file, and waits to be killed.
#[test]
#[ignore = "a part that other tests start"]
fn as_the_owner() {
    let Some(file) = std::env::var_os("OWNER_FILE") else { return };
    let guard = guard();
    let stubborn = Server::start("trap '' TERM; sleep 600 & echo $!; while :; do sleep 0.05; done");
    let polite = Server::start("trap 'exit 0' TERM; sleep 600 & echo $!; while :; do sleep 0.05; done");
    let over = Server::start("sleep 600 & echo $!; wait");
    for server in [&stubborn, &polite, &over] {
        guard.add(server.group()).unwrap();
    }
    guard.remove(over.group()).unwrap();
    let all =
        [guard.id(), stubborn.group(), stubborn.grandchild, polite.group(), polite.grandchild, over.group(), over.grandchild];
    let text = all.map(|id| id.to_string()).join(" ");
    let written = Path::new(&file).with_extension("part");
    std::fs::write(&written, text).unwrap();
    std::fs::rename(written, file).unwrap();
    std::thread::sleep(Duration::from_mins(10));
}

/// A process with a child, in a group of its own.
struct Server {
    process: Child,
    grandchild: u32,
}

impl Server {
    fn start(script: &str) -> Self {
        use std::io::BufRead as _;
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]).stdin(Stdio::null()).stdout(Stdio::piped()).process_group(0);
        let mut process = command.spawn().unwrap();
        let mut line = String::new();
        std::io::BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { process, grandchild: line.trim().parse().unwrap() }
    }

    fn group(&self) -> u32 {
        self.process.id()
    }
}

fn pid(id: u32) -> Pid {
    Pid::from_raw(id.cast_signed()).unwrap()
}

fn kill_group(id: u32) {
    let _ = rustix::process::kill_process_group(pid(id), Signal::KILL);
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(30), "waited in vain for: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn runs(id: u32) -> bool {
    proc::is_running(id).unwrap()
}

fn session(id: u32) -> u32 {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
    stat.rsplit_once(')').unwrap().1.split_whitespace().nth(3).unwrap().parse().unwrap()
}

/// An owner in a group of its own, and the processes it started.
fn owner() -> (Child, [u32; 7]) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pids");
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(role("as_the_owner")).env("OWNER_FILE", &file).stdin(Stdio::null()).stdout(Stdio::null()).process_group(0);
    let owner = command.spawn().unwrap();
    until("the owner to have started all", || file.exists());
    let text = std::fs::read_to_string(&file).unwrap();
    let all: Vec<u32> = text.split(' ').map(|id| id.parse().unwrap()).collect();
    (owner, all.try_into().unwrap())
}

#[test]
fn what_an_owner_killed_with_9_leaves_behind_is_ended() {
    let (mut owner, [guard, stubborn, stubborn_child, polite, polite_child, over, over_child]) = owner();
    until("the guard to leave the session", || session(guard) == guard);
    for id in [guard, stubborn, stubborn_child, polite, polite_child, over, over_child] {
        assert!(runs(id), "{id} should run while its owner does");
    }
    // The whole group of the owner, as a terminal does it.
    kill_group(owner.id());
    owner.wait().unwrap();
    for id in [stubborn, stubborn_child, polite, polite_child] {
        until("what was left behind to end", || !runs(id));
    }
    until("the guard to end", || !runs(guard));
    assert!(runs(over) && runs(over_child), "what was taken off the list is somebody else's");
    kill_group(over);
}

#[test]
fn a_group_of_another_age_is_left_alone() {
    let mut servers = [Server::start("sleep 600 & echo $!; wait"), Server::start("sleep 600 & echo $!; wait")];
    let [same, other] = [&servers[0], &servers[1]].map(Server::group);
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(role("as_the_guard")).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut guard = command.spawn().unwrap();
    let start = |id| proc::start_time(id).unwrap();
    // Torn, as a pipe may be read.
    let lines = format!("+{same} {}\n+{other} {}\n+0 0\n+1 0\n+x\n\nnoise\n", start(same), start(other) + 1);
    let mut pipe = guard.stdin.take().unwrap();
    for byte in lines.bytes() {
        pipe.write_all(&[byte]).unwrap();
    }
    drop(pipe);
    assert!(guard.wait().unwrap().success());
    assert!(!runs(same));
    assert!(runs(other));
    kill_group(other);
    for server in &mut servers {
        server.process.wait().unwrap();
    }
}

#[test]
fn a_guard_that_was_killed_is_started_again_and_told_everything() {
    let guard = guard();
    let mut servers = [Server::start("sleep 600 & echo $!; wait"), Server::start("sleep 600 & echo $!; wait")];
    guard.add(servers[0].group()).unwrap();
    let first = guard.id();
    rustix::process::kill_process(pid(first), Signal::KILL).unwrap();
    until("the guard to end", || !runs(first));
    guard.add(servers[1].group()).unwrap();
    assert_ne!(guard.id(), first);
    assert!(!Path::new(&format!("/proc/{first}")).exists(), "a zombie is left");
    let second = guard.id();
    drop(guard);
    for server in &mut servers {
        // Its status is ours to take: the guard is no parent of it.
        until("the server to end", || matches!(server.process.try_wait(), Ok(Some(_))));
        until("its child to end", || !runs(server.grandchild));
    }
    until("the guard to end", || !runs(second));
}

#[test]
fn a_guard_with_nothing_to_do_ends_with_its_owner_and_is_reaped() {
    let guard = guard();
    let id = guard.id();
    let mut server = Server::start("sleep 600 & echo $!; wait");
    guard.add(server.group()).unwrap();
    guard.remove(server.group()).unwrap();
    drop(guard);
    until("the guard to end", || !runs(id));
    assert!(runs(server.group()));
    kill_group(server.group());
    server.process.wait().unwrap();
}

#[test]
fn a_guard_that_was_stopped_does_not_stop_its_owner() {
    let guard = guard();
    rustix::process::kill_process(pid(guard.id()), Signal::STOP).unwrap();
    // Groups that do not exist, more than a pipe can hold. The thread of the test would hang here.
    let refused = (0..20_000).filter(|n| guard.add(0x3fff_0000 + n).is_err()).count();
    assert!(refused > 0);
    rustix::process::kill_process(pid(guard.id()), Signal::KILL).unwrap();
}

#[test]
fn a_guard_that_cannot_be_started_is_an_error_that_names_it() {
    let error = Guard::start(Path::new("/no/such/program")).unwrap_err();
    assert_eq!(error.to_string(), "start the orphan guard `/no/such/program`");
}

#[test]
fn processes_are_seen_for_what_they_are() {
    let mut server = Server::start("sleep 600 & echo $!; wait");
    let own = proc::memory_of_tree(server.grandchild).unwrap();
    let tree = proc::memory_of_tree(server.group()).unwrap();
    assert!(own > 0 && tree > own, "{own} of {tree}");
    assert!(proc::start_time(server.group()).unwrap() <= proc::start_time(server.grandchild).unwrap());
    kill_group(server.group());
    until("the server to end", || !runs(server.group()));
    assert!(Path::new(&format!("/proc/{}", server.group())).exists(), "a zombie is there and does not run");
    server.process.wait().unwrap();
    assert_eq!(proc::is_running(server.group()), Some(false));
    assert_eq!((proc::memory_of_tree(server.group()), proc::start_time(server.group())), (None, None));
}
