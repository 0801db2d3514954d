//! Clients for `cargo xtask bench-run-once`. Prints one line of `key=value`, for a program to read.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the answer is for the task that started it")]

use std::process::ExitCode;

#[cfg(target_os = "linux")]
#[path = "load/run.rs"]
mod run;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    match run::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    eprintln!("error: what a process uses is read from /proc, which only Linux has");
    ExitCode::FAILURE
}
