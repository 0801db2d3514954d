//! How a shared server stands, as data. `mcp daemon status --json` prints it.

use serde::{Deserialize, Serialize};

/// One shared server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// `idle`, `starting`, `ready`, `waiting` (before a restart), `draining`, `failed`.
    pub state: String,
    /// Why, where it is `waiting` or `failed`.
    pub reason: Option<String>,
    /// The era spoken with the server.
    pub era: Option<String>,
    /// The revision spoken with the server.
    pub protocol_version: Option<String>,
    /// What the server calls itself.
    pub server: Option<Party>,
    /// Its clients.
    pub clients: Vec<ClientStatus>,
    /// Calls that are on their way.
    pub in_flight: usize,
    /// Calls answered so far, errors included.
    pub calls: u64,
    /// Calls answered with an error.
    pub errors: u64,
    /// Half of the calls took no longer, in microseconds.
    pub p50_us: Option<u64>,
    /// 95 of 100 calls took no longer, in microseconds.
    pub p95_us: Option<u64>,
    /// How often the server was started again.
    pub restarts: u64,
    /// It turned to a client with a request of its own: calls of several clients take turns.
    pub is_interactive: bool,
    /// Lines on the server's standard output that were no messages.
    pub noise_lines: u64,
    /// What was dropped or refused, and why: text and how often.
    pub notes: Vec<(String, u64)>,
    /// Entries in the tables of the route, by name; all are 0 when nobody is there and nothing is on its way.
    pub tables: Vec<(String, usize)>,
}

/// A program by name and version.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Party {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// A client of a shared server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClientStatus {
    /// The number of its connection.
    pub id: u64,
    /// What it calls itself.
    pub client: Option<Party>,
    /// `stdio`, `http`, `sse`.
    pub via: String,
    /// The process at the other end.
    pub pid: Option<u32>,
    /// The era it speaks.
    pub era: Option<String>,
    /// The revision it speaks.
    pub protocol_version: Option<String>,
    /// It and the server speak different eras.
    pub is_bridged: bool,
    /// Its calls that are on their way.
    pub in_flight: usize,
    /// Its calls answered so far.
    pub calls: u64,
    /// Requests of the server it has not answered yet.
    pub asked: usize,
}
