//! What can be asked of the daemon, and what it answers. In JSON, because people's commands and tools ask, never the shim.

use mcp_relay::status::Status;
use serde::{Deserialize, Serialize};

/// A request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case")]
pub enum Request {
    /// How everything stands.
    Status,
    /// The URL of a server, which stays from then on.
    Url {
        /// Its name.
        name: String,
    },
    /// Record what a server and its clients say, until its end or until it is enough.
    Record {
        /// Its name.
        name: String,
        /// It is enough.
        stop: bool,
    },
    /// End a server, or all and the daemon.
    Stop {
        /// Its name.
        name: Option<String>,
    },
    /// Start a server that stays.
    Start {
        /// Its name; none: all of them.
        name: Option<String>,
    },
    /// Remove what nobody needs, and end what nobody uses.
    Gc,
    /// Take no new clients, end when the last is gone, and hand over those who can be.
    Leave,
}

/// An answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// How everything stands.
    Status(Box<Report>),
    /// A URL.
    Url(String),
    /// Where it is recorded.
    Recording {
        /// The capture's session.
        session: String,
        /// The first file.
        path: std::path::PathBuf,
    },
    /// Names of what was ended, started or removed.
    Done(Vec<String>),
    /// No: an exit code and why.
    No {
        /// The exit code.
        exit: u8,
        /// Why.
        text: String,
    },
}

/// How everything stands. `mcp daemon status --json` prints it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// `mcp.daemon.status/1`.
    pub schema: String,
    /// The daemon; none runs if `null`.
    pub daemon: Option<Daemon>,
    /// Its servers, by name.
    pub servers: Vec<Server>,
    /// Daemons that take no new clients any more and serve their last ones.
    pub leaving: Vec<Leaving>,
}

/// The schema of a [`Report`].
pub const SCHEMA: &str = "mcp.daemon.status/1";

/// The daemon itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Daemon {
    /// Its version.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// How long it has been running.
    pub uptime_ms: u64,
    /// Its memory in bytes, without its servers'.
    pub memory: Option<u64>,
    /// Its directory.
    pub directory: String,
    /// `unix` or `tcp`.
    pub transport: String,
    /// What is not as it should be.
    pub problems: Vec<String>,
}

/// A daemon that leaves.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Leaving {
    /// Its process.
    pub pid: u32,
    /// Its version.
    pub version: String,
    /// Its servers.
    pub servers: Vec<Server>,
}

/// A shared server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Server {
    /// Its name.
    pub name: String,
    /// Other names it was given.
    pub aliases: Vec<String>,
    /// What tells it apart, shortened.
    pub identity: String,
    /// The program and its arguments, or the URL.
    pub command: Vec<String>,
    /// Its working directory.
    pub cwd: Option<String>,
    /// The names of the variables that tell it apart.
    pub env: Vec<String>,
    /// What sets it apart from others of the same command.
    pub isolation: Option<String>,
    /// It stays until it is stopped.
    pub persistent: bool,
    /// How long it stays when nobody uses it.
    pub linger_ms: Option<u64>,
    /// Its process.
    pub pid: Option<u32>,
    /// The memory of its process and all it started, in bytes.
    pub memory: Option<u64>,
    /// How long it has been kept.
    pub uptime_ms: u64,
    /// Where it is reached by URL.
    pub url: Option<String>,
    /// Its log.
    pub log: String,
    /// Why its log is not written.
    pub log_problem: Option<String>,
    /// The rest, as its route sees it.
    #[serde(flatten)]
    pub status: Status,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn requests_and_replies_come_through() {
        let asks = [Request::Status, Request::Stop { name: None }, Request::Url { name: "a".into() }, Request::Leave];
        for ask in asks {
            assert_eq!(serde_json::from_str::<Request>(&serde_json::to_string(&ask).unwrap()).unwrap(), ask);
        }
        let server = Server { name: "a".into(), status: Status { calls: 3, ..Status::default() }, ..Server::default() };
        let report = Report { schema: SCHEMA.into(), servers: vec![server], ..Report::default() };
        let text = serde_json::to_string(&Reply::Status(Box::new(report.clone()))).unwrap();
        let Reply::Status(again) = serde_json::from_str(&text).unwrap() else { panic!("{text}") };
        assert_eq!(*again, report);
        assert!(text.contains("\"url\":null"), "a member without a value is null");
    }
}
