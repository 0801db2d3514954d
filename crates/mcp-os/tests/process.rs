//! Children end with everything they started.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::time::{Duration, Instant};

use mcp_os::process::{Spec, spawn};

fn shell(script: &str) -> Spec {
    Spec { program: "/bin/sh".into(), args: vec!["-c".into(), script.into()], ..Spec::default() }
}

fn is_alive(pid: i32) -> bool {
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    // A zombie waiting for init answers too, so look at its state where that can be seen.
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
    let is_zombie = stat.is_ok_and(|s| s.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z')));
    !is_zombie && rustix::process::test_kill_process(pid).is_ok()
}

fn wait_until_dead(pid: i32) {
    let start = Instant::now();
    while is_alive(pid) {
        assert!(start.elapsed() < Duration::from_secs(10), "process {pid} lives on");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn killing_a_child_kills_its_grandchild() {
    let mut child = spawn(&shell("sleep 600 & echo $!; wait")).unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let grandchild: i32 = line.trim().parse().unwrap();
    assert!(is_alive(grandchild));
    child.kill_tree().unwrap();
    wait_until_dead(grandchild);
}

#[test]
fn a_dropped_child_is_gone() {
    let child = spawn(&shell("sleep 600")).unwrap();
    let pid = child.id().cast_signed();
    drop(child);
    wait_until_dead(pid);
}

#[test]
fn a_polite_child_leaves_when_its_input_closes() {
    let mut child = spawn(&shell("read line; echo \"got $line\"; cat >/dev/null; exit 7")).unwrap();
    child.stdin.as_mut().unwrap().write_all(b"hello\n").unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "got hello\n");
    assert_eq!(child.shut_down(Duration::from_secs(10)).unwrap().code(), Some(7));
}

#[test]
fn a_stubborn_child_is_killed_after_its_grace() {
    let mut child = spawn(&shell("while :; do sleep 1; done")).unwrap();
    assert_eq!(child.shut_down(Duration::from_millis(50)).unwrap().code(), None);
}

#[test]
fn the_environment_is_just_what_was_asked_for() {
    let env = vec![("ONLY".into(), "this".into())];
    let spec = Spec { env, clear_env: true, cwd: Some("/".into()), ..shell("echo $ONLY-$HOME-$PWD") };
    let mut child = spawn(&spec).unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "this--/\n");
}

#[test]
fn a_missing_program_is_named() {
    let error = spawn(&Spec { program: "/no/such/program".into(), ..Spec::default() }).unwrap_err();
    assert_eq!(error.to_string(), "start `/no/such/program`");
}
