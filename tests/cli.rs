//! The `mcp` program as people and scripts meet it: exit codes, both outputs, and what is in the files afterwards.
#![allow(clippy::unwrap_used, reason = "a test stops where something is not as it says")]

#[path = "cmd/captures.rs"]
mod captures;
#[path = "cmd/home.rs"]
mod home;
#[cfg(target_os = "linux")]
#[path = "cmd/terminal.rs"]
mod terminal;

mod cmd {
    mod answers;
    mod command_line;
    mod daemon;
    mod login;
    mod own_clients;
    mod refusals;
    mod replay;
    mod screens;
    mod secrets;
    mod share;
    mod shells;
    mod sources;
    mod switch;
    mod tap;
    mod trace;
    mod trace_check;
    mod trace_serve;
    mod undo;
}

mod flows {
    mod bytes;
    mod guided;
    mod inspect;
    mod odd_places;
    mod run_once;
    mod share;
    pub(crate) mod shared;
    mod translate;
}
