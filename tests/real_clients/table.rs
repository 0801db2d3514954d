//! The record of a run, as a Markdown table for `docs/real-clients.md`.

use std::{
    fmt::Write as _,
    io,
    path::Path,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use crate::{Installed, server::Server};

/// What was seen of one client with one server. An empty cell: the client has no such thing, or it was not reached.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    client: &'static str,
    version: String,
    server: &'static str,
    pub(crate) list: &'static str,
    pub(crate) connect: &'static str,
    pub(crate) call: &'static str,
    pub(crate) gone: &'static str,
    pub(crate) took: Duration,
}

/// What was seen of one client of a shared server.
#[derive(Debug, Clone)]
pub(crate) struct SharedRow {
    pub(crate) server: &'static str,
    /// How many clients were connected at once, to one process of the server.
    pub(crate) together: usize,
    /// The most of their calls that were seen on their way at once.
    pub(crate) in_flight: u64,
    pub(crate) client: &'static str,
    /// What it calls itself, and the version it gives.
    pub(crate) calls_itself: String,
    /// The revision it speaks, and whether it is another era's than the server's.
    pub(crate) speaks: String,
    pub(crate) seconds: f64,
}

static SHARED: Mutex<Vec<SharedRow>> = Mutex::new(Vec::new());

impl SharedRow {
    pub(crate) fn keep(self) {
        SHARED.lock().unwrap_or_else(PoisonError::into_inner).push(self);
    }
}

/// What was seen of one client that was recorded and then met its recording.
#[derive(Debug, Clone)]
pub(crate) struct RecordedRow {
    pub(crate) client: &'static str,
    pub(crate) version: String,
    pub(crate) server: &'static str,
    pub(crate) era: String,
    pub(crate) revision: String,
    pub(crate) messages: u64,
    /// What `mcp trace check` found that is no error.
    pub(crate) findings: String,
}

static RECORDED: Mutex<Vec<RecordedRow>> = Mutex::new(Vec::new());

impl RecordedRow {
    pub(crate) fn keep(self) {
        RECORDED.lock().unwrap_or_else(PoisonError::into_inner).push(self);
    }
}

static ROWS: Mutex<Vec<Row>> = Mutex::new(Vec::new());

impl Row {
    pub(crate) fn new(installed: &Installed, server: Server) -> Self {
        Self {
            client: installed.client.id(),
            version: installed.version.clone(),
            server: server.title(),
            list: "–",
            connect: "–",
            call: "–",
            gone: "–",
            took: Duration::ZERO,
        }
    }

    pub(crate) fn keep(self) {
        ROWS.lock().unwrap_or_else(PoisonError::into_inner).push(self);
    }
}

/// Writes what was kept, sorted, so that two runs give comparable files.
pub(crate) fn write(path: &Path) -> io::Result<()> {
    let mut rows = ROWS.lock().unwrap_or_else(PoisonError::into_inner).clone();
    rows.sort_by_key(|row| (row.client, row.server));
    let mut text = String::from("| client | version | server | list | connect | call | gone after uninstall | seconds |\n");
    text.push_str("| --- | --- | --- | --- | --- | --- | --- | --- |\n");
    for Row { client, version, server, list, connect, call, gone, took } in rows {
        let _ = writeln!(
            text,
            "| {client} | {version} | {server} | {list} | {connect} | {call} | {gone} | {:.1} |",
            took.as_secs_f64()
        );
    }
    let mut rows = SHARED.lock().unwrap_or_else(PoisonError::into_inner).clone();
    rows.sort_by_key(|row| (row.server, std::cmp::Reverse(row.together), row.client));
    text.push_str("\n## Shared\n\n| server | client | calls itself | speaks | connected at once | calls at once | seconds |\n");
    text.push_str("| --- | --- | --- | --- | --- | --- | --- |\n");
    for SharedRow { server, together, in_flight, client, calls_itself, speaks, seconds } in rows {
        let _ = writeln!(text, "| {server} | {client} | {calls_itself} | {speaks} | {together} | {in_flight} | {seconds:.1} |");
    }
    let mut rows = RECORDED.lock().unwrap_or_else(PoisonError::into_inner).clone();
    rows.sort_by_key(|row| (row.client, row.server));
    text.push_str("\n## Recorded\n\n| client | version | server | era | revision | messages | findings |\n");
    text.push_str("| --- | --- | --- | --- | --- | --- | --- |\n");
    for RecordedRow { client, version, server, era, revision, messages, findings } in rows {
        let or_none = |text: String| if text.is_empty() { "–".to_owned() } else { text };
        let (revision, findings) = (or_none(revision), or_none(findings));
        let _ = writeln!(text, "| {client} | {version} | {server} | {era} | {revision} | {messages} | {findings} |");
    }
    std::fs::write(path, text)
}
