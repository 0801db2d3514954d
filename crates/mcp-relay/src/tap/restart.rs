//! Starting the wrapped server again while its client stays.

use std::process::{ChildStderr, ChildStdout};

use bytes::Bytes;
use mcp_capture::Direction;
use mcp_capture::event::Flags;
use mcp_os::process::{Child, SpawnError};
use mcp_wire::{Frame, author};

use super::lane::Downstream;
use super::rules::Act;
use super::shared::Shared;
use super::{Spec, start};

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
            acts.push(Act::Record { direction: Direction::ToClient, message, flags: Flags::INJECTED, altered: None });
        }
        let id = rules.opening_id();
        let opening = shared.opening.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match opening.initialize_as(&id) {
            Some(message) => {
                acts.push(Act::Record { direction: Direction::ToServer, message, flags: Flags::INJECTED, altered: None });
            }
            None => acts.push(Act::Initialized),
        }
    });
    Ok(child)
}
