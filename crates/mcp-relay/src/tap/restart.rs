//! Starting the wrapped server again while its client stays.

use std::process::{ChildStderr, ChildStdout};
use std::time::{Duration, Instant};

use bytes::Bytes;
use mcp_capture::Direction;
use mcp_capture::event::Flags;
use mcp_os::process::{Child, SpawnError};
use mcp_os::signals;
use mcp_wire::{Frame, author};

use super::lane::Downstream;
use super::shared::Shared;
use super::{Spec, start};
use crate::acting::rules::{Act, Message};
use crate::acting::wire::Report;

/// How far a restart is.
#[derive(Debug, Default)]
pub(super) struct Stage {
    pub(super) is_wanted: bool,
    pub(super) is_over: bool,
    pub(super) output: Option<ChildStdout>,
    pub(super) errors: Option<ChildStderr>,
}

/// How the client opened the session, in the era that has an opening.
#[derive(Debug, Default)]
pub(super) struct Opening {
    initialize: Option<Bytes>,
    pub(super) initialized: Option<Bytes>,
}

impl Opening {
    pub(super) fn note(&mut self, message: &Bytes) {
        let Ok(frame) = Frame::parse(message.clone()) else { return };
        match frame.method() {
            "initialize" => self.initialize = Some(message.clone()),
            "notifications/initialized" => self.initialized = Some(message.clone()),
            _ => {}
        }
    }

    /// The first message with an id of ours.
    fn initialize_as(&self, id: &str) -> Option<Bytes> {
        let frame = Frame::parse(self.initialize.clone()?).ok()?;
        Some(frame.with_id(&serde_json::to_string(id).ok()?))
    }
}

/// Asks the server to end, and kills it if it does not; the thread that waits for it starts the next one.
pub(super) fn restart(shared: &Shared, number: u64) -> Report {
    const TERM: i32 = 15;
    const KILL: i32 = 9;
    const GRACE: Duration = Duration::from_secs(2);
    if !cfg!(unix) {
        return Report::Failed { number, reason: "a server cannot be asked to end here".to_owned() };
    }
    let pid = shared.pid();
    shared.is_restarting(true);
    signals::send(pid, TERM, true);
    let deadline = Instant::now() + GRACE;
    while shared.pid() == pid && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    if shared.pid() == pid {
        signals::send(pid, KILL, true);
    }
    Report::Done { number, id: None }
}

/// Starts the server again, fails the requests it had not answered (these ids), and opens the session with it as the client had done.
pub(super) fn again(spec: &Spec, shared: &Shared, unanswered: &[String]) -> Result<Child, SpawnError> {
    let mut child = start(spec)?;
    shared.tape.process_started(child.id());
    shared.to_server.connect(child.stdin.take().map(|pipe| Box::new(pipe) as Downstream));
    shared.restarted(child.id(), child.stdout.take(), child.stderr.take());
    shared.with_rules(|rules, acts| {
        // The client would wait for good.
        for id in unanswered {
            let message = author::our_error(Some(id), "restarted", "the server was restarted before it had answered");
            acts.push(said_by_us(Direction::ToClient, message));
        }
        let id = rules.opening_id();
        let opening = shared.opening.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match opening.initialize_as(&id) {
            Some(message) => acts.push(said_by_us(Direction::ToServer, message)),
            None => acts.push(Act::Initialized),
        }
    });
    Ok(child)
}

fn said_by_us(direction: Direction, bytes: Bytes) -> Act<()> {
    Act::Record { message: Message { place: (), direction, bytes }, flags: Flags::INJECTED, altered: None }
}
