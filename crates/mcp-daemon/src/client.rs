//! Asking the daemon.

use std::io::{self, Read as _, Write as _};
use std::time::Duration;

use crate::control::{Reply, Report, Request, SCHEMA};
use crate::ensure::{self, EnsureError};
use crate::hello::{Answer, Head};
use crate::link::Link;
use crate::place::Place;

/// How long an answer may take; ending a server that hangs takes a while.
const PATIENCE: Duration = Duration::from_mins(1);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// No daemon.
    #[error(transparent)]
    Ensure(#[from] EnsureError),
    /// It does not answer.
    #[error("ask the daemon")]
    Io(#[from] io::Error),
    /// It does not let us in.
    #[error("{0}")]
    Refused(String),
    /// It answers something else.
    #[error("understand the daemon's answer")]
    Understand(#[from] serde_json::Error),
}

/// Asks the daemon that is there. `None`: there is none.
pub fn ask(place: &Place, request: &Request) -> Result<Option<Reply>, AskError> {
    let Some(link) = ensure::connect(place)? else { return Ok(None) };
    match ask_on(&link, request) {
        Ok(reply) => Ok(Some(reply)),
        // It ended just then.
        Err(AskError::Io(e)) if ended(&e) && ensure::connect(place)?.is_none() => Ok(None),
        Err(e) => Err(e),
    }
}

/// Asks the daemon, starting one if there is none.
pub fn ask_or_start(place: &Place, request: &Request) -> Result<Reply, AskError> {
    let ensured = ensure::ensure(place)?;
    ask_on(&ensured.link, request)
}

/// How everything stands, including daemons that leave.
pub fn status(place: &Place) -> Result<Report, AskError> {
    let mut report = match ask(place, &Request::Status)? {
        Some(Reply::Status(report)) => *report,
        Some(Reply::No { text, .. }) => return Err(AskError::Refused(text)),
        _ => Report { schema: SCHEMA.to_owned(), ..Report::default() },
    };
    for (_, socket) in place.leaving_sockets() {
        let Ok(Some(link)) = Link::connect_to(&socket) else { continue };
        if let Ok(Reply::Status(other)) = ask_on(&link, &Request::Status)
            && let Some(daemon) = other.daemon
        {
            report.leaving.push(crate::control::Leaving { pid: daemon.pid, version: daemon.version, servers: other.servers });
        }
    }
    Ok(report)
}

/// Asks daemons that leave.
pub fn ask_leaving(place: &Place, request: &Request) -> Vec<Reply> {
    let sockets = place.leaving_sockets().into_iter();
    sockets
        .filter_map(|(_, socket)| Link::connect_to(&socket).ok().flatten().and_then(|link| ask_on(&link, request).ok()))
        .collect()
}

/// Replaces the daemon by a new one, which serves new clients while the old one serves its last. `false`: there was none.
pub fn restart(place: &Place) -> Result<bool, AskError> {
    let is_there = ensure::connect(place)?.is_some();
    ensure::renew(place)?;
    Ok(is_there)
}

/// Has a daemon take no new clients. One that is gone has left as well.
pub(crate) fn ask_to_leave(link: &Link) -> bool {
    !matches!(ask_on(link, &Request::Leave), Ok(Reply::No { .. }))
}

fn ask_on(link: &Link, request: &Request) -> Result<Reply, AskError> {
    let body = serde_json::to_vec(request)?;
    let mut hello = Head::Control(body.len()).to_string().into_bytes();
    hello.extend_from_slice(&body);
    link.set_patience(Some(PATIENCE))?;
    { link }.write_all(&hello)?;
    let mut answer = Vec::new();
    { link }.read_to_end(&mut answer)?;
    if answer.is_empty() {
        return Err(AskError::Io(io::ErrorKind::UnexpectedEof.into()));
    }
    // A caller that is not let in is told so before anybody asks what it wants.
    let refused = std::str::from_utf8(&answer).ok().and_then(|line| Answer::parse(line.trim_end()));
    if let Some(Answer::Error(exit, text)) = refused {
        return Ok(Reply::No { exit, text });
    }
    Ok(serde_json::from_slice(&answer)?)
}

fn ended(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe)
}
