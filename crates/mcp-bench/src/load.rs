//! Clients of an MCP server, in this process: they call, check every answer, and take the time.

pub mod client;
pub mod engine;
pub mod process;
pub mod wire;

use std::time::Duration;

/// How a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Era {
    /// It opens a session with `initialize`.
    Legacy,
    /// Each request says everything.
    Modern,
}

impl Era {
    /// The revision a client of this era names.
    pub fn revision(self) -> &'static str {
        match self {
            Self::Legacy => "2025-11-25",
            Self::Modern => "2026-07-28",
        }
    }
}

/// How long clients go on.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    /// Calls before this time are made and checked, not counted.
    pub warm_up: Duration,
    /// The time that is measured.
    pub measured: Duration,
    /// At most so many calls are counted.
    pub calls: usize,
}
