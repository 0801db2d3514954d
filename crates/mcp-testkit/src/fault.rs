//! Killing a program at any system call, or making any system call of it fail.
//!
//! A command runs under `ptrace`, with its threads and children. System calls count from the first that names something
//! in the watched directory, so that what the loader and the runtime do before is left out. Works on Linux (x86-64 and
//! ARM64) where tracing is allowed; [`unavailable`] says why not elsewhere, and tests then report themselves as skipped.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

#[cfg(all(target_os = "linux", target_env = "gnu", any(target_arch = "x86_64", target_arch = "aarch64")))]
#[path = "fault/linux.rs"]
mod platform;
#[cfg(not(all(target_os = "linux", target_env = "gnu", any(target_arch = "x86_64", target_arch = "aarch64"))))]
mod platform {
    pub(super) fn unavailable() -> Option<String> {
        Some("tracing system calls is built for Linux with glibc on x86-64 and ARM64 only".to_owned())
    }

    pub(super) fn run(_: super::Command, _: &super::Path, _: super::Fault<'_>) -> super::io::Result<super::Outcome> {
        Err(super::io::ErrorKind::Unsupported.into())
    }
}

/// A system call the program began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Its name; `#<number>` for those not about files.
    pub name: String,
    /// The first path or open file it is about.
    pub path: Option<PathBuf>,
}

/// How the program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// By itself, with this code.
    Exited(i32),
    /// By this signal.
    Signalled(i32),
}

/// What a run showed.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Every counted system call, in order.
    pub calls: Vec<Call>,
    /// The position in `calls` where the fault struck; `None` if the program ended before.
    pub struck: Option<usize>,
    /// How the program ended.
    pub end: End,
    /// What it printed.
    pub stdout: Vec<u8>,
    /// What it complained.
    pub stderr: Vec<u8>,
}

/// What goes wrong.
#[cfg_attr(
    not(all(target_os = "linux", target_env = "gnu", any(target_arch = "x86_64", target_arch = "aarch64"))),
    expect(dead_code, reason = "nothing is traced here")
)]
enum Fault<'a> {
    Nothing,
    /// Killed when it begins the call at this position.
    Kill(usize),
    /// The `nth` matching call returns this error instead of being made.
    Fail {
        matches: &'a dyn Fn(&Call) -> bool,
        nth: usize,
        errno: i32,
    },
}

/// Why no program can be traced here; `None` when one can.
pub fn unavailable() -> Option<String> {
    platform::unavailable()
}

/// Runs the command undisturbed. `calls.len()` of the outcome is the number of points at which it can be killed.
pub fn trace(command: Command, watched: &Path) -> io::Result<Outcome> {
    platform::run(command, watched, Fault::Nothing)
}

/// How many system calls the command makes from the first that touches the watched directory on.
pub fn count_syscalls(command: Command, watched: &Path) -> io::Result<usize> {
    Ok(trace(command, watched)?.calls.len())
}

/// Runs the command and kills it, with its children, as it begins the counted system call at `position` (from 0), which is
/// then not made.
pub fn run_killing_at(command: Command, watched: &Path, position: usize) -> io::Result<Outcome> {
    platform::run(command, watched, Fault::Kill(position))
}

/// Runs the command and makes the `nth` (from 0) counted system call that matches return `errno` without being made.
pub fn run_failing(
    command: Command,
    watched: &Path,
    matches: &dyn Fn(&Call) -> bool,
    nth: usize,
    errno: i32,
) -> io::Result<Outcome> {
    platform::run(command, watched, Fault::Fail { matches, nth, errno })
}

/// A command like `command`, for running it more than once: [`Command`] cannot be copied.
pub fn again(command: &Command) -> Command {
    let mut copy = Command::new(command.get_program());
    copy.args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => copy.env(name, OsString::from(value)),
            None => copy.env_remove(name),
        };
    }
    if let Some(dir) = command.get_current_dir() {
        copy.current_dir(dir);
    }
    copy
}

/// The errors a disk or its owner can come up with at any call, by name.
pub const ERRORS: [(&str, i32); 5] = [("EIO", 5), ("EACCES", 13), ("EXDEV", 18), ("ENOSPC", 28), ("EROFS", 30)];
